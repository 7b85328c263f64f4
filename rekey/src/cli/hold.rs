//! `citytap-rekey hold | continue | revert | cancel`: a person steps in. It works whether or not `run` is at work.

use super::host::read;
use super::orders::{Held, Order, What, give, who};
use super::{Answer, DONE, Stop, now, print};
use crate::slot::Slot;
use std::path::Path;

/// Stop rotations where they are. Nothing is undone: old and new keys stay accepted.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap-rekey hold --all --why 'the broker is being moved'\n  citytap-rekey hold 'mosquitto/lamp-*'\n  citytap-rekey continue --all"
)]
pub struct Hold {
    /// These slots, with * for any characters.
    #[arg(value_name = "SLOT", required_unless_present = "all")]
    slots: Vec<String>,
    /// Everything.
    #[arg(long, conflicts_with = "slots")]
    all: bool,
    /// Why, for whoever reads it tomorrow.
    #[arg(long, value_name = "TEXT", default_value = "a person holds it")]
    why: String,
}

/// Let rotations go on that were held: by a person, or by themselves.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap-rekey continue mosquitto/lamp-17\n  citytap-rekey continue --all")]
pub struct Continue {
    /// These slots, as they were held, or one that held itself.
    #[arg(value_name = "SLOT", required_unless_present = "all")]
    slots: Vec<String>,
    /// Everything.
    #[arg(long, conflicts_with = "slots")]
    all: bool,
}

/// Bring the old key of a slot back into use. Both stay accepted until a later rotation.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  citytap-rekey revert mosquitto/lamp-17")]
pub struct Revert {
    /// The slot.
    #[arg(value_name = "SLOT")]
    slot: Slot,
}

/// Give a rotation up before anything was delivered.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  citytap-rekey cancel mosquitto/lamp-17")]
pub struct Cancel {
    /// The slot.
    #[arg(value_name = "SLOT")]
    slot: Slot,
}

impl Hold {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let (config, _) = read(config)?;
        let mut held = Held::read(&config)?;
        let slots = if self.all { vec!["*".to_owned()] } else { self.slots };
        if let Some(wrong) = slots.iter().find(|slot| *slot != "*" && !slot.contains('/')) {
            return Err(Stop::usage(format!(
                "'{wrong}' fits no slot: a slot is a backend, a slash and a name, as in mosquitto/lamp-*"
            )));
        }
        held.slots.extend(slots);
        held.slots.sort();
        held.slots.dedup();
        held.why = format!("{} ({})", self.why, who());
        held.keep(&config)?;
        print(&format!(
            "On hold: {}. Nothing new begins there, and what is under way stays where it is: old and new keys stay accepted\n",
            held.slots.join(", ")
        ))?;
        Ok(DONE)
    }
}

impl Continue {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let (config, policy) = read(config)?;
        let mut held = Held::read(&config)?;
        let slots = if self.all { held.slots.drain(..).chain(["*".to_owned()]).collect() } else { self.slots };
        held.slots.retain(|pattern| !slots.contains(pattern));
        held.keep(&config)?;
        for slots in slots {
            give(&config, &Order { what: What::Continue, slots, by: who(), at: now() })?;
        }
        let mut text = "It goes on".to_owned();
        if policy.hold_all || !policy.hold.is_empty() {
            text.push_str("; the policy holds too ([run] hold_all, hold): change it there");
        }
        if !held.slots.is_empty() {
            text.push_str(&format!("; still on hold: {}", held.slots.join(", ")));
        }
        print(&format!("{text}\n"))?;
        Ok(DONE)
    }
}

fn order(config: &Path, what: What, slot: &Slot) -> Answer {
    let (config, _) = read(config)?;
    give(&config, &Order { what, slots: slot.to_string(), by: who(), at: now() })?;
    print(&format!(
        "Ordered: {} {slot}. `citytap-rekey run` takes it up; `citytap-rekey status` tells when it did\n",
        what.name()
    ))?;
    Ok(DONE)
}

impl Revert {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        order(config, What::Revert, &self.slot)
    }
}

impl Cancel {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        order(config, What::Cancel, &self.slot)
    }
}
