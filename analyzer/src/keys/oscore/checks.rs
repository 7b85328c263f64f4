//! The check, in words for people.

use crate::findings::CheckSpec;

/// Does the master secret of the device's OSCORE context stand on a list?
pub static KNOWN_SECRET: CheckSpec = CheckSpec {
    id: "oscore-known-secret",
    title: "OSCORE master secrets",
    finding: "Its OSCORE master secret is public knowledge ({list}: {_origin}). Shown by the tags of its messages.",
    action: "{devices} use a published OSCORE master secret ({list})",
    remedy: "Give each pair of device and server a master secret of its own, made at random, on both sides, and delete the published one. \
             Until then treat what these devices report, and commands sent to them, as readable and forgeable.",
    why: "The secret stands in a specification and in the examples made from it. Whoever sees the messages can read them, and send readings \
          and commands that both sides take for genuine. To the operator it looks encrypted.",
    references: &["CWE-1394", "CWE-798", "ATT&CK for ICS T1694.001", "RFC 8613 §3.3", "RFC 8613 §12.3", "ETSI EN 303 645 5.4-3"],
};

/// All of them.
pub const ALL: &[&CheckSpec] = &[&KNOWN_SECRET];

/// The message came in pieces.
pub const IN_PIECES: &str = "its protected messages were seen in pieces only";
/// The message is longer than what is tried.
pub const TOO_LONG: &str = "its protected messages are longer than those that are tried";
/// The option does not say what the keys follow from.
pub const UNNAMED: &str = "its protected messages do not name sender and sequence number as RFC 8613 §6.1 asks";
/// The response's tag covers the request.
pub const NO_REQUEST: &str = "the requests that it answers were not seen";
/// The client's secret is known, the server's ID is not.
pub const NO_SENDER_ID: &str = "its answers belong to a published context, but the ID that it sends under is not on the wire";
