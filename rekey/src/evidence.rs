//! What verifiers and the tap saw of a device: the only thing that moves a rotation forward. Evidence may come late, twice and out of order.

use crate::slot::Generation;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Who saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Witness {
    /// The verifier itself: it checked the credential.
    Verifier,
    /// The tap, by evidence that the verifier attributed to a generation.
    Sensor,
}

/// How far the device got with the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reach {
    /// It authenticated: a login, a join, a handshake.
    Authenticated,
    /// Application data flowed and decoded afterwards in that session.
    Data,
}

/// A credential was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Use {
    /// Which generation it was.
    pub generation: Generation,
    /// A mark that is the same for all evidence of one session and differs between two reconnects: a DevAddr, a hash of the connection's identity and start ...
    /// What cannot tell sessions apart gives the same mark always.
    pub session: u64,
    /// When it was used, on the witness's clock.
    pub at: Timestamp,
    /// Who saw it.
    pub by: Witness,
    /// How far it got.
    pub reach: Reach,
}

/// One thing seen of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Evidence {
    /// A credential was used with success.
    Used(Use),
    /// The device, or somebody under its name, was refused.
    Refused {
        /// When.
        at: Timestamp,
    },
    /// The device itself said that it has this generation. Not a proof that it can use it.
    Acknowledged {
        /// Which one.
        generation: Generation,
        /// When.
        at: Timestamp,
    },
    /// The device started anew: a boot message, an uptime that fell, a counter that began again. A mere reconnect is none.
    Restarted {
        /// When.
        at: Timestamp,
    },
}

impl Evidence {
    /// When it was seen.
    pub fn at(&self) -> Timestamp {
        match *self {
            Self::Used(Use { at, .. }) | Self::Refused { at } | Self::Acknowledged { at, .. } | Self::Restarted { at } => at,
        }
    }
}
