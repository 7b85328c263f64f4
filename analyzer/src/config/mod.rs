//! What a run is told to do: one TOML format in layers. Shipped defaults come first, then the file that is named, then flags; each value
//! knows the layer that it comes from.
//!
//! A file is used whole or not at all: everything that is wrong in it is told at once, each with file, line, the nearest right word and
//! what to write instead. Keys stand in a file of their own, which the configuration names, because it holds secrets: nothing that is told
//! of it quotes it.
//!
//! - [`options`] lists what can be said, with its words for people. `reader` reads TOML and collects what is wrong.
//! - [`networks`] makes a map of address spaces. `print` writes a configuration as TOML again, with where each value comes from.

pub mod networks;
pub mod options;
mod print;
mod reader;
#[cfg(test)]
mod tests;

pub use networks::Network;

use crate::detectors;
use crate::findings::Severity;
use crate::findings::alerts::AlertPolicy;
use crate::inventory::{Bounds, InventoryConfig, Ours, Prefix};
use crate::keys::{Budget, KeyConfig};
use crate::policy::zones::{Zone, Zones};
use crate::policy::{self, Change, Policy};
use crate::rules::RuleSet;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::limits::{FLOWS, SHARDS};
use citytap_sensor::link::NetworkMap;
use citytap_sensor::pipeline::SensorConfig;
use citytap_sensor::time::SECOND;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The site where none is named.
pub const SITE: &str = "city";

/// Names that a device has on average: an address and its MAC, a DevEUI and its DevAddr.
const NAMES_OF_A_DEVICE: u64 = 2;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Nobody said anything.
    Shipped,
    /// The configuration file, in this line.
    File {
        /// The file, as it was named.
        file: Box<str>,
        /// 1-based.
        line: usize,
    },
    /// A flag of the command line.
    Flag(&'static str),
    /// The store that the run adds to.
    Store,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Shipped => f.write_str("default"),
            Layer::File { file, line } => write!(f, "{file}:{line}"),
            Layer::Flag(flag) => f.write_str(flag),
            Layer::Store => f.write_str("the store"),
        }
    }
}

/// A value and the layer that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub layer: Layer,
}

impl<T> Set<T> {
    fn shipped(value: T) -> Self {
        Self { value, layer: Layer::Shipped }
    }
}

/// Something wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// 1-based; `None` where the file cannot be read at all.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.text),
            None => write!(f, "{}: {}", self.file, self.text),
        }
    }
}

/// What a person said on the command line; it goes before what the file says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--site`.
    pub site: Option<String>,
}

/// A configuration. It has no `Debug`: it holds the owner's keys.
#[derive(Clone)]
pub struct Config {
    /// The site's name; part of every device's id.
    pub site: Set<String>,
    /// The networks of addresses that are the site's own; empty: what is private and what answers.
    pub prefixes: Set<Vec<Prefix>>,
    /// Address spaces besides 0, to which all else belongs.
    pub networks: Vec<Set<Network>>,
    /// Parts of the site that are kept apart.
    pub zones: Vec<Set<Zone>>,
    /// What a person wants otherwise of checks and rules, by their ids.
    pub checks: Vec<Set<(String, Change)>>,
    /// Most flows kept at a time.
    pub flows: Set<u64>,
    /// Most devices kept.
    pub devices: Set<u64>,
    /// Most names kept of which nothing is known but that they were there.
    pub provisional: Set<u64>,
    /// Key trials a device and day.
    pub trials_per_device: Set<u64>,
    /// Key trials a day for all devices.
    pub trials_per_day: Set<u64>,
    /// Whether payloads may be decrypted.
    pub decrypt: Set<bool>,
    /// The file with the owner's keys, as the configuration names it.
    pub key_file: Set<Option<String>>,
    /// The owner's keys.
    pub keys: KeyConfig,
    /// Findings below it wait for the daily digest.
    pub min_severity: Set<Severity>,
    /// For so many seconds of packet time an alert that goes on is not told again.
    pub suppress: Set<u64>,
    /// Checks whose findings wait for the daily digest.
    pub digest: Set<Vec<String>>,
    /// What a person should know, though it stops nothing.
    pub warnings: Vec<String>,
}

/// What outputs tell of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// SHA-256 of all that it sets, in hex: equal for equal settings, whatever layer they come from. Keys take part by whose they are and
    /// what they are called, never by their value.
    pub sha256: String,
    /// Names of the address spaces, by number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<NetworkId, String>,
}

impl Default for Config {
    /// What is shipped.
    fn default() -> Self {
        let (bounds, budget, policy) = (Bounds::default(), Budget::default(), AlertPolicy::default());
        Self {
            site: Set::shipped(SITE.into()),
            prefixes: Set::shipped(Vec::new()),
            networks: Vec::new(),
            zones: Vec::new(),
            checks: Vec::new(),
            flows: Set::shipped((FLOWS * SHARDS) as u64),
            devices: Set::shipped(bounds.identities as u64 / NAMES_OF_A_DEVICE),
            provisional: Set::shipped(bounds.provisional as u64),
            trials_per_device: Set::shipped(budget.per_device),
            trials_per_day: Set::shipped(budget.in_total),
            decrypt: Set::shipped(false),
            key_file: Set::shipped(None),
            keys: KeyConfig::default(),
            min_severity: Set::shipped(policy.min_severity),
            suppress: Set::shipped(policy.suppress / SECOND),
            digest: Set::shipped(policy.digest),
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// Puts the layers together: what is shipped, a file where one is named, flags.
    ///
    /// # Errors
    /// All that is wrong, in the order of lines; of such a configuration nothing is used.
    pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Self, Vec<Problem>> {
        let mut config = match file {
            Some(path) => reader::read(path)?,
            None => Self::default(),
        };
        if let Some(site) = &flags.site {
            let wrong = |text| vec![Problem { file: "--site".into(), line: None, text }];
            options::site_name(site).map_err(wrong)?;
            config.site = Set { value: site.clone(), layer: Layer::Flag("--site") };
        }
        config.keys.decrypt = config.decrypt.value;
        Ok(config)
    }

    /// The site's name where somebody said it.
    pub fn said_site(&self) -> Option<&str> {
        (self.site.layer != Layer::Shipped).then_some(self.site.value.as_str())
    }

    /// The site's name is that of the store.
    pub fn set_site_of_store(&mut self, site: &str) {
        if self.site.value != site {
            self.site = Set { value: site.into(), layer: Layer::Store };
        }
    }

    /// Whether frames are to be read with keys, the owner's or proved ones.
    pub fn reads_with_keys(&self) -> bool {
        self.decrypt.value || !self.keys.is_empty()
    }

    /// The sensor's part.
    pub fn sensor(&self) -> SensorConfig {
        SensorConfig {
            flows: usize::try_from(self.flows.value).unwrap_or(usize::MAX).div_ceil(SHARDS),
            ..SensorConfig::default()
        }
    }

    /// Which packets belong to which address space.
    pub fn network_map(&self) -> NetworkMap {
        networks::map(self.networks.iter().map(|network| &network.value))
    }

    /// The parts of the site.
    pub fn zones(&self) -> Zones {
        Zones::new(self.zones.iter().map(|zone| zone.value.clone()))
    }

    /// The networks of addresses that are the site's own.
    pub fn ours(&self) -> Ours {
        Ours::new(&self.prefixes.value)
    }

    /// What it changes about checks, looked up among those of the program and the rules.
    ///
    /// # Errors
    /// All entries about checks that do not exist, or that set what a check does not go by.
    pub fn policy(&self, rules: &RuleSet) -> Result<Policy, Vec<Problem>> {
        let known: Vec<&str> = detectors::checks().chain(rules.checks()).map(|check| check.id).collect();
        let numbers_of = |check: &str| {
            let coded = detectors::parameters().filter(|parameter| parameter.check == check);
            let coded = coded.map(|parameter| (parameter.name, parameter.range.clone()));
            let has = |name: &str| rules.counts(check).into_iter().flatten().any(|(known, _)| known == name);
            coded.chain(policy::COUNTS.iter().filter(|(name, _)| has(name)).cloned()).collect()
        };
        let (mut policy, mut problems) = (Policy::default(), Vec::new());
        for entry in &self.checks {
            let (check, change) = &entry.value;
            if let Some(text) = Policy::wrong(check, change, &known, numbers_of) {
                let (file, line) = match &entry.layer {
                    Layer::File { file, line } => (file.to_string(), Some(*line)),
                    other => (other.to_string(), None),
                };
                problems.push(Problem { file, line, text });
            }
            policy.set(check, change.clone());
        }
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }

    /// The inventory's part.
    pub fn inventory(&self) -> InventoryConfig {
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let bounds = Bounds {
            identities: size(self.devices.value.saturating_mul(NAMES_OF_A_DEVICE)),
            provisional: size(self.provisional.value),
            ..Bounds::default()
        };
        InventoryConfig { prefixes: self.prefixes.value.clone(), bounds, ..InventoryConfig::new(&self.site.value) }
    }

    /// How many keys may be tried.
    pub fn budget(&self) -> Budget {
        Budget { per_device: self.trials_per_device.value, in_total: self.trials_per_day.value }
    }

    /// What a person is told at once.
    pub fn alerts(&self) -> AlertPolicy {
        AlertPolicy {
            min_severity: self.min_severity.value,
            suppress: self.suppress.value.saturating_mul(SECOND),
            digest: self.digest.value.clone(),
        }
    }

    /// What outputs tell of it.
    pub fn summary(&self) -> Summary {
        let settings = self.settings();
        let sha256 = Sha256::digest(settings.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let names = self.networks.iter().filter(|network| !network.value.name.is_empty());
        Summary { sha256, networks: names.map(|network| (network.value.id, network.value.name.clone())).collect() }
    }
}

/// The folder that a file's relative names count from.
fn folder_of(file: &Path) -> PathBuf {
    file.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
