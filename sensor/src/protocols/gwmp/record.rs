//! The records. Field docs name the JSON key that each is read from.

use crate::observation::Eui;
use crate::{part, record};
use std::borrow::Cow;

part! {
    /// One antenna's view of a packet (`rsig`, version 2 gateways).
    pub struct RadioSignal<'a> {
        /// Antenna (`ant`).
        pub ant: Option<u8>,
        /// Channel (`chan`).
        pub chan: Option<u8>,
        /// RSSI of the channel in dBm (`rssic`).
        pub rssi_channel_dbm: Option<f32>,
        /// RSSI of the signal in dBm (`rssis`).
        pub rssi_signal_dbm: Option<f32>,
        /// Standard deviation of the signal's RSSI (`rssisd`).
        pub rssi_deviation: Option<f32>,
        /// Signal to noise ratio in dB (`lsnr`).
        pub snr_db: Option<f32>,
        /// Frequency offset in Hz (`foff`).
        pub frequency_offset_hz: Option<i32>,
        /// Fine time stamp in nanoseconds within the second (`ftime`).
        pub fine_time_ns: Option<u32>,
        /// Whether there is an encrypted fine time stamp (`etime`).
        pub encrypted_time: bool,
        /// State of the fine time stamp (`ftstat`).
        pub fine_time_status: Option<&'a str>,
    }
}

record! {
    /// A radio packet that a gateway received (`rxpk` of PUSH_DATA).
    pub struct RxPacket<'a> = "gwmp.rx_packet" {
        /// Protocol version, 1 or 2.
        pub version: u8,
        /// Token of the datagram.
        pub token: u16,
        /// EUI of the gateway.
        pub gateway: Eui,
        /// Version of the JSON format (`jver`).
        pub jver: Option<u8>,
        /// The gateway's clock at reception, microseconds, wrapping at 2^32 (`tmst`).
        pub tmst_us: Option<u32>,
        /// UTC time of reception as written, micro- or nanoseconds (`time`, or that beside `rxpk`).
        pub time: Option<Cow<'a, str>>,
        /// GPS time of reception in milliseconds (`tmms`).
        pub gps_time_ms: Option<u64>,
        /// Fine time stamp, nanoseconds since the last pulse of the second (`ftime`).
        pub fine_time_ns: Option<u32>,
        /// Centre frequency in Hz (`freq`, in MHz on the wire).
        pub frequency_hz: Option<u32>,
        /// Intermediate frequency channel (`chan`).
        pub chan: Option<u8>,
        /// Radio chain (`rfch`).
        pub rfch: Option<u8>,
        /// Modem (`mid`, sx1302).
        pub mid: Option<u8>,
        /// Board (`brd`).
        pub board: Option<u8>,
        /// Antenna (`ant`).
        pub antenna: Option<u8>,
        /// Checksum: 1 right, -1 wrong, 0 none (`stat`).
        pub stat: Option<i8>,
        /// `LORA`, `FSK` or `LR-FHSS` (`modu`).
        pub modulation: Option<Cow<'a, str>>,
        /// Data rate as in `SF7BW125`; bits a second for FSK (`datr`).
        pub data_rate: Option<Cow<'a, str>>,
        /// Code rate as in `4/5` (`codr`).
        pub code_rate: Option<Cow<'a, str>>,
        /// Received signal strength in dBm (`rssi`; where that is missing `rssic` of the first antenna).
        pub rssi_dbm: Option<f32>,
        /// Strength of the signal alone in dBm (`rssis`).
        pub rssi_signal_dbm: Option<f32>,
        /// Signal to noise ratio in dB (`lsnr`; where that is missing that of the first antenna).
        pub snr_db: Option<f32>,
        /// Frequency offset in Hz (`foff`).
        pub frequency_offset_hz: Option<i32>,
        /// LR-FHSS hopping grid steps (`hpw`).
        pub hopping_width: Option<u8>,
        /// Index of the key that encrypted the fine time stamp (`aesk`).
        pub aes_key_index: Option<u8>,
        /// Length that the gateway tells, bytes (`size`).
        pub size: Option<u16>,
        /// Length of the payload in bytes (`data`, base64 on the wire).
        pub payload_length: Option<u16>,
        /// Views of several antennas (`rsig`).
        pub signals: &'a [RadioSignal<'a>],
    }
}

record! {
    /// A gateway's status report (`stat` of PUSH_DATA).
    pub struct Stat<'a> = "gwmp.stat" {
        /// Protocol version, 1 or 2.
        pub version: u8,
        /// Token of the datagram.
        pub token: u16,
        /// EUI of the gateway.
        pub gateway: Eui,
        /// The gateway's system time as written (`time`).
        pub time: Option<Cow<'a, str>>,
        /// Time of its start as written (`boot`).
        pub boot: Option<Cow<'a, str>>,
        /// Latitude in degrees, north positive (`lati`).
        pub latitude: Option<f64>,
        /// Longitude in degrees, east positive (`long`).
        pub longitude: Option<f64>,
        /// Altitude in metres (`alti`).
        pub altitude_m: Option<i32>,
        /// Radio packets received (`rxnb`).
        pub rx_received: Option<u32>,
        /// Radio packets received with a right checksum (`rxok`).
        pub rx_ok: Option<u32>,
        /// Radio packets passed on (`rxfw`).
        pub rx_forwarded: Option<u32>,
        /// Percentage of datagrams that were acknowledged (`ackr`).
        pub acknowledged_percent: Option<f32>,
        /// Datagrams from the server (`dwnb`).
        pub downlinks_received: Option<u32>,
        /// Packets sent over the air (`txnb`).
        pub tx_emitted: Option<u32>,
        /// Temperature in degrees Celsius (`temp`).
        pub temperature_c: Option<f32>,
        /// CPU load in percent (`cpur`).
        pub cpu_percent: Option<f32>,
        /// Memory in use in percent (`memr`).
        pub memory_percent: Option<f32>,
        /// Pulses of the second that were lost (`lpps`).
        pub lost_pps: Option<u32>,
        /// Platform (`pfrm`).
        pub platform: Option<Cow<'a, str>>,
        /// Free text of the owner (`desc`).
        pub description: Option<Cow<'a, str>>,
        /// FPGA version (`fpga`).
        pub fpga: Option<Cow<'a, str>>,
        /// DSP software version (`dsp`).
        pub dsp: Option<Cow<'a, str>>,
        /// Concentrator library version (`hal`).
        pub hal: Option<Cow<'a, str>>,
        /// Whether a mail address is among the fields (`mail`); it is not kept.
        pub has_mail: bool,
    }
}

record! {
    /// PUSH_DATA with neither radio packets nor a status report that could be read.
    pub struct PushData = "gwmp.push_data" {
        /// Protocol version, 1 or 2.
        pub version: u8,
        /// Token of the datagram.
        pub token: u16,
        /// EUI of the gateway.
        pub gateway: Eui,
        /// Length of the JSON in bytes.
        pub length: u16,
    }
}

record! {
    /// The server has a PUSH_DATA.
    pub struct PushAck = "gwmp.push_ack" {
        /// Protocol version, 1 or 2.
        pub version: u8,
        /// Token of the PUSH_DATA.
        pub token: u16,
        /// EUI of the gateway, where its PUSH_DATA was seen.
        pub gateway: Option<Eui>,
        /// Microseconds since the PUSH_DATA, where it was seen.
        pub latency_us: Option<u64>,
    }
}

record! {
    /// A gateway keeps its path open for downlinks.
    pub struct PullData = "gwmp.pull_data" {
        /// Protocol version, 1 or 2.
        pub version: u8,
        /// Token of the datagram.
        pub token: u16,
        /// EUI of the gateway.
        pub gateway: Eui,
    }
}

record! {
    /// The server has a PULL_DATA.
    pub struct PullAck = "gwmp.pull_ack" {
        /// Protocol version, 1 or 2.
        pub version: u8,
        /// Token of the PULL_DATA.
        pub token: u16,
        /// EUI of the gateway, where its PULL_DATA was seen.
        pub gateway: Option<Eui>,
        /// Microseconds since the PULL_DATA, where it was seen.
        pub latency_us: Option<u64>,
    }
}

record! {
    /// The server wants a radio packet sent (`txpk` of PULL_RESP).
    pub struct PullResp<'a> = "gwmp.pull_resp" {
        /// Protocol version, 1 or 2.
        pub version: u8,
        /// Token of the datagram; TX_ACK repeats it (version 2).
        pub token: u16,
        /// EUI of the gateway that holds this path open, where that was seen.
        pub gateway: Option<Eui>,
        /// Send at once (`imme`).
        pub immediately: Option<bool>,
        /// The gateway's clock at which to send, microseconds (`tmst`).
        pub tmst_us: Option<u32>,
        /// UTC time at which to send as written (`time`).
        pub time: Option<Cow<'a, str>>,
        /// GPS time at which to send, milliseconds (`tmms`).
        pub gps_time_ms: Option<u64>,
        /// Centre frequency in Hz (`freq`, in MHz on the wire).
        pub frequency_hz: Option<u32>,
        /// Radio chain (`rfch`).
        pub rfch: Option<u8>,
        /// Power in dBm (`powe`).
        pub power_dbm: Option<i8>,
        /// `LORA` or `FSK` (`modu`).
        pub modulation: Option<Cow<'a, str>>,
        /// Data rate as in `SF7BW125`; bits a second for FSK (`datr`).
        pub data_rate: Option<Cow<'a, str>>,
        /// Code rate as in `4/5` (`codr`).
        pub code_rate: Option<Cow<'a, str>>,
        /// Frequency deviation of FSK in Hz (`fdev`).
        pub frequency_deviation_hz: Option<u32>,
        /// Polarization is inverted, as downlinks are (`ipol`).
        pub inverted_polarization: Option<bool>,
        /// Preamble length in symbols (`prea`).
        pub preamble: Option<u16>,
        /// No checksum (`ncrc`).
        pub no_crc: Option<bool>,
        /// No header (`nhdr`).
        pub no_header: Option<bool>,
        /// Board (`brd`).
        pub board: Option<u8>,
        /// Antenna (`ant`).
        pub antenna: Option<u8>,
        /// Length that the server tells, bytes (`size`).
        pub size: Option<u16>,
        /// Length of the payload in bytes (`data`, base64 on the wire).
        pub payload_length: Option<u16>,
    }
}

record! {
    /// A gateway says what became of a PULL_RESP (version 2).
    pub struct TxAck<'a> = "gwmp.tx_ack" {
        /// Protocol version: 2.
        pub version: u8,
        /// Token of the PULL_RESP.
        pub token: u16,
        /// EUI of the gateway.
        pub gateway: Eui,
        /// Error: `NONE`, `TOO_LATE`, `TOO_EARLY`, `COLLISION_PACKET`, `COLLISION_BEACON`, `TX_FREQ`, `TX_POWER`, `GPS_UNLOCKED` (`error`).
        pub error: Option<Cow<'a, str>>,
        /// Warning (`warn`).
        pub warning: Option<Cow<'a, str>>,
        /// Value that goes with a warning (`value`).
        pub value: Option<f64>,
        /// Microseconds since the PULL_RESP, where it was seen.
        pub latency_us: Option<u64>,
    }
}
