//! The two checks, in words for people.

use crate::findings::CheckSpec;

/// Does the device's root key stand on a list, or follow from what anybody can read?
pub static KNOWN_KEY: CheckSpec = CheckSpec {
    id: "lorawan-known-key",
    title: "LoRaWAN root keys",
    finding: "The LoRaWAN root key of this device is public knowledge ({list}): {origin}. Shown by {_proof}.",
    action: "{devices} use a published LoRaWAN root key ({origin})",
    remedy: "Give each device a root key of its own, made at random, in the device and on the join server, and let it join again. \
             Where the model cannot take a new key over the air, this needs a visit with the maker's tool. Until then treat what these \
             devices report, and commands sent to them, as readable and forgeable by anybody in radio range.",
    why: "Whoever knows the root key can read everything that the device sends since its join, send false readings in its name, and take \
          part in its place. Only a radio is needed. A key must not be shared between devices and must not be made from the DevEUI, \
          which is printed on the label and sent in clear.",
    references: &[
        "CWE-798",
        "CWE-321",
        "CWE-1392",
        "ATT&CK for ICS T1694.001",
        "TS001-1.0.4 §6.1.1.3",
        "LoRaWAN 1.1 §6.1.1.3",
        "Semtech guidance: root keys are not shared between devices and not based on the DevEUI",
    ],
};

/// Does the session's key stand on a list?
pub static KNOWN_SESSION_KEY: CheckSpec = CheckSpec {
    id: "lorawan-known-session-key",
    title: "LoRaWAN session keys",
    finding: "The LoRaWAN network session key at this device address is public knowledge ({list}): {origin}. Shown by {_proof}.",
    action: "{devices} use a published LoRaWAN session key ({origin})",
    remedy: "Set the device to join over the air (OTAA) with a root key of its own, made at random. Where it can only be activated by \
             personalisation (ABP), give it random session keys of its own, in the device and on the network server.",
    why: "Whoever knows the network session key can forge frames in both directions, and the key never changes: devices with fixed session \
          keys keep them for life. The application key of such a device usually comes from the same example.",
    references: &["CWE-798", "CWE-321", "CWE-1392", "ATT&CK for ICS T1694.001", "TS001-1.0.4 §6.3", "TS001-1.0.4 §4.4"],
};

/// Both.
pub const ALL: &[&CheckSpec] = &[&KNOWN_KEY, &KNOWN_SESSION_KEY];

/// The answer about a device of which no join-request was seen, for whoever knows it from elsewhere.
pub const NO_JOIN: &str = "no join seen: the key shows itself only when the device joins";
