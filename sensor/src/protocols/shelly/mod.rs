//! Shelly: both generations announce themselves over MQTT.
//!
//! Followed: the Shelly API documentation: generation 1 (MQTT), generation 2 and later (RPC protocol, MQTT channel, `Shelly.GetDeviceInfo`).
//!
//! Generation 1: `shellies/announce`, `shellies/<id>/announce`, `shellies/<id>/info`. Later ones: results of `Shelly.GetDeviceInfo`,
//! `Shelly.GetConfig` and `Sys.GetConfig`, and notifications on `<id>/events/rpc` and `<client>/rpc`. What says something new becomes a `shelly.device` record. Whether the device asks for authentication
//! (`auth_en`) is told as it says itself. Other readings show only that the device exists; `online` says nothing more.

mod record;
mod session;
#[cfg(test)]
mod tests;

use super::mqtt::payload::{REMEMBERED, TEXT_BYTES};
use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};

/// A device by its identifier.
pub static DEVICE: IdentityKind = IdentityKind {
    name: "shelly_id",
    scope: IdentityScope::Global,
    strength: Strength::Made,
    lifetime: Lifetime::Permanent,
    doc: "Identifier that the maker gives a Shelly: model and MAC address or its end, as in shellyplus1-a8032abe54dc.",
};

crate::anomalies! {
    /// A payload that should describe the device is not JSON of the documented form.
    MALFORMED = "shelly.malformed_payload",
}

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "shelly",
    title: "Shelly",
    documents: &["Shelly API documentation, generation 1", "Shelly API documentation, generation 2 and later"],
    hooks: Hooks { carried: &["mqtt.payload"], ..Hooks::NONE },
    max_message: super::mqtt::MAX_PACKET,
    probe,
    create: || Box::new(session::Devices::default()),
    records: &[&record::Device::KIND],
    anomalies: ALL,
    identities: &[&DEVICE],
    bounds: &[
        Bound { name: "remembered", value: REMEMBERED, reason: "devices of one connection; those beyond are told again" },
        Bound { name: "text_bytes", value: TEXT_BYTES, reason: "names and versions are shorter" },
    ],
};

fn probe(input: &ProbeInput<'_>) -> Probe {
    let topic = input.hint;
    if topic.starts_with("shellies/")
        || topic.ends_with("/events/rpc")
        || (topic.starts_with("shelly") && topic.ends_with("/online"))
    {
        return Probe::Strong(None);
    }
    // An answer goes to a topic that the client chose; the sender says that it is a Shelly.
    let says_so =
        || memchr::memmem::find(input.bytes, b"\"src\":\"shelly").or(memchr::memmem::find(input.bytes, b"\"src\": \"shelly"));
    if topic.ends_with("/rpc") && says_so().is_some() { Probe::Strong(None) } else { Probe::No }
}
