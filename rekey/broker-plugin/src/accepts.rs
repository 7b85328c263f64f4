//! The accept-set file: what `citytap-rekey` writes and the verifiers (the broker plugin, the HTTP verifier) read. Digests in, "generation N" out.
//!
//! One JSON object a line, for an operator's eyes and `grep`; the last line counts the others, so that a file cut short is told from a short file.
//!
//! ```text
//! {"user":"lamp-17","generation":2,"iterations":101,"salt":"…","digest":"…"}
//! {"lines":1}
//! ```
//!
//! The digest is PBKDF2-HMAC-SHA512 with 64 bytes out, as in Mosquitto's own files. Left out: writing it safely (the writer's), and any secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::Sha512;
use std::collections::BTreeMap;

/// Rounds of PBKDF2 for what we write. As many as Mosquitto's own: the broker is one thread, and after an outage ten thousand devices log in at once.
/// Generated passwords have 96 bits and more, which no number of rounds could improve on.
pub const ITERATIONS: u32 = 101;
/// The most rounds that a line may ask for: a second of the broker's time for each login would be an outage of our making.
pub const MAX_ITERATIONS: u32 = 20_000;
/// The most generations of one user; a rotation holds two, a held one a few more.
pub const MAX_GENERATIONS: usize = 8;
/// Bytes of salt that we write.
pub const SALT_BYTES: usize = 16;
/// Bytes of digest.
pub const DIGEST_BYTES: usize = 64;

/// One credential that a verifier accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The user name of the CONNECT.
    pub user: String,
    /// Which generation of the user's credential this is, from 1.
    pub generation: u32,
    /// Rounds of PBKDF2-HMAC-SHA512, at most [`MAX_ITERATIONS`].
    pub iterations: u32,
    /// The salt, base64.
    pub salt: String,
    /// The digest, [`DIGEST_BYTES`] bytes in base64.
    pub digest: String,
    /// The client identifier that must be used with it, where the broker's own entry asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Last {
    lines: usize,
}

impl Entry {
    /// The entry for a password, with a salt of [`SALT_BYTES`] random bytes from the caller.
    pub fn new(user: &str, generation: u32, password: &[u8], salt: &[u8]) -> Self {
        let digest = digest(password, salt, ITERATIONS);
        let (salt, digest) = (STANDARD.encode(salt), STANDARD.encode(digest));
        Self { user: user.to_owned(), generation, iterations: ITERATIONS, salt, digest, client_id: None }
    }

    /// Whether this is the digest of that password. Takes as long for a wrong one as for the right one.
    pub fn is_of(&self, password: &[u8]) -> bool {
        let (Ok(salt), Ok(wanted)) = (STANDARD.decode(&self.salt), STANDARD.decode(&self.digest)) else { return false };
        let found = digest(password, &salt, self.iterations);
        wanted.len() == DIGEST_BYTES && wanted.iter().zip(found).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }

    fn fault(&self) -> Option<&'static str> {
        let is_digest = STANDARD.decode(&self.digest).is_ok_and(|digest| digest.len() == DIGEST_BYTES);
        let is_salt = STANDARD.decode(&self.salt).is_ok_and(|salt| !salt.is_empty());
        match self {
            _ if self.user.is_empty() => Some("no user name"),
            _ if self.iterations == 0 || self.iterations > MAX_ITERATIONS => Some("a number of iterations out of bounds"),
            _ if !is_digest => Some("a digest that is not 64 bytes of base64"),
            _ if !is_salt => Some("a salt that is not base64"),
            _ => None,
        }
    }
}

/// PBKDF2-HMAC-SHA512 (RFC 8018 §5.2) with 64 bytes out.
pub fn digest(password: &[u8], salt: &[u8], iterations: u32) -> [u8; DIGEST_BYTES] {
    pbkdf2::pbkdf2_hmac_array::<Sha512, DIGEST_BYTES>(password, salt, iterations)
}

/// What a verifier accepts now, by user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepts {
    users: BTreeMap<String, Vec<Entry>>,
}

/// What a login is to an accept-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The password of this generation.
    Generation(u32),
    /// A user whom we know, with a password that we do not: somebody else may know it.
    Other,
    /// Not a user of ours.
    Unknown,
}

impl Accepts {
    /// Reads a whole file. One bad line makes all of it bad, since half an accept-set locks devices out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines: Vec<&str> = text.lines().collect();
        let last = lines.pop().and_then(|line| serde_json::from_str::<Last>(line).ok());
        let last = last.ok_or("it does not end with the number of its lines: cut short, or not an accept-set file")?;
        if last.lines != lines.len() {
            return Err(format!("it has {} lines and says {}: cut short", lines.len(), last.lines));
        }
        let mut accepts = Self::default();
        for (line, number) in lines.into_iter().zip(1..) {
            // The parser's words could quote the line; where it stands is enough.
            let entry: Entry = serde_json::from_str(line).map_err(|_| format!("line {number} is not an entry"))?;
            if let Some(fault) = entry.fault() {
                return Err(format!("line {number} has {fault}"));
            }
            accepts.insert(entry).map_err(|why| format!("line {number}: {why}"))?;
        }
        Ok(accepts)
    }

    /// The file's text, sorted by user and generation.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for entry in self.entries() {
            text.push_str(&serde_json::to_string(entry).unwrap_or_default());
            text.push('\n');
        }
        let last = Last { lines: self.entries().count() };
        text + &serde_json::to_string(&last).unwrap_or_default() + "\n"
    }

    /// Adds an entry or replaces the one of the same user and generation; refused beyond [`MAX_GENERATIONS`].
    pub fn insert(&mut self, entry: Entry) -> Result<(), String> {
        let entries = self.users.entry(entry.user.clone()).or_default();
        match entries.binary_search_by_key(&entry.generation, |entry| entry.generation) {
            Ok(at) => entries[at] = entry,
            Err(_) if entries.len() >= MAX_GENERATIONS => {
                return Err(format!("more than {MAX_GENERATIONS} generations of one user; retire some first"));
            }
            Err(at) => entries.insert(at, entry),
        }
        Ok(())
    }

    /// Takes a generation out; whether it was in.
    pub fn remove(&mut self, user: &str, generation: u32) -> bool {
        let Some(entries) = self.users.get_mut(user) else { return false };
        let before = entries.len();
        entries.retain(|entry| entry.generation != generation);
        let removed = entries.len() < before;
        if entries.is_empty() {
            self.users.remove(user);
        }
        removed
    }

    /// All entries, by user and generation.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.users.values().flatten()
    }

    /// A user's entries, by generation.
    pub fn of(&self, user: &str) -> &[Entry] {
        self.users.get(user).map_or(&[], Vec::as_slice)
    }

    /// Which generation a login used. All of the user's digests are computed, so the time taken does not tell which one matched.
    pub fn judge(&self, user: &str, password: &[u8], client_id: Option<&str>) -> Judgement {
        let entries = self.of(user);
        let is_client = |entry: &Entry| entry.client_id.as_deref().is_none_or(|wanted| client_id == Some(wanted));
        let matched = entries.iter().filter(|entry| entry.is_of(password) && is_client(entry));
        match matched.map(|entry| entry.generation).max() {
            Some(generation) => Judgement::Generation(generation),
            None if entries.is_empty() => Judgement::Unknown,
            None => Judgement::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> Accepts {
        let mut accepts = Accepts::default();
        for (user, generation, password) in [("lamp", 1, "admin"), ("lamp", 2, "kTq8"), ("a\tb", 1, "x")] {
            accepts.insert(Entry::new(user, generation, password.as_bytes(), &[7; SALT_BYTES])).expect("room");
        }
        accepts
    }

    #[test]
    fn both_generations_are_told_apart() {
        assert_eq!(set().judge("lamp", b"admin", None), Judgement::Generation(1));
        assert_eq!(set().judge("lamp", b"kTq8", None), Judgement::Generation(2));
        assert_eq!(set().judge("lamp", b"wrong", None), Judgement::Other);
        assert_eq!(set().judge("nobody", b"admin", None), Judgement::Unknown);
    }

    #[test]
    fn the_digest_is_pbkdf2_hmac_sha512() {
        // Python: hashlib.pbkdf2_hmac("sha512", b"password", b"salt", 101, 64)
        assert_eq!(digest(b"password", b"salt", 101)[..8], [0x08, 0x99, 0xb1, 0xf8, 0xf1, 0x2c, 0xd1, 0x57]);
    }

    #[test]
    fn text_goes_round_and_holds_no_password() {
        let text = set().to_text();
        assert_eq!(Accepts::parse(&text), Ok(set()));
        assert!(!text.contains("admin") && !text.contains("kTq8"), "{text}");
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let text = set().to_text();
        for end in 0..text.len() - 1 {
            assert!(Accepts::parse(&text[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_bound_client_identifier_must_be_used() {
        let mut accepts = Accepts::default();
        let entry = Entry { client_id: Some("c1".into()), ..Entry::new("lamp", 2, b"p", &[1; SALT_BYTES]) };
        accepts.insert(entry).expect("room");
        assert_eq!(accepts.judge("lamp", b"p", Some("c1")), Judgement::Generation(2));
        assert_eq!(accepts.judge("lamp", b"p", Some("c2")), Judgement::Other);
        assert_eq!(accepts.judge("lamp", b"p", None), Judgement::Other);
    }

    #[test]
    fn bounds_are_kept() {
        let mut accepts = Accepts::default();
        for generation in 0..MAX_GENERATIONS as u32 {
            accepts.insert(Entry::new("lamp", generation, b"p", &[1])).expect("room");
        }
        accepts.insert(Entry::new("lamp", 0, b"q", &[1])).expect("replaces");
        assert!(accepts.insert(Entry::new("lamp", 99, b"p", &[1])).is_err());
        let slow = Entry { iterations: MAX_ITERATIONS + 1, ..Entry::new("lamp", 1, b"p", &[1]) };
        let text = format!("{}\n{{\"lines\":1}}\n", serde_json::to_string(&slow).expect("JSON"));
        assert!(Accepts::parse(&text).is_err_and(|why| why.contains("iterations")));
    }
}
