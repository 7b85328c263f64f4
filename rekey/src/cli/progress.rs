//! What `run` keeps beside the journal: when each rotation reached what, who saw it, which findings it answers. It holds no secret, and everything that
//! decides stands in the journal; lost, it costs the times in a report.

use super::Stop;
use super::host::{keep, kept};
use crate::config::Config;
use crate::findings::results;
use crate::planning::Answered;
use crate::rotation::{Rotation, State};
use crate::slot::{Generation, RotationId, Slot};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Of all rotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// When it was written.
    pub at: Timestamp,
    /// Why the campaign does not go on, in words.
    pub waiting: String,
    /// Of each rotation.
    pub rotations: BTreeMap<u64, One>,
}

/// Of one rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct One {
    /// Whose credential.
    pub slot: Slot,
    /// The device.
    pub device: String,
    /// What it replaces.
    pub from: Generation,
    /// What replaces it.
    pub to: Generation,
    /// Where it is.
    pub state: State,
    /// Why it is held.
    pub held: Option<String>,
    /// When it began.
    pub begun: Timestamp,
    /// When it reached where it is.
    pub since: Timestamp,
    /// When data first flowed under the new one.
    pub proven: Option<Timestamp>,
    /// Since when the old one is refused.
    pub retired: Option<Timestamp>,
    /// Who saw the new one in use.
    pub witnesses: BTreeSet<String>,
    /// The findings that it answers.
    pub findings: Vec<Answered>,
    /// What a person was told last.
    pub told: Option<String>,
    /// Whether the device was silent before.
    pub was_silent: bool,
}

impl Progress {
    /// What was kept.
    pub fn read(config: &Config) -> Result<Self, Stop> {
        kept(&file(config))
    }

    /// Keeps it.
    pub fn keep(&self, config: &Config) -> Result<(), Stop> {
        keep(&file(config), self)
    }

    /// Takes in where a rotation is. Answers the state before where it is another now.
    pub fn take(&mut self, rotation: &Rotation, findings: &[Answered], now: Timestamp) -> Option<Option<State>> {
        let state = rotation.state();
        let one = self.rotations.entry(rotation.plan.id.0);
        let is_new = matches!(one, std::collections::btree_map::Entry::Vacant(_));
        let one = one.or_insert_with(|| One {
            slot: rotation.plan.slot.clone(),
            device: rotation.plan.device.clone(),
            from: rotation.plan.from,
            to: rotation.target(),
            state,
            held: None,
            begun: now,
            since: now,
            proven: None,
            retired: None,
            witnesses: BTreeSet::new(),
            findings: findings.to_vec(),
            told: None,
            was_silent: false,
        });
        let before = (!is_new).then_some(one.state);
        let works = matches!(state, State::Proven | State::Committed | State::Grace | State::Retired | State::Kept);
        if works && one.proven.is_none() {
            one.proven = Some(now);
        }
        if state == State::Retired && one.retired.is_none() {
            one.retired = Some(now);
        }
        one.to = rotation.target();
        one.held = rotation.held().map(str::to_owned);
        if before == Some(state) {
            return None;
        }
        (one.state, one.since) = (state, now);
        Some(before)
    }

    /// What became of each finding's key.
    pub fn results(&self) -> Vec<results::Result> {
        let mut results = Vec::new();
        for (id, one) in &self.rotations {
            for answered in &one.findings {
                results.push(results::Result {
                    finding: answered.finding.clone(),
                    check: answered.check.clone(),
                    device: answered.device.clone(),
                    slot: one.slot.clone(),
                    rotation: RotationId(*id),
                    from: one.from,
                    to: one.to,
                    state: one.state,
                    proven: one.proven,
                    retired: one.retired,
                    witnesses: ["verifier", "sensor"].into_iter().filter(|name| one.witnesses.contains(*name)).collect(),
                });
            }
        }
        results
    }
}

fn file(config: &Config) -> PathBuf {
    config.folder.join("progress.json")
}
