//! Properties of MQTT 5.0 (§2.2.2): which exist, of what type, in which packets.

use super::{text_of, variable_byte_integer};
use crate::observation::Anomalies;
use crate::protocols::mqtt::anomaly;
use crate::reader::Reader;
use std::borrow::Cow;

/// Where properties stand: a packet type, or the will within CONNECT. The value is its bit in [`allowed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(in super::super) enum Home {
    Connect = 1,
    Connack = 1 << 1,
    Publish = 1 << 2,
    Will = 1 << 3,
    Puback = 1 << 4,
    Pubrec = 1 << 5,
    Pubrel = 1 << 6,
    Pubcomp = 1 << 7,
    Subscribe = 1 << 8,
    Suback = 1 << 9,
    Unsubscribe = 1 << 10,
    Unsuback = 1 << 11,
    Disconnect = 1 << 12,
    Auth = 1 << 13,
}

/// The places where a property may stand (table 2-4); zero for identifiers that are not assigned.
fn allowed(id: u32) -> u16 {
    const CONNECT: u16 = Home::Connect as u16;
    const CONNACK: u16 = Home::Connack as u16;
    const PUBLISH: u16 = Home::Publish as u16;
    const WILL: u16 = Home::Will as u16;
    const SUBSCRIBE: u16 = Home::Subscribe as u16;
    const DISCONNECT: u16 = Home::Disconnect as u16;
    const AUTH: u16 = Home::Auth as u16;
    const ACKNOWLEDGEMENTS: u16 = Home::Puback as u16 | Home::Pubrec as u16 | Home::Pubrel as u16 | Home::Pubcomp as u16;
    const ANSWERS: u16 = Home::Suback as u16 | Home::Unsuback as u16;
    match id {
        0x01 | 0x02 | 0x03 | 0x08 | 0x09 => PUBLISH | WILL,
        0x0B => PUBLISH | SUBSCRIBE,
        0x11 => CONNECT | CONNACK | DISCONNECT,
        0x12 | 0x13 | 0x1A | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => CONNACK,
        0x15 | 0x16 => CONNECT | CONNACK | AUTH,
        0x17 | 0x19 => CONNECT,
        0x18 => WILL,
        0x1C => CONNACK | DISCONNECT,
        0x1F => CONNACK | ACKNOWLEDGEMENTS | ANSWERS | DISCONNECT | AUTH,
        0x21 | 0x22 | 0x27 => CONNECT | CONNACK,
        0x23 => PUBLISH,
        0x26 => u16::MAX,
        _ => 0,
    }
}

/// What the properties of one packet say.
#[derive(Clone, Default)]
pub(in super::super) struct Properties<'a> {
    /// Payload format indicator: 0 unspecified, 1 UTF-8 (§3.3.2.3.2).
    pub(in super::super) payload_format: Option<u8>,
    /// Seconds (§3.3.2.3.3).
    pub(in super::super) message_expiry: Option<u32>,
    pub(in super::super) content_type: Option<Cow<'a, str>>,
    pub(in super::super) response_topic: Option<Cow<'a, str>>,
    pub(in super::super) correlation_data: Option<&'a [u8]>,
    /// Subscription identifiers; a PUBLISH may have several (§3.3.2.3.8).
    pub(in super::super) subscription_ids: Vec<u32>,
    /// Seconds; 0xFFFFFFFF: never (§3.1.2.11.2).
    pub(in super::super) session_expiry: Option<u32>,
    pub(in super::super) assigned_client_id: Option<Cow<'a, str>>,
    /// Seconds (§3.2.2.3.14).
    pub(in super::super) server_keep_alive: Option<u16>,
    pub(in super::super) authentication_method: Option<Cow<'a, str>>,
    pub(in super::super) authentication_data: Option<&'a [u8]>,
    pub(in super::super) request_problem_information: Option<u8>,
    /// Seconds (§3.1.3.2.2).
    pub(in super::super) will_delay: Option<u32>,
    pub(in super::super) request_response_information: Option<u8>,
    pub(in super::super) response_information: Option<Cow<'a, str>>,
    pub(in super::super) server_reference: Option<Cow<'a, str>>,
    pub(in super::super) reason_string: Option<Cow<'a, str>>,
    pub(in super::super) receive_maximum: Option<u16>,
    pub(in super::super) topic_alias_maximum: Option<u16>,
    pub(in super::super) topic_alias: Option<u16>,
    pub(in super::super) maximum_qos: Option<u8>,
    pub(in super::super) retain_available: Option<u8>,
    pub(in super::super) maximum_packet_size: Option<u32>,
    pub(in super::super) wildcard_subscription_available: Option<u8>,
    pub(in super::super) subscription_ids_available: Option<u8>,
    pub(in super::super) shared_subscription_available: Option<u8>,
    pub(in super::super) user: UserProperties<'a>,
}

/// User properties: how many, and the first names. Values may hold secrets and are not kept.
#[derive(Clone, Default)]
pub(in super::super) struct UserProperties<'a> {
    /// How many there are.
    pub(in super::super) count: u32,
    /// The names of the first [`USER_PROPERTY_NAMES`](crate::protocols::mqtt::USER_PROPERTY_NAMES).
    pub(in super::super) names: Vec<Cow<'a, str>>,
}

/// Reads the properties of a packet; `base` is the packet's offset of the first.
pub(super) fn read<'a>(mut reader: Reader<'a>, base: usize, home: Home, anomalies: &mut Anomalies) -> Properties<'a> {
    let mut properties = Properties::default();
    let mut seen = 0u64;
    while !reader.is_empty() {
        let offset = base + reader.offset();
        let Ok((id, _)) = variable_byte_integer(&mut reader) else {
            anomalies.push_at(&anomaly::MALFORMED, offset);
            break;
        };
        let places = allowed(id);
        if places == 0 {
            // Without its type the property's length is unknown: the rest cannot be read.
            anomalies.push_at(&anomaly::UNKNOWN_PROPERTY, offset);
            break;
        }
        if places & home as u16 == 0 {
            anomalies.push_at(&anomaly::PROPERTY_NOT_ALLOWED, offset);
        }
        let repeatable = id == 0x26 || (id == 0x0B && home == Home::Publish);
        if seen & (1 << id) != 0 && !repeatable {
            anomalies.push_at(&anomaly::PROPERTY_TWICE, offset);
        }
        seen |= 1 << id;
        let mut value = Value { reader: &mut reader, offset, anomalies };
        if properties.take(id, &mut value).is_none() {
            anomalies.push_at(&anomaly::MALFORMED, offset);
            break;
        }
    }
    properties
}

/// The value of one property.
struct Value<'r, 'a, 'n> {
    reader: &'r mut Reader<'a>,
    offset: usize,
    anomalies: &'n mut Anomalies,
}

impl<'a> Value<'_, 'a, '_> {
    fn checked<T>(&mut self, value: T, ok: bool) -> T {
        if !ok {
            self.anomalies.push_at(&anomaly::PROPERTY_VALUE, self.offset);
        }
        value
    }

    /// A byte that may be 0 or 1 only.
    fn flag(&mut self) -> Option<u8> {
        let value = self.reader.u8()?;
        Some(self.checked(value, value <= 1))
    }

    fn above_zero_u16(&mut self) -> Option<u16> {
        let value = self.reader.u16()?;
        Some(self.checked(value, value > 0))
    }

    fn binary(&mut self) -> Option<&'a [u8]> {
        let length = self.reader.u16()?;
        self.reader.take(usize::from(length))
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let bytes = self.binary()?;
        Some(text_of(bytes, self.offset, self.anomalies))
    }
}

impl<'a> Properties<'a> {
    /// Takes the value of property `id`; of a property that stands twice the first counts. `None`: the value is cut.
    fn take(&mut self, id: u32, value: &mut Value<'_, 'a, '_>) -> Option<()> {
        fn first<T>(slot: &mut Option<T>, value: T) {
            slot.get_or_insert(value);
        }
        match id {
            0x01 => first(&mut self.payload_format, value.flag()?),
            0x02 => first(&mut self.message_expiry, value.reader.u32()?),
            0x03 => first(&mut self.content_type, value.text()?),
            0x08 => {
                let topic = value.text()?;
                if topic.contains(['+', '#']) {
                    value.anomalies.push_at(&anomaly::WILDCARD_IN_TOPIC, value.offset);
                }
                first(&mut self.response_topic, topic);
            }
            0x09 => first(&mut self.correlation_data, value.binary()?),
            0x0B => {
                let (id, _) = variable_byte_integer(value.reader).ok()?;
                let id = value.checked(id, id > 0);
                if self.subscription_ids.len() < crate::protocols::mqtt::SUBSCRIPTION_IDS {
                    self.subscription_ids.push(id);
                }
            }
            0x11 => first(&mut self.session_expiry, value.reader.u32()?),
            0x12 => first(&mut self.assigned_client_id, value.text()?),
            0x13 => first(&mut self.server_keep_alive, value.reader.u16()?),
            0x15 => first(&mut self.authentication_method, value.text()?),
            0x16 => first(&mut self.authentication_data, value.binary()?),
            0x17 => first(&mut self.request_problem_information, value.flag()?),
            0x18 => first(&mut self.will_delay, value.reader.u32()?),
            0x19 => first(&mut self.request_response_information, value.flag()?),
            0x1A => first(&mut self.response_information, value.text()?),
            0x1C => first(&mut self.server_reference, value.text()?),
            0x1F => first(&mut self.reason_string, value.text()?),
            0x21 => first(&mut self.receive_maximum, value.above_zero_u16()?),
            0x22 => first(&mut self.topic_alias_maximum, value.reader.u16()?),
            0x23 => first(&mut self.topic_alias, value.reader.u16()?),
            0x24 => first(&mut self.maximum_qos, value.flag()?),
            0x25 => first(&mut self.retain_available, value.flag()?),
            0x26 => {
                let name = value.text()?;
                value.text()?;
                self.user.count += 1;
                if self.user.names.len() < crate::protocols::mqtt::USER_PROPERTY_NAMES {
                    self.user.names.push(name);
                }
            }
            0x27 => {
                let size = value.reader.u32()?;
                first(&mut self.maximum_packet_size, value.checked(size, size > 0));
            }
            0x28 => first(&mut self.wildcard_subscription_available, value.flag()?),
            0x29 => first(&mut self.subscription_ids_available, value.flag()?),
            0x2A => first(&mut self.shared_subscription_available, value.flag()?),
            _ => return None,
        }
        Some(())
    }
}
