//! `citytap-rekey work-orders`: what a person must do at a device.

use super::asked::{Said, ask};
use super::host::Host;
use super::{Answer, Stop, table};
use crate::rotation::Effect;
use crate::secrets::break_glass::{Entry, export};
use crate::words::{counted, moment};
use std::path::{Path, PathBuf};

/// List what a person must do at a device. The new key is staged already: the device may come with either.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap-rekey work-orders\n  citytap-rekey work-orders --csv > orders.csv\n  \
    citytap-rekey work-orders --recipient age1tech... --recipient age1office... --out keys.age    with the keys, for those two alone")]
pub struct WorkOrders {
    /// Write CSV (RFC 4180) instead of a page to print.
    #[arg(long)]
    csv: bool,
    /// Encrypt the keys of the orders to these people (age); at least two.
    #[arg(long, value_name = "RECIPIENT", requires = "out")]
    recipient: Vec<String>,
    /// Where the encrypted keys go.
    #[arg(long, value_name = "FILE", requires = "recipient")]
    out: Option<PathBuf>,
}

impl WorkOrders {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        ask(config, |host| self.answer(host))
    }

    /// Takes names of files as of a folder.
    pub fn within(&mut self, folder: &Path) {
        self.out = self.out.take().map(|out| folder.join(out));
    }

    /// What it says; writes the encrypted keys where that was asked.
    pub fn answer(&self, host: &Host) -> Result<Said, Stop> {
        let (mut rows, mut entries) = (Vec::new(), Vec::new());
        for rotation in host.journal.rotations().map_err(Stop::file)?.iter().filter(|one| !one.state().is_end()) {
            let plan = &rotation.plan;
            for (_, entry) in host.journal.history(plan.id).map_err(Stop::file)? {
                let Effect::WorkOrder { generation } = entry.effect else { continue };
                let way = host
                    .backends
                    .get(plan.slot.backend())
                    .and_then(|backend| backend.capability(&plan.slot).ok())
                    .map(|can| can.way);
                rows.push(vec![
                    plan.id.0.to_string(),
                    plan.slot.to_string(),
                    plan.device.clone(),
                    moment(entry.at),
                    format!("enter {generation}"),
                    way.unwrap_or_default(),
                ]);
                if let Some(secret) = host.journal.secret(&plan.slot, generation).map_err(Stop::file)? {
                    let state = format!("to be entered at {}", plan.device);
                    entries.push(Entry { slot: plan.slot.clone(), generation, state, secret });
                }
            }
        }
        let head = ["ROTATION", "SLOT", "DEVICE", "SINCE", "WHAT", "HOW"];
        if let Some(out) = &self.out {
            let bytes = export(&self.recipient, &entries).map_err(Stop::refused)?;
            super::host::write(out, &bytes)?;
            let count = counted(entries.len(), "order", "orders");
            return Ok(Said::done(format!("The keys of {count} are in {}, for each of the recipients\n", out.display())));
        }
        if self.csv {
            return Ok(Said::done(csv(&head, &rows)?));
        }
        let mut text = if rows.is_empty() { String::new() } else { table(&head, &rows) };
        text.push_str(&format!("{}\n", counted(rows.len(), "work order", "work orders")));
        Ok(Said::done(text))
    }
}

/// Rows as CSV. A cell that a spreadsheet would compute is put in an apostrophe.
pub fn csv(head: &[&str], rows: &[Vec<String>]) -> Result<String, Stop> {
    let failed = |error: csv::Error| Stop::file(format!("cannot write CSV: {error}"));
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(head.iter().map(|name| name.to_lowercase().replace(' ', "_"))).map_err(failed)?;
    for row in rows {
        let harmless =
            |cell: &String| if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.clone() };
        writer.write_record(row.iter().map(harmless)).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| Stop::file(error.to_string()))?;
    String::from_utf8(bytes).map_err(Stop::file)
}
