//! Packet time: the only time that `sensor` knows. Nothing here asks a clock.

use serde::{Serialize, Serializer};
use std::fmt;

/// Nanoseconds since the Unix epoch, UTC. Capture files reach from 1970 to 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// A length of time in nanoseconds.
pub type Nanos = u64;

/// One second in nanoseconds.
pub const SECOND: Nanos = 1_000_000_000;

impl Timestamp {
    /// From whole seconds and nanoseconds; saturates at the end of the range.
    pub fn from_parts(seconds: u64, nanos: u64) -> Self {
        Self(seconds.saturating_mul(SECOND).saturating_add(nanos))
    }

    /// Whole seconds since the Unix epoch.
    #[inline]
    pub fn seconds(self) -> u64 {
        self.0 / SECOND
    }

    /// Time since `earlier`; zero where `earlier` is later.
    #[inline]
    pub fn since(self, earlier: Timestamp) -> Nanos {
        self.0.saturating_sub(earlier.0)
    }

    /// This time moved by `by`; saturates.
    #[inline]
    pub fn plus(self, by: Nanos) -> Self {
        Self(self.0.saturating_add(by))
    }
}

/// RFC 3339 in UTC with microseconds: `2026-11-20T06:00:00.000000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.seconds(), self.0 % SECOND / 1000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil_from_days(days);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z", second / 3600, second / 60 % 60, second % 60)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of a count of days since 1970-01-01 in the proleptic Gregorian calendar
/// (the era method of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms").
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Forward jumps beyond this need a second packet that agrees before the clock follows: one corrupt stamp must not expire every flow.
pub const JUMP_TO_CONFIRM: Nanos = 3_600 * SECOND;

/// Turns raw stamps into monotone time: a stamp before the last one is clamped and counted, a wild jump ahead waits for a second stamp that confirms it.
#[derive(Debug, Default)]
pub struct Clock {
    now: Option<Timestamp>,
    suspect: Option<Timestamp>,
    /// Packets whose stamp lay before the time already reached.
    pub backward: u64,
    /// Packets whose stamp jumped ahead and was not confirmed by the next.
    pub jumps_refused: u64,
}

impl Clock {
    /// The time of a packet stamped `raw`.
    #[inline]
    pub fn advance(&mut self, raw: Timestamp) -> Timestamp {
        let Some(now) = self.now else {
            self.now = Some(raw);
            return raw;
        };
        if raw >= now && raw.since(now) <= JUMP_TO_CONFIRM && self.suspect.is_none() {
            self.now = Some(raw);
            return raw;
        }
        self.advance_oddly(now, raw)
    }

    fn advance_oddly(&mut self, now: Timestamp, raw: Timestamp) -> Timestamp {
        let suspect = self.suspect.take();
        if raw < now {
            self.backward += 1;
            self.jumps_refused += u64::from(suspect.is_some());
            return now;
        }
        if raw.since(now) <= JUMP_TO_CONFIRM {
            self.jumps_refused += u64::from(suspect.is_some());
            self.now = Some(raw);
            return raw;
        }
        match suspect {
            Some(before) if raw >= before => {
                self.now = Some(raw);
                raw
            }
            earlier => {
                self.jumps_refused += u64::from(earlier.is_some());
                self.suspect = Some(raw);
                now
            }
        }
    }

    /// The time reached; `None` before the first packet.
    pub fn now(&self) -> Option<Timestamp> {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::from_parts(951_782_400, 1_500).to_string(), "2000-02-29T00:00:00.000001Z");
        assert_eq!(Timestamp::from_parts(1_795_132_799, 999_999_999).to_string(), "2026-11-19T23:59:59.999999Z");
    }

    #[test]
    fn a_stamp_from_the_past_is_clamped_and_counted() {
        let mut clock = Clock::default();
        clock.advance(Timestamp(10 * SECOND));
        assert_eq!(clock.advance(Timestamp(9 * SECOND)), Timestamp(10 * SECOND));
        assert_eq!(clock.backward, 1);
    }

    #[test]
    fn one_wild_stamp_moves_nothing_and_two_move_the_clock() {
        let mut clock = Clock::default();
        let (start, far) = (Timestamp(SECOND), Timestamp(SECOND).plus(9 * JUMP_TO_CONFIRM));
        clock.advance(start);
        assert_eq!(clock.advance(far), start);
        assert_eq!(clock.advance(start.plus(5)), start.plus(5));
        assert_eq!(clock.jumps_refused, 1);
        assert_eq!(clock.advance(far), start.plus(5));
        assert_eq!(clock.advance(far.plus(7)), far.plus(7));
        assert_eq!(clock.jumps_refused, 1);
    }
}
