//! The message of RFC 2131 §2 and the options of RFC 2132.

use crate::reader::Reader;
use std::net::Ipv4Addr;

/// Operations (RFC 951 §3).
pub(super) const REQUEST: u8 = 1;
pub(super) const REPLY: u8 = 2;
/// Hardware type of Ethernet.
pub(super) const ETHERNET: u8 = 1;
/// Begins the options (RFC 2131 §3).
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Message types (RFC 2132 §9.6).
pub(super) const OFFER: u8 = 2;
pub(super) const ACK: u8 = 5;
pub(super) const NAK: u8 = 6;

/// The name of a message type.
pub(super) fn name(message_type: u8) -> Option<&'static str> {
    Some(match message_type {
        1 => "discover",
        OFFER => "offer",
        3 => "request",
        4 => "decline",
        ACK => "ack",
        NAK => "nak",
        7 => "release",
        8 => "inform",
        9 => "force_renew",
        10 => "lease_query",
        11 => "lease_unassigned",
        12 => "lease_unknown",
        13 => "lease_active",
        _ => return None,
    })
}

/// Whether servers send messages of this type; `None` for those not known.
pub(super) fn from_server(message_type: u8) -> Option<bool> {
    match message_type {
        1 | 3 | 4 | 7 | 8 | 10 => Some(false),
        OFFER | ACK | NAK | 9 | 11..=13 => Some(true),
        _ => None,
    }
}

/// A message.
///
/// | bytes | field |
/// |---|---|
/// | 1 | operation: 1 request, 2 reply |
/// | 1 | hardware type |
/// | 1 | length of the hardware address |
/// | 1 | hops |
/// | 4 | transaction |
/// | 2 | seconds |
/// | 2 | flags |
/// | 4 each | ciaddr, yiaddr, siaddr, giaddr |
/// | 16 | chaddr |
/// | 64 | sname |
/// | 128 | file |
/// | 4 | magic cookie |
/// | | options |
#[derive(Clone, Copy)]
pub(super) struct Wire<'a> {
    pub(super) operation: u8,
    pub(super) hardware_type: u8,
    pub(super) hardware_length: u8,
    pub(super) transaction: u32,
    pub(super) ciaddr: Ipv4Addr,
    pub(super) yiaddr: Ipv4Addr,
    pub(super) siaddr: Ipv4Addr,
    pub(super) giaddr: Ipv4Addr,
    /// The hardware address, without the rest of its field.
    pub(super) chaddr: &'a [u8],
    pub(super) options: Options<'a>,
}

/// The options that are told, each as it came first.
#[derive(Clone, Copy, Default)]
pub(super) struct Options<'a> {
    pub(super) message_type: Option<u8>,
    pub(super) requested_address: Option<Ipv4Addr>,
    pub(super) lease_time: Option<u32>,
    pub(super) server: Option<Ipv4Addr>,
    pub(super) router: Option<Ipv4Addr>,
    pub(super) host_name: Option<&'a [u8]>,
    pub(super) domain_name: Option<&'a [u8]>,
    pub(super) vendor_class: Option<&'a [u8]>,
    pub(super) client: Option<&'a [u8]>,
    pub(super) parameters: Option<&'a [u8]>,
    /// The list ends without its end option or within an option.
    pub(super) truncated: bool,
    /// Fields that hold options too (§9.3): 1 `file`, 2 `sname`, 3 both.
    overload: u8,
}

impl<'a> Wire<'a> {
    /// Reads a message; `None` where it is none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [operation, hardware_type, hardware_length, _] = reader.array()?;
        let transaction = reader.u32()?;
        reader.skip(4)?;
        let mut address = || reader.array::<4>().map(Ipv4Addr::from);
        let (ciaddr, yiaddr, siaddr, giaddr) = (address()?, address()?, address()?, address()?);
        let chaddr = reader.sub(16)?.take_up_to(usize::from(hardware_length));
        let (sname, file) = (reader.take(64)?, reader.take(128)?);
        if !matches!(operation, REQUEST | REPLY) || reader.array()? != MAGIC_COOKIE {
            return None;
        }
        let mut options = Options::default();
        options.read(reader);
        let overload = options.overload;
        if overload & 1 != 0 {
            options.read(Reader::new(file));
        }
        if overload & 2 != 0 {
            options.read(Reader::new(sname));
        }
        Some(Self { operation, hardware_type, hardware_length, transaction, ciaddr, yiaddr, siaddr, giaddr, chaddr, options })
    }
}

impl<'a> Options<'a> {
    /// Each option: code, length, value; pad and end are one byte (RFC 2132 §2).
    fn read(&mut self, mut reader: Reader<'a>) {
        loop {
            let (code, value) = match reader.u8() {
                Some(0) => continue,
                Some(255) => return,
                Some(code) => (code, reader.u8().and_then(|length| reader.sub(usize::from(length)))),
                None => (0, None),
            };
            let Some(value) = value else {
                self.truncated = true;
                return;
            };
            self.add(code, value);
        }
    }

    fn add(&mut self, code: u8, mut value: Reader<'a>) {
        fn first<T>(place: &mut Option<T>, value: Option<T>) {
            if place.is_none() {
                *place = value;
            }
        }
        match code {
            3 => first(&mut self.router, value.array::<4>().map(Ipv4Addr::from)),
            12 => first(&mut self.host_name, Some(value.take_rest())),
            15 => first(&mut self.domain_name, Some(value.take_rest())),
            50 => first(&mut self.requested_address, value.array::<4>().map(Ipv4Addr::from)),
            51 => first(&mut self.lease_time, value.u32()),
            52 => self.overload = value.u8().unwrap_or(0),
            53 => first(&mut self.message_type, value.u8()),
            54 => first(&mut self.server, value.array::<4>().map(Ipv4Addr::from)),
            55 => first(&mut self.parameters, Some(value.take_rest())),
            60 => first(&mut self.vendor_class, Some(value.take_rest())),
            61 => first(&mut self.client, Some(value.take_rest())),
            _ => {}
        }
    }
}

/// Reads arbitrary bytes. Body of a fuzz target.
pub fn fuzz(bytes: &[u8]) {
    if let Some(wire) = Wire::read(bytes) {
        assert!(wire.chaddr.len() <= 16);
    }
}
