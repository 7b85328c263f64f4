//! What decoders of MQTT payloads share: where a payload came from, what was told already, how names are written.

pub mod json;

use super::{CLIENT, GENERATED_CLIENT, Publish, facts};
use crate::counters::Counter;
use crate::observation::{
    Attribute, Confidence, Fact, FieldId, Identity, IdentityKind, IdentityValue, KindId, Record, Server, Text, Value,
};
use crate::protocols::{Cx, mqtt_sn};
use smallvec::SmallVec;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// Facts of one payload.
pub type Facts<'a> = SmallVec<[Fact<'a>; 8]>;

/// Topics, or devices, whose last content is remembered in one connection: a bridge of a few hundred devices.
pub const REMEMBERED: usize = 512;

/// Longest text that is told as a fact, bytes: names and versions are shorter, and what is longer identifies nothing.
pub const TEXT_BYTES: usize = 256;

const SN_PUBLISH: KindId = mqtt_sn::Publish::KIND.id;

/// Positions of the fields that are read here, in both kinds of PUBLISH; a test holds them.
const CLIENT_ID: FieldId = FieldId { index: 0, part: None };
const DELIVERED: FieldId = FieldId { index: 1, part: None };
const TOPIC: FieldId = FieldId { index: 2, part: None };

/// Where a payload came from.
pub struct Origin {
    /// Its topic.
    pub topic: String,
    /// It is the broker's copy for a subscriber: who published it is not known.
    pub delivered: bool,
    client: Option<(String, &'static IdentityKind)>,
    client_ip: IpAddr,
    server_ip: IpAddr,
}

impl Origin {
    /// Of the payload that is being decoded; `None` where no PUBLISH carries it.
    pub fn of(cx: &Cx<'_>) -> Option<Self> {
        let carrier = carrier(cx)?;
        let Value::Text(topic) = carrier.field(TOPIC) else { return None };
        let client = match carrier.field(CLIENT_ID) {
            Value::Text(id) if carrier.kind().id == SN_PUBLISH => Some((id.to_owned(), &mqtt_sn::CLIENT)),
            Value::Text(id) => Some((id.to_owned(), if facts::is_generated(id) { &GENERATED_CLIENT } else { &CLIENT })),
            _ => None,
        };
        let delivered = matches!(carrier.field(DELIVERED), Value::Bool(true));
        let flow = cx.flow();
        Some(Self { topic: topic.to_owned(), delivered, client, client_ip: flow.client.ip, server_ip: flow.server.ip })
    }

    /// Looks at the topic of the payload that is being decoded without keeping it.
    pub fn with_topic<T>(cx: &Cx<'_>, look: impl FnOnce(&str) -> T) -> Option<T> {
        match carrier(cx)?.field(TOPIC) {
            Value::Text(topic) => Some(look(topic)),
            _ => None,
        }
    }

    /// The broker's address.
    pub fn broker_ip(&self) -> IpAddr {
        self.server_ip
    }

    /// The broker, for names that are unique there.
    pub fn broker(&self) -> Server<'static> {
        Server::Address(self.server_ip)
    }

    /// Who published it, where that is known.
    pub fn publisher(&self) -> Option<Identity<'_>> {
        match (&self.client, self.delivered) {
            (_, true) => None,
            (Some((id, kind)), false) => Some(Identity::at(kind, self.broker(), IdentityValue::Text(id))),
            (None, false) => Some(Identity::ip(self.client_ip)),
        }
    }

    /// What the traffic of the devices that the payload tells of passes through: its publisher, or at least the broker.
    pub fn via(&self) -> Identity<'_> {
        self.publisher().unwrap_or_else(|| Identity::ip(self.server_ip))
    }
}

fn carrier<'c>(cx: &'c Cx<'_>) -> Option<&'c dyn Record> {
    const PUBLISH: KindId = Publish::KIND.id;
    cx.carrier().filter(|carrier| matches!(carrier.kind().id, PUBLISH | SN_PUBLISH))
}

/// What was last told, by hash of name and of content, at most [`REMEMBERED`]: payloads that repeat cost no more than a hash.
#[derive(Default)]
pub struct Remembered(Vec<(u32, u32)>);

impl Remembered {
    /// Whether the topic of the payload has other content than last time.
    pub fn topic_has_news(&mut self, content: &[u8], cx: &mut Cx<'_>) -> bool {
        let name = match carrier(cx).map(|carrier| carrier.field(TOPIC)) {
            Some(Value::Text(topic)) => hash(topic.as_bytes()),
            _ => return false,
        };
        self.news(name, hash(content), cx)
    }

    /// Whether `name` has other content than last time.
    pub fn has_news(&mut self, name: &str, content: &[u8], cx: &mut Cx<'_>) -> bool {
        self.news(hash(name.as_bytes()), hash(content), cx)
    }

    fn news(&mut self, name: u32, content: u32, cx: &mut Cx<'_>) -> bool {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            return std::mem::replace(known, content) != content;
        }
        if self.0.len() >= REMEMBERED {
            self.0.swap_remove(0);
            cx.count(Counter::SessionEntriesDropped, 1);
        }
        self.0.push((name, content));
        true
    }
}

/// The seed is fixed: what is told must not depend on the run.
fn hash(bytes: &[u8]) -> u32 {
    foldhash::fast::FixedState::default().hash_one(bytes) as u32
}

/// Tells an attribute, unless it is empty.
pub fn attribute<'a>(facts: &mut Facts<'a>, id: Identity<'a>, name: Attribute, value: Option<&'a str>, field: &'static str) {
    if let Some(value) = value.map(|value| short(value.trim())).filter(|value| !value.is_empty()) {
        facts.push(Fact::Attribute { id, name, value: Text::Str(value), confidence: Confidence::Seen, field });
    }
}

/// At most [`TEXT_BYTES`] of a text.
pub fn short(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A MAC address of 12 hex digits, with or without colons or hyphens; none for zeros.
pub fn mac_of(text: &str) -> Option<[u8; 6]> {
    let value = hex_of::<12>(text)?;
    let [_, _, mac @ ..] = value.to_be_bytes();
    (value != 0).then_some(mac)
}

/// A number of exactly `DIGITS` hex digits, with or without colons or hyphens.
pub fn hex_of<const DIGITS: usize>(text: &str) -> Option<u64> {
    let (mut value, mut digits) = (0u64, 0);
    for character in text.chars().filter(|character| !matches!(character, ':' | '-')) {
        value = value << 4 | u64::from(character.to_digit(16)?);
        digits += 1;
        if digits > DIGITS {
            return None;
        }
    }
    (digits == DIGITS).then_some(value)
}

/// An address that says where a device is: not unspecified, not loopback.
pub fn address_of(text: &str) -> Option<IpAddr> {
    text.trim().parse::<IpAddr>().ok().filter(|address| !address.is_unspecified() && !address.is_loopback())
}

/// Publishes payloads in one connection, for tests of their decoders.
#[cfg(test)]
pub(crate) mod testing {
    use crate::flow::{Direction, Transport};
    use crate::testing::Bench;

    fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x30];
        let mut length = 2 + topic.len() + payload.len();
        while length > 127 {
            bytes.push((length & 127) as u8 | 128);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend((topic.len() as u16).to_be_bytes());
        bytes.extend(topic.as_bytes());
        bytes.extend(payload);
        bytes
    }

    /// What is observed beside MQTT itself where the client `c` publishes.
    pub(crate) fn published(messages: &[(&str, &[u8])]) -> Vec<String> {
        shown("c", Direction::ToServer, messages)
    }

    /// The same of another client.
    pub(crate) fn published_by(client: &str, messages: &[(&str, &[u8])]) -> Vec<String> {
        shown(client, Direction::ToServer, messages)
    }

    /// The same where the broker delivers.
    pub(crate) fn delivered(messages: &[(&str, &[u8])]) -> Vec<String> {
        shown("c", Direction::ToClient, messages)
    }

    fn shown(client: &str, direction: Direction, messages: &[(&str, &[u8])]) -> Vec<String> {
        let mut bench = Bench::new(&super::super::SPEC, Transport::Tcp, 1883);
        let length = client.len() as u8;
        let connect = [&[0x10, 12 + length][..], b"\x00\x04MQTT\x04\x02\x00\x3c\x00", &[length], client.as_bytes()].concat();
        bench.show(Direction::ToServer, &connect);
        bench.show(Direction::ToClient, &[0x20, 2, 0, 0]);
        for (topic, payload) in messages {
            bench.show(direction, &publish(topic, payload));
        }
        bench.close();
        let of_mqtt = |line: &String| line.contains(" mqtt.") || line.contains("+activity(mqtt_client:c@10.0.0.2 ");
        bench.lines.0.into_iter().filter(|line| !of_mqtt(line)).collect()
    }

    /// Random bytes under the topics of a decoder never panic.
    pub(crate) fn survives(topics: &[&str], bytes: &[u8]) {
        for topic in topics {
            published(&[(topic, bytes), (topic, &[b"{", bytes].concat())]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_publish_are_where_they_are_looked_for() {
        for (name, id) in [("client_id", CLIENT_ID), ("delivered", DELIVERED), ("topic", TOPIC)] {
            assert_eq!(Publish::KIND.field(name).unwrap().0, id);
            assert_eq!(mqtt_sn::Publish::KIND.field(name).unwrap().0, id);
        }
    }

    #[test]
    fn addresses_in_text() {
        assert_eq!(mac_of("AA:bb:CC:00:11:22"), Some([0xAA, 0xBB, 0xCC, 0, 0x11, 0x22]));
        assert_eq!(mac_of("AABBCC001122"), mac_of("aa-bb-cc-00-11-22"));
        assert_eq!((mac_of("00:00:00:00:00:00"), mac_of("AABBCC00112"), mac_of("AABBCC0011223")), (None, None, None));
        assert_eq!(hex_of::<16>("00158d0001a2b3c4"), Some(0x0015_8d00_01a2_b3c4));
        assert_eq!((address_of("192.168.1.4").is_some(), address_of("0.0.0.0"), address_of("x")), (true, None, None));
        assert_eq!(short(&"ä".repeat(200)).len(), 256);
    }
}
