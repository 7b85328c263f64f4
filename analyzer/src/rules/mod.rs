//! Rules: what a person or we ask of messages, in Sigma 2.1 with correlations, over the records and anomalies of the decoders.
//!
//! What turns into what: files become rules, checked against what the decoders declare (`load`, `names`); a rule's detection becomes a
//! predicate for each kind of record that can fit it (`compile`, `predicate`), narrowed by filters (`filter`), found through an index (`index`). In the shard a
//! message is shown to the rules that can fit it, and a match leaves it with the values that somebody asked for ([`Matched`]). The cold half
//! counts matches within a time (`correlate`) and makes findings of what fired ([`stage`]), and shows findings to the rules over them ([`findings`]).
//!
//! What is left out: words without fields, times of day.
//! Documents followed: Sigma specification 2.1.0 (rules, modifiers, correlations). The parser is rsigma's; places of problems come from a second
//! reading (`yaml`).

mod compile;
mod condition;
mod correlate;
mod filter;
pub mod findings;
mod index;
mod load;
mod meta;
mod names;
mod pack;
mod parser;
mod predicate;
mod problem;
mod read;
mod service;
pub mod stage;
#[cfg(test)]
mod tests;
mod text;
mod values;
mod yaml;

pub use correlate::{Correlation, ENTRIES, GROUPS, WINDOW};
pub use load::{CHAIN, RULES};
pub use names::{CONTEXT, Context, Source};
pub use pack::files;
pub use predicate::View;
pub use problem::Problem;
pub use read::{FILE_BYTES, File, ReadError};
pub use values::Values;

use crate::findings::{CheckSpec, Severity};
use crate::hot::owned::{IdentityKey, Seen, ValueKey};
use crate::inventory::Ours;
use citytap_sensor::flow::{Direction, Endpoint, FlowInfo, NetworkId, Transport};
use citytap_sensor::observation::{
    Anomalies, Confidence, Fact, Identity, IdentityKind, IdentityScope, Observation, Record, RecordKind, Value,
};
use citytap_sensor::protocols::{DECODERS, DecoderSpec};
use correlate::Member;
use index::Index;
use names::Names;
use predicate::{Predicate, with_text, with_value};
use serde::Serialize;
use service::Service;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, OnceLock};

/// Bytes kept of a value that a sentence or a group takes from a message.
pub const VALUE_BYTES: usize = 256;

/// What is told of a rule or correlation.
#[derive(Clone)]
pub struct Meta {
    /// Stable name, as in `modbus-unit-scan`: the id of its findings' check.
    pub name: String,
    /// The UUID that Sigma gives rules.
    pub id: Option<String>,
    /// In a few words.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// How bad its findings are.
    pub severity: Severity,
    /// How sure its findings are.
    pub confidence: Confidence,
    /// Whom its findings are about.
    pub subject: Subject,
    /// As findings have it.
    pub spec: &'static CheckSpec,
    /// What fires it though nothing is wrong.
    pub falsepositives: Vec<String>,
    /// Tags, as in `attack.t0816`.
    pub tags: Vec<String>,
    /// Titles of the filters that narrow it.
    pub filters: Vec<String>,
    /// Captures on which it must fire.
    pub fires: Vec<Fires>,
    /// Captures on which it must stay silent.
    pub silent: Vec<String>,
    /// The file that it stands in.
    pub file: String,
    /// The line of its title.
    pub line: usize,
    /// Whether it is a person's own, rather than one that comes with the program.
    pub own: bool,
    /// The field that its evidence names.
    field: &'static str,
}

/// A capture of our own and the findings that a rule must make on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fires {
    /// Folder and case, as in `modbus/scan_of_units`.
    pub capture: String,
    /// How many.
    pub findings: u64,
}

/// Whom a rule's findings are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The side that asks.
    Client,
    /// The side that answers.
    Server,
    /// Who sent the message.
    Sender,
    /// Who was to receive it.
    Receiver,
    /// The name of this kind (`dev_eui`, `gateway_eui`) that the message's facts are about; without one, the sender.
    Name(String),
    /// The name that stands in this field (`lorawan.dev_addr`); without one, the sender.
    Field(String),
}

impl Subject {
    fn named(word: &str) -> Self {
        match word {
            "client" => Subject::Client,
            "server" => Subject::Server,
            "sender" => Subject::Sender,
            "receiver" => Subject::Receiver,
            field if field.contains('.') => Subject::Field(field.to_owned()),
            kind => Subject::Name(kind.to_owned()),
        }
    }

    /// Whom a match is about, and who else took part: the first may be nobody that is ours.
    fn of(&self, matched: &Matched) -> [IdentityKey; 2] {
        if let (Some(bearer), true) = (&matched.named, matched.client == Endpoint::NONE.ip) {
            return [bearer.clone(), bearer.clone()];
        }
        let ip = |address| IdentityKey::new(&Identity::ip(address), matched.network);
        let (client, server) = (ip(matched.client), ip(matched.server));
        let [sender, receiver] = match matched.direction {
            Direction::ToServer => [client, server],
            Direction::ToClient => [server, client],
        };
        match (self, matched.direction) {
            (Subject::Sender, _) | (Subject::Client, Direction::ToServer) | (Subject::Server, Direction::ToClient) => {
                [sender, receiver]
            }
            (Subject::Receiver | Subject::Client | Subject::Server, _) => [receiver, sender],
            (Subject::Name(_) | Subject::Field(_), _) => [matched.named.clone().unwrap_or(sender), receiver],
        }
    }
}

/// A name that stands in a field of the record.
struct NameField {
    kind: &'static IdentityKind,
    /// Where it stands, for each slot.
    sources: Vec<Source>,
}

impl NameField {
    fn of(&self, slot: usize, view: &View<'_>) -> Option<IdentityKey> {
        with_value(self.sources.get(slot).copied()?, view, |value, _| {
            let value = match value {
                Value::Id { value, digits } => ValueKey::Hex(value, digits),
                Value::Unsigned(number) => ValueKey::Number(number),
                Value::Text(text) => ValueKey::Text(text.into()),
                _ => return None,
            };
            let network = if self.kind.scope == IdentityScope::Global { 0 } else { view.flow.network };
            Some(IdentityKey { kind: self.kind, network, at: None, value })
        })
    }
}

/// A rule over single messages.
pub struct Rule {
    /// What is told of it.
    pub meta: Meta,
    /// The protocol whose records it looks at.
    pub service: String,
    slots: Vec<Slot>,
    captures: Vec<Capture>,
    names: Names,
    subject: Option<NameField>,
    /// Whether it makes findings, rather than being there for correlations alone.
    alone: bool,
}

impl Rule {
    /// The kinds of records that can fit it; `None` among them for anomalies without a record.
    pub fn kinds(&self) -> impl Iterator<Item = Option<&'static RecordKind>> {
        self.slots.iter().map(|slot| slot.kind)
    }
}

/// What it asks of one kind of record; of what has none, an anomaly alone.
struct Slot {
    kind: Option<&'static RecordKind>,
    predicate: Predicate,
}

/// A value that leaves the shard with a match.
struct Capture {
    name: String,
    /// Where it stands, for each slot.
    sources: Vec<Source>,
}

/// All rules of a run.
#[derive(Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    correlations: Vec<Correlation>,
    filters: usize,
    problems: Vec<Problem>,
    index: Index,
    services: Vec<Service>,
    files: Vec<RuleFile>,
}

/// A file that rules were read from, for the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFile {
    /// Its name; of a person's own without the folders.
    pub name: String,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
}

static EMBEDDED: LazyLock<Arc<RuleSet>> = LazyLock::new(|| Arc::new(RuleSet::new(&files().collect::<Vec<_>>(), DECODERS)));

/// The checks of a run that has rules of a person's own.
static CHECKS: OnceLock<Vec<&'static CheckSpec>> = OnceLock::new();

/// The rules that come with the program.
pub fn embedded() -> &'static Arc<RuleSet> {
    &EMBEDDED
}

/// The rules that come with the program and a person's own, from files and folders. Their checks are known to this process from now on.
///
/// # Errors
/// A file or folder that cannot be read.
pub fn with_own(paths: &[PathBuf]) -> Result<RuleSet, ReadError> {
    let own = read::read(paths)?;
    // A file that the program has is not read twice.
    let is_new = |text: &String| !files().any(|file| file.text == text);
    let own_files = own.files.iter().filter(|(_, text)| is_new(text)).map(|(name, text)| File { name, text, own: true });
    let ours = files().map(|File { name, text, own }| File { name, text, own });
    let all: Vec<File<'_>> = ours.chain(own_files).collect();
    let mut set = RuleSet::new(&all, DECODERS);
    set.problems.extend(own.problems);
    set.problems.sort();
    // A process reads rules once; were it to read others, the first would keep their names in old findings.
    let _ = CHECKS.set(set.checks().collect());
    Ok(set)
}

/// The checks that rules make, of all rules that this process has read.
pub fn checks() -> impl Iterator<Item = &'static CheckSpec> {
    let own = CHECKS.get().into_iter().flatten().copied();
    own.chain(CHECKS.get().is_none().then(|| embedded().checks()).into_iter().flatten())
}

/// A message that fits a rule, with what somebody asked for.
#[derive(Clone, Debug)]
pub struct Matched {
    /// Position of the rule.
    pub rule: u16,
    /// Its network.
    pub network: NetworkId,
    /// Who asks.
    pub client: IpAddr,
    /// Who answers.
    pub server: IpAddr,
    /// Which way it went.
    pub direction: Direction,
    /// The name that the rule asks for, where the message has one.
    pub named: Option<IdentityKey>,
    /// The values captured.
    pub values: Values,
}

impl RuleSet {
    /// The numbers that the correlation of this name goes by and a person may change; `None` where there is no such correlation.
    pub fn counts(&self, name: &str) -> Option<impl Iterator<Item = (&'static str, u64)>> {
        self.correlations.iter().find(|correlation| correlation.meta.name == name).map(Correlation::counts)
    }

    /// Reads rules from files; what is wrong stands in [`RuleSet::problems`] and costs itself alone.
    pub fn new(files: &[File<'_>], decoders: &'static [&'static DecoderSpec]) -> Self {
        let loaded = load::load(files, decoders);
        let index = Index::new(&loaded.rules);
        let load::Loaded { rules, correlations, filters, problems } = loaded;
        let file = |file: &File<'_>| RuleFile {
            name: if file.own { file.name.rsplit('/').next().unwrap_or_default().to_owned() } else { file.name.to_owned() },
            sha256: Sha256::digest(file.text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let files = files.iter().map(file).collect();
        let mut set = Self { rules, correlations, filters, problems, index, services: Vec::new(), files };
        set.services = set.services_with_rules();
        set
    }

    fn services_with_rules(&self) -> Vec<Service> {
        let mut by_name: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for spec in self.specs() {
            self.services_of(spec.id).into_iter().for_each(|service| by_name.entry(service).or_default().push(spec.id));
        }
        // A device speaks no findings, so it is not told that there were none.
        by_name.remove(findings::SERVICE);
        by_name.into_iter().map(|(name, rules)| Service::new(name, rules)).collect()
    }

    /// The rules over single messages, sorted by name.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The correlations; those that name others stand behind them.
    pub fn correlations(&self) -> &[Correlation] {
        &self.correlations
    }

    /// The files that they were read from.
    pub fn files(&self) -> &[RuleFile] {
        &self.files
    }

    /// What is wrong in the files, sorted by place.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is told of each, sorted by name.
    pub fn metas(&self) -> Vec<&Meta> {
        let rules = self.rules.iter().map(|rule| &rule.meta);
        let mut metas: Vec<&Meta> = rules.chain(self.correlations.iter().map(|correlation| &correlation.meta)).collect();
        metas.sort_by(|a, b| a.name.cmp(&b.name));
        metas
    }

    /// Whether a rule makes findings, rather than being there for correlations alone.
    pub fn makes_findings(&self, name: &str) -> bool {
        self.specs().any(|spec| spec.id == name)
    }

    /// The checks that it makes: of each rule that makes findings, and of each protocol.
    pub fn checks(&self) -> impl Iterator<Item = &'static CheckSpec> {
        self.specs().chain(self.services.iter().map(|service| service.spec))
    }

    fn specs(&self) -> impl Iterator<Item = &'static CheckSpec> {
        let rules = self.rules.iter().filter(|rule| rule.alone).map(|rule| rule.meta.spec);
        rules.chain(self.correlations.iter().filter(|correlation| correlation.alone).map(|correlation| correlation.meta.spec))
    }

    /// The protocols whose records a rule or correlation looks at, sorted.
    pub fn services_of(&self, name: &str) -> Vec<String> {
        let rule = self.rules.iter().position(|rule| rule.meta.name == name).map(Member::Rule);
        let correlation = || self.correlations.iter().position(|other| other.meta.name == name).map(Member::Correlation);
        let mut services = Vec::new();
        rule.or_else(correlation).into_iter().for_each(|member| self.services(member, &mut services));
        services.sort();
        services.dedup();
        services
    }

    fn services(&self, member: Member, services: &mut Vec<String>) {
        match member {
            Member::Rule(rule) => services.extend(self.rules.get(rule).map(|rule| rule.service.clone())),
            // A correlation names none but those before it.
            Member::Correlation(number) => {
                let members = self.correlations.get(number).map(|correlation| correlation.members.as_slice());
                members.unwrap_or_default().iter().for_each(|member| self.services(*member, services));
            }
        }
    }

    /// The names of what a correlation counts.
    pub fn members_of(&self, correlation: &Correlation) -> Vec<&str> {
        let name = |member: &Member| match *member {
            Member::Rule(rule) => self.rules.get(rule).map(|rule| rule.meta.name.as_str()),
            Member::Correlation(other) => self.correlations.get(other).map(|other| other.meta.name.as_str()),
        };
        correlation.members.iter().filter_map(name).collect()
    }

    /// The rules that are asked of every message of their protocol, which costs more than looking for a value; sorted by name.
    pub fn slow(&self) -> impl Iterator<Item = &Meta> {
        let slow: BTreeSet<u16> = self.index.always().collect();
        slow.into_iter().filter_map(|rule| Some(&self.rules.get(usize::from(rule))?.meta))
    }

    /// Shows the matches of a message. `ours` are the addresses of the site.
    pub fn observe(&self, observation: &Observation<'_>, ours: &Ours, act: &mut dyn FnMut(Matched)) {
        if self.rules.is_empty() {
            return;
        }
        let view = View {
            record: observation.record,
            carrier: observation.carrier,
            flow: observation.flow,
            direction: observation.direction,
            anomalies: observation.anomalies,
            ours,
        };
        for (number, slot) in self.index.candidates(&view, observation.protocol) {
            let Some(rule) = self.rules.get(usize::from(number)) else { continue };
            if rule.slots.get(usize::from(slot)).is_some_and(|slot| slot.predicate.holds(&view)) {
                act(rule.matched(number, usize::from(slot), &view, observation));
            }
        }
    }
}

/// A record that belongs to no flow: a finding, or what a key made readable.
pub struct Aside<'a> {
    /// Where it was seen.
    pub seen: Seen,
    /// The network of whom it is about.
    pub network: NetworkId,
    /// The service whose rules are asked.
    pub service: &'static str,
    /// The record.
    pub record: &'a dyn Record,
}

impl RuleSet {
    /// Shows the matches of a record that belongs to no flow; whomever a rule asks for, they are about its bearer.
    pub fn show(&self, aside: Aside<'_>, bearer: &IdentityKey, act: &mut dyn FnMut(Matched)) {
        static NONE: LazyLock<Anomalies> = LazyLock::new(Anomalies::default);
        let nowhere = FlowInfo {
            id: 0,
            network: aside.network,
            transport: Transport::Link,
            client: Endpoint::NONE,
            server: Endpoint::NONE,
            client_mac: None,
            server_mac: None,
            vlan: None,
            oriented: false,
        };
        let observation = Observation {
            place: aside.seen.place,
            time: aside.seen.time,
            flow: &nowhere,
            direction: Direction::ToServer,
            protocol: aside.service,
            record: Some(aside.record),
            carrier: None,
            facts: &[],
            anomalies: &NONE,
        };
        // It has no addresses, so it does not matter whose they are.
        self.observe(&observation, &Ours::default(), &mut |matched| act(Matched { named: Some(bearer.clone()), ..matched }));
    }
}

impl Rule {
    fn matched(&self, number: u16, slot: usize, view: &View<'_>, observation: &Observation<'_>) -> Matched {
        let flow = observation.flow;
        let named = match &self.meta.subject {
            Subject::Name(kind) => observation.facts.iter().find_map(|fact| name_in(fact, kind, flow.network)),
            Subject::Field(..) => self.subject.as_ref().and_then(|subject| subject.of(slot, view)),
            _ => None,
        };
        let mut values = Values::with_room(self.captures.len());
        for capture in &self.captures {
            let source = capture.sources.get(slot).copied().unwrap_or(Source::Absent);
            values.push_with(VALUE_BYTES, |out| write_value(source, view, out));
        }
        Matched {
            rule: number,
            network: flow.network,
            client: flow.client.ip,
            server: flow.server.ip,
            direction: observation.direction,
            named,
            values,
        }
    }
}

/// A name of this kind that a fact is about.
fn name_in(fact: &Fact<'_>, kind: &str, network: NetworkId) -> Option<IdentityKey> {
    let id = match fact {
        Fact::Identity { id, .. }
        | Fact::Via { id, .. }
        | Fact::Role { id, .. }
        | Fact::Attribute { id, .. }
        | Fact::Service { id, .. }
        | Fact::Certificate { id, .. }
        | Fact::Object { id, .. }
        | Fact::Security { id, .. }
        | Fact::Activity { id, .. } => id,
        Fact::SameAs { a, b, .. } => {
            return [a, b].into_iter().find(|id| id.kind.name == kind).map(|id| IdentityKey::new(id, network));
        }
        Fact::Peer { client, server, .. } => {
            return [client, server].into_iter().find(|id| id.kind.name == kind).map(|id| IdentityKey::new(id, network));
        }
        Fact::Credential(credential) => &credential.by,
    };
    (id.kind.name == kind).then(|| IdentityKey::new(id, network))
}

/// Writes a value as it stands in JSON; those of a list after each other.
fn write_value(source: Source, view: &View<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    let mut write = |value: Value<'_>| {
        with_text(value, |text| {
            out.extend_from_slice(if out.len() > start { b", " } else { b"" });
            out.extend_from_slice(text.as_bytes());
            out.len() - start <= VALUE_BYTES
        })
    };
    with_value(source, view, |value, part| match value {
        // What has no text is passed over; what fills the room ends it.
        Value::List(list) => drop((0..list.len()).take(VALUE_BYTES).find(|at| {
            let item = list.get(*at, part);
            !matches!(item, Value::Absent | Value::List(_)) && !write(item)
        })),
        value => drop(write(value)),
    });
}
