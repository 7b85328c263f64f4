//! The questions about what MQTT clients leave behind, in plain words.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// Deliveries that are begun and not ended.
pub static UNFINISHED: CheckSpec = CheckSpec {
    id: "mqtt-deliveries-left-open",
    title: "MQTT deliveries that are not ended",
    finding: "It began more than {_limit} deliveries at QoS 2 to {server} and did not end them.",
    action: "{devices} left many deliveries at QoS 2 to {server} open",
    remedy: "See what the client is. If it is yours, look for a fault or an update; if not, cut it off. Let the server bound messages in flight (receive maximum, max_inflight_messages).",
    why: "The server has to remember each of them: enough of them fill its memory, and then no device reaches it.",
    references: &["ATT&CK for ICS T0814", "CWE-400", "MQTT 5.0 §4.3.3"],
};

/// How many may be open.
pub static OPEN: Parameter = Parameter {
    check: "mqtt-deliveries-left-open",
    name: "more_than",
    doc: "Deliveries at QoS 2 that one connection may have open at a time.",
    shipped: 100,
    range: 1..=60_000,
};

/// Somebody deletes what others left for new subscribers.
pub static CLEARED: CheckSpec = CheckSpec {
    id: "mqtt-retained-cleared-by-another",
    title: "MQTT messages deleted by others",
    finding: "It deleted a message that {_owner} had left with {server} for new subscribers: {_topic}.",
    action: "{devices} deleted messages that others had left with {server}",
    remedy: "If nobody tidied up there, find out who uses this client, and allow each client no topics but its own.",
    why: "New subscribers, and devices after a restart, no longer learn the state or setting that the message held.",
    references: &["ATT&CK for ICS T1692.001", "MQTT 5.0 §3.3.1.3"],
};
