//! The records of Tasmota.

use std::net::IpAddr;

crate::record! {
    /// A device announces itself (native discovery).
    pub struct Discovery<'a> = "tasmota.discovery" {
        /// MAC address, 12 hex digits.
        pub mac: Option<&'a str>,
        /// Its address.
        pub ip: Option<IpAddr>,
        /// Its topic.
        pub topic: Option<&'a str>,
        /// Device name.
        pub name: Option<&'a str>,
        /// Host name.
        pub hostname: Option<&'a str>,
        /// Module or template.
        pub model: Option<&'a str>,
        /// Firmware version.
        pub version: Option<&'a str>,
    }
}

crate::record! {
    /// A device says what it is: INFO1 to INFO3, STATUS, STATUS2 (firmware), STATUS5 (network).
    pub struct Status<'a> = "tasmota.status" {
        /// Its topic.
        pub topic: &'a str,
        /// Which message.
        pub part: &'a str,
        /// Module.
        pub module: Option<&'a str>,
        /// Device name.
        pub name: Option<&'a str>,
        /// Firmware version.
        pub version: Option<&'a str>,
        /// Date of the firmware.
        pub build_date: Option<&'a str>,
        /// Processor.
        pub hardware: Option<&'a str>,
        /// Host name.
        pub hostname: Option<&'a str>,
        /// Its address.
        pub ip: Option<IpAddr>,
        /// MAC address, as it is written.
        pub mac: Option<&'a str>,
    }
}

crate::record! {
    /// Somebody sends a device a command.
    pub struct Command<'a> = "tasmota.command" {
        /// Topic of the device, or of a group.
        pub topic: &'a str,
        /// The commands: one, or those of a Backlog.
        pub commands: Vec<&'a str>,
        /// A command sets a password or a user name; its value is not told.
        pub sets_secret: bool,
        /// Length of the payload, bytes.
        pub payload_length: u32,
    }
}
