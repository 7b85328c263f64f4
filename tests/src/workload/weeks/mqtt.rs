//! Sensors that report over MQTT every half hour, a dashboard that listens, and a broker that is restarted once a week.

use super::super::frames::End;
use super::tcp::Connection;
use super::{Actor, City, DAY, DISTRICTS, HOUR, MINUTE, SECOND, at};

const BROKER: [u8; 4] = [10, 20, 0, 5];

/// Time between packets of a client that has nothing to say.
const KEEP_ALIVE: u64 = 15 * MINUTE;

pub(super) fn actors(city: &mut City, count: usize, actors: &mut Vec<Box<dyn Actor>>) {
    for number in 0..count {
        let begins = city.later(0, KEEP_ALIVE);
        actors.push(Box::new(Sensor {
            name: format!("air-{number:03}"),
            ip: [10, 20, 1 + (number / 200) as u8, 10 + (number % 200) as u8],
            subscribes: None,
            district: number % DISTRICTS,
            begins,
            before: 0,
            port: 50_000,
            turn: 0,
            open: None,
        }));
    }
    actors.push(Box::new(Sensor {
        name: "dashboard".into(),
        ip: [10, 20, 0, 9],
        subscribes: Some("city/alarms/+"),
        district: DISTRICTS,
        begins: MINUTE,
        before: 0,
        port: 45_000,
        turn: 0,
        open: None,
    }));
}

/// A client: one that reports, or one that listens.
struct Sensor {
    name: String,
    ip: [u8; 4],
    subscribes: Option<&'static str>,
    district: usize,
    begins: u64,
    before: u64,
    port: u16,
    turn: u16,
    open: Option<Connection>,
}

impl Sensor {
    fn connect(&mut self, city: &mut City, now: u64) -> u64 {
        self.port = if self.port > 60_000 { 50_000 } else { self.port + 1 };
        let client: End = at(self.ip, self.port);
        let (mut open, mut when) = Connection::open(city, now, client, at(BROKER, 1883));
        let mut body = b"\x00\x04MQTT\x04\xee".to_vec();
        body.extend_from_slice(&(KEEP_ALIVE / SECOND * 3 / 2).to_be_bytes()[6..]);
        for text in [&self.name, &format!("city/{}/alive", self.name), "0", &self.name, "vK3-of-its-own-7741"] {
            body.extend_from_slice(&(text.len() as u16).to_be_bytes());
            body.extend_from_slice(text.as_bytes());
        }
        when = open.asks(city, when, &packet(0x10, &body));
        when = open.answers(city, when, &[0x20, 2, 0, 0]);
        if let Some(filter) = self.subscribes {
            let mut body = vec![0, 1, 0, filter.len() as u8];
            body.extend_from_slice(filter.as_bytes());
            body.push(0);
            when = open.asks(city, when, &packet(0x82, &body));
            when = open.answers(city, when, &[0x90, 3, 0, 1, 0]);
        } else {
            when = open.asks(city, when, &publish(0x31, &format!("city/{}/alive", self.name), None, "1"));
            when = open.acknowledges(city, when);
        }
        self.open = Some(open);
        when
    }
}

impl Actor for Sensor {
    fn begins(&self) -> u64 {
        self.begins
    }

    fn act(&mut self, now: u64, city: &mut City) -> u64 {
        let cut = city.was_cut(self.district, self.before, now);
        let restart = |time: u64| (time + 3 * DAY + 19 * HOUR) / (7 * DAY);
        let broker_restarted = restart(now) > restart(self.before) && self.before > 0;
        self.before = now;
        if cut {
            // Without power nobody says goodbye.
            self.open = None;
            return city.later(now + 20 * SECOND, 3 * MINUTE);
        }
        if broker_restarted && let Some(open) = self.open.take() {
            open.close(city, now, false);
            return city.later(now + SECOND, 30 * SECOND);
        }
        if self.open.is_none() {
            self.connect(city, now);
            return now + MINUTE;
        }
        self.turn += 1;
        let report = (self.turn.is_multiple_of(2) && self.subscribes.is_none()).then(|| {
            let value = 18 + city.noise.below(6);
            let id = self.turn.max(1);
            (publish(0x32, &format!("city/{}/state", self.name), Some(id), &format!("{{\"no2\":{value}}}")), id)
        });
        let Some(open) = &mut self.open else { return now + MINUTE };
        match report {
            Some((packet, id)) => {
                let asked = open.asks(city, now, &packet);
                let [a, b] = id.to_be_bytes();
                open.answers(city, asked, &[0x40, 2, a, b]);
            }
            None => {
                let asked = open.asks(city, now, &[0xc0, 0]);
                open.answers(city, asked, &[0xd0, 0]);
            }
        }
        now + KEEP_ALIVE
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first, body.len() as u8];
    packet.extend_from_slice(body);
    packet
}

fn publish(first: u8, topic: &str, id: Option<u16>, payload: &str) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    body.extend(id.into_iter().flat_map(u16::to_be_bytes));
    body.extend_from_slice(payload.as_bytes());
    packet(first, &body)
}
