//! Which party of the baseline a name of this run is.
//!
//! A device is the party with which it shares a name that lasts, its founding name first. Without one it is the party that had its address, unless
//! both have a MAC address: then a new lease gave a known address to somebody else. A device that is nobody so far becomes a party under its founding
//! name. Names of nobody's device (addresses outside) stand for themselves.

use super::days::Days;
use super::learned::{Baseline, PARTIES, Rhythm};
use super::relations::End;
use super::silence::Lives;
use crate::hot::owned::{IdentityKey, Seen};
use crate::inventory::{DeviceId, Inventory};
use citytap_sensor::observation::identity::{IP, MAC};
use citytap_sensor::observation::{IdentityKind, Lifetime};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A device of this run.
pub struct Present<'a> {
    /// A name of it, to answer about.
    pub subject: &'a IdentityKey,
    /// All its names, the founding one first.
    pub names: Vec<&'a IdentityKey>,
    /// Whether the founding name lasts, or is an address.
    pub lasting: bool,
    /// Whether it neither answered nor showed itself.
    pub provisional: bool,
    /// Where it first spoke in this run.
    pub first: Option<Seen>,
    /// Where it last spoke in this run.
    pub last: Option<Seen>,
    /// Days on which it spoke in this run.
    pub days: Days,
    /// Signs of life in this run.
    pub signs: u64,
    /// How often it spoke in this run.
    pub rhythm: Rhythm,
    /// Observed time of this run until it first spoke, milliseconds.
    pub before_ms: u64,
    /// Observed time of this run since it last spoke, milliseconds.
    pub unseen_ms: u64,
}

/// The parties of this run.
pub struct Parties<'a> {
    inventory: &'a Inventory,
    by_device: HashMap<DeviceId, Arc<str>, FixedState>,
    /// By key.
    pub present: BTreeMap<Arc<str>, Present<'a>>,
}

impl<'a> Parties<'a> {
    /// Of the devices that the inventory lists.
    pub fn new(inventory: &'a Inventory, base: &Baseline, lives: &Lives) -> Self {
        let index = Index::new(base);
        let mut taken: HashSet<Arc<str>, FixedState> = HashSet::default();
        let mut by_device = HashMap::default();
        let mut present: BTreeMap<Arc<str>, Present<'a>> = BTreeMap::new();
        let mut strangers = Vec::new();
        let mut enter = |key: Arc<str>, device, names: Vec<&'a IdentityKey>, provisional| {
            let Some(&founding) = names.first() else { return };
            by_device.insert(device, key.clone());
            let here = present_of(founding, names, provisional, lives);
            match present.get_mut(&key) {
                Some(known) => known.join(here),
                None => {
                    present.insert(key, here);
                }
            }
        };
        // A flood of made-up devices must not cost memory without bound; those beyond are not judged by what is normal.
        for (device, names, provisional) in inventory.named().take(PARTIES) {
            match index.party(&names) {
                Some(key) => enter(key.into(), device, names, provisional),
                None => strangers.push((device, names, provisional)),
            }
        }
        for (device, names, provisional) in strangers {
            let founding = names.first().map_or_else(String::new, ToString::to_string);
            // The address was somebody else's name: the newcomer is told from them by a number.
            let free = |key: &String| !base.parties.contains_key(key) && !taken.contains(key.as_str());
            let key = std::iter::once(founding.clone()).chain((2..).map(|n| format!("{founding}#{n}"))).find(free);
            let key: Arc<str> = key.unwrap_or(founding).into();
            taken.insert(key.clone());
            enter(key, device, names, provisional);
        }
        Self { inventory, by_device, present }
    }

    /// The device that one end of a row was at a time, and the key of its party: that of the name itself where it is nobody's.
    pub fn of(&self, end: &End, seen: Seen) -> (Arc<str>, Option<&'a IdentityKey>) {
        let fallback = end.fallback();
        let found = [Some(&end.name), fallback.as_ref()].into_iter().flatten().find_map(|name| {
            let device = self.inventory.device_at(name, seen)?;
            self.by_device.get(&device)
        });
        match found {
            Some(key) => (key.clone(), self.present.get(key).map(|present| present.subject)),
            None => (fallback.as_ref().unwrap_or(&end.name).to_string().into(), None),
        }
    }
}

fn present_of<'a>(founding: &'a IdentityKey, names: Vec<&'a IdentityKey>, provisional: bool, lives: &Lives) -> Present<'a> {
    let lived = || names.iter().filter_map(|name| lives.of(name));
    let observed = lives.observed_ms();
    // The name with most signs of life says how often; the others are used now and then.
    let rhythm = lived().map(|life| life.rhythm).max_by_key(|rhythm| rhythm.gaps).unwrap_or_default();
    Present {
        subject: founding,
        lasting: lasts(founding.kind) || *founding.kind == MAC || *founding.kind == IP,
        provisional,
        first: lived().map(|life| life.first).min_by_key(|seen| (seen.time, seen.place)),
        last: lived().map(|life| life.last).max_by_key(|seen| (seen.time, seen.place)),
        days: lived().fold(Days::default(), |days, life| days.union(life.days)),
        signs: lived().map(|life| life.signs).max().unwrap_or_default(),
        rhythm,
        before_ms: lived().map(|life| life.before_ms).min().unwrap_or(observed),
        unseen_ms: observed - lived().map(|life| life.until_ms).max().unwrap_or_default().min(observed),
        names,
    }
}

impl<'a> Present<'a> {
    /// Another device of this run that was the same one before.
    fn join(&mut self, other: Present<'a>) {
        self.names.extend(other.names);
        self.lasting |= other.lasting;
        self.provisional &= other.provisional;
        self.first = self.first.into_iter().chain(other.first).min_by_key(|seen| (seen.time, seen.place));
        self.last = self.last.into_iter().chain(other.last).max_by_key(|seen| (seen.time, seen.place));
        self.days = self.days.union(other.days);
        self.signs = self.signs.max(other.signs);
        self.rhythm = if other.rhythm.gaps > self.rhythm.gaps { other.rhythm } else { self.rhythm };
        self.before_ms = self.before_ms.min(other.before_ms);
        self.unseen_ms = self.unseen_ms.min(other.unseen_ms);
    }
}

/// Whether a kind of name lasts longer than a lease or a session and says which device it is.
fn lasts(kind: &IdentityKind) -> bool {
    kind.lifetime != Lifetime::Session && *kind != MAC
}

/// The parties of a baseline by their names.
struct Index<'b> {
    lasting: HashMap<&'b str, &'b str, FixedState>,
    addresses: HashMap<&'b str, &'b str, FixedState>,
    with_mac: HashSet<&'b str, FixedState>,
}

impl<'b> Index<'b> {
    fn new(base: &'b Baseline) -> Self {
        let mut index = Self { lasting: HashMap::default(), addresses: HashMap::default(), with_mac: HashSet::default() };
        // Of several that had an address, the one seen last has it.
        let mut parties: Vec<_> = base.parties.iter().collect();
        parties.sort_by_key(|(key, party)| (party.known.last_seen, *key));
        for (key, party) in parties {
            for name in &party.names {
                if is_kind(name, &IP) {
                    index.addresses.insert(name, key);
                } else {
                    index.lasting.insert(name, key);
                }
                if is_kind(name, &MAC) {
                    index.with_mac.insert(key);
                }
            }
        }
        index
    }

    fn party(&self, names: &[&IdentityKey]) -> Option<&'b str> {
        let usable = |name: &&&IdentityKey| lasts(name.kind) || *name.kind == MAC;
        let lasting = names.iter().filter(usable).find_map(|name| self.lasting.get(name.to_string().as_str()));
        let has_mac = names.iter().any(|name| *name.kind == MAC);
        let by_address = || {
            let addresses = names.iter().filter(|name| *name.kind == IP);
            addresses
                .filter_map(|name| self.addresses.get(name.to_string().as_str()))
                .find(|key| !has_mac || !self.with_mac.contains(**key))
        };
        lasting.or_else(by_address).copied()
    }
}

/// Whether a name's text is of a kind.
fn is_kind(name: &str, kind: &IdentityKind) -> bool {
    name.strip_prefix(kind.name).is_some_and(|rest| rest.starts_with(':'))
}
