//! The records.

use crate::observation::Eui;
use crate::record;
use std::borrow::Cow;

record! {
    /// A gateway asks which server it is to use (`router-info`).
    pub struct DiscoveryRequest = "station.discovery_request" {
        /// EUI of the gateway.
        pub gateway: Option<Eui>,
    }
}

record! {
    /// The answer to a discovery.
    pub struct DiscoveryResponse<'a> = "station.discovery_response" {
        /// EUI of the gateway.
        pub gateway: Option<Eui>,
        /// Identifier of the server.
        pub muxs: Option<Cow<'a, str>>,
        /// Where to connect, without a query.
        pub uri: Option<Cow<'a, str>>,
        /// Why the gateway is refused.
        pub error: Option<Cow<'a, str>>,
    }
}

record! {
    /// What a station says about itself when it connects.
    pub struct Version<'a> = "station.version" {
        /// EUI of the gateway, from the path.
        pub gateway: Option<Eui>,
        /// Version of the station software.
        pub station: Option<Cow<'a, str>>,
        /// Firmware version.
        pub firmware: Option<Cow<'a, str>>,
        /// Version of the installed package.
        pub package: Option<Cow<'a, str>>,
        /// Hardware model.
        pub model: Option<Cow<'a, str>>,
        /// Version of the protocol.
        pub protocol: Option<u32>,
        /// Features, blank separated: `rmtsh` is a remote shell.
        pub features: Option<Cow<'a, str>>,
    }
}

record! {
    /// The server configures a gateway.
    pub struct RouterConfig<'a> = "station.router_config" {
        /// EUI of the gateway, from the path.
        pub gateway: Option<Eui>,
        /// Region, as in `EU863`.
        pub region: Option<Cow<'a, str>>,
        /// Concentrator hardware, as in `sx1301/1`.
        pub hwspec: Option<Cow<'a, str>>,
        /// NetIDs whose frames are passed on; empty: all.
        pub net_ids: &'a [u32],
        /// Ranges of JoinEUIs whose join-requests are passed on; 0: all.
        pub join_eui_ranges: u32,
        /// Lowest and highest frequency for transmissions in Hz.
        pub frequency_range_hz: &'a [u32],
        /// Uplink channels in Hz.
        pub channels_hz: &'a [u32],
        /// Largest radiated power in dBm.
        pub max_eirp_dbm: Option<f32>,
        /// Clear channel assessment is off.
        pub no_cca: Option<bool>,
        /// Duty cycle limits are off.
        pub no_duty_cycle: Option<bool>,
        /// Dwell time limits are off.
        pub no_dwell_time: Option<bool>,
    }
}

record! {
    /// A radio frame that a station received (`jreq`, `updf`, `rejoin`, `jacc`, `dndf`, `propdf`).
    pub struct Uplink<'a> = "station.uplink" {
        /// Type of the message.
        pub msgtype: &'a str,
        /// EUI of the gateway, from the path.
        pub gateway: Option<Eui>,
        /// Centre frequency in Hz.
        pub frequency_hz: Option<u32>,
        /// Data rate index in the region.
        pub dr: Option<u8>,
        /// Its name, where the router configuration was seen.
        pub data_rate: Option<&'static str>,
        /// Received signal strength in dBm.
        pub rssi_dbm: Option<f32>,
        /// Signal to noise ratio in dB.
        pub snr_db: Option<f32>,
        /// Antenna, for the downlink.
        pub rctx: Option<i64>,
        /// The station's clock in microseconds with its session in the upper bits.
        pub xtime: Option<i64>,
        /// The low 32 bits of `xtime`.
        pub tmst_us: Option<u32>,
        /// GPS time in microseconds.
        pub gps_time_us: Option<i64>,
        /// Fine time stamp in nanoseconds; -1 none.
        pub fine_time_ns: Option<i64>,
        /// UTC time of reception in seconds.
        pub rx_time_s: Option<f64>,
        /// Length of the frame in bytes, where it could be put together.
        pub payload_length: Option<u16>,
    }
}

record! {
    /// The server wants a radio frame sent (`dnmsg`, an entry of `dnsched`, `dnframe`).
    pub struct Downlink<'a> = "station.downlink" {
        /// Type of the message.
        pub msgtype: &'a str,
        /// EUI of the gateway, from the path.
        pub gateway: Option<Eui>,
        /// DevEUI of the device; absent in schedules.
        pub dev_eui: Option<Eui>,
        /// Device class: 0 A, 1 B, 2 C.
        pub device_class: Option<u8>,
        /// The server's number for the downlink.
        pub diid: Option<i64>,
        /// Seconds from the uplink to RX1.
        pub rx_delay_s: Option<u8>,
        /// Data rate index of RX1, or of the only transmission.
        pub dr: Option<u8>,
        /// Its name, where the router configuration was seen.
        pub data_rate: Option<&'static str>,
        /// Frequency of RX1, or of the only transmission, in Hz.
        pub frequency_hz: Option<u32>,
        /// Data rate index of RX2.
        pub rx2_dr: Option<u8>,
        /// Frequency of RX2 in Hz.
        pub rx2_frequency_hz: Option<u32>,
        /// Priority, 0 to 255.
        pub priority: Option<u8>,
        /// The station's clock at the uplink, microseconds with the session in the upper bits.
        pub xtime: Option<i64>,
        /// The low 32 bits of `xtime`.
        pub tmst_us: Option<u32>,
        /// GPS time at which to send, microseconds.
        pub gps_time_us: Option<i64>,
        /// Antenna.
        pub rctx: Option<i64>,
        /// Length of the frame in bytes.
        pub payload_length: Option<u16>,
    }
}

record! {
    /// A station sent a frame (`dntxed`).
    pub struct Transmitted = "station.transmitted" {
        /// EUI of the gateway, from the path.
        pub gateway: Option<Eui>,
        /// DevEUI of the device.
        pub dev_eui: Option<Eui>,
        /// The server's number for the downlink.
        pub diid: Option<i64>,
        /// Data rate index.
        pub dr: Option<u8>,
        /// Frequency in Hz.
        pub frequency_hz: Option<u32>,
        /// Antenna.
        pub rctx: Option<i64>,
        /// The station's clock in microseconds with its session in the upper bits.
        pub xtime: Option<i64>,
        /// UTC time in seconds.
        pub tx_time_s: Option<f64>,
        /// GPS time in microseconds.
        pub gps_time_us: Option<i64>,
    }
}

record! {
    /// Clocks are compared (`timesync`).
    pub struct TimeSync = "station.timesync" {
        /// EUI of the gateway, from the path.
        pub gateway: Option<Eui>,
        /// When the station asked, microseconds on its clock.
        pub tx_time_us: Option<i64>,
        /// GPS time in microseconds.
        pub gps_time_us: Option<i64>,
        /// The station's clock in microseconds with its session in the upper bits.
        pub xtime: Option<i64>,
    }
}

record! {
    /// The server runs something on a gateway (`runcmd`) or opens a shell there (`rmtsh`).
    pub struct RemoteCommand<'a> = "station.remote_command" {
        /// Type of the message.
        pub msgtype: &'a str,
        /// EUI of the gateway, from the path.
        pub gateway: Option<Eui>,
        /// The command, without its arguments.
        pub command: Option<Cow<'a, str>>,
        /// How many arguments it has.
        pub arguments: u32,
        /// Who uses the shell.
        pub user: Option<Cow<'a, str>>,
        /// Session of the shell that begins.
        pub start: Option<u32>,
        /// Session of the shell that ends.
        pub stop: Option<u32>,
    }
}

record! {
    /// Another message.
    pub struct Other<'a> = "station.other" {
        /// Type of the message.
        pub msgtype: Cow<'a, str>,
        /// EUI of the gateway, from the path.
        pub gateway: Option<Eui>,
    }
}
