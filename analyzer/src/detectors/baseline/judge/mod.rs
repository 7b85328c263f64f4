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
use super::learned::{Baseline, Kind, Known, RelationKey, Standing, from};
use super::parties::Parties;
use super::relations::{End, Row, RowKey};
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{IdentityKey, Seen};
use crate::policy::{Parameter, Policy};
use citytap_sensor::observation::Confidence;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The answer while a deviation waits that was not seen again: what was found stays found.
pub const WAITS: &str = "what was found before waits for a decision: citytap baseline diff";

/// The key under which addresses outside share what they do: there are too many of them.
pub const OUTSIDE: &str = "outside";

/// A relation as this run saw it.
#[derive(Clone, Copy, Debug)]
pub struct SeenRelation<'a> {
    /// When and how often.
    pub row: Row,
    /// Who does it, as on the wire.
    pub actor: &'a End,
    /// To whom, as on the wire.
    pub target: &'a End,
    /// A name of the actor's device.
    pub actor_device: Option<&'a IdentityKey>,
    /// A name of the target's device.
    pub target_device: Option<&'a IdentityKey>,
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
    pub seen: BTreeMap<RelationKey, SeenRelation<'a>>,
    /// What was learned before, by kind and target.
    before: BTreeMap<(Kind, &'a str), Vec<(&'a RelationKey, &'a Known)>>,
    judged: Judged,
}

impl<'a> Judge<'a> {
    /// Of the rows of a run.
    pub fn new(base: &'a Baseline, policy: &'a Policy, parties: &'a Parties<'a>, rows: &[(RowKey<'a>, &'a Row)]) -> Self {
        let mut before: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, known) in &base.relations {
            before.entry((key.kind, &*key.target)).or_default().push((key, known));
        }
        let mut judge = Self { base, policy, parties, seen: BTreeMap::new(), before, judged: Judged::default() };
        rows.iter().for_each(|(key, row)| judge.enter(key, row));
        judge
    }

    /// Judges.
    pub fn judge(mut self) -> (BTreeMap<RelationKey, SeenRelation<'a>>, Judged) {
        self.pairs();
        self.registers();
        self.publishers();
        self.gateways();
        self.peers();
        (self.seen, self.judged)
    }

    /// Rows of one device under several names become one relation.
    fn enter(&mut self, key: &RowKey<'a>, row: &Row) {
        let (actor, actor_device) = self.parties.of(key.actor, row.last);
        let (target, target_device) = self.parties.of(key.target, row.last);
        let lasting = |party: &Arc<str>| self.parties.present.get(party).is_some_and(|present| present.lasting);
        let actor = match (key.kind, actor_device) {
            (Kind::Hears, _) if !lasting(&target) => return,
            (Kind::Talks, None) if target_device.is_none() => return,
            (Kind::Talks, None) => OUTSIDE.into(),
            _ => actor,
        };
        if actor == target {
            return;
        }
        let seen = SeenRelation { row: *row, actor: key.actor, target: key.target, actor_device, target_device };
        let key = RelationKey { kind: key.kind, actor, target, detail: key.detail.clone() };
        self.seen.entry(key).and_modify(|known| known.join(&seen)).or_insert(seen);
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

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&RelationKey, &SeenRelation<'a>)> {
        let first = RelationKey { kind, actor: "".into(), target: "".into(), detail: "".into() };
        self.seen.range(first..).take_while(move |(key, _)| key.kind == kind)
    }

    /// The day on which this run first saw a pair do one of these.
    fn first_day(&self, kinds: &[Kind], actor: &str, target: &str) -> u32 {
        let of = |&kind: &Kind| from(&self.seen, kind, actor, target).take_while(|(key, _)| *key.target == *target);
        kinds.iter().flat_map(of).map(|(_, seen)| day_of(seen.row.first.time)).min().unwrap_or_default()
    }

    /// The answer where nothing was found.
    fn not_found(&self, days: Days, frozen: bool, learning_days: u32, known: &str) -> Answer {
        still_learning(days, frozen, learning_days).unwrap_or_else(|| {
            let since = match self.base.version() {
                Some(version) if frozen => format!("nothing new since version {version} was frozen"),
                _ => format!("nothing new in {} days of activity", days.count()),
            };
            Answer::Clear(shared(format!("{known}; {since}")))
        })
    }

    /// Whether something that an actor does waits for a decision.
    fn waits(&self, kind: Kind, actor: &str) -> bool {
        self.base.of_actor(kind, actor).any(|(_, known)| known.standing == Standing::Deviation)
    }

    /// A party as people read it.
    fn name_of(&self, key: &str) -> String {
        let present = self.parties.present.get(key).map(|present| spoken(present.subject));
        present.unwrap_or_else(|| key.split_once(':').map_or(key, |(_, value)| value).to_owned())
    }
}

impl SeenRelation<'_> {
    fn join(&mut self, other: &SeenRelation<'_>) {
        let order = |seen: &Seen| (seen.time, seen.place);
        if order(&other.row.first) < order(&self.row.first) {
            self.row.first = other.row.first;
        }
        if order(&other.row.last) > order(&self.row.last) {
            self.row.last = other.row.last;
        }
        self.row.days = self.row.days.union(other.row.days);
        self.row.minutes = self.row.minutes.saturating_add(other.row.minutes);
    }

    /// The day on which it was first seen.
    fn day(&self) -> u32 {
        day_of(self.row.first.time)
    }

    /// Whom it is done to, as people read it: the address rather than a number behind it.
    fn target_name(&self) -> String {
        self.target.address.map_or_else(|| spoken(&self.target.name), |address| address.to_string())
    }
}

/// The answer while too little is known.
pub fn still_learning(days: Days, frozen: bool, learning_days: u32) -> Option<Answer> {
    let missing = learning_days.checked_sub(days.count()).filter(|missing| *missing > 0 && !frozen)?;
    let until =
        days.last().map_or_else(String::new, |last| format!(" until {} at the earliest", date(last.saturating_add(missing))));
    Some(Answer::Untested(shared(format!("learning{until} ({} of {learning_days} days)", days.count()))))
}

/// Texts that many devices share are kept once; beyond so many they are not.
const TEXTS: usize = 4_096;

/// A text that tens of thousands of devices have: how long it is learned, how many are known.
pub fn shared(text: String) -> Cow<'static, str> {
    static SHARED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut texts = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text.as_str()) {
        return Cow::Borrowed(known);
    }
    if texts.len() >= TEXTS {
        return Cow::Owned(text);
    }
    let kept: &'static str = Box::leak(text.into_boxed_str());
    texts.insert(kept);
    Cow::Borrowed(kept)
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

fn evidence(seen: &[&SeenRelation<'_>], field: &'static str) -> Evidence {
    let mut places: Vec<Seen> = seen.iter().flat_map(|seen| [seen.row.first, seen.row.last]).collect();
    places.sort_unstable_by_key(|seen| (seen.time, seen.place));
    places.dedup();
    let mut evidence = Evidence::default();
    places.into_iter().for_each(|place| evidence.add(place, field));
    evidence.count = seen.iter().map(|seen| seen.row.minutes).sum();
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
