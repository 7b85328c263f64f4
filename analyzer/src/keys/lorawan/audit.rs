//! Devices that join, and the candidate keys that were tried on their joins.
//!
//! A candidate that fits the MIC of one join-request is possible: there are some 330,000 candidates and 2^32 codes, so one honest device in
//! 13,000 fits one by chance. It is proved by another join-request with another DevNonce, by the join-accept, or by a rejoin-request
//! of type 1. Copies of a frame (other gateways, retransmissions) are the same bytes and show nothing new.
//!
//! Two stages: the cheap families on every distinct join at the next epoch; the patterns, which are the same for all devices, once a day and
//! device on all frames that wait, together. A frame that somebody forged in a device's name fits nothing, so a fit stands until a join
//! that was answered, or several others, do not fit it: then the key was replaced, or it was chance.

use super::candidates::{Candidate, Candidates, Euis};
use super::derive::{self, OpenedAccept, Request};
use super::key::Key;
use super::mic::{Target, Trials};
use super::owner::Owner;
use super::{Budget, Counts};
use crate::findings::{Answer, Evidence, Found, Severity};
use crate::hot::owned::Seen;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::Confidence;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Devices kept: some hundred gateways' worth. A DevEUI that was seen in one join alone makes room first: a flood invents them.
pub const DEVICES: usize = 32_768;

/// Distinct joins kept of a device: two prove, and the others tell a replaced key from a forged join.
pub const JOINS: usize = 4;

/// Candidates kept that fit a device's joins. Two at once would be chance on chance.
pub const FITS: usize = 4;

/// Join-accepts kept of a device until a key is found that opens one.
pub const ACCEPTS: usize = 2;

/// Joins that do not fit after which a candidate that only one fits was chance.
pub const MISSES: u8 = 2;

/// The patterns are tried on a device's joins at most once in this time.
pub const SWEEP_PERIOD: Nanos = 86_400 * SECOND;

/// A device that joined.
pub struct Device {
    joins: Vec<Join>,
    /// Distinct joins, rejoins not counted.
    joins_seen: u64,
    /// Repeated frames: other gateways and retransmissions.
    copies: u64,
    fits: SmallVec<[Fit; 1]>,
    accepts: SmallVec<[HeldAccept; 1]>,
    /// JoinEUI of the last join.
    join_eui: u64,
    swept: Option<Timestamp>,
    /// Trials on this day of packet time.
    spent: (u64, u64),
    /// Keys that were tried on at least one join when the budget ended.
    short: Option<Short>,
    /// What its joins said of the key that its owner configured.
    pub(super) owner: Option<Owner>,
}

/// What a budget did not allow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Short {
    Device,
    Total,
}

/// One distinct join-request.
struct Join {
    request: Request,
    phy_payload: [u8; 23],
    target: Target,
    seen: Seen,
    cheap: bool,
    patterns: bool,
}

struct Fit {
    candidate: Candidate,
    key: Key,
    nonces: SmallVec<[u16; 2]>,
    misses: u8,
    /// What proved it first.
    proof: Option<&'static str>,
    evidence: Evidence,
}

impl Fit {
    fn proved(&self) -> bool {
        self.proof.is_some()
    }

    fn add(&mut self, nonce: u16, seen: Seen) {
        if self.nonces.contains(&nonce) {
            return;
        }
        if self.nonces.len() < 2 {
            self.nonces.push(nonce);
        }
        if self.nonces.len() == 2 {
            self.proof.get_or_insert("the codes of two joins");
        }
        self.evidence.add(seen, "lorawan.mic");
    }
}

struct HeldAccept {
    request: Request,
    network: NetworkId,
    seen: Seen,
    phy_payload: SmallVec<[u8; 33]>,
}

/// A join-accept that a key opened.
pub(super) struct Opened {
    pub(super) request: Request,
    pub(super) network: NetworkId,
    pub(super) seen: Seen,
    pub(super) accept: OpenedAccept,
    pub(super) root: Key,
}

/// The devices by DevEUI, and which of them wait for what.
pub(super) struct Devices {
    devices: HashMap<u64, Device, FixedState>,
    /// In the order in which they came, while they have one join.
    provisional: VecDeque<u64>,
    cheap: BTreeSet<u64>,
    /// Since when.
    patterns: BTreeMap<u64, Timestamp>,
    candidates: &'static Candidates,
}

impl Devices {
    pub(super) fn new(candidates: &'static Candidates) -> Self {
        let devices = HashMap::with_hasher(FixedState::with_seed(0));
        Self { devices, provisional: VecDeque::new(), cheap: BTreeSet::new(), patterns: BTreeMap::new(), candidates }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Device)> {
        self.devices.iter().map(|(eui, device)| (*eui, device))
    }

    pub(super) fn get(&self, dev_eui: u64) -> Option<&Device> {
        self.devices.get(&dev_eui)
    }

    pub(super) fn get_mut(&mut self, dev_eui: u64) -> Option<&mut Device> {
        self.devices.get_mut(&dev_eui)
    }

    /// The device, new if need be; `None` where there is no room.
    pub(super) fn entry(&mut self, dev_eui: u64, counts: &mut Counts) -> Option<&mut Device> {
        if !self.devices.contains_key(&dev_eui) && self.devices.len() >= DEVICES {
            self.make_room(counts)?;
        }
        if !self.devices.contains_key(&dev_eui) {
            self.provisional.push_back(dev_eui);
        }
        Some(self.devices.entry(dev_eui).or_insert_with(Device::new))
    }

    fn make_room(&mut self, counts: &mut Counts) -> Option<()> {
        while let Some(eui) = self.provisional.pop_front() {
            if self.devices.get(&eui).is_some_and(Device::provisional) {
                self.devices.remove(&eui);
                self.cheap.remove(&eui);
                self.patterns.remove(&eui);
                counts.devices_forgotten += 1;
                return Some(());
            }
        }
        counts.devices_refused += 1;
        None
    }

    /// Takes a join-request; answers whether it is a new one.
    pub(super) fn join(
        &mut self,
        request: Request,
        phy_payload: &[u8],
        target: Target,
        seen: Seen,
        counts: &mut Counts,
    ) -> Option<bool> {
        let phy_payload: [u8; 23] = phy_payload.try_into().ok()?;
        let device = self.entry(request.dev_eui, counts)?;
        let new = device.join(Join { request, phy_payload, target, seen, cheap: false, patterns: false });
        if new && !device.fits.iter().any(Fit::proved) {
            self.cheap.insert(request.dev_eui);
        }
        Some(new)
    }

    /// Whether a join of this device was answered and none of its candidates fits: then it has another key now.
    pub(super) fn answered(&mut self, request: &Request) {
        let Some(device) = self.devices.get_mut(&request.dev_eui) else { return };
        let Some(join) = device.joins.iter().find(|join| join.request == *request) else { return };
        if !device.fits.is_empty() && !device.fits.iter().any(|fit| join.target.fits(&fit.key)) {
            device.fits.clear();
            self.cheap.insert(request.dev_eui);
        }
    }

    /// Devices that a budget stopped wait again.
    pub(super) fn new_day(&mut self) {
        for (dev_eui, device) in &mut self.devices {
            if device.short.take().is_some() {
                self.cheap.insert(*dev_eui);
            }
        }
    }

    /// Since when the longest waiting device waits for the patterns, and how many do.
    pub(super) fn waiting(&self) -> (Option<Timestamp>, usize) {
        (self.patterns.values().min().copied(), self.patterns.len())
    }

    /// Tries the cheap families on joins that are new. Answers join-accepts that the keys found open.
    pub(super) fn cheap_stage(&mut self, now: Timestamp, purse: &mut Purse, counts: &mut Counts) -> Vec<Opened> {
        let mut opened = Vec::new();
        for dev_eui in std::mem::take(&mut self.cheap) {
            let Some(device) = self.devices.get_mut(&dev_eui).filter(|device| !device.is_settled()) else { continue };
            for at in 0..device.joins.len() {
                device.try_cheap(at, self.candidates, now, purse, counts);
            }
            opened.extend(device.open_accepts(dev_eui));
            if device.wants_patterns(now) {
                self.patterns.entry(dev_eui).or_insert(now);
            }
        }
        opened
    }

    /// Frames that wait for the patterns, as far as the budget goes; the first `room` of them.
    pub(super) fn frames_for_patterns(
        &mut self,
        now: Timestamp,
        keys: u64,
        room: usize,
        purse: &mut Purse,
    ) -> Vec<(u64, Request, Target)> {
        let mut frames = Vec::new();
        while let Some((dev_eui, since)) = self.patterns.pop_first() {
            let Some(device) = self.devices.get_mut(&dev_eui).filter(|device| !device.is_settled()) else { continue };
            let wanted = device.joins.iter().filter(|join| !join.patterns).count();
            if frames.len() + wanted > room {
                self.patterns.insert(dev_eui, since);
                break;
            }
            device.short = None;
            for at in 0..device.joins.len() {
                if device.joins.get(at).is_none_or(|join| join.patterns) || !device.pay(keys, now, purse) {
                    continue;
                }
                let Some(join) = device.joins.get_mut(at) else { continue };
                join.patterns = true;
                device.swept = Some(now);
                frames.push((dev_eui, join.request, join.target.clone()));
            }
        }
        frames
    }

    /// A candidate of the patterns fits a join. Answers join-accepts that it opens.
    pub(super) fn hit(
        &mut self,
        dev_eui: u64,
        request: &Request,
        candidate: Candidate,
        key: &[u8; 16],
        counts: &mut Counts,
    ) -> Vec<Opened> {
        let Some(device) = self.devices.get_mut(&dev_eui) else { return Vec::new() };
        if let Some(at) = device.joins.iter().position(|join| join.request == *request) {
            device.fitting(at, candidate, key, counts);
        }
        device.open_accepts(dev_eui)
    }

    /// Keeps a join-accept that may answer a request of this device, and opens it if a candidate does.
    pub(super) fn accept(&mut self, request: Request, network: NetworkId, seen: Seen, phy_payload: &[u8]) -> Vec<Opened> {
        let Some(device) = self.devices.get_mut(&request.dev_eui) else { return Vec::new() };
        if device.accepts.len() == ACCEPTS {
            device.accepts.remove(0);
        }
        device.accepts.push(HeldAccept { request, network, seen, phy_payload: phy_payload.into() });
        device.open_accepts(request.dev_eui)
    }

    /// A rejoin-request of type 1 shows the NwkKey once more.
    pub(super) fn rejoin(&mut self, dev_eui: u64, target: &Target, seen: Seen) {
        let Some(device) = self.devices.get_mut(&dev_eui) else { return };
        for fit in &mut device.fits {
            if derive::rejoin_fits(&fit.key, dev_eui, target) {
                fit.proof.get_or_insert("the codes of a join and a rejoin");
                fit.evidence.add(seen, "lorawan.mic");
            }
        }
    }
}

impl Device {
    fn new() -> Self {
        Self {
            joins: Vec::new(),
            joins_seen: 0,
            copies: 0,
            fits: SmallVec::new(),
            accepts: SmallVec::new(),
            join_eui: 0,
            swept: None,
            spent: (0, 0),
            short: None,
            owner: None,
        }
    }

    /// Distinct join-requests.
    pub fn joins(&self) -> u64 {
        self.joins_seen
    }

    /// Copies of join-requests: other gateways and retransmissions.
    pub fn copies(&self) -> u64 {
        self.copies
    }

    fn provisional(&self) -> bool {
        self.joins_seen <= 1 && self.fits.is_empty() && self.accepts.is_empty()
    }

    /// JoinEUI of the last join; 0 before the first.
    pub(super) fn join_eui(&self) -> u64 {
        self.join_eui
    }

    fn join(&mut self, join: Join) -> bool {
        if self.joins.iter().any(|known| known.phy_payload == join.phy_payload) {
            self.copies += 1;
            return false;
        }
        self.joins_seen += 1;
        self.join_eui = join.request.join_eui;
        for fit in &mut self.fits {
            if join.target.fits(&fit.key) {
                fit.add(join.request.nonce, join.seen);
            } else if !fit.proved() {
                fit.misses += 1;
            }
        }
        self.fits.retain(|fit| fit.proved() || fit.misses < MISSES);
        if self.joins.len() == JOINS {
            self.joins.remove(0);
        }
        self.joins.push(join);
        true
    }

    /// Takes trials from the device's and the common budget of the day; all of them or none.
    fn pay(&mut self, trials: u64, now: Timestamp, purse: &mut Purse) -> bool {
        let day = purse.day(now);
        if self.spent.0 != day {
            self.spent = (day, 0);
        }
        if self.spent.1 + trials > purse.budget.per_device {
            self.short = Some(Short::Device);
            return false;
        }
        if !purse.pay(trials) {
            self.short = Some(Short::Total);
            return false;
        }
        self.spent.1 += trials;
        true
    }

    fn try_cheap(&mut self, at: usize, candidates: &Candidates, now: Timestamp, purse: &mut Purse, counts: &mut Counts) {
        let Some(join) = self.joins.get(at).filter(|join| !join.cheap) else { return };
        let euis = Euis { dev_eui: join.request.dev_eui, join_eui: join.request.join_eui };
        let target = join.target.clone();
        let families = || candidates.families.iter().zip(0..).filter(|(family, _)| !family.is_pattern());
        let keys = families().map(|(family, _)| u64::from(family.count)).sum();
        if !self.pay(keys, now, purse) {
            return;
        }
        let mut trials = Trials::new([&target]);
        let mut hits: Vec<(Candidate, [u8; 16])> = Vec::new();
        for (family, number) in families() {
            family.each(0..family.count, Some(euis), |index, key| {
                trials.try_key(key, |_| hits.push((Candidate { family: number, index }, *key)));
            });
        }
        if let Some(join) = self.joins.get_mut(at) {
            join.cheap = true;
        }
        for (candidate, key) in hits {
            self.fitting(at, candidate, &key, counts);
        }
    }

    /// Remembers that a candidate fits a join. A key that stands in several families is told by the first.
    fn fitting(&mut self, at: usize, candidate: Candidate, key: &[u8; 16], counts: &mut Counts) {
        let Some(join) = self.joins.get(at) else { return };
        if let Some(fit) = self.fits.iter_mut().find(|fit| fit.key.bytes() == key) {
            fit.candidate = fit.candidate.min(candidate);
            fit.add(join.request.nonce, join.seen);
            return;
        }
        if self.fits.len() == FITS {
            counts.hits_dropped += 1;
            return;
        }
        let evidence = Evidence::default();
        let mut fit = Fit { candidate, key: Key::new(*key), nonces: SmallVec::new(), misses: 0, proof: None, evidence };
        for join in &self.joins {
            if join.target.fits(&fit.key) {
                fit.add(join.request.nonce, join.seen);
            }
        }
        self.fits.push(fit);
    }

    /// Tries what fits on the join-accepts that were kept.
    fn open_accepts(&mut self, dev_eui: u64) -> Vec<Opened> {
        let mut opened = Vec::new();
        let fits = &mut self.fits;
        self.accepts.retain(|held| {
            let found = fits.iter_mut().find_map(|fit| Some((derive::open(&fit.key, &held.request, &held.phy_payload)?, fit)));
            let Some((accept, fit)) = found else { return true };
            debug_assert_eq!(held.request.dev_eui, dev_eui);
            fit.proof.get_or_insert("the codes of a join and its join-accept");
            fit.evidence.add(held.seen, "lorawan.phy_payload");
            let (request, network, seen) = (held.request, held.network, held.seen);
            opened.push(Opened { request, network, seen, accept, root: fit.key.clone() });
            false
        });
        opened
    }

    fn wants_patterns(&self, now: Timestamp) -> bool {
        self.fits.is_empty()
            && self.joins.iter().any(|join| !join.patterns)
            && self.swept.is_none_or(|swept| now.since(swept) >= SWEEP_PERIOD)
    }

    /// Tries the configured keys on the last join: whether one fits it.
    pub(super) fn try_owners(&mut self, roots: &[Key]) -> bool {
        let Some(join) = self.joins.last() else { return false };
        let owner = self.owner.get_or_insert_with(|| Owner::new([], 1));
        let fitting = roots.iter().find(|root| join.target.fits(root));
        match fitting {
            Some(root) => owner.fits_with(root, join.seen),
            None => owner.misses(),
        }
        fitting.is_some()
    }

    /// Whether the owner's key made all its joins: no other needs to be tried.
    fn is_settled(&self) -> bool {
        self.owner.as_ref().is_some_and(Owner::settles)
    }

    /// What the last join showed in clear.
    pub(super) fn euis(&self) -> Option<Euis> {
        self.joins.last().map(|join| Euis { dev_eui: join.request.dev_eui, join_eui: join.request.join_eui })
    }

    /// The answer to `lorawan-known-key`.
    pub(super) fn answer(&self, candidates: &Candidates) -> Answer {
        // The surest, and among equals the earliest family.
        if let Some(fit) = self.fits.iter().min_by_key(|fit| (!fit.proved(), fit.candidate)) {
            return Answer::Found(self.found(fit, candidates));
        }
        let Some(last) = self.joins.last() else { return Answer::Untested(super::checks::NO_JOIN.into()) };
        let swept = self.joins.iter().filter(|join| join.cheap && join.patterns).count();
        if swept > 0 {
            let tested = format!(
                "tested against {} keys on lists and derived from what it sends in clear, on {swept} of {} joins",
                grouped(candidates.count()),
                grouped(self.joins_seen)
            );
            return Answer::Clear(tested.into());
        }
        let tried = if last.cheap { candidates.count() - patterns(candidates) } else { 0 };
        let so_far = format!("{} of {} candidate keys tried", grouped(tried), grouped(candidates.count()));
        let why = match self.short {
            Some(Short::Device) => format!("budget: this device's key trials for the day are used up; {so_far}"),
            Some(Short::Total) => format!("budget: the day's key trials for all devices are used up; {so_far}"),
            None => format!("key trials still wait; {so_far}"),
        };
        Answer::Untested(why.into())
    }

    fn found(&self, fit: &Fit, candidates: &Candidates) -> Found {
        let (list, origin) = candidates.told(fit.candidate).unwrap_or_default();
        let chance = || {
            let honest = (1_u64 << 32) / candidates.count().max(1);
            format!(
                "the 32-bit code of one join alone, which one honest device in {} fits by chance; a second join decides",
                grouped(honest)
            )
        };
        Found {
            severity: Severity::Critical,
            confidence: if fit.proved() { Confidence::Proved } else { Confidence::Possible },
            arguments: vec![
                ("_proof", fit.proof.map_or_else(|| chance().into(), Into::into)),
                ("list", list.into()),
                ("origin", origin.into()),
            ],
            evidence: fit.evidence.clone(),
        }
    }
}

/// How many candidates are patterns.
pub(super) fn patterns(candidates: &Candidates) -> u64 {
    candidates.families.iter().filter(|family| family.is_pattern()).map(|family| u64::from(family.count)).sum()
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Patterns on sessions get this part of a day's trials. Only a device activated by personalisation can have a published session key, and the lists
/// were tried on it before; what joins has a key made at random, so trials are better spent on joins.
const SESSIONS_SHARE: u64 = 40;

/// What is left of the day's trials for all devices.
pub(super) struct Purse {
    pub(super) budget: Budget,
    day: u64,
    spent: u64,
    /// Of those, on patterns for sessions.
    spent_on_sessions: u64,
    /// Trials ever made.
    pub(super) trials: u64,
}

impl Purse {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, day: 0, spent: 0, spent_on_sessions: 0, trials: 0 }
    }

    /// The day of packet time, at whose change the budgets are new.
    pub(super) fn day(&mut self, now: Timestamp) -> u64 {
        let day = now.seconds() / 86_400;
        if day != self.day {
            (self.day, self.spent, self.spent_on_sessions) = (day, 0, 0);
        }
        day
    }

    /// Pays for patterns on a session, of which the budget holds a share back for devices that join.
    pub(super) fn pay_for_session(&mut self, trials: u64) -> bool {
        let fits = self.spent_on_sessions + trials <= self.budget.in_total / SESSIONS_SHARE;
        let paid = fits && self.pay(trials);
        self.spent_on_sessions += if paid { trials } else { 0 };
        paid
    }

    pub(super) fn pay(&mut self, trials: u64) -> bool {
        let enough = self.spent + trials <= self.budget.in_total;
        if enough {
            self.spent += trials;
            self.trials += trials;
        }
        enough
    }
}
