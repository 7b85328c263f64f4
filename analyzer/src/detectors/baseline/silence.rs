//! How often each name speaks: an exponentially weighted mean of the time between, and the longest.
//!
//! Time is *observed* time: while nothing at all was captured, nobody was silent. What follows within [`BURST`] is one sign of life. That a
//! device falls silent is said when it has been for many times its usual period, for longer than ever before by half, and for half an hour.

use super::days::{Days, day_of};
use super::learned::Rhythm;
use super::numbered::{Once, grow};
use crate::hot::owned::{FlowSummary, IdentityKey, OwnedFact, Seen};
use citytap_sensor::observation::{Identity, Presence};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};

/// Names watched: two for each device of a large city.
pub const NAMES: usize = 1 << 19;

/// What follows so soon belongs to the same sign of life: a frame that three gateways heard, an exchange of several messages.
pub const BURST: Nanos = 10 * SECOND;

/// A time without any packet counts as observed for so long at most: beyond it the tap was off rather than the city quiet.
pub const DARK: Nanos = 600 * SECOND;

/// Weight of what was before in the mean, in tenths (RoLaGuard's default: 0.9).
const WEIGHT: u64 = 9;

const MILLISECOND: Nanos = 1_000_000;

/// A name's life.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Where it first spoke.
    pub first: Seen,
    /// Where it last spoke.
    pub last: Seen,
    /// On which days.
    pub days: Days,
    /// Observed time until it first spoke, milliseconds.
    pub before_ms: u64,
    /// Observed time until it last spoke, milliseconds.
    pub until_ms: u64,
    /// Signs of life.
    pub signs: u64,
    /// How often.
    pub rhythm: Rhythm,
}

/// The names of a run.
#[derive(Default)]
pub struct Lives {
    names: Once<IdentityKey>,
    /// By the number of the name.
    lives: Vec<Life>,
    now: Option<Timestamp>,
    observed: Nanos,
    days: Days,
    shed: u64,
}

impl Lives {
    /// The life of a name.
    pub fn of(&self, name: &IdentityKey) -> Option<&Life> {
        self.lives.get(self.names.find(name)? as usize)
    }

    /// Names that found no room.
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// Days on which anything was observed.
    pub fn days(&self) -> Days {
        self.days
    }

    /// Observed time in all, milliseconds.
    pub fn observed_ms(&self) -> u64 {
        self.observed / MILLISECOND
    }

    /// The latest time.
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// Takes note of time.
    pub fn epoch(&mut self, now: Timestamp) {
        self.observed = self.observed_at(now);
        self.now = Some(self.now.map_or(now, |before| before.max(now)));
        self.days.add(day_of(now));
    }

    /// Takes a fact that is a sign of life.
    pub fn fact(&mut self, fact: &OwnedFact, seen: Seen) {
        match fact {
            OwnedFact::Identity { id, presence: Presence::Sent | Presence::Proved } | OwnedFact::Activity { id, .. } => {
                self.sign(id, seen);
            }
            _ => {}
        }
    }

    /// Takes a flow: who sent in it lives.
    pub fn flow(&mut self, flow: &FlowSummary) {
        for (end, sent) in [flow.client, flow.server].into_iter().zip(flow.packets) {
            if sent > 0 {
                self.sign(&IdentityKey::new(&Identity::ip(end.ip), flow.network), Seen { place: flow.place, time: flow.last });
            }
        }
    }

    fn observed_at(&self, time: Timestamp) -> Nanos {
        self.observed + self.now.map_or(0, |before| time.since(before).min(DARK))
    }

    fn sign(&mut self, name: &IdentityKey, seen: Seen) {
        let observed = self.observed_at(seen.time) / MILLISECOND;
        let known = self.names.find(name);
        if let Some(life) = known.and_then(|number| self.lives.get_mut(number as usize)) {
            return life.sign(seen, observed);
        }
        if self.lives.len() >= NAMES {
            self.shed += 1;
            return;
        }
        let life = Life {
            first: seen,
            last: seen,
            days: Days::one(day_of(seen.time)),
            before_ms: observed,
            until_ms: observed,
            signs: 1,
            rhythm: Rhythm::default(),
        };
        self.names.enter(name.clone());
        grow(&mut self.lives);
        self.lives.push(life);
    }
}

impl Life {
    fn sign(&mut self, seen: Seen, observed_ms: u64) {
        if seen.time <= self.last.time {
            return;
        }
        let gap = observed_ms.saturating_sub(self.until_ms);
        self.last = seen;
        self.until_ms = observed_ms;
        self.days.add(day_of(seen.time));
        if gap * MILLISECOND >= BURST {
            self.signs += 1;
            self.rhythm.gap(gap);
        }
    }
}

impl Rhythm {
    /// Takes a time between, in milliseconds.
    pub fn gap(&mut self, gap: u64) {
        self.period_ms = if self.gaps == 0 { gap } else { (self.period_ms * WEIGHT + gap) / (WEIGHT + 1) };
        self.longest_ms = self.longest_ms.max(gap);
        self.gaps += 1;
    }

    /// Brings what was known and what a run saw together.
    #[must_use]
    pub fn and(self, later: Rhythm) -> Rhythm {
        // After so many the weight of what was before is under a tenth.
        const FORGOTTEN: u64 = 22;
        let gaps = self.gaps + later.gaps;
        let period_ms = match (self.gaps, later.gaps) {
            (_, FORGOTTEN..) | (0, _) => later.period_ms,
            (_, 0) => self.period_ms,
            (before, after) => {
                (self.period_ms * before.min(FORGOTTEN) + later.period_ms * after) / (before.min(FORGOTTEN) + after)
            }
        };
        Rhythm { period_ms, gaps, longest_ms: self.longest_ms.max(later.longest_ms) }
    }

    /// Whether a silence is out of the usual: so many periods, half as long again as any before, and at least so long.
    pub fn is_broken_by(self, silence_ms: u64, periods: u64, at_least_s: u64) -> bool {
        silence_ms > self.period_ms.saturating_mul(periods)
            && silence_ms > self.longest_ms.saturating_mul(3) / 2
            && silence_ms > at_least_s.saturating_mul(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_sensor::observation::Place;

    fn speaks(lives: &mut Lives, name: &IdentityKey, second: u64) {
        let seen = Seen { place: Place { frame: 1, sequence: 0 }, time: Timestamp::from_parts(second, 0) };
        lives.fact(&OwnedFact::Activity { id: name.clone(), messages: 1 }, seen);
        lives.epoch(seen.time);
    }

    fn name() -> IdentityKey {
        IdentityKey::new(&Identity::ip([10, 0, 0, 1].into()), 0)
    }

    #[test]
    fn a_period_is_learned_and_bursts_are_one_sign_of_life() {
        let mut lives = Lives::default();
        for turn in 0..50 {
            [0, 1, 2].into_iter().for_each(|after| speaks(&mut lives, &name(), 1_000_000 + turn * 300 + after));
        }
        let life = lives.of(&name()).unwrap();
        assert_eq!((life.signs, life.rhythm.gaps), (50, 49));
        assert!((297_000..=300_000).contains(&life.rhythm.period_ms), "{}", life.rhythm.period_ms);
    }

    #[test]
    fn while_nothing_is_captured_nobody_is_silent() {
        let mut lives = Lives::default();
        speaks(&mut lives, &name(), 1_000_000);
        lives.epoch(Timestamp::from_parts(1_000_100, 0));
        lives.epoch(Timestamp::from_parts(2_000_000, 0));
        assert_eq!(lives.observed_ms(), 100_000 + DARK / MILLISECOND);
    }

    #[test]
    fn a_silence_is_unusual_only_beyond_all_three_measures() {
        let rhythm = Rhythm { period_ms: 300_000, gaps: 100, longest_ms: 300_000 };
        assert!(!rhythm.is_broken_by(6_000_000, 20, 1_800));
        assert!(rhythm.is_broken_by(6_000_001, 20, 1_800));
        assert!(!Rhythm { longest_ms: 60_000_000, ..rhythm }.is_broken_by(80_000_000, 20, 1_800));
        assert!(!Rhythm { period_ms: 60_000, longest_ms: 60_000, ..rhythm }.is_broken_by(1_800_000, 20, 1_800));
    }

    #[test]
    fn a_rhythm_of_two_runs_is_one() {
        let before = Rhythm { period_ms: 100, gaps: 1_000, longest_ms: 400 };
        assert_eq!(before.and(Rhythm::default()), before);
        assert_eq!(Rhythm::default().and(before), before);
        let after = before.and(Rhythm { period_ms: 200, gaps: 22, longest_ms: 300 });
        assert_eq!((after.period_ms, after.gaps, after.longest_ms), (200, 1_022, 400));
    }
}
