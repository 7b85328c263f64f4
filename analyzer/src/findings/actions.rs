//! Actions: findings that share a cause become one line with one remedy, ranked by what matters most.

use super::judge::{Finding, render};
use super::{CheckSpec, Severity};
use crate::inventory::{Device, DeviceId};
use crate::signatures::classes::class_words;
use citytap_sensor::observation::Confidence;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a person should do about the findings that share a cause.
#[derive(Clone, Debug, Serialize)]
pub struct Action {
    /// Stable: a hash of the cause.
    pub id: String,
    /// The check of its findings.
    pub check: &'static str,
    /// How bad.
    pub severity: Severity,
    /// How sure: the least sure of its findings.
    pub confidence: &'static str,
    /// What is so, in a sentence that names how many devices of what kind.
    pub title: String,
    /// What to do.
    pub remedy: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// Ids of the findings.
    pub findings: Vec<String>,
    /// Ids of the devices, sorted.
    pub devices: Vec<DeviceId>,
}

/// Groups findings and ranks the groups: by severity, by confidence, by the number of devices.
pub fn actions(findings: &[Finding], devices: &BTreeMap<DeviceId, Device>) -> Vec<Action> {
    let mut groups: BTreeMap<Cause, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let arguments = finding.arguments.iter().filter(|(name, _)| !name.starts_with('_'));
        let cause = Cause {
            check: finding.check,
            severity: finding.severity,
            confidence: finding.sureness(),
            arguments: arguments.map(|(name, value)| (name.clone(), value.clone())).collect(),
        };
        groups.entry(cause).or_default().push(finding);
    }
    let mut actions: Vec<(Confidence, Action)> =
        groups.into_iter().map(|(cause, group)| (cause.confidence, action(&cause, &group, devices))).collect();
    actions.sort_by(|(sure_a, a), (sure_b, b)| {
        let rank = |sure: &Confidence, action: &Action| {
            (std::cmp::Reverse(action.severity), std::cmp::Reverse(*sure), std::cmp::Reverse(action.devices.len()))
        };
        rank(sure_a, a).cmp(&rank(sure_b, b)).then_with(|| a.title.cmp(&b.title)).then_with(|| a.id.cmp(&b.id))
    });
    actions.into_iter().map(|(_, action)| action).collect()
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    check: &'static str,
    severity: Severity,
    confidence: Confidence,
    arguments: Vec<(Cow<'static, str>, String)>,
}

fn action(cause: &Cause, group: &[&Finding], devices: &BTreeMap<DeviceId, Device>) -> Action {
    let spec: &'static CheckSpec = group[0].spec;
    let mut ids: Vec<DeviceId> = group.iter().map(|finding| finding.device).collect();
    ids.sort_unstable();
    ids.dedup();
    // A line has room for the first sentence of an explanation; the findings have it whole.
    let first = |text: &str| text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.').to_owned();
    let mut arguments: Vec<_> = cause.arguments.iter().map(|(name, value)| (name.clone(), first(value))).collect();
    arguments.push(("devices".into(), name_devices(&ids, devices)));
    let mut hash = Sha256::new();
    hash.update(cause.check);
    cause.arguments.iter().for_each(|(name, value)| {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(value);
        hash.update([0]);
    });
    hash.update([cause.severity as u8, cause.confidence as u8]);
    Action {
        id: hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
        check: cause.check,
        severity: cause.severity,
        confidence: group[0].confidence,
        title: agree(&render(spec.action, &arguments), ids.len()),
        remedy: spec.remedy,
        why: spec.why,
        findings: group.iter().map(|finding| finding.id.clone()).collect(),
        devices: ids,
    }
}

/// A sentence whose verb stands in the plural: for one device `use`, `log` and the like take an s.
fn agree(sentence: &str, count: usize) -> String {
    if count != 1 {
        return sentence.replace(" accepts ", " accept ");
    }
    [(" use ", " uses "), (" are ", " is "), (" may uses ", " may use ")]
        .iter()
        .fold(sentence.to_owned(), |text, (many, one)| text.replacen(many, one, 1))
}

/// `22 parking sensors`, `broker 10.20.0.5`, `30 devices (22 parking sensors, 8 street lights)`.
fn name_devices(ids: &[DeviceId], devices: &BTreeMap<DeviceId, Device>) -> String {
    if let [one] = ids {
        return devices.get(one).map_or_else(|| format!("device {one}"), name_device);
    }
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for id in ids {
        let class = devices.get(id).and_then(|device| device.class.as_ref()).map(|class| class.id.as_str());
        *counts.entry(class).or_insert(0) += 1;
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
