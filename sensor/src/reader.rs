//! The cursor through which decoders read bytes. It never panics: a read past the end answers `None` and moves nothing.
//!
//! This is the only code in `sensor` that takes bytes out of a slice by position; decoders are checked for it.

/// A cursor over borrowed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

macro_rules! integers {
    ($($(#[$doc:meta])* $name:ident, $type:ty, $from:ident;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self) -> Option<$type> {
            self.array().map(<$type>::$from)
        }
    )*};
}

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// Bytes read so far: the offset of the next byte.
    #[inline]
    pub fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    /// Bytes not read yet.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether every byte was read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All bytes not read yet, without reading them.
    #[inline]
    pub fn peek_rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` bytes, without reading them.
    #[inline]
    pub fn peek(&self, n: usize) -> Option<&'a [u8]> {
        self.rest.get(..n)
    }

    /// The next byte, without reading it.
    #[inline]
    pub fn peek_u8(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    /// As many of the next `n` bytes as there are.
    #[inline]
    pub fn take_up_to(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(n).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    /// Everything that is left.
    #[inline]
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Steps over `n` bytes.
    #[inline]
    pub fn skip(&mut self, n: usize) -> Option<()> {
        self.take(n).map(drop)
    }

    /// A cursor over the next `n` bytes alone; this one moves past them.
    #[inline]
    pub fn sub(&mut self, n: usize) -> Option<Reader<'a>> {
        self.take(n).map(Reader::new)
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    integers! {
        /// One byte.
        u8, u8, from_be_bytes;
        /// Two bytes, most significant first.
        u16, u16, from_be_bytes;
        /// Four bytes, most significant first.
        u32, u32, from_be_bytes;
        /// Eight bytes, most significant first.
        u64, u64, from_be_bytes;
        /// Two bytes, least significant first.
        u16_le, u16, from_le_bytes;
        /// Four bytes, least significant first.
        u32_le, u32, from_le_bytes;
        /// Eight bytes, least significant first.
        u64_le, u64, from_le_bytes;
    }

    /// Three bytes, most significant first.
    #[inline]
    pub fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]: [u8; 3]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Three bytes, least significant first.
    #[inline]
    pub fn u24_le(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]: [u8; 3]| u32::from_le_bytes([a, b, c, 0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_moves_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.u16(), Some(0x0102));
        assert_eq!(reader.u16(), None);
        assert_eq!((reader.offset(), reader.remaining()), (2, 1));
        assert_eq!(reader.take_up_to(9), &[3]);
        assert!(reader.is_empty());
    }

    #[test]
    fn byte_orders() {
        let mut reader = Reader::new(&[1, 2, 3, 1, 2, 3, 1, 2]);
        assert_eq!(reader.u24(), Some(0x010203));
        assert_eq!(reader.u24_le(), Some(0x030201));
        assert_eq!(reader.u16_le(), Some(0x0201));
    }

    #[test]
    fn a_sub_reader_ends_where_it_was_told() {
        let mut reader = Reader::new(&[1, 2, 3]);
        let mut sub = reader.sub(2).unwrap();
        assert_eq!(sub.take_rest(), &[1, 2]);
        assert_eq!(reader.u8(), Some(3));
        assert!(reader.sub(1).is_none());
    }
}
