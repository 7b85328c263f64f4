//! TLS over TCP: what the handshake shows, so that encrypted flows are known as such wherever they run.
//!
//! ClientHello, ServerHello, certificates up to version 1.2, identities of pre-shared keys and alerts in the clear become records; a summary is told
//! when the flow ends. Encrypted records are stepped over and counted, not one by one.
//!
//! Not done here: decryption, certificates of version 1.3 (they are encrypted), revocation and trust of certificates, SSL 2.
//!
//! The grammar is written here and not taken from the `tls-parser` crate: handshake messages that cross records or datagrams have to be put together by
//! us in any case, DTLS 1.3 and connection identifiers are not in it, and what is needed beyond that is two hellos.
//!
//! Followed: RFC 5246, RFC 8446, RFC 6066, RFC 7250, RFC 7301, RFC 4279, RFC 5489, RFC 8701, RFC 5280.

use super::{AfterGap, Bound, Cx, Decoder, DecoderSpec, Hooks, Input, Probe, ProbeInput, Step};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::reader::Reader;
use session::Handshake;

pub mod handshake;
pub mod record;

mod anomalies;
mod certificate;
mod cipher_suites;
pub(crate) mod session;

#[cfg(test)]
pub(crate) mod tests;

/// Bytes of a handshake message that are put together: chains of certificates are some kilobytes; the length field could say 16 MB.
pub const HANDSHAKE_BYTES: usize = 65_536;

/// Largest record: 2^14 bytes and what protection adds (RFC 5246 §6.2.3), with its header.
const MAX_RECORD: usize = 5 + 16_384 + 2_048;

/// Bytes of a handshake message that show a hello: kind, length (3 bytes), version.
const HELLO_TELLS: usize = 6;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

/// TLS 1.3 on the wire.
const TLS_1_3: u16 = 0x0304;

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "tls",
    title: "TLS",
    documents: &["RFC 5246", "RFC 8446", "RFC 6066", "RFC 7250", "RFC 7301", "RFC 4279", "RFC 5489", "RFC 8701", "RFC 5280"],
    hooks: Hooks { tcp: true, ports: &[443, 802, 4843, 5684, 8443, 8883], ..Hooks::NONE },
    max_message: MAX_RECORD,
    probe,
    create: || Box::<Tls>::default(),
    records: &[
        &record::TLS.client_hello,
        &record::TLS.server_hello,
        &record::TLS.certificate,
        &record::TLS.key_exchange,
        &record::TLS.finished,
        &record::TLS.alert,
        &record::TLS.summary,
    ],
    anomalies: anomalies::ALL,
    identities: &[],
    bounds: &[
        Bound { name: "handshake_bytes", value: HANDSHAKE_BYTES, reason: "chains of certificates are some kilobytes" },
        Bound { name: "cipher_suites", value: session::OFFERED, reason: "clients offer some dozens" },
        Bound { name: "identity", value: session::IDENTITY_LENGTH, reason: "an LwM2M identity holds 128 bytes" },
    ],
};

/// The header of a record (RFC 5246 §6.2.1): type, version (2 bytes), length (2 bytes).
#[derive(Clone, Copy)]
struct RecordHeader {
    kind: u8,
    length: usize,
}

impl RecordHeader {
    const SIZE: usize = 5;

    /// `None` where the bytes are too few; `Some(None)` where they are no header.
    fn read(bytes: &[u8]) -> Option<Option<Self>> {
        let mut reader = Reader::new(bytes);
        let (kind, version, length) = (reader.u8()?, reader.u16()?, usize::from(reader.u16()?));
        let sane = (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&kind) && version >> 8 == 3 && version & 0xff <= 4;
        let fits = length > 0 && length + Self::SIZE <= MAX_RECORD;
        Some((sane && fits).then_some(Self { kind, length }))
    }
}

fn probe(input: &ProbeInput<'_>) -> Probe {
    let header = match RecordHeader::read(input.bytes) {
        None => return if begins_like_tls(input.bytes) { Probe::Incomplete } else { Probe::No },
        Some(None) => return Probe::No,
        Some(Some(header)) => header,
    };
    let mut body = Reader::new(input.bytes);
    body.skip(RecordHeader::SIZE);
    match header.kind {
        // Cut before it tells whether it is a hello.
        HANDSHAKE if body.remaining() < header.length.min(HELLO_TELLS) => Probe::Incomplete,
        HANDSHAKE => {
            let (kind, length, version) = (body.u8(), body.u24(), body.u16());
            match (kind, length, version) {
                (Some(kind @ (handshake::CLIENT_HELLO | handshake::SERVER_HELLO)), Some(38..), Some(0x0300..=0x0304)) => {
                    Probe::Strong(Some(if kind == handshake::CLIENT_HELLO { Direction::ToServer } else { Direction::ToClient }))
                }
                _ => follows(input, header),
            }
        }
        _ => follows(input, header),
    }
}

/// In the middle of a flow: a second header behind the first makes sure.
fn follows(input: &ProbeInput<'_>, header: RecordHeader) -> Probe {
    let next = input.bytes.get(RecordHeader::SIZE + header.length..).unwrap_or_default();
    match RecordHeader::read(next) {
        Some(Some(_)) => Probe::Strong(None),
        Some(None) => Probe::No,
        None if next.is_empty() || begins_like_tls(next) => Probe::Weak(None),
        None => Probe::No,
    }
}

/// Whether a record whose place had to be found is in the clear: a handshake message with a length that one has, or an alert's two bytes.
fn is_plain(header: RecordHeader, bytes: &[u8]) -> bool {
    let mut body = Reader::new(bytes);
    body.skip(RecordHeader::SIZE);
    match header.kind {
        HANDSHAKE => body.u8().is_none_or(handshake::is_kind) && body.u8().is_none_or(|length| length == 0),
        ALERT => header.length == 2,
        CHANGE_CIPHER_SPEC => true,
        _ => false,
    }
}

fn begins_like_tls(bytes: &[u8]) -> bool {
    match bytes {
        [kind] => (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(kind),
        [kind, version, ..] => (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(kind) && *version == 3,
        [] => true,
    }
}

struct Tls {
    handshake: Handshake,
    sides: [Side; 2],
}

/// One direction.
#[derive(Default)]
struct Side {
    /// Handshake bytes of messages that are not whole yet.
    held: Vec<u8>,
    /// Whether the sender encrypts.
    encrypts: bool,
    /// Whether bytes were lost, so that the next record has to be looked for.
    lost: bool,
    /// Whether a record was read.
    seen: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { handshake: Handshake::new(&record::TLS, &anomalies::MALFORMED), sides: Default::default() }
    }
}

impl Decoder for Tls {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let Some(side) = self.sides.get_mut(input.direction.index()) else { return Step::GiveUp };
        let header = match RecordHeader::read(input.bytes) {
            Some(Some(header)) if !side.lost || input.segment_start => header,
            None if !side.lost => return Step::Need(RecordHeader::SIZE),
            _ if side.lost => {
                cx.count(Counter::ResynchronisationBytes, input.bytes.len() as u64);
                return Step::Consumed(input.bytes.len());
            }
            _ => {
                cx.anomaly(input.direction, &anomalies::MALFORMED);
                return Step::GiveUp;
            }
        };
        let found = std::mem::replace(&mut side.lost, false);
        side.seen = true;
        // What the place was found at may be in the middle of a handshake's encrypted part.
        side.encrypts |= found && !is_plain(header, input.bytes);
        let total = RecordHeader::SIZE + header.length;
        let encrypted = side.encrypts || matches!(header.kind, APPLICATION_DATA | HEARTBEAT);
        let finished =
            encrypted && header.kind == HANDSHAKE && input.direction == Direction::ToServer && self.handshake.wants_finished();
        if encrypted && !finished {
            self.handshake.encrypted(header.length as u64, input.direction);
            return Step::Skip(total as u64);
        }
        let Some(body) = input.bytes.get(RecordHeader::SIZE..total) else { return Step::Need(total) };
        if finished {
            self.handshake.encrypted(header.length as u64, input.direction);
            self.handshake.finished(0, body, cx);
            return Step::Consumed(total);
        }
        match header.kind {
            HANDSHAKE => self.handshake_bytes(body, input.direction, cx),
            CHANGE_CIPHER_SPEC => {
                // In version 1.3 it means nothing (RFC 8446 §5): there the ServerHello decides.
                if let Some(side) = self.sides.get_mut(input.direction.index()) {
                    side.encrypts = true;
                }
                self.handshake.change_cipher_spec(input.direction, cx);
            }
            ALERT => self.handshake.alert(body, input.direction, cx),
            _ => {}
        }
        Step::Consumed(total)
    }

    fn gap(&mut self, direction: Direction, missing: Option<u64>, _cx: &mut Cx<'_>) -> AfterGap {
        if let Some(side) = self.sides.get_mut(direction.index()) {
            // What follows lost bytes is most likely encrypted: a handshake is a small part of a flow. What comes first of a flow that was
            // running may be its handshake: a capture without the SYN has no other mark of it.
            let encrypts = side.encrypts || side.seen || missing.is_some();
            *side = Side { lost: true, encrypts, held: Vec::new(), seen: side.seen };
        }
        AfterGap::Resume
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.handshake.close(cx);
    }
}

impl Tls {
    fn handshake_bytes(&mut self, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let Some(side) = self.sides.get_mut(direction.index()) else { return };
        let mut held = std::mem::take(&mut side.held);
        let whole: &[u8] = if held.is_empty() {
            bytes
        } else {
            held.extend_from_slice(bytes);
            &held
        };
        let mut reader = Reader::new(whole);
        while !reader.is_empty() {
            let mut ahead = reader;
            let header = ahead.peek(4).unwrap_or_default();
            let (Some(kind), Some(length)) = (ahead.u8(), ahead.u24()) else { break };
            if length as usize > HANDSHAKE_BYTES {
                cx.count(Counter::MessagesTooLarge, 1);
                // Its end cannot be found without keeping it: nothing more of this side is read.
                if let Some(side) = self.sides.get_mut(direction.index()) {
                    side.encrypts = true;
                }
                return;
            }
            let Some(body) = ahead.take(length as usize) else { break };
            reader = ahead;
            self.handshake.message(kind, header, body, direction, cx);
        }
        let left = reader.peek_rest().to_vec();
        // From the ServerHello of version 1.3 on, both sides encrypt (RFC 8446 §2).
        let encrypts = self.handshake.version() == Some(TLS_1_3);
        self.sides.iter_mut().for_each(|side| side.encrypts |= encrypts);
        if let Some(side) = self.sides.get_mut(direction.index())
            && !encrypts
        {
            side.held = left;
        }
    }
}
