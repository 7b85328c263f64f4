//! Join-accept after decryption: TS001-1.0.4 §6.2.5, LoRaWAN 1.1 §6.2.3; CFList types from the Regional Parameters RP002 §2 and per region.
//!
//! ```text
//! JoinNonce(3) NetID(3) DevAddr(4) DLSettings(1) RxDelay(1) [CFList(16)] MIC(4)
//! DLSettings   OptNeg(7) RX1DROffset(6..4) RX2DataRate(3..0)
//! CFList 0     five frequencies of 3 bytes in units of 100 Hz, type 0
//! CFList 1     up to six channel masks of 2 bytes, reserved, type 1
//! ```

use super::address::NetId;
use super::commands::frequency;
use crate::observation::DevAddr;
use crate::reader::Reader;
use smallvec::SmallVec;

/// A decrypted join-accept, without its MHDR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAccept<'a> {
    /// JoinNonce (AppNonce before 1.0.4): 24 bits.
    pub join_nonce: u32,
    /// The network joined.
    pub net_id: NetId,
    /// The address given.
    pub dev_addr: DevAddr,
    /// OptNeg: the network speaks 1.1.
    pub opt_neg: bool,
    /// RX1DROffset.
    pub rx1_data_rate_offset: u8,
    /// RX2DataRate.
    pub rx2_data_rate: u8,
    /// RxDelay: seconds between an uplink and the first receive window, 1 to 15.
    pub rx_delay_s: u8,
    /// CFList.
    pub cf_list: Option<CfList<'a>>,
    /// MIC.
    pub mic: [u8; 4],
}

/// Channels given with a join-accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CfList<'a> {
    /// Type 0: frequencies in Hz; unused entries (0) are left out.
    Frequencies(SmallVec<[u32; 5]>),
    /// Type 1: channel masks of 16 channels each, lowest channels first.
    ChannelMasks(SmallVec<[u16; 7]>),
    /// Another type, with its 15 bytes.
    Other(u8, &'a [u8]),
}

impl<'a> JoinAccept<'a> {
    /// Reads the decrypted bytes after the MHDR: 16, or 32 with a CFList. Whether they are right only the MIC tells.
    pub fn parse_decrypted(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let join_nonce = reader.u24_le()?;
        let net_id = NetId(reader.u24_le()?);
        let dev_addr = DevAddr(reader.u32_le()?);
        let dl_settings = reader.u8()?;
        // RxDelay 0 means 1 second (§5.7 of 1.0.4, to which the field refers).
        let rx_delay_s = (reader.u8()? & 0x0f).max(1);
        let cf_list = match reader.remaining() {
            4 => None,
            20 => Some(cf_list(reader.take(15)?, reader.u8()?)?),
            _ => return None,
        };
        Some(Self {
            join_nonce,
            net_id,
            dev_addr,
            opt_neg: dl_settings & 0x80 != 0,
            rx1_data_rate_offset: (dl_settings >> 4) & 7,
            rx2_data_rate: dl_settings & 0x0f,
            rx_delay_s,
            cf_list,
            mic: reader.array()?,
        })
    }
}

fn cf_list(bytes: &[u8], kind: u8) -> Option<CfList<'_>> {
    let mut reader = Reader::new(bytes);
    Some(match kind {
        0 => {
            let mut frequencies = SmallVec::new();
            while !reader.is_empty() {
                frequencies.extend(Some(frequency(&mut reader)?).filter(|&hertz| hertz != 0));
            }
            CfList::Frequencies(frequencies)
        }
        1 => {
            let mut masks = SmallVec::new();
            while let Some(mask) = reader.u16_le() {
                masks.push(mask);
            }
            CfList::ChannelMasks(masks)
        }
        other => CfList::Other(other, bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_and_with_channels() {
        #[rustfmt::skip]
        let short = [
            0x03, 0x02, 0x01,       // JoinNonce
            0x13, 0x00, 0x00,       // NetID
            0x44, 0x33, 0x0b, 0x26, // DevAddr
            0x93, 0x00,             // OptNeg, RX1DROffset 1, RX2DataRate 3; RxDelay 0
            0xaa, 0xbb, 0xcc, 0xdd, // MIC
        ];
        let accept = JoinAccept::parse_decrypted(&short).unwrap();
        assert_eq!((accept.join_nonce, accept.net_id, accept.dev_addr), (0x010203, NetId(0x13), DevAddr(0x260b_3344)));
        assert_eq!((accept.opt_neg, accept.rx1_data_rate_offset, accept.rx2_data_rate, accept.rx_delay_s), (true, 1, 3, 1));
        assert_eq!((accept.cf_list, accept.mic), (None, [0xaa, 0xbb, 0xcc, 0xdd]));

        let mut long = short[..12].to_vec();
        long.extend([0x18, 0x4f, 0x84, 0xe8, 0x56, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // 867.1 and 867.3 MHz, type 0
        long.extend([1, 2, 3, 4]);
        let Some(CfList::Frequencies(list)) = JoinAccept::parse_decrypted(&long).unwrap().cf_list else {
            panic!("no frequencies")
        };
        assert_eq!(list.as_slice(), &[867_100_000, 867_300_000]);
        long[27] = 1;
        let Some(CfList::ChannelMasks(list)) = JoinAccept::parse_decrypted(&long).unwrap().cf_list else { panic!("no masks") };
        assert_eq!((list.len(), list[0]), (7, 0x4f18));
        long[27] = 9;
        assert!(matches!(JoinAccept::parse_decrypted(&long).unwrap().cf_list, Some(CfList::Other(9, _))));
        assert!(JoinAccept::parse_decrypted(&long[..20]).is_none());
    }
}
