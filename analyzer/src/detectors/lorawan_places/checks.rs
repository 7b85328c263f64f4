//! The question about places, in plain words.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// All of them.
pub const ALL: &[&CheckSpec] = &[&APART];

/// The numbers that they go by.
pub const PARAMETERS: &[&Parameter] = &[&REACH, &SPEED];

/// How far radio reaches.
pub static REACH: Parameter = Parameter {
    check: "lorawan-device-far-apart",
    name: "reach_km",
    doc: "A device is within this distance of a gateway that hears it: over hills and water LoRa reaches this far.",
    shipped: 100,
    range: 10..=2_000,
};

/// How fast a device can be.
pub static SPEED: Parameter = Parameter {
    check: "lorawan-device-far-apart",
    name: "speed_km_h",
    doc: "No device travels faster than this: 1000 is an airliner.",
    shipped: 1_000,
    range: 50..=30_000,
};

/// One name in two places.
pub static APART: CheckSpec = CheckSpec {
    id: "lorawan-device-far-apart",
    title: "devices in two places at once",
    finding: "Under its DevEUI messages came from gateways so far apart ({_distance}) that one device cannot have sent them: two devices have the same DevEUI, somebody sends in its name, or a gateway tells a wrong position.",
    action: "{devices}: the same DevEUI in two places",
    remedy: "Check the positions that the two gateways tell. If they are right, find out which device is yours, and give each device a DevEUI and keys of its own.",
    why: "The network takes both for one device: readings get mixed, and each throws the other out of its session.",
    references: &["ATT&CK for ICS T0849", "CWE-290"],
};
