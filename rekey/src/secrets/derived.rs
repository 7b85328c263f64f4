//! One master key, and a key of its own for each use: HMAC-SHA-256 (RFC 2104) of the use's name under the master.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a master key.
pub const MASTER_BYTES: usize = 32;

/// The key that everything at rest hangs on. It comes from [`super::key_source`] and stands nowhere in the module's own folder.
pub struct Master(Zeroizing<[u8; MASTER_BYTES]>);

impl Master {
    /// Wraps its bytes.
    pub fn new(bytes: [u8; MASTER_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes, for the file that it is written to.
    pub(super) fn expose(&self) -> &[u8; MASTER_BYTES] {
        &self.0
    }
}

/// The key for a use.
pub(crate) fn key(master: &Master, purpose: &str) -> Zeroizing<[u8; 32]> {
    hmac(master.expose(), &[b"citytap-rekey ", purpose.as_bytes()])
}

/// HMAC-SHA-256 over parts, one after another.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    // HMAC takes keys of any length.
    let mut code = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()));
    parts.iter().for_each(|part| code.update(part));
    Zeroizing::new(code.finalize().into_bytes().into())
}
