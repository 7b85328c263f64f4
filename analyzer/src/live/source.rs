//! A live source that ends when it is told to, and tells people what it loses.

use super::{now, tell};
use crate::findings::Severity;
use crate::screen::counted;
use citytap_sensor::capture::live::LiveSource;
use citytap_sensor::capture::{CaptureError, CaptureInfo, CaptureSource, Fault, Lost, Packet};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Losses are told of this often at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What the process is told from outside, by signals.
#[derive(Clone, Default)]
pub struct Orders {
    /// To end.
    pub end: Arc<AtomicBool>,
    /// To tell how things stand; whoever does it takes it back.
    pub status: Arc<AtomicBool>,
}

impl Orders {
    /// Takes orders from signals: SIGINT, SIGTERM and SIGHUP end the run, a second one ends the process at once; SIGUSR1 asks for the status.
    ///
    /// # Errors
    /// What the system answers.
    pub fn from_signals() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
        let orders = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the first signal finds the flag unset.
            signal_hook::flag::register_conditional_default(signal, orders.end.clone())?;
            signal_hook::flag::register(signal, orders.end.clone())?;
        }
        signal_hook::flag::register(SIGUSR1, orders.status.clone())?;
        Ok(orders)
    }
}

/// A clock that is set back by more than this ends the run: everything that waits for its time would wait for the difference. What time
/// synchronisation does in one step while it runs is far less.
const SET_BACK: Nanos = 300 * SECOND;

/// Goes on to `time`, unless the clock was set back.
fn follow(latest: &mut Timestamp, time: Timestamp) -> Result<(), CaptureError> {
    if time >= *latest {
        *latest = time;
        return Ok(());
    }
    let back = latest.since(time);
    if back <= SET_BACK {
        return Ok(());
    }
    let fault = Fault::ClockSetBack(back / SECOND);
    Err(CaptureError { file: "the system's clock".into(), offset: 0, unpacked: false, packets: 0, fault })
}

/// What happened to the tap itself: people are told on standard error, and sinks as well, since a tap that hears nothing must not look like peace.
#[derive(Clone, Default)]
pub struct Notices(Arc<Mutex<Vec<(Severity, String)>>>);

impl Notices {
    fn note(&self, severity: Severity, text: String) {
        tell(&text);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((severity, text));
    }

    /// What was noted since the last call.
    pub fn take(&self) -> Vec<(Severity, String)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A live source with somebody who watches it.
pub struct Watched<C> {
    inner: LiveSource<C>,
    orders: Orders,
    notices: Notices,
    /// When the end was ordered: what was stamped before is still read.
    ends: Option<Timestamp>,
    over: bool,
    /// The latest time that was seen.
    latest: Timestamp,
    captures: Arc<Mutex<Vec<CaptureInfo>>>,
    /// Interfaces that are down.
    down: BTreeSet<String>,
    told: Lost,
    told_when: Option<Instant>,
}

impl<C: FnMut() -> Timestamp> Watched<C> {
    /// Watches a source.
    pub fn new(inner: LiveSource<C>, orders: Orders, notices: Notices) -> Self {
        let captures = Arc::new(Mutex::new(inner.describe()));
        Self {
            inner,
            orders,
            notices,
            ends: None,
            over: false,
            latest: Timestamp(0),
            captures,
            down: BTreeSet::new(),
            told: Lost::default(),
            told_when: None,
        }
    }

    /// What is known of the interfaces, at most a second old.
    pub fn captures(&self) -> Arc<Mutex<Vec<CaptureInfo>>> {
        self.captures.clone()
    }

    /// Tells when an interface goes down or its cable is pulled, and when it is back: silence must not read as peace.
    fn tell_links(&mut self, captures: &[CaptureInfo]) {
        for name in captures.iter().map(|capture| &capture.name) {
            let state = std::fs::read_to_string(Path::new("/sys/class/net").join(name).join("operstate"));
            let is_down = state.is_ok_and(|state| matches!(state.trim(), "down" | "lowerlayerdown" | "notpresent"));
            if is_down && self.down.insert(name.clone()) {
                let text = format!("{name} is down or has no carrier: nothing is heard on it until it is up; see ip link");
                self.notices.note(Severity::High, text);
            } else if !is_down && self.down.remove(name) {
                self.notices.note(Severity::Info, format!("{name} is up again"));
            }
        }
    }

    fn tell_losses(&mut self, lost: Lost) {
        let is_more = lost.by_kernel > self.told.by_kernel || lost.by_interface > self.told.by_interface;
        if !is_more || self.told_when.is_some_and(|when| when.elapsed() < TELL_EVERY) {
            return;
        }
        let kernel = lost.by_kernel - self.told.by_kernel;
        let interface = lost.by_interface - self.told.by_interface;
        if kernel > 0 {
            let packets = counted(kernel, "packet was", "packets were");
            let advice = "because its buffer was full; give it more (--buffer) or more threads (--threads)";
            self.notices.note(Severity::Medium, format!("{packets} dropped by the kernel {advice}"));
        }
        if interface > 0 {
            let packets = counted(interface, "packet was", "packets were");
            self.notices.note(Severity::Medium, format!("{packets} dropped by the network interface or its driver"));
        }
        (self.told, self.told_when) = (lost, Some(Instant::now()));
    }
}

impl<C: FnMut() -> Timestamp> CaptureSource for Watched<C> {
    #[inline]
    fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        if self.over {
            return Ok(None);
        }
        if self.ends.is_none() && self.orders.end.load(Ordering::Relaxed) {
            self.ends = Some(now());
        }
        if let Some(time) = self.inner.idle() {
            follow(&mut self.latest, time)?;
        }
        let next = self.inner.next()?;
        if let Some(packet) = &next {
            follow(&mut self.latest, packet.stamp)?;
        }
        let Some(ends) = self.ends else { return Ok(next) };
        let next = next.filter(|packet| packet.stamp <= ends);
        self.over = next.is_none();
        Ok(next)
    }

    fn peek(&mut self) -> Result<Option<Timestamp>, CaptureError> {
        self.inner.peek()
    }

    fn describe(&self) -> Vec<CaptureInfo> {
        self.inner.describe()
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }

    fn size(&self) -> Option<u64> {
        None
    }

    fn is_live(&self) -> bool {
        true
    }

    fn idle(&self) -> Option<Timestamp> {
        if self.over { None } else { self.inner.idle() }
    }

    fn lost(&mut self) -> Lost {
        let lost = self.inner.lost();
        self.inner.news().into_iter().for_each(|news| self.notices.note(Severity::High, news));
        self.tell_losses(lost);
        let captures = self.inner.describe();
        self.tell_links(&captures);
        *self.captures.lock().unwrap_or_else(PoisonError::into_inner) = captures;
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_far_ends_the_run_and_a_small_step_does_not() {
        let mut latest = Timestamp(0);
        let at = |second: u64| Timestamp(second * SECOND);
        assert!(follow(&mut latest, at(10_000)).is_ok());
        assert!(follow(&mut latest, at(9_990)).is_ok());
        let error = follow(&mut latest, at(9_000)).expect_err("it is far");
        assert_eq!(
            error.to_string(),
            "the system's clock: was set back by 1000 seconds. Start again, so that times are right; what was found is kept."
        );
    }
}
