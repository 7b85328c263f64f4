//! Joins, and which of them can have made a device count from the beginning: each join gives one device one session, so that one which another
//! address accounts for, or that was refused, explains nothing.

use super::super::lorawan_radio::Reception;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// A first uplink that is heard follows a join within this time.
pub(super) const AFTER_JOIN: Nanos = 3_600 * SECOND;

/// Joins remembered for that long: a power cut makes every device of a district join at once.
pub(super) const JOINS: usize = 16_384;

/// A join-accept is handed to a gateway within this time: it is sent 5 or 6 s after the request (TS001-1.0.4 §6.2.5), and copies come late.
const ACCEPTED: Nanos = 12 * SECOND;

/// The same request from other gateways, or asked again, within this time is the same attempt.
const SAME: Nanos = 60 * SECOND;

/// Gateways remembered of a join: more add nothing to the judgement.
const GATEWAYS: usize = 8;

/// Gateways through which joins were seen to be answered: those of a large city.
const ANSWERING: usize = 16_384;

/// Joins of the last hour.
#[derive(Default)]
pub(super) struct Joins {
    recent: VecDeque<Join>,
    /// Gateways whose downlinks are seen, since one of them was a join-accept.
    answering: HashSet<(NetworkId, u64), FixedState>,
    pub(super) shed: u64,
}

struct Join {
    network: NetworkId,
    dev_eui: u64,
    time: Timestamp,
    gateways: SmallVec<[u64; 2]>,
    /// Whether it was heard where the carrier names no gateway.
    anywhere: bool,
    answered: bool,
    /// The address whose session it began, as far as is known.
    address: Option<u32>,
}

impl Joins {
    /// A device asked to join.
    pub(super) fn asked(&mut self, dev_eui: u64, reception: &Reception) {
        let (network, now) = (reception.network, reception.time());
        while self.recent.front().is_some_and(|join| now.since(join.time) > AFTER_JOIN) {
            self.recent.pop_front();
        }
        let same = |join: &&mut Join| {
            join.dev_eui == dev_eui && join.network == network && join.address.is_none() && now.since(join.time) <= SAME
        };
        let Some(join) = self.recent.iter_mut().rev().take_while(|join| now.since(join.time) <= SAME).find(same) else {
            if self.recent.len() >= JOINS {
                self.recent.pop_front();
                self.shed += 1;
            }
            let (gateways, anywhere) = (reception.gateway.into_iter().collect(), reception.gateway.is_none());
            self.recent.push_back(Join { network, dev_eui, time: now, gateways, anywhere, answered: false, address: None });
            return;
        };
        if let Some(gateway) =
            reception.gateway.filter(|gateway| join.gateways.len() < GATEWAYS && !join.gateways.contains(gateway))
        {
            join.gateways.push(gateway);
        }
    }

    /// A join was answered through a gateway; which of several is not told, since the answer is encrypted.
    pub(super) fn answered(&mut self, reception: &Reception) {
        let (network, now) = (reception.network, reception.time());
        if let Some(gateway) = reception.gateway.filter(|_| self.answering.len() < ANSWERING) {
            self.answering.insert((network, gateway));
        }
        for join in self.recent.iter_mut().rev().take_while(|join| now.since(join.time) <= ACCEPTED) {
            join.answered |= join.network == network && join.is_near(reception.gateway);
        }
    }

    /// A decrypted answer told which address a device got.
    pub(super) fn given(&mut self, network: NetworkId, dev_eui: u64, address: u32) {
        let join = self.recent.iter_mut().rev().find(|join| join.network == network && join.dev_eui == dev_eui);
        if let Some(join) = join {
            (join.answered, join.address) = (true, Some(address));
        }
    }

    /// An address that was never heard before counts from the beginning: it accounts for the last join that nothing else does.
    pub(super) fn began(&mut self, address: u32, reception: &Reception) {
        let now = reception.time();
        if self.recent.iter().any(|join| join.network == reception.network && join.address == Some(address)) {
            return;
        }
        let answering = &self.answering;
        let fits = |join: &&mut Join| {
            join.network == reception.network
                && join.address.is_none()
                && join.is_near(reception.gateway)
                && join.can_have_begun(answering)
                && now.since(join.time) <= AFTER_JOIN
        };
        if let Some(join) = self.recent.iter_mut().rev().find(fits) {
            join.address = Some(address);
        }
    }

    /// When a device last joined that can be the one of this address, where this frame was heard.
    pub(super) fn last(&self, address: u32, reception: &Reception) -> Option<Timestamp> {
        let fits = |join: &&Join| {
            let its_own = join.address == Some(address);
            let open = join.address.is_none() && join.is_near(reception.gateway) && join.can_have_begun(&self.answering);
            join.network == reception.network && (its_own || open)
        };
        self.recent.iter().rev().find(fits).map(|join| join.time)
    }
}

impl Join {
    fn is_near(&self, gateway: Option<u64>) -> bool {
        self.anywhere || gateway.is_none_or(|gateway| self.gateways.contains(&gateway))
    }

    /// Whether it was answered, or its answer would not have been seen.
    fn can_have_begun(&self, answering: &HashSet<(NetworkId, u64), FixedState>) -> bool {
        self.answered || !self.gateways.iter().any(|gateway| answering.contains(&(self.network, *gateway)))
    }
}
