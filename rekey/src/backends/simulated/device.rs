//! The made-up devices, and the verifier that they log in at.

use crate::backends::Refusal;
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::journal::Ledger;
use crate::secrets::Secret;
use crate::secrets::key_source::write_private;
use crate::slot::{Generation, Slot};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Reports between two restarts of a made-up device.
const RESTARTS: u64 = 4;

/// A device: what it holds in its own memory.
#[derive(Clone, Serialize, Deserialize)]
pub struct Device {
    /// Its password, in clear: it stands for a device that is elsewhere.
    pub password: String,
    /// Reports that it sent.
    #[serde(default)]
    pub reports: u64,
    /// How often it started.
    #[serde(default)]
    pub starts: u64,
    /// Reports that were refused.
    #[serde(default)]
    pub refused: u64,
}

pub(super) struct Town {
    file: PathBuf,
    devices: Mutex<BTreeMap<String, Device>>,
    cut_off: Mutex<BTreeMap<String, Timestamp>>,
}

/// Writes the devices of a folder.
///
/// # Errors
/// What the file system answers.
pub fn write(folder: &Path, devices: &BTreeMap<String, Device>) -> std::io::Result<()> {
    write_private(&folder.join("devices.json"), &serde_json::to_vec_pretty(devices).unwrap_or_default())
}

impl Town {
    pub(super) fn open(folder: &Path) -> Result<Self, Refusal> {
        let file = folder.join("devices.json");
        let remedy = "make them with `citytap-rekey simulate`";
        let bytes = std::fs::read(&file).map_err(|error| Refusal::new(format!("{}: {error}", file.display()), remedy))?;
        let devices =
            serde_json::from_slice(&bytes).map_err(|error| Refusal::new(format!("{}: {error}", file.display()), remedy))?;
        Ok(Self { file, devices: Mutex::new(devices), cut_off: Mutex::default() })
    }

    fn devices(&self) -> MutexGuard<'_, BTreeMap<String, Device>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.devices().contains_key(name)
    }

    pub(super) fn cut_off(&self, name: &str, until: Option<Timestamp>) {
        let mut cut_off = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) => drop(cut_off.insert(name.to_owned(), until)),
            None => drop(cut_off.remove(name)),
        }
    }

    fn is_cut_off(&self, name: &str, now: Timestamp) -> bool {
        self.cut_off.lock().unwrap_or_else(PoisonError::into_inner).get(name).is_some_and(|until| now < *until)
    }

    /// The device takes a password, says so and starts anew.
    pub(super) fn takes(&self, slot: &Slot, generation: Generation, password: &str, ledger: &dyn Ledger) -> Result<(), Refusal> {
        let mut devices = self.devices();
        let unknown = || Refusal::new(format!("no made-up device is called {}", slot.name()), "see devices.json");
        let device = devices.get_mut(slot.name()).ok_or_else(unknown)?;
        device.password = password.to_owned();
        device.starts += 1;
        self.keep(&devices)?;
        let at = now();
        let said = [Evidence::Acknowledged { generation, at }, Evidence::Restarted { at }];
        ledger.saw(slot, &said).map_err(|error| Refusal::new(error.cause, error.remedy))
    }

    /// Every device logs in and reports once; some start anew before.
    pub(super) fn report(&self, ledger: &dyn Ledger) {
        let mut devices = self.devices();
        let at = now();
        for (name, device) in devices.iter_mut() {
            let Ok(slot) = Slot::new(super::SPEC.name, name) else { continue };
            if self.is_cut_off(name, at) {
                continue;
            }
            let mut seen = Vec::new();
            device.reports += 1;
            if device.reports % RESTARTS == 0 {
                device.starts += 1;
                seen.push(Evidence::Restarted { at: Timestamp(at.0 - 1) });
            }
            match verified(&slot, &device.password, ledger) {
                Some(generation) => {
                    let used = Use { generation, session: device.starts, at, by: Witness::Verifier, reach: Reach::Data };
                    seen.push(Evidence::Used(used));
                }
                None => {
                    device.refused += 1;
                    seen.push(Evidence::Refused { at });
                }
            }
            // A journal that cannot be written to keeps nothing; the next report is a second away.
            let _ = ledger.saw(&slot, &seen);
        }
        // The devices' own memory: lost, they have their last password all the same.
        let _ = self.keep(&devices);
    }

    fn keep(&self, devices: &BTreeMap<String, Device>) -> Result<(), Refusal> {
        let bytes = serde_json::to_vec_pretty(devices).unwrap_or_default();
        write_private(&self.file, &bytes).map_err(|error| Refusal::new(format!("{}: {error}", self.file.display()), "make room"))
    }
}

/// The generation that a password is, of those that are accepted.
fn verified(slot: &Slot, password: &str, ledger: &dyn Ledger) -> Option<Generation> {
    let accepted = ledger.accepted(slot).ok()?;
    accepted.generations.into_iter().find(|generation| {
        ledger.secret(slot, *generation).ok().flatten().is_some_and(|secret: Secret| secret.same(password.as_bytes()))
    })
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
