//! What the journal keeps, as records.

mod reseal;

use super::store::Store;
use super::{Change, Epoch, JournalError, Ledger};
use crate::backends::Refusal;
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::rotation::admission::Conflict;
use crate::rotation::{Effect, Input, Outcome, Plan, PlanError, RESTORE_GAP, Rotation, admission, step};
use crate::secrets::{Bound, Profile, Sealed, Sealing, Secret};
use crate::slot::{AcceptSet, Generation, RotationId, Slot, Step};
use crate::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Evidence kept of one slot: sessions of two generations with their restarts for some days; a proof needs five pieces. The earliest makes way.
pub const EVIDENCE_MAX: usize = 64;

const VERSION: &[u8] = b"mversion";
const COPIED: &[u8] = b"mcopied";
const EPOCH: &[u8] = b"mepoch";
const IS_COPY: &[u8] = b"mis a copy";
const LAST_ROTATION: &[u8] = b"mlast rotation";
const CLOCK: &[u8] = b"mclock";

/// How a journal is kept.
#[derive(Clone, Default)]
pub struct Settings {
    /// Copies go off the host: deliveries and retirements wait for them.
    pub copies: bool,
    /// Called at each point where the process could end, with its name: before and after each write, before and after each effect. For tests.
    pub at: Option<Watch>,
}

/// Called with the name of a point that is passed.
pub type Watch = Arc<dyn Fn(&str) + Send + Sync>;

/// One line of a rotation's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was to be done.
    pub effect: Effect,
    /// When it was decided.
    pub at: Timestamp,
    /// What came of it, and when; `None` while it is open or after it was interrupted.
    pub outcome: Option<(Timestamp, Outcome)>,
    /// The version of the journal that holds the intent.
    version: u64,
}

/// What a step came to.
pub struct Taken<'a> {
    /// The rotation after it.
    pub rotation: &'a Rotation,
    /// What it took in.
    pub input: &'a Input,
    /// What is to be done.
    pub effects: &'a [(Step, Effect)],
}

/// What is kept of one slot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct SlotRecord {
    accepted: BTreeSet<Generation>,
    retired: BTreeSet<Generation>,
    highest: u32,
}

/// The journal. One process has it open; its threads share it.
pub struct Journal {
    store: Store,
    sealing: Arc<dyn Sealing>,
    settings: Settings,
    epoch: Epoch,
    version: AtomicU64,
    copied: AtomicU64,
    shed: AtomicU64,
    /// Held while a record is read, changed and written.
    changing: Mutex<()>,
}

impl Journal {
    /// Opens the journal at `path`, or makes an empty one.
    ///
    /// # Errors
    /// Another process has it open, the disk is full or fails, or it is a copy, which must be restored.
    pub fn open(path: &Path, sealing: Arc<dyn Sealing>, settings: Settings) -> Result<Self, JournalError> {
        Self::over(Store::open(path)?, sealing, settings)
    }

    pub(super) fn over(store: Store, sealing: Arc<dyn Sealing>, settings: Settings) -> Result<Self, JournalError> {
        let mut journal = Self {
            store,
            sealing,
            settings,
            epoch: Epoch::default(),
            version: AtomicU64::new(0),
            copied: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            changing: Mutex::new(()),
        };
        if journal.store.get(IS_COPY)?.is_some() {
            return Err(
                journal.error("it is a copy", "make a journal of it with `citytap-rekey restore`, which knows what to distrust")
            );
        }
        journal.epoch = Epoch(u32::try_from(journal.number(EPOCH)?).unwrap_or(u32::MAX));
        journal.version = AtomicU64::new(journal.number(VERSION)?);
        journal.copied = AtomicU64::new(journal.number(COPIED)?);
        Ok(journal)
    }

    fn error(&self, cause: &str, remedy: &str) -> JournalError {
        JournalError { place: self.store.path().display().to_string(), cause: cause.to_owned(), remedy: remedy.to_owned() }
    }

    fn number(&self, key: &[u8]) -> Result<u64, JournalError> {
        let bytes = self.store.get(key)?.unwrap_or_default();
        Ok(bytes.try_into().map_or(0, u64::from_be_bytes))
    }

    fn read<T: DeserializeOwned>(&self, value: &[u8]) -> Result<T, JournalError> {
        serde_json::from_slice(value)
            .map_err(|error| self.error(&format!("a record is damaged ({error})"), "restore the latest copy"))
    }

    fn point(&self, name: &str) {
        if let Some(at) = &self.settings.at {
            at(name);
        }
    }

    /// Calls [`Settings::at`]; the agent does around each effect.
    pub fn passes(&self, point: &str) {
        self.point(point);
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), JournalError> {
        self.point("before a write");
        self.store.write(changes)?;
        self.point("after a write");
        Ok(())
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change of the version, and its number.
    fn next_version(&self) -> (u64, Change) {
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        (version, (VERSION.to_vec(), Some(version.to_be_bytes().to_vec())))
    }

    /// Whether there is room for the outcomes of what is begun now.
    ///
    /// # Errors
    /// The disk is full.
    pub fn ready(&self) -> Result<(), JournalError> {
        self.store.ready()
    }

    /// How often it was restored.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How much evidence made way for newer.
    pub fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// The time that was last written down.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn last_time(&self) -> Result<Option<Timestamp>, JournalError> {
        let bytes = self.store.get(CLOCK)?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(|bytes| Timestamp(i64::from_be_bytes(bytes))))
    }

    /// Numbers the plan and keeps the rotation. The plan's `id` is given here.
    ///
    /// # Errors
    /// The plan is not sound, another open rotation stands in the way (I7), or the disk refuses.
    pub fn begin(&self, plan: Plan, now: Timestamp) -> Result<Rotation, BeginError> {
        let _changing = self.changing();
        let open = self.rotations()?;
        let open = open.iter().filter(|rotation| !rotation.state().is_end()).map(|rotation| &rotation.plan);
        admission::admits(open, &plan)?;
        let id = self.number(LAST_ROTATION)? + 1;
        let rotation = Rotation::new(Plan { id: RotationId(id), ..plan }, now)?;
        let mut slot = self.slot(&rotation.plan.slot)?;
        slot.accepted.extend(rotation.plan.accepted.generations.iter().copied());
        slot.highest = slot.highest.max(rotation.highest().0).max(rotation.plan.from.0);
        let changes = vec![
            (LAST_ROTATION.to_vec(), Some(id.to_be_bytes().to_vec())),
            (rotation_key(rotation.plan.id), Some(json(&rotation))),
            (slot_key(&rotation.plan.slot), Some(json(&slot))),
            self.next_version().1,
        ];
        self.write(changes)?;
        Ok(rotation)
    }

    /// All rotations, by number.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn rotations(&self) -> Result<Vec<Rotation>, JournalError> {
        self.store.under(b"r")?.iter().map(|(_, value)| self.read(value)).collect()
    }

    /// What was done in a rotation, by step. Questions and words to a person are not kept.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn history(&self, rotation: RotationId) -> Result<Vec<(Step, Entry)>, JournalError> {
        let prefix = step_key(rotation, None);
        let step = |key: &[u8]| key.get(9..13).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        self.store.under(&prefix)?.iter().map(|(key, value)| Ok((Step(step(key)), self.read(value)?))).collect()
    }

    /// Keeps what one step came to; see [`Journal::record_all`].
    ///
    /// # Errors
    /// The disk refuses: nothing of `effects` may start.
    pub fn record(
        &self,
        rotation: &Rotation,
        input: &Input,
        effects: &[(Step, Effect)],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.record_all(&[Taken { rotation, input, effects }], now)
    }

    /// Keeps what steps of different rotations came to, in one flush: each rotation, the outcome it took in, the intents of what is to be done. All of it is
    /// on the disk when this returns.
    ///
    /// # Errors
    /// The disk refuses: none of the effects may start.
    pub fn record_all(&self, taken: &[Taken<'_>], now: Timestamp) -> Result<(), JournalError> {
        let _changing = self.changing();
        let (version, change) = self.next_version();
        let mut changes = vec![change, (CLOCK.to_vec(), Some(now.0.to_be_bytes().to_vec()))];
        for one in taken {
            self.changes_of(one, version, now, &mut changes)?;
        }
        self.write(changes)
    }

    fn changes_of(&self, taken: &Taken<'_>, version: u64, now: Timestamp, changes: &mut Vec<Change>) -> Result<(), JournalError> {
        let (rotation, id) = (taken.rotation, taken.rotation.plan.id);
        changes.push((rotation_key(id), Some(json(rotation))));
        if let Input::Outcome { step, outcome } = taken.input {
            let key = step_key(id, Some(*step));
            if let Some(value) = self.store.get(&key)? {
                let mut entry: Entry = self.read(&value)?;
                if entry.outcome.is_none() {
                    entry.outcome = Some((now, outcome.clone()));
                    changes.push((key, Some(json(&entry))));
                }
            }
        }
        let mut slot = self.slot(&rotation.plan.slot)?;
        let before = (slot.accepted.len(), slot.highest);
        for (step, effect) in taken.effects.iter().filter(|(_, effect)| effect.is_external()) {
            let entry = Entry { effect: effect.clone(), at: now, outcome: None, version };
            changes.push((step_key(id, Some(*step)), Some(json(&entry))));
            if let Effect::Accept { generation } | Effect::Switch { to: generation } = effect
                && !slot.retired.contains(generation)
            {
                slot.accepted.insert(*generation);
            }
        }
        slot.highest = slot.highest.max(rotation.highest().0);
        if before != (slot.accepted.len(), slot.highest) {
            changes.push((slot_key(&rotation.plan.slot), Some(json(&slot))));
        }
        Ok(())
    }

    fn slot(&self, slot: &Slot) -> Result<SlotRecord, JournalError> {
        self.store.get(&slot_key(slot))?.map_or_else(|| Ok(SlotRecord::default()), |value| self.read(&value))
    }

    /// What the verifier of this slot is meant to accept.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn accepted(&self, slot: &Slot) -> Result<AcceptSet, JournalError> {
        Ok(AcceptSet::of(self.slot(slot)?.accepted))
    }

    /// The number of the next new generation of this slot.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn next_generation(&self, slot: &Slot) -> Result<Generation, JournalError> {
        Ok(Generation(self.slot(slot)?.highest.max(Generation::FIRST.0)).next())
    }

    /// A generation stops being accepted, for good; called before the verifier is told, since what is retired must not come back with a restart.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn drop_accepted(&self, slot: &Slot, generation: Generation) -> Result<(), JournalError> {
        let _changing = self.changing();
        let mut record = self.slot(slot)?;
        record.accepted.remove(&generation);
        record.retired.insert(generation);
        self.write(vec![(slot_key(slot), Some(json(&record))), self.next_version().1])
    }

    /// Takes in a secret that was there before this module.
    ///
    /// # Errors
    /// It cannot be sealed, or the disk refuses.
    pub fn enter(&self, slot: &Slot, generation: Generation, secret: &Secret) -> Result<(), JournalError> {
        let _changing = self.changing();
        let rotation = RotationId(0);
        let sealed = self.sealing.seal(secret, Bound { slot, generation, rotation }).map_err(|refusal| self.refused(&refusal))?;
        let mut record = self.slot(slot)?;
        record.accepted.insert(generation);
        record.highest = record.highest.max(generation.0);
        let (version, change) = self.next_version();
        self.write(vec![
            (secret_key(slot, generation), Some(sealed_value(rotation, version, &sealed))),
            change,
            (slot_key(slot), Some(json(&record))),
        ])
    }

    /// Makes the secret of a generation, once; with no `profile` there is none to make (the device makes its key).
    ///
    /// # Errors
    /// It cannot be made or kept.
    pub fn stage(
        &self,
        slot: &Slot,
        generation: Generation,
        rotation: RotationId,
        profile: Option<&Profile>,
    ) -> Result<(), JournalError> {
        let _changing = self.changing();
        let key = secret_key(slot, generation);
        let Some(profile) = profile else { return Ok(()) };
        if self.store.get(&key)?.is_some() {
            return Ok(());
        }
        let sealed =
            self.sealing.make(profile, Bound { slot, generation, rotation }).map_err(|refusal| self.refused(&refusal))?;
        let (version, change) = self.next_version();
        self.write(vec![(key, Some(sealed_value(rotation, version, &sealed))), change])
    }

    fn refused(&self, refusal: &Refusal) -> JournalError {
        self.error(&refusal.cause, &refusal.remedy)
    }

    /// The secret of a generation.
    ///
    /// # Errors
    /// The journal cannot be read, or the seal does not open.
    pub fn secret(&self, slot: &Slot, generation: Generation) -> Result<Option<Secret>, JournalError> {
        let Some(value) = self.store.get(&secret_key(slot, generation))? else { return Ok(None) };
        let (Some(rotation), Some(sealed)) = (value.first_chunk::<8>(), value.get(16..)) else {
            return Err(self.error("a secret's record is damaged", "restore the latest copy"));
        };
        let bound = Bound { slot, generation, rotation: RotationId(u64::from_be_bytes(*rotation)) };
        let opened = self.sealing.open(&Sealed(sealed.to_vec()), bound);
        opened.map(Some).map_err(|refusal| self.refused(&refusal))
    }

    /// Whether this effect may start as far as copies go: a key is delivered, and another retired, only when the intent, and with it the secret, is in a copy
    /// off the host. Always, where no copies are kept.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn covers(&self, rotation: &Rotation, step: Step, effect: &Effect) -> Result<bool, JournalError> {
        if !self.settings.copies {
            return Ok(true);
        }
        if !matches!(effect, Effect::Deliver { .. } | Effect::WorkOrder { .. } | Effect::Retire { .. }) {
            return Ok(true);
        }
        let value = self.store.get(&step_key(rotation.plan.id, Some(step)))?;
        let version = value.map(|value| self.read::<Entry>(&value)).transpose()?.map(|entry| entry.version);
        Ok(version.is_some_and(|version| version <= self.copied.load(Ordering::SeqCst)))
    }

    /// Writes a consistent copy to `to` and tells up to which version it goes. Says nothing yet of being off the host.
    ///
    /// # Errors
    /// Either disk refuses.
    pub fn copy(&self, to: &Path) -> Result<u64, JournalError> {
        let _changing = self.changing();
        let everything = self.store.under(b"")?;
        let version = self.number(VERSION)?;
        let _ = std::fs::remove_file(to);
        let copy = Store::open(to)?;
        let mut changes: Vec<Change> = everything.into_iter().map(|(key, value)| (key, Some(value))).collect();
        changes.push((IS_COPY.to_vec(), Some(Vec::new())));
        changes.push((COPIED.to_vec(), Some(version.to_be_bytes().to_vec())));
        copy.write(changes)?;
        copy.forget_ballast();
        Ok(version)
    }

    /// The copy that goes up to `version` is off the host, where losing this host does not lose it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn copied(&self, version: u64) -> Result<(), JournalError> {
        self.write(vec![(COPIED.to_vec(), Some(version.to_be_bytes().to_vec()))])?;
        self.copied.fetch_max(version, Ordering::SeqCst);
        Ok(())
    }

    /// Makes a journal at `to` of the copy `from`: see the module's page for what it distrusts.
    ///
    /// # Errors
    /// `to` is there already, `from` is no copy, or a disk refuses.
    pub fn restore(from: &Path, to: &Path, now: Timestamp) -> Result<(), JournalError> {
        let told = |place: &Path, cause: &str, remedy: &str| JournalError {
            place: place.display().to_string(),
            cause: cause.to_owned(),
            remedy: remedy.to_owned(),
        };
        if to.exists() {
            return Err(told(to, "there is a journal already", "move it away first; if it opens, it knows more than the copy"));
        }
        let mut begun = to.to_path_buf().into_os_string();
        begun.push(".restoring");
        let begun = std::path::PathBuf::from(begun);
        std::fs::copy(from, &begun).map_err(|error| told(from, &error.to_string(), "check the path of the copy"))?;
        let store = Store::open(&begun)?;
        if store.get(IS_COPY)?.is_none() {
            return Err(told(from, "it is no copy", "restore from what `citytap-rekey copy` wrote"));
        }
        let unused: Arc<dyn Sealing> = Arc::new(NoSealing);
        store.write(vec![(IS_COPY.to_vec(), None)])?;
        let journal = Self::over(store, unused, Settings::default())?;
        journal.distrust(now)?;
        journal.store.forget_ballast();
        drop(journal);
        std::fs::rename(&begun, to).map_err(|error| told(to, &error.to_string(), "check the folder"))
    }

    fn distrust(&self, now: Timestamp) -> Result<(), JournalError> {
        let epoch = u64::from(self.epoch.0) + 1;
        let mut changes = vec![(EPOCH.to_vec(), Some(epoch.to_be_bytes().to_vec()))];
        let rotations = self.rotations()?;
        let secrets = self.store.under(b"k")?;
        for (key, value) in self.store.under(b"s")? {
            let mut record: SlotRecord = self.read(&value)?;
            let name = key.get(1..).unwrap_or_default();
            let mine = |rotation: &&Rotation| rotation.plan.slot.to_string().as_bytes() == name;
            for rotation in rotations.iter().filter(mine) {
                record.retired.extend(rotation.retired());
                if let Some(Effect::Retire { generation }) = rotation.open().map(|open| &open.effect) {
                    record.retired.insert(*generation);
                }
            }
            let prefix = [b"k", name, b"\0"].concat();
            let staged = secrets.iter().filter(|(key, _)| key.starts_with(&prefix) && key.len() == prefix.len() + 4);
            let staged = staged.filter_map(|(key, _)| key.last_chunk::<4>().map(|bytes| Generation(u32::from_be_bytes(*bytes))));
            record.accepted.extend(staged);
            record.accepted = record.accepted.difference(&record.retired).copied().collect();
            record.highest = record.highest.saturating_add(RESTORE_GAP);
            changes.push((key, Some(json(&record))));
        }
        for rotation in rotations.iter().filter(|rotation| !rotation.state().is_end()) {
            let (held, _) = step(rotation, &Input::Restored, now);
            changes.push((rotation_key(rotation.plan.id), Some(json(&held))));
        }
        self.store.write(changes)
    }

    /// What the backend of this name may ask and keep.
    pub fn ledger(self: &Arc<Self>, backend: &str) -> Arc<dyn Ledger> {
        Arc::new(OfBackend { journal: Arc::clone(self), backend: backend.to_owned() })
    }
}

/// Why a rotation does not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The plan is not sound.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It must wait.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The disk refuses.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

struct NoSealing;

impl Sealing for NoSealing {
    fn make(&self, _: &Profile, _: Bound<'_>) -> Result<Sealed, Refusal> {
        Err(Refusal::new("a restore makes no secrets", "open the journal first"))
    }

    fn seal(&self, _: &Secret, _: Bound<'_>) -> Result<Sealed, Refusal> {
        Err(Refusal::new("a restore seals no secrets", "open the journal first"))
    }

    fn open(&self, _: &Sealed, _: Bound<'_>) -> Result<Secret, Refusal> {
        Err(Refusal::new("a restore opens no secrets", "open the journal first"))
    }
}

/// The journal as one backend sees it.
struct OfBackend {
    journal: Arc<Journal>,
    backend: String,
}

impl OfBackend {
    fn key(&self, key: &[u8]) -> Vec<u8> {
        [b"b", self.backend.as_bytes(), b"\0", key].concat()
    }
}

impl Ledger for OfBackend {
    fn secret(&self, slot: &Slot, generation: Generation) -> Result<Option<Secret>, JournalError> {
        self.journal.secret(slot, generation)
    }

    fn accepted(&self, slot: &Slot) -> Result<AcceptSet, JournalError> {
        self.journal.accepted(slot)
    }

    fn slots(&self) -> Result<Vec<(Slot, AcceptSet)>, JournalError> {
        let prefix = [b"s", self.backend.as_bytes(), b"/"].concat();
        let mut found = Vec::new();
        for (key, value) in self.journal.store.under(&prefix)? {
            let name = String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
            let slot = name.parse().map_err(|_| self.journal.error("a slot's name is damaged", "restore the latest copy"))?;
            found.push((slot, AcceptSet::of(self.journal.read::<SlotRecord>(&value)?.accepted)));
        }
        Ok(found)
    }

    fn saw(&self, slot: &Slot, evidence: &[Evidence]) -> Result<(), JournalError> {
        let prefix = evidence_prefix(slot);
        let mut changes: Vec<Change> = evidence.iter().map(|seen| (evidence_key(slot, seen), Some(json(seen)))).collect();
        let kept = self.journal.store.under(&prefix)?;
        if kept.len() + changes.len() > EVIDENCE_MAX {
            let mut ages = Vec::new();
            for (key, value) in kept {
                ages.push((self.journal.read::<Evidence>(&value)?.at(), key));
            }
            ages.sort();
            let surplus = (ages.len() + changes.len()).saturating_sub(EVIDENCE_MAX / 2).min(ages.len());
            self.journal.shed.fetch_add(surplus as u64, Ordering::Relaxed);
            let mut older: Vec<Change> = ages.into_iter().take(surplus).map(|(_, key)| (key, None)).collect();
            older.append(&mut changes);
            changes = older;
        }
        self.journal.write(changes)
    }

    fn seen(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, JournalError> {
        let mut seen = Vec::new();
        for (_, value) in self.journal.store.under(&evidence_prefix(slot))? {
            let evidence: Evidence = self.journal.read(&value)?;
            if evidence.at() >= since {
                seen.push(evidence);
            }
        }
        seen.sort_by_key(|evidence| (evidence.at(), *evidence));
        Ok(seen)
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Epoch, Vec<u8>)>, JournalError> {
        let value = self.journal.store.get(&self.key(key))?;
        Ok(value.and_then(|value| {
            let (epoch, value) = value.split_first_chunk::<4>()?;
            Some((Epoch(u32::from_be_bytes(*epoch)), value.to_vec()))
        }))
    }

    fn put(&self, changes: &[Change]) -> Result<(), JournalError> {
        let epoch = self.journal.epoch.0.to_be_bytes();
        let stamped = |value: &Vec<u8>| [&epoch, value.as_slice()].concat();
        self.journal.write(changes.iter().map(|(key, value)| (self.key(key), value.as_ref().map(stamped))).collect())
    }

    fn epoch(&self) -> Epoch {
        self.journal.epoch
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Records are plain data with string keys: this cannot fail. An empty record would be told as damaged when it is read.
    serde_json::to_vec(value).unwrap_or_default()
}

fn rotation_key(id: RotationId) -> Vec<u8> {
    [b"r".as_slice(), &id.0.to_be_bytes()].concat()
}

fn step_key(id: RotationId, step: Option<Step>) -> Vec<u8> {
    let mut key = [b"i".as_slice(), &id.0.to_be_bytes()].concat();
    key.extend(step.into_iter().flat_map(|step| step.0.to_be_bytes()));
    key
}

fn slot_key(slot: &Slot) -> Vec<u8> {
    format!("s{slot}").into_bytes()
}

fn secret_key(slot: &Slot, generation: Generation) -> Vec<u8> {
    [format!("k{slot}\0").as_bytes(), &generation.0.to_be_bytes()].concat()
}

fn sealed_value(rotation: RotationId, version: u64, sealed: &Sealed) -> Vec<u8> {
    [&rotation.0.to_be_bytes(), &version.to_be_bytes(), sealed.0.as_slice()].concat()
}

fn evidence_prefix(slot: &Slot) -> Vec<u8> {
    format!("e{slot}\0").into_bytes()
}

/// One place for each kind, generation and session: a session's data overwrites itself, its beginning stays.
fn evidence_key(slot: &Slot, evidence: &Evidence) -> Vec<u8> {
    let mut key = evidence_prefix(slot);
    match *evidence {
        Evidence::Used(Use { generation, session, by, reach, .. }) => {
            key.extend([0, u8::from(by == Witness::Sensor), u8::from(reach == Reach::Data)]);
            key.extend(generation.0.to_be_bytes());
            key.extend(session.to_be_bytes());
        }
        Evidence::Refused { .. } => key.push(1),
        Evidence::Acknowledged { generation, .. } => {
            key.push(2);
            key.extend(generation.0.to_be_bytes());
        }
        Evidence::Restarted { at } => {
            key.push(3);
            key.extend(at.0.to_be_bytes());
        }
    }
    key
}

#[cfg(test)]
mod tests;
