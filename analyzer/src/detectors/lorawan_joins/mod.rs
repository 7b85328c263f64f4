//! Join-requests that come again: recorded and sent by somebody, or by a device whose DevNonce is not new each time.
//!
//! Before 1.0.4 the DevNonce is random, of 16 bits, so a device that joined n times repeats one by chance with n/65,536 at each join; and the
//! code of a repeated request is the same as the recorded one's. So one repeat says nothing by itself. It counts where the device went on with its
//! session as if nothing had happened, where the same request came more often than chance explains, where it was heard elsewhere, or where
//! the device's DevNonce must count up (1.0.4 and later).
//!
//! Beside that, requests are counted by gateway: `floods`.

mod checks;
mod floods;
#[cfg(test)]
mod tests;

use super::lorawan_radio::{
    Clocks, Delivery, FIELDS, GATEWAYS, GatewayAt, Hearing, Known, Memory, Reception, SIGNS_OF_LIFE, frame_number,
};
use super::{Detector, DetectorSpec, SUBJECTS};
use crate::findings::{Answer, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedFact, Seen, ValueKey};
use crate::inventory::Inventory;
use crate::policy::Policy;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::{Attribute, Confidence};
use citytap_sensor::protocols::lorawan::wire::{Frame, Link, PhyPayload};
use citytap_sensor::protocols::lorawan::{DEV_ADDR, DEV_EUI, dev_eui, gateway_eui};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use floods::{Flood, Limits};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "lorawan_joins",
    checks: checks::ALL,
    interests: &[
        Interest::messages("lorawan.join_request", FIELDS),
        Interest::messages("lorawan.data", FIELDS),
        SIGNS_OF_LIFE[0],
        SIGNS_OF_LIFE[1],
        SIGNS_OF_LIFE[2],
    ],
    parameters: checks::PARAMETERS,
    make: |making| Box::new(LorawanJoins::new(making.policy)),
};

/// Devices followed: as many as the keys follow. One that joined once makes room first, since a flood invents them.
pub const DEVICES: usize = 32_768;

/// Join-requests remembered, for [`REMEMBERED_FOR`].
pub const REMEMBERED: usize = 131_072;

/// A recorded join-request keeps its worth for the life of the device; a quarter of a year is what an appliance sees between restarts.
pub const REMEMBERED_FOR: Nanos = 90 * 86_400 * SECOND;

/// Sessions whose device is known.
const SESSIONS: usize = 65_536;

/// Repeats of one device that are judged.
const REPEATS: usize = 16;

/// A device that joins sends its next request within this time, or has a new session.
const JOINING: Nanos = 3_600 * SECOND;

/// Frames of the old session after a repeated request that show that the device did not send it.
const GOES_ON: u32 = 2;

/// Strengths further apart than this, in dB, are of different places: a device that stands still varies by some ten.
const ELSEWHERE_DB: i32 = 25;

/// How unlikely a chance must be that is not told of: one in so many. A city of 100,000 devices that join 20 times would see one in 50 years.
const CHANCE: u128 = 1_000_000;

/// The detector.
pub struct LorawanJoins {
    devices: HashMap<u64, Device, FixedState>,
    provisional: VecDeque<u64>,
    memory: Memory,
    clocks: Clocks,
    /// The device of a session, since when, and the session's last counter.
    sessions: HashMap<(NetworkId, u32), Session, FixedState>,
    gap: Nanos,
    /// By the gateway that heard requests.
    floods: HashMap<GatewayAt, Flood, FixedState>,
    /// Addresses heard at gateways.
    heard: HashSet<(GatewayAt, u32), FixedState>,
    limits: Limits,
    shed: u64,
}

struct Session {
    dev_eui: u64,
    since: Timestamp,
    f_cnt: Option<u16>,
}

/// What is known of a device that joins.
#[derive(Default)]
struct Device {
    /// Different requests.
    joins: u32,
    /// When it last sent one that was new, or got a session.
    anew: Timestamp,
    repeats: SmallVec<[Repeat; 1]>,
    /// Its DevNonce must count up.
    counts_up: bool,
    highest: Option<(u16, Timestamp)>,
    lower: Evidence,
}

/// A request that was on the air again.
struct Repeat {
    frame: u64,
    seen: Seen,
    /// Whether it was heard where the first was not, or with quite another strength.
    elsewhere: bool,
    /// Frames of a session that was open before and went on after it.
    went_on: u32,
    /// Whether the device joined anew afterwards.
    own: bool,
}

impl LorawanJoins {
    fn new(policy: &Policy) -> Self {
        Self {
            devices: HashMap::with_hasher(FixedState::default()),
            provisional: VecDeque::new(),
            memory: Memory::new(REMEMBERED, REMEMBERED_FOR),
            clocks: Clocks::default(),
            sessions: HashMap::with_hasher(FixedState::default()),
            gap: policy.number(&checks::REUSE_GAP).saturating_mul(SECOND),
            floods: HashMap::with_hasher(FixedState::default()),
            heard: HashSet::with_hasher(FixedState::default()),
            limits: Limits { least: policy.number(&checks::LEAST), times: policy.number(&checks::TIMES) },
            shed: 0,
        }
    }

    fn device(&mut self, eui: u64) -> Option<&mut Device> {
        if !self.devices.contains_key(&eui) {
            if self.devices.len() >= DEVICES {
                self.shed += 1;
                loop {
                    let old = self.provisional.pop_front()?;
                    if self.devices.get(&old).is_some_and(|device| device.joins <= 1 && device.repeats.is_empty()) {
                        self.devices.remove(&old);
                        break;
                    }
                }
            }
            self.provisional.push_back(eui);
        }
        Some(self.devices.entry(eui).or_default())
    }

    fn join(&mut self, eui: u64, nonce: u16, bytes: &[u8], reception: &Reception) {
        let frame = frame_number(reception.network, bytes);
        let hearing = self.memory.hear(frame, reception, self.gap);
        let on_air = if let Hearing::Again(known) = &hearing { known.last } else { reception.time() };
        let delivery = self.clocks.heard(reception, on_air);
        let (stranger, limits) = (!self.devices.contains_key(&eui), self.limits);
        if let (Hearing::New, Some(flood)) = (&hearing, self.flood(reception)) {
            flood.heard(stranger, reception.seen, limits);
        }
        let Some(device) = self.device(eui) else { return };
        match hearing {
            Hearing::Copy => {}
            Hearing::New => device.new_join(nonce, reception),
            // Without a clock to tell, a gateway's first words can be old ones.
            Hearing::Again(_) if !delivery.is_timely() => {}
            Hearing::Again(known) => device.repeated(frame, &known, reception, delivery),
        }
    }

    fn flood(&mut self, reception: &Reception) -> Option<&mut Flood> {
        let at = reception.at()?;
        if self.floods.len() >= GATEWAYS && !self.floods.contains_key(&at) {
            self.shed += 1;
            return None;
        }
        Some(self.floods.entry(at).or_default())
    }

    /// A device sent something, heard by a gateway.
    fn sent(&mut self, address: u32, reception: &Reception) {
        let Some(at) = reception.at() else { return };
        let new = self.heard.len() < SUBJECTS && self.heard.insert((at, address));
        let limits = self.limits;
        self.flood(reception).into_iter().for_each(|flood| flood.uplink(new, reception.seen, limits));
    }

    /// An uplink of a device whose session is known.
    fn uplink(&mut self, at: (NetworkId, u32), f_cnt: u16) {
        let Some(session) = self.sessions.get_mut(&at) else { return };
        let next = session.f_cnt.is_none_or(|last| (1..=1_024).contains(&f_cnt.wrapping_sub(last)));
        if !next {
            return;
        }
        session.f_cnt = Some(f_cnt);
        let since = session.since;
        let device = self.devices.get_mut(&session.dev_eui);
        let repeats = device.into_iter().flat_map(|device| device.repeats.iter_mut());
        repeats.filter(|repeat| repeat.seen.time > since && !repeat.own).for_each(|repeat| repeat.went_on += 1);
    }

    fn linked(&mut self, eui: u64, at: (NetworkId, u32), now: Timestamp) {
        if self.sessions.len() >= SESSIONS && !self.sessions.contains_key(&at) {
            self.shed += 1;
            return;
        }
        if self.sessions.get(&at).is_some_and(|session| session.dev_eui == eui) {
            return;
        }
        self.sessions.insert(at, Session { dev_eui: eui, since: now, f_cnt: None });
        if let Some(device) = self.devices.get_mut(&eui) {
            device.joined_anew(now);
        }
    }
}

impl Device {
    fn new_join(&mut self, nonce: u16, reception: &Reception) {
        self.joins = self.joins.saturating_add(1);
        self.joined_anew(reception.time());
        match self.highest {
            // Two requests that pass each other on the way say nothing.
            Some((highest, when)) if nonce <= highest => {
                if self.counts_up && reception.time().since(when) > 60 * SECOND {
                    self.lower.add(reception.seen, "lorawan.dev_nonce");
                }
            }
            _ => self.highest = Some((nonce, reception.time())),
        }
    }

    /// The device itself joins: what was repeated just before was a try of its own.
    fn joined_anew(&mut self, now: Timestamp) {
        self.anew = now;
        let just_before =
            |repeat: &&mut Repeat| repeat.seen.time <= now && now.since(repeat.seen.time) <= JOINING && repeat.went_on < GOES_ON;
        self.repeats.iter_mut().filter(just_before).for_each(|repeat| repeat.own = true);
    }

    fn repeated(&mut self, frame: u64, known: &Known, reception: &Reception, delivery: Delivery) {
        if self.repeats.len() == REPEATS {
            return;
        }
        let here = known.places.iter().find(|(gateway, _)| Some(*gateway) == reception.gateway);
        let elsewhere = match here {
            None => !known.places.is_empty() && reception.gateway.is_some(),
            Some((_, rssi)) => rssi.zip(reception.rssi_dbm).is_some_and(|(then, now)| then.abs_diff(now) > ELSEWHERE_DB as u32),
        };
        // Where a device that does not stand still was, says less.
        let elsewhere = elsewhere && delivery == Delivery::Prompt;
        self.repeats.push(Repeat { frame, seen: reception.seen, elsewhere, went_on: 0, own: false });
    }

    fn answer(&self) -> Answer {
        let all = || self.repeats.iter();
        if self.counts_up && (self.lower.count > 0 || !self.repeats.is_empty()) {
            let mut evidence = evidence(all());
            evidence.merge(&self.lower);
            return found(Severity::High, Confidence::Likely, "by its LoRaWAN version its numbers must count up", &evidence);
        }
        let replayed = || all().filter(|repeat| repeat.went_on >= GOES_ON);
        if replayed().count() > 0 {
            let how = "the device went on with its session, so it was not the sender; somebody may have recorded the request";
            return found(Severity::Medium, Confidence::Likely, how, &evidence(replayed()));
        }
        if self.is_beyond_chance() {
            let how = "either the device's numbers are not random, or somebody recorded them";
            return found(Severity::Medium, Confidence::Likely, how, &evidence(all()));
        }
        let elsewhere = || all().filter(|repeat| repeat.elsewhere && !repeat.own);
        if elsewhere().count() > 0 && self.joins <= FEW {
            let how = "it was heard from another place, so somebody may have recorded it; a device on the move can repeat a number by chance";
            return found(Severity::Medium, Confidence::Possible, how, &evidence(elsewhere()));
        }
        match (self.joins, self.repeats.len()) {
            (0, _) => Answer::Otherwise("no request to join was heard"),
            (1, 0) => Answer::Untested("it asked to join once, so there was nothing to compare".into()),
            (joins, 0) => Answer::Clear(format!("{joins} requests to join, each with a number of its own").into()),
            (joins, repeats) => {
                Answer::Clear(format!("{repeats} of {joins} requests to join came again, as happens by chance").into())
            }
        }
    }

    /// Whether the repeats are more than what random numbers explain.
    fn is_beyond_chance(&self) -> bool {
        let (joins, repeats) = (u128::from(self.joins), self.repeats.len());
        // So many equal ones among so many: C(joins + repeats, most) / 65,536^(most - 1).
        let most = self.repeats.iter().map(|repeat| self.repeats.iter().filter(|other| other.frame == repeat.frame).count());
        let most = most.max().map_or(0, |most| most + 1);
        let equal = most >= 3 && is_rare(choose(joins + repeats as u128, most as u128), 65_536, most as u32 - 1);
        // So many repeats in all: (joins^2 / 131,072)^repeats / repeats!, where repeats! is left out on the careful side.
        equal || repeats >= 3 && is_rare(joins.saturating_pow(2).saturating_pow(repeats as u32), 131_072, repeats as u32)
    }
}

/// Joins up to which a single repeat by chance is rare.
const FEW: u32 = 16;

/// Whether `ways` / `of`^`times` is less than one in [`CHANCE`].
fn is_rare(ways: u128, of: u128, times: u32) -> bool {
    match of.checked_pow(times) {
        Some(all) => ways.saturating_mul(CHANCE) < all,
        None => ways < u128::MAX / CHANCE,
    }
}

fn choose(from: u128, some: u128) -> u128 {
    (0..some).fold(1u128, |ways, k| ways.saturating_mul(from.saturating_sub(k)) / (k + 1))
}

fn evidence<'r>(repeats: impl Iterator<Item = &'r Repeat>) -> Evidence {
    let mut evidence = Evidence::default();
    repeats.for_each(|repeat| evidence.add(repeat.seen, "lorawan.dev_nonce"));
    evidence
}

fn found(severity: Severity, confidence: Confidence, how: &'static str, evidence: &Evidence) -> Answer {
    let count = if evidence.count == 1 { "once".into() } else { format!("{} times", evidence.count).into() };
    let arguments = vec![("_count", count), ("how", how.into())];
    Answer::Found(Found { severity, confidence, arguments, evidence: evidence.clone() })
}

impl Detector for LorawanJoins {
    fn event(&mut self, event: &Event) {
        if SIGNS_OF_LIFE.iter().any(|sign| sign.kind_id() == event.kind) {
            if let Some(gateway) = event.fields.first().and_then(|gateway| gateway.unsigned()) {
                self.clocks.contact((event.network, gateway), event.seen.time);
            }
            return;
        }
        let Some((bytes, reception)) = Reception::of(event) else { return };
        let Ok(phy) = PhyPayload::parse(bytes) else { return };
        match phy.frame {
            Frame::JoinRequest(request) => self.join(request.dev_eui.0, request.dev_nonce, bytes, &reception),
            Frame::Data(data) if data.link == Link::Up => {
                self.clocks.heard(&reception, reception.time());
                self.sent(data.dev_addr.0, &reception);
                self.uplink((reception.network, data.dev_addr.0), data.f_cnt_lsb);
            }
            _ => {}
        }
    }

    fn fact(&mut self, fact: &OwnedFact, seen: Seen) {
        let eui = |key: &IdentityKey| match key.value {
            ValueKey::Hex(eui, _) if *key.kind == DEV_EUI => Some(eui),
            _ => None,
        };
        let address = |key: &IdentityKey| match key.value {
            ValueKey::Hex(address, _) if *key.kind == DEV_ADDR => Some((key.network, u32::try_from(address).ok()?)),
            _ => None,
        };
        match fact {
            OwnedFact::SameAs { a, b, .. } => {
                if let Some((eui, at)) = eui(a).zip(address(b)).or(eui(b).zip(address(a))) {
                    self.linked(eui, at, seen.time);
                }
            }
            OwnedFact::Attribute { id, name: Attribute::ProtocolVersion, value, .. } => {
                let counts_up = ["1.0.4", "1.1"].iter().any(|version| value.starts_with(version));
                if let Some(device) = eui(id).filter(|_| counts_up).and_then(|eui| self.device(eui)) {
                    device.counts_up = true;
                }
            }
            _ => {}
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for (eui, device) in &self.devices {
            let subject = IdentityKey::new(&dev_eui(*eui), 0);
            take(Verdict { check: &checks::REUSE, subject, answer: device.answer() });
        }
        for ((network, eui), flood) in &self.floods {
            let subject = IdentityKey::new(&gateway_eui(*eui), *network);
            take(Verdict { check: &checks::STRANGERS, subject, answer: flood.answer(self.limits) });
        }
    }

    fn shed(&self) -> u64 {
        self.shed + self.memory.shed + self.clocks.shed
    }
}
