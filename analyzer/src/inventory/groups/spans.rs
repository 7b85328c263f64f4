//! Stretches of time.

use crate::inventory::table::Stamp;

/// How many of these stretches of time lie over one another at most. Those that only touch do not.
pub(super) fn at_once(stretches: impl Iterator<Item = (Stamp, Stamp)>) -> usize {
    let mut ends: Vec<(Stamp, bool)> = Vec::new();
    let mut moments: Vec<Stamp> = Vec::new();
    for (first, last) in stretches {
        if first == last {
            moments.push(first);
        } else {
            ends.extend([(first, true), (last, false)]);
        }
    }
    // An end sorts before a beginning at the same time.
    ends.sort_unstable();
    let (mut now, mut most) = (0usize, usize::from(!moments.is_empty()));
    moments.sort_unstable();
    let mut moments = moments.into_iter().peekable();
    for (at, begins) in ends {
        while moments.next_if(|&moment| moment < at || (begins && moment == at)).is_some() {
            most = most.max(now + 1);
        }
        if begins {
            now += 1;
        } else {
            // A moment at the very end of a stretch only touches it.
            now = now.saturating_sub(1);
        }
        most = most.max(now);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use citytap_sensor::observation::Place;
    use citytap_sensor::time::Timestamp;

    fn most(stretches: &[(u64, u64)]) -> usize {
        let stamp = |time| Stamp::at(Timestamp(time), Place { frame: time, sequence: 0 });
        at_once(stretches.iter().map(|&(first, last)| (stamp(first), stamp(last))))
    }

    #[test]
    fn stretches_that_touch_do_not_lie_over_one_another() {
        assert_eq!(most(&[]), 0);
        assert_eq!(most(&[(1, 1), (1, 1), (2, 2)]), 1);
        assert_eq!(most(&[(1, 5), (5, 9), (1, 1), (5, 5), (9, 9)]), 1);
        assert_eq!(most(&[(1, 5), (4, 9)]), 2);
        assert_eq!(most(&[(1, 5), (3, 3)]), 2);
        assert_eq!(most(&[(1, 9), (2, 8), (3, 7), (10, 12)]), 3);
    }
}
