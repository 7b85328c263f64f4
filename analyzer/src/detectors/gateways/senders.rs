//! From which addresses a gateway's datagrams come, and whether they come from one machine.
//!
//! Addresses change: a provider gives another one, a router falls back to its mobile link, a SPAN port shows both sides of a translator. One radio
//! receiver has one clock, wherever its datagrams come from; two have two.

use crate::findings::Evidence;
use crate::hot::owned::Seen;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};

/// Addresses remembered of a gateway; the one that was silent longest makes room.
const ADDRESSES: usize = 4;

/// How far a clock may be off and still be the same, microseconds: backhauls delay.
const SAME_US: u32 = 3_000_000;

/// Time between two frames of a receiver that show its clock.
const APART: Nanos = 5 * SECOND;

/// Turns of two addresses that are no change of address, within this time.
const TURNS: (u32, Nanos) = (3, 600 * SECOND);

/// Datagrams alike from two addresses within this time are one, on both sides of a translator.
const BOTH_SIDES: Nanos = 2 * SECOND;

/// What is known of a gateway's senders.
#[derive(Default)]
pub(super) struct Senders {
    clocks: SmallVec<[Clock; 1]>,
    pulls: SmallVec<[Pulls; 1]>,
    /// Pairs of addresses that are one machine.
    same: SmallVec<[(IpAddr, IpAddr); 1]>,
    pub(super) frames: u32,
    pub(super) twice: Evidence,
    pub(super) twice_at: Option<(IpAddr, IpAddr)>,
    pub(super) taken: Evidence,
    pub(super) taken_at: Option<(IpAddr, IpAddr)>,
}

/// The clock of the receiver at an address.
#[derive(Clone, Copy)]
struct Clock {
    address: IpAddr,
    /// Packet time less the receiver's, microseconds.
    offset: u32,
    since: Timestamp,
    last: Timestamp,
}

/// Who asks one server for downlinks.
struct Pulls {
    server: SocketAddr,
    last: (IpAddr, u16, Timestamp),
    /// Whom it took turns with, how often, and since when.
    turns: Option<(IpAddr, u32, Timestamp)>,
}

impl Senders {
    /// A frame came from an address, with the receiver's clock.
    pub(super) fn frame(&mut self, address: IpAddr, tmst_us: u32, seen: Seen, field: &'static str) {
        self.frames = self.frames.saturating_add(1);
        let now = seen.time;
        let offset = ((now.0 / 1_000) as u32).wrapping_sub(tmst_us);
        let known = self.clocks.iter_mut().find(|clock| clock.address == address);
        let Some(own) = known else {
            if self.clocks.len() == ADDRESSES {
                let oldest = self.clocks.iter().enumerate().min_by_key(|(_, clock)| clock.last);
                if let Some((at, _)) = oldest {
                    self.clocks.remove(at);
                }
            }
            self.clocks.push(Clock { address, offset, since: now, last: now });
            return;
        };
        if off(own.offset, offset) > SAME_US {
            // Another clock, a restart, or frames that come late.
            (own.offset, own.since, own.last) = (offset, now, now);
            return;
        }
        let before = std::mem::replace(own, Clock { offset, last: now, ..*own });
        // Between two frames by this clock came some by another one, and by that for longer than a moment.
        let between = |other: &&Clock| {
            let goes_on = other.last.since(other.since) >= APART && other.last > before.last && other.since >= before.since;
            other.address != address && goes_on && off(other.offset, offset) > SAME_US
        };
        if let Some(other) = self.clocks.iter().find(between) {
            self.twice_at = Some(pair(address, other.address));
            self.twice.add(seen, field);
        }
    }

    /// An address asked a server for downlinks.
    pub(super) fn pull(&mut self, address: IpAddr, server: SocketAddr, token: u16, seen: Seen) {
        let now = seen.time;
        let Some(pulls) = self.pulls.iter_mut().find(|pulls| pulls.server == server) else {
            if self.pulls.len() < ADDRESSES {
                self.pulls.push(Pulls { server, last: (address, token, now), turns: None });
            }
            return;
        };
        let (before, last_token, when) = std::mem::replace(&mut pulls.last, (address, token, now));
        if before == address {
            return;
        }
        let both = pair(before, address);
        if token == last_token && now.since(when) <= BOTH_SIDES && self.same.len() < ADDRESSES && !self.same.contains(&both) {
            self.same.push(both);
        }
        let (with, turns, since) = pulls.turns.unwrap_or((before, 0, now));
        let again = (with == before || with == address) && now.since(since) <= TURNS.1;
        let (turns, since) = if again { (turns + 1, since) } else { (1, now) };
        pulls.turns = Some((before, turns, since));
        if turns >= TURNS.0 && !self.same.contains(&both) && !self.is_one_machine(both) {
            self.taken_at = Some(both);
            self.taken.add(seen, "gwmp.gateway");
        }
    }

    /// Whether one clock was heard at both addresses.
    pub(super) fn is_one_machine(&self, (a, b): (IpAddr, IpAddr)) -> bool {
        let clock = |address| self.clocks.iter().find(|clock| clock.address == address);
        self.same.contains(&(a, b)) || clock(a).zip(clock(b)).is_some_and(|(a, b)| off(a.offset, b.offset) <= SAME_US)
    }
}

fn off(a: u32, b: u32) -> u32 {
    (a.wrapping_sub(b) as i32).unsigned_abs()
}

fn pair(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    if a < b { (a, b) } else { (b, a) }
}
