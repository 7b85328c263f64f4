//! The systems that verify a credential, behind one contract, and their table. A backend is one folder here and one line in [`BACKENDS`].
//!
//! Blocking on purpose: the agent runs effects on plain threads, at most [`BackendSpec::concurrency`] at a time for one backend, one at a time for one slot. A
//! server inside a backend owns its own runtime.

pub mod cups;
pub mod http_verifier;
pub mod join_server;
pub mod mosquitto;
pub mod simulated;

use crate::evidence::Evidence;
use crate::journal::Ledger;
use crate::rotation::{Class, Outcome, Procedure};
use crate::secrets::{Profile, Secret};
use crate::slot::{AcceptSet, Effecting, Generation, Slot};
use crate::time::{Span, Timestamp};
use std::sync::Arc;

/// All backends.
pub const BACKENDS: &[&BackendSpec] =
    &[&cups::SPEC, &http_verifier::SPEC, &join_server::SPEC, &mosquitto::SPEC, &simulated::SPEC];

/// The backend of this name.
pub fn named(name: &str) -> Option<&'static BackendSpec> {
    BACKENDS.iter().copied().find(|spec| spec.name == name)
}

/// What a backend is.
pub struct BackendSpec {
    /// The folder's name, and the first half of a slot's.
    pub name: &'static str,
    /// What it verifies, for a person: "user names and passwords of MQTT clients at Mosquitto".
    pub verifies: &'static str,
    /// The procedures that it can take part in.
    pub procedures: &'static [Procedure],
    /// The documents followed, with version and clause.
    pub documents: &'static [&'static str],
    /// What was not run on real systems: "documented, unproven on hardware: ..."; empty where all of it was.
    pub unproven: &'static str,
    /// How many effects may run at a time; 1 where devices share something that breaks (one gateway at a time).
    pub concurrency: usize,
    /// Opens it with its own part of the configuration.
    pub open: Opens,
}

/// Opens a backend with its part of the configuration and what it keeps.
pub type Opens = fn(&toml::Table, Arc<dyn Ledger>) -> Result<Arc<dyn Backend>, Refusal>;

/// Why something is not done, and what to do about it. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}; {remedy}")]
pub struct Refusal {
    /// What stands in the way, with the place.
    pub cause: String,
    /// What a person can do.
    pub remedy: String,
}

impl Refusal {
    /// A refusal for this cause with this remedy.
    pub fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into() }
    }
}

/// How one slot can be changed. The plan shows all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// How safely.
    pub class: Class,
    /// By which procedure.
    pub procedure: Procedure,
    /// By which way the device learns it: "Tasmota, Backlog over MQTT".
    pub way: String,
    /// The way back: "the device's own rule restores the old password after 5 minutes".
    pub way_back: String,
    /// How long the device is expected to be away.
    pub outage: Span,
    /// How often the device reports, or comes by to be verified.
    pub reporting: Span,
    /// How often it asks for changes by itself (CUPS: 24 h); zero where it is told.
    pub polls: Span,
    /// How long after a delivery was sent it can still change what the device uses: a queued message that comes late, a device that goes back by itself. What
    /// is queued must expire by then.
    pub settles: Span,
    /// Whether the verifier accepts several generations together. Goes without saying for overlap; a site visit can have it or not.
    pub holds_both: bool,
    /// Time on air of what is sent to the device.
    pub airtime: Span,
    /// What it costs the battery, in microampere hours; zero for mains.
    pub battery: u64,
    /// The generations that the device may fall back to by itself for ever (factory, `-bak`, bootstrap): these are never retired (I5).
    pub falls_back_to: Vec<Generation>,
    /// The slot that must not be rotated at the same time and, where both wait, goes first: the gateway of a device.
    pub behind: Option<Slot>,
    /// What was not run on real hardware; empty where it was.
    pub unproven: String,
}

/// A system that verifies credentials, and how its devices learn theirs.
///
/// All effects are idempotent on `by`. [`Outcome::Rejected`] says that the effect certainly did not take place and will not; anything less certain is
/// [`Outcome::Unknown`], which never leads to anything destructive.
pub trait Backend: Send + Sync {
    /// What it is.
    fn spec(&self) -> &'static BackendSpec;

    /// Whether it can work at all: version, writable folder, reachable.
    ///
    /// # Errors
    /// What stands in the way, and the remedy.
    fn preflight(&self) -> Result<(), Refusal>;

    /// How this slot can be changed.
    ///
    /// # Errors
    /// It cannot, or somebody else holds the key: nothing is planned.
    fn capability(&self, slot: &Slot) -> Result<Capability, Refusal>;

    /// What a new secret must look like; `None` where this module makes none (a session re-key; a device that makes its own key).
    fn profile(&self, slot: &Slot) -> Option<Profile>;

    /// The verifier accepts `generation` in addition to what it accepts already.
    fn accept(&self, slot: &Slot, generation: Generation, secret: Option<&Secret>, by: Effecting) -> Outcome;

    /// A verifier that holds one generation (classes cut-over and self-reverting) replaces the one it holds by `to`.
    fn switch(&self, slot: &Slot, to: Generation, secret: Option<&Secret>, by: Effecting) -> Outcome {
        let _ = (secret, by);
        Outcome::Rejected {
            why: format!("{slot}: this verifier holds several generations at once, there is nothing to switch to {to}"),
        }
    }

    /// The device learns `to`; `from` is what it is believed to use. [`Outcome::Done`]: the device said that it has it. [`Outcome::Sent`]: it is on its way,
    /// evidence will tell.
    fn deliver(&self, slot: &Slot, from: Generation, to: Generation, secret: Option<&Secret>, by: Effecting) -> Outcome;

    /// What the verifier really accepts now.
    ///
    /// # Errors
    /// It cannot be read.
    fn read_back(&self, slot: &Slot) -> Result<AcceptSet, Refusal>;

    /// What was seen of this slot at or after `since`, complete up to the time of the call. May repeat what it said before.
    ///
    /// # Errors
    /// It cannot be told: nothing follows from that, least of all that a generation is unused.
    fn evidence(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal>;

    /// The verifier stops accepting `generation`, for good.
    fn retire(&self, slot: &Slot, generation: Generation, by: Effecting) -> Outcome;

    /// Cuts the device off from everything but the way to its verifier until `until`; `None` lets it back at once.
    fn quarantine(&self, slot: &Slot, until: Option<Timestamp>, by: Effecting) -> Outcome;

    /// Hands the credential in use back to the system beneath, so that the device works without this module.
    fn leave(&self, slot: &Slot, by: Effecting) -> Outcome;
}
