//! A run that goes on, in a store: each time it is written, the store says what it said before the run, and the run so far added to it.
//!
//! So counts are right however often it is written, and what the run thought an hour ago and no longer thinks is gone. Only what changed since
//! the last time is written. Between two times the engine is closed, so that `citytap devices --store DIR` can ask and `citytap alerts` can decide.

use super::baseline::{self, Stored};
use super::city::{ABOUT, City, writes};
use super::contents::{Added, Changed, Contents, Run};
use super::journal::{self, Write};
use super::on_disk::OnDisk;
use super::record::{seal, unseal};
use super::{Store, StoreError, Tree};
use crate::detectors::baseline::learned::Baseline;
use crate::detectors::baseline::numbered::Texts;
use crate::engine::Report;
use crate::findings::alerts::{Alert, AlertId, AlertPolicy, Alerts};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who writes a store that a run goes on in.
const OWNER: &str = "appliance";

/// A store with a run that goes on.
pub struct Growing {
    path: PathBuf,
    limit: u64,
    site: String,
    /// What the store said before the run, and what people decided since.
    base: Contents,
    /// Digests of what stands in the store, by tree and key: of alerts all, of the rest what the run wrote. 0 where it was removed.
    written: HashMap<(Tree, Vec<u8>), u64>,
    /// Keys that the run so far changed when it was last written.
    changed: Changed,
    /// Whether somebody decided what is normal, and nobody asked yet.
    decided: bool,
}

/// What the store would say with the run so far.
pub struct Stand {
    /// All of it.
    pub contents: Contents,
    /// What the run changes.
    pub added: Added,
}

impl Growing {
    /// Opens a store for an appliance, or makes one; see [`City::open_or_make`] for `site`. From then on replays do not add to it.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn open(path: &Path, site: Option<&str>, default_site: &str) -> Result<City, StoreError> {
        let mut city = City::open_any_or_make(path, site, default_site)?;
        if city.about.owner != OWNER {
            city.about.owner = OWNER.into();
            city.store.put(Tree::Meta, ABOUT, &seal(Tree::Meta, ABOUT, &city.about))?;
            city.store.flush()?;
        }
        Ok(city)
    }

    /// Begins a run in it, and closes the engine.
    pub fn begin(city: City) -> Self {
        let City { path, contents, limit, about, .. } = city;
        let sealed = |alert: &Alert| {
            let key = alert.id.0.to_be_bytes().to_vec();
            let digest = digest(Some(&seal(Tree::Alerts, &key, alert)));
            ((Tree::Alerts, key), digest)
        };
        let written = contents.alerts.iter().map(sealed).collect();
        Self { path, limit, site: about.site, base: contents, written, changed: Changed::default(), decided: false }
    }

    /// What the store said before the run.
    pub fn before(&self) -> &Contents {
        &self.base
    }

    /// What it says with the run so far; nothing is written.
    pub fn stand(&self, report: &Report, run: Run) -> Stand {
        let mut contents = self.base.clone();
        let added = contents.add(report, run);
        Stand { contents, added }
    }

    /// Writes how things stand: whole, or not at all. What people decided meanwhile about alerts is taken over, and shows when it is asked next.
    ///
    /// # Errors
    /// Why not, and what to do; it may be tried again later. [`StoreError::InUse`] where somebody reads it just now.
    pub fn write(&mut self, stand: &Stand) -> Result<(), StoreError> {
        let changed = &stand.added.changed;
        let all = Changed {
            devices: &changed.devices | &self.changed.devices,
            findings: &changed.findings | &self.changed.findings,
            checks: &changed.checks | &self.changed.checks,
            credentials: &changed.credentials | &self.changed.credentials,
            alerts: &changed.alerts | &self.changed.alerts,
            baseline: &changed.baseline | &self.changed.baseline,
        };
        let mut store = OnDisk::open(&self.path)?;
        // Where the last time was cut short, what it had begun is ended or forgotten first.
        journal::recover(&mut store)?;
        let decided = self.take_decisions(&store)?;
        let normal = self.take_normal(&store)?;
        let is_new = |write: &Write| {
            let is_decided = match write.tree {
                Tree::Alerts => decided.contains(&write.key),
                Tree::Baseline => normal.contains(&write.key),
                _ => false,
            };
            let place = (write.tree, write.key.clone());
            !is_decided && self.written.get(&place) != Some(&digest(write.value.as_deref()))
        };
        let new: Vec<Write> = writes(&stand.contents, Some(stand.added.run), &all).filter(is_new).collect();
        let bytes: u64 = new.iter().filter_map(|write| write.value.as_ref()).map(|value| 2 * value.len() as u64).sum();
        let size = store.size()?.saturating_add(bytes);
        if size > self.limit {
            return Err(StoreError::Full { path: self.path.clone(), size, limit: self.limit });
        }
        journal::write(&mut store, &new)?;
        self.written.extend(new.into_iter().map(|write| {
            let digest = digest(write.value.as_deref());
            ((write.tree, write.key), digest)
        }));
        self.changed = all;
        Ok(())
    }

    /// Alerts in the store that are not as the run wrote them: people decided about them. Answers their keys.
    fn take_decisions(&mut self, store: &OnDisk) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let mut decided: BTreeMap<AlertId, Alert> = BTreeMap::new();
        let mut keys = BTreeSet::new();
        let written = &mut self.written;
        store.each(Tree::Alerts, &mut |key, sealed| {
            let now = digest(Some(sealed));
            let place = (Tree::Alerts, key.to_vec());
            if written.get(&place) == Some(&now) {
                return;
            }
            // One that is damaged is written anew.
            if let Ok(alert) = unseal::<Alert>(Tree::Alerts, key, sealed) {
                decided.insert(alert.id, alert);
                keys.insert(place.1.clone());
                written.insert(place, now);
            }
        })?;
        if !decided.is_empty() {
            let others = self.base.alerts.iter().filter(|alert| !decided.contains_key(&alert.id)).cloned();
            let all: Vec<Alert> = others.chain(decided.values().cloned()).collect();
            self.base.alerts = Alerts::restored(&self.site, AlertPolicy::default(), all);
        }
        Ok(keys)
    }
}

impl Growing {
    /// What is normal by decisions that people took since it was asked last.
    pub fn take_decided(&mut self) -> Option<Arc<Baseline>> {
        std::mem::take(&mut self.decided).then(|| self.base.baseline.clone())
    }

    /// Takes over what people decided about what is normal. Answers the keys at which it stands: they are left as they are until the run goes
    /// by it.
    fn take_normal(&mut self, store: &OnDisk) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let site = store.get(Tree::Baseline, baseline::SITE.as_bytes())?;
        let site = site.and_then(|sealed| unseal::<Stored>(Tree::Baseline, baseline::SITE.as_bytes(), &sealed).ok());
        if !matches!(site, Some(Stored::Site(site)) if site.decisions > self.base.baseline.decisions) {
            return Ok(BTreeSet::new());
        }
        let (mut decided, mut texts) = (Baseline::default(), Texts::default());
        store.each(Tree::Baseline, &mut |key, sealed| {
            if let Ok(stored) = unseal::<Stored>(Tree::Baseline, key, sealed) {
                baseline::gather(&mut decided, stored, &mut texts);
            }
        })?;
        let mut normal = (*self.base.baseline).clone();
        let members = normal.take_decisions(&decided).into_iter().map(|key| baseline::member_key(&key).into_bytes());
        let keys: BTreeSet<Vec<u8>> = members.chain([baseline::SITE.into()]).collect();
        // What the run makes of them is new, whatever it wrote there before.
        self.written.retain(|(tree, key), _| *tree != Tree::Baseline || !keys.contains(key));
        self.base.baseline = Arc::new(normal);
        self.decided = true;
        Ok(keys)
    }
}

/// A digest of a value; 0 of none.
fn digest(value: Option<&[u8]>) -> u64 {
    let Some(value) = value else { return 0 };
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish() | 1
}
