//! Matches become findings, in the order in which they were seen: those of single messages at once, those of correlations when a window fires.

use super::correlate::{Arrival, Correlation, Member, Windows};
use super::meta::{bare, is_called, placeholders};
use super::{Aside, Matched, Meta, Rule, RuleFile, RuleSet, Values};
use crate::findings::judge::{Check, Finding, Judgement, Outcome, Words};
use crate::findings::{Answer, Argument, CheckSpec, Evidence, Found, Verdict};
use crate::hot::owned::{IdentityKey, Seen};
use crate::inventory::DeviceId;
use crate::keys::Derived;
use crate::policy::Policy;
use citytap_sensor::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// Findings of rules remembered: the size of city that one appliance is for.
pub const FINDINGS: usize = 1 << 17;

/// How a sentence calls what a correlation counted.
const COUNT: &str = "_count";

/// What is said of devices on which nothing was found while something was dropped.
const DROPPED: &str = "matches of rules were dropped for want of room: what was not found may have been among them";

/// What rules found.
pub struct Stage {
    set: Arc<RuleSet>,
    /// Those of the set, with the numbers that a person set.
    correlations: Arc<[Correlation]>,
    /// By the position of the rule, or behind the rules of the correlation, by whom it is about and by what stands in the sentence.
    found: HashMap<(usize, IdentityKey, Values), Hit, FixedState>,
    windows: Vec<Windows>,
    /// For each rule, the correlations that count it, with its position among their members; then for each correlation.
    counted_by: Vec<Vec<(usize, usize)>>,
    /// For each rule, then for each correlation, which of its values stand in the finding's sentence.
    told: Vec<Vec<usize>>,
    /// Packet time so far.
    now: Timestamp,
    /// Matches that all windows keep.
    entries: usize,
    /// Findings that there was no room for, and matches that did not leave their shard.
    shed: u64,
    lost: u64,
    matches: Vec<u64>,
}

struct Hit {
    other: IdentityKey,
    evidence: Evidence,
    /// The most values that a correlation counted, where it counts values.
    count: Option<u64>,
}

impl Stage {
    /// With nothing matched.
    pub fn new(set: Arc<RuleSet>, policy: &Policy) -> Self {
        let mut correlations = set.correlations.clone();
        correlations.iter_mut().for_each(|correlation| {
            let name = correlation.meta.name.clone();
            correlation.adjust(|number| policy.said(&name, number));
        });
        let rules = set.rules.len();
        let mut counted_by = vec![Vec::new(); rules + set.correlations.len()];
        for (number, correlation) in set.correlations.iter().enumerate() {
            for (at, member) in correlation.members.iter().enumerate() {
                let of = match *member {
                    Member::Rule(rule) => rule,
                    Member::Correlation(other) => rules + other,
                };
                counted_by[of].push((number, at));
            }
        }
        let places = |meta: &Meta, at: &dyn Fn(&str) -> Option<usize>| -> Vec<usize> {
            placeholders(meta.spec.finding).map(|name| at(bare(name)).unwrap_or(usize::MAX)).collect()
        };
        let of_rule =
            |rule: &Rule| places(&rule.meta, &|name| rule.captures.iter().position(|capture| is_called(&capture.name, name)));
        let of_correlation = |correlation: &Correlation| {
            places(&correlation.meta, &|name| correlation.group_by.iter().position(|group| is_called(group, name)))
        };
        Self {
            told: set.rules.iter().map(of_rule).chain(set.correlations.iter().map(of_correlation)).collect(),
            windows: set.correlations.iter().map(|_| Windows::default()).collect(),
            matches: vec![0; counted_by.len()],
            counted_by,
            found: HashMap::default(),
            now: Timestamp::default(),
            entries: 0,
            shed: 0,
            lost: 0,
            correlations: correlations.into(),
            set,
        }
    }

    /// Takes a match; they come in the order of their places.
    pub fn take(&mut self, matched: Matched, seen: Seen) {
        let set = self.set.clone();
        self.now = self.now.max(seen.time);
        let number = usize::from(matched.rule);
        let Some(rule) = set.rules.get(number) else { return };
        self.matches[number] += 1;
        if rule.alone {
            self.find(number, &matched, &matched.values, &[seen], None);
        }
        self.count(number, &matched, &matched.values, seen);
    }

    /// Shows what a key made readable to the rules.
    pub fn derived(&mut self, derived: &Derived) {
        let set = self.set.clone();
        let bearer = derived.bearer();
        derived.with_record(&mut |record| {
            let aside = Aside { seen: derived.seen, network: derived.network, service: record.kind().protocol(), record };
            set.show(aside, &bearer, &mut |matched| self.take(matched, derived.seen));
        });
    }

    /// Takes note of matches that did not leave their shard.
    pub fn lose(&mut self, matches: u64) {
        self.lost += matches;
    }

    /// Forgets what is older than its correlation looks back.
    pub fn epoch(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        for (windows, correlation) in self.windows.iter_mut().zip(self.correlations.iter()) {
            windows.sweep(correlation, self.now, &mut self.entries);
        }
    }

    /// Shows a match to the correlations that count the rule, and what they fire to those that count them.
    fn count(&mut self, number: usize, matched: &Matched, values: &Values, seen: Seen) {
        if self.counted_by[number].is_empty() {
            return;
        }
        let (rules, correlations) = (self.set.rules.len(), self.correlations.clone());
        for at in 0..self.counted_by[number].len() {
            let (correlation, member) = self.counted_by[number][at];
            let spec = &correlations[correlation];
            let (group, value) = spec.projections[member].split_at(spec.group_by.len());
            let group = values.select(group);
            let value = value.first().and_then(|at| values.get(*at));
            let arrival = Arrival { seen, now: self.now, group: &group, value, member };
            let Some(fired) = self.windows[correlation].take(spec, arrival, &mut self.entries) else { continue };
            let own = rules + correlation;
            self.matches[own] += 1;
            if spec.alone {
                self.find(own, matched, &group, &fired.fresh, fired.count);
            }
            self.count(own, matched, &group, seen);
        }
    }

    fn find(&mut self, number: usize, matched: &Matched, values: &Values, seen: &[Seen], count: Option<u64>) {
        let Some(meta) = self.meta(number) else { return };
        let field = meta.field;
        let [subject, other] = meta.subject.of(matched);
        let key = (number, subject, values.select(&self.told[number]));
        if self.found.len() >= FINDINGS && !self.found.contains_key(&key) {
            self.shed += 1;
            return;
        }
        let hit = self.found.entry(key).or_insert_with(|| Hit { other, evidence: Evidence::default(), count: None });
        seen.iter().for_each(|seen| hit.evidence.add(*seen, field));
        hit.count = hit.count.max(count);
    }

    fn meta(&self, number: usize) -> Option<&Meta> {
        let rules = self.set.rules.len();
        match number.checked_sub(rules) {
            None => self.set.rules.get(number).map(|rule| &rule.meta),
            Some(correlation) => self.correlations.get(correlation).map(|correlation| &correlation.meta),
        }
    }

    /// Shows what was found. Where nobody of ours has the name that it is about, it is told of who else took part.
    pub fn verdicts(&self, is_ours: &dyn Fn(&IdentityKey) -> bool, take: &mut dyn FnMut(Verdict)) {
        for ((number, subject, values), hit) in &self.found {
            let Some(meta) = self.meta(*number) else { continue };
            let subject = if is_ours(subject) || !is_ours(&hit.other) { subject } else { &hit.other };
            let found = Found {
                severity: meta.severity,
                confidence: meta.confidence,
                arguments: arguments(meta.spec, values, hit.count.unwrap_or(hit.evidence.count)),
                evidence: hit.evidence.clone(),
            };
            take(Verdict { check: meta.spec, subject: subject.clone(), answer: Answer::Found(found) });
        }
    }

    /// Nothing is asked of what was found any more.
    pub fn forget_found(&mut self) {
        self.found = HashMap::default();
    }

    /// Answers for the devices on whose traffic no rule about a protocol found anything. `spoken` tells who spoke which protocol, by device. Where
    /// matches or findings were dropped nobody is clear: what was dropped may have been theirs.
    pub fn clear(&self, spoken: impl Iterator<Item = (DeviceId, &'static str)>, judgement: &mut Judgement) {
        let services = &self.set.services;
        let of_rule: HashMap<&str, Vec<usize>, FixedState> =
            services.iter().enumerate().fold(HashMap::default(), |mut all, (at, service)| {
                service.rules.iter().for_each(|rule| all.entry(*rule).or_insert_with(Vec::new).push(at));
                all
            });
        let of_finding = |finding: &Finding| {
            of_rule.get(finding.spec.id).into_iter().flatten().map(|at| (finding.device, *at)).collect::<Vec<_>>()
        };
        let found: HashSet<(DeviceId, usize), FixedState> = judgement.findings.iter().flat_map(of_finding).collect();
        let whole = self.shed().next().is_none();
        let mut before = None;
        let mut said: Vec<usize> = Vec::new();
        for (device, protocol) in spoken {
            if before != Some(device) {
                before = Some(device);
                said.clear();
            }
            let Some(at) = services.iter().position(|service| service.name == protocol).filter(|at| !said.contains(at)) else {
                continue;
            };
            said.push(at);
            if !found.contains(&(device, at)) {
                let (outcome, words) = match whole {
                    true => (Outcome::Clear, services[at].clear.clone()),
                    false => (Outcome::Untested, Words::Fixed(DROPPED)),
                };
                judgement.checks.push(Check::without_finding(services[at].spec, device, outcome, words));
            }
        }
        judgement.checks.sort_unstable_by(|a, b| (a.spec.id, a.device).cmp(&(b.spec.id, b.device)));
    }

    /// Its rules.
    pub fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// The files of its rules.
    pub fn files(&self) -> &[RuleFile] {
        self.set.files()
    }

    /// How often each rule and correlation matched, by name, those that did.
    pub fn matches(&self) -> impl Iterator<Item = (&str, u64)> {
        self.matches
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .filter_map(|(at, count)| Some((self.meta(at)?.name.as_str(), *count)))
    }

    /// Bounds that were hit, with how often.
    pub fn shed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let windows = self.windows.iter().map(|windows| windows.shed).sum();
        [("rule_matches", self.lost), ("rule_findings", self.shed), ("correlation_windows", windows)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
    }
}

/// What stands in the finding's sentence. It parts no actions: one remedy is one action, whomever it is about.
fn arguments(spec: &CheckSpec, values: &Values, count: u64) -> Vec<Argument> {
    let argument = |(name, value): (&'static str, Option<&str>)| match value {
        _ if name == COUNT => (name, count.to_string().into()),
        Some(value) => (name, value.to_owned().into()),
        None => (name, "unknown".into()),
    };
    let mut arguments: Vec<Argument> = placeholders(spec.finding).zip(values.iter()).map(argument).collect();
    arguments.sort();
    arguments.dedup();
    arguments
}
