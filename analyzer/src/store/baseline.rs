//! What is normal as the store keeps it: one value for the site, and one for each party with all that it does. Only what changed is written.

use super::contents::{Added, Contents};
use super::journal::Write;
use super::record::seal;
use super::{StoreError, Tree};
use crate::detectors::baseline::learned::{Baseline, Member};
use crate::detectors::baseline::numbered::Texts;
use crate::detectors::baseline::teach::{Learned, Missed};
use crate::findings::judge::{Check, FindingId, Outcome, Words, render};
use crate::findings::kept::{KeptCheck, KeptFinding};
use crate::inventory::merge::Counting;
use crate::inventory::{DeviceId, confidence_name};
use citytap_sensor::observation::Confidence;
use citytap_sensor::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The key of what is not any party's.
pub(super) const SITE: &str = "site";

/// A value of the tree.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stored {
    /// All but the members.
    Site(Box<Baseline>),
    /// A party with what it does.
    Member(Box<Member>),
}

/// Puts what was stored together.
pub(super) fn gather(baseline: &mut Baseline, stored: Stored, texts: &mut Texts) {
    match stored {
        Stored::Site(site) => {
            let members = std::mem::take(baseline);
            *baseline =
                Baseline { parties: members.parties, relations: members.relations, registers: members.registers, ..*site };
        }
        Stored::Member(member) => baseline.put(*member, texts),
    }
}

/// The keys of the tree at which two baselines differ.
pub(super) fn changed(before: &Baseline, after: &Baseline) -> BTreeSet<String> {
    let members = before.differing(after).into_iter().map(|key| member_key(&key));
    let site = (before.without_members() != after.without_members()).then(|| SITE.to_owned());
    members.chain(site).collect()
}

/// The key of a party with what it does.
pub(super) fn member_key(party: &str) -> String {
    format!("member/{party}")
}

/// What is to be written at these keys.
pub(super) fn writes<'b>(baseline: &'b Baseline, keys: &'b BTreeSet<String>) -> impl Iterator<Item = Write> + 'b {
    let members = (!keys.is_empty()).then(|| baseline.members());
    let member = move |key: &str| members.as_ref().and_then(|members| members.get(key));
    let write = move |key: &String| {
        let tree = Tree::Baseline;
        let value = match key.strip_prefix("member/") {
            Some(key) => member(key).map(|member| Stored::Member(Box::new(member))),
            None => Some(Stored::Site(Box::new(baseline.without_members()))),
        };
        Write { tree, key: key.clone().into_bytes(), value: value.map(|value| seal(tree, key.as_bytes(), &value)) }
    };
    keys.iter().map(write)
}

impl Contents {
    /// Takes over what a run learned, and what it says of devices that it did not hear.
    pub(super) fn learn(&mut self, learned: &Learned, counting: Counting, now: Option<Timestamp>, added: &mut Added) {
        // What was read before teaches nothing new.
        if counting == Counting::Sum {
            added.changed.baseline = changed(&self.baseline, &learned.baseline);
            self.baseline = learned.baseline.clone();
        }
        let mut by_name: HashMap<String, DeviceId> = HashMap::new();
        for device in self.devices.values() {
            let network = if device.network == 0 { String::new() } else { format!("/{}", device.network) };
            by_name.extend(device.identities.iter().map(|name| (format!("{name}{network}"), device.id)));
        }
        for missed in &learned.missed {
            if let Some(device) = missed.names.iter().find_map(|name| by_name.get(name)) {
                self.miss(missed, *device, counting, now, added);
            }
        }
    }

    fn miss(&mut self, missed: &Missed, device: DeviceId, counting: Counting, now: Option<Timestamp>, added: &mut Added) {
        let arguments = || missed.arguments.iter().map(|(name, value)| (*name, &**value));
        let message = render(missed.check.finding, arguments());
        let check = Check::without_finding(missed.check, device, Outcome::Found, Words::Made(message.as_str().into()));
        self.add_check(KeptCheck::new(&check, device, now), added);
        let finding = KeptFinding {
            id: FindingId::of(missed.check.id, device, arguments()).to_string(),
            check: missed.check.id.into(),
            device,
            subject: missed.names.iter().next().unwrap_or_default().to_owned(),
            severity: missed.severity,
            confidence: confidence_name(Confidence::Seen).into(),
            message,
            arguments: arguments().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            remedy: missed.check.remedy.into(),
            why: missed.check.why.into(),
            references: missed.check.references.iter().map(ToString::to_string).collect(),
            first_seen: Some(missed.last_seen),
            last_seen: Some(missed.last_seen),
            count: 1,
            ..KeptFinding::default()
        };
        *(if self.findings.contains_key(&finding.id) { &mut added.known_findings } else { &mut added.new_findings }) += 1;
        self.add_finding(finding, counting, added);
    }
}

impl super::City {
    /// Puts a baseline that a person changed in place of the store's.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn set_baseline(&mut self, baseline: Baseline) -> Result<(), StoreError> {
        let keys = changed(&self.contents().baseline, &baseline);
        self.write(&|| Box::new(writes(&baseline, &keys)))?;
        self.contents_mut().baseline = Arc::new(baseline);
        Ok(())
    }
}
