//! The record of an attribute.

crate::record! {
    /// A device says something of itself.
    pub struct Attribute<'a> = "homie.attribute" {
        /// Identifier of the device.
        pub device: &'a str,
        /// The attribute, as `$fw/version`.
        pub attribute: &'a str,
        /// Its value, where it is one that is known to hold no secret; of a description: the name.
        pub value: Option<&'a str>,
        /// Version of the convention, where the attribute tells it.
        pub homie: Option<&'a str>,
        /// Length of the payload, bytes.
        pub payload_length: u32,
    }
}
