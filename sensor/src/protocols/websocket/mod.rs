//! WebSocket over cleartext TCP: the opening handshake, frames, fragmented and compressed messages.
//!
//! Followed: RFC 6455, RFC 7692 (permessage-deflate; the window bits are not needed to decompress).
//!
//! - Each whole message goes to whoever recognises it, kind `websocket`, with `<subprotocol> <path>` as hint: as pieces of a stream where
//!   the subprotocol is MQTT or CoAP, else as datagrams. A path that ends in `/mqtt` stands in for a missing subprotocol.
//! - One direction alone is enough if it has its half of the handshake. A connection joined after its handshake is recognised where a frame
//!   says what it carries: a message of Basics Station, or a client's whole MQTT packet. Other frames have no mark of their own, and the
//!   first bytes of other protocols would pass as frames.
//! - After a gap the next segment that begins with a plausible frame is taken up. A compressor that kept its context cannot be followed past a gap:
//!   its messages are passed over.
//! - An answer other than 101 ends the matter: what follows is plain HTTP.
//! - Left out: the check of Sec-WebSocket-Accept; HTTP/2 (RFC 8441); queries, cookies and the value of Authorization, which may hold secrets.

mod anomaly;
mod handshake;
mod inflate;
mod joined;
mod record;
mod session;
mod wire;

#[cfg(test)]
mod tests;

use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::flow::Direction;

/// Largest head of a handshake, bytes: as common servers have it.
pub const MAX_HEAD: usize = 16_384;
/// Header fields of a handshake that are read.
pub const HEADERS: usize = 64;
/// Largest message that is put together, bytes, compressed and decompressed.
pub const MAX_MESSAGE: usize = 262_144;
/// Largest frame that is kept, bytes.
pub const MAX_FRAME: usize = MAX_MESSAGE + 14;
/// Frames with reserved opcodes before a flow is given up.
pub const MISREADS: u8 = 8;

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "websocket",
    title: "WebSocket",
    documents: &["RFC 6455 (The WebSocket Protocol)", "RFC 7692 (Compression Extensions for WebSocket)"],
    hooks: Hooks { tcp: true, ..Hooks::NONE },
    max_message: MAX_FRAME,
    probe,
    create: || Box::new(session::Session::default()),
    records: &[&record::Upgrade::KIND, &record::Message::KIND, &record::Close::KIND],
    anomalies: anomaly::ALL,
    identities: &[],
    bounds: &[
        Bound { name: "head_bytes", value: MAX_HEAD, reason: "the limit of common HTTP servers" },
        Bound { name: "header_fields", value: HEADERS, reason: "three times what browsers send" },
        Bound { name: "message_bytes", value: MAX_MESSAGE, reason: "the largest MQTT packet that is kept whole" },
        Bound { name: "misreads", value: MISREADS as usize, reason: "a stream that makes no sense so often is not WebSocket" },
    ],
};

/// A request or an answer that asks for the upgrade, or a frame that says what it carries. A head that is not whole yet is waited for only as
/// long as it may still ask.
fn probe(input: &ProbeInput<'_>) -> Probe {
    let answer = |found: Result<bool, wire::NoHead>, direction| match found {
        Ok(true) => Probe::Strong(Some(direction)),
        Err(wire::NoHead::Incomplete) => Probe::Incomplete,
        _ => Probe::No,
    };
    match input.bytes.first() {
        Some(b'G') => answer(wire::request(input.bytes).map(|request| request.head.upgrade), Direction::ToServer),
        Some(b'H') => answer(
            wire::response(input.bytes).map(|response| response.status == 101 && response.head.upgrade),
            Direction::ToClient,
        ),
        Some(_) => joined::within(input.bytes).map_or(Probe::No, |(_, direction)| Probe::Strong(Some(direction))),
        None => Probe::Incomplete,
    }
}
