//! One message as gateways heard it and as an application was told of it: whether both are the same.

use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Messages remembered, for [`AGE`]: some hundred a second.
pub(super) const MESSAGES: usize = 32_768;

/// An application is told of a message within this time.
const AGE: Nanos = 60 * SECOND;

/// Different frames under one address and counter: several devices can share both.
const FRAMES: usize = 4;

/// Gateways remembered of a frame.
const GATEWAYS: usize = 8;

/// What names a message: network, address, the low bits of its counter.
pub(super) type Name = (u16, u32, u16);

/// A frame as gateways heard it.
struct Frame {
    port: Option<u8>,
    length: u32,
    /// Digest of what was on the air, encrypted.
    air: u64,
    gateways: SmallVec<[u64; 2]>,
}

/// What an application was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) dev_eui: u64,
    pub(super) gateway: Option<u64>,
    pub(super) port: Option<u8>,
    pub(super) length: Option<u32>,
    pub(super) digest: Option<u64>,
}

/// What comparing says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// Port and length are right; the content could not be compared.
    Outside,
    /// All is the same.
    Same,
    /// Another port.
    Port,
    /// Another length.
    Length,
    /// Other content.
    Content,
}

#[derive(Default)]
struct Message {
    frames: SmallVec<[Frame; 1]>,
    /// Digest of the content that a key made readable.
    plain: Option<u64>,
    told: SmallVec<[Told; 1]>,
    /// All that was compared: a broker passes on what it was told.
    compared: SmallVec<[Told; 1]>,
}

/// Messages of the last minute.
#[derive(Default)]
pub(super) struct Messages {
    known: HashMap<Name, Message, FixedState>,
    order: VecDeque<(Timestamp, Name)>,
    pub(super) shed: u64,
}

impl Messages {
    /// A gateway heard a frame.
    pub(super) fn heard(&mut self, name: Name, now: Timestamp, gateway: u64, port: Option<u8>, length: u32, air: u64) {
        let message = self.message(name, now);
        let room = message.frames.len() < FRAMES;
        match message.frames.iter_mut().find(|frame| (frame.port, frame.length, frame.air) == (port, length, air)) {
            Some(frame) if frame.gateways.len() < GATEWAYS && !frame.gateways.contains(&gateway) => frame.gateways.push(gateway),
            Some(_) => {}
            None if room => {
                message.frames.push(Frame { port, length, air, gateways: SmallVec::from_slice(&[gateway]) });
            }
            None => {}
        }
    }

    /// A key made the content readable. Answers what was told before of the message and can be compared now.
    pub(super) fn read(&mut self, name: Name, now: Timestamp, plain: u64) -> SmallVec<[(Told, Compared); 1]> {
        let message = self.message(name, now);
        message.plain = Some(plain);
        let told = std::mem::take(&mut message.told);
        told.into_iter().filter_map(|told| Some((told, message.compare(&told)?))).collect()
    }

    /// An application was told of a message. `None` where its gateway was not seen to hear it.
    pub(super) fn told(&mut self, name: Name, now: Timestamp, told: Told) -> Option<Compared> {
        self.forget(now);
        let message = self.known.get_mut(&name)?;
        if message.compared.contains(&told) {
            return None;
        }
        let compared = message.compare(&told)?;
        if message.compared.len() < FRAMES {
            message.compared.push(told);
        }
        // The key's work comes later than the message.
        if compared == Compared::Outside && message.told.len() < FRAMES {
            message.told.push(told);
        }
        Some(compared)
    }

    fn message(&mut self, name: Name, now: Timestamp) -> &mut Message {
        self.forget(now);
        if !self.known.contains_key(&name) {
            self.order.push_back((now, name));
        }
        self.known.entry(name).or_default()
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((since, name)) = self.order.front().copied() {
            let old = now.since(since) > AGE;
            if !old && self.order.len() < MESSAGES {
                return;
            }
            self.shed += u64::from(!old);
            self.order.pop_front();
            self.known.remove(&name);
        }
    }
}

impl Message {
    /// Of several frames one that fits is enough.
    fn compare(&self, told: &Told) -> Option<Compared> {
        let heard_there = |frame: &&Frame| told.gateway.is_some_and(|gateway| frame.gateways.contains(&gateway));
        let mut best = None;
        for frame in self.frames.iter().filter(heard_there) {
            let compared = self.one(frame, told, self.frames.len() == 1);
            if matches!(compared, Compared::Same | Compared::Outside) {
                return Some(compared);
            }
            best.get_or_insert(compared);
        }
        best
    }

    fn one(&self, frame: &Frame, told: &Told, alone: bool) -> Compared {
        // Port 0 is the network's own; applications are told nothing of it.
        if told.port.unwrap_or(0) != frame.port.unwrap_or(0) {
            return Compared::Port;
        }
        if told.length.unwrap_or(0) != frame.length {
            return Compared::Length;
        }
        match (told.digest, self.plain) {
            // Servers that do not decrypt pass on what was on the air.
            (Some(digest), _) if digest == frame.air => Compared::Same,
            (Some(digest), Some(plain)) if digest == plain => Compared::Same,
            (Some(_), Some(_)) if alone => Compared::Content,
            _ => Compared::Outside,
        }
    }
}
