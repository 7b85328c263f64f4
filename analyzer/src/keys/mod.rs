//! Keys and sessions: proves on what was sent that a known key is in use, and reads what a key makes readable.
//!
//! It works behind the capture, on events in the order of packets, without a clock and without chance: the same events give the same answers.
//!
//! - [`lorawan`]: root and session keys on message integrity codes; sessions and what they carry.
//! - [`oscore`]: security contexts on the tags of protected CoAP messages.
//! - [`dtls`]: pre-shared keys on the client's Finished message.
//! - [`ledger`]: which secrets of a device were tried, for those whose devices are addresses.
//!
//! Values of keys stay in types that cannot be printed: verdicts name the list that a key stands on, never the key.

pub mod dtls;
pub mod ledger;
pub mod lorawan;
pub mod oscore;

#[cfg(test)]
mod testing;

pub use lorawan::{Budget, Derived, KeyConfig};

use crate::findings::{CheckSpec, Verdict};
use crate::hot::owned::{Event, Interest, OwnedFact, Seen};
use citytap_sensor::time::Timestamp;
use dtls::DtlsKeys;
use lorawan::LorawanKeys;
use oscore::OscoreKeys;

/// The stage. It has no `Debug`: it holds secrets.
pub struct Keys {
    lorawan: LorawanKeys,
    oscore: OscoreKeys,
    dtls: DtlsKeys,
}

impl Keys {
    /// Starts with the owner's LoRaWAN keys and how much may be tried on LoRaWAN frames.
    pub fn new(config: KeyConfig, budget: Budget) -> Self {
        Self { lorawan: LorawanKeys::new(config, budget), oscore: OscoreKeys::default(), dtls: DtlsKeys::default() }
    }

    /// What the stage wants of the shards.
    pub fn interests() -> Vec<Interest> {
        [LorawanKeys::INTERESTS, OscoreKeys::INTERESTS, DtlsKeys::INTERESTS].concat()
    }

    /// The checks that it answers.
    pub fn checks() -> impl Iterator<Item = &'static CheckSpec> {
        [LorawanKeys::CHECKS, OscoreKeys::CHECKS, DtlsKeys::CHECKS].into_iter().flatten().copied()
    }

    /// Takes a record of one of [`Keys::interests`]; others it ignores.
    pub fn observe(&mut self, event: &Event) {
        let wanted = |interests: &[Interest]| interests.iter().any(|interest| interest.kind_id() == event.kind);
        if wanted(LorawanKeys::INTERESTS) {
            self.lorawan.observe(event);
        } else if wanted(OscoreKeys::INTERESTS) {
            self.oscore.observe(event);
        } else if wanted(DtlsKeys::INTERESTS) {
            self.dtls.observe(event);
        }
    }

    /// Takes a fact of the wire.
    pub fn fact(&mut self, fact: &OwnedFact) {
        self.lorawan.fact(fact);
    }

    /// Works on what waits; to be called at the end of each epoch with the packet time reached. `end` is the end of the captures.
    pub fn work(&mut self, now: Timestamp, end: bool) {
        self.lorawan.work(now, end);
        self.dtls.work(now, end);
    }

    /// Links and attributes found since the last call, in the order in which they were found.
    pub fn take_facts(&mut self) -> Vec<(Seen, OwnedFact)> {
        self.lorawan.take_facts()
    }

    /// What keys made readable since the last call.
    pub fn take_derived(&mut self) -> Vec<Derived> {
        self.lorawan.take_derived()
    }

    /// Hands over the answers to all checks so far, in any order.
    pub fn verdicts(&self, take: &mut dyn FnMut(Verdict)) {
        self.lorawan.verdicts(take);
        self.oscore.verdicts(take);
        self.dtls.verdicts(take);
    }

    /// What a report tells of LoRaWAN keys, by name: frames checked, the owner's keys, what was dropped at a bound.
    pub fn tallies(&self) -> Vec<(&'static str, u64)> {
        self.lorawan.tallies()
    }

    /// The bounds of OSCORE and DTLS that were hit, by name, with how often.
    pub fn shed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.oscore.shed().into_iter().chain(self.dtls.shed()).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hot::Wishes;
    use crate::signatures;
    use citytap_sensor::protocols::DECODERS;

    #[test]
    fn decoders_have_what_is_asked_of_them() {
        assert_eq!(Wishes::new(DECODERS, &[&Keys::interests()], signatures::look_up).err(), None);
    }

    #[test]
    fn checks_have_ids_of_their_own() {
        let mut ids: Vec<&str> = Keys::checks().map(|check| check.id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), all), (4, 4));
    }
}
