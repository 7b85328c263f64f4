//! The payload of Sparkplug B (§6.4): the fields that are needed of its Protocol Buffers message.
//!
//! A field is a key (number times 8 plus wire type), then by wire type: 0 a varint, 1 eight bytes, 2 a length and so many bytes, 5 four bytes.

use crate::reader::Reader;

/// A field of a message.
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

fn varint(reader: &mut Reader<'_>) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = reader.u8()?;
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Some(value);
        }
    }
    None
}

fn field<'a>(reader: &mut Reader<'a>) -> Option<(u64, Field<'a>)> {
    let key = varint(reader)?;
    let value = match key & 7 {
        0 => Field::Varint(varint(reader)?),
        1 => Field::Fixed64(reader.u64_le()?),
        2 => {
            let length = usize::try_from(varint(reader)?).ok()?;
            Field::Bytes(reader.take(length)?)
        }
        5 => Field::Fixed32(reader.u32_le()?),
        _ => return None,
    };
    Some((key >> 3, value))
}

/// What a payload says beside its metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Payload {
    /// Milliseconds since 1970 (§6.4.5).
    pub(super) timestamp: Option<u64>,
    /// Sequence number, 0 to 255.
    pub(super) seq: Option<u64>,
}

/// One metric.
#[derive(Clone, Copy, Default)]
pub(super) struct Metric<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) alias: Option<u64>,
    /// Data type number (§6.4.16, table of data types).
    pub(super) datatype: Option<u64>,
    pub(super) value: Option<Number<'a>>,
}

/// The value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number<'a> {
    Whole(u64),
    Float(f64),
    Truth(bool),
    Text(&'a str),
}

/// Reads a payload; each metric is shown. `None`: it is not of this form; what was read before stands.
pub(super) fn payload<'a>(bytes: &'a [u8], mut each: impl FnMut(Metric<'a>)) -> (Payload, Option<()>) {
    let mut reader = Reader::new(bytes);
    let mut payload = Payload::default();
    while !reader.is_empty() {
        match field(&mut reader) {
            Some((1, Field::Varint(timestamp))) => payload.timestamp = Some(timestamp),
            Some((2, Field::Bytes(bytes))) => match metric(bytes) {
                Some(metric) => each(metric),
                None => return (payload, None),
            },
            Some((3, Field::Varint(seq))) => payload.seq = Some(seq),
            Some((4 | 5, Field::Bytes(_))) => {}
            // Fields 1 to 5 have one wire type each; others are extensions (§6.4.4).
            Some((1..=5, _)) | None => return (payload, None),
            Some(_) => {}
        }
    }
    (payload, Some(()))
}

fn metric(bytes: &[u8]) -> Option<Metric<'_>> {
    let mut reader = Reader::new(bytes);
    let mut metric = Metric::default();
    while !reader.is_empty() {
        match field(&mut reader)? {
            (1, Field::Bytes(name)) => metric.name = std::str::from_utf8(name).ok(),
            (2, Field::Varint(alias)) => metric.alias = Some(alias),
            (4, Field::Varint(datatype)) => metric.datatype = Some(datatype),
            (10 | 11, Field::Varint(value)) => metric.value = Some(Number::Whole(value)),
            (12, Field::Fixed32(bits)) => metric.value = Some(Number::Float(f64::from(f32::from_bits(bits)))),
            (13, Field::Fixed64(bits)) => metric.value = Some(Number::Float(f64::from_bits(bits))),
            (14, Field::Varint(value)) => metric.value = Some(Number::Truth(value != 0)),
            (15, Field::Bytes(text)) => metric.value = std::str::from_utf8(text).ok().map(Number::Text),
            _ => {}
        }
    }
    Some(metric)
}
