//! Decoders turn bytes into records. One folder a protocol; adding one is its folder and its line in [`DECODERS`].
//!
//! The contract, which `tests/` checks for all decoders at once:
//! - [`DecoderSpec::probe`] looks at the first bytes of a flow and says whether they are this protocol. Content decides; ports only hint.
//! - The pipeline shows contiguous bytes of one direction; [`Decoder::message`] takes one message at a time and answers a [`Step`].
//!   Buffering is the pipeline's. While in sync, splitting the input at any byte gives the same observations.
//! - Malformed input is data: what could be read plus anomalies. [`Step::GiveUp`] means only "not this protocol" or "cannot find the next message".
//! - Unknown codes keep their raw value. A decoder never panics, keeps its tables bounded and counts what it drops.
//! - A decoder calls no other: what it carries goes to [`Cx::forward`].

use crate::counters::{Counter, Counters};
use crate::flow::{Direction, FlowInfo, Transport};
use crate::observation::{Anomalies, AnomalyCode, Fact, IdentityKind, Observation, Observer, Place, Record, RecordKind};
use crate::time::Timestamp;

pub mod arp;
pub mod chirpstack;
pub mod coap;
pub mod dhcp;
pub mod dhcpv6;
pub mod dtls;
pub mod gwmp;
pub mod home_assistant;
pub mod homie;
pub mod loratap;
pub mod lorawan;
pub mod lwm2m;
pub mod modbus;
pub mod mqtt;
pub mod mqtt_sn;
pub mod ndp;
pub mod shelly;
pub mod sparkplug;
pub mod station;
pub mod tasmota;
pub mod the_things_stack;
pub mod tls;
pub mod websocket;
pub mod zigbee2mqtt;

mod carried;
pub(crate) mod foreign;
pub(crate) mod heard;
mod lookup;
pub(crate) use carried::Children;
pub use lookup::Decoders;

/// All decoders, in the order in which they are asked: those that recognise themselves surely come first.
#[rustfmt::skip]
pub static DECODERS: &[&DecoderSpec] = &[
    &gwmp::SPEC,
    &lorawan::SPEC,
    &loratap::SPEC,
    &station::SPEC,
    &chirpstack::SPEC,
    &the_things_stack::SPEC,
    &websocket::SPEC,
    &tls::SPEC,
    &dtls::SPEC,
    &mqtt::SPEC,
    &home_assistant::SPEC,
    &tasmota::SPEC,
    &shelly::SPEC,
    &zigbee2mqtt::SPEC,
    &homie::SPEC,
    &sparkplug::SPEC,
    &coap::SPEC,
    &lwm2m::SPEC,
    &modbus::SPEC,
    &mqtt_sn::SPEC,
    &arp::SPEC,
    &ndp::SPEC,
    &dhcp::SPEC,
    &dhcpv6::SPEC,
];

/// What a decoder is.
pub struct DecoderSpec {
    /// Name of the protocol: the folder's name, the prefix of its fields, the log source of its rules.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The documents followed.
    pub documents: &'static [&'static str],
    /// Where its messages can be found.
    pub hooks: Hooks,
    /// Most bytes that [`Step::Need`] may ask for; a message beyond is passed over and counted.
    pub max_message: usize,
    /// Looks at first bytes.
    pub probe: fn(&ProbeInput<'_>) -> Probe,
    /// Makes a decoder for one flow or channel.
    pub create: fn() -> Box<dyn Decoder>,
    /// The kinds of records it makes.
    pub records: &'static [&'static RecordKind],
    /// The anomalies it can see.
    pub anomalies: &'static [&'static AnomalyCode],
    /// The kinds of identities it can see.
    pub identities: &'static [&'static IdentityKind],
    /// Its own bounds.
    pub bounds: &'static [Bound],
}

/// Where a protocol's messages can be found.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// It runs over TCP.
    pub tcp: bool,
    /// It runs over UDP.
    pub udp: bool,
    /// Ports that make a weak recognition good enough.
    pub ports: &'static [u16],
    /// EtherTypes whose payload it takes whole, without a probe.
    pub ethertypes: &'static [u16],
    /// ICMPv6 messages.
    pub icmpv6: bool,
    /// Frames of LoRaTap captures (link type 270).
    pub loratap: bool,
    /// Kinds of carried payload that it can take; see [`Carried::kind`].
    pub carried: &'static [&'static str],
}

impl Hooks {
    /// Nowhere.
    pub const NONE: Hooks =
        Hooks { tcp: false, udp: false, ports: &[], ethertypes: &[], icmpv6: false, loratap: false, carried: &[] };
}

/// A limit on what a decoder keeps, so that hostile traffic cannot make it grow.
#[derive(Debug)]
pub struct Bound {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: usize,
    /// Why this value.
    pub reason: &'static str,
}

/// What a probe sees.
#[derive(Clone, Copy)]
pub struct ProbeInput<'a> {
    /// The first bytes of this direction, or the whole datagram, or the carried payload.
    pub bytes: &'a [u8],
    /// Which way they go, as far as it is known.
    pub direction: Direction,
    /// Whether the bytes are one whole message (a datagram) or the beginning of a stream.
    pub channel: Channel,
    /// Whether one of the ports is among [`Hooks::ports`].
    pub port_hint: bool,
    /// What the carrier says of the payload (topic, path, subprotocol); empty elsewhere.
    pub hint: &'a str,
}

/// A probe's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// These bytes can hardly be anything else. The direction is that of the bytes, where they tell it.
    Strong(Option<Direction>),
    /// They could be: enough with a port hint or when a second message says so too.
    Weak(Option<Direction>),
    /// They are not.
    No,
    /// Too few bytes to tell.
    Incomplete,
}

/// How bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// One whole message at a time.
    Datagram,
    /// Part of a stream; the number tells streams of one carrier apart.
    Stream(u32),
}

/// Bytes shown to a decoder.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Contiguous bytes: a whole datagram, or the stream from the first byte not yet consumed.
    pub bytes: &'a [u8],
    /// Which way they go.
    pub direction: Direction,
    /// How they come.
    pub channel: Channel,
    /// Whether `bytes` begins at the start of a segment or datagram: a likely start of a message after a gap.
    pub segment_start: bool,
}

/// What a decoder did with the bytes that it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It took so many of them (at least one); show the rest.
    Consumed(usize),
    /// It needs so many bytes in all, counted from the first byte shown. In a datagram: cut, nothing more comes.
    Need(usize),
    /// It took those it was shown as far as needed and the next message begins so many bytes after the first byte shown.
    Skip(u64),
    /// Not this protocol, or the next message cannot be found.
    GiveUp,
}

/// What to do after bytes were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterGap {
    /// The decoder looks for the next message from the next segment on.
    Resume,
    /// It cannot.
    GiveUp,
}

/// The state of one protocol in one flow or channel.
pub trait Decoder: Send {
    /// Takes one message from the beginning of `input`.
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step;

    /// Bytes of this direction were lost outside a skipped body; `None`: the flow was already running when the capture began.
    fn gap(&mut self, direction: Direction, missing: Option<u64>, cx: &mut Cx<'_>) -> AfterGap {
        let _ = (direction, missing, cx);
        AfterGap::GiveUp
    }

    /// The flow or channel ended: what was waiting for an answer got none.
    fn close(&mut self, cx: &mut Cx<'_>) {
        let _ = cx;
    }
}

/// What ends the hint of a payload whose carrier was running when the capture began: nothing says that what it carries begins here.
pub const JOINED: &str = "(joined)";

/// A payload that belongs to another protocol.
#[derive(Clone, Copy)]
pub struct Carried<'a> {
    /// What it is, as decoders name it in [`Hooks::carried`]: `lorawan.phy_payload`, `mqtt.payload`, `websocket`, `coap.payload`.
    pub kind: &'static str,
    /// What the carrier says of it: a topic, a path, a subprotocol.
    pub hint: &'a str,
    /// How it comes.
    pub channel: Channel,
    /// Which way.
    pub direction: Direction,
    /// The payload.
    pub bytes: &'a [u8],
    /// The message that carries it.
    pub carrier: &'a dyn Record,
}

/// What a decoder can see and do while it takes a message.
pub struct Cx<'c> {
    pub(crate) observer: &'c mut dyn Observer,
    pub(crate) counters: &'c mut Counters,
    pub(crate) flow: &'c FlowInfo,
    pub(crate) children: &'c mut Option<Box<Children>>,
    pub(crate) place: &'c mut Place,
    pub(crate) time: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) spec: &'static DecoderSpec,
    pub(crate) carrier: Option<&'c dyn Record>,
    pub(crate) hint: &'c str,
    pub(crate) depth: u8,
    pub(crate) decoders: &'c Decoders,
}

impl<'c> Cx<'c> {
    /// The flow; its orientation is settled before the first message is shown.
    pub fn flow(&self) -> &FlowInfo {
        self.flow
    }

    /// 1-based number of the packet that completed these bytes.
    pub fn frame(&self) -> u64 {
        self.place.frame
    }

    /// Where an observation made now would be.
    pub fn place(&self) -> Place {
        *self.place
    }

    /// The packet's own time stamp.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Monotone packet time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The message that carries this one, for a carried protocol.
    pub fn carrier(&self) -> Option<&'c dyn Record> {
        self.carrier
    }

    /// What the carrier says of the payload ([`Carried::hint`]); empty elsewhere.
    pub fn hint(&self) -> &'c str {
        self.hint
    }

    /// Counts something.
    pub fn count(&mut self, counter: Counter, n: u64) {
        self.counters.add(counter, n);
    }

    /// Makes an observation: a message with what it implies and what is odd about it.
    pub fn emit(&mut self, direction: Direction, record: &dyn Record, facts: &[Fact<'_>], anomalies: &Anomalies) {
        self.observe(direction, Some(record), facts, anomalies);
    }

    /// Makes an observation of something odd that belongs to no message.
    pub fn anomaly(&mut self, direction: Direction, code: &'static AnomalyCode) {
        let mut anomalies = Anomalies::default();
        anomalies.push(code);
        self.observe(direction, None, &[], &anomalies);
    }

    /// Tells facts that belong to no single message.
    pub fn facts(&mut self, direction: Direction, facts: &[Fact<'_>]) {
        self.observe(direction, None, facts, &Anomalies::default());
    }

    fn observe(&mut self, direction: Direction, record: Option<&dyn Record>, facts: &[Fact<'_>], anomalies: &Anomalies) {
        self.counters.bump(Counter::Observations);
        self.counters.add(Counter::Anomalies, anomalies.len() as u64);
        self.observer.observe(&Observation {
            place: *self.place,
            time: self.time,
            flow: self.flow,
            direction,
            protocol: self.spec.name,
            record,
            carrier: self.carrier,
            facts,
            anomalies,
        });
        self.place.sequence += 1;
    }

    /// Hands a carried payload to the decoder that recognises it; answers the name of that protocol.
    pub fn forward(&mut self, carried: Carried<'_>) -> Option<&'static str> {
        carried::forward(self, carried)
    }

    /// Tells the decoder that has a carried stream that bytes of it are missing; `u64::MAX`: nobody knows how many.
    pub fn forward_gap(&mut self, kind: &'static str, channel: Channel, direction: Direction, missing: u64) {
        carried::lose(self, kind, channel, direction, missing);
    }
}

impl DecoderSpec {
    /// Whether it can stand on this transport.
    pub fn runs_over(&self, transport: Transport) -> bool {
        match transport {
            Transport::Tcp => self.hooks.tcp,
            Transport::Udp => self.hooks.udp,
            Transport::Icmpv6 => self.hooks.icmpv6,
            Transport::Link => !self.hooks.ethertypes.is_empty(),
            Transport::LoraTap => self.hooks.loratap,
        }
    }
}
