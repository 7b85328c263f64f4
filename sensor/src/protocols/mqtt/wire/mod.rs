//! The grammar of MQTT control packets over borrowed bytes. Clauses are those of MQTT 5.0 unless another version is named.
//!
//! | byte | meaning |
//! |---|---|
//! | 1 | packet type (high nibble), flags (low nibble) (§2.1.1) |
//! | 2.. | remaining length: variable byte integer, 1 to 4 bytes (§2.1.4) |
//! | then | variable header and payload, as many bytes as the remaining length says |

mod packets;
mod properties;

pub(super) use packets::*;
pub(super) use properties::{Home, Properties, UserProperties};

use super::anomaly;
use crate::observation::Anomalies;
use crate::reader::Reader;
use std::borrow::Cow;

/// Which grammar a flow speaks: that without properties (3.1, 3.1.1) or with (5.0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dialect {
    /// No CONNECT was seen and nothing yet told them apart.
    #[default]
    Unknown,
    /// MQTT 3.1 or 3.1.1.
    V3,
    /// MQTT 5.0.
    V5,
}

/// Control packet types (§2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketType {
    Connect,
    Connack,
    Publish,
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
    Subscribe,
    Suback,
    Unsubscribe,
    Unsuback,
    Pingreq,
    Pingresp,
    Disconnect,
    Auth,
}

impl PacketType {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            1 => Self::Connect,
            2 => Self::Connack,
            3 => Self::Publish,
            4 => Self::Puback,
            5 => Self::Pubrec,
            6 => Self::Pubrel,
            7 => Self::Pubcomp,
            8 => Self::Subscribe,
            9 => Self::Suback,
            10 => Self::Unsubscribe,
            11 => Self::Unsuback,
            12 => Self::Pingreq,
            13 => Self::Pingresp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The flags that the type must have (§2.1.3); `None` for PUBLISH, whose flags carry meaning.
    pub(super) fn required_flags(self) -> Option<u8> {
        match self {
            Self::Publish => None,
            Self::Pubrel | Self::Subscribe | Self::Unsubscribe => Some(0b0010),
            _ => Some(0),
        }
    }
}

/// The fixed header of a control packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct FixedHeader {
    /// `None`: type 0, which no version assigns.
    pub(super) packet_type: Option<PacketType>,
    /// Low nibble of the first byte.
    pub(super) flags: u8,
    /// Bytes of the fixed header: 2 to 5.
    pub(super) length: usize,
    /// Bytes after the fixed header, at most 268,435,455.
    pub(super) remaining: usize,
    /// Whether the remaining length is encoded in the fewest bytes possible.
    pub(super) minimal: bool,
}

impl FixedHeader {
    /// Bytes of the whole packet.
    pub(super) fn total(&self) -> usize {
        self.length + self.remaining
    }

    /// QoS of a PUBLISH: 0 to 2, or 3, which is not allowed (§3.3.1.2).
    pub(super) fn qos(&self) -> u8 {
        (self.flags >> 1) & 3
    }

    /// DUP flag of a PUBLISH (§3.3.1.1).
    pub(super) fn dup(&self) -> bool {
        self.flags & 8 != 0
    }

    /// RETAIN flag of a PUBLISH (§3.3.1.3).
    pub(super) fn retain(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// Why a length cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LengthError {
    /// More bytes are needed.
    Incomplete,
    /// The fourth byte says that another follows (§1.5.5).
    Malformed,
}

/// Reads the fixed header.
#[inline]
pub(super) fn fixed_header(bytes: &[u8]) -> Result<FixedHeader, LengthError> {
    let mut reader = Reader::new(bytes);
    let first = reader.u8().ok_or(LengthError::Incomplete)?;
    let (remaining, minimal) = variable_byte_integer(&mut reader)?;
    Ok(FixedHeader {
        packet_type: PacketType::of(first >> 4),
        flags: first & 15,
        length: reader.offset(),
        remaining: remaining as usize,
        minimal,
    })
}

/// Reads a variable byte integer (§1.5.5) and whether it took the fewest bytes possible.
#[inline]
pub(super) fn variable_byte_integer(reader: &mut Reader<'_>) -> Result<(u32, bool), LengthError> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21] {
        let byte = reader.u8().ok_or(LengthError::Incomplete)?;
        value |= u32::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Ok((value, shift == 0 || byte != 0));
        }
    }
    Err(LengthError::Malformed)
}

/// The part of a packet after its fixed header, and what is odd about it.
pub(super) struct Body<'a> {
    reader: Reader<'a>,
    base: usize,
    /// What departs from the specification so far.
    pub(super) anomalies: Anomalies,
}

impl<'a> Body<'a> {
    /// Over the bytes after the fixed header.
    #[inline]
    pub(super) fn new(header: &FixedHeader, bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), base: header.length, anomalies: Anomalies::default() }
    }

    fn offset(&self) -> usize {
        self.base + self.reader.offset()
    }

    #[inline]
    fn read<T>(&mut self, read: impl FnOnce(&mut Reader<'a>) -> Option<T>) -> Option<T> {
        let value = read(&mut self.reader);
        if value.is_none() {
            self.malformed();
        }
        value
    }

    /// Notes that a field does not fit; what was read before it stands.
    #[cold]
    fn malformed(&mut self) {
        let offset = self.offset();
        if !self.anomalies.iter().any(|anomaly| std::ptr::eq(anomaly.code, &anomaly::MALFORMED)) {
            self.anomalies.push_at(&anomaly::MALFORMED, offset);
        }
        self.reader.take_rest();
    }

    #[inline]
    fn u8(&mut self) -> Option<u8> {
        self.read(Reader::u8)
    }

    #[inline]
    fn u16(&mut self) -> Option<u16> {
        self.read(Reader::u16)
    }

    /// A packet identifier (§2.2.1).
    #[inline]
    fn packet_id(&mut self) -> Option<u16> {
        let offset = self.offset();
        let id = self.u16()?;
        if id == 0 {
            self.anomalies.push_at(&anomaly::PACKET_ID_ZERO, offset);
        }
        Some(id)
    }

    /// Binary data: two bytes of length, then so many bytes (§1.5.6).
    #[inline]
    fn binary(&mut self) -> Option<&'a [u8]> {
        self.read(|reader| {
            let mut ahead = *reader;
            let length = ahead.u16()?;
            let bytes = ahead.take(usize::from(length))?;
            *reader = ahead;
            Some(bytes)
        })
    }

    /// A UTF-8 encoded string (§1.5.4).
    #[inline]
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let offset = self.offset();
        let bytes = self.binary()?;
        Some(text_of(bytes, offset, &mut self.anomalies))
    }

    /// A topic name: a string without wildcards (§4.7.1).
    #[inline]
    fn topic_name(&mut self) -> Option<Cow<'a, str>> {
        let offset = self.offset();
        let topic = self.text()?;
        if memchr::memchr2(b'#', b'+', topic.as_bytes()).is_some() {
            self.anomalies.push_at(&anomaly::WILDCARD_IN_TOPIC, offset);
        }
        Some(topic)
    }

    /// A topic filter (§4.7).
    fn topic_filter(&mut self) -> Option<Cow<'a, str>> {
        let offset = self.offset();
        let filter = self.text()?;
        if !is_topic_filter(&filter) {
            self.anomalies.push_at(&anomaly::INVALID_TOPIC_FILTER, offset);
        }
        Some(filter)
    }

    /// The properties of a packet, or of a will (§2.2.2); none before version 5.
    #[inline]
    fn properties(&mut self, dialect: Dialect, home: Home) -> Properties<'a> {
        if dialect != Dialect::V5 {
            return Properties::default();
        }
        if self.reader.peek_u8() == Some(0) {
            self.reader.skip(1);
            return Properties::default();
        }
        self.some_properties(home)
    }

    fn some_properties(&mut self, home: Home) -> Properties<'a> {
        let offset = self.offset();
        let Ok((length, minimal)) = variable_byte_integer(&mut self.reader) else {
            self.malformed();
            return Properties::default();
        };
        if !minimal {
            self.anomalies.push_at(&anomaly::LENGTH_NOT_MINIMAL, offset);
        }
        let base = self.offset();
        let inside = match self.reader.sub(length as usize) {
            Some(inside) => inside,
            None => {
                self.anomalies.push_at(&anomaly::MALFORMED, offset);
                Reader::new(self.reader.take_rest())
            }
        };
        properties::read(inside, base, home, &mut self.anomalies)
    }

    /// Notes bytes after the last field.
    #[inline]
    fn end(&mut self) {
        if !self.reader.is_empty() {
            let offset = self.offset();
            self.anomalies.push_at(&anomaly::TRAILING_BYTES, offset);
        }
    }
}

/// A string's bytes as text (§1.5.4): ill-formed UTF-8 and U+0000 are noted, and what can be read is kept.
#[inline]
fn text_of<'a>(bytes: &'a [u8], offset: usize, anomalies: &mut Anomalies) -> Cow<'a, str> {
    let text = String::from_utf8_lossy(bytes);
    if matches!(text, Cow::Owned(_)) {
        anomalies.push_at(&anomaly::INVALID_UTF8, offset);
    } else if memchr::memchr(0, bytes).is_some() {
        anomalies.push_at(&anomaly::NUL_IN_STRING, offset);
    }
    text
}

/// Whether `#` stands only as the last level and `+` only as a whole level (§4.7.1), and a shared subscription has its parts (§4.8.2).
pub(super) fn is_topic_filter(filter: &str) -> bool {
    let filter = match filter.strip_prefix("$share/") {
        None => filter,
        Some(shared) => match shared.split_once('/') {
            Some((name, rest)) if !name.is_empty() && !name.contains(['+', '#']) => rest,
            _ => return false,
        },
    };
    let levels = filter.split('/').count();
    !filter.is_empty()
        && filter.split('/').enumerate().all(|(at, level)| match level {
            "#" => at + 1 == levels,
            "+" => true,
            _ => !level.contains(['+', '#']),
        })
}
