//! A run that goes on: what passes now instead of captures, judged again and again.
//!
//! The thread that calls [`listen`] takes packets and nothing else; the cold half has a thread of its own, so that a long judgement or a
//! slow disk does not cost packets. Between the two lie at most [`EPOCHS_WAITING`] epochs; when those are full the kernel's buffer fills,
//! and what it drops is counted.

use super::{Cold, Report, Setup, wishes};
use crate::detectors::baseline::learned::Baseline;
use crate::hot::{Batch, Hot};
use citytap_sensor::capture::{CaptureError, CaptureSource};
use citytap_sensor::dispatch::{self, EpochEnd};
use citytap_sensor::time::{Nanos, Timestamp};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

/// Epochs that may wait for the cold half: four minutes of an ordinary wire, in which even an audit of many keys comes to its end.
pub const EPOCHS_WAITING: usize = 256;

/// A judgement may take this part of the time at most: one that takes longer comes less often.
const SHARE: Nanos = 10;

/// What takes the reports of a run that goes on.
pub trait Listener: Send {
    /// Takes how things stand at `now`; `last` at the end of the run.
    fn judged(&mut self, report: &Report, now: Timestamp, last: bool);

    /// What is normal by a decision that a person took since it was asked last; the next judgement goes by it. Asked after each.
    fn decided(&mut self) -> Option<Arc<Baseline>> {
        None
    }

    /// Whether it wants a report at once. Asked once an epoch.
    fn is_waiting(&mut self) -> bool {
        false
    }
}

/// Runs a live source through all stages until it ends, and reports to `listener` at least each `every` of packet time and at the end.
///
/// # Errors
/// What the source answers when it cannot go on; the last report was made.
pub fn listen(
    source: &mut dyn CaptureSource,
    setup: &Setup,
    every: Nanos,
    listener: &mut dyn Listener,
) -> Result<Option<Report>, CaptureError> {
    let wishes = wishes(setup);
    let make = |_| Hot::new(wishes.clone());
    std::thread::scope(|scope| {
        let (epochs, incoming) = sync_channel::<EpochEnd<Batch>>(EPOCHS_WAITING);
        let of_cold = wishes.clone();
        let cold = scope.spawn(move || judge(&incoming, Cold::new(setup, of_cold), every, listener));
        let outcome = dispatch::run(source, setup.sensor(), &setup.config.network_map(), setup.threads, make, |epoch| {
            // The receiver is gone only if its thread panicked, which the end of the scope tells.
            epochs.send(epoch).is_ok()
        });
        drop(epochs);
        let report = cold.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        outcome.map(|_| report)
    })
}

/// The cold half's thread. Answers the last report.
fn judge(incoming: &Receiver<EpochEnd<Batch>>, mut cold: Cold, every: Nanos, listener: &mut dyn Listener) -> Option<Report> {
    let mut due: Option<Timestamp> = None;
    for mut epoch in incoming {
        let (now, whole, last) = (epoch.now, epoch.whole, epoch.last);
        if let Some(outcome) = epoch.so_far.take() {
            cold.coverage.stands(outcome);
        }
        cold.epoch(epoch);
        if !whole {
            continue;
        }
        let is_due = *due.get_or_insert(now.plus(every)) <= now;
        if !(last || is_due || listener.is_waiting()) {
            continue;
        }
        let began = Instant::now();
        let report = cold.report(true);
        listener.judged(&report, now, last);
        if last {
            return Some(report);
        }
        cold.resume(report);
        if let Some(baseline) = listener.decided() {
            cold.begin(&baseline);
        }
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(Nanos::MAX);
        due = Some(now.plus(every.max(took.saturating_mul(SHARE))));
    }
    None
}
