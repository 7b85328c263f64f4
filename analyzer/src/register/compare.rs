//! Which device each entry of the register is.
//!
//! Of an entry's names the strongest that any device has decides: one that its maker gave before one that somebody chose, that before an
//! address, which passes from device to device. Where another name of the entry belongs to another device, both are told.

use super::{Entered, Entry, Field};
use crate::inventory::{Device, DeviceId, rank};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How the register and what was seen fit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison<'r> {
    /// Listed and seen: each entry with its device.
    pub seen: Vec<(&'r Entry, DeviceId)>,
    /// Listed and silent: no device that spoke has a name of theirs.
    pub silent: Vec<&'r Entry>,
    /// Speaking and unlisted.
    pub unlisted: Vec<DeviceId>,
    /// Entries of which two names belong to different devices.
    pub torn: Vec<Torn<'r>>,
}

/// An entry of which another name belongs to another device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Torn<'r> {
    /// Where the entry stands.
    pub entry: String,
    /// The device that it was taken for.
    pub device: DeviceId,
    /// The other name.
    pub name: String,
    /// Whose the other name is.
    pub of: DeviceId,
    /// The entry.
    #[serde(skip)]
    pub whole: &'r Entry,
}

/// The names of devices, in the form in which they are compared.
struct Index<'d>(HashMap<(&'d str, &'d str), &'d Device>);

impl<'d> Index<'d> {
    fn new(devices: &'d BTreeMap<DeviceId, Device>) -> Self {
        let mut names: HashMap<(&str, &str), &Device> = HashMap::new();
        for device in devices.values() {
            let identities = device.identities.iter().map(|name| (name.kind.as_str(), name.value.as_str()));
            let serial = device.serial.as_deref().map(|serial| ("serial", serial));
            for name in identities.chain(serial) {
                // Of several with one name the one that spoke last: an address passes on.
                let of = names.entry(name).or_insert(device);
                let order = |device: &Device| (!device.provisional, device.last_seen, Reverse(device.id));
                if order(device) > order(of) {
                    *of = device;
                }
            }
        }
        Self(names)
    }

    /// The devices that have a name of the entry, the one with the strongest first.
    fn of(&self, entry: &Entry) -> Vec<(&'d Device, String)> {
        let strength = |kind: &str| match Field::named(kind) {
            Some(Field::Identity(kind)) => rank(kind),
            // A serial number is unique with its maker alone.
            Some(Field::Serial) => 2,
            _ => 0,
        };
        let mut found: Vec<(Reverse<u8>, &str, &str, &'d Device)> = Vec::new();
        for (kind, value) in &entry.identities {
            if let Some(device) = self.0.get(&(kind.as_str(), value.as_str())) {
                found.push((Reverse(strength(kind)), kind, value, device));
            }
        }
        found.sort_by_key(|(strength, kind, ..)| (*strength, *kind));
        found.into_iter().map(|(_, kind, value, device)| (device, format!("{kind}:{value}"))).collect()
    }
}

/// Compares entries, in their order, with devices.
pub fn compare<'r>(entries: impl Iterator<Item = &'r Entry>, devices: &BTreeMap<DeviceId, Device>) -> Comparison<'r> {
    let index = Index::new(devices);
    let mut comparison = Comparison::default();
    let mut listed = BTreeSet::new();
    for entry in entries {
        let found = index.of(entry);
        let Some((device, _)) = found.first() else {
            comparison.silent.push(entry);
            continue;
        };
        listed.insert(device.id);
        if device.provisional {
            comparison.silent.push(entry);
        } else {
            comparison.seen.push((entry, device.id));
        }
        let others = found.iter().filter(|(other, _)| other.id != device.id);
        comparison.torn.extend(others.map(|(other, name)| Torn {
            entry: entry.place(),
            device: device.id,
            name: name.clone(),
            of: other.id,
            whole: entry,
        }));
    }
    let speaking = devices.values().filter(|device| !device.provisional && !listed.contains(&device.id));
    comparison.unlisted = speaking.map(|device| device.id).collect();
    comparison
}

/// What entries say of the devices that they are: of several that are one device the latest import says it, then the last line.
pub fn enter<'r>(entries: impl Iterator<Item = &'r Entry>, devices: &BTreeMap<DeviceId, Device>) -> BTreeMap<DeviceId, Entered> {
    let mut entries: Vec<&Entry> = entries.collect();
    if entries.is_empty() {
        return BTreeMap::new();
    }
    entries.sort_by_key(|entry| (entry.import, &entry.list, entry.line));
    let index = Index::new(devices);
    let mut entered: BTreeMap<DeviceId, Entered> = BTreeMap::new();
    for entry in entries {
        let Some((device, _)) = index.of(entry).into_iter().next() else { continue };
        let of = entered.entry(device.id).or_default();
        for (name, value) in &entry.attributes {
            of.attributes.insert(name.clone(), (value.clone(), entry.place()));
        }
    }
    entered
}
