//! The folder that `replay --out` writes: this run alone, the same bytes for the same capture, configuration, version and packs.
//!
//! Files are written beside their final name and renamed, so that a reader never sees half of one.

use crate::engine::Report;
use crate::findings::actions::Told;
use crate::findings::alerts;
use crate::findings::judge::Outcome;
use crate::findings::risk::Risk;
use crate::inventory::Device;
use crate::signatures;
use citytap_sensor::capture::CaptureInfo;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Version of the schema of all outputs: raised when a field changes its meaning; added fields do not raise it.
pub const SCHEMA_VERSION: u32 = 1;

/// Writes the folder, making it if need be.
///
/// # Errors
/// What the file system answers, with the path.
pub fn write(
    folder: &Path,
    report: &Report,
    captures: &[CaptureInfo],
    digests: &[Option<String>],
    site: &str,
) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("cannot write {}: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let files = [
        ("devices.jsonl", lines(report.devices().map(Weighed::from))),
        ("findings.jsonl", lines(&report.judgement.findings)),
        ("actions.jsonl", lines(told(report))),
        ("alerts.jsonl", lines(alerts(report))),
        ("checks.jsonl", lines(&report.judgement.checks)),
        ("coverage.json", pretty(&coverage(report))),
        ("manifest.json", pretty(&manifest(report, captures, digests, site))),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        let beside = folder.join(format!(".{name}.new"));
        std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &path)).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// All of it as one JSON object, for `--format json`.
pub fn as_one_object(report: &Report, captures: &[CaptureInfo], site: &str) -> String {
    pretty(&json!({
        "manifest": manifest(report, captures, &[], site),
        "coverage": coverage(report),
        "devices": report.devices().map(Weighed::from).collect::<Vec<_>>(),
        "findings": report.judgement.findings,
        "actions": told(report).collect::<Vec<_>>(),
        "alerts": alerts(report).collect::<Vec<_>>(),
        "checks": report.judgement.checks,
    }))
}

fn told(report: &Report) -> impl Iterator<Item = Told<'_>> {
    report.actions.iter().map(|action| Told { action, devices: &report.inventory })
}

fn alerts(report: &Report) -> impl Iterator<Item = alerts::Told<'_>> {
    report.alerts.ranked().into_iter().map(|alert| alerts::Told { alert, devices: &report.inventory })
}

/// A device with its risk.
#[derive(Serialize)]
struct Weighed {
    #[serde(flatten)]
    device: Device,
    risk: Risk,
}

impl From<(Device, Risk)> for Weighed {
    fn from((device, risk): (Device, Risk)) -> Self {
        Self { device, risk }
    }
}

/// How often each check was found, clear and untested.
fn checks(report: &Report) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let mut checks: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for check in &report.judgement.checks {
        let answers = checks.entry(check.spec.id).or_insert_with(|| Outcome::ALL.map(|outcome| (outcome.name(), 0)).into());
        *answers.entry(check.outcome.name()).or_insert(0) += 1;
    }
    checks
}

/// One JSON object a line, each with the schema's version.
fn lines<T: Serialize>(items: impl IntoIterator<Item = T>) -> String {
    #[derive(Serialize)]
    struct Line<T> {
        schema_version: u32,
        #[serde(flatten)]
        item: T,
    }
    let mut text = String::new();
    for item in items {
        // Our own types have string keys alone: writing them to memory cannot fail.
        text.push_str(&serde_json::to_string(&Line { schema_version: SCHEMA_VERSION, item }).unwrap_or_default());
        text.push('\n');
    }
    text
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// What was seen and what was not, as `coverage.json` says it.
pub(crate) fn coverage(report: &Report) -> Value {
    let coverage = &report.coverage;
    let counters: BTreeMap<&str, u64> =
        coverage.counters.iter().filter(|(_, count)| *count > 0).map(|(counter, count)| (counter.name(), count)).collect();
    let anomalies: BTreeMap<&str, Value> = coverage
        .anomalies
        .iter()
        .map(|(code, (seen, count))| (*code, json!({ "count": count, "first_frame": seen.place.frame, "first_seen": seen.time })))
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "first_packet": coverage.span.map(|(first, _)| first),
        "last_packet": coverage.span.map(|(_, last)| last),
        "counters": counters,
        "records": coverage.records,
        "flows": coverage.flows,
        "undecoded_link_types": coverage.undecoded_link_types,
        "one_way_flows": coverage.one_way,
        "encrypted_flows": coverage.encrypted(),
        "anomalies": anomalies,
        "shed": coverage.shed,
        "keys": coverage.keys,
        "checks": checks(report),
    })
}

/// What made this run, as `manifest.json` says it.
pub(crate) fn manifest(report: &Report, captures: &[CaptureInfo], digests: &[Option<String>], site: &str) -> Value {
    let captures: Vec<Value> = captures
        .iter()
        .enumerate()
        .map(|(at, capture)| {
            json!({
                "name": capture.name,
                "packets": capture.packets,
                "sha256": digests.get(at).cloned().flatten(),
            })
        })
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "version": env!("CARGO_PKG_VERSION"),
        "site": site,
        "captures": captures,
        "configuration": report.configuration,
        "packs": signatures::packs(),
        "rules": report.rule_files,
        "devices": report.inventory.count().0,
        "findings": report.judgement.findings.len(),
        "actions": report.actions.len(),
        "alerts": report.alerts.iter().count(),
    })
}
