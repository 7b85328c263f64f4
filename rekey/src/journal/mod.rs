//! What outlives the process: rotations, an intent before each effect and an outcome after, accept-sets, evidence, sealed secrets, and what backends keep.
//!
//! One redb file. The rotation as it is after a step, the outcome that the step took in and the intents of the effects that it asks for are one transaction,
//! on the disk before any of the effects starts. A second process is refused. A full disk is an error before an effect; outcomes have room set aside
//! ([`store`](self) keeps a ballast file beside the journal).
//!
//! # The host is lost
//!
//! [`Journal::copy`] writes a consistent copy beside a running journal; [`Journal::copied`] says that it is off the host. Where copies are kept
//! ([`Settings::copies`]), two effects wait for them ([`Journal::covers`]): a key is delivered, and another retired, only when the intent is in a copy. So
//! the latest copy, however old, knows every key that a device can hold, and no key that was retired as accepted. A copy does not open as a
//! journal: [`Journal::restore`] makes one of it, and
//!
//! - counts the [`Epoch`] up; what a backend kept is told with the epoch in which it was written. A counter that must not go back (a JoinNonce) jumps by more
//!   than it can have moved since the copy for each epoch between; a number that must not come twice (a DevNonce) is taken only when another witness (the
//!   standby, the tap, which sees join-requests in clear) tells how far the device got, or a person says that no other host ran since;
//! - accepts every generation whose secret is there and which was neither retired nor about to be;
//! - leaves a gap in the numbers of generations, since some may have been given out after the copy;
//! - holds every open rotation until it was read back and a person said continue.
//!
//! A disk image or a file that was copied by other means goes round this; restore from copies only.

mod record;
mod store;

pub use record::{BeginError, EVIDENCE_MAX, Entry, Journal, Settings, Taken, Watch};

use crate::evidence::Evidence;
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;

/// Why the journal did not keep or tell something.
#[derive(Debug, thiserror::Error)]
#[error("the journal {place}: {cause}; {remedy}")]
pub struct JournalError {
    /// The file.
    pub place: String,
    /// What happened.
    pub cause: String,
    /// What a person can do.
    pub remedy: String,
}

/// How often this journal was restored from a backup. What was written in an earlier epoch may be older than what the world saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Epoch(pub u32);

/// One change of what a backend keeps for itself: a key and its new value, or `None` to forget it.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// What a backend may ask of the journal and keep in it. Each is given its own (keys of one backend are not seen by another). Whatever returned `Ok` is on the
/// disk; writes of several threads share one flush.
pub trait Ledger: Send + Sync {
    /// The secret of a generation, opened. `None`: this module does not have it (a first generation that was never entered; a key made by the device).
    ///
    /// # Errors
    /// The journal cannot be read, or the seal does not open.
    fn secret(&self, slot: &Slot, generation: Generation) -> Result<Option<Secret>, JournalError>;

    /// What the verifier is meant to accept: what every accept put in and no retirement took out. A verifier that is this module serves exactly this.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn accepted(&self, slot: &Slot) -> Result<AcceptSet, JournalError>;

    /// All slots of this backend with what is accepted for each, sorted: what a verifier loads when it starts.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn slots(&self) -> Result<Vec<(Slot, AcceptSet)>, JournalError>;

    /// Keeps what was seen. Bounded for one slot: the last use of each generation and session is kept, older ones make way.
    ///
    /// # Errors
    /// The disk refuses.
    fn saw(&self, slot: &Slot, evidence: &[Evidence]) -> Result<(), JournalError>;

    /// What was seen at or after `since`, by time.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn seen(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, JournalError>;

    /// The value that this backend keeps under `key`, and the epoch in which it was written: where that is not [`Ledger::epoch`], the world may have moved on.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<(Epoch, Vec<u8>)>, JournalError>;

    /// Keeps all `changes` or none.
    ///
    /// # Errors
    /// The disk refuses.
    fn put(&self, changes: &[Change]) -> Result<(), JournalError>;

    /// How often the journal was restored.
    fn epoch(&self) -> Epoch;
}
