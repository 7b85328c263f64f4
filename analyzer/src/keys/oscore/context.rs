//! Keys, nonces and tags of a security context (RFC 8613 §3.2, §5). Algorithms are the default ones: AES-CCM-16-64-128 and HKDF with SHA-256.

use aes::Aes128;
use ccm::Ccm;
use ccm::aead::consts::{U8, U13};
use ccm::aead::{Aead, KeyInit, Nonce, Payload};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// AES-CCM-16-64-128 by its number (RFC 9053 §4.2).
const ALGORITHM: u8 = 10;

/// Length of its nonce, bytes.
const NONCE: usize = 13;

/// Longest sender ID: six bytes less than the nonce (RFC 8613 §3.3).
pub const ID: usize = NONCE - 6;

/// Longest Partial IV, bytes (RFC 8613 §6.1).
pub const PARTIAL_IV: usize = 5;

type Aes = Ccm<Aes128, U8, U13>;

/// Master Secret and Master Salt, mixed: the first half of HKDF (RFC 5869 §2.2).
pub struct Master(Hkdf<Sha256>);

impl Master {
    /// From secret and salt; the salt is empty where there is none.
    pub fn new(secret: &[u8], salt: &[u8]) -> Self {
        Self(Hkdf::new(Some(salt), secret))
    }

    /// Key of the side that sends under `id`.
    pub fn sender_key(&self, id: &[u8], id_context: Option<&[u8]>) -> Zeroizing<[u8; 16]> {
        let mut key = Zeroizing::new([0; 16]);
        self.expand(&info(id, id_context, "Key", 16), key.as_mut());
        key
    }

    /// Common IV of both sides.
    pub fn common_iv(&self, id_context: Option<&[u8]>) -> [u8; NONCE] {
        let mut iv = [0; NONCE];
        self.expand(&info(&[], id_context, "IV", NONCE as u8), &mut iv);
        iv
    }

    fn expand(&self, info: &[u8], out: &mut [u8]) {
        let expanded = self.0.expand(info, out);
        debug_assert!(expanded.is_ok(), "one block of SHA-256 is enough");
    }
}

/// What HKDF is told: `[id, id_context, alg_aead, type, L]` (RFC 8613 §3.2.1).
fn info(id: &[u8], id_context: Option<&[u8]>, kind: &str, length: u8) -> Vec<u8> {
    let mut info = vec![0x85];
    bytes(&mut info, id);
    match id_context {
        Some(context) => bytes(&mut info, context),
        None => info.push(0xf6),
    }
    info.push(ALGORITHM);
    info.push(0x60 | kind.len() as u8);
    info.extend_from_slice(kind.as_bytes());
    info.push(length);
    info
}

/// A byte string (RFC 8949 §3.1). An ID context has a length of one byte (RFC 8613 §6.1); the others are shorter.
fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(length @ ..24) => out.push(0x40 | length),
        Ok(length) => out.extend([0x58, length]),
        Err(_) => debug_assert!(false, "an ID context of {} bytes", bytes.len()),
    }
    out.extend_from_slice(bytes);
}

/// The nonce of a message: whose Partial IV it is, and which (RFC 8613 §5.2).
pub fn nonce(common_iv: &[u8; NONCE], id: &[u8], partial_iv: &[u8]) -> Option<[u8; NONCE]> {
    let mut nonce = [0; NONCE];
    let (head, tail) = nonce.split_at_mut(NONCE - PARTIAL_IV);
    let (length, ids) = head.split_first_mut()?;
    *length = id.len() as u8;
    let from = ids.len().checked_sub(id.len())?;
    ids.get_mut(from..)?.copy_from_slice(id);
    let from = tail.len().checked_sub(partial_iv.len())?;
    tail.get_mut(from..)?.copy_from_slice(partial_iv);
    nonce.iter_mut().zip(common_iv).for_each(|(byte, iv)| *byte ^= iv);
    Some(nonce)
}

/// What the tag covers beside the message: the request's sender and Partial IV, no options (RFC 8613 §5.4, RFC 9052 §5.3).
pub fn additional_data(request_kid: &[u8], request_partial_iv: &[u8]) -> Vec<u8> {
    let mut external = vec![0x85, 0x01, 0x81, ALGORITHM];
    bytes(&mut external, request_kid);
    bytes(&mut external, request_partial_iv);
    external.push(0x40);
    let mut data = vec![0x83, 0x68];
    data.extend_from_slice(b"Encrypt0");
    data.push(0x40);
    bytes(&mut data, &external);
    data
}

/// Whether a key makes the tag of a message. What it decrypts to is thrown away.
pub fn opens(key: &[u8; 16], nonce: &[u8; NONCE], additional_data: &[u8], ciphertext: &[u8]) -> bool {
    let payload = Payload { msg: ciphertext, aad: additional_data };
    Aes::new(key.into()).decrypt(&Nonce::<Aes>::from(*nonce), payload).map(Zeroizing::new).is_ok()
}
