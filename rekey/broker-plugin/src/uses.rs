//! Tells which generation a login used: one datagram a login of a user whom the accept-set names, on a Unix socket that `citytap-rekey` listens on.
//!
//! Holds no password, no client identifier (some hold tokens) and no payload. Sending never waits. Where nobody listens or the socket is full, the latest use of
//! each user and generation is kept and told as soon as somebody listens again; older ones make way, and what does not fit is counted.

use serde::{Deserialize, Serialize};

/// The generation of a login with a password that is none of the staged ones. It may be the old one, so it counts as a use of it.
pub const OTHER: u32 = 0;
/// Bytes of the longest datagram: a user name of MQTT has at most 65,535 bytes, but one that long is not a device's.
pub const MAX_DATAGRAM: usize = 4096;

/// One login that a verifier saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The user name.
    pub user: String,
    /// The generation whose password was used, or [`OTHER`].
    pub generation: u32,
    /// Nanoseconds since the Unix epoch, by the broker's host.
    pub at: i64,
    /// When the verifier started, nanoseconds since the Unix epoch: with `login` it tells two logins apart, over restarts too.
    pub started: i64,
    /// Counts the logins of staged users, from 1.
    pub login: u64,
    /// The client published after this login: the whole way works, and a login with [`OTHER`] was accepted by whoever was asked next.
    #[serde(default)]
    pub data: bool,
    /// The client's address, where the broker knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Uses that are told to nobody and kept nowhere, since the verifier started.
    #[serde(default)]
    pub dropped: u64,
}

impl Told {
    /// One line of JSON.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a datagram; `None` for what is not one.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        serde_json::from_slice(datagram).ok()
    }
}
