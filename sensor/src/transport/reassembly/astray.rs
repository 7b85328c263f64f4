//! Segments far from their stream's position: kept aside, one at a time, until something confirms or refutes them.

use super::held::{Held, Piece};
use super::{AHEAD, HalfStream, Outlet, STARTED, StreamSink, distance};
use crate::counters::Counter;

/// Longest jump ahead, in bytes, that counts as a loss of known length: the largest window of RFC 7323 §2.3.
const LONGEST_GAP: i32 = 1 << 30;

impl HalfStream {
    /// A segment far from the stream's position.
    pub(super) fn push_astray<S: StreamSink>(&mut self, seq: u32, payload: &[u8], to: &mut Outlet<'_, S>) {
        let apart = self.held.as_ref().and_then(|held| held.astray()).map(|astray| distance(astray.start, seq));
        match apart {
            Some(0) => to.counters.bump(Counter::TcpRetransmissions),
            Some(apart) if apart.unsigned_abs() <= AHEAD => self.follow_both(apart, seq, payload, to),
            _ => {
                let piece = Piece { start: seq, segment_start: true, arrived: to.now, bytes: payload.into() };
                if self.held.is_none() {
                    self.held = Held::open(to.now, to.budget);
                }
                let replaced = self.held.as_mut().and_then(|held| held.take_astray());
                to.counters.add(Counter::TcpAstray, u64::from(replaced.is_some()));
                if !self.held.as_mut().is_some_and(|held| held.set_astray(piece, to.budget)) {
                    to.counters.add(Counter::TcpBufferDropped, payload.len() as u64);
                }
                self.settle();
            }
        }
    }

    /// Moves the stream to where two segments agree that it is.
    fn follow_both<S: StreamSink>(&mut self, apart: i32, seq: u32, payload: &[u8], to: &mut Outlet<'_, S>) {
        let Some(astray) = self.held.as_mut().and_then(|held| held.take_astray()) else { return };
        if apart < 0 {
            self.move_to(seq, to);
            self.place(seq, payload, to);
            self.place(astray.start, &astray.bytes, to);
        } else if apart == 1 && astray.bytes.len() == 1 {
            // The first was a keep-alive probe.
            self.move_to(seq, to);
            self.place(seq, payload, to);
        } else {
            self.move_to(astray.start, to);
            self.place(astray.start, &astray.bytes, to);
            self.place(seq, payload, to);
        }
        self.settle();
    }

    /// Moves the stream to the segment astray, if there is one.
    pub(super) fn follow_astray<S: StreamSink>(&mut self, to: &mut Outlet<'_, S>) {
        if let Some(astray) = self.held.as_mut().and_then(|held| held.take_astray()) {
            self.move_to(astray.start, to);
            self.place(astray.start, &astray.bytes, to);
        }
        self.settle();
    }

    fn move_to<S: StreamSink>(&mut self, position: u32, to: &mut Outlet<'_, S>) {
        while self.give_up_hole(None, to).is_some() {}
        self.flags = STARTED;
        let ahead = distance(self.next, position);
        if (1..=LONGEST_GAP).contains(&ahead) {
            self.lose(ahead.unsigned_abs(), to);
        } else {
            to.counters.bump(Counter::TcpGaps);
            to.sink.gap(None);
        }
        self.next = position;
        self.first = position;
    }
}
