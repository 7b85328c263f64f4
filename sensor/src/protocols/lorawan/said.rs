//! What a flow told already, so that a device that reports every minute is told of once, and later only that it is active. Carriers that name
//! devices use it too.

use crate::counters::Counter;
use crate::flow::Direction;
use crate::observation::{Fact, Identity};
use crate::protocols::Cx;
use crate::protocols::heard::Heard;

/// Devices of which a flow remembers what it told. A gateway hears some tens of devices again and again.
pub(crate) const SAID: usize = 64;

/// Places at first: most flows tell of few devices.
const FEW: usize = 2;

/// The last thing told of each device that fell into a slot. A device that shares its slot is told of again, never forgotten.
#[derive(Default)]
pub(crate) struct Said {
    /// None, or a power of two up to [`SAID`].
    slots: Vec<Option<Slot>>,
    /// Activity of devices that made room for others.
    untold: Vec<Fact<'static>>,
    /// Activity for which there was no room.
    dropped: u64,
}

struct Slot {
    id: Identity<'static>,
    key: u64,
    what: u64,
    heard: Heard,
}

/// What is to be told with a message.
pub(crate) enum Saying {
    /// What is said of the device is new; and perhaps that another one was active.
    New(Option<Fact<'static>>),
    /// It was said before: that it or another one is active, or nothing yet.
    Again(Option<Fact<'static>>),
}

impl Said {
    /// Takes a message of the device `id`, whose number is `key`. `what` is anything that changes with what is told of it.
    pub(crate) fn hear(&mut self, id: Identity<'static>, key: u64, what: u64, cx: &Cx<'_>) -> Saying {
        let activity = match self.known(id, key, what, cx) {
            Some(heard) => heard.message(id, cx),
            None => return Saying::New(self.untold.pop()),
        };
        Saying::Again(activity.or_else(|| self.untold.pop()))
    }

    /// Takes a message about the device: one of its own, or one that only mentions it.
    pub(crate) fn hear_of(&mut self, id: Identity<'static>, key: u64, what: u64, own: bool, cx: &Cx<'_>) -> Saying {
        match own {
            true => self.hear(id, key, what, cx),
            false if self.is_new(id, key, what, cx) => Saying::New(None),
            false => Saying::Again(None),
        }
    }

    /// Whether what is told of a device is new, where the message is none of the device's own.
    pub(crate) fn is_new(&mut self, id: Identity<'static>, key: u64, what: u64, cx: &Cx<'_>) -> bool {
        self.known(id, key, what, cx).is_none()
    }

    /// What was heard of the device since this was told; `None` where it is told now.
    fn known(&mut self, id: Identity<'static>, key: u64, what: u64, cx: &Cx<'_>) -> Option<&mut Heard> {
        let mut at = place(key, what, self.slots.len());
        loop {
            match self.slots.get(at) {
                Some(Some(slot)) if (slot.key, slot.what) == (key, what) => break,
                Some(Some(_)) if self.slots.len() < SAID => self.grow(),
                Some(_) => {
                    let new = Slot { id, key, what, heard: Heard::told(cx) };
                    let old = self.slots.get_mut(at)?.replace(new);
                    self.keep_untold(old);
                    return None;
                }
                None => self.slots.resize_with(FEW, || None),
            }
            at = place(key, what, self.slots.len());
        }
        self.slots.get_mut(at)?.as_mut().map(|slot| &mut slot.heard)
    }

    /// What was heard of a device that made room is told with the next message.
    fn keep_untold(&mut self, old: Option<Slot>) {
        let Some(rest) = old.and_then(|mut old| old.heard.rest(old.id)) else { return };
        match self.untold.len() < SAID {
            true => self.untold.push(rest),
            false => self.dropped += 1,
        }
    }

    /// Tells what was heard and not told yet, at the end of the flow.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>) {
        cx.count(Counter::SessionEntriesDropped, std::mem::take(&mut self.dropped));
        let heard = self.slots.iter_mut().flatten().filter_map(|slot| slot.heard.rest(slot.id));
        let rest: Vec<Fact<'_>> = self.untold.drain(..).chain(heard).collect();
        if !rest.is_empty() {
            cx.facts(Direction::ToServer, &rest);
        }
    }

    /// Doubles the room. A slot becomes two, so that none of those that are there meet.
    fn grow(&mut self) {
        let room = (2 * self.slots.len()).min(SAID);
        let slots = std::mem::take(&mut self.slots);
        self.slots.resize_with(room, || None);
        for slot in slots.into_iter().flatten() {
            let place = place(slot.key, slot.what, room);
            if let Some(free) = self.slots.get_mut(place) {
                *free = Some(slot);
            }
        }
    }
}

/// Multiplicative hashing; the upper bits choose the slot.
fn place(key: u64, what: u64, slots: usize) -> usize {
    let hash = (key ^ what.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((u128::from(hash) * slots as u128) >> 64) as usize
}

/// FNV-1a over texts, each ended by a byte that text does not have.
pub(crate) fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
