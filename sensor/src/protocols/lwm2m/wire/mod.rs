//! The formats of LwM2M payloads (LwM2M Core 1.1 §7.4, LwM2M Core 1.2 §7.5), each turned into values with paths.

use super::path::Path;
use std::borrow::Cow;

mod cbor;
mod json;
mod tlv;

/// Largest document that is taken apart: a device's whole data model in SenML JSON is a few kilobytes. JSON takes some ten times its size in memory.
pub const DOCUMENT: usize = 65_536;

/// Nesting that is followed: the data model has four levels, and CBOR may add an array and a map.
const DEPTH: u8 = 6;

/// A value as it stands in the payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw<'a> {
    /// Bytes whose type only the data model tells (TLV).
    Untyped(&'a [u8]),
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Bytes.
    Opaque(Cow<'a, [u8]>),
    /// A path without a value: what is to be read or removed.
    Nothing,
}

/// How a payload is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One value as text (content format 0, and where none is given).
    PlainText,
    /// One value as bytes (42).
    Opaque,
    /// One value in CBOR (60).
    Cbor,
    /// SenML in JSON (110), and its form for FETCH and PATCH (320).
    SenmlJson,
    /// SenML in CBOR (112), and its form for FETCH and PATCH (322).
    SenmlCbor,
    /// LwM2M TLV (11542; 1542 before it was registered).
    Tlv,
    /// LwM2M JSON of version 1.0 (11543; 1543 before it was registered).
    Json,
    /// LwM2M CBOR of version 1.2 (11544).
    Lwm2mCbor,
}

impl Format {
    /// From a content format's number.
    pub fn of(number: Option<u16>) -> Option<Self> {
        Some(match number {
            None | Some(0) => Format::PlainText,
            Some(42) => Format::Opaque,
            Some(60) => Format::Cbor,
            Some(110 | 320) => Format::SenmlJson,
            Some(112 | 322) => Format::SenmlCbor,
            Some(11_542 | 1_542) => Format::Tlv,
            Some(11_543 | 1_543) => Format::Json,
            Some(11_544) => Format::Lwm2mCbor,
            Some(_) => return None,
        })
    }

    /// Whether it belongs to LwM2M alone.
    pub fn is_own(self) -> bool {
        matches!(self, Format::Tlv | Format::Json | Format::Lwm2mCbor)
    }

    /// Whether it names its values by whole paths, so that the request's path is not needed.
    pub fn names_paths(self) -> bool {
        matches!(self, Format::SenmlJson | Format::SenmlCbor | Format::Lwm2mCbor | Format::Json)
    }
}

/// A payload that does not follow its format; what came before was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Where values go, one at a time.
pub type Sink<'s, 'a> = dyn FnMut(Path, Raw<'a>) + 's;

/// Reads the values of a payload. `base` is the path that was asked for or written to.
pub fn values<'a>(format: Format, base: Path, payload: &'a [u8], sink: &mut Sink<'_, 'a>) -> Result<(), Malformed> {
    if payload.is_empty() {
        return Ok(());
    }
    match format {
        Format::PlainText => {
            let text = std::str::from_utf8(payload).map_err(|_| Malformed)?;
            sink(base, Raw::Text(text.into()));
            Ok(())
        }
        Format::Opaque => {
            sink(base, Raw::Opaque(payload.into()));
            Ok(())
        }
        Format::Cbor => cbor::single(base, payload, sink),
        Format::Tlv => tlv::values(base, payload, sink),
        _ if payload.len() > DOCUMENT => Err(Malformed),
        Format::SenmlCbor => cbor::senml(payload, sink),
        Format::Lwm2mCbor => cbor::lwm2m(base, payload, sink),
        Format::SenmlJson => json::senml(payload, sink),
        Format::Json => json::lwm2m(base, payload, sink),
    }
}

/// A SenML name: base name and name together are a path (RFC 8428 §4.5.1).
fn joined(base: &str, name: &str) -> Option<Path> {
    if name.is_empty() {
        return Path::parse(base.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(base));
    }
    if base.is_empty() {
        return Path::parse(name);
    }
    let mut whole = String::with_capacity(base.len() + name.len());
    whole.push_str(base);
    whole.push_str(name);
    Path::parse(&whole)
}
