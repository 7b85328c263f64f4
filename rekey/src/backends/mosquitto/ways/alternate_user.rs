//! The way with a second user: `dev1.g2` beside `dev1`, with the same roles and groups, in stock dynamic security. The device changes user name and password.
//!
//! Not for roles whose access list holds `%u`: under the other name the device would publish elsewhere.

use super::{Fault, Way, WayContext, keep_one, succeeded};
use crate::backends::Refusal;
use crate::backends::mosquitto::dynsec::{ClientInfo, Command, Control};
use crate::backends::mosquitto::log::{self, Login};
use crate::backends::mosquitto::saved::Contents;
use crate::backends::mosquitto::settings::need;
use crate::backends::mosquitto::told::{journal, session};
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;

/// This way.
pub struct AlternateUser;

impl Way for AlternateUser {
    fn preflight(&self, context: &WayContext) -> Result<(), Refusal> {
        log::logins(need(context.settings.log_file.as_ref(), "log_file")?, Timestamp(i64::MAX), |_| false)?;
        context.saved()?.before_change().map(drop)
    }

    fn accept(&self, context: &WayContext, slot: &Slot, generation: Generation, secret: &Secret) -> Result<(), Fault> {
        let _alone = context.alone();
        let name = user(slot, generation);
        let mut control = context.control()?;
        let saved = context.saved()?;
        let before = saved.before_change()?;
        if before.lets_in(&name) && before.holds(&name, secret) && control.client(&name)?.is_some_and(|client| !client.disabled) {
            return Ok(());
        }
        let command = if control.client(&name)?.is_some() {
            Command::SetClientPassword(&name, secret)
        } else {
            let like = &like(&mut control, slot, &before)?;
            let answer = control.one(Command::CreateClient { username: &name, password: secret, like })?;
            succeeded(slot, &answer)?;
            return saved
                .after_change(&before, |now| now.lets_in(&name) && now.holds(&name, secret))
                .map(drop)
                .map_err(Fault::unsure);
        };
        succeeded(slot, &control.one(command)?)?;
        saved.after_change(&before, |now| now.holds(&name, secret)).map(drop).map_err(Fault::unsure)
    }

    fn read_back(&self, context: &WayContext, slot: &Slot) -> Result<AcceptSet, Refusal> {
        let contents = context.saved()?.read()?;
        let mut set = AcceptSet::default();
        for name in contents.usernames().filter(|name| contents.lets_in(name)) {
            let Some(generation) = generation(slot, name) else { continue };
            let secret = context.ledger.secret(slot, generation).map_err(journal)?;
            if secret.is_none_or(|secret| contents.holds(name, &secret)) {
                set.generations.insert(generation);
            } else {
                set.foreign = true;
            }
        }
        Ok(set)
    }

    fn evidence(&self, context: &WayContext, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        let path = need(context.settings.log_file.as_ref(), "log_file")?;
        let logins = log::logins(path, since, |name| generation(slot, name).is_some())?;
        let mut seen = context.ledger.seen(slot, since).map_err(journal)?;
        seen.extend(
            logins
                .iter()
                .filter_map(|login| Some((generation(slot, &login.user)?, login)))
                .flat_map(|(it, login)| uses(it, login)),
        );
        seen.retain(|it| it.at() >= since);
        seen.sort();
        seen.dedup();
        Ok(seen)
    }

    fn retire(&self, context: &WayContext, slot: &Slot, generation: Generation) -> Result<(), Fault> {
        let _alone = context.alone();
        let name = user(slot, generation);
        let saved = context.saved()?;
        let before = saved.before_change()?;
        let mut control = context.control()?;
        if control.client(&name)?.is_none() && !before.has(&name) {
            return Ok(());
        }
        keep_one(slot, &self.read_back(context, slot)?, generation)?;
        // Deleted and not disabled: what is disabled could be let in again by whoever ends a quarantine.
        succeeded(slot, &control.one(Command::DeleteClient(&name))?)?;
        saved.after_change(&before, |now| !now.has(&name)).map(drop).map_err(Fault::unsure)
    }

    fn leave(&self, _context: &WayContext, _slot: &Slot) -> Result<(), Fault> {
        Ok(())
    }

    fn users(&self, context: &WayContext, slot: &Slot) -> Result<Option<Vec<String>>, Refusal> {
        let contents = context.saved()?.read()?;
        Ok(Some(contents.usernames().filter(|name| generation(slot, name).is_some()).map(str::to_owned).collect()))
    }

    fn user(&self, slot: &Slot, generation: Generation) -> String {
        user(slot, generation)
    }
}

/// The user name of a generation: the slot's own for the first.
pub fn user(slot: &Slot, generation: Generation) -> String {
    if generation == Generation::FIRST { slot.name().to_owned() } else { format!("{}.g{}", slot.name(), generation.0) }
}

/// The generation of a user name, where it is one of the slot's.
pub fn generation(slot: &Slot, name: &str) -> Option<Generation> {
    match name.strip_prefix(slot.name())? {
        "" => Some(Generation::FIRST),
        rest => {
            rest.strip_prefix(".g")?.parse().ok().map(Generation).filter(|it| user(slot, *it) == name && *it != Generation::FIRST)
        }
    }
}

/// A login as evidence: that it logged in, and that its data flowed where the log says so.
pub fn uses(generation: Generation, login: &Login) -> Vec<Evidence> {
    let session = session(login.at.0, login.ordinal);
    let it = |at, reach| Evidence::Used(Use { generation, session, at, by: Witness::Verifier, reach });
    std::iter::once(it(login.at, Reach::Authenticated)).chain(login.data.map(|at| it(at, Reach::Data))).collect()
}

/// Whose rights the new user gets: the newest one's that is let in.
fn like(control: &mut Control, slot: &Slot, contents: &Contents) -> Result<ClientInfo, Fault> {
    let names = contents.usernames().filter(|name| contents.lets_in(name));
    let newest = names.filter_map(|name| generation(slot, name)).max().map(|it| user(slot, it));
    let found = newest.map(|name| control.client(&name)).transpose()?.flatten();
    let found = found.ok_or_else(|| {
        Fault::Certain(format!(
            "{slot}: dynamic security knows no such user; the name of the slot must be the device's user name"
        ))
    })?;
    for role in found.roles.iter().filter_map(|role| role.rolename.as_deref()) {
        if control.one(Command::GetRole(role))?.topics().iter().any(|topic| topic.contains("%u")) {
            let why = format!(
                "{slot}: the role {role} names topics by user (%u), so under another name the device would publish elsewhere; use way = \"plugin\""
            );
            return Err(Fault::Certain(why));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_generations_go_both_ways() {
        let slot = Slot::new("mosquitto", "dev1").expect("a slot");
        assert_eq!((user(&slot, Generation(1)), user(&slot, Generation(12))), ("dev1".into(), "dev1.g12".into()));
        let of = |name| generation(&slot, name).map(|it| it.0);
        assert_eq!(
            [of("dev1"), of("dev1.g12"), of("dev1.g1"), of("dev1.g02"), of("dev10"), of("dev1.gx")],
            [Some(1), Some(12), None, None, None, None]
        );
    }
}
