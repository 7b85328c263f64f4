//! What waits behind a hole: segments that arrived too early, under the bounds of their stream and of the shard.

use crate::limits;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a hole costs besides its segments: the record of it and the first places of its queue.
pub(super) const HOLE_COST: usize = 256;

/// What a held segment costs besides its bytes, so that a flood of one-byte segments meets the bound as well.
pub(super) const SEGMENT_COST: usize = 64;

/// Bytes held over all streams of a shard, with their overhead; at most [`limits::REASSEMBLY_SHARD_BYTES`] by default.
///
/// A stream that is dropped gives its share back by itself.
#[derive(Debug)]
pub struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(limits::REASSEMBLY_SHARD_BYTES)
    }
}

impl Budget {
    /// Allows so many bytes in all.
    pub fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// Bytes held now, with their overhead.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes the share of a new hole; `None` when the budget is spent.
    fn open(&self) -> Option<Lease> {
        let mut lease = Lease { account: Arc::clone(&self.used), bytes: 0 };
        lease.charge(HOLE_COST, self).then_some(lease)
    }
}

/// One stream's share of the budget. The account is atomic only because shards move between threads; it is never contended.
struct Lease {
    account: Arc<AtomicUsize>,
    bytes: usize,
}

impl Lease {
    fn charge(&mut self, bytes: usize, budget: &Budget) -> bool {
        let fits = budget.used().saturating_add(bytes) <= budget.limit;
        if fits {
            self.account.fetch_add(bytes, Ordering::Relaxed);
            self.bytes += bytes;
        }
        fits
    }

    fn release(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.account.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.account.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes of one segment, or what of it was new.
pub(super) struct Piece {
    pub(super) start: u32,
    pub(super) segment_start: bool,
    pub(super) arrived: Timestamp,
    pub(super) bytes: Box<[u8]>,
}

impl Piece {
    fn cost(&self) -> usize {
        self.bytes.len() + SEGMENT_COST
    }
}

/// Whether the byte at a position is held.
pub(super) enum Cover {
    /// So many bytes from there on are held.
    Held(usize),
    /// So many bytes from there on are not.
    Free(usize),
}

/// What waits in one direction of a stream.
pub(super) struct Held {
    /// In stream order, without overlap, none adjacent to the stream's position.
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// A segment far from the stream's position, until something confirms or refutes it.
    astray: Option<Piece>,
    /// When data that was delivered last arrived, as far as something was held then.
    pub(super) progress: Timestamp,
    lease: Lease,
}

impl Held {
    pub(super) fn open(now: Timestamp, budget: &Budget) -> Option<Box<Self>> {
        let lease = budget.open()?;
        Some(Box::new(Self { pieces: VecDeque::new(), bytes: 0, astray: None, progress: now, lease }))
    }

    pub(super) fn first(&self) -> Option<&Piece> {
        self.pieces.front()
    }

    /// Position after the last held byte; `None` when only a FIN or a segment astray waits.
    pub(super) fn end(&self) -> Option<u32> {
        self.pieces.back().map(|piece| piece.start.wrapping_add(piece.bytes.len() as u32))
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pieces.is_empty() && self.astray.is_none()
    }

    /// Whether the byte `ahead` bytes after the position `next` is held.
    pub(super) fn cover(&self, next: u32, ahead: u32) -> Cover {
        let after = self.pieces.partition_point(|piece| piece.start.wrapping_sub(next) <= ahead);
        if let Some(before) = after.checked_sub(1).and_then(|index| self.pieces.get(index)) {
            let into = (ahead - before.start.wrapping_sub(next)) as usize;
            if let Some(covered @ 1..) = before.bytes.len().checked_sub(into) {
                return Cover::Held(covered);
            }
        }
        match self.pieces.get(after) {
            Some(piece) => Cover::Free((piece.start.wrapping_sub(next) - ahead) as usize),
            None => Cover::Free(usize::MAX),
        }
    }

    /// Keeps bytes that are not covered yet. Answers whether there was room.
    pub(super) fn insert(&mut self, next: u32, piece: Piece, budget: &Budget) -> bool {
        if self.pieces.len() >= limits::REASSEMBLY_SEGMENTS
            || self.bytes + piece.bytes.len() > limits::REASSEMBLY_BYTES
            || !self.lease.charge(piece.cost(), budget)
        {
            return false;
        }
        self.bytes += piece.bytes.len();
        let ahead = piece.start.wrapping_sub(next);
        let index = self.pieces.partition_point(|other| other.start.wrapping_sub(next) < ahead);
        self.pieces.insert(index, piece);
        true
    }

    /// Takes the first piece if it continues the stream at `next`.
    pub(super) fn take_at(&mut self, next: u32) -> Option<Piece> {
        let piece = self.pieces.pop_front_if(|piece| piece.start == next)?;
        self.bytes -= piece.bytes.len();
        self.lease.release(piece.cost());
        Some(piece)
    }

    pub(super) fn astray(&self) -> Option<&Piece> {
        self.astray.as_ref()
    }

    pub(super) fn set_astray(&mut self, piece: Piece, budget: &Budget) -> bool {
        let room = self.lease.charge(piece.cost(), budget);
        if room {
            self.astray = Some(piece);
        }
        room
    }

    pub(super) fn take_astray(&mut self) -> Option<Piece> {
        let piece = self.astray.take()?;
        self.lease.release(piece.cost());
        Some(piece)
    }

    #[cfg(test)]
    pub(super) fn segments(&self) -> usize {
        self.pieces.len()
    }
}
