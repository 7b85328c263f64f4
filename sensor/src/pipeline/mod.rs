//! Joins the stages for one shard: layers to flows to streams to decoders to observations. The only module that knows them all.
//!
//! A shard sees all packets of its IP pairs in order, whoever runs it; everything it keeps is bounded per shard.

mod cut;
mod flow;

use crate::counters::{Counter, Counters};
use crate::flow::table::{FlowKey, FlowTable};
use crate::flow::{Endpoint, FlowInfo, Transport};
use crate::limits;
use crate::link::{self, Content, Layers, NetworkMap};
use crate::net::fragments::{Fragment, Fragments};
use crate::observation::{FlowMoment, Observer, Place};
use crate::protocols::{Channel, DecoderSpec, Decoders};
use crate::time::Timestamp;
use crate::transport::reassembly::{Budget, HalfStream};
use crate::transport::segment::{TcpHeader, UdpHeader};
use cut::Unjudged;
use flow::{Env, Feeder, Flow};
use std::sync::Arc;

/// What a sensor is built from.
#[derive(Clone, Copy)]
pub struct SensorConfig {
    /// The decoders to use.
    pub decoders: &'static [&'static DecoderSpec],
    /// Key of the hash tables: fixed in replay, random live. Nothing that is told depends on it.
    pub seed: u64,
    /// Most flows kept in each shard.
    pub flows: usize,
}

impl Default for SensorConfig {
    fn default() -> Self {
        Self { decoders: crate::protocols::DECODERS, seed: 0, flows: limits::FLOWS }
    }
}

/// A packet on its way to its shard.
#[derive(Clone, Copy)]
pub(crate) struct PacketInfo {
    pub(crate) frame: u64,
    pub(crate) time: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) layers: Layers,
    /// Number of its interface's map of networks.
    pub(crate) map: u16,
}

/// Sequence numbers from here on are those of what is told when an epoch ends, after all packets of the epoch.
const EPOCH_SEQUENCE: u32 = 1 << 31;

/// The state of one shard.
pub(crate) struct Shard<O> {
    number: usize,
    flows: FlowTable<Flow>,
    fragments: Fragments,
    budget: Budget,
    /// Flows with a hole in a stream, to be looked at each epoch.
    holes: Vec<u32>,
    counters: Counters,
    stream_counters: Counters,
    pub(crate) observer: O,
    decoders: Arc<Decoders>,
    networks: Arc<NetworkMap>,
}

impl<O: Observer> Shard<O> {
    pub(crate) fn new(
        number: usize,
        config: SensorConfig,
        decoders: Arc<Decoders>,
        networks: Arc<NetworkMap>,
        observer: O,
    ) -> Self {
        Self {
            number,
            flows: FlowTable::new(config.flows, config.seed),
            fragments: Fragments::default(),
            budget: Budget::default(),
            holes: Vec::new(),
            counters: Counters::default(),
            stream_counters: Counters::default(),
            observer,
            decoders,
            networks,
        }
    }

    /// Takes one packet.
    #[inline]
    pub(crate) fn packet(&mut self, packet: &PacketInfo, bytes: &[u8]) {
        self.content(packet, packet.layers.content, packet.layers.payload(bytes));
    }

    fn content(&mut self, packet: &PacketInfo, content: Content, payload: &[u8]) {
        match content {
            Content::Tcp => self.tcp(packet, payload),
            Content::Udp => self.udp(packet, payload),
            Content::Fragment(part) => self.fragment(packet, part, payload),
            Content::Icmpv6 => self.message(packet, Transport::Icmpv6, payload),
            Content::Arp => self.message(packet, Transport::Link, payload),
            Content::LoraTap => self.message(packet, Transport::LoraTap, payload),
            Content::Link(_) => {}
        }
    }

    fn fragment(&mut self, packet: &PacketInfo, part: link::Fragment, payload: &[u8]) {
        let fragment = Fragment {
            network: packet.layers.network,
            source: packet.layers.source,
            destination: packet.layers.destination,
            id: part.identification,
            protocol: part.protocol,
            offset: part.offset,
            more: part.more,
            payload,
        };
        let Some(whole) = self.fragments.add(packet.now, fragment, &mut self.counters) else { return };
        // A tunnel may have been cut in fragments: what it carries is handled here, in the shard of its outer addresses.
        let networks = self.networks.numbered(packet.map);
        let layers = link::peel_datagram(&packet.layers, whole.protocol, &whole.payload, &mut self.counters, networks);
        let Some(layers) = layers.filter(|layers| !matches!(layers.content, Content::Fragment(_))) else { return };
        let inner = PacketInfo { layers, ..*packet };
        self.content(&inner, layers.content, layers.payload(&whole.payload));
    }

    /// A message of a protocol without ports: neighbour discovery, ARP, LoRaTap.
    fn message(&mut self, packet: &PacketInfo, transport: Transport, payload: &[u8]) {
        let ends = Ends::new(packet, transport, 0, 0);
        self.datagram(packet, &ends, payload);
    }

    fn udp(&mut self, packet: &PacketInfo, payload: &[u8]) {
        let Some(header) = UdpHeader::parse(payload) else { return self.counters.bump(Counter::TransportMalformed) };
        let ends = Ends::new(packet, Transport::Udp, header.source, header.destination);
        self.datagram(packet, &ends, header.payload);
    }

    fn datagram(&mut self, packet: &PacketInfo, ends: &Ends, payload: &[u8]) {
        let number = self.find_or_open(packet, ends, None);
        let Some(flow) = self.flows.get_mut(number) else { return };
        let direction = flow.body.direction(ends.sender_is_low);
        flow.body.touch(packet.now, direction, payload.len());
        if payload.is_empty() {
            return;
        }
        let mut place = Place { frame: packet.frame, sequence: 0 };
        if packet.layers.missing > 0 {
            let mut observer = Unjudged::new(&mut self.observer);
            let mut env = env(&mut observer, &mut self.counters, &mut place, packet, &self.decoders);
            flow.body.feed(ends.sender_is_low, payload, Channel::Datagram, true, &mut env);
            return observer.count(&mut self.counters);
        }
        let mut env = env(&mut self.observer, &mut self.counters, &mut place, packet, &self.decoders);
        flow.body.feed(ends.sender_is_low, payload, Channel::Datagram, true, &mut env);
    }

    fn tcp(&mut self, packet: &PacketInfo, payload: &[u8]) {
        let Some(header) = TcpHeader::parse(payload) else { return self.counters.bump(Counter::TransportMalformed) };
        let ends = Ends::new(packet, Transport::Tcp, header.source, header.destination);
        let syn = header.flags.syn();
        let mut number = self.find_or_open(packet, &ends, syn.then(|| !header.flags.ack()));
        if syn && self.flows.get_mut(number).is_some_and(|flow| starts_anew(flow, &ends, &header)) {
            self.close(number, packet.now, Place { frame: packet.frame, sequence: 0 });
            number = self.find_or_open(packet, &ends, Some(!header.flags.ack()));
        }
        let Some(flow) = self.flows.get_mut(number) else { return };
        let direction = flow.body.direction(ends.sender_is_low);
        flow.body.touch(packet.now, direction, header.payload.len());
        let own = usize::from(!ends.sender_is_low);
        let special = syn || header.flags.fin() || header.flags.rst();
        if header.flags.fin() {
            flow.body.has_ended(ends.sender_is_low);
        }
        if flow.body.is_silent() {
            // Nobody wants its bytes, so none of them can be missing.
            self.counters.add(Counter::UndecodedBytes, header.payload.len() as u64);
            flow.streams.iter_mut().filter(|stream| stream.has_hole()).for_each(HalfStream::give_up);
            flow.body.closing |= header.flags.rst() || flow.body.both_ended();
            return;
        }
        let acknowledges_hole = header.flags.ack() && flow.streams[1 - own].has_hole();
        if !special && !acknowledges_hole && header.payload.is_empty() {
            return;
        }
        let mut place = Place { frame: packet.frame, sequence: 0 };
        let env = env(&mut self.observer, &mut self.counters, &mut place, packet, &self.decoders);
        let mut feeder = Feeder { body: &mut flow.body, sender_is_low: ends.sender_is_low, env };
        if acknowledges_hole {
            feeder.sender_is_low = !ends.sender_is_low;
            flow.streams[1 - own].peer_acknowledged(
                header.ack,
                packet.now,
                &mut self.budget,
                &mut self.stream_counters,
                &mut feeder,
            );
            feeder.sender_is_low = ends.sender_is_low;
        }
        let stream = &mut flow.streams[own];
        if syn {
            stream.syn(header.seq);
        }
        stream.push(header.data_seq(), header.payload, packet.now, &mut self.budget, &mut self.stream_counters, &mut feeder);
        if header.flags.fin() {
            stream.fin(header.end_seq(), packet.now, &mut self.budget, &mut self.stream_counters, &mut feeder);
        }
        if header.flags.rst() || flow.streams.iter().all(HalfStream::is_finished) {
            flow.body.closing = true;
        }
        if flow.streams.iter().any(HalfStream::has_hole) && self.holes.last() != Some(&number) {
            self.holes.push(number);
        }
    }

    #[inline]
    fn find_or_open(&mut self, packet: &PacketInfo, ends: &Ends, sender_is_client: Option<bool>) -> u32 {
        match self.flows.find(&ends.key) {
            Some(number) => number,
            None => self.open(packet, ends, sender_is_client),
        }
    }

    #[cold]
    fn open(&mut self, packet: &PacketInfo, ends: &Ends, sender_is_client: Option<bool>) -> u32 {
        while let Some(victim) = self.flows.victim() {
            self.counters.bump(Counter::FlowsEvicted);
            self.close(victim, packet.now, Place { frame: packet.frame, sequence: 0 });
        }
        self.counters.bump(Counter::Flows);
        let layers = &packet.layers;
        let client_is_sender =
            sender_is_client.unwrap_or_else(|| self.decoders.sender_is_client(ends.sender.port, ends.receiver.port));
        let mut info = FlowInfo {
            id: packet.frame,
            network: layers.network,
            transport: ends.transport,
            client: ends.sender,
            server: ends.receiver,
            client_mac: layers.source_mac,
            server_mac: layers.destination_mac,
            vlan: layers.vlan,
            oriented: sender_is_client.is_some(),
        };
        if !client_is_sender {
            info.turn();
        }
        let flow = Flow::new(info, client_is_sender == ends.sender_is_low, packet.now);
        self.flows.insert(ends.key, flow, packet.now.plus(limits::FLOW_REPORT))
    }

    fn close(&mut self, number: u32, now: Timestamp, mut place: Place) {
        let Some(mut flow) = self.flows.remove(number) else { return };
        let env = Env {
            observer: &mut self.observer,
            counters: &mut self.counters,
            place: &mut place,
            time: now,
            now,
            decoders: &self.decoders,
        };
        let mut feeder = Feeder { body: &mut flow.body, sender_is_low: true, env };
        let unread = feeder.body.is_silent();
        for (side, stream) in flow.streams.iter_mut().enumerate().filter(|_| !unread) {
            feeder.sender_is_low = side == 0;
            stream.flush(now, &mut self.budget, &mut self.stream_counters, &mut feeder);
        }
        let Feeder { body, mut env, .. } = feeder;
        body.close(&mut env);
    }

    /// Ends an epoch: holes and flows grow old, active flows are told of. `frame` is the epoch's last.
    pub(crate) fn epoch(&mut self, epoch: u64, frame: u64, now: Timestamp) {
        let mut place = self.epoch_place(frame);
        let due = self.flows.take_due(now);
        for &(number, _) in &due {
            let Some(flow) = self.flows.get_mut(number) else { continue };
            if now.since(flow.body.last) >= flow.body.patience() {
                self.close(number, now, place);
                place.sequence += 1 << 8;
                continue;
            }
            flow.body.report(FlowMoment::Active, &mut self.observer, &mut place);
            let due = now.plus(if flow.body.closing { limits::TCP_LINGER } else { limits::FLOW_REPORT });
            self.flows.schedule(number, due);
        }
        self.flows.recycle(due);
        self.expire_holes(now, &mut place);
        self.fragments.expire(now, &mut self.counters);
        self.observer.epoch(epoch, now);
    }

    /// Gives up holes that are too old, and forgets flows that have none left.
    fn expire_holes(&mut self, now: Timestamp, place: &mut Place) {
        let mut holes = std::mem::take(&mut self.holes);
        holes.sort_unstable();
        holes.dedup();
        holes.retain(|&number| {
            let Some(Flow { streams, body }) = self.flows.get_mut(number) else { return false };
            if body.is_silent() {
                streams.iter_mut().for_each(HalfStream::give_up);
                return false;
            }
            let env = Env {
                observer: &mut self.observer,
                counters: &mut self.counters,
                place,
                time: now,
                now,
                decoders: &self.decoders,
            };
            let mut feeder = Feeder { body, sender_is_low: true, env };
            for (side, stream) in streams.iter_mut().enumerate() {
                feeder.sender_is_low = side == 0;
                stream.expire(now, &mut self.budget, &mut self.stream_counters, &mut feeder);
            }
            streams.iter().any(HalfStream::has_hole)
        });
        self.holes = holes;
    }

    /// Ends everything: the capture is over.
    pub(crate) fn finish(&mut self, epoch: u64, frame: u64, now: Timestamp) {
        let mut place = self.epoch_place(frame);
        for number in self.flows.numbers() {
            self.close(number, now, place);
            place.sequence += 1 << 8;
        }
        // What follows brings together what all shards tell at the end: it can have the room.
        self.flows = FlowTable::new(1, 0);
        self.counters.merge(&std::mem::take(&mut self.stream_counters));
        self.observer.epoch(epoch, now);
    }

    /// Adds all that the shard counted so far.
    pub(crate) fn add_counters(&self, sum: &mut Counters) {
        sum.merge(&self.counters);
        sum.merge(&self.stream_counters);
    }

    fn epoch_place(&self, frame: u64) -> Place {
        Place { frame, sequence: EPOCH_SEQUENCE + ((self.number as u32) << 24) }
    }
}

fn env<'e>(
    observer: &'e mut dyn Observer,
    counters: &'e mut Counters,
    place: &'e mut Place,
    packet: &PacketInfo,
    decoders: &'e Decoders,
) -> Env<'e> {
    Env { observer, counters, place, time: packet.time, now: packet.now, decoders }
}

/// Whether a SYN begins a new connection on the ports of an old one, rather than being sent again.
fn starts_anew(flow: &Flow, ends: &Ends, header: &TcpHeader<'_>) -> bool {
    let stream = &flow.streams[usize::from(!ends.sender_is_low)];
    flow.body.closing || stream.restarts(header.seq) || (flow.body.is_silent() && !stream.is_started())
}

/// The two ends of a packet above IP.
struct Ends {
    transport: Transport,
    sender: Endpoint,
    receiver: Endpoint,
    key: FlowKey,
    sender_is_low: bool,
}

impl Ends {
    #[inline]
    fn new(packet: &PacketInfo, transport: Transport, source: u16, destination: u16) -> Self {
        let sender = Endpoint { ip: packet.layers.source, port: source };
        let receiver = Endpoint { ip: packet.layers.destination, port: destination };
        let (key, sender_is_low) = FlowKey::new(packet.layers.network, transport, sender, receiver);
        Self { transport, sender, receiver, key, sender_is_low }
    }
}
