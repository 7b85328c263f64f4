//! The questions about how devices are set up, in plain words.

use crate::findings::CheckSpec;

/// All of them.
pub const ALL: &[&CheckSpec] = &[&FIXED_SESSION_KEYS, &OLD_LORAWAN, &NO_AUTHENTICATION, &GATEWAY_LINK, &CLEARTEXT_MANAGEMENT];

/// A LoRaWAN device whose session keys never change.
pub static FIXED_SESSION_KEYS: CheckSpec = CheckSpec {
    id: "lorawan-fixed-session-keys",
    title: "activation of LoRaWAN devices",
    finding: "It never joins: its session keys were set by hand and stay the same for life (ABP).",
    action: "{devices} use fixed LoRaWAN session keys (ABP)",
    remedy: "At the next visit set the device to join over the air (OTAA), with a root key of its own.",
    why: "Fixed keys are never renewed, and after a power cut counters begin again: old messages can then be played back.",
    references: &["LoRaWAN 1.0.4 §6.3", "CWE-323", "ETSI EN 303 645 5.5-1"],
};

/// A LoRaWAN session by a version before 1.1.
pub static OLD_LORAWAN: CheckSpec = CheckSpec {
    id: "lorawan-version-1-0",
    title: "versions of LoRaWAN",
    finding: "Its session goes by LoRaWAN 1.0: one key serves network and join, and commands to the device are partly readable.",
    action: "{devices} use LoRaWAN 1.0",
    remedy: "Nothing is to be done at once. When you buy devices and a network server, ask for 1.0.4 or 1.1.",
    why: "Before 1.0.4 join numbers are random and may repeat; before 1.1 one root key opens both the network's and the application's session.",
    references: &["LoRaWAN 1.1 §6.1", "LoRaWAN 1.0.4 §6.2"],
};

/// A server of a protocol that knows no authentication.
pub static NO_AUTHENTICATION: CheckSpec = CheckSpec {
    id: "protocol-without-authentication",
    title: "protocols without authentication",
    finding: "It answers {protocol}, in which nobody has to say who they are: whoever reaches it is obeyed.",
    action: "{devices} are open to whoever reaches them by {protocol}",
    remedy: "Let no other addresses than those of its controllers reach it: a firewall or a network of its own. Where the device can, turn security on.",
    why: "One infected computer on the same network is enough to read and command it.",
    references: &["CWE-306", "ETSI EN 303 645 5.5-5", "IEC 62443-3-3 SR 1.1"],
};

/// A gateway whose link to its network server is open.
pub static GATEWAY_LINK: CheckSpec = CheckSpec {
    id: "gateway-link-unprotected",
    title: "links of radio gateways",
    finding: "Its link to the network server is neither encrypted nor authenticated.",
    action: "{devices} are linked to their network server without encryption and authentication",
    remedy: "Carry the link over a VPN, or use Basics Station or an MQTT forwarder with TLS and a certificate for each gateway.",
    why: "Whoever is on the way can drop messages, invent gateways, and have radio commands sent.",
    references: &["CWE-306", "CWE-319", "ETSI EN 303 645 5.5-1"],
};

/// Management in clear text, by its port.
pub static CLEARTEXT_MANAGEMENT: CheckSpec = CheckSpec {
    id: "cleartext-management",
    title: "management in clear text",
    finding: "Somebody used {service} on it, which sends passwords in clear text.",
    action: "{devices} are managed by {service}, which sends passwords in clear text",
    remedy: "Turn {service} off and use SSH or HTTPS instead, then change the passwords: they have been readable.",
    why: "Whoever sees the traffic once has the password for good; worms such as Mirai come this way.",
    references: &["CWE-319", "ATT&CK for ICS T0886", "ETSI EN 303 645 5.6-1"],
};
