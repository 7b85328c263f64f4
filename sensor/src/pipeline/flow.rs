//! One flow: its streams, the protocol recognised in it, and what is told of it.

use crate::counters::{Counter, Counters};
use crate::flow::table::Entry;
use crate::flow::{Direction, FlowInfo, Transport};
use crate::limits;
use crate::observation::{FlowMoment, FlowReport, Observer, Place};
use crate::protocols::{Channel, Children, Cx, Decoder, DecoderSpec, Decoders, Probe, ProbeInput, foreign};
use crate::stream::StreamBuffer;
use crate::time::Timestamp;
use crate::transport::reassembly::{HalfStream, StreamSink};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a flow needs of its shard while it takes a packet.
pub(super) struct Env<'e> {
    pub(super) observer: &'e mut dyn Observer,
    pub(super) counters: &'e mut Counters,
    pub(super) place: &'e mut Place,
    pub(super) time: Timestamp,
    pub(super) now: Timestamp,
    pub(super) decoders: &'e Decoders,
}

/// A flow in the table.
pub(super) struct Flow {
    /// The two directions of a TCP flow: of the lower end of the key, of the higher.
    pub(super) streams: [HalfStream; 2],
    pub(super) body: Body,
}

/// All of a flow but its streams, so that both can be used at once.
pub(super) struct Body {
    pub(super) info: FlowInfo,
    low_is_client: bool,
    /// A FIN of both sides or an RST was seen.
    pub(super) closing: bool,
    /// Sides whose FIN was seen.
    ended: [bool; 2],
    seen: [bool; 2],
    since_report: Traffic,
    /// Time of the latest packet.
    pub(super) last: Timestamp,
    recognition: Recognition,
    /// Times a decoder gave up on the flow.
    strikes: u8,
    children: Option<Box<Children>>,
}

/// What passed since the last report.
#[derive(Default)]
struct Traffic {
    /// Time of the first packet; says nothing where there is none.
    first: Timestamp,
    packets: [u32; 2],
    bytes: [u64; 2],
}

impl Traffic {
    fn is_none(&self) -> bool {
        self.packets == [0; 2]
    }
}

enum Recognition {
    Probing(Probing),
    Running(Running),
    Silent,
}

/// Bytes waiting for a verdict; the vector is empty in the usual case that the first bytes tell.
#[derive(Default)]
struct Probing {
    tries: u8,
    /// Directions of which bytes are missing before those that wait: of the lower end, of the higher.
    lost: [bool; 2],
    /// It began as a protocol that no decoder takes: from then on only what shows itself surely is believed.
    foreign: bool,
    weak: Option<Weakly>,
    held: Vec<Held>,
}

/// A protocol that the last bytes of a direction could be of.
#[derive(Clone, Copy)]
struct Weakly {
    name: &'static str,
    sender_is_low: bool,
}

struct Held {
    sender_is_low: bool,
    place: Place,
    time: Timestamp,
    now: Timestamp,
    bytes: Vec<u8>,
}

struct Running {
    spec: &'static DecoderSpec,
    decoder: Box<dyn Decoder>,
    buffers: [StreamBuffer; 2],
}

/// What a piece that waits costs besides its bytes, so that a stream of single bytes meets the bound as well.
const HELD_COST: usize = 64;

/// After this many times that decoders lost their place the flow counts as undecoded.
const STRIKES: u8 = 3;

impl Entry for Flow {
    fn is_established(&self) -> bool {
        self.body.is_established()
    }
}

impl Flow {
    pub(super) fn new(info: FlowInfo, low_is_client: bool, now: Timestamp) -> Self {
        let body = Body {
            info,
            low_is_client,
            closing: false,
            ended: [false; 2],
            seen: [false; 2],
            since_report: Traffic::default(),
            last: now,
            recognition: Recognition::Probing(Probing::default()),
            strikes: 0,
            children: None,
        };
        Self { streams: Default::default(), body }
    }
}

impl Body {
    fn is_established(&self) -> bool {
        self.seen == [true; 2] || matches!(self.recognition, Recognition::Running(_))
    }

    /// Direction of a packet whose sender is (or is not) the key's lower end.
    #[inline]
    pub(super) fn direction(&self, sender_is_low: bool) -> Direction {
        if sender_is_low == self.low_is_client { Direction::ToServer } else { Direction::ToClient }
    }

    /// Counts a packet.
    #[inline]
    pub(super) fn touch(&mut self, now: Timestamp, direction: Direction, bytes: usize) {
        self.last = now;
        self.seen[direction.index()] = true;
        let traffic = &mut self.since_report;
        if traffic.is_none() {
            traffic.first = now;
        }
        traffic.packets[direction.index()] += 1;
        traffic.bytes[direction.index()] += bytes as u64;
    }

    /// Whether nothing will be decoded in it.
    #[inline]
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.recognition, Recognition::Silent)
    }

    /// Takes note of a side's FIN.
    pub(super) fn has_ended(&mut self, sender_is_low: bool) {
        self.ended[usize::from(!sender_is_low)] = true;
    }

    /// Whether both sides sent their FIN.
    pub(super) fn both_ended(&self) -> bool {
        self.ended == [true; 2]
    }

    /// Time after which the flow has ended if it stays silent.
    pub(super) fn patience(&self) -> u64 {
        match (self.closing, self.info.transport, &self.recognition) {
            (true, ..) => limits::TCP_LINGER,
            (_, Transport::Tcp, Recognition::Running(_)) => limits::TCP_SILENCE,
            _ => limits::FLOW_SILENCE,
        }
    }

    /// Tells what the flow did since it was last told of.
    pub(super) fn report(&mut self, moment: FlowMoment, observer: &mut dyn Observer, place: &mut Place) {
        let traffic = std::mem::take(&mut self.since_report);
        if traffic.is_none() && moment == FlowMoment::Active {
            return;
        }
        observer.flow(&FlowReport {
            place: *place,
            moment,
            flow: &self.info,
            protocol: self.protocol(),
            first: if traffic.is_none() { self.last } else { traffic.first },
            last: self.last,
            packets: traffic.packets.map(u64::from),
            bytes: traffic.bytes,
            answered: self.seen == [true; 2],
        });
        place.sequence += 1;
    }

    fn protocol(&self) -> Option<&'static str> {
        match &self.recognition {
            Recognition::Running(running) => Some(running.spec.name),
            _ => None,
        }
    }

    /// Shows bytes of one direction to the flow's decoder, or to the probes until one recognises them.
    pub(super) fn feed(&mut self, sender_is_low: bool, bytes: &[u8], channel: Channel, segment_start: bool, env: &mut Env<'_>) {
        let direction = self.direction(sender_is_low);
        match &mut self.recognition {
            Recognition::Running(running) => {
                let alive = guarded(running, &self.info, &mut self.children, env, |running, cx| {
                    let buffer = &mut running.buffers[direction.index()];
                    buffer.deliver(&mut *running.decoder, bytes, direction, channel, segment_start, cx)
                });
                self.settle(alive, channel, env);
            }
            Recognition::Probing(_) => self.probe(sender_is_low, bytes, channel, env),
            Recognition::Silent => env.counters.add(Counter::UndecodedBytes, bytes.len() as u64),
        }
    }

    /// Tells the flow's decoder that bytes are missing.
    fn lose(&mut self, sender_is_low: bool, missing: Option<u64>, env: &mut Env<'_>) {
        let direction = self.direction(sender_is_low);
        match &mut self.recognition {
            Recognition::Running(running) => {
                let alive = guarded(running, &self.info, &mut self.children, env, |running, cx| {
                    running.buffers[direction.index()].lose(&mut *running.decoder, direction, missing, cx)
                });
                self.settle(alive, Channel::Stream(0), env);
            }
            Recognition::Probing(probing) => {
                probing.held.retain(|held| held.sender_is_low != sender_is_low);
                probing.lost[usize::from(!sender_is_low)] = true;
            }
            Recognition::Silent => {}
        }
    }

    /// Ends the flow.
    pub(super) fn close(&mut self, env: &mut Env<'_>) {
        if let Recognition::Running(running) = &mut self.recognition {
            guarded(running, &self.info, &mut self.children, env, |running, cx| {
                running.decoder.close(cx);
                if let Some(children) = cx.children.take() {
                    children.close(cx);
                }
                true
            });
        }
        let was_probing = matches!(self.recognition, Recognition::Probing(_));
        env.counters.add(Counter::UndecodedFlows, u64::from(was_probing && self.seen_payload()));
        self.report(FlowMoment::Closed, env.observer, env.place);
    }

    fn seen_payload(&self) -> bool {
        matches!(&self.recognition, Recognition::Probing(probing) if probing.tries > 0)
    }

    /// Draws the consequence where a decoder did not go on: a datagram protocol keeps its flow, a stream is probed anew.
    fn settle(&mut self, alive: Verdict, channel: Channel, env: &mut Env<'_>) {
        match alive {
            Verdict::Alive => {}
            Verdict::GaveUp if channel == Channel::Datagram && self.strikes < STRIKES => self.strikes += 1,
            Verdict::GaveUp if self.strikes < STRIKES => {
                self.strikes += 1;
                self.stop(env);
                self.recognition = Recognition::Probing(Probing::default());
            }
            Verdict::GaveUp => {
                self.stop(env);
                env.counters.bump(Counter::UndecodedFlows);
                self.recognition = Recognition::Silent;
            }
            Verdict::Failed => {
                env.counters.bump(Counter::DecoderFailures);
                self.recognition = Recognition::Silent;
                self.children = None;
            }
        }
    }

    fn stop(&mut self, env: &mut Env<'_>) {
        if let Recognition::Running(running) = &mut self.recognition {
            guarded(running, &self.info, &mut self.children, env, |running, cx| {
                running.decoder.close(cx);
                if let Some(children) = cx.children.take() {
                    children.close(cx);
                }
                true
            });
        }
        self.children = None;
    }

    fn probe(&mut self, sender_is_low: bool, bytes: &[u8], channel: Channel, env: &mut Env<'_>) {
        let direction = self.direction(sender_is_low);
        let Recognition::Probing(probing) = &mut self.recognition else { return };
        let mut gathered = Vec::new();
        if channel != Channel::Datagram && probing.held.iter().any(|held| held.sender_is_low == sender_is_low) {
            let same_side = probing.held.iter().filter(|held| held.sender_is_low == sender_is_low);
            same_side.for_each(|held| gathered.extend_from_slice(&held.bytes));
            gathered.extend_from_slice(bytes);
        }
        let shown = if gathered.is_empty() { bytes } else { &gathered };
        let weak = probing.weak.map(|weak| weak.name);
        let mut verdict = ask(&self.info, shown, direction, channel, weak, env.decoders);
        if probing.foreign && matches!(verdict, Asked::Weak(_) | Asked::Recognised(_, _, Sure::Weakly)) {
            verdict = Asked::Nobody;
        }
        if let Asked::Recognised(spec, said, _) = verdict {
            let (held, lost) = (std::mem::take(&mut probing.held), probing.lost);
            if said.is_some_and(|said| said != direction) {
                self.info.turn();
                self.low_is_client = !self.low_is_client;
                self.since_report.packets.swap(0, 1);
                self.since_report.bytes.swap(0, 1);
            }
            self.info.oriented |= said.is_some();
            self.recognition = Recognition::Running(Running { spec, decoder: (spec.create)(), buffers: Default::default() });
            for side in [true, false] {
                if lost[usize::from(!side)] {
                    self.lose(side, None, env);
                }
            }
            self.replay(held, channel, env);
            return self.feed(sender_is_low, bytes, channel, true, env);
        }
        let kept: usize = probing.held.iter().map(|held| held.bytes.len() + HELD_COST).sum();
        // Below ports a flow is all that two addresses say: one message does not tell what the next is.
        // Neither does a beginning: its bound is that of bytes, and a buffer that is full without a verdict is a try like another.
        let is_full = kept + bytes.len() > limits::PROBE_BYTES;
        let has_ports = matches!(self.info.transport, Transport::Tcp | Transport::Udp);
        probing.tries += u8::from(has_ports && (is_full || !matches!(verdict, Asked::Incomplete)));
        match (&verdict, probing.weak) {
            (Asked::Weak(name), _) => probing.weak = Some(Weakly { name, sender_is_low }),
            // What looked like a message was not followed by one.
            (Asked::Nobody, Some(weak)) if weak.sender_is_low == sender_is_low => probing.weak = None,
            _ => {}
        }
        if matches!(verdict, Asked::Nobody) || is_full {
            let undecoded: usize = probing.held.iter().map(|held| held.bytes.len()).sum();
            env.counters.add(Counter::UndecodedBytes, (undecoded + bytes.len()) as u64);
            if channel != Channel::Datagram {
                // Whoever takes the stream later begins in its middle.
                let gone = probing.held.iter().map(|held| held.sender_is_low).chain([sender_is_low]);
                gone.for_each(|side_is_low| probing.lost[usize::from(!side_is_low)] = true);
            }
            probing.held.clear();
        } else {
            let (place, time, now) = (*env.place, env.time, env.now);
            probing.held.push(Held { sender_is_low, place, time, now, bytes: bytes.to_vec() });
        }
        probing.foreign |= channel != Channel::Datagram && matches!(verdict, Asked::Nobody) && foreign::begins(shown);
        if probing.tries >= limits::PROBES {
            env.counters.bump(Counter::UndecodedFlows);
            self.recognition = Recognition::Silent;
        }
    }

    /// Shows what waited for the verdict, each piece as of its own packet.
    fn replay(&mut self, held: Vec<Held>, channel: Channel, env: &mut Env<'_>) {
        for held in held {
            let mut place = held.place;
            let mut then = Env {
                observer: &mut *env.observer,
                counters: &mut *env.counters,
                place: &mut place,
                time: held.time,
                now: held.now,
                decoders: env.decoders,
            };
            self.feed(held.sender_is_low, &held.bytes, channel, true, &mut then);
        }
    }
}

enum Verdict {
    Alive,
    GaveUp,
    Failed,
}

/// Lets a decoder work; a panic there is a bug of ours that must cost one flow, not the appliance.
fn guarded(
    running: &mut Running,
    info: &FlowInfo,
    children: &mut Option<Box<Children>>,
    env: &mut Env<'_>,
    act: impl FnOnce(&mut Running, &mut Cx<'_>) -> bool,
) -> Verdict {
    let mut cx = Cx {
        observer: &mut *env.observer,
        counters: &mut *env.counters,
        flow: info,
        children,
        place: &mut *env.place,
        time: env.time,
        now: env.now,
        spec: running.spec,
        carrier: None,
        hint: "",
        depth: 0,
        decoders: env.decoders,
    };
    match catch_unwind(AssertUnwindSafe(|| act(running, &mut cx))) {
        Ok(true) => Verdict::Alive,
        Ok(false) => Verdict::GaveUp,
        Err(_) => Verdict::Failed,
    }
}

/// How a protocol was recognised.
enum Sure {
    Surely,
    Weakly,
}

enum Asked {
    Recognised(&'static DecoderSpec, Option<Direction>, Sure),
    Weak(&'static str),
    Incomplete,
    Nobody,
}

/// Asks the decoders of this transport. A sure answer wins; a weak one is enough with a port hint or when it was given before.
fn ask(
    info: &FlowInfo,
    bytes: &[u8],
    direction: Direction,
    channel: Channel,
    weak_before: Option<&'static str>,
    decoders: &Decoders,
) -> Asked {
    let mut answer = Asked::Nobody;
    let mut accepted = None;
    for &spec in decoders.over(info.transport) {
        let port_hint = spec.hooks.ports.iter().any(|port| *port == info.server.port || *port == info.client.port);
        match (spec.probe)(&ProbeInput { bytes, direction, channel, port_hint, hint: "" }) {
            Probe::Strong(said) => return Asked::Recognised(spec, said, Sure::Surely),
            Probe::Weak(said) if port_hint || weak_before == Some(spec.name) => {
                accepted.get_or_insert((spec, said));
            }
            Probe::Weak(_) if !matches!(answer, Asked::Weak(_)) => answer = Asked::Weak(spec.name),
            Probe::Incomplete if matches!(answer, Asked::Nobody) => answer = Asked::Incomplete,
            _ => {}
        }
    }
    match accepted {
        Some((spec, said)) => Asked::Recognised(spec, said, Sure::Weakly),
        None => answer,
    }
}

/// Takes what reassembly delivers of one direction and shows it to the flow.
pub(super) struct Feeder<'f, 'e> {
    pub(super) body: &'f mut Body,
    pub(super) sender_is_low: bool,
    pub(super) env: Env<'e>,
}

impl StreamSink for Feeder<'_, '_> {
    #[inline]
    fn data(&mut self, bytes: &[u8], segment_start: bool) {
        self.body.feed(self.sender_is_low, bytes, Channel::Stream(0), segment_start, &mut self.env);
    }

    fn gap(&mut self, missing: Option<u64>) {
        self.body.lose(self.sender_is_low, missing, &mut self.env);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Endpoint;
    use crate::protocols::{AfterGap, Hooks, Input, Step};
    use crate::testing::Lines;
    use std::net::{IpAddr, Ipv4Addr};

    crate::anomalies! {
        /// Bytes before those that are shown are missing.
        MISSING = "letters.missing",
        /// Bytes are shown.
        SHOWN = "letters.shown",
    }

    /// Messages begin with `!`; `?` could become one.
    static LETTERS: DecoderSpec = DecoderSpec {
        name: "letters",
        title: "Letters",
        documents: &[],
        hooks: Hooks { tcp: true, udp: true, ..Hooks::NONE },
        max_message: 16,
        probe: |input| match input.bytes.first() {
            Some(b'!') => Probe::Strong(None),
            Some(b'?') => Probe::Incomplete,
            _ => Probe::No,
        },
        create: || Box::new(Letters),
        records: &[],
        anomalies: ALL,
        identities: &[],
        bounds: &[],
    };

    struct Letters;

    impl Decoder for Letters {
        fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
            cx.anomaly(input.direction, &SHOWN);
            Step::Consumed(input.bytes.len())
        }

        fn gap(&mut self, direction: Direction, _missing: Option<u64>, cx: &mut Cx<'_>) -> AfterGap {
            cx.anomaly(direction, &MISSING);
            AfterGap::Resume
        }
    }

    /// What is seen of pieces, each with whether the client sent it.
    fn seen_of(transport: Transport, pieces: &[(bool, &[u8])]) -> Vec<String> {
        let end = |last, port| Endpoint { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port };
        let info = FlowInfo {
            id: 1,
            network: 0,
            transport,
            client: end(1, 50_000),
            server: end(2, 9_000),
            client_mac: None,
            server_mac: None,
            vlan: None,
            oriented: true,
        };
        let channel = if transport == Transport::Tcp { Channel::Stream(0) } else { Channel::Datagram };
        let decoders = Decoders::new(&[&LETTERS]);
        let (mut lines, mut counters, mut place) = (Lines::default(), Counters::default(), Place { frame: 0, sequence: 0 });
        let mut flow = Flow::new(info, true, Timestamp(0));
        for (from_client, bytes) in pieces {
            let mut env = Env {
                observer: &mut lines,
                counters: &mut counters,
                place: &mut place,
                time: Timestamp(0),
                now: Timestamp(0),
                decoders: &decoders,
            };
            flow.body.feed(*from_client, bytes, channel, true, &mut env);
        }
        lines.0
    }

    #[test]
    fn a_decoder_is_told_of_bytes_that_nobody_recognised() {
        let seen = |pieces: &[(bool, &[u8])]| seen_of(Transport::Tcp, pieces);
        assert_eq!(seen(&[(true, b"!")]), [">  !letters.shown"]);
        assert_eq!(seen(&[(true, b"x"), (true, b"!")]), [">  !letters.missing", ">  !letters.shown"]);
        // Only the side whose bytes went misses something.
        assert_eq!(seen(&[(true, b"x"), (false, b"!")]), [">  !letters.missing", "<  !letters.shown"]);
        // What waited on the other side goes with them.
        let both = [">  !letters.missing", "<  !letters.missing", ">  !letters.shown"];
        assert_eq!(seen(&[(true, b"?"), (false, b"x"), (true, b"!")]), both);
        // What waits until it is recognised is not missing.
        assert_eq!(seen(&[(false, b"?"), (true, b"!")]), ["<  !letters.shown", ">  !letters.shown"]);
        let full = [b'?'; limits::PROBE_BYTES + 1];
        assert_eq!(seen(&[(true, &full), (false, b"!")]), [">  !letters.missing", "<  !letters.shown"]);
    }

    #[test]
    fn a_datagram_misses_nothing_of_those_before() {
        assert_eq!(seen_of(Transport::Udp, &[(true, b"x"), (true, b"!")]), [">  !letters.shown"]);
    }
}
