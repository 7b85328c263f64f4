//! Sets of days in packet time, small enough to keep one for each of a city's relations.

use citytap_sensor::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Seconds of a day.
pub const DAY_S: u64 = 86_400;

/// Days that are told apart; of those before only the number is kept.
const TOLD_APART: u32 = u64::BITS;

/// Days in UTC on which something was seen. The last 64 up to the latest are told apart, so that sets of several runs come together exactly
/// there; the number of those before is a lower bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    /// The latest, counted from 1970-01-01.
    last: u32,
    /// Bit 0 is the latest day, bit 1 the one before.
    #[serde(with = "hex")]
    recent: u64,
    /// Days before those.
    #[serde(default, skip_serializing_if = "is_zero")]
    older: u32,
}

/// The day of a time.
pub fn day_of(time: Timestamp) -> u32 {
    u32::try_from(time.seconds() / DAY_S).unwrap_or(u32::MAX)
}

/// A day as in `2026-05-04`.
pub fn date(day: u32) -> String {
    let mut text = Timestamp::from_parts(u64::from(day) * DAY_S, 0).to_string();
    text.truncate(text.find('T').unwrap_or(text.len()));
    text
}

impl Days {
    /// One day.
    pub fn one(day: u32) -> Self {
        Self { last: day, recent: 1, older: 0 }
    }

    /// Adds a day.
    pub fn add(&mut self, day: u32) {
        if day != self.last || self.recent == 0 {
            *self = self.union(Self::one(day));
        }
    }

    /// The days of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.recent == 0 || other.recent == 0 {
            return if self.recent == 0 { other } else { self };
        }
        let last = self.last.max(other.last);
        let (mine, theirs) = (self.as_of(last), other.as_of(last));
        Self { last, recent: mine.recent | theirs.recent, older: mine.older.max(theirs.older) }
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.recent.count_ones() + self.older
    }

    /// How many there are before a day.
    pub fn before(self, day: u32) -> u32 {
        if day > self.last {
            return self.count();
        }
        let after = self.last - day;
        let earlier = if after + 1 >= TOLD_APART { 0 } else { self.recent >> (after + 1) };
        earlier.count_ones() + self.older
    }

    /// The latest, where there is one.
    pub fn last(self) -> Option<u32> {
        (self.recent != 0).then_some(self.last)
    }

    /// The same days, counted back from a later one.
    fn as_of(self, last: u32) -> Self {
        let by = last - self.last;
        let kept = if by >= TOLD_APART { 0 } else { self.recent << by };
        let lost = self.recent.count_ones() - kept.count_ones();
        Self { last, recent: kept, older: self.older.saturating_add(lost) }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// 64 bits as hex digits: not every reader of JSON has whole numbers of that size.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bits: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{bits:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(|_| D::Error::custom(format_args!("`{text}` is no hexadecimal number")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn of(days: &BTreeSet<u32>) -> Days {
        let mut set = Days::default();
        days.iter().for_each(|day| set.add(*day));
        set
    }

    proptest! {
        #[test]
        fn sets_within_two_months_are_exact(a in prop::collection::btree_set(100u32..160, 0..20), b in prop::collection::btree_set(100u32..160, 0..20), day in 90u32..170) {
            let both: BTreeSet<u32> = a.union(&b).copied().collect();
            let (one, other) = (of(&a).union(of(&b)), of(&b).union(of(&a)));
            prop_assert_eq!(one, other);
            prop_assert_eq!(one, of(&both));
            prop_assert_eq!(one.count() as usize, both.len());
            prop_assert_eq!(one.before(day) as usize, both.range(..day).count());
        }

        #[test]
        fn sets_are_never_counted_too_large(a in prop::collection::btree_set(1u32..400, 0..40), b in prop::collection::btree_set(1u32..400, 0..40)) {
            let both: BTreeSet<u32> = a.union(&b).copied().collect();
            prop_assert!(of(&a).union(of(&b)).count() as usize <= both.len());
        }
    }

    #[test]
    fn a_set_comes_back_from_json() {
        let set = of(&[3, 4, 90, 91].into());
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<Days>(&json).unwrap(), set);
        assert_eq!((set.count(), set.before(4), set.before(91), set.last()), (4, 2, 3, Some(91)));
    }

    #[test]
    fn a_day_is_written_as_a_date() {
        assert_eq!(date(day_of(Timestamp::from_parts(1_777_874_400, 0))), "2026-05-04");
    }
}
