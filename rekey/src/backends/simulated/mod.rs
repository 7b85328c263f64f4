//! Made-up devices, to try this program out without any: a verifier that holds all generations, as this module's own do, and devices that report,
//! restart and take a new password when they are told. Nothing leaves the process.
//!
//! `[simulated] folder` holds `devices.json`: what each device holds in its own memory, in clear, since it stands for devices that are
//! elsewhere. The deliveries are of one kind: a device takes the password, says so, and starts anew.
//!
//! Left out: all that goes wrong. [`crate::simulation`] has that, without this module's journal and command line.

mod device;

use super::{Backend, BackendSpec, Capability, Refusal};
use crate::evidence::Evidence;
use crate::journal::Ledger;
use crate::rotation::{Class, Outcome, Procedure};
use crate::secrets::profile::MQTT_PASSWORD;
use crate::secrets::{Profile, Secret};
use crate::slot::{AcceptSet, Effecting, Generation, Slot};
use crate::time::{Span, Timestamp};
use device::Town;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use device::{Device, write as write_devices};

/// What it is.
pub const SPEC: BackendSpec = BackendSpec {
    name: "simulated",
    verifies: "passwords of made-up devices, to try this program out",
    procedures: &[Procedure::SharedSecretReplacement],
    documents: &[],
    unproven: "made up: it says nothing about real devices",
    concurrency: 4,
    open,
};

/// How often a made-up device reports.
const REPORTS: Span = Span::seconds(1);

struct Simulated {
    town: Arc<Town>,
    ledger: Arc<dyn Ledger>,
}

fn open(table: &toml::Table, ledger: Arc<dyn Ledger>) -> Result<Arc<dyn Backend>, Refusal> {
    let folder = table.get("folder").and_then(|folder| folder.as_str()).map(PathBuf::from);
    let folder = folder.ok_or_else(|| {
        Refusal::new("[simulated] names no folder", "write folder = \"DIR\", with the devices.json of `citytap-rekey simulate`")
    })?;
    let town = Arc::new(Town::open(&folder)?);
    let (weak, kept) = (Arc::downgrade(&town), Arc::clone(&ledger));
    let live = move || {
        // Until the backend is gone.
        while let Some(town) = weak.upgrade() {
            town.report(kept.as_ref());
            drop(town);
            std::thread::sleep(Duration::from_millis(u64::try_from(REPORTS.0 / 1_000_000).unwrap_or(1000)));
        }
    };
    std::thread::Builder::new()
        .name("made-up devices".to_owned())
        .spawn(live)
        .map_err(|error| Refusal::new(format!("no thread could be started ({error})"), "free some memory"))?;
    Ok(Arc::new(Simulated { town, ledger }))
}

impl Simulated {
    fn read(&self, slot: &Slot) -> Result<AcceptSet, Refusal> {
        self.ledger
            .accepted(slot)
            .map_err(|error| Refusal::new(format!("the journal {}: {}", error.place, error.cause), error.remedy))
    }

    fn known(&self, slot: &Slot) -> Result<(), Refusal> {
        if self.town.has(slot.name()) {
            return Ok(());
        }
        Err(Refusal::new(format!("no made-up device is called {}", slot.name()), "see devices.json"))
    }
}

impl Backend for Simulated {
    fn spec(&self) -> &'static BackendSpec {
        &SPEC
    }

    fn preflight(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn capability(&self, slot: &Slot) -> Result<Capability, Refusal> {
        self.known(slot)?;
        Ok(Capability {
            class: Class::Overlap,
            procedure: Procedure::SharedSecretReplacement,
            way: "a message to a made-up device".into(),
            way_back: "the old password stays accepted".into(),
            outage: Span::seconds(1),
            reporting: REPORTS,
            polls: Span::ZERO,
            // Longer than the agent's question for evidence takes to come: else it delivers once more before it has asked.
            settles: Span::seconds(6),
            holds_both: true,
            airtime: Span::ZERO,
            battery: 0,
            falls_back_to: Vec::new(),
            behind: None,
            unproven: SPEC.unproven.into(),
        })
    }

    fn profile(&self, _: &Slot) -> Option<Profile> {
        Some(MQTT_PASSWORD)
    }

    /// The journal holds what is accepted, and that is all that this verifier goes by.
    fn accept(&self, slot: &Slot, generation: Generation, secret: Option<&Secret>, _: Effecting) -> Outcome {
        match (self.read(slot), secret) {
            (Ok(accepted), Some(_)) if accepted.accepts(generation) => Outcome::Done,
            (Err(why), _) => Outcome::Unknown { why: why.to_string() },
            _ => Outcome::Rejected { why: format!("{generation} has no secret here") },
        }
    }

    fn deliver(&self, slot: &Slot, _: Generation, to: Generation, secret: Option<&Secret>, _: Effecting) -> Outcome {
        match secret.and_then(Secret::expose_text) {
            Some(password) => match self.town.takes(slot, to, password, self.ledger.as_ref()) {
                Ok(()) => Outcome::Done,
                Err(why) => Outcome::Unknown { why: why.to_string() },
            },
            None => Outcome::Rejected { why: "there is no password to deliver".into() },
        }
    }

    fn read_back(&self, slot: &Slot) -> Result<AcceptSet, Refusal> {
        self.known(slot)?;
        self.read(slot)
    }

    fn evidence(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        self.ledger
            .seen(slot, since)
            .map_err(|error| Refusal::new(format!("the journal {}: {}", error.place, error.cause), error.remedy))
    }

    fn retire(&self, slot: &Slot, generation: Generation, _: Effecting) -> Outcome {
        match self.read(slot) {
            Ok(accepted) if !accepted.accepts(generation) => Outcome::Done,
            Ok(_) => Outcome::Rejected { why: format!("the journal still accepts {generation}") },
            Err(why) => Outcome::Unknown { why: why.to_string() },
        }
    }

    fn quarantine(&self, slot: &Slot, until: Option<Timestamp>, _: Effecting) -> Outcome {
        self.town.cut_off(slot.name(), until);
        Outcome::Done
    }

    /// The device's own password is what it has; there is no system beneath to tell.
    fn leave(&self, slot: &Slot, _: Effecting) -> Outcome {
        match self.known(slot) {
            Ok(()) => Outcome::Done,
            Err(why) => Outcome::Rejected { why: why.to_string() },
        }
    }
}
