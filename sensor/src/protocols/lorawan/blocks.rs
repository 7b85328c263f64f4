//! The blocks that go into the cryptography of data frames: TS001-1.0.4 §4.3.3 and §4.4, LoRaWAN 1.1 §4.3.3 and §4.4.
//! Only their bytes: this crate holds no cryptography. Whoever holds keys computes `CMAC(key, B0 | message)` and the key stream from [`a`].

use super::wire::{DataFrame, Link, PhyPayload};

/// Block B0 for the MIC of a data frame with the full counter `f_cnt`; `None` where the message is longer than the block can say.
///
/// `conf_f_cnt` is 0 in 1.0.x and for frames that acknowledge nothing; in 1.1 it is the low half of the acknowledged frame's counter
/// (downlinks alone; uplinks have it in B1).
pub fn b0(data: &DataFrame<'_>, phy_payload: &PhyPayload<'_>, conf_f_cnt: u16, f_cnt: u32) -> Option<[u8; 16]> {
    let length = u8::try_from(phy_payload.mic_message()?.len()).ok()?;
    let [c0, c1] = conf_f_cnt.to_le_bytes();
    Some(block(0x49, [c0, c1, 0, 0], data, f_cnt, length))
}

/// Block B1 for the MIC of a 1.1 uplink: data rate and channel index of the transmission stand where B0 has zeros.
pub fn b1(
    data: &DataFrame<'_>,
    phy_payload: &PhyPayload<'_>,
    conf_f_cnt: u16,
    tx_data_rate: u8,
    tx_channel: u8,
    f_cnt: u32,
) -> Option<[u8; 16]> {
    let length = u8::try_from(phy_payload.mic_message()?.len()).ok()?;
    let [c0, c1] = conf_f_cnt.to_le_bytes();
    (data.link == Link::Up).then(|| block(0x49, [c0, c1, tx_data_rate, tx_channel], data, f_cnt, length))
}

/// Block A(i) of the key stream over FRMPayload; `i` counts from 1.
pub fn a(data: &DataFrame<'_>, f_cnt: u32, i: u8) -> [u8; 16] {
    block(0x01, [0; 4], data, f_cnt, i)
}

fn block(first: u8, four: [u8; 4], data: &DataFrame<'_>, f_cnt: u32, last: u8) -> [u8; 16] {
    let [w0, w1, w2, w3] = four;
    let [d0, d1, d2, d3] = data.dev_addr.0.to_le_bytes();
    let [f0, f1, f2, f3] = f_cnt.to_le_bytes();
    [first, w0, w1, w2, w3, data.link.dir(), d0, d1, d2, d3, f0, f1, f2, f3, 0, last]
}
