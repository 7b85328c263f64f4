//! A device as devices are: it may forget, go back late, refuse, take what it cannot use, fall back to what it left the factory with.

use super::chance::Chance;
use crate::slot::Generation;
use crate::time::{Span, Timestamp};

/// A secret's value, as far as the model needs it: two are the same or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub u64);

/// How a device misbehaves.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// It keeps a new secret in memory only, until the next restart.
    pub forgets: bool,
    /// It goes back to the one before by itself, this long after the delivery was sent.
    pub reverts_after: Option<Span>,
    /// It goes back when it was refused, or failed, so many times.
    pub reverts_on_failures: Option<u32>,
    /// It refuses so many deliveries, definitely, before it takes one.
    pub refuses: u32,
    /// It says that it took it, and cannot use what it is sent the first time; it goes back after failures.
    pub cannot_use_first: bool,
    /// It is reset to factory settings now and then.
    pub factory_resets: bool,
    /// It starts anew when it adopts a secret.
    pub restarts_on_adoption: bool,
}

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    /// What it uses.
    pub active: Value,
    /// What it uses after a restart.
    pub stored: Value,
    /// What it used before.
    pub previous: Value,
    /// What it left the factory with.
    pub factory: Value,
    /// Its session's mark and what it was opened with.
    pub session: Option<(u64, Value)>,
    /// What it cannot use.
    pub unusable: Option<Value>,
    /// Failures in a row.
    pub failures: u32,
    /// Away until then, by no fault of ours.
    pub offline_until: Timestamp,
    /// When data last flowed.
    pub heard: Timestamp,
    /// How it misbehaves.
    pub manners: Manners,
    refused: u32,
    sent: bool,
}

/// What a device says to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has it.
    Taken,
    /// It had it already.
    Had,
    /// It refuses.
    Refused,
}

impl Device {
    /// A device that uses `value`.
    pub fn new(value: Value, manners: Manners, now: Timestamp) -> Self {
        let (active, stored, previous, factory) = (value, value, value, value);
        let session = Some((0, value));
        let offline_until = now;
        let (refused, sent, failures, unusable) = (0, false, 0, None);
        Self { active, stored, previous, factory, session, unusable, failures, offline_until, heard: now, manners, refused, sent }
    }

    /// A delivery arrives.
    pub fn receives(&mut self, value: Value) -> Answer {
        if self.active == value && self.stored == value {
            return Answer::Had;
        }
        if self.refused < self.manners.refuses {
            self.refused += 1;
            return Answer::Refused;
        }
        if self.manners.cannot_use_first && !self.sent {
            self.unusable = Some(value);
        }
        self.sent = true;
        if self.active != value {
            self.previous = self.active;
        }
        self.active = value;
        if !self.manners.forgets {
            self.stored = value;
        }
        self.session = None;
        self.failures = 0;
        Answer::Taken
    }

    /// It starts anew.
    pub fn restarts(&mut self) {
        self.active = self.stored;
        self.session = None;
    }

    /// It goes back to what it used before.
    pub fn reverts(&mut self) {
        self.active = self.previous;
        self.stored = self.previous;
        self.session = None;
        self.failures = 0;
    }

    /// It is reset.
    pub fn resets(&mut self) {
        self.active = self.factory;
        self.stored = self.factory;
        self.previous = self.factory;
        self.session = None;
    }

    /// It failed to connect.
    pub fn fails(&mut self) {
        self.failures += 1;
        let patience = self.manners.reverts_on_failures.or((self.unusable == Some(self.active)).then_some(3));
        if patience.is_some_and(|most| self.failures >= most) && self.previous != self.active {
            self.reverts();
        }
    }
}

/// How a device of this seed misbehaves. `settles` bounds how late it does.
pub fn manners(chance: &mut Chance, settles: Span, falls_back: bool) -> Manners {
    let mut manners = Manners { restarts_on_adoption: chance.percent(50), factory_resets: falls_back, ..Manners::default() };
    match chance.below(10) {
        0 => manners.forgets = true,
        1 => manners.reverts_after = Some(chance.span(settles)),
        2 => manners.refuses = u32::try_from(chance.below(8)).unwrap_or(0),
        3 => manners.cannot_use_first = true,
        _ => {}
    }
    manners
}

/// The first generation's value; the others follow from the generator of the host.
pub const FIRST_VALUE: Value = Value(1);
/// The generation of [`FIRST_VALUE`].
pub const FIRST: Generation = Generation::FIRST;
