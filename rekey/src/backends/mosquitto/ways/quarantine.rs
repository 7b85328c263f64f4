//! Quarantine at the broker: the device keeps its login, so that it can still be given a new credential, and loses every right but to the topics of its delivery.
//!
//! Its roles are noted in the journal before they are taken, and given back at the end. A device with rights by a group is refused, since a group's rights cannot
//! be taken from one member.

use super::{Fault, Way, WayContext, succeeded};
use crate::backends::mosquitto::dynsec::{Command, Control, Named};
use crate::backends::mosquitto::told::journal;
use crate::slot::Slot;

/// Takes the rights of the slot's users, but for `topics`.
///
/// # Errors
/// It certainly or possibly did not take place.
pub fn begin(context: &WayContext, way: &dyn Way, slot: &Slot, topics: &[String]) -> Result<(), Fault> {
    let users = users(context, way, slot)?;
    let _alone = context.alone();
    let (mut control, role) = (context.control()?, role(slot));
    let answer = control.one(Command::CreateRole(&role, topics))?;
    if answer.error.as_deref().is_some_and(|why| !why.contains("already exists")) {
        succeeded(slot, &answer)?;
    }
    for user in &users {
        let Some(client) = control.client(user)? else { continue };
        if !client.groups.is_empty() {
            let why = format!(
                "{slot}: {user} has rights by the group {:?}; give it roles instead, or use the backend quarantine",
                client.groups
            );
            return Err(Fault::Certain(why));
        }
        let own: Vec<&Named> = client.roles.iter().filter(|it| it.rolename.as_deref() != Some(&role)).collect();
        if !own.is_empty() {
            // An interrupted quarantine may have taken some already: what was noted stays noted.
            let mut all = noted(context, slot)?;
            all.extend(own.iter().filter(|it| !all.contains(it)).map(|it| (*it).clone()).collect::<Vec<_>>());
            let bytes = serde_json::to_vec(&all).map_err(|error| Fault::Certain(error.to_string()))?;
            context.ledger.put(&[(key(slot), Some(bytes))]).map_err(journal)?;
        }
        // 2.0.11 answers "Internal error" to a role that is there already, so only what is missing is asked for.
        let mut commands = Vec::new();
        if own.len() == client.roles.len() {
            commands.push(Command::AddClientRole(user, &role, None));
        }
        commands.extend(own.iter().filter_map(|it| it.rolename.as_deref()).map(|name| Command::RemoveClientRole(user, name)));
        run(&mut control, slot, &commands)?;
    }
    Ok(())
}

/// Gives the rights back.
///
/// # Errors
/// It certainly or possibly did not take place.
pub fn end(context: &WayContext, way: &dyn Way, slot: &Slot) -> Result<(), Fault> {
    let roles = noted(context, slot)?;
    if roles.is_empty() {
        return Ok(());
    }
    let users = users(context, way, slot)?;
    let _alone = context.alone();
    let (mut control, role) = (context.control()?, role(slot));
    for user in &users {
        let Some(client) = control.client(user)? else { continue };
        let has = |name: &str| client.roles.iter().any(|it| it.rolename.as_deref() == Some(name));
        let named = roles.iter().filter_map(|it| Some((it.rolename.as_deref()?, it.priority)));
        let missing = named.filter(|(name, _)| !has(name));
        let mut commands: Vec<Command<'_>> =
            missing.map(|(name, priority)| Command::AddClientRole(user, name, priority)).collect();
        if has(&role) {
            commands.push(Command::RemoveClientRole(user, &role));
        }
        run(&mut control, slot, &commands)?;
    }
    context.ledger.put(&[(key(slot), None)]).map_err(|error| Fault::unsure(journal(error)))
}

/// The roles that were taken.
fn noted(context: &WayContext, slot: &Slot) -> Result<Vec<Named>, Fault> {
    let bytes = context.ledger.get(&key(slot)).map_err(journal)?.map(|(_, bytes)| bytes);
    let roles = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
    roles.map(Option::unwrap_or_default).map_err(|error| Fault::Certain(format!("{slot}: the noted roles: {error}")))
}

fn run(control: &mut Control, slot: &Slot, commands: &[Command<'_>]) -> Result<(), Fault> {
    if commands.is_empty() {
        return Ok(());
    }
    control.run(commands).map_err(Fault::unsure)?.iter().try_for_each(|answer| succeeded(slot, answer)).map_err(Fault::unsure)
}

fn users(context: &WayContext, way: &dyn Way, slot: &Slot) -> Result<Vec<String>, Fault> {
    way.users(context, slot)?
        .ok_or_else(|| Fault::Certain(format!("{slot}: this way has no rights to take; use the backend quarantine")))
}

fn role(slot: &Slot) -> String {
    format!("citytap-quarantine-{}", slot.name())
}

fn key(slot: &Slot) -> Vec<u8> {
    format!("quarantine/{}", slot.name()).into_bytes()
}
