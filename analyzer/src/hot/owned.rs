//! Owned forms of what the sensor lends: they cross from the shards to the cold half.

use super::digest::CredentialDigest;
use citytap_sensor::flow::{Direction, Endpoint, NetworkId, Transport};
use citytap_sensor::observation::{
    Attribute, Confidence, CredentialKind, FieldId, Identity, IdentityKind, IdentityScope, IdentityValue, KindId, Outcome, Place,
    Presence, Record, Role, SecurityAspect, Server, Value,
};
use citytap_sensor::time::Timestamp;
use std::fmt;
use std::net::IpAddr;

/// A name of a device, owned, with the network it is valid in. Equal names are equal keys.
#[derive(Clone, Debug, Eq)]
pub struct IdentityKey {
    /// Its kind.
    pub kind: &'static IdentityKind,
    /// The network, for kinds that are unique only there; 0 for kinds that are unique everywhere.
    pub network: NetworkId,
    /// The server at which it is unique, for kinds with that scope.
    pub at: Option<ServerKey>,
    /// The name.
    pub value: ValueKey,
}

/// The server that gives a name its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerKey {
    /// By address.
    Address(IpAddr),
    /// By name.
    Named(Box<str>),
    /// By number.
    Number(u64),
}

/// A name's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValueKey {
    /// A number printed with so many hex digits.
    Hex(u64, u8),
    /// A decimal number.
    Number(u64),
    /// An address.
    Ip(IpAddr),
    /// Text.
    Text(Box<str>),
}

/// What differs most is compared first.
impl PartialEq for IdentityKey {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.network == other.network && self.kind == other.kind && self.at == other.at
    }
}

impl std::hash::Hash for IdentityKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // The kind's whole name would cost more than the few collisions that its length leaves.
        state.write_u32((self.kind.name.len() as u32) << 16 | u32::from(self.network));
        if self.at.is_some() {
            self.at.hash(state);
        }
        match &self.value {
            ValueKey::Hex(value, _) | ValueKey::Number(value) => state.write_u64(*value),
            ValueKey::Ip(IpAddr::V4(address)) => state.write_u32((*address).into()),
            ValueKey::Ip(IpAddr::V6(address)) => state.write_u128((*address).into()),
            ValueKey::Text(text) => text.hash(state),
        }
    }
}

impl PartialOrd for IdentityKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IdentityKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |key: &'_ Self| (key.kind.name, key.network);
        rank(self).cmp(&rank(other)).then_with(|| self.at.cmp(&other.at)).then_with(|| self.value.cmp(&other.value))
    }
}

impl IdentityKey {
    /// Copies a lent identity of one network.
    pub fn new(identity: &Identity<'_>, network: NetworkId) -> Self {
        let global = identity.kind.scope == IdentityScope::Global;
        Self {
            kind: identity.kind,
            network: if global { 0 } else { network },
            at: identity.at.map(|server| match server {
                Server::Address(address) => ServerKey::Address(address),
                Server::Named(name) => ServerKey::Named(name.into()),
                Server::Number(number) => ServerKey::Number(number),
            }),
            value: match identity.value {
                IdentityValue::Hex(value, digits) => ValueKey::Hex(value, digits),
                IdentityValue::Number(value) => ValueKey::Number(value),
                IdentityValue::Ip(address) => ValueKey::Ip(address),
                IdentityValue::Text(text) => ValueKey::Text(text.into()),
            },
        }
    }
}

/// The value alone, as people read it.
impl fmt::Display for ValueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueKey::Hex(value, digits) => write!(f, "{value:0width$x}", width = usize::from(*digits)),
            ValueKey::Number(value) => write!(f, "{value}"),
            ValueKey::Ip(address) => write!(f, "{address}"),
            ValueKey::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerKey::Address(address) => write!(f, "{address}"),
            ServerKey::Named(name) => f.write_str(name),
            ServerKey::Number(number) => write!(f, "{number:016x}"),
        }
    }
}

/// `kind:value`, `kind:value@server`, with `/network` behind where the network is not 0.
impl fmt::Display for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name, self.value)?;
        if let Some(at) = &self.at {
            write!(f, "@{at}")?;
        }
        if self.network != 0 { write!(f, "/{}", self.network) } else { Ok(()) }
    }
}

/// Where and when something was seen: the capture and offset are found through the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Packet and position among its observations.
    pub place: Place,
    /// The packet's time stamp.
    pub time: Timestamp,
}

/// A fact, owned. The fields are those of the sensor's `Fact`.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub enum OwnedFact {
    /// See `Fact::Identity`.
    Identity { id: IdentityKey, presence: Presence },
    /// See `Fact::SameAs`.
    SameAs { a: IdentityKey, b: IdentityKey, basis: &'static str, confidence: Confidence },
    /// See `Fact::Via`.
    Via { id: IdentityKey, via: IdentityKey },
    /// See `Fact::Role`.
    Role { id: IdentityKey, role: Role },
    /// See `Fact::Attribute`.
    Attribute { id: IdentityKey, name: Attribute, value: Box<str>, confidence: Confidence, field: &'static str },
    /// See `Fact::Service`.
    Service { id: IdentityKey, protocol: &'static str, port: Option<u16>, protected: bool },
    /// See `Fact::Peer`.
    Peer { client: IdentityKey, server: IdentityKey, protocol: &'static str },
    /// See `Fact::Credential`: the value itself stays behind.
    Credential(Box<OwnedCredential>),
    /// See `Fact::Certificate`.
    Certificate { id: IdentityKey, spki_sha256: [u8; 32], subject: Box<str>, issuer: Box<str>, not_before: i64, not_after: i64 },
    /// See `Fact::Object`.
    Object { id: IdentityKey, kind: &'static str, name: Box<str> },
    /// See `Fact::Security`.
    Security { id: IdentityKey, aspect: SecurityAspect, value: Box<str> },
    /// See `Fact::Activity`.
    Activity { id: IdentityKey, messages: u32 },
}

/// What may be kept of a credential: whom it concerns, its kind and length, the list that knows it, and for a store its keyed digest. Its
/// value was looked at in the shard and dropped there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedCredential {
    /// Who presented it.
    pub by: IdentityKey,
    /// To whom.
    pub to: IdentityKey,
    /// What kind it is.
    pub kind: CredentialKind,
    /// Length of the user name, bytes, where there was one.
    pub user_length: Option<usize>,
    /// Length of the secret, bytes, where it was readable.
    pub secret_length: Option<usize>,
    /// Name of the list that it stands in, and the products that the list names.
    pub listed: Option<(&'static str, &'static str)>,
    /// Its keyed digest, where a store wants it and something was presented.
    pub digest: Option<CredentialDigest>,
    /// Whether it was accepted.
    pub outcome: Outcome,
    /// Whether it crossed the wire unprotected.
    pub cleartext: bool,
}

/// What a flow did since it was last told of.
#[derive(Clone, Debug)]
pub struct FlowSummary {
    /// Where it was told.
    pub place: Place,
    /// Number of the flow.
    pub id: u64,
    /// The network.
    pub network: NetworkId,
    /// The transport.
    pub transport: Transport,
    /// Who asks.
    pub client: Endpoint,
    /// Who answers.
    pub server: Endpoint,
    /// MAC address on the client's side.
    pub client_mac: Option<[u8; 6]>,
    /// MAC address on the server's side.
    pub server_mac: Option<[u8; 6]>,
    /// Outermost VLAN identifier.
    pub vlan: Option<u16>,
    /// Protocol recognised.
    pub protocol: Option<&'static str>,
    /// Time of the first packet told of.
    pub first: Timestamp,
    /// Time of the last packet told of.
    pub last: Timestamp,
    /// Packets to the server and to the client.
    pub packets: [u64; 2],
    /// Transport payload bytes to the server and to the client.
    pub bytes: [u64; 2],
    /// Whether packets went both ways, ever.
    pub answered: bool,
    /// Whether the flow ended.
    pub closed: bool,
}

/// A record of a kind that somebody in the cold half asked for, with the fields asked for.
#[derive(Clone, Debug)]
pub struct Event {
    /// The stages that asked for it, a bit each, as numbered by [`super::Wishes::new`].
    pub stages: u32,
    /// Where it was seen.
    pub seen: Seen,
    /// The network of its flow.
    pub network: NetworkId,
    /// Who sent the packet that carried it.
    pub sender: Endpoint,
    /// Who was to receive it.
    pub receiver: Endpoint,
    /// Which way it went in its flow.
    pub direction: Direction,
    /// Kind of record.
    pub kind: KindId,
    /// The fields, in the order in which they were asked for. Where stages share the event there may be more behind them.
    pub fields: Vec<OwnedValue>,
}

/// A field's value, owned. Of lists, those of texts and of whole numbers are copied.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedValue {
    /// Not there.
    Absent,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Unsigned(u64),
    /// A whole number below zero.
    Signed(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// An address.
    Address(IpAddr),
    /// Several texts.
    Texts(Box<[Box<str>]>),
    /// Several whole numbers.
    Numbers(Box<[u64]>),
}

impl OwnedValue {
    /// Copies a field of a record. Of a list of parts, those that lack the field have an empty text.
    pub fn of(record: &dyn Record, field: FieldId) -> Self {
        match record.field(field) {
            Value::Absent => OwnedValue::Absent,
            Value::List(list) => {
                let text = |at| match list.get(at, field.part) {
                    Value::Text(text) => Some(text.into()),
                    Value::Absent if field.part.is_some() => Some("".into()),
                    _ => None,
                };
                let number = |at| match list.get(at, field.part) {
                    Value::Unsigned(number) => Some(number),
                    _ => None,
                };
                let texts = || (0..list.len()).map(text).collect::<Option<_>>().map(OwnedValue::Texts);
                let numbers = || (0..list.len()).map(number).collect::<Option<_>>().map(OwnedValue::Numbers);
                texts().or_else(numbers).unwrap_or(OwnedValue::Absent)
            }
            Value::Bool(value) => OwnedValue::Bool(value),
            Value::Unsigned(value) | Value::Id { value, .. } => OwnedValue::Unsigned(value),
            Value::Signed(value) => OwnedValue::Signed(value),
            Value::Float(value) => OwnedValue::Float(value),
            Value::Text(text) => OwnedValue::Text(text.into()),
            Value::Hex(bytes) => OwnedValue::Bytes(bytes.into()),
            Value::Address(address) => OwnedValue::Address(address),
        }
    }

    /// The number, where it is one that is not below zero.
    pub fn unsigned(&self) -> Option<u64> {
        match self {
            OwnedValue::Unsigned(value) => Some(*value),
            OwnedValue::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The text.
    pub fn text(&self) -> Option<&str> {
        match self {
            OwnedValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a list, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            OwnedValue::Texts(texts) => &**texts,
            _ => &[],
        };
        texts.iter().map(|text| &**text)
    }

    /// The whole numbers of a list, in order.
    pub fn numbers(&self) -> &[u64] {
        match self {
            OwnedValue::Numbers(numbers) => numbers,
            _ => &[],
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            OwnedValue::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// True or false.
    pub fn bool(&self) -> Option<bool> {
        match self {
            OwnedValue::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

/// What a stage of the cold half wants to be copied: a record kind by name, and fields of it.
#[derive(Clone, Copy, Debug)]
pub struct Interest {
    /// Name of the record kind, as in `lorawan.join_request`.
    pub kind: &'static str,
    /// Names of the fields within the protocol. A record without the first of them, or with an empty list there, is not copied.
    pub fields: &'static [&'static str],
    /// Which of them.
    pub each: Each,
    /// Name of a field that must be true.
    pub when: Option<&'static str>,
}

/// Which records of a kind are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// All.
    Message,
    /// Those whose sender, receiver (by address) and fields were not seen together for [`super::RESEND`]: who does what with whom, however often.
    Novelty,
    /// Of those whose sender, receiver (by address) and first field are the same, one in [`super::RESEND`]: what is said again and again.
    Sample,
}

impl Interest {
    /// All records of a kind.
    pub const fn messages(kind: &'static str, fields: &'static [&'static str]) -> Self {
        Self { kind, fields, each: Each::Message, when: None }
    }

    /// Records of a kind that say something new; see [`Each::Novelty`].
    pub const fn novelties(kind: &'static str, fields: &'static [&'static str]) -> Self {
        Self { kind, fields, each: Each::Novelty, when: None }
    }

    /// One record of a kind now and then; see [`Each::Sample`].
    pub const fn samples(kind: &'static str, fields: &'static [&'static str]) -> Self {
        Self { kind, fields, each: Each::Sample, when: None }
    }

    /// Those alone in which a field is true.
    pub const fn when(self, field: &'static str) -> Self {
        Self { when: Some(field), ..self }
    }

    /// The kind, as events and records have it.
    pub const fn kind_id(&self) -> KindId {
        KindId::of(self.kind)
    }
}
