//! The questions about sessions, in plain words.

use crate::findings::CheckSpec;
use crate::policy::Parameter;

/// All of them.
pub const ALL: &[&CheckSpec] = &[&REPLAY, &PARALLEL, &RESTART, &JUMP];

/// The numbers that they go by.
pub const PARAMETERS: &[&Parameter] = &[&REPLAY_GAP, &COUNTER_GAP];

/// After how long the same message is no copy any more.
pub static REPLAY_GAP: Parameter = Parameter {
    check: "lorawan-uplink-replay",
    name: "gap_s",
    doc: "A message that comes again this many seconds after it was last heard, and after newer ones, is no copy of a slow gateway.",
    shipped: 10,
    range: 2..=86_400,
};

/// The largest step that networks accept.
pub static COUNTER_GAP: Parameter = Parameter {
    check: "lorawan-counter-jump",
    name: "gap",
    doc: "A counter that skips more numbers than this has jumped: MAX_FCNT_GAP of LoRaWAN 1.0.",
    shipped: 16_384,
    range: 256..=32_767,
};

/// An old message on the air again.
pub static REPLAY: CheckSpec = CheckSpec {
    id: "lorawan-uplink-replay",
    title: "old radio messages sent again",
    finding: "Messages of it were on the air again after newer ones ({_count}), the first of them {_after} after it had first been sent: somebody may have recorded them and sent them again.",
    action: "{devices}: old radio messages were on the air again",
    remedy: "See that the network checks the frame counters of these devices (no \"skip\" or \"relaxed\" frame counter check), and look near the gateways named in the evidence for a transmitter that is not yours.",
    why: "A network that does not check counters takes the old reading for a new one: a door that was closed yesterday is reported closed today.",
    references: &["ATT&CK for ICS T1692.001", "TS001-1.0.4 §4.3.1.5", "CWE-294"],
};

/// Two counters at once.
pub static PARALLEL: CheckSpec = CheckSpec {
    id: "lorawan-parallel-session",
    title: "two senders under one radio address",
    finding: "A second sender appeared under its radio address with a frame counter close to its own, and both go on: its keys may have been copied, or another device got the same address by chance.",
    action: "{devices}: a second sender uses the radio address",
    remedy: "Ask the network server whether messages of this device fail the integrity check: if none does, both senders have its keys, so give the device new keys and let it join anew. If some fail, another device has the same address, and nothing is to be done.",
    why: "Who has the keys of a device speaks in its name, and the network drops what the device itself says.",
    references: &["ATT&CK for ICS T0849", "TS001-1.0.4 §4.3.1.5", "CWE-290"],
};

/// A counter that started again without a join.
pub static RESTART: CheckSpec = CheckSpec {
    id: "lorawan-counter-restarted",
    title: "frame counters that start again",
    finding: "Its frame counter {how}. No join of it was seen before.",
    action: "{devices} start their frame counters again without joining",
    remedy: "Let the device join over the air (OTAA), or have it keep its counters over a loss of power. Do not help it by turning the counter check off.",
    why: "Such a device uses the same key stream twice, and its old messages can be sent again and are taken for new ones.",
    references: &["TS001-1.0.4 §4.3.1.5", "CWE-323", "CWE-294"],
};

/// A counter that jumped.
pub static JUMP: CheckSpec = CheckSpec {
    id: "lorawan-counter-jump",
    title: "frame counters that jump",
    finding: "Its frame counter jumped further ahead than the time that had passed explains, and goes on from there: its memory was replaced or damaged, or somebody sends in its name.",
    action: "{devices}: the frame counter jumped ahead",
    remedy: "Ask the network server whether it still takes this device's messages. If it refuses them, let the device join anew; if it takes them and nobody worked on the device, give it new keys.",
    why: "Networks refuse messages after too large a step, so the device is deaf and dumb; and a step ahead is how a copy with stolen keys locks the real device out.",
    references: &["LoRaWAN 1.0.3 §4.3.1.5", "ATT&CK for ICS T0814"],
};
