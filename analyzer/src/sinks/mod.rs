//! Continuous delivery of messages to people and other systems.
//!
//! - A [`Message`] is what is delivered: a key, a time, a severity, words for people, a JSON object for machines. What it is about is not known here.
//! - A [`Sink`] hands messages over to one peer; each has its folder, and a line in [`SINKS`].
//! - A [`spool`] keeps what was not handed over yet, on disk, so that it survives the peer's outage and our own end; it is bounded and counts what it lost.
//! - A [`courier`] is the thread between the two: in order, at least once, again after a failure, and it says when a peer is away and when it is back.
//!
//! One conformance test (`tests`) runs over all sinks.

pub mod courier;
pub mod jsonl;
mod segments;
pub mod spool;
pub mod syslog;
#[cfg(test)]
mod tests;

use crate::findings::Severity;
use crate::inventory::when;
use crate::nearest::nearest;
use citytap_sensor::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Something to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What it is about: messages of one key follow each other in time, and equal key and time are the same message again.
    pub key: String,
    /// What sort it is, as in `finding`: letters, digits, `-` and `_`.
    pub kind: String,
    /// When it happened, in packet time.
    #[serde(with = "when")]
    pub time: Timestamp,
    /// How bad.
    pub severity: Severity,
    /// What it says, for people.
    pub text: String,
    /// What receivers sort by, by name.
    pub labels: BTreeMap<String, String>,
    /// All of it as a JSON object on one line, for machines.
    pub json: String,
}

/// Hands messages over to one peer.
pub trait Sink: Send {
    /// Hands them over in their order, and returns when the peer has them, as far as its protocol can tell.
    ///
    /// # Errors
    /// How many were taken before it failed, and why.
    fn deliver(&mut self, messages: &[Message]) -> Result<(), Undelivered>;

    /// Sees what can be seen before the first message.
    ///
    /// # Errors
    /// What is wrong and will not mend itself. A peer that is away is not.
    fn ready(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// A peer that did not take everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// How many messages it took, from the first.
    pub taken: usize,
    /// Why not the next.
    pub why: String,
}

/// A kind of sink.
pub struct SinkSpec {
    /// Its name, as in `syslog:udp://10.0.0.9`.
    pub name: &'static str,
    /// What follows the name and the colon, and what it means.
    pub doc: &'static str,
    /// A target.
    pub example: &'static str,
    /// Makes one of what follows the name and the colon. Nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub open: fn(&str) -> Result<Box<dyn Sink>, String>,
}

/// All kinds of sinks; the folders beside this file.
pub const SINKS: &[SinkSpec] = &[jsonl::SPEC, syslog::SPEC];

/// Makes a sink of a target as a person types it, such as `jsonl:alerts.jsonl`.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn open(target: &str) -> Result<Box<dyn Sink>, String> {
    let names = || SINKS.iter().map(|spec| spec.name);
    let examples = || SINKS.iter().map(|spec| spec.example).collect::<Vec<_>>().join(", ");
    let Some((name, rest)) = target.split_once(':') else {
        return Err(format!("say what it is and where, as in {}", examples()));
    };
    match SINKS.iter().find(|spec| spec.name == name) {
        Some(spec) => (spec.open)(rest),
        None => {
            let meant = nearest(name, names()).map_or_else(String::new, |name| format!(" Is {name} meant?"));
            Err(format!("there is no sink '{name}'.{meant} Targets are, for example, {}", examples()))
        }
    }
}

/// Name of the folder in which messages for a target wait: the sink's name, and a digest, since a target may be any text.
pub fn folder_name(target: &str) -> String {
    let name = target.split_once(':').map_or(target, |(name, _)| name);
    format!("{name}-{:08x}", crc32fast::hash(target.as_bytes()))
}

/// Spools in a folder in which messages wait for targets that are not among `targets`, with how many.
pub fn forgotten(folder: &Path, targets: &[String]) -> Vec<(PathBuf, u64)> {
    let wanted: BTreeSet<String> = targets.iter().map(|target| folder_name(target)).collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_wanted = entry.file_name().to_str().is_some_and(|name| wanted.contains(name));
        if is_wanted || !entry.path().is_dir() {
            continue;
        }
        if let Ok(spool) = spool::Spool::open(&entry.path(), spool::LIMIT)
            && spool.amounts().waiting > 0
        {
            found.push((entry.path(), spool.amounts().waiting));
        }
    }
    found.sort();
    found
}

/// `text` without control characters: what was seen on the wire is hostile, and ends on terminals and in logs.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
