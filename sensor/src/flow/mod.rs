//! Flows: bidirectional five-tuples with a lifetime, in one network.

pub(crate) mod table;
pub(crate) mod wheel;

use serde::{Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// One address space: configuration maps interface, VLAN and tunnel to one; by default all are network 0.
pub type NetworkId = u16;

/// Which way bytes go. One code path serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// The other way.
    #[inline]
    pub fn opposite(self) -> Self {
        match self {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        }
    }

    /// Position in an array of two: to the server first.
    #[inline]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The transport of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// ICMPv6 messages (RFC 4443), for neighbour discovery.
    Icmpv6,
    /// Payloads of EtherTypes below IP: ARP.
    Link,
    /// Frames of LoRaTap captures.
    LoraTap,
}

impl Transport {
    /// All of them, in their order.
    pub const ALL: [Transport; 5] = [Transport::Tcp, Transport::Udp, Transport::Icmpv6, Transport::Link, Transport::LoraTap];
}

/// An address with its port; the port is 0 where the transport has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// IP address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint that says nothing, for transports below IP.
    pub const NONE: Endpoint = Endpoint { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };
}

/// `10.0.0.1:502`, `[fe80::1]:5683`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is known of a flow besides its traffic.
#[derive(Clone, Copy, Debug)]
pub struct FlowInfo {
    /// Number of the flow: the frame of its first packet, so that it is the same for any number of threads.
    pub id: u64,
    /// The address space.
    pub network: NetworkId,
    /// The transport.
    pub transport: Transport,
    /// Who asks. Where no handshake was seen this is a guess until a decoder knows better.
    pub client: Endpoint,
    /// Who answers.
    pub server: Endpoint,
    /// MAC address on the client's side of the tap, where there is one.
    pub client_mac: Option<[u8; 6]>,
    /// MAC address on the server's side of the tap, where there is one.
    pub server_mac: Option<[u8; 6]>,
    /// Outermost VLAN identifier.
    pub vlan: Option<u16>,
    /// Whether a handshake or a decoder settled who is client.
    pub oriented: bool,
}

impl FlowInfo {
    /// Exchanges client and server.
    pub fn turn(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        std::mem::swap(&mut self.client_mac, &mut self.server_mac);
    }

    /// Who sends in this direction.
    pub fn sender(&self, direction: Direction) -> Endpoint {
        match direction {
            Direction::ToServer => self.client,
            Direction::ToClient => self.server,
        }
    }

    /// Who receives in this direction.
    pub fn receiver(&self, direction: Direction) -> Endpoint {
        self.sender(direction.opposite())
    }
}
