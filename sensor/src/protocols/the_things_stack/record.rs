//! The records.

use crate::observation::{DevAddr, Eui, Untold};
use crate::record;
use std::borrow::Cow;

record! {
    /// Something that an application is told of a device.
    pub struct DeviceEvent<'a> = "the_things_stack.device_event" {
        /// End of the topic: `up`, `join`, `down/queued`, `down/sent`, `down/ack`, `down/nack`, `down/failed`, `location/solved`, `service/data`.
        pub event: &'a str,
        /// Identifier of the application.
        pub application_id: &'a str,
        /// Identifier of the tenant, where the deployment has several.
        pub tenant_id: Option<&'a str>,
        /// Identifier of the device within the application.
        pub device_id: &'a str,
        /// DevEUI.
        pub dev_eui: Option<Eui>,
        /// JoinEUI.
        pub join_eui: Option<Eui>,
        /// DevAddr.
        pub dev_addr: Option<DevAddr>,
        /// Whole frame counter.
        pub f_cnt: Option<u32>,
        /// FPort.
        pub f_port: Option<u8>,
        /// An acknowledgement is wanted.
        pub confirmed: Option<bool>,
        /// Length of the decrypted payload in bytes.
        pub payload_length: Option<u32>,
        /// Whether the payload is decoded too.
        pub decoded: bool,
        /// A person made the message up in the console.
        pub simulated: bool,
        /// How many gateways heard it.
        pub gateways: u32,
        /// EUI of the first of them.
        pub gateway: Option<Eui>,
        /// Identifier of the first of them.
        pub gateway_id: Option<Cow<'a, str>>,
        /// Strength at the first, dBm.
        pub rssi_dbm: Option<f32>,
        /// Signal to noise ratio at the first, dB.
        pub snr_db: Option<f32>,
        /// Clock of the first in microseconds.
        pub tmst_us: Option<u32>,
        /// Frequency in Hz.
        pub frequency_hz: Option<u32>,
        /// Data rate as in `SF7BW125`; bits a second for FSK.
        pub data_rate: Option<Cow<'static, str>>,
        /// NetID of the network, hex.
        pub net_id: Option<Cow<'a, str>>,
        /// Brand in the device repository.
        pub brand_id: Option<Cow<'a, str>>,
        /// Model in the device repository.
        pub model_id: Option<Cow<'a, str>>,
        /// Hardware version.
        pub hardware_version: Option<Cow<'a, str>>,
        /// Firmware version.
        pub firmware_version: Option<Cow<'a, str>>,
        /// Band, as in `EU_863_870`.
        pub band_id: Option<Cow<'a, str>>,
        /// Latitude of the device in degrees.
        pub latitude: Option<f64>,
        /// Longitude of the device in degrees.
        pub longitude: Option<f64>,
        /// Battery in percent.
        pub battery_percent: Option<f32>,
        /// Why a downlink failed.
        pub error: Option<Cow<'a, str>>,
        /// A digest of the decrypted payload, which compares it with what gateways heard; it stands in no output.
        pub payload_digest: Untold,
    }
}

record! {
    /// An application sends a device something (`down/push`, `down/replace`).
    pub struct DeviceCommand<'a> = "the_things_stack.device_command" {
        /// End of the topic.
        pub command: &'a str,
        /// Identifier of the application.
        pub application_id: &'a str,
        /// Identifier of the tenant.
        pub tenant_id: Option<&'a str>,
        /// Identifier of the device within the application.
        pub device_id: &'a str,
        /// How many downlinks.
        pub downlinks: u32,
        /// FPort of the first.
        pub f_port: Option<u8>,
        /// Whether the first wants an acknowledgement.
        pub confirmed: Option<bool>,
        /// Length of the first's payload in bytes.
        pub payload_length: Option<u32>,
    }
}
