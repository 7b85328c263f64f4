//! What differs between two snapshots: devices that are new, gone or changed, findings that are new or gone.
//!
//! Devices are matched by id, by the ids that they had, and by their founding name. Times and counts always differ and are left out, and so
//! are names of a session and peers.

use crate::findings::kept::KeptFinding;
use crate::inventory::{Device, DeviceId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What one side knows.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The devices; provisional ones are left out of the comparison.
    pub devices: BTreeMap<DeviceId, Device>,
    /// The findings that stand.
    pub findings: Vec<KeptFinding>,
}

/// The differences, each list in the order of ids.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Difference {
    /// Devices that only the second has.
    pub new: Vec<Device>,
    /// Devices that only the first has.
    pub gone: Vec<Device>,
    /// Devices of which something is different.
    pub changed: Vec<ChangedDevice>,
    /// Findings that only the second has.
    pub new_findings: Vec<KeptFinding>,
    /// Findings that only the first has.
    pub gone_findings: Vec<KeptFinding>,
}

/// A device of which something is different.
#[derive(Clone, Debug, Serialize)]
pub struct ChangedDevice {
    /// Its id in the second.
    pub id: DeviceId,
    /// Its id in the first, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<DeviceId>,
    /// What people call it.
    pub name: String,
    /// What is different.
    pub changes: Vec<FieldChange>,
}

/// A field that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The field.
    pub field: &'static str,
    /// Values that only the first has.
    pub from: Vec<String>,
    /// Values that only the second has.
    pub to: Vec<String>,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
            && self.gone.is_empty()
            && self.changed.is_empty()
            && self.new_findings.is_empty()
            && self.gone_findings.is_empty()
    }
}

/// Compares two snapshots.
pub fn compare(a: &Snapshot, b: &Snapshot) -> Difference {
    let pairs = pair(a, b);
    let back: BTreeMap<DeviceId, DeviceId> = pairs.iter().map(|(in_b, in_a)| (*in_a, *in_b)).collect();
    let mut difference = Difference::default();
    for device in b.devices.values().filter(|device| !device.provisional) {
        match pairs.get(&device.id).and_then(|id| a.devices.get(id)) {
            None => difference.new.push(device.clone()),
            Some(before) => {
                let changes = changes(before, device);
                if !changes.is_empty() {
                    let was = (before.id != device.id).then_some(before.id);
                    let name = crate::findings::actions::name_device(device);
                    difference.changed.push(ChangedDevice { id: device.id, was, name, changes });
                }
            }
        }
    }
    let gone = a.devices.values().filter(|device| !device.provisional && !back.contains_key(&device.id));
    difference.gone = gone.cloned().collect();
    let key = |finding: &KeptFinding, device: DeviceId| {
        let mut finding = finding.clone();
        finding.belongs_to(device);
        finding.id
    };
    let of_a: BTreeSet<String> =
        a.findings.iter().map(|finding| key(finding, back.get(&finding.device).copied().unwrap_or(finding.device))).collect();
    let of_b: BTreeSet<String> = b.findings.iter().map(|finding| finding.id.clone()).collect();
    difference.new_findings = b.findings.iter().filter(|finding| !of_a.contains(&finding.id)).cloned().collect();
    let stays =
        |finding: &KeptFinding| of_b.contains(&key(finding, back.get(&finding.device).copied().unwrap_or(finding.device)));
    difference.gone_findings = a.findings.iter().filter(|finding| !stays(finding)).cloned().collect();
    difference
}

/// Of each device of the second, the one of the first that it is.
fn pair(a: &Snapshot, b: &Snapshot) -> BTreeMap<DeviceId, DeviceId> {
    let founding = |device: &Device| {
        device.identities.first().map(|name| (name.kind.clone(), name.value.clone(), name.at.clone(), device.network))
    };
    let mut by_alias: BTreeMap<DeviceId, DeviceId> = BTreeMap::new();
    let mut by_name = BTreeMap::new();
    for device in a.devices.values() {
        device.aliases.iter().for_each(|alias| {
            by_alias.entry(*alias).or_insert(device.id);
        });
        if let Some(name) = founding(device) {
            by_name.insert(name, device.id);
        }
    }
    let mut pairs = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let same = |device: &Device| a.devices.contains_key(&device.id).then_some(device.id);
    let named = |device: &Device| founding(device).and_then(|name| by_name.get(&name).copied());
    let was = |device: &Device| device.aliases.iter().copied().find(|alias| a.devices.contains_key(alias));
    let became = |device: &Device| by_alias.get(&device.id).copied();
    // The surest way first, over all devices, so that no device is taken by a weaker match.
    let ways: [Way<'_>; 4] = [&same, &named, &was, &became];
    for way in ways {
        for device in b.devices.values() {
            if pairs.contains_key(&device.id) {
                continue;
            }
            if let Some(id) = way(device).filter(|id| !taken.contains(id)) {
                taken.insert(id);
                pairs.insert(device.id, id);
            }
        }
    }
    pairs
}

type Field = (&'static str, fn(&Device) -> Vec<String>);

const FIELDS: &[Field] = &[
    ("class", |device| device.class.iter().map(|class| class.name.clone()).collect()),
    ("name", |device| device.name.iter().cloned().collect()),
    ("vendor", |device| device.vendor.iter().cloned().collect()),
    ("product", |device| device.product.iter().cloned().collect()),
    ("model", |device| device.model.iter().cloned().collect()),
    ("firmware", |device| device.firmware.iter().cloned().collect()),
    ("software", |device| device.software.iter().cloned().collect()),
    ("hardware", |device| device.hardware.iter().cloned().collect()),
    ("serial", |device| device.serial.iter().cloned().collect()),
    ("identities", |device| {
        let lasting = device.identities.iter().filter(|name| crate::inventory::merge::lasts(name));
        lasting.map(ToString::to_string).collect()
    }),
    ("roles", |device| device.roles.iter().map(|role| role.role.clone()).collect()),
    ("services", |device| {
        let port = |port: Option<u16>| port.map(|port| format!("/{port}")).unwrap_or_default();
        device.services.iter().map(|service| format!("{}{}", service.protocol, port(service.port))).collect()
    }),
    ("security", |device| device.security.iter().map(|seen| format!("{}={}", seen.aspect, seen.value)).collect()),
    ("certificates", |device| device.certificates.iter().map(|seen| seen.spki_sha256.clone()).collect()),
];

fn changes(a: &Device, b: &Device) -> Vec<FieldChange> {
    let change = |(field, read): &Field| {
        let (from, to): (BTreeSet<String>, BTreeSet<String>) = (read(a).into_iter().collect(), read(b).into_iter().collect());
        let change =
            FieldChange { field, from: from.difference(&to).cloned().collect(), to: to.difference(&from).cloned().collect() };
        (from != to).then_some(change)
    };
    FIELDS.iter().filter_map(change).collect()
}

/// A way to find a device of one side on the other.
type Way<'w> = &'w dyn Fn(&Device) -> Option<DeviceId>;
