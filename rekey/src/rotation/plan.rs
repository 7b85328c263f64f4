//! What is to be done with one slot, and what makes a plan sound.

use crate::slot::{AcceptSet, Generation, RotationId, Slot};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How safely a credential can be changed: of the verifier and the device together, the safest that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// The verifier accepts old and new together.
    Overlap,
    /// The verifier holds one; the device tests the new one and goes back to the old by itself.
    SelfReverting,
    /// The verifier holds one, and the device does not come back by itself: break before make.
    CutOver,
    /// The device cannot be told from here: a person goes there. The verifier accepts both where it can.
    SiteVisit,
}

/// What is changed. There is no "rotate" in general.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Procedure {
    /// A password, a pre-shared key, a root key: made here, delivered, the old one retired.
    SharedSecretReplacement,
    /// The root key stays; the device is made to join again, so that session keys are new.
    SessionRekey,
    /// A new certificate beside the old one, which is denied after proof.
    CertificateRenewal,
}

/// What is to be done with one slot. Pinned to what was observed when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// Its number.
    pub id: RotationId,
    /// Whose credential.
    pub slot: Slot,
    /// The device; one device has one open rotation.
    pub device: String,
    /// The slot of the gateway that the device is reached through, if that is rotated too: never both at a time.
    pub behind: Option<Slot>,
    /// How safely.
    pub class: Class,
    /// What is changed.
    pub procedure: Procedure,
    /// Whether the verifier accepts several generations together.
    pub holds_both: bool,
    /// What the device uses.
    pub from: Generation,
    /// What it shall use; the same as `from` for a session re-key. Numbers above it are free for this rotation.
    pub to: Generation,
    /// What the verifier accepted when the plan was made.
    pub accepted: AcceptSet,
    /// The generations that the device may fall back to for ever: never retired (I5).
    pub keep: BTreeSet<Generation>,
    /// How often the device reports.
    pub reporting: Span,
    /// How often it asks for changes by itself; zero where it is told.
    pub polls: Span,
    /// How long after a delivery was sent it can still change what the device uses.
    pub settles: Span,
    /// How long the device is expected to be away.
    pub outage: Span,
    /// How long the old generation must go unused before it is retired.
    pub grace: Span,
    /// How many people must approve.
    pub approvals: u32,
    /// How many people must approve the retirement.
    pub retire_approvals: u32,
}

/// Why a plan is not sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan for {slot} is not carried out: {cause}")]
pub struct PlanError {
    slot: String,
    cause: &'static str,
}

impl Plan {
    /// The shortest grace that proves anything: twice the reporting interval, one poll, and until no delivery can surprise any more (I4).
    pub fn least_grace(&self) -> Span {
        self.reporting.times(2).max(self.polls).max(self.settles)
    }

    /// How long to wait for evidence after a delivery.
    pub fn patience(&self) -> Span {
        Span(self.least_grace().0.saturating_add(self.outage.0)).max(Span::seconds(1))
    }

    /// How long a verifier that holds one generation stays with the one it switched to while nobody succeeds with it.
    pub fn dwell(&self) -> Span {
        self.outage.max(self.reporting.times(2)).max(Span::seconds(1))
    }

    /// Whether the plan can be carried out without breaking an invariant.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), PlanError> {
        let session = self.procedure == Procedure::SessionRekey;
        let generations = &self.accepted.generations;
        let cause = if self.accepted.foreign {
            "the verifier holds a credential that is not ours; take it in or remove it first"
        } else if !generations.contains(&self.from) {
            "the verifier does not accept what the device is said to use"
        } else if session && self.to != self.from {
            "a session re-key leaves the root key as it is"
        } else if !session && generations.last().is_some_and(|last| *last >= self.to) {
            "a generation's number is used once; the new one must be above all others"
        } else if self.grace < self.least_grace() {
            "the grace is shorter than twice the reporting interval, a poll, or the time in which a delivery can still have an effect"
        } else if self.holds_both != (self.class == Class::Overlap) && self.class != Class::SiteVisit && !session {
            "overlap means a verifier that holds both, cut-over and self-reverting one that holds one"
        } else if !self.holds_both && !session && (generations.len() != 1 || !self.keep.is_empty()) {
            "the device may fall back to a generation that a verifier which holds one would refuse"
        } else if !self.holds_both && self.procedure == Procedure::CertificateRenewal {
            "certificates overlap by their validity; this verifier would cut the old one off"
        } else if self.approvals == 0 {
            "nobody needs to approve it"
        } else {
            return Ok(());
        };
        Err(PlanError { slot: self.slot.to_string(), cause })
    }

    /// Whether only a person who said "may lock out" may start it: the verifier holds one generation and the device does not come back by itself.
    pub fn may_lock_out(&self) -> bool {
        !self.holds_both && self.procedure != Procedure::SessionRekey && self.class != Class::SelfReverting
    }
}
