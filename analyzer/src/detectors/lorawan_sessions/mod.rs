//! Frame counters of LoRaWAN devices: old frames on the air again, a second sender under one address, counters that start again or jump.
//!
//! It turns uplinks into answers about device addresses. What is ordinary raises nothing: several gateways that hear one frame, frames that a slow or
//! broken backhaul delivers late (the gateway's clock tells), retransmissions however slow the duty cycle makes them, the lost frames of a
//! weak link, counters that wrap, a join, devices that share an address, noise.
//!
//! The keys are not known here as a rule, so a copied device and a device that got the same address by chance differ in little: only a sender that
//! appears beside a device that was followed for a while, with a counter made from its own, on its port and at its gateways, is told of; and not even
//! that where the network gives one address to several devices as a custom.

mod address;
mod checks;
mod joins;
#[cfg(test)]
mod tests;
mod track;

use super::lorawan_radio::{Clocks, FIELDS, Hearing, Memory, Reception, SIGNS_OF_LIFE, frame_number};
use super::{Detector, DetectorSpec};
use crate::findings::{Answer, Argument, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest};
use crate::inventory::Inventory;
use crate::policy::Policy;
use address::{Address, Around, FIRST};
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::{Confidence, DevAddr};
use citytap_sensor::protocols::lorawan::address::NetId;
use citytap_sensor::protocols::lorawan::dev_addr;
use citytap_sensor::protocols::lorawan::wire::{DataFrame, Frame, Link, PhyPayload};
use citytap_sensor::time::{Nanos, SECOND};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use joins::Joins;
use std::cell::Cell;
use std::collections::VecDeque;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "lorawan_sessions",
    checks: checks::ALL,
    interests: &[
        Interest::messages("lorawan.data", FIELDS),
        Interest::messages("lorawan.join_request", FIELDS),
        Interest::messages("lorawan.rejoin_request", FIELDS),
        SIGNS_OF_LIFE[0],
        SIGNS_OF_LIFE[1],
        SIGNS_OF_LIFE[2],
        JOIN_ACCEPT,
        ACCEPT_READ,
    ],
    parameters: checks::PARAMETERS,
    make: |making| Box::new(LorawanSessions::new(making.policy)),
};

const JOIN_ACCEPT: Interest = Interest::messages("lorawan.join_accept", FIELDS);
/// Where a key is known.
const ACCEPT_READ: Interest = Interest::messages("lorawan.join_accept_decrypted", &["dev_addr", "dev_eui"]);

/// Device addresses followed, those heard once making room first: as many as the keys follow.
pub const ADDRESSES: usize = 65_536;

/// Frames remembered, for at most [`REMEMBERED_FOR`]: a frame a second for more than a day, and what a table of 2^17 places holds.
pub const REMEMBERED: usize = 114_688;

/// How long a frame is remembered: a replay of later days looks like noise beside a counter that goes on.
pub const REMEMBERED_FOR: Nanos = 48 * 3_600 * SECOND;

/// Uplinks from which an address can be told to be in order.
const ENOUGH: u32 = 8;

/// Addresses of one network that several devices use, from which on sharing is that network's custom: some give each address to many devices.
const SHARING: u32 = 2;

/// Why a copied device cannot be told there.
const IN_SHARING: &str =
    "in this network several devices share an address, and without keys a copied device cannot be told from them";

/// How a counter started again.
const FROM_THE_START: &str =
    "started again from the beginning, most likely since it has fixed keys (ABP) and loses its counter with its power";
const WENT_BACK: &str = "went back to where it was before, as when an old memory is put back or a copy of it takes over";

type At = (NetworkId, u32);

/// The detector.
pub struct LorawanSessions {
    addresses: HashMap<At, Address, FixedState>,
    provisional: VecDeque<At>,
    memory: Memory,
    clocks: Clocks,
    joins: Joins,
    replay_gap: Nanos,
    counter_gap: u16,
    shed: u64,
}

impl LorawanSessions {
    fn new(policy: &Policy) -> Self {
        Self {
            addresses: HashMap::with_hasher(FixedState::default()),
            provisional: VecDeque::new(),
            memory: Memory::new(REMEMBERED, REMEMBERED_FOR),
            clocks: Clocks::default(),
            joins: Joins::default(),
            replay_gap: policy.number(&checks::REPLAY_GAP).saturating_mul(SECOND),
            counter_gap: u16::try_from(policy.number(&checks::COUNTER_GAP)).unwrap_or(u16::MAX),
            shed: 0,
        }
    }

    fn uplink(&mut self, data: &DataFrame<'_>, bytes: &[u8], reception: &Reception) {
        let at = (reception.network, data.dev_addr.0);
        let hearing = self.memory.hear(frame_number(reception.network, bytes), reception, self.replay_gap);
        if data.f_cnt_lsb <= FIRST && !self.addresses.contains_key(&at) {
            self.joins.began(data.dev_addr.0, reception);
        }
        let Some(address) = address(&mut self.addresses, &mut self.provisional, at, &mut self.shed) else { return };
        let on_air = match &hearing {
            Hearing::Again(known) => known.last,
            _ => address.since().unwrap_or(reception.time()),
        };
        let delivery = self.clocks.heard(reception, on_air);
        let explained = Cell::new(false);
        let joined = || self.joins.last(at.1, reception).inspect(|_| explained.set(true));
        let around = Around { replay_gap: self.replay_gap, counter_gap: self.counter_gap, delivery, joined: &joined };
        match hearing {
            Hearing::New => address.new_frame(data, reception, &around),
            Hearing::Copy => address.copy(data, reception),
            Hearing::Again(known) => address.again(data, reception, &known, &around),
        }
        // It got the address that it had had: its join explains no other device's counter.
        if explained.get() && data.f_cnt_lsb <= FIRST {
            self.joins.began(at.1, reception);
        }
    }
}

/// The address, new if need be; `None` where there is no room.
fn address<'t>(
    addresses: &'t mut HashMap<At, Address, FixedState>,
    provisional: &mut VecDeque<At>,
    at: At,
    shed: &mut u64,
) -> Option<&'t mut Address> {
    if !addresses.contains_key(&at) {
        if addresses.len() >= ADDRESSES {
            *shed += 1;
            loop {
                let old = provisional.pop_front()?;
                if addresses.get(&old).is_some_and(|address| address.uplinks <= 1) {
                    addresses.remove(&old);
                    break;
                }
            }
        }
        provisional.push_back(at);
    }
    Some(addresses.entry(at).or_default())
}

impl Detector for LorawanSessions {
    fn event(&mut self, event: &Event) {
        if SIGNS_OF_LIFE.iter().any(|sign| sign.kind_id() == event.kind) {
            if let Some(gateway) = event.fields.first().and_then(|gateway| gateway.unsigned()) {
                self.clocks.contact((event.network, gateway), event.seen.time);
            }
            return;
        }
        if event.kind == ACCEPT_READ.kind_id() {
            if let [address, eui, ..] = event.fields.as_slice()
                && let (Some(address), Some(eui)) = (address.unsigned().and_then(|it| u32::try_from(it).ok()), eui.unsigned())
            {
                self.joins.given(event.network, eui, address);
            }
            return;
        }
        let Some((bytes, reception)) = Reception::of(event) else { return };
        let Ok(phy) = PhyPayload::parse(bytes) else { return };
        match phy.frame {
            Frame::Data(data) if data.link == Link::Up => self.uplink(&data, bytes, &reception),
            Frame::JoinRequest(request) => self.joins.asked(request.dev_eui.0, &reception),
            Frame::RejoinRequest(request) => self.joins.asked(request.dev_eui.0, &reception),
            Frame::JoinAccept(_) => self.joins.answered(&reception),
            _ => {}
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        let mut shared: HashMap<Option<NetId>, u32, FixedState> = HashMap::default();
        for (at, _) in self.addresses.iter().filter(|(_, address)| address.shared) {
            *shared.entry(NetId::of(DevAddr(at.1))).or_default() += 1;
        }
        for (at, address) in &self.addresses {
            let subject = IdentityKey::new(&dev_addr(at.1), at.0);
            let sharing = shared.get(&NetId::of(DevAddr(at.1))).is_some_and(|addresses| *addresses >= SHARING);
            for check in checks::ALL {
                let answer = match check {
                    check if sharing && **check == checks::PARALLEL => Answer::Untested(IN_SHARING.into()),
                    check => address.answer(check),
                };
                take(Verdict { check, subject: subject.clone(), answer });
            }
        }
    }

    fn shed(&self) -> u64 {
        self.shed + self.memory.shed + self.clocks.shed + self.joins.shed
    }
}

impl Address {
    fn answer(&self, check: &CheckSpec) -> Answer {
        if check == &checks::REPLAY {
            if let Some(found) = self.replays() {
                let confidence = if found.by_clock { Confidence::Likely } else { Confidence::Possible };
                let arguments = vec![("_after", lasting(found.after)), ("_count", times(found.replays.count))];
                return answer(Severity::Medium, confidence, arguments, &found.replays);
            }
        } else if self.shared {
            return Answer::Untested(
                "other devices use its radio address too, and without keys they cannot be told apart".into(),
            );
        }
        if let Some(found) = &self.found {
            let repeated = if found.restarts.count > 1 { Confidence::Likely } else { Confidence::Possible };
            let how = if found.went_back { WENT_BACK } else { FROM_THE_START };
            if check == &checks::PARALLEL && found.parallel.count > 0 {
                return answer(Severity::High, Confidence::Possible, Vec::new(), &found.parallel);
            } else if check == &checks::RESTART && found.restarts.count > 0 {
                // A loss of power is the usual cause of a start from the beginning, none of a step back into the middle.
                let severity = if found.went_back { Severity::High } else { Severity::Medium };
                return answer(severity, repeated, vec![("how", how.into())], &found.restarts);
            } else if check == &checks::JUMP && found.jumps.count > 0 {
                return answer(Severity::Medium, Confidence::Possible, Vec::new(), &found.jumps);
            }
        }
        if self.uplinks < ENOUGH {
            return Answer::Otherwise("fewer than eight messages of it were heard under one radio address");
        }
        Answer::Clear(format!("{} messages, their counters in order", self.uplinks).into())
    }
}

fn answer(severity: Severity, confidence: Confidence, arguments: Vec<Argument>, evidence: &Evidence) -> Answer {
    Answer::Found(Found { severity, confidence, arguments, evidence: evidence.clone() })
}

fn times(count: u64) -> std::borrow::Cow<'static, str> {
    if count == 1 { "once".into() } else { format!("{count} times").into() }
}

/// A time as people say it.
fn lasting(time: Nanos) -> std::borrow::Cow<'static, str> {
    let seconds = time / SECOND;
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3_600),
    }
    .into()
}
