//! TCP and UDP headers over borrowed bytes (RFC 9293 §3.1, RFC 768). Options are stepped over; checksums are not verified.

use crate::reader::Reader;

/// The control bits of a TCP header that matter here (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;

    /// Whether FIN is set.
    #[inline]
    pub fn fin(self) -> bool {
        self.0 & Self::FIN != 0
    }

    /// Whether SYN is set.
    #[inline]
    pub fn syn(self) -> bool {
        self.0 & Self::SYN != 0
    }

    /// Whether RST is set.
    #[inline]
    pub fn rst(self) -> bool {
        self.0 & Self::RST != 0
    }

    /// Whether ACK is set.
    #[inline]
    pub fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader<'a> {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number of the first byte, or of the SYN where that is set.
    pub seq: u32,
    /// Next sequence number expected from the other side, where ACK is set.
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// The data that was captured; where the capture cut the packet the rest is missing, and the stream has a hole there.
    pub payload: &'a [u8],
}

impl<'a> TcpHeader<'a> {
    /// Reads the payload of an IP packet (without link layer padding). `None`: cut within the header, or a data offset below 5.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, _, _, _, _, _, _] = reader.array::<20>()?;
        let options = usize::from(offset >> 4).checked_sub(5)? * 4;
        if options > 0 {
            reader.skip(options)?;
        }
        Some(Self {
            source: u16::from_be_bytes([s0, s1]),
            destination: u16::from_be_bytes([d0, d1]),
            seq: u32::from_be_bytes([q0, q1, q2, q3]),
            ack: u32::from_be_bytes([a0, a1, a2, a3]),
            flags: TcpFlags(flags),
            payload: reader.peek_rest(),
        })
    }

    /// Sequence number of the first byte of data: a SYN takes one number itself (RFC 9293 §3.4).
    #[inline]
    pub fn data_seq(&self) -> u32 {
        self.seq.wrapping_add(u32::from(self.flags.syn()))
    }

    /// Sequence number after the last byte of data: that of the FIN where it is set.
    #[inline]
    pub fn end_seq(&self) -> u32 {
        self.data_seq().wrapping_add(self.payload.len() as u32)
    }
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpHeader<'a> {
    /// Source port; 0 where the sender wants no answer.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// The data as far as the length field reaches and the capture holds it.
    pub payload: &'a [u8],
    /// Whether the length field reaches beyond the bytes there: cut by the snap length, or a false length.
    pub cut: bool,
}

impl<'a> UdpHeader<'a> {
    /// Reads the payload of an IP packet. `None`: cut within the header, or a length of 1 to 7.
    /// A length of 0 (a jumbogram, RFC 2675 §4, or an offloading sender) means all bytes there; bytes beyond the length are padding.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [s0, s1, d0, d1, l0, l1, _, _] = reader.array::<8>()?;
        let there = reader.remaining();
        let length = match u16::from_be_bytes([l0, l1]) {
            0 => there,
            length => usize::from(length).checked_sub(8)?,
        };
        Some(Self {
            source: u16::from_be_bytes([s0, s1]),
            destination: u16::from_be_bytes([d0, d1]),
            payload: reader.take_up_to(length),
            cut: length > there,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: [u8; 26] = [
        0xc3, 0x50, 0x01, 0xf6, // ports 50000, 502
        0xff, 0xff, 0xff, 0xff, // sequence number
        0x00, 0x00, 0x00, 0x07, // acknowledgement number
        0x60, 0x13, 0x20, 0x00, // data offset 6, ACK SYN FIN, window
        0x00, 0x00, 0x00, 0x00, // checksum, urgent pointer
        0x02, 0x04, 0x05, 0xb4, // maximum segment size
        0xaa, 0xbb, // data
    ];

    #[test]
    fn a_segment_with_options_and_data_on_its_syn() {
        let header = TcpHeader::parse(&SEGMENT).unwrap();
        assert_eq!((header.source, header.destination), (50_000, 502));
        assert_eq!((header.seq, header.ack), (u32::MAX, 7));
        assert!(header.flags.syn() && header.flags.fin() && header.flags.ack() && !header.flags.rst());
        assert_eq!(header.payload, &[0xaa, 0xbb]);
        assert_eq!((header.data_seq(), header.end_seq()), (0, 2));
    }

    #[test]
    fn a_segment_cut_anywhere_in_its_header_is_none() {
        for length in 0..SEGMENT.len() {
            assert_eq!(TcpHeader::parse(&SEGMENT[..length]).is_some(), length >= 24, "{length}");
        }
    }

    #[test]
    fn a_data_offset_below_the_header_is_none() {
        let mut bytes = SEGMENT;
        for offset in 0..5 {
            bytes[12] = offset << 4;
            assert_eq!(TcpHeader::parse(&bytes), None);
        }
        bytes[12] = 0x50;
        assert_eq!(TcpHeader::parse(&bytes).unwrap().payload.len(), 6);
        bytes[12] = 0xf0;
        assert_eq!(TcpHeader::parse(&bytes), None);
    }

    fn udp(length: u16) -> [u8; 11] {
        let [high, low] = length.to_be_bytes();
        [0x16, 0x33, 0x16, 0x33, high, low, 0, 0, 1, 2, 3]
    }

    #[test]
    fn udp_lengths_below_at_and_beyond_the_bytes_there() {
        let payload = |length| UdpHeader::parse(&udp(length)).map(|header| (header.payload.len(), header.cut));
        assert_eq!(payload(11), Some((3, false)));
        assert_eq!(payload(10), Some((2, false)));
        assert_eq!(payload(8), Some((0, false)));
        assert_eq!(payload(12), Some((3, true)));
        assert_eq!(payload(0), Some((3, false)));
        for length in 1..8 {
            assert_eq!(payload(length), None);
        }
        assert_eq!(UdpHeader::parse(&udp(11)[..7]), None);
        assert_eq!(UdpHeader::parse(&udp(0)[..8]).unwrap().payload, &[] as &[u8]);
    }
}
