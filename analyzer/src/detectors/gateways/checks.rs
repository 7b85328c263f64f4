//! The questions about radio gateways, in plain words.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// All of them.
pub const ALL: &[&CheckSpec] = &[&TWICE, &TAKEN_OVER, &STRANGER, &MOVED, &ELSEWHERE];

/// The numbers that they go by.
pub const PARAMETERS: &[&Parameter] = &[&DISTANCE, &STAYS];

/// How long a gateway must speak from elsewhere.
pub static STAYS: Parameter = Parameter {
    check: "lorawan-gateway-elsewhere",
    name: "stays_s",
    doc: "Seconds for which all messages of a gateway must come from another part of the network before it is told.",
    shipped: 600,
    range: 10..=7 * 86_400,
};

/// How far a gateway may wander.
pub static DISTANCE: Parameter = Parameter {
    check: "lorawan-gateway-moved",
    name: "distance_m",
    doc: "A gateway that tells a place further than this from before has moved; what satellite navigation usually wanders comes on top.",
    shipped: 50,
    range: 10..=100_000,
};

/// Two gateways under one EUI.
pub static TWICE: CheckSpec = CheckSpec {
    id: "lorawan-gateway-twice",
    title: "two gateways with one EUI",
    finding: "Two radio receivers with clocks of their own report under its EUI at the same time, from {addresses}: a copied memory card, an EUI left at its default, or somebody who poses as this gateway.",
    action: "{devices} report from two places at once",
    remedy: "Find the machine at each of the addresses. Give your own gateways an EUI each; if one of them is not yours, keep it away from the network server and let gateways log in with certificates (Basics Station or MQTT over TLS).",
    why: "The server sends downlinks to whichever asked last, so devices of the other go unheard, and readings that a stranger makes up look like the city's.",
    references: &["ATT&CK for ICS T0848", "CWE-290"],
};

/// Somebody else asks for the downlinks.
pub static TAKEN_OVER: CheckSpec = CheckSpec {
    id: "lorawan-gateway-downlinks-drawn-away",
    title: "downlinks drawn away from a gateway",
    finding: "Two addresses, {addresses}, take turns in asking the network server for the downlinks of this gateway: whoever asked last gets them. Somebody may draw them away, or two forwarders use one EUI.",
    action: "{devices}: another address asks for their downlinks",
    remedy: "Find the machine at each of the addresses and stop the one that is not the gateway. The packet forwarder's protocol has no authentication: move to Basics Station or MQTT over TLS.",
    why: "Devices that wait for an answer or an order get none, and a stranger sees what was meant for them.",
    references: &["ATT&CK for ICS T0848", "ATT&CK for ICS T0814", "CWE-306"],
};

/// Somebody else commands the gateway.
pub static STRANGER: CheckSpec = CheckSpec {
    id: "lorawan-gateway-strange-server",
    title: "who has gateways send",
    finding: "{server} told it to send a radio message, and the gateway never asked there for any: this is not its network server.",
    action: "{server} told {devices} to send radio messages and is not their network server",
    remedy: "Find out what {server} is. Let a firewall pass only the network server to the gateways, and move to Basics Station or MQTT over TLS: the packet forwarder's protocol has no authentication.",
    why: "Whoever can reach a gateway can have it jam the band or send orders to devices in its reach.",
    references: &["ATT&CK for ICS T0848", "ATT&CK for ICS T1692.001", "CWE-306"],
};

/// A gateway elsewhere.
pub static MOVED: CheckSpec = CheckSpec {
    id: "lorawan-gateway-moved",
    title: "gateways that moved",
    finding: "It tells a place {_distance} from where it was: it was moved or stolen, its settings were changed, or another machine uses its name.",
    action: "{devices} moved",
    remedy: "Ask who looks after the gateway whether it was moved. If nobody did, go and look.",
    why: "A stolen gateway holds the city's credentials, and devices around its old place go unheard.",
    references: &["ATT&CK for ICS T0848"],
};

/// A gateway that speaks from another network.
pub static ELSEWHERE: CheckSpec = CheckSpec {
    id: "lorawan-gateway-elsewhere",
    title: "gateways that speak from another network",
    finding: "Its messages came from {_before}, and now all come from {_now}: it changed to another line (a mobile fallback does that), it was carried away, or another machine uses its name.",
    action: "{devices} speak from another part of the network than before",
    remedy: "Ask who looks after the gateway whether its line changed. If it did and stays so, add the new addresses to the site's prefixes or to a zone; if nobody knows, go and look whether the gateway hangs in its place.",
    why: "A gateway outside the city's network can be read and imitated on the way, and one that was stolen still holds the city's credentials.",
    references: &["ATT&CK for ICS T0848"],
};
