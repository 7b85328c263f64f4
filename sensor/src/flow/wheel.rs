//! A timer wheel on packet time: flows are looked at again when their turn comes, at most [`SLOTS`] seconds ahead.

use crate::limits::FLOW_REPORT;
use crate::time::{SECOND, Timestamp};

/// Seconds that the wheel reaches ahead: a little more than the interval of flow reports.
pub const SLOTS: usize = 64;

/// A flow's number and the generation of its slot in the table, so that an entry of a flow long gone is not taken for its successor.
pub(crate) type Ticket = (u32, u32);

/// Tickets of flows, by the second in which they are due.
pub(crate) struct Wheel {
    slots: Vec<Vec<Ticket>>,
    /// Up to which all was taken out; `0` before the first flow.
    second: u64,
    len: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { slots: vec![Vec::new(); SLOTS], second: 0, len: 0 }
    }
}

impl Wheel {
    /// Puts a flow in; a time beyond the reach becomes the farthest slot.
    pub(crate) fn schedule(&mut self, flow: Ticket, due: Timestamp) {
        if self.second == 0 {
            // The first flow brings the time: a wheel that begins in 1970 would bring all flows of the first epoch at its end.
            self.second = due.seconds().saturating_sub(FLOW_REPORT / SECOND);
        }
        let ahead = (due.seconds().saturating_sub(self.second)).clamp(1, SLOTS as u64 - 1);
        let slot = (self.second + ahead) as usize % SLOTS;
        self.slots[slot].push(flow);
        self.len += 1;
    }

    /// Takes out the flow due next of those that are `alive`.
    pub(crate) fn pop(&mut self, alive: impl Fn(Ticket) -> bool) -> Option<Ticket> {
        for step in 1..=SLOTS as u64 {
            let slot = &mut self.slots[(self.second + step) as usize % SLOTS];
            while let Some(ticket) = slot.pop() {
                self.len -= 1;
                if alive(ticket) {
                    return Some(ticket);
                }
            }
        }
        None
    }

    /// Takes out all that is due up to `now`, in the order of their seconds; `due` is cleared first.
    pub(crate) fn advance(&mut self, now: Timestamp, due: &mut Vec<Ticket>) {
        due.clear();
        let target = now.0 / SECOND;
        let steps = target.saturating_sub(self.second).min(SLOTS as u64);
        for step in 1..=steps {
            due.append(&mut self.slots[(self.second + step) as usize % SLOTS]);
        }
        self.len -= due.len();
        self.second = self.second.max(target);
    }

    /// Forgets tickets that are not `alive`.
    pub(crate) fn purge(&mut self, alive: impl Fn(Ticket) -> bool) {
        self.slots.iter_mut().for_each(|slot| slot.retain(|&ticket| alive(ticket)));
        self.len = self.slots.iter().map(Vec::len).sum();
    }

    /// How many tickets there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp(second * SECOND)
    }

    #[test]
    fn flows_come_out_in_the_order_of_their_seconds() {
        let (mut wheel, mut due) = (Wheel::default(), Vec::new());
        wheel.advance(at(1000), &mut due);
        wheel.schedule((1, 0), at(1030));
        wheel.schedule((2, 0), at(1005));
        wheel.schedule((3, 0), at(9999));
        wheel.advance(at(1004), &mut due);
        assert!(due.is_empty());
        wheel.advance(at(1030), &mut due);
        assert_eq!(due, [(2, 0), (1, 0)]);
        wheel.advance(at(1063), &mut due);
        assert_eq!(due, [(3, 0)]);
    }

    #[test]
    fn the_first_flow_does_not_come_out_before_its_time() {
        let (mut wheel, mut due) = (Wheel::default(), Vec::new());
        wheel.schedule((1, 0), at(1_000_060));
        for second in [1_000_001, 1_000_059] {
            wheel.advance(at(second), &mut due);
            assert!(due.is_empty(), "{second}");
        }
        wheel.advance(at(1_000_060), &mut due);
        assert_eq!(due, [(1, 0)]);
    }

    #[test]
    fn a_jump_over_the_whole_wheel_brings_everything_once() {
        let (mut wheel, mut due) = (Wheel::default(), Vec::new());
        wheel.advance(at(10), &mut due);
        (0..60).for_each(|flow| wheel.schedule((flow, 0), at(11 + u64::from(flow))));
        wheel.advance(at(1_000_000), &mut due);
        assert_eq!(due.len(), 60);
        wheel.advance(at(2_000_000), &mut due);
        assert!(due.is_empty());
    }
}
