//! Judges a login by the journal's secrets, and keeps what it saw as evidence.

use super::NAME;
use crate::backends::Refusal;
use crate::backends::mosquitto::told::{journal, session};
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::journal::Ledger;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds between two words about the same session's data.
const RETELL: i64 = 10_000_000_000;
/// Users whose session is remembered, so that its messages can be told: more than one endpoint's devices.
const MAX_SESSIONS: usize = 100_000;

/// What a broker should do with a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it in.
    Allow,
    /// Do not.
    Deny,
    /// Ask the next authenticator.
    Pass,
}

/// The judge.
pub struct Judge {
    ledger: Arc<dyn Ledger>,
    started: i64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    logins: u64,
    /// By user: generation and mark of the session, and when its data was last told.
    sessions: HashMap<String, (Generation, u64, Option<i64>)>,
    /// When evidence was last not kept.
    lost: Option<Timestamp>,
}

impl Judge {
    /// Judges by this journal.
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger, started: now().0, state: Mutex::default() }
    }

    /// Whether logins can be judged.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn ready(&self) -> Result<(), Refusal> {
        self.ledger.slots().map(drop).map_err(journal)
    }

    /// Whether this is a user of ours.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn knows(&self, user: &str) -> Result<bool, Refusal> {
        let Ok(slot) = Slot::new(NAME, user) else { return Ok(false) };
        Ok(!self.accepted(&slot)?.generations.is_empty())
    }

    /// Judges a login.
    ///
    /// # Errors
    /// The journal cannot be read; nothing is decided then.
    pub fn login(&self, user: &str, password: &[u8]) -> Result<Decision, Refusal> {
        let Ok(slot) = Slot::new(NAME, user) else { return Ok(Decision::Pass) };
        let accepted = self.accepted(&slot)?.generations;
        let (mut matched, mut unknown) = (None, None);
        for generation in accepted.iter().copied() {
            match self.ledger.secret(&slot, generation).map_err(journal)? {
                Some(secret) if secret.same(password) => matched = Some(generation),
                Some(_) => {}
                None => unknown = unknown.or(Some(generation)),
            }
        }
        let decision = match (matched, unknown) {
            (Some(_), _) => Decision::Allow,
            (None, None) if !accepted.is_empty() => Decision::Deny,
            (None, _) => Decision::Pass,
        };
        match matched.or(unknown) {
            // Passed on: the broker's own password may be the generation that was never entered here, so it counts as used.
            Some(generation) => self.used(&slot, generation, matched.is_some()),
            None if decision == Decision::Deny => self.keep(&slot, Evidence::Refused { at: now() }),
            None => {}
        }
        Ok(decision)
    }

    /// The user's session published: its data flows.
    pub fn published(&self, user: &str) {
        let at = now();
        let session = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.sessions.get_mut(user).filter(|(.., last)| last.is_none_or(|last| at.0.saturating_sub(last) >= RETELL)).map(
                |session| {
                    session.2 = Some(at.0);
                    (session.0, session.1)
                },
            )
        };
        if let (Some((generation, session)), Ok(slot)) = (session, Slot::new(NAME, user)) {
            self.keep(&slot, Evidence::Used(Use { generation, session, at, by: Witness::Verifier, reach: Reach::Data }));
        }
    }

    /// What is accepted.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn accepted(&self, slot: &Slot) -> Result<AcceptSet, Refusal> {
        self.ledger.accepted(slot).map_err(journal)
    }

    /// What was seen.
    ///
    /// # Errors
    /// The journal cannot be read, or could not keep something since then.
    pub fn evidence(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        let lost = self.state.lock().unwrap_or_else(PoisonError::into_inner).lost;
        if lost.is_some_and(|at| at >= since) {
            return Err(Refusal::new(
                "the journal could not keep a login that was seen in that time",
                "see to the journal's disk, then start the grace period again",
            ));
        }
        self.ledger.seen(slot, since).map_err(journal)
    }

    fn used(&self, slot: &Slot, generation: Generation, is_sure: bool) {
        let mark = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.logins += 1;
            let mark = session(self.started, state.logins);
            if is_sure && (state.sessions.len() < MAX_SESSIONS || state.sessions.contains_key(slot.name())) {
                state.sessions.insert(slot.name().to_owned(), (generation, mark, None));
            }
            mark
        };
        self.keep(
            slot,
            Evidence::Used(Use { generation, session: mark, at: now(), by: Witness::Verifier, reach: Reach::Authenticated }),
        );
    }

    /// A full disk must not keep devices out: the login is answered, and the gap remembered.
    fn keep(&self, slot: &Slot, evidence: Evidence) {
        if self.ledger.saw(slot, &[evidence]).is_err() {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).lost = Some(evidence.at());
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
