//! What the agent is asked to do, and what came of it.

use crate::slot::Generation;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

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

impl Effect {
    /// Whether it changes something outside this host: its intent is on the disk before it starts.
    pub fn is_external(&self) -> bool {
        !matches!(self, Self::Stage { .. } | Self::ReadBack | Self::AskEvidence { .. } | Self::Tell { .. })
    }
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
