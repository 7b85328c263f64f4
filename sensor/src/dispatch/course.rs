//! Where a run stands: time, epochs, what was counted before packets are spread.

use super::{Mark, Outcome, Target};
use crate::capture::{LinkType, Lost, Packet};
use crate::counters::{Counter, Counters};
use crate::limits::{EPOCH_LENGTH, EPOCH_PACKETS};
use crate::time::{Clock, Timestamp};
use std::collections::BTreeMap;

/// Where a run stands in its packets and epochs.
#[derive(Default)]
pub(super) struct Course {
    live: bool,
    pub(super) counters: Counters,
    pub(super) clock: Clock,
    /// Number of the last packet.
    pub(super) frame: u64,
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
    pub(super) span: Option<(Timestamp, Timestamp)>,
    pub(super) undecoded_link_types: BTreeMap<LinkType, u64>,
}

impl Course {
    /// At the beginning.
    pub(super) fn new(live: bool) -> Self {
        Self { live, ..Self::default() }
    }

    /// Whether it is time to ask a live source what it lost: once an epoch.
    #[inline]
    pub(super) fn asks(&mut self) -> bool {
        self.live && std::mem::replace(&mut self.asked, self.epoch) != self.epoch
    }

    /// Counts what a live source lost, of which it tells sums.
    pub(super) fn lost(&mut self, lost: Lost) {
        let before = std::mem::replace(&mut self.lost, lost);
        self.counters.add(Counter::PacketsDroppedByKernel, lost.by_kernel.saturating_sub(before.by_kernel));
        self.counters.add(Counter::PacketsDroppedByInterface, lost.by_interface.saturating_sub(before.by_interface));
    }

    /// Whether the present epoch is over.
    #[inline]
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.packets >= EPOCH_PACKETS || self.ends.is_some_and(|end| now >= end)
    }

    /// No packet came and it is `time`: an epoch that is over ends, and the next begins. Answers whether to go on.
    pub(super) fn silent(&mut self, time: Timestamp, target: &mut dyn Target) -> bool {
        // A packet may have told a later time already.
        let now = self.clock.now().filter(|now| *now >= time).unwrap_or_else(|| self.clock.advance(time));
        let going = !self.is_over(now) || self.end_epoch(now, now, target);
        self.begin_epoch(now);
        going
    }

    /// Ends the present epoch. `told`: what is told as its end; the next begins with the packet at `now`.
    pub(super) fn end_epoch(&mut self, told: Timestamp, now: Timestamp, target: &mut dyn Target) -> bool {
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
    pub(super) fn count(&mut self, packet: &Packet<'_>) {
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
    pub(super) fn finish(&mut self, target: &mut dyn Target) -> Outcome {
        let now = self.clock.now().unwrap_or_default();
        let outcome = self.outcome();
        let mark = Mark { epoch: self.epoch + 1, frame: self.frame, now, last: true, tell: true };
        target.epoch(mark, self.live.then(|| outcome.clone()));
        outcome
    }
}
