//! The clock, and what it is not believed.
//!
//! A wall clock that jumps could end a grace that has not been. So time goes on by the monotonic clock, and follows the wall clock while both agree. When they
//! part, nothing new is made, delivered or retired until a person confirms the wall clock or it agrees again; verifiers go on following their devices.

use crate::time::{Span, Timestamp};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// How far both clocks may part in one look and still agree: NTP slews, and a thread may sleep over.
const TOLERANCE: Span = Span::seconds(60);
/// How long this host may have been off without anybody asking about the clock.
const AWAY: Span = Span::hours(24 * 7);

/// A clock on the wall and one that only goes on.
pub trait Clock: Send + Sync {
    /// The time of day, as the system tells it.
    fn wall(&self) -> Timestamp;

    /// Time since some moment; never goes back.
    fn monotonic(&self) -> Span;
}

/// The system's clocks.
pub struct SystemClock(Instant);

impl SystemClock {
    /// The system's clocks.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Span {
        Span(i64::try_from(self.0.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }
}

/// A clock that is not believed when it jumps.
pub struct Guarded {
    clock: Arc<dyn Clock>,
    anchor: Timestamp,
    anchored: Span,
    doubt: Option<String>,
}

impl Guarded {
    /// Begins where the journal left off, `last`, if there was a journal.
    pub fn new(clock: Arc<dyn Clock>, last: Option<Timestamp>) -> Self {
        let (wall, anchored) = (clock.wall(), clock.monotonic());
        let doubt = last.and_then(|last| {
            if wall < last {
                Some(format!("the clock is {} s behind what the journal wrote down last", last.since(wall).0 / 1_000_000_000))
            } else if wall.since(last) > AWAY {
                Some(format!(
                    "the clock is {} days ahead of what the journal wrote down last",
                    wall.since(last).0 / 86_400_000_000_000
                ))
            } else {
                None
            }
        });
        let anchor = if doubt.is_some() { last.unwrap_or(wall) } else { wall };
        Self { clock, anchor, anchored, doubt }
    }

    fn expected(&self) -> Timestamp {
        self.anchor.plus(Span(self.clock.monotonic().0.saturating_sub(self.anchored.0)))
    }

    /// Compares both clocks.
    pub fn look(&mut self) {
        let (wall, expected) = (self.clock.wall(), self.expected());
        let apart = Span(wall.since(expected).0.max(expected.since(wall).0));
        if apart <= TOLERANCE {
            // Never back: a rotation's time stands still instead.
            self.doubt = None;
            if wall > expected {
                (self.anchor, self.anchored) = (wall, self.clock.monotonic());
            }
        } else if self.doubt.is_none() {
            let way = if wall < expected { "back" } else { "forward" };
            self.doubt = Some(format!("the clock jumped {way} by {} s", apart.0 / 1_000_000_000));
        }
    }

    /// The time that rotations go by.
    pub fn now(&self) -> Timestamp {
        self.expected()
    }

    /// Whether something new may begin.
    pub fn is_trusted(&self) -> bool {
        self.doubt.is_none()
    }

    /// Why the clock is not believed.
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// A person says that the clock on the wall is right.
    pub fn confirm(&mut self) {
        (self.anchor, self.anchored, self.doubt) = (self.clock.wall(), self.clock.monotonic(), None);
    }
}
