//! A connection with its sequence numbers.

use super::super::frames::{ACK, End, PSH_ACK, SYN};
use super::City;

const FIN_ACK: u8 = 0x11;

/// Time from one end to the other.
const TRIP: u64 = 3_000_000;

/// An open connection.
pub(super) struct Connection {
    client: End,
    server: End,
    sent: u32,
    received: u32,
}

impl Connection {
    /// Opens one, and answers when it is open.
    pub(super) fn open(city: &mut City, now: u64, client: End, server: End) -> (Self, u64) {
        let [sent, received] = [city.noise.number() as u32, city.noise.number() as u32];
        city.tcp(now, client, server, SYN, [sent, 0], &[]);
        city.tcp(now + TRIP, server, client, SYN | ACK, [received, sent.wrapping_add(1)], &[]);
        let open = Self { client, server, sent: sent.wrapping_add(1), received: received.wrapping_add(1) };
        city.tcp(now + 2 * TRIP, client, server, ACK, [open.sent, open.received], &[]);
        (open, now + 2 * TRIP)
    }

    /// The client sends; answers when it was acknowledged.
    pub(super) fn asks(&mut self, city: &mut City, now: u64, bytes: &[u8]) -> u64 {
        city.tcp(now, self.client, self.server, PSH_ACK, [self.sent, self.received], bytes);
        self.sent = self.sent.wrapping_add(bytes.len() as u32);
        now + TRIP
    }

    /// The server sends, which acknowledges what it got; the client acknowledges.
    pub(super) fn answers(&mut self, city: &mut City, now: u64, bytes: &[u8]) -> u64 {
        city.tcp(now, self.server, self.client, PSH_ACK, [self.received, self.sent], bytes);
        self.received = self.received.wrapping_add(bytes.len() as u32);
        city.tcp(now + TRIP, self.client, self.server, ACK, [self.sent, self.received], &[]);
        now + TRIP
    }

    /// The server acknowledges without an answer.
    pub(super) fn acknowledges(&mut self, city: &mut City, now: u64) -> u64 {
        city.tcp(now, self.server, self.client, ACK, [self.received, self.sent], &[]);
        now
    }

    /// The client closes it, or the server does.
    pub(super) fn close(self, city: &mut City, now: u64, by_client: bool) {
        let (mut from, mut to) = ((self.client, self.sent), (self.server, self.received));
        if !by_client {
            std::mem::swap(&mut from, &mut to);
        }
        city.tcp(now, from.0, to.0, FIN_ACK, [from.1, to.1], &[]);
        city.tcp(now + TRIP, to.0, from.0, FIN_ACK, [to.1, from.1.wrapping_add(1)], &[]);
        city.tcp(now + 2 * TRIP, from.0, to.0, ACK, [from.1.wrapping_add(1), to.1.wrapping_add(1)], &[]);
    }
}
