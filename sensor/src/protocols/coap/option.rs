//! Options: their numbers, names and formats, and the delta-coded list in which they stand (RFC 7252 §3.1, §5.4).

use crate::reader::Reader;

/// If-Match (RFC 7252 §5.10.8.1).
pub const IF_MATCH: u16 = 1;
/// Uri-Host (RFC 7252 §5.10.1).
pub const URI_HOST: u16 = 3;
/// ETag (RFC 7252 §5.10.6).
pub const ETAG: u16 = 4;
/// If-None-Match (RFC 7252 §5.10.8.2).
pub const IF_NONE_MATCH: u16 = 5;
/// Observe (RFC 7641 §2).
pub const OBSERVE: u16 = 6;
/// Uri-Port (RFC 7252 §5.10.1).
pub const URI_PORT: u16 = 7;
/// Location-Path (RFC 7252 §5.10.7).
pub const LOCATION_PATH: u16 = 8;
/// OSCORE (RFC 8613 §2).
pub const OSCORE: u16 = 9;
/// Uri-Path (RFC 7252 §5.10.1).
pub const URI_PATH: u16 = 11;
/// Content-Format (RFC 7252 §5.10.3).
pub const CONTENT_FORMAT: u16 = 12;
/// Max-Age (RFC 7252 §5.10.5).
pub const MAX_AGE: u16 = 14;
/// Uri-Query (RFC 7252 §5.10.1).
pub const URI_QUERY: u16 = 15;
/// Hop-Limit (RFC 8768 §3).
pub const HOP_LIMIT: u16 = 16;
/// Accept (RFC 7252 §5.10.4).
pub const ACCEPT: u16 = 17;
/// Q-Block1 (RFC 9177 §4.1).
pub const Q_BLOCK1: u16 = 19;
/// Location-Query (RFC 7252 §5.10.7).
pub const LOCATION_QUERY: u16 = 20;
/// EDHOC (RFC 9668 §3.1).
pub const EDHOC: u16 = 21;
/// Block2 (RFC 7959 §2.1).
pub const BLOCK2: u16 = 23;
/// Block1 (RFC 7959 §2.1).
pub const BLOCK1: u16 = 27;
/// Size2 (RFC 7959 §4).
pub const SIZE2: u16 = 28;
/// Q-Block2 (RFC 9177 §4.1).
pub const Q_BLOCK2: u16 = 31;
/// Proxy-Uri (RFC 7252 §5.10.2).
pub const PROXY_URI: u16 = 35;
/// Proxy-Scheme (RFC 7252 §5.10.2).
pub const PROXY_SCHEME: u16 = 39;
/// Size1 (RFC 7959 §4).
pub const SIZE1: u16 = 60;
/// Echo (RFC 9175 §2.2).
pub const ECHO: u16 = 252;
/// No-Response (RFC 7967 §2).
pub const NO_RESPONSE: u16 = 258;
/// Request-Tag (RFC 9175 §3.2).
pub const REQUEST_TAG: u16 = 292;

/// How an option's value is read (RFC 7252 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// No value.
    Empty,
    /// Bytes.
    Opaque,
    /// A number without leading zero bytes.
    Uint,
    /// UTF-8 text.
    Text,
}

/// Where an option may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In requests.
    Request,
    /// In responses.
    Response,
    /// In both.
    Both,
}

/// What is known of an option number.
#[derive(Debug)]
pub struct OptionSpec {
    /// Its number.
    pub number: u16,
    /// Its registered name.
    pub name: &'static str,
    /// How its value is read.
    pub format: Format,
    /// Shortest value, bytes.
    pub min: usize,
    /// Longest value, bytes.
    pub max: usize,
    /// Whether it may stand more than once.
    pub repeatable: bool,
    /// Where it may stand.
    pub place: Place,
}

macro_rules! options {
    ($($number:ident $name:literal $format:ident $min:literal..=$max:literal $repeatable:literal $place:ident;)*) => {
        &[$(OptionSpec {
            number: $number,
            name: $name,
            format: Format::$format,
            min: $min,
            max: $max,
            repeatable: $repeatable,
            place: Place::$place,
        },)*]
    };
}

/// The options that are read, by number.
pub static OPTIONS: &[OptionSpec] = options! {
    IF_MATCH "If-Match" Opaque 0..=8 true Request;
    URI_HOST "Uri-Host" Text 1..=255 false Request;
    ETAG "ETag" Opaque 1..=8 true Both;
    IF_NONE_MATCH "If-None-Match" Empty 0..=0 false Request;
    OBSERVE "Observe" Uint 0..=3 false Both;
    URI_PORT "Uri-Port" Uint 0..=2 false Request;
    LOCATION_PATH "Location-Path" Text 0..=255 true Response;
    OSCORE "OSCORE" Opaque 0..=255 false Both;
    URI_PATH "Uri-Path" Text 0..=255 true Request;
    CONTENT_FORMAT "Content-Format" Uint 0..=2 false Both;
    MAX_AGE "Max-Age" Uint 0..=4 false Both;
    URI_QUERY "Uri-Query" Text 0..=255 true Request;
    HOP_LIMIT "Hop-Limit" Uint 1..=1 false Request;
    ACCEPT "Accept" Uint 0..=2 false Request;
    Q_BLOCK1 "Q-Block1" Uint 0..=3 false Both;
    LOCATION_QUERY "Location-Query" Text 0..=255 true Response;
    EDHOC "EDHOC" Empty 0..=0 false Request;
    BLOCK2 "Block2" Uint 0..=3 false Both;
    BLOCK1 "Block1" Uint 0..=3 false Both;
    SIZE2 "Size2" Uint 0..=4 false Both;
    Q_BLOCK2 "Q-Block2" Uint 0..=3 true Both;
    PROXY_URI "Proxy-Uri" Text 1..=1034 false Request;
    PROXY_SCHEME "Proxy-Scheme" Text 1..=255 false Request;
    SIZE1 "Size1" Uint 0..=4 false Both;
    ECHO "Echo" Opaque 1..=40 false Both;
    NO_RESPONSE "No-Response" Uint 0..=1 false Request;
    REQUEST_TAG "Request-Tag" Opaque 0..=8 true Request;
};

/// What is known of an option number.
pub fn option_spec(number: u16) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|spec| spec.number == number)
}

/// Whether a receiver that does not know the option must refuse the message (RFC 7252 §5.4.6).
pub fn is_critical(number: u16) -> bool {
    number & 1 == 1
}

/// One option as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawOption<'a> {
    /// Its number.
    pub number: u16,
    /// Its value.
    pub value: &'a [u8],
    /// Offset of its first byte within the list of options.
    pub offset: usize,
}

/// Why a list of options cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionFault {
    /// The message ends within an option.
    Cut,
    /// A delta or length nibble of 15 (RFC 7252 §3.1).
    Reserved,
    /// The deltas add up to more than 65,535.
    NumberOverflow,
}

/// Walks the options of a message:
///
/// | bits | field |
/// |---|---|
/// | 4 | delta to the previous option's number; 13 and 14: one or two bytes follow |
/// | 4 | length of the value; 13 and 14 as above |
/// | | extended delta, extended length, value |
///
/// The walk ends at the payload marker 0xFF or at the end of the message.
#[derive(Clone, Copy, Debug)]
pub struct OptionWalk<'a> {
    reader: Reader<'a>,
    number: u16,
    ended: bool,
    marker: bool,
}

/// The byte between options and payload (RFC 7252 §3).
pub const PAYLOAD_MARKER: u8 = 0xff;

impl<'a> OptionWalk<'a> {
    /// Starts at the first byte after the token.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), number: 0, ended: false, marker: false }
    }

    /// What follows the options, once the walk has ended without fault, and whether a payload marker stood before it.
    pub fn payload(&self) -> (&'a [u8], bool) {
        (self.reader.peek_rest(), self.marker)
    }

    fn extended(reader: &mut Reader<'a>, nibble: u8) -> Result<u32, OptionFault> {
        match nibble {
            13 => reader.u8().map(|more| u32::from(more) + 13).ok_or(OptionFault::Cut),
            14 => reader.u16().map(|more| u32::from(more) + 269).ok_or(OptionFault::Cut),
            15 => Err(OptionFault::Reserved),
            short => Ok(u32::from(short)),
        }
    }

    fn option(&mut self) -> Result<Option<RawOption<'a>>, OptionFault> {
        let offset = self.reader.offset();
        let Some(first) = self.reader.u8() else { return Ok(None) };
        if first == PAYLOAD_MARKER {
            self.marker = true;
            return Ok(None);
        }
        let delta = Self::extended(&mut self.reader, first >> 4)?;
        let length = Self::extended(&mut self.reader, first & 15)?;
        let number = u32::from(self.number) + delta;
        self.number = u16::try_from(number).map_err(|_| OptionFault::NumberOverflow)?;
        let value = self.reader.take(length as usize).ok_or(OptionFault::Cut)?;
        Ok(Some(RawOption { number: self.number, value, offset }))
    }
}

impl<'a> Iterator for OptionWalk<'a> {
    type Item = Result<RawOption<'a>, (OptionFault, usize)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let offset = self.reader.offset();
        match self.option() {
            Ok(Some(option)) => Some(Ok(option)),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(fault) => {
                self.ended = true;
                Some(Err((fault, offset)))
            }
        }
    }
}

/// A number of up to four bytes, most significant first; no byte at all is 0 (RFC 7252 §3.2). Longer values answer `None`.
pub fn uint(value: &[u8]) -> Option<u32> {
    if value.len() > 4 {
        return None;
    }
    Some(value.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}

/// The value of a block option (RFC 7959 §2.2): NUM, M, SZX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockValue {
    /// Number of the block, counted in blocks of this size.
    pub num: u32,
    /// Whether more blocks follow.
    pub more: bool,
    /// Exponent: the size is 2^(szx + 4) bytes; 7 is reserved over UDP and means several blocks of 1,024 over reliable transports (RFC 8323 §6).
    pub szx: u8,
}

impl BlockValue {
    /// Reads an option's value.
    pub fn read(value: &[u8]) -> Option<Self> {
        if value.len() > 3 {
            return None;
        }
        let number = uint(value)?;
        Some(Self { num: number >> 4, more: number & 8 != 0, szx: (number & 7) as u8 })
    }

    /// Bytes in a block; 1,024 for the reserved exponent.
    pub fn size(self) -> u32 {
        1 << (self.szx.min(6) + 4)
    }

    /// Where the block begins in the body. At most 2^20 blocks of 1,024 bytes fit the option.
    pub fn offset(self) -> usize {
        self.num as usize * self.size() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ordered_and_within_the_registry() {
        assert!(OPTIONS.windows(2).all(|pair| pair[0].number < pair[1].number));
        assert_eq!(option_spec(11).unwrap().name, "Uri-Path");
        assert!(option_spec(10).is_none() && is_critical(11) && !is_critical(12));
    }

    #[test]
    fn extended_deltas_and_lengths() {
        // Uri-Path "a" (11), then Size1 (60 = 11 + 13 + 36), then Request-Tag (292 = 60 + 232) of 0 bytes, then payload.
        let bytes = [0xb1, b'a', 0xd1, 36, 7, 0xd0, 219, 0xff, 1, 2];
        let mut walk = OptionWalk::new(&bytes);
        let found: Vec<_> = walk.by_ref().map(|option| option.map(|o| (o.number, o.value.len(), o.offset))).collect();
        assert_eq!(found, [Ok((11, 1, 0)), Ok((60, 1, 2)), Ok((292, 0, 5))]);
        assert_eq!(walk.payload(), (&[1, 2][..], true));
    }

    #[test]
    fn two_byte_extensions() {
        let mut bytes = vec![0xee, 0x00, 0x01, 0x00, 0x00];
        bytes.extend([0x55; 269]);
        let found: Vec<_> = OptionWalk::new(&bytes).map(|option| option.map(|o| (o.number, o.value.len()))).collect();
        assert_eq!(found, [Ok((270, 269))]);
    }

    #[test]
    fn faults_end_the_walk() {
        for (bytes, fault) in [
            (&[0xb2, b'a'][..], OptionFault::Cut),
            (&[0xd0], OptionFault::Cut),
            (&[0xf0], OptionFault::Reserved),
            (&[0x0f], OptionFault::Reserved),
            (&[0xe0, 0xff, 0xff], OptionFault::NumberOverflow),
        ] {
            let found: Vec<_> = OptionWalk::new(bytes).collect();
            assert_eq!(found, [Err((fault, 0))], "{bytes:02x?}");
        }
    }

    #[test]
    fn block_values() {
        assert_eq!(BlockValue::read(&[]), Some(BlockValue { num: 0, more: false, szx: 0 }));
        let block = BlockValue::read(&[0x01, 0x2e]).unwrap();
        assert_eq!((block.num, block.more, block.size(), block.offset()), (18, true, 1024, 18 * 1024));
        assert_eq!(BlockValue::read(&[1, 2, 3, 4]), None);
    }
}
