//! Rules over findings: what the judgement found is shown to the rules of the service `citytap`, as records of their own, so that what single
//! checks found can be counted and put in order. A finding is shown once for each of its places that were kept (the first three and the last
//! three), in the order of time. Rules over findings see none that rules over findings made: correlations over correlations do that.

use super::stage::Stage;
use super::{Aside, RuleSet};
use crate::findings::Verdict;
use crate::findings::judge::Finding;
use crate::hot::owned::Seen;
use crate::inventory::{Inventory, confidence_name};
use crate::policy::Policy;
use citytap_sensor::observation::{Bounds, FieldId, FieldSpec, FieldType, KindId, Record, RecordKind, Value};
use std::sync::Arc;

/// The service of rules over findings.
pub const SERVICE: &str = "citytap";

/// A finding as rules see it.
pub static KIND: RecordKind = RecordKind {
    id: KindId::of("citytap.finding"),
    name: "citytap.finding",
    doc: "A finding, at one of the places where it was seen.",
    fields: FIELDS,
};

const FIELDS: &[FieldSpec] = &[
    field("check", FieldType::Text, "Id of the check, or name of the rule, as in `modbus-unit-scan`."),
    field("severity", FieldType::Text, "`info`, `low`, `medium`, `high` or `critical`."),
    field("confidence", FieldType::Text, "`proved`, `seen`, `likely` or `possible`."),
    field("device", FieldType::Text, "Id of the device that it is about."),
    field("class", FieldType::Text, "Class of the device, as in `street_light`, where it is known."),
    field("subject", FieldType::Text, "The name of the device that it was seen on, as in `ip:10.0.0.5`."),
    field("count", FieldType::Integer, "How often it was seen in all."),
];

const fn field(name: &'static str, ty: FieldType, doc: &'static str) -> FieldSpec {
    FieldSpec { name, doc, ty, bounds: Bounds::None }
}

/// What is said of findings: verdicts, and how often each rule and correlation matched.
pub struct Said {
    /// Answers about the devices that the findings are about.
    pub verdicts: Vec<Verdict>,
    /// By name, those that matched.
    pub matches: Vec<(String, u64)>,
    /// Bounds that were hit, with how often.
    pub shed: Vec<(&'static str, u64)>,
}

/// Shows findings to the rules over findings.
pub fn judge(set: &Arc<RuleSet>, policy: &Policy, findings: &[Finding], inventory: &Inventory) -> Option<Said> {
    set.rules.iter().any(|rule| rule.service == SERVICE).then_some(())?;
    let mut shown: Vec<(Seen, &Finding)> =
        findings.iter().flat_map(|finding| finding.evidence.pointers().map(move |at| (at.seen, finding))).collect();
    shown.sort_unstable_by_key(|(seen, finding)| (seen.time, seen.place, finding.id));
    let mut stage = Stage::new(set.clone(), policy);
    for (seen, finding) in shown {
        let record = Shown {
            finding,
            device: finding.device.to_string(),
            subject: finding.subject.to_string(),
            class: inventory.class_of(finding.device),
        };
        set.show(
            Aside { seen, network: finding.subject.network, service: SERVICE, record: &record },
            &finding.subject,
            &mut |matched| {
                stage.take(matched, seen);
            },
        );
    }
    let mut verdicts = Vec::new();
    stage.verdicts(&|_| true, &mut |verdict| verdicts.push(verdict));
    Some(Said {
        verdicts,
        matches: stage.matches().map(|(name, count)| (name.to_owned(), count)).collect(),
        shed: stage.shed().collect(),
    })
}

struct Shown<'f> {
    finding: &'f Finding,
    device: String,
    subject: String,
    class: Option<&'f str>,
}

impl Record for Shown<'_> {
    fn kind(&self) -> &'static RecordKind {
        &KIND
    }

    fn field(&self, id: FieldId) -> Value<'_> {
        match FIELDS.get(usize::from(id.index)).map(|field| field.name) {
            Some("check") => Value::Text(self.finding.spec.id),
            Some("severity") => Value::Text(self.finding.severity.name()),
            Some("confidence") => Value::Text(confidence_name(self.finding.confidence)),
            Some("device") => Value::Text(&self.device),
            Some("class") => self.class.map_or(Value::Absent, Value::Text),
            Some("subject") => Value::Text(&self.subject),
            Some("count") => Value::Unsigned(self.finding.evidence.count),
            _ => Value::Absent,
        }
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        // Writing to memory what has string keys alone cannot fail.
        let _ = serde_json::to_writer(out, self.finding);
    }
}
