//! The packets between two addresses: what they say that was not said before.

use super::record::Packet;
use super::wire::{ETHERNET, Half, IPV4, REPLY, REQUEST, Wire};
use super::{ADDRESS_MOVED, MAC_MISMATCH, SENDER_NOT_A_DEVICE, TRUNCATED, UNKNOWN_OPERATION};
use crate::flow::Direction;
use crate::observation::{Anomalies, Confidence, Fact, Hex, Identity, Presence};
use crate::protocols::{Cx, Decoder, Input, Step};
use std::net::{IpAddr, Ipv4Addr};

/// What was said of one side last.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Said {
    ip: Ipv4Addr,
    mac: [u8; 6],
    presence: Presence,
}

#[derive(Default)]
pub(super) struct Session {
    said: [Option<Said>; 2],
    begun: bool,
}

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let mut anomalies = Anomalies::default();
        let Some(wire) = Wire::read(input.bytes) else {
            cx.anomaly(input.direction, &TRUNCATED);
            return Step::Consumed(input.bytes.len());
        };
        if wire.target.is_none() {
            anomalies.push_at(&TRUNCATED, input.bytes.len());
        }
        if wire.operation_name().is_none() {
            anomalies.push_at(&UNKNOWN_OPERATION, 6);
        }
        let ip = |half: Option<Half<'_>>| {
            half.filter(|_| wire.protocol_type == IPV4)
                .and_then(|half| <[u8; 4]>::try_from(half.protocol).ok())
                .map(Ipv4Addr::from)
        };
        let (sender_ip, target_ip) = (ip(wire.sender), ip(wire.target));
        let probe = wire.operation == REQUEST && sender_ip == Some(Ipv4Addr::UNSPECIFIED);
        let announcement = !probe && sender_ip.is_some() && sender_ip == target_ip;
        let mac = wire.sender.filter(|_| wire.hardware_type == ETHERNET).and_then(|half| <[u8; 6]>::try_from(half.hardware).ok());
        self.compare_with_frame(mac, input.direction, cx, &mut anomalies);

        let presence = if wire.operation == REPLY { Presence::Proved } else { Presence::Sent };
        let speaks_for_itself = matches!(wire.operation, REQUEST | REPLY) && !probe;
        let said = mac.zip(sender_ip).filter(|_| speaks_for_itself).map(|(mac, ip)| Said { ip, mac, presence });
        let news = said.and_then(|said| self.news(said, input.direction, &mut anomalies));
        let record = Packet {
            operation: wire.operation,
            operation_name: wire.operation_name(),
            hardware_type: wire.hardware_type,
            protocol_type: wire.protocol_type,
            sender_mac: wire.sender.map(|half| Hex(half.hardware)),
            sender_ip: sender_ip.map(IpAddr::V4),
            target_mac: wire.target.map(|half| Hex(half.hardware)),
            target_ip: target_ip.map(IpAddr::V4),
            probe,
            announcement,
        };
        match news {
            Some(Said { ip, mac, presence }) => {
                let (ip, mac) = (Identity::ip(IpAddr::V4(ip)), Identity::mac(mac));
                let confidence = if announcement { Confidence::Likely } else { Confidence::Seen };
                let facts = [Fact::Identity { id: ip, presence }, Fact::SameAs { a: mac, b: ip, basis: "ARP", confidence }];
                cx.emit(input.direction, &record, &facts, &anomalies);
            }
            None => cx.emit(input.direction, &record, &[], &anomalies),
        }
        Step::Consumed(input.bytes.len())
    }
}

impl Session {
    /// The flow's MAC addresses are its first packet's, so later packets are not compared.
    fn compare_with_frame(&mut self, mac: Option<[u8; 6]>, direction: Direction, cx: &Cx<'_>, anomalies: &mut Anomalies) {
        let first = !std::mem::replace(&mut self.begun, true);
        let Some(mac) = mac else { return };
        if !names_a_device(mac) {
            anomalies.push_at(&SENDER_NOT_A_DEVICE, 8);
        }
        let frame = match direction {
            Direction::ToServer => cx.flow().client_mac,
            Direction::ToClient => cx.flow().server_mac,
        };
        if first && frame.is_some_and(|frame| frame != mac) {
            anomalies.push_at(&MAC_MISMATCH, 8);
        }
    }

    /// What is said anew. One that proved itself needs not be told that it sent.
    fn news(&mut self, said: Said, direction: Direction, anomalies: &mut Anomalies) -> Option<Said> {
        if said.ip.is_unspecified() || said.ip.is_broadcast() || said.ip.is_multicast() || !names_a_device(said.mac) {
            return None;
        }
        let before = self.said.get_mut(direction.index())?;
        if let Some(before) = before.filter(|before| before.ip == said.ip) {
            if before.mac != said.mac {
                anomalies.push_at(&ADDRESS_MOVED, 8);
            } else if before.presence >= said.presence {
                return None;
            }
        }
        *before = Some(said);
        Some(said)
    }
}

fn names_a_device(mac: [u8; 6]) -> bool {
    let [first, ..] = mac;
    first & 1 == 0 && mac != [0; 6]
}
