//! Detectors: judgements that follow from facts and cannot be said in a rule. One folder each, and a line in [`all`].

pub mod advisories;
pub mod credentials;

use crate::findings::{CheckSpec, Verdict};
use crate::hot::owned::{OwnedFact, Seen};
use crate::keys::Keys;

/// Watches facts and answers checks.
pub trait Detector: Send {
    /// Takes a fact, in the order in which facts were seen.
    fn fact(&mut self, fact: &OwnedFact, seen: Seen);

    /// Hands over its answers so far, in any order.
    fn verdicts(&self, take: &mut dyn FnMut(Verdict));

    /// Subjects that it did not watch because its table was full.
    fn shed(&self) -> u64;
}

/// All detectors, fresh.
pub fn all() -> Vec<Box<dyn Detector>> {
    vec![Box::new(credentials::Credentials::default())]
}

/// The checks that code asks rather than rules, those of keys first.
pub fn checks() -> impl Iterator<Item = &'static CheckSpec> {
    Keys::checks().chain(credentials::CHECKS.iter().copied()).chain(advisories::CHECKS.iter().copied())
}
