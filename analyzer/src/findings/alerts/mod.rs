//! Alerts: what a person is told of findings, once, and what the person decided. State, findings and packet time in; alerts out. No clock,
//! no input or output: the same findings at the same times make the same alerts.
//!
//! - Findings of one *cause* (a check and the arguments that part its actions) are one alert, however many devices they concern: a scan of 200
//!   devices is one. Further devices join it as long as it is open or acknowledged. After it was accepted or resolved, further devices
//!   make another alert of the same cause: what a person decided is about the devices that the person saw.
//! - What an [`AlertPolicy`] sends to the digest is one alert for each check and day of packet time, told when the day is over.
//! - A finding belongs to one alert for good. Seen again it adds to the alert's count and time. Seen again after the alert was resolved
//!   it *reopens* the alert; an acceptance whose time is over does the same while a finding of it stands.
//! - Where all findings of an alert were tested and found clear, it is resolved.
//! - What goes on is told again only after [`AlertPolicy::suppress`]; a graver finding, a reopening and a resolution are told at once.
//!
//! A run without decisions has one alert for each cause, so a replay and a live run over the same packets agree.

mod policy;
mod record;
#[cfg(test)]
mod tests;

pub use policy::{AlertPolicy, DIGEST, Delivery};
pub use record::{Alert, AlertId, Member, State, Told, Turn};

use super::actions::Part;
use super::judge::{FindingId, first_bytes};
use crate::inventory::{DeviceId, when};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Alerts kept: a hundred checks, each with some causes, over years of digests. At the bound the resolved one that was seen longest ago goes.
pub const ALERTS: usize = 1 << 14;

/// Findings that all alerts know: a city's devices with some findings each.
pub const MEMBERS: usize = 1 << 19;

/// Causes of one check that have an alert of their own; further ones share one, so that a city with three hundred servers that all lack one
/// setting is no flood.
pub const CAUSES: usize = 32;

/// A day of packet time.
const DAY: Nanos = 24 * 3600 * SECOND;

/// A finding that stands, as far as alerts are concerned.
pub struct Standing<'f> {
    /// Id, device, cause.
    pub part: Part<'f>,
    /// Whether it is told at once.
    pub delivery: Delivery,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// How often it was seen.
    pub count: u64,
}

/// What a person is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is new.
    Opened,
    /// It went on: further devices, or the same ones again.
    Continued,
    /// A finding of it is graver than all before.
    Raised,
    /// It is back.
    Reopened,
    /// It is over.
    Resolved,
    /// The day of its digest is over.
    Digest,
}

/// A change of an alert that a person is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertChange {
    /// Which alert; [`Alerts::get`] has it as it is now.
    pub alert: AlertId,
    /// What changed.
    pub what: What,
    /// When, in packet time.
    #[serde(with = "when")]
    pub at: Timestamp,
}

/// What a person decides about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// I have seen it and see to it.
    Acknowledge,
    /// It may stay so, for this reason and until then.
    Accept {
        /// Why.
        reason: String,
        /// Until when.
        until: Timestamp,
    },
    /// It is done with.
    Resolve {
        /// What was done, if the person says.
        reason: Option<String>,
    },
    /// It is not done with after all.
    Reopen,
}

/// Why a decision does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// There is no such alert.
    #[error("there is no alert {0}; `citytap alerts list --all` lists them")]
    Unknown(AlertId),
    /// It would be over at once.
    #[error("that time is over: the last packet was of {0}; give a later --until")]
    Over(Timestamp),
    /// A decision without a reason is none.
    #[error("say why in --reason: whoever reads it in a year must understand it")]
    NoReason,
}

/// All alerts of a site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts {
    site: String,
    policy: AlertPolicy,
    alerts: BTreeMap<AlertId, Alert>,
    /// The alert that each finding belongs to.
    of_finding: HashMap<FindingId, AlertId, FixedState>,
    /// Of each cause the latest alert.
    latest: HashMap<u64, AlertId, FixedState>,
    /// How many causes of each check have an alert of their own.
    causes: BTreeMap<String, usize>,
    /// Alerts of which something is still to be told.
    untold: BTreeSet<AlertId>,
    /// Alerts that changed since they were last written.
    changed: BTreeSet<AlertId>,
    shed: u64,
}

impl Alerts {
    /// None yet.
    pub fn new(site: &str, policy: AlertPolicy) -> Self {
        Self { site: site.into(), policy, ..Self::default() }
    }

    /// Those that a store kept.
    pub fn restored(site: &str, policy: AlertPolicy, kept: impl IntoIterator<Item = Alert>) -> Self {
        let mut alerts = Self::new(site, policy);
        for alert in kept {
            alerts.of_finding.extend(alert.members.keys().map(|finding| (*finding, alert.id)));
            let latest = alerts.latest.entry(alert.cause).or_insert(alert.id);
            let later = alerts.alerts.get(latest).is_none_or(|other: &Alert| other.generation < alert.generation);
            if later {
                *latest = alert.id;
            }
            if alert.generation == 0 && alert.delivery == Delivery::Alert {
                *alerts.causes.entry(alert.check.clone()).or_insert(0) += 1;
            }
            if alert.untold > 0 {
                alerts.untold.insert(alert.id);
            }
            alerts.alerts.insert(alert.id, alert);
        }
        alerts
    }

    /// Goes by another policy from now on.
    pub fn set_policy(&mut self, policy: &AlertPolicy) {
        self.policy.clone_from(policy);
    }

    /// One of them.
    pub fn get(&self, id: AlertId) -> Option<&Alert> {
        self.alerts.get(&id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// All of them, those that ask for something first, then the gravest, then the latest.
    pub fn ranked(&self) -> Vec<&Alert> {
        let mut alerts: Vec<&Alert> = self.iter().collect();
        alerts.sort_by(|a, b| a.rank().cmp(&b.rank()));
        alerts
    }

    /// Findings that found no room, and alerts that had to go.
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// The alerts that changed since this was last asked.
    pub fn take_changed(&mut self) -> BTreeSet<AlertId> {
        std::mem::take(&mut self.changed)
    }

    /// Takes findings that stand at `now`: all of them, or those that are new or were seen again. Answers what a person is to be told, in the
    /// order of the alerts' ids.
    pub fn update<'f>(&mut self, findings: impl IntoIterator<Item = Standing<'f>>, now: Timestamp) -> Vec<AlertChange> {
        let mut findings: Vec<Standing<'f>> = findings.into_iter().collect();
        findings.sort_by_key(|finding| (finding.first_seen, finding.part.id));
        let mut news = BTreeMap::new();
        for finding in &findings {
            match self.of_finding.get(&finding.part.id).copied() {
                Some(alert) => self.again(alert, finding, &mut news),
                None => self.first(finding, &mut news),
            }
        }
        self.expire(now, &mut news);
        self.tell(news, now)
    }

    /// Takes findings that were tested and found clear by `now`. An alert of which all are is resolved.
    pub fn clear(&mut self, findings: impl IntoIterator<Item = FindingId>, now: Timestamp) -> Vec<AlertChange> {
        self.stand_no_more(findings, "tested and found clear", now)
    }

    /// Takes findings that were proven to be over. An alert of which all are over is resolved, for this reason.
    pub fn close(&mut self, findings: impl IntoIterator<Item = FindingId>, why: &str, now: Timestamp) -> Vec<AlertChange> {
        self.stand_no_more(findings, why, now)
    }

    fn stand_no_more(&mut self, findings: impl IntoIterator<Item = FindingId>, why: &str, now: Timestamp) -> Vec<AlertChange> {
        let mut news = BTreeMap::new();
        for finding in findings {
            let Some(&id) = self.of_finding.get(&finding) else { continue };
            let Some(alert) = self.alerts.get_mut(&id) else { continue };
            let Some(member) = alert.members.get_mut(&finding).filter(|member| member.stands) else { continue };
            member.stands = false;
            self.changed.insert(id);
            if alert.state != State::Resolved && alert.members.values().all(|member| !member.stands) {
                alert.turn(State::Resolved, now, Some(why.into()), None);
                note(&mut news, id, What::Resolved);
            }
        }
        self.tell(news, now)
    }

    /// A person decides, at the packet time of what the person saw.
    ///
    /// # Errors
    /// Why the decision does not hold.
    pub fn decide(&mut self, id: AlertId, decision: Decision, now: Timestamp) -> Result<&Alert, DecisionError> {
        let alert = self.alerts.get_mut(&id).ok_or(DecisionError::Unknown(id))?;
        match decision {
            Decision::Acknowledge => alert.turn(State::Acknowledged, now, None, None),
            Decision::Accept { until, .. } if until <= now => return Err(DecisionError::Over(now)),
            Decision::Accept { reason, .. } if reason.trim().is_empty() => return Err(DecisionError::NoReason),
            Decision::Accept { reason, until } => alert.turn(State::Accepted, now, Some(reason), Some(until)),
            Decision::Resolve { reason } => alert.turn(State::Resolved, now, reason, None),
            Decision::Reopen => alert.turn(State::Reopened, now, Some("a person reopened it".into()), None),
        }
        self.changed.insert(id);
        self.untold.remove(&id);
        alert.untold = 0;
        Ok(alert)
    }

    /// Findings that have another id now because their device has: each with its old id, its new one and the device.
    pub fn rename(&mut self, moved: &[(FindingId, FindingId, DeviceId)]) {
        for &(old, new, device) in moved {
            let Some(id) = self.of_finding.remove(&old) else { continue };
            let Some(alert) = self.alerts.get_mut(&id) else { continue };
            let Some(member) = alert.members.remove(&old) else { continue };
            self.changed.insert(id);
            // Where the new id has an alert already, that alert knows the finding.
            if self.of_finding.contains_key(&new) {
                alert.count = alert.count.saturating_sub(member.count);
                continue;
            }
            alert.members.insert(new, Member { device, ..member });
            self.of_finding.insert(new, id);
        }
    }

    fn again(&mut self, id: AlertId, finding: &Standing<'_>, news: &mut BTreeMap<AlertId, What>) {
        let Some(alert) = self.alerts.get_mut(&id) else { return };
        let Some(member) = alert.members.get_mut(&finding.part.id) else { return };
        let is_seen_again = finding.count > member.count || finding.last_seen > member.last_seen;
        let is_back = !member.stands;
        let is_graver = alert.take(finding);
        if !is_seen_again && !is_back && !is_graver {
            return;
        }
        self.changed.insert(id);
        // A digest is told once, for its day.
        if alert.delivery == Delivery::Digest {
            return;
        }
        match alert.state {
            State::Resolved => {
                let why = if is_back { "it was found again" } else { "it was seen again" };
                alert.turn(State::Reopened, finding.last_seen, Some(why.into()), None);
                note(news, id, What::Reopened);
            }
            State::Accepted => {}
            _ if is_graver => note(news, id, What::Raised),
            State::Open | State::Reopened => note(news, id, What::Continued),
            // Who sees to it knows that it goes on.
            State::Acknowledged => {}
        }
    }

    fn first(&mut self, finding: &Standing<'_>, news: &mut BTreeMap<AlertId, What>) {
        if self.of_finding.len() >= MEMBERS {
            self.shed += 1;
            return;
        }
        let cause = self.cause(finding);
        let before = self.latest.get(&cause).and_then(|id| self.alerts.get(id));
        let generation = before.map_or(0, |alert| alert.generation + 1);
        let open = before.filter(|alert| !matches!(alert.state, State::Accepted | State::Resolved)).map(|alert| alert.id);
        let id = open.unwrap_or_else(|| AlertId::of(&self.site, cause, generation));
        if open.is_none() {
            self.make_room();
            let own = (generation == 0 && finding.delivery == Delivery::Alert).then(|| finding.part.cause.spec().id);
            own.into_iter().for_each(|check| *self.causes.entry(check.to_owned()).or_insert(0) += 1);
            self.alerts.insert(id, Alert::new(id, (cause, generation), finding));
            self.latest.insert(cause, id);
        }
        let Some(alert) = self.alerts.get_mut(&id) else { return };
        let is_graver = alert.take(finding);
        self.of_finding.insert(finding.part.id, id);
        self.changed.insert(id);
        note(
            news,
            id,
            if open.is_none() {
                What::Opened
            } else if is_graver {
                What::Raised
            } else {
                What::Continued
            },
        );
    }

    /// What parts alerts: of those told at once check and arguments, of those in a digest check and day.
    fn cause(&self, finding: &Standing<'_>) -> u64 {
        let check = finding.part.cause.spec().id;
        let hashed = |parts: &mut dyn Iterator<Item = &str>| {
            let mut hash = Sha256::new();
            hash.update(check);
            parts.for_each(|part| {
                hash.update([0]);
                hash.update(part);
            });
            first_bytes(&hash.finalize())
        };
        if finding.delivery == Delivery::Digest {
            let day = (finding.first_seen.0 / DAY).to_string();
            return hashed(&mut ["digest", day.as_str()].into_iter());
        }
        let own = hashed(&mut finding.part.cause.arguments().iter().flat_map(|(name, value)| [*name, *value]));
        let is_new = !self.latest.contains_key(&own);
        let full = self.causes.get(check).is_some_and(|causes| *causes >= CAUSES);
        if is_new && full { hashed(&mut ["others"].into_iter()) } else { own }
    }

    fn make_room(&mut self) {
        if self.alerts.len() < ALERTS {
            return;
        }
        let resolved = self.alerts.values().filter(|alert| alert.state == State::Resolved);
        let oldest = resolved.min_by_key(|alert| (alert.last_seen, alert.id));
        // Where nothing is resolved, what was seen longest ago goes.
        let oldest =
            oldest.or_else(|| self.alerts.values().min_by_key(|alert| (alert.last_seen, alert.id))).map(|alert| alert.id);
        let Some(gone) = oldest.and_then(|id| self.alerts.remove(&id)) else { return };
        for finding in gone.members.keys() {
            self.of_finding.remove(finding);
        }
        if self.latest.get(&gone.cause) == Some(&gone.id) {
            self.latest.remove(&gone.cause);
        }
        self.untold.remove(&gone.id);
        self.changed.insert(gone.id);
        self.shed += 1;
    }

    /// Reopens what was accepted until a time that is over.
    fn expire(&mut self, now: Timestamp, news: &mut BTreeMap<AlertId, What>) {
        for alert in self.alerts.values_mut() {
            let Some(until) = alert.until.filter(|until| alert.state == State::Accepted && *until <= now) else { continue };
            if alert.members.values().any(|member| member.stands) {
                alert.turn(State::Reopened, until, Some("the time that it was accepted for is over".into()), None);
                note(news, alert.id, What::Reopened);
                self.changed.insert(alert.id);
            }
        }
    }

    /// What of the news a person is told now; the rest waits.
    fn tell(&mut self, news: BTreeMap<AlertId, What>, now: Timestamp) -> Vec<AlertChange> {
        for id in news.keys() {
            if let Some(alert) = self.alerts.get_mut(id) {
                alert.untold += 1;
                self.untold.insert(*id);
            }
        }
        let mut told = Vec::new();
        for id in std::mem::take(&mut self.untold) {
            let Some(alert) = self.alerts.get_mut(&id) else { continue };
            let what = news.get(&id).copied().unwrap_or(What::Continued);
            let is_due = match (alert.delivery, what) {
                (Delivery::Digest, _) => alert.first_seen.0 / DAY < now.0 / DAY,
                (Delivery::Alert, What::Continued) => alert.told.is_none_or(|told| now.since(told) >= self.policy.suppress),
                (Delivery::Alert, _) => true,
            };
            if !is_due {
                self.untold.insert(id);
                continue;
            }
            let what = if alert.delivery == Delivery::Digest { What::Digest } else { what };
            (alert.told, alert.untold) = (Some(now), 0);
            self.changed.insert(id);
            told.push(AlertChange { alert: id, what, at: now });
        }
        told
    }
}

/// Of several news about one alert the weightiest is told.
fn note(news: &mut BTreeMap<AlertId, What>, id: AlertId, what: What) {
    let weight = |what: What| match what {
        What::Continued | What::Digest => 0,
        What::Resolved => 1,
        What::Raised => 2,
        What::Reopened => 3,
        What::Opened => 4,
    };
    let told = news.entry(id).or_insert(what);
    if weight(what) > weight(*told) {
        *told = what;
    }
}
