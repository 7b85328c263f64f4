//! From which part of the network a gateway speaks: whether it went over to another, and whether that can be told.
//!
//! Inside the site addresses change as they like. What tells are the site's prefixes and zones. Between two networks outside only whose they are could
//! tell a provider's next address from a stranger; there is no such table (ASN) here, so that two addresses far apart leave the question open.

use crate::findings::Evidence;
use crate::hot::owned::Seen;
use crate::inventory::Ours;
use crate::policy::zones::Zones;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

/// Messages, and the time between the first and the last, after which it is known where a gateway speaks from.
const SETTLED: (u32, Nanos) = (10, 600 * SECOND);

/// Messages in a row that must come from elsewhere.
const IN_A_ROW: u32 = 10;

/// Places remembered from which it spoke before: what falls back now and then has two or three.
const BEFORE: usize = 4;

/// Leading bits that addresses of one provider most likely share; more cannot be told without a table.
const NEAR_BITS: (u32, u32) = (16, 32);

/// What a site says of addresses.
pub(super) struct Map {
    pub(super) ours: Arc<Ours>,
    pub(super) zones: Arc<Zones>,
}

/// A part of the network.
#[derive(Clone, Debug)]
struct Place {
    address: IpAddr,
    zone: Option<Box<str>>,
    own: bool,
}

/// How two places stand to each other.
#[derive(PartialEq, Eq)]
enum Step {
    Same,
    Another,
    /// Both are outside and far apart.
    Unknown,
}

/// What is known of a gateway's places.
#[derive(Default)]
pub(super) struct Whence {
    home: Option<(Place, u32, Timestamp, Timestamp)>,
    away: Option<(Place, u32, Seen)>,
    before: SmallVec<[Place; 1]>,
    pub(super) moved: Evidence,
    /// Where it was and where it went, in words.
    pub(super) from_to: Option<(Box<str>, Box<str>)>,
    /// Two addresses outside of which nothing is known.
    pub(super) unknown: Option<(IpAddr, IpAddr)>,
    pub(super) messages: u32,
}

impl Whence {
    /// It said something from an address.
    pub(super) fn spoke(&mut self, address: IpAddr, map: &Map, stays: Nanos, seen: Seen) {
        self.messages = self.messages.saturating_add(1);
        let now = seen.time;
        // Nothing is looked up while nothing changes.
        if let Some((_, count, _, last)) = self.home.as_mut().filter(|(home, ..)| home.address == address) {
            (*count, *last, self.away) = (count.saturating_add(1), now, None);
            return;
        }
        let place = Place::of(address, map);
        let Some((home, count, first, last)) = &mut self.home else {
            self.home = Some((place, 1, now, now));
            return;
        };
        if home.step(&place) == Step::Same {
            (*count, *last, self.away) = (count.saturating_add(1), now, None);
            return;
        }
        let settled = *count >= SETTLED.0 && last.since(*first) >= SETTLED.1;
        let away = match self.away.take() {
            Some((old, count, since)) if old.step(&place) == Step::Same => (place, count + 1, since),
            _ => (place, 1, seen),
        };
        if away.1 >= IN_A_ROW && now.since(away.2.time) >= stays {
            self.settle(away, settled, now);
        } else {
            self.away = Some(away);
        }
    }

    fn settle(&mut self, (place, count, since): (Place, u32, Seen), settled: bool, now: Timestamp) {
        let Some((home, ..)) = self.home.take() else { return };
        let known = self.before.iter().any(|before| before.step(&place) == Step::Same);
        match home.step(&place) {
            Step::Another if settled && !known => {
                self.moved.add(since, "flow.sender_ip");
                self.from_to.get_or_insert_with(|| (home.words(), place.words()));
            }
            Step::Unknown if settled && !known => drop(self.unknown.get_or_insert((home.address, place.address))),
            _ => {}
        }
        if settled && self.before.len() < BEFORE {
            self.before.push(home);
        }
        self.home = Some((place, count, since.time, now));
    }
}

impl Place {
    fn of(address: IpAddr, map: &Map) -> Self {
        let zone = map.zones.of(address, None).map(|zone| zone.name.as_str().into());
        Self { address, zone, own: map.ours.is_own(address) == Some(true) }
    }

    fn step(&self, other: &Place) -> Step {
        match (&self.zone, &other.zone) {
            (None, None) if self.own && other.own => Step::Same,
            (None, None) if !self.own && !other.own => match is_near(self.address, other.address) {
                true => Step::Same,
                false => Step::Unknown,
            },
            (Some(a), Some(b)) if a == b => Step::Same,
            _ => Step::Another,
        }
    }

    fn words(&self) -> Box<str> {
        match &self.zone {
            Some(zone) => format!("zone {zone} ({})", self.address).into(),
            None if self.own => format!("inside the site ({})", self.address).into(),
            None => format!("outside the site ({})", self.address).into(),
        }
    }
}

fn is_near(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros() >= NEAR_BITS.0,
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros() >= NEAR_BITS.1,
        _ => false,
    }
}
