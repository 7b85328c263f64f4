//! `citytap-rekey leave`: hands the credentials back, so that every device works without this module.

use super::host::Host;
use super::{Answer, DONE, FAILED, Stop, now, print};
use crate::audit::Event;
use crate::rotation::Outcome;
use crate::slot::{Effecting, RotationId, Slot, Step};
use crate::words::counted;
use std::path::Path;

/// Hand credentials back to the systems beneath, so that every device works without this module. No rotation may be open.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap-rekey leave mosquitto/lamp-17\n  citytap-rekey leave --all")]
pub struct Leave {
    /// These slots.
    #[arg(value_name = "SLOT", required_unless_present = "all")]
    slots: Vec<Slot>,
    /// All of them.
    #[arg(long, conflicts_with = "slots")]
    all: bool,
}

impl Leave {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let host = Host::open(config)?;
        let slots: Vec<Slot> = if self.all { host.slots()?.into_iter().collect() } else { self.slots };
        let open = host.journal.rotations().map_err(Stop::file)?;
        let open: Vec<&Slot> = open
            .iter()
            .filter(|one| !one.state().is_end())
            .map(|one| &one.plan.slot)
            .filter(|slot| slots.contains(slot))
            .collect();
        if let Some(first) = open.first() {
            let count = counted(open.len(), "rotation is", "rotations are");
            return Err(Stop::refused(format!("{count} open, the first of {first}: let them end, revert or cancel them first")));
        }
        let (mut done, mut text) = (0, String::new());
        let mut log = host.audit(now())?;
        for (slot, step) in slots.iter().zip(1..) {
            let outcome = match host.backends.get(slot.backend()) {
                Some(backend) => backend.leave(slot, Effecting { rotation: RotationId(0), step: Step(step) }),
                None => Outcome::Rejected { why: format!("there is no open part [{}] in the configuration", slot.backend()) },
            };
            let said = match outcome {
                Outcome::Done | Outcome::Sent => {
                    done += 1;
                    "done".to_owned()
                }
                Outcome::Rejected { why } => format!("NOT left: {why}"),
                Outcome::Unknown { why } => format!("nobody knows: {why}. Look at the verifier, then try again"),
            };
            log.append(&Event::new("left").with("slot", slot.to_string()).with("outcome", said.clone()), now())
                .map_err(Stop::refused)?;
            text.push_str(&format!("{slot}: {said}\n"));
        }
        log.sync(now()).map_err(Stop::refused)?;
        text.push_str(&format!("{done} of {} left to the systems beneath\n", counted(slots.len(), "slot", "slots")));
        print(&text)?;
        Ok(if done == slots.len() { DONE } else { FAILED })
    }
}
