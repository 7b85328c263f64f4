//! What a rotation does next: pure. State, input and time go in; the new state and effects come out. No I/O, no clock, no randomness, no secret's value.

use crate::evidence::Evidence;
use crate::slot::{AcceptSet, Generation, Step};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

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

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It took place.
    Done,
    /// It is on its way; evidence will tell. Only for a delivery.
    Sent,
    /// It certainly did not take place, and will not.
    Rejected {
        /// Why, without any secret.
        why: String,
    },
    /// Nobody knows.
    Unknown {
        /// Why, without any secret.
        why: String,
    },
}

/// What the agent is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// Make the secret of this generation, once, and keep it sealed. Nothing leaves the host.
    Stage {
        /// Which one.
        generation: Generation,
    },
    /// The verifier accepts this one too.
    Accept {
        /// Which one.
        generation: Generation,
    },
    /// A verifier that holds one generation takes this one instead.
    Switch {
        /// Which one.
        to: Generation,
    },
    /// The device learns it.
    Deliver {
        /// What it is believed to use.
        from: Generation,
        /// What it shall use.
        to: Generation,
    },
    /// Ask what the verifier accepts.
    ReadBack,
    /// Ask for evidence since then.
    AskEvidence {
        /// From when on.
        since: Timestamp,
    },
    /// The verifier stops accepting this one, for good.
    Retire {
        /// Which one.
        generation: Generation,
    },
    /// Cut the device off until then, the way to its verifier excepted.
    Quarantine {
        /// The end.
        until: Timestamp,
    },
    /// Let it back.
    Release,
    /// A person must go to the device and enter this generation.
    WorkOrder {
        /// Which one.
        generation: Generation,
    },
    /// Tell a person.
    Tell {
        /// What, in words.
        what: String,
    },
}

/// What a person allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Approval {
    /// To carry the plan out.
    Rotate,
    /// To carry it out although the device may be locked out.
    MayLockOut,
    /// To retire the old generation.
    Retire,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// Time went on.
    Tick,
    /// A person approved.
    Approved {
        /// Who; counted once for each approval.
        by: String,
        /// What.
        what: Approval,
    },
    /// An effect ended.
    Outcome {
        /// Which one.
        step: Step,
        /// How.
        outcome: Outcome,
    },
    /// The answer to a read-back.
    ReadBack {
        /// Which one.
        step: Step,
        /// What the verifier accepts; `None`: it cannot be read.
        accepted: Option<AcceptSet>,
    },
    /// The answer to a question for evidence: all of it up to `until`.
    Asked {
        /// Which one.
        step: Step,
        /// What was seen; `None`: it cannot be told.
        seen: Option<Vec<Evidence>>,
        /// Complete up to then.
        until: Timestamp,
    },
    /// Evidence that came by itself.
    Seen(Evidence),
    /// The process ended between this intent and its outcome.
    Interrupted {
        /// Which one.
        step: Step,
    },
    /// A person or the campaign stops it where it is: both stay accepted.
    Hold {
        /// Why.
        why: String,
    },
    /// A person lets it go on.
    Continue,
    /// A person wants the old one back in use.
    Revert,
    /// A person gives it up before anything was delivered.
    Cancel,
    /// A person cuts the device off for a time.
    Quarantine {
        /// The end.
        until: Timestamp,
    },
    /// A person lets it back.
    Release,
}
