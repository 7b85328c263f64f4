//! Spreads packets over the shards by their inner IP pair and announces epochs to all of them. Threads only decide who runs which shard.
//!
//! One dispatcher reads a capture group, for live and replay alike. With one thread everything runs inline; with more, the dispatcher's
//! thread reads, peels and runs the cold half, and each other thread runs its share of the shards.
//!
//! A live source differs in three ways: while nothing comes, the time that it tells ends epochs; where a thread does not keep up, packets on
//! their way to it are dropped and counted instead of waited for; and each epoch tells how the run stands.

use crate::capture::{CaptureError, CaptureSource, LinkType, Lost, Packet};
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
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};

#[cfg(test)]
mod tests;

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
    /// Live: how the run stands.
    pub so_far: Option<Outcome>,
}

/// How a run ended, or stands.
#[derive(Clone, Debug)]
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
            live: source.is_live(),
            gathered,
            pending: VecDeque::new(),
            counters: Counters::default(),
            dropped: 0,
            cold: &mut cold,
            going: true,
        };
        dispatch(source, networks, &mut threaded)
    })
}

/// What takes peeled packets and epochs.
trait Target {
    fn packet(&mut self, shard: usize, info: PacketInfo, bytes: &[u8]);
    /// Ends an epoch. `so_far`: live, how the run stands, without the counters of shards, which are added.
    fn epoch(&mut self, mark: Mark, so_far: Option<Outcome>) -> bool;
    fn counters(&mut self) -> Counters;
}

/// The end of an epoch on its way to the shards.
#[derive(Clone, Copy)]
struct Mark {
    epoch: u64,
    frame: u64,
    now: Timestamp,
    last: bool,
    /// Whether the shards are to tell their counters.
    tell: bool,
}

fn dispatch(source: &mut dyn CaptureSource, networks: &NetworkMap, target: &mut dyn Target) -> Result<Outcome, CaptureError> {
    let mut course = Course { live: source.is_live(), ..Course::default() };
    let mut failure = None;
    let mut interfaces = Interfaces { networks, numbers: HashMap::with_hasher(FixedState::with_seed(0)) };
    let mut held = Vec::new();
    loop {
        if course.asks() {
            course.lost(source.lost());
        }
        let mut packet = match source.next() {
            Ok(Some(packet)) => packet,
            Ok(None) => match source.idle() {
                Some(time) if course.silent(time, target) => continue,
                _ => break,
            },
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
        let before = course.clock.now().unwrap_or(packet.stamp);
        let now = course.clock.advance(packet.stamp);
        course.span = Some((course.span.map_or(packet.stamp, |(first, _)| first), now));
        if course.is_over(now) && !course.end_epoch(before, now, target) {
            break;
        }
        course.count(&packet);
        if let Some(layers) = link::peel(packet.link_type.0, packet.bytes, &mut course.counters, networks.numbered(map)) {
            let info = PacketInfo { frame: course.frame, time: packet.stamp, now, layers, map };
            target.packet(shard_of(&layers), info, packet.bytes);
        } else if !link::decodes(packet.link_type.0) {
            count_link_type(&mut course.undecoded_link_types, packet.link_type);
        }
    }
    course.lost(source.lost());
    let mut outcome = course.finish(target);
    outcome.counters.merge(&target.counters());
    match failure {
        Some(error) => Err(error),
        None => Ok(outcome),
    }
}

/// Where a run stands in its packets and epochs.
#[derive(Default)]
struct Course {
    live: bool,
    counters: Counters,
    clock: Clock,
    /// Number of the last packet.
    frame: u64,
    /// Number of the last epoch that ended.
    epoch: u64,
    /// The epoch in which the source was last asked what it lost.
    asked: u64,
    lost: Lost,
    /// When the present epoch ends; `None` where nothing came yet.
    ends: Option<Timestamp>,
    /// Packets of the present epoch.
    packets: u64,
    /// Stamp of the first packet and packet time of the last.
    span: Option<(Timestamp, Timestamp)>,
    undecoded_link_types: BTreeMap<LinkType, u64>,
}

impl Course {
    /// Whether it is time to ask a live source what it lost: once an epoch.
    #[inline]
    fn asks(&mut self) -> bool {
        self.live && std::mem::replace(&mut self.asked, self.epoch) != self.epoch
    }

    /// Counts what a live source lost, of which it tells sums.
    fn lost(&mut self, lost: Lost) {
        let before = std::mem::replace(&mut self.lost, lost);
        self.counters.add(Counter::PacketsDroppedByKernel, lost.by_kernel.saturating_sub(before.by_kernel));
        self.counters.add(Counter::PacketsDroppedByInterface, lost.by_interface.saturating_sub(before.by_interface));
    }

    /// Whether the present epoch is over.
    #[inline]
    fn is_over(&self, now: Timestamp) -> bool {
        self.packets >= EPOCH_PACKETS || self.ends.is_some_and(|end| now >= end)
    }

    /// No packet came and it is `time`: an epoch that is over ends, and the next begins. Answers whether to go on.
    fn silent(&mut self, time: Timestamp, target: &mut dyn Target) -> bool {
        // A packet may have told a later time already.
        let now = self.clock.now().filter(|now| *now >= time).unwrap_or_else(|| self.clock.advance(time));
        let going = !self.is_over(now) || self.end_epoch(now, now, target);
        self.begin_epoch(now);
        going
    }

    /// Ends the present epoch. `told`: what is told as its end; the next begins with the packet at `now`.
    fn end_epoch(&mut self, told: Timestamp, now: Timestamp, target: &mut dyn Target) -> bool {
        self.epoch += 1;
        self.packets = 0;
        self.ends = None;
        let so_far = self.live.then(|| self.outcome());
        let mark = Mark { epoch: self.epoch, frame: self.frame, now: told, last: false, tell: self.live };
        let going = target.epoch(mark, so_far);
        self.begin_epoch(now);
        going
    }

    #[inline]
    fn begin_epoch(&mut self, now: Timestamp) {
        self.ends.get_or_insert(Timestamp((now.0 / EPOCH_LENGTH + 1).saturating_mul(EPOCH_LENGTH)));
    }

    #[inline]
    fn count(&mut self, packet: &Packet<'_>) {
        if self.ends.is_none() {
            self.begin_epoch(self.clock.now().unwrap_or(packet.stamp));
        }
        self.frame += 1;
        self.packets += 1;
        self.counters.bump(Counter::Packets);
        self.counters.add(Counter::WireBytes, u64::from(packet.wire_length));
        self.counters.add(Counter::PacketsCut, u64::from(packet.wire_length as usize > packet.bytes.len()));
    }

    /// How the run stands, as far as the dispatcher knows.
    fn outcome(&self) -> Outcome {
        let mut counters = self.counters.clone();
        counters.add(Counter::TimeBackward, self.clock.backward);
        counters.add(Counter::TimeJumpsRefused, self.clock.jumps_refused);
        let undecoded_link_types = self.undecoded_link_types.clone();
        Outcome { counters, span: self.span, undecoded_link_types }
    }

    /// Ends the run.
    fn finish(&mut self, target: &mut dyn Target) -> Outcome {
        let now = self.clock.now().unwrap_or_default();
        let outcome = self.outcome();
        let mark = Mark { epoch: self.epoch + 1, frame: self.frame, now, last: true, tell: true };
        target.epoch(mark, self.live.then(|| outcome.clone()));
        outcome
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

    fn epoch(&mut self, mark: Mark, mut so_far: Option<Outcome>) -> bool {
        let batches = self.shards.iter_mut().filter_map(|shard| end_epoch(shard, mark)).collect();
        if let Some(outcome) = &mut so_far {
            outcome.counters.merge(&self.counters());
        }
        self.going &= (self.cold)(EpochEnd { epoch: mark.epoch, now: mark.now, last: mark.last, batches, so_far });
        self.going
    }

    fn counters(&mut self) -> Counters {
        let mut sum = Counters::default();
        self.shards.iter().for_each(|shard| shard.add_counters(&mut sum));
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

/// Epochs in a bundle before it is handed over: in replay of a quiet wire they must not wait for packets. Live, each is handed over.
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
    /// Hands the bundle to the worker. Where that does not keep up, `wait` says whether to wait for it; else the packets are dropped and the ends
    /// of epochs stay for the next time. Answers how many packets were dropped.
    fn hand_over(&mut self, wait: bool) -> u64 {
        if self.bundle.packets.is_empty() && self.bundle.marks.is_empty() {
            return 0;
        }
        let next = self.returned.try_recv().unwrap_or_default();
        let bundle = std::mem::replace(&mut self.bundle, next);
        // A worker that is gone has panicked; the scope tells of it when it joins.
        if wait {
            let _ = self.full.send(bundle);
        } else if let Err(TrySendError::Full(mut bundle)) = self.full.try_send(bundle) {
            let dropped = bundle.packets.len() as u64;
            bundle.bytes.clear();
            bundle.packets.clear();
            bundle.marks.iter_mut().for_each(|(before, _)| *before = 0);
            self.bundle = bundle;
            return dropped;
        }
        0
    }
}

/// What a worker tells at the end of an epoch.
struct Told<B> {
    mark: Mark,
    batches: Vec<(usize, B)>,
    counters: Option<Counters>,
}

/// An epoch of which not all workers have told yet.
struct Pending<B> {
    mark: Mark,
    /// How many have.
    told: usize,
    batches: Vec<(usize, B)>,
    counters: Counters,
    so_far: Option<Outcome>,
}

struct Threaded<'s, H: HotStage, C> {
    lanes: Vec<Lane>,
    live: bool,
    gathered: Receiver<Told<H::Batch>>,
    /// The oldest first.
    pending: VecDeque<Pending<H::Batch>>,
    /// Counters of the shards at their end.
    counters: Counters,
    /// Packets dropped because a worker did not keep up.
    dropped: u64,
    cold: &'s mut C,
    going: bool,
}

impl<H: HotStage, C: FnMut(EpochEnd<H::Batch>) -> bool> Threaded<'_, H, C> {
    fn take(&mut self, told: Told<H::Batch>) {
        let Some(pending) = self.pending.iter_mut().find(|pending| pending.mark.epoch == told.mark.epoch) else { return };
        pending.told += 1;
        pending.batches.extend(told.batches);
        if let Some(counters) = told.counters {
            pending.counters.merge(&counters);
        }
        while self.pending.front().is_some_and(|oldest| oldest.told == self.lanes.len()) {
            let Some(Pending { mark, mut batches, counters, mut so_far, .. }) = self.pending.pop_front() else { break };
            batches.sort_unstable_by_key(|(shard, _)| *shard);
            let batches = batches.into_iter().map(|(_, batch)| batch).collect();
            if let Some(outcome) = &mut so_far {
                outcome.counters.merge(&counters);
                outcome.counters.add(Counter::PacketsDroppedInQueue, self.dropped);
            }
            if mark.last {
                self.counters = counters;
            }
            self.going &= (self.cold)(EpochEnd { epoch: mark.epoch, now: mark.now, last: mark.last, batches, so_far });
        }
    }

    fn take_all(&mut self) {
        while let Ok(told) = self.gathered.try_recv() {
            self.take(told);
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
            self.dropped += lane.hand_over(!self.live);
            self.take_all();
        }
    }

    fn epoch(&mut self, mark: Mark, so_far: Option<Outcome>) -> bool {
        self.pending.push_back(Pending { mark, told: 0, batches: Vec::new(), counters: Counters::default(), so_far });
        for lane in &mut self.lanes {
            lane.bundle.marks.push((lane.bundle.packets.len(), mark));
            if mark.last || self.live || lane.bundle.marks.len() >= BUNDLE_MARKS {
                self.dropped += lane.hand_over(mark.last || !self.live);
            }
        }
        self.take_all();
        while mark.last && !self.pending.is_empty() {
            let Ok(told) = self.gathered.recv() else { break };
            self.take(told);
        }
        self.going
    }

    fn counters(&mut self) -> Counters {
        self.counters.add(Counter::PacketsDroppedInQueue, std::mem::take(&mut self.dropped));
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
                let counters = mark.tell.then(|| {
                    let mut sum = Counters::default();
                    shards.iter().for_each(|(_, shard)| shard.add_counters(&mut sum));
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
