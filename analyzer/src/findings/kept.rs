//! Findings and checks as they outlive the run that made them, and how those of several runs come together.
//!
//! - A *finding* of the same id is one: first and last time, sum of counts, the first three and the last three places. What it says is what
//!   the run said that saw it last; of runs that saw it last at the same time, the gravest says it, then the most certain, then the text
//!   that sorts last: the order in which runs are added says nothing.
//! - A *check* keeps one answer for each device: an answer that rests on a test (found, or tested and clear) stands before one that does not;
//!   of two tested answers that of the later run counts; of the same time, found. So a run that could not test leaves things as they were,
//!   found stays found until a later run tests and finds it clear, and the order in which runs are added does not matter.
//! - A finding is *open* as long as its check's answer is found; else it is *cleared*, and asks for no action. It is *closed* where the module that
//!   replaces keys proved that the key is replaced and was not seen since; seen later, it is open again, and the proof stays to be read.

use super::Severity;
use super::actions::Part;
use super::alerts::{Delivery, Standing};
use super::judge::{Check, Finding, FindingId, Outcome, Place};
use super::risk::Weight;
use crate::checks;
use crate::inventory::merge::Counting;
use crate::inventory::{DeviceId, confidence_name, confidence_named, when};
use citytap_sensor::observation::Confidence;
use citytap_sensor::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Places kept at the beginning and at the end, as within a run.
const KEPT: usize = 3;

/// A finding of one or several runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFinding {
    /// Stable: a hash of check, device and arguments.
    pub id: String,
    /// Which check.
    pub check: String,
    /// Which device.
    pub device: DeviceId,
    /// The name of the device that it was seen on.
    pub subject: String,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: String,
    /// What was found, as a sentence.
    pub message: String,
    /// The arguments of the sentence.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// What the owner should do.
    pub remedy: String,
    /// Why it matters.
    pub why: String,
    /// For a rule of a person's own, what an action says of its findings: the store is read without the rule as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// CWE, CVE, ATT&CK, clauses.
    #[serde(default)]
    pub references: Vec<String>,
    /// Whether a person is told at once.
    #[serde(default)]
    pub delivery: Delivery,
    /// When it was first seen.
    #[serde(default, with = "when::maybe")]
    pub first_seen: Option<Timestamp>,
    /// When it was last seen.
    #[serde(default, with = "when::maybe")]
    pub last_seen: Option<Timestamp>,
    /// How often it was seen.
    pub count: u64,
    /// Where: the first three and the last three places.
    #[serde(default)]
    pub evidence: Vec<KeptPlace>,
    /// The proof that what it found is over, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// The proof that a key was replaced: from a signed file of the module that did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Since when the old key is refused.
    #[serde(with = "when")]
    pub at: Timestamp,
    /// When data was first seen to flow under the new key.
    #[serde(with = "when")]
    pub proven: Timestamp,
    /// Whose credential, at which verifier.
    pub slot: String,
    /// The rotation.
    pub rotation: u64,
    /// The generation that was replaced.
    pub from: u32,
    /// The generation that replaced it.
    pub to: u32,
    /// Who saw the new key in use: `verifier`, `sensor`.
    pub witnesses: Vec<String>,
    /// Id of the key that signed the proof.
    pub key: String,
}

/// A place in the captures of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPlace {
    /// 1-based number of the packet over all captures of its run.
    pub frame: u64,
    /// Its time stamp.
    #[serde(with = "when")]
    pub time: Timestamp,
    /// The field that shows it.
    pub field: String,
    /// The run; absent where there is but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
}

impl KeptFinding {
    /// A run's finding, about a device that the store may know by another id.
    pub fn new(finding: &Finding, device: DeviceId, run: Option<u32>) -> Self {
        let place = |place: Place| KeptPlace { frame: place.frame, time: place.time, field: place.field.into_owned(), run };
        let mut kept = Self {
            id: finding.id.to_string(),
            check: finding.spec.id.into(),
            device: finding.device,
            subject: finding.subject.to_string(),
            severity: finding.severity,
            confidence: confidence_name(finding.confidence).into(),
            message: finding.message(),
            arguments: finding.arguments.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect(),
            remedy: finding.spec.remedy.into(),
            why: finding.spec.why.into(),
            action: (!checks::comes_with_the_program(finding.spec.id)).then(|| finding.spec.action.into()),
            references: finding.spec.references.iter().map(ToString::to_string).collect(),
            delivery: finding.delivery,
            first_seen: finding.first_seen(),
            last_seen: finding.last_seen(),
            count: finding.evidence.count,
            evidence: finding.places().map(place).collect(),
            closed: None,
        };
        kept.belongs_to(device);
        kept
    }

    /// Hands the finding to the device that it turned out to be about.
    pub fn belongs_to(&mut self, device: DeviceId) {
        if self.device != device {
            self.device = device;
            let arguments = self.arguments.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            self.id = FindingId::of(&self.check, device, arguments).to_string();
        }
    }

    /// Adds the same finding of another run.
    pub fn merge(&mut self, other: KeptFinding, counting: Counting) {
        let count = counting.add(self.count, other.count);
        let closed = match (self.closed.take(), other.closed.clone()) {
            (Some(one), Some(another)) => Some(if another.at > one.at { another } else { one }),
            (one, another) => one.or(another),
        };
        let first_seen = self.first_seen.into_iter().chain(other.first_seen).min();
        let last_seen = self.last_seen.max(other.last_seen);
        let mut evidence = std::mem::take(&mut self.evidence);
        evidence.extend(other.evidence.iter().cloned());
        evidence.sort_by(|a, b| (a.time, a.frame, &a.field, a.run).cmp(&(b.time, b.frame, &b.field, b.run)));
        evidence.dedup_by(|a, b| (a.time, a.frame, &a.field) == (b.time, b.frame, &b.field));
        if evidence.len() > 2 * KEPT {
            evidence.drain(KEPT..evidence.len() - KEPT);
        }
        if other.precedence() > self.precedence() {
            *self = other;
        }
        *self = Self { count, first_seen, last_seen, evidence, closed, ..std::mem::take(self) };
    }

    /// Whether it was proven to be over, and was not seen since.
    pub fn is_closed(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| self.last_seen.is_none_or(|seen| seen <= closed.at))
    }

    /// Of two runs' findings the greater says what is found: all in which they can differ takes part.
    fn precedence(&self) -> impl Ord + '_ {
        let texts = (&self.message, &self.subject, &self.remedy, &self.why, &self.references, &self.arguments);
        (self.last_seen, self.severity, confidence_named(&self.confidence), texts)
    }

    /// As actions see it; `None` where this version knows no such check and it is no rule of a person's own.
    pub fn part(&self) -> Option<Part<'_>> {
        let spec = match checks::by_id(&self.check) {
            Some(spec) => spec,
            None => checks::kept(&self.check, self.action.as_deref()?, &self.remedy, &self.why),
        };
        let confidence = confidence_named(&self.confidence).unwrap_or(Confidence::Possible);
        let arguments = self.arguments.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let texts = self.references.iter().chain(self.arguments.values()).map(String::as_str);
        let known_exploited = Weight::is_known_exploited(texts);
        let weight = Weight { severity: self.severity, confidence, known_exploited };
        Some(Part::new(FindingId::parse(&self.id)?, self.device, (spec, weight), arguments))
    }

    /// As alerts see it; `None` where actions cannot see it either.
    pub fn standing(&self) -> Option<Standing<'_>> {
        Some(Standing {
            part: self.part()?,
            delivery: self.delivery,
            first_seen: self.first_seen.unwrap_or_default(),
            last_seen: self.last_seen.unwrap_or_default(),
            count: self.count,
        })
    }
}

impl Default for KeptFinding {
    fn default() -> Self {
        Self {
            id: String::new(),
            check: String::new(),
            device: DeviceId(0),
            subject: String::new(),
            severity: Severity::Info,
            confidence: String::new(),
            message: String::new(),
            arguments: BTreeMap::new(),
            remedy: String::new(),
            why: String::new(),
            action: None,
            references: Vec::new(),
            delivery: Delivery::default(),
            first_seen: None,
            last_seen: None,
            count: 0,
            evidence: Vec::new(),
            closed: None,
        }
    }
}

/// The answer to one check about one device, over several runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCheck {
    /// Which check. A city has ten answers for each device: what many have in common is not copied.
    pub check: Cow<'static, str>,
    /// Which device.
    pub device: DeviceId,
    /// The answer.
    pub outcome: Outcome,
    /// On what it was tested, or why it could not be; for a finding, the sentence.
    pub reason: Cow<'static, str>,
    /// Time of the last packet of the run that answered.
    #[serde(default, with = "when::maybe")]
    pub as_of: Option<Timestamp>,
}

impl KeptCheck {
    /// A run's answer, about a device that the store may know by another id.
    pub fn new(check: &Check, device: DeviceId, as_of: Option<Timestamp>) -> Self {
        Self { check: check.spec.id.into(), device, outcome: check.outcome, reason: check.kept_reason(), as_of }
    }

    /// Adds the answer of another run.
    pub fn merge(&mut self, other: KeptCheck) {
        let rank = |check: &KeptCheck| {
            (check.outcome != Outcome::Untested, check.as_of, check.outcome == Outcome::Found, check.reason.clone())
        };
        if rank(&other) > rank(self) {
            *self = other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: Outcome, at: u64) -> KeptCheck {
        KeptCheck {
            check: "a-check".into(),
            device: DeviceId(1),
            outcome,
            reason: format!("{outcome:?} at {at}").into(),
            as_of: Some(Timestamp(at)),
        }
    }

    #[test]
    fn found_stays_found_until_a_later_run_tests_and_finds_it_clear() {
        use Outcome::{Clear, Found, Untested};
        let runs = [
            (vec![(Found, 1), (Untested, 2)], Found),
            (vec![(Found, 1), (Clear, 2)], Clear),
            (vec![(Found, 2), (Clear, 1)], Found),
            (vec![(Found, 2), (Clear, 2)], Found),
            (vec![(Clear, 1), (Untested, 2)], Clear),
            (vec![(Clear, 1), (Untested, 2), (Found, 3)], Found),
            (vec![(Found, 1), (Clear, 2), (Untested, 3)], Clear),
        ];
        for (answers, wanted) in runs {
            for order in [answers.clone(), answers.iter().rev().copied().collect()] {
                let kept = order.iter().map(|&(outcome, at)| answer(outcome, at)).reduce(|mut kept, other| {
                    kept.merge(other);
                    kept
                });
                assert_eq!(kept.map(|kept| kept.outcome), Some(wanted), "{order:?}");
            }
        }
    }

    #[test]
    fn places_of_two_runs_leave_the_first_three_and_the_last_three() {
        let places = |from: u64, run| {
            (from..from + 4)
                .map(|at| KeptPlace { frame: at, time: Timestamp(at * 1_000), field: "a.b".into(), run: Some(run) })
                .collect()
        };
        let mut early = KeptFinding { count: 4, evidence: places(1, 1), message: "early".into(), ..KeptFinding::default() };
        early.last_seen = Some(Timestamp(4));
        let mut late = KeptFinding { count: 6, evidence: places(11, 2), message: "late".into(), ..KeptFinding::default() };
        late.last_seen = Some(Timestamp(14));
        let mut both = late.clone();
        both.merge(early.clone(), Counting::Sum);
        early.merge(late, Counting::Sum);
        assert_eq!(both, early);
        assert_eq!(both.evidence.iter().map(|place| place.frame).collect::<Vec<_>>(), [1, 2, 3, 12, 13, 14]);
        assert_eq!((both.count, both.message.as_str()), (10, "late"));
    }

    #[test]
    fn of_runs_that_end_at_one_time_the_order_of_adding_says_nothing() {
        let run = |severity, message: &str, first| KeptFinding {
            severity,
            message: message.into(),
            count: 1,
            first_seen: Some(Timestamp(first)),
            last_seen: Some(Timestamp(9)),
            ..KeptFinding::default()
        };
        let runs = [run(Severity::Low, "z", 3), run(Severity::High, "b", 1), run(Severity::High, "a", 5)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut kept = runs[order[0]].clone();
            order[1..].iter().for_each(|&at| kept.merge(runs[at].clone(), Counting::Sum));
            assert_eq!((kept.message.as_str(), kept.severity, kept.count), ("b", Severity::High, 3), "{order:?}");
            assert_eq!((kept.first_seen, kept.last_seen), (Some(Timestamp(1)), Some(Timestamp(9))));
        }
    }
}
