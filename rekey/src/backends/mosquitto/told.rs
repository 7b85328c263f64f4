//! Receives what the broker plugin tells, and keeps it in the journal as evidence.
//!
//! A thread takes datagrams off the socket as they come; whoever asks for evidence first takes what is still waiting there. While this module is away the
//! plugin keeps the latest use of each generation. Only what a *broker restart* in that time swept away is lost, and then the generation that the broker itself
//! holds counts as used at that moment: silence is not taken for proof.

use super::ways::WayContext;
use crate::backends::Refusal;
use crate::backends::mosquitto::uses::{MAX_DATAGRAM, OTHER, Told};
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::journal::Ledger;
use crate::slot::{Generation, Slot};
use crate::time::{Span, Timestamp};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How long the thread sleeps on the socket before it looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(20);
/// Under this key stands the start of the broker whose uses were read last.
const RUN: &[u8] = b"told/run";
/// Under this key stands until when uses may have been lost.
const LOST: &[u8] = b"told/lost";

/// The socket.
pub struct Listener {
    socket: Mutex<UnixDatagram>,
    path: PathBuf,
    /// The time of the latest use that the journal did not keep.
    unkept: AtomicI64,
}

impl Listener {
    /// Binds the socket and starts the thread. The broker's group, which is that of `like`, may write to it.
    ///
    /// # Errors
    /// The socket cannot be made there.
    pub fn start(path: &Path, like: &Path, context: Arc<WayContext>) -> Result<Arc<Self>, Refusal> {
        let socket = bind(path, like).map_err(|error| {
            let remedy = "let the user of citytap-rekey write that folder; only one citytap-rekey may run";
            Refusal::new(format!("the socket {} cannot be made: {error}", path.display()), remedy)
        })?;
        let listener = Arc::new(Self { socket: Mutex::new(socket), path: path.to_owned(), unkept: AtomicI64::new(i64::MIN) });
        let weak = Arc::downgrade(&listener);
        std::thread::spawn(move || listen(&weak, &context));
        Ok(listener)
    }

    /// Takes all that waits on the socket.
    ///
    /// # Errors
    /// The journal does not keep it. That use is lost, and [`Listener::complete`] says so from then on.
    pub fn drain(&self, context: &WayContext) -> Result<(), Refusal> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = [0; MAX_DATAGRAM];
        socket.set_nonblocking(true).map_err(|error| self.refuse(&error))?;
        loop {
            match socket.recv(&mut room) {
                Ok(length) => {
                    // What is no message of the plugin is somebody else's.
                    if let Some(told) = Told::parse(room.get(..length).unwrap_or_default()) {
                        keep(context, &told).inspect_err(|_| {
                            self.unkept.fetch_max(told.at, Ordering::Relaxed);
                        })?;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(self.refuse(&error)),
            }
        }
    }

    /// Whether all uses since then were kept.
    ///
    /// # Errors
    /// They were not: silence since then proves nothing.
    pub fn complete(&self, since: Timestamp) -> Result<(), Refusal> {
        if self.unkept.load(Ordering::Relaxed) < since.0 {
            return Ok(());
        }
        let remedy = "see to the journal's disk, then let the grace begin again";
        Err(Refusal::new("the journal could not keep a login that was seen in that time", remedy))
    }

    fn refuse(&self, error: &std::io::Error) -> Refusal {
        Refusal::new(format!("the socket {} fails: {error}", self.path.display()), "restart citytap-rekey")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // A stale socket is replaced at the next start.
    }
}

fn bind(path: &Path, like: &Path) -> std::io::Result<UnixDatagram> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let socket = UnixDatagram::bind(path)?;
    if let Ok(like) = std::fs::metadata(like) {
        std::os::unix::fs::chown(path, None, Some(like.gid()))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(socket)
}

fn listen(listener: &Weak<Listener>, context: &WayContext) {
    while let Some(listener) = listener.upgrade() {
        // A fault of the journal is told to whoever asks for evidence next.
        let drained = listener.drain(context);
        drop(listener);
        std::thread::sleep(if drained.is_ok() { NAP } else { NAP * 10 });
    }
}

fn keep(context: &WayContext, told: &Told) -> Result<(), Refusal> {
    let Ok(slot) = Slot::new(super::NAME, &told.user) else { return Ok(()) };
    if told.user == super::ways::plugin::CANARY {
        return Ok(());
    }
    note_run(&*context.ledger, told)?;
    if let Some(evidence) = evidence(context, &slot, told)?
        && !is_known(context, &slot, &evidence)?
    {
        context.ledger.saw(&slot, &[evidence]).map_err(journal)?;
    }
    Ok(())
}

/// Whether the same session's data was seen a moment ago, by the device's own measure of a moment.
fn is_known(context: &WayContext, slot: &Slot, evidence: &Evidence) -> Result<bool, Refusal> {
    let Evidence::Used(Use { session, at, reach: Reach::Data, .. }) = *evidence else { return Ok(false) };
    let moment = Span(context.settings.device(slot).reporting().0 / 4).min(Span::seconds(60));
    let seen = context.ledger.seen(slot, Timestamp(at.0.saturating_sub(moment.0))).map_err(journal)?;
    Ok(seen.iter().any(|it| matches!(it, Evidence::Used(it) if it.session == session && it.reach == Reach::Data)))
}

/// A broker that started while nobody listened may have taken uses with it.
fn note_run(ledger: &dyn Ledger, told: &Told) -> Result<(), Refusal> {
    let run = told.started.to_be_bytes().to_vec();
    let known = ledger.get(RUN).map_err(journal)?.map(|(_, bytes)| bytes);
    if known.as_ref() == Some(&run) {
        return Ok(());
    }
    let mut changes = vec![(RUN.to_vec(), Some(run.clone()))];
    changes.extend(known.map(|_| (LOST.to_vec(), Some(run))));
    ledger.put(&changes).map_err(journal)
}

/// Until when uses may have been lost.
///
/// # Errors
/// The journal cannot be read.
pub fn lost_until(ledger: &dyn Ledger) -> Result<Option<Timestamp>, Refusal> {
    let bytes = ledger.get(LOST).map_err(journal)?.map(|(_, bytes)| bytes);
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(|bytes| Timestamp(i64::from_be_bytes(bytes))))
}

/// What a datagram shows. A password that is none of the staged ones is the broker's own generation where the client then published; where it did not, it counts
/// as that one unless we know that one's password, and so know that this was another.
fn evidence(context: &WayContext, slot: &Slot, told: &Told) -> Result<Option<Evidence>, Refusal> {
    let at = Timestamp(told.at);
    let generation = match told.generation {
        OTHER => {
            // A password that a person set: the read-back says so.
            let Some(own) = context.held_by_broker(slot)? else { return Ok((!told.data).then_some(Evidence::Refused { at })) };
            let is_known = context.ledger.secret(slot, own).map_err(journal)?.is_some();
            if is_known && !told.data {
                return Ok(Some(Evidence::Refused { at }));
            }
            own
        }
        generation => Generation(generation),
    };
    let reach = if told.data { Reach::Data } else { Reach::Authenticated };
    Ok(Some(Evidence::Used(Use { generation, session: session(told.started, told.login), at, by: Witness::Verifier, reach })))
}

/// One mark for one login of one broker run (the finaliser of SplitMix64, so that runs do not overlap).
pub fn session(started: i64, login: u64) -> u64 {
    let mut mark = (started as u64).wrapping_add(login.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mark = (mark ^ (mark >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mark = (mark ^ (mark >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mark ^ (mark >> 31)
}

/// A journal's fault as a refusal.
pub fn journal(error: crate::journal::JournalError) -> Refusal {
    Refusal::new(error.to_string(), "see to the journal's disk first")
}
