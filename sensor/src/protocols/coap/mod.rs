//! CoAP, the Constrained Application Protocol: over UDP, TCP and WebSocket.
//!
//! Each message becomes a record: `coap.request`, `coap.response`, `coap.empty`, `coap.signal`. Responses are paired with their requests by token, and
//! piggybacked ones by message ID as well; bodies that come in blocks are put together (`coap.body`); the description at `/.well-known/core` becomes a
//! list (`coap.resources`). Payloads go on to other decoders as `coap.payload`, with a hint `<content format, or -> <method, or code> <path>`; a body in
//! blocks goes on once, when it is whole.
//!
//! Not done here: responses to a multicast request come from the addresses of those that answer, in flows of their own, and are not paired with it
//! (their records have no `request_frame`). OSCORE is not decrypted: records hold what a known key can be tried on. An exchange, an observation or a
//! body does not outlive its flow. CoAP within DTLS or TLS is not seen at all.
//!
//! Followed: RFC 7252, RFC 6690, RFC 7641, RFC 7959, RFC 7967, RFC 8132, RFC 8323, RFC 8613 (option), RFC 8768, RFC 8974, RFC 9175, RFC 9177, RFC 9668.

use super::{AfterGap, Bound, Channel, Cx, Decoder, DecoderSpec, Hooks, Input, Probe, ProbeInput, Step};
use crate::counters::Counter;
use crate::flow::{Direction, Transport};
use code::Code;

pub mod code;
pub mod link_format;
pub mod option;
pub mod record;
pub mod wire;

mod anomalies;
mod blockwise;
mod exchange;
mod fields;
mod payload;
mod probe;
mod secrets;
mod session;
mod signal;

#[cfg(test)]
pub(crate) mod tests;

/// Largest message that is taken from a stream: 64 kB of payload, which no constrained device exceeds, and its options.
pub const MAX_MESSAGE: usize = 70_000;

/// Datagrams, or messages of a stream, in a row that are no CoAP after which a flow is given up.
const FOREIGN: u8 = 8;

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "coap",
    title: "CoAP",
    documents: &[
        "RFC 7252", "RFC 6690", "RFC 7641", "RFC 7959", "RFC 7967", "RFC 8132", "RFC 8323", "RFC 8613", "RFC 8768", "RFC 8974",
        "RFC 9175", "RFC 9177", "RFC 9668",
    ],
    hooks: Hooks { tcp: true, udp: true, ports: &[5683, 61616], carried: &["websocket"], ..Hooks::NONE },
    max_message: MAX_MESSAGE,
    probe: probe::probe,
    create: || Box::<Coap>::default(),
    records: &[
        &record::Request::KIND,
        &record::Response::KIND,
        &record::Empty::KIND,
        &record::Signal::KIND,
        &record::Body::KIND,
        &record::Resources::KIND,
    ],
    anomalies: anomalies::ALL,
    identities: &[],
    bounds: &[
        Bound {
            name: "exchanges",
            value: exchange::EXCHANGES,
            reason: "a gateway keeps some dozens of observations with one device",
        },
        Bound { name: "path", value: session::PATH_BYTES, reason: "paths of constrained servers are some dozens of bytes" },
        Bound {
            name: "message_ids",
            value: exchange::MESSAGE_IDS,
            reason: "messages are sent again within seconds, with few others in between",
        },
        Bound { name: "bodies", value: blockwise::BODIES, reason: "one each way, and one each that is being restarted" },
        Bound {
            name: "body_bytes",
            value: blockwise::BODY_BYTES,
            reason: "images for constrained devices are some hundred kilobytes",
        },
        Bound {
            name: "body_ahead",
            value: blockwise::AHEAD,
            reason: "a burst of ten blocks (RFC 9177 MAX_PAYLOADS), rounded up",
        },
        Bound { name: "body_stretches", value: blockwise::STRETCHES, reason: "losses are a few blocks at a time" },
        Bound { name: "links", value: payload::LINKS, reason: "a constrained server describes some dozens of resources" },
        Bound { name: "resource_types", value: link_format::RESOURCE_TYPES, reason: "what a device is shows in the first types" },
        Bound {
            name: "resource_type_bytes",
            value: link_format::RESOURCE_TYPE_BYTES,
            reason: "they are words, or URIs of a registry",
        },
    ],
};

#[derive(Default)]
struct Coap {
    session: Box<session::Session>,
    foreign: u8,
    begun: [Begun; 2],
}

/// How far one direction of a reliable transport got.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Begun {
    /// Nothing was seen yet: a CSM has to come.
    #[default]
    Fresh,
    /// A message was seen.
    Running,
    /// Bytes were lost: the next message is looked for.
    Lost,
}

impl Decoder for Coap {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        match cx.flow().transport {
            Transport::Tcp if cx.carrier().is_some() => self.websocket(input, cx),
            Transport::Tcp => self.stream(input, cx),
            _ => self.datagram(input, cx),
        }
    }

    fn gap(&mut self, direction: Direction, _missing: Option<u64>, _cx: &mut Cx<'_>) -> AfterGap {
        if let Some(begun) = self.begun.get_mut(direction.index()) {
            *begun = Begun::Lost;
        }
        AfterGap::Resume
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.session.close(cx);
    }
}

impl Coap {
    fn datagram(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        match wire::datagram(input.bytes) {
            Ok(message) => {
                self.foreign = 0;
                self.session.message(&message, input.bytes, input.direction, cx);
            }
            Err(fault) => {
                cx.anomaly(input.direction, anomaly_of(fault));
                if self.is_foreign(true) {
                    return Step::GiveUp;
                }
            }
        }
        Step::Consumed(input.bytes.len())
    }

    fn stream(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let begun = self.begun.get(input.direction.index()).copied().unwrap_or_default();
        if begun == Begun::Lost && !begins(&input) {
            cx.count(Counter::ResynchronisationBytes, input.bytes.len() as u64);
            return Step::Consumed(input.bytes.len());
        }
        let frame = match wire::frame(input.bytes) {
            Ok(frame) => frame,
            Err(needed) => return Step::Need(needed),
        };
        let Ok(total) = usize::try_from(frame.total) else { return Step::GiveUp };
        if total > MAX_MESSAGE {
            cx.count(Counter::MessagesTooLarge, 1);
            return if self.is_foreign(true) { Step::GiveUp } else { Step::Skip(frame.total) };
        }
        let Some(bytes) = input.bytes.get(..total) else { return Step::Need(total) };
        let is_sane = self.reliable(bytes, frame.prefix, input.direction, cx);
        if self.is_foreign(!is_sane) { Step::GiveUp } else { Step::Consumed(total) }
    }

    /// Counts messages in a row that make no sense; so many of them are another protocol.
    fn is_foreign(&mut self, foreign: bool) -> bool {
        self.foreign = if foreign { self.foreign.saturating_add(1) } else { 0 };
        self.foreign >= FOREIGN
    }

    fn websocket(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        if input.bytes.first().is_some_and(|first| first >> 4 != 0) {
            cx.anomaly(input.direction, &anomalies::WEBSOCKET_LENGTH);
        }
        // The subprotocol was agreed on: what makes no sense is broken, not foreign.
        self.reliable(input.bytes, 1, input.direction, cx);
        Step::Consumed(input.bytes.len())
    }

    /// Takes a whole message of a reliable transport. Answers whether it makes sense as CoAP.
    fn reliable(&mut self, bytes: &[u8], prefix: usize, direction: Direction, cx: &mut Cx<'_>) -> bool {
        match wire::framed(bytes, prefix) {
            Ok(message) => {
                if let Some(begun) = self.begun.get_mut(direction.index()) {
                    if *begun == Begun::Fresh && message.code != Code::CSM {
                        cx.anomaly(direction, &anomalies::CSM_MISSING);
                    }
                    *begun = Begun::Running;
                }
                self.session.message(&message, bytes, direction, cx);
                message.code.name().is_some() && message.options().all(|option| option.is_ok())
            }
            Err(fault) => {
                cx.anomaly(direction, anomaly_of(fault));
                false
            }
        }
    }
}

/// Whether a message seems to begin here: after lost bytes at the start of a segment.
fn begins(input: &Input<'_>) -> bool {
    let seems = || {
        let probe =
            ProbeInput { bytes: input.bytes, direction: input.direction, channel: Channel::Stream(0), port_hint: true, hint: "" };
        probe::probe(&probe) != Probe::No
    };
    input.segment_start && seems() && wire::frame(input.bytes).is_ok_and(|frame| frame.total <= MAX_MESSAGE as u64)
}

fn anomaly_of(fault: wire::HeaderFault) -> &'static crate::observation::AnomalyCode {
    match fault {
        wire::HeaderFault::Cut => &anomalies::TRUNCATED,
        wire::HeaderFault::Version => &anomalies::VERSION,
        wire::HeaderFault::TokenLength => &anomalies::TOKEN_LENGTH_RESERVED,
    }
}
