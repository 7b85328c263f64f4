//! Names of return codes (MQTT 3.1.1 §3.2.2.3, §3.9.3) and reason codes (MQTT 5.0 §2.4), each where it may stand.

use super::wire::{Dialect, PacketType};

/// The name of a code in a packet, if the packet may have it.
pub(super) fn name(packet: PacketType, dialect: Dialect, code: u8) -> Option<&'static str> {
    if dialect == Dialect::V3 { return_code(packet, code) } else { reason_code(packet, code) }
}

fn return_code(packet: PacketType, code: u8) -> Option<&'static str> {
    Some(match (packet, code) {
        (PacketType::Connack, 0) => "Connection Accepted",
        (PacketType::Connack, 1) => "Unacceptable protocol version",
        (PacketType::Connack, 2) => "Identifier rejected",
        (PacketType::Connack, 3) => "Server unavailable",
        (PacketType::Connack, 4) => "Bad user name or password",
        (PacketType::Connack, 5) => "Not authorized",
        (PacketType::Suback, 0) => "Granted QoS 0",
        (PacketType::Suback, 1) => "Granted QoS 1",
        (PacketType::Suback, 2) => "Granted QoS 2",
        (PacketType::Suback, 0x80) => "Failure",
        _ => return None,
    })
}

fn reason_code(packet: PacketType, code: u8) -> Option<&'static str> {
    use PacketType::*;
    let (name, packets): (&'static str, &[PacketType]) = match code {
        0x00 => match packet {
            Suback => ("Granted QoS 0", &[Suback]),
            Disconnect => ("Normal disconnection", &[Disconnect]),
            _ => ("Success", &[Connack, Puback, Pubrec, Pubrel, Pubcomp, Unsuback, Auth]),
        },
        0x01 => ("Granted QoS 1", &[Suback]),
        0x02 => ("Granted QoS 2", &[Suback]),
        0x04 => ("Disconnect with Will Message", &[Disconnect]),
        0x10 => ("No matching subscribers", &[Puback, Pubrec]),
        0x11 => ("No subscription existed", &[Unsuback]),
        0x18 => ("Continue authentication", &[Auth]),
        0x19 => ("Re-authenticate", &[Auth]),
        0x80 => ("Unspecified error", &[Connack, Puback, Pubrec, Suback, Unsuback, Disconnect]),
        0x81 => ("Malformed Packet", &[Connack, Disconnect]),
        0x82 => ("Protocol Error", &[Connack, Disconnect]),
        0x83 => ("Implementation specific error", &[Connack, Puback, Pubrec, Suback, Unsuback, Disconnect]),
        0x84 => ("Unsupported Protocol Version", &[Connack]),
        0x85 => ("Client Identifier not valid", &[Connack]),
        0x86 => ("Bad User Name or Password", &[Connack]),
        0x87 => ("Not authorized", &[Connack, Puback, Pubrec, Suback, Unsuback, Disconnect]),
        0x88 => ("Server unavailable", &[Connack]),
        0x89 => ("Server busy", &[Connack, Disconnect]),
        0x8A => ("Banned", &[Connack]),
        0x8B => ("Server shutting down", &[Disconnect]),
        0x8C => ("Bad authentication method", &[Connack, Disconnect]),
        0x8D => ("Keep Alive timeout", &[Disconnect]),
        0x8E => ("Session taken over", &[Disconnect]),
        0x8F => ("Topic Filter invalid", &[Suback, Unsuback, Disconnect]),
        0x90 => ("Topic Name invalid", &[Connack, Puback, Pubrec, Disconnect]),
        0x91 => ("Packet Identifier in use", &[Puback, Pubrec, Suback, Unsuback]),
        0x92 => ("Packet Identifier not found", &[Pubrel, Pubcomp]),
        0x93 => ("Receive Maximum exceeded", &[Disconnect]),
        0x94 => ("Topic Alias invalid", &[Disconnect]),
        0x95 => ("Packet too large", &[Connack, Disconnect]),
        0x96 => ("Message rate too high", &[Disconnect]),
        0x97 => ("Quota exceeded", &[Connack, Puback, Pubrec, Suback, Disconnect]),
        0x98 => ("Administrative action", &[Disconnect]),
        0x99 => ("Payload format invalid", &[Connack, Puback, Pubrec, Disconnect]),
        0x9A => ("Retain not supported", &[Connack, Disconnect]),
        0x9B => ("QoS not supported", &[Connack, Disconnect]),
        0x9C => ("Use another server", &[Connack, Disconnect]),
        0x9D => ("Server moved", &[Connack, Disconnect]),
        0x9E => ("Shared Subscriptions not supported", &[Suback, Disconnect]),
        0x9F => ("Connection rate exceeded", &[Connack, Disconnect]),
        0xA0 => ("Maximum connect time", &[Disconnect]),
        0xA1 => ("Subscription Identifiers not supported", &[Suback, Disconnect]),
        0xA2 => ("Wildcard Subscriptions not supported", &[Suback, Disconnect]),
        _ => return None,
    };
    packets.contains(&packet).then_some(name)
}
