//! `citytap-rekey status`: where each device is, in words.

use super::host::read;
use super::orders::Held;
use super::progress::{One, Progress};
use super::{Answer, DONE, now, print};
use crate::rotation::State;
use crate::time::Span;
use crate::words::{counted, moment, span};
use std::collections::BTreeMap;
use std::path::Path;

/// Show where each device is, in words. Works while `run` is at work.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap-rekey status\n  citytap-rekey status --all\n  citytap-rekey status --json | jq '.rotations'"
)]
pub struct Status {
    /// Show also rotations that have ended.
    #[arg(long)]
    all: bool,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let (config, policy) = read(config)?;
        let progress = Progress::read(&config)?;
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&progress).unwrap_or_default()))?;
            return Ok(DONE);
        }
        let mut text = String::new();
        let held = Held::read(&config)?;
        if policy.hold_all || !held.slots.is_empty() {
            text.push_str(&format!(
                "ON HOLD: {}: {}\n",
                if policy.hold_all { "everything, by the policy".into() } else { held.slots.join(", ") },
                held.why
            ));
        }
        let mut tally: BTreeMap<State, usize> = BTreeMap::new();
        for (id, one) in &progress.rotations {
            *tally.entry(one.state).or_insert(0) += 1;
            if self.all || !one.state.is_end() {
                text.push_str(&format!("{} (rotation {id})\n  {}\n", one.slot, words(one)));
                if let Some(told) = &one.told {
                    text.push_str(&format!("  told: {told}\n"));
                }
            }
        }
        let tally: Vec<String> = tally.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let all = counted(progress.rotations.len(), "rotation", "rotations");
        text.push_str(&format!("{all}{}{}\n", if tally.is_empty() { "" } else { ": " }, tally.join(", ")));
        if !progress.waiting.is_empty() {
            text.push_str(&format!("{}\n", progress.waiting));
        }
        let age = now().since(progress.at);
        if progress.at.0 > 0 && age > Span::seconds(60) {
            text.push_str(&format!(
                "As of {}: no citytap-rekey run has told anything for {}\n",
                moment(progress.at),
                span(Span::seconds(age.0 / 60_000_000_000 * 60))
            ));
        }
        print(&text)?;
        Ok(DONE)
    }
}

/// Where one device is.
pub fn words(one: &One) -> String {
    let (from, to, since) = (one.from, one.to, moment(one.since));
    match one.state {
        State::Planned => "planned; waits for approvals".into(),
        State::Approved => "approved; nothing was done yet".into(),
        State::Staged => format!("{to} is made and sealed; nothing left this host"),
        State::Accepting => format!("the verifier is being told to accept {to} beside {from}"),
        State::Delivering => format!("the device is being told {to} since {since}; {from} stays accepted"),
        State::Acked => format!("the device says that it has {to}; not seen in use yet; {from} stays accepted"),
        State::Proven | State::Committed => {
            format!(
                "{to} is in use since {since}; {from} stays accepted until the device came back after a restart and a second time"
            )
        }
        State::Grace => format!(
            "{to} is proven; {from} stays accepted until it went unused for the grace and two people approved its retirement"
        ),
        State::Retired => format!("done: {to} is in use, {from} is refused since {since}"),
        State::Kept => format!("done: {to} is in use; {from} stays accepted for ever, since the device may fall back to it"),
        State::Cancelled => "given up before anything was delivered".into(),
        State::Reverting => format!("{from} is being brought back into use; both stay accepted"),
        State::Reverted => format!("{from} is in use again; both stay accepted"),
        State::Held => {
            let why = one.held.as_deref().unwrap_or("somebody holds it");
            format!("HELD: {why}; {from} and {to} stay accepted. `citytap-rekey continue {}` lets it go on", one.slot)
        }
    }
}
