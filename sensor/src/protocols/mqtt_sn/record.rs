//! The records of MQTT-SN. Clauses are those of MQTT-SN 1.2. In all, `node` is the wireless node identifier where a forwarder encapsulates the message.

use crate::observation::Hex;
use std::borrow::Cow;

crate::record! {
    /// ADVERTISE, SEARCHGW, GWINFO: gateways and those who look for one (§5.4.1 to §5.4.3).
    pub struct Gateway<'a> = "mqtt_sn.gateway" {
        /// The message.
        pub message: &'static str,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// Gateway identifier.
        pub gateway_id: Option<u8>,
        /// Address of the gateway, where another client tells it.
        pub gateway_address: Option<Hex<'a>>,
        /// Seconds until the next ADVERTISE.
        pub duration_s: Option<u16>,
        /// Broadcast radius.
        pub radius: Option<u8>,
    }
}

crate::record! {
    /// CONNECT (§5.4.4).
    pub struct Connect<'a> = "mqtt_sn.connect" {
        /// Client identifier.
        pub client_id: Cow<'a, str>,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// Protocol identifier: 1.
        pub protocol_id: u8,
        /// Keep alive, seconds.
        pub duration_s: u16,
        /// No state of an earlier session is to be used.
        pub clean_session: bool,
        /// A will follows.
        pub will: bool,
    }
}

crate::record! {
    /// CONNACK (§5.4.5).
    pub struct Connack<'a> = "mqtt_sn.connack" {
        /// Client identifier of the session.
        pub client_id: Option<&'a str>,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// Return code (§5.3.10).
        pub return_code: u8,
        /// Its name.
        pub reason: Option<&'static str>,
        /// The connection was accepted.
        pub accepted: bool,
    }
}

crate::record! {
    /// WILLTOPICREQ, WILLTOPIC, WILLMSGREQ, WILLMSG and their updates and answers (§5.4.6 to §5.4.9, §5.4.22 to §5.4.25).
    pub struct Will<'a> = "mqtt_sn.will" {
        /// Client identifier of the session.
        pub client_id: Option<&'a str>,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// The message.
        pub message: &'static str,
        /// Topic of the will.
        pub topic: Option<Cow<'a, str>>,
        /// QoS of the will.
        pub qos: Option<i8>,
        /// The will is to be retained.
        pub retain: Option<bool>,
        /// Length of the will's payload, bytes.
        pub payload_length: Option<u32>,
        /// Return code.
        pub return_code: Option<u8>,
    }
}

crate::record! {
    /// REGISTER, REGACK: a topic name gets an identifier (§5.4.10, §5.4.11).
    pub struct Register<'a> = "mqtt_sn.register" {
        /// Client identifier of the session.
        pub client_id: Option<&'a str>,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// The message.
        pub message: &'static str,
        /// Topic identifier; 0 in a client's REGISTER.
        pub topic_id: u16,
        /// Message identifier.
        pub message_id: u16,
        /// Topic name.
        pub topic: Option<Cow<'a, str>>,
        /// Return code.
        pub return_code: Option<u8>,
        /// Its name.
        pub reason: Option<&'static str>,
    }
}

crate::record! {
    /// PUBLISH (§5.4.12).
    pub struct Publish<'a> = "mqtt_sn.publish" {
        /// Client identifier of the session: the publisher's, or in a copy the subscriber's.
        pub client_id: Option<&'a str>,
        /// It is the gateway's copy for a subscriber.
        pub delivered: bool,
        /// Topic name, where its identifier was seen being given, or the short name.
        pub topic: Option<&'a str>,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// Topic identifier; a short name as its two characters.
        pub topic_id: u16,
        /// Kind of topic identifier: 0 registered, 1 predefined, 2 short name.
        pub topic_id_type: u8,
        /// QoS: 0 to 2, or -1 without a connection.
        pub qos: i8,
        /// To be retained.
        pub retain: bool,
        /// May be a repetition.
        pub dup: bool,
        /// Message identifier; 0 at QoS 0 and -1.
        pub message_id: u16,
        /// Length of the payload, bytes.
        pub payload_length: u32,
    }
}

crate::record! {
    /// PUBACK, PUBREC, PUBREL, PUBCOMP (§5.4.13, §5.4.14).
    pub struct Acknowledgement<'a> = "mqtt_sn.acknowledgement" {
        /// Client identifier of the session.
        pub client_id: Option<&'a str>,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// The message.
        pub message: &'static str,
        /// Topic identifier.
        pub topic_id: Option<u16>,
        /// Message identifier.
        pub message_id: u16,
        /// Return code.
        pub return_code: Option<u8>,
        /// Its name.
        pub reason: Option<&'static str>,
    }
}

crate::record! {
    /// SUBSCRIBE, UNSUBSCRIBE (§5.4.15, §5.4.17).
    pub struct Subscribe<'a> = "mqtt_sn.subscribe" {
        /// Client identifier of the session.
        pub client_id: Option<&'a str>,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// The message.
        pub message: &'static str,
        /// Topic filter, or short name.
        pub topic: Option<Cow<'a, str>>,
        /// Predefined topic identifier.
        pub topic_id: Option<u16>,
        /// QoS asked for.
        pub qos: i8,
        /// Message identifier.
        pub message_id: u16,
    }
}

crate::record! {
    /// SUBACK, UNSUBACK (§5.4.16, §5.4.18).
    pub struct Suback<'a> = "mqtt_sn.suback" {
        /// Client identifier of the session.
        pub client_id: Option<&'a str>,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// The message.
        pub message: &'static str,
        /// Topic identifier; 0 for a filter with wildcards.
        pub topic_id: Option<u16>,
        /// Message identifier.
        pub message_id: u16,
        /// QoS granted.
        pub qos: Option<i8>,
        /// Return code.
        pub return_code: Option<u8>,
        /// Its name.
        pub reason: Option<&'static str>,
    }
}

crate::record! {
    /// PINGREQ, PINGRESP, DISCONNECT (§5.4.19, §5.4.21): a client is alive, sleeps, wakes or leaves.
    pub struct Presence<'a> = "mqtt_sn.presence" {
        /// Client identifier of the session, or as a waking client says it.
        pub client_id: Option<Cow<'a, str>>,
        /// Wireless node.
        pub node: Option<Hex<'a>>,
        /// The message.
        pub message: &'static str,
        /// How long the client sleeps, seconds.
        pub duration_s: Option<u16>,
    }
}

/// All kinds of records.
pub(super) static KINDS: &[&crate::observation::RecordKind] = &[
    &Gateway::KIND,
    &Connect::KIND,
    &Connack::KIND,
    &Will::KIND,
    &Register::KIND,
    &Publish::KIND,
    &Acknowledgement::KIND,
    &Subscribe::KIND,
    &Suback::KIND,
    &Presence::KIND,
];
