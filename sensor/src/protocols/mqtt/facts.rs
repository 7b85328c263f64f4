//! What the inventory learns from a connection, and what was told already.

use super::secrets;
use super::{CLIENT, GENERATED_CLIENT, TOPICS_TOLD};
use crate::counters::Counter;
use crate::flow::FlowInfo;
use crate::observation::{
    Attribute, Confidence, Credential, CredentialKind, Fact, Identity, IdentityKind, IdentityValue, Outcome, Presence, Role,
    Secret, SecurityAspect, Server, Text,
};
use crate::protocols::Cx;
use crate::time::Timestamp;
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// Facts of one observation.
pub(super) type Facts<'a> = SmallVec<[Fact<'a>; 4]>;

/// The client of the connection, by its identifier.
pub(super) struct Client {
    pub(super) id: Box<str>,
    kind: &'static IdentityKind,
}

/// Beginnings of identifiers that client libraries and brokers make up for one connection.
const GENERATED: [&str; 17] = [
    "mosq-",
    "mosq/",
    "mosqpub",
    "mosqsub",
    "auto-",
    "mqttjs_",
    "mqttx_",
    "mqtt-explorer-",
    "nodered_",
    "clientId-",
    "rumqtt-",
    "hbmqtt/",
    "emqx_",
    "gmqtt/",
    "python-",
    "nanomq-",
    "paho/",
];

impl Client {
    /// A client by the identifier that it chose, or that the server `assigned`.
    pub(super) fn new(id: &str, assigned: bool) -> Self {
        Self { id: id.into(), kind: if assigned || is_generated(id) { &GENERATED_CLIENT } else { &CLIENT } }
    }
}

/// Whether a client identifier was made up for one connection, by the looks of it.
pub(super) fn is_generated(id: &str) -> bool {
    let paho = id.strip_prefix("paho").is_some_and(|rest| rest.len() > 5 && rest.bytes().all(|byte| byte.is_ascii_digit()));
    paho || GENERATED.iter().any(|start| id.starts_with(start))
}

/// The client's identity: its identifier at this broker, or its address where it has none that is known.
pub(super) fn identity<'a>(client: Option<&'a Client>, flow: &FlowInfo) -> Identity<'a> {
    match client {
        Some(client) => Identity::at(client.kind, Server::Address(flow.server.ip), IdentityValue::Text(&client.id)),
        None => Identity::ip(flow.client.ip),
    }
}

/// What was presented in CONNECT, until the server's answer is known. It is forgotten then.
pub(super) struct Presented {
    kind: CredentialKind,
    user_name: Option<Box<[u8]>>,
    secret: Option<Box<[u8]>>,
    /// A token in the client identifier.
    client_token: Option<Box<[u8]>>,
    pub(super) at: Timestamp,
}

impl Presented {
    /// `None` where an authentication method says that the credential comes in packets of its own.
    pub(super) fn new(packet: &super::wire::Connect<'_>, at: Timestamp) -> Option<Self> {
        let client_token = packet.client_id.as_deref().filter(|id| secrets::holds_token(id)).map(|id| id.as_bytes().into());
        let (kind, user_is_secret) = secrets::kind(packet.user_name, packet.password);
        if kind == CredentialKind::Anonymous && packet.properties.authentication_method.is_some() && client_token.is_none() {
            return None;
        }
        let (user_name, secret) = if user_is_secret { (None, packet.user_name) } else { (packet.user_name, packet.password) };
        Some(Self { kind, user_name: user_name.map(Into::into), secret: secret.map(Into::into), client_token, at })
    }

    /// Tells it.
    pub(super) fn tell<'a>(&'a self, by: Identity<'a>, flow: &FlowInfo, outcome: Outcome, facts: &mut Facts<'a>) {
        let to = Identity::ip(flow.server.ip);
        let credential = |kind, user: Option<&'a [u8]>, secret: Option<&'a [u8]>| {
            Fact::Credential(Credential {
                by,
                to,
                kind,
                user: user.map(Secret::new),
                secret: secret.map(Secret::new),
                outcome,
                cleartext: true,
            })
        };
        if let Some(token) = &self.client_token {
            facts.push(credential(CredentialKind::Token, None, Some(token)));
        }
        if self.kind != CredentialKind::Anonymous || self.client_token.is_none() {
            facts.push(credential(self.kind, self.user_name.as_deref(), self.secret.as_deref()));
        }
    }
}

/// Which facts of a connection were told.
#[derive(Clone, Copy, Default)]
pub(super) struct Told(u8);

impl Told {
    pub(super) const BROKER: u8 = 1;
    pub(super) const CLIENT: u8 = 1 << 1;
    pub(super) const PUBLISHER: u8 = 1 << 2;
    pub(super) const SUBSCRIBER: u8 = 1 << 3;
    pub(super) const TOPICS_FULL: u8 = 1 << 4;
    pub(super) const TOPIC_TOKEN: u8 = 1 << 5;
    pub(super) const AFTER_REFUSAL: u8 = 1 << 6;

    /// Whether this is the first time.
    #[inline]
    pub(super) fn first(&mut self, what: u8) -> bool {
        let first = self.0 & what == 0;
        self.0 |= what;
        first
    }
}

/// Tells of the server, when it first speaks.
pub(super) fn broker(flow: &FlowInfo, facts: &mut Facts<'_>) {
    let id = Identity::ip(flow.server.ip);
    facts.push(Fact::Identity { id, presence: Presence::Proved });
    facts.push(Fact::Role { id, role: Role::Broker });
    facts.push(Fact::Service { id, protocol: "mqtt", port: Some(flow.server.port), protected: false });
    facts.push(Fact::Security { id, aspect: SecurityAspect::Transport, value: Text::Str("none") });
}

/// Tells of the client, when it first speaks.
pub(super) fn client<'a>(client: Option<&'a Client>, level: u8, flow: &FlowInfo, facts: &mut Facts<'a>) {
    let id = identity(client, flow);
    let address = Identity::ip(flow.client.ip);
    let presence = if client.is_some() { Presence::Proved } else { Presence::Sent };
    facts.push(Fact::Identity { id, presence });
    // On the broker's own host the address is the broker's: the client is another program there, not the device.
    if client.is_some() && flow.client.ip != flow.server.ip {
        facts.push(Fact::SameAs { a: id, b: address, basis: "MQTT CONNECT", confidence: Confidence::Likely });
    }
    facts.push(Fact::Role { id, role: Role::Client });
    facts.push(Fact::Peer { client: id, server: Identity::ip(flow.server.ip), protocol: "mqtt" });
    facts.push(Fact::Security { id, aspect: SecurityAspect::Transport, value: Text::Str("none") });
    if let Some(version) = version(level) {
        facts.push(Fact::Attribute {
            id,
            name: Attribute::ProtocolVersion,
            value: Text::Str(version),
            confidence: Confidence::Seen,
            field: "mqtt.protocol_level",
        });
    }
}

fn version(level: u8) -> Option<&'static str> {
    match level {
        3 => Some("MQTT 3.1"),
        4 => Some("MQTT 3.1.1"),
        5 => Some("MQTT 5.0"),
        _ => None,
    }
}

/// Topics and filters that were told, by hash; at most [`TOPICS_TOLD`].
#[derive(Default)]
pub(super) struct Topics(Vec<u32>);

impl Topics {
    /// Whether this one is to be told now: it is new, and there is room to remember it.
    #[inline]
    pub(super) fn first(&mut self, topic: &str, told: &mut Told, cx: &mut Cx<'_>) -> bool {
        // The seed is fixed: what is told must not depend on the run. A collision hides one topic from the inventory, not from the records.
        let hash = foldhash::fast::FixedState::default().hash_one(topic) as u32;
        if self.0.contains(&hash) {
            return false;
        }
        if self.0.len() >= TOPICS_TOLD {
            if told.first(Told::TOPICS_FULL) {
                cx.count(Counter::SessionEntriesDropped, 1);
            }
            return false;
        }
        self.0.push(hash);
        true
    }
}
