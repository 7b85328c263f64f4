//! IPv6 neighbour discovery: who has which IPv6 address, and who routes.
//!
//! One message becomes one `ndp.message`. A solicitation or advertisement with a link-layer address makes both addresses one device; one from the unspecified
//! address (duplicate address detection) says nothing of its sender. Advertisements without the override bit are believed less: proxies and anycast
//! addresses send them (RFC 4861 §4.4). A router advertisement makes its sender a router.
//!
//! Left out: other ICMPv6 messages, the signatures of SEND (RFC 3971), and the check that the hop limit is 255, which is not shown to decoders.
//!
//! Documents: RFC 4861, RFC 4862, RFC 4191, RFC 8106.

use super::{Decoder, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::anomalies;

mod record;
mod session;
#[cfg(test)]
mod tests;
mod wire;

pub use record::{Message, Prefix};
pub use wire::fuzz;

/// Bytes of the longest message: an IPv6 payload that is no jumbogram.
const LONGEST: usize = 65_535;

/// The decoder. It keeps two address pairs a flow and no table.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "ndp",
    title: "IPv6 neighbour discovery",
    documents: &["RFC 4861", "RFC 4862", "RFC 4191", "RFC 8106"],
    hooks: Hooks { icmpv6: true, ..Hooks::NONE },
    max_message: LONGEST,
    probe,
    create: || Box::new(session::Session::default()) as Box<dyn Decoder>,
    records: &[&Message::KIND],
    anomalies: ALL,
    identities: &[],
    bounds: &[],
};

/// Each ICMPv6 message is asked for itself: a pair that exchanged echoes can come to speak neighbour discovery later.
fn probe(input: &ProbeInput<'_>) -> Probe {
    match input.bytes.first() {
        Some(&message_type) if wire::name(message_type).is_some() => Probe::Strong(None),
        Some(_) => Probe::No,
        None => Probe::Incomplete,
    }
}

anomalies! {
    /// The message ends before its fixed part or within an option (RFC 4861 §6.1, §7.1).
    TRUNCATED = "ndp.truncated",
    /// The code is not zero (RFC 4861 §6.1, §7.1).
    CODE_NOT_ZERO = "ndp.code_not_zero",
    /// An option of length zero, which makes the message invalid (RFC 4861 §4.6).
    OPTION_LENGTH_ZERO = "ndp.option_length_zero",
    /// The target is a multicast address (RFC 4861 §7.1).
    TARGET_MULTICAST = "ndp.target_multicast",
    /// A message from the unspecified address that has a source link-layer address (RFC 4861 §4.1, §4.3).
    SOURCE_WITHOUT_ADDRESS = "ndp.source_without_address",
    /// A router advertisement or redirect from an address that is not link-local (RFC 4861 §6.1.2, §8.1).
    SOURCE_NOT_LINK_LOCAL = "ndp.source_not_link_local",
    /// The same address showed another link-layer address before: it moved, or two claim it.
    ADDRESS_MOVED = "ndp.address_moved",
}
