//! Which party of the baseline a name of this run is.
//!
//! A device is the party with which it shares a name that lasts, its founding name first. Without one it is the party that had its address, unless
//! both have a MAC address: then a new lease gave a known address to somebody else. A device that is nobody so far becomes a party under its founding
//! name. Names of nobody's device (addresses outside) stand for themselves.
//!
//! Parties go by the numbers of their keys. While names are still entered, numbers stand in no order; [`Parties::sort`] gives the lasting ones.

use super::days::Days;
use super::learned::{Baseline, PARTIES, Party, Rhythm};
use super::numbered::Texts;
use super::relations::End;
use super::silence::Lives;
use crate::hot::owned::{IdentityKey, Seen};
use crate::inventory::{DeviceId, Inventory};
use citytap_sensor::observation::identity::{IP, MAC};
use citytap_sensor::observation::{IdentityKind, Lifetime};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
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
    /// The keys, and the details of relations.
    pub texts: Texts,
    by_device: HashMap<DeviceId, u32, FixedState>,
    /// By number of the key.
    present: Vec<(u32, Present<'a>)>,
    /// Where each number stands among those.
    places: Vec<u32>,
    /// What was known before, by number of the key.
    known: Vec<Option<&'a Party>>,
    beyond: u64,
}

/// No place.
const NOWHERE: u32 = u32::MAX;

impl<'a> Parties<'a> {
    /// Of the devices that the inventory lists.
    pub fn new(inventory: &'a Inventory, base: &'a Baseline, lives: &Lives) -> Self {
        Self::up_to(PARTIES, inventory, base, lives)
    }

    /// A flood of made-up devices must not cost memory without bound; those beyond are not judged by what is normal, and counted. Whom the baseline
    /// knows comes before strangers, and who answered or showed itself before who did not.
    fn up_to(most: usize, inventory: &'a Inventory, base: &'a Baseline, lives: &Lives) -> Self {
        let mut texts = Texts::default();
        let known = base.parties.iter().map(|(key, party)| {
            texts.enter(key.clone());
            Some(party)
        });
        let known = known.collect();
        let (by_device, present, places) = (HashMap::default(), Vec::new(), Vec::new());
        let mut parties = Self { inventory, texts, by_device, present, places, known, beyond: 0 };
        let mut strangers: [Vec<_>; 2] = Default::default();
        let (index, mut room) = (Index::new(base), most);
        for (device, names, provisional) in inventory.named() {
            match index.party(&names) {
                Some(_) if room == 0 => parties.beyond += 1,
                Some(key) => {
                    room -= 1;
                    parties.enter(key.clone(), device, names, provisional, lives);
                }
                None => match strangers.get_mut(usize::from(provisional)) {
                    Some(strangers) if strangers.len() < most => strangers.push((device, names, provisional)),
                    _ => parties.beyond += 1,
                },
            }
        }
        let mut taken: HashSet<Arc<str>, FixedState> = HashSet::default();
        for (device, names, provisional) in strangers.into_iter().flatten() {
            if room == 0 {
                parties.beyond += 1;
                continue;
            }
            room -= 1;
            let founding = names.first().map_or_else(String::new, ToString::to_string);
            // The address was somebody else's name: the newcomer is told from them by a number.
            let free = |key: &String| !base.parties.contains_key(key.as_str()) && !taken.contains(key.as_str());
            let key = std::iter::once(founding.clone()).chain((2..).map(|n| format!("{founding}#{n}"))).find(free);
            let key: Arc<str> = key.unwrap_or(founding).into();
            taken.insert(key.clone());
            parties.enter(key, device, names, provisional, lives);
        }
        parties
    }

    fn enter(&mut self, key: Arc<str>, device: DeviceId, names: Vec<&'a IdentityKey>, provisional: bool, lives: &Lives) {
        let Some(&founding) = names.first() else { return };
        let number = self.texts.enter(key);
        self.by_device.insert(device, number);
        let here = present_of(founding, names, provisional, lives);
        let place = self.place(number);
        match self.present.get_mut(place as usize) {
            Some((_, known)) => known.join(here),
            None => {
                let at = number as usize;
                if self.places.len() <= at {
                    self.places.resize(at + 1, NOWHERE);
                }
                if let Some(place) = self.places.get_mut(at) {
                    *place = u32::try_from(self.present.len()).unwrap_or(NOWHERE);
                }
                self.present.push((number, here));
            }
        }
    }

    fn place(&self, number: u32) -> u32 {
        self.places.get(number as usize).copied().unwrap_or(NOWHERE)
    }

    /// Numbers keys and details in their order. Answers the new number of each old one.
    pub fn sort(&mut self) -> Vec<u32> {
        let new = self.texts.sort();
        let number = |old: u32| new.get(old as usize).copied().unwrap_or(old);
        self.by_device.values_mut().for_each(|party| *party = number(*party));
        self.present.iter_mut().for_each(|(party, _)| *party = number(*party));
        self.present.sort_unstable_by_key(|(party, _)| *party);
        self.places = vec![NOWHERE; new.len()];
        for ((party, _), at) in self.present.iter().zip(0..) {
            if let Some(place) = self.places.get_mut(*party as usize) {
                *place = at;
            }
        }
        let mut known = vec![None; new.len()];
        for (party, old) in std::mem::take(&mut self.known).into_iter().zip(0..) {
            if let Some(place) = known.get_mut(number(old) as usize) {
                *place = party;
            }
        }
        self.known = known;
        new
    }

    /// The device that one end of a row was at a time, by the number of its party; `None` where the name is nobody's.
    pub fn device(&self, end: &End, seen: Seen) -> Option<u32> {
        let fallback = end.fallback();
        [Some(&end.name), fallback.as_ref()].into_iter().flatten().find_map(|name| {
            let device = self.inventory.device_at(name, seen)?;
            self.by_device.get(&device).copied()
        })
    }

    /// The number of the party that one end of a row was: where it is nobody's device, that of the name itself.
    pub fn enter_end(&mut self, end: &End, seen: Seen) -> (u32, bool) {
        match self.device(end, seen) {
            Some(party) => (party, true),
            None => (self.texts.enter(end.fallback().as_ref().unwrap_or(&end.name).to_string().into()), false),
        }
    }

    /// The device of this run that a party is.
    pub fn present(&self, party: u32) -> Option<&Present<'a>> {
        self.present.get(self.place(party) as usize).map(|(_, present)| present)
    }

    /// The devices of this run, by the numbers of their parties.
    pub fn all(&self) -> &[(u32, Present<'a>)] {
        &self.present
    }

    /// What was known of a party before.
    pub fn known(&self, party: u32) -> Option<&'a Party> {
        self.known.get(party as usize).copied().flatten()
    }

    /// Devices that are not judged by what is normal because there were too many.
    pub fn beyond(&self) -> u64 {
        self.beyond
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
    lasting: HashMap<&'b str, &'b Arc<str>, FixedState>,
    addresses: HashMap<&'b str, &'b Arc<str>, FixedState>,
    with_mac: HashSet<&'b str, FixedState>,
}

impl<'b> Index<'b> {
    fn new(base: &'b Baseline) -> Self {
        let mut index = Self { lasting: HashMap::default(), addresses: HashMap::default(), with_mac: HashSet::default() };
        // Of several that had an address, the one seen last has it.
        let mut parties: Vec<_> = base.parties.iter().collect();
        parties.sort_by_key(|(key, party)| (party.known.last_seen, *key));
        for (key, party) in parties {
            for name in party.names.iter() {
                if is_kind(name, &IP) {
                    index.addresses.insert(name, key);
                } else {
                    index.lasting.insert(name, key);
                }
                if is_kind(name, &MAC) {
                    index.with_mac.insert(&**key);
                }
            }
        }
        index
    }

    fn party(&self, names: &[&IdentityKey]) -> Option<&'b Arc<str>> {
        if self.lasting.is_empty() && self.addresses.is_empty() {
            return None;
        }
        let usable = |name: &&&IdentityKey| lasts(name.kind) || *name.kind == MAC;
        let lasting = names.iter().filter(usable).find_map(|name| self.lasting.get(name.to_string().as_str()));
        let has_mac = names.iter().any(|name| *name.kind == MAC);
        let by_address = || {
            let addresses = names.iter().filter(|name| *name.kind == IP);
            addresses
                .filter_map(|name| self.addresses.get(name.to_string().as_str()))
                .find(|key| !has_mac || !self.with_mac.contains::<str>(key))
        };
        lasting.or_else(by_address).copied()
    }
}

/// Whether a name's text is of a kind.
fn is_kind(name: &str, kind: &IdentityKind) -> bool {
    name.strip_prefix(kind.name).is_some_and(|rest| rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::baseline::learned::Known;
    use crate::hot::owned::OwnedFact;
    use crate::inventory::InventoryConfig;
    use citytap_sensor::observation::{Identity, Place, Presence};
    use citytap_sensor::time::Timestamp;

    #[test]
    fn in_a_flood_of_strangers_the_known_are_judged_and_those_beyond_are_counted() {
        let mut inventory = Inventory::new(InventoryConfig::new("city"));
        let seen = Seen { place: Place { frame: 1, sequence: 0 }, time: Timestamp(0) };
        for last in 0..50 {
            let id = IdentityKey::new(&Identity::mac([0, 0x1b, 0x1b, 0, 0, last]), 0);
            inventory.apply(&OwnedFact::Identity { id, presence: Presence::Proved }, seen);
        }
        let names: Vec<String> = inventory.named().map(|(_, names, _)| names[0].to_string()).collect();
        assert_eq!(names.len(), 50);
        let mut base = Baseline::default();
        let (first, last) = (names[0].as_str(), names[49].as_str());
        let known = Known::new(seen.time, seen.time, Days::one(0), 1);
        let party = |name: &str| Party {
            names: [name.into()].into_iter().collect(),
            known: known.clone(),
            rhythm: Rhythm::default(),
            unseen_ms: 0,
            lasting: true,
        };
        base.parties.insert(last.into(), party(last));
        let lives = Lives::default();
        let mut parties = Parties::up_to(3, &inventory, &base, &lives);
        parties.sort();
        let present = |name: &str| parties.texts.find(name).and_then(|number| parties.present(number)).is_some();
        assert_eq!((parties.all().len(), parties.beyond()), (3, 47));
        assert!(present(last) && present(first) && !present(&names[48]));
        assert_eq!(Parties::new(&inventory, &base, &lives).beyond(), 0);
    }
}
