//! Judgement: checks asked of devices, with three answers. Silence never reads as safe.
//!
//! Stages (keys, credentials, detectors) answer with a [`Verdict`] about a name; the inventory says which device has the name.
//!
//! - [`judge`] makes answers about names answers about devices: findings and checks. [`kept`] brings those of several runs together.
//! - [`risk`] says how urgent a device or an action is. [`actions`] makes one line of findings that share a cause.
//! - [`results`] is what the module that replaces keys proved, read and checked.
//! - [`alerts`] makes of findings what a person is told, once, and keeps what the person decided.

pub mod actions;
pub mod alerts;
pub mod judge;
pub mod kept;
pub mod results;
pub mod risk;

use crate::hot::owned::{IdentityKey, Seen};
use citytap_sensor::observation::Confidence;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::borrow::Cow;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be mended when something else is done there.
    Low,
    /// To be planned.
    Medium,
    /// To be mended soon.
    High,
    /// To be mended now.
    Critical,
}

impl Severity {
    /// All of them, the mildest first.
    pub const ALL: [Severity; 5] = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// Its name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// One question that is asked of every device that it concerns.
#[derive(Debug)]
pub struct CheckSpec {
    /// Stable id, as in `lorawan-known-key`.
    pub id: &'static str,
    /// What is asked about, in a few words: `LoRaWAN root keys`.
    pub title: &'static str,
    /// What a finding of it says, with `{name}` for its arguments: a sentence for people.
    pub finding: &'static str,
    /// What an action says for one or many devices: `{devices}` stands for them, beside the arguments.
    pub action: &'static str,
    /// What the owner should do, in plain words.
    pub remedy: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// CWE, CVE, ATT&CK for ICS, clauses of specifications.
    pub references: &'static [&'static str],
}

impl PartialEq for CheckSpec {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for CheckSpec {}

impl std::hash::Hash for CheckSpec {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// An answer to a check about a name.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The question.
    pub check: &'static CheckSpec,
    /// Whom it is about.
    pub subject: IdentityKey,
    /// The answer.
    pub answer: Answer,
}

/// The three answers, and the one that stands where none was given: silence never reads as safe.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is so.
    Found(Found),
    /// It seems so, unless the other check tests it: where that was tested on the device, its answer counts and this is no finding.
    Presumed(Found, &'static CheckSpec),
    /// It was tested and is not so; the text says on what.
    Clear(Cow<'static, str>),
    /// It could not be tested; the text says why.
    Untested(Cow<'static, str>),
    /// It could not be tested, unless another answer about the device says more; the text says why.
    Otherwise(&'static str),
}

/// What stands in a sentence's place, by the place's name.
pub type Argument = (&'static str, Cow<'static, str>);

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// Arguments of the check's sentences, sorted by name. Those whose name begins with `_` stand in the
    /// finding's sentence and do not part actions.
    pub arguments: Vec<Argument>,
    /// Where it was seen.
    pub evidence: Evidence,
}

/// Where something was seen: the first three and the last three places, and how often in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// At most twice [`KEPT`]: beyond that the first stay and the last move on. Detectors hold a place for what most devices never show, hence the
    /// box; of what is shown most is seen once.
    places: Option<Box<SmallVec<[Pointer; 1]>>>,
    /// How often in all.
    pub count: u64,
}

/// One place in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    /// Packet, observation and time.
    pub seen: Seen,
    /// The field that shows it, as in `mqtt.password_length`.
    pub field: &'static str,
}

/// Places kept at the beginning and at the end.
pub(crate) const KEPT: usize = 3;

impl Evidence {
    /// One place.
    pub fn one(seen: Seen, field: &'static str) -> Self {
        let mut evidence = Self::default();
        evidence.add(seen, field);
        evidence
    }

    /// Adds a place; places come in the order of time.
    pub fn add(&mut self, seen: Seen, field: &'static str) {
        self.count += 1;
        self.keep(Pointer { seen, field });
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Evidence) {
        if self.count == 0 {
            return self.clone_from(other);
        }
        self.count += other.count;
        let mut all = self.places.take().map(|places| *places).unwrap_or_default();
        all.extend(other.pointers());
        all.sort_unstable();
        all.dedup();
        all.into_iter().for_each(|pointer| self.keep(pointer));
    }

    fn keep(&mut self, pointer: Pointer) {
        let places = self.places.get_or_insert_default();
        if places.len() == 2 * KEPT {
            places.remove(KEPT);
        } else if places.len() == places.capacity() {
            places.reserve_exact(KEPT - 1);
        }
        places.push(pointer);
    }

    /// The places kept, in the order of time.
    pub fn pointers(&self) -> impl DoubleEndedIterator<Item = Pointer> + '_ {
        self.places.iter().flat_map(|places| places.iter().copied())
    }
}
