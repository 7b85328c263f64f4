//! tshark as an oracle: both read the same captures, and must count the same messages with the same key fields.
//!
//! Where they differ, `tests/goldens/tshark_differences_*.tsv` says by how much and why: tshark counts only on known ports, misses packets that
//! share a segment, and so on. `UPDATE_GOLDEN=1` writes the figures; the reasons are written by a person, and a row without one fails.
//! Without tshark nothing is compared, and the test says so; `make test` installs it.

use citytap_tests::cases::{cases, root, shared};
use citytap_tests::golden::updating;
use citytap_tests::run::{Seen, run_one};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How often each key was seen.
type Sums = BTreeMap<String, usize>;

/// How a protocol is compared.
struct Compared {
    name: &'static str,
    /// tshark's fields, and what stands before their values in a key.
    fields: &'static [(&'static str, &'static str)],
    /// The keys of one record of ours.
    keys: fn(&str, &serde_json::Value) -> Vec<String>,
}

const MODBUS: Compared = Compared {
    name: "modbus",
    fields: &[("modbus.func_code", "function"), ("modbus.exception_code", "exception")],
    keys: |_, record| {
        let number = |name: &str, field: &str| record[field].as_u64().map(|value| format!("{name} {value}"));
        number("function", "function_code").into_iter().chain(number("exception", "exception_code")).collect()
    },
};

const MQTT: Compared = Compared {
    name: "mqtt",
    fields: &[("mqtt.msgtype", "type")],
    keys: |kind, _| {
        let types = "connect connack publish puback pubrec pubrel pubcomp subscribe suback unsubscribe unsuback pingreq pingresp disconnect auth";
        let kind = kind.trim_start_matches("mqtt.");
        types.split(' ').position(|name| name == kind).map(|at| format!("type {}", at + 1)).into_iter().collect()
    },
};

const COAP: Compared = Compared {
    name: "coap",
    fields: &[("coap.code", "code"), ("coap.mid", "message"), ("coap.type", "type")],
    keys: |kind, record| {
        let code = if kind == "coap.empty" { Some("0.00") } else { record["code"].as_str() };
        let code = code.and_then(|code| code.split_once('.')).map(|(class, detail)| {
            let number = |text: &str| text.parse::<u32>().expect("a number");
            format!("code {}", number(class) * 32 + number(detail))
        });
        let id = record["message_id"].as_u64().map(|id| format!("message {id}"));
        let types = ["CON", "NON", "ACK", "RST"];
        let kind = types.iter().position(|name| record["message_type"] == *name).map(|at| format!("type {at}"));
        code.into_iter().chain(id).chain(kind).collect()
    },
};

const LORAWAN: Compared = Compared {
    name: "lorawan",
    fields: &[("lorawan.fhdr.devaddr", "device"), ("lorawan.fhdr.fcnt", "counter")],
    keys: |_, record| {
        let device = record["dev_addr"].as_str().map(|address| format!("device 0x{address}"));
        let counter = record["f_cnt_lsb"].as_u64().map(|count| format!("counter {count}"));
        device.into_iter().chain(counter).collect()
    },
};

#[test]
fn modbus_agrees() {
    agree(&MODBUS, &["pcaps/modbus", "modbus"]);
}

#[test]
fn mqtt_agrees() {
    agree(&MQTT, &["pcaps/mqtt", "mqtt"]);
}

#[test]
fn coap_agrees() {
    agree(&COAP, &["pcaps/coap", "pcaps/lwm2m", "coap"]);
}

#[test]
fn lorawan_agrees() {
    agree(&LORAWAN, &["pcaps/lorawan/loratap", "LoRaTap"]);
}

/// Compares on the captures whose name contains one of `names`, in `pcaps/` and among the shared ones.
fn agree(compared: &Compared, names: &[&str]) {
    if Command::new("tshark").arg("--version").output().is_err() {
        eprintln!("tshark is not installed: nothing was compared");
        return;
    }
    let mut captures: Vec<(String, PathBuf)> =
        cases().into_iter().map(|case| (format!("pcaps/{}", case.name), case.capture)).collect();
    let shared = shared();
    let has_shared = shared.is_some();
    if let Some((top, files)) = shared {
        captures.extend(files.into_iter().map(|file| (format!("captures/{}", relative(&file, &top)), file)));
    }
    captures.retain(|(name, _)| names.iter().any(|part| name.contains(part)));
    assert!(!captures.is_empty(), "no capture to compare");
    let mut found = BTreeMap::new();
    let mut messages = 0;
    for (name, path) in &captures {
        let (ours, theirs) = (ours(compared, path), theirs(compared, path));
        messages += ours.values().sum::<usize>();
        if let Some(difference) = difference(&ours, &theirs) {
            found.insert(name.clone(), difference);
        }
    }
    eprintln!("{messages} figures of {} captures compared, {} captures differ", captures.len(), found.len());
    settle(compared.name, found, has_shared);
}

fn relative(file: &Path, top: &Path) -> String {
    file.strip_prefix(top).unwrap_or(file).to_string_lossy().into_owned()
}

fn ours(compared: &Compared, path: &Path) -> Sums {
    let mut sums = Sums::new();
    let is_ours = |seen: &&Seen| seen.protocol == compared.name && seen.record.is_some();
    for seen in run_one(path).seen.iter().filter(is_ours) {
        let record = serde_json::from_str(&seen.json).expect("JSON");
        (compared.keys)(seen.record.unwrap_or_default(), &record).into_iter().for_each(|key| *sums.entry(key).or_default() += 1);
    }
    sums
}

fn theirs(compared: &Compared, path: &Path) -> Sums {
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-E", "separator=;", "-E", "aggregator=|", "-Y", compared.name, "-r"]).arg(path);
    for (field, _) in compared.fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark runs");
    assert!(output.status.success(), "tshark {}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    let mut sums = Sums::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        for (values, (_, name)) in line.split(';').zip(compared.fields) {
            for value in values.split('|').filter(|value| !value.is_empty()) {
                *sums.entry(format!("{name} {value}")).or_default() += 1;
            }
        }
    }
    sums
}

/// Where the figures differ: `key ours/theirs`, the first few.
fn difference(ours: &Sums, theirs: &Sums) -> Option<String> {
    let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let count = |sums: &Sums, key: &String| sums.get(key).copied().unwrap_or_default();
    let differ: Vec<&String> = keys.into_iter().filter(|key| count(ours, key) != count(theirs, key)).collect();
    let first: Vec<String> =
        differ.iter().take(4).map(|key| format!("{key}: {}/{}", count(ours, key), count(theirs, key))).collect();
    let more = if differ.len() > 4 { format!(", {} more", differ.len() - 4) } else { String::new() };
    (!differ.is_empty()).then(|| format!("{}{more}", first.join(", ")))
}

/// Holds the differences against the table.
fn settle(protocol: &str, found: BTreeMap<String, String>, has_shared: bool) {
    let file = root().join(format!("tests/goldens/tshark_differences_{protocol}.tsv"));
    let text = fs::read_to_string(&file).unwrap_or_default();
    let mut reasons = BTreeMap::new();
    let mut known = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let [capture, figures, reason] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{}: {line}", file.display()) };
        reasons.insert(capture.to_owned(), reason.to_owned());
        known.insert(capture.to_owned(), figures.to_owned());
    }
    if updating() {
        let mut rows: BTreeMap<String, String> = known.clone();
        rows.retain(|capture, _| !has_shared && capture.starts_with("captures/"));
        rows.extend(found.clone());
        let mut table = String::from("# capture\tour figure/tshark's, the first few\twhy\n");
        for (capture, figures) in &rows {
            let reason = reasons.get(capture).map_or(UNEXPLAINED, String::as_str);
            let _ = writeln!(table, "{capture}\t{figures}\t{reason}");
        }
        fs::write(&file, table).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        reasons.extend(
            rows.keys().filter(|capture| !known.contains_key(*capture)).map(|capture| (capture.clone(), UNEXPLAINED.to_owned())),
        );
    } else {
        known.retain(|capture, _| has_shared || !capture.starts_with("captures/"));
        let wrong: Vec<String> = found
            .iter()
            .filter(|(capture, figures)| known.get(*capture) != Some(figures))
            .map(|(capture, figures)| format!("{capture}: {figures} (table: {:?})", known.get(capture)))
            .chain(known.keys().filter(|capture| !found.contains_key(*capture)).map(|capture| format!("{capture}: agrees now")))
            .collect();
        assert!(wrong.is_empty(), "{} differs from {}:\n{}", protocol, file.display(), wrong.join("\n"));
    }
    let open: Vec<_> = reasons.iter().filter(|(_, reason)| *reason == UNEXPLAINED).map(|(capture, _)| capture).collect();
    assert!(open.is_empty(), "{}: say why these differ: {open:#?}", file.display());
}

const UNEXPLAINED: &str = "UNEXPLAINED";
