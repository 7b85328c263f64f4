//! One DevEUI in two places that no device can be in within the time between.
//!
//! It turns join-requests, what a server tells applications of devices, and the positions of gateways into answers about devices. Gateways that
//! ever heard one and the same frame are near each other, whatever positions they tell. Session addresses say nothing here: devices share them.

mod checks;
#[cfg(test)]
mod tests;

use super::lorawan_radio::{COPIES, FIELDS, GatewayAt, Hearing, Memory, Reception, frame_number};
use super::{Detector, DetectorSpec};
use crate::findings::{Answer, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedValue, Seen};
use crate::inventory::Inventory;
use crate::policy::Policy;
use citytap_sensor::observation::Confidence;
use citytap_sensor::protocols::lorawan::dev_eui;
use citytap_sensor::protocols::lorawan::wire::{Frame, PhyPayload};
use citytap_sensor::time::{SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "lorawan_places",
    checks: checks::ALL,
    interests: &[
        Interest::messages("lorawan.join_request", FIELDS),
        Interest::messages("lorawan.data", FIELDS),
        DEVICE_EVENT,
        STAT,
        STATS,
    ],
    parameters: checks::PARAMETERS,
    make: |making| Box::new(LorawanPlaces::new(making.policy)),
};

const DEVICE_EVENT: Interest = Interest::messages("chirpstack.device_event", &["gateway", "dev_eui", "event"]);
const STAT: Interest = Interest::novelties("gwmp.stat", &["latitude", "longitude", "gateway"]);
const STATS: Interest = Interest::novelties("chirpstack.gateway_stats", &["latitude", "longitude", "gateway"]);

/// Devices followed. Beyond them none is taken on.
pub const DEVICES: usize = 65_536;

/// Gateways whose position is known.
pub const GATEWAYS: usize = 16_384;

/// Pairs of gateways remembered that heard one frame; each gateway has some ten neighbours.
pub const PAIRS: usize = 131_072;

/// Frames remembered to see who else hears them: ten seconds of 800 a second.
const FRAMES: usize = 8_192;

/// Times that it must have been far apart: positions and clocks are wrong once.
const TIMES: u64 = 2;

/// The detector.
pub struct LorawanPlaces {
    devices: HashMap<u64, Device, FixedState>,
    positions: HashMap<GatewayAt, Position, FixedState>,
    neighbours: HashSet<(GatewayAt, GatewayAt), FixedState>,
    frames: Memory,
    first: HashMap<u64, GatewayAt, FixedState>,
    reach_km: u64,
    speed_km_h: u64,
    shed: u64,
}

/// Latitude and longitude in degrees.
#[derive(Clone, Copy, PartialEq)]
struct Position(f64, f64);

struct Device {
    at: GatewayAt,
    time: Timestamp,
    heard: u64,
    apart: Evidence,
    /// The gateways of the last time, and how far apart they say they are.
    pair: Option<(GatewayAt, GatewayAt)>,
    km: u64,
}

impl LorawanPlaces {
    fn new(policy: &Policy) -> Self {
        Self {
            devices: HashMap::with_hasher(FixedState::default()),
            positions: HashMap::with_hasher(FixedState::default()),
            neighbours: HashSet::with_hasher(FixedState::default()),
            frames: Memory::new(FRAMES, 6 * COPIES),
            first: HashMap::with_hasher(FixedState::default()),
            reach_km: policy.number(&checks::REACH),
            speed_km_h: policy.number(&checks::SPEED).max(1),
            shed: 0,
        }
    }

    /// Takes a frame; gateways that hear the same one are neighbours.
    fn frame(&mut self, bytes: &[u8], reception: &Reception) -> bool {
        let Some(at) = reception.at() else { return false };
        let number = frame_number(reception.network, bytes);
        let new = matches!(self.frames.hear(number, reception, COPIES), Hearing::New);
        if self.first.len() > 2 * FRAMES {
            self.first.clear();
        }
        let first = *self.first.entry(number).or_insert(at);
        if first != at && (self.neighbours.len() < PAIRS || self.neighbours.contains(&pair(first, at))) {
            self.neighbours.insert(pair(first, at));
        }
        new
    }

    fn heard(&mut self, eui: u64, at: GatewayAt, seen: Seen) {
        if self.devices.len() >= DEVICES && !self.devices.contains_key(&eui) {
            self.shed += 1;
            return;
        }
        let (positions, reach, speed) = (&self.positions, self.reach_km, self.speed_km_h);
        let device = self.devices.entry(eui).or_insert_with(|| Device {
            at,
            time: seen.time,
            heard: 0,
            apart: Evidence::default(),
            pair: None,
            km: 0,
        });
        device.heard += 1;
        if let Some((a, b)) = positions.get(&device.at).zip(positions.get(&at)) {
            let km = a.km_to(*b);
            let travelled = seen.time.since(device.time) / SECOND * speed / 3_600;
            if km > 2 * reach + travelled {
                device.apart.add(seen, "lorawan.gateway");
                (device.pair, device.km) = (Some(pair(device.at, at)), km);
            }
        }
        (device.at, device.time) = (at, seen.time);
    }

    fn position(&mut self, event: &Event) {
        let [OwnedValue::Float(latitude), OwnedValue::Float(longitude), gateway] = event.fields.as_slice() else { return };
        let Some(gateway) = gateway.unsigned() else { return };
        let at = (event.network, gateway);
        // Zero and zero is what gateways tell that do not know.
        let known = latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && (latitude.abs() > 0.01 || longitude.abs() > 0.01);
        if known && (self.positions.len() < GATEWAYS || self.positions.contains_key(&at)) {
            self.positions.insert(at, Position(*latitude, *longitude));
        }
    }
}

fn pair(a: GatewayAt, b: GatewayAt) -> (GatewayAt, GatewayAt) {
    if a < b { (a, b) } else { (b, a) }
}

impl Position {
    /// Along the great circle, whole kilometres (haversine formula).
    fn km_to(self, other: Self) -> u64 {
        let (from, to) = (self.0.to_radians(), other.0.to_radians());
        let half = |angle: f64| (angle / 2.0).sin().powi(2);
        let h = half(to - from) + from.cos() * to.cos() * half((other.1 - self.1).to_radians());
        (2.0 * 6_371.0 * h.sqrt().min(1.0).asin()) as u64
    }
}

impl Detector for LorawanPlaces {
    fn event(&mut self, event: &Event) {
        if [STAT, STATS].iter().any(|stat| stat.kind_id() == event.kind) {
            return self.position(event);
        }
        if DEVICE_EVENT.kind_id() == event.kind {
            let [gateway, eui, what] = event.fields.as_slice() else { return };
            let radio = matches!(what.text(), Some("up" | "join"));
            if let (Some(gateway), Some(eui), true) = (gateway.unsigned(), eui.unsigned(), radio) {
                self.heard(eui, (event.network, gateway), event.seen);
            }
            return;
        }
        let Some((bytes, reception)) = Reception::of(event) else { return };
        let Ok(phy) = PhyPayload::parse(bytes) else { return };
        let new = self.frame(bytes, &reception);
        if let (Frame::JoinRequest(request), Some(at), true) = (phy.frame, reception.at(), new) {
            self.heard(request.dev_eui.0, at, reception.seen);
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for (eui, device) in &self.devices {
            let near = device.pair.is_some_and(|pair| self.neighbours.contains(&pair));
            let answer = if device.apart.count >= TIMES && !near {
                Answer::Found(Found {
                    severity: Severity::Medium,
                    confidence: Confidence::Possible,
                    arguments: vec![("_distance", format!("{} km", device.km).into())],
                    evidence: device.apart.clone(),
                })
            } else if !self.positions.contains_key(&device.at) {
                Answer::Untested("the gateways that heard it do not tell where they are".into())
            } else {
                Answer::Clear(format!("heard {} times, never farther apart than it can travel", device.heard).into())
            };
            take(Verdict { check: &checks::APART, subject: IdentityKey::new(&dev_eui(*eui), 0), answer });
        }
    }

    fn shed(&self) -> u64 {
        self.shed
    }
}
