//! What is to be told of a judgement: alerts that are new, graver, back, over, or that went on for longer than the policy keeps quiet.
//!
//! How alerts stand is made anew at each judgement, from what the store said before the run and all that the run found; so the run ends with the alerts
//! that a replay has. What is remembered here is what was told of each.

use crate::export::run_folder::SCHEMA_VERSION;
use crate::findings::Severity;
use crate::findings::actions::Directory;
use crate::findings::alerts::{Alert, AlertId, Alerts, Delivery, State, Told};
use crate::sinks::Message;
use citytap_sensor::time::{Nanos, Timestamp};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Remembers what was told.
pub struct News {
    site: String,
    sensor: String,
    /// By alert. There are at most as many as [`alerts::ALERTS`](crate::findings::alerts::ALERTS): what is gone is forgotten.
    told: BTreeMap<AlertId, Last>,
}

/// An alert as it was last told.
struct Last {
    severity: Severity,
    state: State,
    count: u64,
    at: Timestamp,
    title: String,
}

impl News {
    /// Nothing was told, but what stands in the store. `sensor`: this machine's name.
    pub fn new(site: &str, sensor: &str, before: Option<&Alerts>) -> Self {
        let told = |alert: &Alert| {
            let Alert { severity, state, count, .. } = *alert;
            Some((alert.id, Last { severity, state, count, at: alert.told?, title: alert.sentence.clone() }))
        };
        let told = before.into_iter().flat_map(Alerts::iter).filter_map(told).collect();
        Self { site: site.into(), sensor: sensor.into(), told }
    }

    /// What is to be told of alerts as they stand now, in the order of time. `suppress`: how long one that goes on is not told again.
    pub fn of(&mut self, alerts: &Alerts, devices: &dyn Directory, suppress: Nanos, now: Timestamp) -> Vec<Message> {
        let mut messages = Vec::new();
        // A digest is told when its day is over, and alerts say so.
        for alert in alerts.iter().filter(|alert| alert.told.is_some()) {
            let Some(what) = self.what(alert, suppress, now) else { continue };
            let message = self.message(alert, what, devices, now);
            let Alert { severity, state, count, .. } = *alert;
            self.told.insert(alert.id, Last { severity, state, count, at: now, title: message.text.clone() });
            messages.push(message);
        }
        let gone: Vec<AlertId> = self.told.keys().filter(|id| alerts.get(**id).is_none()).copied().collect();
        for id in gone {
            if let Some(last) = self.told.remove(&id).filter(|last| last.state.is_pending()) {
                messages.push(self.withdrawn(id, &last, now));
            }
        }
        messages.sort_by_key(|message| message.time);
        messages
    }

    fn what(&self, alert: &Alert, suppress: Nanos, now: Timestamp) -> Option<&'static str> {
        let Some(last) = self.told.get(&alert.id) else {
            return Some(match (alert.delivery, alert.state) {
                (Delivery::Digest, _) => "digest",
                (_, State::Open) => "opened",
                (_, State::Reopened) => "reopened",
                (_, State::Acknowledged) => "continued",
                // A person decided before it was told.
                (_, State::Accepted | State::Resolved) => return None,
            });
        };
        if alert.delivery == Delivery::Digest {
            return None;
        }
        match alert.state {
            State::Reopened if last.state != State::Reopened => Some("reopened"),
            State::Resolved if last.state.is_pending() => Some("resolved"),
            State::Accepted | State::Resolved => None,
            _ if alert.severity > last.severity => Some("raised"),
            State::Open | State::Reopened if alert.count > last.count && now.since(last.at) >= suppress => Some("continued"),
            _ => None,
        }
    }

    fn message(&self, alert: &Alert, what: &'static str, devices: &dyn Directory, now: Timestamp) -> Message {
        #[derive(Serialize)]
        struct Line<'a> {
            schema_version: u32,
            kind: &'static str,
            what: &'static str,
            site: &'a str,
            sensor: &'a str,
            #[serde(flatten)]
            alert: Told<'a>,
        }
        let told = Told { alert, devices };
        let line =
            Line { schema_version: SCHEMA_VERSION, kind: "alert", what, site: &self.site, sensor: &self.sensor, alert: told };
        let ids = alert.devices();
        let mut labels = vec![
            ("alert", alert.id.to_string()),
            ("check", alert.check.clone()),
            ("confidence", alert.confidence.clone()),
            ("count", alert.count.to_string()),
            ("devices", ids.len().to_string()),
            ("site", self.site.clone()),
            ("state", alert.state.name().to_owned()),
            ("what", what.to_owned()),
        ];
        if let [one] = ids.as_slice() {
            labels.push(("device", one.to_string()));
            labels.extend(devices.called(*one).map(|name| ("device_name", name)));
        }
        Message {
            key: alert.id.to_string(),
            kind: "alert".into(),
            time: if what == "resolved" { now } else { alert.last_seen },
            severity: alert.severity,
            text: alert.title(devices),
            labels: named(labels),
            // Our own types have string keys alone: writing them to memory cannot fail.
            json: serde_json::to_string(&line).unwrap_or_default(),
        }
    }

    /// What was told and, now that more is known, is not so: a device turned out to be another.
    fn withdrawn(&self, id: AlertId, last: &Last, now: Timestamp) -> Message {
        let text = format!("withdrawn, more is known now: {}", last.title);
        let json = json!({
            "schema_version": SCHEMA_VERSION,
            "kind": "alert",
            "what": "withdrawn",
            "site": self.site,
            "sensor": self.sensor,
            "id": id,
            "severity": Severity::Info,
            "title": text,
            "last_seen": now,
        });
        let labels = vec![("alert", id.to_string()), ("site", self.site.clone()), ("what", "withdrawn".to_owned())];
        Message {
            key: id.to_string(),
            kind: "alert".into(),
            time: now,
            severity: Severity::Info,
            text,
            labels: named(labels),
            json: json.to_string(),
        }
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
            labels: named(vec![("sensor", self.sensor.clone()), ("site", self.site.clone())]),
            json: json.to_string(),
        }
    }
}

fn named(labels: Vec<(&str, String)>) -> BTreeMap<String, String> {
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
