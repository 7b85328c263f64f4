//! Basics Station: the LNS protocol between radio gateways and network servers, JSON text messages over WebSocket (cleartext ones are seen).
//!
//! Discovery, version, router configuration, uplinks, downlinks, transmission reports, time and remote commands become a record each. The
//! station takes radio frames apart before it sends them; here they are put together again and go on as `lorawan.phy_payload`. Data rates
//! are indexes; they get names where the connection's router configuration was seen.
//!
//! The gateway's EUI stands in the discovery, which is another connection; on this one it is read from the WebSocket's path, where servers put it.
//!
//! Not decoded: CUPS (HTTP), binary messages of the remote shell, hardware parameters inside the router configuration, and the arguments of
//! remote commands, which can hold secrets.
//!
//! Documents: LoRa Basics Station documentation, "The LNS Protocol"; source of Basics Station 2.0.6 (`tc.c`, `s2e.c`, `lora.c`).

mod eui;
mod json;
mod record;
mod session;

#[cfg(test)]
mod tests;

pub use record::{
    DiscoveryRequest, DiscoveryResponse, Downlink, Other, RemoteCommand, RouterConfig, TimeSync, Transmitted, Uplink, Version,
};

use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput, lorawan};

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "station",
    title: "LoRa Basics Station",
    documents: &["LoRa Basics Station: The LNS Protocol"],
    hooks: Hooks { carried: &["websocket"], ..Hooks::NONE },
    max_message: 65_536,
    probe,
    create: || Box::new(session::Session::default()),
    records: &[
        &DiscoveryRequest::KIND,
        &DiscoveryResponse::KIND,
        &Version::KIND,
        &RouterConfig::KIND,
        &Uplink::KIND,
        &Downlink::KIND,
        &Transmitted::KIND,
        &TimeSync::KIND,
        &RemoteCommand::KIND,
        &Other::KIND,
    ],
    anomalies: session::anomalies::ALL,
    identities: &[&lorawan::GATEWAY_EUI, &lorawan::DEV_EUI],
    bounds: &[
        Bound {
            name: "schedule",
            value: session::SCHEDULE,
            reason: "downlinks read from one dnsched: a station holds 128 transmissions",
        },
        Bound {
            name: "channels",
            value: json::CHANNELS,
            reason: "uplink channels told of a router configuration: the largest plans have 96",
        },
    ],
};

fn probe(input: &ProbeInput<'_>) -> Probe {
    match json::message_type(input.bytes, input.hint) {
        // Each message is asked about anew: on the path of a station (§"LNS Protocol": `router-` and its identifier) one of an unknown type is its too.
        Some(json::MessageType::Unknown) if input.hint.contains("router-") => Probe::Weak(None),
        Some(json::MessageType::Unknown) | None => Probe::No,
        Some(_) => Probe::Strong(None),
    }
}
