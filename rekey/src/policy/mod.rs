//! What may be done, when and to whom: `policy.toml`. Whatever the file leaves out is the careful choice: nothing is sent, nobody is
//! trusted, two people approve what could lock a device out.
//!
//! - `options` is the table of all that can be written, `reader` reads it and tells what is wrong by file, line and nearest right word.
//! - [`slots`] says which device of a finding is which slot. [`campaign`] says who comes next: windows, rate, canaries, halts.
//! - [`approvals`] is who said yes to what. [`deny`] is what is never sent to a device, whatever a policy says.

pub mod approvals;
pub mod campaign;
pub mod deny;
mod options;
mod reader;
pub mod slots;
#[cfg(test)]
mod tests;

use crate::slot::Slot;
use crate::time::{Span, Timestamp};
use crate::words::minute_of_week;
use citytap_signing::Verifier;
use std::fmt;
use std::path::Path;

/// What may be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Nothing is sent and nothing changed; what would be is shown.
    pub dry_run: bool,
    /// Everything stays as it is: old and new stay accepted.
    pub hold_all: bool,
    /// These stay as they are.
    pub hold: Vec<Pattern>,
    /// What makes a rotation due.
    pub triggers: Triggers,
    /// Slots that may be changed; none: none.
    pub include: Vec<Pattern>,
    /// Slots that may not, even where `include` says they may.
    pub exclude: Vec<Pattern>,
    /// When deliveries may begin; none: at any time.
    pub windows: Vec<Window>,
    /// How many.
    pub rate: Rate,
    /// How a campaign grows.
    pub canary: Canary,
    /// How many people approve.
    pub approvals: Approvals,
    /// Who may approve.
    pub approvers: Vec<Approver>,
    /// How long the old key stays accepted after the new one was proven.
    pub grace: Grace,
    /// Payloads that are never sent, beside those that [`deny`] knows.
    pub deny: Vec<deny::Payload>,
    /// Brokers of Mosquitto before 2.0.16 may be changed although a crash while they save loses every client.
    pub allow_mosquitto_before_2_0_16: bool,
    /// Secrets may be sent to devices in clear.
    pub deliver_in_clear: bool,
    /// Which device is which slot.
    pub slots: slots::Table,
    /// SHA-256 of the file, in hex: a plan is made under one policy and carried out under the same.
    pub digest: String,
}

/// What makes a rotation due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triggers {
    /// A default user name and password.
    pub default_credential: bool,
    /// A key that is public knowledge.
    pub known_key: bool,
    /// A secret that was sent in clear.
    pub leaked_key: bool,
    /// A key older than this.
    pub age: Option<Span>,
}

/// Why a rotation is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A default user name and password.
    DefaultCredential,
    /// A key that is public knowledge.
    KnownKey,
    /// A secret that was sent in clear.
    LeakedKey,
    /// Its age.
    Age,
    /// A person asked for it.
    Person,
}

impl Trigger {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Trigger::DefaultCredential => "default user name and password",
            Trigger::KnownKey => "the key is public knowledge",
            Trigger::LeakedKey => "the secret was sent in clear",
            Trigger::Age => "the key is old",
            Trigger::Person => "a person asks for it",
        }
    }
}

impl Triggers {
    /// Whether this makes a rotation due.
    pub fn allow(&self, trigger: Trigger) -> bool {
        match trigger {
            Trigger::DefaultCredential => self.default_credential,
            Trigger::KnownKey => self.known_key,
            Trigger::LeakedKey => self.leaked_key,
            Trigger::Age => self.age.is_some(),
            Trigger::Person => true,
        }
    }
}

/// Slots by name, with `*` for any run of characters: `mosquitto/lamp-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether it fits a slot.
    pub fn fits(&self, slot: &Slot) -> bool {
        self.fits_text(&slot.to_string())
    }

    /// Whether it fits a text, in a time that grows with both lengths and never faster.
    pub fn fits_text(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            match rest.split_once(part).filter(|_| !part.is_empty()) {
                Some((_, after)) => rest = after,
                None if part.is_empty() => {}
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// A part of the week in which deliveries may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Days on which it begins, Monday first.
    pub days: [bool; 7],
    /// Minute of the day at which it begins.
    pub from: u16,
    /// Minute of the day at which it ends; before `from`, it ends on the next day.
    pub to: u16,
    /// Minutes that the place's clock is ahead of UTC. There are no time zones here: a night's window need not know of summer time.
    pub offset: i16,
}

impl Window {
    /// Whether it is open then.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let week = 7 * 24 * 60;
        let minute = (minute_of_week(now) + i64::from(self.offset)).rem_euclid(week);
        let (day, of_day) = (minute / 1440, minute % 1440);
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        let on = |day: i64| self.days.get(day.rem_euclid(7) as usize).copied().unwrap_or(false);
        if from < to {
            on(day) && (from..to).contains(&of_day)
        } else {
            (on(day) && of_day >= from) || (on(day - 1) && of_day < to)
        }
    }
}

/// How many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Rotations that may begin in an hour.
    pub per_hour: u32,
    /// Rotations that may be between delivery and proof at a time.
    pub at_once: u32,
    /// Of these, behind one gateway.
    pub per_gateway: u32,
    /// Least time between two session re-keys of one device (LoRa Alliance TR007 §4.1: about a month).
    pub rejoin: Span,
}

/// How a campaign grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Stages, each a part of the campaign.
    pub stages: Vec<Stage>,
    /// How long a stage must have been proven before the next begins.
    pub soak: Span,
    /// Devices in a thousand that may fall silent beyond those that were silent before.
    pub silent_permille: u32,
}

/// A part of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// So many devices.
    Count(usize),
    /// So many in a thousand, at least one.
    Permille(usize),
    /// All.
    All,
}

impl Stage {
    /// How many of a campaign's devices that is.
    pub fn of(self, all: usize) -> usize {
        match self {
            Stage::Count(count) => count.min(all),
            Stage::Permille(permille) => (all.saturating_mul(permille) / 1000).clamp(all.min(1), all),
            Stage::All => all,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Count(count) => write!(f, "{count}"),
            Stage::Permille(permille) if permille % 10 == 0 => write!(f, "{}%", permille / 10),
            Stage::Permille(permille) => write!(f, "{}.{}%", permille / 10, permille % 10),
            Stage::All => f.write_str("all"),
        }
    }
}

/// How many people approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// A plan.
    pub plan: u32,
    /// A plan with a cut-over in it: at least two.
    pub cut_over: u32,
    /// Retirement: at least two.
    pub retire: u32,
    /// How long an approval holds.
    pub valid: Span,
}

/// Somebody who may approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// As the person is called.
    pub name: String,
    /// The person's key.
    pub key: Verifier,
}

/// How long the old key stays accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// Reporting intervals of the device: at least two (invariant I4).
    pub intervals: u32,
    /// And at least this long.
    pub at_least: Span,
}

impl Grace {
    /// The grace of a device that reports so often and asks for changes so often.
    pub fn of(&self, reporting: Span, polls: Span) -> Span {
        self.at_least.max(reporting.times(i64::from(self.intervals))).max(polls)
    }
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// All that is wrong in it, in the order of lines.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        reader::read(path)
    }

    /// What holds where a file says nothing.
    pub fn shipped() -> Self {
        options::shipped()
    }

    /// Whether a slot may be changed at all, and why not.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn permits(&self, slot: &Slot) -> Result<(), String> {
        if self.hold_all {
            return Err("everything is on hold ([run] hold_all = true)".into());
        }
        if let Some(held) = self.hold.iter().find(|pattern| pattern.fits(slot)) {
            return Err(format!("it is on hold ([run] hold has \"{}\")", held.0));
        }
        if let Some(excluded) = self.exclude.iter().find(|pattern| pattern.fits(slot)) {
            return Err(format!("the policy excludes it ([devices] exclude has \"{}\")", excluded.0));
        }
        if !self.include.iter().any(|pattern| pattern.fits(slot)) {
            return Err("the policy does not include it ([devices] include)".into());
        }
        Ok(())
    }

    /// Whether deliveries may begin now.
    pub fn is_window_open(&self, now: Timestamp) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|window| window.is_open(now))
    }
}

/// Something that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: Option<usize>,
    /// What is wrong, and what to write.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.text),
            None => write!(f, "{}: {}", self.file, self.text),
        }
    }
}

/// All that is wrong, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}
