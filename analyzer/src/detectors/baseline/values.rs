//! What values registers take, and which are out of the usual.
//!
//! Sums are whole numbers and exact. A value is out of the usual when it lies beyond `checks::VALUE_SIGMAS` standard deviations *and* well outside the
//! limits so far. Both readings of the 16 bits, without and with a sign, must say so: a temperature that first falls below zero is no
//! 65,535. Not judged are registers that a range says nothing about:
//!
//! - counters: what goes up only, or down only (an energy meter, a clock), but for a few resets;
//! - states: few different values that do not lie close together (an operating mode, bits of alarms);
//! - what has always been zero: unused, or an alarm that never was.

use super::checks;
use super::days::{Days, day_of};
use super::learned::{Accepted, Baseline, RegisterKey};
use super::relations::{End, unit_at};
use crate::findings::Evidence;
use crate::hot::owned::{Event, Interest, OwnedValue, Seen};
use crate::policy::Policy;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::observation::KindId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Registers watched: a hundred controllers with some hundred points each, several times over.
pub const REGISTERS: usize = 1 << 16;

/// Different values up to which a register is a state rather than a quantity.
const STATES: usize = 8;

/// Rises for each fall from which on a register counts up; a few resets are part of its life.
const RISES_FOR_A_FALL: u64 = 16;

/// What it wants to see: values that differ from those a minute ago, or are a minute old.
pub const INTERESTS: &[Interest] = &[
    Interest::novelties("modbus.response", &["values", "unit_id", "function_code", "address"]),
    Interest::novelties("modbus.request", &["values", "unit_id", "function_code", "address"]),
];

const RESPONSE: KindId = INTERESTS[0].kind_id();

const HOLDING: &str = "holding";
const INPUT: &str = "input";

/// One reading of 16 bits: what it took so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The least value.
    pub least: i32,
    /// The greatest.
    pub greatest: i32,
    /// The sum.
    sum: i64,
    /// The sum of squares.
    squares: u64,
}

impl Range {
    fn one(value: i32) -> Self {
        Self { least: value, greatest: value, sum: value.into(), squares: u64::from(value.unsigned_abs()).pow(2) }
    }

    fn add(&mut self, value: i32) {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        self.sum = self.sum.saturating_add(value.into());
        self.squares = self.squares.saturating_add(u64::from(value.unsigned_abs()).pow(2));
    }

    /// Whether a value lies beyond so many standard deviations and well outside the limits: by as much as they are apart, and by a quarter
    /// of the larger.
    fn is_left_by(&self, value: i32, samples: u64, sigmas: u64) -> bool {
        let (n, x, sum) = (i128::from(samples), i128::from(value), i128::from(self.sum));
        // n²·variance and (n·distance)²: no division, no fraction.
        let variance = (n * i128::from(self.squares) - sum * sum).max(0);
        let beyond = (n * x - sum).pow(2) > i128::from(sigmas).pow(2) * variance;
        let size = i64::from(self.least.unsigned_abs().max(self.greatest.unsigned_abs()));
        let (least, greatest) = (i64::from(self.least), i64::from(self.greatest));
        let room = (greatest - least).max(size / 4).max(2);
        beyond && !(least - room..=greatest + room).contains(&i64::from(value))
    }
}

/// What a register takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Readings that differed or were a minute apart.
    pub samples: u64,
    /// On which days.
    pub days: Days,
    /// Read without a sign.
    pub unsigned: Range,
    /// Read with a sign.
    pub signed: Range,
    /// The latest value.
    pub latest: u16,
    /// Times that it rose.
    pub rises: u64,
    /// Times that it fell.
    pub falls: u64,
    /// The different values, sorted, as long as they are few.
    pub values: Vec<u16>,
    /// A value that is out of the usual and waits for a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<u16>,
    /// The first frozen version that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<u32>,
    /// The decision that took a value in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
}

impl Register {
    fn new(value: u16, day: u32) -> Self {
        Self {
            samples: 1,
            days: Days::one(day),
            unsigned: Range::one(value.into()),
            signed: Range::one(value.cast_signed().into()),
            latest: value,
            rises: 0,
            falls: 0,
            values: vec![value],
            outside: None,
            frozen: None,
            accepted: None,
        }
    }

    fn add(&mut self, value: u16, day: u32) {
        self.samples += 1;
        self.days.add(day);
        self.unsigned.add(value.into());
        self.signed.add(value.cast_signed().into());
        self.rises += u64::from(value > self.latest);
        self.falls += u64::from(value < self.latest);
        self.latest = value;
        self.note(value);
    }

    /// One value more than a state has is kept: it says that they are many.
    fn note(&mut self, value: u16) {
        if let (Err(at), true) = (self.values.binary_search(&value), self.values.len() <= STATES) {
            self.values.insert(at, value);
        }
    }

    /// Whether enough is known to judge by it.
    pub fn is_usual(&self, day: u32, learning_days: u32, samples: u64) -> bool {
        let learned = self.frozen.is_some() || self.days.before(day) >= learning_days;
        learned && self.samples >= samples && self.is_quantity()
    }

    /// Takes the value that waits into the range.
    pub fn accept(&mut self, decision: &Accepted) {
        if let Some(value) = self.outside.take() {
            self.unsigned.add(value.into());
            self.signed.add(value.cast_signed().into());
            self.samples += 1;
            self.note(value);
            self.accepted = Some(decision.clone());
        }
    }

    /// Whether its range says something.
    pub fn is_quantity(&self) -> bool {
        let counts = |ups: u64, downs: u64| ups > 0 && downs * RISES_FOR_A_FALL <= ups;
        let is_counter = counts(self.rises, self.falls) || counts(self.falls, self.rises);
        let few = self.values.len() <= STATES;
        let (least, greatest) = (self.unsigned.least, self.unsigned.greatest);
        let is_state = few && (greatest < 16 && self.values.len() > 1 || (greatest - least) > greatest / 4);
        !is_counter && !is_state && greatest > 0
    }

    fn is_left_by(&self, value: u16, sigmas: u64) -> bool {
        self.unsigned.is_left_by(value.into(), self.samples, sigmas)
            && self.signed.is_left_by(value.cast_signed().into(), self.samples, sigmas)
    }
}

/// Where a register is on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// Address of the server.
    pub server: IpAddr,
    /// The network.
    pub network: NetworkId,
    /// The unit.
    pub unit: u8,
    /// `holding` or `input`.
    pub table: &'static str,
    /// The register's address.
    pub address: u16,
}

impl Point {
    /// The register of a key; `None` where an export was edited into something else.
    fn of(key: &RegisterKey) -> Option<Self> {
        let (server, network) = key.server.split_once('/').unwrap_or((&key.server, "0"));
        let table = [HOLDING, INPUT].into_iter().find(|table| *table == key.table)?;
        Some(Self { server: server.parse().ok()?, network: network.parse().ok()?, unit: key.unit, table, address: key.address })
    }

    /// The key of the register in a baseline.
    pub fn key(&self, party: &str) -> RegisterKey {
        let server = if self.network == 0 { self.server.to_string() } else { format!("{}/{}", self.server, self.network) };
        RegisterKey { party: party.into(), server, unit: self.unit, table: self.table.into(), address: self.address }
    }

    /// The end that has it.
    pub fn device(&self) -> End {
        unit_at(self.server, self.unit.into(), self.network)
    }
}

/// A register in this run.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What it takes, with what was known before.
    pub register: Option<Register>,
    /// Where it was last seen.
    pub last: Seen,
    /// Where values out of the usual were seen.
    pub outside: Evidence,
    /// The last of them.
    pub value: u16,
    /// The limits that it left.
    pub limits: (i32, i32),
    /// The party whose register was known before.
    pub party: Option<String>,
}

/// The registers of a run.
pub struct Values {
    registers: HashMap<Point, Watched, FixedState>,
    known: HashMap<Point, (String, Register), FixedState>,
    learning_days: u32,
    samples: u64,
    sigmas: u64,
    shed: u64,
}

impl Values {
    /// With nothing known.
    pub fn new(policy: &Policy) -> Self {
        Self {
            registers: HashMap::default(),
            known: HashMap::default(),
            learning_days: u32::try_from(policy.number(&checks::VALUE_DAYS)).unwrap_or(u32::MAX),
            samples: policy.number(&checks::VALUE_SAMPLES),
            sigmas: policy.number(&checks::VALUE_SIGMAS),
            shed: 0,
        }
    }

    /// With what was learned before. While a run goes on: with what a person took in meanwhile.
    pub fn begin(&mut self, baseline: &Baseline) {
        for (key, register) in &baseline.registers {
            let watched = Point::of(key).and_then(|point| self.registers.get_mut(&point));
            let (Some(watched), Some(decision)) = (watched, &register.accepted) else { continue };
            if let Some(here) = watched.register.as_mut().filter(|here| here.accepted.as_ref() != Some(decision)) {
                here.accept(decision);
                watched.outside = Evidence::default();
            }
        }
        let known = baseline
            .registers
            .iter()
            .filter_map(|(key, register)| Some((Point::of(key)?, (key.party.clone(), register.clone()))));
        self.known.extend(known);
    }

    /// The registers, sorted.
    pub fn sorted(&self) -> Vec<(&Point, &Watched)> {
        let mut all: Vec<_> = self.registers.iter().collect();
        all.sort_unstable_by(|a, b| a.0.cmp(b.0));
        all
    }

    /// Registers that found no room.
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// Takes values read, or to be written.
    pub fn event(&mut self, event: &Event) {
        let number = |at: usize| event.fields.get(at).and_then(OwnedValue::unsigned);
        let (Some(values), Some(unit), Some(function), Some(address)) = (event.fields.first(), number(1), number(2), number(3))
        else {
            return;
        };
        let is_response = event.kind == RESPONSE;
        let table = match (function, is_response) {
            (3, true) | (6 | 16, false) => HOLDING,
            (4, true) => INPUT,
            _ => return,
        };
        let server = if is_response { event.sender.ip } else { event.receiver.ip };
        let Ok(unit) = u8::try_from(unit) else { return };
        for (value, at) in values.numbers().iter().zip(address..) {
            let (Ok(value), Ok(address)) = (u16::try_from(*value), u16::try_from(at)) else { return };
            self.take(Point { server, network: event.network, unit, table, address }, value, event.seen);
        }
    }

    fn take(&mut self, point: Point, value: u16, seen: Seen) {
        let day = day_of(seen.time);
        if !self.registers.contains_key(&point) {
            if self.registers.len() >= REGISTERS {
                self.shed += 1;
                return;
            }
            let (party, register) = self.known.get(&point).cloned().unzip();
            let fresh = Watched { register, last: seen, outside: Evidence::default(), value: 0, limits: (0, 0), party };
            self.registers.insert(point.clone(), fresh);
        }
        let Some(watched) = self.registers.get_mut(&point) else { return };
        watched.last = seen;
        match &mut watched.register {
            Some(register)
                if register.is_usual(day, self.learning_days, self.samples) && register.is_left_by(value, self.sigmas) =>
            {
                watched.outside.add(seen, "modbus.values");
                watched.value = value;
                watched.limits = (register.unsigned.least, register.unsigned.greatest);
                register.outside = Some(value);
            }
            Some(register) => register.add(value, day),
            None => watched.register = Some(Register::new(value, day)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(values: impl IntoIterator<Item = u16>) -> Register {
        let mut values = values.into_iter();
        let mut register = Register::new(values.next().unwrap(), 1);
        values.for_each(|value| register.add(value, 1));
        register
    }

    fn swings() -> Register {
        register((0..400u16).map(|turn| 500 + (turn * 7) % 40))
    }

    #[test]
    fn a_quantity_may_move_a_little_further_and_not_far() {
        let register = swings();
        assert!(register.is_quantity());
        for (value, left) in [(500, false), (560, false), (620, false), (2_000, true), (0, true), (65_535, true)] {
            assert_eq!(register.is_left_by(value, 4), left, "{value}");
        }
    }

    #[test]
    fn a_temperature_may_fall_below_zero_for_the_first_time() {
        let register = register((0..400u16).map(|turn| (turn * 7) % 60));
        assert!(register.is_quantity());
        assert!(!register.is_left_by(65_530, 4), "-6");
        assert!(register.is_left_by(40_000, 4));
    }

    #[test]
    fn a_meter_that_counts_is_not_judged() {
        assert!(!register(0..400).is_quantity());
        assert!(!register((0..400).rev()).is_quantity());
        assert!(!register((0..400u32).map(|turn| (turn * 300 % 65_536) as u16)).is_quantity(), "it wraps");
    }

    #[test]
    fn states_and_what_was_always_zero_are_not_judged() {
        assert!(!register((0..400).map(|turn| turn % 4)).is_quantity());
        assert!(!register((0..400).map(|turn| [0x0100, 0x0500, 0x8000][turn % 3])).is_quantity());
        assert!(!register([0; 400]).is_quantity());
    }

    #[test]
    fn a_set_point_that_hardly_moves_is_judged() {
        let one = register([50; 400]);
        assert!(one.is_quantity());
        assert!(!one.is_left_by(55, 4));
        assert!(one.is_left_by(5_000, 4));
        assert!(register((0..400).map(|turn| [48, 50, 52][turn % 3])).is_left_by(5_000, 4));
    }

    #[test]
    fn what_a_person_takes_in_is_usual_from_then_on() {
        let mut register = swings();
        register.outside = Some(2_000);
        register.accept(&Accepted { at: Default::default(), reason: "new pump".into() });
        assert_eq!(register.outside, None);
        assert!(!register.is_left_by(2_000, 4));
    }

    #[test]
    fn registers_are_bounded() {
        use citytap_sensor::flow::{Direction, Endpoint};
        use citytap_sensor::observation::Place;
        use citytap_sensor::time::Timestamp;
        let mut values = Values::new(&Policy::default());
        let end = |last| Endpoint { ip: [10, 0, 0, last].into(), port: 1 };
        let numbers: Box<[u64]> = vec![7; 1 << 16].into();
        for unit in [1, 2] {
            let fields = vec![
                OwnedValue::Numbers(numbers.clone()),
                OwnedValue::Unsigned(unit),
                OwnedValue::Unsigned(3),
                OwnedValue::Unsigned(0),
            ];
            let seen = Seen { place: Place { frame: 1, sequence: 0 }, time: Timestamp(0) };
            let (sender, receiver, direction) = (end(1), end(2), Direction::ToClient);
            values.event(&Event { stages: 1, seen, network: 0, sender, receiver, direction, kind: RESPONSE, fields });
        }
        assert_eq!((values.sorted().len(), values.shed()), (REGISTERS, 1 << 16));
    }
}
