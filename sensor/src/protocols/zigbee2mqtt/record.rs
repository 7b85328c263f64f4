//! The records of a bridge and of its devices.

use crate::observation::Eui;

crate::record! {
    /// What the bridge says of itself (`bridge/info`).
    pub struct Bridge<'a> = "zigbee2mqtt.bridge" {
        /// Version of Zigbee2MQTT.
        pub version: Option<&'a str>,
        /// IEEE address of the coordinator.
        pub coordinator: Option<Eui>,
        /// Kind of the coordinator, as `zStack3x0`.
        pub coordinator_type: Option<&'a str>,
        /// Revision of the coordinator's firmware.
        pub coordinator_revision: Option<&'a str>,
        /// Whether devices may join.
        pub permit_join: Option<bool>,
        /// Radio channel, 11 to 26.
        pub channel: Option<u8>,
        /// Personal area network identifier.
        pub pan_id: Option<&'a str>,
    }
}

crate::record! {
    /// A device in the bridge's list (`bridge/devices`).
    pub struct Device<'a> = "zigbee2mqtt.device" {
        /// IEEE address.
        pub ieee_address: Eui,
        /// `Coordinator`, `Router`, `EndDevice` or `GreenPower`.
        pub device_type: Option<&'a str>,
        /// Short address in the network.
        pub network_address: Option<u16>,
        /// Name that people gave.
        pub friendly_name: Option<&'a str>,
        /// Maker, as the device says.
        pub manufacturer: Option<&'a str>,
        /// Model, as the device says.
        pub model_id: Option<&'a str>,
        /// Maker, as Zigbee2MQTT knows it.
        pub vendor: Option<&'a str>,
        /// Model, as Zigbee2MQTT knows it.
        pub model: Option<&'a str>,
        /// What the model is.
        pub description: Option<&'a str>,
        /// Firmware version.
        pub software_build_id: Option<&'a str>,
        /// Date of the firmware or of manufacture.
        pub date_code: Option<&'a str>,
        /// How it is powered.
        pub power_source: Option<&'a str>,
        /// Zigbee2MQTT knows the model.
        pub supported: Option<bool>,
        /// It is disabled.
        pub disabled: Option<bool>,
    }
}

crate::record! {
    /// Whether the bridge is connected (`bridge/state`).
    pub struct State<'a> = "zigbee2mqtt.state" {
        /// `online` or `offline`.
        pub state: &'a str,
    }
}
