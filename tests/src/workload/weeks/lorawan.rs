//! Meters, parking sensors and street lights over LoRaWAN, behind gateways that speak the packet forwarder's protocol.
//!
//! The message integrity codes are made up: none of the keys is published, so nobody can check them. What is benign and looks bad stands at each
//! place where it is done.

use super::super::frames::End;
use super::{Actor, City, DISTRICTS, HOUR, MINUTE, SECOND, at};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::cell::RefCell;
use std::rc::Rc;

/// Gateways of the city.
const GATEWAYS: usize = 5;

/// Our own network: addresses of it begin with 0x26 (NetID 000013).
const OURS: u32 = 0x2600_0000;

/// A neighbour's, with an address space so small that its devices share addresses.
const THEIRS: u32 = 0xfc00_8000;

const SERVER: [u8; 4] = [10, 40, 0, 5];

/// RX1 is a second after an uplink, five after a join-request (RP002-1.0.4 §3).
const RX1: u64 = SECOND;
const JOIN_RX1: u64 = 5 * SECOND;

pub(super) fn actors(city: &mut City, count: usize, actors: &mut Vec<Box<dyn Actor>>) {
    let gateways: Vec<Rc<RefCell<Gateway>>> = (0..GATEWAYS).map(|number| Rc::new(RefCell::new(Gateway::new(number)))).collect();
    for (number, gateway) in gateways.iter().enumerate() {
        actors.push(Box::new(Housekeeping {
            gateway: gateway.clone(),
            begins: (number as u64 + 1) * SECOND,
            before: 0,
            turn: 0,
        }));
    }
    for number in 0..count + count / 20 {
        let foreign = number >= count;
        let heard_by = 1 + city.noise.below(3);
        let first = city.noise.below(GATEWAYS);
        let period = [15 * MINUTE, HOUR, HOUR, 4 * HOUR][number % 4];
        let activation = match number % 5 {
            0 => Activation::ByPersonalization,
            1 | 2 => Activation::RandomNonce,
            _ => Activation::CountingNonce,
        };
        let activation = if foreign { Activation::ByPersonalization } else { activation };
        let address = match (foreign, activation) {
            // Neighbours' devices share addresses, two by two.
            (true, _) => THEIRS | (number / 2) as u32,
            (false, Activation::ByPersonalization) => OURS | number as u32,
            _ => 0,
        };
        let begins = city.later(0, period);
        actors.push(Box::new(Node {
            eui: 0x70b3_d57e_d000_0000 + number as u64,
            activation,
            district: number % DISTRICTS,
            gateways: (0..heard_by).map(|at| gateways[(first + at) % GATEWAYS].clone()).collect(),
            period,
            begins,
            before: 0,
            address,
            // Some have been running for long: their counters will wrap.
            f_cnt: if number % 3 == 0 { 65_300 + city.noise.below(200) as u32 } else { city.noise.below(3000) as u32 },
            f_cnt_down: city.noise.below(200) as u16,
            nonce: city.noise.below(500) as u16,
            joined: activation == Activation::ByPersonalization,
            foreign,
            answer_due: false,
        }));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Activation {
    /// Its keys and address are built in. After a power cut it counts from 0 again.
    ByPersonalization,
    /// Before 1.0.4: the nonce of a join is random, and one day it is one that was used.
    RandomNonce,
    /// Since 1.0.4.
    CountingNonce,
}

struct Gateway {
    eui: u64,
    address: End,
    /// Its clock began then.
    started: u64,
    number: usize,
    token: u16,
    /// What it heard while the line was down: it sends it later, as some forwarders do.
    kept: Vec<(u64, String)>,
    down_until: u64,
}

impl Gateway {
    fn new(number: usize) -> Self {
        Self {
            eui: 0x0016_c001_f100_0000 + number as u64,
            address: at([10, 40, 1, 10 + number as u8], 40_000 + number as u16),
            started: 0,
            number,
            token: 0,
            kept: Vec::new(),
            down_until: 0,
        }
    }

    fn tmst(&self, now: u64) -> u32 {
        ((now - self.started) / 1000) as u32
    }

    fn datagram(&mut self, kind: u8, json: &str) -> Vec<u8> {
        self.token = self.token.wrapping_add(1);
        let [a, b] = self.token.to_be_bytes();
        let mut datagram = vec![2, a, b, kind];
        datagram.extend_from_slice(&self.eui.to_be_bytes());
        datagram.extend_from_slice(json.as_bytes());
        datagram
    }

    /// Forwards what it heard, and the server acknowledges.
    fn push(&mut self, city: &mut City, now: u64, json: &str) {
        let datagram = self.datagram(0, json);
        let acknowledged = [2, datagram[1], datagram[2], 1];
        city.udp(now, self.address, at(SERVER, 1700), &datagram);
        city.udp(now + SECOND / 50, at(SERVER, 1700), self.address, &acknowledged);
    }

    /// Hears a frame.
    fn hears(&mut self, city: &mut City, now: u64, phy: &[u8], good: bool) {
        let (rssi, snr) = (-60 - city.noise.below(55) as i32, 9 - city.noise.below(16) as i32);
        let json = format!(
            r#"{{"rxpk":[{{"tmst":{},"chan":{},"rfch":0,"freq":868.{},"stat":{},"modu":"LORA","datr":"SF9BW125","codr":"4/5","rssi":{rssi},"lsnr":{snr}.0,"size":{},"data":"{}"}}]}}"#,
            self.tmst(now),
            city.noise.below(3),
            [1, 3, 5][city.noise.below(3)],
            if good { 1 } else { -1 },
            phy.len(),
            STANDARD.encode(phy)
        );
        if now < self.down_until {
            self.kept.push((now, json));
            return;
        }
        // The way to the server takes longer at some gateways than at others: 20 ms to 1.5 s over a cellular line.
        let way = if self.number == 3 { SECOND / 2 + city.noise.below(1000) as u64 * 1_000_000 } else { SECOND / 50 };
        self.push(city, now + way, &json);
    }

    /// Sends a frame that the server wants sent at this time.
    fn sends(&mut self, city: &mut City, now: u64, when: u64, phy: &[u8]) {
        if now < self.down_until {
            return;
        }
        let json = format!(
            r#"{{"txpk":{{"imme":false,"tmst":{},"freq":868.1,"rfch":0,"powe":14,"modu":"LORA","datr":"SF9BW125","codr":"4/5","ipol":true,"size":{},"data":"{}"}}}}"#,
            self.tmst(when),
            phy.len(),
            STANDARD.encode(phy)
        );
        self.token = self.token.wrapping_add(1);
        let [a, b] = self.token.to_be_bytes();
        let mut datagram = vec![2, a, b, 3];
        datagram.extend_from_slice(json.as_bytes());
        city.udp(now + SECOND / 5, at(SERVER, 1700), self.address, &datagram);
        let mut acknowledged = vec![2, a, b, 5];
        acknowledged.extend_from_slice(&self.eui.to_be_bytes());
        city.udp(now + SECOND / 4, self.address, at(SERVER, 1700), &acknowledged);
    }
}

/// What a gateway does by itself.
struct Housekeeping {
    gateway: Rc<RefCell<Gateway>>,
    begins: u64,
    before: u64,
    turn: u64,
}

impl Actor for Housekeeping {
    fn begins(&self) -> u64 {
        self.begins
    }

    fn act(&mut self, now: u64, city: &mut City) -> u64 {
        let gateway = &mut *self.gateway.borrow_mut();
        if city.was_cut(gateway.number % DISTRICTS, self.before, now) {
            // It starts again: its clock begins anew, and its address is translated to another port.
            gateway.started = now;
            gateway.address.port = 40_000 + city.noise.below(20_000) as u16;
        }
        self.before = now;
        self.turn += 1;
        if gateway.number == 4 && city.one_in(1000) {
            gateway.down_until = now + 5 * MINUTE + city.noise.below(20) as u64 * MINUTE;
        }
        if now < gateway.down_until {
            return gateway.down_until;
        }
        for (number, (_, json)) in std::mem::take(&mut gateway.kept).into_iter().enumerate() {
            gateway.push(city, now + SECOND + number as u64 * SECOND / 10, &json);
        }
        let pull = gateway.datagram(2, "");
        let acknowledged = [2, pull[1], pull[2], 4];
        city.udp(now, gateway.address, at(SERVER, 1700), &pull);
        city.udp(now + SECOND / 50, at(SERVER, 1700), gateway.address, &acknowledged);
        if self.turn.is_multiple_of(5) {
            let json = format!(
                r#"{{"stat":{{"lati":52.37{},"long":4.90000{},"alti":12,"rxnb":12,"rxok":11,"rxfw":11,"ackr":100.0,"dwnb":1,"txnb":1}}}}"#,
                gateway.number,
                city.noise.below(3)
            );
            gateway.push(city, now + SECOND / 10, &json);
        }
        if city.one_in(20) {
            // Noise: what looks like a frame and failed its CRC.
            let mut noise = vec![0x40];
            noise.extend(city.noise.bytes(18));
            gateway.hears(city, now + SECOND, &noise, false);
        }
        2 * MINUTE
            + now
            // Once a week one gets another address from its provider.
            + if gateway.number == 2 && self.turn.is_multiple_of(7 * 24 * 30) {
                gateway.address = at([10, 40, 1, 30 + (self.turn / 5040) as u8], gateway.address.port);
                MINUTE
            } else {
                0
            }
    }
}

/// A device.
struct Node {
    eui: u64,
    activation: Activation,
    district: usize,
    gateways: Vec<Rc<RefCell<Gateway>>>,
    period: u64,
    begins: u64,
    before: u64,
    address: u32,
    f_cnt: u32,
    f_cnt_down: u16,
    nonce: u16,
    joined: bool,
    foreign: bool,
    /// The network sent a command that it is to answer.
    answer_due: bool,
}

impl Node {
    fn heard(&self, city: &mut City, now: u64, phy: &[u8]) {
        for gateway in &self.gateways {
            if !city.one_in(12) {
                gateway.borrow_mut().hears(city, now, phy, true);
            }
        }
    }

    /// Bytes with a code behind them that belongs to the session and the bytes.
    fn signed(&self, mut bytes: Vec<u8>, secret: u64) -> Vec<u8> {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ secret ^ self.eui.rotate_left(17) ^ u64::from(self.address);
        for byte in &bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        bytes.extend_from_slice(&((hash >> 20) as u32).to_le_bytes());
        bytes
    }

    fn data(&self, first: u8, f_ctrl: u8, f_cnt: u32, f_opts: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        bytes.extend_from_slice(&self.address.to_le_bytes());
        bytes.push(f_ctrl | f_opts.len() as u8);
        bytes.extend_from_slice(&(f_cnt as u16).to_le_bytes());
        bytes.extend_from_slice(f_opts);
        if !payload.is_empty() {
            bytes.push(2);
            bytes.extend_from_slice(payload);
        }
        self.signed(bytes, u64::from(f_cnt) << 20 | u64::from(first))
    }

    fn join(&mut self, city: &mut City, now: u64) -> u64 {
        self.nonce = match self.activation {
            Activation::CountingNonce => self.nonce.wrapping_add(1),
            _ => city.noise.number() as u16,
        };
        let mut bytes = vec![0];
        bytes.extend_from_slice(&0x70b3_d57e_d000_f00d_u64.to_le_bytes());
        bytes.extend_from_slice(&self.eui.to_le_bytes());
        bytes.extend_from_slice(&self.nonce.to_le_bytes());
        let request = self.signed(bytes, 7);
        self.heard(city, now, &request);
        if city.one_in(10) {
            return city.later(now + 30 * SECOND, 2 * MINUTE);
        }
        let mut accept = vec![0x20];
        accept.extend(city.noise.bytes(16));
        self.gateways[0].borrow_mut().sends(city, now, now + JOIN_RX1, &accept);
        self.joined = true;
        self.address = OURS | city.noise.below(1 << 24) as u32;
        (self.f_cnt, self.f_cnt_down) = (0, 0);
        city.later(now + 20 * SECOND, MINUTE)
    }

    fn uplink(&mut self, city: &mut City, now: u64) -> u64 {
        let confirmed = city.one_in(15) && !self.foreign;
        let payload = city.noise.bytes(11);
        let f_opts: &[u8] = if self.answer_due { &[0x03, 0x07] } else { &[] };
        let uplink = self.data(if confirmed { 0x80 } else { 0x40 }, 0x80, self.f_cnt, f_opts, &payload);
        self.answer_due = false;
        self.f_cnt += 1;
        if city.one_in(30) {
            // Nobody heard it: a gap in the counter.
            return now;
        }
        self.heard(city, now, &uplink);
        let mut last = now;
        if confirmed {
            // The acknowledgement is late: the same frame again, and again.
            for _ in 0..city.noise.below(3) {
                last += 3 * SECOND + city.noise.below(5) as u64 * SECOND;
                self.heard(city, last, &uplink);
            }
            let downlink = self.data(0x60, 0x20, u32::from(self.f_cnt_down), &[], &[]);
            self.f_cnt_down = self.f_cnt_down.wrapping_add(1);
            self.gateways[0].borrow_mut().sends(city, last, last + RX1, &downlink);
        } else if !self.foreign && city.one_in(40) {
            // The network sets data rate and power, as adaptive data rate does.
            let downlink = self.data(0x60, 0x80, u32::from(self.f_cnt_down), &[0x03, 0x52, 0x07, 0x00, 0x01], &[]);
            self.f_cnt_down = self.f_cnt_down.wrapping_add(1);
            self.gateways[0].borrow_mut().sends(city, now, now + RX1, &downlink);
            self.answer_due = true;
        }
        last
    }
}

impl Actor for Node {
    fn begins(&self) -> u64 {
        self.begins
    }

    fn act(&mut self, now: u64, city: &mut City) -> u64 {
        let cut = city.was_cut(self.district, self.before, now);
        self.before = now;
        if cut {
            match self.activation {
                Activation::ByPersonalization => self.f_cnt = 0,
                _ => self.joined = false,
            }
            return city.later(now + 10 * SECOND, 10 * MINUTE);
        }
        if !self.joined {
            return self.join(city, now);
        }
        self.uplink(city, now);
        now + self.period - 10 * SECOND + city.noise.below(20) as u64 * SECOND
    }
}
