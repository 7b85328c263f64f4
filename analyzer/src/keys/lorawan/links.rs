//! Which DevAddr belongs to which DevEUI where no key tells: by time and place, and only where there is one explanation.
//!
//! A join-accept goes to a gateway that heard the join-request, to be sent 5 or 6 seconds after it (RP002-1.0.4 §2.3: JOIN_ACCEPT_DELAY1 and 2).
//! A device that got it sends a first uplink with a DevAddr that nobody used before and a counter near 0. Where in [`FIRST_UPLINK`] one such
//! DevAddr showed itself at the gateways of one such join, and fits no other join, the two are likely one device.

use super::derive::Request;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use smallvec::SmallVec;
use std::collections::VecDeque;

use super::Counts;
use crate::hot::owned::Seen;

/// Requests kept that may still be answered: seven seconds of 500 joins a second.
pub const REQUESTS: usize = 4_096;

/// Answered joins kept until their first uplink is sure.
pub const ANSWERED: usize = 4_096;

/// A join-accept passes within this time of the join-request: RX2 opens at 6 s.
pub const ACCEPT: Nanos = 7 * SECOND;

/// How long after the join-accept the first uplink is waited for.
pub const FIRST_UPLINK: Nanos = 600 * SECOND;

/// First uplinks have a counter to this: some are lost.
pub const FIRST_F_CNT: u16 = 3;

/// Gateways remembered for one join.
pub const GATEWAYS: usize = 8;

/// DevAddrs remembered that could be of one join: two are already ambiguous.
const CLAIMS: usize = 2;

/// Delays from join-request to join-accept in a gateway's clock, microseconds.
const DELAYS: [u32; 2] = [5_000_000, 6_000_000];

/// How far a gateway's schedule may be off, microseconds.
const TOLERANCE: u32 = 50_000;

/// Where a frame passed: the gateway and its clock in microseconds, where they are told.
#[derive(Clone, Copy)]
pub(super) struct Passed {
    pub(super) network: NetworkId,
    pub(super) gateway: Option<u64>,
    pub(super) tmst_us: Option<u32>,
}

struct Pending {
    request: Request,
    network: NetworkId,
    time: Timestamp,
    gateways: SmallVec<[(u64, Option<u32>); 2]>,
}

pub(super) struct Answered {
    request: Request,
    network: NetworkId,
    seen: Seen,
    gateways: SmallVec<[u64; 2]>,
    claims: SmallVec<[u32; CLAIMS]>,
    /// A DevAddr that claims it fits another join too, or more claim it than are remembered.
    ambiguous: bool,
}

/// A join and the DevAddr that is likely its.
pub(super) struct Likely {
    pub(super) dev_eui: u64,
    pub(super) network: NetworkId,
    pub(super) dev_addr: u32,
    pub(super) seen: Seen,
}

/// Joins on their way.
#[derive(Default)]
pub(super) struct Links {
    pending: VecDeque<Pending>,
    answered: VecDeque<Answered>,
    /// Join-accepts that passed lately: a retransmission answers nothing new.
    accepts: VecDeque<(Timestamp, SmallVec<[u8; 33]>)>,
}

impl Links {
    /// A request, or a copy of one.
    pub(super) fn requested(&mut self, request: Request, passed: Passed, time: Timestamp, counts: &mut Counts) {
        self.expire(time);
        let known = self.pending.iter_mut().rev().find(|pending| pending.request == request && pending.network == passed.network);
        if let Some(pending) = known {
            pending.heard(passed);
            return;
        }
        if self.pending.len() == REQUESTS {
            self.pending.pop_front();
            counts.requests_forgotten += 1;
        }
        let mut pending = Pending { request, network: passed.network, time, gateways: SmallVec::new() };
        pending.heard(passed);
        self.pending.push_back(pending);
    }

    fn expire(&mut self, now: Timestamp) {
        while self.pending.front().is_some_and(|pending| now.since(pending.time) > ACCEPT) {
            self.pending.pop_front();
        }
        while self.accepts.front().is_some_and(|(then, _)| now.since(*then) > ACCEPT) {
            self.accepts.pop_front();
        }
    }

    /// Requests that a join-accept may answer, and the one that it answers by time and place, where there is just one.
    /// `None` for a copy of a join-accept.
    pub(super) fn accepted(&mut self, phy_payload: &[u8], passed: Passed, seen: Seen) -> Option<(Vec<Request>, Option<Request>)> {
        self.expire(seen.time);
        if self.accepts.iter().any(|(_, known)| known.as_slice() == phy_payload) {
            return None;
        }
        if self.accepts.len() == REQUESTS {
            self.accepts.pop_front();
        }
        self.accepts.push_back((seen.time, phy_payload.into()));
        let near = || self.pending.iter().filter(|pending| pending.network == passed.network && pending.near(passed));
        let mut timed = near().filter(|pending| pending.timed(passed));
        let only = match (timed.next(), timed.next()) {
            (Some(only), None) => Some(only.request),
            _ => None,
        };
        Some((near().map(|pending| pending.request).collect(), only))
    }

    /// A join was answered and no key tells its DevAddr: its first uplink is waited for. Answers what an earlier join of the device came to.
    pub(super) fn wait(&mut self, request: &Request, passed: Passed, seen: Seen, counts: &mut Counts) -> Option<Likely> {
        let pending = self.pending.iter().find(|pending| pending.request == *request && pending.network == passed.network)?;
        let gateways = pending.gateways.iter().map(|(gateway, _)| *gateway).collect();
        let earlier = self.forget(request.dev_eui).and_then(Answered::decide);
        if self.answered.len() == ANSWERED {
            self.answered.pop_front();
            counts.answered_forgotten += 1;
        }
        let network = passed.network;
        self.answered.push_back(Answered {
            request: *request,
            network,
            seen,
            gateways,
            claims: SmallVec::new(),
            ambiguous: false,
        });
        earlier
    }

    /// A key told the DevAddr of this device: nothing is guessed.
    pub(super) fn forget(&mut self, dev_eui: u64) -> Option<Answered> {
        let at = self.answered.iter().position(|answered| answered.request.dev_eui == dev_eui)?;
        self.answered.remove(at)
    }

    /// A DevAddr showed itself for the first time.
    pub(super) fn first_uplink(&mut self, network: NetworkId, dev_addr: u32, f_cnt_lsb: u16, gateway: Option<u64>, seen: Seen) {
        let Some(gateway) = gateway.filter(|_| f_cnt_lsb <= FIRST_F_CNT) else { return };
        let fits = |answered: &Answered| {
            answered.network == network
                && answered.gateways.contains(&gateway)
                && seen.time.since(answered.seen.time) <= FIRST_UPLINK
        };
        let several = self.answered.iter().filter(|answered| fits(answered)).count() > 1;
        for answered in self.answered.iter_mut().filter(|answered| fits(answered)) {
            answered.ambiguous |= several || answered.claims.len() == CLAIMS;
            if answered.claims.len() < CLAIMS {
                answered.claims.push(dev_addr);
            }
        }
    }

    /// Joins whose time is over; at the end all of them.
    pub(super) fn decide(&mut self, now: Timestamp, end: bool) -> Vec<Likely> {
        let mut likely = Vec::new();
        while self.answered.front().is_some_and(|answered| end || now.since(answered.seen.time) > FIRST_UPLINK) {
            likely.extend(self.answered.pop_front().and_then(Answered::decide));
        }
        likely
    }
}

impl Answered {
    fn decide(self) -> Option<Likely> {
        match self.claims.as_slice() {
            [dev_addr] if !self.ambiguous => {
                Some(Likely { dev_eui: self.request.dev_eui, network: self.network, dev_addr: *dev_addr, seen: self.seen })
            }
            _ => None,
        }
    }
}

impl Pending {
    fn heard(&mut self, passed: Passed) {
        let Some(gateway) = passed.gateway else { return };
        if self.gateways.len() < GATEWAYS && !self.gateways.iter().any(|(known, _)| *known == gateway) {
            self.gateways.push((gateway, passed.tmst_us));
        }
    }

    /// Whether the join-accept passes where the request was heard; yes where that is not known.
    fn near(&self, passed: Passed) -> bool {
        let Some(gateway) = passed.gateway else { return true };
        self.gateways.is_empty() || self.gateways.iter().any(|(known, _)| *known == gateway)
    }

    /// Whether the join-accept is for the receive windows of this request at a gateway that heard it.
    fn timed(&self, passed: Passed) -> bool {
        let heard = passed.gateway.and_then(|gateway| self.gateways.iter().find(|(known, _)| *known == gateway));
        match (heard, passed.tmst_us) {
            (None, _) => false,
            (Some((_, Some(heard))), Some(sent)) => {
                let delay = sent.wrapping_sub(*heard);
                DELAYS.iter().any(|wanted| delay.abs_diff(*wanted) <= TOLERANCE)
            }
            _ => true,
        }
    }
}
