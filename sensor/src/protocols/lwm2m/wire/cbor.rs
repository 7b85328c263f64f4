//! CBOR (RFC 8949) as far as LwM2M uses it: one value, SenML (RFC 8428 §6), and LwM2M CBOR (LwM2M Core 1.2 §7.5.5).

use super::super::path::Path;
use super::{DEPTH, Malformed, Raw, Sink, joined};
use crate::reader::Reader;
use std::borrow::Cow;

/// The head of an item: major type and argument (RFC 8949 §3).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Head {
    Unsigned(u64),
    Negative(u64),
    Bytes(Option<u64>),
    Text(Option<u64>),
    Array(Option<u64>),
    Map(Option<u64>),
    Tag,
    Boolean(bool),
    Float(f64),
    Null,
    Break,
}

fn head(reader: &mut Reader<'_>) -> Result<Head, Malformed> {
    let first = reader.u8().ok_or(Malformed)?;
    let (major, low) = (first >> 5, first & 31);
    let argument = match low {
        0..=23 => Some(u64::from(low)),
        24 => Some(u64::from(reader.u8().ok_or(Malformed)?)),
        25 => Some(u64::from(reader.u16().ok_or(Malformed)?)),
        26 => Some(u64::from(reader.u32().ok_or(Malformed)?)),
        27 => Some(reader.u64().ok_or(Malformed)?),
        31 => None,
        _ => return Err(Malformed),
    };
    Ok(match (major, argument) {
        (0, Some(number)) => Head::Unsigned(number),
        (1, Some(number)) => Head::Negative(number),
        (2, length) => Head::Bytes(length),
        (3, length) => Head::Text(length),
        (4, length) => Head::Array(length),
        (5, length) => Head::Map(length),
        (6, Some(_)) => Head::Tag,
        (7, None) => Head::Break,
        (7, Some(bits)) => match low {
            20 => Head::Boolean(false),
            21 => Head::Boolean(true),
            25 => Head::Float(half(bits as u16)),
            26 => Head::Float(f64::from(f32::from_bits(bits as u32))),
            27 => Head::Float(f64::from_bits(bits)),
            _ => Head::Null,
        },
        _ => return Err(Malformed),
    })
}

/// A half-precision number (RFC 8949 Appendix D).
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 31);
    let mantissa = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits & 0x8000 != 0 { -magnitude } else { magnitude }
}

fn string<'a>(reader: &mut Reader<'a>, length: Option<u64>) -> Result<&'a [u8], Malformed> {
    // Strings of unknown length come in pieces; no LwM2M device was seen to send them.
    let length = length.and_then(|length| usize::try_from(length).ok()).ok_or(Malformed)?;
    reader.take(length).ok_or(Malformed)
}

fn text<'a>(reader: &mut Reader<'a>, length: Option<u64>) -> Result<&'a str, Malformed> {
    std::str::from_utf8(string(reader, length)?).map_err(|_| Malformed)
}

/// A value that is neither array nor map; `None` for those.
fn scalar<'a>(reader: &mut Reader<'a>, head: Head) -> Result<Option<Raw<'a>>, Malformed> {
    Ok(Some(match head {
        Head::Unsigned(number) => i64::try_from(number).map_or(Raw::Float(number as f64), Raw::Integer),
        Head::Negative(number) => {
            i64::try_from(number).map_or(Raw::Float(-1.0 - number as f64), |number| Raw::Integer(-1 - number))
        }
        Head::Bytes(length) => Raw::Opaque(Cow::Borrowed(string(reader, length)?)),
        Head::Text(length) => Raw::Text(text(reader, length)?.into()),
        Head::Boolean(value) => Raw::Boolean(value),
        Head::Float(value) => Raw::Float(value),
        Head::Null => Raw::Nothing,
        Head::Array(_) | Head::Map(_) | Head::Tag | Head::Break => return Ok(None),
    }))
}

fn untagged(reader: &mut Reader<'_>) -> Result<Head, Malformed> {
    for _ in 0..=DEPTH {
        match head(reader)? {
            Head::Tag => {}
            head => return Ok(head),
        }
    }
    Err(Malformed)
}

/// Steps over an item.
fn skip(reader: &mut Reader<'_>, depth: u8) -> Result<(), Malformed> {
    if depth > DEPTH {
        return Err(Malformed);
    }
    let head = untagged(reader)?;
    match head {
        Head::Array(length) => each(reader, length, |reader| skip(reader, depth + 1)),
        Head::Map(length) => each(reader, length, |reader| skip(reader, depth + 1).and_then(|()| skip(reader, depth + 1))),
        _ => scalar(reader, head)?.map(drop).ok_or(Malformed),
    }
}

/// Goes over the items of an array or the pairs of a map.
fn each<'a>(
    reader: &mut Reader<'a>,
    length: Option<u64>,
    mut item: impl FnMut(&mut Reader<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    match length {
        Some(length) => {
            // Every item takes at least a byte, so a forged length ends at the end of the payload.
            for _ in 0..length {
                item(reader)?;
            }
        }
        None => {
            while reader.peek_u8().ok_or(Malformed)? != 0xff {
                item(reader)?;
            }
            reader.skip(1);
        }
    }
    Ok(())
}

/// One value.
pub(super) fn single<'a>(base: Path, payload: &'a [u8], sink: &mut Sink<'_, 'a>) -> Result<(), Malformed> {
    let mut reader = Reader::new(payload);
    let head = untagged(&mut reader)?;
    let value = scalar(&mut reader, head)?.ok_or(Malformed)?;
    sink(base, value);
    if reader.is_empty() { Ok(()) } else { Err(Malformed) }
}

/// SenML: an array of maps whose labels are numbers (RFC 8428 §6, Table 4).
pub(super) fn senml<'a>(payload: &'a [u8], sink: &mut Sink<'_, 'a>) -> Result<(), Malformed> {
    let mut reader = Reader::new(payload);
    let Head::Array(length) = untagged(&mut reader)? else { return Err(Malformed) };
    let mut base = "";
    each(&mut reader, length, |reader| {
        let Head::Map(length) = untagged(reader)? else { return Err(Malformed) };
        let (mut name, mut value) = ("", Raw::Nothing);
        each(reader, length, |reader| {
            let label = match untagged(reader)? {
                Head::Unsigned(number) => i64::try_from(number).map_err(|_| Malformed)?,
                Head::Negative(number) => -1 - i64::try_from(number).map_err(|_| Malformed)?,
                // `vlo`, an object link, has no number.
                Head::Text(length) => i64::from(text(reader, length)? == "vlo") * OBJECT_LINK,
                _ => return Err(Malformed),
            };
            let ahead = &mut reader.clone();
            match (label, untagged(ahead)?) {
                (-2, Head::Text(length)) => base = text(ahead, length)?,
                (0, Head::Text(length)) => name = text(ahead, length)?,
                (2 | 3 | 4 | 8 | OBJECT_LINK, head) => value = scalar(ahead, head)?.ok_or(Malformed)?,
                _ => return skip(reader, 0),
            }
            *reader = *ahead;
            Ok(())
        })?;
        if let Some(path) = joined(base, name) {
            sink(path, value);
        }
        Ok(())
    })
}

/// Stands for the label `vlo` (LwM2M Core 1.1 §7.4.4).
const OBJECT_LINK: i64 = 1_000;

/// LwM2M CBOR: maps whose keys are identifiers, or arrays of them; nested maps go down the path.
pub(super) fn lwm2m<'a>(base: Path, payload: &'a [u8], sink: &mut Sink<'_, 'a>) -> Result<(), Malformed> {
    let mut reader = Reader::new(payload);
    let head = untagged(&mut reader)?;
    let root = if matches!(head, Head::Map(_)) { Path::ROOT } else { base };
    lwm2m_item(&mut reader, head, root, 0, sink)
}

fn lwm2m_item<'a>(reader: &mut Reader<'a>, head: Head, at: Path, depth: u8, sink: &mut Sink<'_, 'a>) -> Result<(), Malformed> {
    if depth > DEPTH {
        return Err(Malformed);
    }
    let Head::Map(length) = head else {
        let value = scalar(reader, head)?.ok_or(Malformed)?;
        sink(at, value);
        return Ok(());
    };
    each(reader, length, |reader| {
        let mut below = at;
        let mut down = |id: u64| {
            below = below.child(u16::try_from(id).map_err(|_| Malformed)?).ok_or(Malformed)?;
            Ok(())
        };
        match untagged(reader)? {
            Head::Unsigned(id) => down(id)?,
            Head::Array(length) => each(reader, length, |reader| match untagged(reader)? {
                Head::Unsigned(id) => down(id),
                _ => Err(Malformed),
            })?,
            _ => return Err(Malformed),
        }
        let head = untagged(reader)?;
        lwm2m_item(reader, head, below, depth + 1, sink)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Vec<(String, String)>;

    fn collect<'a>(run: impl FnOnce(&mut Sink<'_, 'a>) -> Result<(), Malformed>) -> (Found, Result<(), Malformed>) {
        let mut found = Vec::new();
        let result = run(&mut |path, raw| found.push((path.text().as_str().to_owned(), format!("{raw:?}"))));
        (found, result)
    }

    fn pair(path: &str, value: &str) -> (String, String) {
        (path.to_owned(), value.to_owned())
    }

    #[test]
    fn one_value_of_each_kind() {
        let base = Path::parse("/3/0/9").unwrap();
        for (bytes, value) in [
            (&[0x18, 0x64][..], "Integer(100)"),
            (&[0x38, 0x63], "Integer(-100)"),
            (&[0xf9, 0x4d, 0x60], "Float(21.5)"),
            (&[0xfa, 0x41, 0xac, 0, 0], "Float(21.5)"),
            (&[0xfb, 0x40, 0x35, 0x80, 0, 0, 0, 0, 0], "Float(21.5)"),
            (&[0xf5], "Boolean(true)"),
            (&[0x61, b'a'], "Text(\"a\")"),
            (&[0xc1, 0x1a, 0, 0, 0, 5], "Integer(5)"),
            (&[0x41, 7], "Opaque([7])"),
        ] {
            assert_eq!(collect(|sink| single(base, bytes, sink)), (vec![pair("/3/0/9", value)], Ok(())));
        }
        for bytes in [&[0x80][..], &[0x62, b'a'], &[0x1c], &[0xff], &[0x01, 0x01], &[0x7f]] {
            assert!(collect(|sink| single(base, bytes, sink)).1.is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn senml_with_a_base_name() {
        // [{-2: "/3/0/", 0: "0", 3: "OMA"}, {0: "9", 2: 95, 6: 1}, {0: "22", "vlo": "1:0"}]
        let bytes = [
            &[0x83, 0xa3, 0x21, 0x65][..],
            b"/3/0/",
            &[0x00, 0x61, b'0', 0x03, 0x63],
            b"OMA",
            &[0xa3, 0x00, 0x61, b'9', 0x02, 0x18, 95, 0x06, 0x01],
            &[0xa2, 0x00, 0x62, b'2', b'2', 0x63],
            b"vlo",
            &[0x63],
            b"1:0",
        ]
        .concat();
        let expected = vec![pair("/3/0/0", "Text(\"OMA\")"), pair("/3/0/9", "Integer(95)"), pair("/3/0/22", "Text(\"1:0\")")];
        assert_eq!(collect(|sink| senml(&bytes, sink)), (expected, Ok(())));
    }

    #[test]
    fn lwm2m_cbor_nests_and_joins_keys() {
        // {3: {0: {0: "A"}}, [6, 0, 1]: 5}
        let bytes = [0xa2, 3, 0xa1, 0, 0xa1, 0, 0x61, b'A', 0x83, 6, 0, 1, 5];
        let expected = vec![pair("/3/0/0", "Text(\"A\")"), pair("/6/0/1", "Integer(5)")];
        assert_eq!(collect(|sink| lwm2m(Path::ROOT, &bytes, sink)), (expected, Ok(())));
    }

    #[test]
    fn deep_nesting_and_forged_lengths_end() {
        let deep = [0xa1, 0].repeat(40);
        assert!(collect(|sink| lwm2m(Path::ROOT, &deep, sink)).1.is_err());
        assert!(collect(|sink| senml(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xa0], sink)).1.is_err());
        assert!(collect(|sink| senml(&[0xc1; 30], sink)).1.is_err());
    }
}
