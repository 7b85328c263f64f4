//! Reads attributes and descriptions of devices.

use super::{DEVICE, MALFORMED, record};
use crate::observation::{Anomalies, Attribute, Confidence, Fact, Identity, IdentityValue, Presence};
use crate::protocols::mqtt::payload::json::Scalar;
use crate::protocols::mqtt::payload::{Facts, Origin, Remembered, address_of, attribute, mac_of, short};
use crate::protocols::{Cx, Decoder, Input, Step};
use serde::Deserialize;

/// What one connection told.
#[derive(Default)]
pub(super) struct Devices {
    topics: Remembered,
}

/// A device description (5.0.0, "$description").
#[derive(Deserialize, Default)]
#[serde(default)]
struct Description<'a> {
    #[serde(borrow)]
    homie: Scalar<'a>,
    #[serde(borrow)]
    name: Scalar<'a>,
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    parent: Scalar<'a>,
}

/// Device and attribute of a topic that describes a device, not one of its nodes.
pub(super) fn place(topic: &str) -> Option<(&str, &str)> {
    let rest = topic.strip_prefix("homie/")?;
    let rest = rest.strip_prefix("5/").unwrap_or(rest);
    let (device, attribute) = rest.split_once('/')?;
    (attribute.starts_with('$') && !device.is_empty()).then_some((device, attribute))
}

impl Decoder for Devices {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        // Statistics change all the time and describe nothing.
        let statistics = Origin::with_topic(cx, |topic| topic.contains("/$stats")) == Some(true);
        let content = if statistics { &[] } else { input.bytes };
        if self.topics.topic_has_news(content, cx)
            && !statistics
            && let Some(origin) = Origin::of(cx)
            && let Some((device, attribute)) = place(&origin.topic)
        {
            if attribute == "$description" {
                describe(short(device), &origin, &input, cx);
            } else {
                say(short(device), attribute, &origin, &input, cx);
            }
        }
        Step::Consumed(input.bytes.len())
    }
}

fn identity<'a>(device: &'a str, origin: &Origin) -> Identity<'a> {
    Identity::at(&DEVICE, origin.broker(), IdentityValue::Text(device))
}

/// Tells of the device. A client may speak for several devices: it is what their traffic passes through.
fn tell<'a>(device: &'a str, origin: &'a Origin, facts: &mut Facts<'a>) -> Identity<'a> {
    let id = identity(device, origin);
    facts.push(Fact::Identity { id, presence: Presence::Proved });
    facts.push(Fact::Via { id, via: origin.via() });
    id
}

fn say(device: &str, name: &str, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
    const BASIS: &str = "Homie attribute";
    let payload_length = u32::try_from(input.bytes.len()).unwrap_or(u32::MAX);
    let known = matches!(
        name,
        "$homie"
            | "$name"
            | "$state"
            | "$mac"
            | "$localip"
            | "$fw/name"
            | "$fw/version"
            | "$implementation"
            | "$implementation/version"
            | "$nodes"
            | "$extensions"
            | "$online"
            | "$type"
    );
    let text = if known { std::str::from_utf8(input.bytes).ok() } else { None };
    if known && text.is_none() {
        cx.anomaly(input.direction, &MALFORMED);
        return;
    }
    let value = text.map(|text| short(text.trim()));
    let mut facts = Facts::new();
    // The existence of the device is told with its first attributes, whichever come.
    let id = tell(device, origin, &mut facts);
    match name {
        "$name" => attribute(&mut facts, id, Attribute::Name, value, "homie.value"),
        "$fw/name" => attribute(&mut facts, id, Attribute::Application, value, "homie.fw_name"),
        "$fw/version" => attribute(&mut facts, id, Attribute::Firmware, value, "homie.fw_version"),
        "$implementation" => attribute(&mut facts, id, Attribute::Product, value, "homie.value"),
        "$type" => attribute(&mut facts, id, Attribute::DeviceType, value, "homie.value"),
        "$mac" => {
            if let Some(mac) = value.and_then(mac_of) {
                facts.push(Fact::SameAs { a: id, b: Identity::mac(mac), basis: BASIS, confidence: Confidence::Likely });
            }
        }
        "$localip" => {
            if let Some(ip) = value.and_then(address_of) {
                facts.push(Fact::SameAs { a: id, b: Identity::ip(ip), basis: BASIS, confidence: Confidence::Likely });
            }
        }
        _ => {}
    }
    let homie = value.filter(|_| name == "$homie");
    let record = record::Attribute { device, attribute: short(name), value, homie, payload_length };
    cx.emit(input.direction, &record, &facts, &Anomalies::default());
}

fn describe(device: &str, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
    let Ok(description) = serde_json::from_slice::<Description<'_>>(input.bytes) else {
        cx.anomaly(input.direction, &MALFORMED);
        return;
    };
    let mut facts = Facts::new();
    let id = tell(device, origin, &mut facts);
    if let Some(parent) = description.parent.text().map(short).filter(|parent| !parent.is_empty()) {
        facts.push(Fact::Via { id, via: identity(parent, origin) });
    }
    attribute(&mut facts, id, Attribute::Name, description.name.text(), "homie.value");
    attribute(&mut facts, id, Attribute::DeviceType, description.kind.text(), "homie.value");
    let record = record::Attribute {
        device,
        attribute: "$description",
        value: description.name.text().map(short),
        homie: description.homie.text().map(short),
        payload_length: u32::try_from(input.bytes.len()).unwrap_or(u32::MAX),
    };
    cx.emit(input.direction, &record, &facts, &Anomalies::default());
}
