//! The question about joins, in plain words.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// All of them.
pub const ALL: &[&CheckSpec] = &[&REUSE];

/// The numbers that they go by.
pub const PARAMETERS: &[&Parameter] = &[&REUSE_GAP];

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
