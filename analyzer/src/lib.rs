//! The analyzer: observations to devices, findings, actions and exports.
//!
//! - [`config`] is what a run is told to do: defaults, a file, flags.
//! - [`hot`] is the observer in each shard: it copies what is new and what somebody asked for.
//! - [`keys`] proves known keys on what was sent: LoRaWAN, OSCORE, DTLS. It links LoRaWAN sessions to devices.
//! - [`inventory`] makes devices of facts.
//! - [`policy`] is what a person changed about checks: thresholds, severities.
//! - [`signatures`] is the data: credentials, keys, vendors, fingerprints, classes.
//! - [`store`] is what outlives the process.
//! - [`live`] is a run that listens and goes on; [`sinks`] deliver what it finds.
//! - [`register`] is what the city says it has, compared with what was seen.
//! - [`citytap_signing`] signs what leaves for another program, and checks what comes back from one.
//! - [`findings`] judges: checks with three answers, findings with evidence, actions.

pub mod checks;
pub mod cli;
pub mod config;
pub mod detectors;
pub mod engine;
pub mod expect;
pub mod export;
pub mod findings;
pub mod hot;
pub mod inventory;
pub mod keys;
pub mod live;
mod nearest;
pub mod policy;
pub mod register;
pub mod rules;
pub mod screen;
pub mod signatures;
pub mod sinks;
pub mod store;
