//! `citytap export`: snapshots of a store for other programs.

use super::out::{open_store, print_bytes};
use super::{DONE, Failure};
use crate::export::inventory;
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
    Inventory {
        /// csv (RFC 4180, for spreadsheets) or json (an array with everything that is known).
        #[arg(long, value_name = "FORMAT", value_parser = ["csv", "json"])]
        format: String,
        /// The store's folder; else CITYTAP_STORE says it, else it is ./citytap-store.
        #[arg(long, value_name = "DIR")]
        store: Option<PathBuf>,
        /// Write into this file instead of standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

impl Export {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let What::Inventory { format, store, out } = self.what;
        let city = open_store(store)?;
        let devices = city.contents().shown(city.contents().devices.values());
        let mut bytes = Vec::new();
        if format == "csv" {
            inventory::csv(&devices, &mut bytes)?;
        } else {
            inventory::json(&devices, &mut bytes)?;
        }
        match out {
            Some(path) => {
                std::fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            }
            None => print_bytes(&bytes)?,
        }
        Ok(DONE)
    }
}
