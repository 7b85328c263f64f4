//! Shards on threads: bundles of packets go to the worker that runs their shard, what shards gathered comes back epoch by epoch.

use super::{ENDING, EpochEnd, HotStage, Mark, Outcome, Target, end_epoch};
use crate::counters::{Counter, Counters};
use crate::limits::SHARDS;
use crate::pipeline::{PacketInfo, Shard};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError};

/// Bundles waiting for each worker: enough to ride out an uneven second, little enough to stay in the cache.
pub(super) const QUEUE: usize = 8;

/// Bytes of packets in a bundle before it is handed over.
const BUNDLE_BYTES: usize = 128 * 1024;

/// Epochs in a bundle before it is handed over: in replay of a quiet wire they must not wait for packets. Live, each is handed over.
const BUNDLE_MARKS: usize = 16;

/// Packets, and the ends of epochs between them, on their way to a worker.
#[derive(Default)]
pub(super) struct Bundle {
    bytes: Vec<u8>,
    packets: Vec<(PacketInfo, u32, u32, u8)>,
    marks: Vec<(usize, Mark)>,
}

pub(super) struct Lane {
    pub(super) full: SyncSender<Bundle>,
    pub(super) returned: Receiver<Bundle>,
    pub(super) bundle: Bundle,
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
pub(super) struct Told<B> {
    mark: Mark,
    batches: Vec<(usize, B)>,
    counters: Option<Counters>,
}

/// An epoch of which not all workers have told yet.
pub(super) struct Pending<B> {
    mark: Mark,
    /// How many have.
    told: usize,
    batches: Vec<(usize, B)>,
    counters: Counters,
    so_far: Option<Outcome>,
}

pub(super) struct Threaded<'s, H: HotStage, C> {
    pub(super) lanes: Vec<Lane>,
    pub(super) live: bool,
    pub(super) gathered: Receiver<Told<H::Batch>>,
    /// The oldest first.
    pub(super) pending: VecDeque<Pending<H::Batch>>,
    /// Counters of the shards at their end.
    pub(super) counters: Counters,
    /// Packets dropped because a worker did not keep up.
    pub(super) dropped: u64,
    pub(super) cold: &'s mut C,
    pub(super) going: bool,
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
            let mut batches = batches.into_iter().peekable();
            if let Some(outcome) = &mut so_far {
                outcome.counters.merge(&counters);
                outcome.counters.add(Counter::PacketsDroppedInQueue, self.dropped);
            }
            if mark.last {
                self.counters = counters;
            }
            // At the end each shard tells twice: what it gathered, then how its flows ended.
            let parts = if mark.last { (0..=SHARDS / ENDING).map(|part| SHARDS + part * ENDING).collect() } else { vec![SHARDS] };
            for to in &parts {
                let batches = std::iter::from_fn(|| batches.next_if(|(shard, _)| shard < to)).map(|(_, batch)| batch).collect();
                let whole = Some(to) == parts.last();
                self.going &= (self.cold)(mark.end(batches, whole, so_far.take_if(|_| whole)));
            }
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

pub(super) fn work<H: HotStage>(
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
                let mut batches = Vec::new();
                if mark.last {
                    batches.extend(shards.iter_mut().filter_map(|(number, shard)| Some((*number, shard.observer.drain()?))));
                }
                let ends = if mark.last { SHARDS } else { 0 };
                batches.extend(shards.iter_mut().filter_map(|(number, shard)| Some((ends + *number, end_epoch(shard, *mark)?))));
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
