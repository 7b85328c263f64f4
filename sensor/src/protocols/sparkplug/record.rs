//! The records of Sparkplug B. Clauses are those of Sparkplug 3.0.

crate::record! {
    /// A birth certificate of an edge node or device (§5.4, §5.5).
    pub struct Birth<'a> = "sparkplug.birth" {
        /// Group identifier.
        pub group: &'a str,
        /// Edge node identifier.
        pub edge_node: &'a str,
        /// Device identifier; left out for the node itself.
        pub device: Option<&'a str>,
        /// Milliseconds since 1970.
        pub timestamp_ms: Option<u64>,
        /// Sequence number.
        pub seq: Option<u64>,
        /// Birth and death sequence number of the node.
        pub bd_seq: Option<u64>,
        /// How many metrics there are.
        pub metric_count: u32,
        /// Names of the first metrics.
        pub metric_names: Vec<&'a str>,
        /// Maker, from the properties.
        pub make: Option<&'a str>,
        /// Model, from the properties.
        pub model: Option<&'a str>,
        /// Firmware version, from the properties.
        pub firmware: Option<&'a str>,
        /// Hardware version, from the properties.
        pub hardware: Option<&'a str>,
        /// Serial number, from the properties.
        pub serial: Option<&'a str>,
        /// Operating system, from the properties.
        pub os: Option<&'a str>,
        /// Version of the operating system, from the properties.
        pub os_version: Option<&'a str>,
        /// Version of the software that publishes for a gateway (Cirrus Link: `Node Info/Transmission Version`), from the properties.
        pub transmission_version: Option<&'a str>,
    }
}

crate::record! {
    /// A death certificate of an edge node or device (§5.4, §5.5).
    pub struct Death<'a> = "sparkplug.death" {
        /// Group identifier.
        pub group: &'a str,
        /// Edge node identifier.
        pub edge_node: &'a str,
        /// Device identifier; left out for the node itself.
        pub device: Option<&'a str>,
        /// Birth and death sequence number of the node.
        pub bd_seq: Option<u64>,
    }
}

crate::record! {
    /// A command to an edge node or device (§5.6).
    pub struct Command<'a> = "sparkplug.command" {
        /// Group identifier.
        pub group: &'a str,
        /// Edge node identifier.
        pub edge_node: &'a str,
        /// Device identifier; left out for the node itself.
        pub device: Option<&'a str>,
        /// Names of the first metrics that are written, as `Node Control/Rebirth`.
        pub metric_names: Vec<&'a str>,
        /// Aliases of metrics that are written without their names.
        pub metric_aliases: Vec<u64>,
    }
}

crate::record! {
    /// A host application says whether it is there (§5.7).
    pub struct State<'a> = "sparkplug.state" {
        /// Identifier of the host.
        pub host: &'a str,
        /// It is there.
        pub online: Option<bool>,
    }
}
