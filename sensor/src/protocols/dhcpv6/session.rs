//! A message with those that it carries, what each implies and what is odd about it.

use super::record::Message;
use super::wire::{self, ADVERTISE, REPLY, Wire};
use super::{DUID, HOPS, IDENTIFIER_MISSING, NAME_MALFORMED, TOO_MANY_HOPS, TRUNCATED, UNKNOWN_TYPE};
use crate::flow::Direction;
use crate::observation::record::push_hex;
use crate::observation::{Anomalies, Attribute, Confidence, Fact, Hex, Identity, IdentityValue, Presence, Role, Text};
use crate::protocols::{Cx, Decoder, Input, Step};
use smallvec::SmallVec;
use std::net::IpAddr;

pub(super) struct Session;

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let mut bytes = input.bytes;
        for relays in 0..=HOPS {
            let Some(wire) = Wire::read(bytes) else {
                cx.anomaly(input.direction, &TRUNCATED);
                break;
            };
            let relayed = wire.options.relayed;
            tell(wire, relays, input.direction, cx);
            match relayed {
                Some(relayed) if relays < HOPS => bytes = relayed,
                Some(_) => cx.anomaly(input.direction, &TOO_MANY_HOPS),
                None => break,
            }
        }
        Step::Consumed(input.bytes.len())
    }
}

/// Tells one message, `relays` deep in its datagram.
fn tell(wire: Wire<'_>, relays: usize, direction: Direction, cx: &mut Cx<'_>) {
    let mut anomalies = anomalies(&wire);
    let options = &wire.options;
    let hostname = options.name.and_then(wire::domain_name);
    if options.name.is_some() && hostname.is_none() {
        anomalies.push(&NAME_MALFORMED);
    }
    let record = Message {
        message_type: wire.message_type,
        message_name: wire::name(wire.message_type),
        relays: relays as u8,
        transaction: wire.transaction,
        link_address: wire.link.map(IpAddr::V6),
        peer_address: wire.peer.map(IpAddr::V6),
        client_duid: options.client.map(Hex),
        server_duid: options.server.map(Hex),
        addresses: options.addresses.iter().map(|(address, _)| *address).collect(),
        valid_lifetimes: options.addresses.iter().map(|(_, lifetime)| *lifetime).collect(),
        hostname,
        vendor_class: options.vendor_class.and_then(|bytes| std::str::from_utf8(bytes).ok()),
        option_request: options.requested.map(Hex),
        client_mac: options.link_address.map(Hex),
        status: options.status,
    };
    let sender = cx.flow().sender(direction).ip;
    let duid = options.client.map(|duid| {
        let mut text = String::with_capacity(duid.len() * 2);
        push_hex(duid, &mut text);
        text
    });
    let mut facts = SmallVec::<[Fact<'_>; 8]>::new();
    if let Some(duid) = &duid {
        let id = Identity::new(&DUID, IdentityValue::Text(duid));
        client_facts(id, &wire, &record, &mut facts);
    }
    if matches!(wire.message_type, ADVERTISE | REPLY) && relays == 0 {
        facts.push(Fact::Role { id: Identity::ip(sender), role: Role::AddressServer });
    }
    cx.emit(direction, &record, &facts, &anomalies);
}

fn client_facts<'a>(id: Identity<'a>, wire: &Wire<'_>, record: &'a Message<'_>, facts: &mut SmallVec<[Fact<'a>; 8]>) {
    let from_client = wire::direction(wire.message_type) == Some(Direction::ToServer);
    let options = &wire.options;
    if from_client {
        facts.push(Fact::Identity { id, presence: Presence::Sent });
        if let Some(mac) = options.client.and_then(wire::mac_of_duid) {
            facts.push(Fact::SameAs { a: id, b: Identity::mac(mac), basis: "DHCPv6 identifier", confidence: Confidence::Likely });
        }
    }
    if let Some(name) = record.hostname.as_deref().filter(|name| !name.is_empty()) {
        let confidence = if from_client { Confidence::Seen } else { Confidence::Likely };
        facts.push(Fact::Attribute {
            id,
            name: Attribute::Hostname,
            value: Text::Str(name),
            confidence,
            field: "dhcpv6.hostname",
        });
    }
    if wire.message_type == REPLY && matches!(options.status, None | Some(0)) {
        // A lifetime of zero takes the address back (§18.2.10.1).
        for (address, _) in options.addresses.iter().filter(|(_, lifetime)| *lifetime > 0) {
            let address = Identity::ip(*address);
            facts.push(Fact::SameAs { a: id, b: address, basis: "DHCPv6 lease", confidence: Confidence::Seen });
        }
    }
}

fn anomalies(wire: &Wire<'_>) -> Anomalies {
    let mut anomalies = Anomalies::default();
    let options = &wire.options;
    if wire::name(wire.message_type).is_none() {
        anomalies.push_at(&UNKNOWN_TYPE, 0);
    }
    if options.truncated {
        anomalies.push(&TRUNCATED);
        return anomalies;
    }
    let client_missing = wire::names_client(wire.message_type) && options.client.is_none();
    let server_missing = matches!(wire.message_type, ADVERTISE | REPLY) && options.server.is_none();
    if client_missing || server_missing {
        anomalies.push(&IDENTIFIER_MISSING);
    }
    anomalies
}
