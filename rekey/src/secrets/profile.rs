//! What a device can take as its secret, and secrets made so that it can.
//!
//! A secret that a device accepts and cannot use is a lock-out: tinydtls answers 2.04 to a pre-shared key of 18 bytes and never connects
//! again. So nothing is made, staged or sent that the narrowest party of a slot cannot use.

use super::Secret;
use std::fmt;
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// Fewest bits of a secret that we make: as many as AES-128 has, so that no secret of ours is the weakest part.
pub const MIN_BITS: u32 = 128;

/// Which bytes a secret may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Any byte.
    Bytes,
    /// Digits and letters of ASCII: safe in Tasmota's `Backlog`, in JSON, in files of lines and behind a shell, and typed without a table.
    Alphanumeric,
    /// `0-9a-f`, two for each byte of a key.
    Hex,
}

impl Alphabet {
    fn letters(self) -> &'static [u8] {
        match self {
            Alphabet::Bytes => &[],
            Alphabet::Alphanumeric => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            Alphabet::Hex => b"0123456789abcdef",
        }
    }

    fn has(self, byte: u8) -> bool {
        self == Alphabet::Bytes || self.letters().contains(&byte)
    }

    /// Bits that each byte adds, rounded down to hundredths.
    fn centibits(self) -> u32 {
        match self {
            Alphabet::Bytes => 800,
            Alphabet::Alphanumeric => 595,
            Alphabet::Hex => 400,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Alphabet::Bytes => "bytes",
            Alphabet::Alphanumeric => "letters and digits",
            Alphabet::Hex => "lower-case hexadecimal digits",
        }
    }
}

/// What a secret must be for one party: a device family, a protocol, a verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// How many bytes, both ends included.
    pub length: RangeInclusive<usize>,
    /// Which bytes.
    pub alphabet: Alphabet,
}

/// A root key of LoRaWAN, as any AES-128 key: 16 bytes, shown as 32 hexadecimal digits.
pub const AES_128: Profile = Profile { length: 16..=16, alphabet: Alphabet::Bytes };

/// A pre-shared key for tinydtls, which takes more than 16 bytes and then cannot use them (run against Wakaama).
pub const TINYDTLS_PSK: Profile = Profile { length: 16..=16, alphabet: Alphabet::Bytes };

/// A password of Tasmota: at least 5 characters (its command table); all its texts share 698 characters, so ours stays short.
pub const TASMOTA_PASSWORD: Profile = Profile { length: 5..=64, alphabet: Alphabet::Alphanumeric };

/// A password for MQTT where the device family sets no bound of its own.
pub const MQTT_PASSWORD: Profile = Profile { length: 1..=128, alphabet: Alphabet::Alphanumeric };

/// Why a secret does not fit. It tells lengths, never bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Too short or too long.
    #[error("the secret has {has} bytes, and the device takes {profile}; let citytap-rekey make one, or enter one that fits")]
    Length {
        /// What fits.
        profile: String,
        /// What it has.
        has: usize,
    },
    /// A byte that is not allowed.
    #[error(
        "the secret has other characters than the device takes, which is {profile}; let citytap-rekey make one, or enter one that fits"
    )]
    Letters {
        /// What fits.
        profile: String,
    },
    /// What can be made would be too weak.
    #[error(
        "the device takes {profile}, which is {bits} bits at most and fewer than the {MIN_BITS} that a new secret must have; \
        replace the device or its firmware"
    )]
    Weak {
        /// What fits.
        profile: String,
        /// Bits of the longest secret.
        bits: u32,
    },
    /// The operating system has no randomness.
    #[error("the operating system gives no random bytes ({0}); nothing was made")]
    Random(String),
}

impl Profile {
    /// Whether a secret fits.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, secret: &Secret) -> Result<(), Misfit> {
        if !self.length.contains(&secret.len()) {
            return Err(Misfit::Length { profile: self.to_string(), has: secret.len() });
        }
        if !secret.expose().iter().all(|byte| self.alphabet.has(*byte)) {
            return Err(Misfit::Letters { profile: self.to_string() });
        }
        Ok(())
    }

    /// What both allow; `None` where nothing fits both.
    pub fn within(&self, other: &Profile) -> Option<Profile> {
        let alphabet = match (self.alphabet, other.alphabet) {
            (Alphabet::Bytes, one) | (one, Alphabet::Bytes) => one,
            (one, other) if one == other => one,
            // Hexadecimal digits are letters and digits.
            _ => Alphabet::Hex,
        };
        let length = *self.length.start().max(other.length.start())..=*self.length.end().min(other.length.end());
        (!length.is_empty()).then_some(Profile { length, alphabet })
    }

    /// Makes a secret from the operating system's randomness, of the fewest bytes that have [`MIN_BITS`].
    ///
    /// # Errors
    /// Where the longest would be too weak, or there is no randomness.
    pub fn make(&self) -> Result<Secret, Misfit> {
        self.make_from(&mut |room| getrandom::fill(room).map_err(|error| Misfit::Random(error.to_string())))
    }

    /// Makes a secret from given randomness, for tests and simulations.
    ///
    /// # Errors
    /// As [`Profile::make`], and what the source answers.
    pub fn make_from(&self, fill: &mut dyn FnMut(&mut [u8]) -> Result<(), Misfit>) -> Result<Secret, Misfit> {
        let enough = (MIN_BITS * 100).div_ceil(self.alphabet.centibits()) as usize;
        let length = enough.max(*self.length.start());
        if length > *self.length.end() {
            let bits = u32::try_from(*self.length.end()).unwrap_or(u32::MAX).saturating_mul(self.alphabet.centibits()) / 100;
            return Err(Misfit::Weak { profile: self.to_string(), bits });
        }
        let letters = self.alphabet.letters();
        if letters.is_empty() {
            let mut bytes = vec![0; length];
            fill(&mut bytes)?;
            return Ok(Secret::new(bytes));
        }
        // In one allocation, so that no part stays behind where it grew.
        let mut bytes = Vec::with_capacity(length);
        let mut drawn = Zeroizing::new([0_u8; 64]);
        // A byte beyond the last whole multiple would make some letters likelier: it is drawn anew.
        let fair = 256 / letters.len() * letters.len();
        while bytes.len() < length {
            fill(drawn.as_mut())?;
            let chosen = drawn.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
            let left = length - bytes.len();
            bytes.extend(chosen.filter_map(|byte| letters.get(byte % letters.len())).take(left));
        }
        Ok(Secret::new(bytes))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.length.start(), self.length.end()) {
            (only, longest) if only == longest => write!(f, "{only} {}", self.alphabet.words()),
            (shortest, longest) => write!(f, "{shortest} to {longest} {}", self.alphabet.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_profile_makes_fits_it_and_is_new_each_time() {
        for profile in [AES_128, TINYDTLS_PSK, TASMOTA_PASSWORD, MQTT_PASSWORD] {
            let (one, other) = (profile.make().unwrap(), profile.make().unwrap());
            assert_eq!(profile.check(&one), Ok(()), "{profile}");
            assert!(one != other);
        }
        assert_eq!(MQTT_PASSWORD.make().unwrap().len(), 22);
        assert_eq!(AES_128.make().unwrap().len(), 16);
    }

    #[test]
    fn a_key_that_tinydtls_takes_and_cannot_use_is_refused() {
        let error = TINYDTLS_PSK.check(&Secret::new(vec![7; 18])).unwrap_err().to_string();
        assert!(error.starts_with("the secret has 18 bytes, and the device takes 16 bytes"), "{error}");
        let error = TASMOTA_PASSWORD.check(&Secret::new(b"a;b c d".to_vec())).unwrap_err().to_string();
        assert!(error.contains("5 to 64 letters and digits") && !error.contains("a;b"), "{error}");
        assert!(TASMOTA_PASSWORD.check(&Secret::new(b"four".to_vec())).is_err());
    }

    #[test]
    fn a_device_that_allows_only_weak_secrets_is_said() {
        let pin = Profile { length: 4..=8, alphabet: Alphabet::Hex };
        let error = pin.make().err().unwrap().to_string();
        assert!(error.contains("32 bits at most"), "{error}");
        assert_eq!(AES_128.within(&MQTT_PASSWORD), Some(Profile { length: 16..=16, alphabet: Alphabet::Alphanumeric }));
        assert_eq!(AES_128.within(&Profile { length: 40..=50, alphabet: Alphabet::Hex }), None);
        let hex = Profile { length: 32..=64, alphabet: Alphabet::Hex };
        assert_eq!(TASMOTA_PASSWORD.within(&hex).map(|both| both.alphabet), Some(Alphabet::Hex));
    }

    proptest! {
        #[test]
        fn letters_are_drawn_without_preference(seed: [u8; 32]) {
            // Whatever comes, only letters of the alphabet leave, in the length asked for.
            let mut at = 0_u8;
            let mut fill = |room: &mut [u8]| {
                room.iter_mut().for_each(|byte| { at = at.wrapping_add(1); *byte = seed[usize::from(at) % 32] ^ at; });
                Ok(())
            };
            let secret = MQTT_PASSWORD.make_from(&mut fill).unwrap();
            prop_assert_eq!(MQTT_PASSWORD.check(&secret), Ok(()));
        }
    }
}
