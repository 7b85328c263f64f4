//! What a person wants to be told of at once, and what once a day.

use super::super::Severity;
use citytap_sensor::time::{Nanos, SECOND};
use serde::{Deserialize, Serialize};

/// Checks whose findings wait for the daily digest where nobody says otherwise: what comes and goes in every city every day.
pub const DIGEST: &[&str] = &["device-gone", "device-new", "device-silent"];

/// How a person is told of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// At once.
    #[default]
    Alert,
    /// In the digest of its day.
    Digest,
}

impl Delivery {
    /// Its name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Delivery::Alert => "alert",
            Delivery::Digest => "digest",
        }
    }
}

/// What is told at once, and how often again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertPolicy {
    /// Findings below it wait for the digest.
    pub min_severity: Severity,
    /// For so long in packet time an alert that grows or goes on is not told again.
    pub suppress: Nanos,
    /// Ids of checks whose findings wait for the digest, whatever their severity.
    pub digest: Vec<String>,
}

impl Default for AlertPolicy {
    /// An hour is as long as somebody needs to look at the first one.
    fn default() -> Self {
        Self { min_severity: Severity::Low, suppress: 3600 * SECOND, digest: DIGEST.iter().map(|id| (*id).to_owned()).collect() }
    }
}

impl AlertPolicy {
    /// How a person is told of a finding of this check.
    pub fn delivery(&self, check: &str, severity: Severity) -> Delivery {
        let waits = severity < self.min_severity || self.digest.iter().any(|id| id == check);
        if waits { Delivery::Digest } else { Delivery::Alert }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_devices_and_what_is_good_to_know_wait_for_the_digest_unless_a_person_says_otherwise() {
        let policy = AlertPolicy::default();
        assert_eq!(policy.delivery("device-new", Severity::High), Delivery::Digest);
        assert_eq!(policy.delivery("a-check", Severity::Info), Delivery::Digest);
        assert_eq!(policy.delivery("a-check", Severity::Low), Delivery::Alert);
        let own = AlertPolicy { digest: vec!["a-check".into()], min_severity: Severity::Info, ..policy };
        assert_eq!(own.delivery("device-new", Severity::Info), Delivery::Alert);
        assert_eq!(own.delivery("a-check", Severity::Critical), Delivery::Digest);
    }
}
