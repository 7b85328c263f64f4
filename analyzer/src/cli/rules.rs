//! `citytap rules`: check, list and show rules, and try them on captures.

use super::out::{nearest, print, print_json};
use super::{DONE, FAILED, Failure, UNREADABLE, USAGE};
use crate::engine::{self, Setup};
use crate::inventory::confidence_name;
use crate::rules::{self, Fires, Meta, Problem, RuleSet};
use crate::screen::counted;
use crate::screen::text::{Columns, wrapped};
use citytap_sensor::capture::{CaptureSource, Merge, ReadOptions};
use citytap_sensor::observation::RecordKind;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Check, list, show and try rules: ours and your own.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap rules check my-rules\n  citytap rules list\n  citytap rules show modbus-unit-scan\n  \
    citytap rules test monday.pcap --rules my-rules\n\nRules are Sigma, with correlations. Fields are those of `citytap schema`."
)]
pub struct Rules {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Say what is wrong in rule files, with file, line and column; exit with code 1 if anything is.
    Check {
        /// Files, or folders with .yml files; without one, the rules that come with the program.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// List the rules by name.
    List {
        #[command(flatten)]
        own: OwnRules,
        /// What to print: a table for people, or JSON.
        #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
        format: String,
    },
    /// Show one rule: what it asks, why it matters, what to do.
    Show {
        /// Its name, as `citytap rules list` tells it.
        name: String,
        #[command(flatten)]
        own: OwnRules,
    },
    /// Try rules on captures: how often each matched, and what it found.
    Test {
        /// Capture files, as for `citytap replay`.
        #[arg(required = true, value_name = "CAPTURE")]
        captures: Vec<PathBuf>,
        #[command(flatten)]
        own: OwnRules,
        /// Only this rule.
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
    },
}

/// Rules of a person's own, beside those that come with the program.
#[derive(clap::Args)]
pub struct OwnRules {
    /// A file or a folder with rules of your own (.yml); they are used beside those that come with the program.
    #[arg(long = "rules", value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl OwnRules {
    /// The program's rules and the person's. What is wrong in the person's is told and costs itself alone.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn load(&self) -> Result<Arc<RuleSet>, Failure> {
        if self.paths.is_empty() {
            return Ok(rules::embedded().clone());
        }
        let set = rules::with_own(&self.paths)?;
        for problem in set.problems() {
            eprintln!("{problem}");
        }
        if !set.problems().is_empty() {
            let problems = counted(set.problems().len(), "problem", "problems");
            eprintln!("citytap: {problems} in your rules; what has none is used. `citytap rules check` says when all is well.");
        }
        Ok(Arc::new(set))
    }
}

impl Rules {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        match self.what {
            What::Check { paths } => check(&paths),
            What::List { own, format } => list(&*own.load()?, format == "json"),
            What::Show { name, own } => show(&*own.load()?, &name),
            What::Test { captures, own, rule } => test(own.load()?, &captures, rule.as_deref()),
        }
    }
}

fn check(paths: &[PathBuf]) -> Result<u8, Failure> {
    let own = !paths.is_empty();
    let set = if own { Arc::new(rules::with_own(paths)?) } else { rules::embedded().clone() };
    let problems: &[Problem] = set.problems();
    let mut text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    let asked = set.metas().iter().filter(|meta| meta.own == own).count();
    text.push_str(&counted(asked, "rule", "rules"));
    if own && set.filters() > 0 {
        text.push_str(&format!(" and {}", counted(set.filters(), "filter", "filters")));
    }
    text.push_str(" without a problem");
    if !problems.is_empty() {
        text.push_str(&format!(", {}", counted(problems.len(), "problem", "problems")));
    }
    text.push('\n');
    let slow: Vec<&str> = set.slow().filter(|meta| meta.own == own).map(|meta| meta.name.as_str()).collect();
    if !slow.is_empty() {
        let what = "asked of every message of their protocol; a field that must have one of a few values makes them cheap";
        let are = counted(slow.len(), "rule is", "rules are");
        text.push_str(&wrapped("", &format!("{are} {what}: {}", slow.join(", "))));
    }
    print(&text)?;
    Ok(if problems.is_empty() { DONE } else { FAILED })
}

fn list(set: &RuleSet, as_json: bool) -> Result<u8, Failure> {
    let metas = set.metas();
    if as_json {
        print_json(&metas.iter().map(|meta| object(set, meta)).collect::<Vec<_>>())?;
        return Ok(DONE);
    }
    let mut columns = Columns::new(&["NAME", "SEVERITY", "PROTOCOL", "TITLE"]);
    for meta in &metas {
        columns.row([meta.name.clone(), meta.severity.name().into(), service(set, meta), meta.title.clone()]);
    }
    print(&format!("{}{}\n", columns.to_text(), counted(metas.len(), "rule", "rules")))?;
    Ok(DONE)
}

fn service(set: &RuleSet, meta: &Meta) -> String {
    set.services_of(&meta.name).join(", ")
}

fn object(set: &RuleSet, meta: &Meta) -> serde_json::Value {
    json!({
        "name": meta.name,
        "id": meta.id,
        "title": meta.title,
        "description": meta.description,
        "severity": meta.severity,
        "confidence": confidence_name(meta.confidence),
        "protocols": set.services_of(&meta.name),
        "remedy": meta.spec.remedy,
        "why": meta.spec.why,
        "references": meta.spec.references,
        "tags": meta.tags,
        "falsepositives": meta.falsepositives,
        "file": meta.file,
        "line": meta.line,
    })
}

fn show(set: &RuleSet, name: &str) -> Result<u8, Failure> {
    let metas = set.metas();
    let Some(meta) = metas.iter().find(|meta| meta.name == name || meta.id.as_deref() == Some(name)) else {
        return Ok(unknown(name, &metas));
    };
    let mut text = format!("{}  {}\n{}:{}\n", meta.name, meta.title, meta.file, meta.line);
    let mut line = |head: &str, what: &str| {
        if !what.is_empty() {
            text.push_str(&wrapped(head, what));
        }
    };
    line("severity  ", &format!("{}, {}", meta.severity.name(), confidence_name(meta.confidence)));
    line("about     ", &meta.description);
    if let Some(rule) = set.rules().iter().find(|rule| rule.meta.name == meta.name) {
        let kinds: Vec<&str> =
            rule.kinds().map(|kind| kind.map_or("an anomaly without a record", |kind: &RecordKind| kind.name)).collect();
        line("looks at  ", &kinds.join(", "));
    }
    if let Some(correlation) = set.correlations().iter().find(|correlation| correlation.meta.name == meta.name) {
        line("counts    ", &set.members_of(correlation).join(", "));
        line("by        ", &correlation.group_by.join(", "));
        let numbers: Vec<String> = correlation.counts().map(|(name, number)| format!("{name} = {number}")).collect();
        line("numbers   ", &format!("{}; [[check]] of the configuration changes them", numbers.join(", ")));
    }
    line("less      ", &meta.filters.join("; "));
    line("says      ", &meta.spec.finding.replace("{_", "{"));
    line("do        ", meta.spec.remedy);
    line("why       ", meta.spec.why);
    line("harmless  ", &meta.falsepositives.join(" "));
    line("see       ", &meta.spec.references.join("; "));
    let fires = |fires: &Fires| {
        format!("{} ({})", fires.capture, counted(usize::try_from(fires.findings).unwrap_or(usize::MAX), "finding", "findings"))
    };
    line("fires on  ", &meta.fires.iter().map(fires).collect::<Vec<_>>().join(", "));
    line("silent on ", &meta.silent.join(", "));
    print(&text)?;
    Ok(DONE)
}

fn unknown(name: &str, metas: &[&Meta]) -> u8 {
    let meant = nearest(name, metas.iter().map(|meta| meta.name.as_str()))
        .map_or_else(String::new, |word| format!(" Did you mean '{word}'?"));
    eprintln!("citytap: no rule is called '{name}'.{meant} `citytap rules list` names them all.");
    USAGE
}

fn test(set: Arc<RuleSet>, captures: &[PathBuf], only: Option<&str>) -> Result<u8, Failure> {
    let metas = set.metas();
    if let Some(name) = only
        && !metas.iter().any(|meta| meta.name == name)
    {
        return Ok(unknown(name, &metas));
    }
    let mut source = Merge::open(captures, ReadOptions::default());
    let setup = Setup { rules: set.clone(), ..Setup::default() };
    let report = engine::replay(&mut source, &setup)?;
    for damage in source.damage() {
        eprintln!("citytap: {}", damage.error);
    }
    if source.describe().iter().all(|capture| capture.packets == 0) && !source.damage().is_empty() {
        return Ok(UNREADABLE);
    }
    let mut findings: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for finding in &report.judgement.findings {
        findings.entry(finding.spec.id).or_default().push(finding.message());
    }
    let mut text = String::new();
    for meta in metas.iter().filter(|meta| only.is_none_or(|name| meta.name == name)) {
        let matches = report.coverage.rules.get(meta.name.as_str()).copied().unwrap_or_default();
        let found = findings.remove(meta.name.as_str()).unwrap_or_default();
        if matches == 0 && only.is_none() {
            continue;
        }
        let matches = counted(usize::try_from(matches).unwrap_or(usize::MAX), "match", "matches");
        text.push_str(&format!("{}: {matches}, {}\n", meta.name, counted(found.len(), "finding", "findings")));
        found.iter().take(SHOWN).for_each(|message| text.push_str(&wrapped("  ", message)));
        if found.len() > SHOWN {
            text.push_str(&format!("  and {} more\n", found.len() - SHOWN));
        }
    }
    if text.is_empty() {
        text.push_str("no rule matched\n");
    }
    print(&text)?;
    Ok(DONE)
}

/// Findings of one rule that are told in words.
const SHOWN: usize = 10;
