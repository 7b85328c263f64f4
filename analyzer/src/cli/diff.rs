//! `citytap diff`: what changed between two stores or run folders.

use super::out::{print, print_json};
use super::{DONE, FAILED, Failure};
use crate::export::diff::{Difference, Snapshot, compare};
use crate::findings::kept::KeptFinding;
use crate::inventory::Device;
use crate::screen::text::wrapped;
use crate::screen::{self, counted};
use crate::store::City;
use crate::store::on_disk::OnDisk;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Compare two stores, or two folders that replay --out wrote: devices new, gone and changed, findings new and gone.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap diff monday tuesday\n  citytap diff before/ after/ --format json\n  \
    citytap diff released nightly --exit-code || echo changed")]
pub struct Diff {
    /// A store, or a folder that replay --out wrote.
    #[arg(value_name = "A")]
    a: PathBuf,
    /// Another.
    #[arg(value_name = "B")]
    b: PathBuf,
    /// What to print: a table for people, or JSON.
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    format: String,
    /// Exit with code 1 if anything differs.
    #[arg(long)]
    exit_code: bool,
}

impl Diff {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let (a, b) = (load(&self.a)?, load(&self.b)?);
        let difference = compare(&a, &b);
        if self.format == "json" {
            print_json(&difference)?;
        } else {
            print(&text(&difference))?;
        }
        Ok(if self.exit_code && !difference.is_empty() { FAILED } else { DONE })
    }
}

fn load(path: &Path) -> Result<Snapshot, Failure> {
    if OnDisk::is_store(path) {
        let city = City::open(path)?;
        super::out::tell_damage(&city);
        let contents = city.contents();
        let findings = contents.open_findings().into_iter().cloned().collect();
        return Ok(Snapshot { devices: contents.devices.clone(), findings });
    }
    if !path.join("devices.jsonl").is_file() {
        let what = if path.exists() { "is neither a store nor a folder that replay --out wrote" } else { "does not exist" };
        return Err(format!("{} {what}; make one with citytap replay CAPTURE --out DIR", path.display()).into());
    }
    let devices = lines::<Device>(&path.join("devices.jsonl"))?;
    let findings = lines::<KeptFinding>(&path.join("findings.jsonl"))?;
    Ok(Snapshot { devices: devices.into_iter().map(|device| (device.id, device)).collect(), findings })
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let parse = |(at, line)| serde_json::from_str(line).map_err(|error| format!("{}:{}: {error}", path.display(), at + 1).into());
    text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect()
}

fn text(difference: &Difference) -> String {
    if difference.is_empty() {
        return "nothing differs\n".into();
    }
    let mut text = String::new();
    let mut devices = |title: &str, devices: &[Device]| {
        if !devices.is_empty() {
            text.push_str(&format!("{title}: {}\n", counted(devices.len(), "device", "devices")));
            text.push_str(&screen::device::table(devices));
            text.push('\n');
        }
    };
    devices("NEW", &difference.new);
    devices("GONE", &difference.gone);
    if !difference.changed.is_empty() {
        text.push_str(&format!("CHANGED: {}\n", counted(difference.changed.len(), "device", "devices")));
        for device in &difference.changed {
            let was = device.was.map(|was| format!(", was {was}")).unwrap_or_default();
            text.push_str(&wrapped("  ", &format!("{} ({}{was})", device.name, device.id)));
            for change in &device.changes {
                let say = |values: &[String]| if values.is_empty() { "nothing".to_owned() } else { values.join(", ") };
                let line = match (change.from.as_slice(), change.to.as_slice()) {
                    ([], to) => format!("now {}", say(to)),
                    (from, []) => format!("no longer {}", say(from)),
                    (from, to) => format!("{} → {}", say(from), say(to)),
                };
                text.push_str(&wrapped(&format!("    {:<13} ", change.field), &line));
            }
        }
        text.push('\n');
    }
    let mut findings = |title: &str, findings: &[KeptFinding]| {
        if !findings.is_empty() {
            text.push_str(&format!("{title}: {}\n", counted(findings.len(), "finding", "findings")));
        }
        for finding in findings {
            let head = format!("  [{}, {}] ", finding.severity.name(), finding.confidence);
            text.push_str(&wrapped(&head, &format!("{} ({}): {}", finding.subject, finding.device, finding.message)));
        }
    };
    findings("NEW FINDINGS", &difference.new_findings);
    findings("FINDINGS GONE", &difference.gone_findings);
    text
}
