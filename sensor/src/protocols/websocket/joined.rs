//! A connection that was running when the capture began: its frames have no mark of their own, so what the first one carries has to say what it
//! is. Two things do: messages of Basics Station, and whole MQTT packets under a client's mask.

use super::session::begins_frames;
use super::wire::{self, Opcode};
use crate::flow::Direction;
use crate::protocols::mqtt::is_packet_of_client;

/// What the frames of a connection carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// JSON of Basics Station.
    Station,
    /// MQTT.
    Mqtt,
}

/// How every message of Basics Station but its discovery begins.
const STATION: &[u8] = b"{\"msgtype\"";

/// Bytes of a frame's payload that are looked at: a PUBLISH shows its topic in them, and a SUBSCRIBE to a few filters is whole.
const LOOK: usize = 256;

/// What the frame at the beginning of `bytes` carries, if it says so, and its way: a client's frames are masked, a server's never (§5.1).
pub(super) fn within(bytes: &[u8]) -> Option<(Within, Direction)> {
    let frame = wire::frame(bytes)?;
    let direction = if frame.mask.is_some() { Direction::ToServer } else { Direction::ToClient };
    if !frame.fin || frame.rsv1 || !begins_frames(bytes, direction) {
        return None;
    }
    let payload = bytes.get(frame.header..).unwrap_or_default();
    let shown = payload.len().min(LOOK).min(usize::try_from(frame.payload).unwrap_or(LOOK));
    let mut plain = Vec::with_capacity(LOOK);
    wire::unmask(payload.get(..shown).unwrap_or_default(), frame.mask, &mut plain);
    match (frame.opcode, direction) {
        (Opcode::Text, _) if plain.starts_with(STATION) => Some((Within::Station, direction)),
        // Without a mask a SUBSCRIBE looks like a frame: its first byte is that of a binary one.
        (Opcode::Binary, Direction::ToServer) if is_packet_of_client(&plain, frame.payload) => Some((Within::Mqtt, direction)),
        _ => None,
    }
}
