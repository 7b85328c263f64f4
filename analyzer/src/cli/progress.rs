//! How far a long replay is, on a terminal; nothing in a pipe.

use citytap_sensor::capture::{CaptureError, CaptureInfo, CaptureSource, Packet};
use citytap_sensor::time::Timestamp;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Packets between two looks at the clock.
const STRIDE: u64 = 1 << 15;

/// Between two lines, and before the first: what is quicker needs none.
const EVERY: Duration = Duration::from_millis(500);

/// A source that tells how far it is.
pub(super) struct Progress<S> {
    inner: S,
    packets: u64,
    next_look: u64,
    last: Instant,
    shown: bool,
}

impl<S: CaptureSource> Progress<S> {
    /// Tells of `inner` on standard error, if that is a terminal.
    pub(super) fn new(inner: S) -> Self {
        let next_look = if std::io::stderr().is_terminal() { STRIDE } else { u64::MAX };
        Self { inner, packets: 0, next_look, last: Instant::now(), shown: false }
    }

    /// Takes the line away again.
    pub(super) fn into_inner(self) -> S {
        if self.shown {
            eprint!("\r\x1b[K");
        }
        self.inner
    }

    #[cold]
    fn look(&mut self) {
        self.next_look = self.packets + STRIDE;
        if self.last.elapsed() < EVERY {
            return;
        }
        (self.last, self.shown) = (Instant::now(), true);
        let (read, packets) = (self.inner.bytes_read(), crate::screen::grouped(self.packets));
        let line = match self.inner.size().filter(|size| *size > 0) {
            Some(size) => format!("reading  {:>3} %  {packets} packets", (read.saturating_mul(100) / size).min(100)),
            None => format!("reading  {} MB  {packets} packets", read / 1_000_000),
        };
        // A terminal that is gone is no reason to stop.
        let _ = write!(std::io::stderr(), "\r{line}\x1b[K");
    }
}

impl<S: CaptureSource> CaptureSource for Progress<S> {
    #[inline]
    fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        self.packets += 1;
        if self.packets >= self.next_look {
            self.look();
        }
        self.inner.next()
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
        self.inner.size()
    }
}
