//! The way with the broker plugin: one user name, the old password in dynamic security, the new one staged in the accept-set file.
//!
//! Whether the plugin is loaded, reads our file and stands before dynamic security is not believed but tried: every file that is written also stages a new
//! password for the *canary*, a user that dynamic security knows as disabled. A login as the canary succeeds only where all three hold. The canary has no rights.
//!
//! At the retirement of the old generation dynamic security gets the new password, which ends the device's session once; it comes back by itself.

use super::{Fault, Way, WayContext, keep_one, mark, random, succeeded};
use crate::backends::Refusal;
use crate::backends::mosquitto::accepts::{Accepts, Entry, SALT_BYTES};
use crate::backends::mosquitto::client::{Client, ClientError};
use crate::backends::mosquitto::dynsec::{ClientInfo, Command, Control};
use crate::backends::mosquitto::files;
use crate::backends::mosquitto::settings::need;
use crate::backends::mosquitto::told::{journal, lost_until};
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;
use std::path::Path;

/// The user by which it is tried whether the plugin works.
pub const CANARY: &str = "citytap-canary";

/// This way.
pub struct Plugin;

impl Way for Plugin {
    fn preflight(&self, context: &WayContext) -> Result<(), Refusal> {
        files::check_writable(file(context)?)?;
        need(context.settings.uses_socket.as_ref(), "uses_socket")?;
        let _alone = context.alone();
        let mut control = context.control()?;
        Ok(write(context, &mut control, read(context)?)?)
    }

    fn accept(&self, context: &WayContext, slot: &Slot, generation: Generation, secret: &Secret) -> Result<(), Fault> {
        let _alone = context.alone();
        let mut control = context.control()?;
        let Some(client) = control.client(slot.name())? else {
            return Err(Fault::Certain(format!(
                "{slot}: dynamic security knows no such user; the name of the slot must be the device's user name"
            )));
        };
        let mut accepts = read(context)?;
        stage(&mut accepts, slot, &client, generation, secret)?;
        // The old one too, where it is known: the plugin then tells its uses apart from guesses.
        let accepted = context.ledger.accepted(slot).map_err(journal)?.generations;
        for (older, secret) in context.known(slot, &accepted)? {
            stage(&mut accepts, slot, &client, older, &secret)?;
        }
        write(context, &mut control, accepts)
    }

    fn read_back(&self, context: &WayContext, slot: &Slot) -> Result<AcceptSet, Refusal> {
        let mut set = held(context, slot)?;
        set.generations.extend(read(context)?.of(slot.name()).iter().map(|entry| Generation(entry.generation)));
        Ok(set)
    }

    fn evidence(&self, context: &WayContext, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        let mut seen = context.ledger.seen(slot, since).map_err(journal)?;
        if let Some(at) = lost_until(&*context.ledger)?.filter(|at| *at >= since)
            && let Some(generation) = context.held_by_broker(slot)?
        {
            seen.push(Evidence::Used(Use { generation, session: 0, at, by: Witness::Verifier, reach: Reach::Authenticated }));
            seen.sort();
        }
        Ok(seen)
    }

    fn retire(&self, context: &WayContext, slot: &Slot, generation: Generation) -> Result<(), Fault> {
        let accepted = self.read_back(context, slot)?;
        if !accepted.accepts(generation) {
            return Ok(());
        }
        keep_one(slot, &accepted, generation)?;
        let _alone = context.alone();
        let mut control = context.control()?;
        if held(context, slot)?.accepts(generation) {
            let mut others = accepted.generations.clone();
            others.remove(&generation);
            hand_over(context, &mut control, slot, &others)?;
        }
        let mut accepts = read(context)?;
        accepts.remove(slot.name(), generation.0);
        write(context, &mut control, accepts).map_err(Fault::unsure)
    }

    fn leave(&self, context: &WayContext, slot: &Slot) -> Result<(), Fault> {
        let accepted = self.read_back(context, slot)?;
        let seen = context.ledger.seen(slot, Timestamp(i64::MIN)).map_err(|error| Fault::from(journal(error)))?;
        let used =
            seen.iter().filter_map(|it| if let Evidence::Used(it) = it { Some((it.at, it.generation)) } else { None }).max();
        let _alone = context.alone();
        let mut control = context.control()?;
        if let Some((_, generation)) = used.filter(|(_, generation)| accepted.accepts(*generation))
            && !held(context, slot)?.accepts(generation)
        {
            hand_over(context, &mut control, slot, &[generation].into())?;
        }
        if accepted.generations.len() > 1 {
            // The file and the plugin go on without this module, and the device may hold either.
            return Ok(());
        }
        let mut accepts = read(context)?;
        for generation in &accepted.generations {
            accepts.remove(slot.name(), generation.0);
        }
        write(context, &mut control, accepts).map_err(Fault::unsure)
    }

    fn users(&self, _context: &WayContext, slot: &Slot) -> Result<Option<Vec<String>>, Refusal> {
        Ok(Some(vec![slot.name().to_owned()]))
    }

    fn user(&self, slot: &Slot, _generation: Generation) -> String {
        slot.name().to_owned()
    }
}

/// The generation that dynamic security holds.
///
/// # Errors
/// Its file or the journal cannot be read.
pub fn held(context: &WayContext, slot: &Slot) -> Result<AcceptSet, Refusal> {
    let contents = context.saved()?.read()?;
    if contents.lets_in(slot.name()) {
        let staged = read(context)?.of(slot.name()).last().map_or(Generation::FIRST, |entry| Generation(entry.generation));
        context.held(slot, staged, |secret| contents.holds(slot.name(), secret))
    } else {
        Ok(AcceptSet::default())
    }
}

/// The users in the accept-set file, the canary excepted.
///
/// # Errors
/// It cannot be read.
pub fn staged_users(context: &WayContext) -> Result<Vec<String>, Refusal> {
    let accepts = read(context)?;
    let mut users: Vec<String> = accepts.entries().map(|entry| entry.user.clone()).filter(|user| user != CANARY).collect();
    users.dedup();
    Ok(users)
}

/// Takes users out of the accept-set file, and stages for slots all that is meant to be accepted.
///
/// # Errors
/// It certainly or possibly did not take place.
pub fn withdraw_and_restore(context: &WayContext, gone: &[&String], back: &[Slot]) -> Result<(), Fault> {
    let mut control = context.control()?;
    let mut accepts = read(context)?;
    for user in gone {
        let generations: Vec<u32> = accepts.of(user).iter().map(|entry| entry.generation).collect();
        for generation in generations {
            accepts.remove(user, generation);
        }
    }
    for slot in back {
        let Some(client) = control.client(slot.name())? else { continue };
        let accepted = context.ledger.accepted(slot).map_err(journal)?.generations;
        for (generation, secret) in context.known(slot, &accepted)? {
            stage(&mut accepts, slot, &client, generation, &secret)?;
        }
    }
    write(context, &mut control, accepts)
}

/// Dynamic security gets the newest of `candidates` whose password is known.
fn hand_over(
    context: &WayContext,
    control: &mut Control,
    slot: &Slot,
    candidates: &std::collections::BTreeSet<Generation>,
) -> Result<(), Fault> {
    let Some((_, secret)) = context.known(slot, candidates)?.into_iter().next() else {
        return Err(Fault::Certain(format!("{slot}: the password that would remain is not known here; nothing is retired")));
    };
    let saved = context.saved()?;
    let before = saved.before_change()?;
    context.note_replaced(slot)?;
    succeeded(slot, &control.one(Command::SetClientPassword(slot.name(), &secret))?)?;
    saved.after_change(&before, |now| now.holds(slot.name(), &secret)).map(drop).map_err(Fault::unsure)
}

fn stage(accepts: &mut Accepts, slot: &Slot, client: &ClientInfo, generation: Generation, secret: &Secret) -> Result<(), Fault> {
    let is_staged =
        |entry: &Entry| entry.generation == generation.0 && entry.client_id == client.clientid && entry.is_of(secret.expose());
    if accepts.of(slot.name()).iter().any(is_staged) {
        return Ok(());
    }
    let mut salt = [0; SALT_BYTES];
    random(&mut salt)?;
    let entry = Entry { client_id: client.clientid.clone(), ..Entry::new(slot.name(), generation.0, secret.expose(), &salt) };
    accepts.insert(entry).map_err(|why| Fault::Certain(format!("{slot}: {why}")))
}

fn file(context: &WayContext) -> Result<&Path, Refusal> {
    need(context.settings.accepts_file.as_ref(), "accepts_file")
}

fn read(context: &WayContext) -> Result<Accepts, Refusal> {
    let path = file(context)?;
    let bytes = files::read(path)?;
    if bytes.is_empty() && !path.exists() {
        return Ok(Accepts::default());
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is no text".to_owned());
    text.and_then(|text| Accepts::parse(&text)).map_err(|why| {
        let remedy = "move it away and run again: what is meant to be accepted stands in the journal, and the broker goes on with what it read last";
        Refusal::new(format!("{}: {why}", path.display()), remedy)
    })
}

/// Writes the file with a new password for the canary, and sees whether the broker takes that.
fn write(context: &WayContext, control: &mut Control, mut accepts: Accepts) -> Result<(), Fault> {
    let path = file(context)?;
    ensure_canary(context, control)?;
    let password = Secret::new(mark()?.into_bytes());
    let mut salt = [0; SALT_BYTES];
    random(&mut salt)?;
    accepts.insert(Entry::new(CANARY, 1, password.expose(), &salt)).map_err(Fault::Certain)?;
    let is_new = !path.exists();
    files::replace(path, accepts.to_text().as_bytes(), 0o640)?;
    if is_new {
        share(context, path).map_err(Fault::unsure)?;
    }
    let id = format!("citytap-rekey-canary-{}", mark()?);
    let tried = Client::connect(&context.settings.endpoint(), &id, Some((CANARY, &password)));
    tried.map(Client::close).map_err(|error| {
        let answer = if let ClientError::Refused { code, .. } = &error { format!("code {code}") } else { error.to_string().replace(';', ",") };
        let why = format!(
            "the broker plugin does not accept what {} stages (the broker's answer to the canary: {}); load it with plugin_opt_accepts of that file, before \
             dynamic security, and let the broker's user read the file",
            path.display(),
            answer
        );
        Fault::Unsure(why)
    })
}

/// The broker's group may read the file.
fn share(context: &WayContext, path: &Path) -> Result<(), Refusal> {
    use std::os::unix::fs::MetadataExt;
    let like = std::fs::metadata(context.saved()?.path()).map(|found| found.gid());
    like.and_then(|group| std::os::unix::fs::chown(path, None, Some(group))).map_err(|error| {
        Refusal::new(
            format!("{} cannot be given to the broker's group: {error}", path.display()),
            "run citytap-rekey with that group",
        )
    })
}

fn ensure_canary(context: &WayContext, control: &mut Control) -> Result<(), Fault> {
    if let Some(found) = control.client(CANARY)? {
        return if found.disabled && found.roles.is_empty() && found.groups.is_empty() {
            Ok(())
        } else {
            Err(Fault::Certain(format!("the broker's user {CANARY} is not disabled or has rights; delete it, it is ours")))
        };
    }
    let password = Secret::new(format!("{}{}", mark()?, mark()?).into_bytes());
    let saved = context.saved()?;
    let before = saved.before_change()?;
    let like = ClientInfo::default();
    let commands = [Command::CreateClient { username: CANARY, password: &password, like: &like }, Command::DisableClient(CANARY)];
    let slot = Slot::new(crate::backends::mosquitto::NAME, CANARY).map_err(|error| Fault::Certain(error.to_string()))?;
    control.run(&commands)?.iter().try_for_each(|answer| succeeded(&slot, answer))?;
    saved.after_change(&before, |now| now.has(CANARY) && !now.lets_in(CANARY)).map(drop).map_err(Fault::unsure)
}
