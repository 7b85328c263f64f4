//! Spreads packets over the shards by their inner IP pair and announces epochs to all of them. Threads only decide who runs which shard.
//!
//! One dispatcher reads a capture group, for live and replay alike. With one thread everything runs inline; with more, the dispatcher's
//! thread reads, peels and runs the cold half, and each other thread runs its share of the shards.

use crate::capture::{CaptureError, CaptureSource, LinkType, Packet};
use crate::counters::{Counter, Counters};
use crate::flow::table::number;
use crate::limits::{EPOCH_LENGTH, EPOCH_PACKETS, SHARDS};
use crate::link::{self, Layers, NetworkMap};
use crate::observation::Observer;
use crate::pipeline::{PacketInfo, SensorConfig, Shard};
use crate::protocols::Decoders;
use crate::time::{Clock, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// The hot half's end in each shard: observes, and hands over what it gathered when an epoch ends.
pub trait HotStage: Observer {
    /// What the cold half gets of one shard and epoch.
    type Batch: Send;
    /// What was gathered since the last call; `None` where there is nothing.
    fn drain(&mut self) -> Option<Self::Batch>;
}

/// The end of an epoch, as the cold half sees it: the batches of all shards in the order of their numbers.
pub struct EpochEnd<B> {
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// Packet time at its end.
    pub now: Timestamp,
    /// Whether the capture is over.
    pub last: bool,
    /// What the shards gathered.
    pub batches: Vec<B>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// All counters of the dispatcher and the shards.
    pub counters: Counters,
    /// Packet time of the first packet's stamp and the last packet.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Packets of each link type that is not decoded; at most [`LINK_TYPES`] of them, all are in [`Counter::LinkTypeUnknown`].
    pub undecoded_link_types: BTreeMap<LinkType, u64>,
}

/// Link types that are not decoded of which the packets are counted apart: a capture has one, a file made to harm can have 65,536.
pub const LINK_TYPES: usize = 32;

/// Reads `source` to its end. `threads` of 1 and 0 run inline; more than one for each shard and the dispatcher have nothing to do and are not
/// started. `cold` gets the epochs in order and may stop the run by answering `false`.
///
/// # Errors
/// What the source answers when it cannot go on; everything before was handled.
pub fn run<H: HotStage>(
    source: &mut dyn CaptureSource,
    config: SensorConfig,
    networks: &NetworkMap,
    threads: usize,
    mut make: impl FnMut(usize) -> H,
    mut cold: impl FnMut(EpochEnd<H::Batch>) -> bool,
) -> Result<Outcome, CaptureError> {
    let decoders = Arc::new(Decoders::new(config.decoders));
    let shared = Arc::new(networks.clone());
    let mut shards =
        (0..SHARDS).map(|number| Shard::new(number, config, decoders.clone(), shared.clone(), make(number))).collect::<Vec<_>>();
    if threads <= 1 {
        let mut inline = Inline { shards: &mut shards, cold: &mut cold, going: true };
        return dispatch(source, networks, &mut inline);
    }
    std::thread::scope(|scope| {
        let workers = (threads - 1).min(SHARDS);
        let (results, gathered) = channel::<Told<H::Batch>>();
        let mut lanes = Vec::with_capacity(workers);
        let mut assigned: Vec<Vec<(usize, Shard<H>)>> = (0..workers).map(|_| Vec::new()).collect();
        for (number, shard) in shards.drain(..).enumerate() {
            assigned[number % workers].push((number, shard));
        }
        for own in assigned {
            let (full, incoming) = sync_channel::<Bundle>(QUEUE);
            let (empty, returned) = channel::<Bundle>();
            let results = results.clone();
            scope.spawn(move || work(own, workers, &incoming, &empty, &results));
            lanes.push(Lane { full, returned, bundle: Bundle::default() });
        }
        drop(results);
        let mut threaded = Threaded::<H, _> {
            lanes,
            gathered,
            pending: Vec::new(),
            next: 0,
            counters: Counters::default(),
            cold: &mut cold,
            going: true,
        };
        dispatch(source, networks, &mut threaded)
    })
}

/// What takes peeled packets and epochs.
trait Target {
    fn packet(&mut self, shard: usize, info: PacketInfo, bytes: &[u8]);
    fn epoch(&mut self, mark: Mark) -> bool;
    fn counters(&mut self) -> Counters;
}

/// The end of an epoch on its way to the shards.
#[derive(Clone, Copy)]
struct Mark {
    epoch: u64,
    frame: u64,
    now: Timestamp,
    last: bool,
}

fn dispatch(source: &mut dyn CaptureSource, networks: &NetworkMap, target: &mut dyn Target) -> Result<Outcome, CaptureError> {
    let mut counters = Counters::default();
    let mut clock = Clock::default();
    let (mut frame, mut epoch) = (0u64, 0u64);
    let mut epoch_ends: Option<Timestamp> = None;
    let mut epoch_packets = 0;
    let mut first = None;
    let mut failure = None;
    let mut undecoded_link_types = BTreeMap::new();
    let mut interfaces = Interfaces { networks, numbers: HashMap::with_hasher(FixedState::with_seed(0)) };
    let mut held = Vec::new();
    loop {
        let mut packet = match source.next() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        let map = match interfaces.number_of(&packet) {
            Some(number) => number,
            None => {
                // The packet is lent by the source, which is to be asked: it is copied, once for each interface.
                let Packet { bytes, stamp, link_type, wire_length, source: capture, interface } = packet;
                held.clear();
                held.extend_from_slice(bytes);
                let number = interfaces.learn(source, capture, interface);
                packet = Packet { bytes: &held, stamp, link_type, wire_length, source: capture, interface };
                number
            }
        };
        let before = clock.now().unwrap_or(packet.stamp);
        let now = clock.advance(packet.stamp);
        first.get_or_insert(packet.stamp);
        if epoch_packets >= EPOCH_PACKETS || epoch_ends.is_some_and(|end| now >= end) {
            epoch += 1;
            epoch_packets = 0;
            if !target.epoch(Mark { epoch, frame, now: before, last: false }) {
                break;
            }
            epoch_ends = None;
        }
        epoch_ends.get_or_insert(Timestamp((now.0 / EPOCH_LENGTH + 1).saturating_mul(EPOCH_LENGTH)));
        frame += 1;
        epoch_packets += 1;
        counters.bump(Counter::Packets);
        counters.add(Counter::WireBytes, u64::from(packet.wire_length));
        counters.add(Counter::PacketsCut, u64::from(packet.wire_length as usize > packet.bytes.len()));
        if let Some(layers) = link::peel(packet.link_type.0, packet.bytes, &mut counters, networks.numbered(map)) {
            target.packet(shard_of(&layers), PacketInfo { frame, time: packet.stamp, now, layers, map }, packet.bytes);
        } else if !link::decodes(packet.link_type.0) {
            count_link_type(&mut undecoded_link_types, packet.link_type);
        }
    }
    let now = clock.now().unwrap_or_default();
    target.epoch(Mark { epoch: epoch + 1, frame, now, last: true });
    counters.add(Counter::TimeBackward, clock.backward);
    counters.add(Counter::TimeJumpsRefused, clock.jumps_refused);
    counters.merge(&target.counters());
    match failure {
        Some(error) => Err(error),
        None => Ok(Outcome { counters, span: first.map(|first| (first, now)), undecoded_link_types }),
    }
}

#[cold]
fn count_link_type(counts: &mut BTreeMap<LinkType, u64>, link_type: LinkType) {
    if counts.len() < LINK_TYPES || counts.contains_key(&link_type) {
        *counts.entry(link_type).or_insert(0) += 1;
    }
}

/// Which map of networks the packets of an interface go by, where interfaces are told apart.
struct Interfaces<'n> {
    networks: &'n NetworkMap,
    /// By capture and interface. The capture readers bound how many there are.
    numbers: HashMap<(u16, u16), u16, FixedState>,
}

impl Interfaces<'_> {
    /// The number of the map; `None` where the interface was not asked for yet.
    #[inline]
    fn number_of(&self, packet: &Packet<'_>) -> Option<u16> {
        if !self.networks.tells_interfaces_apart() {
            return Some(0);
        }
        self.numbers.get(&(packet.source, packet.interface)).copied()
    }

    #[cold]
    fn learn(&mut self, source: &dyn CaptureSource, capture: u16, interface: u16) -> u16 {
        let captures = source.describe();
        let found = captures.get(usize::from(capture)).and_then(|capture| capture.interfaces.get(usize::from(interface)));
        let number = found.map_or(0, |interface| self.networks.number_of(&interface.name));
        self.numbers.insert((capture, interface), number);
        number
    }
}

/// The shard of an unordered pair of addresses.
#[inline]
fn shard_of(layers: &Layers) -> usize {
    let sum = number(layers.source).wrapping_add(number(layers.destination));
    let folded = (sum as u64) ^ (sum >> 64) as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % SHARDS
}

struct Inline<'s, H: HotStage, C> {
    shards: &'s mut [Shard<H>],
    cold: &'s mut C,
    going: bool,
}

impl<H: HotStage, C: FnMut(EpochEnd<H::Batch>) -> bool> Target for Inline<'_, H, C> {
    #[inline]
    fn packet(&mut self, shard: usize, info: PacketInfo, bytes: &[u8]) {
        self.shards[shard].packet(&info, bytes);
    }

    fn epoch(&mut self, mark: Mark) -> bool {
        let batches = self.shards.iter_mut().filter_map(|shard| end_epoch(shard, mark)).collect();
        self.going &= (self.cold)(EpochEnd { epoch: mark.epoch, now: mark.now, last: mark.last, batches });
        self.going
    }

    fn counters(&mut self) -> Counters {
        let mut sum = Counters::default();
        self.shards.iter().for_each(|shard| sum.merge(&shard.counters));
        sum
    }
}

fn end_epoch<H: HotStage>(shard: &mut Shard<H>, mark: Mark) -> Option<H::Batch> {
    if mark.last {
        shard.finish(mark.epoch, mark.frame, mark.now);
    } else {
        shard.epoch(mark.epoch, mark.frame, mark.now);
    }
    shard.observer.drain()
}

/// Bundles waiting for each worker: enough to ride out an uneven second, little enough to stay in the cache.
const QUEUE: usize = 8;

/// Bytes of packets in a bundle before it is handed over.
const BUNDLE_BYTES: usize = 128 * 1024;

/// Epochs in a bundle before it is handed over: on a quiet wire they must not wait for packets.
const BUNDLE_MARKS: usize = 16;

/// Packets, and the ends of epochs between them, on their way to a worker.
#[derive(Default)]
struct Bundle {
    bytes: Vec<u8>,
    packets: Vec<(PacketInfo, u32, u32, u8)>,
    marks: Vec<(usize, Mark)>,
}

struct Lane {
    full: SyncSender<Bundle>,
    returned: Receiver<Bundle>,
    bundle: Bundle,
}

impl Lane {
    fn hand_over(&mut self) {
        if self.bundle.packets.is_empty() && self.bundle.marks.is_empty() {
            return;
        }
        let next = self.returned.try_recv().unwrap_or_default();
        // A worker that is gone has panicked; the scope tells of it when it joins.
        let _ = self.full.send(std::mem::replace(&mut self.bundle, next));
    }
}

/// What a worker tells at the end of an epoch.
struct Told<B> {
    mark: Mark,
    batches: Vec<(usize, B)>,
    counters: Option<Counters>,
}

/// An epoch, how many workers have told of it, and what they gathered.
type Pending<B> = (Mark, usize, Vec<(usize, B)>);

struct Threaded<'s, H: HotStage, C> {
    lanes: Vec<Lane>,
    gathered: Receiver<Told<H::Batch>>,
    /// Epochs of which not all workers have told yet, the oldest first.
    pending: Vec<Pending<H::Batch>>,
    next: u64,
    counters: Counters,
    cold: &'s mut C,
    going: bool,
}

impl<H: HotStage, C: FnMut(EpochEnd<H::Batch>) -> bool> Threaded<'_, H, C> {
    fn take(&mut self, told: Told<H::Batch>) {
        let at = match self.pending.iter().position(|(mark, ..)| mark.epoch == told.mark.epoch) {
            Some(at) => at,
            None => {
                self.pending.push((told.mark, 0, Vec::new()));
                self.pending.len() - 1
            }
        };
        let (_, workers, batches) = &mut self.pending[at];
        *workers += 1;
        batches.extend(told.batches);
        if let Some(counters) = told.counters {
            self.counters.merge(&counters);
        }
        while let Some(at) =
            self.pending.iter().position(|(mark, told, _)| mark.epoch == self.next + 1 && *told == self.lanes.len())
        {
            let (mark, _, mut batches) = self.pending.swap_remove(at);
            batches.sort_unstable_by_key(|(shard, _)| *shard);
            let batches = batches.into_iter().map(|(_, batch)| batch).collect();
            self.going &= (self.cold)(EpochEnd { epoch: mark.epoch, now: mark.now, last: mark.last, batches });
            self.next += 1;
        }
    }
}

impl<H: HotStage, C: FnMut(EpochEnd<H::Batch>) -> bool> Target for Threaded<'_, H, C> {
    fn packet(&mut self, shard: usize, info: PacketInfo, bytes: &[u8]) {
        let workers = self.lanes.len();
        let lane = &mut self.lanes[shard % workers];
        let start = lane.bundle.bytes.len() as u32;
        lane.bundle.bytes.extend_from_slice(bytes);
        lane.bundle.packets.push((info, start, bytes.len() as u32, shard as u8));
        if lane.bundle.bytes.len() >= BUNDLE_BYTES {
            lane.hand_over();
            while let Ok(told) = self.gathered.try_recv() {
                self.take(told);
            }
        }
    }

    fn epoch(&mut self, mark: Mark) -> bool {
        for lane in &mut self.lanes {
            lane.bundle.marks.push((lane.bundle.packets.len(), mark));
            if mark.last || lane.bundle.marks.len() >= BUNDLE_MARKS {
                lane.hand_over();
            }
        }
        while let Ok(told) = self.gathered.try_recv() {
            self.take(told);
        }
        while mark.last && self.next < mark.epoch {
            let Ok(told) = self.gathered.recv() else { break };
            self.take(told);
        }
        self.going
    }

    fn counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }
}

fn work<H: HotStage>(
    mut shards: Vec<(usize, Shard<H>)>,
    workers: usize,
    incoming: &Receiver<Bundle>,
    empty: &Sender<Bundle>,
    results: &Sender<Told<H::Batch>>,
) {
    while let Ok(mut bundle) = incoming.recv() {
        let mut marks = bundle.marks.iter().peekable();
        for at in 0..=bundle.packets.len() {
            while let Some((_, mark)) = marks.next_if(|(before, _)| *before == at) {
                let batches = shards.iter_mut().filter_map(|(number, shard)| Some((*number, end_epoch(shard, *mark)?))).collect();
                let counters = mark.last.then(|| {
                    let mut sum = Counters::default();
                    shards.iter().for_each(|(_, shard)| sum.merge(&shard.counters));
                    sum
                });
                if results.send(Told { mark: *mark, batches, counters }).is_err() {
                    return;
                }
            }
            let Some((info, start, length, shard)) = bundle.packets.get(at) else { break };
            let bytes = bundle.bytes.get(*start as usize..(start + length) as usize).unwrap_or_default();
            shards[usize::from(*shard) / workers].1.packet(info, bytes);
        }
        bundle.bytes.clear();
        bundle.packets.clear();
        bundle.marks.clear();
        let _ = empty.send(bundle);
    }
}
