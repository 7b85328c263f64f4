//! Values as records show them, and what facts take from them. Secrets are parted from the rest here.

use super::path::Path;
use super::record::Value;
use super::resource::{self, Secrecy, Type};
use super::wire::{self, Format, Malformed, Raw};
use crate::observation::Hex;
use crate::reader::Reader;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Values that one record shows.
pub const VALUES: usize = 64;

/// Untyped bytes up to this length are shown: they are numbers and flags. Longer ones could be keys.
const SHORT: usize = 8;

/// A value with its meaning.
#[derive(Clone)]
pub struct Item<'a> {
    /// Where it is.
    pub path: Path,
    /// Its type, where it is known.
    pub ty: Option<Type>,
    /// How it is secret.
    pub secrecy: Option<Secrecy>,
    /// As it was sent.
    raw: Raw<'a>,
}

/// The values of one message.
#[derive(Default)]
pub struct Items<'a> {
    /// The first [`VALUES`] of them.
    pub list: SmallVec<[Item<'a>; 2]>,
    /// How many there were.
    pub total: u32,
    /// Whether the payload departed from its format.
    pub malformed: bool,
}

impl<'a> Items<'a> {
    /// Reads a payload.
    pub fn read(format: Option<Format>, base: Path, payload: &'a [u8]) -> Self {
        let mut items = Self::default();
        let Some(format) = format else { return items };
        let result = wire::values(format, base, payload, &mut |path, raw| {
            items.total += 1;
            if items.list.len() < VALUES {
                items.list.push(Item { path, ty: resource::type_of(path), secrecy: resource::secrecy(path), raw });
            }
        });
        items.malformed = result == Err(Malformed);
        items
    }

    /// The value at a path of these numbers.
    pub fn at(&self, object: u16, resource: u16) -> impl Iterator<Item = &Item<'a>> {
        self.list.iter().filter(move |item| item.path.object() == Some(object) && item.path.resource() == Some(resource))
    }

    /// As records show them.
    pub fn shown(&self) -> Vec<Value<'_>> {
        self.list.iter().map(Item::shown).collect()
    }

    /// Values beyond [`VALUES`].
    pub fn dropped(&self) -> u64 {
        u64::from(self.total).saturating_sub(self.list.len() as u64)
    }
}

impl Item<'_> {
    /// The bytes of a secret.
    pub fn bytes(&self) -> &[u8] {
        match &self.raw {
            Raw::Untyped(bytes) => bytes,
            Raw::Opaque(bytes) => bytes,
            Raw::Text(text) => text.as_bytes(),
            _ => &[],
        }
    }

    /// The text of a value that is no secret.
    pub fn text(&self) -> Option<&str> {
        if self.secrecy.is_some() {
            return None;
        }
        match &self.raw {
            Raw::Text(text) => Some(text),
            Raw::Untyped(bytes) => std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control)),
            _ => None,
        }
    }

    /// The number of a value that is no secret.
    pub fn number(&self) -> Option<f64> {
        if self.secrecy.is_some() {
            return None;
        }
        match (&self.raw, self.ty) {
            (Raw::Integer(number), _) => Some(*number as f64),
            (Raw::Float(number), _) => Some(*number),
            (Raw::Boolean(value), _) => Some(f64::from(u8::from(*value))),
            (Raw::Text(text), Some(Type::Integer | Type::Float | Type::Time | Type::Boolean)) => text.trim().parse().ok(),
            (Raw::Untyped(bytes), Some(Type::Float)) => float(bytes).or_else(|| std::str::from_utf8(bytes).ok()?.parse().ok()),
            (Raw::Untyped(bytes), Some(Type::Integer | Type::Time | Type::Boolean)) => integer(bytes).map(|number| number as f64),
            _ => None,
        }
        .filter(|number| number.is_finite())
    }

    fn length(&self) -> u32 {
        u32::try_from(self.bytes().len()).unwrap_or(u32::MAX)
    }

    fn shown(&self) -> Value<'_> {
        let mut shown = Value {
            path: self.path.text(),
            value_type: self.ty.map_or("untyped", Type::name),
            value: None,
            number: None,
            bytes: None,
            length: self.length(),
            secret: None,
        };
        if self.secrecy.is_some() {
            shown.secret = Some(true);
            return shown;
        }
        shown.number = self.number();
        let told = resource::may_be_told(self.path);
        match (&self.raw, self.ty) {
            (Raw::Nothing, _) => shown.value_type = "none",
            (Raw::Boolean(value), _) => {
                shown.value_type = Type::Boolean.name();
                shown.value = Some(Cow::Borrowed(if *value { "true" } else { "false" }));
            }
            (Raw::Integer(number), ty) => {
                shown.value_type = ty.filter(|ty| matches!(ty, Type::Time | Type::Float)).unwrap_or(Type::Integer).name();
                shown.value = Some(number.to_string().into());
            }
            (Raw::Float(number), _) => {
                shown.value_type = Type::Float.name();
                shown.value = Some(number.to_string().into());
            }
            (Raw::Opaque(_), _) => shown.value_type = Type::Opaque.name(),
            (Raw::Text(text), ty) => {
                shown.value_type = ty.unwrap_or(Type::String).name();
                shown.value = told.then_some(Cow::Borrowed(text.as_ref()));
            }
            (Raw::Untyped(bytes), Some(Type::ObjectLink)) => shown.value = object_link(bytes),
            (Raw::Untyped(_), Some(Type::Boolean)) => {
                shown.value = shown.number.map(|number| Cow::Borrowed(if number == 0.0 { "false" } else { "true" }));
            }
            (Raw::Untyped(_), Some(Type::Integer | Type::Float | Type::Time)) => {
                shown.value = shown.number.map(|number| number.to_string().into());
            }
            (Raw::Untyped(_), Some(Type::String)) => shown.value = self.text().filter(|_| told).map(Cow::Borrowed),
            (Raw::Untyped(_), Some(Type::Opaque)) => {}
            (Raw::Untyped(bytes), None) => {
                shown.bytes = (bytes.len() <= SHORT && told).then_some(Hex(bytes));
                shown.value = self.text().filter(|text| told && !text.is_empty()).map(Cow::Borrowed);
            }
        }
        shown
    }
}

/// A signed number of 1, 2, 4 or 8 bytes, most significant first (LwM2M Core 1.1 Appendix C).
fn integer(bytes: &[u8]) -> Option<i64> {
    let mut reader = Reader::new(bytes);
    match bytes.len() {
        1 => reader.array().map(|bytes| i64::from(i8::from_be_bytes(bytes))),
        2 => reader.array().map(|bytes| i64::from(i16::from_be_bytes(bytes))),
        4 => reader.array().map(|bytes| i64::from(i32::from_be_bytes(bytes))),
        8 => reader.array().map(i64::from_be_bytes),
        _ => None,
    }
}

fn float(bytes: &[u8]) -> Option<f64> {
    let mut reader = Reader::new(bytes);
    match bytes.len() {
        4 => reader.array().map(|bytes| f64::from(f32::from_be_bytes(bytes))),
        8 => reader.array().map(f64::from_be_bytes),
        _ => None,
    }
}

fn object_link(bytes: &[u8]) -> Option<Cow<'static, str>> {
    let mut reader = Reader::new(bytes);
    let (object, instance) = (reader.u16()?, reader.u16()?);
    reader.is_empty().then(|| format!("{object}:{instance}").into())
}
