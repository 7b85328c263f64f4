//! One rotation: where it is, what it knows, what it waits for.

use super::{Approval, Effect, Plan, Procedure, Record};
use crate::slot::{AcceptSet, Generation, Step};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Made; nobody approved it.
    Planned,
    /// Approved; nothing was done.
    Approved,
    /// The new secret is made and sealed; nothing left the host.
    Staged,
    /// The verifier is being told to accept both.
    Accepting,
    /// The device is being told.
    Delivering,
    /// The device said that it has it.
    Acked,
    /// Data flowed under the new generation.
    Proven,
    /// The verifier was read back; waiting for the rest of the proof.
    Committed,
    /// All is proven; the old one must go unused.
    Grace,
    /// The end: the old one is refused.
    Retired,
    /// The end: the old one stays accepted, since the device may fall back to it.
    Kept,
    /// The end: given up before anything was delivered.
    Cancelled,
    /// The old one is being brought back into use.
    Reverting,
    /// The end: the old one is in use; what was staged stays accepted until a later rotation retires it.
    Reverted,
    /// Stopped: everything stays accepted, a person was told.
    Held,
}

impl State {
    /// Whether it is an end.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Retired | Self::Kept | Self::Cancelled | Self::Reverted)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Planned => "planned",
            Self::Approved => "approved",
            Self::Staged => "staged",
            Self::Accepting => "accepting",
            Self::Delivering => "delivering",
            Self::Acked => "acked",
            Self::Proven => "proven",
            Self::Committed => "committed",
            Self::Grace => "grace",
            Self::Retired => "retired",
            Self::Kept => "kept",
            Self::Cancelled => "cancelled",
            Self::Reverting => "reverting",
            Self::Reverted => "reverted",
            Self::Held => "held",
        })
    }
}

/// The states of a key in NIST SP 800-57 part 1 revision 5, section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyState {
    /// 7.1: made, not yet accepted anywhere.
    PreActivation,
    /// 7.2: in use or ready to be.
    Active,
    /// 7.3: not to be used for a time (a rotation that is held keeps the old one so).
    Suspended,
    /// 7.4: still accepted, no longer to be used.
    Deactivated,
    /// 7.5: known to others.
    Compromised,
    /// 7.6: the value is gone.
    Destroyed,
}

/// An effect without an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Open {
    /// Its number.
    pub step: Step,
    /// What it is.
    pub effect: Effect,
    /// When it was asked for.
    pub at: Timestamp,
}

/// A rotation. Only [`super::step()`] changes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rotation {
    /// What is to be done.
    pub plan: Plan,
    pub(super) phase: State,
    pub(super) held: Option<String>,
    /// What the device shall use.
    pub(super) target: Generation,
    /// The highest number that was ever given out.
    pub(super) highest: Generation,
    /// Every generation that the device may hold or the verifier was told to accept, but for the retired ones: what must stay accepted (I1).
    pub(super) must_accept: BTreeSet<Generation>,
    pub(super) staged: BTreeSet<Generation>,
    pub(super) retired: BTreeSet<Generation>,
    /// The last intent to deliver each generation.
    pub(super) delivered: BTreeMap<Generation, Timestamp>,
    /// When a delivery last may have been sent: a delivery waits between its intent and its sending, so that its outcome tells, not its intent.
    pub(super) sent: Option<Timestamp>,
    /// The last read-back; `None` since anything at the verifier may have changed.
    pub(super) observed: Option<AcceptSet>,
    pub(super) observed_at: Timestamp,
    /// For a verifier that holds one: when it last switched, and how often nobody succeeded after it.
    pub(super) switched: Option<Timestamp>,
    pub(super) flips: u32,
    pub(super) steps: u32,
    pub(super) open: Option<Open>,
    pub(super) approvals: BTreeSet<(Approval, String)>,
    pub(super) record: Record,
    /// When the present attempt to deliver began; `None` before.
    pub(super) handed: Option<Timestamp>,
    /// When the present state began.
    pub(super) since: Timestamp,
    /// Evidence is complete up to then.
    pub(super) asked: Option<Timestamp>,
    pub(super) rejections: u32,
    pub(super) mints: u32,
    pub(super) deliveries: u32,
    pub(super) relapses: u32,
    pub(super) attempts: u32,
    pub(super) not_before: Timestamp,
    /// What was told already, so that it is told once.
    pub(super) told: BTreeSet<String>,
    pub(super) cut_off: Option<Timestamp>,
    pub(super) cut_off_wanted: Option<Timestamp>,
    pub(super) restored: bool,
    pub(super) now: Timestamp,
    pub(super) due: Timestamp,
}

impl Rotation {
    /// A rotation at its beginning.
    ///
    /// # Errors
    /// The plan breaks an invariant.
    pub fn new(plan: Plan, now: Timestamp) -> Result<Self, super::PlanError> {
        plan.check()?;
        Ok(Self {
            phase: State::Planned,
            held: None,
            target: plan.to,
            highest: plan.to,
            must_accept: plan.accepted.generations.clone(),
            staged: BTreeSet::new(),
            retired: BTreeSet::new(),
            delivered: BTreeMap::new(),
            sent: None,
            observed: None,
            observed_at: now,
            switched: None,
            flips: 0,
            steps: 0,
            open: None,
            approvals: BTreeSet::new(),
            record: Record::default(),
            handed: None,
            since: now,
            asked: None,
            rejections: 0,
            mints: 0,
            deliveries: 0,
            relapses: 0,
            attempts: 0,
            not_before: now,
            told: BTreeSet::new(),
            cut_off: None,
            cut_off_wanted: None,
            restored: false,
            now,
            due: now,
            plan,
        })
    }

    /// Where it is.
    pub fn state(&self) -> State {
        if self.held.is_some() { State::Held } else { self.phase }
    }

    /// Where it goes on after it was held; the same as [`Rotation::state`] otherwise.
    pub fn phase(&self) -> State {
        self.phase
    }

    /// Why it is held.
    pub fn held(&self) -> Option<&str> {
        self.held.as_deref()
    }

    /// The generation that the device shall use in the end.
    pub fn target(&self) -> Generation {
        self.target
    }

    /// The highest number given out: the next plan's is above it.
    pub fn highest(&self) -> Generation {
        self.highest
    }

    /// What must stay accepted.
    pub fn must_accept(&self) -> &BTreeSet<Generation> {
        &self.must_accept
    }

    /// What was retired.
    pub fn retired(&self) -> &BTreeSet<Generation> {
        &self.retired
    }

    /// The effect without an outcome.
    pub fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// Whether an open effect that had to wait is still wanted: not while held, nor when it goes the other way now, nor when the old generation came back.
    pub fn still_wants(&self, effect: &Effect) -> bool {
        match effect {
            Effect::Stage { .. } => self.held.is_none(),
            Effect::Deliver { to, .. } | Effect::WorkOrder { generation: to } => self.held.is_none() && *to == self.goal(),
            Effect::Retire { .. } => {
                let back = self.record.last_other(self.target).is_some_and(|at| at >= self.since);
                self.held.is_none() && self.phase == State::Grace && (!back || self.overlooks_use())
            }
            _ => true,
        }
    }

    /// Since when a last look before a retirement must show no use of what is retired; `None` where two people said that somebody else uses it.
    pub fn unused_since(&self) -> Option<Timestamp> {
        (!self.overlooks_use()).then_some(self.since)
    }

    /// When it wants a tick.
    pub fn due(&self) -> Timestamp {
        self.due
    }

    /// Until when the device is cut off.
    pub fn cut_off(&self) -> Option<Timestamp> {
        self.cut_off
    }

    /// Who approved what.
    pub fn approvals(&self) -> &BTreeSet<(Approval, String)> {
        &self.approvals
    }

    /// The state of one of its keys. That a key is known to others or its value destroyed is not this module's to know.
    pub fn key_state(&self, generation: Generation) -> Option<KeyState> {
        let current = if matches!(self.phase, State::Proven | State::Committed | State::Grace | State::Retired | State::Kept) {
            self.target
        } else {
            self.plan.from
        };
        if generation == current {
            Some(KeyState::Active)
        } else if self.retired.contains(&generation) {
            Some(KeyState::Deactivated)
        } else if self.must_accept.contains(&generation) && current == self.target {
            Some(if self.held.is_some() { KeyState::Suspended } else { KeyState::Deactivated })
        } else if self.must_accept.contains(&generation) {
            Some(KeyState::Active)
        } else if self.staged.contains(&generation) {
            Some(KeyState::PreActivation)
        } else {
            None
        }
    }

    /// Whether this differs from `before` by more than a crash may forget: questions and the times of answers are asked again, and a session of the target
    /// that goes on proves nothing new.
    pub fn needs_writing(&self, before: &Self) -> bool {
        let lasting = |rotation: &Self| {
            let mut lasting = rotation.clone();
            let zero = Timestamp::default();
            (lasting.now, lasting.due, lasting.not_before, lasting.observed_at) = (zero, zero, zero, zero);
            (lasting.steps, lasting.attempts, lasting.asked, lasting.observed) = (0, 0, None, None);
            lasting.open.take_if(|open| matches!(open.effect, Effect::ReadBack | Effect::AskEvidence { .. }));
            lasting.record.forget_ends(lasting.target);
            lasting
        };
        lasting(self) != lasting(before)
    }

    pub(super) fn approved(&self, what: Approval) -> u32 {
        u32::try_from(self.approvals.iter().filter(|(approval, _)| *approval == what).count()).unwrap_or(u32::MAX)
    }

    /// What the device is meant to use just now.
    pub(super) fn goal(&self) -> Generation {
        if self.phase == State::Reverting { self.plan.from } else { self.target }
    }

    /// When the goal was last handed to the device, at the latest the beginning of the rotation.
    pub(super) fn handed_over(&self) -> Timestamp {
        self.delivered.get(&self.goal()).copied().unwrap_or(self.since)
    }

    /// Since when no delivery can change any more what the device uses; `None` while one is open.
    pub(super) fn settled(&self) -> Option<Timestamp> {
        let open =
            self.open.as_ref().is_some_and(|open| matches!(open.effect, Effect::Deliver { .. } | Effect::WorkOrder { .. }));
        if open { None } else { Some(self.sent.map_or(self.since, |sent| sent.plus(self.plan.settles))) }
    }

    /// When a delivery handed over at `handed` has had no effect for as long as it may take; it may have waited to be sent.
    pub(super) fn patience_ends(&self, handed: Timestamp) -> Timestamp {
        self.sent.map_or(handed, |sent| sent.max(handed)).plus(self.plan.patience())
    }

    pub(super) fn is_session(&self) -> bool {
        self.plan.procedure == Procedure::SessionRekey
    }

    pub(super) fn enter(&mut self, state: State) {
        if self.phase != state {
            self.phase = state;
            self.since = self.now;
            self.attempts = 0;
            self.not_before = self.now;
        }
    }

    pub(super) fn hold(&mut self, why: &str) {
        if self.held.is_none() && !self.phase.is_end() {
            self.held = Some(why.to_owned());
            self.not_before = self.now;
        }
    }
}
