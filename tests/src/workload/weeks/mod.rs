//! Weeks of a healthy city: street lights, meters and parking sensors over LoRaWAN, sensors over MQTT, pumps over Modbus, lamps over LwM2M. What
//! happens in it is what happens in cities and alarms naive tools: power cuts after which a district starts again at once, retransmissions, frames
//! that several gateways hear, counters that wrap, DevAddrs that foreign networks share, noise, gateways behind an address that changes, a broker
//! that is restarted, clocks that are set.

mod lorawan;
mod lwm2m;
mod modbus;
mod mqtt;
mod tcp;

use super::frames::{self, End};
use super::{Capture, SECOND};
use crate::noise::Noise;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::net::Ipv4Addr;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Weeks {
    /// LoRaWAN devices of the city.
    pub lorawan: usize,
    /// MQTT sensors.
    pub mqtt: usize,
    /// Modbus pumps.
    pub modbus: usize,
    /// LwM2M lamps.
    pub lwm2m: usize,
    /// How many weeks.
    pub weeks: u64,
    /// Another seed gives another city.
    pub seed: u64,
}

impl Weeks {
    /// Devices of the city that report by themselves.
    pub fn devices(&self) -> usize {
        self.lorawan + self.mqtt + self.modbus + self.lwm2m
    }
}

pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// Districts with a power supply of their own.
const DISTRICTS: usize = 4;

/// Writes the weeks.
pub fn weeks<W: Write>(capture: &mut Capture<W>, wanted: &Weeks) -> io::Result<()> {
    let mut noise = Noise::new(wanted.seed);
    let end = wanted.weeks * 7 * DAY;
    let mut cuts: Vec<Cut> = Vec::new();
    let mut at = 3 * DAY + 5 * HOUR;
    while at < end {
        cuts.push(Cut { at, district: noise.below(DISTRICTS) });
        at += 4 * DAY + noise.below(5 * 24) as u64 * HOUR;
    }
    let mut city = City { pending: BinaryHeap::new(), sequence: 0, noise, cuts, end, frame: Vec::new() };
    let mut actors: Vec<Box<dyn Actor>> = Vec::new();
    lorawan::actors(&mut city, wanted.lorawan, &mut actors);
    mqtt::actors(&mut city, wanted.mqtt, &mut actors);
    modbus::actors(&mut city, wanted.modbus, &mut actors);
    lwm2m::actors(&mut city, wanted.lwm2m, &mut actors);
    let mut turns: BinaryHeap<Reverse<(u64, usize)>> =
        actors.iter().enumerate().map(|(at, actor)| Reverse((actor.begins(), at))).collect();
    while let Some(Reverse((now, at))) = turns.pop().filter(|Reverse((now, _))| *now < end) {
        city.write_until(capture, now)?;
        let next = actors[at].act(now, &mut city);
        turns.push(Reverse((next.max(now + 1), at)));
    }
    city.write_until(capture, u64::MAX)
}

/// Somebody who does something now and then.
trait Actor {
    /// When it acts first.
    fn begins(&self) -> u64;

    /// Acts, and answers when it acts again.
    fn act(&mut self, now: u64, city: &mut City) -> u64;
}

/// The power was cut in a district.
#[derive(Clone, Copy)]
struct Cut {
    at: u64,
    district: usize,
}

/// What all share: the wire, chance, and what happens to districts.
struct City {
    pending: BinaryHeap<Reverse<(u64, u64, Vec<u8>)>>,
    sequence: u64,
    noise: Noise,
    cuts: Vec<Cut>,
    end: u64,
    frame: Vec<u8>,
}

impl City {
    /// Whether the power was cut in a district between two times, the second included.
    fn was_cut(&self, district: usize, after: u64, until: u64) -> bool {
        self.cuts.iter().any(|cut| cut.district == district && after < cut.at && cut.at <= until)
    }

    /// A time up to so much later.
    fn later(&mut self, now: u64, most: u64) -> u64 {
        now + self.noise.below(usize::try_from(most).unwrap_or(usize::MAX)) as u64
    }

    /// One time in so many.
    fn one_in(&mut self, times: usize) -> bool {
        self.noise.below(times) == 0
    }

    fn udp(&mut self, time: u64, from: End, to: End, payload: &[u8]) {
        let mut frame = std::mem::take(&mut self.frame);
        frames::udp(&mut frame, from, to, payload);
        self.send(time, frame.clone());
        self.frame = frame;
    }

    fn tcp(&mut self, time: u64, from: End, to: End, flags: u8, numbers: [u32; 2], payload: &[u8]) {
        let mut frame = std::mem::take(&mut self.frame);
        frames::tcp(&mut frame, from, to, flags, numbers, payload);
        self.send(time, frame.clone());
        self.frame = frame;
    }

    fn send(&mut self, time: u64, frame: Vec<u8>) {
        self.sequence += 1;
        self.pending.push(Reverse((time, self.sequence, frame)));
    }

    /// Writes what is sent before `now`. The tap's clock is set twice: forward by two seconds, and back by one.
    fn write_until<W: Write>(&mut self, capture: &mut Capture<W>, now: u64) -> io::Result<()> {
        while let Some(Reverse((time, _, frame))) = self.pending.peek().filter(|Reverse((time, ..))| *time < now) {
            let step = if *time > self.end / 2 {
                SECOND
            } else if *time > self.end / 3 {
                2 * SECOND
            } else {
                0
            };
            capture.packet(time + step, frame)?;
            self.pending.pop();
        }
        Ok(())
    }
}

/// An address of the city.
fn at(ip: [u8; 4], port: u16) -> End {
    End { ip: Ipv4Addr::from(ip), port }
}
