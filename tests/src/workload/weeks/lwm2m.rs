//! Lamps that register with an LwM2M server, keep their registration alive every hour and are asked for their state.

use super::super::frames::End;
use super::{Actor, City, DISTRICTS, HOUR, MINUTE, SECOND, at};

pub(super) fn actors(city: &mut City, count: usize, actors: &mut Vec<Box<dyn Actor>>) {
    for number in 0..count {
        let begins = city.later(0, HOUR);
        actors.push(Box::new(Lamp {
            number,
            client: at([10, 30, 4, 10 + number as u8], 5683),
            server: at([10, 30, 0, 5], 5683),
            district: number % DISTRICTS,
            begins,
            before: 0,
            registered: false,
            message: 100,
        }));
    }
}

struct Lamp {
    number: usize,
    client: End,
    server: End,
    district: usize,
    begins: u64,
    before: u64,
    registered: bool,
    message: u16,
}

impl Lamp {
    /// A confirmable request with a token of two bytes and its options, and the answer to it.
    fn exchange(&mut self, city: &mut City, now: u64, [from, to]: [End; 2], request: (u8, &[u8]), answer: (u8, &[u8])) {
        self.message = self.message.wrapping_add(1);
        let id = self.message.to_be_bytes();
        let message = |kind: u8, (code, rest): (u8, &[u8])| {
            let mut bytes = vec![0x42 | kind << 4, code, id[0], id[1], id[1], id[0]];
            bytes.extend_from_slice(rest);
            bytes
        };
        let asked = message(0, request);
        city.udp(now, from, to, &asked);
        if city.one_in(30) {
            // The answer was lost: the same message again.
            city.udp(now + 2 * SECOND + SECOND / 2, from, to, &asked);
            city.udp(now + 3 * SECOND, to, from, &message(2, answer));
        } else {
            city.udp(now + SECOND / 20, to, from, &message(2, answer));
        }
    }
}

impl Actor for Lamp {
    fn begins(&self) -> u64 {
        self.begins
    }

    fn act(&mut self, now: u64, city: &mut City) -> u64 {
        let cut = city.was_cut(self.district, self.before, now);
        self.before = now;
        if cut {
            self.registered = false;
            return city.later(now, 5 * MINUTE);
        }
        let (client, server) = (self.client, self.server);
        let name = format!("lamp-{:03}", self.number);
        let place = format!("{:03}", self.number);
        if self.registered {
            // POST /rd/NNN
            let mut rest = b"\xb2rd\x03".to_vec();
            rest.extend_from_slice(place.as_bytes());
            self.exchange(city, now, [client, server], (0x02, &rest), (0x44, &[]));
        } else {
            // POST /rd?ep=lamp-NNN&lt=86400&b=U with the objects as links.
            let mut rest = b"\xb2rd\x11\x28\x39lwm2m=1.0".to_vec();
            rest.push(0x0b);
            rest.extend_from_slice(format!("ep={name}").as_bytes());
            rest.extend_from_slice(b"\x08lt=86400\x03b=U\xff</1/0>,</3/0>,</3311/0>");
            let mut answer = b"\x82rd\x03".to_vec();
            answer.extend_from_slice(place.as_bytes());
            self.exchange(city, now, [client, server], (0x02, &rest), (0x41, &answer));
            self.registered = true;
        }
        // GET /3311/0/5850 as text.
        let value: &[u8] = if now / HOUR % 24 < 14 { b"\xc0\xff0" } else { b"\xc0\xff1" };
        self.exchange(city, now + 5 * SECOND, [server, client], (0x01, b"\xb43311\x010\x045850"), (0x45, value));
        now + HOUR - MINUTE + city.noise.below(120) as u64 * SECOND
    }
}
