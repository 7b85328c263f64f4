//! Sparkplug B: edge nodes and their devices, which announce themselves with birth certificates.
//!
//! Followed: Eclipse Sparkplug 3.0.0 (topic namespace, payload definition).
//!
//! `spBv1.0/<group>/NBIRTH|DBIRTH|NDEATH|DDEATH|NCMD|DCMD/<edge node>[/<device>]` become `sparkplug.birth`, `sparkplug.death` and `sparkplug.command`
//! records; `spBv1.0/STATE/<host>` a `sparkplug.state` record. Of metrics the names are kept, and the values of those that by convention say what a
//! node or device is (`Properties/Hardware Make` and the like). Data messages show only that node and device exist: the PUBLISH that carries them
//! tells the rest. Templates, data sets, property sets and compressed payloads are not opened.

mod record;
mod session;
#[cfg(test)]
mod tests;
mod wire;

use super::mqtt::payload::{REMEMBERED, TEXT_BYTES};
use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};

/// An edge node.
pub static EDGE_NODE: IdentityKind = IdentityKind {
    name: "sparkplug_edge_node",
    scope: IdentityScope::Server,
    strength: Strength::Chosen,
    lifetime: Lifetime::Configured,
    doc: "Edge node descriptor <group>/<edge node> (Sparkplug 3.0 §4.1.3), unique at its broker.",
};

/// A device behind an edge node.
pub static DEVICE: IdentityKind = IdentityKind {
    name: "sparkplug_device",
    scope: IdentityScope::Server,
    strength: Strength::Chosen,
    lifetime: Lifetime::Configured,
    doc: "Device <group>/<edge node>/<device> (Sparkplug 3.0 §4.1.4), unique at its broker.",
};

/// Names of metrics of one message that are listed, and told where it is a birth.
pub const METRIC_NAMES: usize = 64;

crate::anomalies! {
    /// The payload is not a Protocol Buffers message of the documented form (§6.4).
    MALFORMED = "sparkplug.malformed_payload",
    /// A birth certificate without a sequence number (§6.4.16).
    BIRTH_WITHOUT_SEQ = "sparkplug.birth_without_seq",
}

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "sparkplug",
    title: "Sparkplug B",
    documents: &["Eclipse Sparkplug Specification 3.0.0"],
    hooks: Hooks { carried: &["mqtt.payload"], ..Hooks::NONE },
    max_message: super::mqtt::MAX_PACKET,
    probe,
    create: || Box::new(session::Namespace::default()),
    records: &[&record::Birth::KIND, &record::Death::KIND, &record::Command::KIND, &record::State::KIND],
    anomalies: ALL,
    identities: &[&EDGE_NODE, &DEVICE],
    bounds: &[
        Bound {
            name: "remembered",
            value: REMEMBERED,
            reason: "nodes and devices of one connection; those beyond are told again",
        },
        Bound { name: "metric_names", value: METRIC_NAMES, reason: "names beyond say nothing new of what a device is" },
        Bound { name: "text_bytes", value: TEXT_BYTES, reason: "names and versions are shorter" },
    ],
};

fn probe(input: &ProbeInput<'_>) -> Probe {
    if input.hint.starts_with("spBv1.0/") { Probe::Strong(None) } else { Probe::No }
}
