//! `citytap findings`: what was found, and where it stands.

use super::out::{Asked, nearest, print, print_json};
use super::{DONE, FAILED, Failure, USAGE, severity};
use crate::checks;
use crate::export::findings::{Told, state};
use crate::findings::Severity;
use crate::findings::actions::name_device;
use crate::findings::kept::KeptFinding;
use crate::findings::results;
use crate::screen::text::{Columns, plain, wrapped};
use crate::screen::{counted, moment};
use crate::signatures::clauses;
use crate::store::{City, Contents};
use citytap_signing::Verifier;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// List the findings of a store, the gravest first.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap findings --store demo\n  citytap findings --store demo --severity high\n  \
    citytap findings --store demo --check default-password-accepted --format json\n  citytap findings show 24e1f0 --store demo\n  \
    citytap findings close --proof results.jsonl --key rekey.pem.pub --store demo")]
pub struct Findings {
    #[command(subcommand)]
    one: Option<One>,
    #[command(flatten)]
    asked: Asked,
    /// Only findings of this severity or above: info, low, medium, high, critical.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,
    /// Only findings of this check; `citytap schema` lists the checks.
    #[arg(long, value_name = "CHECK")]
    check: Option<String>,
    /// List also findings that a later run tested and found clear, and those closed with proof.
    #[arg(long)]
    cleared: bool,
}

#[derive(clap::Subcommand)]
enum One {
    /// Show one: what was seen where, why it matters, what to do, and which clauses of standards it contradicts or supports.
    Show {
        /// Its id or the beginning of it, as JSON tells it; or the id of a device.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Close findings with the proof of citytap-rekey that the key is replaced: signed, and checked against what was seen since.
    #[command(after_help = "Example:\n  citytap findings close --proof results.jsonl --key rekey.pem.pub --store demo")]
    Close {
        /// The signed results of citytap-rekey.
        #[arg(long, value_name = "FILE")]
        proof: PathBuf,
        /// The public key that they must be signed with.
        #[arg(long, value_name = "KEY")]
        key: PathBuf,
    },
}

impl Findings {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let mut city = self.asked.open()?;
        if let Some(One::Close { proof, key }) = &self.one {
            return close(&mut city, proof, key);
        }
        let contents = city.contents();
        if let Some(One::Show { id }) = &self.one {
            return self.show(id, contents);
        }
        if let Some(wanted) = &self.check {
            let known: BTreeSet<&str> = checks::all()
                .map(|check| check.id)
                .chain(contents.findings.values().map(|finding| finding.check.as_str()))
                .collect();
            if !known.contains(wanted.as_str()) {
                let meant =
                    nearest(wanted, known.iter().copied()).map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default();
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                eprintln!("citytap: no check is called '{wanted}'.{meant} Checks are: {known}.");
                return Ok(USAGE);
            }
        }
        let mut findings = contents.open_findings();
        if self.cleared {
            findings.extend(contents.findings.values().filter(|finding| !contents.is_open(finding)));
        }
        findings.retain(|finding| {
            self.severity.is_none_or(|least| finding.severity >= least)
                && self.check.as_ref().is_none_or(|check| finding.check == *check)
        });
        if self.asked.json() {
            print_json(&findings.iter().map(|finding| Told::new(finding, contents)).collect::<Vec<_>>())?;
            return Ok(DONE);
        }
        let heads = ["SEVERITY", "SURE", "DEVICE", "ID", "CHECK", "LAST SEEN", "STATE"];
        // Where all are open it need not be said.
        let shown = if self.cleared { heads.len() } else { heads.len() - 1 };
        let mut columns = Columns::new(&heads[..shown]);
        for finding in &findings {
            let device = contents.devices.get(&finding.device).map_or(finding.subject.clone(), name_device);
            let last = finding.last_seen.map(moment).unwrap_or_default();
            let row = [
                finding.severity.name().to_owned(),
                finding.confidence.clone(),
                device,
                finding.device.to_string(),
                finding.check.clone(),
                last,
                state(finding, contents).to_owned(),
            ];
            columns.row(row.into_iter().take(shown));
        }
        let mut text = if findings.is_empty() { String::new() } else { columns.to_text() };
        text.push_str(&counted(findings.len(), "finding", "findings"));
        text.push_str(&self.beside(contents.findings.values().filter(|finding| !contents.is_open(finding)).collect()));
        text.push('\n');
        if findings.is_empty() {
            text.push_str(&wrapped(
                "",
                "What could not be tested is no finding and not safe either: `citytap devices show ID` tells both.",
            ));
        }
        print(&text)?;
        Ok(DONE)
    }

    fn show(&self, typed: &str, contents: &Contents) -> Result<u8, Failure> {
        let lower = typed.to_lowercase();
        let fits = |finding: &&KeptFinding| finding.id.starts_with(&lower) || finding.device.to_string() == lower;
        let findings: Vec<&KeptFinding> =
            if lower.is_empty() { Vec::new() } else { contents.findings.values().filter(fits).collect() };
        if findings.is_empty() {
            let meant = nearest(&lower, contents.findings.keys().map(String::as_str)).map(|id| format!(" Did you mean '{id}'?"));
            let help = " `citytap findings --format json | jq '.[].id'` lists them.".to_owned();
            eprintln!("citytap: no finding has the id '{}'.{}", plain(typed), meant.unwrap_or(help));
            return Ok(USAGE);
        }
        if self.asked.json() {
            print_json(&findings.iter().map(|finding| Told::new(finding, contents)).collect::<Vec<_>>())?;
            return Ok(DONE);
        }
        print(&findings.iter().map(|finding| page(finding, contents)).collect::<Vec<_>>().join("\n"))?;
        Ok(DONE)
    }

    fn beside(&self, over: Vec<&KeptFinding>) -> String {
        let closed = over.iter().filter(|finding| finding.is_closed()).count();
        let parts = [(over.len() - closed, "that a later run found clear"), (closed, "closed with proof")];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if parts.is_empty() || self.cleared {
            String::new()
        } else {
            format!(", and {} (--cleared lists them)", parts.join(", "))
        }
    }
}

/// Closes what a file of results proves.
fn close(city: &mut City, file: &Path, key: &Path) -> Result<u8, Failure> {
    let key = Verifier::read(key)?;
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let results = match results::read(&file.display().to_string(), &text, &key) {
        Ok(results) => results,
        Err(error) => {
            eprintln!("citytap: {error}");
            return Ok(FAILED);
        }
    };
    let mut open = 0;
    let mut proofs = Vec::new();
    for (finding, proof) in results {
        match proof {
            Ok(proof) => proofs.push(proof),
            Err(why) => {
                open += 1;
                eprintln!("citytap: finding {finding} stays open: {why}");
            }
        }
    }
    let named: Vec<String> = proofs.iter().map(|proof| proof.finding.clone()).collect();
    let mut closed = 0;
    for (finding, outcome) in named.iter().zip(city.close(proofs)?) {
        match outcome {
            Ok(_) => closed += 1,
            Err(why) => {
                open += 1;
                eprintln!("citytap: finding {} stays open: {why}", plain(finding));
            }
        }
    }
    print(&format!("{} closed with proof\n", counted(closed, "finding", "findings")))?;
    Ok(if open == 0 { DONE } else { FAILED })
}

fn page(finding: &KeptFinding, contents: &Contents) -> String {
    let mut text = wrapped("", &finding.message);
    let mut line = |first: &str, words: &str| text.push_str(&wrapped(first, words));
    let device = contents.devices.get(&finding.device).map_or(finding.subject.clone(), name_device);
    let state = match state(finding, contents) {
        "cleared" => "cleared by a later run",
        other => other,
    };
    line("  id        ", &format!("{}, {state}", finding.id));
    if let Some(closed) = &finding.closed {
        let since = if finding.is_closed() { "" } else { "; it was seen again since, so it is open" };
        let proof = format!(
            "the key was replaced in rotation {} of {} (generation {} to {}): in use since {}, seen by {}; the old one refused since {}; \
            signed by key {}{since}",
            closed.rotation,
            closed.slot,
            closed.from,
            closed.to,
            moment(closed.proven),
            closed.witnesses.join(" and "),
            moment(closed.at),
            closed.key
        );
        line("  proof     ", &plain(&proof));
    }
    line("  device    ", &format!("{device} ({}), seen as {}", finding.device, finding.subject));
    line("  check     ", &finding.check);
    line("  severity  ", &format!("{}, {}", finding.severity.name(), finding.confidence));
    let places = finding.evidence.iter().map(|place| {
        let of = place.run.filter(|_| contents.runs.len() > 1).map(|run| format!(" of run {run}")).unwrap_or_default();
        format!("frame {}{of} ({}, {})", place.frame, moment(place.time), place.field)
    });
    let places = places.collect::<Vec<_>>().join("; ");
    line("  seen      ", &format!("{}: {places}", counted(finding.count, "time", "times")));
    line("  why       ", &finding.why);
    line("  do        ", &finding.remedy);
    if !finding.references.is_empty() {
        line("  see       ", &finding.references.join("; "));
    }
    clauses::of(&finding.check).lines().iter().for_each(|clause| line("  clause    ", clause));
    text
}
