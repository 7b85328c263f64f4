//! What a DHCP message says.

use crate::observation::Hex;
use crate::record;
use std::net::IpAddr;

record! {
    /// A DHCP message. Addresses that are zero are left out.
    pub struct Message<'a> = "dhcp.message" {
        /// Operation: 1 from a client, 2 from a server (RFC 2131 §2).
        pub operation: u8,
        /// Message type, option 53 (RFC 2132 §9.6).
        pub message_type: Option<u8>,
        /// Its name: `discover`, `offer`, `request`, `decline`, `ack`, `nak`, `release`, `inform` and so on.
        pub message_name: Option<&'static str>,
        /// Transaction, chosen by the client.
        pub transaction: u32,
        /// Hardware type: 1 is Ethernet.
        pub hardware_type: u8,
        /// The client's hardware address, chaddr.
        pub client_mac: Hex<'a>,
        /// The address that the client has, ciaddr.
        pub ciaddr: Option<IpAddr>,
        /// The address that the client is given, yiaddr.
        pub yiaddr: Option<IpAddr>,
        /// The server of the next step of booting, siaddr.
        pub siaddr: Option<IpAddr>,
        /// The relay agent, giaddr.
        pub giaddr: Option<IpAddr>,
        /// The address that the client asks for, option 50.
        pub requested_address: Option<IpAddr>,
        /// Lease time in seconds, option 51; 4,294,967,295: forever.
        pub lease_time: Option<u32>,
        /// The server's identifier, option 54.
        pub server_id: Option<IpAddr>,
        /// The first router, option 3.
        pub router: Option<IpAddr>,
        /// Host name, option 12.
        pub hostname: Option<&'a str>,
        /// Domain name, option 15.
        pub domain_name: Option<&'a str>,
        /// Vendor class identifier, option 60: what software asks.
        pub vendor_class: Option<&'a str>,
        /// Client identifier, option 61: a type and an identifier (RFC 2132 §9.14, RFC 4361).
        pub client_id: Option<Hex<'a>>,
        /// Options that the client asks for, in its order, option 55: telling of its software.
        pub parameter_request_list: &'a [u8],
    }
}
