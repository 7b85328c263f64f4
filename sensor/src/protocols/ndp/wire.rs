//! The messages of RFC 4861 §4 and their options.

use super::record::Prefix;
use crate::reader::Reader;
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv6Addr};

pub(super) const ROUTER_SOLICITATION: u8 = 133;
pub(super) const ROUTER_ADVERTISEMENT: u8 = 134;
pub(super) const NEIGHBOR_SOLICITATION: u8 = 135;
pub(super) const NEIGHBOR_ADVERTISEMENT: u8 = 136;
pub(super) const REDIRECT: u8 = 137;

/// The name of a message type of neighbour discovery.
pub(super) fn name(message_type: u8) -> Option<&'static str> {
    Some(match message_type {
        ROUTER_SOLICITATION => "router_solicitation",
        ROUTER_ADVERTISEMENT => "router_advertisement",
        NEIGHBOR_SOLICITATION => "neighbor_solicitation",
        NEIGHBOR_ADVERTISEMENT => "neighbor_advertisement",
        REDIRECT => "redirect",
        _ => return None,
    })
}

/// A message, as far as it could be read.
#[derive(Default)]
pub(super) struct Wire<'a> {
    pub(super) message_type: u8,
    pub(super) code: u8,
    /// The fixed part is whole.
    pub(super) whole: bool,
    pub(super) router: Option<Router>,
    /// Bits R, S and O of a neighbour advertisement (§4.4).
    pub(super) flags: Option<[bool; 3]>,
    pub(super) target: Option<Ipv6Addr>,
    pub(super) destination: Option<Ipv6Addr>,
    pub(super) options: Options<'a>,
}

/// The fixed part of a router advertisement (§4.2).
#[derive(Clone, Copy)]
pub(super) struct Router {
    pub(super) hop_limit: u8,
    pub(super) managed: bool,
    pub(super) other: bool,
    pub(super) lifetime: u16,
}

/// The options of a message (§4.6).
#[derive(Default)]
pub(super) struct Options<'a> {
    pub(super) source_link: Option<&'a [u8]>,
    pub(super) target_link: Option<&'a [u8]>,
    pub(super) mtu: Option<u32>,
    pub(super) prefixes: Vec<Prefix>,
    pub(super) name_servers: Vec<IpAddr>,
    /// Types of the other options, in their order.
    pub(super) others: SmallVec<[u8; 8]>,
    /// Where reading ended, if not at the end.
    pub(super) damage: Option<Damage>,
}

/// What ended the reading of options, and at which byte of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    Cut(usize),
    LengthZero(usize),
}

impl<'a> Wire<'a> {
    /// Reads a message; `None` where not even type and code are there.
    ///
    /// | bytes | field |
    /// |---|---|
    /// | 1 | type |
    /// | 1 | code |
    /// | 2 | checksum |
    /// | 4 | reserved, flags or a router's parameters |
    /// | 0, 8, 16 or 32 | a router's timers; target; destination |
    /// | 8 each | options |
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [message_type, code] = reader.array()?;
        let mut wire = Self { message_type, code, ..Self::default() };
        if wire.fixed(&mut reader).is_some() {
            wire.whole = true;
            wire.options = Options::read(reader);
        }
        Some(wire)
    }

    fn fixed(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.skip(2)?;
        let [first, second, l0, l1] = reader.array()?;
        match self.message_type {
            ROUTER_ADVERTISEMENT => {
                self.router = Some(Router {
                    hop_limit: first,
                    managed: second & 0x80 != 0,
                    other: second & 0x40 != 0,
                    lifetime: u16::from_be_bytes([l0, l1]),
                });
                reader.skip(8)?;
            }
            NEIGHBOR_ADVERTISEMENT => {
                self.flags = Some([first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0]);
                self.target = Some(Ipv6Addr::from(reader.array::<16>()?));
            }
            NEIGHBOR_SOLICITATION => self.target = Some(Ipv6Addr::from(reader.array::<16>()?)),
            REDIRECT => {
                self.target = Some(Ipv6Addr::from(reader.array::<16>()?));
                self.destination = Some(Ipv6Addr::from(reader.array::<16>()?));
            }
            _ => {}
        }
        Some(())
    }
}

impl<'a> Options<'a> {
    /// Each option: type, length in units of 8 bytes that counts the whole option, value.
    fn read(mut reader: Reader<'a>) -> Self {
        let mut options = Self::default();
        while !reader.is_empty() {
            let at = reader.offset();
            let Some([option_type, units]) = reader.array() else {
                options.damage = Some(Damage::Cut(at));
                break;
            };
            let Some(length) = (usize::from(units) * 8).checked_sub(2) else {
                options.damage = Some(Damage::LengthZero(at));
                break;
            };
            let Some(value) = reader.sub(length) else {
                options.damage = Some(Damage::Cut(at));
                break;
            };
            options.add(option_type, value);
        }
        options
    }

    /// One that is too short for its type is kept by its number alone.
    fn add(&mut self, option_type: u8, mut value: Reader<'a>) {
        let read = match option_type {
            1 => value.take(6).map(|mac| self.source_link = Some(mac)),
            2 => value.take(6).map(|mac| self.target_link = Some(mac)),
            3 => prefix(&mut value).map(|prefix| self.prefixes.push(prefix)),
            5 => value.skip(2).and_then(|()| value.u32()).map(|mtu| self.mtu = Some(mtu)),
            // Recursive name servers (RFC 8106 §5.1): reserved, lifetime, addresses.
            25 => value.skip(6).map(|()| {
                while let Some(address) = value.array::<16>() {
                    self.name_servers.push(IpAddr::V6(address.into()));
                }
            }),
            _ => None,
        };
        if read.is_none() {
            self.others.push(option_type);
        }
    }
}

/// Prefix information (§4.6.2): length, flags L and A, lifetimes, reserved, prefix.
fn prefix(value: &mut Reader<'_>) -> Option<Prefix> {
    let [length, flags] = value.array()?;
    let (valid_lifetime, preferred_lifetime) = (value.u32()?, value.u32()?);
    value.skip(4)?;
    let prefix = IpAddr::V6(Ipv6Addr::from(value.array::<16>()?));
    Some(Prefix { prefix, length, on_link: flags & 0x80 != 0, autonomous: flags & 0x40 != 0, valid_lifetime, preferred_lifetime })
}

/// Reads arbitrary bytes. Body of a fuzz target.
pub fn fuzz(bytes: &[u8]) {
    if let Some(wire) = Wire::read(bytes) {
        assert!(wire.whole || wire.options.damage.is_none());
    }
}
