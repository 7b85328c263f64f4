//! Zigbee2MQTT: a bridge that lists its Zigbee devices in retained messages.
//!
//! Followed: the documentation of Zigbee2MQTT (MQTT topics and messages), 2024.
//!
//! `<base>/bridge/info` becomes a `zigbee2mqtt.bridge` record; `<base>/bridge/devices` a `zigbee2mqtt.device` record for each device that is new or
//! changed; each device passes through the coordinator, and the coordinator through the client that publishes. A list larger than an MQTT
//! packet that is kept whole is not read. States of devices, `<base>/<friendly name>`, say nothing that the list does not.

mod record;
mod session;
#[cfg(test)]
mod tests;

use super::mqtt::payload::{REMEMBERED, TEXT_BYTES};
use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};

/// A Zigbee device by its IEEE address.
pub static IEEE_ADDRESS: IdentityKind = IdentityKind {
    name: "zigbee_ieee",
    scope: IdentityScope::Global,
    strength: Strength::Made,
    lifetime: Lifetime::Permanent,
    doc: "IEEE address (EUI-64) of a Zigbee device (IEEE 802.15.4).",
};

crate::anomalies! {
    /// A payload of the bridge is not JSON of the documented form.
    MALFORMED = "zigbee2mqtt.malformed_payload",
}

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "zigbee2mqtt",
    title: "Zigbee2MQTT",
    documents: &["Zigbee2MQTT documentation: MQTT topics and messages"],
    hooks: Hooks { carried: &["mqtt.payload"], ..Hooks::NONE },
    max_message: super::mqtt::MAX_PACKET,
    probe,
    create: || Box::new(session::Bridge::default()),
    records: &[&record::Bridge::KIND, &record::Device::KIND, &record::State::KIND],
    anomalies: ALL,
    identities: &[&IEEE_ADDRESS],
    bounds: &[
        Bound { name: "remembered", value: REMEMBERED, reason: "a coordinator serves some two hundred devices" },
        Bound { name: "text_bytes", value: TEXT_BYTES, reason: "names and versions are shorter" },
    ],
};

fn probe(input: &ProbeInput<'_>) -> Probe {
    let is_bridge = ["/bridge/devices", "/bridge/info", "/bridge/state"].iter().any(|end| input.hint.ends_with(end));
    if is_bridge { Probe::Strong(None) } else { Probe::No }
}
