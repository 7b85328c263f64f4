//! `citytap-rekey break-glass`: every secret in use, for the day on which nothing of ours runs.

use super::host::{Host, write};
use super::{Answer, DONE, Stop, now, print};
use crate::audit::Event;
use crate::secrets::break_glass::{Entry, export};
use crate::words::counted;
use std::path::{Path, PathBuf};

/// Encrypt every secret in use to two people or more (age). Each of them alone opens it with any implementation of age, without this program.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  citytap-rekey break-glass --recipient age1ada... --recipient age1bo... --out emergency.age\n  age -d -i ada.key emergency.age    on that day"
)]
pub struct BreakGlass {
    /// A person's public key, age1...; give at least two.
    #[arg(long, value_name = "RECIPIENT", required = true)]
    recipient: Vec<String>,
    /// Where to.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl BreakGlass {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let host = Host::open(config)?;
        let (mut entries, mut missing) = (Vec::new(), 0);
        for slot in host.slots()? {
            let accepted = host.journal.accepted(&slot).map_err(Stop::file)?;
            for generation in host.generations(&slot)? {
                let state = if accepted.accepts(generation) { "accepted" } else { "staged" };
                match host.journal.secret(&slot, generation).map_err(Stop::file)? {
                    Some(secret) => entries.push(Entry { slot: slot.clone(), generation, state: state.into(), secret }),
                    None => missing += 1,
                }
            }
        }
        let bytes = export(&self.recipient, &entries).map_err(Stop::usage)?;
        host.tell_audit(
            &Event::new("break_glass_export").with("secrets", entries.len()).with("recipients", self.recipient.clone()),
            now(),
        )?;
        write(&self.out, &bytes)?;
        let not = if missing > 0 { format!("; {missing} were never entered here and are not in it") } else { String::new() };
        print(&format!(
            "{} in {}, for each of {}{not}\n",
            counted(entries.len(), "secret", "secrets"),
            self.out.display(),
            counted(self.recipient.len(), "person", "people")
        ))?;
        Ok(DONE)
    }
}
