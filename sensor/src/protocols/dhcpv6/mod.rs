//! DHCPv6: which IPv6 address a device is given.
//!
//! One message becomes one `dhcpv6.message`; one that a relay wraps becomes a second record behind the relay's. A reply with an address makes the client's
//! identifier (DUID) and the address one device, and a DUID made of a MAC address that too, with less confidence: it may be another interface's.
//!
//! Left out: prefix delegation's prefixes, authentication, vendor options, status codes other than the first.
//!
//! Documents: RFC 8415, RFC 4704 (client names), RFC 6939 (client link-layer address).

use super::{Decoder, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::anomalies;
use crate::observation::{IdentityKind, IdentityScope, Lifetime, Strength};

mod record;
mod session;
#[cfg(test)]
mod tests;
mod wire;

pub use record::Message;
pub use wire::fuzz;

/// Bytes of the longest message: a UDP payload.
const LONGEST: usize = 65_527;

/// Relays behind relays that are unwrapped (RFC 8415 §7.6: HOP_COUNT_LIMIT).
const HOPS: usize = 8;

/// The decoder. It keeps nothing between messages.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "dhcpv6",
    title: "DHCPv6",
    documents: &["RFC 8415", "RFC 4704", "RFC 6939"],
    hooks: Hooks { udp: true, ports: &[546, 547], ..Hooks::NONE },
    max_message: LONGEST,
    probe,
    create: || Box::new(session::Session) as Box<dyn Decoder>,
    records: &[&Message::KIND],
    anomalies: ALL,
    identities: &[&DUID],
    bounds: &[super::Bound { name: "dhcpv6.hops", value: HOPS, reason: "RFC 8415 §7.6: relays drop what came through more" }],
};

/// A DHCP unique identifier.
pub static DUID: IdentityKind = IdentityKind {
    name: "dhcp_duid",
    scope: IdentityScope::Global,
    strength: Strength::Chosen,
    lifetime: Lifetime::Permanent,
    doc: "DHCP unique identifier, in hex (RFC 8415 §11): one for each client or server, kept over its life and all its interfaces.",
};

/// A type that is known and options that end where the message ends; there is no magic number, so the port has to agree.
fn probe(input: &ProbeInput<'_>) -> Probe {
    match wire::Wire::read(input.bytes) {
        Some(wire) if !wire.options.truncated && wire.options.count > 0 => match wire::direction(wire.message_type) {
            Some(direction) => Probe::Weak(Some(direction)),
            None => Probe::No,
        },
        _ => Probe::No,
    }
}

anomalies! {
    /// The message ends within its fixed part or an option (RFC 8415 §8, §21.1).
    TRUNCATED = "dhcpv6.truncated",
    /// The type is none that is assigned (RFC 8415 §7.3).
    UNKNOWN_TYPE = "dhcpv6.unknown_type",
    /// A client's message without client identifier or a server's without server identifier (RFC 8415 §16).
    IDENTIFIER_MISSING = "dhcpv6.identifier_missing",
    /// More relays than RFC 8415 §7.6 allows.
    TOO_MANY_HOPS = "dhcpv6.too_many_hops",
    /// A client's name that is no domain name (RFC 4704 §4.2).
    NAME_MALFORMED = "dhcpv6.name_malformed",
}
