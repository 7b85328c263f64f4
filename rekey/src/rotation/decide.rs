//! What is to be done next, state by state.

use super::step::retire_mark;
use super::{Approval, DELIVERIES_MAX, Effect, Open, RELAPSES_MAX, Rotation, State, guard};
use crate::slot::{Generation, Step};
use crate::time::{Span, Timestamp};

/// A question for evidence that is answered this long before a retirement is fresh enough.
const FRESH: Span = Span::seconds(60);
/// Moves from state to state without any effect between them: fewer than there are states, or it goes in circles.
const MOVES_MAX: u32 = 16;

/// What a state comes to.
pub(super) enum Next {
    /// It moved on; look again.
    Moved,
    /// This is to be done.
    Do(Effect),
    /// Nothing until then.
    Wait(Timestamp),
}

impl Rotation {
    pub(super) fn decide(&mut self, effects: &mut Vec<(Step, Effect)>) {
        for _ in 0..MOVES_MAX {
            if let Some(open) = &self.open {
                // The agent brings an outcome or the word that it was interrupted.
                self.due = open.at.plus(Span::hours(1)).max(self.now);
                return;
            }
            match self.next(effects) {
                Next::Moved => {}
                Next::Wait(until) => {
                    let quarantine = self.cut_off_wanted.unwrap_or(until);
                    self.due = until.min(quarantine).max(self.now);
                    return;
                }
                Next::Do(effect) => self.emit(effect, effects),
            }
        }
        self.hold("it goes in circles: please report this");
        self.due = self.now.plus(Span::hours(1));
    }

    fn next(&mut self, effects: &mut Vec<(Step, Effect)>) -> Next {
        if let Some(effect) = self.quarantine() {
            return Next::Do(effect);
        }
        if self.phase.is_end() {
            return Next::Wait(Timestamp(i64::MAX));
        }
        if let Some(why) = self.held.clone() {
            self.tell(&format!("held: {why}"), effects);
            return self.while_held();
        }
        match self.phase {
            State::Planned => self.planned(),
            _ if self.now < self.not_before => Next::Wait(self.not_before),
            State::Approved => self.approved_state(effects),
            State::Staged => self.moved(if self.plan.holds_both { State::Accepting } else { State::Delivering }),
            State::Accepting => self.accepting(),
            State::Delivering | State::Acked => self.delivering(),
            State::Proven => self.proven(),
            State::Committed => self.committed(effects),
            State::Grace => self.grace(effects),
            State::Reverting => self.reverting(),
            State::Retired | State::Kept | State::Cancelled | State::Reverted | State::Held => Next::Wait(Timestamp(i64::MAX)),
        }
    }

    /// Hands an effect out, through the gate.
    fn emit(&mut self, effect: Effect, effects: &mut Vec<(Step, Effect)>) {
        if let Err(why) = guard::allows(self, &effect) {
            self.hold(&format!("refused to {why}: please report this"));
            return;
        }
        match effect {
            Effect::Accept { generation } => drop(self.must_accept.insert(generation)),
            Effect::Deliver { to, .. } | Effect::WorkOrder { generation: to } => {
                self.must_accept.insert(to);
                self.delivered.insert(to, self.now);
                self.handed = Some(self.now);
                self.deliveries = self.deliveries.saturating_add(1);
            }
            Effect::Switch { .. } => {
                self.flips = self.flips.saturating_add(1);
                self.observed = None;
            }
            Effect::Retire { generation } => drop(self.told.insert(retire_mark(generation))),
            _ => {}
        }
        let step = self.number();
        self.open = Some(Open { step, effect: effect.clone(), at: self.now });
        effects.push((step, effect));
    }

    pub(super) fn moved(&mut self, to: State) -> Next {
        self.enter(to);
        Next::Moved
    }

    fn quarantine(&self) -> Option<Effect> {
        if self.now < self.not_before {
            return None;
        }
        match (self.cut_off_wanted, self.cut_off) {
            (Some(until), applied) if applied != Some(until) => Some(Effect::Quarantine { until }),
            (None, Some(_)) => Some(Effect::Release),
            _ => None,
        }
    }

    fn planned(&mut self) -> Next {
        let enough = |what: Approval| self.approved(what) >= self.plan.approvals;
        if enough(Approval::Rotate) && (!self.plan.may_lock_out() || enough(Approval::MayLockOut)) {
            return self.moved(State::Approved);
        }
        Next::Wait(Timestamp(i64::MAX))
    }

    fn approved_state(&mut self, effects: &mut Vec<(Step, Effect)>) -> Next {
        let Some(observed) = &self.observed else { return Next::Do(Effect::ReadBack) };
        if self.staged.is_empty() && *observed != self.plan.accepted {
            self.tell("the verifier accepts something else than when this was planned: plan again", effects);
            return self.moved(State::Cancelled);
        }
        if self.is_session() {
            return self.moved(State::Delivering);
        }
        Next::Do(Effect::Stage { generation: self.target })
    }

    /// What must be accepted and is not; for a verifier that holds several.
    pub(super) fn missing(&self) -> Option<Generation> {
        let observed = self.observed.as_ref()?;
        self.must_accept.iter().copied().find(|generation| !observed.accepts(*generation) && !self.retiring(*generation))
    }

    fn accepting(&mut self) -> Next {
        let Some(observed) = &self.observed else { return Next::Do(Effect::ReadBack) };
        if !observed.accepts(self.target) {
            return Next::Do(Effect::Accept { generation: self.target });
        }
        match self.missing() {
            Some(generation) => Next::Do(Effect::Accept { generation }),
            None => self.moved(State::Delivering),
        }
    }

    fn delivering(&mut self) -> Next {
        let handed_over = self.floor(self.handed_over());
        if self.handed.is_some() && self.record.works(self.target, handed_over) {
            return self.moved(State::Proven);
        }
        if self.plan.holds_both {
            if let Some(effect) = self.reassure() {
                return Next::Do(effect);
            }
        } else if let Some(effect) = self.follow() {
            return Next::Do(effect);
        }
        if self.is_session() && self.handed.is_none() && self.asked.is_none() {
            return Next::Do(self.ask(Timestamp(self.now.0.saturating_sub(self.plan.least_grace().0))));
        }
        match self.handed {
            None => Next::Do(self.hand_over(self.target)),
            Some(_) if self.plan.class == super::Class::SiteVisit => self.watch(None),
            Some(handed) if self.now >= self.patience_ends(handed) => self.once_more(),
            Some(handed) => self.watch(Some(self.patience_ends(handed))),
        }
    }

    /// The delivery has had no effect for as long as it may take.
    fn once_more(&mut self) -> Next {
        if self.asked.is_none_or(|asked| self.now.since(asked) > FRESH) {
            return Next::Do(self.ask(self.handed_over()));
        }
        if self.deliveries >= DELIVERIES_MAX {
            self.hold("the device was told several times and does not use the new generation");
        } else {
            self.handed = None;
            self.enter(State::Delivering);
        }
        Next::Moved
    }

    pub(super) fn hand_over(&self, to: Generation) -> Effect {
        if self.plan.class == super::Class::SiteVisit {
            return Effect::WorkOrder { generation: to };
        }
        let used =
            self.record.latest().map(|(_, generation)| generation).filter(|generation| *generation != to || self.is_session());
        Effect::Deliver { from: used.unwrap_or(if to == self.plan.from { self.target } else { self.plan.from }), to }
    }

    /// Looks at the verifier where that is not known, and puts back what is missing.
    fn reassure(&mut self) -> Option<Effect> {
        if self.observed.is_none() {
            return Some(Effect::ReadBack);
        }
        self.missing().map(|generation| Effect::Accept { generation })
    }

    /// Since when evidence for the goal counts: not before it was handed over, and not before another was last used.
    pub(super) fn floor(&self, from: Timestamp) -> Timestamp {
        if self.is_session() || self.overlooks_use() {
            return from;
        }
        self.record.last_other(self.goal()).map_or(from, |other| other.max(from))
    }

    pub(super) fn ask(&self, since: Timestamp) -> Effect {
        Effect::AskEvidence { since }
    }

    /// How often evidence is asked for: often enough to see each report, within seconds where the verifier must follow the device.
    pub(super) fn pace(&self) -> Span {
        let hurry = !self.plan.holds_both
            && !self.is_session()
            && matches!(self.phase, State::Delivering | State::Acked | State::Reverting);
        if hurry { Span::seconds(1) } else { Span(self.plan.reporting.0 / 4).max(Span::seconds(5)).min(Span::hours(1)) }
    }

    /// Asks for evidence when it is time, else waits.
    pub(super) fn watch(&mut self, end: Option<Timestamp>) -> Next {
        let next = self.asked.map_or(self.now, |asked| asked.plus(self.pace()));
        if self.now >= next {
            // From a little earlier on: evidence may come late.
            let from = self.asked.map_or(self.plan_start(), |asked| Timestamp(asked.0.saturating_sub(self.plan.least_grace().0)));
            return Next::Do(self.ask(from));
        }
        Next::Wait(end.map_or(next, |end| end.min(next)))
    }

    fn plan_start(&self) -> Timestamp {
        self.delivered.values().min().copied().unwrap_or(self.since)
    }

    fn proven(&mut self) -> Next {
        let Some(observed) = &self.observed else { return Next::Do(Effect::ReadBack) };
        if self.plan.holds_both {
            if let Some(generation) = self.missing() {
                return Next::Do(Effect::Accept { generation });
            }
        } else if !self.is_session() && !observed.accepts(self.target) {
            return self.moved(State::Delivering);
        }
        self.moved(State::Committed)
    }

    fn committed(&mut self, effects: &mut Vec<(Step, Effect)>) -> Next {
        if !self.plan.holds_both
            && let Some(effect) = self.follow()
        {
            return Next::Do(effect);
        }
        let floor = self.floor(self.handed_over());
        if self.record.lasts(self.target, floor) {
            self.relapses += u32::from(self.told.contains("it came back"));
            return self.moved(State::Grace);
        }
        let quiet = self.plan.patience().times(2);
        if self.now >= floor.max(self.since).plus(quiet) {
            let gone_back = self.record.latest().is_some_and(|(_, generation)| generation != self.target);
            if gone_back && !self.overlooks_use() {
                self.hold("the device went back to the old generation, or another than the device uses it");
                return Next::Moved;
            }
            let what = "proof is not complete: it takes a restart of the device and a reconnect, or the tap's word";
            self.tell(what, effects);
        }
        self.watch(None)
    }

    fn grace(&mut self, effects: &mut Vec<(Step, Effect)>) -> Next {
        if !self.plan.holds_both
            && let Some(effect) = self.follow()
        {
            return Next::Do(effect);
        }
        if self.record.last_other(self.target).is_some_and(|at| at >= self.since) && !self.overlooks_use() && !self.is_session() {
            self.told.insert("it came back".to_owned());
            if self.relapses >= RELAPSES_MAX {
                self.hold("the old generation is used again and again");
            }
            return self.moved(State::Committed);
        }
        let end = self.since.plus(self.plan.grace);
        if self.now < end {
            return self.watch(Some(end));
        }
        if self.approved(Approval::Retire) < self.plan.retire_approvals && !self.overlooks_use() {
            self.tell("all is proven and the grace is over: the retirement waits for approval", effects);
            return self.watch(None);
        }
        if self.asked.is_none_or(|asked| asked < end || self.now.since(asked) > FRESH) {
            return Next::Do(self.ask(self.since));
        }
        if !self.is_heard() {
            self.tell("the device is silent; that nobody uses the old generation proves nothing", effects);
            return self.watch(None);
        }
        if self.observed.is_none() || self.observed_at < end {
            return Next::Do(Effect::ReadBack);
        }
        self.retire()
    }

    /// Whether the device used the target lately, in the grace, and when no delivery could change its mind any more.
    pub(super) fn is_heard(&self) -> bool {
        let lately = Timestamp(self.now.0.saturating_sub(self.plan.least_grace().0));
        let settled = self.settled().unwrap_or(self.now);
        // A verifier that holds one refuses an old generation instead of telling of its use.
        let refused = self.record.refused().filter(|_| !self.plan.holds_both && !self.is_session());
        let heard =
            |at: Timestamp| at >= self.since && at >= lately && at >= settled && refused.is_none_or(|refused| at > refused);
        self.record.last_use(self.target).is_some_and(heard)
    }

    fn retire(&mut self) -> Next {
        let Some(observed) = &self.observed else { return Next::Do(Effect::ReadBack) };
        let (target, keep) = (self.target, &self.plan.keep);
        if self.is_session() {
            return self.moved(State::Retired);
        }
        if !observed.accepts(target) {
            return self.moved(State::Proven);
        }
        let others = || observed.generations.iter().copied().filter(|generation| *generation != target);
        if let Some(generation) = others().find(|generation| !keep.contains(generation)) {
            return Next::Do(Effect::Retire { generation });
        }
        let kept = others().next().is_some();
        self.moved(if kept { State::Kept } else { State::Retired })
    }

    fn while_held(&mut self) -> Next {
        if self.now < self.not_before {
            return Next::Wait(self.not_before);
        }
        if self.is_session() || matches!(self.phase, State::Planned | State::Approved | State::Staged) {
            return Next::Wait(Timestamp(i64::MAX));
        }
        if self.observed.is_none() || self.now.since(self.observed_at) >= Span::hours(1) {
            return Next::Do(Effect::ReadBack);
        }
        if !self.plan.holds_both {
            if let Some(effect) = self.follow() {
                return Next::Do(effect);
            }
        } else if !self.restored
            && let Some(generation) = self.missing()
        {
            return Next::Do(Effect::Accept { generation });
        }
        self.watch(None)
    }

    fn reverting(&mut self) -> Next {
        let from = self.plan.from;
        if self.delivered.is_empty() {
            return self.moved(State::Reverted);
        }
        if self.plan.holds_both {
            if let Some(effect) = self.reassure() {
                return Next::Do(effect);
            }
        } else if let Some(effect) = self.follow() {
            return Next::Do(effect);
        }
        let in_use = |since: Timestamp| {
            let refused = self.record.refused();
            self.record
                .latest()
                .is_some_and(|(at, generation)| generation == from && at >= since && refused.is_none_or(|refused| at > refused))
        };
        let used = self.record.latest().is_some_and(|(at, generation)| generation == from && at >= self.since);
        let held = self.observed.as_ref().is_some_and(|observed| observed.accepts(from));
        if self.plan.holds_both && used || held && self.settled().is_some_and(|settled| in_use(settled.max(self.since))) {
            return self.moved(State::Reverted);
        }
        let on_the_old_one = self.record.latest().is_none_or(|(_, generation)| generation == from);
        if on_the_old_one || self.plan.class == super::Class::SelfReverting {
            return self.reverting_waits();
        }
        match self.handed {
            None => Next::Do(self.hand_over(from)),
            Some(handed) if self.now >= self.patience_ends(handed) && self.plan.class != super::Class::SiteVisit => {
                if self.deliveries >= DELIVERIES_MAX {
                    self.hold("the device does not go back to the old generation");
                } else {
                    self.handed = None;
                }
                Next::Moved
            }
            Some(handed) => self.watch(Some(self.patience_ends(handed).max(self.now))),
        }
    }

    fn reverting_waits(&mut self) -> Next {
        if self.now >= self.since.plus(self.plan.patience().times(4)) {
            self.hold("nothing is heard of the device since the way back began");
            return Next::Moved;
        }
        self.watch(None)
    }
}
