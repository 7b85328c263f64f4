//! Homie: a convention by which devices describe themselves in retained topics.
//!
//! Followed: the Homie convention 3.0.1, 4.0.0 with its legacy firmware and statistics extensions, and 5.0.0.
//!
//! `homie/<device>/$<attribute>` (3 and 4) and `homie/5/<device>/$description`, `$state` (5) become `homie.attribute` records when they are new or
//! changed. Base topics other than `homie` are not recognised. Nodes and properties, and the values of attributes that are not listed in
//! `session`, are left out: `$implementation/config` may hold secrets.

mod record;
mod session;
#[cfg(test)]
mod tests;

use super::mqtt::payload::{REMEMBERED, TEXT_BYTES};
use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};

/// A device by its identifier.
pub static DEVICE: IdentityKind = IdentityKind {
    name: "homie_device",
    scope: IdentityScope::Server,
    strength: Strength::Chosen,
    lifetime: Lifetime::Configured,
    doc: "Device identifier of the Homie convention, unique at its broker; often the MAC address.",
};

crate::anomalies! {
    /// An attribute is not the text, or the description not the JSON object, that the convention asks for.
    MALFORMED = "homie.malformed_attribute",
}

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "homie",
    title: "Homie",
    documents: &["Homie convention 3.0.1", "Homie convention 4.0.0", "Homie convention 5.0.0"],
    hooks: Hooks { carried: &["mqtt.payload"], ..Hooks::NONE },
    max_message: super::mqtt::MAX_PACKET,
    probe,
    create: || Box::new(session::Devices::default()),
    records: &[&record::Attribute::KIND],
    anomalies: ALL,
    identities: &[&DEVICE],
    bounds: &[
        Bound {
            name: "remembered",
            value: REMEMBERED,
            reason: "attributes of the devices of one connection; those beyond are told again",
        },
        Bound { name: "text_bytes", value: TEXT_BYTES, reason: "names and versions are shorter" },
    ],
};

fn probe(input: &ProbeInput<'_>) -> Probe {
    if input.hint.starts_with("homie/") && session::place(input.hint).is_some() { Probe::Strong(None) } else { Probe::No }
}
