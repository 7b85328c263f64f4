//! What one flow remembers of its messages: requests that wait for their response, and message IDs, by which messages that are sent again are told.

use super::code::{Code, MessageType};
use crate::flow::Direction;
use crate::time::{Nanos, SECOND, Timestamp};
use std::hash::BuildHasher;

/// Requests of a flow that are remembered. A client has one outstanding request by default (RFC 7252 §4.7, NSTART); observations stay open, and a
/// gateway or LwM2M server holds some dozens of them with one device.
pub const EXCHANGES: usize = 64;

/// Finished requests that are kept, so that a response that is sent again still finds its request.
const FINISHED: usize = 4;

/// Message IDs of a flow that are remembered. Messages that are sent again follow within a few seconds, with few others in between.
pub const MESSAGE_IDS: usize = 16;

/// A message ID can come again for the same message for so long (RFC 7252 §4.8.2, EXCHANGE_LIFETIME).
pub const EXCHANGE_LIFETIME: Nanos = 247 * SECOND;

/// A token in a comparable form: up to 8 bytes whole, longer ones by their hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenKey {
    length: u32,
    value: u64,
}

impl TokenKey {
    /// From a token's bytes.
    pub fn new(token: &[u8]) -> Self {
        let value =
            if token.len() <= 8 { token.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)) } else { hash(token) };
        Self { length: u32::try_from(token.len()).unwrap_or(u32::MAX), value }
    }
}

/// A hash that is the same in every run: it decides nothing but which earlier bytes these are compared with.
pub fn hash(bytes: &[u8]) -> u64 {
    foldhash::fast::FixedState::with_seed(0).hash_one(bytes)
}

/// How far an observation got (RFC 7641 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observation {
    /// None was asked for.
    #[default]
    None,
    /// The request asks for one.
    Asked,
    /// The server notifies.
    Active,
}

/// A request and what became of it.
#[derive(Default)]
pub struct Exchange {
    /// Whether a response can still come.
    pub open: bool,
    /// Who asked: the direction of the request, as an index.
    from: usize,
    token: TokenKey,
    /// Message ID of the request, or of the latest notification.
    message_id: Option<u16>,
    /// Message ID of the latest notification.
    pub notified_by: Option<u16>,
    /// Frame of the request.
    pub frame: u64,
    /// When it was first sent.
    pub time: Timestamp,
    /// Method, as a code's byte.
    pub method: u8,
    /// Accept.
    pub accept: Option<u16>,
    /// Observe.
    pub observe: Option<u32>,
    /// How far the observation got.
    pub observation: Observation,
    /// Whether a response came.
    pub answered: bool,
    /// The path, joined.
    pub path: String,
    /// Sender ID and partial IV of an OSCORE request, each with its length.
    pub oscore: Option<Box<(Vec<u8>, Vec<u8>)>>,
}

impl Exchange {
    /// The method.
    pub fn code(&self) -> Code {
        Code(self.method)
    }
}

/// The requests of one flow, at most [`EXCHANGES`].
#[derive(Default)]
pub struct Exchanges {
    slots: Vec<Exchange>,
}

/// A request as it is remembered.
pub struct Asked<'a> {
    /// Which way it went.
    pub direction: Direction,
    /// Its token.
    pub token: &'a [u8],
    /// Its message ID.
    pub message_id: Option<u16>,
    /// Its frame.
    pub frame: u64,
    /// When it was sent.
    pub time: Timestamp,
    /// Its method.
    pub method: Code,
    /// Accept.
    pub accept: Option<u16>,
    /// Observe.
    pub observe: Option<u32>,
    /// Its path, joined.
    pub path: &'a str,
    /// Sender ID and partial IV.
    pub oscore: Option<Box<(Vec<u8>, Vec<u8>)>>,
}

impl Exchanges {
    /// Remembers a request. Answers whether another was forgotten for it that still waited.
    pub fn ask(&mut self, asked: Asked<'_>) -> bool {
        let (at, dropped) = self.free_slot(asked.direction, TokenKey::new(asked.token));
        if let Some(slot) = self.slots.get_mut(at) {
            let mut path = std::mem::take(&mut slot.path);
            path.clear();
            path.push_str(asked.path);
            *slot = Exchange {
                open: true,
                from: asked.direction.index(),
                token: TokenKey::new(asked.token),
                message_id: asked.message_id,
                notified_by: None,
                frame: asked.frame,
                time: asked.time,
                method: asked.method.0,
                accept: asked.accept,
                observe: asked.observe,
                observation: if asked.observe == Some(0) { Observation::Asked } else { Observation::None },
                answered: false,
                path,
                oscore: asked.oscore,
            };
        }
        dropped
    }

    fn free_slot(&mut self, direction: Direction, token: TokenKey) -> (usize, bool) {
        let same = |slot: &Exchange| slot.from == direction.index() && slot.token == token;
        if let Some(at) = self.slots.iter().position(same) {
            // A token that is used again ends the earlier exchange (RFC 7252 §5.3.1).
            return (at, false);
        }
        let oldest = |slots: &[Exchange], wanted: fn(&Exchange) -> bool| {
            slots.iter().enumerate().filter(|(_, slot)| wanted(slot)).min_by_key(|(_, slot)| slot.frame).map(|(at, _)| at)
        };
        if self.slots.len() >= FINISHED
            && let Some(at) = oldest(&self.slots, |slot| !slot.open)
        {
            return (at, false);
        }
        if self.slots.len() < EXCHANGES {
            if self.slots.is_empty() {
                // Most clients ask one thing at a time, and there are many flows.
                self.slots.reserve_exact(1);
            }
            self.slots.push(Exchange::default());
            return (self.slots.len() - 1, false);
        }
        let at = oldest(&self.slots, |slot| slot.observation != Observation::Active).or_else(|| oldest(&self.slots, |_| true));
        (at.unwrap_or_default(), true)
    }

    /// The request that a response with this token answers; `direction` is the response's.
    pub fn by_token(&mut self, direction: Direction, token: &[u8]) -> Option<&mut Exchange> {
        let (from, token) = (direction.opposite().index(), TokenKey::new(token));
        self.slots.iter_mut().find(|slot| slot.from == from && slot.token == token)
    }

    /// The request with this message ID that was sent against `direction`.
    pub fn by_message_id(&mut self, direction: Direction, message_id: u16) -> Option<&mut Exchange> {
        let from = direction.opposite().index();
        self.slots.iter_mut().find(|slot| slot.open && slot.from == from && slot.message_id == Some(message_id))
    }

    /// The observation whose latest notification had this message ID; `direction` is that of the reset.
    pub fn notified_by(&mut self, direction: Direction, message_id: u16) -> Option<&mut Exchange> {
        let from = direction.index();
        self.slots.iter_mut().find(|slot| slot.open && slot.from == from && slot.notified_by == Some(message_id))
    }

    /// Ends the observations of a path that this side asked for (RFC 7641 §3.6).
    pub fn deregister(&mut self, direction: Direction, token: &[u8]) {
        let (from, token) = (direction.index(), TokenKey::new(token));
        self.slots.iter_mut().filter(|slot| slot.from == from && slot.token == token).for_each(|slot| {
            slot.observation = Observation::None;
        });
    }
}

/// What is known of a message ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing yet.
    New,
    /// The same message was sent in this frame.
    Again(u64),
    /// Another message had it.
    Reused,
}

/// The latest message IDs of a flow, at most [`MESSAGE_IDS`].
#[derive(Default)]
pub struct MessageIds {
    ring: Vec<Sent>,
    next: usize,
}

#[derive(Clone, Copy)]
struct Sent {
    direction: Direction,
    original: bool,
    message_id: u16,
    fingerprint: u32,
    frame: u64,
    time: Timestamp,
}

impl MessageIds {
    /// Notes a message; `bytes` is all of it.
    pub fn note(
        &mut self,
        direction: Direction,
        ty: MessageType,
        message_id: u16,
        bytes: &[u8],
        frame: u64,
        now: Timestamp,
    ) -> Seen {
        let original = ty.is_original();
        let fingerprint = hash(bytes) as u32;
        let sent = Sent { direction, original, message_id, fingerprint, frame, time: now };
        let same = |sent: &Sent| (sent.direction, sent.original, sent.message_id) == (direction, original, message_id);
        let at = self.ring.iter().position(same);
        let seen = match at.and_then(|at| self.ring.get(at)) {
            Some(earlier) if now.0.saturating_sub(earlier.time.0) > EXCHANGE_LIFETIME => Seen::New,
            Some(earlier) if earlier.fingerprint == fingerprint => return Seen::Again(earlier.frame),
            // The message IDs of replies are the peer's: they come again with the peer's.
            Some(_) if original => Seen::Reused,
            _ => Seen::New,
        };
        if at.is_none() && self.ring.len() < MESSAGE_IDS {
            self.ring.push(sent);
            return seen;
        }
        if let Some(slot) = self.ring.get_mut(at.unwrap_or(self.next)) {
            *slot = sent;
        }
        if at.is_none() {
            self.next = (self.next + 1) % MESSAGE_IDS;
        }
        seen
    }

    /// Frame of the message that a reply with this message ID answers; `direction` is the reply's.
    pub fn answered(&self, direction: Direction, message_id: u16) -> Option<u64> {
        let from = direction.opposite();
        self.ring
            .iter()
            .find(|sent| sent.original && sent.direction == from && sent.message_id == message_id)
            .map(|sent| sent.frame)
    }
}
