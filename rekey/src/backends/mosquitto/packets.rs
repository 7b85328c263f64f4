//! The packets of MQTT 3.1.1 and 5.0 that the client needs, made and read in one form for both.
//!
//! 5.0 is what deliveries want: a message to a device that is away expires, and the broker tells where nobody listens.

use super::client::ClientError;
use crate::secrets::Secret;
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{MessageExpiryInterval, Packet, Property, Qos, SubEntry, SubOpts, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::{MqttError, PubackReasonCode};
use serde::Deserialize;
use std::time::Duration;

/// The version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Level {
    /// 3.1.1 (RabbitMQ before 3.13).
    #[serde(rename = "3.1.1")]
    V311,
    /// 5.0.
    #[default]
    #[serde(rename = "5.0")]
    V5,
}

impl Level {
    /// As the library says it.
    pub fn version(self) -> Version {
        match self {
            Self::V311 => Version::V3_1_1,
            Self::V5 => Version::V5_0,
        }
    }
}

/// What a broker says.
pub enum Said {
    /// CONNACK: the code, 0 for yes.
    Connected(u8),
    /// SUBACK.
    Subscribed {
        /// Of which request.
        id: u16,
        /// Whether the broker agreed.
        agreed: bool,
    },
    /// PUBACK.
    Acknowledged {
        /// Of which request.
        id: u16,
        /// What became of the message.
        fate: Fate,
    },
    /// PUBLISH.
    Message(super::client::Message),
    /// Anything else.
    Other,
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The broker has it. With 3.1.1 that is all that can be known.
    Taken,
    /// Nobody listens to that topic (5.0).
    Nobody,
    /// The broker refused it (5.0).
    Refused,
}

/// CONNECT with a clean session.
///
/// # Errors
/// A text too long for MQTT.
pub fn connect(level: Level, id: &str, login: Option<(&str, &Secret)>, keep_alive: Duration) -> Result<Packet, ClientError> {
    let seconds = u16::try_from(keep_alive.as_secs()).unwrap_or(u16::MAX);
    let v3 = || -> Result<Packet, MqttError> {
        let mut packet = v3_1_1::Connect::builder().client_id(id)?.clean_session(true).keep_alive(seconds);
        if let Some((user, password)) = login {
            packet = packet.user_name(user)?.password(password.expose().to_vec())?;
        }
        packet.build().map(Packet::V3_1_1Connect)
    };
    let v5 = || -> Result<Packet, MqttError> {
        let mut packet = v5_0::Connect::builder().client_id(id)?.clean_start(true).keep_alive(seconds);
        if let Some((user, password)) = login {
            packet = packet.user_name(user)?.password(password.expose().to_vec())?;
        }
        packet.build().map(Packet::V5_0Connect)
    };
    if level == Level::V311 { v3() } else { v5() }.map_err(impossible)
}

/// SUBSCRIBE with QoS 1.
///
/// # Errors
/// A filter that is none.
pub fn subscribe(level: Level, id: u16, filter: &str) -> Result<Packet, ClientError> {
    let entries = vec![SubEntry::new(filter, SubOpts::new().set_qos(Qos::AtLeastOnce)).map_err(impossible)?];
    let packet = match level {
        Level::V311 => v3_1_1::Subscribe::builder().packet_id(id).entries(entries).build().map(Packet::V3_1_1Subscribe),
        Level::V5 => v5_0::Subscribe::builder().packet_id(id).entries(entries).build().map(Packet::V5_0Subscribe),
    };
    packet.map_err(impossible)
}

/// PUBLISH with QoS 1, not retained; it expires (5.0).
///
/// # Errors
/// A topic that is none.
pub fn publish(level: Level, id: u16, topic: &str, payload: &[u8], expiry: Option<u32>) -> Result<Packet, ClientError> {
    let v3 = || -> Result<Packet, MqttError> {
        let packet = v3_1_1::Publish::builder().topic_name(topic)?.qos(Qos::AtLeastOnce).packet_id(id).payload(payload);
        packet.build().map(Packet::V3_1_1Publish)
    };
    let v5 = || -> Result<Packet, MqttError> {
        let expires: Vec<Property> =
            expiry.map(MessageExpiryInterval::new).transpose()?.map(Property::from).into_iter().collect();
        let packet = v5_0::Publish::builder().topic_name(topic)?.qos(Qos::AtLeastOnce).packet_id(id).payload(payload);
        packet.props(expires).build().map(Packet::V5_0Publish)
    };
    if level == Level::V311 { v3() } else { v5() }.map_err(impossible)
}

/// PINGREQ.
///
/// # Errors
/// None that is known.
pub fn ping(level: Level) -> Result<Packet, ClientError> {
    let packet = match level {
        Level::V311 => v3_1_1::Pingreq::builder().build().map(Packet::V3_1_1Pingreq),
        Level::V5 => v5_0::Pingreq::builder().build().map(Packet::V5_0Pingreq),
    };
    packet.map_err(impossible)
}

/// DISCONNECT.
///
/// # Errors
/// None that is known.
pub fn disconnect(level: Level) -> Result<Packet, ClientError> {
    let packet = match level {
        Level::V311 => v3_1_1::Disconnect::builder().build().map(Packet::V3_1_1Disconnect),
        Level::V5 => v5_0::Disconnect::builder().build().map(Packet::V5_0Disconnect),
    };
    packet.map_err(impossible)
}

/// Reads what the broker says.
pub fn read(packet: &Packet) -> Said {
    match packet {
        Packet::V3_1_1Connack(it) => Said::Connected(it.return_code() as u8),
        Packet::V5_0Connack(it) => Said::Connected(it.reason_code() as u8),
        Packet::V3_1_1Suback(it) => {
            Said::Subscribed { id: it.packet_id(), agreed: it.return_codes().iter().all(|code| code.is_success()) }
        }
        Packet::V5_0Suback(it) => {
            Said::Subscribed { id: it.packet_id(), agreed: it.reason_codes().iter().all(|code| code.is_success()) }
        }
        Packet::V3_1_1Puback(it) => Said::Acknowledged { id: it.packet_id(), fate: Fate::Taken },
        Packet::V5_0Puback(it) => {
            let fate = match it.reason_code() {
                Some(PubackReasonCode::NoMatchingSubscribers) => Fate::Nobody,
                Some(code) if code.is_failure() => Fate::Refused,
                _ => Fate::Taken,
            };
            Said::Acknowledged { id: it.packet_id(), fate }
        }
        Packet::V3_1_1Publish(it) => message(it.topic_name(), it.payload().as_slice(), it.retain()),
        Packet::V5_0Publish(it) => message(it.topic_name(), it.payload().as_slice(), it.retain()),
        _ => Said::Other,
    }
}

fn message(topic: &str, payload: &[u8], retained: bool) -> Said {
    Said::Message(super::client::Message { topic: topic.to_owned(), payload: payload.to_vec(), retained })
}

/// What cannot be said in MQTT.
pub fn impossible(error: impl std::fmt::Debug) -> ClientError {
    ClientError::Impossible(format!("this cannot be sent by MQTT ({error:?}); check names and topics in the configuration"))
}
