//! What follows from a root key: the join-accept's content and the keys of the session that it opens. TS001-1.0.4 §6.1.4 and §6.2.5;
//! LoRaWAN 1.1 §6.1.1 (join server keys) and §6.2.3 (the same message and keys with a second root key and more session keys).
//!
//! The network encrypts a join-accept with AES's decryption, so reading it is an encryption, block by block.

use super::key::Key;
use super::mic::{self, Target};
use citytap_sensor::protocols::lorawan::join::JoinAccept;

/// What a join-accept answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// `JOIN` for a join-request; 0, 1 or 2 for a rejoin-request of that type.
    pub kind: u8,
    /// DevEUI.
    pub dev_eui: u64,
    /// JoinEUI: that of the request, or where a rejoin-request has none, the one that the device joined with.
    pub join_eui: u64,
    /// DevNonce, or RJcount.
    pub nonce: u16,
}

/// [`Request::kind`] of a join-request (LoRaWAN 1.1 §6.2.3, table of JoinReqType).
pub const JOIN: u8 = 0xff;

/// The keys of one session.
#[derive(Clone)]
pub struct SessionKeys {
    /// Whether the session is one of 1.1, with its own MIC rules and encrypted FOpts.
    pub v1_1: bool,
    /// NwkSKey in 1.0.x, FNwkSIntKey in 1.1.
    pub f_nwk_s_int: Key,
    /// NwkSKey in 1.0.x, SNwkSIntKey in 1.1.
    pub s_nwk_s_int: Key,
    /// NwkSKey in 1.0.x, NwkSEncKey in 1.1.
    pub nwk_s_enc: Key,
    /// AppSKey; in 1.1 only where the AppKey is known too.
    pub app_s: Option<Key>,
}

impl SessionKeys {
    /// Those of a 1.0.x session.
    pub fn v1_0(nwk_s: Key, app_s: Option<Key>) -> Self {
        Self { v1_1: false, f_nwk_s_int: nwk_s.clone(), s_nwk_s_int: nwk_s.clone(), nwk_s_enc: nwk_s, app_s }
    }
}

/// Longest PHYPayload of a join-accept: MHDR, one block and a CFList with the MIC.
pub const JOIN_ACCEPT_MAX: usize = 33;

/// A join-accept that was read: the bytes after the MHDR, decrypted.
#[derive(Clone)]
pub struct OpenedAccept {
    plain: Vec<u8>,
}

impl OpenedAccept {
    /// What it says.
    pub fn content(&self) -> Option<JoinAccept<'_>> {
        JoinAccept::parse_decrypted(&self.plain)
    }
}

/// Decrypts a join-accept with a root key (AppKey in 1.0.x, NwkKey in 1.1), if its MIC then fits the request.
pub fn open(root: &Key, request: &Request, phy_payload: &[u8]) -> Option<OpenedAccept> {
    let (mhdr, encrypted) = phy_payload.split_first()?;
    if !matches!(encrypted.len(), 16 | 32) {
        return None;
    }
    // Rejoins came with 1.1, and what answers them is encrypted with a key of its own.
    let cipher_key = if request.kind == JOIN { root.clone() } else { join_server_key(root, 0x05, request.dev_eui) };
    let plain: Vec<u8> = encrypted
        .chunks_exact(16)
        .filter_map(|block| block.try_into().ok())
        .flat_map(|block| mic::encrypt(&cipher_key, block))
        .collect();
    let (message, code) = plain.split_last_chunk::<4>()?;
    let opt_neg = plain.get(10)? & 0x80 != 0;
    let fits = if opt_neg || request.kind != JOIN {
        let [n0, n1] = request.nonce.to_le_bytes();
        let head = [&[request.kind][..], &request.join_eui.to_le_bytes(), &[n0, n1, *mhdr]].concat();
        Target::new(&[&head, message], *code).fits(&join_server_key(root, 0x06, request.dev_eui))
    } else {
        Target::new(&[&[*mhdr], message], *code).fits(root)
    };
    fits.then_some(OpenedAccept { plain })
}

/// JSEncKey (5) and JSIntKey (6) of a NwkKey (LoRaWAN 1.1 §6.1.1.3).
fn join_server_key(nwk_key: &Key, which: u8, dev_eui: u64) -> Key {
    let mut block = [0; 16];
    fill(&mut block, &[&[which], &dev_eui.to_le_bytes()]);
    Key::new(mic::encrypt(nwk_key, block))
}

/// The MIC of a rejoin-request of type 1 is made with the JSIntKey (LoRaWAN 1.1 §6.2.4.2).
pub fn rejoin_fits(nwk_key: &Key, dev_eui: u64, target: &Target) -> bool {
    target.fits(&join_server_key(nwk_key, 0x06, dev_eui))
}

/// The keys of the session that a join-accept opens. `app_key` is the second root key of 1.1, where it is known.
pub fn session_keys(root: &Key, app_key: Option<&Key>, request: &Request, accept: &JoinAccept<'_>) -> SessionKeys {
    let [j0, j1, j2, _] = accept.join_nonce.to_le_bytes();
    let [n0, n1, n2, _] = accept.net_id.0.to_le_bytes();
    let nonce = request.nonce.to_le_bytes();
    let derive = |key: &Key, which: u8| {
        let mut block = [0; 16];
        if accept.opt_neg {
            fill(&mut block, &[&[which, j0, j1, j2], &request.join_eui.to_le_bytes(), &nonce]);
        } else {
            fill(&mut block, &[&[which, j0, j1, j2, n0, n1, n2], &nonce]);
        }
        Key::new(mic::encrypt(key, block))
    };
    if !accept.opt_neg {
        return SessionKeys::v1_0(derive(root, 0x01), Some(derive(root, 0x02)));
    }
    SessionKeys {
        v1_1: true,
        f_nwk_s_int: derive(root, 0x01),
        s_nwk_s_int: derive(root, 0x03),
        nwk_s_enc: derive(root, 0x04),
        app_s: app_key.map(|key| derive(key, 0x02)),
    }
}

/// Writes parts one after the other; what is left stays zero.
fn fill(block: &mut [u8; 16], parts: &[&[u8]]) {
    block.iter_mut().zip(parts.iter().copied().flatten()).for_each(|(place, byte)| *place = *byte);
}
