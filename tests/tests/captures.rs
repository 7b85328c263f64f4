//! Every capture of `pcaps/` against its golden: what was decoded, in a form that a person can read and has read. And every capture that
//! `CITYTAP_CAPTURES` names, for what must not happen.

use citytap_sensor::capture::{CaptureSource, Merge};
use citytap_sensor::counters::Counter;
use citytap_sensor::protocols::DECODERS;
use citytap_tests::cases::{self, Case, cases, root};
use citytap_tests::golden;
use citytap_tests::run::{Result, Seen, run, run_one};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Distinct facts written into a golden.
const FACTS: usize = 40;

/// Characters of a line in a golden.
const WIDTH: usize = 400;

#[test]
fn goldens() {
    let mut differences = Vec::new();
    for case in cases() {
        let text = summary(&run_one(&case.capture));
        let file = case.folder.join(format!("{}.golden.txt", case.stem));
        differences.extend(golden::check(&file, &text).err());
    }
    golden::settle(differences);
}

/// What was decoded: sums, then the first of each kind of record in full, then what the inventory was told.
fn summary(result: &Result) -> String {
    let mut text = String::new();
    let counters = &result.counters;
    let [flows, decoded] = result.flows;
    let _ = writeln!(text, "{} packets, {flows} flows, {decoded} of them decoded", counters.get(Counter::Packets));
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for (counter, figure) in counters.iter() {
        let usual = [Counter::Packets, Counter::WireBytes, Counter::Flows, Counter::Observations, Counter::Anomalies];
        if figure > 0 && !usual.contains(&counter) {
            let _ = writeln!(text, "counted   {:>6} {}", figure, counter.name());
        }
    }
    for seen in &result.seen {
        if let Some(record) = seen.record {
            *told.entry(format!("record    {{n}} {record}")).or_default() += 1;
        }
        for anomaly in &seen.anomalies {
            *told.entry(format!("anomaly   {{n}} {anomaly}")).or_default() += 1;
        }
    }
    for (line, n) in told.iter().rev() {
        let _ = writeln!(text, "{}", line.replace("{n}", &format!("{n:>6}")));
    }
    let mut kinds = BTreeSet::new();
    let mut facts = BTreeSet::new();
    for seen in &result.seen {
        // That a device goes on speaking tells nothing new, and there are many such facts.
        facts.extend(seen.facts.iter().filter(|fact| !fact.starts_with("activity(")));
        let first_record = seen.record.is_some_and(|record| kinds.insert(record));
        let first_anomaly = seen.anomalies.iter().filter(|anomaly| kinds.insert(anomaly)).count() > 0;
        if first_record || first_anomaly {
            let odd: String = seen.anomalies.iter().map(|anomaly| format!(" !{anomaly}")).collect();
            let line = format!("{} {} {} {}{odd}", seen.place.frame, seen.flow, seen.record.unwrap_or(seen.protocol), seen.json);
            let _ = writeln!(text, "\n{}", clip(&line));
        }
    }
    if !facts.is_empty() {
        let _ = writeln!(text, "\n{} distinct facts", facts.len());
        facts.iter().take(FACTS).for_each(|fact| text += &format!("  {}\n", clip(fact)));
        if facts.len() > FACTS {
            text += "  ...\n";
        }
    }
    result.damage.iter().for_each(|damage| text += &format!("damage: {}\n", damage.replace(&*root().to_string_lossy(), "")));
    text
}

fn clip(line: &str) -> String {
    if line.chars().count() <= WIDTH { line.to_owned() } else { line.chars().take(WIDTH).chain("...".chars()).collect() }
}

#[test]
fn goldens_belong_to_captures() {
    let known: BTreeSet<_> = cases().iter().map(|case| case.folder.join(format!("{}.golden.txt", case.stem))).collect();
    let found = cases::walk(&root().join("pcaps")).into_iter().filter(|file| file.to_string_lossy().ends_with(".golden.txt"));
    let stray: Vec<_> = found.filter(|file| !known.contains(file)).collect();
    assert!(stray.is_empty(), "goldens without a capture: {stray:?}");
}

#[test]
fn any_number_of_threads() {
    for case in cases() {
        let one = run_one(&case.capture);
        for threads in [2, 3] {
            let several = run(std::slice::from_ref(&case.capture), threads);
            let at = one.seen.iter().zip(&several.seen).position(|(a, b)| a != b);
            assert_eq!(at.map(|at| (&one.seen[at], &several.seen[at])), None, "{} on {threads} threads", case.name);
            assert_eq!(one.seen.len(), several.seen.len(), "{} on {threads} threads", case.name);
            assert_eq!((one.flows, &one.counters), (several.flows, &several.counters), "{} on {threads} threads", case.name);
        }
    }
}

/// The scripts that recorded the captures know how many messages they sent. Each line: folder, the fact's name in `case.toml`, the record kind.
const COUNTED: &[(&str, &str, &str)] = &[
    ("modbus/", "requests", "modbus.request"),
    ("modbus/", "responses", "modbus.response without exception_code"),
    ("modbus/", "exceptions", "modbus.response with exception_code"),
    ("", "modbus_requests", "modbus.request"),
    ("", "modbus_responses", "modbus.response"),
    ("", "modbus_messages", "modbus."),
    ("", "mqtt_messages", "mqtt."),
    ("", "coap_messages", "coap."),
    ("coap/", "requests", "coap.request"),
    ("coap/", "responses", "coap.response"),
    ("lorawan/", "receptions", "gwmp.rx_packet"),
    ("lorawan/", "tx_acks", "gwmp.tx_ack"),
];

/// What the facts count otherwise than we do, with the reason.
const COUNTED_OTHERWISE: &[(&str, &str, &str)] = &[];

#[test]
fn what_the_recording_knows() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for case in cases().into_iter().filter(|case| case.stem == "capture") {
        let facts = facts(&case);
        let result = run_one(&case.capture);
        let mut compare = |fact: &str, count: usize| {
            let Some(expected) = facts.get(fact).and_then(toml::Value::as_integer) else { return };
            checked += 1;
            let known = COUNTED_OTHERWISE.iter().any(|(name, other, _)| *name == case.name && *other == fact);
            if (expected == count as i64) == known {
                wrong.push(format!("{}: {fact} = {expected}, decoded {count}", case.name));
            }
        };
        compare("packets", result.counters.get(Counter::Packets) as usize);
        for (folder, fact, kind) in COUNTED {
            if case.name.starts_with(folder) {
                compare(fact, result.seen.iter().filter(|seen| fits(seen, kind)).count());
            }
        }
    }
    eprintln!("{checked} figures compared");
    assert!(wrong.is_empty(), "{} figures differ from case.toml:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether a record is of a kind (a whole protocol where that ends in a dot), with or without a field.
fn fits(seen: &Seen, kind: &str) -> bool {
    let mut words = kind.split(' ');
    let kind = words.next().unwrap_or_default();
    let is_kind = seen.record.is_some_and(|record| record == kind || kind.ends_with('.') && record.starts_with(kind));
    let field = |name: Option<&str>| seen.json.contains(&format!("\"{}\":", name.unwrap_or_default()));
    is_kind
        && match words.next() {
            Some("with") => field(words.next()),
            Some("without") => !field(words.next()),
            _ => true,
        }
}

fn facts(case: &Case) -> toml::Table {
    let file = case.folder.join("case.toml");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for key in ["purpose", "origin", "recorded_by", "timestamps"] {
        assert!(table.contains_key(key), "{} does not say {key}", file.display());
    }
    table.get("facts").and_then(toml::Value::as_table).cloned().unwrap_or_default()
}

/// Of each protocol, the record kinds and anomaly codes that some capture of `pcaps/` shows. The figures may only rise.
#[test]
fn coverage() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        for observation in run_one(&case.capture).seen {
            seen.extend(observation.record);
            seen.extend(observation.anomalies);
        }
    }
    let mut text =
        String::from("# What the captures in pcaps/ show of each protocol. May only rise; written by UPDATE_GOLDEN=1.\n");
    for spec in DECODERS {
        let records: Vec<&str> = spec.records.iter().map(|kind| kind.name).collect();
        let anomalies: Vec<&str> = spec.anomalies.iter().map(|code| code.name).collect();
        let shown = |names: &[&str]| names.iter().filter(|name| seen.contains(*name)).count();
        let figures = (shown(&records), records.len(), shown(&anomalies), anomalies.len());
        let _ = writeln!(text, "{}: records {} of {}, anomalies {} of {}", spec.name, figures.0, figures.1, figures.2, figures.3);
        for name in records.iter().chain(&anomalies).filter(|name| !seen.contains(*name)) {
            let _ = writeln!(text, "  not shown: {name}");
        }
    }
    let file = root().join("tests/goldens/coverage.txt");
    let lost = lost_coverage(&fs::read_to_string(&file).unwrap_or_default(), &text);
    assert!(lost.is_empty(), "no capture shows these any more: {lost:?} (if they are gone on purpose, edit {})", file.display());
    golden::settle(golden::check(&file, &text).err().into_iter().collect());
}

/// Names that are not shown now and were before.
fn lost_coverage(before: &str, now: &str) -> Vec<String> {
    let names = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.strip_prefix("  not shown: ")).map(str::to_owned).collect()
    };
    let protocols: BTreeSet<&str> = before.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    let figure = |text: &str, protocol: &str| -> usize {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{protocol}: "))).unwrap_or_default();
        line.split_whitespace().filter_map(|word| word.parse::<usize>().ok()).step_by(2).sum()
    };
    let (then, now_missing) = (names(before), names(now));
    let newly = now_missing.difference(&then).filter(|name| {
        let protocol = name.split('.').next().unwrap_or_default();
        protocols.contains(protocol) && figure(now, protocol) < figure(before, protocol)
    });
    newly.cloned().collect()
}

#[test]
fn shared_captures() {
    let Some((top, captures)) = cases::shared() else { return };
    let mut bad = Vec::new();
    for capture in captures {
        let name = capture.strip_prefix(&top).unwrap_or(&capture).display().to_string();
        let result = run_one(&capture);
        let failures = result.counters.get(Counter::DecoderFailures);
        if failures > 0 {
            bad.push(format!("{name}: {failures} decoder failures"));
        }
        bad.extend(result.damage.iter().filter(|damage| !DAMAGED.iter().any(|file| damage.contains(file))).cloned());
        bad.extend(packets_lost(&capture, result.counters.get(Counter::Packets)));
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// Shared captures that are damaged on purpose.
const DAMAGED: &[&str] = &[];

fn packets_lost(capture: &Path, counted: u64) -> Option<String> {
    let source = &mut Merge::open(&[capture.to_path_buf()], Default::default());
    let mut read = 0;
    while let Ok(Some(_)) = source.next() {
        read += 1;
    }
    (read != counted).then(|| format!("{}: {read} packets read, {counted} counted", capture.display()))
}
