//! ARP: who has which IPv4 address on the local network.
//!
//! One packet becomes one `arp.packet`. A sender that shows its address with its MAC address makes both one device. Probes, which ask for an address before
//! it is used (RFC 5227 §2.1), say nothing of their sender; announcements (§2.3) are believed less, since they are made for others too at a failover.
//! What a packet says of its target is hearsay and makes no fact.
//!
//! Left out: hardware other than Ethernet and protocols other than IPv4 (told with their numbers), RARP, InARP.
//!
//! Documents: RFC 826, RFC 5227, RFC 5494.

use super::{Decoder, DecoderSpec, Hooks, Probe};
use crate::anomalies;

mod record;
mod session;
#[cfg(test)]
mod tests;
mod wire;

pub use record::Packet;
pub use wire::fuzz;

/// EtherType of ARP (RFC 826).
pub const ETHER_TYPE: u16 = 0x0806;

/// The decoder. It keeps one address pair for each side of a flow and no table.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "arp",
    title: "ARP",
    documents: &["RFC 826", "RFC 5227", "RFC 5494"],
    hooks: Hooks { ethertypes: &[ETHER_TYPE], ..Hooks::NONE },
    max_message: wire::LONGEST,
    probe: |_| Probe::Strong(None),
    create: || Box::new(session::Session::default()) as Box<dyn Decoder>,
    records: &[&Packet::KIND],
    anomalies: ALL,
    identities: &[],
    bounds: &[],
};

anomalies! {
    /// The packet ends before the addresses that its header announces (RFC 826).
    TRUNCATED = "arp.truncated",
    /// The operation is none that is assigned (RFC 5494 §3).
    UNKNOWN_OPERATION = "arp.unknown_operation",
    /// The sender's hardware address is not that of the frame: a proxy, or somebody who speaks for another. Seen on the first packet of a flow.
    MAC_MISMATCH = "arp.mac_mismatch",
    /// The sender's hardware address is zero or a group's, which cannot be anybody's own (RFC 1812 §3.3.2).
    SENDER_NOT_A_DEVICE = "arp.sender_not_a_device",
    /// The same IPv4 address showed another hardware address before: it moved, or two claim it (RFC 5227 §2.4).
    ADDRESS_MOVED = "arp.address_moved",
}
