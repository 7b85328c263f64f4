//! Changes on their way to the disk: one thread takes what waits, writes it with one flush, and lets all the answers go that depended on it.

use crate::backends::Refusal;
use crate::journal::{Change, Ledger};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// Changes in one write: some milliseconds of joins at full speed, so that no answer waits long for others.
pub const BATCH: usize = 512;

struct Waiting {
    change: Change,
    done: oneshot::Sender<bool>,
}

/// The way to the disk. The thread ends when this is dropped, after all that waits is written.
pub struct Writer {
    queue: Option<Sender<Waiting>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(ledger: Arc<dyn Ledger>) -> Result<Self, Refusal> {
        let (queue, waiting) = channel();
        let thread = std::thread::Builder::new().name("join-writer".into()).spawn(move || write(&*ledger, &waiting));
        let thread =
            thread.map_err(|error| Refusal::new(format!("no thread for the journal: {error}"), "raise the limit of threads"))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands a change over; changes of one key are written in the order in which they come. The answer is whether it is on the disk. What waits is bounded by
    /// the connections of the server: each waits for its answer.
    pub fn put(&self, change: Change) -> oneshot::Receiver<bool> {
        let (done, answer) = oneshot::channel();
        if let Some(queue) = &self.queue {
            // A receiver that is gone shows in the answer, which is then dropped.
            let _ = queue.send(Waiting { change, done });
        }
        answer
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(ledger: &dyn Ledger, waiting: &Receiver<Waiting>) {
    while let Ok(first) = waiting.recv() {
        let batch = std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1));
        let (changes, dones): (Vec<Change>, Vec<_>) = batch.map(|waiting| (waiting.change, waiting.done)).unzip();
        let written = ledger.put(&changes).is_ok();
        for done in dones {
            // Who no longer waits does not need to know.
            let _ = done.send(written);
        }
    }
}
