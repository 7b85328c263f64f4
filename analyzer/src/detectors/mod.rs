//! Detectors: judgements that cannot be said in a rule, such as baselines, counters that wrap, ratios, absence, geometry. One folder each, and a
//! line in [`DETECTORS`].

pub mod advisories;
pub mod amplification;
pub mod baseline;
pub mod certificates;
pub mod clocks;
pub mod configuration;
pub mod credentials;
pub mod gateways;
pub mod joining;
pub mod lorawan_applications;
pub mod lorawan_downlinks;
pub mod lorawan_joins;
pub mod lorawan_places;
pub mod lorawan_radio;
pub mod lorawan_sessions;
pub mod mqtt_state;
pub mod twins;
mod watched;
pub mod zones;

pub use watched::{SUBJECTS, Watched};

use crate::findings::{CheckSpec, Verdict};
use crate::hot::owned::{Event, FlowSummary, Interest, OwnedFact, Seen};
use crate::inventory::{Inventory, Ours};
use crate::keys::Keys;
use crate::policy::zones::Zones;
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
    pub make: fn(&Making<'_>) -> Box<dyn Detector>,
}

/// What a person said that detectors are made with.
#[derive(Clone, Copy)]
pub struct Making<'m> {
    /// What is changed about checks.
    pub policy: &'m Policy,
    /// The parts of the site that are kept apart.
    pub zones: &'m Arc<Zones>,
    /// The addresses of the site.
    pub ours: &'m Arc<Ours>,
}

impl Making<'_> {
    /// The number that a check goes by.
    pub fn number(&self, parameter: &Parameter) -> u64 {
        self.policy.number(parameter)
    }
}

/// All detectors.
#[rustfmt::skip]
pub const DETECTORS: &[&DetectorSpec] = &[
    &credentials::SPEC,
    &configuration::SPEC,
    &certificates::SPEC,
    &zones::SPEC,
    &twins::SPEC,
    &clocks::SPEC,
    &amplification::SPEC,
    &mqtt_state::SPEC,
    &joining::SPEC,
    &gateways::SPEC,
    &lorawan_applications::SPEC,
    &lorawan_downlinks::SPEC,
    &lorawan_joins::SPEC,
    &lorawan_places::SPEC,
    &lorawan_sessions::SPEC,
    &advisories::SPEC,
    &baseline::SPEC,
];

/// Watches what leaves the shards, in the order in which it was seen, and answers checks.
pub trait Detector: Send {
    /// Takes what is known of earlier runs, before all else, and again where a person decided about it while the run goes on; it is not called where
    /// nothing outlives the run.
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

    /// Hands over its answers, and answers what is known after this run: what it began with and what it saw. `None` where it learns nothing, or
    /// nothing outlives the run.
    fn conclude(&self, inventory: &Inventory, take: &mut dyn FnMut(Verdict)) -> Option<Learned> {
        self.verdicts(inventory, take);
        None
    }

    /// Subjects that it did not watch because its table was full.
    fn shed(&self) -> u64;
}

/// Those of a run. What is normal is learned where it is kept: a run that nothing outlives has no use for what it costs to learn it.
pub fn of_run(keeps: bool) -> impl Iterator<Item = &'static DetectorSpec> {
    DETECTORS.iter().copied().filter(move |spec| keeps || spec.name != baseline::SPEC.name)
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
