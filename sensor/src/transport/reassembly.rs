//! One direction of a TCP stream: segments in any order become bytes in stream order, with gaps where bytes are missing (RFC 9293 §3.4, §3.10).
//!
//! - In order: bytes are delivered at once and borrowed. Nothing is allocated.
//! - A segment ahead of the stream waits. The hole before it is given up when the peer acknowledges past it (the bytes existed, the tap missed them),
//!   when a bound is hit, when it is older than [`limits::HOLE_AGE`] without progress, or when the flow ends.
//! - Overlap: what came first wins. Bytes that differ are counted and told as a conflict, as far as the earlier ones are still held: delivered bytes are
//!   not kept, so a retransmission of those counts as such whatever it says.
//! - Mid-stream start: the first segment with data starts the stream, after a gap of unknown length. A single byte is taken for a keep-alive probe
//!   (RFC 9293 §3.8.4): it sets the position and is not delivered, unless a longer segment at the same position shows it to be data.
//! - Captures made by hand often forget that a SYN takes a sequence number: where the first segment with more than a probe's one byte begins a number
//!   too low, the stream begins there.
//! - A segment more than [`AHEAD`] or [`BEHIND`] away (a new connection on old ports, a long loss, a damaged or forged segment) is *astray*: it is kept
//!   aside. A second one near it, the peer's acknowledgement of it, silence for [`limits::HOLE_AGE`] or the end of the flow confirm it, and
//!   the stream moves there; data at the old position refutes it. Likewise a segment ahead past which data at earlier positions still came is dropped,
//!   not followed, when its hole is old. So a false segment costs a stream
//!   at most [`AHEAD`] bytes, and only if a long silence follows it. A new connection without a visible SYN that happens to
//!   begin less than [`BEHIND`] back is read again from where it passes the old position.
//! - FIN holds unless data follows it: a forged FIN (checksums are not verified) blinds nobody.
//!
//! Left out: urgent data (delivered in line), selective acknowledgements, window checks, RST (the flow's owner calls [`HalfStream::flush`]).

mod astray;
mod fuzz;
mod held;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use fuzz::fuzz_reassembly;
pub use held::Budget;

use crate::counters::{Counter, Counters};
use crate::limits;
use crate::time::Timestamp;
use held::{Cover, Held, Piece};

/// Furthest beyond the last byte held or delivered, in bytes, that a single segment is believed: a window without scaling (RFC 9293 §3.1).
/// A longer loss takes a second segment to be believed.
pub const AHEAD: u32 = 65_536;

/// Furthest behind the stream's position, in bytes, that a segment counts as a retransmission: more than a sender keeps for that in a city's networks.
pub const BEHIND: u32 = 1 << 20;

/// Where a stream's bytes go. The order of the calls is the order of the stream.
pub trait StreamSink {
    /// The next bytes. `segment_start`: they begin where a segment began.
    fn data(&mut self, bytes: &[u8], segment_start: bool);

    /// So many bytes are missing here; `None`: an unknown number, at a mid-stream start or a jump.
    fn gap(&mut self, missing: Option<u64>);

    /// A segment said other bytes than an earlier one at the same position; the earlier ones were kept.
    fn conflict(&mut self) {}
}

/// One direction of a TCP stream. 24 bytes while it is in order.
#[derive(Default)]
pub struct HalfStream {
    held: Option<Box<Held>>,
    /// Number of the next byte to deliver.
    next: u32,
    /// Where the stream began: tells a repeated SYN from a new connection's.
    first: u32,
    /// Number after the last byte, where the flag is set.
    fin: u32,
    flags: u8,
    /// The byte alone that the stream was joined at, while [`LONE`] is set.
    lone: u8,
}

const STARTED: u8 = 1;
const FIN: u8 = 2;
/// The position was set by a SYN or by a single byte, and nothing was delivered yet.
const FRESH: u8 = 4;
/// The stream was joined at a single byte: a keep-alive's, or data of a sender that sends byte by byte.
const LONE: u8 = 8;

/// Where what a call brings about goes.
struct Outlet<'o, S> {
    now: Timestamp,
    budget: &'o mut Budget,
    counters: &'o mut Counters,
    sink: &'o mut S,
}

/// How far `to` lies after `from`, modulo 2^32.
#[inline]
fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

impl HalfStream {
    /// A SYN with sequence number `seq`: data begins at `seq + 1`. A repeated SYN changes nothing; one with another number begins a new
    /// connection, and what the old one still held is dropped: call [`flush`](Self::flush) before where [`restarts`](Self::restarts) says so.
    pub fn syn(&mut self, seq: u32) {
        if !self.is_started() || self.restarts(seq) {
            let next = seq.wrapping_add(1);
            *self = Self { held: None, next, first: next, fin: 0, flags: STARTED | FRESH, lone: 0 };
        }
    }

    /// Whether a SYN with sequence number `seq` begins a new connection where another was: its number is new, or the other one had ended
    /// (small stacks use one initial number for ever).
    pub fn restarts(&self, seq: u32) -> bool {
        self.is_started() && (seq.wrapping_add(1) != self.first || self.is_finished())
    }

    /// Whether a SYN or data was seen.
    #[inline]
    pub fn is_started(&self) -> bool {
        self.flags & STARTED != 0
    }

    /// Whether the FIN was seen and everything before it was delivered or given up.
    #[inline]
    pub fn is_finished(&self) -> bool {
        self.flags & FIN != 0 && self.next == self.fin
    }

    /// Whether something waits: a hole, or a segment astray. Only then can [`peer_acknowledged`](Self::peer_acknowledged) and
    /// [`expire`](Self::expire) do anything.
    #[inline]
    pub fn has_hole(&self) -> bool {
        self.held.is_some()
    }

    /// Bytes that wait behind holes; at most [`limits::REASSEMBLY_BYTES`].
    pub fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.bytes())
    }

    /// The data of a segment; `seq` is the number of its first byte (one more than the segment's own where it carries SYN).
    /// Empty payloads do nothing.
    #[inline]
    pub fn push(
        &mut self,
        seq: u32,
        payload: &[u8],
        now: Timestamp,
        budget: &mut Budget,
        counters: &mut Counters,
        sink: &mut impl StreamSink,
    ) {
        if payload.is_empty() {
            return;
        }
        if seq == self.next && self.flags == STARTED && self.held.is_none() {
            self.next = seq.wrapping_add(payload.len() as u32);
            sink.data(payload, true);
            return;
        }
        self.push_oddly(seq, payload, &mut Outlet { now, budget, counters, sink });
    }

    /// A FIN; `seq` is the number after the segment's last byte of data. Push the data first.
    pub fn fin(&mut self, seq: u32, now: Timestamp, budget: &mut Budget, counters: &mut Counters, sink: &mut impl StreamSink) {
        if !self.is_started() {
            *self = Self { held: None, next: seq, first: seq, fin: seq, flags: STARTED | FIN, lone: 0 };
            return;
        }
        let ahead = distance(self.next, seq);
        if self.flags & FIN != 0 || ahead < 0 || !self.is_near(seq) {
            return;
        }
        self.fin = seq;
        self.flags |= FIN;
        if ahead > 0 && self.held.is_none() {
            self.held = Held::open(now, budget);
            if self.held.is_none() {
                counters.add(Counter::TcpBufferDropped, ahead as u64);
                self.give_up_tail(&mut Outlet { now, budget, counters, sink });
            }
        }
    }

    /// The other side acknowledged everything before `ack`: holes before it are gaps of the tap, and what waited behind them is delivered.
    /// Call it before the acknowledging segment's own data is pushed the other way, so that requests come before their answers.
    #[inline]
    pub fn peer_acknowledged(
        &mut self,
        ack: u32,
        now: Timestamp,
        budget: &mut Budget,
        counters: &mut Counters,
        sink: &mut impl StreamSink,
    ) {
        if self.held.is_some() {
            self.acknowledged(ack, &mut Outlet { now, budget, counters, sink });
        }
    }

    /// Gives up holes that are older than [`limits::HOLE_AGE`]. Call it at epochs.
    #[inline]
    pub fn expire(&mut self, now: Timestamp, budget: &mut Budget, counters: &mut Counters, sink: &mut impl StreamSink) {
        if self.held.is_some() {
            self.expire_holes(&mut Outlet { now, budget, counters, sink });
        }
    }

    /// The flow ends: remaining holes become gaps and everything held is delivered.
    pub fn flush(&mut self, now: Timestamp, budget: &mut Budget, counters: &mut Counters, sink: &mut impl StreamSink) {
        let to = &mut Outlet { now, budget, counters, sink };
        while self.give_up_hole(None, to).is_some() {}
        self.give_up_tail(to);
        self.follow_astray(to);
        self.held = None;
    }

    /// Lets go of what waits: nobody reads the stream any more.
    pub fn give_up(&mut self) {
        self.held = None;
    }

    #[cold]
    fn push_oddly<S: StreamSink>(&mut self, seq: u32, payload: &[u8], to: &mut Outlet<'_, S>) {
        if !self.is_started() {
            return self.start(seq, payload, to);
        }
        if self.held.is_some() {
            self.expire_holes(to);
        }
        if !self.is_near(seq) {
            return self.push_astray(seq, payload, to);
        }
        if self.flags & FRESH != 0 {
            if seq.wrapping_add(1) == self.next && payload.len() > 1 {
                self.next = seq;
            } else if self.flags & LONE != 0 && seq == self.next && payload.len() == 1 {
                // Keep-alives do not go on: the first byte was data.
                to.sink.data(&[self.lone], true);
            }
            self.flags &= !(FRESH | LONE);
        }
        let ahead = distance(self.next, seq);
        let is_old = i64::from(ahead) + payload.len() as i64 <= 0;
        // After its FIN a side may still probe, with a byte in the FIN's place.
        let probes_fin = self.flags & FIN != 0 && seq == self.fin && payload.len() == 1;
        if is_old || probes_fin {
            to.counters.bump(Counter::TcpRetransmissions);
            return;
        }
        if self.flags & FIN != 0 && i64::from(distance(self.fin, seq)) + payload.len() as i64 > 0 {
            self.flags &= !FIN;
        }
        if self.held.as_mut().and_then(|held| held.take_astray()).is_some() {
            to.counters.bump(Counter::TcpAstray);
        }
        self.place(seq, payload, to);
        self.settle();
    }

    /// The first data of a stream whose beginning was not seen.
    fn start<S: StreamSink>(&mut self, seq: u32, payload: &[u8], to: &mut Outlet<'_, S>) {
        let next = seq.wrapping_add(payload.len() as u32);
        to.sink.gap(None);
        if let [lone] = *payload {
            *self = Self { held: None, next, first: next, fin: 0, flags: STARTED | FRESH | LONE, lone };
            return;
        }
        *self = Self { held: None, next, first: seq, fin: 0, flags: STARTED, lone: 0 };
        to.sink.data(payload, true);
    }

    /// Delivers or keeps what is new in a segment near the stream's position.
    fn place<S: StreamSink>(&mut self, mut seq: u32, mut payload: &[u8], to: &mut Outlet<'_, S>) {
        if self.conflicts(seq, payload) {
            to.counters.bump(Counter::TcpOverlapConflicts);
            to.sink.conflict();
        }
        let (mut segment_start, mut is_new, mut is_early) = (true, false, false);
        while !payload.is_empty() {
            let ahead = distance(self.next, seq);
            let cover = match (u32::try_from(ahead), &self.held) {
                (Err(_), _) => Cover::Held(ahead.unsigned_abs() as usize),
                (Ok(ahead), Some(held)) => held.cover(self.next, ahead),
                (Ok(_), None) => Cover::Free(usize::MAX),
            };
            let step = match cover {
                Cover::Held(covered) => covered.min(payload.len()),
                Cover::Free(free) => {
                    let run = payload.split_at_checked(free).map_or(payload, |(run, _)| run);
                    if ahead == 0 {
                        self.deliver(run, segment_start, to);
                        self.drain(to);
                    } else if self.keep(seq, run, segment_start, to) {
                        is_early = true;
                    } else {
                        if let Some(missing) = self.give_up_hole(Some(seq), to) {
                            to.counters.add(Counter::TcpBufferDropped, missing);
                        }
                        continue;
                    }
                    is_new = true;
                    run.len()
                }
            };
            payload = payload.get(step..).unwrap_or_default();
            seq = seq.wrapping_add(step as u32);
            segment_start = false;
        }
        if !is_new {
            to.counters.bump(Counter::TcpRetransmissions);
        } else if is_early {
            to.counters.bump(Counter::TcpOutOfOrder);
        }
    }

    /// Whether a segment says other bytes than those held.
    fn conflicts(&self, seq: u32, payload: &[u8]) -> bool {
        let Some(held) = &self.held else { return false };
        held.pieces().any(|piece| {
            let ahead = distance(seq, piece.start);
            let (ours, theirs) = if ahead >= 0 {
                (&*piece.bytes, payload.get(ahead as usize..))
            } else {
                (piece.bytes.get(ahead.unsigned_abs() as usize..).unwrap_or_default(), Some(payload))
            };
            theirs.is_some_and(|theirs| ours.iter().zip(theirs).any(|(a, b)| a != b))
        })
    }

    fn deliver<S: StreamSink>(&mut self, bytes: &[u8], segment_start: bool, to: &mut Outlet<'_, S>) {
        self.next = self.next.wrapping_add(bytes.len() as u32);
        if let Some(held) = &mut self.held {
            held.progress = to.now;
        }
        to.sink.data(bytes, segment_start);
    }

    /// Delivers what is held and continues the stream.
    fn drain<S: StreamSink>(&mut self, to: &mut Outlet<'_, S>) {
        while let Some(piece) = self.held.as_mut().and_then(|held| held.take_at(self.next)) {
            self.next = self.next.wrapping_add(piece.bytes.len() as u32);
            if let Some(held) = &mut self.held {
                held.progress = held.progress.max(piece.arrived);
            }
            to.sink.data(&piece.bytes, piece.segment_start);
        }
    }

    /// Keeps bytes ahead of the stream. Answers whether there was room.
    fn keep<S>(&mut self, seq: u32, bytes: &[u8], segment_start: bool, to: &mut Outlet<'_, S>) -> bool {
        if bytes.len() > limits::REASSEMBLY_BYTES {
            return false;
        }
        if self.held.is_none() {
            self.held = Held::open(to.now, to.budget);
        }
        let piece = Piece { start: seq, segment_start, arrived: to.now, bytes: bytes.into() };
        self.held.as_mut().is_some_and(|held| held.insert(self.next, piece, to.budget))
    }

    /// Gives up the hole before the first held piece, or before `until` where that comes first, and delivers what follows it.
    /// Answers the number of missing bytes; `None`: there is no such hole.
    fn give_up_hole<S: StreamSink>(&mut self, until: Option<u32>, to: &mut Outlet<'_, S>) -> Option<u64> {
        let ahead = |seq: u32| seq.wrapping_sub(self.next);
        let first = self.held.as_ref().and_then(|held| held.first()).map(|piece| ahead(piece.start));
        let missing = first.into_iter().chain(until.map(ahead)).min()?;
        self.lose(missing, to);
        self.drain(to);
        Some(u64::from(missing))
    }

    /// Gives up what is missing before the FIN when nothing is held any more.
    fn give_up_tail<S: StreamSink>(&mut self, to: &mut Outlet<'_, S>) {
        let missing = distance(self.next, self.fin);
        if self.flags & FIN != 0 && missing > 0 {
            self.lose(missing.unsigned_abs(), to);
        }
    }

    fn lose<S: StreamSink>(&mut self, missing: u32, to: &mut Outlet<'_, S>) {
        to.counters.bump(Counter::TcpGaps);
        to.counters.add(Counter::TcpGapBytes, u64::from(missing));
        to.sink.gap(Some(u64::from(missing)));
        self.next = self.next.wrapping_add(missing);
    }

    #[cold]
    fn acknowledged<S: StreamSink>(&mut self, ack: u32, to: &mut Outlet<'_, S>) {
        let confirms = |astray: &Piece| (1..=AHEAD).contains(&ack.wrapping_sub(astray.start));
        if self.held.as_ref().and_then(|held| held.astray()).is_some_and(confirms) {
            return self.follow_astray(to);
        }
        while distance(self.next, ack) > 0 && self.is_near(ack) {
            let acknowledged = distance(self.next, ack);
            match self.held.as_ref().and_then(|held| held.first()) {
                Some(piece) if distance(self.next, piece.start) <= acknowledged => {
                    self.give_up_hole(None, to);
                }
                Some(_) => break,
                None => {
                    if distance(self.next, self.fin) <= acknowledged {
                        self.give_up_tail(to);
                    }
                    break;
                }
            }
        }
        self.settle();
    }

    #[cold]
    fn expire_holes<S: StreamSink>(&mut self, to: &mut Outlet<'_, S>) {
        while let Some(held) = &self.held {
            let since = held.first().map_or(held.progress, |piece| piece.arrived.max(held.progress));
            let is_over = to.now.since(since) >= limits::HOLE_AGE;
            if let Some(first) = held.first().filter(|_| is_over) {
                if first.arrived < held.progress {
                    // The stream went on where it was after this came: the hole before it was never real.
                    self.refute(to);
                } else {
                    self.give_up_hole(None, to);
                }
                continue;
            }
            let astray_is_over = held.astray().is_some_and(|astray| to.now.since(astray.arrived) >= limits::HOLE_AGE);
            if is_over {
                self.give_up_tail(to);
            }
            if astray_is_over {
                self.follow_astray(to);
            }
            break;
        }
        self.settle();
    }

    /// Drops the first held piece.
    fn refute<S>(&mut self, to: &mut Outlet<'_, S>) {
        let first = self.held.as_ref().and_then(|held| held.first()).map(|piece| piece.start);
        if first.and_then(|start| self.held.as_mut()?.take_at(start)).is_some() {
            to.counters.bump(Counter::TcpAstray);
        }
    }

    /// Whether a position is one that a single segment is believed.
    fn is_near(&self, seq: u32) -> bool {
        let end = self.held.as_ref().and_then(|held| held.end()).unwrap_or(self.next);
        let (ahead, reach) = (distance(self.next, seq), distance(self.next, end).saturating_add(AHEAD as i32));
        (-(BEHIND as i32)..=reach).contains(&ahead)
    }

    /// Lets go of the buffer when nothing waits any more.
    fn settle(&mut self) {
        let to_fin = distance(self.next, self.fin);
        if self.flags & FIN != 0 && to_fin < 0 {
            // Data that was held lay behind it.
            self.flags &= !FIN;
        }
        let awaits_fin = self.flags & FIN != 0 && to_fin > 0;
        if !awaits_fin && self.held.as_ref().is_some_and(|held| held.is_idle()) {
            self.held = None;
        }
    }
}
