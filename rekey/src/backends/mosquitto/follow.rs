//! Follows what a person does in dynamic security: whom they disable or delete there, the plugin must not let in. The plugin stands first and would.
//!
//! Looks at dynamic-security.json whenever it changed. A user who is disabled or gone is taken out of the accept-set file and noted; one who is let in again is
//! put back from the journal.

use super::told::journal;
use super::ways::{WayContext, plugin};
use crate::backends::Refusal;
use crate::slot::Slot;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often it is looked whether the file changed: about as long as a disabled device may still log in.
const GLANCE: Duration = Duration::from_millis(500);

/// The following thread; it ends when this is dropped.
pub struct Following(Arc<AtomicBool>);

impl Following {
    /// Begins, where the plugin is used.
    pub fn start(context: Arc<WayContext>) -> Option<Self> {
        context.settings.accepts_file.as_ref()?;
        let path = context.settings.dynamic_security_file.clone()?;
        let ends = Arc::new(AtomicBool::new(false));
        let until = ends.clone();
        std::thread::spawn(move || {
            let mut known = None;
            while !until.load(Ordering::Relaxed) {
                let version =
                    std::fs::metadata(&path).ok().map(|found| (found.ino(), found.size(), found.mtime(), found.mtime_nsec()));
                // What fails, such as half a file, is tried again and shows at the next effect.
                if version != known && follow(&context).is_ok() {
                    known = version;
                }
                std::thread::sleep(GLANCE);
            }
        });
        Some(Self(ends))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn follow(context: &WayContext) -> Result<(), Refusal> {
    let _alone = context.alone();
    let contents = context.saved()?.read()?;
    let withdrawn = withdrawn(context)?;
    let staged = plugin::staged_users(context)?;
    let (back, out): (Vec<&String>, Vec<&String>) = withdrawn.iter().partition(|user| contents.lets_in(user));
    let gone: Vec<&String> = staged.iter().filter(|user| !contents.lets_in(user)).collect();
    if back.is_empty() && gone.is_empty() {
        return Ok(());
    }
    // Noted before the file is written: a note too many is put right at the next look.
    let noted: Vec<&String> = out.into_iter().chain(gone.iter().copied()).collect();
    let all: Vec<&String> = noted.iter().copied().chain(back.iter().copied()).collect();
    note(context, &all)?;
    let slots = |users: &[&String]| users.iter().filter_map(|user| Slot::new(super::NAME, user).ok()).collect::<Vec<Slot>>();
    plugin::withdraw_and_restore(context, &gone, &slots(&back))?;
    note(context, &noted)
}

const KEY: &[u8] = b"withdrawn";

fn withdrawn(context: &WayContext) -> Result<Vec<String>, Refusal> {
    let bytes = context.ledger.get(KEY).map_err(journal)?.map(|(_, bytes)| bytes).unwrap_or_default();
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

fn note(context: &WayContext, users: &[&String]) -> Result<(), Refusal> {
    let bytes = serde_json::to_vec(users).unwrap_or_default();
    context.ledger.put(&[(KEY.to_vec(), Some(bytes))]).map_err(journal)
}
