//! What devices presented as credentials, by keyed digest: when which was in use, and what came of it. It shows that a device gave up its old
//! credential for a new one, and that two devices share one, without telling what they are.
//!
//! It is filled only for a store, and only the store takes it: nothing here can be serialised. What is dropped at a bound is counted apart from
//! the inventory's counters, so that a run's files are the same with and without a store.
//!
//! Of each kind the [`DIGESTS`] worth most are kept: accepted ones before those whose answer was not seen, those before refused ones,
//! so that guessing does not push out what works; among equals the latest. Which go never depends on the digests, that is, on the key.

use super::merge::{Counting, widen};
use super::table::Stamp;
use super::{DeviceId, Inventory, Sighting};
use crate::hot::digest::CredentialDigest;
use crate::hot::owned::IdentityKey;
use citytap_sensor::observation::{CredentialKind, Outcome};
use citytap_sensor::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Different credentials of one kind kept of a name, and of a device over all runs: the one in use, those of its roles at several servers, and
/// one before each.
pub const DIGESTS: usize = 8;

/// A credential that a device presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedCredential {
    /// What kind it is.
    pub kind: CredentialKind,
    /// Which one it is.
    pub digest: CredentialDigest,
    /// When it was presented, and how often.
    pub seen: Sighting,
    /// When it was last seen to be accepted.
    pub last_accepted: Option<Timestamp>,
    /// When it was last seen to be refused.
    pub last_refused: Option<Timestamp>,
}

impl PresentedCredential {
    /// The latest answer; of two at one time the refusal.
    pub fn outcome(&self) -> Outcome {
        match (self.last_accepted, self.last_refused) {
            (None, None) => Outcome::Unknown,
            (accepted, refused) if accepted > refused => Outcome::Accepted,
            _ => Outcome::Refused,
        }
    }

    fn merge(&mut self, other: &Self, counting: Counting) {
        widen(&mut self.seen, other.seen, counting);
        self.last_accepted = self.last_accepted.max(other.last_accepted);
        self.last_refused = self.last_refused.max(other.last_refused);
    }
}

/// What speaks for keeping a credential, the best last.
fn worth(is_accepted: bool, is_refused: bool) -> u8 {
    match (is_accepted, is_refused) {
        (true, _) => 2,
        (false, false) => 1,
        (false, true) => 0,
    }
}

/// Adds what else is known of the same device, sorted by kind, then by when each was first seen. Answers how many found no room.
pub fn join(
    known: &mut Vec<PresentedCredential>,
    new: impl IntoIterator<Item = PresentedCredential>,
    counting: Counting,
) -> usize {
    let mut places: HashMap<_, _, FixedState> =
        known.iter().zip(0..).map(|(credential, at)| ((credential.kind, credential.digest), at)).collect();
    for credential in new {
        let place = *places.entry((credential.kind, credential.digest)).or_insert(known.len());
        match known.get_mut(place) {
            Some(same) => same.merge(&credential, counting),
            None => known.push(credential),
        }
    }
    known.sort_by_key(|credential| {
        let worth = worth(credential.last_accepted.is_some(), credential.last_refused.is_some());
        (kind_order(credential.kind), Reverse((worth, credential.seen.last_seen, credential.seen.last_frame)))
    });
    let before = known.len();
    let (mut kind, mut of_kind) = (None, 0);
    known.retain(|credential| {
        of_kind = if kind == Some(credential.kind) { of_kind + 1 } else { 1 };
        kind = Some(credential.kind);
        of_kind <= DIGESTS
    });
    known.sort_by_key(|credential| (kind_order(credential.kind), credential.seen.first_seen, credential.seen.first_frame));
    before - known.len()
}

fn kind_order(kind: CredentialKind) -> u8 {
    kind as u8
}

/// The credentials of names, while a run goes on.
pub(super) struct Presented {
    names: HashMap<IdentityKey, Vec<Tried>, FixedState>,
    /// Over all names.
    count: usize,
    bound: usize,
    shed: u64,
}

/// A credential of a name.
#[derive(Clone, Copy)]
struct Tried {
    kind: CredentialKind,
    digest: CredentialDigest,
    first: Stamp,
    last: Stamp,
    count: u64,
    last_accepted: Option<Stamp>,
    last_refused: Option<Stamp>,
}

impl Tried {
    fn worth(&self) -> (u8, Stamp) {
        (worth(self.last_accepted.is_some(), self.last_refused.is_some()), self.last)
    }

    fn widen(&mut self, other: &Tried) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
        self.last_accepted = self.last_accepted.max(other.last_accepted);
        self.last_refused = self.last_refused.max(other.last_refused);
    }

    /// The sightings between two times, so many, as far as answers are `theirs`.
    fn part(&self, [first, last]: [Stamp; 2], count: u64, theirs: impl Fn(Stamp) -> bool) -> PresentedCredential {
        let answer = |at: Option<Stamp>| at.filter(|&at| theirs(at)).map(Stamp::time);
        PresentedCredential {
            kind: self.kind,
            digest: self.digest,
            seen: Sighting {
                first_frame: first.frame(),
                first_seen: first.time(),
                last_frame: last.frame(),
                last_seen: last.time(),
                count,
            },
            last_accepted: answer(self.last_accepted),
            last_refused: answer(self.last_refused),
        }
    }
}

impl Presented {
    pub(super) fn new(bound: usize, hash_seed: u64) -> Self {
        Self { names: HashMap::with_hasher(FixedState::with_seed(hash_seed)), count: 0, bound, shed: 0 }
    }

    pub(super) fn add(&mut self, by: &IdentityKey, kind: CredentialKind, digest: CredentialDigest, outcome: Outcome, at: Stamp) {
        let answered = |wanted| (outcome == wanted).then_some(at);
        let new = Tried {
            kind,
            digest,
            first: at,
            last: at,
            count: 1,
            last_accepted: answered(Outcome::Accepted),
            last_refused: answered(Outcome::Refused),
        };
        let is_full = self.count >= self.bound;
        let tried = match self.names.get_mut(by) {
            Some(tried) => tried,
            None if is_full => {
                self.shed += 1;
                return;
            }
            None => self.names.entry(by.clone()).or_default(),
        };
        if let Some(same) = tried.iter_mut().find(|tried| (tried.kind, tried.digest) == (kind, digest)) {
            same.widen(&new);
            return;
        }
        let kin = || tried.iter().filter(|tried| tried.kind == kind).count();
        if !is_full && kin() < DIGESTS {
            self.count += 1;
            // Most names have one.
            tried.reserve_exact(1);
            tried.push(new);
            return;
        }
        // The worst of its kind goes; that may be the new one.
        self.shed += 1;
        let kin = tried.iter_mut().filter(|tried| tried.kind == kind);
        if let Some(worst) = kin.min_by_key(|tried| tried.worth()).filter(|worst| worst.worth() < new.worth()) {
            *worst = new;
        }
    }
}

impl Inventory {
    /// What each listed device presented, and how many credentials were dropped at bounds.
    pub fn presented(&self) -> (BTreeMap<DeviceId, Vec<PresentedCredential>>, usize) {
        let mut dropped = usize::try_from(self.presented.shed).unwrap_or(usize::MAX);
        let mut names: Vec<_> = self.presented.names.iter().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        let mut devices: BTreeMap<DeviceId, Vec<PresentedCredential>> = BTreeMap::new();
        for (name, tried) in names {
            if self.table.find(name).is_none() {
                // The name was forgotten for want of room, and what it presented with it.
                dropped = dropped.saturating_add(tried.len());
                continue;
            }
            let holder = |at: Stamp| self.device_at(name, at.seen());
            // Who is no device of the site is not kept.
            let mut give = |device: Option<DeviceId>, part| {
                if let Some(device) = device {
                    devices.entry(device).or_default().push(part);
                }
            };
            for tried in tried {
                let (first, last) = (holder(tried.first), holder(tried.last));
                if first == last {
                    give(last, tried.part([tried.first, tried.last], tried.count, |_| true));
                } else {
                    // The address passed to another device: each gets the end that it was seen at.
                    give(first, tried.part([tried.first; 2], 1, |at| holder(at) == first));
                    give(last, tried.part([tried.last; 2], tried.count.saturating_sub(1), |at| holder(at) == last));
                }
            }
        }
        for presented in devices.values_mut() {
            let all = std::mem::take(presented);
            dropped = dropped.saturating_add(join(presented, all, Counting::Sum));
        }
        (devices, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hot::owned::Seen;
    use citytap_sensor::observation::{Identity, Place};
    use citytap_sensor::time::SECOND;
    use std::net::Ipv4Addr;

    fn digest(number: u8) -> CredentialDigest {
        CredentialDigest::from_store([number; 16])
    }

    fn at(second: u64) -> Stamp {
        Stamp::of(Seen { place: Place { frame: second, sequence: 0 }, time: Timestamp(second * SECOND) })
    }

    fn name(last: u8) -> IdentityKey {
        IdentityKey::new(&Identity::ip(Ipv4Addr::new(10, 0, 0, last).into()), 0)
    }

    /// Of one name: which digests, how often each.
    fn kept(presented: &Presented, by: u8) -> Vec<(CredentialDigest, u64)> {
        let mut kept: Vec<_> = presented.names[&name(by)].iter().map(|tried| (tried.first, tried.digest, tried.count)).collect();
        kept.sort_by_key(|(first, ..)| *first);
        kept.into_iter().map(|(_, digest, count)| (digest, count)).collect()
    }

    #[test]
    fn guessing_does_not_push_out_what_works() {
        use CredentialKind::{Password, Token};
        let mut presented = Presented::new(1_000, 0);
        let mut tell = |second, number, kind, outcome| presented.add(&name(1), kind, digest(number), outcome, at(second));
        tell(1, 1, Password, Outcome::Accepted);
        tell(2, 2, Password, Outcome::Unknown);
        for guess in 10..110 {
            tell(guess, guess as u8, Password, Outcome::Refused);
        }
        // A kind of its own has room of its own.
        tell(200, 3, Token, Outcome::Refused);
        tell(201, 1, Password, Outcome::Accepted);
        let kept = kept(&presented, 1);
        let latest = (104..110).map(|guess| (digest(guess), 1));
        let wanted: Vec<_> = [(digest(1), 2), (digest(2), 1)].into_iter().chain(latest).chain([(digest(3), 1)]).collect();
        assert_eq!(kept, wanted);
        assert_eq!((presented.count, presented.shed), (DIGESTS + 1, 94));

        // A device that goes through many keeps the latest.
        for number in 110..130 {
            presented.add(&name(1), Password, digest(number), Outcome::Accepted, at(300 + u64::from(number)));
        }
        let kept = self::kept(&presented, 1);
        assert_eq!(
            kept.iter().map(|(digest, _)| *digest).collect::<Vec<_>>()[1..],
            [122, 123, 124, 125, 126, 127, 128, 129].map(digest)
        );
        // A guess that is worth less than all of them is not kept.
        let shed = presented.shed;
        presented.add(&name(1), Password, digest(200), Outcome::Refused, at(500));
        assert_eq!(self::kept(&presented, 1), kept);
        assert_eq!(presented.shed, shed + 1);
    }

    #[test]
    fn what_all_names_present_is_bounded() {
        let mut presented = Presented::new(10, 0);
        for number in 0..20 {
            presented.add(&name(number), CredentialKind::Token, digest(1), Outcome::Unknown, at(u64::from(number)));
        }
        assert_eq!((presented.names.len(), presented.count, presented.shed), (10, 10, 10));
        // Who is known changes its credential all the same.
        presented.add(&name(3), CredentialKind::Token, digest(2), Outcome::Unknown, at(30));
        assert_eq!(kept(&presented, 3), [(digest(2), 1)]);
        assert_eq!((presented.names.len(), presented.count, presented.shed), (10, 10, 11));
    }

    fn one(number: u8, first: u64, last: u64, count: u64, accepted: Option<u64>, refused: Option<u64>) -> PresentedCredential {
        let time = |second: u64| Timestamp(second * SECOND);
        let [first, last] = [first, last].map(at);
        PresentedCredential {
            kind: CredentialKind::Password,
            digest: digest(number),
            seen: Sighting {
                first_frame: first.frame(),
                first_seen: first.time(),
                last_frame: last.frame(),
                last_seen: last.time(),
                count,
            },
            last_accepted: accepted.map(time),
            last_refused: refused.map(time),
        }
    }

    #[test]
    fn two_runs_make_one_list_in_any_order() {
        // The old password is accepted, then refused once the new one is in use.
        let before = [one(1, 10, 20, 3, Some(20), None)];
        let after = [one(1, 30, 30, 1, None, Some(30)), one(2, 31, 60, 9, Some(60), None)];
        for (first, then) in [(&before[..], &after[..]), (&after[..], &before[..])] {
            let mut list = Vec::new();
            assert_eq!(join(&mut list, first.iter().cloned(), Counting::Sum), 0);
            assert_eq!(join(&mut list, then.iter().cloned(), Counting::Sum), 0);
            assert_eq!(list, [one(1, 10, 30, 4, Some(20), Some(30)), one(2, 31, 60, 9, Some(60), None)]);
            assert_eq!(list.iter().map(PresentedCredential::outcome).collect::<Vec<_>>(), [Outcome::Refused, Outcome::Accepted]);
            // The same packets once more change nothing.
            let mut again = list.clone();
            join(&mut again, then.iter().cloned(), Counting::Greatest);
            assert_eq!(again, list);
        }
        let mut list = Vec::new();
        let many = (0..20).map(|number| one(number, number.into(), number.into(), 1, (number == 0).then_some(0), None));
        assert_eq!(join(&mut list, many, Counting::Sum), 12);
        assert_eq!(list.iter().map(|one| one.digest).collect::<Vec<_>>(), [0, 13, 14, 15, 16, 17, 18, 19].map(digest));
        assert_eq!(list.iter().map(PresentedCredential::outcome).filter(|outcome| *outcome == Outcome::Unknown).count(), 7);
    }
}
