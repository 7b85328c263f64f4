//! The questions about downlinks, in plain words.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// All of them.
pub const ALL: &[&CheckSpec] = &[&WINDOW, &COMMAND, &SETTING, &ACK, &REPEAT];

/// The numbers that they go by.
pub const PARAMETERS: &[&Parameter] = &[&TOLERANCE, &USUAL_FROM];

/// From when on something is usual.
pub static USUAL_FROM: Parameter = Parameter {
    check: "lorawan-unusual-setting",
    name: "others",
    doc: "So many other devices of the network must have been given a setting of the kind for a value to be unusual.",
    shipped: 10,
    range: 3..=100_000,
};

/// How exact a window is met.
pub static TOLERANCE: Parameter = Parameter {
    check: "lorawan-downlink-out-of-window",
    name: "tolerance_ms",
    doc: "A downlink is in its window if it starts within this time of a whole second after the uplink.",
    shipped: 20,
    range: 1..=400,
};

/// A downlink when the device does not listen.
pub static WINDOW: CheckSpec = CheckSpec {
    id: "lorawan-downlink-out-of-window",
    title: "downlinks outside the receive windows",
    finding: "Its gateway was told to send to it when a device of class A does not listen ({_count}), and not on a frequency for devices that always listen: the network server has a fault, or somebody else commands the gateway.",
    action: "{devices}: messages were sent outside the receive windows",
    remedy: "See in the network server whether it sent these messages. If it did, check the device's class and delays there; if it did not, find the sender by the address in the evidence and keep strangers away from the gateways.",
    why: "Who can have a gateway send what he likes jams the city's devices, or speaks to them.",
    references: &["ATT&CK for ICS T1692.001", "TS001-1.0.4 §3.3"],
};

/// A command that harms the device.
pub static COMMAND: CheckSpec = CheckSpec {
    id: "lorawan-harmful-command",
    title: "radio settings that harm devices",
    finding: "It was ordered over the air {how}.",
    action: "{devices} were ordered over the air {how}",
    remedy: "Ask whoever runs the radio network whether this was meant. If not, set the device up anew and find out where the order came from.",
    why: "Such orders empty batteries, or make a device deaf for good: somebody has to drive out and reset it.",
    references: &["ATT&CK for ICS T0836", "TS001-1.0.4 §5"],
};

/// A setting that the network gives nobody else.
pub static SETTING: CheckSpec = CheckSpec {
    id: "lorawan-unusual-setting",
    title: "radio settings that others of the network do not have",
    finding: "It was ordered over the air {how}; no other device of its network was, though they were given settings of this kind too.",
    action: "{devices} were ordered over the air {how}, alone in the network",
    remedy: "Ask whoever runs the radio network whether this device is meant to be set up differently, as in a trial. If not, set it up anew and find out where the order came from.",
    why: "A device that listens or sends where its network does not is out of reach until somebody drives out; forged orders do that quietly.",
    references: &["ATT&CK for ICS T0836", "TS001-1.0.4 §5"],
};

/// An acknowledgement of nothing.
pub static ACK: CheckSpec = CheckSpec {
    id: "lorawan-ack-unasked",
    title: "acknowledgements of nothing",
    finding: "A message to it acknowledges something ({_count}), and none of its messages before asked for that: the network server has a fault, or somebody forges acknowledgements.",
    action: "{devices}: acknowledgements that nobody asked for",
    remedy: "See in the network server whether it sent these acknowledgements. If it did not, find the sender by the address in the evidence.",
    why: "A device that believes a forged acknowledgement takes an alarm for delivered that never arrived.",
    references: &["ATT&CK for ICS T1692.002", "TS001-1.0.4 §4.3.1.2"],
};

/// An old downlink again.
pub static REPEAT: CheckSpec = CheckSpec {
    id: "lorawan-downlink-replay",
    title: "old downlinks sent again",
    finding: "A message to it was sent again, the same to the last bit, after newer ones ({_count}): somebody may have recorded it and has a gateway send it again.",
    action: "{devices}: old messages to them were sent again",
    remedy: "See in the network server whether it sent these messages. If it did not, find the sender by the address in the evidence, and see that the device checks its downlink counter.",
    why: "A device that does not check counters obeys an old order again: switch off, open, reset.",
    references: &["ATT&CK for ICS T1692.002", "CWE-294", "TS001-1.0.4 §4.3.1.5"],
};
