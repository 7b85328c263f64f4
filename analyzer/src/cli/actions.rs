//! `citytap actions`: what to do, the most urgent first.

use super::out::{Asked, counted, print, print_json};
use super::{DONE, Failure};
use crate::findings::actions::Told;
use crate::screen;

/// List what to do about the findings of a store, the most urgent first.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap actions --store demo\n  citytap actions --store demo --format json | jq '.[].title'"
)]
pub struct Actions {
    #[command(flatten)]
    asked: Asked,
}

impl Actions {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let city = self.asked.open()?;
        let actions = city.contents().actions();
        let devices = &city.contents().devices;
        if self.asked.json() {
            print_json(&actions.iter().map(|action| Told { action, devices }).collect::<Vec<_>>())?;
            return Ok(DONE);
        }
        let text = screen::act(&actions, devices, usize::MAX, "");
        print(&format!("{text}{}\n", counted(actions.len(), "action", "actions")))?;
        Ok(DONE)
    }
}
