//! Identities: what names a device, and how far the name reaches.

use std::fmt;
use std::net::IpAddr;

/// A kind of name. Protocols declare theirs; the inventory knows none of them by name.
#[derive(Debug)]
pub struct IdentityKind {
    /// Stable name, as in `dev_eui`.
    pub name: &'static str,
    /// Where the name is unique.
    pub scope: IdentityScope,
    /// How much it says about which device it is.
    pub strength: Strength,
    /// How long the name stays with the device.
    pub lifetime: Lifetime,
    /// What it is and the clause that defines it.
    pub doc: &'static str,
}

impl PartialEq for IdentityKind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.name == other.name
    }
}
impl Eq for IdentityKind {}

/// Where a name is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityScope {
    /// Everywhere (an EUI-64).
    Global,
    /// Within one network's address space (an IP address).
    Network,
    /// At one server (a client identifier at a broker, a unit behind a Modbus server).
    Server,
}

/// How much a name says about which device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Says where traffic came from, not which device it is (a MAC address behind a router).
    Path,
    /// Assigned for a time (an IP address, a device address of a session).
    Assigned,
    /// Chosen by the device or its owner (a client identifier, a topic, an endpoint name).
    Chosen,
    /// Given by the maker (an EUI-64, a serial number).
    Made,
}

/// How long a name stays with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// For its life.
    Permanent,
    /// Until its configuration changes.
    Configured,
    /// Until the lease or the session ends.
    Session,
}

/// A name in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Its kind.
    pub kind: &'static IdentityKind,
    /// The server at which it is unique, for kinds with [`IdentityScope::Server`].
    pub at: Option<Server<'a>>,
    /// The name itself.
    pub value: IdentityValue<'a>,
}

/// The server that gives a name its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server<'a> {
    /// A server by its address; the port is left out where one service has several.
    Address(IpAddr),
    /// A server by an identity of its own (an EUI, a client identifier).
    Named(&'a str),
    /// A server by number (the EUI of a gateway).
    Number(u64),
}

/// The value of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdentityValue<'a> {
    /// A number printed with so many hex digits (EUI-64: 16, MAC: 12, DevAddr: 8).
    Hex(u64, u8),
    /// A small number printed in decimal (a Modbus unit identifier).
    Number(u64),
    /// An IP address.
    Ip(IpAddr),
    /// Text.
    Text(&'a str),
}

impl fmt::Display for IdentityValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityValue::Hex(value, digits) => {
                write!(f, "{value:0width$x}", width = usize::from(*digits))
            }
            IdentityValue::Number(value) => write!(f, "{value}"),
            IdentityValue::Ip(address) => write!(f, "{address}"),
            IdentityValue::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Address(address) => write!(f, "{address}"),
            Server::Named(name) => f.write_str(name),
            Server::Number(number) => write!(f, "{number:016x}"),
        }
    }
}

/// `kind:value` or `kind:value@server`.
impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name, self.value)?;
        match &self.at {
            Some(server) => write!(f, "@{server}"),
            None => Ok(()),
        }
    }
}

/// An IP address in one network.
pub static IP: IdentityKind = IdentityKind {
    name: "ip",
    scope: IdentityScope::Network,
    strength: Strength::Assigned,
    lifetime: Lifetime::Session,
    doc: "IPv4 or IPv6 address; who has it can change with a lease (RFC 2131, RFC 8981).",
};

/// A MAC address.
pub static MAC: IdentityKind = IdentityKind {
    name: "mac",
    scope: IdentityScope::Network,
    strength: Strength::Path,
    lifetime: Lifetime::Permanent,
    doc: "IEEE 802 MAC address. It names a device only where it speaks for one IP address or ARP, NDP or DHCP say so.",
};

impl<'a> Identity<'a> {
    /// An IP address.
    pub fn ip(address: IpAddr) -> Self {
        Self { kind: &IP, at: None, value: IdentityValue::Ip(address) }
    }

    /// A MAC address.
    pub fn mac(address: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = address;
        Self { kind: &MAC, at: None, value: IdentityValue::Hex(u64::from_be_bytes([0, 0, a, b, c, d, e, f]), 12) }
    }

    /// A name that is unique everywhere or within its network.
    pub fn new(kind: &'static IdentityKind, value: IdentityValue<'a>) -> Self {
        Self { kind, at: None, value }
    }

    /// A name that is unique at a server.
    pub fn at(kind: &'static IdentityKind, server: Server<'a>, value: IdentityValue<'a>) -> Self {
        Self { kind, at: Some(server), value }
    }
}
