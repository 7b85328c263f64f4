//! Brings answers about names together to answers about devices: one for each check and device.
//!
//! Of several answers for one device the gravest counts: found before could-not-test before tested-and-clear where another name of the
//! device stays untested. Findings that differ in severity, confidence or arguments stay apart. What is presumed is a finding only where the
//! check that could prove it had nothing to test.

use super::{Answer, CheckSpec, Evidence, Severity, Verdict};
use crate::hot::owned::IdentityKey;
use crate::inventory::{DeviceId, Inventory};
use citytap_sensor::observation::Confidence;
use citytap_sensor::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A check's answer that matters, about one device.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Stable: a hash of check, device and arguments.
    pub id: String,
    /// Which check.
    pub check: &'static str,
    /// Which device.
    pub device: DeviceId,
    /// The name of the device that it was seen on.
    pub subject: String,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: &'static str,
    /// What was found, as a sentence.
    pub message: String,
    /// The arguments of the sentence.
    pub arguments: BTreeMap<Cow<'static, str>, String>,
    /// What the owner should do.
    pub remedy: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// CWE, CVE, ATT&CK, clauses.
    pub references: &'static [&'static str],
    /// When it was first seen.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen.
    pub last_seen: Option<Timestamp>,
    /// How often it was seen.
    pub count: u64,
    /// Where: the first three and the last three places.
    pub evidence: Vec<Place>,
    /// The question, for grouping.
    #[serde(skip)]
    pub spec: &'static CheckSpec,
    #[serde(skip)]
    pub(super) sureness: Confidence,
}

impl Finding {
    /// How sure, comparable.
    pub fn sureness(&self) -> Confidence {
        self.sureness
    }
}

/// A place in the captures.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// 1-based number of the packet over all captures of the run.
    pub frame: u64,
    /// Its time stamp.
    pub time: Timestamp,
    /// The field that shows it.
    pub field: Cow<'static, str>,
}

/// One of the three answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Tested, and it is not so.
    Clear,
    /// Could not be tested.
    Untested,
    /// It is so.
    Found,
}

/// The answer to one check about one device.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Which check.
    pub check: &'static str,
    /// Which device.
    pub device: DeviceId,
    /// The answer.
    pub outcome: Outcome,
    /// On what it was tested, or why it could not be; for a finding, the sentence.
    pub reason: String,
    /// The question.
    #[serde(skip)]
    pub spec: &'static CheckSpec,
}

/// All answers, sorted: by check, then device.
#[derive(Default)]
pub struct Judgement {
    /// What was found.
    pub findings: Vec<Finding>,
    /// Every answer.
    pub checks: Vec<Check>,
}

/// Judges devices by the answers about their names. An answer about a name that no device has any more is left out and counted.
pub fn judge(verdicts: Vec<Verdict>, inventory: &Inventory) -> (Judgement, u64) {
    let mut by_device: BTreeMap<(&'static str, DeviceId), Vec<Verdict>> = BTreeMap::new();
    let mut homeless = 0;
    for verdict in verdicts {
        match inventory.device_of(&verdict.subject) {
            Some(device) => by_device.entry((verdict.check.id, device)).or_default().push(verdict),
            None => homeless += 1,
        }
    }
    let tested: BTreeSet<_> = by_device.iter().filter(|(_, verdicts)| is_tested(verdicts)).map(|(key, _)| *key).collect();
    let mut judgement = Judgement::default();
    for ((_, device), mut verdicts) in by_device {
        verdicts.sort_by(|a, b| a.subject.cmp(&b.subject));
        for verdict in &mut verdicts {
            settle(&mut verdict.answer, |check| tested.contains(&(check.id, device)));
        }
        judge_device(device, verdicts, &mut judgement);
    }
    judgement.findings.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| a.check.cmp(b.check))
            .then_with(|| a.device.cmp(&b.device))
            .then_with(|| a.id.cmp(&b.id))
    });
    (judgement, homeless)
}

/// Whether answers rest on a test: something was found, or nothing that could not be tested stands beside what was clear.
fn is_tested(verdicts: &[Verdict]) -> bool {
    let found = verdicts.iter().any(|verdict| matches!(verdict.answer, Answer::Found(_)));
    let untested = verdicts.iter().any(|verdict| matches!(verdict.answer, Answer::Untested(_)));
    let clear = verdicts.iter().any(|verdict| matches!(verdict.answer, Answer::Clear(_)));
    found || clear && !untested
}

/// What was presumed becomes found, or gives way to a check that was tested.
fn settle(answer: &mut Answer, is_tested: impl Fn(&CheckSpec) -> bool) {
    if let Answer::Presumed(found, proof) = answer {
        *answer = if is_tested(proof) {
            Answer::Clear(format!("more is known: see {}", proof.title))
        } else {
            Answer::Found(found.clone())
        };
    }
}

fn judge_device(device: DeviceId, verdicts: Vec<Verdict>, judgement: &mut Judgement) {
    let Some(spec) = verdicts.first().map(|verdict| verdict.check) else { return };
    let mut found: BTreeMap<Key, (IdentityKey, Evidence)> = BTreeMap::new();
    let mut answer: Option<(u8, Outcome, String)> = None;
    for verdict in verdicts {
        let (weight, outcome, reason) = match verdict.answer {
            Answer::Found(one) | Answer::Presumed(one, _) => {
                let key = (std::cmp::Reverse(one.severity), std::cmp::Reverse(one.confidence), one.arguments);
                let reason = render(spec.finding, &key.2);
                let (_, evidence) = found.entry(key).or_insert_with(|| (verdict.subject, Evidence::default()));
                evidence.merge(&one.evidence);
                (3, Outcome::Found, reason)
            }
            Answer::Untested(reason) => (2, Outcome::Untested, reason),
            Answer::Clear(reason) => (1, Outcome::Clear, reason),
            Answer::Otherwise(reason) => (0, Outcome::Untested, reason.to_owned()),
        };
        if answer.as_ref().is_none_or(|(before, ..)| weight > *before) {
            answer = Some((weight, outcome, reason));
        }
    }
    let findings = found.into_iter().map(|(key, (subject, evidence))| finding(spec, device, key, &subject, &evidence));
    judgement.findings.extend(findings);
    if let Some((_, outcome, reason)) = answer {
        judgement.checks.push(Check { check: spec.id, device, outcome, reason, spec });
    }
}

type Key = (std::cmp::Reverse<Severity>, std::cmp::Reverse<Confidence>, Vec<(&'static str, String)>);

fn finding(spec: &'static CheckSpec, device: DeviceId, key: Key, subject: &IdentityKey, evidence: &Evidence) -> Finding {
    let (severity, sureness, arguments) = (key.0.0, key.1.0, key.2);
    let id = finding_id(spec.id, device, arguments.iter().map(|(name, value)| (*name, value.as_str())));
    Finding {
        id,
        check: spec.id,
        device,
        subject: subject.to_string(),
        severity,
        confidence: crate::inventory::confidence_name(sureness),
        message: render(spec.finding, &arguments),
        arguments: arguments.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        remedy: spec.remedy,
        why: spec.why,
        references: spec.references,
        first_seen: evidence.pointers().next().map(|pointer| pointer.seen.time),
        last_seen: evidence.pointers().last().map(|pointer| pointer.seen.time),
        count: evidence.count,
        evidence: evidence
            .pointers()
            .map(|pointer| Place { frame: pointer.seen.place.frame, time: pointer.seen.time, field: pointer.field.into() })
            .collect(),
        spec,
        sureness,
    }
}

/// The id of a finding: a hash of check, device and arguments, those that only count left out.
pub fn finding_id<'a>(check: &str, device: DeviceId, arguments: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = Sha256::new();
    hash.update(check);
    hash.update(device.0.to_be_bytes());
    for (name, value) in arguments.filter(|(name, _)| !COUNTS.contains(name)) {
        hash.update(name);
        hash.update([0]);
        hash.update(value);
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Arguments that grow while a finding stays the same.
const COUNTS: &[&str] = &["clients"];

/// Puts arguments into a sentence.
pub(super) fn render(sentence: &str, arguments: &[(impl AsRef<str>, String)]) -> String {
    arguments.iter().fold(sentence.to_owned(), |text, (name, value)| text.replace(&format!("{{{}}}", name.as_ref()), value))
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;
    use crate::detectors::credentials::CHECKS;

    fn found() -> Found {
        Found {
            severity: Severity::Medium,
            confidence: Confidence::Possible,
            arguments: Vec::new(),
            evidence: Evidence::default(),
        }
    }

    #[test]
    fn what_is_presumed_gives_way_to_a_test() {
        let proof = CHECKS[0];
        for (tested, outcome) in [(false, "found"), (true, "clear")] {
            let mut answer = Answer::Presumed(found(), proof);
            settle(&mut answer, |check| tested && check == proof);
            match answer {
                Answer::Found(_) => assert_eq!(outcome, "found"),
                Answer::Clear(text) => assert_eq!((outcome, text), ("clear", format!("more is known: see {}", proof.title))),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn answers_are_tested_where_none_is_open() {
        let clear = || Answer::Clear(String::new());
        let untested = || Answer::Untested(String::new());
        for (answers, wanted) in [
            (vec![], false),
            (vec![untested()], false),
            (vec![Answer::Otherwise("")], false),
            (vec![clear()], true),
            (vec![clear(), Answer::Otherwise("")], true),
            (vec![clear(), untested()], false),
            (vec![untested(), Answer::Found(found())], true),
        ] {
            let subject = IdentityKey::new(&citytap_sensor::observation::Identity::ip([10, 0, 0, 1].into()), 0);
            let verdict = |answer| Verdict { check: CHECKS[0], subject: subject.clone(), answer };
            assert_eq!(is_tested(&answers.into_iter().map(verdict).collect::<Vec<_>>()), wanted);
        }
    }
}
