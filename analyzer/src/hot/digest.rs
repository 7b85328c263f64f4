//! Keyed digests of credentials: they show that two credentials are one, or that a device changed its own, without telling what they are.
//!
//! A digest is the first [`DIGEST_BYTES`] bytes of HMAC-SHA-256 (RFC 2104, FIPS 180-4) under the installation's key over
//!
//! ```text
//! "citytap credential digest 1", a zero byte
//! kind, user name, secret, each:  0                                  where there is none
//!                                 1, length in 8 bytes, the bytes    otherwise; lengths are most significant byte first
//! ```
//!
//! so that no two credentials have one encoding, and whoever shares the key (a paired `rekey`) computes the same digests. Who presented the
//! credential takes no part: two devices with one credential have one digest. Where the secret itself stays hidden, as a pre-shared key
//! does, the digest is that of its name alone.
//!
//! Whoever has a digest and its key can try guesses. So both stand in the store alone: neither type can be serialised, and neither is shown by
//! `Debug`.

use citytap_sensor::observation::CredentialKind;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroize;

/// Bytes of the key: as many as SHA-256 gives (RFC 2104 §3 advises no fewer).
pub const KEY_BYTES: usize = 32;

/// Bytes kept of a digest: half of the hash, the fewest that RFC 2104 §5 advises. A city's million credentials do not collide.
pub const DIGEST_BYTES: usize = 16;

/// What every message begins with: nothing else that the key may once be used for begins so.
const DOMAIN: &[u8] = b"citytap credential digest 1\0";

/// The key of an installation. It has neither `Debug` nor `Serialize` nor `Clone`, and its bytes are overwritten when it is dropped.
pub struct DigestKey([u8; KEY_BYTES]);

impl DigestKey {
    /// Wraps the bytes, which are overwritten where they stood.
    pub fn new(bytes: &mut [u8; KEY_BYTES]) -> Self {
        let key = Self(*bytes);
        bytes.zeroize();
        key
    }

    /// The bytes, for the store alone.
    pub(crate) fn expose_for_store(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The digest of a credential; `None` where none was presented.
    pub(super) fn digest(&self, kind: CredentialKind, user: Option<&[u8]>, secret: Option<&[u8]>) -> Option<CredentialDigest> {
        if kind == CredentialKind::Anonymous || (user.is_none() && secret.is_none()) {
            return None;
        }
        // HMAC takes keys of any length.
        let mut code = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        code.update(DOMAIN);
        for part in [Some(kind_name(kind).as_bytes()), user, secret] {
            match part {
                None => code.update(&[0]),
                Some(part) => {
                    code.update(&[1]);
                    code.update(&(part.len() as u64).to_be_bytes());
                    code.update(part);
                }
            }
        }
        code.finalize().into_bytes().first_chunk().copied().map(CredentialDigest)
    }
}

impl Drop for DigestKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A credential's digest. It can be compared; only the store writes it down.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialDigest([u8; DIGEST_BYTES]);

impl CredentialDigest {
    /// What the store kept.
    pub(crate) fn from_store(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the store alone.
    pub(crate) fn expose_for_store(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }
}

/// Shows that there is one.
impl fmt::Debug for CredentialDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialDigest(..)")
    }
}

/// A kind's name in digests and in the store: it never changes.
pub(crate) fn kind_name(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Password => "password",
        CredentialKind::Anonymous => "anonymous",
        CredentialKind::PskIdentity => "psk_identity",
        CredentialKind::Token => "token",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CredentialKind::{Anonymous, Password, PskIdentity, Token};

    fn key() -> DigestKey {
        let mut bytes = std::array::from_fn(|at| at as u8);
        let key = DigestKey::new(&mut bytes);
        assert_eq!(bytes, [0; KEY_BYTES]);
        key
    }

    /// Computed by Python's hmac module from the description above.
    #[test]
    fn digests_are_as_described() {
        let hex =
            |digest: Option<CredentialDigest>| digest.unwrap().0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let password = key().digest(Password, Some(b"admin"), Some(b"hunter2"));
        assert_eq!(hex(password), "71d3ae94bfc2d978da5b965001d56ce4");
        assert_eq!(hex(key().digest(PskIdentity, Some(b"meter-7"), None)), "0de0f91f3e246df9d33e4fd92f0b3568");
        assert_eq!(format!("{password:?}"), "Some(CredentialDigest(..))");
    }

    #[test]
    fn credentials_that_differ_have_digests_that_differ() {
        type Part = Option<&'static [u8]>;
        let cases: [(CredentialKind, Part, Part); 9] = [
            (Password, Some(b"ab"), Some(b"c")),
            (Password, Some(b"a"), Some(b"bc")),
            (Password, Some(b"abc"), None),
            (Password, None, Some(b"abc")),
            (Password, Some(b"abc"), Some(b"")),
            (Password, Some(b""), Some(b"abc")),
            (Token, None, Some(b"abc")),
            (Password, Some(b""), None),
            (Password, None, Some(b"")),
        ];
        let digests: std::collections::HashSet<_> =
            cases.iter().map(|(kind, user, secret)| key().digest(*kind, *user, *secret).unwrap()).collect();
        assert_eq!(digests.len(), cases.len());
        let other = DigestKey::new(&mut [7; KEY_BYTES]);
        assert_ne!(other.digest(Token, None, Some(b"abc")), key().digest(Token, None, Some(b"abc")));
    }

    #[test]
    fn nothing_presented_has_none() {
        assert_eq!(key().digest(Anonymous, None, None), None);
        assert_eq!(key().digest(Anonymous, Some(b"name"), None), None);
        assert_eq!(key().digest(Password, None, None), None);
    }
}
