//! The record of a device.

use std::net::IpAddr;

crate::record! {
    /// What a Shelly says of itself.
    pub struct Device<'a> = "shelly.device" {
        /// Identifier, as `shellyplus1-a8032abe54dc`.
        pub id: &'a str,
        /// Generation: 1, 2 and later.
        pub generation: Option<u8>,
        /// Model, as `SHSW-1` or `SNSW-001X16EU`.
        pub model: Option<&'a str>,
        /// Application, as `Plus1`.
        pub app: Option<&'a str>,
        /// Name that people gave.
        pub name: Option<&'a str>,
        /// MAC address, as it is written.
        pub mac: Option<&'a str>,
        /// Its address.
        pub ip: Option<IpAddr>,
        /// Firmware version.
        pub version: Option<&'a str>,
        /// Identifier of the firmware.
        pub fw_id: Option<&'a str>,
        /// There is a newer firmware.
        pub new_firmware: Option<bool>,
        /// The device asks for authentication.
        pub auth_enabled: Option<bool>,
    }
}
