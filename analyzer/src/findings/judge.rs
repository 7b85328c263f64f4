//! Brings answers about names together to answers about devices: one for each check and device.
//!
//! Of several answers for one device the gravest counts: found before could-not-test before tested-and-clear where another name of the
//! device stays untested. Findings that differ in severity, confidence or arguments stay apart. What is presumed is a finding only where the
//! check that could prove it had nothing to test.
//!
//! A city can have a hundred thousand answers of which a screen shows the sums: what is kept of each is small, and sentences are made where
//! somebody reads them.

use super::alerts::{AlertPolicy, Delivery, Standing};
use super::{Answer, Argument, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::IdentityKey;
use crate::inventory::{DeviceId, Inventory, confidence_name};
use crate::policy::Policy;
use crate::signatures::clauses;
use citytap_sensor::observation::Confidence;
use citytap_sensor::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::de::Error;
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The id of a finding: a hash of check, device and arguments, written as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId(pub u64);

impl FindingId {
    /// Of a finding of this check about this device; arguments that only count are left out.
    pub fn of<'a>(check: &str, device: DeviceId, arguments: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = Sha256::new();
        hash.update(check);
        hash.update(device.0.to_be_bytes());
        for (name, value) in arguments.filter(|(name, _)| !COUNTS.contains(name)) {
            hash.update(name);
            hash.update([0]);
            hash.update(value);
            hash.update([0]);
        }
        Self(first_bytes(&hash.finalize()))
    }

    /// Of its 16 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

/// The first eight bytes of a digest as a number.
pub(super) fn first_bytes(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |id, &byte| id << 8 | u64::from(byte))
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for FindingId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FindingId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("the id of a finding has 16 hex digits"))
    }
}

/// Arguments that grow while a finding stays the same.
pub(super) const COUNTS: &[&str] =
    &["clients", "_count", "_examples", "_greatest", "_least", "_owner", "_pack", "_period", "_since", "_value", "_what"];

/// A check's answer that matters, about one device.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Stable: a hash of check, device and arguments.
    pub id: FindingId,
    /// Which check.
    pub spec: &'static CheckSpec,
    /// Which device.
    pub device: DeviceId,
    /// The name of the device that it was seen on.
    pub subject: IdentityKey,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// The arguments of its sentence, sorted by name.
    pub arguments: Arc<[Argument]>,
    /// Where and how often it was seen.
    pub evidence: Evidence,
    /// Whether a person is told at once; an [`AlertPolicy`] decides.
    pub delivery: Delivery,
}

impl Finding {
    /// As alerts see it.
    pub fn standing(&self) -> Standing<'_> {
        Standing {
            part: self.part(),
            delivery: self.delivery,
            first_seen: self.first_seen().unwrap_or_default(),
            last_seen: self.last_seen().unwrap_or_default(),
            count: self.evidence.count,
        }
    }

    /// What was found, as a sentence.
    pub fn message(&self) -> String {
        render(self.spec.finding, self.arguments.iter().map(|(name, value)| (*name, &**value)))
    }

    /// When it was first seen.
    pub fn first_seen(&self) -> Option<Timestamp> {
        self.evidence.pointers().next().map(|pointer| pointer.seen.time)
    }

    /// When it was last seen.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.evidence.pointers().next_back().map(|pointer| pointer.seen.time)
    }

    /// Where: the first three and the last three places.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.evidence.pointers().map(|pointer| Place {
            frame: pointer.seen.place.frame,
            time: pointer.seen.time,
            field: pointer.field.into(),
        })
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Finding", 17)?;
        fields.serialize_field("id", &self.id)?;
        fields.serialize_field("check", self.spec.id)?;
        fields.serialize_field("device", &self.device)?;
        fields.serialize_field("subject", &self.subject.to_string())?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("confidence", confidence_name(self.confidence))?;
        fields.serialize_field("message", &self.message())?;
        fields.serialize_field("arguments", &ByName(&self.arguments))?;
        fields.serialize_field("remedy", self.spec.remedy)?;
        fields.serialize_field("why", self.spec.why)?;
        fields.serialize_field("references", self.spec.references)?;
        fields.serialize_field("clauses", &clauses::of(self.spec.id))?;
        fields.serialize_field("delivery", &self.delivery)?;
        fields.serialize_field("first_seen", &self.first_seen())?;
        fields.serialize_field("last_seen", &self.last_seen())?;
        fields.serialize_field("count", &self.evidence.count)?;
        fields.serialize_field("evidence", &self.places().collect::<Vec<_>>())?;
        fields.end()
    }
}

/// Arguments as a JSON object.
struct ByName<'a>(&'a [Argument]);

impl Serialize for ByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
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

impl Outcome {
    /// All of them, what matters most first.
    pub const ALL: [Outcome; 3] = [Outcome::Found, Outcome::Clear, Outcome::Untested];

    /// Its name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Clear => "clear",
            Outcome::Untested => "untested",
            Outcome::Found => "found",
        }
    }
}

/// The answer to one check about one device.
#[derive(Clone, Debug)]
pub struct Check {
    /// The question.
    pub spec: &'static CheckSpec,
    /// Which device.
    pub device: DeviceId,
    /// The answer.
    pub outcome: Outcome,
    reason: Reason,
}

#[derive(Clone, Debug)]
enum Reason {
    Words(Words),
    /// The arguments of the finding's sentence.
    Finding(Arc<[Argument]>),
}

/// A sentence, shared by all devices of which the same is said.
#[derive(Clone, Debug)]
pub enum Words {
    /// One of ours, whole.
    Fixed(&'static str),
    /// One with numbers or names in it.
    Made(Arc<str>),
}

impl Words {
    fn text(&self) -> &str {
        match self {
            Words::Fixed(text) => text,
            Words::Made(text) => text,
        }
    }
}

impl From<Cow<'static, str>> for Words {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Words::Fixed(text),
            Cow::Owned(text) => Words::Made(text.into()),
        }
    }
}

impl Check {
    /// An answer that is no finding; the words say on what it was tested, or why it could not be.
    pub fn without_finding(spec: &'static CheckSpec, device: DeviceId, outcome: Outcome, words: Words) -> Self {
        Self { spec, device, outcome, reason: Reason::Words(words) }
    }

    /// The same, to be kept: what many devices share is not copied.
    pub fn kept_reason(&self) -> Cow<'static, str> {
        match &self.reason {
            Reason::Words(Words::Fixed(words)) => Cow::Borrowed(words),
            Reason::Words(Words::Made(words)) => Cow::Owned(words.to_string()),
            Reason::Finding(_) => self.reason().into_owned().into(),
        }
    }

    /// On what it was tested, or why it could not be; for a finding, the sentence.
    pub fn reason(&self) -> Cow<'_, str> {
        match &self.reason {
            Reason::Words(words) => Cow::Borrowed(words.text()),
            Reason::Finding(arguments) => {
                render(self.spec.finding, arguments.iter().map(|(name, value)| (*name, &**value))).into()
            }
        }
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Check", 4)?;
        fields.serialize_field("check", self.spec.id)?;
        fields.serialize_field("device", &self.device)?;
        fields.serialize_field("outcome", &self.outcome)?;
        fields.serialize_field("reason", &self.reason())?;
        fields.end()
    }
}

/// All answers.
#[derive(Default)]
pub struct Judgement {
    /// What was found: the gravest first, then by check, device and id.
    pub findings: Vec<Finding>,
    /// Every answer, by check, then device.
    pub checks: Vec<Check>,
}

impl Judgement {
    /// Says of each finding whether a person is told of it at once.
    pub fn deliver(&mut self, policy: &AlertPolicy) {
        self.findings.iter_mut().for_each(|finding| finding.delivery = policy.delivery(finding.spec.id, finding.severity));
    }

    /// Adds what was found by looking at it.
    pub fn add(&mut self, more: Judgement) {
        self.findings.extend(more.findings);
        self.checks.extend(more.checks);
        self.sort();
    }

    fn sort(&mut self) {
        self.findings.sort_unstable_by(|a, b| {
            (Reverse(a.severity), a.spec.id, a.device, a.id).cmp(&(Reverse(b.severity), b.spec.id, b.device, b.id))
        });
        self.checks.sort_unstable_by(|a, b| (a.spec.id, a.device).cmp(&(b.spec.id, b.device)));
    }
}

/// Judges devices by the answers about their names.
pub struct Jury<'i> {
    inventory: &'i Inventory,
    policy: &'i Policy,
    /// By the id of their check.
    answers: BTreeMap<&'static str, Answers>,
    sentences: Sentences,
    /// Ids of the checks that could prove what was presumed.
    proofs: BTreeSet<&'static str>,
    homeless: u64,
}

/// What was answered to one check.
struct Answers {
    check: &'static CheckSpec,
    said: Vec<(DeviceId, Said)>,
}

/// An answer, small: a city has a million, of which most say of one device what they say of another.
enum Said {
    Found(Box<(IdentityKey, Found)>),
    /// The check that could prove it.
    Presumed(Box<(IdentityKey, Found, &'static CheckSpec)>),
    Clear(Sentence),
    Untested(Sentence),
    Otherwise(Sentence),
}

/// Number of a sentence.
type Sentence = u32;

/// What was said, each sentence once.
#[derive(Default)]
struct Sentences {
    numbers: HashMap<Arc<str>, Sentence, FixedState>,
    texts: Vec<Words>,
}

impl Sentences {
    fn number(&mut self, text: Cow<'static, str>) -> Sentence {
        if let Some(number) = self.numbers.get(&*text) {
            return *number;
        }
        let number = self.texts.len() as Sentence;
        self.numbers.insert((&*text).into(), number);
        self.texts.push(text.into());
        number
    }

    fn text(&self, number: Sentence) -> &Words {
        &self.texts[number as usize]
    }
}

impl Said {
    /// What orders the answers about one device: their kind, then the name, else the words.
    fn rank<'s>(&'s self, sentences: &'s Sentences) -> (u8, Option<&'s IdentityKey>, &'s str) {
        match self {
            Said::Found(found) => (0, Some(&found.0), ""),
            Said::Presumed(found) => (1, Some(&found.0), ""),
            Said::Untested(words) => (2, None, sentences.text(*words).text()),
            Said::Clear(words) => (3, None, sentences.text(*words).text()),
            Said::Otherwise(words) => (4, None, sentences.text(*words).text()),
        }
    }
}

/// For checks that could prove what was presumed, by id: the devices on which they were tested.
type Tested = BTreeMap<&'static str, BTreeSet<DeviceId>>;

impl<'i> Jury<'i> {
    /// With nothing heard.
    pub fn new(inventory: &'i Inventory, policy: &'i Policy) -> Self {
        Self {
            inventory,
            policy,
            answers: BTreeMap::new(),
            sentences: Sentences::default(),
            proofs: BTreeSet::new(),
            homeless: 0,
        }
    }

    /// Hears an answer. One about a name that no device has any more is left out and counted.
    pub fn take(&mut self, mut verdict: Verdict) {
        if self.policy.is_off(verdict.check) {
            return;
        }
        if let (Answer::Found(found) | Answer::Presumed(found, _), Some(severity)) =
            (&mut verdict.answer, self.policy.severity(verdict.check.id))
        {
            found.severity = severity;
        }
        if let Answer::Presumed(_, proof) = &verdict.answer {
            self.proofs.insert(proof.id);
        }
        let Some(device) = self.inventory.device_of(&verdict.subject) else {
            self.homeless += 1;
            return;
        };
        let said = match verdict.answer {
            Answer::Found(found) => Said::Found(Box::new((verdict.subject, found))),
            Answer::Presumed(found, proof) => Said::Presumed(Box::new((verdict.subject, found, proof))),
            Answer::Clear(words) => Said::Clear(self.sentences.number(words)),
            Answer::Untested(words) => Said::Untested(self.sentences.number(words)),
            Answer::Otherwise(words) => Said::Otherwise(self.sentences.number(words.into())),
        };
        let check = verdict.check;
        self.answers.entry(check.id).or_insert_with(|| Answers { check, said: Vec::new() }).said.push((device, said));
    }

    /// Judges; how many answers were left out comes back too.
    pub fn judge(mut self) -> (Judgement, u64) {
        let answers = self.answers.values().map(|answers| answers.said.len()).sum();
        let mut judgement = Judgement { findings: Vec::new(), checks: Vec::with_capacity(answers) };
        let tested = self.proofs.iter().map(|&proof| (proof, self.tested(proof))).collect();
        let sentences = &self.sentences;
        for Answers { check, mut said } in std::mem::take(&mut self.answers).into_values() {
            said.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.rank(sentences).cmp(&b.1.rank(sentences))));
            let mut said = said.into_iter().peekable();
            while let Some((device, answer)) = said.next() {
                let mut one = Judging::new(device, check);
                one.take(answer, &tested, sentences);
                while let Some((_, answer)) = said.next_if(|(other, _)| *other == device) {
                    one.take(answer, &tested, sentences);
                }
                one.conclude(&mut judgement);
            }
        }
        judgement.sort();
        (judgement, self.homeless)
    }

    /// The devices about which a check's answers rest on a test: something was found, or nothing that could not be tested stands beside
    /// what was clear.
    fn tested(&self, check: &str) -> BTreeSet<DeviceId> {
        let [mut found, mut clear, mut untested] = [const { BTreeSet::new() }; 3];
        for (device, said) in self.answers.get(check).into_iter().flat_map(|answers| &answers.said) {
            match said {
                Said::Found(_) => found.insert(*device),
                Said::Clear(_) => clear.insert(*device),
                Said::Untested(_) => untested.insert(*device),
                Said::Presumed(_) | Said::Otherwise(_) => continue,
            };
        }
        found.extend(clear.difference(&untested));
        found
    }
}

/// The answers to one check about the names of one device.
struct Judging {
    device: DeviceId,
    spec: &'static CheckSpec,
    found: Vec<One>,
    answer: Option<(u8, Outcome, Reason)>,
}

/// Findings of one severity, confidence and wording.
struct One {
    severity: Severity,
    confidence: Confidence,
    arguments: Arc<[Argument]>,
    subject: IdentityKey,
    evidence: Evidence,
}

impl Judging {
    fn new(device: DeviceId, spec: &'static CheckSpec) -> Self {
        Self { device, spec, found: Vec::new(), answer: None }
    }

    fn take(&mut self, said: Said, tested: &Tested, sentences: &Sentences) {
        let is_tested = |proof: &CheckSpec| tested.get(proof.id).is_some_and(|devices| devices.contains(&self.device));
        let words = |number| Reason::Words(sentences.text(number).clone());
        let (weight, outcome, reason) = match said {
            Said::Presumed(presumed) if is_tested(presumed.2) => {
                (1, Outcome::Clear, Reason::Words(Cow::from(format!("more is known: see {}", presumed.2.title)).into()))
            }
            Said::Presumed(presumed) => (3, Outcome::Found, self.found(presumed.0, presumed.1)),
            Said::Found(found) => (3, Outcome::Found, self.found(found.0, found.1)),
            Said::Untested(why) => (2, Outcome::Untested, words(why)),
            Said::Clear(on) => (1, Outcome::Clear, words(on)),
            Said::Otherwise(why) => (0, Outcome::Untested, words(why)),
        };
        if self.answer.as_ref().is_none_or(|(before, ..)| weight > *before) {
            self.answer = Some((weight, outcome, reason));
        }
    }

    /// Adds what was found to what says the same.
    fn found(&mut self, subject: IdentityKey, found: Found) -> Reason {
        let same = |one: &&mut One| {
            (one.severity, one.confidence) == (found.severity, found.confidence)
                && telling(&one.arguments).eq(telling(&found.arguments))
        };
        if let Some(one) = self.found.iter_mut().find(same) {
            one.evidence.merge(&found.evidence);
            return Reason::Finding(one.arguments.clone());
        }
        let arguments: Arc<[Argument]> = found.arguments.into();
        self.found.push(One {
            severity: found.severity,
            confidence: found.confidence,
            arguments: arguments.clone(),
            subject,
            evidence: found.evidence,
        });
        Reason::Finding(arguments)
    }

    fn conclude(mut self, judgement: &mut Judgement) {
        // Of what was found the gravest speaks for all.
        let gravest = self.found.iter().min_by(|a, b| {
            let rank = |one: &One| (Reverse(one.severity), Reverse(one.confidence));
            rank(a).cmp(&rank(b)).then_with(|| a.arguments.cmp(&b.arguments))
        });
        if let (Some(gravest), Some((_, Outcome::Found, reason))) = (gravest, &mut self.answer) {
            *reason = Reason::Finding(gravest.arguments.clone());
        }
        let (device, spec) = (self.device, self.spec);
        judgement.findings.extend(self.found.into_iter().map(|one| Finding {
            id: FindingId::of(spec.id, device, one.arguments.iter().map(|(name, value)| (*name, &**value))),
            spec,
            device,
            subject: one.subject,
            severity: one.severity,
            confidence: one.confidence,
            arguments: one.arguments,
            evidence: one.evidence,
            delivery: Delivery::default(),
        }));
        if let Some((_, outcome, reason)) = self.answer {
            judgement.checks.push(Check { spec, device, outcome, reason });
        }
    }
}

/// The arguments that tell a finding from others: those that only count are left out.
fn telling(arguments: &[Argument]) -> impl Iterator<Item = &Argument> {
    arguments.iter().filter(|(name, _)| !COUNTS.contains(name))
}

/// Puts arguments into a sentence.
pub(crate) fn render<'a>(sentence: &str, arguments: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    arguments.fold(sentence.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::credentials::CHECKS;
    use crate::hot::owned::{OwnedFact, Seen};
    use crate::inventory::InventoryConfig;
    use citytap_sensor::observation::{self, Identity, Presence};

    fn found() -> Found {
        Found {
            severity: Severity::Medium,
            confidence: Confidence::Possible,
            arguments: Vec::new(),
            evidence: Evidence::default(),
        }
    }

    /// How a device is judged by a check that presumes and by the one that could prove it, given the latter's answers.
    fn judged(proofs: Vec<Answer>) -> (Outcome, String, usize) {
        let [presumes, proof] = [CHECKS[0], CHECKS[1]];
        let subject = IdentityKey::new(&Identity::ip([10, 0, 0, 1].into()), 0);
        let mut inventory = Inventory::new(InventoryConfig::new("city"));
        let seen = Seen { place: observation::Place { frame: 1, sequence: 0 }, time: Timestamp(0) };
        inventory.apply(&OwnedFact::Identity { id: subject.clone(), presence: Presence::Proved }, seen);
        let policy = Policy::default();
        let mut jury = Jury::new(&inventory, &policy);
        jury.take(Verdict { check: presumes, subject: subject.clone(), answer: Answer::Presumed(found(), proof) });
        proofs.into_iter().for_each(|answer| jury.take(Verdict { check: proof, subject: subject.clone(), answer }));
        let (judgement, homeless) = jury.judge();
        assert_eq!(homeless, 0);
        let check = judgement.checks.iter().find(|check| check.spec == presumes).expect("is answered");
        let presumed = judgement.findings.iter().filter(|finding| finding.spec == presumes).count();
        (check.outcome, check.reason().into_owned(), presumed)
    }

    #[test]
    fn what_is_presumed_gives_way_to_a_test() {
        let clear = || Answer::Clear("".into());
        let untested = || Answer::Untested("".into());
        for (proofs, tested) in [
            (vec![], false),
            (vec![untested()], false),
            (vec![Answer::Otherwise("")], false),
            (vec![clear()], true),
            (vec![clear(), Answer::Otherwise("")], true),
            (vec![clear(), untested()], false),
            (vec![untested(), Answer::Found(found())], true),
        ] {
            let told = format!("{proofs:?}");
            let (outcome, reason, findings) = judged(proofs);
            if tested {
                let words = format!("more is known: see {}", CHECKS[1].title);
                assert_eq!((outcome, reason, findings), (Outcome::Clear, words, 0), "{told}");
            } else {
                assert_eq!((outcome, findings), (Outcome::Found, 1), "{told}");
            }
        }
    }
}
