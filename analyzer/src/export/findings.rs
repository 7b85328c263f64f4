//! The findings as CSV or JSON, with the clauses that they contradict or support: what an auditor samples from.

use super::inventory::harmless;
use crate::findings::actions::name_device;
use crate::findings::kept::KeptFinding;
use crate::signatures::clauses::{self, Clauses};
use crate::store::Contents;
use serde::Serialize;
use std::collections::BTreeSet;

/// The columns, with how each is read.
type Column = (&'static str, fn(&KeptFinding, &Contents) -> String);

const COLUMNS: &[Column] = &[
    ("id", |finding, _| finding.id.clone()),
    ("state", |finding, contents| state(finding, contents).to_owned()),
    ("check", |finding, _| finding.check.clone()),
    ("severity", |finding, _| finding.severity.name().to_owned()),
    ("confidence", |finding, _| finding.confidence.clone()),
    ("device", |finding, _| finding.device.to_string()),
    ("device_name", |finding, contents| {
        contents.devices.get(&finding.device).map_or_else(|| finding.subject.clone(), name_device)
    }),
    ("finding", |finding, _| finding.message.clone()),
    ("do", |finding, _| finding.remedy.clone()),
    ("why", |finding, _| finding.why.clone()),
    ("first_seen", |finding, _| finding.first_seen.map(|time| time.to_string()).unwrap_or_default()),
    ("last_seen", |finding, _| finding.last_seen.map(|time| time.to_string()).unwrap_or_default()),
    ("count", |finding, _| finding.count.to_string()),
    ("references", |finding, _| finding.references.join("; ")),
    ("contradicts", |finding, _| join(&clauses::of(&finding.check).contradicts)),
    ("supports", |finding, _| join(&clauses::of(&finding.check).supports)),
    ("delivery", |finding, _| finding.delivery.name().to_owned()),
];

/// How a finding stands: `open`, `closed` with proof, or `cleared` by a later run.
pub fn state(finding: &KeptFinding, contents: &Contents) -> &'static str {
    match (contents.is_open(finding), finding.is_closed()) {
        (true, _) => "open",
        (false, true) => "closed",
        (false, false) => "cleared",
    }
}

fn join(clauses: &BTreeSet<String>) -> String {
    clauses.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// As CSV (RFC 4180) with a header, in the order of ids.
///
/// # Errors
/// What writing answers.
pub fn csv(contents: &Contents, out: impl std::io::Write) -> Result<(), csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    writer.write_record(COLUMNS.iter().map(|(name, _)| *name))?;
    for finding in contents.findings.values() {
        writer.write_record(COLUMNS.iter().map(|(_, read)| harmless(read(finding, contents))))?;
    }
    writer.flush()?;
    Ok(())
}

/// As a JSON array, in the order of ids.
///
/// # Errors
/// What writing answers.
pub fn json(contents: &Contents, mut out: impl std::io::Write) -> std::io::Result<()> {
    let rows: Vec<Told<'_>> = contents.findings.values().map(|finding| Told::new(finding, contents)).collect();
    serde_json::to_writer_pretty(&mut out, &rows)?;
    out.write_all(b"\n")
}

/// A finding of a store as it is told: with whether it stands, and what it says about clauses.
#[derive(Serialize)]
pub struct Told<'a> {
    /// `open`, `closed` or `cleared`.
    pub state: &'static str,
    /// The finding.
    #[serde(flatten)]
    pub finding: &'a KeptFinding,
    /// What it says about clauses.
    pub clauses: &'static Clauses,
}

impl<'a> Told<'a> {
    /// A finding as a store knows it.
    pub fn new(finding: &'a KeptFinding, contents: &Contents) -> Self {
        Self { state: state(finding, contents), finding, clauses: clauses::of(&finding.check) }
    }
}
