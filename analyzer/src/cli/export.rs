//! `citytap export`: snapshots of a store for other programs.

use super::out::{open_store, print_bytes};
use super::{DONE, Failure};
use crate::export::{findings, inventory, rekey};
use citytap_sensor::time::Timestamp;
use citytap_signing::Signer;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

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
    /// The findings about keys, signed, for citytap-rekey on the gateway. No secret is in it.
    #[command(after_help = "Examples:\n  citytap keys make --out citytap.pem\n  \
        citytap export rekey --store demo --sign citytap.pem --out findings.jsonl\n  \
        citytap export rekey --store demo --sign citytap.pem --with-digests --out findings.jsonl")]
    Rekey(Rekey),
}

/// What a module that replaces keys gets.
#[derive(clap::Args)]
struct Rekey {
    /// The store's folder; else CITYTAP_STORE says it, else it is ./citytap-store.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The private key to sign with; `citytap keys make` makes one.
    #[arg(long, value_name = "KEY")]
    sign: PathBuf,
    /// Add keyed digests of what devices presented, for a module that is paired with this store (`citytap keys pair`).
    #[arg(long)]
    with_digests: bool,
    /// Write into this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Rekey {
    fn run(self) -> Result<u8, Failure> {
        let signer = Signer::read(&self.sign)?;
        let city = open_store(self.store)?;
        // The clock of this machine: the reader refuses what is old, whatever the packets' times are.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let made = Timestamp(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        write(self.out.as_deref(), &rekey::signed(city.contents(), &city.about().site, &signer, self.with_digests, made))
    }
}

fn write(to: Option<&Path>, bytes: &[u8]) -> Result<u8, Failure> {
    match to {
        Some(path) => std::fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?,
        None => print_bytes(bytes)?,
    }
    Ok(DONE)
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
        let (format, to, is_inventory) = match self.what {
            What::Rekey(command) => return command.run(),
            What::Inventory(to) => (to.format.clone(), to, true),
            What::Findings(to) => (to.format.clone(), to, false),
        };
        let city = open_store(to.store)?;
        let contents = city.contents();
        let devices = || contents.shown(contents.devices.values());
        let mut bytes = Vec::new();
        match (is_inventory, format.as_str()) {
            (true, "csv") => inventory::csv(&devices(), &mut bytes)?,
            (true, _) => inventory::json(&devices(), &mut bytes)?,
            (false, "csv") => findings::csv(contents, &mut bytes)?,
            (false, _) => findings::json(contents, &mut bytes)?,
        }
        write(to.out.as_deref(), &bytes)
    }
}
