//! MQTT over TCP and over WebSocket: every control packet becomes a record.
//!
//! Followed: MQTT 3.1 (`MQIsdp`, level 3), 3.1.1 (level 4), 5.0 (level 5), and the bridge bit (0x80) that mosquitto and RSMB set in the level.
//!
//! - A flow may be joined in the middle: without a CONNECT the dialect is read from the packets (see `probe`), client identifiers are absent.
//! - After a gap the next segment that begins with a plausible packet is taken up; a PUBLISH whose payload is larger than [`MAX_PACKET`] is
//!   read up to its payload, and the payload is passed over.
//! - Payloads go to whoever recognises them, kind `mqtt.payload`, with the topic as hint: those that clients publish, and copies for
//!   subscribers, which the direction and `mqtt.publish`'s `delivered` tell apart. Both legs of one message can be seen where the tap sits beside
//!   the broker; who counts messages takes one leg.
//! - A message whose topic alias is not known has no topic, and an empty hint.
//! - Left out: values of user properties, correlation data and authentication data (they may hold secrets); decoding inside TLS.
//! - Secrets: user name and password leave only as [`Fact::Credential`](crate::observation::Fact), once the server answered, or when it
//!   did not for [`ANSWER_WAIT`] or until the end. Tokens in client identifiers and topics are recognised and hidden.

mod anomaly;
mod exchange;
mod facts;
mod image;
pub mod payload;
mod probe;
mod reason;
mod record;
pub(super) mod secrets;
mod session;
mod wire;

#[cfg(test)]
mod tests;

use super::{Bound, DecoderSpec, Hooks};
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};
use crate::time::{Nanos, SECOND};

pub(super) use probe::is_packet_of_client;
pub use record::Publish;

/// Largest packet that is kept whole, bytes: a list of some hundred Zigbee devices fits; beyond, a PUBLISH loses its payload.
pub const MAX_PACKET: usize = 262_144;
/// Topic filters of one packet that are listed.
pub const FILTERS: usize = 256;
/// Names of user properties of one packet that are listed.
pub const USER_PROPERTY_NAMES: usize = 16;
/// Subscription identifiers of one PUBLISH that are listed.
pub const SUBSCRIPTION_IDS: usize = 16;
/// Exchanges kept for one direction.
pub const IN_FLIGHT: usize = 64;
/// Requests whose topic filters are kept until the answer.
pub const WAITING_REQUESTS: usize = 8;
/// Bytes of topic filters kept for one request.
pub const WAITING_FILTER_BYTES: usize = 4_096;
/// Topic aliases kept for one direction.
pub const ALIASES: usize = 64;
/// Bytes of aliased topics kept for one direction.
pub const ALIAS_BYTES: usize = 8_192;
/// Bytes kept of a PUBLISH before its payload, until it is whole.
pub const HEAD_BYTES: usize = 1_024;
/// Bytes of user name and password kept until the server answers.
pub const CREDENTIAL_BYTES: usize = 4_096;
/// Topics and filters of one connection that are told as facts.
pub const TOPICS_TOLD: usize = 64;
/// Packets in a row that cannot be read before a flow is given up.
pub const MISREADS: u8 = 8;
/// How long an answer may take before what waits for it counts as unanswered.
pub const ANSWER_WAIT: Nanos = 10 * SECOND;

/// A client by the identifier that it chose.
pub static CLIENT: IdentityKind = IdentityKind {
    name: "mqtt_client",
    scope: IdentityScope::Server,
    strength: Strength::Chosen,
    lifetime: Lifetime::Configured,
    doc: "MQTT client identifier (MQTT 5.0 §3.1.3.1): unique at its broker, chosen by the device or its owner.",
};

/// A client by an identifier that was made up for the connection.
pub static GENERATED_CLIENT: IdentityKind = IdentityKind {
    name: "mqtt_client_generated",
    scope: IdentityScope::Server,
    strength: Strength::Assigned,
    lifetime: Lifetime::Session,
    doc: "MQTT client identifier that the server assigned (MQTT 5.0 §3.2.2.3.7) or a library made up, as in mosq-…; new with each connection.",
};

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "mqtt",
    title: "MQTT",
    documents: &[
        "MQTT V3.1 Protocol Specification (IBM, Eurotech 2010)",
        "OASIS MQTT Version 3.1.1 (2014)",
        "OASIS MQTT Version 5.0 (2019)",
    ],
    hooks: Hooks { tcp: true, ports: &[1883, 1884, 11883], carried: &["websocket"], ..Hooks::NONE },
    max_message: MAX_PACKET,
    probe: probe::probe,
    create: || Box::new(session::Session::new()),
    records: record::KINDS,
    anomalies: anomaly::ALL,
    identities: &[&CLIENT, &GENERATED_CLIENT],
    bounds: &[
        Bound { name: "packet_bytes", value: MAX_PACKET, reason: "a list of some hundred Zigbee devices in one message" },
        Bound { name: "topic_filters", value: FILTERS, reason: "subscriptions of the largest bridges in one packet" },
        Bound { name: "user_property_names", value: USER_PROPERTY_NAMES, reason: "names beyond say nothing new" },
        Bound { name: "subscription_ids", value: SUBSCRIPTION_IDS, reason: "overlapping subscriptions of one client" },
        Bound { name: "exchanges", value: IN_FLIGHT, reason: "three times the usual receive maximum of 20, in one direction" },
        Bound { name: "waiting_requests", value: WAITING_REQUESTS, reason: "clients subscribe in a burst after CONNACK" },
        Bound { name: "waiting_filter_bytes", value: WAITING_FILTER_BYTES, reason: "sixty filters of usual length" },
        Bound { name: "topic_aliases", value: ALIASES, reason: "brokers offer 10 to 64" },
        Bound { name: "topic_alias_bytes", value: ALIAS_BYTES, reason: "64 topics of twice the usual length" },
        Bound {
            name: "head_bytes",
            value: HEAD_BYTES,
            reason: "topic and properties of a PUBLISH are some hundred bytes at most",
        },
        Bound { name: "credential_bytes", value: CREDENTIAL_BYTES, reason: "signed tokens take up to some 2,000 bytes" },
        Bound {
            name: "topics_told",
            value: TOPICS_TOLD,
            reason: "a device publishes a few topics; what a bridge carries is told by its devices",
        },
        Bound { name: "misreads", value: MISREADS as usize, reason: "a stream that makes no sense so often is not MQTT" },
    ],
};
