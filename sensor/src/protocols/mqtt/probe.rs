//! Recognises MQTT, finds the next packet after a gap, and tells version 5 from earlier ones where no CONNECT was seen.

use super::wire::{self, Body, Dialect, FixedHeader, LengthError, PacketType};
use crate::flow::Direction;
use crate::protocols::{Probe, ProbeInput};
use crate::reader::Reader;

/// Looks at the first bytes of a flow.
///
/// A CONNECT names its protocol and is sure. Other packets are short and say little: one is weak, two that follow each other without a gap
/// are as good as sure.
pub(super) fn probe(input: &ProbeInput<'_>) -> Probe {
    if !input.hint.is_empty() {
        // In a WebSocket the subprotocol says it: `mqtt`, or `mqttv3.1` for MQTT 3.1.
        return if input.hint.starts_with("mqtt") { Probe::Strong(None) } else { Probe::No };
    }
    let header = match wire::fixed_header(input.bytes) {
        Ok(header) => header,
        Err(LengthError::Incomplete) => return Probe::Incomplete,
        Err(LengthError::Malformed) => return Probe::No,
    };
    match header.packet_type {
        Some(PacketType::Connect) => connect(&header, input.bytes),
        Some(packet_type) => match look(&header, input.bytes, Dialect::Unknown) {
            Look::No => Probe::No,
            Look::Cut => Probe::Weak(direction(packet_type)),
            // What follows a whole packet must look like one too. A port may make up for the odd packet behind a long one, not behind two bytes.
            Look::Whole if !begins_packet(input.bytes, Dialect::Unknown) => {
                if input.port_hint && header.total() > 2 {
                    Probe::Weak(direction(packet_type))
                } else {
                    Probe::No
                }
            }
            Look::Whole => {
                let next = input.bytes.get(header.total()..).unwrap_or_default();
                let followed = one_packet(next, next.len() as u64).is_some();
                if followed && header.remaining > 8 {
                    Probe::Strong(direction(packet_type))
                } else {
                    Probe::Weak(direction(packet_type))
                }
            }
        },
        None => Probe::No,
    }
}

/// Whether the protocol name of a CONNECT follows: `MQTT` (3.1.1 §3.1.2.1) or `MQIsdp` (3.1 §3.1).
fn connect(header: &FixedHeader, bytes: &[u8]) -> Probe {
    let mut reader = Reader::new(bytes);
    if header.flags != 0 || reader.skip(header.length).is_none() {
        return Probe::No;
    }
    let rest = reader.peek_rest();
    for name in [&b"\x00\x04MQTT"[..], b"\x00\x06MQIsdp"] {
        if rest.starts_with(name) {
            return Probe::Strong(Some(Direction::ToServer));
        }
        if name.starts_with(rest) {
            return Probe::Incomplete;
        }
    }
    Probe::No
}

/// Whether `length` bytes that begin so are one packet that a client may send. A long PUBLISH or CONNECT need not be shown to its end.
pub(in crate::protocols) fn is_packet_of_client(bytes: &[u8], length: u64) -> bool {
    one_packet(bytes, length).is_some_and(|packet_type| direction(packet_type) != Some(Direction::ToClient))
}

/// The type of the one packet that `length` bytes which begin so are, if they are one.
fn one_packet(bytes: &[u8], length: u64) -> Option<PacketType> {
    let header = wire::fixed_header(bytes).ok().filter(|header| header.total() as u64 == length)?;
    header.packet_type.filter(|_| look(&header, bytes, Dialect::Unknown) != Look::No)
}

/// The direction that a packet type has, where it has one.
fn direction(packet_type: PacketType) -> Option<Direction> {
    use PacketType::*;
    match packet_type {
        Connect | Subscribe | Unsubscribe | Pingreq => Some(Direction::ToServer),
        Connack | Suback | Unsuback | Pingresp => Some(Direction::ToClient),
        _ => None,
    }
}

/// Whether a packet begins with these bytes and what follows it looks like one too.
pub(super) fn begins_packet(bytes: &[u8], dialect: Dialect) -> bool {
    let Ok(header) = wire::fixed_header(bytes) else { return false };
    match look(&header, bytes, dialect) {
        Look::No => false,
        Look::Cut => true,
        Look::Whole => {
            // What follows in the segment must look like a packet too, as far as it can be seen.
            let next = bytes.get(header.total()..).unwrap_or_default();
            match wire::fixed_header(next) {
                Ok(following) => look(&following, next, dialect) != Look::No,
                Err(error) => error == LengthError::Incomplete,
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// A whole packet without anything odd.
    Whole,
    /// The beginning of a PUBLISH or CONNECT, as far as it goes.
    Cut,
    /// Not a packet.
    No,
}

fn look(header: &FixedHeader, bytes: &[u8], dialect: Dialect) -> Look {
    let end = bytes.len().min(header.total());
    let body = bytes.get(header.length..end).unwrap_or_default();
    let whole = bytes.len() >= header.total();
    match header.packet_type {
        None => Look::No,
        Some(PacketType::Connect) if matches!(connect(header, bytes), Probe::Strong(_)) => {
            if whole {
                Look::Whole
            } else {
                Look::Cut
            }
        }
        Some(PacketType::Publish) => publish(header, body, whole, dialect),
        Some(_) if whole => {
            let reads =
                |as_dialect| (dialect == Dialect::Unknown || dialect == as_dialect) && wire::reads_as(header, body, as_dialect);
            if reads(Dialect::V3) || reads(Dialect::V5) { Look::Whole } else { Look::No }
        }
        Some(_) => Look::No,
    }
}

/// A PUBLISH must have a topic that people could have written: UTF-8 without control characters or wildcards.
fn publish(header: &FixedHeader, body: &[u8], whole: bool, dialect: Dialect) -> Look {
    if header.qos() == 3 || (header.dup() && header.qos() == 0) {
        return Look::No;
    }
    let mut reader = Reader::new(body);
    let Some(length) = reader.u16().map(usize::from) else { return Look::No };
    if length + 2 > header.remaining || (length == 0 && dialect == Dialect::V3) {
        return Look::No;
    }
    let topic = reader.take_up_to(length);
    let readable = match std::str::from_utf8(topic) {
        Ok(topic) => !topic.contains(|c: char| c.is_control() || c == '#' || c == '+'),
        Err(error) => topic.len() < length && error.error_len().is_none() && error.valid_up_to() > 0,
    };
    if !readable || (header.qos() > 0 && reader.peek(2) == Some(&[0, 0])) {
        return Look::No;
    }
    match (whole, length) {
        (true, 0) => {
            if wire::reads_as(header, body, Dialect::V5) {
                Look::Whole
            } else {
                Look::No
            }
        }
        (true, _) => Look::Whole,
        // A cut packet without a topic shows too little.
        (false, 0) => Look::No,
        (false, _) => Look::Cut,
    }
}

/// What a packet says about the dialect: the dialect to read it in, and whether that is sure.
///
/// Acknowledgements and pings look the same in both. SUBSCRIBE, UNSUBSCRIBE, UNSUBACK and CONNACK always differ. A PUBLISH whose bytes after
/// the topic are no properties is of version 3; with properties it is of version 5; with a zero byte alone it is read as version 5 without
/// properties, which is not sure: the payload of an earlier version could begin with it.
pub(super) fn dialect_of(packet_type: PacketType, header: &FixedHeader, body: &[u8], direction: Direction) -> (Dialect, bool) {
    match packet_type {
        PacketType::Auth => (Dialect::V5, true),
        PacketType::Disconnect if direction == Direction::ToClient => (Dialect::V5, false),
        PacketType::Publish => dialect_of_publish(header, body),
        _ => match (wire::reads_as(header, body, Dialect::V3), wire::reads_as(header, body, Dialect::V5)) {
            (true, false) => (Dialect::V3, true),
            (false, true) => (Dialect::V5, true),
            _ => (Dialect::V3, false),
        },
    }
}

fn dialect_of_publish(header: &FixedHeader, body: &[u8]) -> (Dialect, bool) {
    let mut reading = Body::new(header, body);
    let packet = wire::publish(header, &mut reading, Dialect::V5);
    let mut plain = Body::new(header, body);
    let earlier = wire::publish(header, &mut plain, Dialect::V3);
    if packet.topic.is_empty() {
        return (
            if packet.properties.topic_alias.is_some() { Dialect::V5 } else { Dialect::V3 },
            packet.properties.topic_alias.is_some(),
        );
    }
    if reading.anomalies.len() > plain.anomalies.len() {
        return (Dialect::V3, plain.anomalies.is_empty());
    }
    // More than the property length itself was read: there are properties, and all are well.
    (Dialect::V5, reading.anomalies.is_empty() && packet.payload_at > earlier.payload_at + 1)
}
