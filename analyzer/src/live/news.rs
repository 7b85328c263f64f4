//! What is to be told of a judgement: the findings that are new, or worse or surer than they were.

use crate::engine::Report;
use crate::export::run_folder::SCHEMA_VERSION;
use crate::findings::Severity;
use crate::findings::actions::name_device;
use crate::findings::judge::{Finding, FindingId};
use crate::inventory::{confidence_name, confidence_named};
use crate::sinks::Message;
use crate::store::Contents;
use citytap_sensor::observation::Confidence;
use citytap_sensor::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};

/// Findings that are remembered as told: two for each device of the largest inventory. Further ones are not told but counted, since they would be told
/// again at each judgement.
const REMEMBERED: usize = 1 << 21;

/// Remembers what was told.
pub struct News {
    site: String,
    sensor: String,
    told: HashMap<FindingId, (Severity, Confidence)>,
    /// Findings that were not told because too many were.
    untold: u64,
}

impl News {
    /// Nothing was told, but what stands in the store. `sensor`: this machine's name.
    pub fn new(site: &str, sensor: &str, before: Option<&Contents>) -> Self {
        let mut told = HashMap::new();
        for finding in before.map(Contents::open_findings).unwrap_or_default() {
            if let (Ok(id), Some(confidence)) = (u64::from_str_radix(&finding.id, 16), confidence_named(&finding.confidence)) {
                told.insert(FindingId(id), (finding.severity, confidence));
            }
        }
        Self { site: site.into(), sensor: sensor.into(), told, untold: 0 }
    }

    /// What is to be told now: in the order of time, then the gravest first.
    pub fn of(&mut self, report: &Report, now: Timestamp) -> Vec<Message> {
        let mut messages = Vec::new();
        self.untold = 0;
        for finding in &report.judgement.findings {
            let present = (finding.severity, finding.confidence);
            let state = match self.told.get(&finding.id) {
                Some(before) if present.0 > before.0 || present.1 > before.1 => "changed",
                Some(_) => continue,
                None if self.told.len() >= REMEMBERED => {
                    self.untold += 1;
                    continue;
                }
                None => "new",
            };
            self.told.insert(finding.id, present);
            messages.push(self.message(report, finding, state, now));
        }
        messages.sort_by_key(|message| message.time);
        messages
    }

    /// Findings that were not told at the last judgement because too many were.
    pub fn untold(&self) -> u64 {
        self.untold
    }

    /// What happened to the sensor itself, as a message.
    pub fn of_the_sensor(&self, severity: Severity, text: &str, now: Timestamp) -> Message {
        let json = json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "sensor",
            "site": self.site,
            "sensor": self.sensor,
            "time": now,
            "severity": severity,
            "message": text,
        });
        Message {
            key: format!("sensor-{:08x}", crc32fast::hash(text.as_bytes())),
            kind: "sensor".into(),
            time: now,
            severity,
            text: text.into(),
            labels: [("sensor", &self.sensor), ("site", &self.site)].map(|(name, value)| (name.to_owned(), value.clone())).into(),
            json: json.to_string(),
        }
    }

    fn message(&self, report: &Report, finding: &Finding, state: &'static str, now: Timestamp) -> Message {
        #[derive(Serialize)]
        struct Line<'f> {
            schema_version: u32,
            kind: &'static str,
            state: &'static str,
            site: &'f str,
            sensor: &'f str,
            device_name: &'f str,
            #[serde(flatten)]
            finding: &'f Finding,
        }
        let device = report.inventory.device(finding.device);
        let device_name = device.as_ref().map_or_else(|| finding.subject.to_string(), name_device);
        let line = Line {
            schema_version: SCHEMA_VERSION,
            kind: "finding",
            state,
            site: &self.site,
            sensor: &self.sensor,
            device_name: &device_name,
            finding,
        };
        let labels = [
            ("check", finding.spec.id.to_owned()),
            ("confidence", confidence_name(finding.confidence).to_owned()),
            ("device", finding.device.to_string()),
            ("device_name", device_name.clone()),
            ("finding", finding.id.to_string()),
            ("site", self.site.clone()),
            ("state", state.to_owned()),
            ("subject", finding.subject.to_string()),
        ];
        Message {
            key: finding.id.to_string(),
            kind: "finding".into(),
            time: finding.last_seen().unwrap_or(now),
            severity: finding.severity,
            text: format!("{device_name}: {}", finding.message()),
            labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
            // Our own types have string keys alone: writing them to memory cannot fail.
            json: serde_json::to_string(&line).unwrap_or_default(),
        }
    }
}
