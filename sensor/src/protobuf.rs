//! Protocol Buffers in one borrowed pass, without a schema: the fields of a message one after the other (encoding of proto2 and proto3).
//!
//! Groups, which proto3 does not have, end the walk like any malformed field: what was read stands and [`Fields::broken`] says so.

use crate::reader::Reader;

/// A field's value as its wire type gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// Wire type 0: a whole number, boolean or enumeration.
    Varint(u64),
    /// Wire type 1: eight bytes.
    Fixed64(u64),
    /// Wire type 2: bytes, text, a message or packed numbers.
    Bytes(&'a [u8]),
    /// Wire type 5: four bytes.
    Fixed32(u32),
}

/// The fields of one message: number and value.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    reader: Reader<'a>,
    broken: bool,
}

impl<'a> Fields<'a> {
    /// Starts at the first of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), broken: false }
    }

    /// Whether the walk ended before the message did.
    pub fn broken(&self) -> bool {
        self.broken
    }

    fn field(&mut self) -> Option<(u32, Field<'a>)> {
        let key = varint(&mut self.reader)?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number != 0)?;
        let value = match key & 7 {
            0 => Field::Varint(varint(&mut self.reader)?),
            1 => Field::Fixed64(self.reader.u64_le()?),
            2 => {
                let length = usize::try_from(varint(&mut self.reader)?).ok()?;
                Field::Bytes(self.reader.take(length)?)
            }
            5 => Field::Fixed32(self.reader.u32_le()?),
            _ => return None,
        };
        Some((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken || self.reader.is_empty() {
            return None;
        }
        let field = self.field();
        self.broken = field.is_none();
        field
    }
}

impl<'a> Field<'a> {
    /// A whole number that fits.
    pub fn unsigned<T: TryFrom<u64>>(self) -> Option<T> {
        match self {
            Field::Varint(value) => T::try_from(value).ok(),
            _ => None,
        }
    }

    /// A whole number with a sign (`int32`, `int64`: sign-extended to 64 bits).
    pub fn signed(self) -> Option<i64> {
        match self {
            Field::Varint(value) => Some(value as i64),
            _ => None,
        }
    }

    /// A boolean.
    pub fn bool(self) -> Option<bool> {
        self.unsigned::<u64>().map(|value| value != 0)
    }

    /// A number with a fraction: `float` or `double`.
    pub fn float(self) -> Option<f64> {
        match self {
            Field::Fixed32(bits) => Some(f64::from(f32::from_bits(bits))),
            Field::Fixed64(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
        .filter(|value| value.is_finite())
    }

    /// Bytes.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Field::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Text; `None` where it is no UTF-8, which `string` fields have to be.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The fields of an embedded message.
    pub fn message(self) -> Fields<'a> {
        Fields::new(self.bytes().unwrap_or_default())
    }
}

/// A number of up to ten bytes, seven bits each, lowest first; bits beyond the 64th are dropped.
fn varint(reader: &mut Reader<'_>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_type() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f, 0x21, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
        let fields: Vec<_> = Fields::new(&bytes).collect();
        assert_eq!(fields.len(), 4);
        assert_eq!((fields[0].0, fields[0].1.unsigned::<u16>()), (1, Some(150)));
        assert_eq!((fields[1].0, fields[1].1.text()), (2, Some("hi")));
        assert_eq!((fields[2].1.float(), fields[3].1.float()), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn negative_numbers_take_ten_bytes() {
        let bytes = [0x30, 0xce, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Fields::new(&bytes).next().unwrap().1.signed(), Some(-50));
    }

    #[test]
    fn a_cut_or_foreign_message_is_broken() {
        for bytes in [
            &[0x08][..],
            &[0x12, 9, 1],
            &[0x0b],
            &[0x00, 0x01],
            &[0x1d, 1],
            &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
        ] {
            let mut fields = Fields::new(bytes);
            assert!(fields.by_ref().count() == 0 && fields.broken(), "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            for (_, field) in Fields::new(&bytes) {
                let _ = (field.text(), field.float(), field.signed(), field.message().count());
            }
        }
    }
}
