//! The messages between two addresses: what they say that was not said before.

use super::record::Message;
use super::wire::{self, Damage, NEIGHBOR_ADVERTISEMENT, REDIRECT, ROUTER_ADVERTISEMENT, Wire};
use super::{
    ADDRESS_MOVED, CODE_NOT_ZERO, OPTION_LENGTH_ZERO, SOURCE_NOT_LINK_LOCAL, SOURCE_WITHOUT_ADDRESS, TARGET_MULTICAST, TRUNCATED,
};
use crate::observation::{Anomalies, Confidence, Fact, Hex, Identity, Presence, Role};
use crate::protocols::{Cx, Decoder, Input, Step};
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv6Addr};

/// Address pairs kept of one flow: those of its two ends.
const PAIRS: usize = 2;
/// Facts of one message: three for each of two addresses.
type Facts = SmallVec<[Fact<'static>; 6]>;

/// What a message says of one address.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair {
    ip: Ipv6Addr,
    mac: [u8; 6],
    presence: Presence,
    confidence: Confidence,
    basis: &'static str,
}

#[derive(Default)]
pub(super) struct Session {
    said: [Option<Pair>; PAIRS],
    next: usize,
    router: Option<IpAddr>,
}

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let length = input.bytes.len();
        let wire = match Wire::read(input.bytes) {
            Some(wire) if wire::name(wire.message_type).is_some() => wire,
            Some(_) => return Step::Consumed(length),
            None => {
                cx.anomaly(input.direction, &TRUNCATED);
                return Step::Consumed(length);
            }
        };
        let source = cx.flow().sender(input.direction).ip;
        let mut anomalies = anomalies(&wire, source, length);
        let mut facts = Facts::new();
        for pair in pairs(&wire, source).into_iter().flatten() {
            self.tell(pair, &mut facts, &mut anomalies);
        }
        self.tell_router(&wire, source, &mut facts);
        let address = |address: Option<Ipv6Addr>| address.map(IpAddr::V6);
        let options = wire.options;
        let record = Message {
            message_type: wire.message_type,
            message_name: wire::name(wire.message_type),
            code: wire.code,
            source,
            target: address(wire.target),
            destination: address(wire.destination),
            source_mac: options.source_link.map(Hex),
            target_mac: options.target_link.map(Hex),
            router: wire.flags.map(|[router, ..]| router),
            solicited: wire.flags.map(|[_, solicited, _]| solicited),
            override_flag: wire.flags.map(|[.., override_flag]| override_flag),
            hop_limit: wire.router.map(|router| router.hop_limit),
            managed: wire.router.map(|router| router.managed),
            other_configuration: wire.router.map(|router| router.other),
            router_lifetime: wire.router.map(|router| router.lifetime),
            mtu: options.mtu,
            prefixes: options.prefixes,
            name_servers: options.name_servers,
            other_options: &options.others,
        };
        cx.emit(input.direction, &record, &facts, &anomalies);
        Step::Consumed(length)
    }
}

impl Session {
    fn tell(&mut self, pair: Pair, facts: &mut Facts, anomalies: &mut Anomalies) {
        let known = self.said.iter().flatten().find(|said| said.ip == pair.ip);
        match known {
            Some(known) if known.mac != pair.mac => anomalies.push(&ADDRESS_MOVED),
            Some(known) if known.presence >= pair.presence && known.confidence >= pair.confidence => return,
            _ => {}
        }
        let slot = self.said.iter().position(|said| said.is_some_and(|said| said.ip == pair.ip)).unwrap_or_else(|| {
            self.next = (self.next + 1) % PAIRS;
            self.next
        });
        if let Some(slot) = self.said.get_mut(slot) {
            *slot = Some(pair);
        }
        let (mac, ip) = (Identity::mac(pair.mac), Identity::ip(IpAddr::V6(pair.ip)));
        facts.push(Fact::Identity { id: ip, presence: pair.presence });
        facts.push(Fact::SameAs { a: mac, b: ip, basis: pair.basis, confidence: pair.confidence });
    }

    fn tell_router(&mut self, wire: &Wire<'_>, source: IpAddr, facts: &mut Facts) {
        let router = match (wire.message_type, wire.flags, wire.target) {
            (ROUTER_ADVERTISEMENT, ..) if wire.whole => source,
            (NEIGHBOR_ADVERTISEMENT, Some([true, ..]), Some(target)) => IpAddr::V6(target),
            _ => return,
        };
        let multicast = router.is_multicast() || router.is_unspecified();
        if !multicast && self.router.replace(router) != Some(router) {
            facts.push(Fact::Role { id: Identity::ip(router), role: Role::Router });
        }
    }
}

/// The addresses that the message binds: its sender's and its target's.
fn pairs(wire: &Wire<'_>, source: IpAddr) -> [Option<Pair>; 2] {
    let pair = |ip: Option<Ipv6Addr>, mac: Option<&[u8]>, presence, confidence, basis| {
        let (ip, mac) = (ip?, <[u8; 6]>::try_from(mac?).ok()?);
        let [first, ..] = mac;
        let names = !ip.is_unspecified() && !ip.is_multicast() && first & 1 == 0 && mac != [0; 6];
        names.then_some(Pair { ip, mac, presence, confidence, basis })
    };
    let sender = match source {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    };
    let options = &wire.options;
    let sender = pair(sender, options.source_link, Presence::Sent, Confidence::Seen, "NDP");
    let target = match (wire.message_type, wire.flags) {
        (NEIGHBOR_ADVERTISEMENT, Some([_, _, override_flag])) => {
            let confidence = if override_flag { Confidence::Seen } else { Confidence::Likely };
            pair(wire.target, options.target_link, Presence::Proved, confidence, "NDP")
        }
        // The router tells of another's address.
        (REDIRECT, _) => pair(wire.target, options.target_link, Presence::Mentioned, Confidence::Likely, "NDP redirect"),
        _ => None,
    };
    [sender, target]
}

fn anomalies(wire: &Wire<'_>, source: IpAddr, length: usize) -> Anomalies {
    let mut anomalies = Anomalies::default();
    if !wire.whole {
        anomalies.push_at(&TRUNCATED, length);
    }
    match wire.options.damage {
        Some(Damage::Cut(at)) => anomalies.push_at(&TRUNCATED, at),
        Some(Damage::LengthZero(at)) => anomalies.push_at(&OPTION_LENGTH_ZERO, at),
        None => {}
    }
    if wire.code != 0 {
        anomalies.push_at(&CODE_NOT_ZERO, 1);
    }
    if wire.message_type != REDIRECT && wire.target.is_some_and(|target| target.is_multicast()) {
        anomalies.push_at(&TARGET_MULTICAST, 8);
    }
    if source.is_unspecified() && wire.options.source_link.is_some() {
        anomalies.push(&SOURCE_WITHOUT_ADDRESS);
    }
    let link_local = matches!(source, IpAddr::V6(ip) if ip.is_unicast_link_local());
    if matches!(wire.message_type, ROUTER_ADVERTISEMENT | REDIRECT) && !link_local {
        anomalies.push(&SOURCE_NOT_LINK_LOCAL);
    }
    anomalies
}
