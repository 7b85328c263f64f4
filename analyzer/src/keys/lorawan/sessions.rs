//! Sessions by DevAddr: what was transmitted, who heard it, which keys hold, and whether a published key does.
//!
//! One uplink that several gateways heard is one transmission with several receptions: the same DevAddr, FCnt and MIC within
//! [`DEDUPLICATION`]. The frame counter's high half is not on the air: it is the one with which a known key makes the MIC, and without a key
//! the one that goes on from the frame before.
//!
//! Candidates for session keys are those that are the same for every device: a key that was derived in a join is random. They are tried
//! once two uplinks with different counters are there, since one frame proves nothing; a fit on both is proof.
//! In 1.1 the MIC of an uplink comes from two keys and from radio settings that carriers do not always tell: only its half that follows from
//! the FNwkSIntKey is checked, with keys that are known; published keys are tried as in 1.0.x.

use super::audit::{Purse, grouped};
use super::candidates::{Candidate, Candidates};
use super::derive::SessionKeys;
use super::key::Key;
use super::mic::{Target, Trials};
use super::owner::Owner;
use super::{Counts, HIGH_WORDS, SIDE_BY_SIDE};
use crate::findings::{Answer, Evidence, Found, Severity};
use crate::hot::owned::Seen;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::Confidence;
use citytap_sensor::protocols::lorawan::blocks;
use citytap_sensor::protocols::lorawan::wire::{DataFrame, Frame, Link, PhyPayload};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Device addresses kept in all networks. One that was heard once makes room first: a flood and radio noise invent them.
pub const SESSIONS: usize = 65_536;

/// Gateways told apart that hear one device address; receptions by more are counted together.
pub const GATEWAYS: usize = 16;

/// Keys kept for one device address: several devices can have the same.
pub const KEYS: usize = 4;

/// Transmissions remembered to recognise copies: ten seconds of 800 frames a second.
pub const RECENT: usize = 8_192;

/// Copies of a transmission arrive within this time: backhauls are slow, and a later one is a replay.
pub const DEDUPLICATION: Nanos = 10 * SECOND;

/// Candidates kept that fit one frame and wait for another.
pub const FITS: usize = 4;

/// A counter that falls by less is a late frame: few devices send as often as backhauls delay.
const LATE: u32 = 8;

/// A device address in a network.
pub type At = (NetworkId, u32);

/// A device address in use.
pub struct Session {
    /// Two uplinks with different counters.
    samples: SmallVec<[Sample; 2]>,
    /// The counter of the last uplink, its high half by continuity.
    up: Option<u32>,
    /// Distinct uplinks.
    transmissions: u64,
    /// Receptions by gateway.
    gateways: SmallVec<[(u64, u64); 2]>,
    /// Receptions by gateways that are not known or beyond [`GATEWAYS`].
    other_receptions: u64,
    keys: Vec<Known>,
    fits: SmallVec<[Fit; 1]>,
    proved: Option<Proof>,
    stage: Stage,
    /// Whether a join is known to have opened it: then its keys are derived, and no check of session keys concerns it.
    pub(super) joined: bool,
    /// Whether it is linked to a DevEUI, if only likely.
    pub(super) linked: bool,
    /// What its frames said of the session keys that the owner configured.
    pub(super) owner: Option<Owner>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Cheap,
    Done,
    Short,
}

struct Sample {
    phy_payload: Box<[u8]>,
    f_cnt_lsb: u16,
    seen: Seen,
}

struct Fit {
    candidate: Candidate,
    key: Key,
    f_cnt_lsb: u16,
    seen: Seen,
}

struct Proof {
    candidate: Candidate,
    evidence: Evidence,
}

/// Keys that are known for a device address.
pub(super) struct Known {
    pub(super) keys: SessionKeys,
    pub(super) dev_eui: Option<u64>,
    /// Counters of the last frames that the keys proved, up and down.
    counters: [Option<u32>; 2],
    /// The counter of the last confirmed uplink, low half.
    confirmed: u16,
}

/// What a data frame turned out to be.
pub(super) struct Heard {
    /// Whether it is a transmission of its own, not a copy.
    pub(super) new: bool,
    /// Whether the device address was never seen before.
    pub(super) first: bool,
}

/// The sessions.
pub(super) struct Sessions {
    sessions: HashMap<At, Session, FixedState>,
    provisional: VecDeque<At>,
    recent: VecDeque<(Timestamp, Transmission)>,
    known: HashSet<Transmission, FixedState>,
    cheap: BTreeSet<At>,
    patterns: BTreeMap<At, Timestamp>,
    /// Sessions whose key was proved to be a published one and not told yet.
    proved: Vec<(At, Seen)>,
    candidates: &'static Candidates,
}

/// What copies of a transmission share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Transmission {
    at: At,
    up: bool,
    f_cnt_lsb: u16,
    mic: u32,
}

impl Sessions {
    pub(super) fn new(candidates: &'static Candidates) -> Self {
        Self {
            sessions: HashMap::with_hasher(FixedState::with_seed(0)),
            provisional: VecDeque::new(),
            recent: VecDeque::new(),
            known: HashSet::with_hasher(FixedState::with_seed(0)),
            cheap: BTreeSet::new(),
            patterns: BTreeMap::new(),
            proved: Vec::new(),
            candidates,
        }
    }

    /// Sessions whose key was proved to be a published one since the last call.
    pub(super) fn take_proved(&mut self) -> Vec<(At, Seen)> {
        std::mem::take(&mut self.proved)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (At, &Session)> {
        self.sessions.iter().map(|(at, session)| (*at, session))
    }

    pub(super) fn get(&self, at: At) -> Option<&Session> {
        self.sessions.get(&at)
    }

    pub(super) fn get_mut(&mut self, at: At) -> Option<&mut Session> {
        self.sessions.get_mut(&at)
    }

    /// The session, new if need be; `None` where there is no room.
    pub(super) fn entry(&mut self, at: At, counts: &mut Counts) -> Option<&mut Session> {
        if !self.sessions.contains_key(&at) {
            if self.sessions.len() >= SESSIONS {
                self.make_room(counts)?;
            }
            self.provisional.push_back(at);
        }
        Some(self.sessions.entry(at).or_insert_with(Session::new))
    }

    fn make_room(&mut self, counts: &mut Counts) -> Option<()> {
        while let Some(at) = self.provisional.pop_front() {
            if self.sessions.get(&at).is_some_and(Session::provisional) {
                self.sessions.remove(&at);
                counts.sessions_forgotten += 1;
                return Some(());
            }
        }
        counts.sessions_refused += 1;
        None
    }

    /// Takes a data frame. Downlinks open no session.
    pub(super) fn heard(
        &mut self,
        at: At,
        data: &DataFrame<'_>,
        phy: &PhyPayload<'_>,
        gateway: Option<u64>,
        seen: Seen,
        counts: &mut Counts,
    ) -> Option<Heard> {
        let up = data.link == Link::Up;
        let mic = u32::from_be_bytes(phy.mic()?.try_into().ok()?);
        let new = self.remember(Transmission { at, up, f_cnt_lsb: data.f_cnt_lsb, mic }, seen.time);
        let first = !self.sessions.contains_key(&at);
        if !up {
            return (!first).then_some(Heard { new, first });
        }
        let session = self.entry(at, counts)?;
        session.received(gateway);
        if new {
            let before = session.has_known_key();
            session.transmitted(data, phy, seen);
            let proved = session.has_known_key() && !before;
            if session.stage == Stage::Waiting && session.samples.len() == 2 && !session.joined {
                self.cheap.insert(at);
            }
            if proved {
                self.proved.push((at, seen));
            }
        }
        Some(Heard { new, first })
    }

    fn remember(&mut self, copy: Transmission, now: Timestamp) -> bool {
        while let Some((then, old)) = self.recent.front() {
            if now.since(*then) <= DEDUPLICATION && self.recent.len() < RECENT {
                break;
            }
            self.known.remove(old);
            self.recent.pop_front();
        }
        let new = self.known.insert(copy);
        if new {
            self.recent.push_back((now, copy));
        }
        new
    }

    /// Adds keys that a join derived; without a DevEUI, those that the owner configured.
    pub(super) fn add_keys(&mut self, at: At, keys: SessionKeys, dev_eui: Option<u64>, counts: &mut Counts) {
        let joined = dev_eui.is_some();
        if joined {
            self.cheap.remove(&at);
            self.patterns.remove(&at);
        }
        let Some(session) = self.entry(at, counts) else { return };
        session.joined |= joined;
        session.linked |= joined;
        // A device has one session at a time.
        session.keys.retain(|known| dev_eui.is_none() || known.dev_eui != dev_eui);
        if session.keys.len() == KEYS {
            // Those of the owner stay.
            let oldest = session.keys.iter().position(|known| known.dev_eui.is_some()).unwrap_or(0);
            session.keys.remove(oldest);
            counts.session_keys_forgotten += 1;
        }
        session.keys.push(Known::new(keys, dev_eui));
    }

    /// Gives a session the keys that the owner configured for its address, once.
    pub(super) fn add_owners(&mut self, at: At, keys: &SessionKeys, counts: &mut Counts) {
        let Some(session) = self.sessions.get_mut(&at).filter(|session| session.owner.is_none()) else { return };
        // Half a code is checked of an uplink of 1.1.
        let needed = if keys.v1_1 { 2 } else { 1 };
        let network = [&keys.f_nwk_s_int, &keys.s_nwk_s_int, &keys.nwk_s_enc].map(Key::clone);
        session.owner = Some(Owner::new(network, needed));
        self.add_keys(at, keys.clone(), None, counts);
    }

    /// Since when the longest waiting session waits for the patterns, and how many do.
    pub(super) fn waiting(&self) -> (Option<Timestamp>, usize) {
        (self.patterns.values().min().copied(), self.patterns.len())
    }

    /// Sessions that a budget stopped wait again.
    pub(super) fn new_day(&mut self) {
        for (at, session) in &mut self.sessions {
            if session.stage == Stage::Short {
                session.stage = Stage::Waiting;
                self.cheap.insert(*at);
            }
        }
    }

    /// Tries the lists on sessions that have two frames now.
    pub(super) fn cheap_stage(&mut self, now: Timestamp, purse: &mut Purse, counts: &mut Counts) {
        let families =
            || self.candidates.families.iter().zip(0..).filter(|(family, _)| !family.needs_euis() && !family.is_pattern());
        let keys: u64 = families().map(|(family, _)| u64::from(family.count)).sum();
        let mut waiting = std::mem::take(&mut self.cheap).into_iter();
        loop {
            // A key's schedule is paid once for all frames beside one another.
            let mut tried: Vec<At> = Vec::new();
            let mut frames: Vec<(At, Target)> = Vec::new();
            while frames.len() + usize::from(HIGH_WORDS) <= SIDE_BY_SIDE {
                let Some(at) = waiting.next() else { break };
                let Some(session) = self.sessions.get_mut(&at).filter(|session| session.is_to_be_tried()) else { continue };
                let targets = session.targets();
                if !purse.pay(keys * targets.len() as u64) {
                    session.stage = Stage::Short;
                    continue;
                }
                tried.push(at);
                frames.extend(targets.into_iter().map(|target| (at, target)));
            }
            if tried.is_empty() {
                return;
            }
            let mut trials = Trials::new(frames.iter().map(|(_, target)| target));
            let mut hits: Vec<(usize, Candidate, Key)> = Vec::new();
            for (family, number) in families() {
                family.each(0..family.count, None, |index, key| {
                    trials.try_key(key, |frame| hits.push((frame, Candidate { family: number, index }, Key::new(*key))));
                });
            }
            for (frame, candidate, key) in hits {
                let session = frames.get(frame).and_then(|(at, _)| self.sessions.get_mut(at));
                session.into_iter().for_each(|session| session.fitting(candidate, key.bytes(), counts));
            }
            for at in tried {
                let Some(session) = self.sessions.get_mut(&at) else { continue };
                session.stage = Stage::Cheap;
                match session.proof_seen() {
                    Some(seen) => self.proved.push((at, seen)),
                    None => drop(self.patterns.entry(at).or_insert(now)),
                }
            }
        }
    }

    /// Frames that wait for the patterns, as far as the budget goes; the first `room` of them.
    pub(super) fn frames_for_patterns(&mut self, keys: u64, room: usize, purse: &mut Purse) -> Vec<(At, Target)> {
        let mut frames = Vec::new();
        while frames.len() + usize::from(HIGH_WORDS) <= room {
            let Some((at, _)) = self.patterns.pop_first() else { break };
            let Some(session) = self.sessions.get_mut(&at).filter(|session| session.is_to_be_tried()) else { continue };
            let targets = session.targets();
            if !purse.pay_for_session(keys * targets.len() as u64) {
                session.stage = Stage::Short;
                continue;
            }
            session.stage = Stage::Done;
            frames.extend(targets.into_iter().map(|target| (at, target)));
        }
        frames
    }

    /// A candidate of the patterns fits a frame of this session.
    pub(super) fn hit(&mut self, at: At, candidate: Candidate, key: &[u8; 16], counts: &mut Counts) {
        let Some(session) = self.sessions.get_mut(&at) else { return };
        let before = session.has_known_key();
        session.fitting(candidate, key, counts);
        if let Some(seen) = session.proof_seen().filter(|_| !before) {
            self.proved.push((at, seen));
        }
    }
}

impl Session {
    fn new() -> Self {
        Self {
            samples: SmallVec::new(),
            up: None,
            transmissions: 0,
            gateways: SmallVec::new(),
            other_receptions: 0,
            keys: Vec::new(),
            fits: SmallVec::new(),
            proved: None,
            stage: Stage::Waiting,
            joined: false,
            linked: false,
            owner: None,
        }
    }

    fn provisional(&self) -> bool {
        self.transmissions <= 1 && self.keys.is_empty() && !self.joined
    }

    /// The counter of the last uplink, its high half by continuity.
    pub fn f_cnt(&self) -> Option<u32> {
        self.up
    }

    /// Distinct uplinks.
    pub fn transmissions(&self) -> u64 {
        self.transmissions
    }

    /// Gateways and how many uplinks each heard.
    pub fn receptions(&self) -> &[(u64, u64)] {
        &self.gateways
    }

    /// Receptions by gateways that are not known or beyond [`GATEWAYS`].
    pub fn other_receptions(&self) -> u64 {
        self.other_receptions
    }

    pub(super) fn keys(&mut self) -> &mut [Known] {
        &mut self.keys
    }

    /// Whether published keys say anything of it: its keys were not derived in a join, and the owner's are not all that it uses.
    fn is_to_be_tried(&self) -> bool {
        !self.joined && !self.owner.as_ref().is_some_and(Owner::settles)
    }

    fn received(&mut self, gateway: Option<u64>) {
        let Some(eui) = gateway else {
            self.other_receptions += 1;
            return;
        };
        let room = self.gateways.len() < GATEWAYS;
        match self.gateways.iter_mut().find(|(known, _)| *known == eui) {
            Some((_, count)) => *count += 1,
            None if room => self.gateways.push((eui, 1)),
            None => self.other_receptions += 1,
        }
    }

    fn transmitted(&mut self, data: &DataFrame<'_>, phy: &PhyPayload<'_>, seen: Seen) {
        self.transmissions += 1;
        self.up = Some(continued(self.up, data.f_cnt_lsb));
        if self.joined {
            return;
        }
        if self.samples.len() < 2 && self.samples.iter().all(|sample| sample.f_cnt_lsb != data.f_cnt_lsb) {
            self.samples.push(Sample { phy_payload: phy.bytes.into(), f_cnt_lsb: data.f_cnt_lsb, seen });
        }
        let confirmed = self.fits.iter().find(|fit| {
            fit.f_cnt_lsb != data.f_cnt_lsb
                && (0..HIGH_WORDS).any(|word| target(phy, data, word).is_some_and(|t| t.fits(&fit.key)))
        });
        if let Some(fit) = confirmed {
            let mut evidence = Evidence::one(fit.seen, "lorawan.mic");
            evidence.add(seen, "lorawan.mic");
            self.prove(fit.candidate, evidence);
        }
    }

    fn prove(&mut self, candidate: Candidate, evidence: Evidence) {
        if self.proved.as_ref().is_none_or(|proof| candidate < proof.candidate) {
            self.proved = Some(Proof { candidate, evidence });
        }
    }

    /// The first sample, once for each high half of the counter that is tried.
    fn targets(&self) -> Vec<Target> {
        self.samples.first().map(Sample::targets).unwrap_or_default()
    }

    fn fitting(&mut self, candidate: Candidate, key: &[u8; 16], counts: &mut Counts) {
        let key = Key::new(*key);
        let fits = |sample: &&Sample| sample.targets().iter().any(|target| target.fits(&key));
        let fitting: SmallVec<[(u16, Seen); 2]> =
            self.samples.iter().filter(fits).map(|sample| (sample.f_cnt_lsb, sample.seen)).collect();
        match *fitting.as_slice() {
            [(_, first), (_, second), ..] => {
                let mut evidence = Evidence::one(first, "lorawan.mic");
                evidence.add(second, "lorawan.mic");
                self.prove(candidate, evidence);
            }
            [(f_cnt_lsb, seen)] if self.fits.len() < FITS => self.fits.push(Fit { candidate, key, f_cnt_lsb, seen }),
            [_] => counts.hits_dropped += 1,
            [] => {}
        }
    }

    /// Where the proof was complete.
    fn proof_seen(&self) -> Option<Seen> {
        self.proved.as_ref()?.evidence.pointers().last().map(|pointer| pointer.seen)
    }

    /// Whether a published key was proved on this session.
    pub(super) fn has_known_key(&self) -> bool {
        self.proved.is_some()
    }

    /// The answer to `lorawan-known-session-key`.
    pub(super) fn answer(&self, candidates: &Candidates) -> Answer {
        if let Some(proof) = &self.proved {
            let (list, origin) = candidates.told(proof.candidate).unwrap_or_default();
            return Answer::Found(Found {
                severity: Severity::Critical,
                confidence: Confidence::Proved,
                arguments: vec![("_proof", "the codes of two frames".into()), ("list", list.into()), ("origin", origin.into())],
                evidence: proof.evidence.clone(),
            });
        }
        let keys = grouped(candidates.independent_count());
        match self.stage {
            _ if self.samples.len() < 2 => Answer::Untested("fewer than two uplinks with different counters seen".into()),
            _ if !self.fits.is_empty() => {
                Answer::Untested("a published key fits one frame and not another: chance, or two devices with one address".into())
            }
            Stage::Done => Answer::Clear(
                format!(
                    "tested against {keys} keys on lists and simple patterns, with frame counters to {}",
                    grouped((u64::from(HIGH_WORDS) << 16) - 1)
                )
                .into(),
            ),
            Stage::Short => Answer::Untested("budget: the day's key trials for all devices are used up".into()),
            Stage::Waiting | Stage::Cheap => Answer::Untested("key trials still wait".into()),
        }
    }
}

impl Sample {
    fn targets(&self) -> Vec<Target> {
        let Ok(phy) = PhyPayload::parse(&self.phy_payload) else { return Vec::new() };
        let Frame::Data(data) = phy.frame else { return Vec::new() };
        (0..HIGH_WORDS).filter_map(|word| target(&phy, &data, word)).collect()
    }
}

fn target(phy: &PhyPayload<'_>, data: &DataFrame<'_>, word: u16) -> Option<Target> {
    let f_cnt = (u32::from(word) << 16) + u32::from(data.f_cnt_lsb);
    mic_target(phy, data, 0, f_cnt)
}

fn mic_target(phy: &PhyPayload<'_>, data: &DataFrame<'_>, conf_f_cnt: u16, f_cnt: u32) -> Option<Target> {
    let b0 = blocks::b0(data, phy, conf_f_cnt, f_cnt)?;
    Some(Target::new(&[&b0, phy.mic_message()?], phy.mic()?.try_into().ok()?))
}

/// The whole counter where `last` went before: the next with these low bits. One that falls by more than half the range went on past it; one
/// that falls a little is late; one that falls to 0 from further up started again.
fn continued(last: Option<u32>, lsb: u16) -> u32 {
    let lsb = u32::from(lsb);
    let Some(last) = last else { return lsb };
    let same = (last & !0xffff) + lsb;
    match (last & 0xffff).saturating_sub(lsb) {
        0x8001.. => same.wrapping_add(0x1_0000),
        LATE.. if lsb == 0 => 0,
        _ => same,
    }
}

impl Known {
    pub(super) fn new(keys: SessionKeys, dev_eui: Option<u64>) -> Self {
        Self { keys, dev_eui, counters: [None; 2], confirmed: 0 }
    }

    /// The whole counter with which these keys make the frame's MIC.
    pub(super) fn verify(&mut self, phy: &PhyPayload<'_>, data: &DataFrame<'_>) -> Option<u32> {
        let which = usize::from(data.link == Link::Down);
        let near = continued(self.counters.get(which).copied().flatten(), data.f_cnt_lsb);
        let words = (0..HIGH_WORDS).map(|word| (u32::from(word) << 16) + u32::from(data.f_cnt_lsb));
        let tried = [near, near.wrapping_add(0x1_0000)].into_iter().chain(words);
        let f_cnt = tried.into_iter().find(|f_cnt| self.fits(phy, data, *f_cnt).unwrap_or(false))?;
        if let Some(counter) = self.counters.get_mut(which) {
            *counter = Some(f_cnt);
        }
        if data.link == Link::Up && data.confirmed {
            self.confirmed = data.f_cnt_lsb;
        }
        Some(f_cnt)
    }

    fn fits(&self, phy: &PhyPayload<'_>, data: &DataFrame<'_>, f_cnt: u32) -> Option<bool> {
        if !self.keys.v1_1 {
            return Some(mic_target(phy, data, 0, f_cnt)?.fits(&self.keys.f_nwk_s_int));
        }
        Some(match data.link {
            // The second half of an uplink's MIC comes from B0 alone.
            Link::Up => mic_target(phy, data, 0, f_cnt)?.half_fits(&self.keys.f_nwk_s_int, 2),
            Link::Down => {
                let acknowledged = if data.f_ctrl.ack() { self.confirmed } else { 0 };
                mic_target(phy, data, acknowledged, f_cnt)?.fits(&self.keys.s_nwk_s_int)
            }
        })
    }
}
