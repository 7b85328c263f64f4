//! What a store says, in memory, and how a run is added to it. No input or output here: [`super::city`] reads and writes.

use crate::detectors::baseline::learned::Baseline;
use crate::engine::Report;
use crate::export::run_folder;
use crate::findings::actions::{Action, actions};
use crate::findings::alerts::{AlertChange, AlertId, Alerts};
use crate::findings::judge::{FindingId, Outcome};
use crate::findings::kept::{Closed, KeptCheck, KeptFinding};
use crate::findings::risk::{Context, Gravest, Risk};
use crate::inventory::exposure::Exposure;
use crate::inventory::merge::{self, Counting};
use crate::inventory::presented::{self, PresentedCredential};
use crate::inventory::{Device, DeviceId, when};
use crate::register::compare::{self, Comparison};
use crate::register::{Entered, Entry};
use citytap_sensor::capture::CaptureInfo;
use citytap_sensor::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// All that a store knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// The devices, by id.
    pub devices: BTreeMap<DeviceId, Device>,
    /// What was found, by id; see [`Contents::is_open`].
    pub findings: BTreeMap<String, KeptFinding>,
    /// The answer to each check about each device.
    pub checks: BTreeMap<(DeviceId, Cow<'static, str>), KeptCheck>,
    /// What was added, by number.
    pub runs: BTreeMap<u32, Run>,
    /// What devices presented, as keyed digests: for the store and whoever shares its key, never for an export.
    pub credentials: BTreeMap<DeviceId, Vec<PresentedCredential>>,
    /// What a person was told, and what the person decided.
    pub alerts: Alerts,
    /// What the city says it has, by list and line.
    pub register: BTreeMap<(String, u32), Entry>,
    /// What the register says of devices; [`Contents::enter`] makes it.
    pub entered: BTreeMap<DeviceId, Entered>,
    /// What is normal.
    pub baseline: Arc<Baseline>,
}

/// A run that was added: what it read, what it saw, what made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// 1 for the first.
    pub number: u32,
    /// Whether its packets were counted by an earlier run already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// The captures, in the order of the command line.
    pub captures: Vec<RunCapture>,
    /// Time of the first packet.
    #[serde(default, with = "when::maybe")]
    pub first_packet: Option<Timestamp>,
    /// Time of the last packet.
    #[serde(default, with = "when::maybe")]
    pub last_packet: Option<Timestamp>,
    /// The run's `manifest.json`.
    pub manifest: Value,
    /// The run's `coverage.json`.
    pub coverage: Value,
}

/// A capture of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCapture {
    /// Base name of the file.
    pub name: String,
    /// Packets read.
    pub packets: u64,
    /// SHA-256 of the file, in hex; `None` where it could not be read twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Run {
    /// A run by its report; the number is given when it is added.
    pub fn new(report: &Report, captures: &[CaptureInfo], digests: &[Option<String>], site: &str, again: bool) -> Self {
        let capture = |(at, capture): (usize, &CaptureInfo)| RunCapture {
            name: capture.name.clone(),
            packets: capture.packets,
            sha256: digests.get(at).cloned().flatten(),
        };
        Self {
            number: 0,
            again,
            captures: captures.iter().enumerate().map(capture).collect(),
            first_packet: report.coverage.span.map(|(first, _)| first),
            last_packet: report.coverage.span.map(|(_, last)| last),
            manifest: run_folder::manifest(report, captures, digests, site),
            coverage: run_folder::coverage(report),
        }
    }

    /// Names of its captures.
    pub fn names(&self) -> String {
        self.captures.iter().map(|capture| capture.name.as_str()).collect::<Vec<_>>().join(" + ")
    }
}

/// What adding a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Number of the run.
    pub run: u32,
    /// Devices that were not known.
    pub new_devices: usize,
    /// Devices that were.
    pub known_devices: usize,
    /// Known devices that turned out to be part of another.
    pub joined_devices: usize,
    /// Findings that were not known.
    pub new_findings: usize,
    /// Findings that were.
    pub known_findings: usize,
    /// Findings that were open, and that this run tested and found clear.
    pub cleared_findings: usize,
    /// Entries of devices' lists dropped for want of room.
    pub dropped: usize,
    /// What of the alerts a person is to be told now.
    pub told: Vec<AlertChange>,
    /// Keys that changed.
    pub changed: Changed,
}

/// Keys that changed: what stands there now is to be written, and what stands there no more is to be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Devices.
    pub devices: BTreeSet<DeviceId>,
    /// Findings.
    pub findings: BTreeSet<String>,
    /// Answers.
    pub checks: BTreeSet<(DeviceId, Cow<'static, str>)>,
    /// What devices presented.
    pub credentials: BTreeSet<DeviceId>,
    /// Alerts.
    pub alerts: BTreeSet<AlertId>,
    /// What is normal.
    pub baseline: BTreeSet<String>,
}

/// Why a finding stays open although a proof came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotClosed {
    /// The store has no such finding.
    #[error("this store has no such finding")]
    Unknown,
    /// The wire says otherwise.
    #[error("it was seen at {0}, after the old key was said to be refused: look who still uses it")]
    SeenSince(Timestamp),
}

impl Contents {
    /// The run that a capture was read in, by the capture's digest.
    pub fn run_of(&self, sha256: &str) -> Option<&Run> {
        self.runs.values().find(|run| run.captures.iter().any(|capture| capture.sha256.as_deref() == Some(sha256)))
    }

    /// Whether a finding still stands: no later run tested it and found it clear, and nobody proved that it is over.
    pub fn is_open(&self, finding: &KeptFinding) -> bool {
        let check = self.checks.get(&(finding.device, finding.check.clone().into()));
        check.is_none_or(|check| check.outcome == Outcome::Found) && !finding.is_closed()
    }

    /// The findings that stand, the gravest first.
    pub fn open_findings(&self) -> Vec<&KeptFinding> {
        let mut open: Vec<&KeptFinding> = self.findings.values().filter(|finding| self.is_open(finding)).collect();
        open.sort_by(|a, b| {
            b.severity.cmp(&a.severity).then_with(|| (&a.check, a.device, &a.id).cmp(&(&b.check, b.device, &b.id)))
        });
        open
    }

    /// What to do, the most urgent first.
    pub fn actions(&self) -> Vec<Action> {
        let context = |id| self.devices.get(&id).map(|device| self.context(device)).unwrap_or_default();
        actions(self.open_findings().into_iter().filter_map(KeptFinding::part), &context)
    }

    /// What of a device weighs beside its findings.
    pub fn context(&self, device: &Device) -> Context {
        let criticality = self.entered.get(&device.id).and_then(Entered::criticality);
        Context { exposure: Exposure::of(device), criticality }
    }

    /// Devices as they are shown, with what a person entered, and their risks.
    pub fn shown<'d>(&self, devices: impl Iterator<Item = &'d Device>) -> Vec<(Cow<'d, Device>, Risk)> {
        let gravest = Gravest::new(self.open_findings().into_iter().filter_map(KeptFinding::part));
        let shown = |device: &'d Device| match self.entered.get(&device.id) {
            Some(entered) => Cow::Owned(entered.over(device)),
            None => Cow::Borrowed(device),
        };
        devices.map(|device| (shown(device), gravest.risk(device.id, self.context(device)))).collect()
    }

    /// Takes a list in place of the one of the same name. Answers the keys that changed.
    pub fn import(&mut self, list: &str, entries: Vec<Entry>) -> BTreeSet<(String, u32)> {
        let import = self.register.values().map(|entry| entry.import).max().unwrap_or(0) + 1;
        let mut changed: BTreeSet<(String, u32)> = self.register.keys().filter(|(of, _)| of == list).cloned().collect();
        self.register.retain(|(of, _), _| of != list);
        for entry in entries {
            let key = (list.to_owned(), entry.line);
            changed.insert(key.clone());
            self.register.insert(key, Entry { list: list.to_owned(), import, ..entry });
        }
        self.enter();
        changed
    }

    /// Closes a finding with its proof. Answers the id under which it is known now.
    ///
    /// # Errors
    /// Why it stays open.
    pub fn close(&mut self, id: &str, (check, device): (&str, DeviceId), proof: Closed) -> Result<String, NotClosed> {
        let device = self.device(device).map_or(device, |device| device.id);
        // Its device may have got another id since, and it with it.
        let renamed = || self.findings.values().find(|one| one.check == check && one.device == device).map(|one| one.id.clone());
        let id = self.findings.get(id).map(|one| one.id.clone()).or_else(renamed).ok_or(NotClosed::Unknown)?;
        let finding = self.findings.get_mut(&id).ok_or(NotClosed::Unknown)?;
        if let Some(seen) = finding.last_seen.filter(|seen| *seen > proof.at) {
            return Err(NotClosed::SeenSince(seen));
        }
        let why = format!(
            "proven replaced: rotation {} of {}, generation {} to {}, seen by {}",
            proof.rotation,
            proof.slot,
            proof.from,
            proof.to,
            proof.witnesses.join(" and ")
        );
        let now = proof.at;
        finding.closed = Some(proof);
        self.alerts.close(FindingId::parse(&id), &why, now);
        Ok(id)
    }

    /// Finds the devices of the register's entries anew.
    pub fn enter(&mut self) {
        self.entered = compare::enter(self.register.values(), &self.devices);
    }

    /// How the register and what was seen fit.
    pub fn comparison(&self) -> Comparison<'_> {
        compare::compare(self.register.values(), &self.devices)
    }

    /// The time of the last packet of all runs: what is "now" for a person who decides.
    pub fn now(&self) -> Timestamp {
        self.runs.values().filter_map(|run| run.last_packet).max().unwrap_or_default()
    }

    /// The answers about one device.
    pub fn checks_of(&self, device: DeviceId) -> impl Iterator<Item = &KeptCheck> {
        self.checks.range((device, Cow::Borrowed(""))..).take_while(move |((of, _), _)| *of == device).map(|(_, check)| check)
    }

    /// A device by its id or by an id that it had.
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(&id).or_else(|| self.devices.values().find(|device| device.aliases.contains(&id)))
    }

    /// The runs whose packets were of this time.
    pub fn runs_at(&self, time: Timestamp) -> Vec<&Run> {
        let within = |run: &&Run| run.first_packet <= Some(time) && Some(time) <= run.last_packet && !run.again;
        self.runs.values().filter(within).collect()
    }

    /// Adds a run.
    pub fn add(&mut self, report: &Report, mut run: Run) -> Added {
        let counting = if run.again { Counting::Greatest } else { Counting::Sum };
        run.number = self.runs.last_key_value().map_or(1, |(last, _)| last + 1);
        let mut added = Added { run: run.number, ..Added::default() };
        let now = self.add_devices(report.inventory.devices().map(|device| (device.id, device)).collect(), counting, &mut added);
        self.move_answers(&now, &mut added);
        self.move_credentials(&now, &mut added);
        let device = |id: DeviceId| now.get(&id).copied().unwrap_or(id);
        let (presented, shed) = report.inventory.presented();
        added.dropped += shed;
        for (id, presented) in presented {
            self.add_credentials(device(id), presented, counting, &mut added);
        }
        let open: BTreeSet<String> = self.open_findings().iter().map(|finding| finding.id.clone()).collect();
        for check in &report.judgement.checks {
            self.add_check(KeptCheck::new(check, device(check.device), run.last_packet), &mut added);
        }
        for finding in &report.judgement.findings {
            let kept = KeptFinding::new(finding, device(finding.device), Some(run.number));
            *(if self.findings.contains_key(&kept.id) { &mut added.known_findings } else { &mut added.new_findings }) += 1;
            self.add_finding(kept, counting, &mut added);
        }
        if let Some(learned) = &report.learned {
            self.learn(learned, counting, run.last_packet, &mut added);
        }
        let still_open: BTreeSet<String> = self.open_findings().iter().map(|finding| finding.id.clone()).collect();
        added.cleared_findings = open.difference(&still_open).filter(|id| self.findings.contains_key(*id)).count();
        self.runs.insert(run.number, run);
        self.alert(report, &mut added);
        self.enter();
        added
    }

    /// Brings the alerts up to what stands now.
    fn alert(&mut self, report: &Report, added: &mut Added) {
        let now = self.now();
        let mut alerts = std::mem::take(&mut self.alerts);
        alerts.set_policy(&report.alert_policy);
        added.told =
            alerts.update(self.findings.values().filter(|finding| self.is_open(finding)).filter_map(KeptFinding::standing), now);
        let cleared = self.findings.values().filter(|finding| !self.is_open(finding));
        let resolved = alerts.clear(cleared.filter_map(|finding| FindingId::parse(&finding.id)), now);
        added.told.extend(resolved);
        added.changed.alerts = alerts.take_changed();
        self.alerts = alerts;
    }

    /// Adds devices; answers which id became which, of the run and of the store.
    fn add_devices(
        &mut self,
        new: BTreeMap<DeviceId, Device>,
        counting: Counting,
        added: &mut Added,
    ) -> HashMap<DeviceId, DeviceId> {
        let seen =
            |device: &Device, run: &Run| run.first_packet <= Some(device.last_seen) && Some(device.first_seen) <= run.last_packet;
        let told_apart = |a: &Device, b: &Device| self.runs.values().any(|run| seen(a, run) && seen(b, run));
        let assigned = merge::assign(&self.devices, &new, told_apart);
        let mut now: HashMap<DeviceId, DeviceId> = HashMap::new();
        let mut merged: Vec<Device> = Vec::with_capacity(new.len());
        for device in new.into_values() {
            let mut olds = assigned.get(&device.id).into_iter().flatten().filter_map(|id| self.devices.remove(id));
            let Some(mut one) = olds.next() else {
                added.new_devices += 1;
                added.changed.devices.insert(device.id);
                merged.push(device);
                continue;
            };
            let mut ids = vec![one.id, device.id];
            for old in olds {
                ids.push(old.id);
                added.joined_devices += 1;
                added.dropped += merge::merge(&mut one, &old, Counting::Sum);
            }
            added.known_devices += 1;
            added.dropped += merge::merge(&mut one, &device, counting);
            added.changed.devices.extend(ids.iter().copied().chain([one.id]));
            now.extend(ids.into_iter().filter(|id| *id != one.id).map(|id| (id, one.id)));
            merged.push(one);
        }
        self.devices.extend(merged.into_iter().map(|device| (device.id, device)));
        if !now.is_empty() {
            for device in self.devices.values_mut() {
                if merge::refer(device, &now) {
                    added.changed.devices.insert(device.id);
                }
            }
        }
        now
    }

    /// Hands findings and answers over where their device has another id now.
    fn move_answers(&mut self, now: &HashMap<DeviceId, DeviceId>, added: &mut Added) {
        let moved = |id: &DeviceId| now.contains_key(id);
        let checks: Vec<_> = self.checks.keys().filter(|(device, _)| moved(device)).cloned().collect();
        for key in checks {
            let Some(mut check) = self.checks.remove(&key) else { continue };
            check.device = now.get(&key.0).copied().unwrap_or(key.0);
            added.changed.checks.insert(key);
            self.add_check(check, added);
        }
        let mut renamed = Vec::new();
        let findings: Vec<String> =
            self.findings.iter().filter(|(_, finding)| moved(&finding.device)).map(|(id, _)| id.clone()).collect();
        for id in findings {
            let Some(mut finding) = self.findings.remove(&id) else { continue };
            finding.belongs_to(now.get(&finding.device).copied().unwrap_or(finding.device));
            let ids = FindingId::parse(&id).zip(FindingId::parse(&finding.id));
            renamed.extend(ids.map(|(old, new)| (old, new, finding.device)));
            added.changed.findings.insert(id);
            self.add_finding(finding, Counting::Sum, added);
        }
        self.alerts.rename(&renamed);
    }

    fn move_credentials(&mut self, now: &HashMap<DeviceId, DeviceId>, added: &mut Added) {
        let moved: Vec<DeviceId> = self.credentials.keys().filter(|id| now.contains_key(id)).copied().collect();
        for id in moved {
            let Some(presented) = self.credentials.remove(&id) else { continue };
            added.changed.credentials.insert(id);
            self.add_credentials(now.get(&id).copied().unwrap_or(id), presented, Counting::Sum, added);
        }
    }

    fn add_credentials(&mut self, device: DeviceId, new: Vec<PresentedCredential>, counting: Counting, added: &mut Added) {
        added.changed.credentials.insert(device);
        added.dropped += presented::join(self.credentials.entry(device).or_default(), new, counting);
    }

    pub(super) fn add_check(&mut self, check: KeptCheck, added: &mut Added) {
        let key = (check.device, check.check.clone());
        added.changed.checks.insert(key.clone());
        match self.checks.get_mut(&key) {
            Some(known) => known.merge(check),
            None => {
                self.checks.insert(key, check);
            }
        }
    }

    pub(super) fn add_finding(&mut self, finding: KeptFinding, counting: Counting, added: &mut Added) {
        added.changed.findings.insert(finding.id.clone());
        match self.findings.get_mut(&finding.id) {
            Some(known) => known.merge(finding, counting),
            None => {
                self.findings.insert(finding.id.clone(), finding);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hot::digest::CredentialDigest;
    use crate::inventory::Sighting;
    use citytap_sensor::observation::CredentialKind;

    fn presented(digest: u8, at: u64) -> PresentedCredential {
        let seen = Timestamp(at);
        PresentedCredential {
            kind: CredentialKind::Token,
            digest: CredentialDigest::from_store([digest; 16]),
            seen: Sighting { first_frame: at, first_seen: seen, last_frame: at, last_seen: seen, count: 1 },
            last_accepted: None,
            last_refused: None,
        }
    }

    #[test]
    fn what_a_device_presented_goes_with_it_to_its_new_id() {
        let [old, other, new] = [1, 2, 3].map(DeviceId);
        let mut contents = Contents::default();
        contents.credentials.insert(old, vec![presented(1, 10), presented(2, 20)]);
        contents.credentials.insert(other, vec![presented(2, 30)]);
        contents.credentials.insert(new, vec![presented(3, 40)]);
        let mut added = Added::default();
        contents.move_credentials(&[(old, new), (other, new)].into(), &mut added);
        assert_eq!(contents.credentials.keys().collect::<Vec<_>>(), [&new]);
        let counts: Vec<_> = contents.credentials[&new].iter().map(|one| (one.seen.first_frame, one.seen.count)).collect();
        assert_eq!(counts, [(10, 1), (20, 2), (40, 1)]);
        // What stands nowhere any more is removed from the store.
        assert_eq!(added.changed.credentials, [old, other, new].into());
    }
}
