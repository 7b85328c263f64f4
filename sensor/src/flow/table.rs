//! The bounded table of flows: found by five-tuple, looked at by timer, dropped by age where it is full.
//!
//! Flows that nobody answered and in which nothing was recognised leave first, so that a flood of new tuples does not push out the
//! sessions of real devices.

use super::wheel::{Ticket, Wheel};
use super::{Endpoint, NetworkId, Transport};
use crate::time::Timestamp;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// A five-tuple in one network, the same for both directions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowKey {
    /// Halves of the addresses, so that a key is no larger than what it says.
    low: [u64; 2],
    high: [u64; 2],
    ports: u32,
    tail: u32,
}

impl FlowKey {
    /// The key, and whether the sender is its lower end.
    #[inline]
    pub(crate) fn new(network: NetworkId, transport: Transport, sender: Endpoint, receiver: Endpoint) -> (Self, bool) {
        let (from, to) = (number(sender.ip), number(receiver.ip));
        let tail = u32::from(network) << 8 | transport as u32;
        let sender_is_low = (from, sender.port) <= (to, receiver.port);
        let (low, high, first, second) =
            if sender_is_low { (from, to, sender.port, receiver.port) } else { (to, from, receiver.port, sender.port) };
        let (low, high) = (halves(low), halves(high));
        (Self { low, high, ports: u32::from(first) << 16 | u32::from(second), tail }, sender_is_low)
    }

    #[inline]
    fn hash(&self, state: &FixedState) -> u64 {
        let folded = (self.low[0] ^ self.low[1], self.high[0] ^ self.high[1], u64::from(self.ports) << 32 | u64::from(self.tail));
        state.hash_one(folded)
    }
}

#[inline]
fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}

/// An address as a number; IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2).
#[inline]
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => 0xffff_0000_0000 | u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// What the table must know of its flows.
pub(crate) trait Entry {
    /// Whether somebody answered or a protocol was recognised: such a flow is dropped last.
    fn is_established(&self) -> bool;
}

struct Slot<F> {
    generation: u32,
    used: Option<Used<F>>,
}

struct Used<F> {
    key: FlowKey,
    flow: F,
}

/// Flows by key and by number.
pub(crate) struct FlowTable<F> {
    index: HashTable<u32>,
    slots: Vec<Slot<F>>,
    free: Vec<u32>,
    young: VecDeque<Ticket>,
    wheel: Wheel,
    due: Vec<Ticket>,
    last: Option<(FlowKey, u32)>,
    hasher: FixedState,
    capacity: usize,
}

impl<F: Entry> FlowTable<F> {
    /// A table for at most `capacity` flows.
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            young: VecDeque::new(),
            wheel: Wheel::default(),
            due: Vec::new(),
            last: None,
            hasher: FixedState::with_seed(seed),
            capacity: capacity.max(1),
        }
    }

    /// Number of the flow with this key.
    #[inline]
    pub(crate) fn find(&mut self, key: &FlowKey) -> Option<u32> {
        if let Some((last, number)) = &self.last
            && last == key
        {
            return Some(*number);
        }
        let slots = &self.slots;
        let found = *self.index.find(key.hash(&self.hasher), |&number| {
            slots.get(number as usize).and_then(|slot| slot.used.as_ref()).is_some_and(|used| used.key == *key)
        })?;
        self.last = Some((*key, found));
        Some(found)
    }

    /// Puts a flow in, to be looked at again at `due`. Make room with [`FlowTable::victim`] first.
    pub(crate) fn insert(&mut self, key: FlowKey, flow: F, due: Timestamp) -> u32 {
        let hash = key.hash(&self.hasher);
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, used: None });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[number as usize];
        slot.used = Some(Used { key, flow });
        let ticket = (number, slot.generation);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index
            .insert_unique(hash, number, |&number| slots[number as usize].used.as_ref().map_or(0, |used| used.key.hash(hasher)));
        self.wheel.schedule(ticket, due);
        self.young.push_back(ticket);
        self.forget_the_gone();
        self.last = Some((key, number));
        number
    }

    /// The flow to drop before the next one fits, if the table is full: the oldest unestablished one, else the one due next.
    pub(crate) fn victim(&mut self) -> Option<u32> {
        if self.len() < self.capacity {
            return None;
        }
        while let Some(ticket) = self.young.pop_front() {
            if is_young(&self.slots, ticket) {
                return Some(ticket.0);
            }
        }
        let slots = &self.slots;
        self.wheel.pop(|ticket| live(slots, ticket).is_some()).map(|(number, _)| number)
    }

    /// The flow with this number.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut F> {
        self.slots.get_mut(number as usize)?.used.as_mut().map(|used| &mut used.flow)
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, number: u32) -> Option<F> {
        let slot = self.slots.get_mut(number as usize)?;
        let used = slot.used.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        if let Ok(entry) = self.index.find_entry(used.key.hash(&self.hasher), |&other| other == number) {
            entry.remove();
        }
        self.last = None;
        self.free.push(number);
        Some(used.flow)
    }

    /// Numbers of the flows whose turn has come; they must be scheduled again or removed. Give the list back with
    /// [`FlowTable::recycle`].
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<Ticket> {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(now, &mut due);
        let slots = &self.slots;
        due.retain(|&ticket| live(slots, ticket).is_some());
        due
    }

    /// Takes back the list of [`FlowTable::take_due`].
    pub(crate) fn recycle(&mut self, due: Vec<Ticket>) {
        self.due = due;
    }

    /// Looks at a flow again at `due`.
    pub(crate) fn schedule(&mut self, number: u32, due: Timestamp) {
        if let Some(slot) = self.slots.get(number as usize) {
            self.wheel.schedule((number, slot.generation), due);
        }
    }

    /// Numbers of all flows, in the order of their slots.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        (0..self.slots.len() as u32).filter(|&number| self.slots[number as usize].used.is_some()).collect()
    }

    /// How many flows there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Keeps the timer and the queue of young flows in proportion to the table when flows come and go fast.
    fn forget_the_gone(&mut self) {
        let slots = &self.slots;
        let most = 4 * self.capacity;
        if self.young.len() > most {
            self.young.retain(|&ticket| is_young(slots, ticket));
        }
        if self.wheel.len() > most {
            self.wheel.purge(|ticket| live(slots, ticket).is_some());
        }
    }
}

fn live<F>(slots: &[Slot<F>], (number, generation): Ticket) -> Option<&Used<F>> {
    slots.get(number as usize).filter(|slot| slot.generation == generation)?.used.as_ref()
}

fn is_young<F: Entry>(slots: &[Slot<F>], ticket: Ticket) -> bool {
    live(slots, ticket).is_some_and(|used| !used.flow.is_established())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;
    use std::net::Ipv4Addr;

    struct Flow {
        established: bool,
    }

    impl Entry for Flow {
        fn is_established(&self) -> bool {
            self.established
        }
    }

    fn key(port: u16) -> FlowKey {
        let end = |last, port| Endpoint { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port };
        FlowKey::new(0, Transport::Udp, end(1, port), end(2, 53)).0
    }

    #[test]
    fn both_directions_have_one_key() {
        let end = |last, port| Endpoint { ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port };
        let (there, low) = FlowKey::new(0, Transport::Tcp, end(1, 9), end(2, 8));
        let (back, high) = FlowKey::new(0, Transport::Tcp, end(2, 8), end(1, 9));
        assert!(there == back && low && !high);
        assert!(there != FlowKey::new(1, Transport::Tcp, end(1, 9), end(2, 8)).0);
        assert!(there != FlowKey::new(0, Transport::Udp, end(1, 9), end(2, 8)).0);
    }

    #[test]
    fn a_flood_pushes_out_its_own_flows_first_and_bookkeeping_stays_bounded() {
        let mut table = FlowTable::new(8, 1);
        let due = Timestamp(60 * SECOND);
        table.insert(key(1), Flow { established: true }, due);
        for port in 100..10_000 {
            if let Some(victim) = table.victim() {
                assert!(!table.remove(victim).unwrap().established);
            }
            table.insert(key(port), Flow { established: false }, due);
        }
        assert_eq!(table.len(), 8);
        assert!(table.find(&key(1)).is_some() && table.find(&key(9_999)).is_some() && table.find(&key(100)).is_none());
        assert!(table.wheel.len() <= 33 && table.young.len() <= 33);
    }

    #[test]
    fn a_ticket_of_a_flow_long_gone_does_not_wake_its_successor_twice() {
        let mut table = FlowTable::new(8, 1);
        let old = table.insert(key(1), Flow { established: false }, Timestamp(5 * SECOND));
        table.remove(old);
        let new = table.insert(key(2), Flow { established: false }, Timestamp(5 * SECOND));
        assert_eq!(old, new);
        assert_eq!(table.take_due(Timestamp(9 * SECOND)).len(), 1);
    }
}
