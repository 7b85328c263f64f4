//! What moves a rotation.

use super::Outcome;
use crate::evidence::Evidence;
use crate::slot::{AcceptSet, Step};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// The agent never began an effect that had to wait, and will not.
    Withdrawn {
        /// Which one.
        step: Step,
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
    /// A new process took over; the one before ended between this intent and its outcome.
    Interrupted {
        /// Which one; 0 if none was open.
        step: Step,
    },
    /// The journal was restored from a copy: the world may be further on than this rotation knows.
    Restored,
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

/// What a person allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Approval {
    /// To carry the plan out.
    Rotate,
    /// To carry it out although the device may be locked out.
    MayLockOut,
    /// To retire the old generation.
    Retire,
    /// To retire it although somebody still uses it: a leaked key that another than the device has. Needs two people.
    RetireThoughUsed,
}
