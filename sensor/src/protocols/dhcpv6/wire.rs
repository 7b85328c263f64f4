//! The messages of RFC 8415 §8 and §9 and their options.

use crate::flow::Direction;
use crate::reader::Reader;
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv6Addr};

pub(super) const ADVERTISE: u8 = 2;
pub(super) const REPLY: u8 = 7;
const INFORMATION_REQUEST: u8 = 11;
pub(super) const RELAY_FORWARD: u8 = 12;
pub(super) const RELAY_REPLY: u8 = 13;

/// The name of a message type (RFC 8415 §7.3).
pub(super) fn name(message_type: u8) -> Option<&'static str> {
    Some(match message_type {
        1 => "solicit",
        ADVERTISE => "advertise",
        3 => "request",
        4 => "confirm",
        5 => "renew",
        6 => "rebind",
        REPLY => "reply",
        8 => "release",
        9 => "decline",
        10 => "reconfigure",
        INFORMATION_REQUEST => "information_request",
        RELAY_FORWARD => "relay_forward",
        RELAY_REPLY => "relay_reply",
        _ => return None,
    })
}

/// Which way messages of a type go.
pub(super) fn direction(message_type: u8) -> Option<Direction> {
    match message_type {
        1 | 3..=6 | 8 | 9 | INFORMATION_REQUEST | RELAY_FORWARD => Some(Direction::ToServer),
        ADVERTISE | REPLY | 10 | RELAY_REPLY => Some(Direction::ToClient),
        _ => None,
    }
}

/// Whether a message of a type has to name its client.
pub(super) fn names_client(message_type: u8) -> bool {
    matches!(message_type, 1..=6 | 8 | 9)
}

/// A message.
///
/// | bytes | a client's or server's | a relay's |
/// |---|---|---|
/// | 1 | type | type |
/// | 3 or 1 | transaction | hops |
/// | 0 or 16 | | link address |
/// | 0 or 16 | | peer address |
/// | | options | options |
#[derive(Default)]
pub(super) struct Wire<'a> {
    pub(super) message_type: u8,
    pub(super) transaction: Option<u32>,
    pub(super) link: Option<Ipv6Addr>,
    pub(super) peer: Option<Ipv6Addr>,
    pub(super) options: Options<'a>,
}

/// The options that are told.
#[derive(Default)]
pub(super) struct Options<'a> {
    pub(super) client: Option<&'a [u8]>,
    pub(super) server: Option<&'a [u8]>,
    /// Addresses that are assigned, or asked for, with their valid lifetimes in seconds.
    pub(super) addresses: SmallVec<[(IpAddr, u32); 2]>,
    pub(super) requested: Option<&'a [u8]>,
    pub(super) name: Option<&'a [u8]>,
    pub(super) vendor_class: Option<&'a [u8]>,
    pub(super) link_address: Option<&'a [u8]>,
    pub(super) status: Option<u16>,
    /// The message that a relay carries.
    pub(super) relayed: Option<&'a [u8]>,
    /// How many options there are.
    pub(super) count: usize,
    /// They end within one of them.
    pub(super) truncated: bool,
}

impl<'a> Wire<'a> {
    /// Reads a message; `None` where its fixed part is not whole.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut wire = Self { message_type: reader.u8()?, ..Self::default() };
        if matches!(wire.message_type, RELAY_FORWARD | RELAY_REPLY) {
            reader.skip(1)?;
            wire.link = Some(reader.array::<16>()?.into());
            wire.peer = Some(reader.array::<16>()?.into());
        } else {
            wire.transaction = Some(reader.u24()?);
        }
        wire.options.read(reader);
        Some(wire)
    }
}

impl<'a> Options<'a> {
    /// Each option: code, length, value (§21.1).
    fn read(&mut self, mut reader: Reader<'a>) {
        while !reader.is_empty() {
            let option = reader.u16().zip(reader.u16()).and_then(|(code, length)| Some((code, reader.sub(usize::from(length))?)));
            let Some((code, value)) = option else {
                self.truncated = true;
                return;
            };
            self.count += 1;
            self.add(code, value);
        }
    }

    fn add(&mut self, code: u16, mut value: Reader<'a>) {
        match code {
            1 => self.client = Some(value.take_rest()),
            2 => self.server = Some(value.take_rest()),
            // Identity association: number and two timers, or the number alone, then options (§21.4, §21.5).
            3 if value.skip(12).is_some() => self.association(value),
            4 if value.skip(4).is_some() => self.association(value),
            6 => self.requested = Some(value.take_rest()),
            9 => self.relayed = Some(value.take_rest()),
            13 => self.status = self.status.or_else(|| value.u16()),
            16 => self.vendor_class = vendor_class(value),
            // Flags, then the name (RFC 4704 §4).
            39 if value.skip(1).is_some() => self.name = Some(value.take_rest()),
            // Hardware type 1, then the address (RFC 6939 §4).
            79 if value.u16() == Some(1) => self.link_address = Some(value.take_rest()),
            _ => {}
        }
    }

    /// Addresses within an association (§21.6): address, preferred and valid lifetime, options.
    fn association(&mut self, mut reader: Reader<'a>) {
        while let Some((code, length)) = reader.u16().zip(reader.u16()) {
            let Some(mut value) = reader.sub(usize::from(length)) else {
                self.truncated = true;
                return;
            };
            let address = value.array::<16>().zip(value.u64());
            if let (5, Some((address, lifetimes))) = (code, address) {
                // The valid lifetime is the second of the two.
                self.addresses.push((IpAddr::V6(address.into()), lifetimes as u32));
            }
        }
    }
}

/// The first datum of a vendor class: enterprise, length, value (§21.16).
fn vendor_class(mut value: Reader<'_>) -> Option<&[u8]> {
    value.skip(4)?;
    let length = value.u16()?;
    value.take(usize::from(length))
}

/// The MAC address in a DUID of type 1 (with time) or 3, for Ethernet (§11.2, §11.4).
pub(super) fn mac_of_duid(duid: &[u8]) -> Option<[u8; 6]> {
    let mut reader = Reader::new(duid);
    match (reader.u16()?, reader.u16()?) {
        (1, 1) => reader.skip(4)?,
        (3, 1) => {}
        _ => return None,
    }
    let mac: [u8; 6] = reader.array()?;
    let [first, ..] = mac;
    (reader.is_empty() && first & 1 == 0 && mac != [0; 6]).then_some(mac)
}

/// A domain name of labels (RFC 1035 §3.1), perhaps without its end where it is partial (RFC 4704 §4.2); `None` where it is none.
pub(super) fn domain_name(bytes: &[u8]) -> Option<String> {
    let mut reader = Reader::new(bytes);
    let mut name = String::new();
    while let Some(length @ 1..=63) = reader.peek_u8() {
        reader.skip(1)?;
        let label = std::str::from_utf8(reader.take(usize::from(length))?).ok()?;
        if label.chars().any(|c| c.is_control() || c == '.') {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(label);
    }
    (matches!(reader.take_rest(), [] | [0])).then_some(name)
}

/// Reads arbitrary bytes. Body of a fuzz target.
pub fn fuzz(bytes: &[u8]) {
    if let Some(wire) = Wire::read(bytes) {
        assert!(wire.transaction.is_some() != wire.peer.is_some());
        wire.options.name.and_then(domain_name);
        wire.options.client.and_then(mac_of_duid);
    }
}
