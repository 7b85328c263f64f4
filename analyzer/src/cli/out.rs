//! What commands share: printing, stores by name, nearest right words.

use super::Failure;
pub use crate::nearest::nearest;
use crate::store::City;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

/// Where a store is looked for when none is named.
pub const DEFAULT_STORE: &str = "citytap-store";

/// The variable that names a store.
pub const VARIABLE: &str = "CITYTAP_STORE";

/// The store to ask, and how to print.
#[derive(clap::Args)]
pub struct Asked {
    /// The store's folder; else CITYTAP_STORE says it, else it is ./citytap-store.
    #[arg(long, value_name = "DIR", global = true)]
    store: Option<PathBuf>,
    /// What to print: a table for people, or JSON.
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"], global = true)]
    format: String,
}

impl Asked {
    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        self.format == "json"
    }

    /// Opens the store.
    pub fn open(&self) -> Result<City, Failure> {
        open_store(self.store.clone())
    }
}

/// Opens the store that is named, or the one that is meant where none is.
pub fn open_store(named: Option<PathBuf>) -> Result<City, Failure> {
    let meant = || std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = match named.or_else(meant) {
        Some(path) => path,
        None if PathBuf::from(DEFAULT_STORE).is_dir() => DEFAULT_STORE.into(),
        None => {
            return Err(format!(
                "no store is named and there is no ./{DEFAULT_STORE}; say which with --store DIR or {VARIABLE}, \
                or make one: citytap replay CAPTURE --store {DEFAULT_STORE}"
            )
            .into());
        }
    };
    let city = City::open(&path)?;
    tell_damage(&city);
    Ok(city)
}

/// Tells of records that could not be used.
pub fn tell_damage(city: &City) {
    let (named, count) = city.damaged();
    for record in named {
        eprintln!("citytap: the store's record {} in {} was passed over: {}", record.key, record.tree.name(), record.what);
    }
    if count > 0 {
        let is = if count == 1 { "1 record is" } else { &format!("{count} records are") };
        eprintln!("citytap: {is} damaged; replay the captures into a new store to get them back");
    }
}

/// Prints to standard output. A reader such as `head` that closes the pipe has what it wanted.
pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Prints bytes to standard output.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("cannot write to standard output: {error}").into()),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    // Our own types have string keys alone: writing them to memory cannot fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    print(&text)
}
