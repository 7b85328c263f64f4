//! The record.

use crate::observation::Eui;
use crate::record;

record! {
    /// A frame of a LoRaTap capture.
    pub struct Packet = "loratap.packet" {
        /// Version of the header, 0 or 1.
        pub version: u8,
        /// Centre frequency in Hz.
        pub frequency_hz: u32,
        /// Bandwidth in Hz, a multiple of 125,000.
        pub bandwidth_hz: u32,
        /// Spreading factor, 5 to 12.
        pub spreading_factor: u8,
        /// The two as packet forwarders write them, as in `SF7BW125`.
        pub data_rate: Option<&'static str>,
        /// Strength of the packet in dBm; where that is not available, the receiver's current strength.
        pub rssi_dbm: Option<f32>,
        /// The receiver's largest strength in dBm.
        pub max_rssi_dbm: Option<f32>,
        /// The receiver's current strength in dBm.
        pub current_rssi_dbm: Option<f32>,
        /// Signal to noise ratio in dB.
        pub snr_db: f32,
        /// Sync word: 52 (0x34) LoRaWAN, 18 (0x12) private.
        pub sync_word: u8,
        /// EUI of the gateway that wrote the capture (version 1).
        pub gateway: Option<Eui>,
        /// The gateway's clock in microseconds (version 1).
        pub tmst_us: Option<u32>,
        /// `LORA` or `FSK` (version 1).
        pub modulation: Option<&'static str>,
        /// Polarization is inverted: a downlink (version 1).
        pub iq_inverted: Option<bool>,
        /// The packet has no radio header: a class B beacon (version 1).
        pub implicit_header: Option<bool>,
        /// Checksum: `ok`, `bad` or `none` (version 1).
        pub crc: Option<&'static str>,
        /// Denominator of the code rate, 5 to 8; 0 none (version 1).
        pub code_rate: Option<u8>,
        /// FSK data rate in bits a second (version 1).
        pub fsk_data_rate: Option<u16>,
        /// Intermediate frequency channel (version 1).
        pub if_channel: Option<u8>,
        /// Radio chain (version 1).
        pub rf_chain: Option<u8>,
        /// Tag that the capturing program gave (version 1).
        pub tag: Option<u16>,
        /// Length of the payload in bytes.
        pub payload_length: u16,
    }
}
