//! Secrets at rest: XChaCha20-Poly1305 under a key that is kept elsewhere ([`super::key_source`]).
//!
//! A sealed secret is `"CTS1"`, the sealing key's id (8 bytes), the nonce (24), ciphertext and tag. What it is authenticated with is the place
//! that it belongs to, so that one slot's secret opened in another's place, or an older generation in a newer one's, is refused:
//!
//! ```text
//! "citytap-rekey sealed secret 1", a zero byte, the key's id,
//! length of the slot's name in 8 bytes, the name, generation in 4 bytes, rotation in 8 bytes; most significant byte first
//! ```

use super::derived::{self, Master};
use super::{Bound, Profile, Sealed, Sealing, Secret};
use crate::backends::Refusal;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

const MAGIC: &[u8; 4] = b"CTS1";
const DOMAIN: &[u8] = b"citytap-rekey sealed secret 1\0";

/// Bytes of a key's id.
pub const ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Longest secret that is sealed: a certificate's private key with room; what is longer is no secret of a device.
pub const MAX_SECRET: usize = 16 << 10;

/// Why a secret cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is none of ours, or torn.
    #[error("the sealed secret of {0} is damaged; restore the journal from a copy, or import the secret anew")]
    Damaged(String),
    /// Another key sealed it.
    #[error(
        "the secret of {slot} was sealed with the key {id}, which is not here; give that key as an older one (it stays readable until \
        `citytap-rekey sealing rotate` has run)"
    )]
    OtherKey {
        /// The slot.
        slot: String,
        /// The key's id in hex.
        id: String,
    },
    /// The place does not fit, or somebody changed it.
    #[error(
        "the sealed secret of {0} does not belong there: it was changed or put in another's place; restore the journal from a copy"
    )]
    Misplaced(String),
    /// Too long.
    #[error("a secret of {0} bytes is longer than {MAX_SECRET}; that is no device's secret")]
    TooLong(usize),
    /// No randomness.
    #[error("the operating system gives no random bytes ({0}); nothing was sealed")]
    Random(String),
}

/// The keys that seal and open: one that seals, and older ones that still open.
pub struct Keyring {
    current: Sealer,
    older: Vec<Sealer>,
    fingerprint: Zeroizing<[u8; 32]>,
}

struct Sealer {
    id: [u8; ID_BYTES],
    cipher: XChaCha20Poly1305,
}

impl Sealer {
    fn new(master: &Master) -> Self {
        let id = derived::key(master, "sealing key id");
        let key = derived::key(master, "sealing");
        let cipher = XChaCha20Poly1305::new(<&Key>::from(&*key));
        Self { id: id.first_chunk().copied().unwrap_or_default(), cipher }
    }
}

impl Keyring {
    /// A keyring of the key that seals from now on, and of older ones that still open.
    pub fn new(current: &Master, older: &[Master]) -> Self {
        Self {
            current: Sealer::new(current),
            older: older.iter().map(Sealer::new).collect(),
            fingerprint: derived::key(current, "fingerprint"),
        }
    }

    /// The id of the key that seals, in hex.
    pub fn id(&self) -> String {
        hex(&self.current.id)
    }

    /// Seals a secret for its place.
    ///
    /// # Errors
    /// Where it is too long or there is no randomness.
    pub fn seal(&self, secret: &Secret, bound: Bound<'_>) -> Result<Sealed, SealError> {
        if secret.len() > MAX_SECRET {
            return Err(SealError::TooLong(secret.len()));
        }
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| SealError::Random(error.to_string()))?;
        let payload = Payload { msg: secret.expose(), aad: &belongs(&self.current.id, bound) };
        let sealed = self.current.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| SealError::TooLong(secret.len()))?;
        Ok(Sealed([MAGIC.as_slice(), &self.current.id, &nonce, &sealed].concat()))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// Where it is damaged, was sealed with a key that is not here, or belongs elsewhere.
    pub fn open(&self, sealed: &Sealed, bound: Bound<'_>) -> Result<Secret, SealError> {
        let damaged = || SealError::Damaged(bound.slot.to_string());
        let (id, rest) = parts(&sealed.0).ok_or_else(damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
        let keys = || std::iter::once(&self.current).chain(&self.older);
        let sealer = keys().find(|sealer| sealer.id == id);
        let sealer = sealer.ok_or_else(|| SealError::OtherKey { slot: bound.slot.to_string(), id: hex(&id) })?;
        let payload = Payload { msg: text, aad: &belongs(&id, bound) };
        let opened = sealer.cipher.decrypt(&XNonce::from(*nonce), payload);
        opened.map(Secret::new).map_err(|_| SealError::Misplaced(bound.slot.to_string()))
    }

    /// Seals anew what an older key sealed; `None` where the current one did.
    ///
    /// # Errors
    /// As [`Keyring::open`] and [`Keyring::seal`].
    pub fn reseal(&self, sealed: &Sealed, bound: Bound<'_>) -> Result<Option<Sealed>, SealError> {
        let secret = self.open(sealed, bound)?;
        let is_current = parts(&sealed.0).is_some_and(|(id, _)| id == self.current.id);
        if is_current { Ok(None) } else { self.seal(&secret, bound).map(Some) }
    }

    /// Eight bytes in hex that tell two secrets apart in a log, and nothing else to whoever lacks the sealing key.
    pub fn fingerprint(&self, secret: &Secret) -> String {
        let code = derived::hmac(self.fingerprint.as_ref(), &[secret.expose()]);
        hex(code.first_chunk::<8>().map_or(&[], |first| first.as_slice()))
    }
}

/// What a person reads of it.
fn refused(error: &dyn std::error::Error) -> Refusal {
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((cause, remedy)) => Refusal::new(cause, remedy),
        None => Refusal::new(text, "see `citytap-rekey doctor`"),
    }
}

impl Sealing for Keyring {
    fn make(&self, profile: &Profile, bound: Bound<'_>) -> Result<Sealed, Refusal> {
        let secret = profile.make().map_err(|error| refused(&error))?;
        Keyring::seal(self, &secret, bound).map_err(|error| refused(&error))
    }

    fn seal(&self, secret: &Secret, bound: Bound<'_>) -> Result<Sealed, Refusal> {
        Keyring::seal(self, secret, bound).map_err(|error| refused(&error))
    }

    fn open(&self, sealed: &Sealed, bound: Bound<'_>) -> Result<Secret, Refusal> {
        Keyring::open(self, sealed, bound).map_err(|error| refused(&error))
    }
}

/// The key's id and what comes after it.
fn parts(sealed: &[u8]) -> Option<([u8; ID_BYTES], &[u8])> {
    let (magic, rest) = sealed.split_first_chunk::<4>()?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
    (magic == MAGIC && rest.len() >= NONCE_BYTES + TAG_BYTES).then_some((*id, rest))
}

fn belongs(id: &[u8; ID_BYTES], bound: Bound<'_>) -> Vec<u8> {
    let slot = bound.slot.to_string();
    let length = (slot.len() as u64).to_be_bytes();
    let (generation, rotation) = (bound.generation.0.to_be_bytes(), bound.rotation.0.to_be_bytes());
    [DOMAIN, id, &length, slot.as_bytes(), &generation, &rotation].concat()
}

/// Bytes as text, for what is no secret.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::{Generation, RotationId, Slot};
    use proptest::prelude::*;

    fn ring(seed: u8, older: &[u8]) -> Keyring {
        let master = |seed: u8| Master::new([seed; 32]);
        Keyring::new(&master(seed), &older.iter().map(|seed| master(*seed)).collect::<Vec<_>>())
    }

    fn slot(name: &str) -> Slot {
        Slot::new("mosquitto", name).unwrap()
    }

    fn bound(slot: &Slot) -> Bound<'_> {
        Bound { slot, generation: Generation(2), rotation: RotationId(77) }
    }

    #[test]
    fn a_sealed_secret_opens_in_its_place_alone() {
        let (keys, secret) = (ring(1, &[]), Secret::new(b"planted".to_vec()));
        let (dev1, dev2) = (slot("dev1"), slot("dev2"));
        let place = bound(&dev1);
        let sealed = keys.seal(&secret, place).unwrap();
        assert!(keys.open(&sealed, place).unwrap() == secret);
        let elsewhere = [bound(&dev2), Bound { generation: Generation(1), ..place }, Bound { rotation: RotationId(78), ..place }];
        for place in elsewhere {
            assert!(matches!(keys.open(&sealed, place), Err(SealError::Misplaced(_))));
        }
        assert!(keys.seal(&secret, place).unwrap() != sealed, "two sealings of one secret must differ");
        assert!(!sealed.0.windows(7).any(|part| part == b"planted"));
    }

    #[test]
    fn the_sealing_key_is_replaced_while_everything_stays_readable() {
        let (secret, dev1) = (Secret::new(vec![9; 16]), slot("dev1"));
        let place = bound(&dev1);
        let old = ring(1, &[]).seal(&secret, place).unwrap();
        let error = ring(2, &[]).open(&old, place).err().unwrap();
        assert!(matches!(error, SealError::OtherKey { .. }), "{error}");
        let both = ring(2, &[1]);
        let new = both.reseal(&old, place).unwrap().unwrap();
        assert!(both.reseal(&new, place).unwrap().is_none());
        assert!(ring(2, &[]).open(&new, place).unwrap() == secret);
        assert!(ring(1, &[]).open(&new, place).is_err());
    }

    #[test]
    fn a_fingerprint_tells_secrets_apart_under_one_key_alone() {
        let [one, other] = [b"a", b"b"].map(|bytes| Secret::new(bytes.to_vec()));
        assert_ne!(ring(1, &[]).fingerprint(&one), ring(1, &[]).fingerprint(&other));
        assert_ne!(ring(1, &[]).fingerprint(&one), ring(2, &[]).fingerprint(&one));
        assert_eq!(ring(1, &[]).fingerprint(&one), ring(1, &[]).fingerprint(&one.duplicate()));
        assert_eq!(ring(1, &[]).fingerprint(&one).len(), 16);
    }

    proptest! {
        #[test]
        fn a_changed_byte_anywhere_is_found(at: prop::sample::Index, flip in 1_u8.., cut: prop::sample::Index) {
            let (keys, dev1) = (ring(3, &[4]), slot("dev1"));
            let sealed = keys.seal(&Secret::new(b"secret".to_vec()), bound(&dev1)).unwrap();
            let mut changed = sealed.clone();
            let place = at.index(changed.0.len());
            changed.0[place] ^= flip;
            prop_assert!(keys.open(&changed, bound(&dev1)).is_err());
            let cut = Sealed(sealed.0[..cut.index(sealed.0.len())].to_vec());
            prop_assert!(keys.open(&cut, bound(&dev1)).is_err());
        }

        #[test]
        fn any_bytes_are_refused_and_nothing_panics(bytes: Vec<u8>) {
            prop_assert!(ring(1, &[]).open(&Sealed(bytes), bound(&slot("dev1"))).is_err());
        }
    }
}
