//! Joins the stages of a run: shards, inventory, keys, detectors, findings, actions. The only module that knows them all.
//!
//! [`replay`] reads captures to their end and reports once; [`live::listen`] does the same to what passes now, and reports as it goes.

pub mod live;

use crate::config::{Config, Summary};
use crate::detectors::baseline::learned::Baseline;
use crate::detectors::baseline::teach::Learned;
use crate::detectors::{self, Detector, DetectorSpec, Making};
use crate::findings::actions::{Action, Directory, actions, name_device};
use crate::findings::alerts::{AlertPolicy, Alerts};
use crate::findings::judge::{Finding, Judgement, Jury};
use crate::findings::risk::{Context, Gravest, Risk};
use crate::hot::digest::DigestKey;
use crate::hot::owned::{Event, FlowSummary, Interest, OwnedFact, Seen};
use crate::hot::{Batch, Change, Hot, Wishes, in_order};
use crate::inventory::exposure::Exposure;
use crate::inventory::{Device, DeviceId, Inventory, InventoryConfig};
use crate::keys::{Derived, Keys};
use crate::policy::Policy;
use crate::rules::stage::Stage;
use crate::rules::{self, RuleFile, RuleSet};
use crate::signatures;
use citytap_sensor::capture::CaptureSource;
use citytap_sensor::counters::Counters;
use citytap_sensor::dispatch::{self, EpochEnd, Outcome};
use citytap_sensor::flow::Transport;
use citytap_sensor::pipeline::SensorConfig;
use citytap_sensor::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a run is set up with.
#[derive(Clone)]
pub struct Setup {
    /// Threads to use.
    pub threads: usize,
    /// What it goes by.
    pub config: Config,
    /// The key of the store that the run is added to: credentials are digested under it, and nothing but the store takes the digests.
    pub digest_key: Option<Arc<DigestKey>>,
    /// The rules that it asks of messages.
    pub rules: Arc<RuleSet>,
    /// What a person changed about checks.
    pub policy: Policy,
    /// Key of the hash tables: 0 in replay, random live. Nothing that is told depends on it.
    pub seed: u64,
    /// What is normal here by earlier runs; `None` where nothing outlives the run.
    pub baseline: Option<Arc<Baseline>>,
}

/// One thread, what is shipped, and the rules that come with the program.
impl Default for Setup {
    fn default() -> Self {
        Self {
            threads: 1,
            config: Config::default(),
            digest_key: None,
            rules: rules::embedded().clone(),
            policy: Policy::default(),
            seed: 0,
            baseline: None,
        }
    }
}

impl Setup {
    fn sensor(&self) -> SensorConfig {
        SensorConfig { seed: self.seed, ..self.config.sensor() }
    }
}

impl Setup {
    /// The detectors of the run, in the order in which stages are numbered.
    fn detectors(&self) -> impl Iterator<Item = &'static DetectorSpec> {
        detectors::of_run(self.baseline.is_some())
    }
}

/// All that a run found out.
pub struct Report {
    /// The devices.
    pub inventory: Inventory,
    /// The answers.
    pub judgement: Judgement,
    /// What to do, the most urgent first.
    pub actions: Vec<Action>,
    /// What a person is told, once.
    pub alerts: Alerts,
    /// What is told at once.
    pub alert_policy: AlertPolicy,
    /// What each device is exposed to, in the order of ids.
    pub exposures: Vec<(DeviceId, Exposure)>,
    /// What is normal here after this run; `None` where nothing outlives it.
    pub learned: Option<Learned>,
    /// What was seen and what was not.
    pub coverage: Coverage,
    /// What the run went by.
    pub configuration: Summary,
    /// The files of the rules that it asked.
    pub rule_files: Vec<RuleFile>,
    /// Wall time of each stage, for the benchmark; it stands in no output.
    pub stages: Vec<(&'static str, Duration)>,
}

impl Report {
    /// The devices with their risks, in the order of ids.
    pub fn devices(&self) -> impl Iterator<Item = (Device, Risk)> + '_ {
        let gravest = Gravest::new(self.judgement.findings.iter().map(Finding::part));
        self.inventory.devices().map(move |device| {
            let risk = gravest.risk(device.id, context(&self.exposures, device.id));
            (device, risk)
        })
    }
}

/// What of a device weighs beside its findings: what a person says of it stands in a store alone.
fn context(exposures: &[(DeviceId, Exposure)], device: DeviceId) -> Context {
    let at = exposures.binary_search_by_key(&device, |(id, _)| *id);
    let exposure = at.ok().and_then(|at| exposures.get(at)).map(|(_, exposure)| *exposure);
    Context { exposure: exposure.unwrap_or_default(), criticality: None }
}

/// What was seen, dropped, one-way, encrypted, undecoded.
#[derive(Default)]
pub struct Coverage {
    /// The sensor's counters.
    pub counters: Counters,
    /// Time stamp of the first packet and time of the last.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Messages of each kind of record, those that keys made readable included.
    pub records: BTreeMap<&'static str, u64>,
    /// Anomalies of each code: where first seen, and how often.
    pub anomalies: BTreeMap<&'static str, (Seen, u64)>,
    /// Flows that ended, by the protocol recognised in them.
    pub flows: BTreeMap<&'static str, u64>,
    /// Packets of link types that are not decoded, by the type's number.
    pub undecoded_link_types: BTreeMap<u16, u64>,
    /// TCP flows of which one direction alone was seen.
    pub one_way: u64,
    /// Names of bounds of the cold half that were hit, with how often.
    pub shed: BTreeMap<String, u64>,
    /// Matches of each rule, and how often each correlation fired.
    pub rules: BTreeMap<String, u64>,
    /// What keys did, by name: frames checked, the owner's keys, bounds that were hit.
    pub keys: BTreeMap<&'static str, u64>,
}

/// Protocols whose contents are encrypted.
const ENCRYPTED: &[&str] = &["tls", "dtls"];

impl Coverage {
    /// Flows that are encrypted.
    pub fn encrypted(&self) -> u64 {
        ENCRYPTED.iter().filter_map(|name| self.flows.get(name)).sum()
    }

    /// Takes what the dispatcher and the shards counted.
    fn stands(&mut self, outcome: Outcome) {
        self.counters = outcome.counters;
        self.span = outcome.span;
        let by_number = outcome.undecoded_link_types.into_iter().map(|(link_type, packets)| (link_type.0, packets));
        self.undecoded_link_types = by_number.collect();
    }

    fn flow(&mut self, flow: &FlowSummary) {
        if !flow.closed {
            return;
        }
        if let Some(protocol) = flow.protocol {
            *self.flows.entry(protocol).or_insert(0) += 1;
        }
        self.one_way += u64::from(flow.transport == Transport::Tcp && !flow.answered);
    }
}

/// Runs captures through all stages.
///
/// # Errors
/// What the source answers when it cannot go on.
pub fn replay(source: &mut dyn CaptureSource, setup: &Setup) -> Result<Report, citytap_sensor::capture::CaptureError> {
    let started = Instant::now();
    let wishes = wishes(setup);
    let mut cold = Cold::new(setup, wishes.clone());
    let make = |_| Hot::new(wishes.clone());
    let mut in_cold = Duration::ZERO;
    let outcome = dispatch::run(source, setup.sensor(), &setup.config.network_map(), setup.threads, make, |epoch| {
        let began = Instant::now();
        cold.epoch(epoch);
        in_cold += began.elapsed();
        true
    })?;
    let whole = started.elapsed();
    cold.coverage.stands(outcome);
    let audit = cold.in_audit;
    let mut report = cold.report(false);
    report.stages.splice(
        0..0,
        [
            ("capture, flows, decoders, observers", whole.saturating_sub(in_cold)),
            ("inventory, detectors", in_cold.saturating_sub(audit)),
            ("key audit", audit),
        ],
    );
    Ok(report)
}

/// What the cold half wants of the shards.
fn wishes(setup: &Setup) -> Arc<Wishes> {
    let of_keys = Keys::interests();
    let stages: Vec<&[Interest]> = std::iter::once(&*of_keys).chain(setup.detectors().map(|spec| spec.interests)).collect();
    let wishes = Wishes::new(setup.sensor().decoders, &stages, signatures::look_up).unwrap_or_else(|error| {
        // The interests are ours and tested against the decoders.
        debug_assert!(false, "{error}");
        Wishes::nothing(signatures::look_up)
    });
    Arc::new(wishes.digested(setup.digest_key.clone()).with_rules(setup.rules.clone()).of_site(setup.config.ours()))
}

/// The cold half: takes epochs whole.
struct Cold {
    inventory: Inventory,
    keys: Keys,
    /// What the stages asked for, also of what keys make readable.
    wishes: Arc<Wishes>,
    detectors: Vec<Box<dyn Detector>>,
    policy: Policy,
    rules: Stage,
    coverage: Coverage,
    configuration: Summary,
    alert_policy: AlertPolicy,
    /// Wall time of the key audit, for the benchmark.
    in_audit: Duration,
}

impl Cold {
    fn new(setup: &Setup, wishes: Arc<Wishes>) -> Self {
        let config = &setup.config;
        let (zones, ours) = (Arc::new(config.zones()), Arc::new(config.ours()));
        let making = Making { policy: &setup.policy, zones: &zones, ours: &ours };
        let detectors = setup.detectors().map(|spec| (spec.make)(&making)).collect();
        let mut cold = Self {
            rules: Stage::new(setup.rules.clone(), &setup.policy),
            inventory: Inventory::new(InventoryConfig { hash_seed: setup.seed, ..config.inventory() }),
            keys: Keys::new(config.keys.clone(), config.budget()),
            wishes,
            detectors,
            policy: setup.policy.clone(),
            coverage: Coverage::default(),
            configuration: config.summary(),
            alert_policy: config.alerts(),
            in_audit: Duration::ZERO,
        };
        if let Some(baseline) = &setup.baseline {
            cold.begin(baseline);
        }
        cold
    }

    /// Goes by what is known of earlier runs.
    fn begin(&mut self, baseline: &Arc<Baseline>) {
        self.detectors.iter_mut().for_each(|detector| detector.begin(baseline));
    }

    fn epoch(&mut self, epoch: EpochEnd<Batch>) {
        let mut changes = Vec::with_capacity(epoch.batches.len());
        for batch in epoch.batches {
            changes.push(batch.changes);
            self.rules.lose(batch.matches_shed);
            for flow in &batch.flows {
                self.inventory.flow(flow);
                self.coverage.flow(flow);
                self.detectors.iter_mut().for_each(|detector| detector.flow(flow));
            }
            for (kind, count) in batch.tallies {
                *self.coverage.records.entry(kind).or_insert(0) += count;
            }
            for (code, seen, count) in batch.anomalies {
                let entry = self.coverage.anomalies.entry(code).or_insert((seen, 0));
                entry.0 = entry.0.min(seen);
                entry.1 += count;
            }
        }
        for (seen, change) in in_order(changes) {
            match change {
                Change::Fact(fact) => {
                    self.keys.fact(&fact);
                    self.fact(&fact, seen);
                }
                Change::Event(event) => self.event(&event),
                Change::Match(matched) => self.rules.take(*matched, seen),
            }
        }
        if !epoch.whole {
            return;
        }
        self.rules.epoch(epoch.now);
        let began = Instant::now();
        self.keys.work(epoch.now, epoch.last);
        self.in_audit += began.elapsed();
        for (seen, fact) in self.keys.take_facts() {
            self.fact(&fact, seen);
        }
        for derived in self.keys.take_derived() {
            *self.coverage.records.entry(derived.kind()).or_insert(0) += 1;
            self.rules.derived(&derived);
            self.derived(&derived);
        }
        self.detectors.iter_mut().for_each(|detector| detector.epoch(epoch.now));
    }

    /// Shows a record to those who asked for it. Stages are numbered as in [`wishes`]: the keys first, then the detectors as they stand.
    fn event(&mut self, event: &Event) {
        if event.stages & 1 != 0 {
            self.keys.observe(event);
        }
        let mut rest = event.stages >> 1;
        while rest != 0 {
            if let Some(detector) = self.detectors.get_mut(rest.trailing_zeros() as usize) {
                detector.event(event);
            }
            rest &= rest - 1;
        }
    }

    /// Shows what a key made readable to the detectors that asked for it.
    fn derived(&mut self, derived: &Derived) {
        let (wishes, mut events) = (self.wishes.clone(), Vec::new());
        derived.with_record(&mut |record| wishes.show(derived.seen, derived.network, record, &mut |event| events.push(event)));
        events.iter().for_each(|event| self.event(event));
    }

    fn fact(&mut self, fact: &OwnedFact, seen: Seen) {
        self.detectors.iter_mut().for_each(|detector| detector.fact(fact, seen));
        self.inventory.apply(fact, seen);
    }

    /// How things stand. The inventory and the coverage go with the report; a run that goes on [takes them back](Self::resume). One that ends
    /// needs what was asked no more: it makes room for the answers.
    fn report(&mut self, goes_on: bool) -> Report {
        let began = Instant::now();
        self.inventory.classes();
        let classed = Instant::now();
        let mut jury = Jury::new(&self.inventory, &self.policy);
        let (mut unwatched, mut learned) = (0, None);
        for detector in std::mem::take(&mut self.detectors) {
            learned = detector.conclude(&self.inventory, &mut |verdict| jury.take(verdict)).or(learned);
            unwatched += detector.shed();
            self.detectors.extend(goes_on.then_some(detector));
        }
        self.keys.verdicts(&mut |verdict| jury.take(verdict));
        let inventory = &self.inventory;
        self.rules.verdicts(&|name| inventory.device_of(name).is_some(), &mut |verdict| jury.take(verdict));
        if !goes_on {
            self.rules.forget_found();
        }
        let (mut judgement, homeless) = jury.judge();
        let set = self.rules.set().clone();
        if let Some(said) = rules::findings::judge(&set, &self.policy, &judgement.findings, &self.inventory) {
            let mut jury = Jury::new(&self.inventory, &self.policy);
            said.verdicts.into_iter().for_each(|verdict| jury.take(verdict));
            judgement.add(jury.judge().0);
            self.coverage.rules.extend(said.matches);
            self.coverage.shed.extend(said.shed.into_iter().map(|(name, count)| (format!("{name}_over_findings"), count)));
        }
        self.rules.clear(self.inventory.spoken(), &mut judgement);
        judgement.deliver(&self.alert_policy);
        let shed = &mut self.coverage.shed;
        let not_learned = learned.iter().flat_map(|learned: &Learned| &learned.shed);
        shed.extend(not_learned.map(|(name, count)| ((*name).to_owned(), *count)));
        for (counter, count) in self.inventory.counters().filter(|(_, count)| *count > 0) {
            shed.insert(counter.name().to_owned(), count);
        }
        shed.extend(self.keys.shed().map(|(name, count)| (name.to_owned(), count)));
        shed.extend(self.rules.shed().map(|(name, count)| (name.to_owned(), count)));
        self.coverage.rules.extend(self.rules.matches().map(|(name, count)| (name.to_owned(), count)));
        self.coverage.keys.extend(self.keys.tallies().into_iter().filter(|(_, count)| *count > 0));
        for (name, count) in [("answers_without_a_device", homeless), ("subjects_not_watched", unwatched)] {
            if count > 0 {
                shed.insert(name.to_owned(), count);
            }
        }
        let judged = Instant::now();
        let exposures: Vec<_> = self.inventory.exposures().collect();
        let actions = actions(judgement.findings.iter().map(Finding::part), &|device| context(&exposures, device));
        let mut alerts = Alerts::new(&self.inventory.config().site, self.alert_policy.clone());
        let now = self.coverage.span.map_or_else(Timestamp::default, |(_, last)| last);
        alerts.update(judgement.findings.iter().map(Finding::standing), now);
        if alerts.shed() > 0 {
            self.coverage.shed.insert("findings_without_an_alert".into(), alerts.shed());
        }
        let stages =
            vec![("classes", classed - began), ("checks", judged - classed), ("risk, actions, alerts", judged.elapsed())];
        Report {
            inventory: std::mem::replace(&mut self.inventory, Inventory::new(InventoryConfig::new(""))),
            judgement,
            actions,
            alerts,
            alert_policy: self.alert_policy.clone(),
            exposures,
            learned,
            coverage: std::mem::take(&mut self.coverage),
            configuration: self.configuration.clone(),
            rule_files: self.rules.files().to_vec(),
            stages,
        }
    }

    /// Goes on after a report.
    fn resume(&mut self, report: Report) {
        (self.inventory, self.coverage) = (report.inventory, report.coverage);
    }
}

impl Directory for Inventory {
    fn class(&self, id: DeviceId) -> Option<&str> {
        self.class_of(id)
    }

    fn called(&self, id: DeviceId) -> Option<String> {
        self.device(id).as_ref().map(name_device)
    }
}
