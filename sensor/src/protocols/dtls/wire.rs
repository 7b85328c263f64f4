//! Records and handshake fragments (RFC 6347 §4.1, §4.2.2; RFC 9146 §4; RFC 9147 §4, §5.2).

use crate::reader::Reader;

/// ChangeCipherSpec.
pub const CHANGE_CIPHER_SPEC: u8 = 20;
/// Alert.
pub const ALERT: u8 = 21;
/// Handshake.
pub const HANDSHAKE: u8 = 22;
/// Application data.
pub const APPLICATION_DATA: u8 = 23;
/// Heartbeat (RFC 6520).
pub const HEARTBEAT: u8 = 24;
/// A protected record with a connection identifier (RFC 9146 §4).
pub const TLS12_CID: u8 = 25;
/// ACK (RFC 9147 §7).
pub const ACK: u8 = 26;

/// A record of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsRecord<'a> {
    /// Its content type; `None` in the unified header, where it is encrypted.
    pub kind: Option<u8>,
    /// Epoch in the upper 16 bits, sequence number in the lower 48; of the unified header, what it shows of them.
    pub number: u64,
    /// Its content.
    pub body: &'a [u8],
}

impl DtlsRecord<'_> {
    /// Whether it is encrypted: every epoch but the first is.
    pub fn is_encrypted(&self) -> bool {
        self.kind.is_none_or(|kind| kind == TLS12_CID) || self.number >> 48 > 0
    }
}

/// Reads the next record. `connection_id` is the length of the identifier that the receiver asked for.
///
/// | bytes | field |
/// |---|---|
/// | 1 | content type |
/// | 2 | version |
/// | 2 + 6 | epoch, sequence number |
/// | n | connection identifier, in records of type 25 |
/// | 2 | length |
///
/// or, in version 1.3, a first byte 001CSLEE: connection identifier present, sequence number of 2 bytes, length present, epoch.
pub fn record<'a>(reader: &mut Reader<'a>, connection_id: usize) -> Option<DtlsRecord<'a>> {
    let first = reader.u8()?;
    if first >> 5 == 1 {
        if first & 0x10 != 0 {
            reader.skip(connection_id)?;
        }
        let sequence = if first & 8 != 0 { u64::from(reader.u16()?) } else { u64::from(reader.u8()?) };
        let body = if first & 4 != 0 {
            let length = reader.u16()?;
            reader.take(usize::from(length))?
        } else {
            reader.take_rest()
        };
        return Some(DtlsRecord { kind: None, number: u64::from(first & 3) << 48 | sequence, body });
    }
    let version = reader.u16()?;
    if !(CHANGE_CIPHER_SPEC..=ACK).contains(&first) || !is_version(version) {
        return None;
    }
    let number = reader.u64()?;
    if first == TLS12_CID {
        reader.skip(connection_id)?;
    }
    let length = reader.u16()?;
    Some(DtlsRecord { kind: Some(first), number, body: reader.take(usize::from(length))? })
}

/// DTLS 1.0, DTLS 1.2, and what OpenSSL sent before they were published, which Cisco's clients still do.
pub fn is_version(version: u16) -> bool {
    matches!(version, 0xfeff | 0xfefd | 0x0100)
}

/// A fragment of a handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Type of the message.
    pub kind: u8,
    /// Length of the whole message.
    pub length: u32,
    /// Number of the message.
    pub message_seq: u16,
    /// Where the fragment begins.
    pub offset: u32,
    /// Its bytes.
    pub body: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Reads a fragment: type, length (3), message_seq (2), fragment_offset (3), fragment_length (3), body.
    pub fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let kind = reader.u8()?;
        let length = reader.u24()?;
        let message_seq = reader.u16()?;
        let offset = reader.u24()?;
        let fragment_length = reader.u24()?;
        let body = reader.take(fragment_length as usize)?;
        (offset.checked_add(fragment_length)? <= length).then_some(Self { kind, length, message_seq, offset, body })
    }

    /// The header of the message as if it had come in one piece: so it stands in the transcript (RFC 6347 §4.2.6).
    pub fn whole_header(&self) -> [u8; 12] {
        let [_, a, b, c] = self.length.to_be_bytes();
        let [d, e] = self.message_seq.to_be_bytes();
        [self.kind, a, b, c, d, e, 0, 0, 0, a, b, c]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_each_form() {
        let plain = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 5, 0, 2, 0xaa, 0xbb];
        let read = record(&mut Reader::new(&plain), 0).unwrap();
        assert_eq!((read.kind, read.number, read.body, read.is_encrypted()), (Some(22), 5, &[0xaa, 0xbb][..], false));
        let cid = [25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 7, 7, 0, 1, 0xcc];
        let read = record(&mut Reader::new(&cid), 2).unwrap();
        assert_eq!((read.body, read.is_encrypted()), (&[0xcc][..], true));
        let unified = [0x2e, 0, 9, 0, 1, 0xdd, 0x22, 1, 0xee];
        let mut reader = Reader::new(&unified);
        let first = record(&mut reader, 0).unwrap();
        assert_eq!((first.kind, first.number, first.body), (None, 2 << 48 | 9, &[0xdd][..]));
        // Without a length, the record reaches to the end of the datagram.
        assert_eq!(record(&mut reader, 0).unwrap().body, [0xee]);
    }

    #[test]
    fn what_is_no_record() {
        for bytes in [
            &[][..],
            &[22, 0xfe, 0xfd],
            &[22, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[99, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert!(record(&mut Reader::new(bytes), 0).is_none(), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_fragment_beyond_its_message() {
        let fragment = [11, 0, 0, 4, 0, 1, 0, 0, 2, 0, 0, 3, 1, 2, 3];
        assert_eq!(Fragment::read(&mut Reader::new(&fragment)), None);
        let fits = [11, 0, 0, 5, 0, 1, 0, 0, 2, 0, 0, 3, 1, 2, 3];
        let read = Fragment::read(&mut Reader::new(&fits)).unwrap();
        assert_eq!(read.whole_header(), [11, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 5]);
    }
}
