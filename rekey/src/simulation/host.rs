//! Our host: what it keeps, what it loses, what it restores.

use super::device::Value;
use crate::rotation::{Effect, Input, Rotation, State, step};
use crate::slot::{Generation, Step};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What is on the disk.
#[derive(Clone, Debug)]
pub struct Disk {
    pub rotation: Rotation,
    pub secrets: BTreeMap<Generation, Value>,
    /// What a verifier of ours serves.
    pub accepted: BTreeSet<Generation>,
    /// Grows with each change.
    pub version: u64,
}

/// The host.
#[derive(Clone, Debug)]
pub struct Host {
    pub disk: Disk,
    /// The last copy that is known to be off the host.
    pub copy: Disk,
    /// Counts processes: what an earlier one started is not awaited by a later one.
    pub life: u32,
    pub up: bool,
    /// Whether a delivery and a retirement wait for the copy.
    pub copies: bool,
    next_value: u64,
}

impl Host {
    pub fn new(disk: Disk, copies: bool) -> Self {
        Self { copy: disk.clone(), disk, life: 0, up: true, copies, next_value: 100 }
    }

    /// One step: what is decided is on the disk before anything of it is done.
    pub fn step(&mut self, input: &Input, now: Timestamp) -> Vec<(Step, Effect)> {
        let (rotation, effects) = step(&self.disk.rotation, input, now);
        for (_, effect) in &effects {
            if let Effect::Accept { generation } = effect {
                self.disk.accepted.insert(*generation);
            }
        }
        self.disk.version += 1;
        self.disk.rotation = rotation;
        effects
    }

    /// The secret of this generation, made once.
    pub fn stage(&mut self, generation: Generation) {
        self.next_value += 1;
        let value = Value(self.next_value);
        if self.disk.secrets.contains_key(&generation) {
            return;
        }
        self.disk.secrets.insert(generation, value);
        self.disk.version += 1;
    }

    /// Whether this effect may start: a delivery and a retirement begin only when the copy knows that they were meant to.
    pub fn covers(&self, effect: &Effect, step: Step) -> bool {
        if !self.copies {
            return true;
        }
        let waits = matches!(effect, Effect::Deliver { .. } | Effect::WorkOrder { .. } | Effect::Retire { .. });
        let copied = &self.copy.rotation;
        !waits
            || copied.plan.id == self.disk.rotation.plan.id
                && copied.open().is_some_and(|open| open.step == step && open.effect == *effect)
    }

    /// The process begins; from the copy where the disk is lost.
    pub fn begins(&mut self, lost: bool, now: Timestamp) -> Vec<(Step, Effect)> {
        self.life += 1;
        self.up = true;
        if lost {
            self.disk = self.copy.clone();
            let retiring = match self.disk.rotation.open().map(|open| &open.effect) {
                Some(Effect::Retire { generation }) => Some(*generation),
                _ => None,
            };
            let retired = self.disk.rotation.retired();
            let staged = self.disk.secrets.keys().copied().filter(|generation| !retired.contains(generation));
            let staged: Vec<Generation> = staged.filter(|generation| generation.0 >= self.disk.rotation.plan.to.0).collect();
            self.disk.accepted.extend(staged);
            if let Some(generation) = retiring {
                self.disk.accepted.remove(&generation);
            }
            return self.step(&Input::Restored, now);
        }
        let step = self.disk.rotation.open().map_or(Step(0), |open| open.step);
        self.step(&Input::Interrupted { step }, now)
    }

    pub fn state(&self) -> State {
        self.disk.rotation.state()
    }
}
