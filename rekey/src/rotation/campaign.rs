//! Many rotations: one first, then 1 %, 10 %, all; no faster than the rate; none while too many devices that were begun fell silent. Pure.

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// How a campaign goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Rotations that may begin in any window of this length.
    pub window: Span,
    /// How many.
    pub rate: u32,
    /// Devices that may be silent more than before, of a thousand that were begun, before it halts; one device alone always halts a canary.
    pub silent_permille: u32,
}

/// How many devices of a campaign are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All devices of the campaign.
    pub devices: u32,
    /// Begun, ended or not.
    pub begun: u32,
    /// Ended well: retired or kept.
    pub proven: u32,
    /// Proven so far as that data flows under the new generation, whether ended or not.
    pub working: u32,
    /// Held, reverting or reverted.
    pub troubled: u32,
    /// Begun, and silent for longer than they ever are.
    pub silent: u32,
    /// Of as many devices, how many are silent on an ordinary day.
    pub silent_before: u32,
}

/// What the campaign allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// So many more may begin now.
    Begin(u32),
    /// Nothing until then: the rate.
    Later(Timestamp),
    /// Nothing until those that were begun are proven: this many.
    Proof(u32),
    /// Nothing until a person looked.
    Halt(String),
}

/// The sizes of the stages for so many devices: 1, 1 %, 10 %, all; each larger than the one before.
pub fn stages(devices: u32) -> Vec<u32> {
    let mut stages = vec![1, devices.div_ceil(100), devices.div_ceil(10), devices];
    stages.retain(|size| *size > 0 && *size <= devices);
    stages.dedup();
    stages
}

/// How many rotations may begin now. `begun_at` are the times at which the latest began, in any order; what is older than the window does not count.
pub fn allowance(pace: &Pace, tally: &Tally, begun_at: &[Timestamp], now: Timestamp) -> Allowance {
    if let Some(why) = halted(pace, tally) {
        return Allowance::Halt(why);
    }
    let stages = stages(tally.devices);
    // The stage in hand is the first that is not proven to its end.
    let size = stages.iter().copied().find(|size| tally.working < *size).unwrap_or(tally.devices);
    let room = size.saturating_sub(tally.begun);
    if room == 0 {
        return if tally.begun >= tally.devices {
            Allowance::Begin(0)
        } else {
            Allowance::Proof(size.saturating_sub(tally.working))
        };
    }
    let recent = begun_at.iter().filter(|at| now.since(**at) < pace.window || **at > now);
    let count = u32::try_from(recent.clone().count()).unwrap_or(u32::MAX);
    if count >= pace.rate {
        let earliest = recent.min().copied().unwrap_or(now);
        return Allowance::Later(earliest.plus(pace.window));
    }
    Allowance::Begin(room.min(pace.rate - count))
}

fn halted(pace: &Pace, tally: &Tally) -> Option<String> {
    let silent = tally.silent.saturating_sub(tally.silent_before);
    let allowed = u64::from(tally.begun) * u64::from(pace.silent_permille) / 1000;
    let canary = tally.begun <= stages(tally.devices).first().copied().unwrap_or(1);
    if u64::from(silent) > allowed || canary && silent > 0 {
        return Some(format!(
            "{} of {} devices that were begun are silent, {} on an ordinary day",
            tally.silent, tally.begun, tally.silent_before
        ));
    }
    if canary && tally.troubled > 0 {
        return Some("the first device is in trouble: look at it before others follow".to_owned());
    }
    let troubled = u64::from(tally.troubled) > u64::from(tally.begun) * u64::from(pace.silent_permille.max(10)) / 1000 + 1;
    troubled.then(|| format!("{} of {} rotations are held or went back", tally.troubled, tally.begun))
}
