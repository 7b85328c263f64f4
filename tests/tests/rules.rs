//! Rules on captures: each fires where it says and is silent where it says, and what matches is what an independent implementation of Sigma
//! says matches.

use citytap_analyzer::engine::{self, Setup};
use citytap_analyzer::hot::owned::Seen;
use citytap_analyzer::inventory::Ours;
use citytap_analyzer::policy::Policy;
use citytap_analyzer::rules::stage::Stage;
use citytap_analyzer::rules::{self, File, Matched, Meta, RuleSet};
use citytap_sensor::capture::Merge;
use citytap_sensor::dispatch::{self, HotStage};
use citytap_sensor::flow::Transport;
use citytap_sensor::link::NetworkMap;
use citytap_sensor::observation::{Observation, Observer, Record};
use citytap_sensor::pipeline::SensorConfig;
use citytap_sensor::protocols::DECODERS;
use citytap_sensor::time::{SECOND, Timestamp};
use citytap_tests::cases::{Case, cases, root, shared, walk};
use rsigma_eval::{
    CompiledRule, CorrelationConfig, CorrelationEngine, Engine, JsonEvent, ResultBody, compile_rule, evaluate_rule,
};
use rsigma_parser::{Detection, LogSource, SigmaValue};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many findings each check has on a capture.
fn findings(captures: &[PathBuf], threads: usize) -> BTreeMap<&'static str, u64> {
    let mut source = Merge::open(captures, Default::default());
    let setup = Setup { threads, ..Setup::default() };
    let report = engine::replay(&mut source, &setup).unwrap_or_else(|error| panic!("{captures:?}: {error}"));
    let mut counts = BTreeMap::new();
    report.judgement.findings.iter().for_each(|finding| *counts.entry(finding.spec.id).or_insert(0) += 1);
    counts
}

#[test]
fn every_rule_fires_where_it_says_and_is_silent_where_it_says() {
    let set = rules::embedded();
    assert_eq!(set.problems(), []);
    let cases: BTreeMap<String, Case> = cases().into_iter().map(|case| (case.name.clone(), case)).collect();
    let metas: Vec<&Meta> = set.metas().into_iter().filter(|meta| set.makes_findings(&meta.name)).collect();
    let named: BTreeSet<&String> =
        metas.iter().flat_map(|meta| meta.fires.iter().map(|fires| &fires.capture).chain(&meta.silent)).collect();
    let mut found = BTreeMap::new();
    for name in named {
        let case = cases.get(name).unwrap_or_else(|| panic!("no capture of pcaps/ is called {name}"));
        found.insert(name, findings(std::slice::from_ref(&case.capture), 1));
    }
    let mut wrong = Vec::new();
    for meta in metas {
        if meta.fires.is_empty() || meta.silent.is_empty() {
            wrong.push(format!("{} names no capture on which it fires, or none on which it is silent", meta.name));
        }
        let count = |capture: &String| found[capture].get(meta.name.as_str()).copied().unwrap_or_default();
        for fires in &meta.fires {
            if count(&fires.capture) != fires.findings {
                wrong.push(format!(
                    "{} on {}: {} findings, not {}",
                    meta.name,
                    fires.capture,
                    count(&fires.capture),
                    fires.findings
                ));
            }
        }
        for silent in meta.silent.iter().filter(|silent| count(silent) > 0) {
            wrong.push(format!("{} on {silent}: {} findings, not none", meta.name, count(silent)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_anomaly_code_is_named_by_a_rule() {
    let mut named = BTreeSet::new();
    for file in rules::files() {
        let parsed = rsigma_parser::parse_sigma_yaml(file.text).unwrap_or_else(|error| panic!("{}: {error}", file.name));
        let detections = parsed.rules.iter().flat_map(|rule| rule.detection.named.values());
        detections.for_each(|detection| anomalies_asked_for(detection, &mut named));
    }
    let codes = DECODERS.iter().flat_map(|spec| spec.anomalies).map(|code| code.name);
    let forgotten: Vec<&str> = codes.filter(|code| !named.contains(*code)).collect();
    assert!(forgotten.is_empty(), "no rule of rules/ names {forgotten:?}");
}

fn anomalies_asked_for(detection: &Detection, named: &mut BTreeSet<String>) {
    match detection {
        Detection::AllOf(items) => {
            let asked = items.iter().filter(|item| item.field.name.as_deref() == Some("anomaly")).flat_map(|item| &item.values);
            named.extend(asked.filter_map(|value| match value {
                SigmaValue::String(text) => Some(text.original.clone()),
                _ => None,
            }));
        }
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().for_each(|part| anomalies_asked_for(part, named)),
        _ => {}
    }
}

#[test]
fn the_program_has_every_rule_file() {
    let folder = root().join("rules");
    let there: Vec<String> = walk(&folder)
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "yml"))
        .map(|path| path.strip_prefix(root()).expect("below the root").display().to_string())
        .collect();
    let mut embedded: Vec<String> = rules::files().map(|file| file.name.to_owned()).collect();
    embedded.sort();
    assert_eq!(embedded, there);
}

#[test]
fn rules_find_the_same_on_any_number_of_threads() {
    let all: Vec<PathBuf> =
        cases().into_iter().filter(|case| case.name.starts_with("modbus/")).map(|case| case.capture).collect();
    let one = findings(&all, 1);
    assert!(one.keys().any(|check| check.starts_with("modbus-")), "{one:?}");
    assert_eq!(findings(&all, 2), one);
    assert_eq!(findings(&all, 3), one);
}

/// Every way in which a rule can ask, over fields that the captures have.
const ASKING: &str = include_str!("../rules/asking.yml");

/// The rules of files, as the other implementation has them.
fn oracle(files: &[File<'_>]) -> BTreeMap<String, (String, CompiledRule)> {
    let mut all = BTreeMap::new();
    for file in files {
        let parsed = rsigma_parser::parse_sigma_yaml(file.text).unwrap_or_else(|error| panic!("{}: {error}", file.name));
        for rule in parsed.rules {
            let compiled = compile_rule(&rule).unwrap_or_else(|error| panic!("{}: {error}", file.name));
            let service = rule.logsource.service.clone().unwrap_or_default();
            all.insert(rule.name.clone().expect("a name"), (service, compiled));
        }
    }
    all
}

/// What was observed, as an event, and the rules that matched.
struct Watch {
    set: Arc<RuleSet>,
    seen: Vec<(&'static str, Value, BTreeSet<String>)>,
}

impl Observer for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        let mut matched = BTreeSet::new();
        self.set.observe(observation, &ours(), &mut |found| {
            matched.insert(self.set.rules()[usize::from(found.rule)].meta.name.clone());
        });
        self.seen.push((observation.protocol, event(observation), matched));
    }
}

impl HotStage for Watch {
    type Batch = Vec<(&'static str, Value, BTreeSet<String>)>;

    fn drain(&mut self) -> Option<Self::Batch> {
        (!self.seen.is_empty()).then(|| std::mem::take(&mut self.seen))
    }
}

/// Addresses of the site, so that there are others too.
fn ours() -> Ours {
    Ours::new(&["10.0.0.0/8".parse().expect("a prefix")])
}

/// An observation as nested JSON, under the names that rules use.
fn event(observation: &Observation<'_>) -> Value {
    let flow = observation.flow;
    let mut event = json!({
        "direction": observation.direction,
        "network": flow.network,
        "flow": {
            "client_ip": flow.client.ip,
            "client_port": flow.client.port,
            "server_ip": flow.server.ip,
            "server_port": flow.server.port,
            "sender_ip": flow.sender(observation.direction).ip,
            "receiver_ip": flow.receiver(observation.direction).ip,
            "transport": match flow.transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
                Transport::Icmpv6 => "icmpv6",
                Transport::Link => "link",
                Transport::LoraTap => "lora_tap",
            },
        },
    });
    if let Some(vlan) = flow.vlan {
        event["flow"]["vlan"] = json!(vlan);
    }
    let ours = ours();
    for (name, address) in [("client_is_own", flow.client.ip), ("server_is_own", flow.server.ip)] {
        if let Some(own) = ours.is_own(address) {
            event["flow"][name] = json!(own);
        }
    }
    let anomalies: Vec<&str> = observation.anomalies.iter().map(|anomaly| anomaly.code.name).collect();
    if !anomalies.is_empty() {
        event["anomaly"] = json!(anomalies);
    }
    if let Some(record) = observation.record {
        event["record"] = json!(record.kind().name);
        event[record.kind().protocol()] = fields(record);
    }
    if let Some(carrier) = observation.carrier {
        event["carrier"] = json!({ carrier.kind().protocol(): fields(carrier) });
    }
    event
}

fn fields(record: &dyn Record) -> Value {
    let mut json = Vec::new();
    record.write_json(&mut json);
    serde_json::from_slice(&json).expect("a record is JSON")
}

/// The messages of a capture on which the two differ, and how many matched.
fn compare(
    capture: &Path,
    set: &Arc<RuleSet>,
    oracle: &BTreeMap<String, (String, CompiledRule)>,
) -> (Vec<String>, BTreeMap<String, u64>) {
    let mut source = Merge::open(&[capture.to_owned()], Default::default());
    let (mut wrong, mut matches) = (Vec::new(), BTreeMap::new());
    let make = |_| Watch { set: set.clone(), seen: Vec::new() };
    let outcome = dispatch::run(&mut source, SensorConfig::default(), &NetworkMap::default(), 1, make, |epoch| {
        for (protocol, event, ours) in epoch.batches.into_iter().flatten() {
            let theirs: BTreeSet<String> = oracle
                .iter()
                .filter(|(_, (service, rule))| service == protocol && evaluate_rule(rule, &JsonEvent::borrow(&event)).is_some())
                .map(|(name, _)| name.clone())
                .collect();
            ours.iter().for_each(|name| *matches.entry(name.clone()).or_insert(0) += 1);
            for name in ours.symmetric_difference(&theirs) {
                if wrong.len() >= 5 {
                    break;
                }
                let who = if ours.contains(name) { "we alone" } else { "they alone" };
                wrong.push(format!("{}: {name} matches for {who}: {event}", capture.display()));
            }
        }
        true
    });
    outcome.unwrap_or_else(|error| panic!("{}: {error}", capture.display()));
    (wrong, matches)
}

#[test]
fn what_matches_is_what_another_implementation_matches() {
    let mut files: Vec<File<'_>> = vec![File { name: "asking.yml", text: ASKING, own: true }];
    files.extend(rules::files().map(|File { name, text, own }| File { name, text, own }));
    let set = Arc::new(RuleSet::new(&files, DECODERS));
    assert_eq!(set.problems(), [], "{:?}", set.problems());
    let oracle = oracle(&files);
    assert_eq!(oracle.len(), set.rules().len());
    let mut captures: Vec<PathBuf> = cases().into_iter().map(|case| case.capture).collect();
    captures.extend(shared().map(|(_, captures)| captures).unwrap_or_default());
    let (mut wrong, mut matches) = (Vec::new(), BTreeMap::new());
    for capture in &captures {
        let (more, counts) = compare(capture, &set, &oracle);
        wrong.extend(more);
        counts.into_iter().for_each(|(name, count)| *matches.entry(name).or_insert(0) += count);
    }
    assert!(wrong.is_empty(), "{}", wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
    // A question that nothing ever answers shows nothing.
    let never: Vec<&str> = set
        .rules()
        .iter()
        .map(|rule| rule.meta.name.as_str())
        .filter(|name| name.starts_with("asking-") && !matches.contains_key(*name))
        .collect();
    assert!(never.is_empty(), "no message matched {never:?}");
}

/// Correlations of every kind.
const COUNTING: &str = include_str!("../rules/counting.yml");

/// Matches with their seconds, as both implementations are shown them.
struct Log {
    set: Arc<RuleSet>,
    seen: Vec<(Seen, Value, Vec<Matched>)>,
}

impl Observer for Log {
    fn observe(&mut self, observation: &Observation<'_>) {
        let mut matched = Vec::new();
        self.set.observe(observation, &ours(), &mut |found| matched.push(found));
        if !matched.is_empty() {
            // Theirs counts in whole seconds.
            let time = Timestamp(observation.time.0 / SECOND * SECOND);
            self.seen.push((Seen { place: observation.place, time }, event(observation), matched));
        }
    }
}

impl HotStage for Log {
    type Batch = Vec<(Seen, Value, Vec<Matched>)>;

    fn drain(&mut self) -> Option<Self::Batch> {
        (!self.seen.is_empty()).then(|| std::mem::take(&mut self.seen))
    }
}

#[test]
fn what_is_counted_is_what_another_implementation_counts() {
    let set = Arc::new(RuleSet::new(&[File { name: "counting.yml", text: COUNTING, own: true }], DECODERS));
    assert_eq!(set.problems(), []);
    let parsed = rsigma_parser::parse_sigma_yaml(COUNTING).expect("is Sigma");
    let mut ever: BTreeMap<String, u64> = BTreeMap::new();
    for case in cases().into_iter().filter(|case| case.name.starts_with("modbus/") || case.name.starts_with("mqtt/")) {
        let mut source = Merge::open(std::slice::from_ref(&case.capture), Default::default());
        let mut log = Vec::new();
        let make = |_| Log { set: set.clone(), seen: Vec::new() };
        let outcome = dispatch::run(&mut source, SensorConfig::default(), &NetworkMap::default(), 1, make, |epoch| {
            log.extend(epoch.batches.into_iter().flatten());
            true
        });
        outcome.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        log.sort_by_key(|(seen, ..)| seen.place);
        let mut stage = Stage::new(set.clone(), &Policy::default());
        let mut theirs = CorrelationEngine::new(CorrelationConfig::default());
        theirs.add_collection(&parsed).expect("rules that it takes");
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (seen, event, matched) in log {
            matched.into_iter().for_each(|matched| stage.take(matched, seen));
            let seconds = i64::try_from(seen.time.seconds()).expect("a time of this era");
            for fired in theirs
                .process_event_at(&JsonEvent::borrow(&event), seconds)
                .into_iter()
                .filter(|one| matches!(one.body, ResultBody::Correlation(_)))
            {
                *counts.entry(fired.header.rule_title.replace(' ', "-")).or_insert(0) += 1;
            }
        }
        let ours: BTreeMap<String, u64> = stage
            .matches()
            .filter(|(name, _)| name.starts_with("counting"))
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
        // Theirs fires a percentile at every match, whatever its value; ours is compared with numbers in the rules' own tests.
        counts.remove("counting-percentile");
        let ours: BTreeMap<String, u64> = ours.into_iter().filter(|(name, _)| name != "counting-percentile").collect();
        assert_eq!(ours, counts, "{}", case.name);
        ours.into_iter().for_each(|(name, count)| *ever.entry(name).or_insert(0) += count);
    }
    let never: Vec<&str> = set
        .correlations()
        .iter()
        .map(|correlation| correlation.meta.name.as_str())
        .filter(|name| !ever.contains_key(*name) && *name != "counting-percentile")
        .collect();
    assert!(never.is_empty(), "nothing ever fired {never:?}");
}

/// Rules with filters.
const FILTERED: &str = include_str!("../rules/filtered.yml");

#[test]
fn what_filters_leave_is_what_another_implementation_leaves() {
    let set = Arc::new(RuleSet::new(&[File { name: "filtered.yml", text: FILTERED, own: true }], DECODERS));
    assert_eq!((set.problems(), set.filters()), (&[][..], 3));
    let mut theirs = Engine::new();
    theirs.add_collection(&rsigma_parser::parse_sigma_yaml(FILTERED).expect("is Sigma")).expect("rules that it takes");
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for case in cases().into_iter().filter(|case| case.name.starts_with("modbus/")) {
        let mut source = Merge::open(std::slice::from_ref(&case.capture), Default::default());
        let make = |_| Watch { set: set.clone(), seen: Vec::new() };
        let outcome = dispatch::run(&mut source, SensorConfig::default(), &NetworkMap::default(), 1, make, |epoch| {
            for (protocol, event, ours) in epoch.batches.into_iter().flatten().filter(|(protocol, ..)| *protocol == "modbus") {
                let source =
                    LogSource { product: Some("citytap".into()), service: Some(protocol.into()), ..LogSource::default() };
                let found = theirs.evaluate_with_logsource(&JsonEvent::borrow(&event), &source);
                let found: BTreeSet<String> = found.into_iter().map(|one| one.header.rule_title.to_lowercase()).collect();
                assert_eq!(ours, found, "{}: {event}", case.name);
                ours.into_iter().for_each(|name| *counts.entry(name).or_insert(0) += 1);
            }
            true
        });
        outcome.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    }
    // Without their filters both match every request.
    let [all, writes, none] = ["filtered-by-two", "filtered", "unfiltered"].map(|name| counts.get(name).copied().unwrap_or(0));
    assert!(0 < all && all < writes && writes < none, "{counts:?}");
}
