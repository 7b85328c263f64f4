//! Radio gateways: two machines under one EUI, downlinks drawn away, orders from somebody who is not the network server, gateways that moved.
//!
//! It turns what packet forwarders and network servers say into answers about gateways. A change of address is none of these, nor are several network
//! servers, several forwarders on one host, or what a translator shows on its two sides. Downlinks are drawn away only where the protocol has no login
//! (GWMP); two receivers under one EUI, and one that speaks from another network, show over Basics Station and ChirpStack's broker as well. What a
//! broker passes on says nothing of where a gateway is. New gateways are the baseline's.

mod checks;
mod place;
mod senders;
#[cfg(test)]
mod tests;
mod whence;

use super::{Detector, DetectorSpec, Making};
use crate::findings::{Answer, Argument, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, IdentityKey, Interest, OwnedValue};
use crate::inventory::Inventory;
use citytap_sensor::flow::{Direction, Endpoint, NetworkId};
use citytap_sensor::observation::Confidence;
use citytap_sensor::protocols::lorawan::gateway_eui;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use place::{Places, Position};
use senders::Senders;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use whence::{Map, Whence};

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "gateways",
    checks: checks::ALL,
    interests: &[PULL_DATA, PULL_ACK, PULL_RESP, RX_PACKET, STAT, STATS, STATION_FRAME, STATION_TIME, BROKER_FRAME],
    parameters: checks::PARAMETERS,
    make: |making| Box::new(Gateways::new(making)),
};

const PULL_DATA: Interest = Interest::messages("gwmp.pull_data", &["gateway", "token"]);
const PULL_ACK: Interest = Interest::messages("gwmp.pull_ack", &["token"]);
const PULL_RESP: Interest = Interest::messages("gwmp.pull_resp", &["token"]);
const RX_PACKET: Interest = Interest::messages("gwmp.rx_packet", &["tmst_us", "gateway"]);
const STAT: Interest = Interest::messages("gwmp.stat", &["latitude", "longitude", "gateway"]);
const STATION_FRAME: Interest = Interest::messages("station.uplink", &["gateway", "tmst_us"]);
const STATION_TIME: Interest = Interest::messages("station.timesync", &["gateway"]);
const BROKER_FRAME: Interest = Interest::messages("chirpstack.gateway_uplink", &["gateway", "tmst_us"]);
const STATS: Interest = Interest::messages("chirpstack.gateway_stats", &["latitude", "longitude", "gateway"]);

/// Gateways followed: those of a large city several times over.
pub const GATEWAYS: usize = 16_384;

/// Sockets from which gateways ask for downlinks; a translator gives a gateway a new one now and then.
pub const SOCKETS: usize = 65_536;

/// Servers remembered of a socket.
const SERVERS: usize = 8;

/// Strange servers told of one gateway.
const STRANGERS: usize = 8;

/// A socket belongs to the gateway for so long after it last asked.
const HELD: Nanos = 3_600 * SECOND;

/// An acknowledgement follows within this time.
const ACKNOWLEDGED: Nanos = 10 * SECOND;

type At = (NetworkId, u64);

/// The detector.
pub struct Gateways {
    /// Boxed: a table of them that grows would need the room twice.
    gateways: HashMap<At, Box<Gateway>, FixedState>,
    sockets: HashMap<(NetworkId, Endpoint), Socket, FixedState>,
    distance_m: u64,
    map: Map,
    stays: Nanos,
    shed: u64,
}

#[derive(Default)]
struct Gateway {
    senders: Senders,
    whence: Whence,
    places: Places,
    strangers: BTreeMap<IpAddr, Evidence>,
    downlinks: u32,
    pulls: u32,
}

/// A socket from which a gateway asks for downlinks.
struct Socket {
    gateway: u64,
    servers: SmallVec<[IpAddr; 1]>,
    last: (u16, Timestamp),
}

impl Gateways {
    fn new(making: &Making<'_>) -> Self {
        Self {
            gateways: HashMap::with_hasher(FixedState::default()),
            sockets: HashMap::with_hasher(FixedState::default()),
            distance_m: making.number(&checks::DISTANCE),
            map: Map { ours: making.ours.clone(), zones: making.zones.clone() },
            stays: making.number(&checks::STAYS).saturating_mul(SECOND),
            shed: 0,
        }
    }

    fn gateway(&mut self, at: At) -> Option<&mut Gateway> {
        if self.gateways.len() >= GATEWAYS && !self.gateways.contains_key(&at) {
            self.shed += 1;
            return None;
        }
        Some(self.gateways.entry(at).or_default())
    }

    fn pull_data(&mut self, event: &Event, eui: u64, token: u16) {
        let (from, to, now) = (event.sender, event.receiver, event.seen.time);
        if self.sockets.len() >= SOCKETS {
            self.sockets.retain(|_, socket| now.since(socket.last.1) <= HELD);
        }
        let key = (event.network, from);
        if self.sockets.len() < SOCKETS || self.sockets.contains_key(&key) {
            let fresh = || Socket { gateway: eui, servers: SmallVec::new(), last: (token, now) };
            let socket = self.sockets.entry(key).or_insert_with(fresh);
            if socket.gateway != eui || now.since(socket.last.1) > HELD {
                *socket = fresh();
            }
            socket.last = (token, now);
            if socket.servers.len() < SERVERS && !socket.servers.contains(&to.ip) {
                socket.servers.push(to.ip);
            }
        } else {
            self.shed += 1;
        }
        if let Some(gateway) = self.gateway((event.network, eui)) {
            gateway.pulls = gateway.pulls.saturating_add(1);
            gateway.senders.pull(from.ip, SocketAddr::new(to.ip, to.port), token, event.seen);
        }
    }

    /// A gateway said something from where it is; `tmst` is its receiver's clock, where the message has it.
    fn spoke(&mut self, event: &Event, eui: u64, tmst: Option<u32>, field: &'static str) {
        let (from, seen, stays) = (event.sender.ip, event.seen, self.stays);
        let at = (event.network, eui);
        if self.gateway(at).is_none() {
            return;
        }
        let Some(gateway) = self.gateways.get_mut(&at) else { return };
        gateway.whence.spoke(from, &self.map, stays, seen);
        if let Some(tmst) = tmst {
            gateway.senders.frame(from, tmst, seen, field);
        }
    }

    /// A server with several addresses can answer from another one than it was asked at: it knows the token.
    fn pull_ack(&mut self, event: &Event, token: u16) {
        let Some(socket) = self.sockets.get_mut(&(event.network, event.receiver)) else { return };
        let answers = socket.last.0 == token && event.seen.time.since(socket.last.1) <= ACKNOWLEDGED;
        if answers && socket.servers.len() < SERVERS && !socket.servers.contains(&event.sender.ip) {
            socket.servers.push(event.sender.ip);
        }
    }

    fn pull_resp(&mut self, event: &Event) {
        let Some(socket) = self.sockets.get(&(event.network, event.receiver)) else { return };
        if event.seen.time.since(socket.last.1) > HELD {
            return;
        }
        let strange = !socket.servers.contains(&event.sender.ip);
        let at = (event.network, socket.gateway);
        let Some(gateway) = self.gateways.get_mut(&at) else { return };
        gateway.downlinks = gateway.downlinks.saturating_add(1);
        let room = gateway.strangers.len() < STRANGERS || gateway.strangers.contains_key(&event.sender.ip);
        if strange && room {
            gateway.strangers.entry(event.sender.ip).or_default().add(event.seen, "gwmp.token");
        }
    }

    fn position(&mut self, event: &Event) {
        let [OwnedValue::Float(latitude), OwnedValue::Float(longitude), gateway] = event.fields.as_slice() else { return };
        // Zero and zero is what gateways tell that do not know.
        let known = latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && (latitude.abs() > 0.01 || longitude.abs() > 0.01);
        let distance_m = self.distance_m;
        let gateway = gateway.unsigned().filter(|_| known).and_then(|eui| self.gateway((event.network, eui)));
        if let Some(gateway) = gateway {
            gateway.places.told(Position(*latitude, *longitude), event.seen, distance_m);
        }
    }
}

impl Detector for Gateways {
    fn event(&mut self, event: &Event) {
        let is = |interest: Interest| event.kind == interest.kind_id();
        let number = |at: usize| event.fields.get(at).and_then(OwnedValue::unsigned);
        let token = |at: usize| number(at).and_then(|token| u16::try_from(token).ok());
        if is(PULL_DATA) {
            if let (Some(eui), Some(token)) = (number(0), token(1)) {
                self.pull_data(event, eui, token);
                self.spoke(event, eui, None, "gwmp.gateway");
            }
        } else if is(PULL_ACK) {
            token(0).into_iter().for_each(|token| self.pull_ack(event, token));
        } else if is(PULL_RESP) {
            self.pull_resp(event);
        } else if is(RX_PACKET) {
            let tmst = number(0).and_then(|tmst| u32::try_from(tmst).ok());
            number(1).into_iter().for_each(|eui| self.spoke(event, eui, tmst, "gwmp.tmst_us"));
        } else if is(STATION_FRAME) || is(STATION_TIME) || is(BROKER_FRAME) {
            let tmst = number(1).and_then(|tmst| u32::try_from(tmst).ok());
            let field = if is(BROKER_FRAME) { "chirpstack.tmst_us" } else { "station.tmst_us" };
            // What comes from a server or broker was passed on.
            if let (Some(eui), Direction::ToServer) = (number(0), event.direction) {
                self.spoke(event, eui, tmst, field);
            }
        } else if is(STAT) || is(STATS) {
            self.position(event);
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for (at, gateway) in &self.gateways {
            let subject = IdentityKey::new(&gateway_eui(at.1), at.0);
            gateway.answers(&mut |check, answer| take(Verdict { check, subject: subject.clone(), answer }));
        }
    }

    fn shed(&self) -> u64 {
        self.shed
    }
}

impl Gateway {
    fn answers(&self, say: &mut dyn FnMut(&'static crate::findings::CheckSpec, Answer)) {
        let senders = &self.senders;
        say(
            &checks::TWICE,
            match senders.twice_at {
                Some(at) => found(Severity::Medium, Confidence::Likely, vec![addresses(at)], &senders.twice),
                None if senders.frames > 1 => Answer::Clear(format!("{} messages by one clock", senders.frames).into()),
                None => Answer::Otherwise("no two messages with the time of its receiver were seen"),
            },
        );
        // Where a clock told later that both are one machine, it changed its address to and fro.
        say(
            &checks::TAKEN_OVER,
            match senders.taken_at.filter(|at| !senders.is_one_machine(*at)) {
                Some(at) => found(Severity::High, Confidence::Possible, vec![addresses(at)], &senders.taken),
                None if self.pulls > 1 => {
                    Answer::Clear(format!("it asked {} times, from one address at a time", self.pulls).into())
                }
                None => Answer::Otherwise("it was not seen to ask for downlinks"),
            },
        );
        for (server, evidence) in &self.strangers {
            let arguments = vec![("server", server.to_string().into())];
            say(&checks::STRANGER, found(Severity::High, Confidence::Likely, arguments, evidence));
        }
        if self.strangers.is_empty() {
            say(
                &checks::STRANGER,
                match self.downlinks {
                    0 => Answer::Otherwise("nothing was sent through it"),
                    sent => Answer::Clear(format!("{sent} downlinks, all from a server that it asked").into()),
                },
            );
        }
        say(&checks::ELSEWHERE, self.whence.answer());
        let places = &self.places;
        say(
            &checks::MOVED,
            match places.reports {
                _ if places.is_mobile() => Answer::Untested("it is on a vehicle".into()),
                _ if places.moved.count > 0 => {
                    let arguments = vec![("_distance", metres(places.metres))];
                    found(Severity::Medium, Confidence::Likely, arguments, &places.moved)
                }
                0 | 1 => Answer::Otherwise("it did not tell twice where it is"),
                reports => Answer::Clear(format!("it told {reports} times where it is, always the same place").into()),
            },
        );
    }
}

impl Whence {
    fn answer(&self) -> Answer {
        if let Some((before, now)) = &self.from_to {
            let arguments = vec![("_before", before.to_string().into()), ("_now", now.to_string().into())];
            return found(Severity::Low, Confidence::Possible, arguments, &self.moved);
        }
        if let Some((a, b)) = self.unknown {
            let why = "both outside the site, and there is no table of whose networks they are (no ASN data): add the right ones to the site's prefixes";
            return Answer::Untested(format!("its address changed from {a} to {b}, {why}").into());
        }
        match self.messages {
            0 | 1 => Answer::Otherwise("too little was heard of it to know where it speaks from"),
            messages => Answer::Clear(format!("{messages} messages, all from one part of the network").into()),
        }
    }
}

fn addresses((a, b): (IpAddr, IpAddr)) -> Argument {
    ("addresses", format!("{a} and {b}").into())
}

fn metres(metres: u64) -> std::borrow::Cow<'static, str> {
    if metres < 10_000 { format!("{metres} m").into() } else { format!("{} km", metres / 1_000).into() }
}

fn found(severity: Severity, confidence: Confidence, arguments: Vec<Argument>, evidence: &Evidence) -> Answer {
    Answer::Found(Found { severity, confidence, arguments, evidence: evidence.clone() })
}
