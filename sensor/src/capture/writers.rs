//! Writers of small captures, for tests alone.

use super::pcap::ByteOrder;
use std::io::Write;

/// Builds a pcap file.
pub(crate) struct PcapWriter {
    order: ByteOrder,
    modified: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Numbers in a byte order.
fn put16(bytes: &mut Vec<u8>, order: ByteOrder, value: u16) {
    bytes.extend(if order == ByteOrder::Little { value.to_le_bytes() } else { value.to_be_bytes() });
}

fn put32(bytes: &mut Vec<u8>, order: ByteOrder, value: u32) {
    bytes.extend(if order == ByteOrder::Little { value.to_le_bytes() } else { value.to_be_bytes() });
}

fn put64(bytes: &mut Vec<u8>, order: ByteOrder, value: u64) {
    bytes.extend(if order == ByteOrder::Little { value.to_le_bytes() } else { value.to_be_bytes() });
}

impl PcapWriter {
    pub(crate) fn new(order: ByteOrder, magic: u32, link_type: u32) -> Self {
        let mut bytes = Vec::new();
        put32(&mut bytes, order, magic);
        put16(&mut bytes, order, 2);
        put16(&mut bytes, order, 4);
        for field in [0, 0, 262_144, link_type] {
            put32(&mut bytes, order, field);
        }
        Self { order, modified: magic == 0xa1b2_cd34, bytes }
    }

    /// Microseconds, least significant byte first, Ethernet.
    pub(crate) fn ethernet() -> Self {
        Self::new(ByteOrder::Little, 0xa1b2_c3d4, 1)
    }

    pub(crate) fn packet(mut self, seconds: u32, fraction: u32, data: &[u8]) -> Self {
        for field in [seconds, fraction, data.len() as u32, data.len() as u32 + 4] {
            put32(&mut self.bytes, self.order, field);
        }
        if self.modified {
            self.bytes.extend([0xee; 8]);
        }
        self.bytes.extend(data);
        self
    }
}

/// Builds a pcapng file.
pub(crate) struct PcapngWriter {
    order: ByteOrder,
    pub(crate) bytes: Vec<u8>,
}

impl PcapngWriter {
    /// A file with one section and no interface.
    pub(crate) fn new(order: ByteOrder) -> Self {
        Self { order, bytes: Vec::new() }.section(order, &[])
    }

    pub(crate) fn section(mut self, order: ByteOrder, options: &[(u16, &[u8])]) -> Self {
        self.order = order;
        let mut body = Vec::new();
        put32(&mut body, order, 0x1a2b_3c4d);
        put16(&mut body, order, 1);
        put16(&mut body, order, 0);
        put64(&mut body, order, u64::MAX);
        self.options(&mut body, options);
        self.block(0x0a0d_0d0a, &body)
    }

    pub(crate) fn interface(self, link_type: u16, snap_length: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = Vec::new();
        put16(&mut body, self.order, link_type);
        put16(&mut body, self.order, 0);
        put32(&mut body, self.order, snap_length);
        self.options(&mut body, options);
        self.block(1, &body)
    }

    pub(crate) fn enhanced(self, interface: u32, units: u64, data: &[u8], options: &[(u16, &[u8])]) -> Self {
        let mut body = Vec::new();
        put32(&mut body, self.order, interface);
        self.stamp_and_data(&mut body, units, data);
        self.options(&mut body, options);
        self.block(6, &body)
    }

    pub(crate) fn obsolete(self, interface: u16, units: u64, data: &[u8]) -> Self {
        let mut body = Vec::new();
        put16(&mut body, self.order, interface);
        put16(&mut body, self.order, 7);
        self.stamp_and_data(&mut body, units, data);
        self.block(2, &body)
    }

    pub(crate) fn simple(self, wire_length: u32, data: &[u8]) -> Self {
        let mut body = Vec::new();
        put32(&mut body, self.order, wire_length);
        pad(&mut body, data);
        self.block(3, &body)
    }

    pub(crate) fn statistics(self, interface: u32, dropped: u64) -> Self {
        let mut body = Vec::new();
        put32(&mut body, self.order, interface);
        put64(&mut body, self.order, 0);
        let mut value = Vec::new();
        put64(&mut value, self.order, dropped);
        self.options(&mut body, &[(5, &value)]);
        self.block(5, &body)
    }

    /// Any block; the body must be padded.
    pub(crate) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let length = body.len() as u32 + 12;
        put32(&mut self.bytes, self.order, kind);
        put32(&mut self.bytes, self.order, length);
        self.bytes.extend(body);
        put32(&mut self.bytes, self.order, length);
        self
    }

    fn stamp_and_data(&self, body: &mut Vec<u8>, units: u64, data: &[u8]) {
        for field in [(units >> 32) as u32, units as u32, data.len() as u32, data.len() as u32 + 4] {
            put32(body, self.order, field);
        }
        pad(body, data);
    }

    fn options(&self, body: &mut Vec<u8>, options: &[(u16, &[u8])]) {
        for (code, value) in options {
            put16(body, self.order, *code);
            put16(body, self.order, value.len() as u16);
            pad(body, value);
        }
        if !options.is_empty() {
            put32(body, self.order, 0);
        }
    }
}

fn pad(bytes: &mut Vec<u8>, data: &[u8]) {
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// One gzip member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new()
        .filename("a name")
        .comment("a comment")
        .extra([1, 2, 3])
        .write(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One zstd frame with a checksum.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
