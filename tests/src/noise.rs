//! Changes and cuts that are the same each time: a test that fails tonight fails tomorrow.

/// A small generator of numbers (xorshift64*), good enough to vary inputs.
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// Another sequence for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.number()) * end as u128) >> 64) as usize
    }

    /// One of `items`.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// So many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.number() as u8).collect()
    }

    /// Changes a few bytes, and now and then inserts, removes or repeats some: lengths that lie are what breaks decoders.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(8) {
                _ if bytes.is_empty() => bytes.push(self.number() as u8),
                0..=2 => bytes[at] = self.number() as u8,
                3 => bytes[at] ^= 1 << self.below(8),
                4 => bytes[at] = self.pick(&[0, 1, 0x7f, 0x80, 0xfe, 0xff]),
                5 => bytes.insert(at, self.number() as u8),
                6 => {
                    bytes.remove(at);
                }
                _ => {
                    let end = (at + 1 + self.below(16)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
    }

    /// Cuts `bytes` into pieces of 1 to `largest` bytes.
    pub fn pieces<'a>(&mut self, bytes: &'a [u8], largest: usize) -> Vec<&'a [u8]> {
        let mut rest = bytes;
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, next) = rest.split_at((1 + self.below(largest)).min(rest.len()));
            pieces.push(piece);
            rest = next;
        }
        pieces
    }
}
