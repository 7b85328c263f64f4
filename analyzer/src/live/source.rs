//! A live source that ends when it is told to, and tells people what it loses.

use super::{now, tell};
use crate::screen::counted;
use citytap_sensor::capture::live::LiveSource;
use citytap_sensor::capture::{CaptureError, CaptureInfo, CaptureSource, Lost, Packet};
use citytap_sensor::time::Timestamp;
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

/// A live source with somebody who watches it.
pub struct Watched<C> {
    inner: LiveSource<C>,
    orders: Orders,
    /// When the end was ordered: what was stamped before is still read.
    ends: Option<Timestamp>,
    over: bool,
    captures: Arc<Mutex<Vec<CaptureInfo>>>,
    /// Interfaces that are down.
    down: BTreeSet<String>,
    told: Lost,
    told_when: Option<Instant>,
}

impl<C: FnMut() -> Timestamp> Watched<C> {
    /// Watches a source.
    pub fn new(inner: LiveSource<C>, orders: Orders) -> Self {
        let captures = Arc::new(Mutex::new(inner.describe()));
        Self { inner, orders, ends: None, over: false, captures, down: BTreeSet::new(), told: Lost::default(), told_when: None }
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
                tell(&format!("{name} is down or has no carrier: nothing is heard on it until it is up; see ip link"));
            } else if !is_down && self.down.remove(name) {
                tell(&format!("{name} is up again"));
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
            tell(&format!(
                "{packets} dropped by the kernel because its buffer was full; give it more (--buffer) or more threads (--threads)"
            ));
        }
        if interface > 0 {
            let packets = counted(interface, "packet was", "packets were");
            tell(&format!("{packets} dropped by the network interface or its driver"));
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
        let Some(ends) = self.ends else { return self.inner.next() };
        let next = self.inner.next()?.filter(|packet| packet.stamp <= ends);
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
        self.inner.news().iter().for_each(|news| tell(news));
        self.tell_losses(lost);
        let captures = self.inner.describe();
        self.tell_links(&captures);
        *self.captures.lock().unwrap_or_else(PoisonError::into_inner) = captures;
        lost
    }
}
