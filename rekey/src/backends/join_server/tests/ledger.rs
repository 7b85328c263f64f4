//! A journal in memory: what is put is there, may be taken as a backup, restored, and may fail.

use crate::evidence::Evidence;
use crate::journal::{Change, Epoch, JournalError, Ledger};
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Clone, Default)]
pub(super) struct Kept {
    keys: BTreeMap<Slot, BTreeMap<Generation, Vec<u8>>>,
    values: BTreeMap<Vec<u8>, (Epoch, Vec<u8>)>,
    epoch: Epoch,
}

#[derive(Default)]
pub(super) struct MemoryLedger {
    kept: Mutex<Kept>,
    pub(super) broken: AtomicBool,
    pub(super) writes: AtomicU64,
}

impl MemoryLedger {
    pub(super) fn enter(&self, dev_eui: u64, generation: u32, key: &[u8]) {
        let slot = super::super::devices::slot(dev_eui).unwrap();
        self.kept.lock().unwrap().keys.entry(slot).or_default().insert(Generation(generation), key.to_vec());
    }

    pub(super) fn remove(&self, dev_eui: u64, generation: u32) {
        let slot = super::super::devices::slot(dev_eui).unwrap();
        self.kept.lock().unwrap().keys.entry(slot).or_default().remove(&Generation(generation));
    }

    pub(super) fn backup(&self) -> Kept {
        self.kept.lock().unwrap().clone()
    }

    pub(super) fn restored(backup: Kept) -> Self {
        let epoch = Epoch(backup.epoch.0 + 1);
        Self { kept: Mutex::new(Kept { epoch, ..backup }), ..Self::default() }
    }

    /// As the next process finds it.
    pub(super) fn reopened(&self) -> Self {
        Self { kept: Mutex::new(self.backup()), ..Self::default() }
    }
}

impl Ledger for MemoryLedger {
    fn secret(&self, slot: &Slot, generation: Generation) -> Result<Option<Secret>, JournalError> {
        let kept = self.kept.lock().unwrap();
        Ok(kept.keys.get(slot).and_then(|keys| keys.get(&generation)).map(|key| Secret::new(key.clone())))
    }

    fn accepted(&self, slot: &Slot) -> Result<AcceptSet, JournalError> {
        let kept = self.kept.lock().unwrap();
        Ok(AcceptSet::of(kept.keys.get(slot).into_iter().flat_map(|keys| keys.keys().copied())))
    }

    fn slots(&self) -> Result<Vec<(Slot, AcceptSet)>, JournalError> {
        let kept = self.kept.lock().unwrap();
        Ok(kept.keys.iter().map(|(slot, keys)| (slot.clone(), AcceptSet::of(keys.keys().copied()))).collect())
    }

    fn saw(&self, _slot: &Slot, _evidence: &[Evidence]) -> Result<(), JournalError> {
        Ok(())
    }

    fn seen(&self, _slot: &Slot, _since: Timestamp) -> Result<Vec<Evidence>, JournalError> {
        Ok(Vec::new())
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Epoch, Vec<u8>)>, JournalError> {
        Ok(self.kept.lock().unwrap().values.get(key).cloned())
    }

    fn put(&self, changes: &[Change]) -> Result<(), JournalError> {
        if self.broken.load(Ordering::SeqCst) {
            let (place, cause, remedy) = ("in memory".into(), "no space left on device".into(), "make room".into());
            return Err(JournalError { place, cause, remedy });
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        let mut kept = self.kept.lock().unwrap();
        let epoch = kept.epoch;
        for (key, value) in changes {
            match value {
                Some(value) => kept.values.insert(key.clone(), (epoch, value.clone())),
                None => kept.values.remove(key),
            };
        }
        Ok(())
    }

    fn epoch(&self) -> Epoch {
        self.kept.lock().unwrap().epoch
    }
}
