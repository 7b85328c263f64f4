//! What a person types: one file a subcommand. Exit codes are stable: 0 done, 1 refused or failed, 2 wrong usage, 3 a file could not be read or written.

mod approve;
mod asked;
mod audit;
mod break_glass;
mod copies;
mod doctor;
mod enter;
mod findings;
mod hold;
mod host;
mod keys;
mod leave;
mod orders;
mod plan;
mod progress;
mod readiness;
mod run;
mod simulate;
mod status;
mod work_orders;

use clap::{Parser, Subcommand};
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Everything was done.
pub const DONE: u8 = 0;
/// It was refused, or failed; the text says why and what to do.
pub const FAILED: u8 = 1;
/// What was typed is wrong.
pub const USAGE: u8 = 2;
/// A file could not be read or written.
pub const UNREADABLE: u8 = 3;

#[derive(Parser)]
#[command(
    name = "citytap-rekey",
    version,
    max_term_width = 110,
    about = "Replaces bad keys where the device allows it, and proves that the new one is in use and the old one refused",
    after_help = "The way of a rotation:\n  citytap-rekey findings import findings.jsonl    what citytap found, signed\n  \
        citytap-rekey readiness                         what can be changed, how safely; changes nothing\n  \
        citytap-rekey plan --out plan.json              what would be done; changes nothing\n  \
        citytap-rekey approve plan.json --key ada.pem   by each person who must agree\n  \
        citytap-rekey run --plan plan.json              carries it out, if the policy says dry_run = false\n  \
        citytap-rekey status                            where each device is, in words\n  \
        citytap-rekey hold --all                        stops everything where it is: old and new keys stay accepted\n\n\
        Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 a file could not be read or written"
)]
struct Arguments {
    /// The configuration; else CITYTAP_REKEY_CONFIG says it, else it is /etc/citytap-rekey/rekey.toml.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Readiness(readiness::Readiness),
    Plan(plan::Plan),
    Approve(approve::Approve),
    Run(run::Run),
    Status(status::Status),
    Hold(hold::Hold),
    Continue(hold::Continue),
    Revert(hold::Revert),
    Cancel(hold::Cancel),
    Leave(leave::Leave),
    WorkOrders(work_orders::WorkOrders),
    Findings(findings::Findings),
    Results(findings::Results),
    Pair(findings::Pair),
    Which(findings::Which),
    Enter(enter::Enter),
    Audit(audit::Audit),
    Doctor(doctor::Doctor),
    BreakGlass(break_glass::BreakGlass),
    Copy(copies::Copy),
    Restore(copies::Restore),
    Keys(keys::Keys),
    Sealing(keys::Sealing),
    Simulate(simulate::Simulate),
}

/// Why a command ends without having done what it was asked, as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    code: u8,
    text: String,
}

impl Stop {
    /// Refused, or failed.
    pub fn refused(text: impl fmt::Display) -> Self {
        Self { code: FAILED, text: text.to_string() }
    }

    /// Wrong usage.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self { code: USAGE, text: text.to_string() }
    }

    /// A file could not be read or written.
    pub fn file(text: impl fmt::Display) -> Self {
        Self { code: UNREADABLE, text: text.to_string() }
    }
}

/// What a command answers.
pub type Answer = Result<u8, Stop>;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Before anything is read that is secret.
    let short = crate::secrets::process::shut_in();
    let arguments = Arguments::parse();
    let config =
        arguments.config.or_else(|| std::env::var_os("CITYTAP_REKEY_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
    let config = config.unwrap_or_else(|| crate::config::DEFAULT.into());
    let answer = match arguments.command {
        Command::Readiness(command) => command.run(&config),
        Command::Plan(command) => command.run(&config),
        Command::Approve(command) => command.run(&config),
        Command::Run(command) => command.run(&config, &short),
        Command::Status(command) => command.run(&config),
        Command::Hold(command) => command.run(&config),
        Command::Continue(command) => command.run(&config),
        Command::Revert(command) => command.run(&config),
        Command::Cancel(command) => command.run(&config),
        Command::Leave(command) => command.run(&config),
        Command::WorkOrders(command) => command.run(&config),
        Command::Findings(command) => command.run(&config),
        Command::Results(command) => command.run(&config),
        Command::Pair(command) => command.run(&config),
        Command::Which(command) => command.run(&config),
        Command::Enter(command) => command.run(&config),
        Command::Audit(command) => command.run(&config),
        Command::Doctor(command) => command.run(&config, &short),
        Command::BreakGlass(command) => command.run(&config),
        Command::Copy(command) => command.run(&config),
        Command::Restore(command) => command.run(&config),
        Command::Keys(command) => command.run(),
        Command::Sealing(command) => command.run(&config),
        Command::Simulate(command) => command.run(),
    };
    match answer {
        Ok(code) => ExitCode::from(code),
        Err(stop) => {
            for line in stop.text.lines() {
                eprintln!("citytap-rekey: {line}");
            }
            ExitCode::from(stop.code)
        }
    }
}

/// Prints to standard output. A reader such as `head` that closes the pipe has what it wanted.
fn print(text: &str) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Stop::file(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// A table: columns as wide as their widest cell, but for the last.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let mut text: String = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    };
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    std::iter::once(line(&head)).chain(rows.iter().map(|row| line(row))).collect()
}

/// The time now, by the system's clock. Rotations go by the agent's own, which does not believe a jump.
fn now() -> crate::time::Timestamp {
    use crate::agent::Clock;
    crate::agent::SystemClock::start().wall()
}
