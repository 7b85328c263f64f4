//! Spreads packets over the shards by their inner IP pair and announces epochs to all of them. Threads only decide who runs which shard.
//!
//! One dispatcher reads a capture group, for live and replay alike. With one thread everything runs inline; with more, the dispatcher's
//! thread reads, peels and runs the cold half, and each other thread runs its share of the shards.
//!
//! A live source differs in three ways: while nothing comes, the time that it tells ends epochs; where a thread does not keep up, packets on
//! their way to it are dropped and counted instead of waited for; and each epoch tells how the run stands.

use crate::capture::{CaptureError, CaptureSource, LinkType, Packet};
use crate::counters::Counters;
use crate::flow::table::number;
use crate::limits::SHARDS;
use crate::link::{self, Layers, NetworkMap};
use crate::observation::Observer;
use crate::pipeline::{PacketInfo, SensorConfig, Shard};
use crate::protocols::Decoders;
use crate::time::Timestamp;
use course::Course;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use threaded::{Bundle, Lane, QUEUE, Threaded, Told, work};

mod course;
#[cfg(test)]
mod tests;
mod threaded;

/// The hot half's end in each shard: observes, and hands over what it gathered when an epoch ends.
pub trait HotStage: Observer {
    /// What the cold half gets of one shard and epoch.
    type Batch: Send;
    /// What was gathered since the last call; `None` where there is nothing.
    fn drain(&mut self) -> Option<Self::Batch>;
    /// Nothing comes any more: what is remembered for later can go.
    fn close(&mut self) {}
}

/// The end of an epoch, as the cold half sees it: the batches of all shards in the order of their numbers. The end of the run comes in parts: what
/// was gathered, then what flows tell as they end, some shards at a time.
pub struct EpochEnd<B> {
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// Packet time at its end.
    pub now: Timestamp,
    /// Whether no part of this epoch comes any more.
    pub whole: bool,
    /// Whether the capture is over and nothing comes after this.
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
    /// Packets of each link type that is not decoded; at most [`LINK_TYPES`] of them, all are in `Counter::LinkTypeUnknown`.
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

impl Mark {
    fn end<B>(self, batches: Vec<B>, whole: bool, so_far: Option<Outcome>) -> EpochEnd<B> {
        EpochEnd { epoch: self.epoch, now: self.now, whole, last: whole && self.last, batches, so_far }
    }
}

fn dispatch(source: &mut dyn CaptureSource, networks: &NetworkMap, target: &mut dyn Target) -> Result<Outcome, CaptureError> {
    let mut course = Course::new(source.is_live());
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

/// Shards whose ends are told together: what a hundred thousand flows tell when a run ends would otherwise be held at once.
const ENDING: usize = 8;
const _: () = assert!(SHARDS.is_multiple_of(ENDING));

struct Inline<'s, H: HotStage, C> {
    shards: &'s mut [Shard<H>],
    cold: &'s mut C,
    going: bool,
}

impl<H: HotStage, C: FnMut(EpochEnd<H::Batch>) -> bool> Inline<'_, H, C> {
    fn tell(&mut self, mark: Mark, batches: Vec<H::Batch>, whole: bool, so_far: Option<Outcome>) {
        self.going &= (self.cold)(mark.end(batches, whole, so_far));
    }
}

impl<H: HotStage, C: FnMut(EpochEnd<H::Batch>) -> bool> Target for Inline<'_, H, C> {
    #[inline]
    fn packet(&mut self, shard: usize, info: PacketInfo, bytes: &[u8]) {
        self.shards[shard].packet(&info, bytes);
    }

    fn epoch(&mut self, mark: Mark, mut so_far: Option<Outcome>) -> bool {
        if mark.last {
            let batches = self.shards.iter_mut().filter_map(|shard| shard.observer.drain()).collect();
            self.tell(mark, batches, false, None);
        }
        let part = if mark.last { ENDING } else { SHARDS };
        for from in (0..SHARDS).step_by(part) {
            let batches = self.shards[from..from + part].iter_mut().filter_map(|shard| end_epoch(shard, mark)).collect();
            let whole = from + part == SHARDS;
            let so_far = so_far.take_if(|_| whole).map(|mut outcome| {
                outcome.counters.merge(&self.counters());
                outcome
            });
            self.tell(mark, batches, whole, so_far);
        }
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
    let batch = shard.observer.drain();
    if mark.last {
        shard.observer.close();
    }
    batch
}
