//! The thread that takes messages from a spool to a sink: in order, again after a failure, later and later up to `LONGEST_PAUSE`.

use super::spool::{Amounts, Spool};
use super::{Message, Sink, Undelivered};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Messages handed over at a time.
const BATCH: usize = 256;

/// The pause after the first failure; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause: how late a peer that is back gets what it missed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What takes messages to one sink.
pub struct Courier {
    target: String,
    shared: Arc<Shared>,
    tell: Tell,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

/// How delivery stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Messages handed over in this run.
    pub delivered: u64,
    /// What waits and what was lost.
    pub amounts: Amounts,
    /// Why the peer takes nothing, where it does not.
    pub away: Option<String>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    spool: Spool,
    delivered: u64,
    away: Option<String>,
    ending: bool,
}

/// Takes what a person should be told.
pub type Tell = fn(&str);

impl Courier {
    /// Starts the thread. `target` names the sink in what `tell` is told.
    pub fn start(target: &str, sink: Box<dyn Sink>, spool: Spool, tell: Tell) -> Self {
        let state = Mutex::new(State { spool, delivered: 0, away: None, ending: false });
        let shared = Arc::new(Shared { state, wake: Condvar::new() });
        let (alive, ended) = channel();
        let theirs = shared.clone();
        let name = target.to_owned();
        std::thread::spawn(move || {
            theirs.work(sink, &name, tell);
            // Whoever waits for the end may open the spool again.
            drop(theirs);
            drop(alive);
        });
        Self { target: target.into(), shared, tell, ended }
    }

    /// The target that it goes to.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Takes messages over. They are on the disk when it returns, where there is one that takes them.
    pub fn push(&self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        let before = state.spool.amounts().disk;
        state.spool.push(messages);
        let after = state.spool.amounts().disk;
        drop(state);
        self.shared.wake.notify_all();
        match (before, after) {
            (None, Some(why)) => {
                (self.tell)(&format!("the spool of {} cannot be written ({why}); messages wait in memory", self.target))
            }
            (Some(_), None) => (self.tell)(&format!("the spool of {} is written again", self.target)),
            _ => {}
        }
    }

    /// How it stands.
    pub fn delivery(&self) -> Delivery {
        let state = self.shared.lock();
        Delivery { delivered: state.delivered, amounts: state.spool.amounts(), away: state.away.clone() }
    }

    /// Hands over what waits, unless the peer is away or takes longer than `patience`; what is left stays in the spool.
    pub fn finish(&self, patience: Duration) -> Delivery {
        self.shared.lock().ending = true;
        self.shared.wake.notify_all();
        // Nothing is sent: the channel closes, or the thread hangs in a peer that takes nothing and ends with the process.
        let _ = self.ended.recv_timeout(patience);
        self.delivery()
    }
}

impl Shared {
    /// Whoever panicked while it held the lock left nothing half done that would matter here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut sink: Box<dyn Sink>, target: &str, tell: Tell) {
        let mut pause = FIRST_PAUSE;
        loop {
            let (first, batch, ending) = self.next();
            if batch.is_empty() {
                return;
            }
            let result = sink.deliver(&batch);
            let taken = result.as_ref().map_or_else(|undelivered| undelivered.taken, |()| batch.len());
            let mut state = self.lock();
            state.spool.taken(first + taken as u64);
            state.delivered += taken as u64;
            match result {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    if state.away.take().is_some() {
                        tell(&format!("{target} takes messages again"));
                    }
                }
                Err(Undelivered { why, .. }) => {
                    if state.away.replace(why.clone()).is_none() && !ending {
                        tell(&format!("{target} takes no messages ({why}); they wait, and it is tried again"));
                    }
                    // The end gives it one more chance.
                    if ending {
                        return;
                    }
                    self.wait(state, pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// The next messages; none at the end.
    fn next(&self) -> (u64, Vec<Message>, bool) {
        let mut state = self.lock();
        loop {
            let (first, batch) = state.spool.peek(BATCH);
            if !batch.is_empty() || state.ending {
                return (first, batch, state.ending);
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the time to pass, or the end.
    fn wait(&self, mut state: MutexGuard<'_, State>, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.ending {
                return;
            }
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
