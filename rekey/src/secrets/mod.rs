//! Secrets: made, sealed, and kept from being printed.

use zeroize::Zeroizing;

/// A credential's value. It is wiped when dropped, and has neither `Debug`, `Display`, `Clone` nor `Serialize`, so that it cannot reach a log by accident.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes `bytes` over. The caller sees to it that no other copy is left.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The value, for the one call that needs it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same, in a time that depends on the lengths alone.
    pub fn same(&self, other: &[u8]) -> bool {
        self.0.len() == other.len() && self.0.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

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

/// What a device can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// How many characters or bytes, both ends included.
    pub length: std::ops::RangeInclusive<usize>,
    /// Which.
    pub alphabet: Alphabet,
}

/// The characters that a device can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Any byte.
    Bytes,
    /// Lowercase hexadecimal digits.
    Hex,
    /// ASCII letters and digits.
    Alphanumeric,
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
