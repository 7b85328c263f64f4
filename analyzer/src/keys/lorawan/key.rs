//! A secret key: it can be used, not shown.

use zeroize::Zeroize;

/// An AES-128 key. It has neither `Debug` nor `Serialize`, and its bytes are overwritten when it is dropped.
#[derive(Clone)]
pub struct Key([u8; 16]);

impl Key {
    /// Wraps the bytes as AES takes them.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// From 32 hexadecimal digits, upper or lower case. The text itself stays with the caller.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut bytes = [0; 16];
        let mut pairs = digits.chunks_exact(2);
        for (byte, pair) in bytes.iter_mut().zip(pairs.by_ref()) {
            let digit = |at: usize| pair.get(at).and_then(|digit| char::from(*digit).to_digit(16));
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        (digits.len() == 32).then_some(Self(bytes))
    }

    /// The bytes, for ciphers and comparisons alone.
    pub(super) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits() {
        let key = Key::from_hex("2B7e151628aed2a6abf7158809cf4f3c").unwrap();
        assert_eq!(key.bytes()[..3], [0x2b, 0x7e, 0x15]);
        for wrong in [
            "",
            "2b",
            "2b7e151628aed2a6abf7158809cf4f3",
            "2b7e151628aed2a6abf7158809cf4f3c00",
            "zz7e151628aed2a6abf7158809cf4f3c",
        ] {
            assert!(Key::from_hex(wrong).is_none(), "{wrong}");
        }
    }
}
