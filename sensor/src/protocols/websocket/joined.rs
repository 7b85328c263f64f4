//! A connection that was running when the capture began: its frames have no mark of their own, so what the first one carries has to say what it
//! is. Two things do: messages of Basics Station, and whole MQTT packets under a client's mask.

use super::session::begins_frames;
use super::wire::{self, Opcode};
use crate::flow::Direction;
use crate::reader::Reader;

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

/// Bytes of a frame's payload that are looked at: a PUBLISH shows its topic in them.
const LOOK: usize = 64;

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
        (Opcode::Binary, Direction::ToServer) if is_mqtt_packet(&plain, frame.payload) => Some((Within::Mqtt, direction)),
        _ => None,
    }
}

/// Whether `length` bytes that begin so are one MQTT packet (MQTT 3.1.1 §2.2): type, flags and remaining length fit.
fn is_mqtt_packet(bytes: &[u8], length: u64) -> bool {
    let mut reader = Reader::new(bytes);
    let Some(first) = reader.u8() else { return false };
    let (mut remaining, mut shift) = (0u64, 0);
    loop {
        let Some(byte) = reader.u8().filter(|_| shift < 28) else { return false };
        remaining |= u64::from(byte & 127) << shift;
        shift += 7;
        if byte & 128 == 0 {
            break;
        }
    }
    if reader.offset() as u64 + remaining != length {
        return false;
    }
    match (first >> 4, first & 15) {
        (1, 0) => [&b"\x00\x04MQTT"[..], b"\x00\x06MQIsdp"].iter().any(|name| reader.peek_rest().starts_with(name)),
        (3, flags) => {
            let topic = reader.u16().map_or(0, usize::from);
            let shown = reader.take_up_to(topic);
            flags & 6 != 6 && topic > 0 && topic as u64 + 2 <= remaining && !shown.iter().any(u8::is_ascii_control)
        }
        (6 | 8 | 10, 2) => remaining >= 2,
        (4 | 5 | 7, 0) => remaining >= 2,
        (12, 0) => remaining == 0,
        (14, 0) => true,
        _ => false,
    }
}
