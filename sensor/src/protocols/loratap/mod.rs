//! LoRaTap: the header of captures that a LoRa sniffer or gateway wrote (link type 270), versions 0 and 1.
//!
//! One frame is one `loratap.packet`; its payload goes on as `lorawan.phy_payload` where the sync word is LoRaWAN's and the checksum, as far
//! as the header tells it, is not wrong. Frames without a radio header (class B beacons) stay a packet.
//!
//! Signal strengths follow the header's definition; 255 means not available in both versions, since 116 dBm cannot be received.
//!
//! Documents: LoRaTap README of eriknl/LoRaTap, loratap.h and loratap1.h.

mod record;
mod session;
mod wire;

#[cfg(test)]
mod tests;

pub use record::Packet;

use super::{DecoderSpec, Hooks, Probe, lorawan};

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "loratap",
    title: "LoRaTap",
    documents: &["eriknl/LoRaTap README.md"],
    hooks: Hooks { loratap: true, ..Hooks::NONE },
    max_message: 65_535,
    probe: |input| if wire::Header::parse(input.bytes).is_some() { Probe::Strong(None) } else { Probe::No },
    create: || Box::new(session::Session::default()),
    records: &[&Packet::KIND],
    anomalies: session::anomalies::ALL,
    identities: &[&lorawan::GATEWAY_EUI],
    bounds: &[],
};
