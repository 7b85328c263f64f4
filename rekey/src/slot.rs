//! What a rotation is about: a credential's place, its generations, and what the verifier accepts.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Longest name of a slot in bytes: an LwM2M endpoint or a DNS name fits, a database key stays small.
pub const SLOT_NAME_MAX: usize = 255;

/// One credential's place: one device at one verifier, such as `mosquitto/dev1` or `join_server/0102030405060708`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slot {
    backend: String,
    name: String,
}

/// Why text is no slot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no slot: write the backend's name, a slash and the device's name there, such as mosquitto/dev1 (at most {SLOT_NAME_MAX} bytes, nothing invisible)"
)]
pub struct BadSlot(String);

impl Slot {
    /// The slot of the device `name` at the verifier `backend`.
    ///
    /// # Errors
    /// `backend` is not of the form of a folder's name (`a-z`, `0-9`, `_`), or `name` is empty, too long or holds control characters.
    pub fn new(backend: &str, name: &str) -> Result<Self, BadSlot> {
        let folder = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        let good = !backend.is_empty() && backend.len() <= 32 && backend.bytes().all(folder);
        if good && !name.is_empty() && name.len() <= SLOT_NAME_MAX && !name.chars().any(char::is_control) {
            Ok(Self { backend: backend.to_owned(), name: name.to_owned() })
        } else {
            Err(BadSlot(format!("{backend}/{name}").chars().take(80).collect()))
        }
    }

    /// The name of the backend, as in the table `BACKENDS`.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The device's name at that verifier: a user name, a DevEUI in bare lowercase hex, an endpoint ...
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.name)
    }
}

impl FromStr for Slot {
    type Err = BadSlot;

    fn from_str(text: &str) -> Result<Self, BadSlot> {
        let (backend, name) = text.split_once('/').ok_or_else(|| BadSlot(text.chars().take(80).collect()))?;
        Self::new(backend, name)
    }
}

impl TryFrom<String> for Slot {
    type Error = BadSlot;

    fn try_from(text: String) -> Result<Self, BadSlot> {
        text.parse()
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> Self {
        slot.to_string()
    }
}

/// A generation of a slot's credential: 1 is what was there first; a number is used once and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u32);

impl Generation {
    /// What was there before this module.
    pub const FIRST: Self = Self(1);

    /// The next number; saturates (four thousand million rotations of one slot).
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}", self.0)
    }
}

/// One rotation, numbered by the journal. 0 stands for what was entered without a rotation (an imported first generation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RotationId(pub u64);

/// One effect of a rotation, numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Step(pub u32);

/// Which effect a backend is asked for. Asked again with the same pair, it does nothing new and answers what it would have answered the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Effecting {
    /// The rotation.
    pub rotation: RotationId,
    /// Its step.
    pub step: Step,
}

/// What a verifier accepts for a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AcceptSet {
    /// The generations that it accepts.
    pub generations: BTreeSet<Generation>,
    /// It also holds something that is no generation of ours: a person changed it by hand, or another program did.
    pub foreign: bool,
}

impl AcceptSet {
    /// These generations and nothing else.
    pub fn of(generations: impl IntoIterator<Item = Generation>) -> Self {
        Self { generations: generations.into_iter().collect(), foreign: false }
    }

    /// Whether `generation` is accepted.
    pub fn accepts(&self, generation: Generation) -> bool {
        self.generations.contains(&generation)
    }
}
