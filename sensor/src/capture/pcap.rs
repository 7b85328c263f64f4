//! The pcap grammar (draft-ietf-opsawg-pcap).

use super::error::Fault;
use super::file::Found;
use super::window::Window;
use super::{Format, LinkType, MAX_PACKET};
use crate::reader::Reader;
use crate::time::{SECOND, Timestamp};

/// Which end of a number comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    #[default]
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    pub(super) fn u16(self, reader: &mut Reader<'_>) -> Option<u16> {
        if self == ByteOrder::Little { reader.u16_le() } else { reader.u16() }
    }

    #[inline]
    pub(super) fn u32(self, reader: &mut Reader<'_>) -> Option<u32> {
        if self == ByteOrder::Little { reader.u32_le() } else { reader.u32() }
    }

    #[inline]
    pub(super) fn u64(self, reader: &mut Reader<'_>) -> Option<u64> {
        if self == ByteOrder::Little { reader.u64_le() } else { reader.u64() }
    }
}

/// Length of the file header (§4).
const FILE_HEADER: usize = 24;

/// Length of a record header (§5).
const RECORD_HEADER: usize = 16;

/// Length of a record header of the modified format: interface index, protocol and packet type follow.
const MODIFIED_RECORD_HEADER: usize = 24;

/// A pcap file whose header was read.
pub(super) struct Pcap {
    order: ByteOrder,
    pub(super) format: Format,
    record_header: usize,
    /// Nanoseconds of one unit of a stamp's fraction.
    unit: u64,
    pub(super) link_type: LinkType,
    /// Before version 2.4 writers disagreed on which of the two lengths comes first.
    lengths_may_be_swapped: bool,
}

impl Pcap {
    /// Reads the file header; `None` where there is none.
    pub(super) fn begin(window: &mut Window) -> Result<Option<Self>, Fault> {
        let Some(magic) = Reader::new(window.rest()).array::<4>() else { return Ok(None) };
        let (order, magic) = match u32::from_be_bytes(magic) {
            big @ (0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34) => (ByteOrder::Big, big),
            other => (ByteOrder::Little, other.swap_bytes()),
        };
        let format = match magic {
            0xa1b2_c3d4 => Format::PcapMicros,
            0xa1b2_3c4d => Format::PcapNanos,
            0xa1b2_cd34 => Format::PcapModified,
            _ => return Ok(None),
        };
        if !window.has(FILE_HEADER) {
            return Err(window.cut_short("the file header", FILE_HEADER));
        }
        let mut reader = Reader::new(window.rest());
        let mut fields = || {
            reader.skip(4)?;
            let version = (order.u16(&mut reader)?, order.u16(&mut reader)?);
            // Time zone, accuracy and snap length: the first two are zero everywhere, the third is often wrong.
            reader.skip(12)?;
            Some((version, order.u32(&mut reader)?))
        };
        let Some((version, network)) = fields() else { return Ok(None) };
        window.consume(FILE_HEADER);
        Ok(Some(Self {
            order,
            format,
            record_header: if format == Format::PcapModified { MODIFIED_RECORD_HEADER } else { RECORD_HEADER },
            unit: if format == Format::PcapNanos { 1 } else { 1000 },
            // The upper half tells of frame check sequences.
            link_type: LinkType(network as u16),
            lengths_may_be_swapped: version < (2, 4),
        }))
    }

    /// Finds the next packet and moves past it. Answers false at the end of the file.
    #[inline]
    pub(super) fn find(&mut self, window: &mut Window, found: &mut Found) -> Result<bool, Fault> {
        let order = self.order;
        let record = |window: &Window| {
            let mut reader = Reader::new(window.rest());
            Some((order.u32(&mut reader)?, order.u32(&mut reader)?, order.u32(&mut reader)?, order.u32(&mut reader)?))
        };
        if !window.has(self.record_header) {
            return self.end(window);
        }
        let Some((seconds, fraction, mut captured, mut wire_length)) = record(window) else { return self.end(window) };
        if captured > wire_length && self.lengths_may_be_swapped {
            std::mem::swap(&mut captured, &mut wire_length);
        }
        let length = captured as usize;
        if length > MAX_PACKET {
            return Err(Fault::Value {
                what: "the length of a packet",
                value: captured.into(),
                rule: "more than the 1048576 bytes that any capture tool keeps",
            });
        }
        if !window.has(self.record_header + length) {
            return Err(window.cut_short("a packet", self.record_header + length));
        }
        *found = Found {
            position: window.position() + self.record_header,
            length,
            stamp: Timestamp(u64::from(seconds) * SECOND + u64::from(fraction) * self.unit),
            wire_length,
            link_type: self.link_type,
            interface: 0,
        };
        window.consume(self.record_header + length);
        Ok(true)
    }

    #[cold]
    fn end(&self, window: &mut Window) -> Result<bool, Fault> {
        match window.take_fault() {
            Some(fault) => Err(fault),
            None if window.rest().is_empty() => Ok(false),
            None => Err(window.cut_short("a packet's header", self.record_header)),
        }
    }
}
