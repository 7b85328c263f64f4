//! One connection: the handshake, then frames of both directions, messages put together and handed on.

use super::handshake::{self, Asked};
use super::inflate::{Failure, Inflater};
use super::joined::{self, Within};
use super::wire::{self, Deflate, Frame, NoHead, Opcode};
use super::{MAX_FRAME, MAX_HEAD, MAX_MESSAGE, MISREADS, anomaly, record};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::observation::Anomalies;
use crate::protocols::{AfterGap, Carried, Channel, Cx, Decoder, Input, JOINED, Step};
use std::borrow::Cow;

/// Buffers larger than this are given back after use: most messages are small, and connections many.
const KEPT_BYTES: usize = 4_096;

#[derive(Default)]
pub(super) struct Session {
    /// What the client asked for, from the request until the answer.
    asked: Option<Box<Asked>>,
    /// The answer agreed.
    agreed: bool,
    /// What carried decoders are told: subprotocol, space, path.
    hint: String,
    /// Length of the subprotocol in `hint`.
    subprotocol: usize,
    /// The messages are pieces of a stream: MQTT and CoAP put theirs together over messages.
    stream: bool,
    deflate: Option<Deflate>,
    to_server: Way,
    to_client: Way,
}

/// One direction.
#[derive(Default)]
struct Way {
    /// The head was read: frames follow.
    head_read: bool,
    /// The next frame must be looked for.
    astray: bool,
    misread: u8,
    /// The message that is being put together.
    message: Option<Begun>,
    parts: Vec<u8>,
    inflated: Vec<u8>,
    inflater: Option<Box<Inflater>>,
    /// The decompressor lost its context and cannot go on.
    context_lost: bool,
}

#[derive(Clone, Copy)]
struct Begun {
    text: bool,
    compressed: bool,
    /// Part of it was lost or it is too large: it will not be handed on.
    dropped: bool,
}

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        if !self.way(input.direction).head_read {
            return match input.direction {
                Direction::ToServer => self.request(&input, cx),
                Direction::ToClient => self.response(&input, cx),
            };
        }
        self.frame(&input, cx)
    }

    fn gap(&mut self, direction: Direction, missing: Option<u64>, cx: &mut Cx<'_>) -> AfterGap {
        let head_read = self.way(direction).head_read;
        // Nothing of this direction was read yet: what comes first may well be its half of the handshake. Without any handshake nothing says
        // that this is a WebSocket; its other half may still come.
        if !head_read && (missing.is_none() || self.hint.is_empty()) {
            return AfterGap::Resume;
        }
        let way = self.way(direction);
        way.astray = true;
        way.lose_message();
        self.tell_child(direction, u64::MAX, cx);
        AfterGap::Resume
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(asked) = self.asked.take() {
            handshake::tell(Some(&asked), None, Direction::ToServer, &Anomalies::default(), cx);
        }
    }
}

impl Session {
    fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    fn request(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) -> Step {
        let request = match wire::request(input.bytes) {
            Ok(request) => request,
            Err(NoHead::Incomplete) if input.bytes.len() < MAX_HEAD => return Step::Need(input.bytes.len() + 1),
            // The request was not seen, but the answer was: these may be frames.
            Err(_) if self.agreed => {
                self.to_server.head_read = true;
                self.to_server.astray = true;
                cx.count(Counter::Desynchronised, 1);
                return self.frame(input, cx);
            }
            Err(_) => return self.join(input, cx),
        };
        if !request.head.upgrade {
            return Step::GiveUp;
        }
        let head = &request.head;
        if !head.key || head.version != Some("13") {
            cx.anomaly(input.direction, &anomaly::HANDSHAKE);
        }
        let asked = Asked::new(&request);
        // Until the answer says otherwise, the first offer counts: the answer may never be seen.
        let first = asked.subprotocols.as_deref().and_then(|offers| offers.split(',').next()).unwrap_or_default();
        self.open(first.trim(), &asked.path);
        self.deflate = asked.extensions.as_deref().and_then(wire::deflate);
        self.asked = Some(Box::new(asked));
        self.to_server.head_read = true;
        Step::Consumed(request.length)
    }

    fn response(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) -> Step {
        let response = match wire::response(input.bytes) {
            Ok(response) => response,
            Err(NoHead::Incomplete) if input.bytes.len() < MAX_HEAD => return Step::Need(input.bytes.len() + 1),
            Err(_) if self.asked.is_some() => {
                self.to_client.head_read = true;
                self.to_client.astray = true;
                cx.count(Counter::Desynchronised, 1);
                return self.frame(input, cx);
            }
            Err(_) => return self.join(input, cx),
        };
        let mut anomalies = Anomalies::default();
        if let Some(asked) = &self.asked {
            let offers = asked.subprotocols.as_deref().unwrap_or_default();
            if response.head.subprotocol.is_some_and(|chosen| !offers.split(',').any(|offer| offer.trim() == chosen)) {
                anomalies.push(&anomaly::SUBPROTOCOL_NOT_OFFERED);
            }
            let offers = asked.extensions.as_deref().unwrap_or_default();
            let name = |extension: &str| extension.split(';').next().unwrap_or_default().trim().to_owned();
            let offered = |chosen: &str| offers.split(',').any(|offer| name(offer) == name(chosen));
            if response.head.extensions.is_some_and(|chosen| !chosen.split(',').all(offered)) {
                anomalies.push(&anomaly::EXTENSION_NOT_OFFERED);
            }
        }
        let agreed = response.status == 101 && response.head.upgrade;
        if agreed {
            let path = self.asked.as_ref().map(|asked| asked.path.clone()).unwrap_or_default();
            self.open(response.head.subprotocol.unwrap_or_default(), &path);
            self.deflate = response.head.extensions.and_then(wire::deflate);
        }
        self.agreed = agreed;
        handshake::tell(self.asked.take().as_deref(), Some(&response), input.direction, &anomalies, cx);
        if !agreed {
            return Step::GiveUp;
        }
        self.to_client.head_read = true;
        Step::Consumed(response.length)
    }

    /// No handshake was seen, but a frame that says what it carries. The other direction's frames are looked for.
    fn join(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) -> Step {
        let Some((within, _)) = joined::within(input.bytes).filter(|(_, way)| *way == input.direction) else {
            return Step::GiveUp;
        };
        self.open(if within == Within::Mqtt { "mqtt" } else { "" }, JOINED);
        self.agreed = true;
        self.to_server.head_read = true;
        self.to_client.head_read = true;
        self.way(input.direction.opposite()).astray = true;
        self.frame(input, cx)
    }

    /// Settles what the messages are.
    fn open(&mut self, subprotocol: &str, path: &str) {
        let mut name = subprotocol.to_ascii_lowercase();
        // Some servers leave the subprotocol out; a path that says MQTT is as clear.
        if name.is_empty() && path.to_ascii_lowercase().ends_with("/mqtt") {
            name.push_str("mqtt");
        }
        self.stream = name.starts_with("mqtt") || name == "coap";
        self.subprotocol = name.len();
        self.hint = format!("{name} {path}");
    }

    fn frame(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) -> Step {
        let direction = input.direction;
        if self.way(direction).astray {
            let found = input.segment_start && begins_frames(input.bytes, direction);
            self.way(direction).astray = !found;
            if !found {
                cx.count(Counter::ResynchronisationBytes, input.bytes.len() as u64);
                return Step::Consumed(input.bytes.len());
            }
        }
        let Some(frame) = wire::frame(input.bytes) else { return Step::Need(input.bytes.len() + 1) };
        if frame.payload >> 63 != 0 {
            cx.anomaly(direction, &anomaly::LENGTH_INVALID);
            return Step::GiveUp;
        }
        // Frames of the client while the answer is still missing: it passed elsewhere, or is late. The handshake is told as far as it was seen.
        if direction == Direction::ToServer
            && let Some(asked) = self.asked.take()
        {
            handshake::tell(Some(&asked), None, direction, &Anomalies::default(), cx);
        }
        if frame.total() > MAX_FRAME as u64 {
            cx.count(Counter::MessagesTooLarge, 1);
            self.pass_over(&frame, direction, cx);
            return Step::Skip(frame.total());
        }
        let total = frame.total() as usize;
        let Some(payload) = input.bytes.get(frame.header..total) else { return Step::Need(total) };
        let anomalies = self.check(&frame, direction);
        if anomalies.iter().any(|anomaly| std::ptr::eq(anomaly.code, &anomaly::RESERVED_OPCODE)) {
            let way = self.way(direction);
            way.misread += 1;
            if way.misread > MISREADS {
                return Step::GiveUp;
            }
        }
        match frame.opcode {
            Opcode::Close => self.close_frame(&frame, payload, direction, anomalies, cx),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => self.data(&frame, payload, direction, anomalies, cx),
            Opcode::Ping | Opcode::Pong | Opcode::Reserved => tell(direction, &anomalies, cx),
        }
        Step::Consumed(total)
    }

    fn check(&mut self, frame: &Frame, direction: Direction) -> Anomalies {
        let mut anomalies = Anomalies::default();
        match (direction, frame.mask) {
            (Direction::ToServer, None) => anomalies.push_at(&anomaly::UNMASKED, 1),
            (Direction::ToClient, Some(_)) => anomalies.push_at(&anomaly::MASKED, 1),
            _ => {}
        }
        let may_compress = self.deflate.is_some() && matches!(frame.opcode, Opcode::Text | Opcode::Binary);
        if frame.rsv23 || (frame.rsv1 && !may_compress) {
            anomalies.push_at(&anomaly::RESERVED_BITS, 0);
        }
        if !frame.minimal {
            anomalies.push_at(&anomaly::LENGTH_NOT_MINIMAL, 1);
        }
        if frame.opcode == Opcode::Reserved {
            anomalies.push_at(&anomaly::RESERVED_OPCODE, 0);
        }
        if frame.is_control() && frame.payload > 125 {
            anomalies.push_at(&anomaly::CONTROL_TOO_LONG, 1);
        }
        if frame.is_control() && !frame.fin {
            anomalies.push_at(&anomaly::CONTROL_FRAGMENTED, 0);
        }
        let open = self.way(direction).message.is_some();
        match frame.opcode {
            Opcode::Continuation if !open => anomalies.push_at(&anomaly::UNEXPECTED_CONTINUATION, 0),
            Opcode::Text | Opcode::Binary if open => anomalies.push_at(&anomaly::INTERRUPTED_MESSAGE, 0),
            _ => {}
        }
        anomalies
    }

    fn close_frame(&mut self, frame: &Frame, payload: &[u8], direction: Direction, mut anomalies: Anomalies, cx: &mut Cx<'_>) {
        let mut plain = Vec::new();
        wire::unmask(payload, frame.mask, &mut plain);
        let (code, reason) = match plain.split_first_chunk::<2>() {
            Some((code, reason)) => (Some(u16::from_be_bytes(*code)), reason),
            None => (None, &[][..]),
        };
        let valid = match code {
            Some(code) => matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999),
            None => plain.is_empty(),
        };
        if !valid {
            anomalies.push(&anomaly::INVALID_CLOSE);
        }
        let text = String::from_utf8_lossy(reason);
        if matches!(text, Cow::Owned(_)) {
            anomalies.push(&anomaly::INVALID_UTF8);
        }
        let reason = (!reason.is_empty()).then_some(text);
        cx.emit(direction, &record::Close { code, reason }, &[], &anomalies);
    }

    fn data(&mut self, frame: &Frame, payload: &[u8], direction: Direction, mut anomalies: Anomalies, cx: &mut Cx<'_>) {
        let way = self.way(direction);
        if frame.opcode != Opcode::Continuation {
            way.parts.clear();
            way.message = Some(Begun { text: frame.opcode == Opcode::Text, compressed: frame.rsv1, dropped: false });
        }
        let Some(mut begun) = way.message else {
            tell(direction, &anomalies, cx);
            return;
        };
        if way.parts.len() + payload.len() > MAX_MESSAGE {
            cx.count(Counter::MessagesTooLarge, 1);
            begun.dropped = true;
        } else if !begun.dropped {
            // The server's whole messages need no copy.
            let borrowed = frame.fin && frame.mask.is_none() && way.parts.is_empty();
            if !borrowed {
                wire::unmask(payload, frame.mask, &mut way.parts);
            }
        }
        way.message = if frame.fin { None } else { Some(begun) };
        if !frame.fin {
            tell(direction, &anomalies, cx);
            return;
        }
        if begun.dropped {
            way.parts = Vec::new();
            way.context_lost |= begun.compressed;
            tell(direction, &anomalies, cx);
            self.tell_child(direction, u64::MAX, cx);
            return;
        }
        let mut parts = std::mem::take(&mut way.parts);
        let whole: &[u8] = if parts.is_empty() && frame.mask.is_none() { payload } else { &parts };
        self.whole(begun, whole, direction, &mut anomalies, cx);
        tell(direction, &anomalies, cx);
        parts.clear();
        if parts.capacity() <= KEPT_BYTES {
            self.way(direction).parts = parts;
        }
    }

    /// Hands on a message that is whole.
    fn whole(&mut self, begun: Begun, bytes: &[u8], direction: Direction, anomalies: &mut Anomalies, cx: &mut Cx<'_>) {
        let mut inflated = std::mem::take(&mut self.way(direction).inflated);
        inflated.clear();
        let bytes = if begun.compressed {
            match self.inflate(bytes, direction, &mut inflated) {
                Ok(()) => &inflated,
                Err(failure) => {
                    if let Some(failure) = failure {
                        anomalies.push(if failure == Failure::TooLarge {
                            &anomaly::INFLATED_TOO_LARGE
                        } else {
                            &anomaly::INFLATE_FAILED
                        });
                    }
                    cx.count(Counter::ResynchronisationBytes, bytes.len() as u64);
                    self.tell_child(direction, u64::MAX, cx);
                    return;
                }
            }
        } else {
            bytes
        };
        if begun.text && std::str::from_utf8(bytes).is_err() {
            anomalies.push(&anomaly::INVALID_UTF8);
        }
        if !bytes.is_empty() {
            let (subprotocol, path) = self.hint.split_at_checked(self.subprotocol).unwrap_or_default();
            let carrier = record::Message {
                subprotocol,
                path: Some(path.trim_start()).filter(|path| *path != JOINED).unwrap_or_default(),
                text: begun.text,
                compressed: begun.compressed,
                length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            };
            let channel = if self.stream { Channel::Stream(0) } else { Channel::Datagram };
            cx.forward(Carried { kind: "websocket", hint: &self.hint, channel, direction, bytes, carrier: &carrier });
        }
        if inflated.capacity() <= KEPT_BYTES {
            self.way(direction).inflated = inflated;
        }
    }

    /// Decompresses a message; `Err(None)`: the context was lost with earlier bytes.
    fn inflate(&mut self, bytes: &[u8], direction: Direction, out: &mut Vec<u8>) -> Result<(), Option<Failure>> {
        let deflate = self.deflate.unwrap_or_default();
        let forgets = match direction {
            Direction::ToServer => deflate.client_no_context_takeover,
            Direction::ToClient => deflate.server_no_context_takeover,
        };
        let way = self.way(direction);
        if way.context_lost && !forgets {
            return Err(None);
        }
        let mut inflater = way.inflater.take().unwrap_or_else(|| Box::new(Inflater::new(forgets)));
        let result = inflater.message(bytes, out);
        // A failed decompressor is dropped: where messages stand alone the next one gets a new one.
        way.context_lost = result.is_err();
        if result.is_ok() && !forgets {
            way.inflater = Some(inflater);
        }
        result.map_err(Some)
    }

    /// A frame too large to be kept: its message is lost.
    fn pass_over(&mut self, frame: &Frame, direction: Direction, cx: &mut Cx<'_>) {
        let way = self.way(direction);
        if frame.is_control() || frame.opcode == Opcode::Reserved {
            return;
        }
        way.parts = Vec::new();
        let compressed = frame.rsv1 || way.message.is_some_and(|begun| begun.compressed);
        way.context_lost |= compressed;
        way.message = (!frame.fin).then_some(Begun { text: false, compressed, dropped: true });
        let missing = if compressed { u64::MAX } else { frame.payload };
        self.tell_child(direction, missing, cx);
    }

    /// Tells a stream within that bytes of it are missing.
    fn tell_child(&mut self, direction: Direction, missing: u64, cx: &mut Cx<'_>) {
        if self.stream {
            cx.forward_gap("websocket", Channel::Stream(0), direction, missing);
        }
    }
}

impl Way {
    /// Bytes were lost: a message begun before cannot be finished.
    fn lose_message(&mut self) {
        self.parts = Vec::new();
        self.message = None;
        // The compressor may refer to what was lost.
        self.context_lost = true;
        self.inflater = None;
    }
}

fn tell(direction: Direction, anomalies: &Anomalies, cx: &mut Cx<'_>) {
    for anomaly in anomalies.iter() {
        cx.anomaly(direction, anomaly.code);
    }
}

/// Whether frames begin here: the mask as the direction asks for, a known opcode, and the next frame, as far as it can be seen, likewise.
pub(super) fn begins_frames(bytes: &[u8], direction: Direction) -> bool {
    let good = |frame: &Frame| {
        frame.mask.is_some() == (direction == Direction::ToServer)
            && !frame.rsv23
            && frame.minimal
            && frame.opcode != Opcode::Reserved
            && frame.total() <= MAX_FRAME as u64
            && (!frame.is_control() || (frame.fin && !frame.rsv1 && frame.payload <= 125))
    };
    let Some(frame) = wire::frame(bytes) else { return false };
    let next = bytes.get(frame.total() as usize..).unwrap_or_default();
    good(&frame) && wire::frame(next).is_none_or(|next| good(&next))
}
