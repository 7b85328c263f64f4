//! The question about joins, in plain words.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// All of them.
pub const ALL: &[&CheckSpec] = &[&REUSE, &STRANGERS];

/// The numbers that they go by.
pub const PARAMETERS: &[&Parameter] = &[&REUSE_GAP, &LEAST, &TIMES];

/// How many requests make a flood.
pub static LEAST: Parameter = Parameter {
    check: "lorawan-joins-of-strangers",
    name: "least",
    doc: "So many different requests to join must be heard at one gateway within ten minutes.",
    shipped: 30,
    range: 5..=100_000,
};

/// How many times the usual make a flood.
pub static TIMES: Parameter = Parameter {
    check: "lorawan-joins-of-strangers",
    name: "times_the_usual",
    doc: "They must be more than this many times the most that the gateway heard before in such a time.",
    shipped: 5,
    range: 2..=1_000,
};

/// After how long the same join-request is no copy any more.
pub static REUSE_GAP: Parameter = Parameter {
    check: "lorawan-join-repeated",
    name: "gap_s",
    doc: "The same join-request this many seconds after it was last heard is no copy of a slow gateway.",
    shipped: 60,
    range: 2..=86_400,
};

/// The same join-request again.
pub static REUSE: CheckSpec = CheckSpec {
    id: "lorawan-join-repeated",
    title: "join-requests used twice",
    finding: "The same request to join, with the same random number (DevNonce), was on the air again later ({_count}): {how}.",
    action: "{devices}: join-requests were on the air again; {how}",
    remedy: "See that the network refuses a DevNonce that was used before. If the device itself repeats them, update its firmware so that its DevNonce is new each time and survives a loss of power; if it does not, look near the gateways named in the evidence for a transmitter that is not yours.",
    why: "A network that takes an old join-request throws the device out of its session, and a device that repeats its numbers cannot be told from such an attack.",
    references: &["ATT&CK for ICS T0860", "TS001-1.0.4 §6.2.4", "CWE-294", "CWE-323"],
};

/// Many devices that nobody knows.
pub static STRANGERS: CheckSpec = CheckSpec {
    id: "lorawan-joins-of-strangers",
    title: "floods of requests to join",
    finding: "It heard {_requests} different requests to join within ten minutes, {_strangers} of them of devices that were never heard before: somebody makes devices up, or many new ones were switched on at once.",
    action: "{devices} heard a flood of requests to join, mostly of devices never heard before",
    remedy: "Ask whether many devices were installed near this gateway. If not, see what the network server refused, and look near the gateway for a transmitter that is not yours.",
    why: "A flood of requests takes air time from the city's devices and fills the network server's tables.",
    references: &["ATT&CK for ICS T0814", "TS001-1.0.4 §6.2.4"],
};
