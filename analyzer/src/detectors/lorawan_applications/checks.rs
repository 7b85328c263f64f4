//! The questions about what network servers tell applications, in plain words.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// All of them.
pub const ALL: &[&CheckSpec] = &[&ALTERED, &SHARED];

/// The numbers that they go by.
pub const PARAMETERS: &[&Parameter] = &[&TURNS];

/// How often two devices must take turns.
pub static TURNS: Parameter = Parameter {
    check: "lorawan-address-of-two",
    name: "turns",
    doc: "How often messages of a device must come again under its address after some of the other one: a device that took the address over does not give it back.",
    shipped: 2,
    range: 1..=100,
};

/// A message that was changed on its way to the application.
pub static ALTERED: CheckSpec = CheckSpec {
    id: "lorawan-payload-altered",
    title: "radio messages that were changed on their way",
    finding: "What an application was told of its messages is not what gateways heard ({_count}): {how}. It was changed between the network server and the application.",
    action: "{devices}: applications are told something else than gateways heard: {how}",
    remedy: "See whether an integration of yours rewrites these messages. If none does, find out who can publish to the broker in the network server's name, and use TLS and logins there.",
    why: "The radio protects a message up to the network server; behind it, who can change it makes up readings that look like the device's.",
    references: &["ATT&CK for ICS T1692.002", "CWE-345", "TS001-1.0.4 §4.3.3"],
};

/// Two devices under one address.
pub static SHARED: CheckSpec = CheckSpec {
    id: "lorawan-address-of-two",
    title: "two devices with one radio address",
    finding: "It and the device {_other} use the radio address {_address} at the same time: both were set up with it (ABP, or a copied configuration), or the network server gave it away twice.",
    action: "{devices} share a radio address with another device",
    remedy: "Let both devices join over the air (OTAA), or set each up with an address and keys of its own.",
    why: "Devices with one address are often copies of one configuration, keys included: then each can be read and imitated by who has the other, and their readings get mixed.",
    references: &["ATT&CK for ICS T0849", "CWE-290", "TS001-1.0.4 §6.1.1"],
};
