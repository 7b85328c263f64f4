//! Root keys and what follows from them: session keys (TS001-1.0.4 §6.2.5; LoRaWAN 1.1 §6.2.5), the Join Server's own keys (LoRaWAN 1.1 §6.1.1.3 and
//! §6.1.1.4), message integrity codes (RFC 4493) and the wrapping of keys for transport (RFC 3394).
//!
//! ```text
//! 1.0.x (OptNeg 0)   aes(NwkKey or AppKey, type | JoinNonce(3) | NetID(3)   | DevNonce(2) | 0...)      type 1 NwkSKey, 2 AppSKey
//! 1.1   (OptNeg 1)   aes(NwkKey,           type | JoinNonce(3) | JoinEUI(8) | DevNonce(2) | 0...)      type 1 FNwkSIntKey, 3 SNwkSIntKey, 4 NwkSEncKey
//!                    aes(AppKey,           2    | JoinNonce(3) | JoinEUI(8) | DevNonce(2) | 0...)      AppSKey
//! join server        aes(NwkKey,           type | DevEUI(8) | 0...)                                    type 5 JSEncKey, 6 JSIntKey
//! ```
//!
//! All integers are least significant byte first. A key has no `Debug` and no `Serialize`; it is overwritten when it is dropped.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};
use zeroize::Zeroize;

/// An AES-128 key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 16]);

impl Key {
    /// Wraps the bytes as AES takes them.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for ciphers and for the answer to the network server alone.
    pub(super) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// One block through the cipher.
    pub(super) fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = block.into();
        Aes128::new(&self.0.into()).encrypt_block(&mut block);
        block.into()
    }

    /// Blocks through the inverse cipher: how a join-accept is encrypted, so that a device needs the forward cipher alone (TS001-1.0.4 §6.2.5).
    pub(super) fn decrypt_blocks(&self, bytes: &mut [u8]) {
        let cipher = Aes128::new(&self.0.into());
        for chunk in bytes.chunks_exact_mut(16) {
            if let Ok(block) = <&mut aes::Block>::try_from(chunk) {
                cipher.decrypt_block(block);
            }
        }
    }

    /// The first four bytes of AES-CMAC over the parts, one after the other.
    pub(super) fn mic(&self, parts: &[&[u8]]) -> [u8; 4] {
        let mut mac = <Cmac<Aes128> as KeyInit>::new(&self.0.into());
        parts.iter().for_each(|part| mac.update(part));
        let [a, b, c, d, ..] = <[u8; 16]>::from(mac.finalize().into_bytes());
        [a, b, c, d]
    }

    /// A key that is this one over a block of these parts, filled up with zeros.
    pub(super) fn derive(&self, parts: &[&[u8]]) -> Key {
        let mut block = [0; 16];
        block.iter_mut().zip(parts.iter().copied().flatten()).for_each(|(place, byte)| *place = *byte);
        Key(self.encrypt(block))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The root keys of one generation.
#[derive(Clone)]
pub struct RootKeys {
    /// NwkKey in 1.1; the AppKey of a 1.0.x device, which 1.1 calls so too (LoRaWAN 1.1 §6.1.1.3).
    pub nwk_key: Key,
    /// AppKey of a 1.1 device; GenAppKey of a 1.0.x device that is in multicast groups (TS005-2.0.0 §4.1).
    pub app_key: Option<Key>,
}

impl RootKeys {
    /// From a secret's bytes: 16 are the AppKey of a 1.0.x device; 32 are NwkKey and AppKey of a 1.1 device, or AppKey and GenAppKey of a 1.0.x device.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (nwk_key, rest) = bytes.split_first_chunk::<16>()?;
        let app_key = match rest.len() {
            0 => None,
            16 => Some(Key::new(rest.try_into().ok()?)),
            _ => return None,
        };
        Some(Self { nwk_key: Key::new(*nwk_key), app_key })
    }

    /// The bytes that [`RootKeys::from_bytes`] reads.
    pub(super) fn to_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(32));
        bytes.extend_from_slice(self.nwk_key.bytes());
        bytes.extend(self.app_key.iter().flat_map(|key| *key.bytes()));
        bytes
    }
}

/// JSIntKey: makes the codes of rejoin-requests of type 1 and of a 1.1 join-accept.
pub fn js_int_key(nwk_key: &Key, dev_eui: u64) -> Key {
    nwk_key.derive(&[&[0x06], &dev_eui.to_le_bytes()])
}

/// JSEncKey: encrypts a join-accept that answers a rejoin-request.
pub fn js_enc_key(nwk_key: &Key, dev_eui: u64) -> Key {
    nwk_key.derive(&[&[0x05], &dev_eui.to_le_bytes()])
}

/// What session keys depend on beside the root keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionInput {
    /// OptNeg: the session is one of 1.1.
    pub opt_neg: bool,
    /// JoinNonce: 24 bits.
    pub join_nonce: u32,
    /// NetID of the network that is joined: 24 bits.
    pub net_id: u32,
    /// JoinEUI.
    pub join_eui: u64,
    /// DevNonce of a join-request, RJcount of a rejoin-request.
    pub nonce: u16,
}

impl SessionInput {
    fn derive(&self, root: &Key, which: u8) -> Key {
        let [j0, j1, j2, _] = self.join_nonce.to_le_bytes();
        let [n0, n1, n2, _] = self.net_id.to_le_bytes();
        let nonce = self.nonce.to_le_bytes();
        if self.opt_neg {
            root.derive(&[&[which, j0, j1, j2], &self.join_eui.to_le_bytes(), &nonce])
        } else {
            root.derive(&[&[which, j0, j1, j2, n0, n1, n2], &nonce])
        }
    }

    /// AppSKey; `None` for a 1.1 session of a device whose AppKey is not held.
    pub fn app_s_key(&self, root: &RootKeys) -> Option<Key> {
        let key = if self.opt_neg { root.app_key.as_ref()? } else { &root.nwk_key };
        Some(self.derive(key, 0x02))
    }

    /// The keys of the network.
    pub fn network_keys(&self, root: &RootKeys) -> NetworkKeys {
        if !self.opt_neg {
            return NetworkKeys::V1_0 { nwk_s_key: self.derive(&root.nwk_key, 0x01) };
        }
        NetworkKeys::V1_1 {
            f_nwk_s_int_key: self.derive(&root.nwk_key, 0x01),
            s_nwk_s_int_key: self.derive(&root.nwk_key, 0x03),
            nwk_s_enc_key: self.derive(&root.nwk_key, 0x04),
        }
    }

    /// SNwkSIntKey, with which a device makes the codes of rejoin-requests of types 0 and 2 (LoRaWAN 1.1 §6.2.4.1).
    pub(super) fn s_nwk_s_int_key(&self, root: &RootKeys) -> Key {
        self.derive(&root.nwk_key, 0x03)
    }
}

/// The keys that the network server gets.
#[derive(Clone)]
pub enum NetworkKeys {
    /// LoRaWAN 1.0.x.
    V1_0 {
        /// NwkSKey.
        nwk_s_key: Key,
    },
    /// LoRaWAN 1.1.
    V1_1 {
        /// FNwkSIntKey.
        f_nwk_s_int_key: Key,
        /// SNwkSIntKey.
        s_nwk_s_int_key: Key,
        /// NwkSEncKey.
        nwk_s_enc_key: Key,
    },
}

/// Length of a wrapped AES-128 key.
pub const WRAPPED: usize = 24;

/// Wraps a key for transport, RFC 3394 §2.2.1 with the initial value of §2.2.3.1.
pub fn wrap(kek: &Key, key: &Key) -> [u8; WRAPPED] {
    let mut integrity = [0xa6; 8];
    let mut halves = [[0; 8]; 2];
    key.bytes().chunks_exact(8).zip(&mut halves).for_each(|(from, to)| to.copy_from_slice(from));
    for round in 0..6_u64 {
        for (half, place) in halves.iter_mut().zip(1_u64..) {
            let mut block = [0; 16];
            block.iter_mut().zip(integrity.iter().chain(half.iter())).for_each(|(to, from)| *to = *from);
            let done = u128::from_be_bytes(kek.encrypt(block));
            integrity = (((done >> 64) as u64) ^ (2 * round + place)).to_be_bytes();
            *half = (done as u64).to_be_bytes();
        }
    }
    let mut wrapped = [0; WRAPPED];
    wrapped.iter_mut().zip(integrity.iter().chain(halves.iter().flatten())).for_each(|(to, from)| *to = *from);
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(std::array::from_fn(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()))
    }

    fn bytes(key: &Key) -> Vec<u8> {
        key.bytes().to_vec()
    }

    #[test]
    fn rfc_3394_section_4_1() {
        let wrapped = wrap(&key("000102030405060708090a0b0c0d0e0f"), &key("00112233445566778899aabbccddeeff"));
        let expected = [
            0x1f, 0xa6, 0x8b, 0x0a, 0x81, 0x12, 0xb4, 0x47, 0xae, 0xf3, 0x4b, 0xd8, 0xfb, 0x5a, 0x7b, 0x82, 0x9d, 0x3e, 0x86,
            0x23, 0x71, 0xd2, 0xcf, 0xe5,
        ];
        assert_eq!(wrapped, expected);
    }

    #[test]
    fn rfc_4493_section_4() {
        let root = key("2b7e151628aed2a6abf7158809cf4f3c");
        assert_eq!(root.mic(&[]), [0xbb, 0x1d, 0x69, 0x29]);
        assert_eq!(root.mic(&[&bytes(&key("6bc1bee22e409f96e93d7e117393172a"))]), [0x07, 0x0a, 0x16, 0xb4]);
        assert_eq!(root.mic(&[&[0x6b, 0xc1], &[0xbe, 0xe2, 0x2e]]), root.mic(&[&[0x6b, 0xc1, 0xbe, 0xe2, 0x2e]]));
    }

    /// Figures of the Join Server tests of github.com/brocaar/lorawan (backend/joinserver/joinserver_test.go): another implementation of the clauses.
    #[test]
    fn session_keys_as_another_implementation_derives_them() {
        let root = RootKeys { nwk_key: key("01020304050607080102030405060708"), app_key: Some(Key::new([0; 16])) };
        let mut input =
            SessionInput { opt_neg: false, join_nonce: 65536, net_id: 0x010203, join_eui: 0x0807060504030201, nonce: 258 };
        let NetworkKeys::V1_0 { nwk_s_key } = input.network_keys(&root) else { panic!("1.1") };
        assert_eq!(bytes(&nwk_s_key), [223, 83, 195, 95, 48, 52, 204, 206, 208, 255, 53, 76, 112, 222, 4, 223]);
        let app_s_key = input.app_s_key(&root).unwrap();
        assert_eq!(bytes(&app_s_key), [146, 123, 156, 145, 17, 131, 207, 254, 76, 178, 255, 75, 117, 84, 95, 109]);

        input.opt_neg = true;
        let NetworkKeys::V1_1 { f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key } = input.network_keys(&root) else {
            panic!("1.0")
        };
        assert_eq!(bytes(&f_nwk_s_int_key), [83, 127, 138, 174, 137, 108, 121, 224, 21, 209, 2, 208, 98, 134, 53, 78]);
        assert_eq!(bytes(&s_nwk_s_int_key), [88, 148, 152, 153, 48, 146, 207, 219, 95, 210, 224, 42, 199, 81, 11, 241]);
        assert_eq!(bytes(&nwk_s_enc_key), [152, 152, 40, 60, 79, 102, 235, 108, 111, 213, 22, 88, 130, 4, 108, 64]);
        assert_eq!(s_nwk_s_int_key.bytes(), input.s_nwk_s_int_key(&root).bytes());
        let app_s_key = input.app_s_key(&root).unwrap();
        assert_eq!(bytes(&app_s_key), [1, 98, 18, 21, 209, 202, 8, 254, 191, 12, 96, 44, 194, 173, 144, 250]);

        let kek = Key::new([0; 16]);
        let wrapped =
            [87, 85, 230, 195, 36, 30, 231, 230, 100, 111, 15, 254, 135, 120, 122, 0, 44, 249, 228, 176, 131, 73, 143, 0];
        assert_eq!(wrap(&kek, &f_nwk_s_int_key), wrapped);

        // Its rejoin cases leave OptNeg out, so they are further figures of the layout of 1.0.x; rejoins of 1.1 are in tests/lora_packet.json.
        let other = SessionInput { nonce: 123, opt_neg: false, ..input };
        let NetworkKeys::V1_0 { nwk_s_key } = other.network_keys(&root) else { panic!("1.1") };
        assert_eq!(bytes(&nwk_s_key), [15, 235, 84, 189, 47, 133, 75, 254, 195, 103, 254, 91, 27, 132, 16, 55]);
        let app_s_key = other.app_s_key(&root).unwrap();
        assert_eq!(bytes(&app_s_key), [11, 25, 22, 151, 83, 252, 60, 31, 222, 161, 118, 106, 12, 34, 117, 225]);
    }

    #[test]
    fn root_keys_have_one_length_or_two() {
        for length in 0..64 {
            let read = RootKeys::from_bytes(&vec![7; length]);
            assert_eq!(read.is_some(), length == 16 || length == 32, "{length}");
            if let Some(read) = read {
                assert_eq!(read.to_bytes().len(), length);
            }
        }
    }
}
