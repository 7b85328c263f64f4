//! Secrets: made, sealed, kept from being printed, and handed out in an emergency.
//!
//! - [`Secret`] holds one; nothing prints, copies or serialises it by accident.
//! - [`profile`] says what a device can take and makes what it can use.
//! - [`sealing`] keeps them at rest, under the keys that [`key_source`] reads from a file, from systemd or from a passphrase.
//! - [`process`] keeps them out of core dumps and swap.
//! - [`break_glass`] encrypts those in use to two people, for the day on which nothing of ours runs any more.

pub mod break_glass;
pub(crate) mod derived;
pub mod key_source;
pub mod process;
pub mod profile;
pub mod sealing;
mod secret;

pub use derived::Master;
pub use profile::{Alphabet, Misfit, Profile};
pub use sealing::Keyring;
pub use secret::Secret;

/// A secret sealed at rest: opaque to everybody but the sealing.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// What a secret is bound to (the additional data of the seal): one that was moved to another place does not open.
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    /// The slot.
    pub slot: &'a crate::slot::Slot,
    /// The generation.
    pub generation: crate::slot::Generation,
    /// The rotation that made it; 0 for one that was imported.
    pub rotation: crate::slot::RotationId,
}

/// Makes, seals and opens secrets.
pub trait Sealing: Send + Sync {
    /// A new secret of `profile` from the operating system, sealed.
    ///
    /// # Errors
    /// The operating system gives no randomness, or the sealing key is not there.
    fn make(&self, profile: &Profile, bound: Bound<'_>) -> Result<Sealed, crate::backends::Refusal>;

    /// Seals a secret that came from elsewhere.
    ///
    /// # Errors
    /// The sealing key is not there.
    fn seal(&self, secret: &Secret, bound: Bound<'_>) -> Result<Sealed, crate::backends::Refusal>;

    /// Opens what was sealed for just this place.
    ///
    /// # Errors
    /// It was sealed under another key or for another place, or was altered.
    fn open(&self, sealed: &Sealed, bound: Bound<'_>) -> Result<Secret, crate::backends::Refusal>;
}
