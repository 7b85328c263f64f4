//! What is new among relations, and the answers about it.
//!
//! Something is new where it was not there while enough of its scope was known: for who does something to a device, the days on which the
//! device was active before; for which registers are read, the days on which the same client read there; for topics, the days on which
//! somebody else published on it. Before that it is learned. What a frozen version knows needs no days: what came after is new at once.

use super::checks;
use super::days::{Days, date, day_of};
use super::learned::{Baseline, Kind, Known, RelationKey, Standing};
use super::parties::Parties;
use super::relations::{Block, MANY, Row, RowKey};
use crate::findings::{Answer, Argument, CheckSpec, Evidence, Found, Severity, Verdict};
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

/// A question about who does something to a device.
struct Question {
    check: &'static CheckSpec,
    days: &'static Parameter,
    /// What is done.
    kind: Kind,
    /// Who did one of these is known.
    known_by: &'static [Kind],
    /// Where the same pair is told of this, the question is not asked again.
    unless: Option<Kind>,
    /// Known ones beyond which nobody is new.
    crowd: Option<&'static Parameter>,
    field: &'static str,
    severity: fn(&Judge<'_>, &[&RelationKey]) -> Severity,
}

const QUESTIONS: &[Question] = &[
    Question {
        check: &checks::WRITER,
        days: &checks::WRITER_DAYS,
        kind: Kind::Writes,
        known_by: &[Kind::Writes],
        unless: None,
        crowd: None,
        field: "modbus.write",
        severity: |judge, keys| if judge.polls_already(keys) { Severity::Medium } else { Severity::High },
    },
    Question {
        check: &checks::MASTER,
        days: &checks::MASTER_DAYS,
        kind: Kind::Polls,
        known_by: &[Kind::Polls, Kind::Writes, Kind::Identifies],
        unless: Some(Kind::Writes),
        crowd: None,
        field: "modbus.function_code",
        severity: |_, _| Severity::Medium,
    },
    Question {
        check: &checks::IDENTIFIES,
        days: &checks::IDENTIFIES_DAYS,
        kind: Kind::Identifies,
        known_by: &[Kind::Identifies],
        unless: None,
        crowd: None,
        field: "modbus.function_code",
        severity: |_, _| Severity::Low,
    },
    Question {
        check: &checks::COMMANDER,
        days: &checks::COMMANDER_DAYS,
        kind: Kind::Commands,
        known_by: &[Kind::Commands],
        unless: None,
        crowd: None,
        field: "sparkplug.edge_node",
        severity: |_, _| Severity::High,
    },
    Question {
        check: &checks::MANAGER,
        days: &checks::MANAGER_DAYS,
        kind: Kind::Manages,
        known_by: &[Kind::Manages],
        unless: None,
        crowd: None,
        field: "lwm2m.operation",
        severity: |_, keys| if keys.iter().any(|key| is_drastic(&key.detail)) { Severity::High } else { Severity::Medium },
    },
    Question {
        check: &checks::CHANGES,
        days: &checks::CHANGES_DAYS,
        kind: Kind::Changes,
        known_by: &[Kind::Changes],
        unless: Some(Kind::Manages),
        crowd: Some(&checks::CHANGES_CROWD),
        field: "coap.method",
        severity: |_, _| Severity::Medium,
    },
];

/// Reboot, factory reset, and the object that locks and wipes.
fn is_drastic(detail: &str) -> bool {
    let path = detail.split_once(' ').map_or(detail, |(_, path)| path);
    path.starts_with("/3/0/4") || path.starts_with("/3/0/5") || path == "/8" || path.starts_with("/8/")
}

/// Where a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is known, or the same as known.
    Known,
    /// Too little is known to tell.
    Learning,
    /// It is new.
    New,
}

impl<'a> Judge<'a> {
    /// Of the rows of a run.
    pub fn new(base: &'a Baseline, policy: &'a Policy, parties: &'a Parties<'a>, rows: &[(&RowKey, &Row)]) -> Self {
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
        QUESTIONS.iter().for_each(|question| self.ask(question));
        self.registers();
        self.publishers();
        self.gateways();
        self.peers();
        (self.seen, self.judged)
    }

    /// Rows of one device under several names become one relation.
    fn enter(&mut self, key: &RowKey, row: &Row) {
        let (actor, actor_device) = self.parties.of(&key.actor, row.last);
        let (target, target_device) = self.parties.of(&key.target, row.last);
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
        let detail = key.detail.to_string();
        let known = Known::new(row.first.time, row.last.time, row.days, row.minutes);
        let seen = SeenRelation {
            first: row.first,
            last: row.last,
            known,
            actor: spoken(&key.actor.name),
            target: spoken(key.target.address.as_ref().unwrap_or(&key.target.name)),
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

    /// Whether the client was a known reader of the device.
    fn polls_already(&self, keys: &[&RelationKey]) -> bool {
        keys.first().is_some_and(|key| {
            let learned = self.standing(&[Kind::Polls], &key.actor, &key.target) == Some(Standing::Learned);
            let earlier = self.first_day(&[Kind::Polls], &key.actor, &key.target);
            learned || (earlier > 0 && earlier < self.first_day(&[Kind::Writes], &key.actor, &key.target))
        })
    }

    fn ask(&mut self, question: &Question) {
        let mut pairs: BTreeMap<String, BTreeMap<String, Vec<RelationKey>>> = BTreeMap::new();
        for (key, seen) in self.of_kind(question.kind) {
            if seen.target_device.is_some() {
                pairs.entry(key.target.clone()).or_default().entry(key.actor.clone()).or_default().push(key.clone());
            }
        }
        for (target, actors) in pairs {
            self.ask_of(question, &target, actors);
        }
    }

    fn ask_of(&mut self, question: &Question, target: &str, actors: BTreeMap<String, Vec<RelationKey>>) {
        let learning_days = self.number(question.days);
        let (days, frozen) = (self.days_of(target), self.is_frozen(target));
        let state = |actor: &str| match self.standing(question.known_by, actor, target) {
            Some(Standing::Learned) => State::Known,
            Some(Standing::Deviation) => State::New,
            None if frozen || days.before(self.first_day(question.known_by, actor, target)) >= learning_days => State::New,
            None => State::Learning,
        };
        let states: BTreeMap<&str, State> = actors.keys().map(|actor| (actor.as_str(), state(actor))).collect();
        let mut known: BTreeSet<&str> =
            states.iter().filter(|(_, state)| **state != State::New).map(|(actor, _)| *actor).collect();
        let before = self.before.get(&(question.kind, target)).into_iter().flatten();
        known.extend(before.filter(|(_, known)| known.standing == Standing::Learned).map(|(key, _)| key.actor.as_str()));
        let crowd = question.crowd.is_some_and(|most| known.len() > self.number(most) as usize);
        let before = self.before.get(&(question.kind, target)).into_iter().flatten();
        let waiting = before.into_iter().any(|(_, known)| known.standing == Standing::Deviation) && question.unless.is_none();
        let mut told = Vec::new();
        for (actor, keys) in &actors {
            let again = question.unless.is_some_and(|kind| {
                self.judged.new.iter().any(|key| key.kind == kind && key.actor == *actor && key.target == target)
                    || (kind == Kind::Manages && self.first_day(&[kind], actor, target) > 0)
            });
            if states.get(actor.as_str()) == Some(&State::New) && !crowd {
                told.push((keys, again));
            }
        }
        let subject = actors.values().flatten().find_map(|key| self.seen.get(key)?.target_device.clone());
        let Some(subject) = subject else { return };
        let mut verdicts = Vec::new();
        let mut new = BTreeSet::new();
        for (keys, again) in &told {
            new.extend(keys.iter().cloned());
            if !again {
                verdicts.push(self.found_pair(question, keys, subject.clone()));
            }
        }
        if verdicts.is_empty() {
            let known = match known.len() {
                1 => "1 client is known to do so".to_owned(),
                more => format!("{more} clients are known to do so"),
            };
            let answer = match told.is_empty() {
                false => Answer::Clear("what is new is told under another check".into()),
                true if waiting => Answer::Untested(WAITS.into()),
                true => self.not_found(days, frozen, learning_days, &known),
            };
            verdicts.push(Verdict { check: question.check, subject, answer });
        }
        self.judged.verdicts.extend(verdicts);
        self.judged.new.extend(new);
    }

    fn found_pair(&self, question: &Question, keys: &[RelationKey], subject: IdentityKey) -> Verdict {
        let seen: Vec<&SeenRelation> = keys.iter().filter_map(|key| self.seen.get(key)).collect();
        let client = seen.first().map_or_else(String::new, |seen| seen.actor.clone());
        let details: Vec<&str> = keys.iter().map(|key| key.detail.as_str()).collect();
        let arguments = vec![("_what", some_of(&details).into()), ("client", client.into())];
        let keys: Vec<&RelationKey> = keys.iter().collect();
        found(question.check, subject, (question.severity)(self, &keys), arguments, evidence(&seen, question.field))
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

    /// Registers that a known client did not read before.
    fn registers(&mut self) {
        let mut pairs: BTreeMap<(String, String), Vec<RelationKey>> = BTreeMap::new();
        for (key, _) in self.of_kind(Kind::Polls).filter(|(_, seen)| seen.target_device.is_some()) {
            pairs.entry((key.target.clone(), key.actor.clone())).or_default().push(key.clone());
        }
        for ((target, actor), mut keys) in pairs {
            if keys.iter().any(|key| self.judged.new.contains(key)) {
                continue;
            }
            keys.sort_by_key(|key| self.seen.get(key).map(|seen| (seen.first.time, seen.first.place)));
            self.registers_of(&target, &actor, &keys);
        }
    }

    fn registers_of(&mut self, target: &str, actor: &str, keys: &[RelationKey]) {
        let learning_days = self.number(&checks::MAP_DAYS);
        let before: Vec<_> = self.base.of_pair(Kind::Polls, actor, target).collect();
        let frozen = self.base.version().is_some() && before.iter().any(|(_, known)| known.frozen.is_some());
        let seen = |key: &RelationKey| self.seen.get(key);
        let days = before.iter().map(|(_, known)| known.days).chain(keys.iter().filter_map(|key| Some(seen(key)?.known.days)));
        let days = days.fold(Days::default(), Days::union);
        let many = before.iter().map(|(key, _)| *key).chain(keys).any(|key| key.detail == MANY);
        let learned = before.iter().filter(|(_, known)| known.standing == Standing::Learned);
        let mut blocks: Vec<Block<'_>> = learned.filter_map(|(key, _)| Block::parse(&key.detail)).collect();
        let mut new: Vec<&RelationKey> = Vec::new();
        for key in keys.iter().filter(|_| !many) {
            let (Some(block), Some(seen)) = (Block::parse(&key.detail), seen(key)) else { continue };
            let standing = self.base.relations.get(key).map(|known| known.standing);
            let enough = frozen || days.before(day_of(seen.known.first_seen)) >= learning_days;
            if standing == Some(Standing::Deviation) || (standing.is_none() && enough && !covers(&blocks, block)) {
                new.push(key);
            } else {
                blocks.push(block);
            }
        }
        let Some(first) = keys.first().and_then(seen) else { return };
        let Some(subject) = first.target_device.clone() else { return };
        let verdict = if new.is_empty() {
            let waiting = before.iter().any(|(_, known)| known.standing == Standing::Deviation);
            let answer = match many {
                _ if waiting => Answer::Untested(WAITS.into()),
                true => Answer::Untested("so many different registers are read that none is new".into()),
                false => self.not_found(days, frozen, learning_days, &format!("{} blocks of registers are known", blocks.len())),
            };
            Verdict { check: &checks::MAP, subject, answer }
        } else {
            let details: Vec<&str> = new.iter().map(|key| key.detail.as_str()).collect();
            let arguments = vec![("_what", some_of(&details).into()), ("client", first.actor.clone().into())];
            let seen: Vec<&SeenRelation> = new.iter().filter_map(|key| seen(key)).collect();
            found(&checks::MAP, subject, Severity::Low, arguments, evidence(&seen, "modbus.address"))
        };
        let new: Vec<RelationKey> = new.into_iter().cloned().collect();
        self.judged.verdicts.push(verdict);
        self.judged.new.extend(new);
    }

    /// Publishers on topics that were somebody else's.
    fn publishers(&mut self) {
        let learning_days = self.number(&checks::PUBLISHER_DAYS);
        let crowd = self.number(&checks::PUBLISHER_CROWD) as usize;
        // Who published on a topic: before, and in this run.
        let mut owners: BTreeMap<(&str, &str), BTreeMap<&str, (Known, Standing)>> = BTreeMap::new();
        let before = self.base.relations.iter().filter(|(key, _)| key.kind == Kind::Publishes);
        for (key, known) in before {
            owners.entry((&key.target, &key.detail)).or_default().insert(&key.actor, (known.clone(), known.standing));
        }
        for (key, seen) in self.of_kind(Kind::Publishes) {
            let of_topic = owners.entry((&key.target, &key.detail)).or_default();
            of_topic
                .entry(&key.actor)
                .and_modify(|(known, _)| known.add(&seen.known))
                .or_insert((seen.known.clone(), Standing::Learned));
        }
        let mut verdicts = Vec::new();
        let mut new = BTreeSet::new();
        let mut publishers: BTreeMap<&str, (Vec<(&RelationKey, String)>, usize)> = BTreeMap::new();
        for (key, seen) in self.of_kind(Kind::Publishes).filter(|(_, seen)| seen.actor_device.is_some()) {
            let entry = publishers.entry(&key.actor).or_default();
            entry.1 += 1;
            let standing = self.base.relations.get(key).map(|known| known.standing);
            if standing == Some(Standing::Learned) || key.detail == MANY || key.detail.contains('+') {
                continue;
            }
            let Some(all) = owners.get(&(key.target.as_str(), key.detail.as_str())) else { continue };
            let day = day_of(seen.known.first_seen);
            let owns = |actor: &str, known: &Known, standing: Standing| {
                let frozen = self.base.version().is_some() && known.frozen.is_some();
                actor != key.actor && standing == Standing::Learned && (frozen || known.days.before(day) >= learning_days)
            };
            let of_topic: Vec<&str> =
                all.iter().filter(|(actor, (known, standing))| owns(actor, known, *standing)).map(|(actor, _)| *actor).collect();
            let deviates = standing == Some(Standing::Deviation) || ((1..=crowd).contains(&of_topic.len()));
            if deviates {
                let owner = of_topic.first().map_or_else(|| "somebody else".to_owned(), |owner| self.name_of(owner));
                entry.0.push((key, owner));
                new.insert(key.clone());
            }
        }
        for (actor, (taken, topics)) in publishers {
            let Some(subject) = self.parties.present.get(actor).map(|present| present.subject.clone()) else { continue };
            let verdict = if let Some((_, owner)) = taken.first() {
                let details: Vec<&str> = taken.iter().map(|(key, _)| key.detail.as_str()).collect();
                let arguments = vec![("_owner", owner.clone().into()), ("_what", some_of(&details).into())];
                let seen: Vec<&SeenRelation> = taken.iter().filter_map(|(key, _)| self.seen.get(*key)).collect();
                found(&checks::PUBLISHER, subject, Severity::Medium, arguments, evidence(&seen, "mqtt.topic"))
            } else {
                let (days, frozen) = (self.days_of(actor), self.is_frozen(actor));
                let known = format!("{topics} topics are known as its own");
                let answer = match self.waits(Kind::Publishes, actor) {
                    true => Answer::Untested(WAITS.into()),
                    false => self.not_found(days, frozen, learning_days, &known),
                };
                Verdict { check: &checks::PUBLISHER, subject, answer }
            };
            verdicts.push(verdict);
        }
        self.judged.verdicts.extend(verdicts);
        self.judged.new.extend(new);
    }

    /// Gateways that were not there.
    fn gateways(&mut self) {
        let learning_days = self.number(&checks::GATEWAY_DAYS);
        let mut verdicts = Vec::new();
        let mut new = BTreeSet::new();
        for (key, seen) in self.of_kind(Kind::Reports) {
            let Some(subject) = seen.actor_device.clone() else { continue };
            let standing = self.base.of_actor(Kind::Reports, &key.actor).map(|(_, known)| known.standing).min();
            let before = || self.before.get(&(Kind::Reports, key.target.as_str())).into_iter().flatten();
            let frozen = self.base.version().is_some() && before().any(|(_, known)| known.frozen.is_some());
            let of_run = self.of_kind(Kind::Reports).filter(|(other, _)| other.target == key.target);
            let days = before().map(|(_, known)| known.days).chain(of_run.map(|(_, seen)| seen.known.days));
            let days = days.fold(Days::default(), Days::union);
            let enough = frozen || days.before(day_of(seen.known.first_seen)) >= learning_days;
            let verdict = if standing == Some(Standing::Deviation) || (standing.is_none() && enough) {
                new.insert(key.clone());
                let arguments: Vec<Argument> = vec![("server", seen.target.clone().into())];
                found(&checks::GATEWAY, subject, Severity::Medium, arguments, evidence(&[seen], "gateway_eui"))
            } else {
                let answer = self.not_found(days, frozen, learning_days, "it is a known gateway");
                Verdict { check: &checks::GATEWAY, subject, answer }
            };
            verdicts.push(verdict);
        }
        self.judged.verdicts.extend(verdicts);
        self.judged.new.extend(new);
    }

    /// Devices that spoke to the same few for long and now speak to somebody else.
    fn peers(&mut self) {
        let mut actors: BTreeMap<String, Vec<RelationKey>> = BTreeMap::new();
        for (key, _) in self.of_kind(Kind::Talks).filter(|(_, seen)| seen.actor_device.is_some()) {
            actors.entry(key.actor.clone()).or_default().push(key.clone());
        }
        for (actor, mut keys) in actors {
            keys.sort_by_key(|key| self.seen.get(key).map(|seen| (seen.first.time, seen.first.place)));
            self.peers_of(&actor, &keys);
        }
    }

    fn peers_of(&mut self, actor: &str, keys: &[RelationKey]) {
        let (learning_days, most) = (self.number(&checks::PEER_DAYS), self.number(&checks::PEER_MOST) as usize);
        let (days, frozen) = (self.days_of(actor), self.is_frozen(actor));
        let learned = self.base.of_actor(Kind::Talks, actor).filter(|(_, known)| known.standing == Standing::Learned);
        let mut peers: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut settled = 0;
        for (key, known) in learned {
            peers.insert((&key.target, &key.detail));
            settled = settled.max(day_of(known.first_seen));
        }
        let mut new: Vec<(&RelationKey, &SeenRelation)> = Vec::new();
        for key in keys {
            let Some(seen) = self.seen.get(key) else { continue };
            let standing = self.base.relations.get(key).map(|known| known.standing);
            let day = day_of(seen.known.first_seen);
            let usual = peers.len() <= most && !peers.is_empty();
            // Days that the device was active since it last made a new acquaintance.
            let quiet = days.before(day).saturating_sub(days.before(settled));
            let enough = frozen || (usual && quiet >= learning_days);
            if standing == Some(Standing::Deviation) || (standing.is_none() && enough) {
                new.push((key, seen));
            } else {
                if standing.is_none() {
                    settled = settled.max(day);
                }
                peers.insert((&key.target, &key.detail));
            }
        }
        let Some(subject) = self.parties.present.get(actor).map(|present| present.subject.clone()) else { return };
        let mut verdicts = Vec::new();
        for (key, seen) in &new {
            let arguments = vec![("peer", seen.target.clone().into()), ("protocol", key.detail.clone().into())];
            verdicts.push(found(&checks::PEER, subject.clone(), Severity::Low, arguments, evidence(&[seen], "flow.server_ip")));
        }
        if verdicts.is_empty() {
            let known = format!("{} peers are known", peers.len());
            let answer = match peers.len() > most {
                _ if self.waits(Kind::Talks, actor) => Answer::Untested(WAITS.into()),
                true => Answer::Untested("it speaks to so many that none is new".into()),
                false => self.not_found(days, frozen, learning_days, &known),
            };
            verdicts.push(Verdict { check: &checks::PEER, subject, answer });
        }
        let new: Vec<RelationKey> = new.into_iter().map(|(key, _)| key.clone()).collect();
        self.judged.verdicts.extend(verdicts);
        self.judged.new.extend(new);
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
    Some(Answer::Untested(format!("learning{until}: active on {} of {learning_days} days", days.count()).into()))
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

/// Whether a block lies within what others cover together.
fn covers(blocks: &[Block<'_>], wanted: Block<'_>) -> bool {
    let mut of_table: Vec<(u64, u64)> =
        blocks.iter().filter(|block| block.table == wanted.table).map(|block| (block.first, block.last)).collect();
    of_table.sort_unstable();
    let mut next = wanted.first;
    for (first, last) in of_table {
        if first > next {
            break;
        }
        next = next.max(last + 1);
    }
    next > wanted.last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_covered_by_blocks_that_touch() {
        let block = |first, last| Block { table: "holding", first, last };
        let known = [block(10, 19), block(0, 9), block(30, 39)];
        assert!(covers(&known, block(5, 15)));
        assert!(covers(&known, block(0, 19)));
        assert!(!covers(&known, block(15, 30)));
        assert!(!covers(&known, block(40, 40)));
        assert!(!covers(&known, Block { table: "coils", first: 0, last: 3 }));
    }

    #[test]
    fn a_reset_is_drastic_and_a_write_of_a_name_is_not() {
        assert!(is_drastic("execute /3/0/5") && is_drastic("execute /8/0/1"));
        assert!(!is_drastic("write /3/0/14") && !is_drastic("write /80/0/1"));
    }
}
