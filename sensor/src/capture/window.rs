//! A window on a stream of bytes: one block in which records lie whole, so that packets can be borrowed from it.

use super::error::Fault;
use super::unpack::Source;

pub(super) struct Window {
    source: Source,
    buffer: Vec<u8>,
    // 0 <= start <= end <= buffer.len()
    start: usize,
    end: usize,
    /// Offset in the stream of the buffer's first byte.
    base: u64,
    block: usize,
    ended: bool,
    fault: Option<Fault>,
}

impl Window {
    /// A window that reads `block` bytes at once.
    pub(super) fn new(source: Source, block: usize) -> Self {
        Self { source, buffer: Vec::new(), start: 0, end: 0, base: 0, block, ended: false, fault: None }
    }

    /// The source below, for what is left to do with it.
    pub(super) fn into_source(self) -> Source {
        self.source
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Bytes read at once.
    pub(super) fn block(&self) -> usize {
        self.block
    }

    /// The bytes in the window that were not consumed.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Position in the buffer of the first byte of [`rest`](Self::rest), for [`bytes`](Self::bytes).
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.start
    }

    /// Bytes at a position in the buffer: good until the next call of [`has`](Self::has) or [`skip`](Self::skip).
    #[inline]
    pub(super) fn bytes(&self, position: usize, length: usize) -> &[u8] {
        self.buffer.get(position..position + length).unwrap_or_default()
    }

    /// Offset in the stream of the first byte of [`rest`](Self::rest).
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Whether `n` bytes are in the window, reading more where they are not. Callers bound `n`.
    #[inline]
    pub(super) fn has(&mut self, n: usize) -> bool {
        self.end - self.start >= n || self.fill(n)
    }

    /// Steps over `n` bytes of [`rest`](Self::rest).
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        self.start = self.end.min(self.start + n);
    }

    /// Steps over `n` bytes, however many. Answers whether they were there.
    pub(super) fn skip(&mut self, mut n: u64) -> bool {
        while n > 0 {
            if !self.has(1) {
                return false;
            }
            let step = n.min((self.end - self.start) as u64);
            self.start += step as usize;
            n -= step;
        }
        true
    }

    /// What stopped the stream, if it was not its end.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Why there are fewer bytes than `needed` for `what`.
    pub(super) fn cut_short(&mut self, what: &'static str, needed: usize) -> Fault {
        let there = (self.end - self.start) as u64;
        self.fault.take().unwrap_or(Fault::CutShort { what, there, needed: needed as u64 })
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self, n: usize) -> bool {
        if self.ended {
            return false;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < n.max(self.block) {
            self.buffer.resize(n.max(self.block), 0);
        }
        while self.end < n && !self.ended {
            match self.source.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(fault) => {
                    self.fault = Some(fault);
                    self.ended = true;
                }
            }
        }
        self.end >= n
    }
}
