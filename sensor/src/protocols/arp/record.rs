//! What an ARP packet says.

use crate::observation::Hex;
use crate::record;
use std::net::IpAddr;

record! {
    /// An ARP packet.
    pub struct Packet<'a> = "arp.packet" {
        /// Operation: 1 request, 2 reply (RFC 826; RFC 5494 §3).
        pub operation: u16,
        /// Name of the operation, where it is assigned: `request`, `reply`, `reverse_request`, `reverse_reply`, `inverse_request`, `inverse_reply`, `other`.
        pub operation_name: Option<&'static str>,
        /// Hardware type: 1 is Ethernet.
        pub hardware_type: u16,
        /// Protocol type: an EtherType, 2048 is IPv4.
        pub protocol_type: u16,
        /// The sender's hardware address.
        pub sender_mac: Option<Hex<'a>>,
        /// The sender's IPv4 address.
        pub sender_ip: Option<IpAddr>,
        /// The target's hardware address; zero or left over where it is asked for.
        pub target_mac: Option<Hex<'a>>,
        /// The target's IPv4 address.
        pub target_ip: Option<IpAddr>,
        /// A request from 0.0.0.0: the sender checks whether the address is free (RFC 5227 §2.1).
        pub probe: bool,
        /// Sender and target have one address: the sender announces it (RFC 5227 §2.3).
        pub announcement: bool,
    }
}
