//! Cipher suites whose only secret is a pre-shared key: what a key makes of a handshake, and whether it opens the Finished record.
//!
//! Documents: RFC 5246 §5, §6.2.3, §6.3, §8.1; RFC 4279 §2; RFC 5487; RFC 6655; RFC 6347 §4.1.2; RFC 7366; RFC 7627 §4.

use aes::cipher::consts::{U8, U12, U16};
use aes::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::NoPadding};
use aes::{Aes128, Aes256};
use aes_gcm::AesGcm;
use ccm::Ccm;
use ccm::aead::{Aead, KeyInit, Nonce, Payload};
use hmac::{EagerHash, Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A plain suite, with SHA-256 for its keys.
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    name: &'static str,
    /// Length of the encryption key, bytes: 16 or 32.
    key: usize,
    protection: Protection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    /// AES-CCM with a tag of 16 bytes.
    Ccm,
    /// AES-CCM with a tag of 8 bytes.
    Ccm8,
    /// AES-GCM.
    Gcm,
    /// AES-CBC and a code of its own.
    Cbc(Code),
}

/// HMAC by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Sha1,
    Sha256,
}

const SUITES: &[Suite] = &[
    Suite { name: "TLS_PSK_WITH_AES_128_CCM_8", key: 16, protection: Protection::Ccm8 },
    Suite { name: "TLS_PSK_WITH_AES_256_CCM_8", key: 32, protection: Protection::Ccm8 },
    Suite { name: "TLS_PSK_WITH_AES_128_CCM", key: 16, protection: Protection::Ccm },
    Suite { name: "TLS_PSK_WITH_AES_256_CCM", key: 32, protection: Protection::Ccm },
    Suite { name: "TLS_PSK_WITH_AES_128_GCM_SHA256", key: 16, protection: Protection::Gcm },
    Suite { name: "TLS_PSK_WITH_AES_128_CBC_SHA256", key: 16, protection: Protection::Cbc(Code::Sha256) },
    Suite { name: "TLS_PSK_WITH_AES_128_CBC_SHA", key: 16, protection: Protection::Cbc(Code::Sha1) },
    Suite { name: "TLS_PSK_WITH_AES_256_CBC_SHA", key: 32, protection: Protection::Cbc(Code::Sha1) },
];

/// The suite of a name; `None` where it is not tried.
pub fn suite(name: &str) -> Option<&'static Suite> {
    SUITES.iter().find(|suite| suite.name == name)
}

/// What a key is tried on.
pub struct Handshake<'a> {
    /// The suite that the server chose.
    pub suite: &'static Suite,
    /// Random of the client, then of the server.
    pub randoms: [&'a [u8]; 2],
    /// SHA-256 of the messages up to the ClientKeyExchange, where the extended master secret was agreed on.
    pub session_hash: Option<&'a [u8]>,
    /// Whether the code of CBC covers the ciphertext (RFC 7366).
    pub encrypt_then_mac: bool,
    /// Epoch and sequence number of the Finished record.
    pub record_number: u64,
    /// Its content, encrypted.
    pub record: &'a [u8],
}

impl Handshake<'_> {
    /// Whether a pre-shared key explains the Finished record. Decrypted bytes are thrown away.
    pub fn fits(&self, psk: &[u8]) -> bool {
        let [client, server] = self.randoms;
        let premaster = premaster(psk);
        let mut master = Zeroizing::new([0; 48]);
        match self.session_hash {
            Some(hash) => prf(&premaster, b"extended master secret", &[hash], master.as_mut()),
            None => prf(&premaster, b"master secret", &[client, server], master.as_mut()),
        }
        let Suite { key, protection, .. } = *self.suite;
        let (code, iv) = match protection {
            Protection::Cbc(Code::Sha1) => (20, 0),
            Protection::Cbc(Code::Sha256) => (32, 0),
            Protection::Ccm | Protection::Ccm8 | Protection::Gcm => (0, 4),
        };
        // Client and server have codes, then keys, then IVs; the client's come first (RFC 5246 §6.3).
        let mut block = Zeroizing::new(vec![0; 2 * (code + key + iv)]);
        prf(master.as_ref(), b"key expansion", &[server, client], &mut block);
        let part = |from: usize, length: usize| block.get(from..from + length).unwrap_or_default();
        let (code, key, iv) = (part(0, code), part(2 * code, key), part(2 * (code + key), iv));
        match (protection, key.len()) {
            (Protection::Ccm8, 16) => self.opens::<Ccm<Aes128, U8, U12>>(key, iv, 8),
            (Protection::Ccm8, _) => self.opens::<Ccm<Aes256, U8, U12>>(key, iv, 8),
            (Protection::Ccm, 16) => self.opens::<Ccm<Aes128, U16, U12>>(key, iv, 16),
            (Protection::Ccm, _) => self.opens::<Ccm<Aes256, U16, U12>>(key, iv, 16),
            (Protection::Gcm, _) => self.opens::<AesGcm<Aes128, U12>>(key, iv, 16),
            (Protection::Cbc(Code::Sha1), _) => self.has_code::<Sha1>(code, key),
            (Protection::Cbc(Code::Sha256), _) => self.has_code::<Sha256>(code, key),
        }
    }

    /// AEAD: the nonce is half derived and half sent (RFC 5288 §3, RFC 6655 §3).
    fn opens<C: KeyInit + Aead>(&self, key: &[u8], iv: &[u8], tag: usize) -> bool {
        let Some((sent, ciphertext)) = self.record.split_at_checked(8) else { return false };
        let Some(length) = ciphertext.len().checked_sub(tag) else { return false };
        let nonce = [iv, sent].concat();
        let (Ok(cipher), Ok(nonce)) = (C::new_from_slice(key), Nonce::<C>::try_from(nonce.as_slice())) else { return false };
        let payload = Payload { msg: ciphertext, aad: &self.header(length) };
        cipher.decrypt(&nonce, payload).map(Zeroizing::new).is_ok()
    }

    /// CBC, and the code either over the ciphertext or within it (RFC 5246 §6.2.3.2).
    fn has_code<H: EagerHash>(&self, code: &[u8], key: &[u8]) -> bool
    where
        Hmac<H>: Mac + KeyInit,
    {
        if self.encrypt_then_mac {
            let Some(at) = self.record.len().checked_sub(code.len()) else { return false };
            let (covered, sent) = self.record.split_at(at);
            return is_code::<H>(code, &[&self.header(covered.len()), covered], sent);
        }
        let Some((iv, blocks)) = self.record.split_at_checked(16) else { return false };
        let mut plain = Zeroizing::new(blocks.to_vec());
        let opened = match key.len() {
            16 => decrypt::<cbc::Decryptor<Aes128>>(key, iv, &mut plain),
            _ => decrypt::<cbc::Decryptor<Aes256>>(key, iv, &mut plain),
        };
        // The last byte says how many bytes of padding stand before it.
        let padding = plain.last().map_or(0, |&padding| usize::from(padding) + 1);
        let Some(at) = plain.len().checked_sub(padding + code.len()).filter(|_| opened) else { return false };
        let (content, rest) = plain.split_at(at);
        is_code::<H>(code, &[&self.header(content.len()), content], rest.get(..code.len()).unwrap_or_default())
    }

    /// What a code or tag covers before the content: record number, type, version, length (RFC 6347 §4.1.2.1).
    fn header(&self, length: usize) -> [u8; 13] {
        let [a, b, c, d, e, f, g, h] = self.record_number.to_be_bytes();
        let [.., high, low] = length.to_be_bytes();
        [a, b, c, d, e, f, g, h, HANDSHAKE, 0xfe, 0xfd, high, low]
    }
}

/// Content type of the handshake.
const HANDSHAKE: u8 = 22;

fn decrypt<C: KeyIvInit + BlockModeDecrypt>(key: &[u8], iv: &[u8], blocks: &mut [u8]) -> bool {
    C::new_from_slices(key, iv).is_ok_and(|cipher| cipher.decrypt_padded::<NoPadding>(blocks).is_ok())
}

fn is_code<H: EagerHash>(key: &[u8], covered: &[&[u8]], sent: &[u8]) -> bool
where
    Hmac<H>: Mac + KeyInit,
{
    let Ok(mut code) = <Hmac<H> as KeyInit>::new_from_slice(key) else { return false };
    covered.iter().for_each(|part| code.update(part));
    code.verify_slice(sent).is_ok()
}

/// The premaster secret of a plain suite: as many zeros as the key has bytes, and the key, each with its length (RFC 4279 §2).
fn premaster(psk: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = (psk.len() as u16).to_be_bytes();
    Zeroizing::new([&length[..], &vec![0; psk.len()], &length, psk].concat())
}

/// The pseudorandom function with SHA-256 (RFC 5246 §5).
pub(super) fn prf(secret: &[u8], label: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    let Ok(keyed) = <Hmac<Sha256> as KeyInit>::new_from_slice(secret) else { return };
    let seeded = |mut code: Hmac<Sha256>| {
        code.update(label);
        seed.iter().for_each(|part| code.update(part));
        code.finalize().into_bytes()
    };
    let mut a = seeded(keyed.clone());
    for chunk in out.chunks_mut(32) {
        let mut code = keyed.clone();
        code.update(&a);
        let block = seeded(code);
        chunk.iter_mut().zip(block).for_each(|(to, from)| *to = from);
        a = keyed.clone().chain_update(a).finalize().into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pseudorandom_function_of_its_published_vector() {
        // Test vector of the IETF's TLS working group for P_SHA256.
        let secret = [0x9b, 0xbe, 0x43, 0x6b, 0xa9, 0x40, 0xf0, 0x17, 0xb1, 0x76, 0x52, 0x84, 0x9a, 0x71, 0xdb, 0x35];
        let seed = [0xa0, 0xba, 0x9f, 0x93, 0x6c, 0xda, 0x31, 0x18, 0x27, 0xa6, 0xf7, 0x96, 0xff, 0xd5, 0x19, 0x8c];
        let mut out = [0; 100];
        prf(&secret, b"test label", &[&seed], &mut out);
        assert_eq!(out[..8], [0xe3, 0xf2, 0x29, 0xba, 0x72, 0x7b, 0xe1, 0x7b]);
        assert_eq!(out[96..], [0x87, 0x34, 0x7b, 0x66]);
    }
}
