//! The control packets (§3), each as a view over its bytes. Fields that could not be read are absent; the body's anomalies say why.

use super::{Body, Dialect, FixedHeader, Home, PacketType, Properties, variable_byte_integer};
use crate::protocols::mqtt::{FILTERS, anomaly};
use crate::reader::Reader;
use std::borrow::Cow;

/// CONNECT (§3.1).
#[derive(Default)]
pub(in super::super) struct Connect<'a> {
    pub(in super::super) protocol_name: Cow<'a, str>,
    /// Protocol level without the bridge bit.
    pub(in super::super) level: u8,
    /// Bit 7 of the protocol level: a broker that connects as a bridge. Off-spec: mosquitto and RSMB send 0x83 and 0x84.
    pub(in super::super) bridge: bool,
    pub(in super::super) flags: u8,
    /// Seconds (§3.1.2.10).
    pub(in super::super) keep_alive: u16,
    pub(in super::super) properties: Properties<'a>,
    pub(in super::super) client_id: Option<Cow<'a, str>>,
    pub(in super::super) will: Option<Will<'a>>,
    pub(in super::super) user_name: Option<&'a [u8]>,
    pub(in super::super) password: Option<&'a [u8]>,
}

/// The will of a CONNECT (§3.1.2.5).
pub(in super::super) struct Will<'a> {
    pub(in super::super) properties: Properties<'a>,
    pub(in super::super) topic: Cow<'a, str>,
    pub(in super::super) payload: &'a [u8],
}

impl Connect<'_> {
    /// Bit 1: no state of an earlier session is to be used (§3.1.2.4).
    pub(in super::super) fn clean_start(&self) -> bool {
        self.flags & 0x02 != 0
    }

    /// Bits 3 and 4 (§3.1.2.6).
    pub(in super::super) fn will_qos(&self) -> u8 {
        (self.flags >> 3) & 3
    }

    /// Bit 5 (§3.1.2.7).
    pub(in super::super) fn will_retain(&self) -> bool {
        self.flags & 0x20 != 0
    }

    /// The grammar that the level stands for.
    pub(in super::super) fn dialect(&self) -> Dialect {
        if self.level >= 5 { Dialect::V5 } else { Dialect::V3 }
    }
}

/// Reads a CONNECT.
pub(in super::super) fn connect<'a>(body: &mut Body<'a>) -> Connect<'a> {
    let mut packet = Connect::default();
    // Each `?` inside leaves what was read before it.
    let _ = (|| -> Option<()> {
        packet.protocol_name = body.text()?;
        let level_at = body.offset();
        let level = body.u8()?;
        (packet.level, packet.bridge) = (level & 0x7f, level & 0x80 != 0);
        let known = matches!((&*packet.protocol_name, packet.level), ("MQIsdp", 3) | ("MQTT", 4 | 5));
        if !known {
            body.anomalies.push_at(&anomaly::UNKNOWN_PROTOCOL_LEVEL, level_at);
        }
        let dialect = packet.dialect();
        connect_flags(&mut packet, body)?;
        packet.keep_alive = body.u16()?;
        packet.properties = body.properties(dialect, Home::Connect);
        packet.client_id = Some(body.text()?);
        if packet.flags & 0x04 != 0 {
            let properties = body.properties(dialect, Home::Will);
            let topic = body.topic_name()?;
            if topic.is_empty() {
                body.anomalies.push(&anomaly::EMPTY_TOPIC);
            }
            packet.will = Some(Will { properties, topic, payload: body.binary()? });
        }
        if packet.flags & 0x80 != 0 {
            packet.user_name = Some(body.binary()?);
        }
        if packet.flags & 0x40 != 0 {
            packet.password = Some(body.binary()?);
        }
        body.end();
        if dialect == Dialect::V3 && packet.level == 4 && !packet.clean_start() && packet.client_id.as_deref() == Some("") {
            body.anomalies.push(&anomaly::EMPTY_CLIENT_ID);
        }
        Some(())
    })();
    packet
}

/// The connect flags (§3.1.2.3).
fn connect_flags(packet: &mut Connect<'_>, body: &mut Body<'_>) -> Option<()> {
    let at = body.offset();
    packet.flags = body.u8()?;
    if packet.flags & 0x01 != 0 {
        body.anomalies.push_at(&anomaly::RESERVED_FLAGS, at);
    }
    if packet.will_qos() == 3 {
        body.anomalies.push_at(&anomaly::INVALID_QOS, at);
    }
    if packet.flags & 0x04 == 0 && packet.flags & 0x38 != 0 {
        body.anomalies.push_at(&anomaly::WILL_FLAGS, at);
    }
    if packet.flags & 0xC0 == 0x40 && packet.dialect() == Dialect::V3 {
        body.anomalies.push_at(&anomaly::PASSWORD_WITHOUT_USER_NAME, at);
    }
    Some(())
}

/// CONNACK (§3.2).
#[derive(Default)]
pub(in super::super) struct Connack<'a> {
    pub(in super::super) session_present: bool,
    /// Return code (3.1.1 §3.2.2.3) or reason code (§3.2.2.2).
    pub(in super::super) reason_code: Option<u8>,
    pub(in super::super) properties: Properties<'a>,
}

/// Reads a CONNACK.
pub(in super::super) fn connack<'a>(body: &mut Body<'a>, dialect: Dialect) -> Connack<'a> {
    let mut packet = Connack::default();
    let _ = (|| -> Option<()> {
        let flags = body.u8()?;
        if flags & 0xFE != 0 {
            body.anomalies.push_at(&anomaly::RESERVED_FLAGS, body.base);
        }
        packet.session_present = flags & 1 != 0;
        let code = body.u8()?;
        packet.reason_code = Some(code);
        if packet.session_present && code != 0 {
            body.anomalies.push(&anomaly::SESSION_PRESENT_ON_REFUSAL);
        }
        packet.properties = body.properties(dialect, Home::Connack);
        body.end();
        Some(())
    })();
    packet
}

/// PUBLISH (§3.3) without its payload.
#[derive(Default)]
pub(in super::super) struct Publish<'a> {
    pub(in super::super) topic: Cow<'a, str>,
    pub(in super::super) packet_id: Option<u16>,
    pub(in super::super) properties: Properties<'a>,
    /// Bytes of the variable header: the payload begins there.
    pub(in super::super) payload_at: usize,
    /// Whether the variable header could be read whole.
    pub(in super::super) whole: bool,
}

/// Reads the variable header of a PUBLISH.
#[inline]
pub(in super::super) fn publish<'a>(header: &FixedHeader, body: &mut Body<'a>, dialect: Dialect) -> Publish<'a> {
    let mut packet = Publish::default();
    if header.qos() == 3 {
        body.anomalies.push_at(&anomaly::INVALID_QOS, 0);
    }
    if header.dup() && header.qos() == 0 {
        body.anomalies.push_at(&anomaly::DUP_AT_QOS_0, 0);
    }
    if let Some(topic) = body.topic_name() {
        packet.topic = topic;
        if header.qos() > 0 {
            packet.packet_id = body.packet_id();
        }
        packet.properties = body.properties(dialect, Home::Publish);
        packet.whole = header.qos() == 0 || packet.packet_id.is_some();
    }
    packet.payload_at = body.reader.offset();
    packet
}

/// Bytes of a PUBLISH up to its payload, or how many must be seen to tell. `bytes` starts at the fixed header.
pub(in super::super) fn publish_head(header: &FixedHeader, bytes: &[u8], dialect: Dialect) -> Result<usize, usize> {
    let mut reader = Reader::new(bytes);
    let at = header.length;
    let mut topic = || -> Option<usize> {
        reader.skip(at)?;
        reader.u16().map(usize::from)
    };
    let topic = topic().ok_or(at + 2)?;
    let head = at + 2 + topic + if header.qos() > 0 { 2 } else { 0 };
    if dialect != Dialect::V5 || head >= header.total() {
        let end = head.min(header.total());
        return if bytes.len() < end { Err(end) } else { Ok(end) };
    }
    let mut length = Reader::new(bytes.get(head..).ok_or(head + 1)?);
    match variable_byte_integer(&mut length) {
        Ok((properties, _)) => {
            let end = (head + length.offset()).saturating_add(properties as usize).min(header.total());
            if bytes.len() < end { Err(end) } else { Ok(end) }
        }
        Err(super::LengthError::Incomplete) if bytes.len() < header.total() => Err(bytes.len() + 1),
        Err(_) => Ok(head),
    }
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP (§3.4 to §3.7).
#[derive(Default)]
pub(in super::super) struct Acknowledgement<'a> {
    pub(in super::super) packet_id: Option<u16>,
    /// Absent before version 5; there, left out means success (§3.4.2.1).
    pub(in super::super) reason_code: Option<u8>,
    pub(in super::super) properties: Properties<'a>,
}

/// Reads a PUBACK, PUBREC, PUBREL or PUBCOMP.
#[inline]
pub(in super::super) fn acknowledgement<'a>(body: &mut Body<'a>, dialect: Dialect, home: Home) -> Acknowledgement<'a> {
    let mut packet = Acknowledgement { packet_id: body.packet_id(), ..Default::default() };
    if dialect == Dialect::V5 && packet.packet_id.is_some() {
        packet.reason_code = Some(0);
        if !body.reader.is_empty() {
            packet.reason_code = body.u8();
            // The property length may be left out with the properties (§3.4.2.2).
            if !body.reader.is_empty() {
                packet.properties = body.properties(dialect, home);
            }
        }
    }
    body.end();
    packet
}

/// SUBSCRIBE (§3.8).
#[derive(Default)]
pub(in super::super) struct Subscribe<'a> {
    pub(in super::super) packet_id: Option<u16>,
    pub(in super::super) properties: Properties<'a>,
    /// The first [`FILTERS`] topic filters with their options byte.
    pub(in super::super) filters: Vec<(Cow<'a, str>, u8)>,
    /// How many there are.
    pub(in super::super) count: usize,
}

/// Reads a SUBSCRIBE.
pub(in super::super) fn subscribe<'a>(body: &mut Body<'a>, dialect: Dialect) -> Subscribe<'a> {
    let mut packet = Subscribe { packet_id: body.packet_id(), ..Default::default() };
    packet.properties = body.properties(dialect, Home::Subscribe);
    while !body.reader.is_empty() {
        let Some(filter) = body.topic_filter() else { break };
        let at = body.offset();
        let Some(options) = body.u8() else { break };
        let reserved = if dialect == Dialect::V5 { 0xC0 } else { 0xFC };
        if options & reserved != 0 || (dialect == Dialect::V5 && (options >> 4) & 3 == 3) {
            body.anomalies.push_at(&anomaly::SUBSCRIPTION_OPTIONS, at);
        }
        if options & 3 == 3 {
            body.anomalies.push_at(&anomaly::INVALID_QOS, at);
        }
        if dialect == Dialect::V5 && options & 4 != 0 && filter.starts_with("$share/") {
            body.anomalies.push_at(&anomaly::SHARED_NO_LOCAL, at);
        }
        packet.count += 1;
        if packet.filters.len() < FILTERS {
            packet.filters.push((filter, options));
        }
    }
    if packet.count == 0 {
        body.anomalies.push(&anomaly::NO_TOPIC_FILTER);
    }
    packet
}

/// SUBACK and UNSUBACK (§3.9, §3.11).
#[derive(Default)]
pub(in super::super) struct Answer<'a> {
    pub(in super::super) packet_id: Option<u16>,
    pub(in super::super) properties: Properties<'a>,
    /// One for each topic filter of the request; none in an UNSUBACK before version 5.
    pub(in super::super) reason_codes: &'a [u8],
}

/// Reads a SUBACK or UNSUBACK.
pub(in super::super) fn answer<'a>(body: &mut Body<'a>, dialect: Dialect, home: Home) -> Answer<'a> {
    let mut packet = Answer { packet_id: body.packet_id(), ..Default::default() };
    packet.properties = body.properties(dialect, home);
    let codes = body.reader.take_rest();
    if home == Home::Unsuback && dialect == Dialect::V3 {
        if !codes.is_empty() {
            body.anomalies.push(&anomaly::TRAILING_BYTES);
        }
    } else if codes.is_empty() {
        body.malformed();
    }
    packet.reason_codes = codes;
    packet
}

/// UNSUBSCRIBE (§3.10).
#[derive(Default)]
pub(in super::super) struct Unsubscribe<'a> {
    pub(in super::super) packet_id: Option<u16>,
    pub(in super::super) properties: Properties<'a>,
    /// The first [`FILTERS`] topic filters.
    pub(in super::super) filters: Vec<Cow<'a, str>>,
    /// How many there are.
    pub(in super::super) count: usize,
}

/// Reads an UNSUBSCRIBE.
pub(in super::super) fn unsubscribe<'a>(body: &mut Body<'a>, dialect: Dialect) -> Unsubscribe<'a> {
    let mut packet = Unsubscribe { packet_id: body.packet_id(), ..Default::default() };
    packet.properties = body.properties(dialect, Home::Unsubscribe);
    while !body.reader.is_empty() {
        let Some(filter) = body.topic_filter() else { break };
        packet.count += 1;
        if packet.filters.len() < FILTERS {
            packet.filters.push(filter);
        }
    }
    if packet.count == 0 {
        body.anomalies.push(&anomaly::NO_TOPIC_FILTER);
    }
    packet
}

/// DISCONNECT and AUTH (§3.14, §3.15).
#[derive(Default)]
pub(in super::super) struct Farewell<'a> {
    /// Left out means normal disconnection, or success (§3.14.2.1, §3.15.2.1); absent before version 5.
    pub(in super::super) reason_code: Option<u8>,
    pub(in super::super) properties: Properties<'a>,
}

/// Reads a DISCONNECT or AUTH.
pub(in super::super) fn farewell<'a>(body: &mut Body<'a>, dialect: Dialect, home: Home) -> Farewell<'a> {
    let mut packet = Farewell::default();
    if dialect == Dialect::V5 || home == Home::Auth {
        packet.reason_code = Some(0);
        if !body.reader.is_empty() {
            packet.reason_code = body.u8();
            if !body.reader.is_empty() {
                packet.properties = body.properties(Dialect::V5, home);
            }
        }
    }
    body.end();
    packet
}

/// Whether the packet reads without anomaly in this dialect. CONNECT tells its own.
pub(in super::super) fn reads_as(header: &FixedHeader, bytes: &[u8], dialect: Dialect) -> bool {
    let Some(packet_type) = header.packet_type else { return false };
    if packet_type.required_flags().is_some_and(|flags| flags != header.flags) {
        return false;
    }
    let mut body = Body::new(header, bytes);
    let codes_known = match packet_type {
        PacketType::Connect => {
            connect(&mut body);
            true
        }
        PacketType::Connack => known(PacketType::Connack, dialect, connack(&mut body, dialect).reason_code.as_slice()),
        PacketType::Publish => {
            let packet = publish(header, &mut body, dialect);
            !packet.topic.is_empty() || packet.properties.topic_alias.is_some()
        }
        PacketType::Puback => {
            known(packet_type, dialect, acknowledgement(&mut body, dialect, Home::Puback).reason_code.as_slice())
        }
        PacketType::Pubrec => {
            known(packet_type, dialect, acknowledgement(&mut body, dialect, Home::Pubrec).reason_code.as_slice())
        }
        PacketType::Pubrel => {
            known(packet_type, dialect, acknowledgement(&mut body, dialect, Home::Pubrel).reason_code.as_slice())
        }
        PacketType::Pubcomp => {
            known(packet_type, dialect, acknowledgement(&mut body, dialect, Home::Pubcomp).reason_code.as_slice())
        }
        PacketType::Subscribe => {
            subscribe(&mut body, dialect);
            true
        }
        PacketType::Suback => known(packet_type, dialect, answer(&mut body, dialect, Home::Suback).reason_codes),
        PacketType::Unsubscribe => {
            unsubscribe(&mut body, dialect);
            true
        }
        PacketType::Unsuback => known(packet_type, dialect, answer(&mut body, dialect, Home::Unsuback).reason_codes),
        PacketType::Pingreq | PacketType::Pingresp => header.remaining == 0,
        PacketType::Disconnect => {
            known(packet_type, dialect, farewell(&mut body, dialect, Home::Disconnect).reason_code.as_slice())
        }
        PacketType::Auth => {
            dialect == Dialect::V5 && known(packet_type, dialect, farewell(&mut body, dialect, Home::Auth).reason_code.as_slice())
        }
    };
    codes_known && body.anomalies.is_empty()
}

fn known(packet_type: PacketType, dialect: Dialect, codes: &[u8]) -> bool {
    codes.iter().all(|&code| crate::protocols::mqtt::reason::name(packet_type, dialect, code).is_some())
}
