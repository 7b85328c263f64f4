//! Actions: findings that share a cause become one line with one remedy, ranked by verdict and risk.
//!
//! A cause is a check with its severity, its confidence and the arguments of its sentence. Where the arguments of one check part more than
//! [`OWN`] causes, those with the most devices keep a line of their own and the others share one: a city with three hundred servers does not
//! get three hundred lines that say the same.

#[cfg(test)]
mod tests;

use super::judge::{COUNTS, Finding, FindingId, first_bytes, render};
use super::risk::{Context, Risk, Verdict, Weight};
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
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Causes of one check, severity and confidence that have a line of their own; further ones share one.
pub const OWN: usize = 3;

/// Values of an argument that a shared line names; further ones are counted.
const NAMED: usize = 2;

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
    /// Arguments that only count.
    pub counts: Counts<'f>,
}

/// Names and figures of arguments that only count.
pub type Counts<'f> = SmallVec<[(&'f str, u64); 1]>;

/// What the findings of one action share.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cause<'f> {
    spec: &'static CheckSpec,
    severity: Severity,
    confidence: Confidence,
    known_exploited: bool,
    /// Sorted by name.
    arguments: SmallVec<[(&'f str, &'f str); 2]>,
}

impl<'f> Part<'f> {
    /// Arguments whose name begins with `_`, and those that only count, do not part actions.
    pub fn new(
        id: FindingId,
        device: DeviceId,
        (spec, weight): (&'static CheckSpec, Weight),
        arguments: impl Iterator<Item = (&'f str, &'f str)> + Clone,
    ) -> Self {
        let counts = arguments.clone().filter(|(name, _)| COUNTS.contains(name) && !name.starts_with('_'));
        let parting = arguments.filter(|(name, _)| !name.starts_with('_') && !COUNTS.contains(name));
        Self {
            id,
            device,
            cause: Cause {
                spec,
                severity: weight.severity,
                confidence: weight.confidence,
                known_exploited: weight.known_exploited,
                arguments: parting.collect(),
            },
            counts: counts.filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect(),
        }
    }
}

impl<'f> Cause<'f> {
    /// The check.
    pub fn spec(&self) -> &'static CheckSpec {
        self.spec
    }

    /// The arguments that part it from other causes, sorted by name.
    pub fn arguments(&self) -> &[(&'f str, &'f str)] {
        &self.arguments
    }

    /// What of it weighs.
    pub fn weight(&self) -> Weight {
        Weight { severity: self.severity, confidence: self.confidence, known_exploited: self.known_exploited }
    }
}

impl Finding {
    /// As actions see it.
    pub fn part(&self) -> Part<'_> {
        let arguments = self.arguments.iter().map(|(name, value)| (*name, &**value));
        Part::new(self.id, self.device, (self.spec, self.weight()), arguments)
    }

    /// What of it weighs.
    pub fn weight(&self) -> Weight {
        let texts = self.spec.references.iter().copied().chain(self.arguments.iter().map(|(_, value)| &**value));
        Weight { severity: self.severity, confidence: self.confidence, known_exploited: Weight::is_known_exploited(texts) }
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
    /// How urgent: that of its device for which the sum is greatest.
    pub risk: Risk,
    /// What is to be done with it.
    pub verdict: Verdict,
    /// What stands in its sentence, sorted by name.
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

/// Groups findings and ranks the groups: by verdict, risk, severity and confidence, then by the number of devices. `context` tells what of a
/// device weighs beside its findings.
pub fn actions<'f>(parts: impl Iterator<Item = Part<'f>>, context: &dyn Fn(DeviceId) -> Context) -> Vec<Action> {
    let mut groups: HashMap<Cause<'f>, Group<'f>, FixedState> = HashMap::default();
    for part in parts {
        let group = groups.entry(part.cause).or_default();
        group.findings.push(part.id);
        group.devices.push(part.device);
        group.count(&part.counts);
    }
    let mut alike: BTreeMap<(&str, Severity, Confidence), Causes<'f>> = BTreeMap::new();
    for (cause, mut group) in groups {
        group.devices.sort_unstable();
        group.devices.dedup();
        alike.entry((cause.spec.id, cause.severity, cause.confidence)).or_default().push((cause, group));
    }
    let mut actions: Vec<Action> = Vec::new();
    for mut causes in alike.into_values() {
        causes.sort_by(|a, b| {
            let rank = |(cause, group): &(Cause<'f>, Group<'f>)| (Reverse(cause.known_exploited), Reverse(group.devices.len()));
            rank(a).cmp(&rank(b)).then_with(|| a.0.arguments.cmp(&b.0.arguments))
        });
        let others = if causes.len() > OWN + 1 { causes.split_off(OWN) } else { Vec::new() };
        actions.extend(causes.into_iter().filter_map(|one| Action::new(vec![one], context)));
        actions.extend(Action::new(others, context));
    }
    actions.sort_unstable_by(|a, b| {
        let rank = |action: &Action| {
            let by_risk = (Reverse(action.verdict), Reverse(action.risk.score()));
            (by_risk, Reverse(action.severity), Reverse(action.confidence), Reverse(action.devices.len()))
        };
        rank(a).cmp(&rank(b)).then_with(|| (a.spec.id, &a.arguments, a.id).cmp(&(b.spec.id, &b.arguments, b.id)))
    });
    actions
}

/// Causes with their findings.
type Causes<'f> = Vec<(Cause<'f>, Group<'f>)>;

/// The findings of a cause.
#[derive(Default)]
struct Group<'f> {
    findings: Vec<FindingId>,
    devices: Vec<DeviceId>,
    counts: BTreeMap<&'f str, u64>,
}

impl<'f> Group<'f> {
    fn count(&mut self, counts: &[(&'f str, u64)]) {
        counts.iter().for_each(|(name, count)| *self.counts.entry(name).or_insert(0) += count);
    }
}

impl Cause<'_> {
    /// Of several that share a line, the id is that of what they have in common.
    fn id(&self, are_several: bool) -> ActionId {
        let mut hash = Sha256::new();
        hash.update(self.spec.id);
        for (name, value) in self.arguments.iter().filter(|_| !are_several) {
            hash.update(name);
            hash.update([0]);
            hash.update(value);
            hash.update([0]);
        }
        hash.update([self.severity as u8, self.confidence as u8, u8::from(are_several)]);
        ActionId(first_bytes(&hash.finalize()))
    }
}

/// `a`, `a and b`, `a, b and 7 others`.
pub(super) fn listed(values: &BTreeSet<&str>) -> String {
    let named: Vec<&str> = values.iter().take(NAMED).copied().collect();
    match values.len().saturating_sub(NAMED) {
        0 => named.join(" and "),
        1 => format!("{} and 1 other", named.join(", ")),
        more => format!("{} and {more} others", named.join(", ")),
    }
}

impl Action {
    /// Of causes that differ in their arguments alone; `None` of none.
    fn new(causes: Causes<'_>, context: &dyn Fn(DeviceId) -> Context) -> Option<Self> {
        let known_exploited = causes.iter().any(|(cause, _)| cause.known_exploited);
        let are_several = causes.len() > 1;
        let mut arguments: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let (mut findings, mut devices, mut counts) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut first = None;
        for (cause, group) in causes {
            cause.arguments.iter().for_each(|(name, value)| {
                arguments.entry(name).or_default().insert(value);
            });
            findings.extend(group.findings);
            devices.extend(group.devices);
            group.counts.into_iter().for_each(|(name, count)| *counts.entry(name).or_insert(0) += count);
            first.get_or_insert(cause);
        }
        devices.sort_unstable();
        devices.dedup();
        let cause = first?;
        let weight = Weight { known_exploited, ..cause.weight() };
        let risks = devices.iter().map(|&device| Risk { gravest: Some(weight), context: context(device) });
        let risk = risks.max_by_key(Risk::score).unwrap_or_default();
        let told = arguments.iter().map(|(name, values)| ((*name).to_owned(), listed(values)));
        let mut arguments: Vec<(String, String)> =
            told.chain(counts.into_iter().map(|(name, count): (&str, u64)| (name.to_owned(), count.to_string()))).collect();
        arguments.sort_unstable();
        Some(Self {
            id: cause.id(are_several),
            spec: cause.spec,
            severity: cause.severity,
            confidence: cause.confidence,
            risk,
            verdict: risk.verdict_of_action(devices.len()),
            arguments,
            findings,
            devices,
        })
    }

    /// What is so, in a sentence that names how many devices of what kind.
    pub fn title(&self, devices: &dyn Directory) -> String {
        // A line has room for the first sentence of an explanation; the findings have it whole.
        let first = |text: &str| text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.').to_owned();
        let mut arguments: Vec<(&str, String)> =
            self.arguments.iter().map(|(name, value)| (name.as_str(), first(value))).collect();
        arguments.push(("devices", name_devices(&self.devices, devices)));
        titled(self.spec.action, arguments.iter().map(|(name, value)| (*name, value.as_str())), self.devices.len())
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
        let mut fields = serializer.serialize_struct("Action", 11)?;
        fields.serialize_field("id", &format_args!("{}", action.id))?;
        fields.serialize_field("verdict", &action.verdict)?;
        fields.serialize_field("risk", &action.risk)?;
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

/// An action's sentence with its arguments, the devices among them, whose number decides the verb.
pub(super) fn titled<'a>(sentence: &str, arguments: impl Iterator<Item = (&'a str, &'a str)>, devices: usize) -> String {
    agree(&render(sentence, arguments), devices)
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
pub(super) fn name_devices(ids: &[DeviceId], devices: &dyn Directory) -> String {
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
