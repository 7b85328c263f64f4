//! What a person types: one file a subcommand. Exit codes are stable: 0 done, 1 an expectation or `--fail-on` failed, 2 wrong usage,
//! 3 a file could not be read or written.

mod actions;
mod advisories;
mod alerts;
mod baseline;
mod checks;
mod completions;
mod config;
mod decode;
mod devices;
mod diff;
mod export;
mod findings;
mod keys;
mod out;
mod progress;
mod register;
mod replay;
mod rules;
mod run;
mod schema;

use crate::findings::Severity;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Everything was done.
pub const DONE: u8 = 0;
/// An expectation or a limit on findings did not hold.
pub const FAILED: u8 = 1;
/// What was typed is wrong.
pub const USAGE: u8 = 2;
/// A file could not be read or written.
pub const UNREADABLE: u8 = 3;

#[derive(Parser)]
#[command(
    name = "citytap",
    version,
    about = "Passive inventory and security findings for a city's devices",
    max_term_width = 110
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Replay(replay::Replay),
    Run(run::RunLive),
    Decode(decode::Decode),
    Devices(devices::Devices),
    Findings(findings::Findings),
    Actions(actions::Actions),
    Alerts(alerts::Alerts),
    Checks(checks::Checks),
    Register(register::Register),
    Baseline(baseline::Baseline),
    Export(export::Export),
    Diff(diff::Diff),
    Rules(rules::Rules),
    Advisories(advisories::Advisories),
    Keys(keys::Keys),
    Schema(schema::Schema),
    Config(config::Config),
    Completions(completions::Completions),
    Man(completions::Man),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Replay(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Decode(command) => command.run(),
        Command::Devices(command) => command.run(),
        Command::Findings(command) => command.run(),
        Command::Actions(command) => command.run(),
        Command::Alerts(command) => command.run(),
        Command::Checks(command) => command.run(),
        Command::Register(command) => command.run(),
        Command::Baseline(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Rules(command) => command.run(),
        Command::Advisories(command) => command.run(),
        Command::Keys(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("citytap: {error}");
            ExitCode::from(UNREADABLE)
        }
    }
}

/// An error that a person reads: what is wrong, where, and what to do.
pub type Failure = Box<dyn std::error::Error>;

/// A number of threads.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 thread is needed".into()),
        Ok(threads) => Ok(threads),
        Err(_) => Err("give a number, such as 2".into()),
    }
}

/// A severity by its name.
fn severity(text: &str) -> Result<Severity, String> {
    Severity::ALL
        .into_iter()
        .find(|severity| severity.name() == text)
        .ok_or_else(|| "severities are info, low, medium, high and critical".into())
}
