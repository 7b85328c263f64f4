//! Keys and sessions of LoRaWAN: proves candidate keys on frames, links DevAddr to DevEUI, and reads what a key makes readable.
//!
//! It works behind the capture, on events in the order of packets, without a clock and without chance: the same events give the same answers.
//!
//! - [`candidates`]: which keys are public knowledge or follow from what is sent in clear.
//! - [`mic`]: the codes that prove a key, quickly.
//! - [`audit`]: devices that join, what was tried on them, what was found.
//! - [`sessions`]: transmissions, counters, session keys.
//! - [`mod@derive`] and [`derived`]: what follows from a key. `links`: which session belongs to which device.
//! - [`config`]: keys of the owner. `owner`: what the frames say of them.
//!
//! Values of keys stay in [`key::Key`], which cannot be printed: verdicts name the list that a key stands on, never the key.
//!
//! Documents: TS001-1.0.4, LoRaWAN Specification 1.1, RP002-1.0.4, RFC 4493.

pub mod audit;
pub mod candidates;
pub mod checks;
pub mod config;
pub mod derive;
pub mod derived;
pub mod key;
mod links;
pub mod mic;
mod owner;
pub mod sessions;

#[cfg(test)]
mod tests;

pub use config::{KeyConfig, RootKeys};
pub use derived::{Content, Derived};

use crate::findings::{Answer, CheckSpec, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedFact, OwnedValue, Seen, ValueKey};
use audit::{Device, Devices, Opened, Purse};
use candidates::{Candidate, Candidates};
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::{Confidence, SecurityAspect};
use citytap_sensor::protocols::lorawan::wire::{DataFrame, Frame, PhyPayload};
use citytap_sensor::protocols::lorawan::{DEV_ADDR, DEV_EUI, dev_addr, dev_eui};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use derive::Request;
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use key::Key;
use links::{Likely, Links, Passed};
use mic::{Target, Trials};
use owner::{Owner, Subject};
use sessions::{Session, Sessions};
use std::collections::BTreeMap;
use std::hash::BuildHasher;

/// High halves of the frame counter that are tried: a counter of 262,143 is a frame every five minutes for two and a half years.
pub const HIGH_WORDS: u16 = 4;

/// The patterns wait this long for other frames, since a key's schedule is paid once for all frames that wait.
pub const GATHER: Nanos = 30 * SECOND;

/// Devices and sessions that wait before the patterns are tried at once.
pub const GATHERED: usize = 64;

/// Frames on which a key is tried side by side: beyond this nothing is gained, and the layout stays within the first cache.
pub const SIDE_BY_SIDE: usize = 256;

/// Facts kept until they are taken.
pub const FACTS: usize = 65_536;

/// Facts remembered as told; when that is full all are told again.
pub const SAID: usize = 65_536;

/// How much may be tried. A trial is one key on one frame; a core makes 6 to 60 million a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Trials a device and day of packet time: all candidates on four joins, and then some.
    pub per_device: u64,
    /// Trials a day of packet time for all devices and sessions: 30,000 devices once, between three minutes and half an hour of one core.
    pub in_total: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { per_device: 2_000_000, in_total: 10_000_000_000 }
    }
}

/// What was dropped or forgotten at a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Devices with one join that made room for others.
    pub devices_forgotten: u64,
    /// Joins of devices for which there was no room.
    pub devices_refused: u64,
    /// Sessions with one uplink that made room for others.
    pub sessions_forgotten: u64,
    /// Uplinks of sessions for which there was no room.
    pub sessions_refused: u64,
    /// Session keys that made room for newer ones of the same device address.
    pub session_keys_forgotten: u64,
    /// Join-requests that could not be matched with a join-accept any more.
    pub requests_forgotten: u64,
    /// Answered joins whose first uplink could not be waited for.
    pub answered_forgotten: u64,
    /// Candidates beyond those that are kept for one device.
    pub hits_dropped: u64,
    /// Derived observations and facts that nobody took in time.
    pub outputs_dropped: u64,
    /// Frames whose MIC was right under a known session key.
    pub mics_right: u64,
    /// Frames at an address with known session keys whose MIC no key makes.
    pub mics_wrong: u64,
    /// Payloads and MAC commands that were decrypted.
    pub payloads_read: u64,
    /// Joins that the configured key of their device does not make.
    pub configured_keys_wrong: u64,
}

/// The stage. It has no `Debug`: it holds secrets.
pub struct LorawanKeys {
    config: KeyConfig,
    candidates: &'static Candidates,
    devices: Devices,
    sessions: Sessions,
    links: Links,
    purse: Purse,
    day: Option<u64>,
    counts: Counts,
    facts: Vec<(Seen, OwnedFact)>,
    said: HashSet<u64, FixedState>,
    derived: Vec<Derived>,
}

/// The fields of every kind, in this order.
const FIELDS: &[&str] = &["phy_payload", "gateway", "tmst_us"];

/// A frame that waits for the patterns.
enum Waiting {
    Join(u64, Request),
    Data(sessions::At),
}

impl LorawanKeys {
    /// What this stage wants of the shards. Its fields come first in an event's fields.
    pub const INTERESTS: &'static [Interest] = &[
        Interest::messages("lorawan.join_request", FIELDS),
        Interest::messages("lorawan.join_accept", FIELDS),
        Interest::messages("lorawan.rejoin_request", FIELDS),
        Interest::messages("lorawan.data", FIELDS),
    ];

    /// The checks that it answers.
    pub const CHECKS: &'static [&'static CheckSpec] = checks::ALL;

    /// Starts with the owner's keys and how much may be tried.
    pub fn new(config: KeyConfig, budget: Budget) -> Self {
        Self::with_candidates(config, budget, Candidates::embedded())
    }

    fn with_candidates(config: KeyConfig, budget: Budget, candidates: &'static Candidates) -> Self {
        Self {
            config,
            candidates,
            devices: Devices::new(candidates),
            sessions: Sessions::new(candidates),
            links: Links::default(),
            purse: Purse::new(budget),
            day: None,
            counts: Counts::default(),
            facts: Vec::new(),
            said: HashSet::with_hasher(FixedState::with_seed(0)),
            derived: Vec::new(),
        }
    }

    /// Takes a record of one of [`LorawanKeys::INTERESTS`]; others it ignores.
    pub fn observe(&mut self, event: &Event) {
        let Some(bytes) = event.fields.first().and_then(OwnedValue::bytes) else { return };
        let Ok(phy) = PhyPayload::parse(bytes) else { return };
        let gateway = event.fields.get(1).and_then(OwnedValue::unsigned);
        let tmst_us = event.fields.get(2).and_then(OwnedValue::unsigned).and_then(|tmst| u32::try_from(tmst).ok());
        let passed = Passed { network: event.network, gateway, tmst_us };
        match &phy.frame {
            Frame::JoinRequest(request) => {
                let request = Request {
                    kind: derive::JOIN,
                    dev_eui: request.dev_eui.0,
                    join_eui: request.join_eui.0,
                    nonce: request.dev_nonce,
                };
                self.join_request(request, &phy, passed, event.seen);
            }
            Frame::RejoinRequest(rejoin) => {
                let dev_eui = rejoin.dev_eui.0;
                let Some(device) = self.devices.entry(dev_eui, &mut self.counts) else { return };
                let join_eui = rejoin.join_eui.map_or(device.join_eui(), |eui| eui.0);
                let request = Request { kind: rejoin.rejoin_type, dev_eui, join_eui, nonce: rejoin.rj_count };
                self.links.requested(request, passed, event.seen.time, &mut self.counts);
                if let Some(target) = join_target(&phy).filter(|_| rejoin.rejoin_type == 1) {
                    self.devices.rejoin(dev_eui, &target, event.seen);
                }
            }
            Frame::JoinAccept(_) => self.join_accept(&phy, passed, event.seen),
            Frame::Data(data) => self.data(data, &phy, passed, event.seen),
            Frame::Proprietary(_) => {}
        }
    }

    /// Takes a fact of the wire: a device that a server names has a verdict, if only that no join was seen, and where a server tells
    /// DevEUI and DevAddr together nothing is guessed.
    pub fn fact(&mut self, fact: &OwnedFact) {
        let eui = |key: &IdentityKey| match key.value {
            ValueKey::Hex(eui, _) if *key.kind == DEV_EUI => Some(eui),
            _ => None,
        };
        let address = |key: &IdentityKey| match key.value {
            ValueKey::Hex(address, _) if *key.kind == DEV_ADDR => Some((key.network, u32::try_from(address).ok()?)),
            _ => None,
        };
        match fact {
            OwnedFact::Identity { id, .. } => {
                if let Some(eui) = eui(id) {
                    self.devices.entry(eui, &mut self.counts);
                }
            }
            OwnedFact::SameAs { a, b, .. } => {
                let pair = eui(a).zip(address(b)).or(eui(b).zip(address(a)));
                if let Some((eui, at)) = pair {
                    self.devices.entry(eui, &mut self.counts);
                    drop(self.links.forget(eui));
                    if let Some(session) = self.sessions.entry(at, &mut self.counts) {
                        session.linked = true;
                    }
                }
            }
            _ => {}
        }
    }

    fn join_request(&mut self, request: Request, phy: &PhyPayload<'_>, passed: Passed, seen: Seen) {
        let Some(target) = join_target(phy) else { return };
        self.links.requested(request, passed, seen.time, &mut self.counts);
        let new = self.devices.join(request, phy.bytes, target, seen, &mut self.counts);
        let configured = self.config.root_keys(request.dev_eui, request.join_eui).map(configured).unwrap_or_default();
        if new == Some(true) && !configured.is_empty() {
            let roots: Vec<Key> = configured.into_iter().map(|(root, _)| root).collect();
            let right = self.devices.get_mut(request.dev_eui).is_some_and(|device| device.try_owners(&roots));
            self.counts.configured_keys_wrong += u64::from(!right);
        }
    }

    fn join_accept(&mut self, phy: &PhyPayload<'_>, passed: Passed, seen: Seen) {
        let Some((requests, only)) = self.links.accepted(phy.bytes, passed, seen) else { return };
        // A 1.0 join-accept names no device, and devices that share a key all seem to be meant: time and place decide, or the owner's
        // keys where just one of them opens it.
        let meant: Vec<Request> = only.map_or(requests, |request| vec![request]);
        let mut by_owner = meant.iter().filter_map(|request| self.open_by_owner(request, passed.network, phy.bytes, seen));
        if let (Some((opened, app_key)), None) = (by_owner.next(), by_owner.next()) {
            drop(by_owner);
            let request = opened.request;
            self.open_session(opened, app_key.as_ref());
            self.devices.accept(request, passed.network, seen, phy.bytes);
            self.devices.answered(&request);
            return;
        }
        let one_device = meant.windows(2).all(|pair| matches!(pair, [a, b] if a.dev_eui == b.dev_eui));
        let alone = meant.into_iter().filter(|_| one_device);
        let opened: Vec<Opened> =
            alone.flat_map(|request| self.devices.accept(request, passed.network, seen, phy.bytes)).collect();
        if let Some(request) = only {
            self.devices.answered(&request);
            if opened.is_empty() {
                let earlier = self.links.wait(&request, passed, seen, &mut self.counts);
                earlier.into_iter().for_each(|likely| self.likely(&likely));
            }
        }
        opened.into_iter().for_each(|opened| self.open_session(opened, None));
    }

    /// What a configured key of the device makes of a join-accept, and the AppKey that goes with it.
    fn open_by_owner(&self, request: &Request, network: NetworkId, bytes: &[u8], seen: Seen) -> Option<(Opened, Option<Key>)> {
        let roots = self.config.root_keys(request.dev_eui, request.join_eui).map(configured)?;
        let opened = |(root, app_key): (Key, Option<Key>)| {
            let accept = derive::open(&root, request, bytes)?;
            Some((Opened { request: *request, network, seen, accept, root }, app_key))
        };
        roots.into_iter().find_map(opened)
    }

    /// A key opened a join-accept: the session is the device's, and its keys follow.
    fn open_session(&mut self, opened: Opened, app_key: Option<&Key>) {
        let Opened { request, network, seen, accept, root } = opened;
        let Some(content) = accept.content() else { return };
        let address = content.dev_addr.0;
        let keys = derive::session_keys(&root, app_key, &request, &content);
        self.sessions.add_keys((network, address), keys, Some(request.dev_eui), &mut self.counts);
        drop(self.links.forget(request.dev_eui));
        self.link(request.dev_eui, network, address, "join accept", Confidence::Proved, seen);
        let content = Content::JoinAccept(accept);
        self.derive(Derived { seen, network, dev_eui: Some(request.dev_eui), dev_addr: address, content });
    }

    fn likely(&mut self, likely: &Likely) {
        let Some(session) = self.sessions.get_mut((likely.network, likely.dev_addr)) else { return };
        if session.linked {
            return;
        }
        session.linked = true;
        let basis = "first uplink after join";
        self.link(likely.dev_eui, likely.network, likely.dev_addr, basis, Confidence::Likely, likely.seen);
    }

    fn link(&mut self, eui: u64, network: NetworkId, address: u32, basis: &'static str, confidence: Confidence, seen: Seen) {
        let (a, b) = (IdentityKey::new(&dev_eui(eui), network), IdentityKey::new(&dev_addr(address), network));
        self.tell(seen, OwnedFact::SameAs { a, b, basis, confidence });
    }

    fn data(&mut self, data: &DataFrame<'_>, phy: &PhyPayload<'_>, passed: Passed, seen: Seen) {
        let at = (passed.network, data.dev_addr.0);
        let Some(heard) = self.sessions.heard(at, data, phy, passed.gateway, seen, &mut self.counts) else { return };
        if heard.first {
            self.links.first_uplink(at.0, at.1, data.f_cnt_lsb, passed.gateway, seen);
        }
        if !heard.new {
            return;
        }
        if let Some(keys) = self.config.sessions.get(&at.1) {
            self.sessions.add_owners(at, keys, &mut self.counts);
        }
        let Some(session) = self.sessions.get_mut(at) else { return };
        if session.keys().is_empty() {
            return;
        }
        // The latest keys are the likeliest.
        let verified = session.keys().iter_mut().rev().find_map(|known| Some((known.verify(phy, data)?, known)));
        let read = verified.map(|(f_cnt, known)| (known.dev_eui, derived::contents(&self.config, &known.keys, data, f_cnt)));
        if let Some(owner) = &mut session.owner {
            match read {
                Some((None, _)) => owner.fits(seen),
                Some(_) => {}
                None => owner.misses(),
            }
        }
        let Some((eui, contents)) = read else {
            self.counts.mics_wrong += 1;
            return;
        };
        self.counts.mics_right += 1;
        self.counts.payloads_read += contents.len() as u64;
        for content in contents {
            self.derive(Derived { seen, network: at.0, dev_eui: eui, dev_addr: at.1, content });
        }
    }

    fn derive(&mut self, derived: Derived) {
        for fact in derived.facts() {
            self.tell(derived.seen, fact);
        }
        if self.derived.len() < derived::DERIVED {
            self.derived.push(derived);
        } else {
            self.counts.outputs_dropped += 1;
        }
    }

    fn tell(&mut self, seen: Seen, fact: OwnedFact) {
        if self.said.len() >= SAID {
            self.said.clear();
        }
        let said = FixedState::with_seed(0).hash_one(format!("{fact:?}"));
        if !self.said.insert(said) {
            return;
        }
        if self.facts.len() < FACTS {
            self.facts.push((seen, fact));
        } else {
            self.counts.outputs_dropped += 1;
        }
    }

    /// Tries what waits; to be called at the end of each epoch with the packet time reached. `end` is the end of the captures: nothing waits on.
    pub fn work(&mut self, now: Timestamp, end: bool) {
        let day = self.purse.day(now);
        if self.day.replace(day).is_some_and(|before| before != day) {
            self.devices.new_day();
            self.sessions.new_day();
        }
        let opened = self.devices.cheap_stage(now, &mut self.purse, &mut self.counts);
        opened.into_iter().for_each(|opened| self.open_session(opened, None));
        self.sessions.cheap_stage(now, &mut self.purse, &mut self.counts);
        let ((device, devices), (session, sessions)) = (self.devices.waiting(), self.sessions.waiting());
        let oldest = [device, session].into_iter().flatten().min();
        let due = oldest.is_some_and(|since| now.since(since) >= GATHER) || devices + sessions >= GATHERED;
        if due || end {
            while self.patterns_stage(now) {}
        }
        for ((network, address), seen) in self.sessions.take_proved() {
            // A session key that stands on a list was not derived in a join.
            let id = IdentityKey::new(&dev_addr(address), network);
            self.tell(seen, OwnedFact::Security { id, aspect: SecurityAspect::Activation, value: "abp".into() });
        }
        for likely in self.links.decide(now, end) {
            self.likely(&likely);
        }
    }

    /// Tries the patterns on some of the frames that wait; answers whether there were any.
    fn patterns_stage(&mut self, now: Timestamp) -> bool {
        let keys = audit::patterns(self.candidates);
        let mut frames: Vec<(Waiting, Target)> = Vec::new();
        let joins = self.devices.frames_for_patterns(now, keys, SIDE_BY_SIDE, &mut self.purse);
        frames.extend(joins.into_iter().map(|(eui, request, target)| (Waiting::Join(eui, request), target)));
        let room = SIDE_BY_SIDE.saturating_sub(frames.len());
        let data = self.sessions.frames_for_patterns(keys, room, &mut self.purse);
        frames.extend(data.into_iter().map(|(at, target)| (Waiting::Data(at), target)));
        if frames.is_empty() {
            return false;
        }
        let mut trials = Trials::new(frames.iter().map(|(_, target)| target));
        let mut hits: Vec<(Candidate, Key, usize)> = Vec::new();
        for (family, number) in self.candidates.families.iter().zip(0..).filter(|(family, _)| family.is_pattern()) {
            family.each(0..family.count, None, |index, key| {
                trials.try_key(key, |frame| hits.push((Candidate { family: number, index }, Key::new(*key), frame)));
            });
        }
        for (candidate, key, frame) in hits {
            match frames.get(frame) {
                Some((Waiting::Join(eui, request), _)) => {
                    let opened = self.devices.hit(*eui, request, candidate, key.bytes(), &mut self.counts);
                    opened.into_iter().for_each(|opened| self.open_session(opened, None));
                }
                Some((Waiting::Data(at), _)) => self.sessions.hit(*at, candidate, key.bytes(), &mut self.counts),
                None => {}
            }
        }
        true
    }

    /// Links and attributes found since the last call, in the order in which they were found.
    pub fn take_facts(&mut self) -> Vec<(Seen, OwnedFact)> {
        std::mem::take(&mut self.facts)
    }

    /// What keys made readable since the last call.
    pub fn take_derived(&mut self) -> Vec<Derived> {
        std::mem::take(&mut self.derived)
    }

    /// Hands over the answers to both checks so far, in any order.
    pub fn verdicts(&self, take: &mut dyn FnMut(Verdict)) {
        let listed = self.listed();
        let (all, independent) = (self.candidates.count(), self.candidates.independent_count());
        for (eui, device) in self.devices.iter() {
            let subject = IdentityKey::new(&dev_eui(eui), 0);
            let mut answer = device.answer(self.candidates);
            if let Some(owner) = &device.owner {
                let candidate = listed.get(&Subject::Device(eui)).copied();
                answer = owner.answer(answer, candidate, self.candidates, ["join", "joins"], all);
            }
            take(Verdict { check: &checks::KNOWN_KEY, subject, answer });
        }
        for (at, session) in self.sessions.iter() {
            let subject = IdentityKey::new(&dev_addr(at.1), at.0);
            // Who has fixed session keys has no root key that could be tested.
            let fixed = session.has_known_key() || session.owner.as_ref().is_some_and(Owner::is_right);
            if !session.linked && !fixed {
                let answer = Answer::Otherwise(checks::NO_JOIN);
                take(Verdict { check: &checks::KNOWN_KEY, subject: subject.clone(), answer });
            }
            if !session.joined {
                let mut answer = session.answer(self.candidates);
                if let Some(owner) = &session.owner {
                    let candidate = listed.get(&Subject::Session(at)).copied();
                    answer = owner.answer(answer, candidate, self.candidates, ["frame", "frames"], independent);
                }
                take(Verdict { check: &checks::KNOWN_SESSION_KEY, subject, answer });
            }
        }
    }

    /// Which of the owner's keys that are in use are public knowledge.
    fn listed(&self) -> BTreeMap<Subject, Candidate> {
        let devices = self.devices.iter().map(|(eui, device)| (Subject::Device(eui), device.owner.as_ref(), device.euis()));
        let sessions = self.sessions.iter().map(|(at, session)| (Subject::Session(at), session.owner.as_ref(), None));
        let right = devices.chain(sessions).filter_map(|(subject, owner, euis)| Some((subject, owner?, euis)));
        let right = right.filter(|(_, owner, _)| owner.is_right());
        owner::listed(
            right.flat_map(|(subject, owner, euis)| owner.keys().iter().map(move |key| (subject, key, euis))),
            self.candidates,
        )
    }

    /// What was dropped or forgotten at a bound.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What a report tells of keys, by name: frames checked, the owner's keys, what was dropped at a bound.
    pub fn tallies(&self) -> Vec<(&'static str, u64)> {
        let owners = || {
            let devices = self.devices.iter().filter_map(|(_, device)| device.owner.as_ref());
            devices.chain(self.sessions.iter().filter_map(|(_, session)| session.owner.as_ref()))
        };
        let counts = &self.counts;
        vec![
            ("answered_joins_forgotten", counts.answered_forgotten),
            ("configured_keys_right", owners().filter(|owner| owner.is_right()).count() as u64),
            ("configured_keys_wrong", owners().filter(|owner| owner.is_wrong()).count() as u64),
            ("devices_forgotten", counts.devices_forgotten),
            ("devices_refused", counts.devices_refused),
            ("frames_right", counts.mics_right),
            ("frames_wrong", counts.mics_wrong),
            ("hits_dropped", counts.hits_dropped),
            ("outputs_dropped", counts.outputs_dropped),
            ("payloads_read", counts.payloads_read),
            ("requests_forgotten", counts.requests_forgotten),
            ("session_keys_forgotten", counts.session_keys_forgotten),
            ("sessions_forgotten", counts.sessions_forgotten),
            ("sessions_refused", counts.sessions_refused),
            ("trials", self.purse.trials),
        ]
    }

    /// Trials made so far.
    pub fn trials(&self) -> u64 {
        self.purse.trials
    }

    /// What is known of a device that joined.
    pub fn device(&self, dev_eui: u64) -> Option<&Device> {
        self.devices.get(dev_eui)
    }

    /// What is known of a device address: transmissions, receptions by gateway, the counter.
    pub fn session(&self, network: NetworkId, address: u32) -> Option<&Session> {
        self.sessions.get((network, address))
    }
}

/// The root keys to try, each with the AppKey that goes with it in 1.1. The NwkKey comes first: a 1.1 device uses it with a 1.0 network too.
fn configured(keys: &RootKeys) -> Vec<(Key, Option<Key>)> {
    let nwk_key = keys.nwk_key.iter().map(|nwk_key| (nwk_key.clone(), keys.app_key.clone()));
    nwk_key.chain(keys.app_key.iter().map(|app_key| (app_key.clone(), None))).collect()
}

fn join_target(phy: &PhyPayload<'_>) -> Option<Target> {
    Some(Target::new(&[phy.mic_message()?], phy.mic()?.try_into().ok()?))
}
