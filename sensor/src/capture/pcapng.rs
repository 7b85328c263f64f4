//! The pcapng grammar (draft-ietf-opsawg-pcapng).

use super::error::{Fault, printable};
use super::file::Found;
use super::pcap::ByteOrder;
use super::window::Window;
use super::{Interface, LinkType, MAX_BLOCK, MAX_COMMENTS, MAX_INTERFACES, MAX_PACKET, MAX_SKIPPED_BLOCK, MAX_TEXT};
use crate::reader::Reader;
use crate::time::{SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Block types (§4, and §11.1 for the obsolete packet block).
mod block {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const OBSOLETE_PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const STATISTICS: u32 = 5;
    pub(super) const ENHANCED_PACKET: u32 = 6;
}

/// Option codes (§3.5, §4.2, §4.5).
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const COMMENT: u16 = 1;
    pub(super) const IF_NAME: u16 = 2;
    pub(super) const IF_DESCRIPTION: u16 = 3;
    pub(super) const IF_TSRESOL: u16 = 9;
    pub(super) const IF_TSOFFSET: u16 = 14;
    pub(super) const ISB_IFDROP: u16 = 5;
}

/// Byte-order magic (§4.1).
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// The major version of the format that is known (§4.1).
const MAJOR_VERSION: u16 = 1;

/// Type and length in front of a block's body.
const FRONT: usize = 8;

/// Type, length and the length again: a block without a body (§3.1).
const FRAME: u32 = 12;

/// A pcapng file.
#[derive(Default)]
pub(super) struct Pcapng {
    order: ByteOrder,
    /// The section is of a version that is not known: its blocks are stepped over.
    unknown_version: bool,
    pub(super) sections_unread: u64,
    section: Vec<SectionInterface>,
    known: HashMap<(LinkType, String, String), u16, FixedState>,
    last_stamp: Timestamp,
    pub(super) interfaces: Vec<Interface>,
    pub(super) comments: Vec<String>,
}

/// An interface of the current section.
struct SectionInterface {
    link_type: LinkType,
    snap_length: u32,
    resolution: Resolution,
    /// `if_tsoffset` in seconds.
    offset: i64,
    /// Position among the interfaces of the whole capture.
    index: u16,
}

impl Pcapng {
    pub(super) fn begins(head: &[u8]) -> bool {
        Reader::new(head).u32() == Some(block::SECTION)
    }

    /// Finds the next packet and moves past it. Answers false at the end of the file.
    pub(super) fn find(&mut self, window: &mut Window, found: &mut Found) -> Result<bool, Fault> {
        loop {
            if !window.has(FRAME as usize) {
                return match window.take_fault() {
                    Some(fault) => Err(fault),
                    None if window.rest().is_empty() => Ok(false),
                    None => Err(window.cut_short("a block", FRAME as usize)),
                };
            }
            let (kind, length) = self.front(window.rest())?;
            if !is_read(kind) || (self.unknown_version && kind != block::SECTION) {
                self.step_over(window, length)?;
                continue;
            }
            if length as usize > MAX_BLOCK {
                return Err(Fault::Value {
                    what: "the length of a block",
                    value: length.into(),
                    rule: "more than the 2097152 bytes that a block of its type may have",
                });
            }
            if !window.has(length as usize) {
                return Err(window.cut_short("a block", length as usize));
            }
            let position = window.position();
            let mut reader = Reader::new(window.rest());
            let body = reader.skip(FRONT).and_then(|()| reader.sub((length - FRAME) as usize));
            let (Some(body), Some(behind)) = (body, self.order.u32(&mut reader)) else { return Err(too_short(length)) };
            if behind != length {
                return Err(Fault::LengthsDisagree { front: length, behind });
            }
            let is_packet = match kind {
                block::ENHANCED_PACKET => Some(self.enhanced_packet(body)?),
                block::OBSOLETE_PACKET => Some(self.obsolete_packet(body)?),
                block::SIMPLE_PACKET => Some(self.simple_packet(body)?),
                block::SECTION => self.begin_section(body).map(|()| None)?,
                block::INTERFACE => self.add_interface(body).map(|()| None)?,
                _ => self.statistics(body).map(|()| None)?,
            };
            window.consume(length as usize);
            if let Some(packet) = is_packet {
                self.last_stamp = packet.stamp;
                *found = Found { position: position + FRONT + packet.position, ..packet };
                return Ok(true);
            }
        }
    }

    /// Type and length of the block at the front of `bytes`; a section tells its byte order before its length is believed.
    fn front(&mut self, bytes: &[u8]) -> Result<(u32, u32), Fault> {
        if Self::begins(bytes) {
            let mut reader = Reader::new(bytes);
            let magic = reader.skip(FRONT).and_then(|()| reader.u32()).unwrap_or_default();
            self.order = match magic {
                BYTE_ORDER_MAGIC => ByteOrder::Big,
                other if other.swap_bytes() == BYTE_ORDER_MAGIC => ByteOrder::Little,
                other => {
                    return Err(Fault::Value {
                        what: "the byte order of a section",
                        value: other.into(),
                        rule: "neither of the two that there are",
                    });
                }
            };
        }
        let mut reader = Reader::new(bytes);
        let (Some(kind), Some(length)) = (self.order.u32(&mut reader), self.order.u32(&mut reader)) else {
            return Err(too_short(0));
        };
        if length < FRAME {
            return Err(too_short(length));
        }
        Ok((kind, length))
    }

    fn step_over(&self, window: &mut Window, length: u32) -> Result<(), Fault> {
        if length > MAX_SKIPPED_BLOCK {
            return Err(Fault::Value {
                what: "the length of a block",
                value: length.into(),
                rule: "more than the 16777216 bytes that a block may have",
            });
        }
        let there = window.skip(u64::from(length) - 4) && window.has(4);
        let Some(behind) = self.order.u32(&mut Reader::new(window.rest())).filter(|_| there) else {
            return Err(window.cut_short("a block", 4));
        };
        if behind != length {
            return Err(Fault::LengthsDisagree { front: length, behind });
        }
        window.consume(4);
        Ok(())
    }

    /// Section header block (§4.1). Its interfaces are numbered anew; its length is not needed, as blocks are followed one by one.
    fn begin_section(&mut self, mut body: Reader<'_>) -> Result<(), Fault> {
        let order = self.order;
        let mut fields = || {
            body.skip(4)?;
            let major = order.u16(&mut body)?;
            body.skip(10)?;
            Some(major)
        };
        let major = fields().ok_or_else(|| too_short(0))?;
        self.unknown_version = major != MAJOR_VERSION;
        self.sections_unread += u64::from(self.unknown_version);
        self.section.clear();
        for (code, value) in Options(body, order) {
            if code == option::COMMENT && self.comments.len() < MAX_COMMENTS {
                self.comments.push(text(value));
            }
        }
        Ok(())
    }

    /// Interface description block (§4.2).
    fn add_interface(&mut self, mut body: Reader<'_>) -> Result<(), Fault> {
        let order = self.order;
        let mut fields = || {
            let link_type = order.u16(&mut body)?;
            body.skip(2)?;
            Some((LinkType(link_type), order.u32(&mut body)?))
        };
        let Some((link_type, snap_length)) = fields() else { return Err(too_short(0)) };
        let mut interface = SectionInterface { link_type, snap_length, resolution: Resolution::default(), offset: 0, index: 0 };
        let (mut name, mut description) = (String::new(), String::new());
        for (code, value) in Options(body, order) {
            let mut reader = Reader::new(value);
            match code {
                option::IF_NAME => name = text(value),
                option::IF_DESCRIPTION => description = text(value),
                option::IF_TSRESOL => interface.resolution = reader.u8().map(Resolution::new).unwrap_or_default(),
                option::IF_TSOFFSET => interface.offset = order.u64(&mut reader).unwrap_or_default() as i64,
                _ => {}
            }
        }
        let key = (link_type, name, description);
        interface.index = match self.known.get(&key) {
            Some(&index) => index,
            None => self.add_known(key)?,
        };
        if self.section.len() >= MAX_INTERFACES {
            return Err(too_many_interfaces());
        }
        self.section.push(interface);
        Ok(())
    }

    fn add_known(&mut self, key: (LinkType, String, String)) -> Result<u16, Fault> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(too_many_interfaces());
        }
        let index = self.interfaces.len() as u16;
        let (link_type, name, description) = key.clone();
        self.interfaces.push(Interface { link_type, name, description, dropped: None });
        self.known.insert(key, index);
        Ok(index)
    }

    /// Enhanced packet block (§4.3).
    #[inline]
    fn enhanced_packet(&self, mut body: Reader<'_>) -> Result<Found, Fault> {
        let order = self.order;
        let interface = order.u32(&mut body);
        self.stamped_packet(interface, body)
    }

    /// The obsolete packet block (§11.1): a 16-bit interface and a count of drops where the enhanced one has a 32-bit interface.
    #[inline]
    fn obsolete_packet(&self, mut body: Reader<'_>) -> Result<Found, Fault> {
        let interface = self.order.u16(&mut body).map(u32::from);
        let _ = body.skip(2);
        self.stamped_packet(interface, body)
    }

    #[inline]
    fn stamped_packet(&self, interface: Option<u32>, mut body: Reader<'_>) -> Result<Found, Fault> {
        let order = self.order;
        let mut fields = || {
            let (high, low) = (order.u32(&mut body)?, order.u32(&mut body)?);
            Some((interface?, u64::from(high) << 32 | u64::from(low), order.u32(&mut body)?, order.u32(&mut body)?))
        };
        let Some((id, units, captured, wire_length)) = fields() else { return Err(too_short(0)) };
        let interface = self.interface(id)?;
        let (length, position) = (captured as usize, body.offset());
        check_length(captured, body.remaining())?;
        Ok(Found {
            position,
            length,
            stamp: interface.stamp(units),
            wire_length,
            link_type: interface.link_type,
            interface: interface.index,
        })
    }

    /// Simple packet block (§4.4): of the section's first interface and without a time, so it is taken to come right after the packet before it.
    fn simple_packet(&self, mut body: Reader<'_>) -> Result<Found, Fault> {
        let Some(wire_length) = self.order.u32(&mut body) else { return Err(too_short(0)) };
        let interface = self.interface(0)?;
        let captured = if interface.snap_length == 0 { wire_length } else { wire_length.min(interface.snap_length) };
        check_length(captured, body.remaining())?;
        let (link_type, interface) = (interface.link_type, interface.index);
        Ok(Found {
            position: body.offset(),
            length: captured as usize,
            stamp: self.last_stamp,
            wire_length,
            link_type,
            interface,
        })
    }

    /// Interface statistics block (§4.5).
    fn statistics(&mut self, mut body: Reader<'_>) -> Result<(), Fault> {
        let order = self.order;
        let Some(id) = order.u32(&mut body) else { return Err(too_short(0)) };
        let index = self.interface(id)?.index;
        let _ = body.skip(8);
        let dropped = Options(body, order)
            .find(|(code, _)| *code == option::ISB_IFDROP)
            .and_then(|(_, value)| order.u64(&mut Reader::new(value)));
        if let (Some(dropped), Some(interface)) = (dropped, self.interfaces.get_mut(usize::from(index))) {
            interface.dropped = Some(dropped);
        }
        Ok(())
    }

    #[inline]
    fn interface(&self, id: u32) -> Result<&SectionInterface, Fault> {
        let unknown = || Fault::Value { what: "the interface of a packet", value: id.into(), rule: "not described before it" };
        self.section.get(id as usize).ok_or_else(unknown)
    }
}

fn is_read(kind: u32) -> bool {
    use block::{ENHANCED_PACKET, INTERFACE, OBSOLETE_PACKET, SECTION, SIMPLE_PACKET, STATISTICS};
    matches!(kind, ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET | SECTION | INTERFACE | STATISTICS)
}

#[inline]
fn check_length(captured: u32, space: usize) -> Result<(), Fault> {
    if captured as usize > space.min(MAX_PACKET) {
        return Err(Fault::Value {
            what: "the length of a packet",
            value: captured.into(),
            rule: "more than its block holds or any capture tool keeps",
        });
    }
    Ok(())
}

#[cold]
fn too_short(length: u32) -> Fault {
    Fault::Value { what: "the length of a block", value: length.into(), rule: "too little for a block of its type" }
}

#[cold]
fn too_many_interfaces() -> Fault {
    Fault::Value { what: "the number of interfaces", value: MAX_INTERFACES as u64 + 1, rule: "more than are kept" }
}

fn text(value: &[u8]) -> String {
    // A character has at most four bytes.
    printable(&String::from_utf8_lossy(value.get(..4 * MAX_TEXT).unwrap_or(value)))
}

/// The options at the end of a block (§3.5), as far as they are well-formed.
struct Options<'a>(Reader<'a>, ByteOrder);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let code = self.1.u16(&mut self.0)?;
        let length = usize::from(self.1.u16(&mut self.0)?);
        let value = self.0.take(length)?;
        self.0.take_up_to(length.next_multiple_of(4) - length);
        (code != option::END).then_some((code, value))
    }
}

/// How units of time become nanoseconds (`if_tsresol`).
#[derive(Clone, Copy)]
enum Resolution {
    /// Units of that many nanoseconds.
    Multiply(u64),
    /// That many units a nanosecond.
    Divide(u64),
    /// Units of 2^-n seconds.
    Binary(u32),
}

/// Microseconds.
impl Default for Resolution {
    fn default() -> Self {
        Resolution::Multiply(1000)
    }
}

impl Resolution {
    /// The top bit tells powers of two from powers of ten; the rest is the negated exponent.
    fn new(option: u8) -> Self {
        let exponent = u32::from(option & 0x7f);
        if option & 0x80 != 0 {
            Resolution::Binary(exponent)
        } else if exponent <= 9 {
            Resolution::Multiply(10u64.pow(9 - exponent))
        } else {
            // Beyond 10^-28 s a 64-bit count of units is less than a nanosecond.
            Resolution::Divide(10u64.checked_pow(exponent - 9).unwrap_or(u64::MAX))
        }
    }
}

impl SectionInterface {
    #[inline]
    fn stamp(&self, units: u64) -> Timestamp {
        let nanos = match self.resolution {
            Resolution::Multiply(by) => units.saturating_mul(by),
            Resolution::Divide(by) => units / by,
            Resolution::Binary(shift) => u64::try_from((u128::from(units) * u128::from(SECOND)) >> shift).unwrap_or(u64::MAX),
        };
        if self.offset == 0 {
            return Timestamp(nanos);
        }
        let moved = i128::from(nanos) + i128::from(self.offset) * i128::from(SECOND);
        Timestamp(u64::try_from(moved.max(0)).unwrap_or(u64::MAX))
    }
}
