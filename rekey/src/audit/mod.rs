//! The audit log: what was done, when, for whom, and by whose approval; append-only, chained and signed. Secrets never stand in it, only
//! fingerprints under the sealing key.
//!
//! The file is JSON Lines. A line is
//!
//! ```text
//! {"n":12,"at":"2026-11-28T03:10:00Z","event":"accepted","slot":"mosquitto/dev1",...,"prev":"<64 hex>","hash":"<64 hex>"}
//! hash = SHA-256("citytap-rekey audit line 1", a zero byte, the bytes of the line before `,"hash":`)
//! ```
//!
//! `prev` is the hash of the line before, so an edit, a cut or a move inside breaks the chain at a line that [`verify`] names. Whoever can
//! write the file could make a new chain; so each flush ends in a *checkpoint*, a line of event `checkpoint` that carries an Ed25519
//! signature over number and hash of the line before it. A cut at the end leaves a good chain: it is found by a checkpoint that was kept
//! elsewhere (`citytap-rekey audit checkpoint` writes one to carry away), as with the signed tree heads of RFC 9162.

mod log;
mod verify;

pub use log::{AuditError, Log};
pub use verify::{Broken, Checkpoint, Verified, verify};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The hash that the first line follows.
pub const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Name of the lines that are signed.
pub const CHECKPOINT: &str = "checkpoint";

/// Longest line that is written or read: an event has a dozen short fields.
pub const MAX_LINE: usize = 64 << 10;

/// Something that was done, with what is to be known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    what: &'static str,
    fields: Map<String, Value>,
}

impl Event {
    /// An event of this name, in a word or two joined by `_`.
    pub fn new(what: &'static str) -> Self {
        Self { what, fields: Map::new() }
    }

    /// With a field. Texts are shortened to 2000 characters; a [`crate::secrets::Secret`] does not fit here.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = match value.into() {
            Value::String(text) if text.chars().count() > 2000 => Value::String(text.chars().take(2000).collect()),
            value => value,
        };
        // The chain's own names cannot be taken.
        let is_ours = ["n", "at", "event", "prev", "hash"].contains(&name);
        self.fields.insert(if is_ours { format!("{name}_") } else { name.to_owned() }, value);
        self
    }

    /// Its name.
    pub fn what(&self) -> &'static str {
        self.what
    }
}

/// The bytes that a checkpoint's signature is over.
fn signed(log: &str, n: u64, hash: &str) -> Vec<u8> {
    format!("{{\"kind\":\"citytap-rekey.checkpoint\",\"log\":\"{log}\",\"n\":{n},\"hash\":\"{hash}\"}}").into_bytes()
}

fn hash_of(body: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"citytap-rekey audit line 1\0");
    hash.update(body);
    crate::secrets::sealing::hex(&hash.finalize())
}

#[cfg(test)]
mod tests;
