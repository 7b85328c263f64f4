//! What the LoRaWAN detectors share: receptions as carriers tell them, which frames were heard before, and the gateways' clocks, which tell a frame
//! that came late over a slow or broken backhaul from one that was on the air again.

use crate::hot::owned::{Event, Interest, OwnedValue, Seen};
use citytap_sensor::flow::NetworkId;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// The fields of a frame that [`Reception::of`] reads, in this order.
pub const FIELDS: &[&str] = &["phy_payload", "gateway", "tmst_us", "rssi_dbm", "snr_db", "checksum_right"];

/// Records that show that a gateway reaches its server, whether it hears devices or not; their first field is the gateway.
pub const SIGNS_OF_LIFE: [Interest; 3] = [
    Interest::messages("gwmp.pull_data", &["gateway"]),
    Interest::messages("gwmp.stat", &["gateway"]),
    Interest::messages("chirpstack.gateway_stats", &["gateway"]),
];

/// Copies of a frame from several gateways come within this time: backhauls are slow. The usual windows of network servers are 0.2 to 2 s.
pub const COPIES: Nanos = 10 * SECOND;

/// Gateways whose clocks are followed: those of a large city several times over.
pub const GATEWAYS: usize = 16_384;

/// How far the delay of a gateway's frames varies while it delivers promptly, microseconds.
const JITTER_US: u32 = 2_000_000;

/// Frames, and the time between the first and the last, after which a gateway's clock is trusted.
const SETTLED: (u16, Nanos) = (4, 60 * SECOND);

/// A gateway that says nothing for longer has lost its server: keep-alives come every 10 to 60 s.
const CONTACT_LOST: Nanos = 150 * SECOND;

/// A gateway in a network.
pub type GatewayAt = (NetworkId, u64);

/// A frame as one gateway heard it.
#[derive(Clone, Copy, Debug)]
pub struct Reception {
    /// The network that the gateway's datagrams belong to.
    pub network: NetworkId,
    /// The gateway, where it is told.
    pub gateway: Option<u64>,
    /// Its clock at the reception.
    pub tmst_us: Option<u32>,
    /// Signal strength, whole dBm.
    pub rssi_dbm: Option<i32>,
    /// Signal to noise ratio, whole dB.
    pub snr_db: Option<i32>,
    /// Where it was seen.
    pub seen: Seen,
}

impl Reception {
    /// The frame's bytes and how they were heard. `None` where there was no radio checksum or a wrong one: what noise makes is no frame.
    pub fn of(event: &Event) -> Option<(&[u8], Self)> {
        let [bytes, gateway, tmst_us, rssi, snr, checksum_right] = event.fields.get(..FIELDS.len())? else { return None };
        let reception = Self {
            network: event.network,
            gateway: gateway.unsigned(),
            tmst_us: tmst_us.unsigned().and_then(|tmst| u32::try_from(tmst).ok()),
            rssi_dbm: whole(rssi),
            snr_db: whole(snr),
            seen: event.seen,
        };
        (checksum_right.bool() != Some(false)).then_some((bytes.bytes()?, reception))
    }

    /// The gateway with its network.
    pub fn at(&self) -> Option<GatewayAt> {
        Some((self.network, self.gateway?))
    }

    /// When it was seen.
    pub fn time(&self) -> Timestamp {
        self.seen.time
    }
}

fn whole(value: &OwnedValue) -> Option<i32> {
    match value {
        OwnedValue::Float(value) => Some(value.round() as i32),
        OwnedValue::Signed(value) => i32::try_from(*value).ok(),
        OwnedValue::Unsigned(value) => i32::try_from(*value).ok(),
        _ => None,
    }
}

/// A number that stands for a frame of a network.
pub fn frame_number(network: NetworkId, phy_payload: &[u8]) -> u64 {
    FixedState::default().hash_one((network, phy_payload))
}

/// Frames that were heard, for some time: those of late, and those before them. When there is no room the older half goes.
pub struct Memory {
    young: HashMap<u64, Known, FixedState>,
    old: HashMap<u64, Known, FixedState>,
    /// When the first of the young ones was heard.
    since: Timestamp,
    room: usize,
    age: Nanos,
    /// Frames forgotten before their time.
    pub shed: u64,
}

/// A frame that was heard before.
#[derive(Clone, Debug)]
pub struct Known {
    /// When first.
    pub first: Timestamp,
    /// When last, copies and retransmissions included.
    pub last: Timestamp,
    /// Gateways that heard it first, with the strength: where the sender was.
    pub places: SmallVec<[(u64, Option<i32>); 2]>,
    /// Receptions, as hashes of gateway and its clock: what is delivered twice was heard once.
    receptions: SmallVec<[u32; 4]>,
}

/// Places and receptions remembered of a frame: more gateways add nothing to the judgement.
const PLACES: usize = 8;

/// What is known of a frame that comes in.
pub enum Hearing {
    /// It is new.
    New,
    /// It was heard a moment ago by this gateway or another one, or is a second delivery of one reception.
    Copy,
    /// It was heard before, and not a moment ago.
    Again(Known),
}

impl Memory {
    /// With room for so many frames, none longer than `age` after it was last heard.
    pub fn new(room: usize, age: Nanos) -> Self {
        let [young, old] = [const { HashMap::with_hasher(FixedState::with_seed(0)) }; 2];
        Self { young, old, since: Timestamp::default(), room, age, shed: 0 }
    }

    /// Takes a frame. Those last heard within `copies` are copies.
    pub fn hear(&mut self, frame: u64, reception: &Reception, copies: Nanos) -> Hearing {
        let now = reception.time();
        self.forget(now);
        let mark = reception.gateway.zip(reception.tmst_us).map(|mark| FixedState::default().hash_one(mark) as u32);
        // What is heard again is young again.
        if let Some(known) = self.old.remove(&frame) {
            self.young.insert(frame, known);
        }
        let known = match self.young.entry(frame) {
            Entry::Occupied(entry) if now.since(entry.get().last) <= self.age => entry.into_mut(),
            entry => {
                let mut known = Known { first: now, last: now, places: SmallVec::new(), receptions: SmallVec::new() };
                known.heard_at(reception, mark);
                entry.insert(known);
                return Hearing::New;
            }
        };
        if mark.is_some_and(|mark| known.receptions.contains(&mark)) {
            return Hearing::Copy;
        }
        let before = known.clone();
        known.last = now;
        if now.since(before.last) <= copies {
            known.heard_at(reception, mark);
            return Hearing::Copy;
        }
        if let (Some(mark), true) = (mark, known.receptions.len() < PLACES) {
            known.receptions.push(mark);
        }
        Hearing::Again(before)
    }

    /// Where the young ones take half of the room, or the old ones are too old, these go.
    fn forget(&mut self, now: Timestamp) {
        if self.young.is_empty() {
            self.since = now;
        }
        if self.young.len() < self.room.div_ceil(2) && now.since(self.since) <= self.age {
            return;
        }
        std::mem::swap(&mut self.young, &mut self.old);
        self.shed += self.young.values().filter(|known| now.since(known.last) <= self.age).count() as u64;
        self.young.clear();
        self.since = now;
    }
}

impl Known {
    fn heard_at(&mut self, reception: &Reception, mark: Option<u32>) {
        if let (Some(gateway), true) = (reception.gateway, self.places.len() < PLACES) {
            self.places.push((gateway, reception.rssi_dbm));
        }
        if let (Some(mark), true) = (mark, self.receptions.len() < PLACES) {
            self.receptions.push(mark);
        }
    }
}

/// How a frame came from its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// At once, by the gateway's own clock.
    Prompt,
    /// Late: it was on the air before.
    Late,
    /// The gateway's clock is not known yet, but it was in touch with its server all the time since.
    InTouch,
    /// Not known: it can be late.
    Unknown,
}

impl Delivery {
    /// Whether the frame was on the air when it was seen, as far as can be told.
    pub fn is_timely(self) -> bool {
        matches!(self, Delivery::Prompt | Delivery::InTouch)
    }
}

/// The gateways' clocks beside packet time.
#[derive(Default)]
pub struct Clocks {
    gateways: HashMap<GatewayAt, Clock, FixedState>,
    /// Gateways for which there was no room.
    pub shed: u64,
}

#[derive(Clone, Copy, Default)]
struct Clock {
    /// Since when it was in touch without a longer silence, and when last.
    contact: (Timestamp, Timestamp),
    trusted: Offset,
    /// Another offset that frames agree on: the clock was set back by a restart, or the frames before were late.
    rival: Offset,
    settled: bool,
}

/// Packet time less the gateway's time, microseconds, and the frames that agree on it.
#[derive(Clone, Copy, Default)]
struct Offset {
    us: u32,
    frames: u16,
    since: Timestamp,
}

impl Offset {
    fn takes(&mut self, us: u32) -> bool {
        let off = us.wrapping_sub(self.us) as i32;
        let agrees = self.frames > 0 && off.unsigned_abs() <= JITTER_US;
        if agrees {
            // Crystals drift by seconds a day.
            self.us = self.us.wrapping_add((off / 8) as u32);
            self.frames = self.frames.saturating_add(1);
        }
        agrees
    }

    fn is_settled(&self, now: Timestamp) -> bool {
        self.frames >= SETTLED.0 && now.since(self.since) >= SETTLED.1
    }
}

impl Clocks {
    /// The gateway said something.
    pub fn contact(&mut self, gateway: GatewayAt, now: Timestamp) {
        let Some(clock) = self.clock(gateway) else { return };
        let (since, last) = clock.contact;
        let lost = clock.contact == Default::default() || now.since(last) > CONTACT_LOST;
        clock.contact = (if lost { now } else { since }, now);
    }

    /// Takes a reception; whether it was prompt. `since` is when the frame would have been on the air if this is late.
    pub fn heard(&mut self, reception: &Reception, since: Timestamp) -> Delivery {
        let (Some(gateway), now) = (reception.at(), reception.time()) else { return Delivery::Unknown };
        let by_clock = self.by_clock(gateway, reception.tmst_us, now);
        let in_touch =
            self.gateways.get(&gateway).is_some_and(|clock| clock.contact.1 > clock.contact.0 && clock.contact.0 <= since);
        self.contact(gateway, now);
        by_clock.unwrap_or(if in_touch { Delivery::InTouch } else { Delivery::Unknown })
    }

    fn by_clock(&mut self, gateway: GatewayAt, tmst_us: Option<u32>, now: Timestamp) -> Option<Delivery> {
        let clock = self.clock(gateway)?;
        let us = ((now.0 / 1_000) as u32).wrapping_sub(tmst_us?);
        if clock.trusted.takes(us) {
            clock.settled |= clock.trusted.is_settled(now);
            return clock.settled.then_some(Delivery::Prompt);
        }
        if clock.trusted.frames == 0 {
            clock.trusted = Offset { us, frames: 1, since: now };
            return None;
        }
        if !clock.rival.takes(us) {
            clock.rival = Offset { us, frames: 1, since: now };
        } else if clock.rival.is_settled(now) {
            (clock.trusted, clock.rival, clock.settled) = (clock.rival, Offset::default(), true);
            return Some(Delivery::Prompt);
        }
        clock.settled.then_some(Delivery::Late)
    }

    fn clock(&mut self, gateway: GatewayAt) -> Option<&mut Clock> {
        if self.gateways.len() >= GATEWAYS && !self.gateways.contains_key(&gateway) {
            self.shed += 1;
            return None;
        }
        Some(self.gateways.entry(gateway).or_default())
    }
}

#[cfg(test)]
#[allow(missing_docs)]
pub mod testing {
    //! A city's air for the tests: devices that send, gateways with clocks of their own, a tap that a detector listens to.

    use super::super::{DETECTORS, Detector, DetectorSpec, Making};
    use crate::findings::{Answer, Verdict};
    use crate::hot::owned::{Event, OwnedValue, Seen};
    use crate::inventory::{Inventory, InventoryConfig};
    use crate::policy::Policy;
    use citytap_sensor::flow::{Direction, Endpoint};
    use citytap_sensor::observation::{KindId, Place};
    use citytap_sensor::time::{Nanos, SECOND, Timestamp};
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    pub const GW: u64 = 0x7076_ff00_5606_0001;
    pub const FAR: u64 = 0x7076_ff00_5606_0002;
    pub const ADDRESS: u32 = 0x260b_0001;

    /// Named values of a record.
    pub type Fields = BTreeMap<&'static str, OwnedValue>;

    pub struct Air {
        spec: &'static DetectorSpec,
        pub detector: Box<dyn Detector>,
        pub now: Timestamp,
        frame: u64,
    }

    impl Air {
        pub fn of(name: &str) -> Self {
            let spec = DETECTORS.iter().find(|spec| spec.name == name).unwrap();
            let making = Making { policy: &Policy::default(), zones: &Arc::default(), ours: &Arc::default() };
            let detector = (spec.make)(&making);
            Self { spec, detector, now: Timestamp::from_parts(1_777_874_400, 0), frame: 0 }
        }

        pub fn wait(&mut self, seconds: u64) {
            self.pass(seconds * SECOND);
        }

        pub fn pass(&mut self, time: Nanos) {
            self.now = self.now.plus(time);
        }

        /// A record passes the tap.
        pub fn record(&mut self, kind: &'static str, fields: &Fields, from: [u8; 4], to: [u8; 4]) {
            self.frame += 1;
            let seen = Seen { place: Place { frame: self.frame, sequence: 0 }, time: self.now };
            for interest in self.spec.interests.iter().filter(|interest| interest.kind == kind) {
                let value = |name: &&str| fields.get(name).cloned().unwrap_or(OwnedValue::Absent);
                let event = Event {
                    stages: 1,
                    seen,
                    network: 0,
                    sender: Endpoint { ip: Ipv4Addr::from(from).into(), port: 1700 },
                    receiver: Endpoint { ip: Ipv4Addr::from(to).into(), port: 1700 },
                    direction: Direction::ToServer,
                    kind: KindId::of(kind),
                    fields: interest.fields.iter().map(value).collect(),
                };
                if event.fields.first().is_some_and(|first| *first != OwnedValue::Absent) {
                    self.detector.event(&event);
                }
            }
        }

        /// A gateway passes on a frame that it heard so long ago.
        pub fn heard(&mut self, gateway: u64, bytes: &[u8], ago: Nanos) {
            let mut fields = radio(gateway, bytes);
            fields.insert("tmst_us", OwnedValue::Unsigned(u64::from(self.tmst(gateway, ago))));
            self.record(kind_of(bytes), &fields, [10, 0, 1, gateway as u8], [10, 0, 0, 2]);
        }

        /// The gateway's clock so long ago.
        pub fn tmst(&self, gateway: u64, ago: Nanos) -> u32 {
            ((self.now.0 - ago) / 1_000).wrapping_add(gateway.wrapping_mul(0x1234_5677)) as u32
        }

        pub fn alive(&mut self, gateway: u64) {
            let fields = Fields::from([("gateway", OwnedValue::Unsigned(gateway))]);
            self.record("gwmp.pull_data", &fields, [10, 0, 1, gateway as u8], [10, 0, 0, 2]);
        }

        /// What was found, as check and subject.
        pub fn found(&self) -> Vec<String> {
            let mut found = Vec::new();
            self.verdicts(|verdict| {
                if let Answer::Found(_) = verdict.answer {
                    found.push(format!("{} {}", verdict.check.id, verdict.subject));
                }
            });
            found.sort();
            found
        }

        /// The answers to a check, by subject.
        pub fn answers(&self, check: &str) -> BTreeMap<String, Answer> {
            let mut answers = BTreeMap::new();
            self.verdicts(|verdict| {
                if verdict.check.id == check {
                    answers.insert(verdict.subject.to_string(), verdict.answer);
                }
            });
            answers
        }

        fn verdicts(&self, mut take: impl FnMut(Verdict)) {
            self.detector.verdicts(&Inventory::new(InventoryConfig::new("city")), &mut take);
        }
    }

    fn kind_of(bytes: &[u8]) -> &'static str {
        match bytes[0] >> 5 {
            0 => "lorawan.join_request",
            1 => "lorawan.join_accept",
            6 => "lorawan.rejoin_request",
            _ => "lorawan.data",
        }
    }

    pub fn radio(gateway: u64, bytes: &[u8]) -> Fields {
        Fields::from([
            ("phy_payload", OwnedValue::Bytes(bytes.into())),
            ("gateway", OwnedValue::Unsigned(gateway)),
            ("rssi_dbm", OwnedValue::Float(-80.0)),
            ("snr_db", OwnedValue::Float(7.0)),
            ("data_rate", OwnedValue::Text("SF7BW125".into())),
            ("frequency_hz", OwnedValue::Unsigned(868_100_000)),
            ("checksum_right", OwnedValue::Bool(true)),
        ])
    }

    /// A data frame; the code at its end stands for its MIC under a key of that number.
    pub fn data(m_hdr: u8, address: u32, f_ctrl: u8, f_cnt: u16, rest: &[u8], key: u32) -> Vec<u8> {
        let mut frame = [&[m_hdr][..], &address.to_le_bytes(), &[f_ctrl], &f_cnt.to_le_bytes(), rest].concat();
        let mic = frame.iter().fold(key, |code, byte| (code ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        frame.extend(mic.to_le_bytes());
        frame
    }

    /// An uplink on port 1.
    pub fn up(address: u32, f_cnt: u16, payload: u8) -> Vec<u8> {
        up_under(address, f_cnt, payload, 1)
    }

    /// An uplink on port 1 under a key of that number.
    pub fn up_under(address: u32, f_cnt: u16, payload: u8, key: u32) -> Vec<u8> {
        data(0x40, address, 0x80, f_cnt, &[1, payload, 7], key)
    }

    /// A join-request.
    pub fn join(dev_eui: u64, nonce: u16) -> Vec<u8> {
        let mut frame = [&[0][..], &1u64.to_le_bytes(), &dev_eui.to_le_bytes(), &nonce.to_le_bytes()].concat();
        let mic = frame.iter().fold(9u32, |code, byte| (code ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        frame.extend(mic.to_le_bytes());
        frame
    }
}
