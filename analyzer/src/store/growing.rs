//! A run that goes on, in a store: each time it is written, the store says what it said before the run, and the run so far added to it.
//!
//! So counts are right however often it is written, and what the run thought an hour ago and no longer thinks is gone. Only what changed since
//! the last time is written. Between two times the engine is closed, so that `citytap devices --store DIR` can ask.

use super::city::{ABOUT, City, kept_alerts, writes};
use super::contents::{Added, Changed, Contents, Run};
use super::journal::{self, Write};
use super::on_disk::OnDisk;
use super::record::seal;
use super::{Store, StoreError, Tree};
use crate::engine::Report;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Who writes a store that a run goes on in.
const OWNER: &str = "appliance";

/// A store with a run that goes on.
pub struct Growing {
    path: PathBuf,
    limit: u64,
    /// What the store said before the run.
    base: Contents,
    /// Digests of what the run wrote, by tree and key; 0 where it removed.
    written: HashMap<(Tree, Vec<u8>), u64>,
    /// Keys that the run so far changed when it was last written.
    changed: Changed,
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
        let City { path, contents, limit, .. } = city;
        Self { path, limit, base: contents, written: HashMap::new(), changed: Changed::default() }
    }

    /// What the store said before the run.
    pub fn before(&self) -> &Contents {
        &self.base
    }

    /// Writes the run so far: whole, or not at all.
    ///
    /// # Errors
    /// Why not, and what to do; it may be tried again later. [`StoreError::InUse`] where somebody reads it just now.
    pub fn write(&mut self, report: &Report, run: Run) -> Result<Added, StoreError> {
        let mut store = OnDisk::open(&self.path)?;
        // Where the last time was cut short, what it had begun is ended or forgotten first.
        journal::recover(&mut store)?;
        let mut contents = self.base.clone();
        // What a person decided since the last time stands in the store alone. Alerts take a finding as it is now, however often it is shown.
        contents.alerts = kept_alerts(&store, &report.inventory.config().site)?;
        let added = contents.add(report, run);
        let all = Changed {
            devices: &added.changed.devices | &self.changed.devices,
            findings: &added.changed.findings | &self.changed.findings,
            checks: &added.changed.checks | &self.changed.checks,
            credentials: &added.changed.credentials | &self.changed.credentials,
            alerts: added.changed.alerts.clone(),
        };
        let is_new = |write: &Write| self.written.get(&(write.tree, write.key.clone())) != Some(&digest(write));
        let new: Vec<Write> = writes(&contents, Some(added.run), &all).into_iter().filter(is_new).collect();
        let bytes: u64 = new.iter().filter_map(|write| write.value.as_ref()).map(|value| 2 * value.len() as u64).sum();
        let size = store.size()?.saturating_add(bytes);
        if size > self.limit {
            return Err(StoreError::Full { path: self.path.clone(), size, limit: self.limit });
        }
        journal::write(&mut store, &new)?;
        self.written.extend(new.into_iter().map(|write| {
            let digest = digest(&write);
            ((write.tree, write.key), digest)
        }));
        self.changed = all;
        Ok(added)
    }
}

fn digest(write: &Write) -> u64 {
    let Some(value) = &write.value else { return 0 };
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish() | 1
}
