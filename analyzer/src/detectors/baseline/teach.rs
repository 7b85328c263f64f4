//! What a run adds to a baseline.

use super::checks;
use super::devices::{Memory, Numbers, Silence, is_new, minute_of, rhythm_of, span};
use super::judge::table::Rel;
use super::judge::{Judge, SeenRelation};
use super::learned::{BASELINE_VERSION, Baseline, Kind, Known, Names, PARTIES, Party, RELATIONS, RelationKey, Standing};
use super::numbered::Texts;
use super::parties::{Parties, Present};
use super::silence::Lives;
use super::values::Values;
use crate::findings::{Argument, CheckSpec, Severity};
use crate::hot::owned::IdentityKey;
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
    /// What found no room, by the name of what it is.
    pub shed: BTreeMap<&'static str, u64>,
}

/// A device that was not heard.
#[derive(Clone, Debug)]
pub struct Missed {
    /// Its names.
    pub names: Names,
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
    pub fn new(
        baseline: Baseline,
        parties: &Parties<'_>,
        numbers: &Numbers,
        policy: &Policy,
        shed: BTreeMap<&'static str, u64>,
    ) -> Self {
        let present = |key: &Arc<str>| parties.present(parties.texts.find(&**key)?);
        let heard = |key: &Arc<str>| present(key).is_some_and(|present| present.last.is_some());
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
        Self { missed, baseline: Arc::new(baseline), shed }
    }
}

/// The baseline after a run, by what the run saw and what of it is new.
pub fn after(
    memory: &Memory<'_>,
    judge: &Judge<'_>,
    new: &BTreeSet<Rel>,
    values: &Values,
    lives: &Lives,
    numbers: &Numbers,
) -> (Baseline, Shed) {
    let parties = &judge.parties;
    let mut after = memory.base.clone();
    after.baseline_version = BASELINE_VERSION;
    after.days = memory.days;
    let mut shed = Shed::default();
    for (key, party) in &mut after.parties {
        let present = parties.texts.find(&**key).and_then(|number| parties.present(number));
        if present.is_none_or(|present| present.last.is_none()) {
            party.unseen_ms = party.unseen_ms.saturating_add(lives.observed_ms());
        }
    }
    for (number, present) in parties.all() {
        if let Some(key) = parties.texts.get(*number) {
            party(&mut after, &mut shed, memory, key, present, numbers, parties.known(*number), &parties.texts);
        }
    }
    relations(&mut after, &mut shed, judge, new);
    for (point, watched) in values.sorted() {
        let owner = parties.device(&point.device(), watched.last).map(|party| parties.texts.text(party));
        let moved = watched.party.as_ref().is_some_and(|party| Some(party.as_str()) != owner);
        if let (Some(register), Some(owner), false) = (&watched.register, owner, moved) {
            after.registers.insert(point.key(owner), register.clone());
        }
    }
    after.shed += shed.parties + shed.names + shed.relations;
    after.pack();
    (after, shed)
}

/// What found no room in a baseline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shed {
    /// Devices.
    pub parties: u64,
    /// Names of devices.
    pub names: u64,
    /// Relations.
    pub relations: u64,
}

fn relations(after: &mut Baseline, shed: &mut Shed, judge: &Judge<'_>, new: &BTreeSet<Rel>) {
    let texts = &judge.parties.texts;
    for of_actor in judge.seen.all().chunk_by(|a, b| (a.0.kind, a.0.actor) == (b.0.kind, b.0.actor)) {
        let Some((first, _)) = of_actor.first() else { continue };
        let most = if first.kind == Kind::Talks { PEERS } else { OF_ONE };
        let mut count = judge.before.of_actor(first.kind, first.actor).len();
        for (rel, SeenRelation { row, .. }) in of_actor {
            let [Some(actor), Some(target), Some(detail)] =
                [rel.actor, rel.target, rel.detail].map(|text| texts.get(text).cloned())
            else {
                continue;
            };
            let fresh = Known::new(row.first.time, row.last.time, row.days, row.minutes);
            let key = RelationKey { kind: rel.kind, actor, target, detail };
            if let Some(known) = after.relations.get_mut(&key) {
                known.add(&fresh);
                continue;
            }
            if count >= most || after.relations.len() >= RELATIONS {
                shed.relations += 1;
                continue;
            }
            count += 1;
            let standing = if new.contains(rel) { Standing::Deviation } else { Standing::Learned };
            after.relations.insert(key, Known { standing, ..fresh });
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one step of a loop")]
fn party(
    after: &mut Baseline,
    shed: &mut Shed,
    memory: &Memory<'_>,
    key: &Arc<str>,
    present: &Present<'_>,
    numbers: &Numbers,
    before: Option<&Party>,
    texts: &Texts,
) {
    let (Some(first), Some(last)) = (present.first, present.last) else { return };
    let known = Known::new(first.time, last.time, present.days, present.signs);
    let new = is_new(present, before, memory, numbers);
    if before.is_none() && after.parties.len() >= PARTIES {
        shed.parties += 1;
        return;
    }
    let rhythm = rhythm_of(present, before);
    let fresh = || Party {
        names: Names::default(),
        known: Known::new(first.time, Timestamp(0), Default::default(), 0),
        rhythm,
        unseen_ms: 0,
        lasting: present.lasting,
    };
    let entry = after.parties.entry(key.clone()).or_insert_with(fresh);
    entry.known.add(&known);
    entry.known.standing = if new { Standing::Deviation } else { Standing::Learned };
    entry.rhythm = rhythm;
    entry.unseen_ms = present.unseen_ms;
    entry.lasting |= present.lasting;
    // A name that is a key as well is kept once.
    let shared = |name: &&IdentityKey| -> Arc<str> {
        let name = name.to_string();
        texts.find(name.as_str()).and_then(|number| texts.get(number)).cloned().unwrap_or_else(|| name.into())
    };
    shed.names += entry.names.add(present.names.iter().map(shared));
}
