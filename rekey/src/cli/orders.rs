//! What a person orders while `run` is at work: files in the module's folder, which only its owner can write into. `run` takes them up, in their order;
//! where none is at work they wait for the next.

use super::Stop;
use super::host::{keep, kept, write};
use crate::config::Config;
use crate::policy::Pattern;
use crate::rotation::Input;
use crate::slot::Slot;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What is ordered for one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Let it go on.
    Continue,
    /// Bring the old key back into use.
    Revert,
    /// Give it up before anything was delivered.
    Cancel,
}

impl What {
    /// As the rotation takes it.
    pub fn input(self) -> Input {
        match self {
            What::Continue => Input::Continue,
            What::Revert => Input::Revert,
            What::Cancel => Input::Cancel,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            What::Continue => "continue",
            What::Revert => "revert",
            What::Cancel => "cancel",
        }
    }
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What.
    pub what: What,
    /// Of which slots.
    pub slots: String,
    /// Who, as the system knows the person.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What is on hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Slots by pattern.
    pub slots: Vec<String>,
    /// Why.
    pub why: String,
}

impl Held {
    /// Whether a slot is.
    pub fn has(&self, slot: &Slot) -> bool {
        self.slots.iter().any(|pattern| Pattern(pattern.clone()).fits(slot))
    }

    /// Whether everything is.
    pub fn has_all(&self) -> bool {
        self.slots.iter().any(|pattern| pattern == "*")
    }

    /// What stands.
    pub fn read(config: &Config) -> Result<Self, Stop> {
        kept(&config.folder.join("hold.json"))
    }

    /// Keeps it.
    pub fn keep(&self, config: &Config) -> Result<(), Stop> {
        keep(&config.folder.join("hold.json"), self)
    }
}

fn folder(config: &Config) -> PathBuf {
    config.folder.join("orders")
}

/// Gives an order.
pub fn give(config: &Config, order: &Order) -> Result<(), Stop> {
    let folder = folder(config);
    std::fs::create_dir_all(&folder).map_err(|error| Stop::file(format!("cannot write {}: {error}", folder.display())))?;
    // By time, then by process: two people at one moment do not overwrite each other.
    let path = folder.join(format!("{:020}-{}.json", order.at.0, std::process::id()));
    write(&path, &serde_json::to_vec(order).unwrap_or_default())
}

/// The orders that wait, in their order, each with its file.
pub fn waiting(config: &Config) -> Vec<(PathBuf, Order)> {
    let Ok(entries) = std::fs::read_dir(folder(config)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    let read = |path: PathBuf| Some((path.clone(), serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?));
    paths.into_iter().filter_map(read).collect()
}

/// An order that was carried out goes.
pub fn done(path: &Path) {
    // Taken up once more it does nothing new.
    let _ = std::fs::remove_file(path);
}

/// Who gives the order.
pub fn who() -> String {
    let id = nix::unistd::getuid();
    nix::unistd::User::from_uid(id).ok().flatten().map_or_else(|| id.to_string(), |user| user.name)
}
