//! What a DHCPv6 message says.

use crate::observation::Hex;
use crate::record;
use std::net::IpAddr;

record! {
    /// A DHCPv6 message, a relay's or one that it carries.
    pub struct Message<'a> = "dhcpv6.message" {
        /// Type (RFC 8415 §7.3).
        pub message_type: u8,
        /// Its name: `solicit`, `advertise`, `request`, `confirm`, `renew`, `rebind`, `reply`, `release`, `decline`, `reconfigure`,
        /// `information_request`, `relay_forward`, `relay_reply`.
        pub message_name: Option<&'static str>,
        /// Relays that wrap this message.
        pub relays: u8,
        /// Transaction, 24 bits, chosen by the client; relays have none.
        pub transaction: Option<u32>,
        /// The relay's address on the client's link (RFC 8415 §9).
        pub link_address: Option<IpAddr>,
        /// The client or relay that the message came from or goes to (RFC 8415 §9).
        pub peer_address: Option<IpAddr>,
        /// The client's identifier (RFC 8415 §21.2).
        pub client_duid: Option<Hex<'a>>,
        /// The server's identifier (RFC 8415 §21.3).
        pub server_duid: Option<Hex<'a>>,
        /// Addresses asked for or assigned (RFC 8415 §21.6).
        pub addresses: Vec<IpAddr>,
        /// Their valid lifetimes in seconds, in the same order; 4,294,967,295: forever.
        pub valid_lifetimes: Vec<u32>,
        /// The client's name (RFC 4704).
        pub hostname: Option<String>,
        /// The first vendor class of the client (RFC 8415 §21.16).
        pub vendor_class: Option<&'a str>,
        /// Options that the client asks for, two bytes each in its order (RFC 8415 §21.7).
        pub option_request: Option<Hex<'a>>,
        /// The client's MAC address, as the relay saw it (RFC 6939).
        pub client_mac: Option<Hex<'a>>,
        /// Status of the whole message; 0: success (RFC 8415 §21.13).
        pub status: Option<u16>,
    }
}
