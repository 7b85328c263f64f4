//! The message layer: headers over UDP (RFC 7252 §3), over TCP (RFC 8323 §3.2) and over WebSocket (RFC 8323 §4.2).

use super::code::{Code, MessageType};
use super::option::OptionWalk;
use crate::reader::Reader;

/// A message whose header and token were read.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Type and message ID; `None` over reliable transports, which have neither.
    pub exchange: Option<(MessageType, u16)>,
    /// Its code.
    pub code: Code,
    /// Its token: 0 to 8 bytes, up to 65,804 with extended lengths (RFC 8974 §2.1).
    pub token: &'a [u8],
    /// Options and payload.
    pub body: &'a [u8],
    /// Offset of `body` in the message.
    pub body_offset: usize,
}

impl<'a> Message<'a> {
    /// Walks the options.
    pub fn options(&self) -> OptionWalk<'a> {
        OptionWalk::new(self.body)
    }
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// They end within header or token.
    Cut,
    /// The version is not 1 (RFC 7252 §3).
    Version,
    /// The token length is 15 (RFC 8974 §2.1).
    TokenLength,
}

/// Reads a datagram:
///
/// | bytes | field |
/// |---|---|
/// | 1 | version (2 bits, 1), type (2 bits), token length (4 bits) |
/// | 1 | code |
/// | 2 | message ID |
/// | 0, 1 or 2 | extended token length, where the four bits say 13 or 14 (RFC 8974 §2.1) |
/// | | token, options, 0xFF and payload |
pub fn datagram(bytes: &[u8]) -> Result<Message<'_>, HeaderFault> {
    let mut reader = Reader::new(bytes);
    let first = reader.u8().ok_or(HeaderFault::Cut)?;
    if first >> 6 != 1 {
        return Err(HeaderFault::Version);
    }
    let code = Code(reader.u8().ok_or(HeaderFault::Cut)?);
    let message_id = reader.u16().ok_or(HeaderFault::Cut)?;
    let exchange = Some((MessageType::from_bits(first >> 4), message_id));
    rest(reader, exchange, code, first & 15)
}

/// The length of a message in a stream, from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of the whole message.
    pub total: u64,
    /// Bytes before the code: the first byte and the extended length.
    pub prefix: usize,
}

/// Reads the length of the message at the start of a TCP stream (RFC 8323 §3.2, Figure 4):
///
/// | bytes | field |
/// |---|---|
/// | 1 | Len (4 bits), token length (4 bits) |
/// | 0, 1, 2 or 4 | extended length, where Len says 13, 14 or 15 |
/// | 1 | code |
/// | | token, options, 0xFF and payload: Len counts options, marker and payload |
///
/// `Err` tells how many bytes it takes to know.
pub fn frame(bytes: &[u8]) -> Result<Frame, usize> {
    let mut reader = Reader::new(bytes);
    let first = reader.u8().ok_or(1_usize)?;
    let length = match first >> 4 {
        13 => reader.u8().map(|more| u64::from(more) + 13).ok_or(2_usize)?,
        14 => reader.u16().map(|more| u64::from(more) + 269).ok_or(3_usize)?,
        15 => reader.u32().map(|more| u64::from(more) + 65_805).ok_or(5_usize)?,
        short => u64::from(short),
    };
    let prefix = reader.offset();
    reader.u8().ok_or(prefix + 1)?;
    let token = match first & 15 {
        13 => reader.u8().map(|more| u64::from(more) + 14).ok_or(prefix + 2)?,
        14 => reader.u16().map(|more| u64::from(more) + 271).ok_or(prefix + 3)?,
        short => u64::from(short),
    };
    Ok(Frame { total: prefix as u64 + 1 + token + length, prefix })
}

/// Reads one whole message of a stream whose length [`frame`] told, or of a WebSocket message.
pub fn framed(bytes: &[u8], prefix: usize) -> Result<Message<'_>, HeaderFault> {
    let mut reader = Reader::new(bytes);
    let first = reader.peek_u8().ok_or(HeaderFault::Cut)?;
    reader.skip(prefix).ok_or(HeaderFault::Cut)?;
    let code = Code(reader.u8().ok_or(HeaderFault::Cut)?);
    rest(reader, None, code, first & 15)
}

/// Reads what OSCORE protects, once it is decrypted: code, options, 0xFF and payload (RFC 8613 §5.3).
pub fn protected(plaintext: &[u8]) -> Result<Message<'_>, HeaderFault> {
    let mut reader = Reader::new(plaintext);
    let code = Code(reader.u8().ok_or(HeaderFault::Cut)?);
    rest(reader, None, code, 0)
}

fn rest(
    mut reader: Reader<'_>,
    exchange: Option<(MessageType, u16)>,
    code: Code,
    token_length: u8,
) -> Result<Message<'_>, HeaderFault> {
    let length = match token_length {
        13 => reader.u8().map(|more| usize::from(more) + 13).ok_or(HeaderFault::Cut)?,
        14 => reader.u16().map(|more| usize::from(more) + 269).ok_or(HeaderFault::Cut)?,
        15 => return Err(HeaderFault::TokenLength),
        short => usize::from(short),
    };
    let token = reader.take(length).ok_or(HeaderFault::Cut)?;
    Ok(Message { exchange, code, token, body_offset: reader.offset(), body: reader.take_rest() })
}

/// The OSCORE option's value (RFC 8613 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OscoreValue<'a> {
    /// Partial IV: 0 to 5 bytes.
    pub partial_iv: Option<&'a [u8]>,
    /// ID context.
    pub kid_context: Option<&'a [u8]>,
    /// Sender ID.
    pub kid: Option<&'a [u8]>,
}

impl<'a> OscoreValue<'a> {
    /// Reads the value; `None` where it departs from §6.1:
    ///
    /// | bytes | field |
    /// |---|---|
    /// | 1 | 3 reserved bits, h: kid context follows, k: kid follows, n (3 bits): length of the partial IV |
    /// | n | partial IV |
    /// | 1 + s | length and kid context, where h is set |
    /// | | kid, where k is set: all the rest |
    ///
    /// An empty value has none of them.
    pub fn read(value: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let Some(flags) = reader.u8() else { return Some(Self::default()) };
        let n = usize::from(flags & 7);
        if flags >> 5 != 0 || n > 5 {
            return None;
        }
        let partial_iv = if n > 0 { Some(reader.take(n)?) } else { None };
        let kid_context = if flags & 0x10 != 0 {
            let length = usize::from(reader.u8()?);
            Some(reader.take(length)?)
        } else {
            None
        };
        let kid = if flags & 8 != 0 { Some(reader.take_rest()) } else { None };
        reader.is_empty().then_some(Self { partial_iv, kid_context, kid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_get_over_udp() {
        let bytes = [0x42, 0x01, 0x12, 0x34, 0xaa, 0xbb, 0xb4, b't', b'i', b'm', b'e'];
        let message = datagram(&bytes).unwrap();
        assert_eq!(message.exchange, Some((MessageType::Confirmable, 0x1234)));
        assert_eq!((message.code, message.token, message.body_offset), (Code::GET, &[0xaa, 0xbb][..], 6));
    }

    #[test]
    fn header_boundaries() {
        assert_eq!(datagram(&[]).unwrap_err(), HeaderFault::Cut);
        assert_eq!(datagram(&[0x40, 1, 2]).unwrap_err(), HeaderFault::Cut);
        assert_eq!(datagram(&[0x41, 1, 2, 3]).unwrap_err(), HeaderFault::Cut);
        assert_eq!(datagram(&[0x80, 1, 2, 3]).unwrap_err(), HeaderFault::Version);
        assert_eq!(datagram(&[0x4f, 1, 2, 3, 4]).unwrap_err(), HeaderFault::TokenLength);
        assert!(datagram(&[0x40, 0, 2, 3]).unwrap().body.is_empty());
    }

    #[test]
    fn an_extended_token() {
        let mut bytes = vec![0x4d, 0x01, 0, 1, 2];
        bytes.extend([7; 15]);
        assert_eq!(datagram(&bytes).unwrap().token, &[7; 15]);
    }

    #[test]
    fn frames_of_every_length_form() {
        assert_eq!(frame(&[0x00, 0xe1]), Ok(Frame { total: 2, prefix: 1 }));
        assert_eq!(frame(&[0x51, 0x01]), Ok(Frame { total: 8, prefix: 1 }));
        assert_eq!(frame(&[0xd0, 0x02, 0x01]), Ok(Frame { total: 18, prefix: 2 }));
        assert_eq!(frame(&[0xe0, 0x00, 0x02, 0x01]), Ok(Frame { total: 275, prefix: 3 }));
        assert_eq!(frame(&[0xf0, 0, 0, 0, 2, 0x01]), Ok(Frame { total: 65_813, prefix: 5 }));
        for (bytes, needed) in [(&[][..], 1), (&[0x00], 2), (&[0xd0], 2), (&[0xe0, 0], 3), (&[0xf0, 0, 0], 5), (&[0x0d, 1], 3)] {
            assert_eq!(frame(bytes), Err(needed), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_oscore_protects() {
        // RFC 8613 Appendix C.4: GET /tv1.
        let message = protected(&[0x01, 0xb3, 0x74, 0x76, 0x31]).unwrap();
        assert_eq!((message.code, message.options().count()), (Code::GET, 1));
        assert_eq!(protected(&[]).unwrap_err(), HeaderFault::Cut);
    }

    #[test]
    fn oscore_values_of_the_specification() {
        // RFC 8613 §6.3, examples 1, 3 and 4.
        let request = OscoreValue::read(&[0x09, 0x05, 0x25]).unwrap();
        assert_eq!((request.partial_iv, request.kid, request.kid_context), (Some(&[5][..]), Some(&[0x25][..]), None));
        let context = OscoreValue::read(&[0x19, 0x05, 0x05, 0x44, 0x61, 0x6c, 0x65, 0x6b]).unwrap();
        assert_eq!((context.kid, context.kid_context), (Some(&[][..]), Some(&[0x44, 0x61, 0x6c, 0x65, 0x6b][..])));
        assert_eq!(OscoreValue::read(&[]), Some(OscoreValue::default()));
        assert_eq!(OscoreValue::read(&[0x01, 0x07]).unwrap().partial_iv, Some(&[7][..]));
        for wrong in [&[0x20, 0][..], &[0x06, 1, 2, 3, 4, 5, 6], &[0x02, 1], &[0x10, 3, 1], &[0x01, 1, 1]] {
            assert_eq!(OscoreValue::read(wrong), None, "{wrong:02x?}");
        }
    }
}
