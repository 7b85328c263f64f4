//! What is normal at a site, as it is kept, shown, frozen and exported.
//!
//! - A *party* is a device by its names, or a name of nobody's device: an address outside. It keeps one key for good, the name by which it was
//!   first known. A later run's device is the party that shares a name with it which lasts (a MAC address, a client identifier, an EUI, a
//!   unit), or else its address: so a new lease makes no stranger of a known device.
//! - A *relation* is what one party does with another: kind, actor, target, detail.
//! - A *register* is what values a register of a device takes.
//!
//! Each has a *standing*: learned, or a deviation that waits for a person. Deviations are told again as long as they go on and nobody took
//! them in. A *frozen* version is a number: what was learned before it carries it.

use super::days::Days;
use super::numbered::Texts;
use super::values::Register;
use crate::inventory::when;
use citytap_sensor::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Version of the exported form; raised when a field changes its meaning.
pub const BASELINE_VERSION: u32 = 1;

/// Parties kept, and so devices: the size of city that one appliance is for.
pub const PARTIES: usize = 1 << 18;

/// Relations kept of a site: a city of 60,000 devices has some four of each.
pub const RELATIONS: usize = 1 << 19;

/// Names kept of a party: a client identifier made up for each connection must not grow it for ever.
pub const NAMES: usize = 32;

/// What one party does with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Changes a resource of a server (CoAP PUT, POST, DELETE and the like), unprotected. Detail: method and path.
    Changes,
    /// Sends commands to an edge node (Sparkplug NCMD, DCMD). Detail: node or device.
    Commands,
    /// A radio gateway hears a device.
    Hears,
    /// Asks a device what it is (Modbus functions 17 and 43/14).
    Identifies,
    /// Commands a managed device (LwM2M execute, write, create, delete). Detail: operation and path.
    Manages,
    /// Reads registers (Modbus). Detail: which.
    Polls,
    /// Publishes on a topic of a broker (MQTT). Detail: the topic, or the shape of it where a publisher has many.
    Publishes,
    /// Reads a resource of a server (CoAP GET and the like). Detail: the path.
    Reads,
    /// A radio gateway reports to a network server. Detail: the protocol.
    Reports,
    /// Subscribes at a broker (MQTT). Detail: the filter.
    Subscribes,
    /// Exchanges packets both ways. Detail: the protocol, or transport and port.
    Talks,
    /// Writes registers, coils or files (Modbus). Detail: which.
    Writes,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 12] = [
        Kind::Changes,
        Kind::Commands,
        Kind::Hears,
        Kind::Identifies,
        Kind::Manages,
        Kind::Polls,
        Kind::Publishes,
        Kind::Reads,
        Kind::Reports,
        Kind::Subscribes,
        Kind::Talks,
        Kind::Writes,
    ];

    /// Its name: what the actor does.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Changes => "changes",
            Kind::Commands => "commands",
            Kind::Hears => "hears",
            Kind::Identifies => "identifies",
            Kind::Manages => "manages",
            Kind::Polls => "polls",
            Kind::Publishes => "publishes",
            Kind::Reads => "reads",
            Kind::Reports => "reports",
            Kind::Subscribes => "subscribes",
            Kind::Talks => "talks",
            Kind::Writes => "writes",
        }
    }
}

/// Whether something is normal here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is.
    #[default]
    Learned,
    /// It came when enough was known to call it new, and nobody has taken it in.
    Deviation,
}

/// A person's decision that something is normal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// When, by the clock of the machine on which it was decided.
    #[serde(with = "when")]
    pub at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What stands of anything that can be normal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// When it was first seen.
    #[serde(with = "when")]
    pub first_seen: Timestamp,
    /// When it was last seen.
    #[serde(with = "when")]
    pub last_seen: Timestamp,
    /// On which days.
    pub days: Days,
    /// How often it was told: the same is told at most once a minute, so this is the number of minutes in which it went on.
    pub minutes: u64,
    /// Whether it is normal.
    #[serde(default)]
    pub standing: Standing,
    /// The first frozen version that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<u32>,
    /// The decision that took it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Box<Accepted>>,
}

impl Known {
    /// What was seen over a time, learned.
    pub fn new(first_seen: Timestamp, last_seen: Timestamp, days: Days, minutes: u64) -> Self {
        Self { first_seen, last_seen, days, minutes, standing: Standing::Learned, frozen: None, accepted: None }
    }

    /// Adds what was seen of it elsewhere. The standing stays.
    pub fn add(&mut self, other: &Known) {
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.days = self.days.union(other.days);
        self.minutes = self.minutes.saturating_add(other.minutes);
    }

    /// Whether a person said that it is normal.
    fn is_decided(&self) -> bool {
        self.standing == Standing::Learned && (self.accepted.is_some() || self.frozen.is_some())
    }

    /// As it would be if nothing had been seen of it, and nobody had decided.
    fn undone(&self) -> Self {
        Self { standing: Standing::Deviation, ..Self::new(self.first_seen, self.last_seen, Days::default(), 0) }
    }

    /// Takes over a decision. Answers whether it says anything new.
    fn decide(&mut self, decided: &Known) -> bool {
        let (frozen, accepted) = (self.frozen.or(decided.frozen), decided.accepted.clone().or(self.accepted.take()));
        let after = Self { standing: decided.standing, frozen, accepted, ..self.clone() };
        let before = std::mem::replace(self, after);
        (before.standing, before.frozen) != (self.standing, self.frozen)
    }

    fn accept(&mut self, decision: &Accepted, version: Option<u32>) {
        self.standing = Standing::Learned;
        self.accepted = Some(Box::new(decision.clone()));
        self.frozen = self.frozen.or(version);
    }
}

/// Which relation. The texts are shared: what a party does many times names it once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationKey {
    /// What is done.
    pub kind: Kind,
    /// The key of the party that does it.
    #[serde(with = "shared")]
    pub actor: Arc<str>,
    /// The key of the party that it is done to.
    #[serde(with = "shared")]
    pub target: Arc<str>,
    /// What exactly; empty where the kind says all.
    #[serde(with = "shared")]
    pub detail: Arc<str>,
}

/// Shared texts in JSON.
mod shared {
    use super::{Arc, Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}

/// Lists of shared texts in JSON.
mod shared_list {
    use super::{Arc, Deserialize, Deserializer, Names, Serializer};

    pub(super) fn serialize<S: Serializer>(names: &Names, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(names.0.iter().map(|name| &**name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        Ok(Vec::<String>::deserialize(deserializer)?.into_iter().map(Arc::from).collect())
    }
}

/// Objects in JSON whose keys are shared texts.
mod shared_keys {
    use super::{Arc, BTreeMap, Deserialize, Deserializer, Party, Serializer};

    pub(super) fn serialize<S: Serializer>(map: &BTreeMap<Arc<str>, Party>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(key, party)| (&**key, party)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Arc<str>, Party>, D::Error> {
        let map = BTreeMap::<String, Party>::deserialize(deserializer)?;
        Ok(map.into_iter().map(|(key, party)| (key.into(), party)).collect())
    }
}

/// Names, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Box<[Arc<str>]>);

impl Names {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// Takes in more, up to [`NAMES`]; what is there already stands for the same text. Answers how many found no room.
    pub fn add(&mut self, names: impl Iterator<Item = Arc<str>>) -> u64 {
        let (mut all, mut shed) = (std::mem::take(&mut self.0).into_vec(), 0);
        for name in names {
            match all.binary_search(&name) {
                Ok(_) => {}
                Err(at) if all.len() < NAMES => all.insert(at, name),
                Err(_) => shed += 1,
            }
        }
        self.0 = all.into();
        shed
    }
}

impl FromIterator<Arc<str>> for Names {
    fn from_iter<I: IntoIterator<Item = Arc<str>>>(names: I) -> Self {
        let mut names: Vec<Arc<str>> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }
}

impl RelationKey {
    fn is_of_pair(&self, other: &RelationKey) -> bool {
        self.actor == other.actor && self.target == other.target
    }

    /// Its id: a hash of 12 hex digits.
    pub fn id(&self) -> String {
        id(&["relation", self.kind.name(), &self.actor, &self.target, &self.detail])
    }
}

/// How often a device speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rhythm {
    /// Usual time between two times that it spoke, milliseconds: an exponentially weighted mean.
    pub period_ms: u64,
    /// Times between that went into it.
    pub gaps: u64,
    /// The longest of them, milliseconds.
    pub longest_ms: u64,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its names, as `kind:value@server`.
    #[serde(with = "shared_list")]
    pub names: Names,
    /// When and whether it is normal that it is here.
    #[serde(flatten)]
    pub known: Known,
    /// How often it speaks.
    #[serde(default)]
    pub rhythm: Rhythm,
    /// Time that the site was observed since it last spoke, milliseconds: time between captures does not count.
    #[serde(default)]
    pub unseen_ms: u64,
    /// Whether its names last longer than a session.
    pub lasting: bool,
}

impl Party {
    /// The id of the party with a key.
    pub fn id(key: &str) -> String {
        id(&["party", key])
    }
}

/// A frozen version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Its number, from 1.
    pub version: u32,
    /// When it was frozen, by the clock of the machine on which it was.
    #[serde(with = "when")]
    pub at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// All that is normal at a site, and what waits for a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// See [`BASELINE_VERSION`].
    #[serde(default)]
    pub baseline_version: u32,
    /// Days on which anything was observed.
    #[serde(default)]
    pub days: Days,
    /// The frozen versions, the one in force last.
    #[serde(default)]
    pub frozen: Vec<Frozen>,
    /// How often a person decided: froze, took in, forgot. A run that goes on sees by it that there is a decision to take over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub decisions: u64,
    /// Devices, by key.
    #[serde(default, with = "shared_keys")]
    pub parties: BTreeMap<Arc<str>, Party>,
    /// Relations.
    #[serde(default, serialize_with = "as_list", deserialize_with = "from_list")]
    pub relations: BTreeMap<RelationKey, Known>,
    /// Registers.
    #[serde(default, serialize_with = "as_list", deserialize_with = "from_list")]
    pub registers: BTreeMap<RegisterKey, Register>,
    /// What found no room.
    #[serde(default)]
    pub shed: u64,
}

/// Which register.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegisterKey {
    /// The key of the party that has it.
    pub party: String,
    /// The address of the server through which it was read.
    pub server: String,
    /// The unit at that address.
    pub unit: u8,
    /// `holding` or `input`.
    pub table: String,
    /// Its address.
    pub address: u16,
}

impl RegisterKey {
    /// Its id.
    pub fn id(&self) -> String {
        id(&["register", &self.party, &self.server, &self.unit.to_string(), &self.table, &self.address.to_string()])
    }
}

fn id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Something that can be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deviation<'b> {
    /// A device.
    Party(&'b str, &'b Party),
    /// What one does with another.
    Relation(&'b RelationKey, &'b Known),
    /// A value outside what a register took so far.
    Register(&'b RegisterKey, &'b Register),
}

impl Deviation<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        match self {
            Deviation::Party(key, _) => Party::id(key),
            Deviation::Relation(key, _) => key.id(),
            Deviation::Register(key, _) => key.id(),
        }
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Deviation::Party(..) => "device",
            Deviation::Relation(key, _) => key.kind.name(),
            Deviation::Register(..) => "value",
        }
    }
}

impl Baseline {
    /// The frozen version in force.
    pub fn version(&self) -> Option<u32> {
        self.frozen.last().map(|frozen| frozen.version)
    }

    /// What waits for a decision: devices, then relations, then values.
    pub fn deviations(&self) -> impl Iterator<Item = Deviation<'_>> {
        let waits = |known: &Known| known.standing == Standing::Deviation;
        let parties = self.parties.iter().filter(move |(_, party)| waits(&party.known));
        let relations = self.relations.iter().filter(move |(_, known)| waits(known));
        let registers = self.registers.iter().filter(|(_, register)| register.outside.is_some());
        let parties = parties.map(|(key, party)| Deviation::Party(key, party));
        let relations = relations.map(|(key, known)| Deviation::Relation(key, known));
        parties.chain(relations).chain(registers.map(|(key, register)| Deviation::Register(key, register)))
    }

    /// Makes what is learned now the reference: from here on, what is not in it deviates at once. Answers the version's number.
    pub fn freeze(&mut self, at: Timestamp, reason: &str) -> u32 {
        self.decisions += 1;
        let version = self.version().unwrap_or(0) + 1;
        self.frozen.push(Frozen { version, at, reason: reason.into() });
        let parties = self.parties.values_mut().map(|party| &mut party.known);
        for known in parties.chain(self.relations.values_mut()).filter(|known| known.standing == Standing::Learned) {
            known.frozen = known.frozen.or(Some(version));
        }
        self.registers.values_mut().for_each(|register| register.frozen = register.frozen.or(Some(version)));
        version
    }

    /// Takes in the deviation with an id, and of a relation all that the two do with each other; answers whether there is one.
    pub fn accept(&mut self, id: &str, decision: &Accepted) -> bool {
        self.decisions += 1;
        let version = self.version();
        let waits = |known: &Known| known.standing == Standing::Deviation;
        let party = self.parties.iter_mut().find(|(key, party)| waits(&party.known) && Party::id(key) == id);
        if let Some((_, party)) = party {
            party.known.accept(decision, version);
            return true;
        }
        let relation = self.relations.iter().find(|(key, known)| waits(known) && key.id() == id).map(|(key, _)| key.clone());
        if let Some(relation) = relation {
            let of_pair = self.relations.iter_mut().filter(|(key, known)| waits(known) && key.is_of_pair(&relation));
            of_pair.for_each(|(_, known)| known.accept(decision, version));
            return true;
        }
        let register = self.registers.iter_mut().find(|(key, register)| register.outside.is_some() && key.id() == id);
        register.is_some_and(|(_, register)| {
            register.accept(decision);
            true
        })
    }

    /// Forgets the deviation with an id, of a relation all deviations of the two, and of a device all that it does: it was dealt with, and is told
    /// anew when it comes again.
    /// Answers whether there is one.
    pub fn dismiss(&mut self, id: &str) -> bool {
        self.decisions += 1;
        let found = self.deviations().find(|deviation| deviation.id() == id).map(|deviation| match deviation {
            Deviation::Party(key, _) => (Some(key.to_owned()), None, None),
            Deviation::Relation(key, _) => (None, Some(key.clone()), None),
            Deviation::Register(key, _) => (None, None, Some(key.clone())),
        });
        match found {
            Some((Some(party), ..)) => {
                self.parties.remove(party.as_str());
                self.relations.retain(|key, _| *key.actor != *party && *key.target != *party);
                self.registers.retain(|key, _| key.party != party);
            }
            Some((_, Some(relation), _)) => {
                self.relations.retain(|key, known| known.standing == Standing::Learned || !key.is_of_pair(&relation));
            }
            Some((_, _, Some(register))) => {
                if let Some(register) = self.registers.get_mut(&register) {
                    register.outside = None;
                }
            }
            Some(_) | None => return false,
        }
        true
    }

    /// Its parts, by party.
    pub fn members(&self) -> Members<'_> {
        let mut relations: Vec<_> = self.relations.iter().collect();
        relations.sort_by(|a, b| a.0.actor.cmp(&b.0.actor));
        Members { baseline: self, relations }
    }

    /// The keys of the parties that are or do something else in another baseline.
    pub fn differing(&self, other: &Baseline) -> BTreeSet<Arc<str>> {
        let mut keys = BTreeSet::new();
        differing(&self.parties, &other.parties, |key| {
            keys.insert(key.clone());
        });
        differing(&self.relations, &other.relations, |key| {
            keys.insert(key.actor.clone());
        });
        differing(&self.registers, &other.registers, |key| {
            keys.insert(key.party.as_str().into());
        });
        keys
    }

    /// Takes no more room than it needs: what is entered in its order leaves trees half empty.
    pub fn pack(&mut self) {
        self.parties = std::mem::take(&mut self.parties).into_iter().collect();
        self.relations = std::mem::take(&mut self.relations).into_iter().collect();
        self.registers = std::mem::take(&mut self.registers).into_iter().collect();
    }

    /// All but the members.
    pub fn without_members(&self) -> Self {
        let Self { baseline_version, days, frozen, decisions, shed, .. } = self;
        let (baseline_version, days, frozen) = (*baseline_version, *days, frozen.clone());
        Self { baseline_version, days, frozen, decisions: *decisions, shed: *shed, ..Self::default() }
    }

    /// Takes over what people decided in another version of this baseline, which has what a run added meanwhile: what they took in and what they
    /// froze. That they forgot something is nothing that could be taken over: the run has seen it. Answers the keys of the parties concerned.
    pub fn take_decisions(&mut self, decided: &Baseline) -> BTreeSet<Arc<str>> {
        let mut keys = BTreeSet::new();
        for (key, party) in decided.parties.iter().filter(|(_, party)| party.known.is_decided()) {
            let fresh = || Party {
                names: party.names.clone(),
                known: party.known.undone(),
                rhythm: Rhythm::default(),
                unseen_ms: 0,
                lasting: party.lasting,
            };
            if self.parties.entry(key.clone()).or_insert_with(fresh).known.decide(&party.known) {
                keys.insert(key.clone());
            }
        }
        // Who was taken in is not told of for what was learned of it before.
        let of_one: BTreeSet<Arc<str>> = keys.clone();
        let concerns = |key: &RelationKey, known: &Known| {
            let learned = known.standing == Standing::Learned;
            known.is_decided() || (learned && (of_one.contains(&key.actor) || of_one.contains(&key.target)))
        };
        for (key, known) in decided.relations.iter().filter(|(key, known)| concerns(key, known)) {
            if self.relations.entry(key.clone()).or_insert_with(|| known.undone()).decide(known) {
                keys.insert(key.actor.clone());
            }
        }
        for (key, register) in decided.registers.iter().filter(|(_, register)| register.accepted.is_some()) {
            let before = self.registers.insert(key.clone(), register.clone());
            if before.is_none_or(|before| before.accepted != register.accepted) {
                keys.insert(key.party.as_str().into());
            }
        }
        (self.frozen, self.decisions) = (decided.frozen.clone(), decided.decisions);
        keys
    }

    /// Puts a member back. Texts that several members name are kept once: `texts` has them.
    pub fn put(&mut self, member: Member, texts: &mut Texts) {
        let mut share = |text: Arc<str>| {
            let number = texts.enter(text.clone());
            texts.get(number).cloned().unwrap_or(text)
        };
        if let Some(mut party) = member.party {
            party.names.0.iter_mut().for_each(|name| *name = share(name.clone()));
            self.parties.insert(share(member.key.into()), party);
        }
        for (RelationKey { kind, actor, target, detail }, known) in member.relations {
            let key = RelationKey { kind, actor: share(actor), target: share(target), detail: share(detail) };
            self.relations.insert(key, known);
        }
        self.registers.extend(member.registers);
    }
}

/// Shows the keys at which two maps differ, in their order.
fn differing<K: Ord, V: PartialEq>(a: &BTreeMap<K, V>, b: &BTreeMap<K, V>, mut show: impl FnMut(&K)) {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let order = match (a.peek(), b.peek()) {
            (Some((one, _)), Some((other, _))) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let one = if order.is_le() { a.next() } else { None };
        let other = if order.is_ge() { b.next() } else { None };
        if let (true, Some((key, _))) = (one != other, one.or(other)) {
            show(key);
        }
    }
}

/// The parts of a baseline, by party.
pub struct Members<'b> {
    baseline: &'b Baseline,
    /// By actor, then as in the baseline.
    relations: Vec<(&'b RelationKey, &'b Known)>,
}

impl Members<'_> {
    /// What a part of the site is: the party with a key, what it does, its registers. One value of a store. `None`: nothing is known of it.
    pub fn get(&self, key: &str) -> Option<Member> {
        let first = self.relations.partition_point(|(relation, _)| *relation.actor < *key);
        let relations = self.relations.iter().skip(first).take_while(|(relation, _)| *relation.actor == *key);
        let from = RegisterKey { party: key.into(), server: String::new(), unit: 0, table: String::new(), address: 0 };
        let registers = self.baseline.registers.range(from..).take_while(|(register, _)| register.party == key);
        let member = Member {
            key: key.into(),
            party: self.baseline.parties.get(key).cloned(),
            relations: relations.map(|&(key, known)| (key.clone(), known.clone())).collect(),
            registers: registers.map(|(key, register)| (key.clone(), register.clone())).collect(),
        };
        let empty = member.party.is_none() && member.relations.is_empty() && member.registers.is_empty();
        (!empty).then_some(member)
    }
}

/// A party with what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its key.
    pub key: String,
    /// What it is, where it is a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Party>,
    /// What it does.
    #[serde(default, serialize_with = "as_list", deserialize_with = "from_list")]
    pub relations: BTreeMap<RelationKey, Known>,
    /// What its registers hold.
    #[serde(default, serialize_with = "as_list", deserialize_with = "from_list")]
    pub registers: BTreeMap<RegisterKey, Register>,
}

/// An entry with its key.
#[derive(Serialize, Deserialize)]
struct Item<K, V> {
    #[serde(flatten)]
    key: K,
    #[serde(flatten)]
    value: V,
}

/// JSON has no keys but texts, so what has another is a list.
fn as_list<S: Serializer, K: Serialize, V: Serialize>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(map.iter().map(|(key, value)| Item { key, value }))
}

fn from_list<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    let items = Vec::<Item<K, V>>::deserialize(deserializer)?;
    Ok(items.into_iter().map(|item| (item.key, item.value)).collect())
}
