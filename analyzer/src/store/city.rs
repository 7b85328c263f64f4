//! A store in use: opened, checked, read into memory, added to.

use super::contents::{Added, Changed, Contents, NotClosed, Run};
use super::credentials::{self, Kept};
use super::journal::{self, Recovered, Write, Writes};
use super::on_disk::OnDisk;
use super::record::{seal, unseal};
use super::{STORE_VERSION, Store, StoreError, Tree, baseline};
use crate::checks;
use crate::detectors::baseline::learned::Baseline;
use crate::detectors::baseline::numbered::Texts;
use crate::engine::Report;
use crate::findings::alerts::{Alert, AlertId, AlertPolicy, Alerts, Decision, DecisionError};
use crate::findings::kept::Closed;
use crate::hot::digest::{DigestKey, KEY_BYTES};
use crate::inventory::DeviceId;
use crate::register::Entry;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes that a store may take: a million devices of some 2 KB each, times three for the engine's own room.
pub const MAX_BYTES: u64 = 8 << 30;

/// Damaged records that are named; further ones are counted.
pub const DAMAGED_NAMED: usize = 20;

pub(super) const ABOUT: &[u8] = b"about";
const KEY: &[u8] = b"digest_key";

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of the layout.
    pub store_version: u32,
    /// The site.
    pub site: String,
    /// Version of the program that made it.
    pub created_by: String,
    /// Who writes it: `replay`, or `appliance`.
    pub owner: String,
}

/// A record that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRecord {
    /// Its tree.
    pub tree: Tree,
    /// Its key, in hex where it is no text.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

/// A proof, and the finding that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Id of the finding.
    pub finding: String,
    /// Its check.
    pub check: String,
    /// Its device.
    pub device: DeviceId,
    /// The proof.
    pub closed: Closed,
}

/// A store that is open.
pub struct City {
    pub(super) path: PathBuf,
    pub(super) store: Box<dyn Store>,
    pub(super) about: About,
    pub(super) contents: Contents,
    damaged: Vec<DamagedRecord>,
    damaged_count: u64,
    recovered: Recovered,
    pub(super) limit: u64,
}

impl City {
    /// Opens a store that exists.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::read(path, Box::new(OnDisk::open(path)?), None, MAX_BYTES)
    }

    /// Opens a store to add to it, or makes one. `site`: where it is said; a new store needs one.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn open_or_make(path: &Path, site: Option<&str>, default_site: &str) -> Result<Self, StoreError> {
        let city = Self::open_any_or_make(path, site, default_site)?;
        if city.about.owner != "replay" {
            return Err(StoreError::Appliance(path.into()));
        }
        Ok(city)
    }

    /// Opens a store to add to it whoever writes it, or makes one.
    pub(super) fn open_any_or_make(path: &Path, site: Option<&str>, default_site: &str) -> Result<Self, StoreError> {
        let city = Self::read(path, Box::new(OnDisk::open_or_make(path)?), Some(site.unwrap_or(default_site)), MAX_BYTES)?;
        match site {
            Some(wanted) if wanted != city.about.site => {
                Err(StoreError::Site { path: path.into(), is: city.about.site, wanted: wanted.into() })
            }
            _ => Ok(city),
        }
    }

    /// Reads a store of any backend. `new_site`: what a store that is empty is about.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn read(path: &Path, mut store: Box<dyn Store>, new_site: Option<&str>, limit: u64) -> Result<Self, StoreError> {
        let mut damaged = Damaged::default();
        let about = match store.get(Tree::Meta, ABOUT)? {
            Some(sealed) => unseal::<About>(Tree::Meta, ABOUT, &sealed)
                .map_err(|damage| StoreError::Damaged { path: path.into(), what: format!("meta record 'about': {damage}") })?,
            None => {
                let site = new_site.unwrap_or("city");
                begin(store.as_mut(), site)?
            }
        };
        if about.store_version > STORE_VERSION {
            return Err(StoreError::Newer { path: path.into(), version: about.store_version, by: about.created_by });
        }
        let recovered = journal::recover(store.as_mut())?;
        if let Recovered::Partly { damaged: count } = recovered {
            damaged.count += count;
        }
        let store_ref = store.as_ref();
        let mut contents = Contents::default();
        each(store_ref, Tree::Runs, &mut damaged, |run: Run| {
            contents.runs.insert(run.number, run);
        })?;
        each(store_ref, Tree::Devices, &mut damaged, |device: crate::inventory::Device| {
            contents.devices.insert(device.id, device);
        })?;
        each(store_ref, Tree::Findings, &mut damaged, |finding: crate::findings::kept::KeptFinding| {
            contents.findings.insert(finding.id.clone(), finding);
        })?;
        let mut ids: HashMap<String, &'static str> = HashMap::new();
        each(store_ref, Tree::Checks, &mut damaged, |mut check: crate::findings::kept::KeptCheck| {
            if let Some(id) = ids.get(&*check.check).copied().or_else(|| checks::by_id(&check.check).map(|spec| spec.id)) {
                ids.entry(check.check.into_owned()).or_insert(id);
                check.check = id.into();
            }
            contents.checks.insert((check.device, check.check.clone()), check);
        })?;
        each(store_ref, Tree::Credentials, &mut damaged, |kept: Kept| {
            let (device, presented) = kept.into_presented();
            contents.credentials.insert(device, presented);
        })?;
        contents.alerts = alerts(store_ref, &about.site, &mut damaged)?;
        each(store_ref, Tree::Register, &mut damaged, |entry: Entry| {
            contents.register.insert((entry.list.clone(), entry.line), entry);
        })?;
        contents.enter();
        let (mut normal, mut texts) = (Baseline::default(), Texts::default());
        each(store_ref, Tree::Baseline, &mut damaged, |stored| baseline::gather(&mut normal, stored, &mut texts))?;
        normal.pack();
        contents.baseline = Arc::new(normal);
        let (damaged_count, damaged) = (damaged.count, damaged.named);
        Ok(Self { path: path.into(), store, about, contents, damaged, damaged_count, recovered, limit })
    }

    /// What the store is.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What it knows.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    pub(super) fn contents_mut(&mut self) -> &mut Contents {
        &mut self.contents
    }

    /// Records that could not be used: the first of them, and how many in all.
    pub fn damaged(&self) -> (&[DamagedRecord], u64) {
        (&self.damaged, self.damaged_count)
    }

    /// The key under which a run that is to be added digests credentials. A store that has none yet gets one. `None` where it is damaged:
    /// then it counts among the damaged records, and no credential is digested, since digests under another key would compare with none.
    ///
    /// # Errors
    /// What the engine answers; no randomness for a new key.
    pub fn digest_key(&mut self) -> Result<Option<Arc<DigestKey>>, StoreError> {
        let Some(sealed) = self.store.get(Tree::Meta, KEY)?.map(Zeroizing::new) else {
            let key = make_key(self.store.as_mut())?;
            self.store.flush()?;
            return Ok(Some(Arc::new(key)));
        };
        let key = unseal::<String>(Tree::Meta, KEY, &sealed).map(Zeroizing::new);
        match key.and_then(|text| credentials::key_from_hex(&text)) {
            Ok(key) => Ok(Some(Arc::new(key))),
            Err(damage) => {
                self.damaged_count += 1;
                self.damaged.push(DamagedRecord { tree: Tree::Meta, key: key_text(Tree::Meta, KEY), what: damage.to_string() });
                Ok(None)
            }
        }
    }

    /// What the last process left under way.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// The backend, to hand it on.
    pub fn into_store(self) -> Box<dyn Store> {
        self.store
    }

    /// Adds a run: whole, or not at all.
    ///
    /// # Errors
    /// Why not, and what to do. What stands in memory then is no more what stands in the store, which is to be opened again.
    pub fn add(&mut self, report: &Report, run: Run) -> Result<Added, StoreError> {
        let mut contents = std::mem::take(&mut self.contents);
        let added = contents.add(report, run);
        let written = self.write(&|| Box::new(writes(&contents, Some(added.run), &added.changed)));
        self.contents = contents;
        written.map(|()| added)
    }

    /// Keeps what a person decided about an alert, at the time of the last packet that the store knows.
    ///
    /// # Errors
    /// The inner one says why the decision does not hold; the outer one why it could not be kept.
    pub fn decide(&mut self, alert: AlertId, decision: Decision) -> Result<Result<(), DecisionError>, StoreError> {
        let now = self.contents.now();
        if let Err(error) = self.contents.alerts.decide(alert, decision, now) {
            return Ok(Err(error));
        }
        let changed = Changed { alerts: self.contents.alerts.take_changed(), ..Changed::default() };
        let writes: Vec<Write> = writes(&self.contents, None, &changed).collect();
        self.write(&|| Box::new(writes.iter().cloned()))?;
        Ok(Ok(()))
    }

    /// Closes findings with their proofs, each named by id, check and device. Answers for each under which id it was closed, or why not.
    ///
    /// # Errors
    /// Why it could not be kept.
    pub fn close(&mut self, proofs: Vec<Proof>) -> Result<Vec<Result<String, NotClosed>>, StoreError> {
        let closed =
            proofs.into_iter().map(|proof| self.contents.close(&proof.finding, (&proof.check, proof.device), proof.closed));
        let closed: Vec<Result<String, NotClosed>> = closed.collect();
        let findings = closed.iter().flatten().cloned().collect();
        let changed = Changed { findings, alerts: self.contents.alerts.take_changed(), ..Changed::default() };
        let writes: Vec<Write> = writes(&self.contents, None, &changed).collect();
        self.write(&|| Box::new(writes.iter().cloned()))?;
        Ok(closed)
    }

    /// Takes a list into the register, in place of the one of the same name: whole, or not at all. Answers how many entries went.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn import(&mut self, list: &str, entries: Vec<Entry>) -> Result<usize, StoreError> {
        let changed = self.contents.import(list, entries);
        let gone = changed.iter().filter(|key| !self.contents.register.contains_key(*key)).count();
        let writes: Vec<Write> = changed
            .iter()
            .map(|key| {
                let (list, line) = key;
                let name = format!("{list}\0{line:010}").into_bytes();
                let value = self.contents.register.get(key).map(|entry| seal(Tree::Register, &name, entry));
                Write { tree: Tree::Register, key: name, value }
            })
            .collect();
        self.write(&|| Box::new(writes.iter().cloned()))?;
        Ok(gone)
    }

    /// Writes all of it or nothing, where there is room.
    pub(super) fn write(&mut self, writes: &Writes<'_>) -> Result<(), StoreError> {
        let size = self.store.size()?;
        let bytes = journal::write_within(self.store.as_mut(), self.limit.saturating_sub(size), writes)?;
        let size = size.saturating_add(bytes);
        if size > self.limit {
            return Err(StoreError::Full { path: self.path.clone(), size, limit: self.limit });
        }
        Ok(())
    }
}

/// Makes what every store has.
fn begin(store: &mut dyn Store, site: &str) -> Result<About, StoreError> {
    make_key(store)?;
    let about = About {
        store_version: STORE_VERSION,
        site: site.into(),
        created_by: env!("CARGO_PKG_VERSION").into(),
        owner: "replay".into(),
    };
    store.put(Tree::Meta, ABOUT, &seal(Tree::Meta, ABOUT, &about))?;
    store.flush()?;
    Ok(about)
}

/// Makes the key of digests. The folder is its owner's alone, and so is what lies in it.
fn make_key(store: &mut dyn Store) -> Result<DigestKey, StoreError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut()).map_err(|error| StoreError::Random(error.to_string()))?;
    let key = DigestKey::new(&mut key);
    let sealed = Zeroizing::new(seal(Tree::Meta, KEY, &*credentials::key_to_hex(&key)));
    store.put(Tree::Meta, KEY, &sealed)?;
    Ok(key)
}

/// What is to be written of what changed, and of a run that is new.
pub(super) fn writes<'c>(contents: &'c Contents, run: Option<u32>, changed: &'c Changed) -> impl Iterator<Item = Write> + 'c {
    fn write<T: Serialize>(tree: Tree, key: Vec<u8>, value: Option<&T>) -> Write {
        let value = value.map(|value| seal(tree, &key, value));
        Write { tree, key, value }
    }
    let runs = run.map(move |run| write(Tree::Runs, run.to_be_bytes().to_vec(), contents.runs.get(&run)));
    let alerts = changed.alerts.iter().map(move |id| write(Tree::Alerts, id.0.to_be_bytes().to_vec(), contents.alerts.get(*id)));
    let devices =
        changed.devices.iter().map(move |id| write(Tree::Devices, id.0.to_be_bytes().to_vec(), contents.devices.get(id)));
    let findings =
        changed.findings.iter().map(move |id| write(Tree::Findings, id.as_bytes().to_vec(), contents.findings.get(id)));
    let checks = changed.checks.iter().map(move |key| {
        let (device, check) = key;
        write(Tree::Checks, format!("{device}/{check}").into_bytes(), contents.checks.get(key))
    });
    let credentials = changed.credentials.iter().map(move |id| {
        let kept = contents.credentials.get(id).map(|presented| Kept::new(*id, presented));
        write(Tree::Credentials, id.0.to_be_bytes().to_vec(), kept.as_ref())
    });
    let baseline = baseline::writes(&contents.baseline, &changed.baseline);
    runs.into_iter().chain(devices).chain(findings).chain(checks).chain(credentials).chain(alerts).chain(baseline)
}

fn alerts(store: &dyn Store, site: &str, damaged: &mut Damaged) -> Result<Alerts, StoreError> {
    let mut kept = Vec::new();
    each(store, Tree::Alerts, damaged, |alert: Alert| kept.push(alert))?;
    Ok(Alerts::restored(site, AlertPolicy::default(), kept))
}

#[derive(Default)]
struct Damaged {
    named: Vec<DamagedRecord>,
    count: u64,
}

fn each<T: DeserializeOwned>(
    store: &dyn Store,
    tree: Tree,
    damaged: &mut Damaged,
    mut take: impl FnMut(T),
) -> Result<(), StoreError> {
    store.each(tree, &mut |key, sealed| match unseal::<T>(tree, key, sealed) {
        Ok(value) => take(value),
        Err(damage) => {
            damaged.count += 1;
            if damaged.named.len() < DAMAGED_NAMED {
                damaged.named.push(DamagedRecord { tree, key: key_text(tree, key), what: damage.to_string() });
            }
        }
    })
}

fn key_text(tree: Tree, key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if matches!(tree, Tree::Findings | Tree::Checks | Tree::Meta | Tree::Baseline) => text.to_owned(),
        _ => key.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
