//! Downlinks of LoRaWAN: outside the receive windows, with orders that harm, acknowledging nothing, sent again.
//!
//! It turns uplinks and downlinks into answers about device addresses. Groups (addresses that never send), devices of class B and C, addresses that
//! several devices share are not judged; orders that are encrypted are judged where a key makes them readable. Over Basics Station and ChirpStack's broker
//! a downlink names its uplink and the delay after it, which is judged as well as an exact time. What was changed between network server and
//! application is `lorawan_applications`'.

mod checks;
mod device;
mod orders;
#[cfg(test)]
mod tests;
mod usual;

use super::lorawan_radio::{COPIES, FIELDS, GATEWAYS, GatewayAt, Hearing, Memory, Reception, frame_number};
use super::{Detector, DetectorSpec};
use crate::findings::{Answer, Argument, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedValue};
use crate::inventory::Inventory;
use crate::policy::Policy;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::Confidence;
use citytap_sensor::protocols::lorawan::dev_addr;
use citytap_sensor::protocols::lorawan::wire::{DataFrame, Frame, Link, PhyPayload};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use device::{Device, Sending};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use orders::{Harm, Signal, spreading_factor};
use std::collections::VecDeque;
use usual::{Given, Heard, Operator, Usual, operator};

/// The fields of [`FIELDS`], and those of the radio.
const MORE_FIELDS: &[&str] = &[
    "phy_payload",
    "gateway",
    "tmst_us",
    "rssi_dbm",
    "snr_db",
    "checksum_right",
    "data_rate",
    "frequency_hz",
    "timing",
    "delay_us",
];

/// Commands that a key made readable.
const COMMANDS: Interest = Interest::messages("lorawan.mac_commands", &["bytes", "dev_addr", "direction"]);

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "lorawan_downlinks",
    checks: checks::ALL,
    interests: &[Interest::messages("lorawan.data", MORE_FIELDS), COMMANDS],
    parameters: checks::PARAMETERS,
    make: |making| Box::new(LorawanDownlinks::new(making.policy)),
};

/// Device addresses followed, those heard once making room first: as many as the keys follow.
pub const ADDRESSES: usize = 65_536;

/// Frames remembered, for [`REMEMBERED_FOR`]: seven eighths of 2^17, where a table of that size is full.
pub const REMEMBERED: usize = 114_688;

/// A downlink that comes again after days looks like that of a server that lost its counters.
pub const REMEMBERED_FOR: Nanos = 48 * 3_600 * SECOND;

/// The same downlink within this time is one: RX1 and RX2, several gateways, a gateway that refused.
const SAME: Nanos = 60 * SECOND;

/// Devices with which a frequency is one on which the network reaches its class C devices.
const CLASS_C: usize = 3;

type At = (NetworkId, u32);

/// The detector.
pub struct LorawanDownlinks {
    /// Boxed: a table of them that grows would need the room twice.
    devices: HashMap<At, Box<Device>, FixedState>,
    provisional: VecDeque<At>,
    memory: Memory,
    tolerance: Nanos,
    /// Gateways' clocks at a reception, microseconds, and when that was seen.
    clocks: HashMap<GatewayAt, (u32, Timestamp), FixedState>,
    heard: Heard,
    /// Devices whose settings make them usual.
    usual_from: u64,
    shed: u64,
}

impl LorawanDownlinks {
    fn new(policy: &Policy) -> Self {
        Self {
            devices: HashMap::with_hasher(FixedState::default()),
            provisional: VecDeque::new(),
            memory: Memory::new(REMEMBERED, REMEMBERED_FOR),
            clocks: HashMap::with_hasher(FixedState::default()),
            heard: Heard::default(),
            usual_from: policy.number(&checks::USUAL_FROM),
            tolerance: policy.number(&checks::TOLERANCE).saturating_mul(SECOND / 1_000),
            shed: 0,
        }
    }

    fn device(&mut self, at: At) -> Option<&mut Device> {
        if !self.devices.contains_key(&at) {
            if self.devices.len() >= ADDRESSES {
                self.shed += 1;
                loop {
                    let old = self.provisional.pop_front()?;
                    if self.devices.get(&old).is_some_and(|device| device.uplinks <= 1) {
                        self.devices.remove(&old);
                        break;
                    }
                }
            }
            self.provisional.push_back(at);
        }
        Some(self.devices.entry(at).or_default())
    }

    fn uplink(&mut self, at: At, data: &DataFrame<'_>, frame: u64, reception: &Reception, signal: Signal) {
        let new = matches!(self.memory.hear(frame, reception, COPIES), Hearing::New);
        if let (Some(gateway), Some(tmst)) = (reception.at(), reception.tmst_us)
            && (self.clocks.len() < GATEWAYS || self.clocks.contains_key(&gateway))
        {
            self.clocks.insert(gateway, (tmst, reception.time()));
        }
        if let Some(frequency) = signal.frequency_hz {
            self.heard.on(operator(at.0, at.1), frequency);
        }
        let Some(device) = self.device(at) else { return };
        match new {
            true => device.uplink(data, reception, signal),
            false => device.copy(data, reception, signal),
        }
    }

    fn downlink(&mut self, at: At, data: &DataFrame<'_>, frame: u64, reception: &Reception, sending: &Sending<'_>) {
        let tolerance = self.tolerance;
        // A gateway's clock tells when a downlink is to be sent, not that it is the same one.
        let heard = Reception { tmst_us: None, ..*reception };
        let hearing = self.memory.hear(frame, &heard, SAME);
        // Groups never send.
        let Some(device) = self.devices.get_mut(&at).filter(|device| device.is_one()) else { return };
        match hearing {
            Hearing::New => device.downlink(data, reception, sending, tolerance),
            Hearing::Copy => {}
            Hearing::Again(_) => device.again(data, reception),
        }
    }
}

impl LorawanDownlinks {
    /// Commands that a key made readable.
    fn decrypted(&mut self, event: &Event) {
        let [bytes, address, direction, ..] = event.fields.as_slice() else { return };
        let address = address.unsigned().and_then(|address| u32::try_from(address).ok());
        if let (Some(bytes), Some(address), Some("downlink")) = (bytes.bytes(), address, direction.text())
            && let Some(device) = self.devices.get_mut(&(event.network, address))
        {
            device.order(bytes, true, event.seen);
        }
    }
}

/// Why orders are not judged.
const ENCRYPTED: &str = "the orders to it are encrypted, as in LoRaWAN 1.1, and its keys are not known";

impl Detector for LorawanDownlinks {
    fn event(&mut self, event: &Event) {
        if event.kind == COMMANDS.kind_id() {
            return self.decrypted(event);
        }
        let Some((bytes, reception)) = Reception::of(event) else { return };
        let Ok(phy) = PhyPayload::parse(bytes) else { return };
        let Frame::Data(data) = phy.frame else { return };
        let [data_rate, frequency_hz, timing, delay_us] = event.fields.get(FIELDS.len()..).unwrap_or_default() else { return };
        let at = (reception.network, data.dev_addr.0);
        let frame = frame_number(reception.network, bytes);
        let frequency_hz = frequency_hz.unsigned();
        match data.link {
            Link::Up => {
                let spreading_factor = data_rate.text().and_then(spreading_factor);
                let signal = Signal { frequency_hz, spreading_factor, snr_db: reception.snr_db };
                self.uplink(at, &data, frame, &reception, signal);
            }
            Link::Down => {
                let delay_us = delay_us.unsigned().and_then(|delay| u32::try_from(delay).ok());
                let clock = reception.at().and_then(|gateway| self.clocks.get(&gateway));
                let now_us = clock.map(|(tmst, then)| tmst.wrapping_add((reception.time().since(*then) / 1_000) as u32));
                let sending = Sending { timing: OwnedValue::text(timing), delay_us, now_us, frequency_hz };
                self.downlink(at, &data, frame, &reception, &sending);
            }
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        // Where several devices are sent to on one frequency outside their windows, it is the network's for class C.
        let mut class_c: HashMap<u64, usize, FixedState> = HashMap::default();
        for device in self.devices.values().filter(|device| device.out_of_window.count > 0) {
            *class_c.entry(device.out_on_hz.unwrap_or_default()).or_default() += 1;
        }
        let given = self.devices.iter().filter(|(_, device)| device.is_one()).flat_map(|(at, device)| {
            let mut given: Vec<Given> = device.orders().flat_map(|orders| orders.given.iter().map(|(given, _)| *given)).collect();
            given.sort_unstable();
            given.dedup();
            given.into_iter().map(|given| (operator(at.0, at.1), given))
        });
        let usual = Usual::new(given, &self.heard, self.usual_from);
        for (at, device) in &self.devices {
            let on_class_c = device.out_on_hz.is_some_and(|hz| class_c.get(&hz).is_some_and(|devices| *devices >= CLASS_C));
            let subject = IdentityKey::new(&dev_addr(at.1), at.0);
            let mut say = |check, answer| take(Verdict { check, subject: subject.clone(), answer });
            if !device.is_one() || device.downlinks == 0 {
                let why = if device.is_one() { "nothing was sent to it" } else { "other devices use its radio address too" };
                checks::ALL.iter().for_each(|check| say(check, Answer::Otherwise(why)));
                continue;
            }
            say(&checks::WINDOW, device.window_answer(on_class_c));
            device.orders_answer(&mut |answer| say(&checks::COMMAND, answer));
            device.settings_answer(&usual, operator(at.0, at.1), &mut |answer| say(&checks::SETTING, answer));
            say(&checks::ACK, device.counted(&checks::ACK, &device.acks, device.acks_judged));
            say(&checks::REPEAT, device.counted(&checks::REPEAT, &device.replays, device.downlinks));
        }
    }

    fn shed(&self) -> u64 {
        self.shed + self.memory.shed
    }
}

impl Device {
    fn window_answer(&self, on_class_c: bool) -> Answer {
        if self.out_of_window.count > 0 && self.is_class_a() && !on_class_c {
            return found(
                Severity::Medium,
                Confidence::Possible,
                vec![("_count", times(&self.out_of_window))],
                &self.out_of_window,
            );
        }
        Answer::Clear(format!("{} messages to it, none when it does not listen", self.downlinks).into())
    }

    fn orders_answer(&self, say: &mut dyn FnMut(Answer)) {
        if !self.is_readable() && self.orders().next().is_none() {
            return say(Answer::Untested(ENCRYPTED.into()));
        }
        let mut found_any = false;
        for harm in Harm::ALL {
            for (_, evidence) in self.orders().flat_map(|orders| orders.harms.iter()).filter(|(known, _)| *known == harm) {
                found_any = true;
                let confidence = if harm == Harm::OtherBand { Confidence::Likely } else { Confidence::Possible };
                say(found(Severity::Medium, confidence, vec![("how", harm.words().into())], evidence));
            }
        }
        if !found_any {
            let messages: u32 = self.orders().map(|orders| orders.messages).sum();
            say(Answer::Clear(format!("{messages} messages with orders, all ordinary").into()));
        }
    }

    fn settings_answer(&self, usual: &Usual<'_>, operator: Operator, say: &mut dyn FnMut(Answer)) {
        if !self.is_readable() && self.orders().next().is_none() {
            return say(Answer::Untested(ENCRYPTED.into()));
        }
        let (mut known, mut unknown, mut odd) = (0u32, 0u32, 0u32);
        for (given, seen) in self.orders().flat_map(|orders| orders.given.iter()) {
            match usual.is_odd(operator, *given) {
                None => unknown += 1,
                Some(false) => known += 1,
                Some(true) => {
                    odd += 1;
                    let evidence = Evidence::one(*seen, "lorawan.commands");
                    say(found(Severity::Low, Confidence::Possible, vec![("how", usual::words(*given).into())], &evidence));
                }
            }
        }
        match (odd, known, unknown) {
            (1.., ..) => {}
            (0, 0, 0) => say(Answer::Clear("none of the messages to it changed channels, windows or sending time".into())),
            (0, _, 1..) => say(Answer::Untested(
                "what is usual in its network is not known: too few of its devices were given such settings here".into(),
            )),
            (0, known, 0) => say(Answer::Clear(format!("{known} settings, all as others of its network have them").into())),
        }
    }

    fn counted(&self, check: &CheckSpec, evidence: &Evidence, of: u32) -> Answer {
        if evidence.count > 0 {
            let confidence = if check == &checks::REPEAT { Confidence::Likely } else { Confidence::Possible };
            return found(Severity::Medium, confidence, vec![("_count", times(evidence))], evidence);
        }
        match of {
            0 => Answer::Otherwise("too few of its messages were heard in a row"),
            of => Answer::Clear(format!("{of} messages to it").into()),
        }
    }
}

fn times(evidence: &Evidence) -> std::borrow::Cow<'static, str> {
    if evidence.count == 1 { "once".into() } else { format!("{} times", evidence.count).into() }
}

fn found(severity: Severity, confidence: Confidence, arguments: Vec<Argument>, evidence: &Evidence) -> Answer {
    Answer::Found(Found { severity, confidence, arguments, evidence: evidence.clone() })
}
