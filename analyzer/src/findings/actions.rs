//! Actions: findings that share a cause become one line with one remedy, ranked by what matters most.

use super::judge::{Finding, FindingId, first_bytes, render};
use super::{CheckSpec, Severity};
use crate::inventory::{Device, DeviceId, confidence_name};
use crate::signatures::classes::class_words;
use citytap_sensor::observation::Confidence;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

/// Who knows devices by their ids: a run's inventory, or a store.
pub trait Directory {
    /// Stable id of a device's class, where it has one.
    fn class(&self, id: DeviceId) -> Option<&str>;
    /// A device in a few words.
    fn called(&self, id: DeviceId) -> Option<String>;
}

impl Directory for BTreeMap<DeviceId, Device> {
    fn class(&self, id: DeviceId) -> Option<&str> {
        self.get(&id)?.class.as_ref().map(|class| class.id.as_str())
    }

    fn called(&self, id: DeviceId) -> Option<String> {
        self.get(&id).map(name_device)
    }
}

/// A finding, as far as actions are concerned.
pub struct Part<'f> {
    /// Its id.
    pub id: FindingId,
    /// Its device.
    pub device: DeviceId,
    /// What it shares with others.
    pub cause: Cause<'f>,
}

/// What the findings of one action share.
#[derive(PartialEq, Eq, Hash)]
pub struct Cause<'f> {
    spec: &'static CheckSpec,
    severity: Severity,
    confidence: Confidence,
    /// Sorted by name.
    arguments: SmallVec<[(&'f str, &'f str); 2]>,
}

impl<'f> Cause<'f> {
    /// Arguments whose name begins with `_` do not part actions.
    pub fn new(
        spec: &'static CheckSpec,
        severity: Severity,
        confidence: Confidence,
        arguments: impl Iterator<Item = (&'f str, &'f str)>,
    ) -> Self {
        Self { spec, severity, confidence, arguments: arguments.filter(|(name, _)| !name.starts_with('_')).collect() }
    }
}

impl Finding {
    /// As actions see it.
    pub fn part(&self) -> Part<'_> {
        let arguments = self.arguments.iter().map(|(name, value)| (*name, &**value));
        let cause = Cause::new(self.spec, self.severity, self.confidence, arguments);
        Part { id: self.id, device: self.device, cause }
    }
}

/// What a person should do about the findings that share a cause.
#[derive(Clone, Debug)]
pub struct Action {
    /// Stable: a hash of the cause.
    pub id: ActionId,
    /// The check of its findings.
    pub spec: &'static CheckSpec,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// The arguments that its findings share, sorted by name.
    arguments: Vec<(String, String)>,
    /// Ids of the findings, in their order.
    pub findings: Vec<FindingId>,
    /// Ids of the devices, sorted.
    pub devices: Vec<DeviceId>,
}

/// The id of an action, written as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub u64);

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Groups findings and ranks the groups: by severity, by confidence, by the number of devices.
pub fn actions<'f>(parts: impl Iterator<Item = Part<'f>>) -> Vec<Action> {
    let mut groups: HashMap<Cause<'f>, (Vec<FindingId>, Vec<DeviceId>), FixedState> = HashMap::default();
    for part in parts {
        let (findings, devices) = groups.entry(part.cause).or_default();
        findings.push(part.id);
        devices.push(part.device);
    }
    let action = |(cause, (findings, mut devices)): (Cause<'f>, (_, Vec<DeviceId>))| {
        devices.sort_unstable();
        devices.dedup();
        Action {
            id: cause.id(),
            spec: cause.spec,
            severity: cause.severity,
            confidence: cause.confidence,
            arguments: cause.arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            findings,
            devices,
        }
    };
    let mut actions: Vec<Action> = groups.into_iter().map(action).collect();
    actions.sort_unstable_by(|a, b| {
        let rank = |action: &Action| (Reverse(action.severity), Reverse(action.confidence), Reverse(action.devices.len()));
        rank(a).cmp(&rank(b)).then_with(|| (a.spec.id, &a.arguments, a.id).cmp(&(b.spec.id, &b.arguments, b.id)))
    });
    actions
}

impl Cause<'_> {
    fn id(&self) -> ActionId {
        let mut hash = Sha256::new();
        hash.update(self.spec.id);
        for (name, value) in &self.arguments {
            hash.update(name);
            hash.update([0]);
            hash.update(value);
            hash.update([0]);
        }
        hash.update([self.severity as u8, self.confidence as u8]);
        ActionId(first_bytes(&hash.finalize()))
    }
}

impl Action {
    /// What is so, in a sentence that names how many devices of what kind.
    pub fn title(&self, devices: &dyn Directory) -> String {
        // A line has room for the first sentence of an explanation; the findings have it whole.
        let first = |text: &str| text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.').to_owned();
        let mut arguments: Vec<(&str, String)> =
            self.arguments.iter().map(|(name, value)| (name.as_str(), first(value))).collect();
        arguments.push(("devices", name_devices(&self.devices, devices)));
        let sentence = render(self.spec.action, arguments.iter().map(|(name, value)| (*name, value.as_str())));
        agree(&sentence, self.devices.len())
    }
}

/// An action as people and files are told of it.
pub struct Told<'a> {
    /// The action.
    pub action: &'a Action,
    /// Who knows its devices.
    pub devices: &'a dyn Directory,
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let action = self.action;
        let mut fields = serializer.serialize_struct("Action", 9)?;
        fields.serialize_field("id", &format_args!("{}", action.id))?;
        fields.serialize_field("check", action.spec.id)?;
        fields.serialize_field("severity", &action.severity)?;
        fields.serialize_field("confidence", confidence_name(action.confidence))?;
        fields.serialize_field("title", &action.title(self.devices))?;
        fields.serialize_field("remedy", action.spec.remedy)?;
        fields.serialize_field("why", action.spec.why)?;
        fields.serialize_field("findings", &action.findings)?;
        fields.serialize_field("devices", &action.devices)?;
        fields.end()
    }
}

/// A sentence whose verb stands in the plural: for one device `use`, `log` and the like take an s.
fn agree(sentence: &str, count: usize) -> String {
    if count != 1 {
        return sentence.replace(" accepts ", " accept ");
    }
    [(" use ", " uses "), (" are ", " is "), (" were ", " was "), (" may uses ", " may use ")]
        .iter()
        .fold(sentence.to_owned(), |text, (many, one)| text.replacen(many, one, 1))
}

/// `22 parking sensors`, `broker 10.20.0.5`, `30 devices (22 parking sensors, 8 street lights)`.
fn name_devices(ids: &[DeviceId], devices: &dyn Directory) -> String {
    if let [one] = ids {
        return devices.called(*one).unwrap_or_else(|| format!("device {one}"));
    }
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for id in ids {
        *counts.entry(devices.class(*id)).or_insert(0) += 1;
    }
    let name = |class: Option<&str>, count: usize| {
        let names = class.and_then(class_words);
        match (names, count) {
            (Some((one, _)), 1) => format!("1 {one}"),
            (Some((_, many)), count) => format!("{count} {many}"),
            (None, 1) => "1 unclassed device".into(),
            (None, count) => format!("{count} unclassed devices"),
        }
    };
    let mut parts: Vec<(usize, String)> = counts.into_iter().map(|(class, count)| (count, name(class, count))).collect();
    parts.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    match parts.as_slice() {
        [(_, only)] => only.replace(" unclassed", ""),
        _ => {
            let list = parts.iter().map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(", ");
            format!("{} devices ({list})", ids.len())
        }
    }
}

/// A device in a few words: its class, and the name that people know it by.
pub fn name_device(device: &Device) -> String {
    let class = device.class.as_ref().and_then(|class| class_words(&class.id)).map_or("device", |(one, _)| one);
    let founding = device.identities.first().map(|name| name.value.as_str());
    let address = device.identities.iter().find(|name| name.kind == "ip").map(|name| name.value.as_str());
    // A hardware address says nothing to a person; an address on the network tells where to look.
    let founding = founding.filter(|_| device.identities.first().is_some_and(|name| name.kind != "mac"));
    let called = device.name.as_deref().or(founding).or(address).unwrap_or("without a name");
    format!("{class} {called}")
}
