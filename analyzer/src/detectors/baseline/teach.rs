//! What a run adds to a baseline.

use super::checks;
use super::devices::{Memory, Numbers, Silence, is_new, minute_of, rhythm_of, span};
use super::judge::{Judged, SeenRelation};
use super::learned::{BASELINE_VERSION, Baseline, Kind, Known, NAMES, PARTIES, Party, RELATIONS, RelationKey, Standing};
use super::parties::{Parties, Present};
use super::silence::Lives;
use super::values::Values;
use crate::findings::{Argument, CheckSpec, Severity};
use crate::policy::Policy;
use citytap_sensor::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Relations that one actor may have of one kind over all runs: a broker's topics, a control system's map. More is nobody's habit.
pub const OF_ONE: usize = 4_096;

/// Peers of one device that are kept: beyond it the device speaks to whom it will.
pub const PEERS: usize = 128;

/// What is known after a run.
#[derive(Clone, Debug)]
pub struct Learned {
    /// What is normal.
    pub baseline: Arc<Baseline>,
    /// Devices that are known and that the run did not hear, though it should have.
    pub missed: Vec<Missed>,
}

/// A device that was not heard.
#[derive(Clone, Debug)]
pub struct Missed {
    /// Its names.
    pub names: BTreeSet<String>,
    /// What is said of it.
    pub check: &'static CheckSpec,
    /// How bad.
    pub severity: Severity,
    /// Arguments of the check's sentences.
    pub arguments: Vec<Argument>,
    /// When it was last heard.
    pub last_seen: Timestamp,
}

impl Learned {
    /// By the baseline after a run, and who was there.
    pub fn new(baseline: Baseline, parties: &Parties<'_>, numbers: &Numbers, policy: &Policy) -> Self {
        let heard = |key: &String| parties.present.get(key.as_str()).is_some_and(|present| present.last.is_some());
        let absent = baseline.parties.iter().filter(|(key, _)| !heard(key));
        let missed = absent.filter_map(|(_, party)| {
            let since: Argument = ("_since", minute_of(party.known.last_seen).into());
            let (check, severity, arguments) = match numbers.silence_of(party) {
                Silence::Usual => return None,
                Silence::Silent => {
                    (&checks::SILENT, Severity::Low, vec![("_period", span(party.rhythm.period_ms).into()), since])
                }
                Silence::Gone => (&checks::GONE, Severity::Info, vec![since]),
            };
            let severity = policy.severity(check.id).unwrap_or(severity);
            let missed = Missed { names: party.names.clone(), check, severity, arguments, last_seen: party.known.last_seen };
            (!policy.is_off(check)).then_some(missed)
        });
        let missed = missed.collect();
        Self { missed, baseline: Arc::new(baseline) }
    }
}

/// The baseline after a run.
pub fn after(
    memory: &Memory<'_>,
    parties: &Parties<'_>,
    seen: BTreeMap<RelationKey, SeenRelation<'_>>,
    judged: &Judged,
    values: &Values,
    lives: &Lives,
    numbers: &Numbers,
) -> Baseline {
    let mut after = memory.base.clone();
    after.baseline_version = BASELINE_VERSION;
    after.days = memory.days;
    for (key, party) in &mut after.parties {
        if parties.present.get(key.as_str()).is_none_or(|present| present.last.is_none()) {
            party.unseen_ms = party.unseen_ms.saturating_add(lives.observed_ms());
        }
    }
    for (key, present) in &parties.present {
        party(&mut after, memory, key, present, numbers);
    }
    let mut counts: BTreeMap<(Kind, Arc<str>), usize> = BTreeMap::new();
    for key in after.relations.keys() {
        *counts.entry((key.kind, key.actor.clone())).or_insert(0) += 1;
    }
    for (key, seen) in seen {
        let row = seen.row;
        let fresh = Known::new(row.first.time, row.last.time, row.days, row.minutes);
        if let Some(known) = after.relations.get_mut(&key) {
            known.add(&fresh);
            continue;
        }
        let count = counts.entry((key.kind, key.actor.clone())).or_insert(0);
        let most = if key.kind == Kind::Talks { PEERS } else { OF_ONE };
        if *count >= most || after.relations.len() >= RELATIONS {
            after.shed += 1;
            continue;
        }
        *count += 1;
        let standing = if judged.new.contains(&key) { Standing::Deviation } else { Standing::Learned };
        after.relations.insert(key, Known { standing, ..fresh });
    }
    for (point, watched) in values.sorted() {
        let (owner, device) = parties.of(&point.device(), watched.last);
        let moved = watched.party.as_ref().is_some_and(|party| **party != *owner);
        if let (Some(register), Some(_), false) = (&watched.register, device, moved) {
            after.registers.insert(point.key(&owner), register.clone());
        }
    }
    after
}

fn party(after: &mut Baseline, memory: &Memory<'_>, key: &str, present: &Present<'_>, numbers: &Numbers) {
    let (Some(first), Some(last)) = (present.first, present.last) else { return };
    let known = Known::new(first.time, last.time, present.days, present.signs);
    let new = is_new(key, present, memory, numbers);
    if !after.parties.contains_key(key) && after.parties.len() >= PARTIES {
        after.shed += 1;
        return;
    }
    let rhythm = rhythm_of(present, memory.base.parties.get(key));
    let fresh = || Party {
        names: Default::default(),
        known: Known::new(first.time, Timestamp(0), Default::default(), 0),
        rhythm,
        unseen_ms: 0,
        lasting: present.lasting,
    };
    let entry = after.parties.entry(key.to_owned()).or_insert_with(fresh);
    entry.known.add(&known);
    entry.known.standing = if new { Standing::Deviation } else { Standing::Learned };
    entry.rhythm = rhythm;
    entry.unseen_ms = present.unseen_ms;
    entry.lasting |= present.lasting;
    for name in present.names.iter().map(ToString::to_string) {
        if entry.names.len() < NAMES {
            entry.names.insert(name);
        } else if !entry.names.contains(&name) {
            after.shed += 1;
        }
    }
}
