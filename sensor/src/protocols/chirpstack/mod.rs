//! ChirpStack over MQTT, versions 3 and 4: what gateways and the server exchange, and what applications get, in JSON or Protocol Buffers.
//!
//! Gateway topics (with or without a region in front) become `chirpstack.gateway_*`; uplinks and downlinks go on as `lorawan.phy_payload`, unless
//! their checksum failed. Application topics become `chirpstack.device_event` and `chirpstack.device_command`, which name the device, its profile
//! and its application, and tie the DevAddr to the DevEUI. The topic says what a message is; the first byte says how it is written.
//!
//! Decrypted application payloads and decoded objects are not kept: their length is told. Of commands that run on a gateway the name is told,
//! not the input, which can hold secrets.
//!
//! Documents: ChirpStack `gw.proto`, `integration.proto`, `common.proto` of 3.12 and 4.x; topics as in the default configurations of both.

mod json;
mod message;
mod proto;
mod record;
mod session;
mod topic;

#[cfg(test)]
mod tests;

pub use record::{
    DeviceCommand, DeviceEvent, GatewayAck, GatewayDownlink, GatewayMessage, GatewayState, GatewayStats, GatewayUplink, Tag,
};

use super::{Bound, DecoderSpec, Hooks, Probe, lorawan};

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "chirpstack",
    title: "ChirpStack",
    documents: &["ChirpStack 4 gw.proto, integration.proto", "chirpstack-api 3 gw.proto, as/integration.proto"],
    hooks: Hooks { carried: &["mqtt.payload"], ..Hooks::NONE },
    max_message: 1 << 20,
    probe: |input| if topic::Topic::parse(input.hint).is_some() { Probe::Strong(None) } else { Probe::No },
    create: || Box::new(session::Session::default()),
    records: &[
        &GatewayUplink::KIND,
        &GatewayDownlink::KIND,
        &GatewayStats::KIND,
        &GatewayAck::KIND,
        &GatewayState::KIND,
        &GatewayMessage::KIND,
        &DeviceEvent::KIND,
        &DeviceCommand::KIND,
    ],
    anomalies: session::anomalies::ALL,
    identities: &[&lorawan::GATEWAY_EUI, &lorawan::DEV_EUI, &lorawan::DEV_ADDR],
    bounds: &[
        Bound {
            name: "items",
            value: message::ITEMS,
            reason: "transmissions of one downlink: RX1 and RX2, some servers offer more",
        },
        Bound {
            name: "gateways",
            value: message::GATEWAYS,
            reason: "gateways of one uplink of which the device is told to be heard; the count goes on",
        },
        Bound { name: "tags", value: message::TAGS, reason: "tags of a device that are told" },
        Bound { name: "said", value: lorawan::said::SAID, reason: "devices of which a flow remembers what it told" },
    ],
};
