//! MQTT-SN over UDP: MQTT for sensor networks, between clients or forwarders and a gateway.
//!
//! Followed: MQTT For Sensor Networks (MQTT-SN) Protocol Specification 1.2.
//!
//! Every message becomes a record, those inside a forwarder's encapsulation with the wireless node they belong to. Topic identifiers are
//! resolved from REGISTER and SUBACK; predefined ones stay numbers; short names are the two characters themselves. Payloads of PUBLISH are
//! handed on like those of MQTT (`mqtt.payload`). The specification has no authentication and no protection.
//! Left out: MQTT-SN 2.0, and other transports (Zigbee, serial).

mod anomaly;
mod record;
mod session;
#[cfg(test)]
mod tests;
mod wire;

use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::flow::Direction;
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};

pub use record::Publish;

/// A client by its identifier.
pub static CLIENT: IdentityKind = IdentityKind {
    name: "mqtt_sn_client",
    scope: IdentityScope::Server,
    strength: Strength::Chosen,
    lifetime: Lifetime::Configured,
    doc: "MQTT-SN client identifier (1.2 §5.3.1), 1 to 23 characters, unique at its gateway.",
};

/// Topics kept for one flow.
pub const TOPICS: usize = 128;
/// Requests kept for one flow until their answer gives a topic identifier.
pub const WAITING: usize = 32;
/// Clients kept for one flow: a forwarder has several.
pub const CLIENTS: usize = 32;
/// Longest name that is kept, bytes.
pub const NAME_BYTES: usize = 256;
/// Forwarders within forwarders that are opened.
pub const ENCAPSULATIONS: usize = 4;

/// How many more datagrams of a flow make no sense than do until it is given up: it is another protocol, of which some fit by chance.
const FOREIGN: u8 = 8;

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "mqtt_sn",
    title: "MQTT-SN",
    documents: &["MQTT For Sensor Networks (MQTT-SN) Protocol Specification Version 1.2 (IBM 2013)"],
    hooks: Hooks { udp: true, ports: &[1883, 1884, 1885, 10_000, 20_000, 47_193], ..Hooks::NONE },
    max_message: 65_535,
    probe,
    create: || Box::new(session::Session::default()),
    records: record::KINDS,
    anomalies: anomaly::ALL,
    identities: &[&CLIENT],
    bounds: &[
        Bound { name: "topics", value: TOPICS, reason: "the topics of thirty clients behind one forwarder" },
        Bound { name: "waiting", value: WAITING, reason: "a client has one request open at a time (§6.5)" },
        Bound { name: "clients", value: CLIENTS, reason: "nodes behind one forwarder" },
        Bound { name: "name_bytes", value: NAME_BYTES, reason: "radio frames hold less" },
        Bound { name: "encapsulations", value: ENCAPSULATIONS, reason: "forwarders in a row" },
    ],
};

/// A datagram that is one message to the byte, and filled in as clients and gateways do it: many a protocol begins with a length, and a small number
/// behind it is soon a type. CONNECT names its protocol by a byte that is nearly always 1: with a readable client identifier it is sure; the
/// others are weak.
fn probe(input: &ProbeInput<'_>) -> Probe {
    let Some(message) = wire::message(input.bytes).filter(|message| message.minimal && message.is_plain()) else {
        return Probe::No;
    };
    match wire::innermost(message) {
        Some((_, wire::Body::Connect { flags, protocol_id: 1, client_id, .. })) => {
            match wire::is_client_id(client_id) && flags & 0xF3 == 0 {
                true if client_id.len() >= 2 => Probe::Strong(Some(Direction::ToServer)),
                true => Probe::Weak(Some(Direction::ToServer)),
                false => Probe::No,
            }
        }
        Some((_, body)) if body.is_plausible() => Probe::Weak(body.direction()),
        _ => Probe::No,
    }
}
