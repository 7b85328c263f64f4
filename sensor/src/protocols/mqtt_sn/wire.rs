//! The messages of MQTT-SN 1.2 (§5).
//!
//! | bytes | field |
//! |---|---|
//! | 1 or 3 | length of the whole message: one byte, or 1 and two bytes (§5.2.1) |
//! | 1 | message type (§5.2.2) |
//! | rest | fields |

use crate::flow::Direction;
use crate::reader::Reader;

/// A message without its length.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) message_type: u8,
    /// The fields.
    pub(super) fields: &'a [u8],
    /// What follows the message in the datagram: for an encapsulation the message that it is about, else nothing.
    pub(super) after: &'a [u8],
    /// The length took no more bytes than needed.
    pub(super) minimal: bool,
}

/// The fields of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body<'a> {
    Advertise {
        gateway_id: u8,
        duration: u16,
    },
    SearchGw {
        radius: u8,
    },
    GwInfo {
        gateway_id: u8,
        address: &'a [u8],
    },
    Connect {
        flags: u8,
        protocol_id: u8,
        duration: u16,
        client_id: &'a [u8],
    },
    Connack {
        return_code: u8,
    },
    /// WILLTOPICREQ, WILLMSGREQ: no fields.
    WillRequest,
    /// WILLTOPIC, WILLTOPICUPD; both are empty where the will is deleted.
    WillTopic {
        flags: Option<u8>,
        topic: &'a [u8],
    },
    /// WILLMSG, WILLMSGUPD.
    WillMessage {
        payload: &'a [u8],
    },
    /// WILLTOPICRESP, WILLMSGRESP.
    WillResponse {
        return_code: u8,
    },
    Register {
        topic_id: u16,
        message_id: u16,
        topic: &'a [u8],
    },
    Regack {
        topic_id: u16,
        message_id: u16,
        return_code: u8,
    },
    Publish {
        flags: u8,
        topic_id: u16,
        message_id: u16,
        payload: &'a [u8],
    },
    Puback {
        topic_id: u16,
        message_id: u16,
        return_code: u8,
    },
    /// PUBREC, PUBREL, PUBCOMP.
    Step {
        message_id: u16,
    },
    /// SUBSCRIBE, UNSUBSCRIBE: a topic name, or a topic identifier of two bytes.
    Subscribe {
        flags: u8,
        message_id: u16,
        topic: &'a [u8],
    },
    Suback {
        flags: u8,
        topic_id: u16,
        message_id: u16,
        return_code: u8,
    },
    Unsuback {
        message_id: u16,
    },
    Pingreq {
        client_id: &'a [u8],
    },
    Pingresp,
    Disconnect {
        duration: Option<u16>,
    },
}

/// Type of a forwarder's encapsulation (§5.4.20).
pub(super) const ENCAPSULATION: u8 = 0xFE;

/// Reads the length and type; the datagram must be one message to the byte, or an encapsulation and its message.
pub(super) fn message(bytes: &[u8]) -> Option<Message<'_>> {
    let mut reader = Reader::new(bytes);
    let (length, minimal) = match reader.u8()? {
        1 => reader.u16().map(|length| (usize::from(length), length > 255))?,
        length => (usize::from(length), true),
    };
    let message_type = reader.u8()?;
    let fields = reader.take(length.checked_sub(reader.offset())?)?;
    let after = reader.take_rest();
    let fits = after.is_empty() || message_type == ENCAPSULATION;
    fits.then_some(Message { message_type, fields, after, minimal })
}

impl Message<'_> {
    /// Whether the control byte of an encapsulation has its reserved bits zero (§5.4.20); true for all other messages.
    pub(super) fn is_plain(&self) -> bool {
        self.message_type != ENCAPSULATION || self.fields.first().is_some_and(|control| control & 0xFC == 0)
    }
}

/// The message inside of all encapsulations, with the wireless node of the innermost; `None`: it cannot be read.
pub(super) fn innermost(mut message: Message<'_>) -> Option<(Option<&[u8]>, Body<'_>)> {
    let mut node = None;
    for _ in 0..=super::ENCAPSULATIONS {
        if message.message_type != ENCAPSULATION {
            return body(message.message_type, message.fields).map(|body| (node, body));
        }
        node = message.fields.get(1..);
        message = self::message(message.after)?;
    }
    None
}

/// Whether a type is assigned (table 3).
pub(super) fn name(message_type: u8) -> Option<&'static str> {
    Some(match message_type {
        0x00 => "ADVERTISE",
        0x01 => "SEARCHGW",
        0x02 => "GWINFO",
        0x04 => "CONNECT",
        0x05 => "CONNACK",
        0x06 => "WILLTOPICREQ",
        0x07 => "WILLTOPIC",
        0x08 => "WILLMSGREQ",
        0x09 => "WILLMSG",
        0x0A => "REGISTER",
        0x0B => "REGACK",
        0x0C => "PUBLISH",
        0x0D => "PUBACK",
        0x0E => "PUBCOMP",
        0x0F => "PUBREC",
        0x10 => "PUBREL",
        0x12 => "SUBSCRIBE",
        0x13 => "SUBACK",
        0x14 => "UNSUBSCRIBE",
        0x15 => "UNSUBACK",
        0x16 => "PINGREQ",
        0x17 => "PINGRESP",
        0x18 => "DISCONNECT",
        0x1A => "WILLTOPICUPD",
        0x1B => "WILLTOPICRESP",
        0x1C => "WILLMSGUPD",
        0x1D => "WILLMSGRESP",
        ENCAPSULATION => "FORWARD",
        _ => return None,
    })
}

/// Reads the fields of a message (§5.4); `None`: the type is not assigned, or they do not fit.
pub(super) fn body(message_type: u8, fields: &[u8]) -> Option<Body<'_>> {
    let mut reader = Reader::new(fields);
    let body = match message_type {
        0x00 => Body::Advertise { gateway_id: reader.u8()?, duration: reader.u16()? },
        0x01 => Body::SearchGw { radius: reader.u8()? },
        0x02 => Body::GwInfo { gateway_id: reader.u8()?, address: reader.take_rest() },
        0x04 => Body::Connect {
            flags: reader.u8()?,
            protocol_id: reader.u8()?,
            duration: reader.u16()?,
            client_id: reader.take_rest(),
        },
        0x05 => Body::Connack { return_code: reader.u8()? },
        0x06 | 0x08 => Body::WillRequest,
        0x07 | 0x1A => Body::WillTopic { flags: reader.u8(), topic: reader.take_rest() },
        0x09 | 0x1C => Body::WillMessage { payload: reader.take_rest() },
        0x1B | 0x1D => Body::WillResponse { return_code: reader.u8()? },
        0x0A => Body::Register { topic_id: reader.u16()?, message_id: reader.u16()?, topic: reader.take_rest() },
        0x0B => Body::Regack { topic_id: reader.u16()?, message_id: reader.u16()?, return_code: reader.u8()? },
        0x0C => {
            Body::Publish { flags: reader.u8()?, topic_id: reader.u16()?, message_id: reader.u16()?, payload: reader.take_rest() }
        }
        0x0D => Body::Puback { topic_id: reader.u16()?, message_id: reader.u16()?, return_code: reader.u8()? },
        0x0E..=0x10 => Body::Step { message_id: reader.u16()? },
        0x12 | 0x14 => Body::Subscribe { flags: reader.u8()?, message_id: reader.u16()?, topic: reader.take_rest() },
        0x13 => {
            Body::Suback { flags: reader.u8()?, topic_id: reader.u16()?, message_id: reader.u16()?, return_code: reader.u8()? }
        }
        0x15 => Body::Unsuback { message_id: reader.u16()? },
        0x16 => Body::Pingreq { client_id: reader.take_rest() },
        0x17 => Body::Pingresp,
        0x18 if fields.is_empty() => Body::Disconnect { duration: None },
        0x18 => Body::Disconnect { duration: Some(reader.u16()?) },
        _ => return None,
    };
    reader.is_empty().then_some(body)
}

impl Body<'_> {
    /// The direction that the message has, where it has one.
    pub(super) fn direction(&self) -> Option<Direction> {
        match self {
            Body::SearchGw { .. }
            | Body::Connect { .. }
            | Body::WillTopic { .. }
            | Body::WillMessage { .. }
            | Body::Subscribe { .. } => Some(Direction::ToServer),
            Body::Advertise { .. }
            | Body::Connack { .. }
            | Body::WillRequest
            | Body::WillResponse { .. }
            | Body::Suback { .. }
            | Body::Unsuback { .. } => Some(Direction::ToClient),
            // A client that sleeps asks with its identifier.
            Body::Pingreq { client_id } if !client_id.is_empty() => Some(Direction::ToServer),
            _ => None,
        }
    }
}

impl Body<'_> {
    /// Whether the fields hold what clients and gateways put there: flags that the message does not have are zero, identifiers are not those that
    /// are reserved, names can be read. CONNECT has its own mark. A will's message is any bytes, which say nothing.
    pub(super) fn is_plausible(&self) -> bool {
        let is_given = |topic_id: u16| !matches!(topic_id, 0 | 0xFFFF);
        match *self {
            Body::SearchGw { .. } | Body::WillRequest | Body::Pingresp | Body::Disconnect { .. } => true,
            Body::Connect { .. } | Body::WillMessage { .. } => false,
            Body::Advertise { duration, .. } => duration > 0,
            // Clients tell addresses of ZigBee, IPv4 and IPv6, the latter with a port or without; a gateway tells none (§5.4.3).
            Body::GwInfo { address, .. } => matches!(address.len(), 0 | 2 | 4 | 6 | 16 | 18),
            Body::Connack { return_code } | Body::WillResponse { return_code } => reason(return_code).is_some(),
            Body::WillTopic { flags: None, .. } => true,
            Body::WillTopic { flags: Some(flags), topic } => flags & !0x70 == 0 && Flags(flags).qos() >= 0 && is_name(topic),
            Body::Register { topic_id, message_id, topic } => topic_id != 0xFFFF && message_id != 0 && is_name(topic),
            Body::Regack { return_code, .. } | Body::Puback { return_code, .. } => reason(return_code).is_some(),
            Body::Publish { flags, topic_id, message_id, .. } => {
                let flags = Flags(flags);
                let topic = match flags.topic_id_type() {
                    // A publisher without a connection has no identifier from a gateway (§6.8).
                    0 => is_given(topic_id) && flags.qos() >= 0,
                    1 => is_given(topic_id),
                    2 => is_short_name(topic_id.to_be_bytes()),
                    _ => false,
                };
                topic && flags.0 & 0x0C == 0 && (flags.qos() <= 0 || message_id != 0)
            }
            Body::Step { message_id } | Body::Unsuback { message_id } => message_id != 0,
            Body::Subscribe { flags, message_id, topic } => {
                let flags = Flags(flags);
                let topic = match (flags.topic_id_type(), topic) {
                    (0, name) => is_name(name),
                    (1, _) => topic.len() == 2,
                    (2, &[first, second]) => is_short_name([first, second]),
                    _ => false,
                };
                topic && flags.0 & 0x1C == 0 && flags.qos() >= 0 && message_id != 0
            }
            Body::Suback { flags, message_id, return_code, .. } => {
                flags & !0x60 == 0 && Flags(flags).qos() >= 0 && message_id != 0 && reason(return_code).is_some()
            }
            Body::Pingreq { client_id } => client_id.is_empty() || is_client_id(client_id),
        }
    }
}

/// Whether bytes are a client identifier as they are given: 1 to 23 characters (§5.3.1).
pub(super) fn is_client_id(bytes: &[u8]) -> bool {
    (1..=23).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

fn is_name(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|name| !name.is_empty() && !name.chars().any(char::is_control))
}

/// Two characters, or one and a zero.
fn is_short_name([first, second]: [u8; 2]) -> bool {
    first.is_ascii_graphic() && (second.is_ascii_graphic() || second == 0)
}

/// The flags (§5.3.4).
#[derive(Clone, Copy)]
pub(super) struct Flags(pub(super) u8);

impl Flags {
    pub(super) fn dup(self) -> bool {
        self.0 & 0x80 != 0
    }
    /// 0 to 2, or -1: a publisher without a connection.
    pub(super) fn qos(self) -> i8 {
        match (self.0 >> 5) & 3 {
            3 => -1,
            qos => qos as i8,
        }
    }
    pub(super) fn retain(self) -> bool {
        self.0 & 0x10 != 0
    }
    pub(super) fn will(self) -> bool {
        self.0 & 0x08 != 0
    }
    pub(super) fn clean_session(self) -> bool {
        self.0 & 0x04 != 0
    }
    /// 0 topic name or identifier, 1 predefined identifier, 2 short name, 3 reserved.
    pub(super) fn topic_id_type(self) -> u8 {
        self.0 & 3
    }
}

/// The name of a return code (§5.3.10).
pub(super) fn reason(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "Accepted",
        1 => "Rejected: congestion",
        2 => "Rejected: invalid topic ID",
        3 => "Rejected: not supported",
        _ => return None,
    })
}
