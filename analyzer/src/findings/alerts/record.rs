//! An alert as it is kept and as it is told.

use super::super::Severity;
use super::super::actions::{Directory, listed, name_devices, titled};
use super::super::judge::FindingId;
use super::{Delivery, Standing};
use crate::checks;
use crate::inventory::{DeviceId, confidence_name, confidence_named, when};
use crate::signatures::clauses;
use citytap_sensor::time::Timestamp;
use serde::de::Error;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Changes of state that an alert remembers, the latest: a year of monthly expiries and what came between.
const TURNS: usize = 32;

/// Different values of one argument that an alert remembers; a sentence names two of them.
const VALUES: usize = 64;

/// The id of an alert: a hash of site, cause and how many alerts of the cause came before, written as 16 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u64);

impl AlertId {
    pub(super) fn of(site: &str, cause: u64, generation: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(site);
        hash.update([0]);
        hash.update(cause.to_be_bytes());
        hash.update(generation.to_be_bytes());
        Self(super::first_bytes(&hash.finalize()))
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is no id of an alert.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no id of an alert; an id has 16 hex digits, and `citytap alerts` lists them")]
pub struct AlertIdError(String);

impl FromStr for AlertId {
    type Err = AlertIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = FindingId::parse(text).ok_or_else(|| AlertIdError(text.into()))?;
        Ok(Self(id.0))
    }
}

impl Serialize for AlertId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AlertId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It came back, or a person reopened it.
    Reopened,
    /// Nobody has said anything yet.
    Open,
    /// A person sees to it.
    Acknowledged,
    /// A person accepted it for a reason, until a time.
    Accepted,
    /// It is over: a person says so, or a test found it clear.
    Resolved,
}

impl State {
    /// Its name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            State::Reopened => "reopened",
            State::Open => "open",
            State::Acknowledged => "acknowledged",
            State::Accepted => "accepted",
            State::Resolved => "resolved",
        }
    }

    /// Whether it still asks for something.
    pub fn is_pending(self) -> bool {
        matches!(self, State::Open | State::Reopened | State::Acknowledged)
    }
}

/// A change of an alert's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// When, in packet time.
    #[serde(with = "when")]
    pub at: Timestamp,
    /// What it became.
    pub state: State,
    /// Why, where somebody said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when it is accepted.
    #[serde(default, with = "when::maybe", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A finding of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its device.
    pub device: DeviceId,
    /// How often it was seen.
    pub count: u64,
    /// When it was last seen.
    #[serde(with = "when")]
    pub last_seen: Timestamp,
    /// Whether it stands: it was not tested and found clear since.
    pub stands: bool,
    /// What it counts, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<(String, u64)>,
}

/// An alert as it is kept. [`Told`] is what people and files see of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Stable: a hash of site, cause and generation.
    pub id: AlertId,
    /// The check of its findings.
    pub check: String,
    /// Hash of what its findings share.
    pub cause: u64,
    /// How many alerts of the same cause came before.
    pub generation: u32,
    /// Whether it is told at once or in a digest.
    pub delivery: Delivery,
    /// The gravest of its findings.
    pub severity: Severity,
    /// The surest of its findings.
    pub confidence: String,
    /// Where it stands.
    pub state: State,
    /// Until when it is accepted.
    #[serde(default, with = "when::maybe", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How it came to stand there: the latest changes.
    pub history: Vec<Turn>,
    /// What it says, with places for arguments and devices.
    pub sentence: String,
    /// What the owner should do.
    pub remedy: String,
    /// What stands in its sentence, by name; bounded.
    pub arguments: BTreeMap<String, BTreeSet<String>>,
    /// When it was first seen.
    #[serde(with = "when")]
    pub first_seen: Timestamp,
    /// When it was last seen.
    #[serde(with = "when")]
    pub last_seen: Timestamp,
    /// How often its findings were seen.
    pub count: u64,
    /// Its findings.
    pub members: BTreeMap<FindingId, Member>,
    /// When a person was last told.
    #[serde(default, with = "when::maybe", skip_serializing_if = "Option::is_none")]
    pub told: Option<Timestamp>,
    /// How often something was not told because it had been told a short while ago.
    #[serde(default)]
    pub untold: u32,
}

impl Alert {
    pub(super) fn new(id: AlertId, (cause, generation): (u64, u32), finding: &Standing<'_>) -> Self {
        let (spec, weight) = (finding.part.cause.spec(), finding.part.cause.weight());
        Self {
            id,
            check: spec.id.into(),
            cause,
            generation,
            delivery: finding.delivery,
            severity: weight.severity,
            confidence: confidence_name(weight.confidence).into(),
            state: State::Open,
            until: None,
            history: vec![Turn { at: finding.first_seen, state: State::Open, reason: None, until: None }],
            sentence: spec.action.into(),
            remedy: spec.remedy.into(),
            arguments: BTreeMap::new(),
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
            count: 0,
            members: BTreeMap::new(),
            told: None,
            untold: 0,
        }
    }

    /// Takes a finding, as it is now. Answers whether it is graver than all before.
    pub(super) fn take(&mut self, finding: &Standing<'_>) -> bool {
        let weight = finding.part.cause.weight();
        for (name, value) in finding.part.cause.arguments() {
            let values = self.arguments.entry((*name).to_owned()).or_default();
            if values.len() < VALUES {
                values.insert((*value).to_owned());
            }
        }
        let member = Member {
            device: finding.part.device,
            count: finding.count,
            last_seen: finding.last_seen,
            stands: true,
            counts: finding.part.counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        };
        let before = self.members.insert(finding.part.id, member).map_or(0, |member| member.count);
        self.count = self.count.saturating_sub(before).saturating_add(finding.count);
        self.first_seen = self.first_seen.min(finding.first_seen);
        self.last_seen = self.last_seen.max(finding.last_seen);
        if confidence_named(&self.confidence) < Some(weight.confidence) {
            self.confidence = confidence_name(weight.confidence).into();
        }
        let is_graver = weight.severity > self.severity;
        self.severity = self.severity.max(weight.severity);
        is_graver
    }

    pub(super) fn turn(&mut self, state: State, at: Timestamp, reason: Option<String>, until: Option<Timestamp>) {
        (self.state, self.until) = (state, until);
        if self.history.len() >= TURNS {
            // How it began stays.
            self.history.remove(1);
        }
        self.history.push(Turn { at, state, reason, until });
    }

    /// The devices that it is about, sorted.
    pub fn devices(&self) -> Vec<DeviceId> {
        let mut devices: Vec<DeviceId> = self.members.values().map(|member| member.device).collect();
        devices.sort_unstable();
        devices.dedup();
        devices
    }

    /// Why it stands where it stands, where somebody said it.
    pub fn reason(&self) -> Option<&str> {
        self.history.last()?.reason.as_deref()
    }

    /// What is so, in a sentence that names how many devices of what kind.
    pub fn title(&self, devices: &dyn Directory) -> String {
        let ids = self.devices();
        let first = |text: &str| text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.').to_owned();
        let told = |values: &BTreeSet<String>| {
            let values: BTreeSet<&str> = values.iter().map(String::as_str).collect();
            first(&listed(&values))
        };
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let all = self.members.values().flat_map(|member| &member.counts);
        all.for_each(|(name, count)| *counts.entry(name).or_insert(0) += count);
        let mut arguments: Vec<(&str, String)> =
            self.arguments.iter().map(|(name, values)| (name.as_str(), told(values))).collect();
        arguments.extend(counts.into_iter().map(|(name, count)| (name, count.to_string())));
        arguments.push(("devices", name_devices(&ids, devices)));
        titled(&self.sentence, arguments.iter().map(|(name, value)| (*name, value.as_str())), ids.len())
    }

    pub(super) fn rank(&self) -> impl Ord {
        (!self.state.is_pending(), self.delivery, Reverse(self.severity), Reverse(self.last_seen), self.id)
    }
}

/// An alert as people, files and sinks are told of it.
pub struct Told<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// Who knows its devices.
    pub devices: &'a dyn Directory,
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let alert = self.alert;
        let last = alert.history.last();
        let mut fields = serializer.serialize_struct("Alert", 18)?;
        fields.serialize_field("id", &alert.id)?;
        fields.serialize_field("check", &alert.check)?;
        fields.serialize_field("delivery", &alert.delivery)?;
        fields.serialize_field("state", &alert.state)?;
        fields.serialize_field("reason", &last.and_then(|turn| turn.reason.as_deref()))?;
        fields.serialize_field("until", &last.and_then(|turn| turn.until))?;
        fields.serialize_field("severity", &alert.severity)?;
        fields.serialize_field("confidence", &alert.confidence)?;
        fields.serialize_field("title", &alert.title(self.devices))?;
        fields.serialize_field("remedy", &alert.remedy)?;
        fields.serialize_field("why", checks::by_id(&alert.check).map_or("", |spec| spec.why))?;
        fields.serialize_field("clauses", &clauses::of(&alert.check))?;
        fields.serialize_field("first_seen", &alert.first_seen)?;
        fields.serialize_field("last_seen", &alert.last_seen)?;
        fields.serialize_field("count", &alert.count)?;
        fields.serialize_field("devices", &alert.devices())?;
        fields.serialize_field("findings", &alert.members.keys().collect::<Vec<_>>())?;
        fields.serialize_field("history", &alert.history)?;
        fields.end()
    }
}
