//! DTLS over UDP: what the handshake shows. Cleartext CoAP on port 5683 has its protected twin on 5684.
//!
//! Handshake messages are put together from their fragments and become records: ClientHello, HelloVerifyRequest and ServerHello, certificates and raw
//! public keys up to version 1.2, hints and identities of pre-shared keys, alerts in the clear, and the client's encrypted Finished where a pre-shared
//! key is in use (a known key is proved on it). A summary is told when the flow ends. Messages that are sent again are passed over.
//!
//! Not done here: decryption; fragments that come before an earlier part of their message (it is sent again whole); what version 1.3 encrypts, which is
//! all after the hellos; a flow in which only version 1.3 records without a handshake are seen is not recognised, since their first byte says nothing.
//!
//! The grammar of handshake messages is that of `tls`.
//!
//! Followed: RFC 6347, RFC 9147, RFC 9146, RFC 4279, RFC 5489, RFC 7250, RFC 7627.

use super::tls::session::Handshake;
use super::{AfterGap, Bound, Cx, Decoder, DecoderSpec, Hooks, Input, Probe, ProbeInput, Step, tls};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::reader::Reader;
use tls::handshake::{CLIENT_HELLO, HELLO_VERIFY_REQUEST, Hello, SERVER_HELLO};
use wire::{DtlsRecord, Fragment};

pub mod record;
pub mod wire;

mod anomalies;

#[cfg(test)]
mod tests;

/// Bytes of a handshake message that are put together: chains of certificates are some kilobytes; the length field could say 16 MB.
const HANDSHAKE_BYTES: usize = 32_768;

/// Handshake messages of one direction that wait for fragments: the messages of one flight can be cut at the same places.
const PARTIAL_MESSAGES: usize = 4;

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "dtls",
    title: "DTLS",
    documents: &["RFC 6347", "RFC 9147", "RFC 9146", "RFC 4279", "RFC 5489", "RFC 7250", "RFC 7627"],
    hooks: Hooks { udp: true, ports: &[5684, 4433], ..Hooks::NONE },
    max_message: 65_535,
    probe,
    create: || Box::<Dtls>::default(),
    records: &[
        &record::DTLS.client_hello,
        &record::DTLS.server_hello,
        &record::DTLS.certificate,
        &record::DTLS.key_exchange,
        &record::DTLS.finished,
        &record::DTLS.alert,
        &record::DTLS.summary,
    ],
    anomalies: anomalies::ALL,
    identities: &[],
    bounds: &[
        Bound { name: "handshake_bytes", value: HANDSHAKE_BYTES, reason: "chains of certificates are some kilobytes" },
        Bound {
            name: "partial_messages",
            value: PARTIAL_MESSAGES,
            reason: "the messages of one flight can be cut at the same places",
        },
        Bound { name: "cipher_suites", value: tls::session::OFFERED, reason: "clients offer some dozens" },
        Bound { name: "identity", value: tls::session::IDENTITY_LENGTH, reason: "an LwM2M identity holds 128 bytes" },
    ],
};

/// Records with a version have to fill the datagram exactly.
fn probe(input: &ProbeInput<'_>) -> Probe {
    let mut reader = Reader::new(input.bytes);
    let mut first: Option<DtlsRecord<'_>> = None;
    while !reader.is_empty() {
        // A connection identifier's length is not known here; nothing can be said of what follows such a record.
        if reader.peek_u8() == Some(wire::TLS12_CID) && first.is_some() {
            break;
        }
        match wire::record(&mut reader, 0) {
            Some(record) if record.kind == Some(wire::TLS12_CID) => return Probe::Weak(None),
            Some(record) if first.is_some() || record.kind.is_some() => first = first.or(Some(record)),
            _ => return Probe::No,
        }
    }
    let Some(record) = first else { return Probe::No };
    let message = if record.kind == Some(wire::HANDSHAKE) && !record.is_encrypted() { record.body.first() } else { None };
    Probe::Strong(match message.copied() {
        Some(CLIENT_HELLO) => Some(Direction::ToServer),
        Some(SERVER_HELLO | HELLO_VERIFY_REQUEST) => Some(Direction::ToClient),
        _ => None,
    })
}

struct Dtls {
    handshake: Handshake,
    sides: [Side; 2],
    unreadable: u8,
}

/// One direction.
#[derive(Default)]
struct Side {
    partial: Vec<Partial>,
    /// Number of the next handshake message that was not seen yet.
    next: u16,
    /// Random of the latest hello, by its first bytes: a new one begins a new handshake.
    hello: [u8; 8],
    /// Length of the connection identifier in records of this direction: the receiver's choice.
    connection_id: usize,
}

struct Partial {
    kind: u8,
    message_seq: u16,
    length: u32,
    bytes: Vec<u8>,
}

/// Datagrams in a row that are no DTLS after which a flow is given up.
const FOREIGN: u8 = 8;

impl Default for Dtls {
    fn default() -> Self {
        Self { handshake: Handshake::new(&record::DTLS, &anomalies::MALFORMED), sides: Default::default(), unreadable: 0 }
    }
}

impl Decoder for Dtls {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let mut reader = Reader::new(input.bytes);
        while !reader.is_empty() {
            let connection_id = self.sides.get(input.direction.index()).map_or(0, |side| side.connection_id);
            let Some(record) = wire::record(&mut reader, connection_id) else {
                cx.anomaly(input.direction, &anomalies::MALFORMED);
                self.unreadable = self.unreadable.saturating_add(1);
                return if self.unreadable >= FOREIGN { Step::GiveUp } else { Step::Consumed(input.bytes.len()) };
            };
            self.unreadable = 0;
            self.record(&record, input.direction, cx);
        }
        Step::Consumed(input.bytes.len())
    }

    fn gap(&mut self, _direction: Direction, _missing: Option<u64>, _cx: &mut Cx<'_>) -> AfterGap {
        AfterGap::Resume
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.handshake.close(cx);
    }
}

impl Dtls {
    fn record(&mut self, record: &DtlsRecord<'_>, direction: Direction, cx: &mut Cx<'_>) {
        if record.is_encrypted() {
            self.handshake.encrypted(record.body.len() as u64, direction);
            let finished = record.kind == Some(wire::HANDSHAKE) && direction == Direction::ToServer;
            if finished && self.handshake.wants_finished() {
                self.handshake.finished(record.number, record.body, cx);
            }
            return;
        }
        match record.kind {
            Some(wire::HANDSHAKE) => {
                let mut reader = Reader::new(record.body);
                while !reader.is_empty() {
                    let Some(fragment) = Fragment::read(&mut reader) else {
                        cx.anomaly(direction, &anomalies::MALFORMED);
                        return;
                    };
                    self.fragment(&fragment, direction, cx);
                }
            }
            Some(wire::CHANGE_CIPHER_SPEC) => self.handshake.change_cipher_spec(direction, cx),
            Some(wire::ALERT) => self.handshake.alert(record.body, direction, cx),
            Some(wire::APPLICATION_DATA | wire::HEARTBEAT) => self.handshake.encrypted(record.body.len() as u64, direction),
            _ => {}
        }
    }

    fn fragment(&mut self, fragment: &Fragment<'_>, direction: Direction, cx: &mut Cx<'_>) {
        let Some(side) = self.sides.get_mut(direction.index()) else { return };
        if fragment.kind == CLIENT_HELLO && fragment.offset == 0 && side.begins_anew(fragment.body) {
            for side in &mut self.sides {
                side.partial.clear();
                side.next = 0;
            }
        }
        let Some(side) = self.sides.get_mut(direction.index()) else { return };
        if fragment.message_seq < side.next {
            // It was sent again (RFC 6347 §4.2.4).
            return;
        }
        let begins = matches!(fragment.kind, CLIENT_HELLO | HELLO_VERIFY_REQUEST | SERVER_HELLO);
        if fragment.message_seq > side.next && !begins {
            // The message before it is missing, in the transcript too.
            self.handshake.message_missed();
        }
        if fragment.body.len() == fragment.length as usize {
            side.next = fragment.message_seq.saturating_add(1);
            self.whole(fragment, fragment.body, direction, cx);
            return;
        }
        match side.add(fragment) {
            Added::Whole(bytes) => self.whole(fragment, &bytes, direction, cx),
            Added::Part => {}
            Added::Dropped => cx.count(Counter::SessionEntriesDropped, 1),
            Added::Mismatch => cx.anomaly(direction, &anomalies::FRAGMENT_MISMATCH),
        }
    }

    fn whole(&mut self, fragment: &Fragment<'_>, body: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let hello = match fragment.kind {
            CLIENT_HELLO => Hello::client(body, true),
            SERVER_HELLO => Hello::server(body),
            _ => None,
        };
        if let Some(length) = hello.and_then(|hello| hello.connection_id()).map(<[u8]>::len)
            && let Some(other) = self.sides.get_mut(direction.opposite().index())
        {
            other.connection_id = length;
        }
        self.handshake.message(fragment.kind, &fragment.whole_header(), body, direction, cx);
    }
}

enum Added {
    Whole(Vec<u8>),
    Part,
    Dropped,
    Mismatch,
}

impl Side {
    /// Whether a ClientHello has another random than the one before it. The one with the cookie repeats the first one's (RFC 6347 §4.2.1).
    fn begins_anew(&mut self, body: &[u8]) -> bool {
        let mut reader = Reader::new(body);
        reader.skip(2);
        let random = reader.array::<8>().unwrap_or_default();
        let anew = random != self.hello;
        self.hello = random;
        anew
    }

    fn add(&mut self, fragment: &Fragment<'_>) -> Added {
        let at = self.partial.iter().position(|partial| partial.message_seq == fragment.message_seq);
        let at = match at {
            Some(at) => at,
            // Without its beginning a message is of no use; it is sent again.
            None if fragment.offset > 0 || fragment.length as usize > HANDSHAKE_BYTES => return Added::Dropped,
            None if self.partial.len() >= PARTIAL_MESSAGES => return Added::Dropped,
            None => {
                let Fragment { kind, message_seq, length, .. } = *fragment;
                self.partial.push(Partial { kind, message_seq, length, bytes: Vec::new() });
                self.partial.len() - 1
            }
        };
        let Some(partial) = self.partial.get_mut(at) else { return Added::Dropped };
        if (partial.kind, partial.length) != (fragment.kind, fragment.length) {
            return Added::Mismatch;
        }
        let Some(known) = partial.bytes.len().checked_sub(fragment.offset as usize) else { return Added::Dropped };
        partial.bytes.extend_from_slice(fragment.body.get(known..).unwrap_or_default());
        if partial.bytes.len() < partial.length as usize {
            return Added::Part;
        }
        self.next = fragment.message_seq.saturating_add(1);
        Added::Whole(self.partial.swap_remove(at).bytes)
    }
}
