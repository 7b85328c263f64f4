//! The check, in words for people.

use crate::findings::CheckSpec;

/// Does the pre-shared key of the device stand on a list?
pub static KNOWN_PSK: CheckSpec = CheckSpec {
    id: "dtls-known-psk",
    title: "DTLS pre-shared keys",
    finding: "Its DTLS pre-shared key is public knowledge ({_list}: {origin}). Shown by the Finished message of its handshake.",
    action: "{devices} use a published DTLS pre-shared key ({origin})",
    remedy: "Give each device an identity and a key of its own, made at random, on device and server, and delete the published pair from \
             the server. Then prefer cipher suites with a Diffie-Hellman exchange: without it whoever learns a key later can read what was \
             recorded before.",
    why: "Whoever knows the key can take the device's place, and can read every session that used it: the handshake has no other secret.",
    references: &[
        "CWE-1394",
        "CWE-798",
        "ATT&CK for ICS T1694.001",
        "RFC 4279 §2",
        "RFC 4279 §7.1",
        "RFC 5246 §7.4.9",
        "ETSI EN 303 645 5.4-3",
    ],
};

/// All of them.
pub const ALL: &[&CheckSpec] = &[&KNOWN_PSK];

/// A suite of `ECDHE_PSK`, `DHE_PSK` or `RSA_PSK`.
pub const SECOND_SECRET: &str =
    "its cipher suite mixes the key with a second secret (Diffie-Hellman or RSA), so what is on the wire proves no key";
/// DTLS 1.3.
pub const VERSION_1_3: &str =
    "DTLS 1.3 mixes the key with a Diffie-Hellman secret and encrypts its handshake, so what is on the wire proves no key";
/// DTLS 1.0, whose keys follow in another way.
pub const VERSION_1_0: &str = "it speaks DTLS 1.0, whose keys are made in a way that is not tried";
/// A plain suite that is not in the table.
pub const OTHER_SUITE: &str = "its cipher suite is one that is not tried";
/// The records carry connection identifiers.
pub const CONNECTION_ID: &str = "its records carry connection identifiers, which is not tried";
/// The beginning of the handshake is missing.
pub const NO_HELLO: &str = "its handshake was not seen from the beginning";
/// The end of the handshake is missing.
pub const NO_FINISHED: &str = "its handshake was not seen whole up to its Finished message";
/// An abbreviated handshake.
pub const RESUMED: &str = "it took up an earlier session, whose handshake was not seen";
/// A flow that was running when the capture began.
pub const RUNNING: &str = "its DTLS session was already running: the key shows itself only in the handshake";
