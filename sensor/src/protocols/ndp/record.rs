//! What a message of neighbour discovery says.

use crate::observation::Hex;
use crate::{part, record};
use std::net::IpAddr;

record! {
    /// A message of IPv6 neighbour discovery.
    pub struct Message<'a> = "ndp.message" {
        /// Type: 133 to 137 (RFC 4861 §4).
        pub message_type: u8,
        /// Its name: `router_solicitation`, `router_advertisement`, `neighbor_solicitation`, `neighbor_advertisement`, `redirect`.
        pub message_name: Option<&'static str>,
        /// Code; 0 in valid messages.
        pub code: u8,
        /// Sender's address.
        pub source: IpAddr,
        /// The address asked for or told of; in a redirect the better first hop.
        pub target: Option<IpAddr>,
        /// Where redirected packets go (RFC 4861 §4.5).
        pub destination: Option<IpAddr>,
        /// The sender's MAC address (RFC 4861 §4.6.1).
        pub source_mac: Option<Hex<'a>>,
        /// The target's MAC address (RFC 4861 §4.6.1).
        pub target_mac: Option<Hex<'a>>,
        /// Flag R: the sender routes (RFC 4861 §4.4).
        pub router: Option<bool>,
        /// Flag S: the advertisement answers a solicitation.
        pub solicited: Option<bool>,
        /// Flag O: what is known of the target is to be replaced.
        pub override_flag: Option<bool>,
        /// Hop limit that hosts are to use; 0: unspecified (RFC 4861 §4.2).
        pub hop_limit: Option<u8>,
        /// Flag M: addresses come from DHCPv6.
        pub managed: Option<bool>,
        /// Flag O of a router: other configuration comes from DHCPv6.
        pub other_configuration: Option<bool>,
        /// How long the sender is a default router, seconds; 0: it is none.
        pub router_lifetime: Option<u16>,
        /// MTU of the link, bytes (RFC 4861 §4.6.4).
        pub mtu: Option<u32>,
        /// Prefixes of the link.
        pub prefixes: Vec<Prefix>,
        /// Recursive name servers (RFC 8106 §5.1).
        pub name_servers: Vec<IpAddr>,
        /// Types of all other options, in their order.
        pub other_options: &'a [u8],
    }
}

part! {
    /// A prefix of the link (RFC 4861 §4.6.2).
    pub struct Prefix {
        /// The prefix.
        pub prefix: IpAddr,
        /// Its length, bits.
        pub length: u8,
        /// Flag L: addresses of the prefix are on the link.
        pub on_link: bool,
        /// Flag A: hosts form addresses of it.
        pub autonomous: bool,
        /// How long it is valid, seconds; 4,294,967,295: forever.
        pub valid_lifetime: u32,
        /// How long addresses of it are preferred, seconds.
        pub preferred_lifetime: u32,
    }
}
