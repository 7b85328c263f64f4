//! A plan: which slots, why, how safely, and what was observed when it was made. Its hash pins all of that, so that what people approved is what is
//! done, or nothing.

use crate::backends::{Backend, Capability, Refusal};
use crate::evidence::{Evidence, Use};
use crate::journal::{JournalError, Ledger};
use crate::policy::{Policy, Trigger};
use crate::rotation::{Plan, Procedure};
use crate::secrets::sealing::hex;
use crate::slot::{AcceptSet, Generation, RotationId, Slot};
use crate::time::{Span, Timestamp};
use crate::words::{moment, span};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the file says that it is.
pub const KIND: &str = "citytap-rekey.plan";

/// A finding that a plan answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Answered {
    /// citytap's id of it.
    pub finding: String,
    /// Its check.
    pub check: String,
    /// citytap's id of the device.
    pub device: String,
}

/// One slot of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What is to be done, pinned to what was observed.
    pub plan: Plan,
    /// Why.
    pub because: Vec<Trigger>,
    /// The findings that it answers.
    pub findings: Vec<Answered>,
    /// How the device learns it.
    pub way: String,
    /// The way back.
    pub way_back: String,
    /// Time on air of what is sent.
    pub airtime: Span,
    /// Microampere hours that it costs.
    pub battery: u64,
    /// What was not run on real hardware; empty where it was.
    pub unproven: String,
}

/// A plan as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    /// Always [`KIND`].
    pub kind: String,
    /// When it was made, in UTC.
    pub made: String,
    /// Digest of the policy that it was made under.
    pub policy: String,
    /// What is to be done, in the order in which it begins.
    pub items: Vec<Item>,
    /// SHA-256 over all of it but this, in hex.
    pub hash: String,
}

/// Why a plan's file is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    /// It is none.
    #[error("{0} is no plan; `citytap-rekey plan --out FILE` makes one")]
    NoPlan(String),
    /// It was changed.
    #[error("{0} was changed after it was made: its hash does not fit it. Make a new plan")]
    Changed(String),
}

impl PlanFile {
    /// A plan of these items.
    pub fn new(mut items: Vec<Item>, policy: &Policy, now: Timestamp) -> Self {
        // As in rotation::admission: gateways before what is behind them, then by slot.
        items.sort_by(|a, b| (a.plan.behind.is_some(), &a.plan.slot).cmp(&(b.plan.behind.is_some(), &b.plan.slot)));
        let mut plan = Self { kind: KIND.into(), made: moment(now), policy: policy.digest.clone(), items, hash: String::new() };
        plan.hash = plan.hashed();
        plan
    }

    fn hashed(&self) -> String {
        let unhashed = Self { hash: String::new(), ..self.clone() };
        // Our own type has string keys alone: writing it to memory cannot fail.
        hex(&Sha256::digest(serde_json::to_vec(&unhashed).unwrap_or_default()))
    }

    /// Reads one.
    ///
    /// # Errors
    /// Where it is none, or was changed.
    pub fn parse(place: &str, text: &str) -> Result<Self, PlanFileError> {
        let plan: Self = serde_json::from_str(text).map_err(|_| PlanFileError::NoPlan(place.to_owned()))?;
        if plan.kind != KIND {
            return Err(PlanFileError::NoPlan(place.to_owned()));
        }
        if plan.hash != plan.hashed() {
            return Err(PlanFileError::Changed(place.to_owned()));
        }
        Ok(plan)
    }

    /// As it is written.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The beginning of the hash, as people say it.
    pub fn short(&self) -> &str {
        self.hash.get(..12).unwrap_or(&self.hash)
    }
}

/// Looks at a slot and plans it. Changes nothing.
///
/// # Errors
/// Why it is not planned, and what to do.
pub fn observe(
    backend: &dyn Backend,
    ledger: &dyn Ledger,
    next: Generation,
    (slot, device): (&Slot, &str),
    policy: &Policy,
) -> Result<(Plan, Capability), Refusal> {
    let capability = backend.capability(slot)?;
    let accepted = backend.read_back(slot)?;
    let from = in_use(ledger, slot, &accepted)?;
    let session = capability.procedure == Procedure::SessionRekey;
    let mut plan = Plan {
        id: RotationId(0),
        slot: slot.clone(),
        device: device.to_owned(),
        behind: capability.behind.clone(),
        class: capability.class,
        procedure: capability.procedure,
        holds_both: capability.holds_both,
        from,
        to: if session { from } else { next },
        keep: capability.falls_back_to.iter().copied().collect(),
        accepted,
        reporting: capability.reporting,
        polls: capability.polls,
        settles: capability.settles,
        outage: capability.outage,
        grace: Span::ZERO,
        approvals: policy.approvals.plan,
        retire_approvals: policy.approvals.retire,
    };
    plan.grace = policy.grace.of(plan.reporting, plan.polls).max(plan.least_grace());
    if plan.may_lock_out() {
        plan.approvals = plan.approvals.max(policy.approvals.cut_over);
    }
    plan.check().map_err(|error| Refusal::new(error.to_string(), "see `citytap-rekey status` and the verifier itself"))?;
    Ok((plan, capability))
}

/// The generation that the device uses: the one that was last seen in use, or the only one that is accepted.
fn in_use(ledger: &dyn Ledger, slot: &Slot, accepted: &AcceptSet) -> Result<Generation, Refusal> {
    let seen = ledger.seen(slot, Timestamp(i64::MIN)).map_err(|error| refused(&error))?;
    let last = seen.iter().rev().find_map(|one| match one {
        Evidence::Used(Use { generation, .. }) if accepted.accepts(*generation) => Some(*generation),
        _ => None,
    });
    let only = || accepted.generations.first().copied().filter(|_| accepted.generations.len() == 1);
    last.or_else(only).ok_or_else(|| match accepted.generations.len() {
        0 => Refusal::new(
            format!("{slot}: the verifier accepts nothing that this module knows"),
            "enter the credential in use first: `citytap-rekey enter SLOT`",
        ),
        _ => Refusal::new(
            format!("{slot}: the verifier accepts several generations and none was seen in use yet"),
            "wait until the device was verified once",
        ),
    })
}

/// What a person reads of a journal's error.
pub fn refused(error: &JournalError) -> Refusal {
    Refusal::new(format!("the journal {}: {}", error.place, error.cause), error.remedy.clone())
}

/// A capability in a line.
pub fn described(capability: &Capability) -> String {
    let mut parts = vec![capability.way.clone()];
    if capability.outage > Span::ZERO {
        parts.push(format!("away for {}", span(capability.outage)));
    }
    if !capability.way_back.is_empty() {
        parts.push(format!("way back: {}", capability.way_back));
    }
    if capability.airtime > Span::ZERO {
        parts.push(format!("{} on air", span(capability.airtime)));
    }
    if capability.battery > 0 {
        parts.push(format!("{} uAh of battery", capability.battery));
    }
    if !capability.unproven.is_empty() {
        parts.push(capability.unproven.clone());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_was_changed_is_refused() {
        let plan = PlanFile::new(Vec::new(), &Policy::shipped(), Timestamp(0));
        let text = plan.to_text();
        assert_eq!(PlanFile::parse("p", &text), Ok(plan.clone()));
        let changed = text.replace("1970", "1971");
        assert_eq!(PlanFile::parse("p", &changed), Err(PlanFileError::Changed("p".into())));
        assert_eq!(PlanFile::parse("p", "{}"), Err(PlanFileError::NoPlan("p".into())));
        assert_ne!(PlanFile::new(Vec::new(), &Policy { digest: "x".into(), ..Policy::shipped() }, Timestamp(0)).hash, plan.hash);
    }
}
