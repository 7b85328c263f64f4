//! One step: an input is taken in, then what is to be done next is decided.

use super::{ATTEMPTS_MAX, Approval, Effect, Input, MINTS_MAX, Open, Outcome, REJECTIONS_MAX, RESTORE_GAP, Rotation, State};
use crate::evidence::Evidence;
use crate::slot::{AcceptSet, Generation, Step};
use crate::time::{Span, Timestamp};

/// The first pause before something is tried again; doubled each time.
const PAUSE: Span = Span::seconds(30);
/// The longest pause.
const PAUSE_MAX: Span = Span::hours(1);

/// The rotation after `input` at `now`, and what is to be done: at most one effect that has an outcome, and what a person is to be told. Time that goes
/// backwards stands still. An outcome that nobody waits for changes nothing.
pub fn step(rotation: &Rotation, input: &Input, now: Timestamp) -> (Rotation, Vec<(Step, Effect)>) {
    let mut next = rotation.clone();
    let mut effects = Vec::new();
    next.now = next.now.max(now);
    next.absorb(input, &mut effects);
    next.decide(&mut effects);
    (next, effects)
}

impl Rotation {
    fn absorb(&mut self, input: &Input, effects: &mut Vec<(Step, Effect)>) {
        match input {
            Input::Tick => {}
            Input::Approved { by, what } => drop(self.approvals.insert((*what, by.clone()))),
            Input::Outcome { step, outcome } => {
                if let Some(open) = self.close(*step) {
                    self.ended(open, outcome, effects);
                }
            }
            Input::Withdrawn { step } => {
                if let Some(open) = self.close(*step) {
                    self.withdrawn(&open.effect);
                }
            }
            Input::ReadBack { step, accepted } => {
                if let Some(open) = self.close(*step) {
                    self.read_back(&open, accepted.as_ref(), effects);
                }
            }
            Input::Asked { step, seen, until } => {
                if self.close(*step).is_some() {
                    self.answered(seen.as_deref(), *until, effects);
                }
            }
            Input::Seen(evidence) => self.saw(evidence),
            Input::Interrupted { step } => {
                // A new process: what was read back or answered before it began may not hold any more.
                (self.observed, self.asked) = (None, None);
                if let Some(open) = self.close(*step) {
                    self.ended(open, &Outcome::Unknown { why: "interrupted".to_owned() }, effects);
                    self.not_before = self.now;
                }
            }
            Input::Restored => self.restored(effects),
            Input::Hold { why } => self.hold(why),
            Input::Continue => self.go_on(),
            Input::Revert => self.revert(effects),
            Input::Cancel => self.cancel(effects),
            Input::Quarantine { until } => self.cut_off_wanted = Some(*until),
            Input::Release => self.cut_off_wanted = None,
        }
        if self.cut_off_wanted.is_some_and(|until| until <= self.now) {
            self.cut_off_wanted = None;
        }
    }

    /// The open effect, if it is this one; it is open no more.
    fn close(&mut self, step: Step) -> Option<Open> {
        self.open.take_if(|open| open.step == step)
    }

    pub(super) fn saw(&mut self, evidence: &Evidence) {
        self.record.saw(evidence, self.now);
        if let Evidence::Acknowledged { generation, at } = *evidence
            && self.phase == State::Delivering
            && generation == self.target
            && at >= self.handed_over()
            && self.handed.is_some()
        {
            self.enter(State::Acked);
        }
    }

    fn ended(&mut self, open: Open, outcome: &Outcome, effects: &mut Vec<(Step, Effect)>) {
        let certain = !matches!(outcome, Outcome::Unknown { .. });
        match open.effect {
            Effect::Stage { generation } if *outcome == Outcome::Done => {
                self.staged.insert(generation);
                self.attempts = 0;
                if matches!(self.phase, State::Approved | State::Accepting | State::Delivering) {
                    self.enter(State::Staged);
                }
            }
            Effect::Accept { .. } => {
                self.observed = None;
                if *outcome != Outcome::Done {
                    self.failed("the verifier does not take the new generation in", outcome, effects);
                }
            }
            Effect::Switch { .. } => {
                self.observed = None;
                self.switched = Some(self.now);
                if !matches!(outcome, Outcome::Done | Outcome::Sent) {
                    self.failed("the verifier does not switch", outcome, effects);
                }
            }
            Effect::Deliver { to, .. } => self.delivery_ended(to, outcome),
            Effect::WorkOrder { .. } if *outcome == Outcome::Done => self.sent = Some(self.now),
            Effect::Retire { generation } => {
                self.observed = None;
                self.asked = None;
                match outcome {
                    Outcome::Done | Outcome::Sent => drop(self.retired.insert(generation)),
                    _ => self.failed("the verifier does not retire the old generation", outcome, effects),
                }
                if self.retired.contains(&generation) {
                    self.must_accept.remove(&generation);
                }
            }
            Effect::Quarantine { until } if *outcome == Outcome::Done => self.cut_off = Some(until),
            Effect::Release if *outcome == Outcome::Done => self.cut_off = None,
            Effect::ReadBack | Effect::AskEvidence { .. } if !certain => {
                self.observed = None;
                self.asked = None;
                self.pause();
            }
            Effect::Tell { .. } => {}
            Effect::WorkOrder { .. } => {
                self.handed = None;
                self.failed("the work order was not written", outcome, effects);
            }
            Effect::Quarantine { .. } | Effect::Release => {
                self.failed("the device could not be cut off or let back", outcome, effects)
            }
            Effect::Stage { .. } => self.failed("no new secret could be made", outcome, effects),
            Effect::ReadBack | Effect::AskEvidence { .. } => self.pause(),
        }
    }

    fn delivery_ended(&mut self, to: Generation, outcome: &Outcome) {
        self.sent = Some(self.now);
        match outcome {
            Outcome::Done => {
                let at = self.now;
                self.record.saw(&Evidence::Acknowledged { generation: to, at }, at);
                if self.phase == State::Delivering && to == self.target {
                    self.enter(State::Acked);
                }
            }
            Outcome::Sent => {}
            Outcome::Unknown { .. } => self.observed = None,
            Outcome::Rejected { why } => {
                self.handed = None;
                self.rejections += 1;
                if self.rejections < REJECTIONS_MAX {
                    self.pause();
                } else if self.phase == State::Delivering && to == self.target && !self.is_session() && self.mints < MINTS_MAX {
                    self.mint();
                } else {
                    self.hold(&format!("the device refuses what it is sent ({why})"));
                }
            }
        }
    }

    fn withdrawn(&mut self, effect: &Effect) {
        match effect {
            Effect::Deliver { .. } | Effect::WorkOrder { .. } => {
                self.handed = None;
                self.deliveries = self.deliveries.saturating_sub(1);
            }
            Effect::Retire { generation } => drop(self.told.remove(&retire_mark(*generation))),
            _ => {}
        }
        self.asked = None;
    }

    /// A new generation instead of one that the device refused; the refused one stays accepted (I3).
    fn mint(&mut self) {
        self.highest = self.highest.next();
        self.target = self.highest;
        self.mints += 1;
        self.rejections = 0;
        self.deliveries = 0;
        self.handed = None;
        self.enter(State::Approved);
    }

    fn read_back(&mut self, open: &Open, accepted: Option<&AcceptSet>, effects: &mut Vec<(Step, Effect)>) {
        let Some(accepted) = accepted else {
            self.observed = None;
            self.failed("the verifier cannot be read back", &Outcome::Unknown { why: String::new() }, effects);
            return;
        };
        if accepted.foreign && !self.phase.is_end() {
            self.hold("the verifier holds a credential that is not ours: somebody changed it");
        }
        self.attempts = if matches!(self.phase, State::Accepting | State::Grace) { self.attempts } else { 0 };
        self.observed = Some(accepted.clone());
        self.observed_at = open.at;
        // A retirement whose outcome was never told: the verifier says that it took place.
        if self.phase == State::Grace && self.plan.holds_both {
            let gone = |generation: &Generation| self.retiring(*generation) && !accepted.accepts(*generation);
            let gone: Vec<Generation> = self.must_accept.iter().copied().filter(gone).collect();
            for generation in gone {
                self.must_accept.remove(&generation);
                self.retired.insert(generation);
            }
        }
    }

    /// Whether the retirement of `generation` was asked for.
    pub(super) fn retiring(&self, generation: Generation) -> bool {
        self.told.contains(&retire_mark(generation))
    }

    fn answered(&mut self, seen: Option<&[Evidence]>, until: Timestamp, effects: &mut Vec<(Step, Effect)>) {
        match seen {
            Some(seen) => {
                seen.iter().for_each(|evidence| self.saw(evidence));
                self.asked = Some(until.min(self.now));
            }
            None => {
                self.asked = None;
                self.pause();
                if self.attempts >= ATTEMPTS_MAX {
                    self.tell("nobody can say what the device uses; nothing is retired until then", effects);
                }
            }
        }
    }

    /// An effect failed: tried again after a pause; in the end a person is asked.
    fn failed(&mut self, what: &str, outcome: &Outcome, effects: &mut Vec<(Step, Effect)>) {
        self.pause();
        if self.attempts >= ATTEMPTS_MAX {
            let why = match outcome {
                Outcome::Rejected { why } | Outcome::Unknown { why } if !why.is_empty() => format!(" ({why})"),
                _ => String::new(),
            };
            if self.held.is_none() {
                self.hold(&format!("{what}{why}"));
            } else {
                self.tell(what, effects);
            }
        }
    }

    fn pause(&mut self) {
        let pause = PAUSE.times(1 << self.attempts.min(10)).min(PAUSE_MAX);
        self.attempts = self.attempts.saturating_add(1);
        self.not_before = self.now.plus(pause);
    }

    /// The journal came from a copy. What was open may have taken place; numbers made since may be known to a verifier.
    fn restored(&mut self, effects: &mut Vec<(Step, Effect)>) {
        match self.open.take().map(|open| open.effect) {
            Some(Effect::Retire { generation }) => {
                self.must_accept.remove(&generation);
                self.retired.insert(generation);
            }
            Some(Effect::Deliver { .. } | Effect::WorkOrder { .. }) => self.sent = Some(self.now),
            _ => {}
        }
        // What was sent after the copy was sent before now.
        self.sent = self.sent.map(|_| self.now);
        self.highest = Generation(self.highest.0.saturating_add(RESTORE_GAP));
        if self.phase == State::Approved && !self.is_session() && !self.staged.contains(&self.target) {
            // Its secret may have been made, and a verifier told, after the copy: under this number there must be no other.
            self.target = self.highest;
        }
        self.observed = None;
        self.asked = None;
        self.must_accept.extend(self.staged.difference(&self.retired));
        self.restored = true;
        if !self.phase.is_end() {
            self.held = None;
            self.hold("the journal was restored from a copy: look at what was read back, then continue or revert");
            self.tell("restored from a copy", effects);
        }
    }

    fn go_on(&mut self) {
        if self.held.take().is_none() {
            return;
        }
        self.restored = false;
        self.observed = None;
        self.asked = None;
        self.told.retain(|what| what.starts_with("retire "));
        (self.rejections, self.deliveries, self.relapses, self.flips, self.attempts) = (0, 0, 0, 0, 0);
        self.not_before = self.now;
        if matches!(self.phase, State::Delivering | State::Acked | State::Proven | State::Committed)
            && self.record.latest().is_some_and(|(_, generation)| generation != self.target)
        {
            self.handed = None;
            self.enter(State::Delivering);
        }
    }

    fn revert(&mut self, effects: &mut Vec<(Step, Effect)>) {
        match self.phase {
            State::Accepting | State::Delivering | State::Acked => {
                self.held = None;
                self.restored = false;
                self.observed = None;
                (self.rejections, self.deliveries, self.flips) = (0, 0, 0);
                self.handed = None;
                self.enter(State::Reverting);
            }
            State::Planned | State::Approved | State::Staged if self.delivered.is_empty() => self.cancel(effects),
            _ => self.tell("too late to revert: the new generation is in use; plan another rotation instead", effects),
        }
    }

    fn cancel(&mut self, effects: &mut Vec<(Step, Effect)>) {
        let untouched = self.delivered.is_empty() && matches!(self.phase, State::Planned | State::Approved | State::Staged);
        if untouched && self.open.as_ref().is_none_or(|open| !open.effect.is_external()) {
            self.held = None;
            self.open = None;
            self.enter(State::Cancelled);
        } else {
            self.tell("too late to cancel: the verifier or the device was told already; revert instead", effects);
        }
    }

    /// Tells a person, once.
    pub(super) fn tell(&mut self, what: &str, effects: &mut Vec<(Step, Effect)>) {
        if self.told.insert(what.to_owned()) {
            let step = self.number();
            effects.push((step, Effect::Tell { what: what.to_owned() }));
        }
    }

    pub(super) fn number(&mut self) -> Step {
        self.steps = self.steps.saturating_add(1);
        Step(self.steps)
    }

    /// How many approvals of the retirement there are and whether uses of the old one are to be overlooked.
    pub(super) fn overlooks_use(&self) -> bool {
        self.approved(Approval::RetireThoughUsed) >= self.plan.retire_approvals.max(2)
    }
}

/// What is noted when a retirement is asked for.
pub(super) fn retire_mark(generation: Generation) -> String {
    format!("retire {}", generation.0)
}
