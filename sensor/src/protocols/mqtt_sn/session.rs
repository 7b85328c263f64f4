//! One flow: sessions of a client, or of the nodes behind a forwarder; topic identifiers and what they stand for.

use super::wire::{self, Body, Flags};
use super::{CLIENT, CLIENTS, ENCAPSULATIONS, FOREIGN, NAME_BYTES, TOPICS, WAITING, anomaly, record};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::observation::{
    Anomalies, Confidence, Fact, Hex, Identity, IdentityValue, Presence, Record, Role, SecurityAspect, Server, Text,
};
use crate::protocols::mqtt::secrets::shown_topic;
use crate::protocols::{Carried, Channel, Cx, Decoder, Input, Step};
use smallvec::SmallVec;
use std::borrow::Cow;

/// Node of a flow without forwarder.
const NO_NODE: u64 = 0;

#[derive(Default)]
pub(super) struct Session {
    clients: Vec<(u64, Box<str>)>,
    topics: Vec<(u64, u16, Box<str>)>,
    waiting: Vec<(u64, u16, Box<str>)>,
    gateway_told: bool,
    publishers: Vec<u64>,
    /// Datagrams that make no sense, less those that do.
    foreign: u8,
}

type Facts<'a> = SmallVec<[Fact<'a>; 6]>;

/// A message on its way through the session.
struct Got<'a> {
    message: &'static str,
    node: Option<&'a [u8]>,
    key: u64,
    direction: Direction,
    anomalies: Anomalies,
}

impl<'a> Got<'a> {
    fn node(&self) -> Option<Hex<'a>> {
        self.node.map(Hex)
    }

    fn text<'t>(&mut self, bytes: &'t [u8]) -> Cow<'t, str> {
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, Cow::Owned(_)) {
            self.anomalies.push(&anomaly::INVALID_UTF8);
        }
        text
    }

    fn reason(&mut self, code: u8) -> Option<&'static str> {
        let reason = wire::reason(code);
        if reason.is_none() {
            self.anomalies.push(&anomaly::RETURN_CODE);
        }
        reason
    }
}

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let mut anomalies = Anomalies::default();
        let mut bytes = input.bytes;
        let mut node = None;
        for _ in 0..=ENCAPSULATIONS {
            let Some(message) = wire::message(bytes) else {
                anomalies.push(&anomaly::MALFORMED);
                return self.nonsense(&anomalies, &input, cx);
            };
            if !message.minimal {
                anomalies.push_at(&anomaly::LENGTH_NOT_MINIMAL, 0);
            }
            if message.message_type == wire::ENCAPSULATION {
                node = message.fields.get(1..);
                bytes = message.after;
                continue;
            }
            let Some(name) = wire::name(message.message_type) else {
                anomalies.push(&anomaly::RESERVED_TYPE);
                return self.nonsense(&anomalies, &input, cx);
            };
            let Some(body) = wire::body(message.message_type, message.fields) else {
                anomalies.push(&anomaly::MALFORMED);
                return self.nonsense(&anomalies, &input, cx);
            };
            let got = Got { message: name, node, key: node.map_or(NO_NODE, key), direction: input.direction, anomalies };
            self.foreign = self.foreign.saturating_sub(1);
            self.take(body, got, cx);
            return Step::Consumed(input.bytes.len());
        }
        anomalies.push(&anomaly::ENCAPSULATION);
        self.nonsense(&anomalies, &input, cx)
    }
}

/// A node's identifier as a number: it is one to a few bytes, and longer ones may share a number without harm.
fn key(node: &[u8]) -> u64 {
    node.iter().fold(1, |key: u64, &byte| key.wrapping_mul(257).wrapping_add(u64::from(byte) + 1))
}

/// Keeps an entry; the oldest gives way.
fn keep<T>(table: &mut Vec<T>, entry: T, bound: usize, cx: &mut Cx<'_>) {
    if table.len() >= bound {
        table.remove(0);
        cx.count(Counter::SessionEntriesDropped, 1);
    }
    table.push(entry);
}

impl Session {
    /// Tells what is odd about a datagram that gives no record.
    fn nonsense(&mut self, anomalies: &Anomalies, input: &Input<'_>, cx: &mut Cx<'_>) -> Step {
        for anomaly in anomalies.iter() {
            cx.anomaly(input.direction, anomaly.code);
        }
        self.foreign = self.foreign.saturating_add(1);
        if self.foreign >= FOREIGN { Step::GiveUp } else { Step::Consumed(input.bytes.len()) }
    }

    fn client_id(&self, key: u64) -> Option<&str> {
        self.clients.iter().find(|(node, _)| *node == key).map(|(_, id)| &**id)
    }

    fn topic(&self, key: u64, topic_id: u16) -> Option<&str> {
        self.topics.iter().find(|(node, id, _)| (*node, *id) == (key, topic_id)).map(|(_, _, topic)| &**topic)
    }

    fn name_topic(&mut self, key: u64, topic_id: u16, topic: &str, cx: &mut Cx<'_>) {
        if topic_id == 0 || topic.len() > NAME_BYTES {
            return;
        }
        self.topics.retain(|(node, id, _)| (*node, *id) != (key, topic_id));
        keep(&mut self.topics, (key, topic_id, topic.into()), TOPICS, cx);
    }

    fn wait(&mut self, key: u64, message_id: u16, topic: &str, cx: &mut Cx<'_>) {
        if topic.len() <= NAME_BYTES {
            self.waiting.retain(|(node, id, _)| (*node, *id) != (key, message_id));
            keep(&mut self.waiting, (key, message_id, topic.into()), WAITING, cx);
        }
    }

    fn answered(&mut self, key: u64, message_id: u16) -> Option<Box<str>> {
        let at = self.waiting.iter().position(|(node, id, _)| (*node, *id) == (key, message_id))?;
        Some(self.waiting.swap_remove(at).2)
    }

    /// The client of a message: its identifier at this gateway, or its address.
    fn identity<'s>(&'s self, key: u64, cx: &Cx<'_>) -> Identity<'s> {
        match self.client_id(key) {
            Some(id) => Identity::at(&CLIENT, Server::Address(cx.flow().server.ip), IdentityValue::Text(id)),
            None => Identity::ip(cx.flow().client.ip),
        }
    }

    /// Tells of the gateway when it first speaks.
    fn gateway(&mut self, got: &Got<'_>, cx: &Cx<'_>, facts: &mut Facts<'_>) {
        if got.direction == Direction::ToClient && !self.gateway_told {
            self.gateway_told = true;
            let id = Identity::ip(cx.flow().server.ip);
            facts.push(Fact::Identity { id, presence: Presence::Proved });
            facts.push(Fact::Role { id, role: Role::Bridge });
            facts.push(Fact::Service { id, protocol: "mqtt_sn", port: Some(cx.flow().server.port), protected: false });
        }
    }

    fn tell(&mut self, record: &dyn Record, got: &Got<'_>, cx: &mut Cx<'_>) {
        let mut facts = Facts::new();
        self.gateway(got, cx, &mut facts);
        cx.emit(got.direction, record, &facts, &got.anomalies);
    }

    fn take(&mut self, body: Body<'_>, mut got: Got<'_>, cx: &mut Cx<'_>) {
        let (message, key) = (got.message, got.key);
        let client = self.client_id(key).map(str::to_owned);
        let client_id = client.as_deref();
        let node = got.node();
        let blank = record::Gateway { message, node, gateway_id: None, gateway_address: None, duration_s: None, radius: None };
        match body {
            Body::Advertise { gateway_id, duration } => {
                let record = record::Gateway { gateway_id: Some(gateway_id), duration_s: Some(duration), ..blank };
                self.tell(&record, &got, cx);
            }
            Body::SearchGw { radius } => self.tell(&record::Gateway { radius: Some(radius), ..blank }, &got, cx),
            Body::GwInfo { gateway_id, address } => {
                let gateway_address = (!address.is_empty()).then_some(Hex(address));
                self.tell(&record::Gateway { gateway_id: Some(gateway_id), gateway_address, ..blank }, &got, cx);
            }
            Body::Connect { flags, protocol_id, duration, client_id } => {
                self.connect(Flags(flags), protocol_id, duration, client_id, got, cx);
            }
            Body::Connack { return_code } => {
                let (reason, accepted) = (got.reason(return_code), return_code == 0);
                self.tell(&record::Connack { client_id, node, return_code, reason, accepted }, &got, cx);
            }
            Body::WillRequest | Body::WillTopic { .. } | Body::WillMessage { .. } | Body::WillResponse { .. } => {
                self.will(body, client_id, got, cx);
            }
            Body::Register { topic_id, message_id, topic } => {
                let topic = shown_topic(got.text(topic));
                match got.direction {
                    Direction::ToServer => self.wait(key, message_id, &topic, cx),
                    Direction::ToClient => self.name_topic(key, topic_id, &topic, cx),
                }
                let topic = Some(topic);
                let record =
                    record::Register { client_id, node, message, topic_id, message_id, topic, return_code: None, reason: None };
                self.tell(&record, &got, cx);
            }
            Body::Regack { topic_id, message_id, return_code } => {
                if let Some(topic) = self.answered(key, message_id).filter(|_| return_code == 0) {
                    self.name_topic(key, topic_id, &topic, cx);
                }
                let reason = got.reason(return_code);
                let topic = self.topic(key, topic_id).map(|topic| Cow::Owned(topic.to_owned()));
                let return_code = Some(return_code);
                let record = record::Register { client_id, node, message, topic_id, message_id, topic, return_code, reason };
                self.tell(&record, &got, cx);
            }
            Body::Publish { flags, topic_id, message_id, payload } => {
                self.publish(Flags(flags), topic_id, message_id, payload, got, cx);
            }
            Body::Puback { topic_id, message_id, return_code } => {
                let reason = got.reason(return_code);
                let (topic_id, return_code) = (Some(topic_id), Some(return_code));
                let record = record::Acknowledgement { client_id, node, message, topic_id, message_id, return_code, reason };
                self.tell(&record, &got, cx);
            }
            Body::Step { message_id } => {
                let (topic_id, return_code, reason) = (None, None, None);
                let record = record::Acknowledgement { client_id, node, message, topic_id, message_id, return_code, reason };
                self.tell(&record, &got, cx);
            }
            Body::Subscribe { flags, message_id, topic } => self.subscribe(Flags(flags), message_id, topic, got, cx),
            Body::Suback { flags, topic_id, message_id, return_code } => {
                if let Some(topic) = self.answered(key, message_id).filter(|_| return_code == 0) {
                    self.name_topic(key, topic_id, &topic, cx);
                }
                let reason = got.reason(return_code);
                let (topic_id, return_code, qos) = (Some(topic_id), Some(return_code), Some(Flags(flags).qos()));
                let record = record::Suback { client_id, node, message, topic_id, message_id, qos, return_code, reason };
                self.tell(&record, &got, cx);
            }
            Body::Unsuback { message_id } => {
                let (topic_id, qos, return_code, reason) = (None, None, None, None);
                let record = record::Suback { client_id, node, message, topic_id, message_id, qos, return_code, reason };
                self.tell(&record, &got, cx);
            }
            Body::Pingreq { client_id: waking } => {
                let waking = (!waking.is_empty()).then(|| got.text(waking));
                let client_id = waking.or(client.map(Cow::Owned));
                self.tell(&record::Presence { client_id, node, message, duration_s: None }, &got, cx);
            }
            Body::Pingresp => {
                let client_id = client.map(Cow::Owned);
                self.tell(&record::Presence { client_id, node, message, duration_s: None }, &got, cx);
            }
            Body::Disconnect { duration } => {
                let client_id = client.map(Cow::Owned);
                self.tell(&record::Presence { client_id, node, message, duration_s: duration }, &got, cx);
            }
        }
    }

    fn connect(&mut self, flags: Flags, protocol_id: u8, duration: u16, client_id: &[u8], mut got: Got<'_>, cx: &mut Cx<'_>) {
        if protocol_id != 1 {
            got.anomalies.push(&anomaly::PROTOCOL_ID);
        }
        if !(1..=23).contains(&client_id.len()) {
            got.anomalies.push(&anomaly::CLIENT_ID);
        }
        let text = got.text(client_id);
        let key = got.key;
        let known = self.client_id(key) == Some(&*text);
        if !known && !text.is_empty() && text.len() <= NAME_BYTES {
            self.clients.retain(|(node, _)| *node != key);
            keep(&mut self.clients, (key, (&*text).into()), CLIENTS, cx);
        }
        if flags.clean_session() {
            self.topics.retain(|(node, _, _)| *node != key);
        }
        let mut facts = Facts::new();
        let (address, server) = (Identity::ip(cx.flow().client.ip), Identity::ip(cx.flow().server.ip));
        if !known {
            let id = self.identity(key, cx);
            facts.push(Fact::Identity { id, presence: Presence::Proved });
            if got.node.is_some() {
                facts.push(Fact::Via { id, via: address });
            } else {
                facts.push(Fact::SameAs { a: id, b: address, basis: "MQTT-SN CONNECT", confidence: Confidence::Likely });
            }
            facts.push(Fact::Peer { client: id, server, protocol: "mqtt_sn" });
            facts.push(Fact::Security { id, aspect: SecurityAspect::Transport, value: Text::Str("none") });
        }
        let record = record::Connect {
            client_id: text,
            node: got.node(),
            protocol_id,
            duration_s: duration,
            clean_session: flags.clean_session(),
            will: flags.will(),
        };
        cx.emit(got.direction, &record, &facts, &got.anomalies);
    }

    fn will(&mut self, body: Body<'_>, client_id: Option<&str>, mut got: Got<'_>, cx: &mut Cx<'_>) {
        let (message, node) = (got.message, got.node());
        let (mut topic, mut qos, mut retain, mut payload_length, mut return_code) = (None, None, None, None, None);
        match body {
            Body::WillTopic { flags: Some(flags), topic: name } => {
                topic = Some(shown_topic(got.text(name)));
                (qos, retain) = (Some(Flags(flags).qos()), Some(Flags(flags).retain()));
            }
            Body::WillMessage { payload } => payload_length = Some(length(payload)),
            Body::WillResponse { return_code: code } => {
                got.reason(code);
                return_code = Some(code);
            }
            _ => {}
        }
        let record = record::Will { client_id, node, message, topic, qos, retain, payload_length, return_code };
        self.tell(&record, &got, cx);
    }

    fn publish(&mut self, flags: Flags, topic_id: u16, message_id: u16, payload: &[u8], mut got: Got<'_>, cx: &mut Cx<'_>) {
        let key = got.key;
        let [first, second] = topic_id.to_be_bytes();
        let short = [first, second];
        if flags.topic_id_type() == 3 {
            got.anomalies.push(&anomaly::TOPIC_ID_TYPE);
        }
        let mut facts = Facts::new();
        self.gateway(&got, cx, &mut facts);
        if got.direction == Direction::ToServer && !self.publishers.contains(&key) {
            keep(&mut self.publishers, key, CLIENTS, cx);
            facts.push(Fact::Role { id: self.identity(key, cx), role: Role::Publisher });
        }
        let topic = match flags.topic_id_type() {
            0 => self.topic(key, topic_id),
            2 => std::str::from_utf8(&short).ok().map(|name| name.trim_end_matches('\0')),
            _ => None,
        };
        let record = record::Publish {
            client_id: self.client_id(key),
            delivered: got.direction == Direction::ToClient,
            topic,
            node: got.node(),
            topic_id,
            topic_id_type: flags.topic_id_type(),
            qos: flags.qos(),
            retain: flags.retain(),
            dup: flags.dup(),
            message_id,
            payload_length: length(payload),
        };
        cx.emit(got.direction, &record, &facts, &got.anomalies);
        if !payload.is_empty() {
            cx.forward(Carried {
                kind: "mqtt.payload",
                hint: topic.unwrap_or_default(),
                channel: Channel::Datagram,
                direction: got.direction,
                bytes: payload,
                carrier: &record,
            });
        }
    }

    fn subscribe(&mut self, flags: Flags, message_id: u16, topic: &[u8], mut got: Got<'_>, cx: &mut Cx<'_>) {
        let key = got.key;
        let (mut name, mut topic_id) = (None, None);
        match flags.topic_id_type() {
            0 | 2 => {
                let text = shown_topic(got.text(topic));
                if got.message == "SUBSCRIBE" && flags.topic_id_type() == 0 {
                    self.wait(key, message_id, &text, cx);
                }
                name = Some(text);
            }
            1 => topic_id = topic.first_chunk::<2>().map(|id| u16::from_be_bytes(*id)),
            _ => got.anomalies.push(&anomaly::TOPIC_ID_TYPE),
        }
        let mut facts = Facts::new();
        let id = self.identity(key, cx);
        if got.message == "SUBSCRIBE" {
            facts.push(Fact::Role { id, role: Role::Subscriber });
            if let Some(name) = &name {
                facts.push(Fact::Object { id, kind: "mqtt.topic_filter", name: Text::Str(name) });
            }
        }
        let record = record::Subscribe {
            client_id: self.client_id(key),
            node: got.node(),
            message: got.message,
            topic: name.as_deref().map(Cow::Borrowed),
            topic_id,
            qos: flags.qos(),
            message_id,
        };
        cx.emit(got.direction, &record, &facts, &got.anomalies);
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
