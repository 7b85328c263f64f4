//! The way with the password_file: one password a user, so cut-over. SIGHUP ends exactly the sessions of users whose line changed.

use super::psk_file::{read, reload_and_see};
use super::{Fault, Way, WayContext, random};
use crate::backends::Refusal;
use crate::backends::mosquitto::passwords::{is_name, password_entry};
use crate::backends::mosquitto::settings::need;
use crate::backends::mosquitto::told::journal;
use crate::backends::mosquitto::ways::alternate_user::uses;
use crate::backends::mosquitto::{files, log, reload};
use crate::evidence::Evidence;
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// This way.
pub struct PasswordFile;

impl Way for PasswordFile {
    fn preflight(&self, context: &WayContext) -> Result<(), Refusal> {
        files::check_writable(file(context)?)?;
        reload::broker(need(context.settings.pid_file.as_ref(), "pid_file")?)?;
        log::logins(need(context.settings.log_file.as_ref(), "log_file")?, Timestamp(i64::MAX), |_| false).map(drop)
    }

    fn accept(&self, _context: &WayContext, slot: &Slot, generation: Generation, _secret: &Secret) -> Result<(), Fault> {
        Err(Fault::Certain(format!(
            "{slot}: a password_file holds one password a user, so {generation} can only replace it (cut-over)"
        )))
    }

    fn switch(&self, context: &WayContext, slot: &Slot, to: Generation, secret: &Secret) -> Result<(), Fault> {
        if !is_name(slot.name()) {
            return Err(Fault::Certain(format!(
                "{slot}: the name cannot stand in a password_file (a colon, a line's end, or # in front)"
            )));
        }
        let _alone = context.alone();
        let path = file(context)?;
        let lines = read(path)?;
        if !lines.holds_password(slot.name(), secret) {
            let mut salt = [0; 12];
            random(&mut salt)?;
            context.note_replaced(slot)?;
            note_switch(context, slot, to)?;
            files::replace(path, lines.with(slot.name(), Some(&password_entry(secret, &salt))).bytes(), 0o600)?;
        }
        reload_and_see(context).map_err(Fault::unsure)
    }

    fn read_back(&self, context: &WayContext, slot: &Slot) -> Result<AcceptSet, Refusal> {
        let lines = read(file(context)?)?;
        if !lines.has(slot.name()) {
            return Ok(AcceptSet::default());
        }
        let newest = switches(context, slot)?.into_iter().map(|(_, generation)| generation).max().unwrap_or(Generation::FIRST);
        context.held(slot, newest, |secret| lines.holds_password(slot.name(), secret))
    }

    fn evidence(&self, context: &WayContext, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        let path = need(context.settings.log_file.as_ref(), "log_file")?;
        let switches = switches(context, slot)?;
        let mut seen = context.ledger.seen(slot, since).map_err(journal)?;
        for login in log::logins(path, since, |user| user == slot.name())? {
            // The log's times are whole seconds: a login in the second of the switch counts as one with the old password.
            let held =
                switches.iter().rev().find(|(at, _)| *at < login.at).map_or(Generation::FIRST, |(_, generation)| *generation);
            seen.extend(uses(held, &login));
        }
        seen.retain(|it| it.at() >= since);
        seen.sort();
        seen.dedup();
        Ok(seen)
    }

    fn retire(&self, context: &WayContext, slot: &Slot, generation: Generation) -> Result<(), Fault> {
        if self.read_back(context, slot)?.accepts(generation) {
            return Err(Fault::Certain(format!(
                "{slot}: {generation} is what the password_file holds; switch to another one first"
            )));
        }
        Ok(())
    }

    fn leave(&self, _context: &WayContext, _slot: &Slot) -> Result<(), Fault> {
        Ok(())
    }

    fn users(&self, _context: &WayContext, _slot: &Slot) -> Result<Option<Vec<String>>, Refusal> {
        Ok(None)
    }

    fn user(&self, slot: &Slot, _generation: Generation) -> String {
        slot.name().to_owned()
    }
}

fn file(context: &WayContext) -> Result<&Path, Refusal> {
    need(context.settings.password_file.as_ref(), "password_file")
}

fn key(slot: &Slot) -> Vec<u8> {
    format!("switches/{}", slot.name()).into_bytes()
}

/// When which generation was put in, in order.
fn switches(context: &WayContext, slot: &Slot) -> Result<Vec<(Timestamp, Generation)>, Refusal> {
    let bytes = context.ledger.get(&key(slot)).map_err(journal)?.map(|(_, bytes)| bytes).unwrap_or_default();
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

fn note_switch(context: &WayContext, slot: &Slot, to: Generation) -> Result<(), Refusal> {
    let mut all = switches(context, slot)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    all.push((Timestamp(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)), to));
    let from = all.len().saturating_sub(MAX_SWITCHES);
    let bytes = serde_json::to_vec(all.get(from..).unwrap_or_default()).unwrap_or_default();
    context.ledger.put(&[(key(slot), Some(bytes))]).map_err(journal)
}

/// Switches that are remembered for a slot: evidence is asked for over a grace period, which holds two or three.
const MAX_SWITCHES: usize = 16;
