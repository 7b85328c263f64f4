//! The records.

use crate::observation::{DevAddr, Eui, Untold};
use crate::{part, record};
use std::borrow::Cow;

record! {
    /// A radio packet that a gateway received.
    pub struct GatewayUplink<'a> = "chirpstack.gateway_uplink" {
        /// EUI of the gateway.
        pub gateway: Eui,
        /// Region in front of the topic, as in `eu868`.
        pub region: Option<&'a str>,
        /// `json` or `protobuf`.
        pub encoding: &'static str,
        /// Centre frequency in Hz.
        pub frequency_hz: Option<u32>,
        /// Data rate as in `SF7BW125`; bits a second for FSK.
        pub data_rate: Option<Cow<'static, str>>,
        /// Received signal strength in dBm.
        pub rssi_dbm: Option<f32>,
        /// Signal to noise ratio in dB.
        pub snr_db: Option<f32>,
        /// Channel.
        pub channel: Option<u32>,
        /// The gateway's clock in microseconds (the context, where it has four bytes).
        pub tmst_us: Option<u32>,
        /// Checksum: `ok`, `bad` or `none`.
        pub crc: Option<&'static str>,
        /// Length of the payload in bytes.
        pub payload_length: Option<u16>,
    }
}

record! {
    /// A transmission that the server offers a gateway; one downlink can have several, of which the gateway makes one.
    pub struct GatewayDownlink<'a> = "chirpstack.gateway_downlink" {
        /// EUI of the gateway.
        pub gateway: Eui,
        /// Region in front of the topic.
        pub region: Option<&'a str>,
        /// `json` or `protobuf`.
        pub encoding: &'static str,
        /// Number of the downlink.
        pub downlink_id: Option<u32>,
        /// Position among the transmissions offered, from 0.
        pub item: u32,
        /// Centre frequency in Hz.
        pub frequency_hz: Option<u32>,
        /// Data rate as in `SF7BW125`; bits a second for FSK.
        pub data_rate: Option<Cow<'static, str>>,
        /// Power in dBm.
        pub power_dbm: Option<i8>,
        /// `immediately`, `delay` or `gps_epoch`.
        pub timing: Option<&'static str>,
        /// The gateway's clock at the uplink, microseconds (the context, where it has four bytes).
        pub tmst_us: Option<u32>,
        /// Length of the payload in bytes.
        pub payload_length: Option<u16>,
        /// Microseconds from the uplink to the transmission (timing `delay`).
        pub delay_us: Option<u32>,
    }
}

record! {
    /// A gateway's status report.
    pub struct GatewayStats<'a> = "chirpstack.gateway_stats" {
        /// EUI of the gateway.
        pub gateway: Eui,
        /// Region in front of the topic.
        pub region: Option<&'a str>,
        /// `json` or `protobuf`.
        pub encoding: &'static str,
        /// Address that the gateway tells (version 3).
        pub ip: Option<Cow<'a, str>>,
        /// Latitude in degrees.
        pub latitude: Option<f64>,
        /// Longitude in degrees.
        pub longitude: Option<f64>,
        /// Altitude in metres.
        pub altitude_m: Option<f64>,
        /// Version of its configuration.
        pub config_version: Option<Cow<'a, str>>,
        /// Radio packets received.
        pub rx_received: Option<u32>,
        /// Radio packets received with a right checksum.
        pub rx_ok: Option<u32>,
        /// Downlinks received.
        pub tx_received: Option<u32>,
        /// Packets sent over the air.
        pub tx_emitted: Option<u32>,
        /// Model (metadata `model`).
        pub model: Option<Cow<'a, str>>,
        /// Version of the concentrator daemon (metadata `concentratord_version`).
        pub concentratord_version: Option<Cow<'a, str>>,
        /// Version of the concentrator library (metadata `hal_version`).
        pub hal_version: Option<Cow<'a, str>>,
    }
}

record! {
    /// What became of a downlink.
    pub struct GatewayAck<'a> = "chirpstack.gateway_ack" {
        /// EUI of the gateway.
        pub gateway: Eui,
        /// Region in front of the topic.
        pub region: Option<&'a str>,
        /// `json` or `protobuf`.
        pub encoding: &'static str,
        /// Number of the downlink.
        pub downlink_id: Option<u32>,
        /// State of the last transmission offered, as in `OK` or `TOO_LATE`.
        pub status: Option<Cow<'a, str>>,
    }
}

record! {
    /// Whether a gateway is connected (retained, or the last will).
    pub struct GatewayState<'a> = "chirpstack.gateway_state" {
        /// EUI of the gateway.
        pub gateway: Eui,
        /// Region in front of the topic.
        pub region: Option<&'a str>,
        /// `json` or `protobuf`.
        pub encoding: &'static str,
        /// Whether it is online.
        pub online: bool,
    }
}

record! {
    /// Another event or command of a gateway: `config`, `exec`, `raw`, `mesh`.
    pub struct GatewayMessage<'a> = "chirpstack.gateway_message" {
        /// EUI of the gateway.
        pub gateway: Eui,
        /// Region in front of the topic.
        pub region: Option<&'a str>,
        /// `json` or `protobuf`.
        pub encoding: &'static str,
        /// `event` or `command`.
        pub what: &'static str,
        /// Last part of the topic.
        pub name: &'a str,
        /// Name of the command to run (`exec`).
        pub command: Option<Cow<'a, str>>,
    }
}

part! {
    /// A tag that people gave a device.
    pub struct Tag<'a> {
        /// Key.
        pub key: Cow<'a, str>,
        /// Value.
        pub value: Cow<'a, str>,
    }
}

record! {
    /// Something that an application is told of a device.
    pub struct DeviceEvent<'a> = "chirpstack.device_event" {
        /// `up`, `join`, `ack`, `txack`, `log`, `status`, `location`, `integration`, `error`.
        pub event: &'a str,
        /// `json` or `protobuf`.
        pub encoding: &'static str,
        /// Identifier of the application: a number in version 3, a UUID in 4.
        pub application_id: &'a str,
        /// Name of the application.
        pub application_name: Option<Cow<'a, str>>,
        /// Name of the tenant (version 4).
        pub tenant_name: Option<Cow<'a, str>>,
        /// Name of the device profile (version 4).
        pub device_profile_name: Option<Cow<'a, str>>,
        /// Name of the device.
        pub device_name: Option<Cow<'a, str>>,
        /// DevEUI.
        pub dev_eui: Eui,
        /// DevAddr.
        pub dev_addr: Option<DevAddr>,
        /// Whole frame counter (`ack`, `txack`: of the downlink).
        pub f_cnt: Option<u32>,
        /// FPort.
        pub f_port: Option<u8>,
        /// The network controls the data rate.
        pub adr: Option<bool>,
        /// Data rate index.
        pub dr: Option<u32>,
        /// The device wanted an acknowledgement.
        pub confirmed: Option<bool>,
        /// Length of the decrypted payload in bytes.
        pub payload_length: Option<u32>,
        /// Whether the payload is decoded too.
        pub decoded: bool,
        /// How many gateways heard it.
        pub gateways: u32,
        /// The first of them.
        pub gateway: Option<Eui>,
        /// Strength at the first, dBm.
        pub rssi_dbm: Option<f32>,
        /// Signal to noise ratio at the first, dB.
        pub snr_db: Option<f32>,
        /// Frequency in Hz.
        pub frequency_hz: Option<u32>,
        /// A confirmed downlink was acknowledged (`ack`).
        pub acknowledged: Option<bool>,
        /// Margin in dB (`status`).
        pub margin_db: Option<i16>,
        /// External power (`status`).
        pub external_power: Option<bool>,
        /// Battery in percent (`status`).
        pub battery_percent: Option<f32>,
        /// Latitude in degrees (`location`).
        pub latitude: Option<f64>,
        /// Longitude in degrees (`location`).
        pub longitude: Option<f64>,
        /// Level of a log entry or type of an error (`log`, `error`).
        pub level: Option<Cow<'a, str>>,
        /// Code of a log entry, as in `UPLINK_MIC`.
        pub code: Option<Cow<'a, str>>,
        /// Text of a log entry or error.
        pub description: Option<Cow<'a, str>>,
        /// Tags.
        pub tags: &'a [Tag<'a>],
        /// A digest of the decrypted payload, which compares it with what gateways heard; it stands in no output.
        pub payload_digest: Untold,
    }
}

record! {
    /// An application sends a device something.
    pub struct DeviceCommand<'a> = "chirpstack.device_command" {
        /// Last part of the topic: `down`.
        pub command: &'a str,
        /// `json` or `protobuf`.
        pub encoding: &'static str,
        /// Identifier of the application.
        pub application_id: &'a str,
        /// DevEUI.
        pub dev_eui: Eui,
        /// FPort.
        pub f_port: Option<u8>,
        /// An acknowledgement is wanted.
        pub confirmed: Option<bool>,
        /// Length of the payload in bytes.
        pub payload_length: Option<u32>,
    }
}
