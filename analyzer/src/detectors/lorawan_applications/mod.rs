//! What network servers tell applications, beside what gateways heard: messages that were changed in between, and two devices under one address.
//!
//! It turns uplinks, device events of ChirpStack and The Things Stack, and what keys make readable into answers about devices. A message is compared
//! where the gateway that the event names was seen to hear it: its port and length always, its content where the device's key is known and
//! payloads may be decrypted. Only what stands out is told: where most messages of a device differ, an integration rewrites them, or the key is another one. Networks that have
//! fewer addresses than their devices need share them by design, which is no finding either.

mod checks;
mod messages;
#[cfg(test)]
mod tests;

use super::lorawan_radio::{FIELDS, Reception};
use super::{Detector, DetectorSpec, Making};
use crate::findings::{Answer, Argument, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedValue, Seen};
use crate::inventory::Inventory;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::{Confidence, DevAddr, Untold};
use citytap_sensor::protocols::lorawan::address::NetId;
use citytap_sensor::protocols::lorawan::dev_eui;
use citytap_sensor::protocols::lorawan::wire::{Frame, Link, PhyPayload};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use messages::{Compared, Messages, Told};
use smallvec::SmallVec;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "lorawan_applications",
    checks: checks::ALL,
    interests: &[Interest::messages("lorawan.data", FIELDS), CHIRPSTACK, THE_THINGS_STACK, PAYLOAD, COMMANDS],
    parameters: checks::PARAMETERS,
    make: |making| Box::new(Applications::new(making)),
};

/// What is asked of a device event, in this order.
const EVENT: &[&str] = &["dev_addr", "dev_eui", "event", "f_cnt", "f_port", "payload_length", "payload_digest", "gateway"];
const CHIRPSTACK: Interest = Interest::messages("chirpstack.device_event", EVENT);
const THE_THINGS_STACK: Interest = Interest::messages(
    "the_things_stack.device_event",
    &["dev_addr", "dev_eui", "event", "f_cnt", "f_port", "payload_length", "payload_digest", "gateway", "simulated"],
);
/// What a key made readable.
const PAYLOAD: Interest =
    Interest::messages("lorawan.application_payload", &["dev_addr", "dev_eui", "direction", "f_cnt", "payload"]);
const COMMANDS: Interest = Interest::messages("lorawan.mac_commands", &["dev_addr", "dev_eui", "direction", "f_cnt"]);

/// Devices followed. Beyond them none is taken on.
pub const DEVICES: usize = 65_536;

/// Two devices take turns within this time, or the one took the address over.
const TURN: Nanos = 24 * 3_600 * SECOND;

/// Why messages are not judged.
const REWRITTEN: &str = "applications are told something else of most of its messages, as where an integration rewrites them";
const WRONG_KEY: &str = "with the application key given its messages do not read as its application was told";
const NO_KEY: &str = "and without its application key their content cannot be compared";

type At = (NetworkId, u32);

/// The detector.
struct Applications {
    messages: Messages,
    devices: HashMap<u64, Device, FixedState>,
    addresses: HashMap<At, Users, FixedState>,
    turns: u64,
    shed: u64,
}

/// What is known of a device.
#[derive(Default)]
struct Device {
    compared: u32,
    /// Messages of which the content was the same.
    same: u32,
    altered: SmallVec<[(Compared, Evidence); 1]>,
    told: u32,
    network: Option<NetId>,
}

/// Who uses an address.
#[derive(Default)]
struct Users {
    last: Option<User>,
    before: Option<User>,
    turns: u64,
    evidence: Evidence,
}

#[derive(Clone, Copy)]
struct User {
    dev_eui: u64,
    f_cnt: u64,
    time: Timestamp,
}

impl Applications {
    fn new(making: &Making<'_>) -> Self {
        Self {
            messages: Messages::default(),
            devices: HashMap::with_hasher(FixedState::default()),
            addresses: HashMap::with_hasher(FixedState::default()),
            turns: making.number(&checks::TURNS),
            shed: 0,
        }
    }

    fn device(&mut self, eui: u64) -> Option<&mut Device> {
        if self.devices.len() >= DEVICES && !self.devices.contains_key(&eui) {
            self.shed += 1;
            return None;
        }
        Some(self.devices.entry(eui).or_default())
    }

    /// A device sent something under an address.
    fn used(&mut self, at: At, eui: u64, f_cnt: u64, seen: Seen) {
        let Some(device) = self.device(eui) else { return };
        device.network = NetId::of(DevAddr(at.1));
        if self.addresses.len() >= DEVICES && !self.addresses.contains_key(&at) {
            self.shed += 1;
            return;
        }
        self.addresses.entry(at).or_default().take(User { dev_eui: eui, f_cnt, time: seen.time }, seen);
    }

    fn frame(&mut self, event: &Event) {
        let Some((bytes, reception)) = Reception::of(event) else { return };
        let Ok(PhyPayload { frame: Frame::Data(data), .. }) = PhyPayload::parse(bytes) else { return };
        if let (Link::Up, Some(gateway)) = (data.link, reception.gateway) {
            let name = (reception.network, data.dev_addr.0, data.f_cnt_lsb);
            let length = u32::try_from(data.frm_payload.len()).unwrap_or(u32::MAX);
            self.messages.heard(name, reception.time(), gateway, data.f_port, length, Untold::digest(data.frm_payload));
        }
    }

    fn told(&mut self, event: &Event) {
        let [address, eui, what, f_cnt, port, length, digest, gateway, rest @ ..] = event.fields.as_slice() else { return };
        let simulated = rest.first().and_then(OwnedValue::bool) == Some(true);
        let (Some(address), Some(eui), Some("up"), false) = (number(address), eui.unsigned(), what.text(), simulated) else {
            return;
        };
        // A counter of 0 stands in no message of Protocol Buffers.
        let f_cnt = f_cnt.unsigned().unwrap_or(0);
        self.used((event.network, address), eui, f_cnt, event.seen);
        let told = Told {
            dev_eui: eui,
            gateway: gateway.unsigned(),
            port: port.unsigned().and_then(|port| u8::try_from(port).ok()),
            length: number(length),
            digest: digest.unsigned(),
        };
        let compared = self.messages.told((event.network, address, f_cnt as u16), event.seen.time, told);
        if let Some(device) = self.device(eui) {
            device.told = device.told.saturating_add(1);
            compared.into_iter().for_each(|compared| device.take(compared, event.seen, true));
        }
    }

    fn read(&mut self, event: &Event) {
        let [address, eui, direction, f_cnt, rest @ ..] = event.fields.as_slice() else { return };
        let (Some(address), Some("uplink"), Some(f_cnt)) = (number(address), direction.text(), f_cnt.unsigned()) else { return };
        if let Some(eui) = eui.unsigned() {
            self.used((event.network, address), eui, f_cnt, event.seen);
        }
        let Some(payload) = rest.first().and_then(OwnedValue::bytes) else { return };
        let name = (event.network, address, f_cnt as u16);
        for (told, compared) in self.messages.read(name, event.seen.time, Untold::digest(payload)) {
            if let Some(device) = self.device(told.dev_eui) {
                device.take(compared, event.seen, false);
            }
        }
    }

    /// Addresses that two devices use, with how many devices their networks have.
    fn shared(&self) -> HashMap<u64, (u64, u32, &Evidence), FixedState> {
        let mut shared: HashMap<u64, (u64, u32, &Evidence), FixedState> = HashMap::default();
        let mut found: Vec<_> = self.addresses.iter().filter(|(_, users)| users.turns >= self.turns).collect();
        found.sort_unstable_by_key(|(at, _)| **at);
        for (at, users) in found {
            if let (Some(a), Some(b)) = (users.last, users.before) {
                let (first, second) = (a.dev_eui.min(b.dev_eui), a.dev_eui.max(b.dev_eui));
                shared.entry(second).or_insert((first, at.1, &users.evidence));
            }
        }
        shared
    }
}

fn number(value: &OwnedValue) -> Option<u32> {
    value.unsigned().and_then(|number| u32::try_from(number).ok())
}

impl Users {
    fn take(&mut self, user: User, seen: Seen) {
        let Some(last) = &mut self.last else {
            self.last = Some(user);
            return;
        };
        if last.dev_eui == user.dev_eui {
            *last = user;
            return;
        }
        // What a broker passes on late, or again, is nobody's turn.
        let back = self.before.filter(|before| before.dev_eui == user.dev_eui);
        if back.is_some_and(|before| user.f_cnt <= before.f_cnt) {
            return;
        }
        match back.filter(|before| seen.time.since(before.time) <= TURN) {
            Some(_) => {
                self.turns += 1;
                self.evidence.add(seen, "lorawan.dev_addr");
            }
            None => (self.turns, self.evidence) = Default::default(),
        }
        self.before = self.last.replace(user);
    }
}

impl Device {
    /// Takes a comparison; `first` where the message was not counted before.
    fn take(&mut self, compared: Compared, seen: Seen, first: bool) {
        self.compared = self.compared.saturating_add(u32::from(first));
        match compared {
            Compared::Outside => {}
            Compared::Same => self.same = self.same.saturating_add(1),
            other => match self.altered.iter_mut().find(|(known, _)| *known == other) {
                Some((_, evidence)) => evidence.add(seen, "application.payload"),
                None => self.altered.push((other, Evidence::one(seen, "application.payload"))),
            },
        }
    }

    /// Whether most of its messages are told as they were heard, so that those that are not stand out.
    fn stands_out(&self) -> bool {
        let altered: u64 = self.altered.iter().map(|(_, evidence)| evidence.count).sum();
        u64::from(self.compared).saturating_sub(altered) > altered
    }

    fn altered_answer(&self, say: &mut dyn FnMut(Answer)) {
        if !self.altered.is_empty() && !self.stands_out() {
            let only_content = self.altered.iter().all(|(what, _)| *what == Compared::Content);
            return say(Answer::Untested(if only_content && self.same == 0 { WRONG_KEY } else { REWRITTEN }.into()));
        }
        let mut wrong_key = false;
        let mut found_any = false;
        for (what, evidence) in &self.altered {
            // A key with which nothing agrees is another one.
            if *what == Compared::Content && u64::from(self.same) <= evidence.count {
                wrong_key = true;
                continue;
            }
            found_any = true;
            let (how, confidence) = match what {
                Compared::Port => ("another port", Confidence::Likely),
                Compared::Length => ("another length", Confidence::Likely),
                _ => ("another content, though the code of the message heard was right", Confidence::Proved),
            };
            let count = if evidence.count == 1 { "once".into() } else { format!("{} times", evidence.count).into() };
            let arguments: Vec<Argument> = vec![("_count", count), ("how", how.into())];
            say(Answer::Found(Found { severity: Severity::High, confidence, arguments, evidence: evidence.clone() }));
        }
        if found_any {
            return;
        }
        say(match (self.compared, self.same) {
            _ if wrong_key => Answer::Untested(WRONG_KEY.into()),
            (0, _) => Answer::Otherwise("no message of it was seen both at a gateway and on its way to an application"),
            (compared, 0) => Answer::Untested(format!("port and length of {compared} messages are right, {NO_KEY}").into()),
            (_, same) => Answer::Clear(format!("{same} messages, told as gateways heard them").into()),
        });
    }
}

impl Detector for Applications {
    fn event(&mut self, event: &Event) {
        if event.kind == CHIRPSTACK.kind_id() || event.kind == THE_THINGS_STACK.kind_id() {
            self.told(event);
        } else if event.kind == PAYLOAD.kind_id() || event.kind == COMMANDS.kind_id() {
            self.read(event);
        } else {
            self.frame(event);
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        let mut devices: HashMap<Option<NetId>, u64, FixedState> = HashMap::default();
        self.devices.values().for_each(|device| *devices.entry(device.network).or_default() += 1);
        let (shared, mut crowded) = (self.shared(), HashSet::<Option<NetId>, FixedState>::default());
        for at in self.addresses.keys() {
            let network = NetId::of(DevAddr(at.1));
            let count = devices.get(&network).copied().unwrap_or_default();
            if is_crowded(count, NetId::addresses(DevAddr(at.1))) {
                crowded.insert(network);
            }
        }
        for (eui, device) in &self.devices {
            let subject = IdentityKey::new(&dev_eui(*eui), 0);
            device.altered_answer(&mut |answer| take(Verdict { check: &checks::ALTERED, subject: subject.clone(), answer }));
            let answer = match shared.get(eui) {
                Some(_) if crowded.contains(&device.network) => Answer::Untested(
                    "its network has so many devices that some share an address by chance, and tells them apart by their codes"
                        .into(),
                ),
                Some((other, address, evidence)) => Answer::Found(Found {
                    severity: Severity::Low,
                    confidence: Confidence::Likely,
                    arguments: vec![("_address", format!("{address:08x}").into()), ("_other", format!("{other:016x}").into())],
                    evidence: (*evidence).clone(),
                }),
                None if device.network.is_none() => Answer::Otherwise("no message tells both its EUI and its radio address"),
                None => Answer::Clear("no other device was told of under its radio address".into()),
            };
            take(Verdict { check: &checks::SHARED, subject, answer });
        }
    }

    fn shed(&self) -> u64 {
        self.shed + self.messages.shed
    }
}

/// Whether so many devices share one of so many addresses by chance: some pair in one network of ten.
fn is_crowded(devices: u64, addresses: u32) -> bool {
    devices.saturating_mul(devices.saturating_sub(1)) / 2 * 10 >= u64::from(addresses)
}
