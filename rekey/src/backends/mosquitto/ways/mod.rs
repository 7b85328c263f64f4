//! The ways by which Mosquitto comes to accept a new generation: one file each.

pub mod alternate_user;
pub mod password_file;
pub mod plugin;
pub mod psk_file;
pub mod quarantine;

use super::client::{Client, ClientError};
use super::dynsec::Control;
use super::saved::Saved;
use super::settings::{Settings, WayName, need};
use super::told::journal;
use crate::backends::Refusal;
use crate::evidence::Evidence;
use crate::journal::Ledger;
use crate::rotation::Outcome;
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One way.
pub trait Way: Send + Sync {
    /// Whether this way can work with this broker.
    ///
    /// # Errors
    /// What stands in the way.
    fn preflight(&self, context: &WayContext) -> Result<(), Refusal>;

    /// Accepts a generation in addition.
    ///
    /// # Errors
    /// It certainly or possibly did not take place.
    fn accept(&self, context: &WayContext, slot: &Slot, generation: Generation, secret: &Secret) -> Result<(), Fault>;

    /// Replaces the one generation that is held.
    ///
    /// # Errors
    /// It certainly or possibly did not take place.
    fn switch(&self, _context: &WayContext, slot: &Slot, to: Generation, _secret: &Secret) -> Result<(), Fault> {
        Err(Fault::Certain(format!("{slot}: several generations are held at once here, there is nothing to switch to {to}")))
    }

    /// What is accepted.
    ///
    /// # Errors
    /// It cannot be read.
    fn read_back(&self, context: &WayContext, slot: &Slot) -> Result<AcceptSet, Refusal>;

    /// What was seen.
    ///
    /// # Errors
    /// It cannot be told.
    fn evidence(&self, context: &WayContext, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal>;

    /// Stops accepting a generation.
    ///
    /// # Errors
    /// It certainly or possibly did not take place.
    fn retire(&self, context: &WayContext, slot: &Slot, generation: Generation) -> Result<(), Fault>;

    /// Hands the credential in use to the broker.
    ///
    /// # Errors
    /// It certainly or possibly did not take place.
    fn leave(&self, context: &WayContext, slot: &Slot) -> Result<(), Fault>;

    /// The broker's users of a slot, for quarantine; `None` where this way has none that dynamic security knows.
    ///
    /// # Errors
    /// It cannot be read.
    fn users(&self, context: &WayContext, slot: &Slot) -> Result<Option<Vec<String>>, Refusal>;

    /// The user name or identity with which the device presents a generation.
    fn user(&self, slot: &Slot, generation: Generation) -> String;
}

/// The way of this name.
pub fn named(name: WayName) -> &'static dyn Way {
    match name {
        WayName::Plugin => &plugin::Plugin,
        WayName::AlternateUser => &alternate_user::AlternateUser,
        WayName::PskFile => &psk_file::PskFile,
        WayName::PasswordFile => &password_file::PasswordFile,
    }
}

/// Why an effect did not take place.
#[derive(Debug)]
pub enum Fault {
    /// It certainly did not.
    Certain(String),
    /// It may have.
    Unsure(String),
}

impl Fault {
    /// The same after something was sent or written.
    pub fn unsure(error: impl Into<Self>) -> Self {
        let (Self::Certain(why) | Self::Unsure(why)) = error.into();
        Self::Unsure(why)
    }

    /// As the contract says it.
    pub fn outcome(result: Result<(), Self>) -> Outcome {
        match result {
            Ok(()) => Outcome::Done,
            Err(Self::Certain(why)) => Outcome::Rejected { why },
            Err(Self::Unsure(why)) => Outcome::Unknown { why },
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Certain(refusal.to_string())
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Closed { .. } | ClientError::Silent => Self::Unsure(error.to_string()),
            _ => Self::Certain(error.to_string()),
        }
    }
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        Fault::from(error).into()
    }
}

impl From<Fault> for Refusal {
    fn from((Fault::Certain(text) | Fault::Unsure(text)): Fault) -> Self {
        match text.split_once("; ") {
            Some((cause, remedy)) => Self::new(cause, remedy),
            None => Self::new(text, "look into the broker's log"),
        }
    }
}

/// What all ways need.
pub struct WayContext {
    /// The configuration's part.
    pub settings: Settings,
    /// The journal.
    pub ledger: Arc<dyn Ledger>,
    one_at_a_time: Mutex<()>,
}

impl WayContext {
    /// For these settings.
    pub fn new(settings: Settings, ledger: Arc<dyn Ledger>) -> Self {
        Self { settings, ledger, one_at_a_time: Mutex::new(()) }
    }

    /// Changes of the broker's files happen one at a time, so that before and after can be compared.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection of the administrator.
    ///
    /// # Errors
    /// The broker is away or refuses.
    pub fn control(&self) -> Result<Control, Fault> {
        let password = self.settings.admin_password()?;
        Ok(Control::open(&self.settings.endpoint(), &self.settings.admin, &password, mark()?)?)
    }

    /// An ordinary connection under the administrator's name, for what devices send and are sent.
    ///
    /// # Errors
    /// The broker is away or refuses.
    pub fn client(&self, purpose: &str) -> Result<Client, Fault> {
        let password = self.settings.admin_password()?;
        let id = format!("citytap-rekey-{purpose}-{}", mark()?);
        Ok(Client::connect(&self.settings.endpoint(), &id, Some((&self.settings.admin, &password)))?)
    }

    /// The broker's dynamic-security.json.
    ///
    /// # Errors
    /// The configuration does not say where.
    pub fn saved(&self) -> Result<Saved, Refusal> {
        need(self.settings.dynamic_security_file.as_ref(), "dynamic_security_file").map(|path| Saved::new(path.to_owned()))
    }

    /// The generations that are meant to be accepted and whose secret is known, newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn known(&self, slot: &Slot, generations: &BTreeSet<Generation>) -> Result<Vec<(Generation, Secret)>, Refusal> {
        let mut known = Vec::new();
        for generation in generations.iter().rev() {
            if let Some(secret) = self.ledger.secret(slot, *generation).map_err(journal)? {
                known.push((*generation, secret));
            }
        }
        Ok(known)
    }

    /// Which generation a place that holds one password holds. `holds` says whether a password is that one. All that were ever made are tried, the retired ones
    /// too: one that came back must be seen. Where none is it, it is the first generation if that one was never entered here and never replaced by us; else
    /// somebody changed it.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn held(&self, slot: &Slot, staged: Generation, holds: impl Fn(&Secret) -> bool) -> Result<AcceptSet, Refusal> {
        let accepted = self.ledger.accepted(slot).map_err(journal)?.generations;
        let newest = accepted.last().copied().unwrap_or(Generation::FIRST).max(staged).0.min(MAX_TRIED);
        for generation in (1..=newest).rev().map(Generation) {
            if self.ledger.secret(slot, generation).map_err(journal)?.is_some_and(|secret| holds(&secret)) {
                return Ok(AcceptSet::of([generation]));
            }
        }
        let is_first = self.ledger.secret(slot, Generation::FIRST).map_err(journal)?.is_none()
            && self.ledger.get(&replaced(slot)).map_err(journal)?.is_none();
        Ok(if is_first { AcceptSet::of([Generation::FIRST]) } else { AcceptSet { generations: BTreeSet::new(), foreign: true } })
    }

    /// Notes that what the place holds is no longer the first generation; before it is replaced.
    ///
    /// # Errors
    /// The journal does not keep it.
    pub fn note_replaced(&self, slot: &Slot) -> Result<(), Refusal> {
        self.ledger.put(&[(replaced(slot), Some(Vec::new()))]).map_err(journal)
    }

    /// The generation that the broker itself holds for the user of a slot's own name.
    ///
    /// # Errors
    /// The file or the journal cannot be read.
    pub fn held_by_broker(&self, slot: &Slot) -> Result<Option<Generation>, Refusal> {
        Ok(plugin::held(self, slot)?.generations.first().copied())
    }
}

/// Generations that are tried against a digest: a slot that was rotated every day for ten years.
const MAX_TRIED: u32 = 4096;

fn replaced(slot: &Slot) -> Vec<u8> {
    format!("replaced/{}", slot.name()).into_bytes()
}

/// Text that was not used before and cannot be guessed: 16 hex digits from the operating system.
///
/// # Errors
/// It gives none.
pub fn mark() -> Result<String, Refusal> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Random bytes from the operating system.
///
/// # Errors
/// It gives none.
pub fn random(bytes: &mut [u8]) -> Result<(), Refusal> {
    getrandom::fill(bytes)
        .map_err(|error| Refusal::new(format!("the operating system gives no randomness: {error}"), "look into the kernel's log"))
}

/// Refuses to take the last generation away.
///
/// # Errors
/// It is the last.
pub fn keep_one(slot: &Slot, accepted: &AcceptSet, retired: Generation) -> Result<(), Fault> {
    if accepted.generations.iter().any(|other| *other != retired) {
        Ok(())
    } else {
        Err(Fault::Certain(format!("{slot}: the broker accepts nothing but {retired}; taking it away would lock the device out")))
    }
}

/// What an answer of dynamic security says of a change.
///
/// # Errors
/// It failed.
pub fn succeeded(slot: &Slot, answer: &super::dynsec::Answer) -> Result<(), Fault> {
    match &answer.error {
        None => Ok(()),
        Some(why) => Err(Fault::Certain(format!("{slot}: the broker answered {:?} to {}", why, answer.command))),
    }
}
