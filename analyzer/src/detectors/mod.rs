//! Detectors: judgements that cannot be said in a rule, such as baselines, counters that wrap, ratios, absence, geometry. One folder each, and a
//! line in [`DETECTORS`].

pub mod baseline;
pub mod credentials;

use crate::findings::{CheckSpec, Verdict};
use crate::hot::owned::{Event, FlowSummary, Interest, OwnedFact, Seen};
use crate::inventory::Inventory;
use crate::keys::Keys;
use crate::policy::{Parameter, Policy};
use baseline::learned::Baseline;
use baseline::teach::Learned;
use citytap_sensor::time::Timestamp;
use std::sync::Arc;

/// What a detector is and wants.
pub struct DetectorSpec {
    /// Name of its folder.
    pub name: &'static str,
    /// The checks that it answers.
    pub checks: &'static [&'static CheckSpec],
    /// The records that it wants to see, and which fields of them.
    pub interests: &'static [Interest],
    /// The numbers that it goes by and a person may change.
    pub parameters: &'static [&'static Parameter],
    /// Makes a fresh one.
    pub make: fn(&Policy) -> Box<dyn Detector>,
}

/// All detectors.
pub const DETECTORS: &[&DetectorSpec] = &[&credentials::SPEC, &baseline::SPEC];

/// Watches what leaves the shards, in the order in which it was seen, and answers checks.
pub trait Detector: Send {
    /// Takes what is known of earlier runs, before all else; it is not called where nothing outlives the run.
    fn begin(&mut self, _baseline: &Arc<Baseline>) {}

    /// Takes a fact.
    fn fact(&mut self, _fact: &OwnedFact, _seen: Seen) {}

    /// Takes a record of one of its interests, the fields in the order in which it asked for them.
    fn event(&mut self, _event: &Event) {}

    /// Takes what a flow did since it was last told of. Flows come epoch by epoch, before the epoch's facts and events, in no order among them.
    fn flow(&mut self, _flow: &FlowSummary) {}

    /// Takes note of packet time, once an epoch, after all else.
    fn epoch(&mut self, _now: Timestamp) {}

    /// Hands over its answers so far, in any order. It may be asked again later.
    fn verdicts(&self, inventory: &Inventory, take: &mut dyn FnMut(Verdict));

    /// What is known after this run: what it began with and what it saw. `None` where nothing outlives the run.
    fn learned(&self, _inventory: &Inventory) -> Option<Learned> {
        None
    }

    /// Subjects that it did not watch because its table was full.
    fn shed(&self) -> u64;
}

/// All detectors, fresh.
pub fn all(policy: &Policy) -> Vec<Box<dyn Detector>> {
    DETECTORS.iter().map(|spec| (spec.make)(policy)).collect()
}

/// The checks that code asks rather than rules, those of keys first.
pub fn checks() -> impl Iterator<Item = &'static CheckSpec> {
    Keys::checks().chain(DETECTORS.iter().flat_map(|spec| spec.checks).copied())
}

/// The numbers that detectors go by.
pub fn parameters() -> impl Iterator<Item = &'static Parameter> {
    DETECTORS.iter().flat_map(|spec| spec.parameters).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hot::Wishes;
    use crate::signatures;
    use citytap_sensor::protocols::DECODERS;

    #[test]
    fn decoders_have_what_is_asked_of_them() {
        let stages: Vec<&[Interest]> = DETECTORS.iter().map(|spec| spec.interests).collect();
        assert_eq!(Wishes::new(DECODERS, &stages, signatures::look_up).err(), None);
    }

    #[test]
    fn parameters_belong_to_a_check_of_their_detector_and_admit_what_is_shipped() {
        for spec in DETECTORS {
            for parameter in spec.parameters {
                assert!(spec.checks.iter().any(|check| check.id == parameter.check), "{}: {}", spec.name, parameter.check);
                assert!(parameter.range.contains(&parameter.shipped), "{}.{}", parameter.check, parameter.name);
            }
        }
    }
}
