//! Pumps that a control room polls every five minutes; it writes a set point each morning, and an engineer reads their names once a week.

use super::super::frames::End;
use super::tcp::Connection;
use super::{Actor, City, DAY, DISTRICTS, HOUR, MINUTE, SECOND, at};

const EVERY: u64 = 5 * MINUTE;

pub(super) fn actors(city: &mut City, count: usize, actors: &mut Vec<Box<dyn Actor>>) {
    for number in 0..count {
        let begins = city.later(0, EVERY);
        actors.push(Box::new(Pump {
            server: at([10, 10, 0, 10 + number as u8], 502),
            district: number % DISTRICTS,
            begins,
            before: 0,
            open: None,
            ports: 40_000,
            transaction: 0,
            level: 500,
            hours: 10_000,
            written: 0,
        }));
    }
}

/// A pump, with the control room's side of it.
struct Pump {
    server: End,
    district: usize,
    begins: u64,
    before: u64,
    open: Option<Connection>,
    ports: u16,
    transaction: u16,
    level: u16,
    hours: u16,
    /// Day of the last set point.
    written: u64,
}

impl Pump {
    fn ask(&mut self, city: &mut City, now: u64, request: &[u8], response: &[u8]) -> u64 {
        self.transaction = self.transaction.wrapping_add(1);
        let adu = |transaction: u16, pdu: &[u8]| {
            let mut adu = transaction.to_be_bytes().to_vec();
            adu.extend_from_slice(&[0, 0, 0, pdu.len() as u8 + 1, 1]);
            adu.extend_from_slice(pdu);
            adu
        };
        let Some(open) = &mut self.open else { return now };
        let asked = open.asks(city, now, &adu(self.transaction, request));
        open.answers(city, asked, &adu(self.transaction, response)) + SECOND / 10
    }

    fn connect(&mut self, city: &mut City, now: u64) -> u64 {
        self.ports = if self.ports > 60_000 { 40_000 } else { self.ports + 1 };
        let (open, when) = Connection::open(city, now, at([10, 10, 0, 2], self.ports), self.server);
        self.open = Some(open);
        when
    }
}

impl Actor for Pump {
    fn begins(&self) -> u64 {
        self.begins
    }

    fn act(&mut self, now: u64, city: &mut City) -> u64 {
        let cut = city.was_cut(self.district, self.before, now);
        self.before = now;
        if cut {
            // The pump forgot the connection; the control room finds out and opens another.
            self.open = None;
            return now + MINUTE;
        }
        let mut when = if self.open.is_none() { self.connect(city, now) } else { now };
        self.level = (self.level + city.noise.below(11) as u16).saturating_sub(5).clamp(400, 600);
        self.hours = self.hours.wrapping_add(u16::from(city.one_in(12)));
        let mut response = vec![3, 20];
        let registers = [self.level, self.level / 2, 21, 0, 1, self.hours, 50, 50, 0, 7];
        registers.iter().for_each(|register| response.extend_from_slice(&register.to_be_bytes()));
        when = self.ask(city, when, &[3, 0, 0, 0, 10], &response);
        let day = now / DAY;
        if day > self.written && now % DAY < 2 * HOUR {
            self.written = day;
            let set_point = 45 + city.noise.below(11) as u8;
            when = self.ask(city, when, &[6, 0, 20, 0, set_point], &[6, 0, 20, 0, set_point]);
            if day.is_multiple_of(7) {
                self.ask(city, when, &[0x2b, 0x0e, 1, 0], b"\x2b\x0e\x01\x01\x00\x00\x03\x00\x04WAGO\x01\x04750-\x02\x0203");
            }
        }
        now + EVERY
    }
}
