//! The observer in each shard, on the capture side: what is new and what somebody asked for leaves it, owned; the rest is counted.
//!
//! Facts are states: what a message implies is not sent again when it was sent with the same content less than [`RESEND`] ago. The memory of what was
//! sent is bounded; when it is full it starts afresh, and known facts are sent once more. Activity, which decoders tell once a minute, and credentials,
//! each of which is an attempt, are always sent.

pub mod digest;
mod order;
pub mod owned;

pub use order::in_order;

use crate::inventory::Ours;
use crate::rules::{Matched, RuleSet};
use citytap_sensor::dispatch::HotStage;
use citytap_sensor::flow::{Direction, Endpoint, NetworkId};
use citytap_sensor::observation::{
    Credential, CredentialKind, Fact, FieldId, FlowMoment, FlowReport, Identity, KindId, Observation, Observer, Place, Record,
    Value,
};
use citytap_sensor::protocols::DecoderSpec;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use digest::DigestKey;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use owned::{Each, Event, FlowSummary, IdentityKey, Interest, OwnedCredential, OwnedFact, OwnedValue, Seen};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// Messages whose facts are remembered as sent, in each shard: a large broker has some ten thousand clients and topics with facts of their own.
pub const FACTS_REMEMBERED: usize = 16_384;

/// A fact that messages go on telling is sent again after this long, so that its last sighting is at most this old.
pub const RESEND: Nanos = 60 * SECOND;

/// Kinds of anomalies remembered with their flows between two epochs, in each shard.
pub const ANOMALIES_REMEMBERED: usize = 4_096;

/// Matches of one rule that leave a shard in one epoch. A rule that fits most messages is cut short and counted, and costs no other rule its matches.
pub const MATCHES: u16 = 2_048;

/// Looks a credential up in the lists: user name, password, kind. Answers the list's name and its products.
pub type CredentialLookup = fn(CredentialKind, Option<&[u8]>, Option<&[u8]>) -> Option<(&'static str, &'static str)>;

/// What the shards need to know of the cold half's wishes.
pub struct Wishes {
    /// Close together: every record's kind is looked for among them.
    kinds: Vec<KindId>,
    /// For each kind, who asked for what of it.
    wanted: Vec<Vec<Wanted>>,
    lookup: CredentialLookup,
    digest_key: Option<Arc<DigestKey>>,
    rules: Arc<RuleSet>,
    /// The addresses of the site.
    ours: Ours,
}

/// What a stage wants of records of one kind.
struct Wanted {
    /// Who asked, a bit for each stage.
    stages: u32,
    each: Each,
    /// The field that must be true.
    when: Option<FieldId>,
    fields: Vec<FieldId>,
}

impl Wanted {
    /// Whether one copy serves both: they want the same records, and the fields of one are the first of the other's.
    fn serves(&self, other: &Wanted) -> bool {
        let same = self.each == Each::Message && other.each == Each::Message && self.when == other.when;
        let first = !self.fields.is_empty() && self.fields.first() == other.fields.first();
        same && first && (self.fields.starts_with(&other.fields) || other.fields.starts_with(&self.fields))
    }

    fn join(&mut self, other: Wanted) {
        self.stages |= other.stages;
        if other.fields.len() > self.fields.len() {
            self.fields = other.fields;
        }
    }
}

impl Wishes {
    /// Resolves names of kinds and fields against the decoders' declarations. Stages are numbered as they stand, from 0. Those that ask for all
    /// records of a kind with the same fields, or with some more behind them, share what is copied.
    ///
    /// # Errors
    /// The first name that no decoder declares; stages beyond the 32nd.
    pub fn new(decoders: &[&DecoderSpec], stages: &[&[Interest]], lookup: CredentialLookup) -> Result<Self, String> {
        let mut wishes = Self::nothing(lookup);
        let numbered = (0u32..).zip(stages).flat_map(|(stage, interests)| interests.iter().map(move |of| (stage, of)));
        for (stage, interest) in numbered {
            let stage = 1u32.checked_shl(stage).ok_or("more than 32 stages ask for records")?;
            let kind = decoders.iter().flat_map(|spec| spec.records).find(|kind| kind.name == interest.kind);
            let kind = kind.ok_or_else(|| format!("no decoder makes records of kind {}", interest.kind))?;
            let field = |name: &&str| {
                let found = kind.field(name).ok_or_else(|| format!("{} has no field {name}", interest.kind));
                found.map(|(id, _)| id)
            };
            let fields = interest.fields.iter().map(field).collect::<Result<_, _>>()?;
            let when = interest.when.as_ref().map(field).transpose()?;
            let wanted = Wanted { stages: stage, each: interest.each, when, fields };
            match wishes.kinds.iter().position(|known| *known == kind.id) {
                Some(at) => match wishes.wanted[at].iter_mut().find(|other| other.serves(&wanted)) {
                    Some(other) => other.join(wanted),
                    None => wishes.wanted[at].push(wanted),
                },
                None => {
                    wishes.kinds.push(kind.id);
                    wishes.wanted.push(vec![wanted]);
                }
            }
        }
        Ok(wishes)
    }

    /// No wishes besides facts.
    pub fn nothing(lookup: CredentialLookup) -> Self {
        Self { kinds: Vec::new(), wanted: Vec::new(), lookup, digest_key: None, rules: Arc::default(), ours: Ours::default() }
    }

    /// Credentials are to be digested under this key. Without one nothing is computed.
    pub fn digested(self, digest_key: Option<Arc<DigestKey>>) -> Self {
        Self { digest_key, ..self }
    }

    /// With these rules to ask of each message.
    pub fn with_rules(self, rules: Arc<RuleSet>) -> Self {
        Self { rules, ..self }
    }

    /// Of a site with these addresses.
    pub fn of_site(self, ours: Ours) -> Self {
        Self { ours, ..self }
    }

    /// Shows a record that belongs to no flow, since keys made it readable, to the stages that asked for its kind. Who sent it is not said: the
    /// record names its device. All of a kind are shown, also to those who asked for what is new alone.
    pub fn show(&self, seen: Seen, network: NetworkId, record: &dyn Record, act: &mut dyn FnMut(Event)) {
        for wanted in self.of(record.kind().id) {
            if is_asked_for(wanted, record) {
                act(Event {
                    stages: wanted.stages,
                    seen,
                    network,
                    sender: Endpoint::NONE,
                    receiver: Endpoint::NONE,
                    direction: Direction::ToServer,
                    kind: record.kind().id,
                    fields: wanted.fields.iter().map(|&field| OwnedValue::of(record, field)).collect(),
                });
            }
        }
    }

    fn of(&self, kind: KindId) -> &[Wanted] {
        let at = self.kinds.iter().position(|wanted| *wanted == kind);
        at.and_then(|at| self.wanted.get(at)).map_or(&[], Vec::as_slice)
    }
}

/// What one shard gathered in one epoch.
#[derive(Default)]
pub struct Batch {
    /// Facts and events as they were told.
    pub changes: Vec<Told>,
    /// What flows did.
    pub flows: Vec<FlowSummary>,
    /// Observations of each protocol and kind; the kind is the name of the record.
    pub tallies: Vec<(&'static str, u64)>,
    /// Anomalies: code, where first seen, how often.
    pub anomalies: Vec<(&'static str, Seen, u64)>,
    /// Matches of rules beyond [`MATCHES`].
    pub matches_shed: u64,
}

/// Something that leaves a shard, with where it was told and where it was seen: activity is told of after it was seen.
pub struct Told {
    /// Where it was told: the order of an epoch's changes.
    pub told: Place,
    /// Where it was seen.
    pub seen: Seen,
    /// What it is.
    pub change: Change,
}

/// Something that leaves a shard.
pub enum Change {
    /// A fact that is new or differs.
    Fact(OwnedFact),
    /// A record that somebody asked for.
    Event(Box<Event>),
    /// A message that fits a rule.
    Match(Box<Matched>),
}

/// The observer of one shard.
pub struct Hot {
    wishes: Arc<Wishes>,
    batch: Batch,
    sent: Sent,
    tallies: HashMap<KindId, (&'static str, u64), FixedState>,
    anomalies: HashMap<&'static str, (Seen, u64), FixedState>,
    /// Matches of each rule in this epoch, and those that were too many.
    matches: HashMap<u16, u16, FixedState>,
    matches_shed: u64,
}

impl Hot {
    /// An observer that serves the wishes.
    pub fn new(wishes: Arc<Wishes>) -> Self {
        Self {
            wishes,
            batch: Batch::default(),
            sent: Sent::default(),
            tallies: HashMap::with_hasher(FixedState::with_seed(0)),
            anomalies: HashMap::with_hasher(FixedState::with_seed(0)),
            matches: HashMap::with_hasher(FixedState::with_seed(0)),
            matches_shed: 0,
        }
    }

    /// Sends what a message implies, as far as it is new or long ago.
    fn facts(&mut self, seen: Seen, network: NetworkId, facts: &[Fact<'_>]) {
        let mut state = self.sent.hasher();
        let mut states = 0;
        for fact in facts.iter().filter(|fact| is_state(fact)) {
            hash_fact(fact, network, &mut state);
            states += 1;
        }
        let send_states = states > 0 && self.sent.is_due(state.finish(), seen.time);
        for fact in facts.iter().filter(|fact| send_states || !is_state(fact)) {
            let told = seen.place;
            let seen = match fact {
                Fact::Activity { place, time, .. } => Seen { place: *place, time: *time },
                _ => seen,
            };
            self.batch.changes.push(Told { told, seen, change: Change::Fact(own(fact, network, &self.wishes)) });
        }
    }

    /// Shows the message to the rules.
    fn rules(&mut self, observation: &Observation<'_>, seen: Seen) {
        let (batch, matches, shed) = (&mut self.batch, &mut self.matches, &mut self.matches_shed);
        self.wishes.rules.observe(observation, &self.wishes.ours, &mut |matched| {
            let of_rule = matches.entry(matched.rule).or_insert(0);
            if *of_rule >= MATCHES {
                *shed += 1;
                return;
            }
            *of_rule += 1;
            batch.changes.push(Told { told: seen.place, seen, change: Change::Match(Box::new(matched)) });
        });
    }
}

/// When messages were sent, by a hash of what they said, in seconds of packet time.
struct Sent(HashMap<u64, u32, FixedState>);

impl Default for Sent {
    fn default() -> Self {
        Self(HashMap::with_hasher(FixedState::with_seed(0)))
    }
}

impl Sent {
    fn hasher(&self) -> impl Hasher + use<> {
        self.0.hasher().build_hasher()
    }

    /// Whether what has this hash is to be sent, and then takes it as sent.
    fn is_due(&mut self, hash: u64, now: Timestamp) -> bool {
        if self.0.len() >= FACTS_REMEMBERED {
            self.0.clear();
        }
        let second = u32::try_from(now.seconds()).unwrap_or(u32::MAX);
        match self.0.entry(hash) {
            Entry::Vacant(vacant) => {
                vacant.insert(second);
                true
            }
            Entry::Occupied(mut sent) => {
                let due = u64::from(second.saturating_sub(*sent.get())) * SECOND >= RESEND;
                if due {
                    sent.insert(second);
                }
                due
            }
        }
    }
}

/// Copies a record that stages asked for; `None` where they do not want this one.
fn event(wanted: &Wanted, observation: &Observation<'_>, record: &dyn Record, sent: &mut Sent) -> Option<Event> {
    if !is_asked_for(wanted, record) {
        return None;
    }
    let flow = observation.flow;
    let (sender, receiver) = (flow.sender(observation.direction), flow.receiver(observation.direction));
    if wanted.each != Each::Message {
        let telling = if wanted.each == Each::Sample { 1 } else { wanted.fields.len() };
        let mut state = sent.hasher();
        (wanted.stages, record.kind().id, flow.network, sender.ip, receiver.ip).hash(&mut state);
        wanted.fields.iter().take(telling).for_each(|&field| hash_value(&record.field(field), field.part, &mut state));
        if !sent.is_due(state.finish(), observation.time) {
            return None;
        }
    }
    Some(Event {
        stages: wanted.stages,
        seen: Seen { place: observation.place, time: observation.time },
        network: flow.network,
        sender,
        receiver,
        direction: observation.direction,
        kind: record.kind().id,
        fields: wanted.fields.iter().map(|&field| OwnedValue::of(record, field)).collect(),
    })
}

/// Whether a record has the first of the fields that are asked for, and what must be true is.
fn is_asked_for(wanted: &Wanted, record: &dyn Record) -> bool {
    let absent = |field| match record.field(field) {
        Value::Absent => true,
        Value::List(list) => list.is_empty(),
        _ => false,
    };
    !wanted.fields.first().is_some_and(|&first| absent(first))
        && wanted.when.is_none_or(|when| matches!(record.field(when), Value::Bool(true)))
}

/// Whether a fact holds on, so that it need not be sent with each message.
fn is_state(fact: &Fact<'_>) -> bool {
    !matches!(fact, Fact::Activity { .. } | Fact::Credential(_))
}

impl Observer for Hot {
    fn observe(&mut self, observation: &Observation<'_>) {
        let seen = Seen { place: observation.place, time: observation.time };
        let network = observation.flow.network;
        if !observation.facts.is_empty() {
            self.facts(seen, network, observation.facts);
        }
        for anomaly in observation.anomalies.iter() {
            if self.anomalies.len() < ANOMALIES_REMEMBERED || self.anomalies.contains_key(anomaly.code.name) {
                self.anomalies.entry(anomaly.code.name).or_insert((seen, 0)).1 += 1;
            }
        }
        self.rules(observation, seen);
        let Some(record) = observation.record else { return };
        let kind = record.kind();
        self.tallies.entry(kind.id).or_insert((kind.name, 0)).1 += 1;
        for wanted in self.wishes.of(kind.id) {
            if let Some(event) = event(wanted, observation, record, &mut self.sent) {
                self.batch.changes.push(Told { told: seen.place, seen, change: Change::Event(Box::new(event)) });
            }
        }
    }

    fn flow(&mut self, report: &FlowReport<'_>) {
        let flow = report.flow;
        self.batch.flows.push(FlowSummary {
            place: report.place,
            id: flow.id,
            network: flow.network,
            transport: flow.transport,
            client: flow.client,
            server: flow.server,
            client_mac: flow.client_mac,
            server_mac: flow.server_mac,
            vlan: flow.vlan,
            protocol: report.protocol,
            first: report.first,
            last: report.last,
            packets: report.packets,
            bytes: report.bytes,
            answered: report.answered,
            closed: report.moment == FlowMoment::Closed,
        });
    }

    fn epoch(&mut self, _epoch: u64, _now: Timestamp) {
        if !self.tallies.is_empty() {
            self.batch.tallies.extend(self.tallies.drain().map(|(_, tally)| tally));
        }
        if !self.anomalies.is_empty() {
            self.batch.anomalies.extend(self.anomalies.drain().map(|(code, (seen, count))| (code, seen, count)));
        }
        self.matches.clear();
        self.batch.matches_shed = std::mem::take(&mut self.matches_shed);
    }
}

impl HotStage for Hot {
    type Batch = Batch;

    fn drain(&mut self) -> Option<Batch> {
        let batch = &self.batch;
        let empty = batch.changes.is_empty() && batch.flows.is_empty() && batch.tallies.is_empty() && batch.anomalies.is_empty();
        // The next epoch will bring about as much.
        let next = Batch {
            changes: Vec::with_capacity(batch.changes.len()),
            flows: Vec::with_capacity(batch.flows.len()),
            ..Batch::default()
        };
        (!empty).then(|| std::mem::replace(&mut self.batch, next))
    }

    fn close(&mut self) {
        self.sent = Sent::default();
        self.batch = Batch::default();
    }
}

/// Hashes what a fact says; equal facts have equal hashes.
fn hash_fact(fact: &Fact<'_>, network: NetworkId, state: &mut impl Hasher) {
    std::mem::discriminant(fact).hash(state);
    network.hash(state);
    match fact {
        Fact::Identity { id, presence } => {
            hash_identity(id, state);
            (*presence as u8).hash(state);
        }
        Fact::SameAs { a, b, basis, confidence } => {
            hash_identity(a, state);
            hash_identity(b, state);
            basis.hash(state);
            (*confidence as u8).hash(state);
        }
        Fact::Via { id, via } => {
            hash_identity(id, state);
            hash_identity(via, state);
        }
        Fact::Role { id, role } => {
            hash_identity(id, state);
            role.hash(state);
        }
        Fact::Attribute { id, name, value, confidence, field } => {
            hash_identity(id, state);
            name.hash(state);
            value.hash(state);
            (*confidence as u8).hash(state);
            field.hash(state);
        }
        Fact::Service { id, protocol, port, protected } => {
            hash_identity(id, state);
            (protocol, port, protected).hash(state);
        }
        Fact::Peer { client, server, protocol } => {
            hash_identity(client, state);
            hash_identity(server, state);
            protocol.hash(state);
        }
        Fact::Certificate { id, spki_sha256, subject, .. } => {
            hash_identity(id, state);
            (spki_sha256, subject).hash(state);
        }
        Fact::Object { id, kind, name } => {
            hash_identity(id, state);
            kind.hash(state);
            name.hash(state);
        }
        Fact::Security { id, aspect, value } => {
            hash_identity(id, state);
            aspect.hash(state);
            value.hash(state);
        }
        Fact::Activity { .. } | Fact::Credential(_) => {}
    }
}

/// Hashes a field's value; equal values have equal hashes. Of a list only the length counts beyond its texts and numbers.
fn hash_value(value: &Value<'_>, part: Option<u8>, state: &mut impl Hasher) {
    std::mem::discriminant(value).hash(state);
    match value {
        Value::Absent => {}
        Value::Bool(value) => value.hash(state),
        Value::Unsigned(value) | Value::Id { value, .. } => value.hash(state),
        Value::Signed(value) => value.hash(state),
        Value::Float(value) => value.to_bits().hash(state),
        Value::Text(text) => text.hash(state),
        Value::Hex(bytes) => bytes.hash(state),
        Value::Address(address) => address.hash(state),
        Value::List(list) => {
            list.len().hash(state);
            for at in 0..list.len() {
                match list.get(at, part) {
                    Value::List(_) => {}
                    member => hash_value(&member, None, state),
                }
            }
        }
    }
}

fn hash_identity(identity: &Identity<'_>, state: &mut impl Hasher) {
    identity.kind.name.hash(state);
    identity.at.hash(state);
    identity.value.hash(state);
}

fn own(fact: &Fact<'_>, network: NetworkId, wishes: &Wishes) -> OwnedFact {
    let key = |identity| IdentityKey::new(identity, network);
    match fact {
        Fact::Identity { id, presence } => OwnedFact::Identity { id: key(id), presence: *presence },
        Fact::SameAs { a, b, basis, confidence } => OwnedFact::SameAs { a: key(a), b: key(b), basis, confidence: *confidence },
        Fact::Via { id, via } => OwnedFact::Via { id: key(id), via: key(via) },
        Fact::Role { id, role } => OwnedFact::Role { id: key(id), role: *role },
        Fact::Attribute { id, name, value, confidence, field } => {
            OwnedFact::Attribute { id: key(id), name: *name, value: value.to_string().into(), confidence: *confidence, field }
        }
        Fact::Service { id, protocol, port, protected } => {
            OwnedFact::Service { id: key(id), protocol, port: *port, protected: *protected }
        }
        Fact::Peer { client, server, protocol } => OwnedFact::Peer { client: key(client), server: key(server), protocol },
        Fact::Credential(credential) => OwnedFact::Credential(Box::new(own_credential(credential, network, wishes))),
        Fact::Certificate { id, spki_sha256, subject, issuer, not_before, not_after } => OwnedFact::Certificate {
            id: key(id),
            spki_sha256: *spki_sha256,
            subject: (*subject).into(),
            issuer: (*issuer).into(),
            not_before: *not_before,
            not_after: *not_after,
        },
        Fact::Object { id, kind, name } => OwnedFact::Object { id: key(id), kind, name: name.to_string().into() },
        Fact::Security { id, aspect, value } => {
            OwnedFact::Security { id: key(id), aspect: *aspect, value: value.to_string().into() }
        }
        Fact::Activity { id, messages, .. } => OwnedFact::Activity { id: key(id), messages: *messages },
    }
}

/// The one place where a secret's value is looked at: it is compared with the lists, digested where a store wants it, and left behind.
fn own_credential(credential: &Credential<'_>, network: NetworkId, wishes: &Wishes) -> OwnedCredential {
    let user = credential.user.map(|user| user.expose_for_comparison());
    let secret = credential.secret.map(|secret| secret.expose_for_comparison());
    OwnedCredential {
        by: IdentityKey::new(&credential.by, network),
        to: IdentityKey::new(&credential.to, network),
        kind: credential.kind,
        user_length: user.map(<[u8]>::len),
        secret_length: secret.map(<[u8]>::len),
        listed: (wishes.lookup)(credential.kind, user, secret),
        digest: wishes.digest_key.as_ref().and_then(|key| key.digest(credential.kind, user, secret)),
        outcome: credential.outcome,
        cleartext: credential.cleartext,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::File;
    use crate::signatures;
    use citytap_sensor::flow::{FlowInfo, Transport};
    use citytap_sensor::observation::{Anomalies, DevAddr};
    use citytap_sensor::protocols::DECODERS;
    use citytap_sensor::protocols::lorawan::JoinAcceptDecrypted;
    use citytap_sensor::protocols::lorawan::address::NetId;

    #[test]
    fn stages_that_want_all_records_with_the_same_first_fields_share_a_copy_and_others_have_their_own() {
        const KIND: &str = "lorawan.data";
        let stages: [&[Interest]; 5] = [
            &[Interest::messages(KIND, &["phy_payload", "gateway"])],
            &[Interest::messages(KIND, &["phy_payload", "gateway", "tmst_us"])],
            &[Interest::messages(KIND, &["phy_payload"])],
            &[Interest::messages(KIND, &["gateway"])],
            &[Interest::novelties(KIND, &["phy_payload", "gateway"])],
        ];
        let wishes = Wishes::new(DECODERS, &stages, signatures::look_up).unwrap();
        let shared: Vec<(u32, usize)> =
            wishes.of(KindId::of(KIND)).iter().map(|wanted| (wanted.stages, wanted.fields.len())).collect();
        assert_eq!(shared, [(0b00111, 3), (0b01000, 1), (0b10000, 2)]);
    }

    #[test]
    fn matches_of_one_rule_beyond_the_bound_stay_in_the_shard_and_are_counted() {
        let text = "title: Mine\nlogsource: {product: citytap, service: lorawan}\ndetection:\n  selection:\n    record: lorawan.join_accept_decrypted\n  condition: selection\n";
        let rules = RuleSet::new(&[File { name: "mine.yml", text, own: true }], DECODERS);
        assert_eq!(rules.problems(), []);
        let wishes = Wishes::nothing(signatures::look_up).with_rules(Arc::new(rules));
        let mut hot = Hot::new(Arc::new(wishes));
        let record = JoinAcceptDecrypted {
            dev_eui: None,
            join_nonce: 1,
            net_id: NetId(0x13),
            dev_addr: DevAddr(0x260b_0001),
            opt_neg: false,
            rx1_data_rate_offset: 0,
            rx2_data_rate: 0,
            rx_delay_s: 1,
            frequencies_hz: &[],
            channel_masks: &[],
        };
        let flow = FlowInfo {
            id: 0,
            network: 0,
            transport: Transport::Link,
            client: Endpoint::NONE,
            server: Endpoint::NONE,
            client_mac: None,
            server_mac: None,
            vlan: None,
            oriented: false,
        };
        let anomalies = Anomalies::default();
        let mut matched = |times: u64| {
            for frame in 0..times {
                hot.observe(&Observation {
                    place: Place { frame, sequence: 0 },
                    time: Timestamp(0),
                    flow: &flow,
                    direction: Direction::ToServer,
                    protocol: "lorawan",
                    record: Some(&record),
                    carrier: None,
                    facts: &[],
                    anomalies: &anomalies,
                });
            }
            hot.epoch(0, Timestamp(0));
            let batch = hot.drain().expect("something matched");
            (batch.changes.len(), batch.matches_shed)
        };
        assert_eq!(matched(u64::from(MATCHES) + 3), (usize::from(MATCHES), 3));
        assert_eq!(matched(5), (5, 0), "each epoch anew");
    }
}
