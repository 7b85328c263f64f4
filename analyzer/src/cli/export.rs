//! `citytap export`: snapshots of a store for other programs.

use super::out::{open_store, print_bytes};
use super::{DONE, Failure};
use crate::export::{findings, inventory};
use std::path::PathBuf;

/// Write what a store knows for other programs.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap export inventory --format csv --store demo --out inventory.csv\n  \
    citytap export inventory --format json --store demo | jq length")]
pub struct Export {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The devices, one row each, in the order of ids.
    #[command(after_help = "Examples:\n  citytap export inventory --format csv --store demo --out inventory.csv\n  \
        citytap export inventory --format json --store demo | jq length")]
    Inventory(Where),
    /// The findings, one row each, with the clauses of standards that they contradict or support.
    #[command(after_help = "Examples:\n  citytap export findings --format csv --store demo --out findings.csv\n  \
        citytap export findings --format json --store demo | jq '.[].clauses'")]
    Findings(Where),
}

/// What and where to.
#[derive(clap::Args)]
struct Where {
    /// csv (RFC 4180, for spreadsheets) or json (an array with everything that is known).
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "json"])]
    format: String,
    /// The store's folder; else CITYTAP_STORE says it, else it is ./citytap-store.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Write into this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Export {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let (What::Inventory(to) | What::Findings(to)) = &self.what;
        let city = open_store(to.store.clone())?;
        let contents = city.contents();
        let devices = || contents.shown(contents.devices.values());
        let mut bytes = Vec::new();
        match (&self.what, to.format.as_str()) {
            (What::Inventory(_), "csv") => inventory::csv(&devices(), &mut bytes)?,
            (What::Inventory(_), _) => inventory::json(&devices(), &mut bytes)?,
            (What::Findings(_), "csv") => findings::csv(contents, &mut bytes)?,
            (What::Findings(_), _) => findings::json(contents, &mut bytes)?,
        }
        match &to.out {
            Some(path) => {
                std::fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            }
            None => print_bytes(&bytes)?,
        }
        Ok(DONE)
    }
}
