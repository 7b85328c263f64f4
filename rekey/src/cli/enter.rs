//! `citytap-rekey enter`: takes in a credential that was there before this module.

use super::host::Host;
use super::{Answer, DONE, Stop, now, print};
use crate::audit::Event;
use crate::secrets::Secret;
use crate::secrets::key_source::read_passphrase;
use crate::slot::{Generation, Slot};
use std::path::Path;

/// Take in a credential that a device uses already. It is typed at the terminal or read from a file descriptor, never given on the command line.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap-rekey enter mosquitto/lamp-17\n  citytap-rekey enter join_server/0102030405060708 --hex --fd 3 3< key.txt"
)]
pub struct Enter {
    /// The slot.
    #[arg(value_name = "SLOT")]
    slot: Slot,
    /// Which generation it is; 1 is what was there first.
    #[arg(long, value_name = "N", default_value_t = 1)]
    generation: u32,
    /// It is written in hexadecimal digits.
    #[arg(long)]
    hex: bool,
    /// Read it from this file descriptor.
    #[arg(long, value_name = "N")]
    fd: Option<u32>,
}

impl Enter {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let host = Host::open(config)?;
        let prompt = format!("Secret of {} (not shown): ", self.slot);
        let typed =
            read_passphrase(self.fd, &prompt).map_err(|error| Stop::file(error.to_string().replace("passphrase", "secret")))?;
        let secret = if self.hex { from_hex(&typed)? } else { Secret::new(typed.as_bytes().to_vec()) };
        let generation = Generation(self.generation.max(1));
        if host.journal.secret(&self.slot, generation).map_err(Stop::file)?.is_some() {
            return Err(Stop::refused(format!("{} has {generation} already; a generation's secret never changes", self.slot)));
        }
        let event = Event::new("entered")
            .with("slot", self.slot.to_string())
            .with("generation", generation.0)
            .with("fingerprint", host.keys.fingerprint(&secret));
        host.tell_audit(&event, now())?;
        host.journal.enter(&self.slot, generation, &secret).map_err(Stop::file)?;
        print(&format!("{} of {} is sealed\n", generation, self.slot))?;
        Ok(DONE)
    }
}

fn from_hex(text: &str) -> Result<Secret, Stop> {
    let wrong = || Stop::usage("those are no hexadecimal digits, two for each byte");
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for pair in text.as_bytes().chunks(2) {
        let value = pair.iter().try_fold(0, |value, byte| Some(value * 16 + digit(*byte)?)).ok_or_else(wrong)?;
        bytes.push(u8::try_from(value).map_err(|_| wrong())?);
    }
    Ok(Secret::new(bytes))
}
