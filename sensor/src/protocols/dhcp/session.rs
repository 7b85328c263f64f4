//! A message, what it implies and what is odd about it.

use super::record::Message;
use super::wire::{self, ACK, ETHERNET, OFFER, REPLY, Wire};
use super::{HARDWARE_LENGTH, MESSAGE_TYPE_MISSING, NOT_TEXT, OPERATION_MISMATCH, OPTIONS_TRUNCATED, SERVER_IDENTIFIER_MISSING};
use crate::observation::{Anomalies, Attribute, Confidence, Fact, Hex, Identity, Presence, Role, Text};
use crate::protocols::{Cx, Decoder, Input, Step};
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv4Addr};

pub(super) struct Session;

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let Some(wire) = Wire::read(input.bytes) else { return Step::GiveUp };
        let options = &wire.options;
        let mut anomalies = anomalies(&wire);
        let hostname = text(options.host_name, &mut anomalies);
        let domain_name = text(options.domain_name, &mut anomalies);
        let vendor_class = text(options.vendor_class, &mut anomalies);
        let set = |address: Ipv4Addr| (!address.is_unspecified()).then_some(IpAddr::V4(address));
        let record = Message {
            operation: wire.operation,
            message_type: options.message_type,
            message_name: options.message_type.and_then(wire::name),
            transaction: wire.transaction,
            hardware_type: wire.hardware_type,
            client_mac: Hex(wire.chaddr),
            ciaddr: set(wire.ciaddr),
            yiaddr: set(wire.yiaddr),
            siaddr: set(wire.siaddr),
            giaddr: set(wire.giaddr),
            requested_address: options.requested_address.map(IpAddr::V4),
            lease_time: options.lease_time,
            server_id: options.server.map(IpAddr::V4),
            router: options.router.map(IpAddr::V4),
            hostname,
            domain_name,
            vendor_class,
            client_id: options.client.map(Hex),
            parameter_request_list: options.parameters.unwrap_or_default(),
        };
        let facts = facts(&wire, &record, cx.flow().sender(input.direction).ip);
        cx.emit(input.direction, &record, &facts, &anomalies);
        Step::Consumed(input.bytes.len())
    }
}

/// Some clients end their strings with zeros, which RFC 2132 §2 advises against.
fn text<'a>(bytes: Option<&'a [u8]>, anomalies: &mut Anomalies) -> Option<&'a str> {
    let text = std::str::from_utf8(bytes?).ok().map(|text| text.trim_end_matches('\0'));
    let text = text.filter(|text| !text.chars().any(char::is_control));
    if text.is_none() {
        anomalies.push(&NOT_TEXT);
    }
    text
}

fn anomalies(wire: &Wire<'_>) -> Anomalies {
    let mut anomalies = Anomalies::default();
    let options = &wire.options;
    if options.truncated {
        anomalies.push(&OPTIONS_TRUNCATED);
    }
    if wire.hardware_length > 16 {
        anomalies.push_at(&HARDWARE_LENGTH, 2);
    }
    match options.message_type {
        // Options that were cut could have told it.
        None if !options.truncated => anomalies.push(&MESSAGE_TYPE_MISSING),
        Some(OFFER | ACK) if options.server.is_none() && !options.truncated => anomalies.push(&SERVER_IDENTIFIER_MISSING),
        _ => {}
    }
    if options.message_type.and_then(wire::from_server).is_some_and(|server| server != (wire.operation == REPLY)) {
        anomalies.push_at(&OPERATION_MISMATCH, 0);
    }
    anomalies
}

/// `sender` is the address that the datagram came from.
fn facts<'a>(wire: &Wire<'a>, record: &Message<'a>, sender: IpAddr) -> SmallVec<[Fact<'a>; 5]> {
    let mut facts = SmallVec::new();
    let mac = <[u8; 6]>::try_from(wire.chaddr).ok().filter(|&[first, ..]| wire.hardware_type == ETHERNET && first & 1 == 0);
    let mac = mac.filter(|mac| *mac != [0; 6]).map(Identity::mac);
    let from_server = wire.operation == REPLY;
    if let Some(id) = mac.filter(|_| !from_server) {
        facts.push(Fact::Identity { id, presence: Presence::Sent });
    }
    if let Some((id, hostname)) = mac.zip(record.hostname).filter(|(_, name)| !name.is_empty()) {
        // A server may echo the name or give one.
        let confidence = if from_server { Confidence::Likely } else { Confidence::Seen };
        let value = Text::Str(hostname);
        facts.push(Fact::Attribute { id, name: Attribute::Hostname, value, confidence, field: "dhcp.hostname" });
    }
    let message_type = wire.options.message_type.filter(|_| from_server);
    if let Some(OFFER | ACK) = message_type {
        let relayed = !wire.giaddr.is_unspecified();
        if let Some(server) = record.server_id.or_else(|| (!relayed).then_some(sender)).filter(|server| !server.is_unspecified())
        {
            facts.push(Fact::Role { id: Identity::ip(server), role: Role::AddressServer });
        }
    }
    // Without a lease it answers an inform, whose client has its address from elsewhere.
    if let (Some(ACK), Some(mac), Some(ip), Some(1..)) = (message_type, mac, record.yiaddr, record.lease_time) {
        facts.push(Fact::SameAs { a: mac, b: Identity::ip(ip), basis: "DHCP lease", confidence: Confidence::Seen });
    }
    facts
}
