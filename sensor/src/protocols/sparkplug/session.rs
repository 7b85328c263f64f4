//! Reads the messages of a namespace.

use super::wire::{self, Metric, Number};
use super::{BIRTH_WITHOUT_SEQ, DEVICE, EDGE_NODE, MALFORMED, METRIC_NAMES, record};
use crate::observation::{Anomalies, Attribute, Fact, Identity, IdentityValue, Presence, Role, Text};
use crate::protocols::mqtt::payload::{Facts, Origin, Remembered, attribute, short};
use crate::protocols::{Cx, Decoder, Input, Step};
use serde::Deserialize;

/// What one connection told.
#[derive(Default)]
pub(super) struct Namespace {
    told: Remembered,
}

/// The levels of a topic (§4.1).
struct Topic<'t> {
    group: &'t str,
    kind: &'t str,
    edge_node: &'t str,
    device: Option<&'t str>,
}

fn topic(topic: &str) -> Option<Topic<'_>> {
    let mut levels = topic.splitn(5, '/').skip(1);
    Some(Topic { group: levels.next()?, kind: levels.next()?, edge_node: levels.next()?, device: levels.next() })
}

impl Decoder for Namespace {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let is_data = Origin::with_topic(cx, |topic| topic.contains("/NDATA/") || topic.contains("/DDATA/")) == Some(true);
        // Of data only the first is looked at; commands are events, told each time.
        if (!is_data || self.told.topic_has_news(&[], cx))
            && let Some(origin) = Origin::of(cx)
        {
            if let Some(host) = origin.topic.strip_prefix("spBv1.0/STATE/") {
                self.state(host, &input, cx);
            } else if let Some(topic) = topic(&origin.topic) {
                self.certificate(&topic, &origin, &input, cx);
            }
        }
        Step::Consumed(input.bytes.len())
    }
}

/// What the metrics of a message say.
#[derive(Default)]
struct Said<'a> {
    count: u32,
    names: Vec<&'a str>,
    aliases: Vec<u64>,
    bd_seq: Option<u64>,
    make: Option<&'a str>,
    model: Option<&'a str>,
    firmware: Option<&'a str>,
    hardware: Option<&'a str>,
    serial: Option<&'a str>,
    os: Option<&'a str>,
    os_version: Option<&'a str>,
    transmission_version: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn take(&mut self, metric: Metric<'a>) {
        self.count += 1;
        let Some(name) = metric.name else {
            if let Some(alias) = metric.alias.filter(|_| self.aliases.len() < METRIC_NAMES) {
                self.aliases.push(alias);
            }
            return;
        };
        if self.names.len() < METRIC_NAMES {
            self.names.push(short(name));
        }
        match metric.value {
            Some(Number::Whole(value)) if name == "bdSeq" => self.bd_seq = Some(value),
            Some(Number::Text(text)) => self.property(name, short(text)),
            _ => {}
        }
    }

    /// Names are a convention (Sparkplug 3.0 does not mandate them): those of the examples and of common gateways.
    fn property(&mut self, name: &str, text: &'a str) {
        let Some((place, last)) = name.rsplit_once('/') else { return };
        if !place.to_ascii_lowercase().ends_with("properties") && !place.to_ascii_lowercase().ends_with("info") {
            return;
        }
        let slot = match last.to_ascii_lowercase().as_str() {
            "hardware make" | "make" | "manufacturer" | "vendor" => &mut self.make,
            "hardware model" | "model" => &mut self.model,
            "fw" | "fw version" | "firmware" | "firmware version" => &mut self.firmware,
            "hw version" | "hardware version" => &mut self.hardware,
            "serial" | "serial number" | "hardware serial" => &mut self.serial,
            "os" => &mut self.os,
            "os version" => &mut self.os_version,
            "transmission version" => &mut self.transmission_version,
            _ => return,
        };
        slot.get_or_insert(text);
    }
}

impl Namespace {
    fn certificate(&mut self, topic: &Topic<'_>, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
        let node = format!("{}/{}", short(topic.group), short(topic.edge_node));
        let device = topic.device.map(|device| format!("{node}/{}", short(device)));
        let node_id = Identity::at(&EDGE_NODE, origin.broker(), IdentityValue::Text(&node));
        let device_id = device.as_deref().map(|device| Identity::at(&DEVICE, origin.broker(), IdentityValue::Text(device)));
        let id = device_id.unwrap_or(node_id);
        let mut said = Said::default();
        let (payload, read) = wire::payload(input.bytes, |metric| said.take(metric));
        let mut anomalies = Anomalies::default();
        if read.is_none() {
            anomalies.push(&MALFORMED);
        }
        let command = matches!(topic.kind, "NCMD" | "DCMD");
        let birth = matches!(topic.kind, "NBIRTH" | "DBIRTH");
        let system = said.os.zip(said.os_version).map(|(system, version)| format!("{system} {version}"));
        let mut facts = Facts::new();
        if command {
            facts.push(Fact::Identity { id, presence: Presence::Mentioned });
        } else if birth || self.told.has_news(device.as_deref().unwrap_or(&node), b"", cx) {
            facts.push(Fact::Identity { id, presence: Presence::Proved });
            match device_id {
                Some(device) => {
                    facts.push(Fact::Via { id: device, via: node_id });
                    facts.push(Fact::Via { id: node_id, via: origin.via() });
                }
                None => {
                    facts.push(Fact::Via { id: node_id, via: origin.via() });
                    facts.push(Fact::Role { id: node_id, role: Role::Publisher });
                }
            }
        }
        let (group, edge_node) = (short(topic.group), short(topic.edge_node));
        let device = topic.device.map(short);
        if birth {
            if payload.seq.is_none() && read.is_some() {
                anomalies.push(&BIRTH_WITHOUT_SEQ);
            }
            attribute(&mut facts, id, Attribute::Vendor, said.make, "sparkplug.make");
            attribute(&mut facts, id, Attribute::Model, said.model, "sparkplug.model");
            attribute(&mut facts, id, Attribute::Firmware, said.firmware, "sparkplug.firmware");
            attribute(&mut facts, id, Attribute::Hardware, said.hardware, "sparkplug.hardware");
            attribute(&mut facts, id, Attribute::Serial, said.serial, "sparkplug.serial");
            attribute(&mut facts, id, Attribute::OperatingSystem, system.as_deref().or(said.os), "sparkplug.os");
            attribute(&mut facts, id, Attribute::Software, said.transmission_version, "sparkplug.transmission_version");
            let names = said.names.iter().filter(|name| !name.is_empty());
            facts.extend(names.map(|&name| Fact::Object { id, kind: "sparkplug.metric", name: Text::Str(name) }));
            let record = record::Birth {
                group,
                edge_node,
                device,
                timestamp_ms: payload.timestamp,
                seq: payload.seq,
                bd_seq: said.bd_seq,
                metric_count: said.count,
                metric_names: said.names,
                make: said.make,
                model: said.model,
                firmware: said.firmware,
                hardware: said.hardware,
                serial: said.serial,
                os: said.os,
                os_version: said.os_version,
                transmission_version: said.transmission_version,
            };
            cx.emit(input.direction, &record, &facts, &anomalies);
        } else if matches!(topic.kind, "NDEATH" | "DDEATH") {
            let record = record::Death { group, edge_node, device, bd_seq: said.bd_seq };
            cx.emit(input.direction, &record, &facts, &anomalies);
        } else if command {
            let record = record::Command { group, edge_node, device, metric_names: said.names, metric_aliases: said.aliases };
            cx.emit(input.direction, &record, &facts, &anomalies);
        } else {
            if !facts.is_empty() {
                cx.facts(input.direction, &facts);
            }
            for anomaly in anomalies.iter() {
                cx.anomaly(input.direction, anomaly.code);
            }
        }
    }

    fn state(&mut self, host: &str, input: &Input<'_>, cx: &mut Cx<'_>) {
        #[derive(Deserialize)]
        struct State {
            online: bool,
        }
        if !self.told.topic_has_news(input.bytes, cx) {
            return;
        }
        // Before version 3 the payload was the bare word.
        let online = match input.bytes {
            b"ONLINE" => Some(true),
            b"OFFLINE" => Some(false),
            bytes => serde_json::from_slice::<State>(bytes).ok().map(|state| state.online),
        };
        let mut anomalies = Anomalies::default();
        if online.is_none() {
            anomalies.push(&MALFORMED);
        }
        cx.emit(input.direction, &record::State { host: short(host), online }, &[], &anomalies);
    }
}
