//! The quiet test: on traffic without an attack nothing is found but what `tests/quiet.toml` lists, each with a line that says why it is right; and
//! what is listed is found. Three kinds of traffic: weeks of a healthy city (`workload::weeks`), the captures of `pcaps/` with what their rules
//! fire on set aside, and other people's captures (`CITYTAP_CAPTURES`).

use citytap_analyzer::config::Config;
use citytap_analyzer::engine::{self, Report, Setup};
use citytap_analyzer::findings::Severity;
use citytap_analyzer::rules;
use citytap_sensor::capture::Merge;
use citytap_tests::cases::{cases, root, shared};
use citytap_tests::workload::{Capture, Weeks, weeks};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// More than a thousand weeks of devices: 300 for four weeks.
const WEEKS: Weeks = Weeks { lorawan: 180, mqtt: 75, modbus: 15, lwm2m: 30, weeks: 4, seed: 1 };

/// A finding that is right.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Right {
    /// The capture: `weeks`, folder and case of `pcaps/`, or the path of another's within its folder; `*` stands for anything.
    capture: String,
    /// The check or rule; `*` as above.
    check: String,
    /// Why it is right.
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// What the weeks may find.
    weeks: Vec<Right>,
    /// What captures of `pcaps/` find besides what the rules name.
    pcaps: Vec<Right>,
    /// What other people's captures find.
    shared: Vec<Right>,
}

fn list() -> List {
    let text = fs::read_to_string(root().join("tests/quiet.toml")).expect("the list is there");
    let list: List = toml::from_str(&text).unwrap_or_else(|error| panic!("tests/quiet.toml: {error}"));
    for right in list.weeks.iter().chain(&list.pcaps).chain(&list.shared) {
        assert!(right.why.len() > 20, "{} on {}: say why it is right", right.check, right.capture);
    }
    list
}

fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (at, part) in parts.iter().enumerate() {
        let found = if at + 1 == parts.len() { rest.ends_with(part).then(|| rest.len() - part.len()) } else { rest.find(part) };
        let Some(found) = found else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.is_empty()
}

fn replay(capture: &Path, config: Config) -> Report {
    let mut source = Merge::open(&[capture.to_owned()], Default::default());
    let setup = Setup { threads: 2, config, ..Setup::default() };
    engine::replay(&mut source, &setup).unwrap_or_else(|error| panic!("{}: {error}", capture.display()))
}

/// The shipped configuration, but no key is tried: that is asked elsewhere and takes long.
fn without_trials() -> Config {
    let mut config = Config::default();
    config.trials_per_device.value = 0;
    config.trials_per_day.value = 0;
    config
}

/// Compares what captures find with what is listed.
#[derive(Default)]
struct Comparison {
    unlisted: Vec<String>,
    found: BTreeSet<(usize, String)>,
}

impl Comparison {
    fn take(&mut self, listed: &[Right], capture: &str, report: &Report, expected: &BTreeSet<String>) {
        let mut told = BTreeSet::new();
        for finding in &report.judgement.findings {
            let check = finding.spec.id;
            if expected.contains(check) {
                continue;
            }
            match listed.iter().position(|right| fits(&right.check, check) && fits(&right.capture, capture)) {
                Some(at) => drop(self.found.insert((at, capture.to_owned()))),
                None if told.insert(check) => {
                    let (severity, message) = (finding.severity.name(), finding.message());
                    self.unlisted.push(format!("{capture}: {check} [{severity}] {}: {message}", finding.subject));
                }
                None => {}
            }
        }
    }

    fn judge(&self, listed: &[Right]) {
        assert!(self.unlisted.is_empty(), "found and not listed as right:\n{}", self.unlisted.join("\n"));
        let rotten: Vec<String> = (0..listed.len())
            .filter(|at| !self.found.iter().any(|(found, _)| found == at))
            .map(|at| format!("{}: {}", listed[at].capture, listed[at].check))
            .collect();
        assert!(rotten.is_empty(), "listed and not found:\n{}", rotten.join("\n"));
    }
}

#[test]
fn weeks_of_a_healthy_city_raise_nothing_but_what_is_listed() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("quiet");
    fs::create_dir_all(&folder).expect("a folder for the weeks");
    let path = folder.join("weeks.pcap");
    let mut capture = Capture::new(BufWriter::with_capacity(1 << 20, File::create(&path).expect("a file"))).expect("a capture");
    weeks(&mut capture, &WEEKS).expect("room for the weeks");
    capture.finish().expect("room for the weeks");
    let report = replay(&path, without_trials());
    fs::remove_file(&path).expect("it was there");
    assert!(report.inventory.count().0 >= WEEKS.devices(), "all devices are there");
    let listed = list().weeks;
    let mut comparison = Comparison::default();
    comparison.take(&listed, "weeks", &report, &BTreeSet::new());
    let device_weeks = WEEKS.devices() as u64 * WEEKS.weeks;
    let count = |least| report.judgement.findings.iter().filter(|finding| finding.severity >= least).count();
    println!(
        "{device_weeks} device-weeks: {} findings, {} of them low or above, {} medium or above; {} actions",
        count(Severity::Info),
        count(Severity::Low),
        count(Severity::Medium),
        report.actions.len()
    );
    comparison.judge(&listed);
}

#[test]
fn captures_raise_nothing_but_what_their_rules_name_and_what_is_listed() {
    let listed = list().pcaps;
    let mut comparison = Comparison::default();
    let metas = rules::embedded().metas();
    for case in cases() {
        let fires = |name: &&&rules::Meta| name.fires.iter().any(|fires| fires.capture == case.name);
        let expected = metas.iter().filter(fires).map(|meta| meta.name.clone()).collect();
        comparison.take(&listed, &case.name, &replay(&case.capture, Config::default()), &expected);
    }
    comparison.judge(&listed);
}

#[test]
fn captures_of_others_raise_nothing_but_what_is_listed() {
    let Some((folder, captures)) = shared() else { return };
    let listed = list().shared;
    let mut comparison = Comparison::default();
    for capture in &captures {
        let name = capture.strip_prefix(&folder).unwrap_or(capture).display().to_string();
        comparison.take(&listed, &name, &replay(capture, without_trials()), &BTreeSet::new());
    }
    // The folder may be another than the one that the list was made for: what is not in it is not missed.
    assert!(comparison.unlisted.is_empty(), "found and not listed as right:\n{}", comparison.unlisted.join("\n"));
}
