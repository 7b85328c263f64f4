//! The folder that `replay --out` writes: this run alone, the same bytes for the same capture, configuration, version and packs.
//!
//! Files are written beside their final names and renamed when all are there, so that a reader never sees half of one.

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
use std::io::{self, BufWriter, Write};
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
    let put = |name: &str, write: &dyn Fn(&mut Out) -> io::Result<()>| {
        let beside = folder.join(format!(".{name}.new"));
        let written = std::fs::File::create(&beside).and_then(|file| {
            let mut out = BufWriter::new(file);
            write(&mut out)?;
            out.flush()
        });
        written.map_err(|error| failed(&beside, error))
    };
    put("devices.jsonl", &|out| lines(out, report.devices().map(Weighed::from)))?;
    put("findings.jsonl", &|out| lines(out, &report.judgement.findings))?;
    put("actions.jsonl", &|out| lines(out, told(report)))?;
    put("alerts.jsonl", &|out| lines(out, alerts(report)))?;
    put("checks.jsonl", &|out| lines(out, &report.judgement.checks))?;
    put("coverage.json", &|out| out.write_all(pretty(&coverage(report)).as_bytes()))?;
    put("manifest.json", &|out| out.write_all(pretty(&manifest(report, captures, digests, site)).as_bytes()))?;
    FILES.iter().try_for_each(|name| {
        let path = folder.join(name);
        std::fs::rename(folder.join(format!(".{name}.new")), &path).map_err(|error| failed(&path, error))
    })
}

/// All files of the folder.
const FILES: [&str; 7] =
    ["devices.jsonl", "findings.jsonl", "actions.jsonl", "alerts.jsonl", "checks.jsonl", "coverage.json", "manifest.json"];

type Out = BufWriter<std::fs::File>;

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

/// One JSON object a line, each with the schema's version. A city's devices are some hundred megabytes: they are written as they are made.
fn lines<T: Serialize>(out: &mut Out, items: impl IntoIterator<Item = T>) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<T> {
        schema_version: u32,
        #[serde(flatten)]
        item: T,
    }
    items.into_iter().try_for_each(|item| {
        serde_json::to_writer(&mut *out, &Line { schema_version: SCHEMA_VERSION, item })?;
        out.write_all(b"\n")
    })
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
