//! Bodies that come in blocks (RFC 7959), put together in whatever order the blocks arrive (RFC 9177 allows any).
//!
//! Blocks of one body are told by direction, path, and ETag or Request-Tag: each block can have a token of its own (RFC 7959 §3.4).

use super::option::BlockValue;
use crate::flow::Direction;
use smallvec::SmallVec;

/// Bodies of a flow that are put together at a time: one each way, and one each that is being restarted.
pub const BODIES: usize = 4;

/// Bytes of a body that are kept. Images for constrained devices are some hundred kilobytes; a peer has to send every byte that we keep.
pub const BODY_BYTES: usize = 1 << 20;

/// How far ahead of the bytes already there a block may lie and still be kept: a burst of ten blocks of 1,024 bytes (RFC 9177 §7.2,
/// MAX_PAYLOADS), rounded up. Otherwise one small block that claims a high number would make us allocate all up to it.
pub const AHEAD: usize = 16_384;

/// Separate stretches of a body that are remembered: losses on a constrained link are a few blocks at a time.
pub const STRETCHES: usize = 64;

/// What tells one body from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyKey {
    /// Which way the body goes.
    pub direction: Direction,
    /// Whether requests carry it (Block1) or responses (Block2).
    pub in_requests: bool,
    /// Hash of the path, or of the token where the path is not known.
    pub of: u64,
    /// Hash of ETag or Request-Tag.
    pub tag: u64,
}

/// One block.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    /// The body it belongs to.
    pub key: BodyKey,
    /// Its block option.
    pub block: BlockValue,
    /// Whether blocks come one after the other, so that the last one ends the body (not so for Q-Block).
    pub ordered: bool,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Size1 or Size2.
    pub declared: Option<u32>,
    /// Content-Format.
    pub content_format: Option<u16>,
    /// The path, joined; empty where it is not known.
    pub path: &'a str,
    /// Its frame.
    pub frame: u64,
}

/// A body while it is put together, and what is told of it.
#[derive(Default)]
pub struct Assembly {
    key: Option<BodyKey>,
    /// The bytes from the start; zeros where blocks are missing.
    pub bytes: Vec<u8>,
    /// Stretches that were seen, in order, apart.
    seen: SmallVec<[(usize, usize); 2]>,
    end: Option<usize>,
    /// Size1 or Size2.
    pub declared: Option<u32>,
    /// Content-Format.
    pub content_format: Option<u16>,
    /// The path.
    pub path: String,
    /// Frame of the first block seen.
    pub first_frame: u64,
    /// Blocks seen.
    pub blocks: u32,
    /// Whether bytes were dropped at [`BODY_BYTES`], [`AHEAD`] or [`STRETCHES`].
    pub dropped: bool,
}

impl Assembly {
    /// Whether requests carry it.
    pub fn in_requests(&self) -> bool {
        self.key.is_some_and(|key| key.in_requests)
    }

    /// Which way it goes.
    pub fn direction(&self) -> Option<Direction> {
        self.key.map(|key| key.direction)
    }

    /// Whether every byte of it is there.
    pub fn complete(&self) -> bool {
        !self.dropped && self.end.is_some_and(|end| self.seen.as_slice() == [(0, end)])
    }

    /// End of the furthest block seen.
    pub fn size(&self) -> usize {
        self.seen.last().map_or(0, |&(_, end)| end)
    }

    /// Bytes seen.
    pub fn received(&self) -> usize {
        self.seen.iter().map(|(start, end)| end - start).sum()
    }

    /// Adds a stretch. Answers whether any of it was new.
    fn add(&mut self, start: usize, bytes: &[u8]) -> bool {
        let end = start.saturating_add(bytes.len());
        if self.seen.iter().any(|&(from, to)| from <= start && end <= to) {
            return false;
        }
        if end > BODY_BYTES || start > self.bytes.len() + AHEAD || self.seen.len() >= STRETCHES {
            self.dropped = true;
            self.bytes = Vec::new();
        } else if !self.dropped {
            if self.bytes.len() < end {
                self.bytes.resize(end, 0);
            }
            if let Some(room) = self.bytes.get_mut(start..end) {
                room.copy_from_slice(bytes);
            }
        }
        // What lies beyond the bounds still counts in the figures.
        let (mut from, mut to) = (start, end);
        self.seen.retain(|&mut (a, b)| {
            let touches = a <= to && from <= b;
            if touches {
                from = from.min(a);
                to = to.max(b);
            }
            !touches
        });
        if self.seen.len() < STRETCHES {
            let at = self.seen.partition_point(|&(a, _)| a < from);
            self.seen.insert(at, (from, to));
        }
        true
    }
}

/// The bodies of one flow, at most [`BODIES`].
#[derive(Default)]
pub struct Bodies {
    open: Vec<Assembly>,
}

/// Bodies that ended with a block: those given up for it, and its own where it was the last.
pub type Ended = SmallVec<[Box<Assembly>; 1]>;

impl Bodies {
    /// Adds a block.
    pub fn add(&mut self, piece: Piece<'_>) -> Ended {
        let mut ended = Ended::new();
        let mut at = self.open.iter().position(|assembly| assembly.key == Some(piece.key));
        let restarts = |assembly: &Assembly| piece.block.num == 0 && assembly.seen.first().is_some_and(|&(start, _)| start == 0);
        if let Some(found) = at
            && self.open.get(found).is_some_and(restarts)
        {
            // A first block again begins the transfer anew (RFC 7959 §2.5); a message merely sent again does not come here.
            ended.push(Box::new(self.open.swap_remove(found)));
            at = None;
        }
        if at.is_none() && self.open.len() >= BODIES {
            let oldest = self.open.iter().enumerate().min_by_key(|(_, assembly)| assembly.first_frame).map(|(at, _)| at);
            if let Some(oldest) = oldest {
                let mut given_up = Box::new(self.open.swap_remove(oldest));
                given_up.dropped = true;
                ended.push(given_up);
            }
        }
        let at = at.unwrap_or_else(|| {
            self.open.push(Assembly {
                key: Some(piece.key),
                path: piece.path.to_owned(),
                first_frame: piece.frame,
                content_format: piece.content_format,
                ..Assembly::default()
            });
            self.open.len() - 1
        });
        let Some(assembly) = self.open.get_mut(at) else { return ended };
        assembly.declared = assembly.declared.or(piece.declared);
        let start = piece.block.offset();
        if assembly.add(start, piece.bytes) {
            assembly.blocks += 1;
        }
        if !piece.block.more {
            assembly.end = Some(start + piece.bytes.len());
        }
        if assembly.end.is_some() && (piece.ordered || assembly.complete()) {
            ended.push(Box::new(self.open.swap_remove(at)));
        }
        ended
    }

    /// Gives up what is left.
    pub fn close(&mut self) -> impl Iterator<Item = Assembly> + use<> {
        std::mem::take(&mut self.open).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(num: u32, more: bool, bytes: &[u8]) -> Piece<'_> {
        Piece {
            key: BodyKey { direction: Direction::ToServer, in_requests: true, of: 1, tag: 0 },
            block: BlockValue { num, more, szx: 0 },
            ordered: true,
            bytes,
            declared: None,
            content_format: None,
            path: "/a",
            frame: u64::from(num) + 1,
        }
    }

    #[test]
    fn blocks_in_order() {
        let mut bodies = Bodies::default();
        assert!(bodies.add(piece(0, true, &[1; 16])).is_empty());
        assert!(bodies.add(piece(1, true, &[2; 16])).is_empty());
        let ended = bodies.add(piece(2, false, &[3; 5]));
        assert!(ended[0].complete());
        assert_eq!((ended[0].bytes.len(), ended[0].blocks, ended[0].bytes[36]), (37, 3, 3));
    }

    #[test]
    fn a_missing_block_leaves_a_hole() {
        let mut bodies = Bodies::default();
        bodies.add(piece(0, true, &[1; 16]));
        let ended = bodies.add(piece(2, false, &[3; 5]));
        assert!(!ended[0].complete());
        assert_eq!((ended[0].size(), ended[0].received()), (37, 21));
    }

    #[test]
    fn blocks_in_any_order_join() {
        let mut assembly = Assembly::default();
        for at in [3_usize, 0, 2, 1, 1] {
            assembly.add(at * 16, &[at as u8; 16]);
        }
        assert_eq!((assembly.seen.as_slice(), assembly.bytes[40]), (&[(0, 64)][..], 2));
    }

    #[test]
    fn the_last_block_before_the_others() {
        let mut bodies = Bodies::default();
        assert!(bodies.add(Piece { ordered: false, ..piece(1, false, &[2; 3]) }).is_empty());
        let ended = bodies.add(Piece { ordered: false, ..piece(0, true, &[1; 16]) });
        assert!(ended[0].complete() && ended[0].bytes.len() == 19);
    }

    #[test]
    fn a_small_block_with_a_high_number_allocates_nothing() {
        let mut bodies = Bodies::default();
        let ended = bodies.add(piece(AHEAD as u32 / 16 + 1, false, &[1]));
        assert!(ended[0].dropped && ended[0].bytes.capacity() == 0);
    }

    #[test]
    fn a_first_block_again_begins_anew() {
        let mut bodies = Bodies::default();
        bodies.add(piece(0, true, &[1; 16]));
        let ended = bodies.add(piece(0, true, &[9; 16]));
        assert!(!ended[0].complete());
        let ended = bodies.add(piece(1, false, &[]));
        assert!(ended[0].complete() && ended[0].bytes == [9; 16]);
    }

    #[test]
    fn a_body_beyond_the_bound_is_not_kept() {
        let mut bodies = Bodies::default();
        let far =
            Piece { block: BlockValue { num: BODY_BYTES as u32 / 1024, more: false, szx: 6 }, ..piece(0, false, &[1; 1024]) };
        let ended = bodies.add(far);
        assert!(ended[0].dropped && ended[0].bytes.is_empty() && !ended[0].complete());
    }

    #[test]
    fn more_bodies_than_the_bound() {
        let mut bodies = Bodies::default();
        for of in 0..BODIES as u64 {
            let key = BodyKey { of, ..piece(0, true, &[]).key };
            assert!(bodies.add(Piece { key, frame: of, ..piece(0, true, &[0; 16]) }).is_empty());
        }
        let key = BodyKey { of: 99, ..piece(0, true, &[]).key };
        let ended = bodies.add(Piece { key, frame: 99, ..piece(0, true, &[0; 16]) });
        assert_eq!((ended.len(), ended[0].first_frame, ended[0].dropped), (1, 0, true));
    }
}
