//! The record of a device.

use std::borrow::Cow;

crate::record! {
    /// A device that MQTT discovery describes, with the entity that described it.
    pub struct Device<'a> = "home_assistant.device" {
        /// Kind of entity, or `device` where one message describes all of them.
        pub component: &'a str,
        /// Object identifier from the topic.
        pub object_id: &'a str,
        /// Identifiers of the device.
        pub identifiers: Vec<Cow<'a, str>>,
        /// Connections of the device: kind and value in turn, as `mac`, `aa:bb:cc:dd:ee:ff`.
        pub connections: Vec<Cow<'a, str>>,
        /// Maker.
        pub manufacturer: Option<&'a str>,
        /// Model.
        pub model: Option<&'a str>,
        /// Model identifier.
        pub model_id: Option<&'a str>,
        /// Name.
        pub name: Option<&'a str>,
        /// Software version, which is the device's firmware.
        pub sw_version: Option<&'a str>,
        /// Hardware version.
        pub hw_version: Option<&'a str>,
        /// Serial number.
        pub serial_number: Option<&'a str>,
        /// Where it is, as its owner says.
        pub suggested_area: Option<&'a str>,
        /// Page for its configuration, without a query; left out where the URL holds a user name.
        pub configuration_url: Option<&'a str>,
        /// Identifier of the device through which it is reached.
        pub via_device: Option<&'a str>,
        /// Software that wrote the configuration.
        pub origin_name: Option<&'a str>,
        /// Its version.
        pub origin_sw_version: Option<&'a str>,
    }
}
