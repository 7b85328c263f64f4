//! The questions about what is normal here, and the numbers that they go by.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// All of them.
pub const ALL: &[&CheckSpec] = &[
    &WRITER,
    &MASTER,
    &MAP,
    &IDENTIFIES,
    &VALUE,
    &PUBLISHER,
    &COMMANDER,
    &CHANGES,
    &MANAGER,
    &GATEWAY,
    &PEER,
    &NEW,
    &SILENT,
    &GONE,
];

/// All their numbers.
pub const PARAMETERS: &[&Parameter] = &[
    &WRITER_DAYS,
    &MASTER_DAYS,
    &MAP_DAYS,
    &IDENTIFIES_DAYS,
    &VALUE_DAYS,
    &VALUE_SAMPLES,
    &VALUE_SIGMAS,
    &PUBLISHER_DAYS,
    &PUBLISHER_CROWD,
    &COMMANDER_DAYS,
    &CHANGES_DAYS,
    &CHANGES_CROWD,
    &MANAGER_DAYS,
    &GATEWAY_DAYS,
    &PEER_DAYS,
    &PEER_MOST,
    &NEW_DAYS,
    &SILENT_DAYS,
    &SILENT_PERIODS,
    &SILENT_LEAST,
    &GONE_DAYS,
];

/// Days with activity after which what is new deviates.
const fn learning(check: &'static str) -> Parameter {
    Parameter {
        check,
        name: "learning_days",
        doc: "Days with activity, in the time of the packets, after which what is new is told; until then it is learned.",
        shipped: 7,
        range: 1..=365,
    }
}

macro_rules! learning {
    ($($(#[doc = $doc:literal])+ $name:ident of $check:literal,)*) => {$(
        $(#[doc = $doc])+
        pub static $name: Parameter = learning($check);
    )*};
}

learning! {
    /// Of writers.
    WRITER_DAYS of "modbus-new-writer",
    /// Of masters.
    MASTER_DAYS of "modbus-new-master",
    /// Of registers read.
    MAP_DAYS of "modbus-new-registers-read",
    /// Of identification.
    IDENTIFIES_DAYS of "modbus-identified-by-new-client",
    /// Of values.
    VALUE_DAYS of "modbus-value-out-of-range",
    /// Of publishers.
    PUBLISHER_DAYS of "mqtt-new-publisher",
    /// Of commanders.
    COMMANDER_DAYS of "sparkplug-new-commander",
    /// Of resources.
    CHANGES_DAYS of "coap-changed-by-new-client",
    /// Of managers.
    MANAGER_DAYS of "lwm2m-new-server-commands",
    /// Of gateways.
    GATEWAY_DAYS of "lorawan-new-gateway",
    /// Of peers.
    PEER_DAYS of "new-peer",
    /// Of devices.
    NEW_DAYS of "device-new",
    /// Of rhythms.
    SILENT_DAYS of "device-silent",
}

/// Readings of a register after which its range says something.
pub static VALUE_SAMPLES: Parameter = Parameter {
    check: "modbus-value-out-of-range",
    name: "samples_at_least",
    doc: "Readings of a register, differing or a minute apart, after which it is judged.",
    shipped: 200,
    range: 10..=1_000_000,
};

/// Standard deviations.
pub static VALUE_SIGMAS: Parameter = Parameter {
    check: "modbus-value-out-of-range",
    name: "sigmas",
    doc: "Standard deviations from the mean that a value must lie away, beside lying well outside the limits so far.",
    shipped: 4,
    range: 1..=100,
};

/// Publishers of one topic.
pub static PUBLISHER_CROWD: Parameter = Parameter {
    check: "mqtt-new-publisher",
    name: "publishers_at_most",
    doc: "Known publishers of a topic up to which a further one is told; a topic of more is everybody's.",
    shipped: 2,
    range: 1..=1_000,
};

/// Clients that change one resource.
pub static CHANGES_CROWD: Parameter = Parameter {
    check: "coap-changed-by-new-client",
    name: "clients_at_most",
    doc: "Known clients that change a server's resources up to which a further one is told; a server with more collects what devices send.",
    shipped: 2,
    range: 1..=1_000,
};

/// Peers of one device.
pub static PEER_MOST: Parameter = Parameter {
    check: "new-peer",
    name: "peers_at_most",
    doc: "Known peers of a device up to which a further one is told; a device with more speaks to whom it will.",
    shipped: 16,
    range: 1..=10_000,
};

/// Usual periods.
pub static SILENT_PERIODS: Parameter = Parameter {
    check: "device-silent",
    name: "periods",
    doc: "Times its usual period that a device must be silent.",
    shipped: 20,
    range: 2..=10_000,
};

/// Least silence.
pub static SILENT_LEAST: Parameter = Parameter {
    check: "device-silent",
    name: "at_least_s",
    doc: "Seconds that a device must be silent at least.",
    shipped: 1_800,
    range: 60..=31_536_000,
};

/// Days until a device is gone.
pub static GONE_DAYS: Parameter = Parameter {
    check: "device-gone",
    name: "gone_days",
    doc: "Days of observed time without a word after which a known device is gone.",
    shipped: 7,
    range: 1..=365,
};

/// For clients that ask or write.
const REMEDY_CLIENT: &str = "Ask who runs this client. If it belongs here, take it in: citytap baseline accept. If nobody knows it, cut it \
    off at the switch and check the device's settings.";

/// A write by a client that does not write here.
pub static WRITER: CheckSpec = CheckSpec {
    id: "modbus-new-writer",
    title: "who writes to it",
    finding: "{client} wrote to it ({_what}); it never did so before.",
    action: "{client} wrote to {devices}, which it never did before",
    remedy: REMEDY_CLIENT,
    why: "Modbus asks for no password: whoever reaches a controller can switch what it switches.",
    references: &["ATT&CK for ICS T1692.001", "Quickdraw 1111007"],
};

/// A new master.
pub static MASTER: CheckSpec = CheckSpec {
    id: "modbus-new-master",
    title: "who polls it",
    finding: "{client} reads from it, which it never did before.",
    action: "{client} reads from {devices}, which it never did before",
    remedy: REMEDY_CLIENT,
    why: "A controller has few masters for years. A new one is a change that somebody planned, or somebody who looks around.",
    references: &["ATT&CK for ICS T0848"],
};

/// Reads outside the learned map.
pub static MAP: CheckSpec = CheckSpec {
    id: "modbus-new-registers-read",
    title: "which registers are read",
    finding: "{client} reads registers that it never read before ({_what}).",
    action: "{client} reads other registers of {devices} than before",
    remedy: "Ask whether the control system's list of points was changed. If so, take it in: citytap baseline accept.",
    why: "A control system reads the same points every few seconds. Whoever controls it and looks around reads others.",
    references: &["ATT&CK for ICS T0861"],
};

/// Identification read by a new client.
pub static IDENTIFIES: CheckSpec = CheckSpec {
    id: "modbus-identified-by-new-client",
    title: "who asks what it is",
    finding: "{client} asked it for maker and model; it never did so before.",
    action: "{client} asked {devices} for maker and model",
    remedy: REMEDY_CLIENT,
    why: "Asking a device what it is comes first when somebody looks for what can be attacked, and when an engineer takes stock.",
    references: &["ATT&CK for ICS T0888", "Quickdraw 1111005"],
};

/// A value outside the learned range.
pub static VALUE: CheckSpec = CheckSpec {
    id: "modbus-value-out-of-range",
    title: "values of its registers",
    finding: "Register {_register} holds {_value}; until now it was between {_least} and {_greatest}.",
    action: "{devices} hold values far outside of what was usual",
    remedy: "Compare with the process: is the pump, the level, the set point as it should be? Then find out what changed it, or take it in: \
        citytap baseline accept.",
    why: "A set point or a reading far outside its usual range is a fault, or somebody who moves the process.",
    references: &["ATT&CK for ICS T0836"],
};

/// A publisher that does not publish this.
pub static PUBLISHER: CheckSpec = CheckSpec {
    id: "mqtt-new-publisher",
    title: "what it publishes",
    finding: "It publishes on {_what}, which until now only {_owner} did.",
    action: "{devices} publish what others published until now",
    remedy: "Find out whether a device was replaced or its client renamed; if so, take it in: citytap baseline accept. If not, give each \
        client a user name and let the broker allow it its own topics alone.",
    why: "Who can publish on a sensor's topic can make the city believe what it likes; on a command topic, switch what it likes.",
    references: &["ATT&CK for ICS T1692.002"],
};

/// Sparkplug commands from a new host.
pub static COMMANDER: CheckSpec = CheckSpec {
    id: "sparkplug-new-commander",
    title: "who commands it",
    finding: "{client} sends it commands; it never did so before.",
    action: "{client} sends commands to {devices}, which it never did before",
    remedy: "Ask who runs this host. If it belongs here, take it in: citytap baseline accept. If not, block it and let the broker allow \
        command topics to the control system alone.",
    why: "Commands write outputs and restart nodes. One host sends them for years.",
    references: &["ATT&CK for ICS T1692.001", "ATT&CK for ICS T0816"],
};

/// CoAP resources changed by a new client.
pub static CHANGES: CheckSpec = CheckSpec {
    id: "coap-changed-by-new-client",
    title: "who changes its resources",
    finding: "{client} changed {_what} without protection; it never did so before.",
    action: "{client} changed resources of {devices}, which it never did before",
    remedy: "Ask who runs this client. If it belongs here, take it in: citytap baseline accept. If not, block it; let the device ask for DTLS \
        or OSCORE.",
    why: "Without DTLS or OSCORE anybody who reaches the device can switch what it switches.",
    references: &["ATT&CK for ICS T1692.001"],
};

/// LwM2M commands from a new server.
pub static MANAGER: CheckSpec = CheckSpec {
    id: "lwm2m-new-server-commands",
    title: "who manages it",
    finding: "{client} commands it ({_what}); it never did so before.",
    action: "{client} commands {devices}, which it never did before",
    remedy: "Ask whether the management server was moved. If so, take it in: citytap baseline accept. If not, block the address, and bootstrap \
        the devices anew over DTLS.",
    why: "The management server restarts, resets and reprograms devices. A second one is a takeover or a move that somebody planned.",
    references: &["ATT&CK for ICS T0816"],
};

/// A gateway that was not there.
pub static GATEWAY: CheckSpec = CheckSpec {
    id: "lorawan-new-gateway",
    title: "radio gateways",
    finding: "It reports to {server} as a radio gateway; it never did so before.",
    action: "{devices} report to {server} as radio gateways and never did before",
    remedy: "Compare its EUI with the list of your gateways. If it is yours, take it in: citytap baseline accept. If not, take it off the \
        network server.",
    why: "A gateway of somebody else's can hold back, replay and invent what sensors send.",
    references: &["ATT&CK for ICS T0848"],
};

/// A new peer.
pub static PEER: CheckSpec = CheckSpec {
    id: "new-peer",
    title: "whom it speaks to",
    finding: "It speaks to {peer} over {protocol}; for a long time it spoke to the same few alone.",
    action: "{devices} speak to {peer} over {protocol}, which is new",
    remedy: "Find out what was changed on the device: a setting, a server, its firmware. If it is meant, take it in: citytap baseline accept.",
    why: "Devices speak to the same few servers for years. A new one is how remote control and theft of data look.",
    references: &["ATT&CK for ICS T0885"],
};

/// A new device.
pub static NEW: CheckSpec = CheckSpec {
    id: "device-new",
    title: "new devices",
    finding: "It was not here before.",
    action: "{devices} were not here before",
    remedy: "See whether somebody installed it. If it belongs here, take it in: citytap baseline accept. What nobody knows is to be \
        disconnected.",
    why: "What nobody installed may be a stranger's; and what is not on the list is not maintained.",
    references: &["ATT&CK for ICS T0848", "IEC 62443-3-3 SR 7.8"],
};

/// A silent device.
pub static SILENT: CheckSpec = CheckSpec {
    id: "device-silent",
    title: "silence",
    finding: "It has been silent since {_since}; it speaks every {_period} otherwise.",
    action: "{devices} have fallen silent",
    remedy: "Check power and link, then the device. If it was removed, no more is to be done: after some days it counts as gone.",
    why: "A device that says nothing measures and switches nothing; or something keeps its messages away.",
    references: &["ATT&CK for ICS T0815"],
};

/// A device that is gone.
pub static GONE: CheckSpec = CheckSpec {
    id: "device-gone",
    title: "devices that are gone",
    finding: "Nothing has been heard of it since {_since}.",
    action: "{devices} have not been heard for days",
    remedy: "If it was removed, take it off your list and withdraw its credentials; if not, have it repaired.",
    why: "Credentials of devices that are gone still open doors.",
    references: &["IEC 62443-3-3 SR 7.8"],
};
