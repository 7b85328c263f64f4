//! `citytap actions`: what to do, the most urgent first.

use super::out::{Asked, print, print_json};
use super::{DONE, Failure};
use crate::findings::actions::Told;
use crate::screen::text::wrapped;
use crate::screen::{self, counted};

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
        let mut text = screen::act(&actions, devices, usize::MAX, "");
        text.push_str(&counted(actions.len(), "action", "actions"));
        text.push('\n');
        if actions.is_empty() {
            text.push_str(&wrapped(
                "",
                "What could not be tested asks for nothing here and is not safe either: `citytap devices show ID` tells it.",
            ));
        }
        print(&text)?;
        Ok(DONE)
    }
}
