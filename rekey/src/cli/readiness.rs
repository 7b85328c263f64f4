//! `citytap-rekey readiness`: what can be changed, by which way, how safely. Changes nothing.

use super::asked::{Said, ask};
use super::host::Host;
use super::{Answer, Stop, table};
use crate::backends::BACKENDS;
use crate::planning::described;
use crate::rotation::Class;
use crate::words::counted;
use std::path::Path;

/// Show which devices can be changed remotely, by which way and how safely. Changes nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap-rekey readiness\n  citytap-rekey readiness --csv > readiness.csv")]
pub struct Readiness {
    /// Write CSV (RFC 4180) instead of a table.
    #[arg(long)]
    csv: bool,
}

impl Readiness {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        ask(config, |host| self.answer(host))
    }

    /// What it says.
    pub fn answer(&self, host: &Host) -> Result<Said, Stop> {
        let mut rows = Vec::new();
        let (mut remote, mut site, mut none) = (0, 0, 0);
        for slot in host.slots()? {
            let permitted = host.policy.permits(&slot).err().unwrap_or_else(|| "yes".into());
            let (class, how) = match host.backends.get(slot.backend()).map(|backend| backend.capability(&slot)) {
                None => ("no backend".to_owned(), format!("there is no open part [{}] in the configuration", slot.backend())),
                Some(Err(refusal)) => ("no".to_owned(), refusal.to_string()),
                Some(Ok(capability)) => (class(capability.class).to_owned(), described(&capability)),
            };
            match class.as_str() {
                "no backend" | "no" => none += 1,
                "site visit" => site += 1,
                _ => remote += 1,
            }
            rows.push(vec![slot.to_string(), class, permitted, how]);
        }
        let head = ["SLOT", "HOW SAFELY", "POLICY", "HOW"];
        if self.csv {
            return Ok(Said::done(super::work_orders::csv(&head, &rows)?));
        }
        let mut text = table(&head, &rows);
        text.push_str(&format!(
            "{} can be changed from here, {site} only by a person at the device, {none} not at all\n",
            counted(remote, "device", "devices")
        ));
        text.push_str("\nBackends:\n");
        for spec in BACKENDS {
            let state = match (host.backends.get(spec.name), host.unopened.iter().find(|(name, _)| name == spec.name)) {
                (Some(backend), _) => {
                    backend.preflight().err().map_or("ready".to_owned(), |refusal| format!("not ready: {refusal}"))
                }
                (None, Some((_, why))) => format!("not ready: {why}"),
                (None, None) => format!("not configured; it needs a part [{}]", spec.name),
            };
            let unproven = if spec.unproven.is_empty() { String::new() } else { format!("; {}", spec.unproven) };
            text.push_str(&format!("  {}: {}: {state}{unproven}\n", spec.name, spec.verifies));
        }
        if BACKENDS.is_empty() {
            text.push_str("  none: this build can verify nothing yet\n");
        }
        Ok(Said::done(text))
    }
}

/// A class in words.
pub fn class(class: Class) -> &'static str {
    match class {
        Class::Overlap => "overlap",
        Class::SelfReverting => "self-reverting",
        Class::CutOver => "cut-over",
        Class::SiteVisit => "site visit",
    }
}
