//! Join-accepts: what the network server asks for, with a code and encrypted. TS001-1.0.4 §6.2.5; LoRaWAN 1.1 §6.2.3.
//!
//! ```text
//! PHYPayload   MHDR(1) = 0x20 | encrypted: JoinNonce(3) NetID(3) DevAddr(4) DLSettings(1) RxDelay(1) [CFList(16)] MIC(4)
//! MIC          1.0.x: cmac(NwkKey,   MHDR | message)
//!              1.1:   cmac(JSIntKey, JoinReqType(1) | JoinEUI(8) | DevNonce(2) | MHDR | message)
//! encryption   answer to a join: NwkKey; to a rejoin: JSEncKey; by the inverse cipher, block by block
//! ```

use super::keys::{Key, SessionInput, js_enc_key, js_int_key};

/// MHDR of a join-accept: frame type 1, major version 0.
const MHDR: u8 = 0x20;

/// JoinReqType of a join-request in the code of a join-accept (LoRaWAN 1.1 §6.2.3).
pub const JOIN: u8 = 0xff;

/// Length of a CFList with its type.
pub const CF_LIST: usize = 16;

/// What the network server decides of a join-accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address that it gives.
    pub dev_addr: u32,
    /// DLSettings as the octet: OptNeg, RX1DROffset, RX2DataRate.
    pub dl_settings: u8,
    /// RxDelay in seconds, 0 to 15.
    pub rx_delay: u8,
    /// CFList with its type, as the regional parameters lay it out; passed on unread.
    pub cf_list: Option<[u8; CF_LIST]>,
}

/// OptNeg in DLSettings: the network speaks 1.1.
pub const OPT_NEG: u8 = 0x80;

/// The PHYPayload: 17 bytes, or 33 with a CFList. `kind` is [`JOIN`] or the type of the rejoin-request that is answered.
pub fn phy_payload(nwk_key: &Key, dev_eui: u64, kind: u8, input: &SessionInput, settings: &Settings) -> Vec<u8> {
    let [j0, j1, j2, _] = input.join_nonce.to_le_bytes();
    let [n0, n1, n2, _] = input.net_id.to_le_bytes();
    let mut frame = vec![MHDR, j0, j1, j2, n0, n1, n2];
    frame.extend(settings.dev_addr.to_le_bytes());
    frame.extend([settings.dl_settings, settings.rx_delay]);
    frame.extend(settings.cf_list.iter().flatten());
    let mic = if input.opt_neg || kind != JOIN {
        let head = [&[kind][..], &input.join_eui.to_le_bytes(), &input.nonce.to_le_bytes()].concat();
        js_int_key(nwk_key, dev_eui).mic(&[&head, &frame])
    } else {
        nwk_key.mic(&[&frame])
    };
    frame.extend(mic);
    if let Some((_, message)) = frame.split_first_mut() {
        if kind == JOIN {
            nwk_key.decrypt_blocks(message);
        } else {
            js_enc_key(nwk_key, dev_eui).decrypt_blocks(message);
        }
    }
    frame
}
