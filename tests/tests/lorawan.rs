//! The LoRaWAN detectors on captures: each attack is told, as often as its recording says, and nothing else is.

use citytap_analyzer::detectors::DETECTORS;
use citytap_analyzer::engine::{self, Setup};
use citytap_sensor::capture::Merge;
use citytap_tests::cases::{cases, shared};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The detectors meant.
fn is_ours(detector: &str) -> bool {
    detector == "gateways" || detector.starts_with("lorawan_")
}

/// The ids of their checks.
fn checks() -> BTreeSet<&'static str> {
    let detectors = DETECTORS.iter().filter(|spec| is_ours(spec.name));
    detectors.flat_map(|spec| spec.checks).map(|check| check.id).collect()
}

/// What they find on a capture: a check for each finding, sorted.
fn found(capture: &Path) -> Vec<String> {
    let mut source = Merge::open(&[capture.to_path_buf()], Default::default());
    let report = engine::replay(&mut source, &Setup::default()).unwrap_or_else(|error| panic!("{}: {error}", capture.display()));
    let ours = checks();
    let findings = report.judgement.findings.iter().map(|finding| finding.spec.id).filter(|id| ours.contains(id));
    let mut found: Vec<String> = findings.map(str::to_owned).collect();
    found.sort();
    found
}

/// What is found on captures whose recording does not say so itself, with the reason why it is right.
const RIGHT: &[(&str, &str, &str)] = &[];

/// What a recording says is to be found; `None` where it says nothing.
fn said(folder: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(folder.join("case.toml")).ok()?;
    let table: toml::Table = text.parse().expect("TOML");
    let finds = table.get("facts")?.get("finds")?.as_array()?;
    Some(finds.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect())
}

/// What stands in [`RIGHT`] of a capture.
fn right(name: &str) -> Vec<String> {
    let listed = RIGHT.iter().filter(|(capture, ..)| *capture == name);
    listed.map(|(_, check, _)| (*check).to_owned()).collect()
}

#[test]
fn attacks_are_told_and_nothing_else() {
    let mut wrong = Vec::new();
    let mut shown = BTreeSet::new();
    for case in cases() {
        let expected = said(&case.folder).filter(|_| case.name.starts_with("lorawan/")).unwrap_or_else(|| right(&case.name));
        let found = found(&case.capture);
        if found != expected {
            wrong.push(format!("{}: found {found:?}, not {expected:?}", case.name));
        }
        shown.extend(found);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unshown: Vec<_> = checks().into_iter().filter(|check| !shown.contains(*check)).collect();
    assert!(unshown.is_empty(), "no capture shows these: {unshown:?}");
}

#[test]
fn shared_captures_hold_no_attack() {
    let Some((top, captures)) = shared() else { return };
    let mut wrong = Vec::new();
    for capture in captures {
        let name = capture.strip_prefix(&top).unwrap_or(&capture).display().to_string();
        let (found, expected) = (found(&capture), right(&name));
        if found != expected {
            wrong.push(format!("{name}: found {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
