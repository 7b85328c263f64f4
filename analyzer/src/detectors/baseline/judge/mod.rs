//! What is new among relations, and the answers about it.
//!
//! Something is new where it was not there while enough of its scope was known: for who does something to a device, the days on which the
//! device was active before; for which registers are read, the days on which the same client read there; for topics, the days on which
//! somebody else published on it. Before that it is learned. What a frozen version knows needs no days: what came after is new at once.

mod acquaintances;
mod pairs;
mod publishers;
mod registers;

use super::days::{Days, date, day_of};
use super::learned::{Baseline, Kind, Known, RelationKey, Standing};
use super::parties::Parties;
use super::relations::{Row, RowKey};
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{IdentityKey, Seen};
use crate::policy::{Parameter, Policy};
use citytap_sensor::observation::Confidence;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The answer while a deviation waits that was not seen again: what was found stays found.
pub const WAITS: &str = "what was found before waits for a decision: citytap baseline diff";

/// The key under which addresses outside share what they do: there are too many of them.
pub const OUTSIDE: &str = "outside";

/// A relation as this run saw it.
#[derive(Clone, Debug)]
pub struct SeenRelation {
    /// Where it was first seen.
    pub first: Seen,
    /// Where it was last seen.
    pub last: Seen,
    /// When and how often.
    pub known: Known,
    /// The actor, as people read it.
    pub actor: String,
    /// The target, as people read it.
    pub target: String,
    /// A name of the actor's device.
    pub actor_device: Option<IdentityKey>,
    /// A name of the target's device.
    pub target_device: Option<IdentityKey>,
}

/// What is new.
#[derive(Default)]
pub struct Judged {
    /// The answers.
    pub verdicts: Vec<Verdict>,
    /// The relations that are new.
    pub new: BTreeSet<RelationKey>,
}

/// All that a judgement rests on.
pub struct Judge<'a> {
    base: &'a Baseline,
    policy: &'a Policy,
    parties: &'a Parties<'a>,
    /// The relations of this run.
    pub seen: BTreeMap<RelationKey, SeenRelation>,
    /// What was learned before, by kind and target.
    before: BTreeMap<(Kind, &'a str), Vec<(&'a RelationKey, &'a Known)>>,
    judged: Judged,
}

impl<'a> Judge<'a> {
    /// Of the rows of a run.
    pub fn new(base: &'a Baseline, policy: &'a Policy, parties: &'a Parties<'a>, rows: &[(RowKey<'_>, &Row)]) -> Self {
        let mut before: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, known) in &base.relations {
            before.entry((key.kind, key.target.as_str())).or_default().push((key, known));
        }
        let mut judge = Self { base, policy, parties, seen: BTreeMap::new(), before, judged: Judged::default() };
        rows.iter().for_each(|(key, row)| judge.enter(key, row));
        judge
    }

    /// Judges.
    pub fn judge(mut self) -> (BTreeMap<RelationKey, SeenRelation>, Judged) {
        self.pairs();
        self.registers();
        self.publishers();
        self.gateways();
        self.peers();
        (self.seen, self.judged)
    }

    /// Rows of one device under several names become one relation.
    fn enter(&mut self, key: &RowKey<'_>, row: &Row) {
        let (actor, actor_device) = self.parties.of(key.actor, row.last);
        let (target, target_device) = self.parties.of(key.target, row.last);
        let lasting = |party: &String| self.parties.present.get(party).is_some_and(|present| present.lasting);
        let actor = match (key.kind, actor_device) {
            (Kind::Hears, _) if !lasting(&target) => return,
            (Kind::Talks, None) if target_device.is_none() => return,
            (Kind::Talks, None) => OUTSIDE.to_owned(),
            _ => actor,
        };
        if actor == target {
            return;
        }
        let detail = key.detail.to_owned();
        let known = Known::new(row.first.time, row.last.time, row.days, row.minutes);
        let seen = SeenRelation {
            first: row.first,
            last: row.last,
            known,
            actor: spoken(&key.actor.name),
            target: key.target.address.map_or_else(|| spoken(&key.target.name), |address| address.to_string()),
            actor_device: actor_device.cloned(),
            target_device: target_device.cloned(),
        };
        match self.seen.entry(RelationKey { kind: key.kind, actor, target, detail }) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(seen);
            }
            std::collections::btree_map::Entry::Occupied(mut known) => known.get_mut().join(&seen),
        }
    }

    fn number(&self, parameter: &Parameter) -> u32 {
        u32::try_from(self.policy.number(parameter)).unwrap_or(u32::MAX)
    }

    /// Days on which a party was active, before and in this run.
    fn days_of(&self, party: &str) -> Days {
        let before = self.base.parties.get(party).map(|party| party.known.days).unwrap_or_default();
        before.union(self.parties.present.get(party).map(|present| present.days).unwrap_or_default())
    }

    /// Whether a frozen version is in force that knows the party.
    fn is_frozen(&self, party: &str) -> bool {
        self.base.version().is_some() && self.base.parties.get(party).is_some_and(|party| party.known.frozen.is_some())
    }

    /// What was learned of a pair, of any of the kinds: learned before deviating.
    fn standing(&self, kinds: &[Kind], actor: &str, target: &str) -> Option<Standing> {
        kinds.iter().flat_map(|&kind| self.base.of_pair(kind, actor, target)).map(|(_, known)| known.standing).min()
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&RelationKey, &SeenRelation)> {
        let first = RelationKey { kind, actor: String::new(), target: String::new(), detail: String::new() };
        self.seen.range(first..).take_while(move |(key, _)| key.kind == kind)
    }

    /// The day on which this run first saw a pair do one of these.
    fn first_day(&self, kinds: &[Kind], actor: &str, target: &str) -> u32 {
        let of = |kind| {
            let first = RelationKey { kind, actor: actor.into(), target: target.into(), detail: String::new() };
            self.seen.range(first..).take_while(move |(key, _)| key.kind == kind && key.actor == actor && key.target == target)
        };
        kinds.iter().flat_map(|&kind| of(kind)).map(|(_, seen)| day_of(seen.known.first_seen)).min().unwrap_or_default()
    }

    /// The answer where nothing was found.
    fn not_found(&self, days: Days, frozen: bool, learning_days: u32, known: &str) -> Answer {
        still_learning(days, frozen, learning_days).unwrap_or_else(|| {
            let since = match self.base.version() {
                Some(version) if frozen => format!("nothing new since version {version} was frozen"),
                _ => format!("nothing new in {} days of activity", days.count()),
            };
            Answer::Clear(format!("{known}; {since}").into())
        })
    }

    /// Whether something that an actor does waits for a decision.
    fn waits(&self, kind: Kind, actor: &str) -> bool {
        self.base.of_actor(kind, actor).any(|(_, known)| known.standing == Standing::Deviation)
    }

    /// A party as people read it.
    fn name_of(&self, key: &str) -> String {
        let present = self.parties.present.get(key).map(|present| spoken(&present.subject));
        present.unwrap_or_else(|| key.split_once(':').map_or(key, |(_, value)| value).to_owned())
    }
}

impl SeenRelation {
    fn join(&mut self, other: &SeenRelation) {
        self.known.add(&other.known);
        let order = |seen: &Seen| (seen.time, seen.place);
        if order(&other.first) < order(&self.first) {
            self.first = other.first;
        }
        if order(&other.last) > order(&self.last) {
            self.last = other.last;
        }
    }
}

/// The answer while too little is known.
pub fn still_learning(days: Days, frozen: bool, learning_days: u32) -> Option<Answer> {
    let missing = learning_days.checked_sub(days.count()).filter(|missing| *missing > 0 && !frozen)?;
    let until =
        days.last().map_or_else(String::new, |last| format!(" until {} at the earliest", date(last.saturating_add(missing))));
    Some(Answer::Untested(format!("learning{until} ({} of {learning_days} days)", days.count()).into()))
}

/// An answer that something was found.
pub fn found(
    check: &'static CheckSpec,
    subject: IdentityKey,
    severity: Severity,
    arguments: Vec<(&'static str, Cow<'static, str>)>,
    evidence: Evidence,
) -> Verdict {
    let found = Found { severity, confidence: Confidence::Seen, arguments, evidence };
    Verdict { check, subject, answer: Answer::Found(found) }
}

fn evidence(seen: &[&SeenRelation], field: &'static str) -> Evidence {
    let mut places: Vec<Seen> = seen.iter().flat_map(|seen| [seen.first, seen.last]).collect();
    places.sort_unstable_by_key(|seen| (seen.time, seen.place));
    places.dedup();
    let mut evidence = Evidence::default();
    places.into_iter().for_each(|place| evidence.add(place, field));
    evidence.count = seen.iter().map(|seen| seen.known.minutes).sum();
    evidence
}

/// The first of some details, and how many more there are.
fn some_of(details: &[&str]) -> String {
    match details {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// A name as people read it in a sentence.
pub fn spoken(name: &IdentityKey) -> String {
    name.value.to_string()
}
