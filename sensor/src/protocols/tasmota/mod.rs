//! Tasmota: devices that announce themselves, answer status requests and take commands over MQTT.
//!
//! Followed: the documentation of Tasmota (MQTT, commands, native discovery), version 13 and 14.
//!
//! `tasmota/discovery/<MAC>/config` becomes a `tasmota.discovery` record; `tele/<topic>/INFO1..3`, `stat/<topic>/STATUS`, `STATUS2` and `STATUS5` a
//! `tasmota.status` record, each when it says something new; `cmnd/<topic>/<command>` a `tasmota.command` record. Full topics other than
//! `%prefix%/%topic%/` are not recognised. Readings (`STATE`, `SENSOR`) show only that the device exists. The value of a command that sets a password,
//! alone or in a Backlog, is told as a credential and is in no record.

mod record;
mod session;
#[cfg(test)]
mod tests;

use super::mqtt::payload::{REMEMBERED, TEXT_BYTES};
use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};

/// A device by its topic.
pub static TOPIC: IdentityKind = IdentityKind {
    name: "tasmota_topic",
    scope: IdentityScope::Server,
    strength: Strength::Chosen,
    lifetime: Lifetime::Configured,
    doc: "Topic of a Tasmota device, unique at its broker unless left at its default.",
};

/// Commands of one Backlog that are read: the firmware takes 30.
pub const BACKLOG: usize = 30;

crate::anomalies! {
    /// A payload that should describe the device is not JSON of the documented form.
    MALFORMED = "tasmota.malformed_payload",
}

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "tasmota",
    title: "Tasmota",
    documents: &["Tasmota documentation: MQTT", "Tasmota documentation: Commands"],
    hooks: Hooks { carried: &["mqtt.payload"], ..Hooks::NONE },
    max_message: super::mqtt::MAX_PACKET,
    probe,
    create: || Box::new(session::Devices::default()),
    records: &[&record::Discovery::KIND, &record::Status::KIND, &record::Command::KIND],
    anomalies: ALL,
    identities: &[&TOPIC],
    bounds: &[
        Bound { name: "remembered", value: REMEMBERED, reason: "topics of one connection; those beyond are told again" },
        Bound { name: "text_bytes", value: TEXT_BYTES, reason: "names and versions are shorter" },
        Bound { name: "backlog", value: BACKLOG, reason: "the firmware takes 30 commands at once" },
    ],
};

fn probe(input: &ProbeInput<'_>) -> Probe {
    match session::Place::of(input.hint) {
        Some(_) => Probe::Strong(None),
        None => Probe::No,
    }
}
