//! The header, most significant byte first.
//!
//! ```text
//! 0   version            4   frequency, Hz(4)      10  packet RSSI       14  sync word
//! 1   padding            8   bandwidth, 125 kHz    11  max RSSI
//! 2   header length(2)   9   spreading factor      12  current RSSI      13  SNR, 1/4 dB, signed
//! version 1:
//! 15  gateway(8)   23 tmst, µs(4)   27 flags   28 code rate   29 FSK data rate, bit/s(2)   31 IF channel   32 RF chain   33 tag(2)
//! flags: FSK(0) IQ inverted(1) implicit header(2) CRC ok(3) CRC bad(4) no CRC(5)
//! ```

use crate::reader::Reader;

/// Radio sync word of public LoRaWAN networks.
pub(super) const SYNC_WORD_LORAWAN: u8 = 0x34;

/// Radio sync word of private networks, which LoRaWAN can use too.
pub(super) const SYNC_WORD_PRIVATE: u8 = 0x12;

#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) version: u8,
    pub(super) frequency_hz: u32,
    pub(super) bandwidth_hz: u32,
    pub(super) spreading_factor: u8,
    pub(super) packet_rssi_dbm: Option<f32>,
    pub(super) max_rssi_dbm: Option<f32>,
    pub(super) current_rssi_dbm: Option<f32>,
    pub(super) snr_db: f32,
    pub(super) sync_word: u8,
    /// In version 1.
    pub(super) extension: Option<Extension>,
}

#[derive(Clone, Copy)]
pub(super) struct Extension {
    pub(super) gateway: u64,
    pub(super) tmst_us: u32,
    pub(super) flags: u8,
    pub(super) code_rate: u8,
    pub(super) fsk_data_rate: u16,
    pub(super) if_channel: u8,
    pub(super) rf_chain: u8,
    pub(super) tag: u16,
}

impl Extension {
    pub(super) fn is_fsk(self) -> bool {
        self.flags & 0x01 != 0
    }
    pub(super) fn iq_inverted(self) -> bool {
        self.flags & 0x02 != 0
    }
    pub(super) fn implicit_header(self) -> bool {
        self.flags & 0x04 != 0
    }
    /// `ok`, `bad` or `none`.
    pub(super) fn crc(self) -> Option<&'static str> {
        match (self.flags >> 3) & 7 {
            0 => None,
            flags if flags & 2 != 0 => Some("bad"),
            flags if flags & 1 != 0 => Some("ok"),
            _ => Some("none"),
        }
    }
}

impl Header {
    /// The header and what follows it. Later versions append, so that what is known of them reads as version 1.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        let _padding = reader.u8()?;
        let (header, payload) = bytes.split_at_checked(usize::from(reader.u16()?))?;
        let mut reader = Reader::new(header);
        reader.skip(4)?;
        let frequency_hz = reader.u32()?;
        let bandwidth_hz = u32::from(reader.u8()?) * 125_000;
        let spreading_factor = reader.u8()?;
        let [packet, max, current] = reader.array()?;
        let snr_db = f32::from(reader.u8()? as i8) / 4.0;
        let sync_word = reader.u8()?;
        Some((
            Self {
                version,
                frequency_hz,
                bandwidth_hz,
                spreading_factor,
                packet_rssi_dbm: rssi(packet, if snr_db >= 0.0 { 1.0 } else { 0.25 }),
                max_rssi_dbm: rssi(max, 1.0),
                current_rssi_dbm: rssi(current, 1.0),
                snr_db,
                sync_word,
                extension: if version == 0 { None } else { extension(&mut reader) },
            },
            payload,
        ))
    }
}

fn extension(reader: &mut Reader<'_>) -> Option<Extension> {
    Some(Extension {
        gateway: reader.u64()?,
        tmst_us: reader.u32()?,
        flags: reader.u8()?,
        code_rate: reader.u8()?,
        fsk_data_rate: reader.u16()?,
        if_channel: reader.u8()?,
        rf_chain: reader.u8()?,
        tag: reader.u16()?,
    })
}

fn rssi(octet: u8, step: f32) -> Option<f32> {
    (octet != 255).then(|| -139.0 + f32::from(octet) * step)
}
