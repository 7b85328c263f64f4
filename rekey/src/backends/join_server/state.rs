//! What a Join Server must not forget of a device: the next JoinNonce, the DevNonces that were used, the sessions that it opened. Pure: requests go in,
//! numbers or refusals come out; [`State::encode`] gives the bytes that must be on the disk before the answer leaves.
//!
//! - **JoinNonce** counts for each DevEUI over all its keys (LoRaWAN 1.1 §6.2.3; TS001-1.0.4 §6.2.5): a device keeps the last one whatever its key. After a
//!   restore from a backup it jumps by [`RESTORE_JUMP`].
//! - **DevNonce** belongs to a key and a JoinEUI: the code of a request shows under which key it was made, so a replay can only repeat what that key used,
//!   and a device whose counter began again together with a new key is not locked out.
//! - After a restore the first request of each device is refused once: it may be one that was used after the backup. A device asks again with another
//!   number; who replays one recorded request has none.

use super::accept::JOIN;
use super::keys::SessionInput;
use crate::slot::Generation;
use crate::time::Timestamp;

/// Random DevNonces kept of a key: a device that joins once a day is remembered for almost three years. Beyond it the oldest make way and are counted.
pub const NONCES: usize = 1024;

/// Pairs of key and JoinEUI of which DevNonces are kept: old, new and two that failed, under one JoinEUI or two.
pub const HISTORIES: usize = 8;

/// Sessions kept: those whose AppSKey an application server may still ask for, and from which a device may rejoin.
pub const SESSIONS: usize = 8;

/// JoinNonces passed over for each restore: a device that joined every 5 s for almost 4 days after the backup was made. 255 restores fit.
pub const RESTORE_JUMP: u32 = 1 << 16;

/// JoinNonce has 24 bits.
pub const JOIN_NONCE_MAX: u32 = (1 << 24) - 1;

/// How a device chooses DevNonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceRule {
    /// 1.0 to 1.0.3 (§6.2.4): at random; one that was used is refused.
    Random,
    /// 1.0.4 and 1.1 (§6.2.4 and §6.2.2): a counter that is kept over restarts.
    Counter,
}

/// Why a number is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceRefusal {
    /// Used before.
    Used,
    /// Not above the highest used, which is told.
    NotAbove(u16),
    /// The first request after a restore.
    Restored,
    /// No JoinNonce is left: the device can never join again under this DevEUI.
    Exhausted,
}

/// A session that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The generation of the root key.
    pub generation: Generation,
    /// [`JOIN`], or the type of the rejoin-request.
    pub kind: u8,
    /// What its keys follow from.
    pub input: SessionInput,
    /// DevAddr.
    pub dev_addr: u32,
    /// When it was asked for.
    pub at: Timestamp,
    /// Highest RJcount0 seen in it.
    rj_count0: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct History {
    generation: Generation,
    join_eui: u64,
    /// Highest DevNonce.
    highest: Option<u16>,
    /// Highest RJcount1.
    rj_count1: Option<u16>,
    /// DevNonces, oldest first, of a device that chooses at random.
    used: Vec<u16>,
}

/// What is kept of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    next_join_nonce: u32,
    restored: bool,
    histories: Vec<History>,
    sessions: Vec<Session>,
}

/// A request that would open a session.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The generation under which its code is right.
    pub generation: Generation,
    /// [`JOIN`], or the type of the rejoin-request.
    pub kind: u8,
    /// OptNeg, as the network server asks.
    pub opt_neg: bool,
    /// NetID of the network server.
    pub net_id: u32,
    /// JoinEUI.
    pub join_eui: u64,
    /// DevNonce or RJcount.
    pub nonce: u16,
    /// How the device chooses DevNonces.
    pub rule: NonceRule,
    /// The JoinNonce of the session from which a device rejoins by type 0 or 2.
    pub from: Option<u32>,
    /// DevAddr, as the network server gives it.
    pub dev_addr: u32,
    /// Now.
    pub at: Timestamp,
}

impl Default for State {
    /// A device that never joined here. JoinNonce begins at 1: some devices hold 0 as the last one seen.
    fn default() -> Self {
        Self { next_join_nonce: 1, restored: false, histories: Vec::new(), sessions: Vec::new() }
    }
}

impl State {
    /// One whose JoinNonces up to `last` were used elsewhere.
    pub fn after(last: u32) -> Self {
        Self { next_join_nonce: last.saturating_add(1), ..Self::default() }
    }

    /// The world may have moved on since this was written: `restores` backups were restored in between.
    pub fn outdated(&mut self, restores: u32) {
        self.next_join_nonce = self.next_join_nonce.saturating_add(RESTORE_JUMP.saturating_mul(restores)).min(JOIN_NONCE_MAX + 1);
        self.restored = true;
    }

    /// The next JoinNonce.
    pub fn next_join_nonce(&self) -> u32 {
        self.next_join_nonce
    }

    /// Sessions, oldest first.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// The session of this JoinNonce.
    pub fn session(&self, join_nonce: u32) -> Option<&Session> {
        self.sessions.iter().find(|session| session.input.join_nonce == join_nonce)
    }

    /// Takes the request's number and gives the session that it opens; says how many old numbers made way. A refusal changes at most what is remembered
    /// against replays.
    ///
    /// # Errors
    /// The number was used, may have been, or there is no JoinNonce left.
    pub fn open(&mut self, opening: &Opening) -> Result<(Session, u64), NonceRefusal> {
        if self.next_join_nonce > JOIN_NONCE_MAX {
            return Err(NonceRefusal::Exhausted);
        }
        self.check(opening)?;
        let shed = self.remember(opening);
        if std::mem::take(&mut self.restored) {
            return Err(NonceRefusal::Restored);
        }
        let Opening { opt_neg, net_id, join_eui, nonce, .. } = *opening;
        let input = SessionInput { opt_neg, join_nonce: self.next_join_nonce, net_id, join_eui, nonce };
        let Opening { generation, kind, dev_addr, at, .. } = *opening;
        let session = Session { generation, kind, input, dev_addr, at, rj_count0: None };
        self.next_join_nonce += 1;
        // Most devices have one session here; room for more would cost hundreds of megabytes over a million of them.
        self.sessions.reserve_exact(1);
        self.sessions.push(session);
        self.make_room();
        Ok((session, shed))
    }

    /// The oldest session of the generation that has most makes way, so that a device that joins again and again under one key does not hide a use of another.
    fn make_room(&mut self) {
        if self.sessions.len() <= SESSIONS {
            return;
        }
        let of = |generation: Generation| self.sessions.iter().filter(|session| session.generation == generation).count();
        let most = self.sessions.iter().map(|session| of(session.generation)).max();
        if let Some(at) = self.sessions.iter().position(|session| Some(of(session.generation)) == most) {
            self.sessions.remove(at);
        }
    }

    fn check(&self, opening: &Opening) -> Result<(), NonceRefusal> {
        let above = |highest: Option<u16>| match highest {
            Some(highest) if opening.nonce <= highest => Err(NonceRefusal::NotAbove(highest)),
            _ => Ok(()),
        };
        if let Some(from) = opening.from {
            return above(self.session(from).and_then(|session| session.rj_count0));
        }
        let Some(history) = self.histories.iter().find(|history| history.is_of(opening)) else { return Ok(()) };
        match (opening.kind, opening.rule) {
            (JOIN, NonceRule::Random) if history.used.contains(&opening.nonce) => Err(NonceRefusal::Used),
            (JOIN, NonceRule::Random) => Ok(()),
            (JOIN, NonceRule::Counter) => above(history.highest),
            _ => above(history.rj_count1),
        }
    }

    fn remember(&mut self, opening: &Opening) -> u64 {
        if let Some(from) = opening.from {
            let session = self.sessions.iter_mut().find(|session| session.input.join_nonce == from);
            session.into_iter().for_each(|session| session.rj_count0 = Some(opening.nonce));
            return 0;
        }
        let history = self.history(opening);
        if opening.kind != JOIN {
            history.rj_count1 = Some(opening.nonce);
            return 0;
        }
        // Both are kept: what the network server says of a device's version may change.
        history.highest = history.highest.max(Some(opening.nonce));
        if opening.rule == NonceRule::Counter {
            return 0;
        }
        let over = (history.used.len() + 1).saturating_sub(NONCES);
        history.used.drain(..over);
        history.used.push(opening.nonce);
        over as u64
    }

    /// The history of this key and JoinEUI, new if need be; the oldest makes way.
    fn history(&mut self, opening: &Opening) -> &mut History {
        let at = self.histories.iter().position(|history| history.is_of(opening)).unwrap_or_else(|| {
            if self.histories.len() >= HISTORIES {
                self.histories.remove(0);
            }
            let Opening { generation, join_eui, .. } = *opening;
            self.histories.reserve_exact(1);
            self.histories.push(History { generation, join_eui, highest: None, rj_count1: None, used: Vec::new() });
            self.histories.len() - 1
        });
        &mut self.histories[at]
    }

    /// Forgets the DevNonces of a device that lost its counter (a person asks for this: a recorded request is accepted again afterwards).
    pub fn forget_nonces(&mut self) {
        self.histories.clear();
    }

    /// A key was destroyed: its sessions' keys cannot be derived again.
    pub fn forget_generation(&mut self, generation: Generation) {
        self.histories.retain(|history| history.generation != generation);
        self.sessions.retain(|session| session.generation != generation);
    }
}

impl History {
    fn is_of(&self, opening: &Opening) -> bool {
        self.generation == opening.generation && self.join_eui == opening.join_eui
    }
}

/// First byte of what is kept.
const FORMAT: u8 = 1;

impl State {
    /// The bytes to keep.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT, u8::from(self.restored)];
        out.extend(self.next_join_nonce.to_le_bytes());
        out.push(self.histories.len() as u8);
        for history in &self.histories {
            out.extend(history.generation.0.to_le_bytes());
            out.extend(history.join_eui.to_le_bytes());
            push_number(&mut out, history.highest);
            push_number(&mut out, history.rj_count1);
            out.extend((history.used.len() as u16).to_le_bytes());
            out.extend(history.used.iter().flat_map(|nonce| nonce.to_le_bytes()));
        }
        out.push(self.sessions.len() as u8);
        for session in &self.sessions {
            out.extend(session.generation.0.to_le_bytes());
            out.extend([session.kind, u8::from(session.input.opt_neg)]);
            out.extend(session.input.join_nonce.to_le_bytes());
            out.extend(session.input.net_id.to_le_bytes());
            out.extend(session.input.join_eui.to_le_bytes());
            out.extend(session.input.nonce.to_le_bytes());
            out.extend(session.dev_addr.to_le_bytes());
            out.extend(session.at.0.to_le_bytes());
            push_number(&mut out, session.rj_count0);
        }
        out
    }

    /// Reads what [`State::encode`] made. `None`: it is damaged, or of a newer program.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let rest = &mut rest;
        if take::<1>(rest)? != [FORMAT] {
            return None;
        }
        let restored = take::<1>(rest)? != [0];
        let next_join_nonce = u32::from_le_bytes(take(rest)?);
        let mut state = Self { next_join_nonce, restored, ..Self::default() };
        for _ in 0..u8::from_le_bytes(take(rest)?) {
            let generation = Generation(u32::from_le_bytes(take(rest)?));
            let join_eui = u64::from_le_bytes(take(rest)?);
            let (highest, rj_count1) = (take_number(rest)?, take_number(rest)?);
            let used = (0..u16::from_le_bytes(take(rest)?)).map(|_| take(rest).map(u16::from_le_bytes)).collect::<Option<_>>()?;
            state.histories.push(History { generation, join_eui, highest, rj_count1, used });
        }
        for _ in 0..u8::from_le_bytes(take(rest)?) {
            let generation = Generation(u32::from_le_bytes(take(rest)?));
            let [kind, opt_neg] = take(rest)?;
            let input = SessionInput {
                opt_neg: opt_neg != 0,
                join_nonce: u32::from_le_bytes(take(rest)?),
                net_id: u32::from_le_bytes(take(rest)?),
                join_eui: u64::from_le_bytes(take(rest)?),
                nonce: u16::from_le_bytes(take(rest)?),
            };
            let dev_addr = u32::from_le_bytes(take(rest)?);
            let at = Timestamp(i64::from_le_bytes(take(rest)?));
            let rj_count0 = take_number(rest)?;
            state.sessions.push(Session { generation, kind, input, dev_addr, at, rj_count0 });
        }
        rest.is_empty().then_some(state)
    }
}

fn push_number(out: &mut Vec<u8>, number: Option<u16>) {
    out.push(u8::from(number.is_some()));
    out.extend(number.unwrap_or(0).to_le_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

fn take_number(rest: &mut &[u8]) -> Option<Option<u16>> {
    let [is_some, low, high] = take(rest)?;
    Some((is_some != 0).then_some(u16::from_le_bytes([low, high])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn join(generation: u32, nonce: u16, rule: NonceRule) -> Opening {
        Opening {
            generation: Generation(generation),
            kind: JOIN,
            opt_neg: false,
            net_id: 0x13,
            join_eui: 7,
            nonce,
            rule,
            from: None,
            dev_addr: 1,
            at: Timestamp(nonce.into()),
        }
    }

    #[test]
    fn a_random_number_is_taken_once() {
        let mut state = State::default();
        assert_eq!(state.open(&join(1, 500, NonceRule::Random)).unwrap().0.input.join_nonce, 1);
        assert_eq!(state.open(&join(1, 500, NonceRule::Random)), Err(NonceRefusal::Used));
        assert_eq!(state.open(&join(1, 3, NonceRule::Random)).unwrap().0.input.join_nonce, 2);
    }

    #[test]
    fn a_counter_only_rises_and_each_key_has_its_own() {
        let mut state = State::default();
        assert!(state.open(&join(1, 10, NonceRule::Counter)).is_ok());
        assert_eq!(state.open(&join(1, 10, NonceRule::Counter)), Err(NonceRefusal::NotAbove(10)));
        assert_eq!(state.open(&join(1, 0, NonceRule::Counter)), Err(NonceRefusal::NotAbove(10)));
        // The device got a new key and counts from 0 again; its JoinNonce goes on.
        assert_eq!(state.open(&join(2, 0, NonceRule::Counter)).unwrap().0.input.join_nonce, 2);
        assert!(state.open(&join(1, 65535, NonceRule::Counter)).is_ok());
        assert_eq!(state.open(&join(1, 65535, NonceRule::Counter)), Err(NonceRefusal::NotAbove(65535)));
        assert!(state.open(&Opening { join_eui: 8, ..join(1, 0, NonceRule::Counter) }).is_ok());
    }

    #[test]
    fn the_oldest_random_numbers_make_way_and_are_counted() {
        let mut state = State::default();
        for nonce in 0..NONCES as u16 {
            assert_eq!(state.open(&join(1, nonce, NonceRule::Random)).unwrap().1, 0);
        }
        assert_eq!(state.open(&join(1, 60000, NonceRule::Random)).unwrap().1, 1);
        assert!(state.open(&join(1, 0, NonceRule::Random)).is_ok());
        assert_eq!(state.open(&join(1, 2, NonceRule::Random)), Err(NonceRefusal::Used));
    }

    #[test]
    fn after_a_restore_numbers_jump_and_the_first_request_waits() {
        let mut state = State::default();
        let before = state.open(&join(1, 10, NonceRule::Counter)).unwrap().0.input.join_nonce;
        let backup = state.encode();
        let lost =
            (11..2000).map(|nonce| state.open(&join(1, nonce, NonceRule::Counter)).unwrap().0.input.join_nonce).max().unwrap();
        let mut restored = State::decode(&backup).unwrap();
        restored.outdated(1);
        // The one request that somebody recorded after the backup was made.
        assert_eq!(restored.open(&join(1, 1999, NonceRule::Counter)), Err(NonceRefusal::Restored));
        assert_eq!(restored.open(&join(1, 1999, NonceRule::Counter)), Err(NonceRefusal::NotAbove(1999)));
        let after = restored.open(&join(1, 2000, NonceRule::Counter)).unwrap().0.input.join_nonce;
        assert!(before < lost && lost < after, "{before} {lost} {after}");
    }

    #[test]
    fn join_nonces_end() {
        let mut state = State::after(JOIN_NONCE_MAX - 1);
        assert_eq!(state.open(&join(1, 1, NonceRule::Counter)).unwrap().0.input.join_nonce, JOIN_NONCE_MAX);
        assert_eq!(state.open(&join(1, 2, NonceRule::Counter)), Err(NonceRefusal::Exhausted));
        state.outdated(300);
        assert_eq!(state.open(&join(1, 3, NonceRule::Counter)), Err(NonceRefusal::Exhausted));
    }

    #[test]
    fn rejoin_counters_belong_to_a_session_or_to_a_key() {
        let mut state = State::default();
        let first = state.open(&join(1, 1, NonceRule::Counter)).unwrap().0.input.join_nonce;
        let rejoin = |kind, nonce, from| Opening { kind, from, opt_neg: true, ..join(1, nonce, NonceRule::Counter) };
        let second = state.open(&rejoin(0, 5, Some(first))).unwrap().0.input.join_nonce;
        assert_eq!(state.open(&rejoin(2, 5, Some(first))), Err(NonceRefusal::NotAbove(5)));
        assert!(state.open(&rejoin(2, 0, Some(second))).is_ok());
        assert!(state.open(&rejoin(1, 0, None)).is_ok());
        assert_eq!(state.open(&rejoin(1, 0, None)), Err(NonceRefusal::NotAbove(0)));
        assert!(state.open(&join(1, 2, NonceRule::Counter)).is_ok(), "RJcount1 is not DevNonce");
    }

    #[test]
    fn tables_are_bounded() {
        let mut state = State::default();
        for number in 0..100 {
            state.open(&Opening { join_eui: number, ..join(1, 1, NonceRule::Counter) }).unwrap();
        }
        assert_eq!((state.histories.len(), state.sessions.len()), (HISTORIES, SESSIONS));
        for number in 100..200 {
            state.open(&Opening { generation: Generation(2), join_eui: number, ..join(1, 1, NonceRule::Counter) }).unwrap();
        }
        assert!(state.sessions.iter().any(|session| session.generation == Generation(1)), "a use of the other key is still told");
        state.forget_generation(Generation(2));
        state.forget_generation(Generation(1));
        assert_eq!((state.histories.len(), state.sessions.len(), state.next_join_nonce), (0, 0, 201));
    }

    proptest! {
        #[test]
        fn what_is_kept_reads_the_same(openings in prop::collection::vec((1_u32..4, any::<u16>(), any::<bool>(), 0_u8..5), 0..40)) {
            let mut state = State::default();
            for (generation, nonce, counter, kind) in openings {
                let rule = if counter { NonceRule::Counter } else { NonceRule::Random };
                let from = (kind != 1 && kind < 3).then(|| state.sessions.last().map(|session| session.input.join_nonce)).flatten();
                let kind = if kind > 2 || from.is_none() && kind != 1 { JOIN } else { kind };
                let _ = state.open(&Opening { kind, from, ..join(generation, nonce, rule) });
                prop_assert_eq!(State::decode(&state.encode()), Some(state.clone()));
            }
        }

        #[test]
        fn damaged_bytes_are_refused_and_never_break(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..60) {
            let _ = State::decode(&bytes);
            let mut state = State::default();
            state.open(&join(1, 1, NonceRule::Random)).unwrap();
            let good = state.encode();
            if cut < good.len() {
                prop_assert_eq!(State::decode(&good[..cut]), None);
            }
        }
    }
}
