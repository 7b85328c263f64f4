//! Runs one decoder over bytes and writes what it observes as text, for tests of decoders and for fuzzing.

use crate::counters::Counters;
use crate::flow::{Direction, Endpoint, FlowInfo, Transport};
use crate::observation::{Credential, Fact, Observation, Observer, Place};
use crate::protocols::{Carried, Channel, Children, Cx, DECODERS, Decoder, DecoderSpec, Decoders};
use crate::record;
use crate::stream::StreamBuffer;
use crate::time::{Nanos, SECOND, Timestamp};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

static LOOKUP: LazyLock<Decoders> = LazyLock::new(|| Decoders::new(DECODERS));

/// When a bench begins: 20 November 2026, 06:00 UTC. Far from 0, which stands for "never" in a decoder's state.
const START: Timestamp = Timestamp(1_795_154_400 * SECOND);

/// One decoder in one flow between 10.0.0.1:50000 (client) and 10.0.0.2 (server).
pub struct Bench {
    spec: &'static DecoderSpec,
    decoder: Box<dyn Decoder>,
    buffers: [StreamBuffer; 2],
    children: Option<Box<Children>>,
    flow: FlowInfo,
    place: Place,
    alive: bool,
    /// The time of the next chunk.
    pub now: Timestamp,
    /// Time that passes with each call; a second, unless a test compares ways to split the same bytes. At 0 all calls are one packet.
    pub tick: Nanos,
    /// What was counted.
    pub counters: Counters,
    /// What was observed, one line each.
    pub lines: Lines,
}

record! {
    /// Stands for the message that carries a payload in [`Bench::carry`].
    pub struct Carrier = "testing.carrier" {}
}

/// Observations as lines: direction, record name and JSON, then facts and anomalies.
#[derive(Default)]
pub struct Lines(pub Vec<String>);

impl Observer for Lines {
    fn observe(&mut self, observation: &Observation<'_>) {
        let mut line = String::from(if observation.direction == Direction::ToServer { "> " } else { "< " });
        if let Some(record) = observation.record {
            let mut json = Vec::new();
            record.write_json(&mut json);
            let _ = write!(line, "{} {}", record.kind().name, String::from_utf8_lossy(&json));
        }
        for fact in observation.facts {
            let _ = write!(line, " +{}", describe(fact));
        }
        for anomaly in observation.anomalies.iter() {
            let _ = write!(line, " !{}", anomaly.code.name);
        }
        self.0.push(line);
    }
}

/// A fact in one readable piece. Secrets are told by length alone.
pub fn describe(fact: &Fact<'_>) -> String {
    match fact {
        Fact::Identity { id, presence } => format!("identity({id} {presence:?})"),
        Fact::SameAs { a, b, basis, .. } => format!("same({a} = {b}: {basis})"),
        Fact::Via { id, via } => format!("via({id} via {via})"),
        Fact::Role { id, role } => format!("role({id} {role:?})"),
        Fact::Attribute { id, name, value, .. } => format!("attribute({id} {name:?}={value})"),
        Fact::Service { id, protocol, port, protected } => format!("service({id} {protocol} {port:?} {protected})"),
        Fact::Peer { client, server, protocol } => format!("peer({client} -> {server} {protocol})"),
        Fact::Credential(Credential { by, to, kind, user, secret, outcome, cleartext }) => format!(
            "credential({by} -> {to} {kind:?} user:{:?} secret:{:?} {outcome:?} clear:{cleartext})",
            user.map(|user| user.length()),
            secret.map(|secret| secret.length())
        ),
        Fact::Certificate { id, subject, issuer, .. } => format!("certificate({id} {subject} by {issuer})"),
        Fact::Object { id, kind, name } => format!("object({id} {kind} {name})"),
        Fact::Security { id, aspect, value } => format!("security({id} {aspect:?}={value})"),
        Fact::Activity { id, messages, .. } => format!("activity({id} {messages})"),
    }
}

impl Bench {
    /// A fresh decoder over TCP or UDP on the server's `port`.
    pub fn new(spec: &'static DecoderSpec, transport: Transport, port: u16) -> Self {
        let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        Self {
            spec,
            decoder: (spec.create)(),
            buffers: Default::default(),
            children: None,
            flow: FlowInfo {
                id: 1,
                network: 0,
                transport,
                client: Endpoint { ip: address(1), port: 50_000 },
                server: Endpoint { ip: address(2), port },
                client_mac: None,
                server_mac: None,
                vlan: None,
                oriented: true,
            },
            place: Place { frame: 0, sequence: 0 },
            alive: true,
            now: START,
            tick: SECOND,
            counters: Counters::default(),
            lines: Lines::default(),
        }
    }

    /// The same between other endpoints, with the MAC addresses of client and server.
    pub fn between(mut self, client: Endpoint, server: Endpoint, macs: [Option<[u8; 6]>; 2]) -> Self {
        let [client_mac, server_mac] = macs;
        self.flow = FlowInfo { client, server, client_mac, server_mac, ..self.flow };
        self
    }

    /// The same with another server address: a multicast group, say.
    pub fn with_server(mut self, ip: IpAddr) -> Self {
        self.flow.server.ip = ip;
        self
    }

    /// Shows one datagram or one chunk of the stream; time passes by [`Bench::tick`] a call. Answers whether the decoder goes on.
    pub fn show(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        if self.alive {
            let channel = if self.flow.transport == Transport::Tcp { Channel::Stream(0) } else { Channel::Datagram };
            self.alive = self.with(|bench_buffers, decoder, cx| {
                bench_buffers[direction.index()].deliver(decoder, bytes, direction, channel, true, cx)
            });
        }
        self.alive
    }

    /// Tells of a gap.
    pub fn lose(&mut self, direction: Direction, missing: Option<u64>) -> bool {
        if self.alive {
            self.alive = self.with(|buffers, decoder, cx| buffers[direction.index()].lose(decoder, direction, missing, cx));
        }
        self.alive
    }

    /// Hands a payload to the decoder that recognises it, as a carrier would; time passes by a second a call. Answers that decoder's name.
    pub fn carry(&mut self, kind: &'static str, hint: &str, direction: Direction, bytes: &[u8]) -> Option<&'static str> {
        let carried = Carried { kind, hint, channel: Channel::Datagram, direction, bytes, carrier: &Carrier {} };
        self.with(|_, _, cx| cx.forward(carried))
    }

    /// Ends the flow.
    pub fn close(&mut self) {
        self.with(|_, decoder, cx| {
            if let Some(children) = cx.children.take() {
                children.close(cx);
            }
            decoder.close(cx);
        });
    }

    /// The decoder's description.
    pub fn spec(&self) -> &'static DecoderSpec {
        self.spec
    }

    /// Bytes kept of each direction until the decoder can take them.
    pub fn held(&self) -> [usize; 2] {
        [self.buffers[0].held(), self.buffers[1].held()]
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut [StreamBuffer; 2], &mut dyn Decoder, &mut Cx<'_>) -> T) -> T {
        let same_packet = self.tick == 0 && self.place.frame > 0;
        self.place = Place { frame: self.place.frame + u64::from(!same_packet), sequence: 0 };
        self.now = self.now.plus(self.tick);
        let time = self.now;
        let mut cx = Cx {
            observer: &mut self.lines,
            counters: &mut self.counters,
            flow: &self.flow,
            children: &mut self.children,
            place: &mut self.place,
            time,
            now: time,
            spec: self.spec,
            carrier: None,
            hint: "",
            depth: 0,
            decoders: &LOOKUP,
        };
        act(&mut self.buffers, &mut *self.decoder, &mut cx)
    }
}
