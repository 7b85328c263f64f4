//! What is new among relations, and the answers about it.
//!
//! Something is new where it was not there while enough of its scope was known: for who does something to a device, the days on which the
//! device was active before; for which registers are read, the days on which the same client read there; for topics, the days on which
//! somebody else published on it. Before that it is learned. What a frozen version knows needs no days: what came after is new at once.

mod acquaintances;
mod pairs;
mod publishers;
mod registers;
pub mod table;

use super::days::{Days, date, day_of};
use super::learned::{Baseline, Kind, Known, Standing};
use super::parties::Parties;
use super::relations::{End, Row, RowKey, Rows};
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{IdentityKey, Seen};
use crate::policy::{Parameter, Policy};
use citytap_sensor::observation::Confidence;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use table::{Rel, Table};

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
    /// Whether the actor is a device of this run.
    pub by_device: bool,
    /// Whether the target is a device of this run.
    pub to_device: bool,
}

/// What is new, and who is told.
pub struct Judged<'t> {
    /// Takes the answers.
    pub take: &'t mut dyn FnMut(Verdict),
    /// The relations that are new.
    pub new: BTreeSet<Rel>,
}

/// All that a judgement rests on.
pub struct Judge<'a> {
    base: &'a Baseline,
    policy: &'a Policy,
    /// The parties, numbered in the order of their keys.
    pub parties: Parties<'a>,
    /// The relations of this run.
    pub seen: Table<SeenRelation<'a>>,
    /// What was learned before.
    pub before: Table<&'a Known>,
}

impl<'a> Judge<'a> {
    /// Of the rows of a run.
    pub fn new(base: &'a Baseline, policy: &'a Policy, mut parties: Parties<'a>, rows: &'a Rows) -> Self {
        let texts = &mut parties.texts;
        let mut before: Vec<(Rel, &Known)> = Vec::with_capacity(base.relations.len());
        for (key, known) in &base.relations {
            let [actor, target, detail] = [&key.actor, &key.target, &key.detail].map(|text| texts.enter(text.clone()));
            before.push((Rel { kind: key.kind, actor, target, detail }, known));
        }
        let outside = texts.enter(OUTSIDE.into());
        let mut seen = Vec::with_capacity(rows.len());
        for (key, row) in rows.sorted() {
            seen.extend(relation(&mut parties, outside, key, row));
        }
        let new = parties.sort();
        seen.iter_mut().for_each(|(rel, _)| *rel = rel.renumbered(&new));
        before.iter_mut().for_each(|(rel, _)| *rel = rel.renumbered(&new));
        let (seen, before) = (Table::new(seen, SeenRelation::join), Table::new(before, |_, _| ()));
        Self { base, policy, parties, seen, before }
    }

    /// Judges. Answers what is new.
    pub fn judge(&self, take: &mut dyn FnMut(Verdict)) -> BTreeSet<Rel> {
        let mut judged = Judged { take, new: BTreeSet::new() };
        self.pairs(&mut judged);
        self.registers(&mut judged);
        self.publishers(&mut judged);
        self.gateways(&mut judged);
        self.peers(&mut judged);
        judged.new
    }

    fn number(&self, parameter: &Parameter) -> u32 {
        u32::try_from(self.policy.number(parameter)).unwrap_or(u32::MAX)
    }

    /// A key, or a detail.
    fn text(&self, number: u32) -> &str {
        self.parties.texts.text(number)
    }

    /// A name of the device that a party is in this run, to answer about.
    fn subject(&self, party: u32) -> Option<IdentityKey> {
        self.parties.present(party).map(|present| present.subject.clone())
    }

    /// Days on which a party was active, before and in this run.
    fn days_of(&self, party: u32) -> Days {
        let before = self.parties.known(party).map(|party| party.known.days).unwrap_or_default();
        before.union(self.parties.present(party).map(|present| present.days).unwrap_or_default())
    }

    /// Whether a frozen version is in force that knows the party.
    fn is_frozen(&self, party: u32) -> bool {
        self.base.version().is_some() && self.parties.known(party).is_some_and(|party| party.known.frozen.is_some())
    }

    /// What was learned of a pair, of any of the kinds: learned before deviating.
    fn standing(&self, kinds: &[Kind], actor: u32, target: u32) -> Option<Standing> {
        kinds.iter().flat_map(|&kind| self.before.of_pair(kind, actor, target)).map(|(_, known)| known.standing).min()
    }

    /// What was learned of one relation.
    fn standing_of(&self, rel: &Rel) -> Option<Standing> {
        self.before.get(rel).map(|known| known.standing)
    }

    /// The day on which this run first saw a pair do one of these.
    fn first_day(&self, kinds: &[Kind], actor: u32, target: u32) -> u32 {
        let seen = kinds.iter().flat_map(|&kind| self.seen.of_pair(kind, actor, target));
        seen.map(|(_, seen)| seen.day()).min().unwrap_or_default()
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
    fn waits(&self, kind: Kind, actor: u32) -> bool {
        self.before.of_actor(kind, actor).iter().any(|(_, known)| known.standing == Standing::Deviation)
    }

    /// A party as people read it.
    fn name_of(&self, party: u32) -> String {
        let present = self.parties.present(party).map(|present| spoken(present.subject));
        let key = self.text(party);
        present.unwrap_or_else(|| key.split_once(':').map_or(key, |(_, value)| value).to_owned())
    }
}

/// The relation that a row is, under numbers that are not sorted yet; `None` for what is no relation.
fn relation<'a>(parties: &mut Parties<'a>, outside: u32, key: RowKey<'a>, row: &Row) -> Option<(Rel, SeenRelation<'a>)> {
    let (target, to_device) = parties.enter_end(key.target, row.last);
    let actor = parties.device(key.actor, row.last);
    let by_device = actor.is_some();
    let lasting = |party: u32| parties.present(party).is_some_and(|present| present.lasting);
    let actor = match (key.kind, actor) {
        (Kind::Hears, _) if !lasting(target) => return None,
        (Kind::Talks, None) if !to_device => return None,
        (Kind::Talks, None) => outside,
        (_, Some(actor)) => actor,
        (_, None) => parties.enter_end(key.actor, row.last).0,
    };
    let rel = Rel { kind: key.kind, actor, target, detail: parties.texts.enter(key.detail.clone()) };
    (actor != target).then_some((rel, SeenRelation { row: *row, actor: key.actor, target: key.target, by_device, to_device }))
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
