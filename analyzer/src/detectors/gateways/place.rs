//! Where a gateway says it is: whether it moved, or only its satellite receiver wandered.

use crate::findings::Evidence;
use crate::hot::owned::Seen;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use smallvec::SmallVec;

/// From this distance in metres on two reports that agree are enough: no receiver in the open errs so far twice alike.
const FAR_M: u64 = 1_000;

/// Nearer by, it must stay there this long, since reflections shift a position for minutes.
const STAYS: Nanos = 600 * SECOND;

/// Reports that a place nearby takes.
const REPORTS: u32 = 3;

/// What satellite navigation may wander between walls, metres.
const WANDERS_M: u64 = 300;

/// Places in a row that do not agree, or places that it went to, after which it is taken for a vehicle.
const MOVING: u32 = 4;

/// Places remembered that it was at.
const PLACES: usize = 4;

/// Latitude and longitude in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position(pub(super) f64, pub(super) f64);

impl Position {
    /// Metres along the great circle (haversine formula).
    pub(super) fn metres_to(self, other: Self) -> u64 {
        let (from, to) = (self.0.to_radians(), other.0.to_radians());
        let half = |angle: f64| (angle / 2.0).sin().powi(2);
        let h = half(to - from) + from.cos() * to.cos() * half((other.1 - self.1).to_radians());
        (2.0 * 6_371_000.0 * h.sqrt().min(1.0).asin()) as u64
    }
}

/// What was told of the place.
#[derive(Default)]
pub(super) struct Places {
    home: Option<Home>,
    elsewhere: Option<Elsewhere>,
    before: SmallVec<[Position; 1]>,
    /// Reports in a row that agree with nothing.
    astray: u32,
    pub(super) reports: u32,
    pub(super) moved: Evidence,
    pub(super) metres: u64,
}

#[derive(Clone, Copy)]
struct Home {
    at: Position,
    reports: u32,
    /// How far it wanders, metres.
    wanders: u64,
}

#[derive(Clone, Copy)]
struct Elsewhere {
    at: Position,
    reports: u32,
    since: Timestamp,
    seen: Seen,
}

impl Places {
    /// Takes a report.
    pub(super) fn told(&mut self, at: Position, seen: Seen, distance_m: u64) {
        self.reports = self.reports.saturating_add(1);
        let Some(home) = &mut self.home else {
            self.home = Some(Home { at, reports: 1, wanders: 0 });
            return;
        };
        let metres = home.at.metres_to(at);
        if metres <= distance_m + home.wanders {
            home.reports = home.reports.saturating_add(1);
            home.wanders = home.wanders.max(metres);
            // It went astray and came back.
            if let Some(elsewhere) = self.elsewhere.take() {
                home.wanders = home.wanders.max(home.at.metres_to(elsewhere.at)).min(WANDERS_M);
            }
            self.astray = 0;
            return;
        }
        let found = match self.elsewhere.as_mut().filter(|elsewhere| elsewhere.at.metres_to(at) <= distance_m) {
            Some(elsewhere) => {
                elsewhere.reports = elsewhere.reports.saturating_add(1);
                *elsewhere
            }
            None => {
                self.astray += 1;
                *self.elsewhere.insert(Elsewhere { at, reports: 1, since: seen.time, seen })
            }
        };
        let stays = found.reports >= REPORTS && seen.time.since(found.since) >= STAYS;
        if stays || metres > FAR_M && found.reports >= 2 {
            self.settle(found, metres, distance_m);
        }
    }

    fn settle(&mut self, found: Elsewhere, metres: u64, distance_m: u64) {
        let Some(home) = self.home.replace(Home { at: found.at, reports: found.reports, wanders: 0 }) else { return };
        self.elsewhere = None;
        // A first report alone is no place: receivers tell their settings before they have a fix.
        let known = home.reports < 2 || self.before.iter().any(|before| before.metres_to(found.at) <= distance_m + WANDERS_M);
        if !known {
            self.moved.add(found.seen, "gateway.position");
            self.metres = metres;
        }
        if self.before.len() < PLACES && home.reports >= 2 {
            self.before.push(home.at);
        }
    }

    /// Whether it is on a vehicle.
    pub(super) fn is_mobile(&self) -> bool {
        self.astray >= MOVING || self.moved.count >= u64::from(MOVING)
    }
}
