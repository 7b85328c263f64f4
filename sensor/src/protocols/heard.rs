//! How often a device that goes on speaking is told to be active: about once a minute, with the messages since, and at the end of the flow.

use super::Cx;
use crate::observation::{Fact, Identity, Place};
use crate::time::{Nanos, SECOND, Timestamp};

/// Time between two statements that a device is active: what is shown is at most this old, and a busy device costs next to nothing.
pub const ACTIVITY_INTERVAL: Nanos = 60 * SECOND;

/// What was heard of one device since it was last told of.
#[derive(Clone, Copy)]
pub(crate) struct Heard {
    /// When it was last told of.
    told: Timestamp,
    /// The last message.
    place: Place,
    time: Timestamp,
    /// Messages since it was last told of.
    messages: u32,
}

impl Default for Heard {
    fn default() -> Self {
        Self { told: Timestamp(0), place: Place { frame: 0, sequence: 0 }, time: Timestamp(0), messages: 0 }
    }
}

impl Heard {
    /// Of a device that is told of with this message.
    #[inline]
    pub(crate) fn told(cx: &Cx<'_>) -> Self {
        Self { told: cx.now(), place: cx.place(), time: cx.time(), messages: 0 }
    }

    /// Takes a message of the device; what is due to be told comes back.
    #[inline]
    pub(crate) fn message<'a>(&mut self, id: Identity<'a>, cx: &Cx<'_>) -> Option<Fact<'a>> {
        self.due(cx).map(|unnamed| unnamed.of(id))
    }

    /// The same, where the device's name is known later.
    #[inline]
    pub(crate) fn due(&mut self, cx: &Cx<'_>) -> Option<Unnamed> {
        (self.place, self.time) = (cx.place(), cx.time());
        self.messages = self.messages.saturating_add(1);
        if cx.now().since(self.told) < ACTIVITY_INTERVAL {
            return None;
        }
        self.told = cx.now();
        self.take()
    }

    /// Turns to another device, which is told of with this message; what was not told yet of the one before comes back.
    pub(crate) fn turn<'a>(&mut self, before: Option<Identity<'a>>, cx: &Cx<'_>) -> Option<Fact<'a>> {
        let mut old = std::mem::replace(self, Self::told(cx));
        before.and_then(|id| old.rest(id))
    }

    /// What was not told yet.
    pub(crate) fn rest<'a>(&mut self, id: Identity<'a>) -> Option<Fact<'a>> {
        self.take().map(|unnamed| unnamed.of(id))
    }

    fn take(&mut self) -> Option<Unnamed> {
        let messages = std::mem::take(&mut self.messages);
        (messages > 0).then_some(Unnamed { messages, place: self.place, time: self.time })
    }
}

/// Activity of a device yet to be named.
#[derive(Clone, Copy)]
pub(crate) struct Unnamed {
    messages: u32,
    place: Place,
    time: Timestamp,
}

impl Unnamed {
    pub(crate) fn of(self, id: Identity<'_>) -> Fact<'_> {
        Fact::Activity { id, messages: self.messages, place: self.place, time: self.time }
    }
}
