//! The counters that one device address shows: one as a rule, several where devices share the address or one is copied.
//!
//! Each counter is a track. A frame goes on with a track when its counter is a little ahead, or further ahead after a long silence. What goes on with
//! none begins another, which comes to nothing unless more frames follow it: noise, late and repeated frames do that.

use super::super::lorawan_radio::Reception;
use crate::hot::owned::Seen;
use citytap_sensor::protocols::lorawan::wire::DataFrame;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// Uplinks that may be lost in a row without an explanation: a bus in a tunnel, a gateway that restarts.
const LOST: u16 = 64;

/// How much faster than its usual pace a device may have counted while it was not heard: alarms, retransmissions under new numbers.
const FASTER: u64 = 8;

/// Half of the counters: beyond it nothing tells ahead from back.
const FURTHEST: u64 = 0x7fff;

/// The pace of a device that is not known yet.
const PACE: Nanos = 5 * SECOND;

/// Frames from which the pace is known.
const PACED: u32 = 3;

/// Ports and gateways remembered of a track: enough to see whether two have one in common.
const TRAITS: usize = 8;

/// One counter at a device address.
#[derive(Clone, Debug)]
pub(super) struct Track {
    /// The first counter, and where it was seen.
    pub(super) first: u16,
    pub(super) began: Seen,
    /// The last counter, and when.
    pub(super) last: u16,
    pub(super) heard: Timestamp,
    /// Distinct frames.
    pub(super) frames: u32,
    /// By how much it counted in all.
    counted: u64,
    /// What the last frame carried.
    payload: u64,
    ports: SmallVec<[u8; 4]>,
    gateways: SmallVec<[u64; 4]>,
    /// The longest time between two of its frames.
    pub(super) longest: Nanos,
    /// Frames and last counter of the main track when this one began, and when that was last heard.
    pub(super) main: (u32, u16, Timestamp),
    /// How often this one and the main track took turns.
    pub(super) turns: u32,
    /// Whether all of its frames were heard before: a restart can say the same again.
    pub(super) copies: bool,
    /// Whether a device may have joined just before.
    pub(super) joined: bool,
    /// Whether its frames were on the air when they were seen.
    pub(super) timely: bool,
    /// What it is was decided.
    pub(super) judged: bool,
}

/// How a frame stands to a track.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on by so much.
    On(u16),
    /// It is the last one again: the same counter and content, whatever changed around them.
    Same,
    /// Neither.
    No,
}

impl Track {
    pub(super) fn new(data: &DataFrame<'_>, reception: &Reception) -> Self {
        let mut track = Self {
            first: data.f_cnt_lsb,
            began: reception.seen,
            last: data.f_cnt_lsb,
            heard: reception.time(),
            frames: 0,
            counted: 0,
            payload: 0,
            ports: SmallVec::new(),
            gateways: SmallVec::new(),
            longest: 0,
            main: (0, 0, Timestamp(0)),
            turns: 0,
            copies: false,
            joined: false,
            timely: false,
            judged: false,
        };
        track.take(data, reception);
        track
    }

    /// The usual time from one counter to the next; `None` while too little is known.
    pub(super) fn pace(&self) -> Option<Nanos> {
        let pace = self.heard.since(self.began.time) / self.counted.max(1);
        (self.frames >= PACED).then_some(pace)
    }

    pub(super) fn step(&self, data: &DataFrame<'_>, now: Timestamp) -> Step {
        match data.f_cnt_lsb.wrapping_sub(self.last) {
            0 if payload(data) == self.payload => Step::Same,
            0 => Step::No,
            ahead if u64::from(ahead) <= self.reach(now) => Step::On(ahead),
            _ => Step::No,
        }
    }

    /// How far the counter can have come since it was last heard.
    fn reach(&self, now: Timestamp) -> u64 {
        let silence = now.since(self.heard);
        let pace = self.pace().unwrap_or(PACE).max(1_000_000);
        (u64::from(LOST) + FASTER.saturating_mul(silence / pace)).min(FURTHEST)
    }

    /// Whether a counter is one of the next, lost frames aside.
    pub(super) fn is_next(&self, f_cnt: u16) -> bool {
        (1..=LOST).contains(&f_cnt.wrapping_sub(self.last))
    }

    /// Takes a frame that goes on with this track, or its first.
    pub(super) fn take(&mut self, data: &DataFrame<'_>, reception: &Reception) {
        self.counted += u64::from(data.f_cnt_lsb.wrapping_sub(self.last));
        self.longest = self.longest.max(reception.time().since(self.heard));
        self.last = data.f_cnt_lsb;
        self.heard = reception.time();
        self.frames = self.frames.saturating_add(1);
        self.payload = payload(data);
        remember(&mut self.ports, data.f_port);
        remember(&mut self.gateways, reception.gateway);
    }

    /// Another gateway heard a frame of this track.
    pub(super) fn copy(&mut self, reception: &Reception) {
        remember(&mut self.gateways, reception.gateway);
    }

    /// Whether both could be of one device: they use a port in common and are heard by a gateway in common.
    pub(super) fn is_like(&self, other: &Track) -> bool {
        let port = self.ports.iter().any(|port| other.ports.contains(port));
        let gateway = self.gateways.iter().any(|gateway| other.gateways.contains(gateway));
        port && (gateway || self.gateways.is_empty() && other.gateways.is_empty())
    }
}

fn payload(data: &DataFrame<'_>) -> u64 {
    FixedState::default().hash_one((data.f_port, data.frm_payload))
}

fn remember<T: PartialEq>(traits: &mut SmallVec<[T; 4]>, new: Option<T>) {
    if let Some(new) = new.filter(|new| traits.len() < TRAITS && !traits.contains(new)) {
        traits.push(new);
    }
}
