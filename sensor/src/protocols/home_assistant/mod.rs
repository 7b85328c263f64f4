//! Home Assistant MQTT discovery: retained configuration messages that describe entities and the devices they belong to.
//!
//! Followed: the documentation of Home Assistant's MQTT integration (discovery topic and payload, device registry entries, abbreviations,
//! device-based discovery), 2024.
//!
//! `<prefix>/<component>/[<node>/]<object>/config` with a JSON object becomes a `home_assistant.device` record once for each distinct device, and again
//! when what is said about it changes. One client may describe any number of devices: each passes through that client. Of entities it is told which
//! components (`light`, `sensor`) and device classes (`sensor/temperature`) a device has, once each; those for its upkeep (`entity_category`) say
//! nothing of what it is. States are left out; an empty payload, which removes an entity, says nothing here.

mod record;
mod session;
#[cfg(test)]
mod tests;

use super::mqtt::payload::{REMEMBERED, TEXT_BYTES};
use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};

/// A device by the first of its identifiers.
pub static DEVICE: IdentityKind = IdentityKind {
    name: "home_assistant_device",
    scope: IdentityScope::Server,
    strength: Strength::Chosen,
    lifetime: Lifetime::Configured,
    doc: "First of the identifiers of a device in MQTT discovery, unique at its broker; its integration chose it, often from a MAC address.",
};

crate::anomalies! {
    /// A configuration payload is not a JSON object of the documented form.
    MALFORMED = "home_assistant.malformed_payload",
}

/// Entities of one message of device-based discovery that are looked at.
pub const ENTITIES: usize = 64;

/// Longest device class, bytes: the longest documented has 32.
pub const DEVICE_CLASS_BYTES: usize = 40;

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "home_assistant",
    title: "Home Assistant discovery",
    documents: &["Home Assistant documentation: MQTT discovery"],
    hooks: Hooks { carried: &["mqtt.payload"], ..Hooks::NONE },
    max_message: super::mqtt::MAX_PACKET,
    probe,
    create: || Box::new(session::Discovery::default()),
    records: &[&record::Device::KIND],
    anomalies: ALL,
    identities: &[&DEVICE],
    bounds: &[
        Bound {
            name: "remembered",
            value: REMEMBERED,
            reason: "entities and devices of one bridge; those beyond are told again",
        },
        Bound { name: "entities", value: ENTITIES, reason: "what a device is shows in its first entities" },
        Bound { name: "device_class_bytes", value: DEVICE_CLASS_BYTES, reason: "the longest documented has 32" },
        Bound { name: "text_bytes", value: TEXT_BYTES, reason: "names and versions are shorter" },
    ],
};

/// The kinds of entities that can be discovered, and `device` for device-based discovery.
const COMPONENTS: [&str; 32] = [
    "alarm_control_panel",
    "binary_sensor",
    "button",
    "camera",
    "climate",
    "cover",
    "device",
    "device_automation",
    "device_tracker",
    "event",
    "fan",
    "humidifier",
    "image",
    "lawn_mower",
    "light",
    "lock",
    "notify",
    "number",
    "scene",
    "select",
    "sensor",
    "siren",
    "switch",
    "tag",
    "text",
    "time",
    "update",
    "vacuum",
    "valve",
    "water_heater",
    "date",
    "datetime",
];

fn probe(input: &ProbeInput<'_>) -> Probe {
    let Some(rest) = input.hint.strip_suffix("/config") else { return Probe::No };
    if input.bytes.first() != Some(&b'{') {
        return Probe::No;
    }
    let mut levels = rest.split('/');
    let component = levels.nth(1).unwrap_or_default();
    if levels.next().is_some() && COMPONENTS.contains(&component) { Probe::Strong(None) } else { Probe::No }
}
