//! What is normal here, learned in packet time, and what deviates from it: who reads, writes and commands what, who publishes on which topic, which
//! gateway reports where, who speaks to whom, how often each device speaks, which values registers take; new devices and silent ones.
//!
//! - [`relations`] and [`silence`] and [`values`] gather what a run sees, under the names of the wire.
//! - [`parties`] says which device each name is, by the inventory, and which device of the baseline that is.
//! - [`judge`] and [`devices`] say what is new, with the three answers: found, clear, or learning.
//! - [`learned`] is the baseline itself; [`teach`] is what a run adds to it.
//!
//! Until enough is known nothing is found (parameter `learning_days`: days with activity, 7 as shipped). Days of one long run and of runs that a
//! store joins are the same: a replay of eight days finds on the eighth what eight replays of a day find. Where nothing outlives the
//! run, no device is new.

pub mod checks;
pub mod days;
pub mod devices;
pub mod judge;
pub mod learned;
pub mod numbered;
pub mod parties;
pub mod relations;
pub mod silence;
pub mod teach;
mod topics;
pub mod values;

use super::{Detector, DetectorSpec};
use crate::findings::{Answer, Severity, Verdict};
use crate::hot::owned::{Event, FlowSummary, Interest, OwnedFact, OwnedValue, Seen};
use crate::inventory::Inventory;
use crate::policy::Policy;
use citytap_sensor::time::Timestamp;
use devices::{Memory, Numbers};
use judge::{Judge, found};
use learned::{Baseline, Kind};
use parties::Parties;
use relations::Rows;
use silence::Lives;
use std::collections::BTreeMap;
use std::sync::Arc;
use teach::Learned;
use values::Values;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "baseline",
    checks: checks::ALL,
    interests: INTERESTS,
    parameters: checks::PARAMETERS,
    make: |making| Box::new(Watch::new(making.policy)),
};

/// What relations and values want to see.
const INTERESTS: &[Interest] = &{
    let (mut all, mut at) = ([values::INTERESTS[0]; relations::INTERESTS.len() + values::INTERESTS.len()], 0);
    while at < relations::INTERESTS.len() {
        all[values::INTERESTS.len() + at] = relations::INTERESTS[at];
        at += 1;
    }
    all[1] = values::INTERESTS[1];
    all
};

/// What the registers of one device come to.
#[derive(Default)]
struct OfDevice {
    judged: usize,
    waiting: bool,
    days: days::Days,
}

/// Watches a run.
pub struct Watch {
    policy: Policy,
    numbers: Numbers,
    /// What was known before; `None` where nothing outlives the run.
    base: Option<Arc<Baseline>>,
    rows: Rows,
    lives: Lives,
    values: Values,
}

impl Watch {
    fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.clone(),
            numbers: Numbers::new(policy),
            base: None,
            rows: Rows::default(),
            lives: Lives::default(),
            values: Values::new(policy),
        }
    }

    /// Judges what this run saw so far by what was known before; answers what is known after it.
    fn judge(&self, inventory: &Inventory, take: &mut dyn FnMut(Verdict)) -> Learned {
        let nothing = Baseline::default();
        let base = self.base.as_deref().unwrap_or(&nothing);
        let memory = Memory { base, days: base.days.union(self.lives.days()) };
        let judge = Judge::new(base, &self.policy, Parties::new(inventory, base, &self.lives), &self.rows);
        let parties = &judge.parties;
        let new = judge.judge(take);
        let gateways = new.iter().filter(|rel| rel.kind == Kind::Reports);
        let told = gateways.map(|rel| rel.actor).collect();
        devices::verdicts(parties, &memory, &self.numbers, &told, take);
        self.values(parties, take);
        let (after, not_kept) = teach::after(&memory, &judge, &new, &self.values, &self.lives, &self.numbers);
        let shed = [
            ("baseline_devices_not_judged", parties.beyond()),
            ("baseline_devices_not_kept", not_kept.parties),
            ("baseline_names_not_kept", not_kept.names),
            ("baseline_relations_not_kept", not_kept.relations),
            ("baseline_names_not_watched", self.lives.shed()),
            ("baseline_relations_not_watched", self.rows.shed()),
            ("baseline_registers_not_watched", self.values.shed()),
        ];
        Learned::new(after, parties, &self.numbers, &self.policy, shed.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    /// Values out of the usual.
    fn values(&self, parties: &Parties<'_>, take: &mut dyn FnMut(Verdict)) {
        let learning_days = u32::try_from(self.policy.number(&checks::VALUE_DAYS)).unwrap_or(u32::MAX);
        let samples = self.policy.number(&checks::VALUE_SAMPLES);
        let mut judged: BTreeMap<_, OfDevice> = BTreeMap::new();
        for (point, watched) in self.values.sorted() {
            let Some(owner) = parties.device(&point.device(), watched.last) else { continue };
            let moved = watched.party.as_ref().is_some_and(|party| party != parties.texts.text(owner));
            let Some(subject) = parties.present(owner).map(|present| present.subject).filter(|_| !moved) else { continue };
            let entry = judged.entry(subject).or_default();
            if let Some(register) = &watched.register {
                entry.days = entry.days.union(register.days);
                let day = register.days.last().unwrap_or_default();
                entry.judged += usize::from(register.is_usual(day, learning_days, samples));
                entry.waiting |= register.outside.is_some();
            }
            if watched.outside.count > 0 {
                let (least, greatest) = watched.limits;
                let register = format!("{} {} of unit {}", point.table, point.address, point.unit);
                let arguments = vec![
                    ("_greatest", greatest.to_string().into()),
                    ("_least", least.to_string().into()),
                    ("_register", register.into()),
                    ("_value", watched.value.to_string().into()),
                ];
                take(found(&checks::VALUE, subject.clone(), Severity::Medium, arguments, watched.outside.clone()));
            }
        }
        for (subject, of_device) in judged {
            let answer = match of_device.judged {
                _ if of_device.waiting => Answer::Untested(judge::WAITS.into()),
                0 => judge::still_learning(of_device.days, false, learning_days)
                    .unwrap_or(Answer::Untested("no register of it has a range that says something".into())),
                1 => Answer::Clear("1 register keeps within its range".into()),
                more => Answer::Clear(format!("{more} registers keep within their ranges").into()),
            };
            take(Verdict { check: &checks::VALUE, subject: subject.clone(), answer });
        }
    }
}

impl Detector for Watch {
    fn begin(&mut self, baseline: &Arc<Baseline>) {
        self.values.begin(baseline);
        self.base = Some(baseline.clone());
    }

    fn fact(&mut self, fact: &OwnedFact, seen: Seen) {
        self.rows.fact(fact, seen);
        self.lives.fact(fact, seen);
    }

    /// Requests are asked for twice, with values and without: which it is, the first field tells.
    fn event(&mut self, event: &Event) {
        match event.fields.first() {
            Some(OwnedValue::Numbers(_)) => self.values.event(event),
            _ => self.rows.event(event),
        }
    }

    fn flow(&mut self, flow: &FlowSummary) {
        self.rows.flow(flow);
        self.lives.flow(flow);
    }

    fn epoch(&mut self, now: Timestamp) {
        self.lives.epoch(now);
    }

    fn verdicts(&self, inventory: &Inventory, take: &mut dyn FnMut(Verdict)) {
        self.judge(inventory, take);
    }

    fn conclude(&self, inventory: &Inventory, take: &mut dyn FnMut(Verdict)) -> Option<Learned> {
        Some(self.judge(inventory, take)).filter(|_| self.base.is_some())
    }

    /// What found no room is told by name with what was learned.
    fn shed(&self) -> u64 {
        0
    }
}
