//! Everything that commands need open: configuration, policy, keys, journal, backends, audit log.

use super::Stop;
use crate::audit::{Event, Log};
use crate::backends::{self, Backend};
use crate::config::Config;
use crate::journal::{Journal, Ledger, Settings};
use crate::policy::Policy;
use crate::secrets::Keyring;
use crate::slot::{Generation, Slot};
use crate::time::Timestamp;
use citytap_signing::Signer;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Names of the files in the module's folder.
pub const JOURNAL: &str = "journal.redb";
/// The audit log.
pub const AUDIT: &str = "audit.jsonl";

/// What is open.
#[derive(Clone)]
pub struct Host {
    /// Where things are.
    pub config: Config,
    /// What may be done.
    pub policy: Policy,
    /// What seals.
    pub keys: Arc<Keyring>,
    /// What outlives the process.
    pub journal: Arc<Journal>,
    /// The backends that are configured.
    pub backends: BTreeMap<String, Arc<dyn Backend>>,
    /// Backends that are configured and do not open, with the reason.
    pub unopened: Vec<(String, String)>,
    /// The audit log, where it is open for long.
    pub log: Option<Arc<Mutex<Log>>>,
}

/// Reads configuration and policy.
pub fn read(path: &Path) -> Result<(Config, Policy), Stop> {
    let config = Config::read(path).map_err(Stop::file)?;
    let policy = Policy::read(&config.policy).map_err(Stop::file)?;
    Ok((config, policy))
}

impl Host {
    /// Opens everything. One process at a time has the journal.
    pub fn open(path: &Path) -> Result<Self, Stop> {
        let (config, policy) = read(path)?;
        let (keys, journal) = open_journal(&config)?;
        let (mut backends, mut unopened) = (BTreeMap::new(), Vec::new());
        for name in config.backends.keys() {
            let Some(spec) = backends::named(name) else { continue };
            let opened = config.bounded(name, &policy).and_then(|part| (spec.open)(&part, journal.ledger(name)));
            match opened {
                Ok(backend) => drop(backends.insert(name.clone(), backend)),
                Err(refusal) => unopened.push((name.clone(), refusal.to_string())),
            }
        }
        Ok(Self { config, policy, keys, journal, backends, unopened, log: None })
    }

    /// What the backend of a slot keeps.
    pub fn ledger(&self, slot: &Slot) -> Arc<dyn Ledger> {
        self.journal.ledger(slot.backend())
    }

    /// The audit log, open to be written.
    pub fn audit(&self, now: Timestamp) -> Result<Log, Stop> {
        let signer = Signer::read(&self.config.signing).map_err(Stop::file)?;
        Log::open(&self.config.folder.join(AUDIT), signer, now).map_err(Stop::refused)
    }

    /// Writes one event, signed and durable.
    pub fn tell_audit(&self, event: &Event, now: Timestamp) -> Result<(), Stop> {
        if let Some(log) = &self.log {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            return log.append(event, now).and_then(|()| log.sync(now)).map_err(Stop::refused);
        }
        let mut log = self.audit(now)?;
        log.append(event, now).and_then(|()| log.sync(now)).map_err(Stop::refused)
    }

    /// Every slot that this module knows: of the journal, of the policy's table, of findings.
    pub fn slots(&self) -> Result<BTreeSet<Slot>, Stop> {
        let mut slots: BTreeSet<Slot> = self.policy.slots.devices.values().cloned().collect();
        for name in self.config.backends.keys() {
            let known = self.journal.ledger(name).slots().map_err(Stop::file)?;
            slots.extend(known.into_iter().map(|(slot, _)| slot));
        }
        slots.extend(super::findings::kept(&self.config)?.into_iter().map(|(_, slot)| slot));
        Ok(slots)
    }

    /// What a person calls the device of a slot: its identity in the policy's table, else the slot.
    pub fn device(&self, slot: &Slot) -> String {
        let named = self.policy.slots.devices.iter().find(|(_, of)| *of == slot);
        named.map_or_else(|| slot.to_string(), |(identity, _)| identity.clone())
    }

    /// Every generation of a slot that a device may hold: accepted, or part of a rotation that is open.
    pub fn generations(&self, slot: &Slot) -> Result<BTreeSet<Generation>, Stop> {
        let mut generations = self.journal.accepted(slot).map_err(Stop::file)?.generations;
        let rotations = self.journal.rotations().map_err(Stop::file)?;
        for rotation in rotations.iter().filter(|rotation| rotation.plan.slot == *slot && !rotation.state().is_end()) {
            generations.extend(rotation.must_accept());
            generations.insert(rotation.target());
        }
        Ok(generations)
    }
}

/// Opens the keys and the journal alone.
pub fn open_journal(config: &Config) -> Result<(Arc<Keyring>, Arc<Journal>), Stop> {
    if !config.folder.is_dir() {
        let text =
            format!("there is no folder {}; make it for this module alone: install -d -m 700 {0}", config.folder.display());
        return Err(Stop::file(text));
    }
    let keys = Arc::new(config.sealing.open(&config.folder).map_err(Stop::file)?);
    let settings = Settings { copies: config.copies.is_some(), ..Settings::default() };
    let journal = Journal::open(&config.folder.join(JOURNAL), keys.clone(), settings).map_err(Stop::file)?;
    Ok((keys, Arc::new(journal)))
}

/// Reads a whole file as text.
pub fn text_of(path: &Path) -> Result<String, Stop> {
    std::fs::read_to_string(path).map_err(|error| Stop::file(format!("cannot read {}: {error}", path.display())))
}

/// Writes a file for its owner alone, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Stop> {
    crate::secrets::key_source::write_private(path, bytes)
        .map_err(|error| Stop::file(format!("cannot write {}: {error}", path.display())))
}

/// Reads a file of ours; what is not there is as if it were empty.
pub fn kept<T: serde::de::DeserializeOwned + Default>(path: &PathBuf) -> Result<T, Stop> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Stop::file(format!("{} is damaged ({error}); move it away to begin it anew", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(Stop::file(format!("cannot read {}: {error}", path.display()))),
    }
}

/// Keeps a file of ours.
pub fn keep(path: &Path, value: &impl serde::Serialize) -> Result<(), Stop> {
    // Our own types have string keys alone: writing them to memory cannot fail.
    write(path, &serde_json::to_vec_pretty(value).unwrap_or_default())
}
