//! Records: the typed fields of one message or exchange.
//!
//! A record is declared once, with [`record!`](crate::record): the declaration is its JSON, the fields that rules may name, their check when
//! a rule is loaded, `citytap schema` and the documentation. Fields are append-only.

use serde::{Serialize, Serializer};
use std::net::IpAddr;

/// What one kind of record is, as `citytap schema` tells it.
#[derive(Debug)]
pub struct RecordKind {
    /// Hash of [`RecordKind::name`]: equal names have equal ids. A test holds them apart.
    pub id: KindId,
    /// `<protocol>.<kind>`, as in `modbus.request`.
    pub name: &'static str,
    /// What it describes.
    pub doc: &'static str,
    /// Its fields in the order of the JSON.
    pub fields: &'static [FieldSpec],
}

impl RecordKind {
    /// The protocol's name: the part before the dot.
    pub fn protocol(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(protocol, _)| protocol)
    }

    /// Finds a field by its name within the protocol (`unit_id`, or `commands.name` inside a list of parts).
    pub fn field(&self, name: &str) -> Option<(FieldId, &'static FieldSpec)> {
        let (outer, inner) = name.split_once('.').map_or((name, None), |(outer, inner)| (outer, Some(inner)));
        let index = self.fields.iter().position(|field| field.name == outer)?;
        let field = self.fields.get(index)?;
        let Some(inner) = inner else {
            return Some((FieldId { index: index as u8, part: None }, field));
        };
        let part = field.ty.parts()?.iter().position(|part| part.name == inner)?;
        Some((FieldId { index: index as u8, part: Some(part as u8) }, field.ty.parts()?.get(part)?))
    }
}

/// A record kind's number: a hash of its name, so that tables by kind need no string comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindId(pub u32);

impl KindId {
    /// FNV-1a over the name.
    pub const fn of(name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut hash = 0x811c_9dc5_u32;
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
            at += 1;
        }
        Self(hash)
    }
}

/// A field of a record kind: its position, and within a list of parts the part's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldId {
    /// Position among the record's fields.
    pub index: u8,
    /// Position among the part's fields.
    pub part: Option<u8>,
}

/// One field as rules and the schema see it.
#[derive(Debug)]
pub struct FieldSpec {
    /// Name in the JSON and, after the protocol, in rules.
    pub name: &'static str,
    /// What it says, with unit, range and source clause.
    pub doc: &'static str,
    /// Its type.
    pub ty: FieldType,
    /// What its values keep to.
    pub bounds: Bounds,
}

/// What the values of a field keep to, as far as its type in the code tells: a rule that asks for others can never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// Nothing that is known.
    None,
    /// Whole numbers, from the first to the last of these.
    Whole(i64, u64),
    /// So many hex digits.
    Digits(u8),
}

/// The types that a field can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// True or false.
    Bool,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Float,
    /// Text.
    Text,
    /// Bytes, as lowercase hex.
    Hex,
    /// An IPv4 or IPv6 address.
    Address,
    /// Several numbers.
    Integers,
    /// Several texts.
    Texts,
    /// Several parts with fields of their own.
    Parts(&'static [FieldSpec]),
}

impl PartialEq for FieldSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.ty == other.ty
    }
}
impl Eq for FieldSpec {}

impl FieldType {
    fn parts(self) -> Option<&'static [FieldSpec]> {
        match self {
            FieldType::Parts(parts) => Some(parts),
            _ => None,
        }
    }

    /// The type's name in the schema.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Bool => "bool",
            FieldType::Integer => "integer",
            FieldType::Float => "float",
            FieldType::Text => "text",
            FieldType::Hex => "hex",
            FieldType::Address => "address",
            FieldType::Integers => "integers",
            FieldType::Texts => "texts",
            FieldType::Parts(_) => "parts",
        }
    }
}

/// A field's value, borrowed from its record.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// The message does not have the field.
    Absent,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Unsigned(u64),
    /// A whole number below zero.
    Signed(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Bytes; hex in JSON and in rules.
    Hex(&'a [u8]),
    /// An extended unique identifier or a device address: `digits` lowercase hex digits.
    Id {
        /// The number.
        value: u64,
        /// How many hex digits are printed.
        digits: u8,
    },
    /// An address.
    Address(IpAddr),
    /// Several values.
    List(&'a dyn ValueList),
}

/// Several values, one at a time.
pub trait ValueList {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The value at `index`, or the part's field at `part` of the value there.
    fn get(&self, index: usize, part: Option<u8>) -> Value<'_>;
}

/// What can stand in a field.
pub trait FieldValue {
    /// Its type.
    const TYPE: FieldType;
    /// What its values keep to.
    const BOUNDS: Bounds = Bounds::None;
    /// The value as rules see it.
    fn value(&self) -> Value<'_>;
    /// Whether the JSON leaves it out.
    fn is_absent(&self) -> bool {
        false
    }
}

/// What can stand in a list field.
pub trait ListItem {
    /// The type of the list.
    const LIST: FieldType;
    /// What each value keeps to.
    const BOUNDS: Bounds = Bounds::None;
    /// The item, or one field of it.
    fn item(&self, part: Option<u8>) -> Value<'_>;
}

/// A record in use: what rules and outputs can ask it.
pub trait Record {
    /// Its kind.
    fn kind(&self) -> &'static RecordKind;
    /// One field. For a field inside parts, the list is answered: its items are asked for the part.
    fn field(&self, id: FieldId) -> Value<'_>;
    /// Appends the record's JSON object.
    fn write_json(&self, out: &mut Vec<u8>);
}

/// Bytes shown as lowercase hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex<'a>(pub &'a [u8]);

/// A 64-bit extended unique identifier: 16 lowercase hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Eui(pub u64);

/// A LoRaWAN device address: 8 lowercase hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DevAddr(pub u32);

/// A digest of bytes that are not told: it compares them with others within a run and stands in no output.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Untold(Option<u64>);

impl Untold {
    /// Of these bytes (FNV-1a, 64 bits: for comparison, not for protection).
    pub fn of(bytes: &[u8]) -> Self {
        Self(Some(Self::digest(bytes)))
    }

    /// The number that [`Untold::of`] holds.
    pub fn digest(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// It stands in no output.
impl Serialize for Untold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl FieldValue for Untold {
    const TYPE: FieldType = FieldType::Integer;
    fn value(&self) -> Value<'_> {
        self.0.map_or(Value::Absent, Value::Unsigned)
    }
    fn is_absent(&self) -> bool {
        true
    }
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends `bytes` as lowercase hex.
pub fn push_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        out.push(HEX_DIGITS[usize::from(byte >> 4)] as char);
        out.push(HEX_DIGITS[usize::from(byte & 15)] as char);
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len() * 2);
        push_hex(self.0, &mut text);
        serializer.serialize_str(&text)
    }
}

impl std::fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        push_hex(self.0, &mut text);
        f.write_str(&text)
    }
}

impl Serialize for Eui {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl Serialize for DevAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:08x}", self.0))
    }
}

macro_rules! scalar_fields {
    ($($type:ty: $field:ident, $list:ident, $bounds:expr, |$v:ident| $value:expr;)*) => {$(
        impl FieldValue for $type {
            const TYPE: FieldType = FieldType::$field;
            const BOUNDS: Bounds = $bounds;
            #[inline]
            fn value(&self) -> Value<'_> { let $v = self; $value }
        }
        impl ListItem for $type {
            const LIST: FieldType = FieldType::$list;
            const BOUNDS: Bounds = $bounds;
            #[inline]
            fn item(&self, _part: Option<u8>) -> Value<'_> { self.value() }
        }
    )*};
}

scalar_fields! {
    bool: Bool, Integers, Bounds::None, |v| Value::Bool(*v);
    u8: Integer, Integers, Bounds::Whole(0, u8::MAX as u64), |v| Value::Unsigned(u64::from(*v));
    u16: Integer, Integers, Bounds::Whole(0, u16::MAX as u64), |v| Value::Unsigned(u64::from(*v));
    u32: Integer, Integers, Bounds::Whole(0, u32::MAX as u64), |v| Value::Unsigned(u64::from(*v));
    u64: Integer, Integers, Bounds::Whole(0, u64::MAX), |v| Value::Unsigned(*v);
    i8: Integer, Integers, Bounds::Whole(i8::MIN as i64, i8::MAX as u64), |v| Value::Signed(i64::from(*v));
    i16: Integer, Integers, Bounds::Whole(i16::MIN as i64, i16::MAX as u64), |v| Value::Signed(i64::from(*v));
    i32: Integer, Integers, Bounds::Whole(i32::MIN as i64, i32::MAX as u64), |v| Value::Signed(i64::from(*v));
    i64: Integer, Integers, Bounds::Whole(i64::MIN, i64::MAX as u64), |v| Value::Signed(*v);
    f32: Float, Integers, Bounds::None, |v| Value::Float(f64::from(*v));
    f64: Float, Integers, Bounds::None, |v| Value::Float(*v);
    &str: Text, Texts, Bounds::None, |v| Value::Text(v);
    String: Text, Texts, Bounds::None, |v| Value::Text(v);
    std::borrow::Cow<'_, str>: Text, Texts, Bounds::None, |v| Value::Text(v);
    Hex<'_>: Hex, Texts, Bounds::None, |v| Value::Hex(v.0);
    Eui: Hex, Texts, Bounds::Digits(16), |v| Value::Id { value: v.0, digits: 16 };
    DevAddr: Hex, Texts, Bounds::Digits(8), |v| Value::Id { value: u64::from(v.0), digits: 8 };
    IpAddr: Address, Texts, Bounds::None, |v| Value::Address(*v);
}

impl<T: FieldValue> FieldValue for Option<T> {
    const TYPE: FieldType = T::TYPE;
    const BOUNDS: Bounds = T::BOUNDS;
    #[inline]
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Absent, T::value)
    }
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: ListItem> FieldValue for &[T] {
    const TYPE: FieldType = T::LIST;
    const BOUNDS: Bounds = T::BOUNDS;
    #[inline]
    fn value(&self) -> Value<'_> {
        Value::List(self)
    }
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: ListItem> FieldValue for Vec<T> {
    const TYPE: FieldType = T::LIST;
    const BOUNDS: Bounds = T::BOUNDS;
    #[inline]
    fn value(&self) -> Value<'_> {
        Value::List(self)
    }
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: ListItem> ValueList for &[T] {
    fn len(&self) -> usize {
        <[T]>::len(self)
    }
    fn get(&self, index: usize, part: Option<u8>) -> Value<'_> {
        <[T]>::get(self, index).map_or(Value::Absent, |item| item.item(part))
    }
}

impl<T: ListItem> ValueList for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }
    fn get(&self, index: usize, part: Option<u8>) -> Value<'_> {
        <[T]>::get(self, index).map_or(Value::Absent, |item| item.item(part))
    }
}

/// Whether the JSON of a record leaves a field out. Used by [`record!`](crate::record).
#[doc(hidden)]
pub fn is_absent<T: FieldValue>(value: &T) -> bool {
    value.is_absent()
}

/// Declares a kind of record: `record! { /// doc  pub struct Request<'a> = "modbus.request" { /// doc  pub unit_id: u8, } }`.
///
/// Every field needs a doc comment: it is what `citytap schema` prints. An optional field is left out of the JSON where it is `None`;
/// so is an empty list.
#[macro_export]
macro_rules! record {
    ($(#[doc = $doc:literal])+ pub struct $type:ident $(<$life:lifetime>)? = $name:literal {
        $($(#[doc = $field_doc:literal])+ pub $field:ident: $field_type:ty,)*
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, ::serde::Serialize)]
        pub struct $type $(<$life>)? {
            $($(#[doc = $field_doc])+ #[serde(skip_serializing_if = "crate::observation::record::is_absent")] pub $field: $field_type,)*
        }

        impl $(<$life>)? $type $(<$life>)? {
            /// What this record is.
            pub const KIND: $crate::observation::RecordKind = $crate::observation::RecordKind {
                id: $crate::observation::KindId::of($name),
                name: $name,
                doc: concat!($($doc, "\n",)+).trim_ascii(),
                fields: &[$($crate::observation::FieldSpec {
                    name: stringify!($field),
                    doc: concat!($($field_doc, "\n",)+).trim_ascii(),
                    ty: <$field_type as $crate::observation::FieldValue>::TYPE,
                    bounds: <$field_type as $crate::observation::FieldValue>::BOUNDS,
                },)*],
            };
        }

        impl $(<$life>)? $crate::observation::Record for $type $(<$life>)? {
            fn kind(&self) -> &'static $crate::observation::RecordKind {
                const { &Self::KIND }
            }
            #[allow(unused_assignments, unused_mut, unused_variables)]
            fn field(&self, id: $crate::observation::FieldId) -> $crate::observation::Value<'_> {
                let mut index = 0u8;
                $(
                    if id.index == index {
                        return $crate::observation::FieldValue::value(&self.$field);
                    }
                    index += 1;
                )*
                $crate::observation::Value::Absent
            }
            fn write_json(&self, out: &mut Vec<u8>) {
                // Writing to memory a map whose keys are strings cannot fail.
                let _ = ::serde_json::to_writer(out, self);
            }
        }
    };
}

/// Declares a part: an item with fields of its own inside a list field of a record.
#[macro_export]
macro_rules! part {
    ($(#[doc = $doc:literal])+ pub struct $type:ident $(<$life:lifetime>)? {
        $($(#[doc = $field_doc:literal])+ pub $field:ident: $field_type:ty,)*
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, ::serde::Serialize)]
        pub struct $type $(<$life>)? {
            $($(#[doc = $field_doc])+ #[serde(skip_serializing_if = "crate::observation::record::is_absent")] pub $field: $field_type,)*
        }

        impl $(<$life>)? $crate::observation::ListItem for $type $(<$life>)? {
            const LIST: $crate::observation::FieldType = $crate::observation::FieldType::Parts(&[$($crate::observation::FieldSpec {
                name: stringify!($field),
                doc: concat!($($field_doc, "\n",)+).trim_ascii(),
                ty: <$field_type as $crate::observation::FieldValue>::TYPE,
                bounds: <$field_type as $crate::observation::FieldValue>::BOUNDS,
            },)*]);
            #[allow(unused_assignments, unused_mut, unused_variables)]
            fn item(&self, part: Option<u8>) -> $crate::observation::Value<'_> {
                let mut index = 0u8;
                $(
                    if part == Some(index) {
                        return $crate::observation::FieldValue::value(&self.$field);
                    }
                    index += 1;
                )*
                $crate::observation::Value::Absent
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    part! {
        /// A command.
        pub struct Command {
            /// Its number.
            pub number: u8,
            /// Its argument.
            pub argument: Option<u16>,
        }
    }

    record! {
        /// A sample.
        /// In two lines.
        pub struct Sample<'a> = "test.sample" {
            /// A name.
            pub name: &'a str,
            /// A count.
            pub count: Option<u16>,
            /// Bytes.
            pub bytes: Hex<'a>,
            /// Commands.
            pub commands: Vec<Command>,
        }
    }

    fn sample() -> Sample<'static> {
        Sample { name: "x", count: None, bytes: Hex(&[0, 255]), commands: vec![Command { number: 7, argument: Some(9) }] }
    }

    #[test]
    fn the_declaration_is_the_json() {
        let mut json = Vec::new();
        sample().write_json(&mut json);
        assert_eq!(String::from_utf8(json).unwrap(), r#"{"name":"x","bytes":"00ff","commands":[{"number":7,"argument":9}]}"#);
    }

    #[test]
    fn the_declaration_is_the_schema_and_the_fields() {
        let record = sample();
        let kind = record.kind();
        assert_eq!((kind.name, kind.protocol(), kind.doc), ("test.sample", "test", "A sample.\n In two lines."));
        assert_eq!(kind.id, KindId::of("test.sample"));
        let (id, spec) = kind.field("commands.argument").unwrap();
        assert_eq!((spec.doc, spec.ty), ("Its argument.", FieldType::Integer));
        let Value::List(list) = record.field(id) else { panic!("not a list") };
        assert!(matches!(list.get(0, id.part), Value::Unsigned(9)));
        assert!(kind.field("commands.nothing").is_none() && kind.field("name.x").is_none());
    }
}
