//! `citytap config`, and the flag `--config` of other commands.

use super::out::print;
use super::rules::OwnRules;
use super::{DONE, Failure, USAGE};
use crate::config::{Config as Configuration, Flags, Problem};
use std::path::PathBuf;

/// Check a configuration file and print all that a run would go by, each value with where it comes from.
///
/// Without a file it prints the defaults: a first file to change.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap config > citytap.toml\n  citytap config --config citytap.toml")]
pub struct Config {
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    own_rules: OwnRules,
}

impl Config {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let config = match self.configured.load(&Flags::default()) {
            Ok(config) => config,
            Err(code) => return Ok(code),
        };
        if let Err(problems) = config.policy(&*self.own_rules.load()?) {
            return Ok(refuse(&problems));
        }
        print(&config.to_toml())?;
        Ok(DONE)
    }
}

/// The flag that names a configuration.
#[derive(clap::Args)]
pub struct Configured {
    /// Configuration file: site, networks, memory, keys, payloads. `citytap config` prints one to begin with.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Configured {
    /// Puts the layers together. What is wrong is told, and so is what a person should know.
    ///
    /// # Errors
    /// The exit code, where something is wrong.
    pub fn load(&self, flags: &Flags) -> Result<Configuration, u8> {
        match Configuration::load(self.config.as_deref(), flags) {
            Ok(config) => {
                config.warnings.iter().for_each(|warning| eprintln!("citytap: {warning}"));
                Ok(config)
            }
            Err(problems) => Err(refuse(&problems)),
        }
    }
}

/// Tells what is wrong, and answers with which code to end.
pub fn refuse(problems: &[Problem]) -> u8 {
    problems.iter().for_each(|problem| eprintln!("citytap: {problem}"));
    USAGE
}
