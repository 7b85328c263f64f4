//! The way with TLS-PSK: a second identity `dev1.g2` in the psk_file, then SIGHUP. Sessions that run stay. The identity is clear text in TLS 1.2, so the tap sees
//! which one a device uses; the broker's log names it where the listener has `use_identity_as_username true`.
//!
//! Secrets of this way are hex digits.

use super::alternate_user::{generation, user};
use super::{Fault, Way, WayContext, keep_one};
use crate::backends::Refusal;
use crate::backends::mosquitto::passwords::{Lines, is_name};
use crate::backends::mosquitto::settings::need;
use crate::backends::mosquitto::told::journal;
use crate::backends::mosquitto::{files, log, reload};
use crate::evidence::Evidence;
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;
use std::path::Path;

/// This way.
pub struct PskFile;

impl Way for PskFile {
    fn preflight(&self, context: &WayContext) -> Result<(), Refusal> {
        files::check_writable(file(context)?)?;
        reload::broker(need(context.settings.pid_file.as_ref(), "pid_file")?)?;
        log::logins(need(context.settings.log_file.as_ref(), "log_file")?, Timestamp(i64::MAX), |_| false).map(drop)
    }

    fn accept(&self, context: &WayContext, slot: &Slot, generation: Generation, secret: &Secret) -> Result<(), Fault> {
        let identity = user(slot, generation);
        let key = std::str::from_utf8(secret.expose()).ok().filter(|key| is_hex(key));
        let key = key.ok_or_else(|| Fault::Certain(format!("{slot}: a pre-shared key here is an even number of hex digits")))?;
        if !is_name(&identity) {
            return Err(Fault::Certain(format!(
                "{slot}: the name cannot stand in a psk_file (a colon, a line's end, or # in front)"
            )));
        }
        let _alone = context.alone();
        change(context, &identity, Some(key))
    }

    fn read_back(&self, context: &WayContext, slot: &Slot) -> Result<AcceptSet, Refusal> {
        let lines = read(file(context)?)?;
        let mut set = AcceptSet::default();
        for identity in lines.names() {
            let Some(generation) = generation(slot, identity) else { continue };
            let secret = context.ledger.secret(slot, generation).map_err(journal)?;
            if secret.is_none_or(|secret| lines.holds_key(identity, &secret)) {
                set.generations.insert(generation);
            } else {
                set.foreign = true;
            }
        }
        Ok(set)
    }

    fn evidence(&self, context: &WayContext, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        super::alternate_user::AlternateUser.evidence(context, slot, since)
    }

    fn retire(&self, context: &WayContext, slot: &Slot, generation: Generation) -> Result<(), Fault> {
        let _alone = context.alone();
        let accepted = self.read_back(context, slot)?;
        if read(file(context)?)?.has(&user(slot, generation)) {
            keep_one(slot, &accepted, generation)?;
        }
        // Also where it is not there any more: the broker may not have read the file since.
        change(context, &user(slot, generation), None)
    }

    fn leave(&self, _context: &WayContext, _slot: &Slot) -> Result<(), Fault> {
        Ok(())
    }

    fn users(&self, _context: &WayContext, _slot: &Slot) -> Result<Option<Vec<String>>, Refusal> {
        Ok(None)
    }

    fn user(&self, slot: &Slot, generation: Generation) -> String {
        user(slot, generation)
    }
}

fn is_hex(key: &str) -> bool {
    !key.is_empty() && key.len().is_multiple_of(2) && key.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn file(context: &WayContext) -> Result<&Path, Refusal> {
    need(context.settings.psk_file.as_ref(), "psk_file")
}

/// The file's lines.
///
/// # Errors
/// It cannot be read or is no text.
pub fn read(path: &Path) -> Result<Lines, Refusal> {
    let not_text = || Refusal::new(format!("{} is no text", path.display()), "restore it from your backup");
    Lines::new(files::read(path)?).ok_or_else(not_text)
}

fn change(context: &WayContext, identity: &str, key: Option<&str>) -> Result<(), Fault> {
    let path = file(context)?;
    let lines = read(path)?.with(identity, key);
    files::replace(path, lines.bytes(), 0o600)?;
    reload_and_see(context).map_err(Fault::unsure)
}

/// SIGHUP, and the broker's own word that it read its files again.
///
/// # Errors
/// It did not say so in time.
pub fn reload_and_see(context: &WayContext) -> Result<(), Refusal> {
    let log = need(context.settings.log_file.as_ref(), "log_file")?;
    let before = std::fs::metadata(log).map_or(0, |found| found.len());
    reload::reload(need(context.settings.pid_file.as_ref(), "pid_file")?)?;
    for _ in 0..250 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let text = std::fs::read(log).unwrap_or_default();
        let new = text.get(usize::try_from(before).unwrap_or(usize::MAX)..).unwrap_or(&text);
        if String::from_utf8_lossy(new).contains("Reloading config") {
            return Ok(());
        }
    }
    let cause = format!("the broker was told to read its files again, and its log {} does not say that it did", log.display());
    Err(Refusal::new(cause, "give mosquitto.conf log_dest file with that path and log_type all"))
}
