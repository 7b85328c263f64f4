//! LwM2M TLV (LwM2M Core 1.1 §7.4.3).

use super::super::path::Path;
use super::{Malformed, Raw, Sink};
use crate::reader::Reader;

/// What an entry is, by the upper two bits of its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    ObjectInstance,
    ResourceInstance,
    MultipleResource,
    Resource,
}

/// Reads entries:
///
/// | bits or bytes | field |
/// |---|---|
/// | 2 bits | kind: object instance, resource instance, multiple resource, resource |
/// | 1 bit | length of the identifier: 1 or 2 bytes |
/// | 2 bits | length of the length: 0 (the next three bits are it) to 3 bytes |
/// | 3 bits | length, where it has no bytes of its own |
/// | 1 or 2 | identifier |
/// | 0 to 3 | length |
/// | | value: entries again for object instances and multiple resources |
pub(super) fn values<'a>(base: Path, payload: &'a [u8], sink: &mut Sink<'_, 'a>) -> Result<(), Malformed> {
    let mut reader = Reader::new(payload);
    while !reader.is_empty() {
        let (kind, id, value) = entry(&mut reader).ok_or(Malformed)?;
        match kind {
            Kind::ObjectInstance => {
                let instance = if base.is_relative() { base } else { base.to_level(1).child(id).ok_or(Malformed)? };
                resources(instance, value, sink)?;
            }
            _ => resource(base, kind, id, value, sink)?,
        }
    }
    Ok(())
}

fn resources<'a>(instance: Path, payload: &'a [u8], sink: &mut Sink<'_, 'a>) -> Result<(), Malformed> {
    let mut reader = Reader::new(payload);
    while !reader.is_empty() {
        let (kind, id, value) = entry(&mut reader).ok_or(Malformed)?;
        resource(instance, kind, id, value, sink)?;
    }
    Ok(())
}

fn resource<'a>(base: Path, kind: Kind, id: u16, value: &'a [u8], sink: &mut Sink<'_, 'a>) -> Result<(), Malformed> {
    // Entries name resources of the instance that was asked for, even where the resource itself was.
    let instance = if base.is_relative() { base } else { base.to_level(2) };
    match kind {
        Kind::Resource => sink(instance.child(id).ok_or(Malformed)?, Raw::Untyped(value)),
        Kind::MultipleResource => {
            let resource = instance.child(id).ok_or(Malformed)?;
            let mut reader = Reader::new(value);
            while !reader.is_empty() {
                let (kind, id, value) = entry(&mut reader).ok_or(Malformed)?;
                if kind != Kind::ResourceInstance {
                    return Err(Malformed);
                }
                sink(resource.child(id).ok_or(Malformed)?, Raw::Untyped(value));
            }
        }
        // A resource instance by itself: the resource is the one that was asked for.
        Kind::ResourceInstance if base.levels() >= 3 => {
            sink(base.to_level(3).child(id).ok_or(Malformed)?, Raw::Untyped(value));
        }
        Kind::ResourceInstance | Kind::ObjectInstance => return Err(Malformed),
    }
    Ok(())
}

fn entry<'a>(reader: &mut Reader<'a>) -> Option<(Kind, u16, &'a [u8])> {
    let first = reader.u8()?;
    let kind = match first >> 6 {
        0 => Kind::ObjectInstance,
        1 => Kind::ResourceInstance,
        2 => Kind::MultipleResource,
        _ => Kind::Resource,
    };
    let id = if first & 0x20 != 0 { reader.u16()? } else { u16::from(reader.u8()?) };
    let length = match first >> 3 & 3 {
        0 => u32::from(first & 7),
        1 => u32::from(reader.u8()?),
        2 => u32::from(reader.u16()?),
        _ => reader.u24()?,
    };
    Some((kind, id, reader.take(length as usize)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Vec<(String, Vec<u8>)>;

    fn read(base: &str, bytes: &[u8]) -> (Found, Result<(), Malformed>) {
        let mut found = Vec::new();
        let result = values(Path::parse(base).unwrap_or(Path::UNKNOWN), bytes, &mut |path, raw| {
            let Raw::Untyped(value) = raw else { panic!() };
            found.push((path.text().as_str().to_owned(), value.to_vec()));
        });
        (found, result)
    }

    fn pair(path: &str, value: &[u8]) -> (String, Vec<u8>) {
        (path.to_owned(), value.to_vec())
    }

    #[test]
    fn the_device_object_of_the_specification() {
        // LwM2M Core 1.1 §7.4.3.2.1: manufacturer, then available power sources 0 and 1.
        let bytes = [
            &[0xc8, 0x00, 0x14][..],
            b"Open Mobile Alliance",
            &[0x86, 0x06, 0x41, 0x00, 0x01, 0x41, 0x01, 0x05],
            &[0x88, 0x07, 0x08, 0x42, 0x00, 0x0e, 0xd8, 0x42, 0x01, 0x13, 0x88],
        ]
        .concat();
        let expected = [
            pair("/3/0/0", b"Open Mobile Alliance"),
            pair("/3/0/6/0", &[1]),
            pair("/3/0/6/1", &[5]),
            pair("/3/0/7/0", &[0x0e, 0xd8]),
            pair("/3/0/7/1", &[0x13, 0x88]),
        ];
        assert_eq!(read("/3/0", &bytes), (expected.to_vec(), Ok(())));
    }

    #[test]
    fn instances_wide_identifiers_and_unknown_bases() {
        let bytes = [0x06, 0x01, 0xe4, 0x16, 0x44, 0x41, 0xa8, 0x00];
        assert_eq!(read("/3303", &bytes[..2]).1, Err(Malformed));
        let resource = [0xe4, 0x16, 0x44, 0x41, 0xa8, 0x00, 0x00];
        assert_eq!(read("/3303/2/5700", &resource).0, [pair("/3303/2/5700", &[0x41, 0xa8, 0, 0])]);
        assert_eq!(read("", &resource).0, [pair("5700", &[0x41, 0xa8, 0, 0])]);
        let instance = [&[0x07, 0x01][..], &resource].concat();
        assert_eq!(read("/3303", &instance).0, [pair("/3303/1/5700", &[0x41, 0xa8, 0, 0])]);
    }

    #[test]
    fn what_is_cut_is_malformed() {
        for bytes in [&[0xc8][..], &[0xc8, 0, 5, 1], &[0xd8, 0, 0, 0, 9], &[0x40, 0], &[0x86, 6, 0xc1, 0, 1, 0, 0, 0]] {
            assert_eq!(read("/3/0", bytes).1, Err(Malformed), "{bytes:02x?}");
        }
    }
}
