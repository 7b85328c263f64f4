//! The questions about amplification, in plain words, and the numbers that they go by.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// Answers that are much longer than what was asked.
pub static ANSWERS: CheckSpec = CheckSpec {
    id: "coap-amplification",
    title: "answers to addresses that nobody proved",
    finding: "It sent {_address} {_examples} times as many bytes as it got from there, and nothing shows that {_address} asked.",
    action: "{devices} send much more than they are asked for to addresses that may be forged",
    remedy: "Let none but your own addresses reach it, or set it to ask back first (Echo, RFC 9175) or to use DTLS. If the address is a victim, tell its owner.",
    why: "A stranger who forges the sender lets the device flood somebody else, with many times the bytes.",
    references: &["ATT&CK for ICS T0814", "CWE-406", "RFC 7252 §11.3", "RFC 9175 §2.4"],
};

/// Notifications that go on without anybody.
pub static NOTIFICATIONS: CheckSpec = CheckSpec {
    id: "coap-notification-amplification",
    title: "notifications to addresses that nobody proved",
    finding: "It goes on sending {_address} changes of values, {_examples} times the bytes that it got from there, and nothing shows that {_address} asked.",
    action: "{devices} send many changes of values to addresses that may be forged",
    remedy: "Let none but your own addresses reach it. Where the device can, let it ask for an acknowledgement now and then, and end observations that nobody acknowledges.",
    why: "One forged request makes the device send for hours: to a victim, and from its battery.",
    references: &["ATT&CK for ICS T0814", "CWE-406", "RFC 7641 §7"],
};

/// Bytes sent for each byte got, from which it is worth a look.
pub static FACTOR: Parameter = Parameter {
    check: "coap-amplification",
    name: "factor",
    doc: "Bytes sent for each byte got, from which answers are a finding.",
    shipped: 3,
    range: 2..=1_000,
};

/// Bytes a minute.
pub static BYTES: Parameter = Parameter {
    check: "coap-amplification",
    name: "bytes_per_minute",
    doc: "Bytes a minute to one address that answers must come to besides.",
    shipped: 10_000,
    range: 100..=1_000_000_000,
};

/// Bytes sent for each byte got, from which it is grave.
pub static GRAVE_FACTOR: Parameter = Parameter {
    check: "coap-amplification",
    name: "grave_factor",
    doc: "Bytes sent for each byte got, from which a flood is grave.",
    shipped: 10,
    range: 2..=1_000,
};

/// Bytes a minute that are grave.
pub static GRAVE_BYTES: Parameter = Parameter {
    check: "coap-amplification",
    name: "grave_bytes_per_minute",
    doc: "Bytes a minute to one address from which a flood is grave, where the factor is too.",
    shipped: 50_000,
    range: 100..=1_000_000_000,
};
