//! Recognises CoAP by its structure. Its header has little redundancy, so a datagram is surely CoAP only where known options with
//! meaningful values lead exactly to the payload; everything else needs a port or a second message.

use super::code::{Class, Code, MessageType};
use super::option::{self, Format, OptionSpec, Place};
use super::wire::{self, Message};
use crate::flow::Direction;
use crate::limits::PROBE_BYTES;
use crate::protocols::{Channel, Probe, ProbeInput};

/// The subprotocol name in the WebSocket handshake (RFC 8323 §4.1).
pub const WEBSOCKET_SUBPROTOCOL: &str = "coap";

/// Looks at a datagram, the beginning of a stream, or a WebSocket message.
pub fn probe(input: &ProbeInput<'_>) -> Probe {
    if !input.hint.is_empty() {
        return websocket(input);
    }
    match input.channel {
        Channel::Datagram => match wire::datagram(input.bytes) {
            Ok(message) => weigh(&message, input.port_hint),
            Err(_) => Probe::No,
        },
        Channel::Stream(_) => stream(input),
    }
}

fn websocket(input: &ProbeInput<'_>) -> Probe {
    let named = input.hint.split([' ', ',']).any(|word| word == WEBSOCKET_SUBPROTOCOL);
    match wire::framed(input.bytes, 1) {
        Ok(message) if named && message.code.name().is_some() => Probe::Strong(direction(message.code.class())),
        _ => Probe::No,
    }
}

/// A stream begins with a CSM from each side (RFC 8323 §5.3). In the middle of one, a whole message has to lie in the bytes.
fn stream(input: &ProbeInput<'_>) -> Probe {
    let Ok(frame) = wire::frame(input.bytes) else { return Probe::Incomplete };
    let whole = usize::try_from(frame.total).ok().and_then(|total| input.bytes.get(..total));
    let code = input.bytes.get(frame.prefix).map_or(Code(0), |&code| Code(code));
    if code.name().is_none() || code.class() == Class::Empty {
        return Probe::No;
    }
    let Some(Ok(message)) = whole.map(|whole| wire::framed(whole, frame.prefix)) else {
        // A probe is shown no more than so many bytes; longer first messages are not waited for.
        return if frame.total <= PROBE_BYTES as u64 && whole.is_none() { Probe::Incomplete } else { Probe::No };
    };
    match code.class() {
        Class::Signal => signal(&message, input.port_hint),
        _ => match weigh(&message, input.port_hint) {
            // Without version and message ID there is too little left to be sure.
            Probe::Strong(direction) => Probe::Weak(direction),
            _ => Probe::No,
        },
    }
}

/// Signalling options have numbers of their own for each code (RFC 8323 §5.2): CSM has 2 (four bytes at most) and 4 (empty).
fn signal(message: &Message<'_>, port_hint: bool) -> Probe {
    let mut walk = message.options();
    let mut sane = true;
    let mut count = 0;
    for found in walk.by_ref() {
        count += 1;
        sane &= found.is_ok_and(|option| match (message.code, option.number) {
            (Code::CSM, 2) => option.value.len() <= 4,
            (Code::CSM, 4) => option.value.is_empty(),
            (Code::CSM, 6) => option.value.len() <= 4,
            (_, number) => number <= 8,
        });
    }
    match (sane, message.code, count) {
        (false, ..) => Probe::No,
        // A CSM with no option or token at all is two bytes: too few to be sure.
        (true, Code::CSM, 1..) if message.token.is_empty() => Probe::Strong(None),
        _ if port_hint => Probe::Weak(None),
        _ => Probe::No,
    }
}

fn direction(class: Class) -> Option<Direction> {
    match class {
        Class::Request => Some(Direction::ToServer),
        Class::Response => Some(Direction::ToClient),
        _ => None,
    }
}

/// How convincing a message is. Without a known option there is nothing but the port to go by.
fn weigh(message: &Message<'_>, port_hint: bool) -> Probe {
    let class = message.code.class();
    if message.code.name().is_none() || message.token.len() > 8 {
        return Probe::No;
    }
    // RFC 7252 Table 1: which types can carry which classes.
    let fits = match (message.exchange.map(|(ty, _)| ty), class) {
        (None, Class::Request | Class::Response) => true,
        (Some(MessageType::Confirmable), Class::Request | Class::Response) => true,
        (Some(MessageType::NonConfirmable), Class::Request | Class::Response) => true,
        (Some(MessageType::Acknowledgement), Class::Response) => true,
        (Some(MessageType::NonConfirmable) | None, Class::Empty) => false,
        (Some(_), Class::Empty) => message.token.is_empty() && message.body.is_empty(),
        _ => false,
    };
    if !fits {
        return Probe::No;
    }
    let way = direction(class);
    let mut walk = message.options();
    let mut evidence = 0;
    let mut unknown = false;
    let mut previous = None;
    for found in walk.by_ref() {
        let Ok(found) = found else { return Probe::No };
        match option::option_spec(found.number) {
            Some(spec) => {
                if !allowed(spec, class) || !sane(spec, found.value) || (previous == Some(found.number) && !spec.repeatable) {
                    return Probe::No;
                }
                evidence += weight(spec, found.value);
            }
            // Number 0 is reserved (RFC 7252 §12.2), and what runs of zero bytes in foreign protocols look like.
            None if option::is_critical(found.number) || found.number == 0 => return Probe::No,
            None => unknown = true,
        }
        previous = Some(found.number);
    }
    let (payload, marker) = walk.payload();
    if marker && payload.is_empty() {
        return Probe::No;
    }
    if evidence == 0 && !port_hint {
        return Probe::No;
    }
    if evidence >= SURE && !unknown { Probe::Strong(way) } else { Probe::Weak(way) }
}

/// Points that a message needs to be recognised by itself. A point is worth about eight bits of structure that random or foreign bytes would
/// have to hit by chance: with version, type and code before them, three points make one accident in some 2^34 datagrams.
const SURE: u32 = 3;

fn weight(spec: &OptionSpec, value: &[u8]) -> u32 {
    match (spec.format, spec.number) {
        // Each printable character is worth about a bit and a half; the length had to fit, too.
        (Format::Text, _) => 1 + value.len() as u32 / 4,
        (_, option::CONTENT_FORMAT | option::ACCEPT) => 2,
        (_, option::OSCORE) => 2,
        _ => 1,
    }
}

fn allowed(spec: &OptionSpec, class: Class) -> bool {
    match spec.place {
        Place::Both => true,
        Place::Request => class == Class::Request,
        Place::Response => class == Class::Response,
    }
}

fn sane(spec: &OptionSpec, value: &[u8]) -> bool {
    if value.len() < spec.min || value.len() > spec.max {
        return false;
    }
    match spec.format {
        Format::Text => std::str::from_utf8(value).is_ok_and(|text| !text.chars().any(char::is_control)),
        // Leading zero bytes are not sent (RFC 7252 §3.2).
        Format::Uint if value.first() == Some(&0) => false,
        Format::Uint => match spec.number {
            option::CONTENT_FORMAT | option::ACCEPT => option::uint(value)
                .and_then(|number| u16::try_from(number).ok())
                .and_then(super::code::content_format_name)
                .is_some(),
            option::BLOCK1 | option::BLOCK2 => option::BlockValue::read(value).is_some_and(|block| block.szx < 7),
            _ => true,
        },
        Format::Opaque if spec.number == option::OSCORE => wire::OscoreValue::read(value).is_some(),
        Format::Opaque | Format::Empty => true,
    }
}
