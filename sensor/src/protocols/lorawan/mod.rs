//! LoRaWAN: the PHYPayload that gateways and servers pass to one another becomes one record a frame.
//!
//! It is a carried protocol: every carriage (packet forwarder, Basics Station, ChirpStack, LoRaTap) hands on the radio payload as
//! `lorawan.phy_payload` and tells gateway, frequency, data rate and strength in fields of its own record, found by name (`reception`).
//! Frames whose radio checksum failed are not handed on: they are noise.
//!
//! Join-requests, rejoin-requests and data headers are read whole, MAC commands in FOpts one by one. Encrypted parts stay encrypted, since
//! this crate holds no cryptography: join-accepts, port 0, application payloads, and FOpts in 1.1 sessions, which are tried as 1.0.x and
//! marked where that fails. Whoever holds keys finds the pure functions here: [`wire::PhyPayload`], [`blocks`], [`join`], [`commands`],
//! [`packages`], and the kinds of records for what they show ([`JoinAcceptDecrypted`], [`MacCommands`], [`PackageMessage`],
//! [`ApplicationPayload`]).
//!
//! Not decoded: class B beacons, and application payloads beyond the packages of ports 200 to 203.
//!
//! Documents: TS001-1.0.4, LoRaWAN Specification 1.1, TS002-1.1.0 (addresses), RP002-1.0.4 (CFList), TS003-2.0.0, TS004-2.0.0, TS005-2.0.0, TS006-1.0.0.

pub mod address;
pub mod blocks;
pub mod commands;
pub mod join;
pub mod packages;
mod reception;
mod record;
pub(crate) mod said;
mod session;
pub mod wire;

#[cfg(test)]
mod tests;

pub use record::{
    ApplicationPayload, DataFrame, JoinAccept, JoinAcceptDecrypted, JoinRequest, MacCommands, PackageMessage, Proprietary,
    RejoinRequest, Unreadable,
};

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Bound, DecoderSpec, Hooks, Probe, ProbeInput};
use crate::observation::{Identity, IdentityKind, IdentityScope, IdentityValue, Lifetime, Strength};

/// The kind of payload that carriers hand on ([`Carried::kind`](super::Carried::kind)). Their hint is `uplink` for what was heard, `downlink`
/// for what is to be sent, or empty where they cannot tell.
pub const PHY_PAYLOAD: &str = "lorawan.phy_payload";

/// Base64 as carriers write it: padding is optional, and bits after the last byte mean nothing.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// The decoder.
pub static SPEC: DecoderSpec = DecoderSpec {
    name: "lorawan",
    title: "LoRaWAN",
    documents: &[
        "TS001-1.0.4",
        "LoRaWAN Specification 1.1",
        "TS002-1.1.0",
        "RP002-1.0.4",
        "TS003-2.0.0",
        "TS004-2.0.0",
        "TS005-2.0.0",
        "TS006-1.0.0",
    ],
    hooks: Hooks { carried: &[PHY_PAYLOAD], ..Hooks::NONE },
    max_message: wire::PHY_PAYLOAD_MAX,
    probe,
    create: || Box::new(session::Session::default()),
    records: &[
        &JoinRequest::KIND,
        &JoinAccept::KIND,
        &RejoinRequest::KIND,
        &DataFrame::KIND,
        &Proprietary::KIND,
        &Unreadable::KIND,
        &JoinAcceptDecrypted::KIND,
        &MacCommands::KIND,
        &PackageMessage::KIND,
        &ApplicationPayload::KIND,
    ],
    anomalies: session::anomalies::ALL,
    identities: &[&DEV_EUI, &DEV_ADDR, &GATEWAY_EUI],
    bounds: &[Bound {
        name: "said",
        value: said::SAID,
        reason: "devices of which a flow remembers what it told; one more makes an older one be told again",
    }],
};

/// An end device's DevEUI.
pub static DEV_EUI: IdentityKind = IdentityKind {
    name: "dev_eui",
    scope: IdentityScope::Global,
    strength: Strength::Made,
    lifetime: Lifetime::Permanent,
    doc: "DevEUI: EUI-64 of a LoRaWAN end device (TS001-1.0.4 §6.1.1).",
};

/// An end device's DevAddr.
pub static DEV_ADDR: IdentityKind = IdentityKind {
    name: "dev_addr",
    scope: IdentityScope::Network,
    strength: Strength::Assigned,
    lifetime: Lifetime::Session,
    doc: "DevAddr: address of a LoRaWAN end device for one session; several devices can have the same (TS001-1.0.4 §6.1.1).",
};

/// A radio gateway's EUI.
pub static GATEWAY_EUI: IdentityKind = IdentityKind {
    name: "gateway_eui",
    scope: IdentityScope::Global,
    strength: Strength::Made,
    lifetime: Lifetime::Configured,
    doc: "EUI-64 of a LoRaWAN radio gateway, as its packet forwarder or station is configured.",
};

/// The identity of an end device by its DevEUI.
pub fn dev_eui(eui: u64) -> Identity<'static> {
    Identity::new(&DEV_EUI, IdentityValue::Hex(eui, 16))
}

/// The identity of an end device by its DevAddr.
pub fn dev_addr(address: u32) -> Identity<'static> {
    Identity::new(&DEV_ADDR, IdentityValue::Hex(u64::from(address), 8))
}

/// The identity of a radio gateway.
pub fn gateway_eui(eui: u64) -> Identity<'static> {
    Identity::new(&GATEWAY_EUI, IdentityValue::Hex(eui, 16))
}

/// A LoRa data rate as packet forwarders write it, as in `SF7BW125`, for carriers that tell spreading factor and bandwidth as numbers.
pub fn data_rate_name(spreading_factor: u32, bandwidth_hz: u32) -> Option<&'static str> {
    let row: [&'static str; 4] = match spreading_factor {
        5 => ["SF5BW125", "SF5BW250", "SF5BW500", "SF5BW812"],
        6 => ["SF6BW125", "SF6BW250", "SF6BW500", "SF6BW812"],
        7 => ["SF7BW125", "SF7BW250", "SF7BW500", "SF7BW812"],
        8 => ["SF8BW125", "SF8BW250", "SF8BW500", "SF8BW812"],
        9 => ["SF9BW125", "SF9BW250", "SF9BW500", "SF9BW812"],
        10 => ["SF10BW125", "SF10BW250", "SF10BW500", "SF10BW812"],
        11 => ["SF11BW125", "SF11BW250", "SF11BW500", "SF11BW812"],
        12 => ["SF12BW125", "SF12BW250", "SF12BW500", "SF12BW812"],
        _ => return None,
    };
    let column = match bandwidth_hz {
        125_000 => 0,
        250_000 => 1,
        500_000 => 2,
        812_000 | 812_500 => 3,
        _ => return None,
    };
    row.get(column).copied()
}

fn probe(input: &ProbeInput<'_>) -> Probe {
    match wire::PhyPayload::parse(input.bytes) {
        Ok(_) => Probe::Strong(None),
        Err(wire::NotAFrame::Empty | wire::NotAFrame::OtherVersion(_)) => Probe::No,
        Err(_) => Probe::Weak(None),
    }
}
