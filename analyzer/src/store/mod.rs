//! Everything that outlives the process.
//!
//! - [`Store`] is what a backend must do: values by tree and key, iteration, an explicit flush, its size. [`on_disk`] is sled,
//!   [`in_memory`] serves tests; one conformance suite runs over both.
//! - [`record`] seals each value: a version, a checksum over tree, key and body, and the body as JSON, so that a damaged, torn or
//!   misplaced value is told from a good one. A damaged record is reported with its key, passed over and counted.
//! - [`journal`] makes many writes one: a run is in the store whole or not at all, whatever moment the process is killed at.
//! - [`contents`] is what a store says, in memory, and how a run is added to it. Memory is the authority; indexes are made at open.
//! - `credentials` is what devices presented, as digests under the store's own key. Key and digests stand here and nowhere else.
//! - [`baseline`] is what is normal, one value for each party, and what is said of devices that a run should have heard.
//! - [`City`] joins them; [`Growing`] writes a run that goes on, again and again.
//!
//! sled is used for what it does well (references/crates.md §4): plain inserts, never a large batch, an explicit flush, a bound on its
//! size. It lies in a folder of its own beside `store.json`, which says what the folder is, so that no foreign folder is written into
//! and a store of a newer version is refused before it is opened.

pub mod baseline;
pub mod city;
pub mod contents;
pub(crate) mod credentials;
pub mod growing;
pub mod in_memory;
pub mod journal;
pub mod on_disk;
pub mod record;
#[cfg(test)]
mod tests;

pub use city::{City, Proof};
pub use contents::{Added, Contents, NotClosed, Run};
pub use growing::{Growing, Stand};

use std::path::PathBuf;

/// Version of the layout: raised when an older program could misread what is written.
pub const STORE_VERSION: u32 = 1;

/// A part of the store with keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tree {
    /// What the store is: version, site, the digest key, the mark of a finished journal.
    Meta,
    /// What was added, by number.
    Runs,
    /// Devices by id.
    Devices,
    /// Findings by id.
    Findings,
    /// Answers by device and check.
    Checks,
    /// Writes that wait to be applied.
    Journal,
    /// Keyed digests of the credentials that devices presented, by device.
    Credentials,
    /// Alerts by id, with what a person decided.
    Alerts,
    /// Entries of the register by list and line.
    Register,
    /// What is normal, by who does it.
    Baseline,
}

impl Tree {
    /// All of them. The journal names a tree by its place here, so new ones come last.
    pub const ALL: [Tree; 10] = [
        Tree::Meta,
        Tree::Runs,
        Tree::Devices,
        Tree::Findings,
        Tree::Checks,
        Tree::Journal,
        Tree::Credentials,
        Tree::Alerts,
        Tree::Register,
        Tree::Baseline,
    ];

    /// Its name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Tree::Meta => "meta",
            Tree::Runs => "runs",
            Tree::Devices => "devices",
            Tree::Findings => "findings",
            Tree::Checks => "checks",
            Tree::Journal => "journal",
            Tree::Credentials => "credentials",
            Tree::Alerts => "alerts",
            Tree::Register => "register",
            Tree::Baseline => "baseline",
        }
    }
}

/// What takes one entry of a tree: key and value.
pub type Take<'t> = &'t mut dyn FnMut(&[u8], &[u8]);

/// What keeps values. Keys of one tree are iterated in the order of their bytes.
pub trait Store: Send {
    /// Puts a value, in place of any before it.
    ///
    /// # Errors
    /// What the engine answers.
    fn put(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// The value of a key.
    ///
    /// # Errors
    /// What the engine answers.
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Removes a value, if there is one.
    ///
    /// # Errors
    /// What the engine answers.
    fn remove(&mut self, tree: Tree, key: &[u8]) -> Result<(), StoreError>;

    /// Hands over each entry of a tree, in the order of keys.
    ///
    /// # Errors
    /// What the engine answers.
    fn each(&self, tree: Tree, take: Take<'_>) -> Result<(), StoreError>;

    /// Returns when everything put so far survives the process and the machine.
    ///
    /// # Errors
    /// What the engine answers.
    fn flush(&mut self) -> Result<(), StoreError>;

    /// Bytes that it takes.
    ///
    /// # Errors
    /// What the engine answers.
    fn size(&self) -> Result<u64, StoreError>;
}

/// Why a store cannot be used, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("the store {} is in use by another citytap; stop it or ask the running appliance", .0.display())]
    InUse(PathBuf),
    /// There is none.
    #[error("there is no store at {}; `citytap replay CAPTURE --store {}` makes one", .0.display(), .0.display())]
    Missing(PathBuf),
    /// The folder is something else.
    #[error("{} is a folder with other things in it and no citytap store; give a new or empty folder, or a store", .0.display())]
    Foreign(PathBuf),
    /// A newer program made it.
    #[error("the store {} has version {version}, made by citytap {by}; this citytap {} reads up to version {STORE_VERSION}: \
        use the newer program, or replay the captures into a new store", .path.display(), env!("CARGO_PKG_VERSION"))]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The version of the program that made it.
        by: String,
    },
    /// It belongs to the appliance.
    #[error("the store {} is the appliance's own; replay into a store of its own", .0.display())]
    Appliance(PathBuf),
    /// It is about another site.
    #[error("the store {} is about the site '{is}', and --site says '{wanted}'; leave --site out, or use a store of that site",
        .path.display())]
    Site {
        /// The folder.
        path: PathBuf,
        /// Its site.
        is: String,
        /// The site asked for.
        wanted: String,
    },
    /// It has reached its bound.
    #[error("the store {} takes {size} bytes and may take {limit}; nothing was added: `citytap export inventory` saves what it knows, \
        then replay into a new store", .path.display())]
    Full {
        /// The folder.
        path: PathBuf,
        /// Its size and what was to be added.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// The engine cannot read it.
    #[error("the store {} is damaged ({what}); move the folder away, then restore a copy or replay the captures into a new store",
        .path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What the engine says.
        what: String,
    },
    /// The file system refuses.
    #[error("cannot use the store {}: {error}; see that the disk has room and that you may write there", .path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
    /// No randomness for the digest key.
    #[error("the operating system gives no random bytes ({0}), which a new store needs for its digest key")]
    Random(String),
}
