//! The devices in memory: their root keys by generation and what must not be forgotten of them. Loaded from the journal when a device is first asked for, so
//! that a million devices cost nothing at the start; a device that is not ours leaves no trace.

use super::config::Config;
use super::keys::RootKeys;
use super::state::State;
use crate::journal::{Change, JournalError, Ledger};
use crate::slot::{BadSlot, Generation, Slot};
use crate::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parts of the table, each with its own lock: two threads seldom meet.
const SHARDS: usize = 64;

/// Generations that a device may have at a time: the one in use, the new one, and some that failed. Each costs one code on each join.
pub(super) const GENERATIONS: usize = 8;

/// One device.
#[derive(Default)]
pub(super) struct Device {
    /// Newest first.
    pub(super) roots: Vec<(Generation, RootKeys)>,
    pub(super) state: State,
    /// When it, or somebody under its name, was last refused.
    pub(super) refused: Option<Timestamp>,
}

/// All devices.
pub(super) struct Devices {
    shards: Vec<Mutex<HashMap<u64, Device>>>,
}

/// Why a device is not at hand.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missing {
    #[error("{0}")]
    Journal(#[from] JournalError),
    #[error("what the journal holds of {0:016x} cannot be read; restore the journal from its standby or a backup")]
    Damaged(u64),
    #[error("{0}")]
    Slot(#[from] BadSlot),
    #[error(
        "the key of {0} is no LoRaWAN root key; enter 16 bytes (1.0.x), or 32 (NwkKey and AppKey of 1.1, AppKey and GenAppKey of 1.0.x)"
    )]
    Key(Slot),
}

impl Devices {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// The part in which a device is. DevEUIs of one maker differ in their low bits.
    pub(super) fn shard(&self, dev_eui: u64) -> MutexGuard<'_, HashMap<u64, Device>> {
        let at = (dev_eui.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % SHARDS;
        // A thread that panicked left a device as it was before or after one step, both of which are right.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Devices in memory.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

/// The device in this part of the table, loaded if need be. `None`: the journal accepts nothing for it.
pub(super) fn find<'a>(
    shard: &'a mut HashMap<u64, Device>,
    dev_eui: u64,
    ledger: &dyn Ledger,
    config: &Config,
) -> Result<Option<&'a mut Device>, Missing> {
    if let std::collections::hash_map::Entry::Vacant(place) = shard.entry(dev_eui) {
        let device = load(dev_eui, ledger, config)?;
        if device.roots.is_empty() {
            return Ok(None);
        }
        place.insert(device);
    }
    Ok(shard.get_mut(&dev_eui))
}

/// What the journal knows of a device.
pub(super) fn load(dev_eui: u64, ledger: &dyn Ledger, config: &Config) -> Result<Device, Missing> {
    let slot = slot(dev_eui)?;
    let mut device = Device::default();
    for generation in ledger.accepted(&slot)?.generations.into_iter().rev() {
        let Some(secret) = ledger.secret(&slot, generation)? else { continue };
        let root = RootKeys::from_bytes(secret.expose()).ok_or_else(|| Missing::Key(slot.clone()))?;
        device.roots.reserve_exact(1);
        device.roots.push((generation, root));
    }
    device.state = match ledger.get(&dev_eui.to_be_bytes())? {
        None => State::after(config.facts(dev_eui).last_join_nonce),
        Some((epoch, bytes)) => {
            let mut state = State::decode(&bytes).ok_or(Missing::Damaged(dev_eui))?;
            let restores = ledger.epoch().0.saturating_sub(epoch.0);
            if restores > 0 {
                state.outdated(restores);
            }
            state
        }
    };
    Ok(device)
}

/// What is to be kept of a device.
pub(super) fn change(dev_eui: u64, state: &State) -> Change {
    (dev_eui.to_be_bytes().to_vec(), Some(state.encode()))
}

/// The slot of a device's root key.
pub(super) fn slot(dev_eui: u64) -> Result<Slot, BadSlot> {
    Slot::new(super::NAME, &format!("{dev_eui:016x}"))
}
