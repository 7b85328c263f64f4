//! A verifier that holds one generation: it follows the device. It switches within seconds when the device is refused after a delivery, and back by itself when
//! nobody succeeds. Anybody can provoke a refusal under the device's name; so a switch without a delivery before it waits until the device was away for a
//! dwell, and each makes the next dwell longer.

use super::{Effect, Rotation, State};
use crate::slot::Generation;
use crate::time::Span;

/// The dwell doubles with each switch, at most so often: 64 times.
const DOUBLINGS_MAX: u32 = 6;
/// Switches before a person is told.
const FLIPS_TOLD: u32 = 4;

impl Rotation {
    /// What the verifier holds, or `None` if that is to be read back.
    fn holding(&self) -> Option<Generation> {
        self.observed.as_ref().and_then(|observed| observed.generations.first().copied())
    }

    /// What a verifier that holds one must do now, if anything.
    pub(super) fn follow(&mut self) -> Option<Effect> {
        if self.is_session() {
            return None;
        }
        if self.observed.is_none() {
            return Some(Effect::ReadBack);
        }
        let holding = self.holding()?;
        let goal = self.goal();
        let heard = self.record.latest().map(|(at, _)| at);
        let away_since = [heard, self.switched, self.handed].into_iter().flatten().max().unwrap_or(self.since);
        let refused = self.record.refused().is_some_and(|at| at > away_since);
        let told = self.handed.is_some_and(|handed| self.switched.is_none_or(|switched| switched < handed));
        let early = matches!(self.phase, State::Delivering | State::Acked | State::Reverting) && self.held.is_none();
        if refused && early && told && holding != goal {
            return Some(Effect::Switch { to: goal });
        }
        if self.now < away_since.plus(self.long_dwell()) {
            return None;
        }
        let unheard = early && holding == goal && self.switched.is_some_and(|switched| heard.is_none_or(|at| at < switched));
        if !refused && !unheard {
            return None;
        }
        if self.flips >= FLIPS_TOLD && self.held.is_none() {
            self.hold("the device is refused whatever the verifier holds, or somebody else is refused under its name");
        }
        Some(Effect::Switch { to: self.after(holding) })
    }

    fn long_dwell(&self) -> Span {
        self.plan.dwell().times(1 << self.flips.saturating_sub(2).min(DOUBLINGS_MAX))
    }

    /// The next one that the device may hold, in a circle.
    fn after(&self, holding: Generation) -> Generation {
        let held = &self.must_accept;
        held.range(holding.next()..).next().or_else(|| held.first()).copied().unwrap_or(holding)
    }
}
