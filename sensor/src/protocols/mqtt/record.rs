//! The records of MQTT: one for each control packet. Clauses are those of MQTT 5.0 unless another version is named.
//!
//! User names, passwords, authentication data and values of user properties are never in a record; topics and client identifiers are there
//! without the tokens that they may hold.

use super::wire::{Dialect, PacketType, UserProperties};
use super::{anomaly, reason};
use crate::observation::Anomalies;
use std::borrow::Cow;

crate::record! {
    /// CONNECT: a client asks for a connection (§3.1).
    pub struct Connect<'a> = "mqtt.connect" {
        /// Protocol name: `MQTT`, or `MQIsdp` in version 3.1 (§3.1.2.1).
        pub protocol_name: Cow<'a, str>,
        /// Protocol level: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0 (§3.1.2.2); without the bridge bit.
        pub protocol_level: u8,
        /// The client is a broker that bridges: bit 7 of the protocol level, as mosquitto sets it.
        pub bridge: bool,
        /// Client identifier (§3.1.3.1), without a token that it may hold; left out where it is nothing but a token.
        pub client_id: Option<Cow<'a, str>>,
        /// Length of the client identifier, bytes; 0 asks the server to assign one.
        pub client_id_length: Option<u16>,
        /// The client identifier holds a token.
        pub client_id_token: Option<bool>,
        /// Keep alive, seconds; 0: off (§3.1.2.10).
        pub keep_alive_s: u16,
        /// No state of an earlier session is to be used (§3.1.2.4; "clean session" before version 5).
        pub clean_start: bool,
        /// Topic of the will (§3.1.3.3).
        pub will_topic: Option<Cow<'a, str>>,
        /// QoS of the will, 0 to 2 (§3.1.2.6).
        pub will_qos: Option<u8>,
        /// The will is to be retained (§3.1.2.7).
        pub will_retain: Option<bool>,
        /// Length of the will's payload, bytes (§3.1.3.4).
        pub will_payload_length: Option<u16>,
        /// Delay before the will is published, seconds (§3.1.3.2.2).
        pub will_delay_s: Option<u32>,
        /// Lifetime of the will, seconds (§3.1.3.2.4).
        pub will_message_expiry_s: Option<u32>,
        /// Content type of the will (§3.1.3.2.5).
        pub will_content_type: Option<Cow<'a, str>>,
        /// Response topic of the will (§3.1.3.2.6).
        pub will_response_topic: Option<Cow<'a, str>>,
        /// There is a user name (§3.1.2.8).
        pub has_user_name: bool,
        /// Length of the user name, bytes.
        pub user_name_length: Option<u16>,
        /// There is a password (§3.1.2.9).
        pub has_password: bool,
        /// Length of the password, bytes.
        pub password_length: Option<u16>,
        /// Session expiry interval, seconds; 4294967295: never (§3.1.2.11.2).
        pub session_expiry_s: Option<u32>,
        /// Receive maximum: QoS 1 and 2 messages in flight to the client (§3.1.2.11.3).
        pub receive_maximum: Option<u16>,
        /// Maximum packet size that the client takes, bytes (§3.1.2.11.4).
        pub maximum_packet_size: Option<u32>,
        /// Topic alias maximum of the client (§3.1.2.11.5).
        pub topic_alias_maximum: Option<u16>,
        /// Authentication method of an extended exchange (§3.1.2.11.9).
        pub authentication_method: Option<Cow<'a, str>>,
        /// Length of the authentication data, bytes (§3.1.2.11.10).
        pub authentication_data_length: Option<u16>,
        /// How many user properties there are (§3.1.2.11.8).
        pub user_property_count: Option<u32>,
        /// Names of the first user properties.
        pub user_property_names: Vec<Cow<'a, str>>,
    }
}

crate::record! {
    /// CONNACK: the server's answer to CONNECT (§3.2).
    pub struct Connack<'a> = "mqtt.connack" {
        /// Client identifier of the connection: as in CONNECT, or as the server assigned it.
        pub client_id: Option<&'a str>,
        /// Protocol level of the connection, where CONNECT was seen.
        pub protocol_level: Option<u8>,
        /// The server holds a session of this client (§3.2.2.1.1).
        pub session_present: bool,
        /// Return code (3.1.1 §3.2.2.3) or reason code (§3.2.2.2).
        pub reason_code: Option<u8>,
        /// Its name.
        pub reason: Option<&'static str>,
        /// The connection was accepted.
        pub accepted: Option<bool>,
        /// Session expiry interval, seconds (§3.2.2.3.2).
        pub session_expiry_s: Option<u32>,
        /// Receive maximum of the server (§3.2.2.3.3).
        pub receive_maximum: Option<u16>,
        /// Highest QoS that the server takes; left out: 2 (§3.2.2.3.4).
        pub maximum_qos: Option<u8>,
        /// Whether the server retains messages: 0 or 1; left out: 1 (§3.2.2.3.5).
        pub retain_available: Option<u8>,
        /// Maximum packet size that the server takes, bytes (§3.2.2.3.6).
        pub maximum_packet_size: Option<u32>,
        /// Client identifier that the server assigned (§3.2.2.3.7).
        pub assigned_client_id: Option<Cow<'a, str>>,
        /// Topic alias maximum of the server (§3.2.2.3.8).
        pub topic_alias_maximum: Option<u16>,
        /// Reason string (§3.2.2.3.9).
        pub reason_string: Option<Cow<'a, str>>,
        /// Whether wildcard subscriptions work: 0 or 1; left out: 1 (§3.2.2.3.11).
        pub wildcard_subscription_available: Option<u8>,
        /// Whether subscription identifiers work: 0 or 1; left out: 1 (§3.2.2.3.12).
        pub subscription_identifiers_available: Option<u8>,
        /// Whether shared subscriptions work: 0 or 1; left out: 1 (§3.2.2.3.13).
        pub shared_subscription_available: Option<u8>,
        /// Keep alive that the server sets, seconds (§3.2.2.3.14).
        pub server_keep_alive_s: Option<u16>,
        /// Response information (§3.2.2.3.15).
        pub response_information: Option<Cow<'a, str>>,
        /// Another server to use (§3.2.2.3.16).
        pub server_reference: Option<Cow<'a, str>>,
        /// Authentication method (§3.2.2.3.17).
        pub authentication_method: Option<Cow<'a, str>>,
        /// Length of the authentication data, bytes (§3.2.2.3.18).
        pub authentication_data_length: Option<u16>,
        /// How many user properties there are (§3.2.2.3.10).
        pub user_property_count: Option<u32>,
        /// Names of the first user properties.
        pub user_property_names: Vec<Cow<'a, str>>,
        /// Time since CONNECT, microseconds.
        pub elapsed_us: Option<u64>,
    }
}

crate::record! {
    /// PUBLISH: an application message (§3.3), from a publisher to the server or as a copy from the server to a subscriber.
    pub struct Publish<'a> = "mqtt.publish" {
        /// Client identifier of the connection: the publisher's, or in a copy the subscriber's.
        pub client_id: Option<&'a str>,
        /// It is the server's copy for a subscriber; who counts messages counts those that are not.
        pub delivered: bool,
        /// Topic name (§3.3.2.1), taken from the topic alias where there is one; tokens in it are shown as `***`. Left out where it is not known.
        pub topic: Option<&'a str>,
        /// QoS, 0 to 2 (§3.3.1.2).
        pub qos: u8,
        /// To be retained, or in a copy: was retained (§3.3.1.3).
        pub retain: bool,
        /// May be a repetition (§3.3.1.1).
        pub dup: bool,
        /// Packet identifier at QoS 1 and 2 (§3.3.2.2).
        pub packet_id: Option<u16>,
        /// Length of the payload, bytes (§3.3.3).
        pub payload_length: u32,
        /// The payload is not shown to other decoders: it is larger than what is decoded, or bytes of it were lost.
        pub payload_skipped: Option<bool>,
        /// Topic alias (§3.3.2.3.4).
        pub topic_alias: Option<u16>,
        /// Payload format: 0 unspecified, 1 UTF-8 (§3.3.2.3.2).
        pub payload_format: Option<u8>,
        /// Lifetime of the message, seconds (§3.3.2.3.3).
        pub message_expiry_s: Option<u32>,
        /// Topic for the response (§3.3.2.3.5).
        pub response_topic: Option<Cow<'a, str>>,
        /// Length of the correlation data, bytes (§3.3.2.3.6).
        pub correlation_data_length: Option<u16>,
        /// Content type (§3.3.2.3.9).
        pub content_type: Option<Cow<'a, str>>,
        /// Identifiers of the subscriptions that the copy is for (§3.3.2.3.8).
        pub subscription_ids: Vec<u32>,
        /// How many user properties there are (§3.3.2.3.7).
        pub user_property_count: Option<u32>,
        /// Names of the first user properties.
        pub user_property_names: Vec<Cow<'a, str>>,
        /// Kind of firmware or program that the payload is by its first bytes: `elf`, `uimage`, `flattened_tree`, `squashfs`, `trx`, `mcuboot`, `esp32`,
        /// `zigbee_ota`, `matter_ota`, `uf2`.
        pub payload_image: Option<&'static str>,
    }
}

macro_rules! acknowledgements {
    ($($(#[doc = $doc:literal])+ $type:ident = $name:literal,)*) => {$(
        crate::record! {
            $(#[doc = $doc])+
            pub struct $type<'a> = $name {
                /// Client identifier of the connection.
                pub client_id: Option<&'a str>,
                /// Packet identifier of the exchange (§2.2.1).
                pub packet_id: Option<u16>,
                /// Reason code; not before version 5, where left out means 0.
                pub reason_code: Option<u8>,
                /// Its name (§2.4).
                pub reason: Option<&'static str>,
                /// Reason string (§3.4.2.2.2).
                pub reason_string: Option<Cow<'a, str>>,
                /// How many user properties there are (§3.4.2.2.3).
                pub user_property_count: Option<u32>,
                /// Names of the first user properties.
                pub user_property_names: Vec<Cow<'a, str>>,
                /// Time since the packet that this one answers, microseconds.
                pub elapsed_us: Option<u64>,
            }
        }
    )*};
}

acknowledgements! {
    /// PUBACK: a PUBLISH at QoS 1 arrived (§3.4).
    Puback = "mqtt.puback",
    /// PUBREC: a PUBLISH at QoS 2 arrived, first part (§3.5).
    Pubrec = "mqtt.pubrec",
    /// PUBREL: QoS 2, second part (§3.6).
    Pubrel = "mqtt.pubrel",
    /// PUBCOMP: QoS 2, third part (§3.7).
    Pubcomp = "mqtt.pubcomp",
}

crate::record! {
    /// SUBSCRIBE: the client asks for messages (§3.8). The lists have one item for each topic filter.
    pub struct Subscribe<'a> = "mqtt.subscribe" {
        /// Client identifier of the connection.
        pub client_id: Option<&'a str>,
        /// Packet identifier (§2.2.1).
        pub packet_id: Option<u16>,
        /// How many topic filters there are; the first 256 are listed.
        pub topic_filter_count: u32,
        /// Topic filters (§4.7), shared subscriptions with their `$share/<name>/`.
        pub topic_filters: Vec<Cow<'a, str>>,
        /// QoS asked for, 0 to 2 (§3.8.3.1).
        pub qos: Vec<u8>,
        /// No Local: own messages are not to come back; version 5.
        pub no_local: Vec<bool>,
        /// Retain As Published: the retain flag is to stay as it was; version 5.
        pub retain_as_published: Vec<bool>,
        /// Retain handling: 0 send retained messages, 1 only for a new subscription, 2 not; version 5.
        pub retain_handling: Vec<u8>,
        /// Subscription identifier (§3.8.2.1.2).
        pub subscription_id: Option<u32>,
        /// How many user properties there are (§3.8.2.1.3).
        pub user_property_count: Option<u32>,
        /// Names of the first user properties.
        pub user_property_names: Vec<Cow<'a, str>>,
        /// How many of the topic filters listed have a wildcard (§4.7.1).
        pub wildcard_count: u32,
    }
}

crate::record! {
    /// UNSUBSCRIBE: the client wants no more messages (§3.10).
    pub struct Unsubscribe<'a> = "mqtt.unsubscribe" {
        /// Client identifier of the connection.
        pub client_id: Option<&'a str>,
        /// Packet identifier (§2.2.1).
        pub packet_id: Option<u16>,
        /// How many topic filters there are; the first 256 are listed.
        pub topic_filter_count: u32,
        /// Topic filters (§4.7).
        pub topic_filters: Vec<Cow<'a, str>>,
        /// How many user properties there are (§3.10.2.1.2).
        pub user_property_count: Option<u32>,
        /// Names of the first user properties.
        pub user_property_names: Vec<Cow<'a, str>>,
    }
}

macro_rules! answers {
    ($($(#[doc = $doc:literal])+ $type:ident = $name:literal,)*) => {$(
        crate::record! {
            $(#[doc = $doc])+
            pub struct $type<'a> = $name {
                /// Client identifier of the connection.
                pub client_id: Option<&'a str>,
                /// Packet identifier of the request (§2.2.1).
                pub packet_id: Option<u16>,
                /// Reason codes, one for each topic filter; in version 3 return codes of SUBACK, none in UNSUBACK. The first 256.
                pub reason_codes: Vec<u8>,
                /// Their names; `unknown` for codes that have none.
                pub reasons: Vec<&'static str>,
                /// Topic filters of the request, where it was seen.
                pub topic_filters: &'a [String],
                /// Reason string (§3.9.2.1.2).
                pub reason_string: Option<Cow<'a, str>>,
                /// How many user properties there are (§3.9.2.1.3).
                pub user_property_count: Option<u32>,
                /// Names of the first user properties.
                pub user_property_names: Vec<Cow<'a, str>>,
                /// Time since the request, microseconds.
                pub elapsed_us: Option<u64>,
            }
        }
    )*};
}

answers! {
    /// SUBACK: the server's answer to SUBSCRIBE (§3.9).
    Suback = "mqtt.suback",
    /// UNSUBACK: the server's answer to UNSUBSCRIBE (§3.11).
    Unsuback = "mqtt.unsuback",
}

crate::record! {
    /// PINGREQ: the client is alive (§3.12).
    pub struct Pingreq<'a> = "mqtt.pingreq" {
        /// Client identifier of the connection.
        pub client_id: Option<&'a str>,
    }
}

crate::record! {
    /// PINGRESP: the server is alive (§3.13).
    pub struct Pingresp<'a> = "mqtt.pingresp" {
        /// Client identifier of the connection.
        pub client_id: Option<&'a str>,
        /// Time since PINGREQ, microseconds.
        pub elapsed_us: Option<u64>,
    }
}

crate::record! {
    /// DISCONNECT: the last packet of a connection (§3.14).
    pub struct Disconnect<'a> = "mqtt.disconnect" {
        /// Client identifier of the connection.
        pub client_id: Option<&'a str>,
        /// Reason code; not before version 5, where left out means 0 (§3.14.2.1).
        pub reason_code: Option<u8>,
        /// Its name.
        pub reason: Option<&'static str>,
        /// Session expiry interval, seconds (§3.14.2.2.2).
        pub session_expiry_s: Option<u32>,
        /// Reason string (§3.14.2.2.3).
        pub reason_string: Option<Cow<'a, str>>,
        /// Another server to use (§3.14.2.2.5).
        pub server_reference: Option<Cow<'a, str>>,
        /// How many user properties there are (§3.14.2.2.4).
        pub user_property_count: Option<u32>,
        /// Names of the first user properties.
        pub user_property_names: Vec<Cow<'a, str>>,
    }
}

crate::record! {
    /// AUTH: a step of an extended authentication exchange (§3.15).
    pub struct Auth<'a> = "mqtt.auth" {
        /// Client identifier of the connection.
        pub client_id: Option<&'a str>,
        /// Reason code (§3.15.2.1).
        pub reason_code: Option<u8>,
        /// Its name.
        pub reason: Option<&'static str>,
        /// Authentication method (§3.15.2.2.2).
        pub authentication_method: Option<Cow<'a, str>>,
        /// Length of the authentication data, bytes (§3.15.2.2.3).
        pub authentication_data_length: Option<u16>,
        /// Reason string (§3.15.2.2.4).
        pub reason_string: Option<Cow<'a, str>>,
        /// How many user properties there are (§3.15.2.2.5).
        pub user_property_count: Option<u32>,
        /// Names of the first user properties.
        pub user_property_names: Vec<Cow<'a, str>>,
    }
}

/// All kinds of records.
pub(super) static KINDS: &[&crate::observation::RecordKind] = &[
    &Connect::KIND,
    &Connack::KIND,
    &Publish::KIND,
    &Puback::KIND,
    &Pubrec::KIND,
    &Pubrel::KIND,
    &Pubcomp::KIND,
    &Subscribe::KIND,
    &Suback::KIND,
    &Unsubscribe::KIND,
    &Unsuback::KIND,
    &Pingreq::KIND,
    &Pingresp::KIND,
    &Disconnect::KIND,
    &Auth::KIND,
];

/// How many user properties there are, for a field that is left out where there is none.
pub(super) fn user_property_count(user: &UserProperties<'_>) -> Option<u32> {
    (user.count > 0).then_some(user.count)
}

/// Length of a field that is at most 65,535 bytes on the wire.
pub(super) fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

/// The name of a code; notes one that the packet may not have.
pub(super) fn named(packet: PacketType, dialect: Dialect, code: Option<u8>, anomalies: &mut Anomalies) -> Option<&'static str> {
    let name = reason::name(packet, dialect, code?);
    if name.is_none() {
        anomalies.push(&anomaly::UNKNOWN_REASON_CODE);
    }
    name
}

/// Reason codes of a SUBACK or UNSUBACK with their names.
pub(super) fn listed(
    packet: PacketType,
    dialect: Dialect,
    codes: &[u8],
    anomalies: &mut Anomalies,
) -> (Vec<u8>, Vec<&'static str>) {
    let codes: Vec<u8> = codes.iter().copied().take(super::FILTERS).collect();
    let names = codes.iter().map(|&code| named(packet, dialect, Some(code), anomalies).unwrap_or("unknown")).collect();
    (codes, names)
}
