//! What was seen of the device, and what it proves. Evidence comes late, twice and out of order, so proofs are computed from what is kept and never counted up.

use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::slot::Generation;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sessions kept of each generation: a proof needs the first, one after a restart and some between; the second makes way.
const SESSIONS_MAX: usize = 8;
/// Restarts kept; one is needed.
const RESTARTS_MAX: usize = 4;

/// One session of the device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Session {
    mark: u64,
    first: Timestamp,
    last: Timestamp,
    data: bool,
    verifier: bool,
    sensor: bool,
}

/// What was seen of one slot since its rotation was planned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    sessions: BTreeMap<Generation, Vec<Session>>,
    restarts: Vec<Timestamp>,
    acknowledged: BTreeMap<Generation, Timestamp>,
    refused: Option<Timestamp>,
}

impl Record {
    /// Takes evidence in. What claims to come from after `now` is taken as of `now`.
    pub fn saw(&mut self, evidence: &Evidence, now: Timestamp) {
        match *evidence {
            Evidence::Used(used) => self.used(&Use { at: used.at.min(now), ..used }),
            Evidence::Refused { at } => self.refused = self.refused.max(Some(at.min(now))),
            Evidence::Acknowledged { generation, at } => {
                let known = self.acknowledged.entry(generation).or_insert(at.min(now));
                *known = (*known).max(at.min(now));
            }
            Evidence::Restarted { at } => {
                let at = at.min(now);
                if let Err(place) = self.restarts.binary_search(&at) {
                    self.restarts.insert(place, at);
                    if self.restarts.len() > RESTARTS_MAX {
                        self.restarts.remove(0);
                    }
                }
            }
        }
    }

    fn used(&mut self, used: &Use) {
        let sessions = self.sessions.entry(used.generation).or_default();
        let known = match sessions.iter().position(|session| session.mark == used.session) {
            Some(place) => &mut sessions[place],
            None => {
                if sessions.len() == SESSIONS_MAX {
                    // The first says since when the device had it, the latest that it has it still.
                    sessions.sort_by_key(|session| session.first);
                    sessions.remove(1);
                }
                let (first, last) = (used.at, used.at);
                sessions.push(Session { mark: used.session, first, last, data: false, verifier: false, sensor: false });
                let place = sessions.len() - 1;
                &mut sessions[place]
            }
        };
        known.first = known.first.min(used.at);
        known.last = known.last.max(used.at);
        known.data |= used.reach == Reach::Data;
        match used.by {
            Witness::Verifier => known.verifier = true,
            Witness::Sensor => known.sensor = true,
        }
    }

    /// Takes each session of `generation` as if it had ended when it began.
    pub(super) fn forget_ends(&mut self, generation: Generation) {
        self.sessions.get_mut(&generation).into_iter().flatten().for_each(|session| session.last = session.first);
    }

    /// When `generation` was last used.
    pub fn last_use(&self, generation: Generation) -> Option<Timestamp> {
        self.sessions.get(&generation)?.iter().map(|session| session.last).max()
    }

    /// When any other than `generation` was last used.
    pub fn last_other(&self, generation: Generation) -> Option<Timestamp> {
        let others = self.sessions.iter().filter(|(other, _)| **other != generation);
        others.flat_map(|(_, sessions)| sessions).map(|session| session.last).max()
    }

    /// What was used last and when.
    pub fn latest(&self) -> Option<(Timestamp, Generation)> {
        self.sessions.iter().flat_map(|(generation, sessions)| sessions.iter().map(|s| (s.last, *generation))).max()
    }

    /// When the device was last refused.
    pub fn refused(&self) -> Option<Timestamp> {
        self.refused
    }

    /// Whether the device said that it has `generation`, at or after `from`.
    pub fn acknowledged(&self, generation: Generation, from: Timestamp) -> bool {
        self.acknowledged.get(&generation).is_some_and(|at| *at >= from)
    }

    /// Sessions of `generation` that began after `from`.
    fn sessions(&self, generation: Generation, from: Timestamp) -> impl Iterator<Item = &Session> {
        self.sessions.get(&generation).into_iter().flatten().filter(move |session| session.first > from)
    }

    /// Whether the verifier accepted `generation` after `from` and application data flowed under it.
    pub fn works(&self, generation: Generation, from: Timestamp) -> bool {
        self.sessions(generation, from).any(|session| session.verifier)
            && self.sessions(generation, from).any(|session| session.data)
    }

    /// Whether `generation` was proven after `from` as far as it can be before the grace (I4): it works, it was used in a session that began after a restart
    /// of the device that already had it, and the tap agrees or the verifier saw two sessions.
    pub fn lasts(&self, generation: Generation, from: Timestamp) -> bool {
        let acknowledged = self.acknowledged.get(&generation).copied().filter(|at| *at >= from);
        let first = self.sessions(generation, from).map(|session| session.first).min();
        let Some(had) = acknowledged.into_iter().chain(first).min() else { return false };
        let restarted = |session: &Session| self.restarts.iter().any(|at| *at > had && session.first > *at);
        let agreed = self.sessions(generation, from).any(|session| session.sensor);
        let reconnects = self.sessions(generation, from).filter(|session| session.verifier).count();
        self.works(generation, from)
            && self.sessions(generation, from).any(|session| session.verifier && restarted(session))
            && (agreed || reconnects >= 2)
    }
}
