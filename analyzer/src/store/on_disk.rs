//! The store in a folder, kept by sled.

use super::{STORE_VERSION, Store, StoreError, Take, Tree};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Memory for pages: a city's inventory fits, and a small appliance has the rest for flows.
const CACHE: u64 = 64 << 20;

/// Who asks while somebody else just reads waits so often and so long before it is told that the store is in use.
const TRIES: u32 = 10;
const WAIT: Duration = Duration::from_millis(150);

/// The file that says what the folder is.
const LABEL: &str = "store.json";

/// The folder of the engine.
const ENGINE: &str = "sled";

#[derive(Serialize, Deserialize)]
struct Label {
    citytap_store: u32,
    engine: String,
    created_by: String,
}

/// A store in a folder.
pub struct OnDisk {
    path: PathBuf,
    db: sled::Db,
    trees: Vec<(Tree, sled::Tree)>,
}

impl OnDisk {
    /// Opens a store, or makes one in a new or empty folder.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn open_or_make(path: &Path) -> Result<Self, StoreError> {
        if !Self::is_store(path) {
            make(path)?;
        }
        Self::open(path)
    }

    /// Opens a store that exists.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        check_label(path)?;
        let mut tries = 0;
        let db = loop {
            // Only explicit flushes: what a run adds becomes visible at once or not at all.
            let config = sled::Config::new().path(path.join(ENGINE)).cache_capacity(CACHE).flush_every_ms(None);
            match config.open() {
                Ok(db) => break db,
                Err(error) if is_locked(&error) => {
                    tries += 1;
                    if tries == TRIES {
                        return Err(StoreError::InUse(path.into()));
                    }
                    std::thread::sleep(WAIT);
                }
                Err(error) => return Err(failed(path, error)),
            }
        };
        let tree = |tree: Tree| Ok((tree, db.open_tree(tree.name()).map_err(|error| failed(path, error))?));
        let trees = Tree::ALL.into_iter().map(tree).collect::<Result<_, StoreError>>()?;
        Ok(Self { path: path.into(), db, trees })
    }

    /// Whether a folder says that it is a store.
    pub fn is_store(path: &Path) -> bool {
        path.join(LABEL).is_file()
    }

    fn tree(&self, tree: Tree) -> Result<&sled::Tree, StoreError> {
        let found = self.trees.iter().find(|(of, _)| *of == tree).map(|(_, tree)| tree);
        found.ok_or_else(|| StoreError::Damaged { path: self.path.clone(), what: format!("no tree {}", tree.name()) })
    }
}

impl Store for OnDisk {
    fn put(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.tree(tree)?.insert(key, value).map(drop).map_err(|error| failed(&self.path, error))
    }

    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.tree(tree)?.get(key).map_err(|error| failed(&self.path, error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn remove(&mut self, tree: Tree, key: &[u8]) -> Result<(), StoreError> {
        self.tree(tree)?.remove(key).map(drop).map_err(|error| failed(&self.path, error))
    }

    fn each(&self, tree: Tree, take: Take<'_>) -> Result<(), StoreError> {
        for entry in self.tree(tree)?.iter() {
            let (key, value) = entry.map_err(|error| failed(&self.path, error))?;
            take(&key, &value);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.db.flush().map(drop).map_err(|error| failed(&self.path, error))
    }

    fn size(&self) -> Result<u64, StoreError> {
        self.db.size_on_disk().map_err(|error| failed(&self.path, error))
    }
}

fn check_label(path: &Path) -> Result<(), StoreError> {
    let file = path.join(LABEL);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let empty = fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
            return Err(if empty && !path.is_file() {
                StoreError::Missing(path.into())
            } else {
                StoreError::Foreign(path.into())
            });
        }
        Err(error) => return Err(StoreError::Io { path: file, error }),
    };
    let label: Label = serde_json::from_slice(&text)
        .map_err(|error| StoreError::Damaged { path: path.into(), what: format!("{LABEL}: {error}") })?;
    if label.citytap_store > STORE_VERSION || label.engine != ENGINE {
        return Err(StoreError::Newer { path: path.into(), version: label.citytap_store, by: label.created_by });
    }
    Ok(())
}

/// Makes the folder. The label comes first: a folder with an engine and without a label would be foreign ever after.
fn make(path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::Io { path: path.into(), error };
    if path.is_file() || fs::read_dir(path).is_ok_and(|mut entries| entries.any(|entry| !is_half_a_label(&entry))) {
        return Err(StoreError::Foreign(path.into()));
    }
    fs::create_dir_all(path).map_err(failed)?;
    keep_private(path).map_err(failed)?;
    let label = Label { citytap_store: STORE_VERSION, engine: ENGINE.into(), created_by: env!("CARGO_PKG_VERSION").into() };
    let text = serde_json::to_string(&label).unwrap_or_default() + "\n";
    let beside = path.join(half_label());
    let write = || {
        fs::write(&beside, &text)?;
        fs::File::open(&beside)?.sync_all()?;
        fs::rename(&beside, path.join(LABEL))
    };
    write().map_err(failed)
}

fn half_label() -> String {
    format!(".{LABEL}.new")
}

fn is_half_a_label(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name() == half_label().as_str())
}

/// The inventory of a city is not for every account of the machine.
#[cfg(unix)]
fn keep_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn keep_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// sled has no error of its own for a lock that somebody else holds.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.kind() == ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock"))
}

fn failed(path: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => StoreError::Io { path: path.into(), error },
        error => StoreError::Damaged { path: path.into(), what: error.to_string() },
    }
}
