//! The questions about credentials, in plain words.

use crate::findings::CheckSpec;

/// All of them.
pub const ALL: &[&CheckSpec] =
    &[&DEFAULT_PASSWORD, &DEFAULT_ACCEPTED, &ANONYMOUS, &CLEARTEXT, &KNOWN_PSK_IDENTITY, &PUBLISHED_CERTIFICATE, &NO_SECURITY];

/// Protocols whose servers can ask for a user name and password.
pub const ASKING: &[&str] = &["mqtt"];

/// A client that logs in with a default password.
pub static DEFAULT_PASSWORD: CheckSpec = CheckSpec {
    id: "default-password-used",
    title: "default passwords, clients",
    finding: "It logged in with a default user name and password ({_products}); {outcome}.",
    action: "{devices} logged in with a default password; {outcome}",
    remedy: "Give each device a user name and password of its own; if you do not know the device, treat it as an intruder.",
    why: "Default passwords are public. Worms such as Mirai try them first.",
    references: &["CWE-1392", "ATT&CK for ICS T1694.001", "ETSI EN 303 645 5.1-1"],
};

/// A server that accepts a default password.
pub static DEFAULT_ACCEPTED: CheckSpec = CheckSpec {
    id: "default-password-accepted",
    title: "default passwords, servers",
    finding: "It accepted a default user name and password ({_products}).",
    action: "{devices} accepted a default password",
    remedy: "Delete the default account or change its password, then look for what was done with it.",
    why: "Whoever knows the product's manual can read and command every device behind this server.",
    references: &["CWE-1392", "ATT&CK for ICS T1694.001", "ETSI EN 303 645 5.1-1"],
};

/// A server that accepts clients without a name.
pub static ANONYMOUS: CheckSpec = CheckSpec {
    id: "anonymous-accepted",
    title: "clients without a user name",
    finding: "It accepts clients without user name and password; {clients} did so.",
    action: "{devices} accepts anonymous clients, {clients} did",
    remedy: "Turn anonymous access off (in Mosquitto: allow_anonymous false) once every client has a user name.",
    why: "Anybody who reaches the server can read all messages and command the devices.",
    references: &["CWE-306", "ATT&CK for ICS T0886", "ETSI EN 303 645 5.5-5"],
};

/// A secret that crosses the wire unprotected.
pub static CLEARTEXT: CheckSpec = CheckSpec {
    id: "secret-in-clear-text",
    title: "secrets in clear text",
    finding: "It sent its password or token to {server} in clear text.",
    action: "{devices} sent passwords to {server} in clear text",
    remedy: "Let the clients connect over TLS (for MQTT: port 8883), then change the passwords: they have been readable.",
    why: "Whoever sees the traffic once has the password for good.",
    references: &["CWE-319", "ETSI EN 303 645 5.5-1"],
};

/// A known identity of a pre-shared key.
pub static KNOWN_PSK_IDENTITY: CheckSpec = CheckSpec {
    id: "known-psk-identity",
    title: "pre-shared key identities",
    finding: "It uses the key identity of {origin}; its key may be the published one too.",
    action: "{devices} may use the published key of {origin}",
    remedy: "Check the key in the device's configuration; if it is the example's, replace identity and key.",
    why: "Examples are copied into products together with their keys, which anybody can look up.",
    references: &["CWE-798", "ETSI EN 303 645 5.4-3"],
};

/// A certificate whose private key is public.
pub static PUBLISHED_CERTIFICATE: CheckSpec = CheckSpec {
    id: "published-certificate-key",
    title: "keys of certificates",
    finding: "The private key of its certificate is public ({origin}).",
    action: "{devices} use a certificate whose private key is public ({origin})",
    remedy: "Replace certificate and key by ones made on the device or by your own authority.",
    why: "Whoever has the private key can pose as the device and read along.",
    references: &["CWE-321", "ETSI EN 303 645 5.4-3"],
};

/// A session or account without security.
pub static NO_SECURITY: CheckSpec = CheckSpec {
    id: "no-security-mode",
    title: "management without security",
    finding: "It is managed without authentication and encryption.",
    action: "{devices} are managed without authentication and encryption",
    remedy: "Give the device a pre-shared key or certificate of its own and switch its server account to it.",
    why: "Anybody on the path can take the device over, change its server or its firmware.",
    references: &["CWE-306", "CWE-319", "ETSI EN 303 645 5.5-5"],
};
