//! The Things Stack over MQTT, version 3: what applications get of their devices and send them, in JSON.
//!
//! Every message of a device becomes a `the_things_stack.device_event`, with the names by which network and owner know the device, the
//! gateways that heard it and, where the device repository knows them, brand, model, hardware and firmware version. Downlinks that an
//! application pushes become a `the_things_stack.device_command`. These messages hold no radio payload, so none goes on.
//!
//! Payloads, decoded objects and session keys are not kept; the length of payloads is told.
//!
//! Documents: The Things Stack documentation, "Data Formats" and "MQTT Server" (3.30).

mod json;
mod record;
mod session;

#[cfg(test)]
mod tests;

pub use record::{DeviceCommand, DeviceEvent};

use super::{Bound, DecoderSpec, Hooks, Probe, lorawan};

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "the_things_stack",
    title: "The Things Stack",
    documents: &["The Things Stack: Data Formats", "The Things Stack: MQTT Server"],
    hooks: Hooks { carried: &["mqtt.payload"], ..Hooks::NONE },
    max_message: 1 << 20,
    probe: |input| if json::Topic::parse(input.hint).is_some() { Probe::Strong(None) } else { Probe::No },
    create: || Box::new(session::Session::default()),
    records: &[&DeviceEvent::KIND, &DeviceCommand::KIND],
    anomalies: session::anomalies::ALL,
    identities: &[&lorawan::DEV_EUI, &lorawan::DEV_ADDR, &lorawan::GATEWAY_EUI],
    bounds: &[
        Bound {
            name: "gateways",
            value: json::GATEWAYS,
            reason: "gateways of one uplink of which the device is told to be heard; the count goes on",
        },
        Bound { name: "said", value: lorawan::said::SAID, reason: "devices of which a flow remembers what it told" },
    ],
};
