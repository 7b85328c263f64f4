//! `citytap schema`: what the outputs can say.

use super::out::{nearest, print, print_json};
use super::{DONE, Failure, USAGE};
use crate::export::schema;
use citytap_sensor::protocols::DECODERS;

/// List every protocol, record kind, field, anomaly, identity kind and bound, and every check.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap schema\n  citytap schema modbus\n  citytap schema --format json | jq '.protocols[].records[].name'"
)]
pub struct Schema {
    /// Only these protocols.
    #[arg(value_name = "PROTOCOL")]
    protocols: Vec<String>,
    /// What to print: a table for people, or JSON.
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    format: String,
}

impl Schema {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        if let Some(unknown) = self.protocols.iter().find(|name| !DECODERS.iter().any(|spec| spec.name == **name)) {
            eprintln!("citytap: {}", unknown_protocol(unknown));
            return Ok(USAGE);
        }
        if self.format == "json" {
            print_json(&schema::json(&self.protocols))?;
        } else {
            print(&schema::text(&self.protocols))?;
        }
        Ok(DONE)
    }
}

/// What to say of a protocol that is none.
pub(super) fn unknown_protocol(typed: &str) -> String {
    let meant = nearest(typed, DECODERS.iter().map(|spec| spec.name));
    let meant = meant.map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default();
    let known = DECODERS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ");
    format!("no protocol is called '{typed}'.{meant} Known are: {known}.")
}
