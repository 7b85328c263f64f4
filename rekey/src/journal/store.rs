//! Bytes under keys in one redb file: writes of several threads share one flush, and a full disk is an error before anything else happened.
//!
//! redb refuses all work after an I/O error until it is opened anew; so a failed write opens it anew. A ballast file beside the journal is given up when an
//! outcome finds the disk full: what has taken place is always written down. Without ballast nothing new begins.

use super::{Change, JournalError};
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("journal");
/// Room for the outcomes of everything that can be open: a record is about a kilobyte, and redb copies the path of pages to it.
const BALLAST: usize = 4 << 20;
/// Changes in one transaction: a bound on the memory of a flush, far above what comes together in one.
const BATCH_MAX: usize = 16_384;

/// A key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// Opens the file anew.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send + Sync>;

/// The file.
pub(super) struct Store {
    path: PathBuf,
    opener: Opener,
    database: RwLock<Option<Database>>,
    queue: Mutex<Queue>,
    written: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Vec<Change>)>,
    next: u64,
    done: u64,
    /// Failed batches, until their writers have taken the news.
    failed: Vec<(u64, String)>,
    leading: bool,
}

fn sound<T>(lock: Result<T, PoisonError<T>>) -> T {
    lock.unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let file = path.to_owned();
        Self::with(path, Box::new(move || Database::create(&file)))
    }

    pub(super) fn with(path: &Path, opener: Opener) -> Result<Self, JournalError> {
        let database = opener().map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => JournalError {
                place: path.display().to_string(),
                cause: "another process has it open".to_owned(),
                remedy: "stop the other citytap-rekey first; two at once could contradict each other".to_owned(),
            },
            error => place(path, &error.to_string()),
        })?;
        let (database, queue, written) = (RwLock::new(Some(database)), Mutex::default(), Condvar::new());
        let store = Self { path: path.to_owned(), opener, database, queue, written };
        store.write(vec![])?;
        store.ready()?;
        Ok(store)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, cause: &str) -> JournalError {
        place(&self.path, cause)
    }

    fn ballast(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".ballast");
        PathBuf::from(name)
    }

    /// Whether there is room for the outcomes of what is begun now.
    pub(super) fn ready(&self) -> Result<(), JournalError> {
        let ballast = self.ballast();
        if fs::metadata(&ballast).is_ok_and(|file| file.len() == BALLAST as u64) {
            return Ok(());
        }
        let made = File::create(&ballast).and_then(|mut file| {
            // Not zeros alone: a file system that compresses must set the room aside too.
            let mut block = vec![0u8; 1 << 16];
            for (place, byte) in block.iter_mut().enumerate() {
                *byte = (place.wrapping_mul(0x9E37_79B1) >> 13) as u8;
            }
            (0..BALLAST / block.len()).try_for_each(|_| file.write_all(&block))?;
            file.sync_all()
        });
        made.map_err(|error| {
            // A part of it is no ballast.
            let _ = fs::remove_file(&ballast);
            self.error(&format!("no room is left to write outcomes down ({error})"))
        })
    }

    /// A file that is only kept needs no ballast.
    pub(super) fn forget_ballast(&self) {
        let _ = fs::remove_file(self.ballast());
    }

    /// The value under `key`.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
        self.read(|table| Ok(table.get(key)?.map(|value| value.value().to_vec())))
    }

    /// All keys that begin with `prefix`, in order.
    pub(super) fn under(&self, prefix: &[u8]) -> Result<Vec<Pair>, JournalError> {
        self.read(|table| {
            let mut found = Vec::new();
            for entry in table.range(prefix..)? {
                let (key, value) = entry?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(found)
        })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&redb::ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, redb::StorageError>,
    ) -> Result<T, JournalError> {
        self.reopen()?;
        let database = sound(self.database.read());
        let Some(database) = database.as_ref() else { return Err(self.error("it is closed after an error")) };
        let told = |error: redb::Error| self.error(&error.to_string());
        let transaction = database.begin_read().map_err(|error| told(error.into()))?;
        let table = transaction.open_table(TABLE).map_err(|error| told(error.into()))?;
        read(&table).map_err(|error| told(error.into()))
    }

    /// Makes all of `changes` last, or none.
    pub(super) fn write(&self, changes: Vec<Change>) -> Result<(), JournalError> {
        let mut queue = sound(self.queue.lock());
        queue.next += 1;
        let mine = queue.next;
        queue.waiting.push_back((mine, changes));
        loop {
            if queue.done >= mine {
                let failed = queue.failed.iter().position(|(number, _)| *number == mine);
                return failed.map_or(Ok(()), |place| Err(self.error(&queue.failed.swap_remove(place).1)));
            }
            queue = if queue.leading { sound(self.written.wait(queue)) } else { self.lead(queue) };
        }
    }

    /// Writes what waits, for all who wait.
    fn lead<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        queue.leading = true;
        let mut batch = Vec::new();
        let mut count = 0;
        while count < BATCH_MAX
            && let Some((number, changes)) = queue.waiting.pop_front()
        {
            count += changes.len().max(1);
            batch.push((number, changes));
        }
        drop(queue);
        let result = self.flush(batch.iter().flat_map(|(_, changes)| changes));
        let mut queue = sound(self.queue.lock());
        queue.leading = false;
        queue.done = batch.last().map_or(queue.done, |(number, _)| *number);
        if let Err(why) = result {
            queue.failed.extend(batch.iter().map(|(number, _)| (*number, why.clone())));
        }
        self.written.notify_all();
        queue
    }

    fn flush<'a>(&self, changes: impl Iterator<Item = &'a Change> + Clone) -> Result<(), String> {
        let first = self.try_flush(changes.clone());
        let Err(why) = first else { return Ok(()) };
        *sound(self.database.write()) = None;
        // The room that was kept for just this.
        let had = fs::remove_file(self.ballast()).is_ok();
        self.reopen().map_err(|error| error.to_string())?;
        if had { self.try_flush(changes) } else { Err(why) }
    }

    fn try_flush<'a>(&self, changes: impl Iterator<Item = &'a Change>) -> Result<(), String> {
        let database = sound(self.database.read());
        let Some(database) = database.as_ref() else { return Err("it is closed after an error".to_owned()) };
        let flushed = (|| -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            {
                let mut table = transaction.open_table(TABLE)?;
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                        None => drop(table.remove(key.as_slice())?),
                    }
                }
            }
            transaction.commit()?;
            Ok(())
        })();
        flushed.map_err(|error| error.to_string())
    }

    fn reopen(&self) -> Result<(), JournalError> {
        if sound(self.database.read()).is_some() {
            return Ok(());
        }
        let mut database = sound(self.database.write());
        if database.is_none() {
            *database = Some((self.opener)().map_err(|error| self.error(&error.to_string()))?);
        }
        Ok(())
    }
}

fn place(path: &Path, cause: &str) -> JournalError {
    JournalError {
        place: path.display().to_string(),
        cause: cause.to_owned(),
        remedy: "make room on that disk or see to its health; nothing new is begun until it can be written, and all keys stay accepted".to_owned(),
    }
}
