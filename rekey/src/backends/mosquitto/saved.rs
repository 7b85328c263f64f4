//! dynamic-security.json, as the broker keeps it: which generation it holds for a user, and whether a change really reached the disk.
//!
//! Mosquitto 2.0.11 to 2.0.15 write it in place (a crash leaves half of it, and the broker then refuses **every** client), and answer "success" even where
//! nothing was saved. So a copy is taken before each change, and after it the file must be whole and different; half a file is replaced by the copy.

use super::files;
use crate::backends::Refusal;
use crate::secrets::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256, Sha512};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the broker may take to write the file after it answered.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);
/// The most rounds that are computed for one look at the file.
const MAX_ITERATIONS: u32 = 1_000_000;
/// The copy's ending.
pub const COPY: &str = "citytap-copy";

/// The file, and the copy beside it that was whole.
#[derive(Clone, Debug)]
pub struct Saved {
    path: PathBuf,
}

/// What the file said at one time.
pub struct Contents {
    hash: [u8; 32],
    clients: Vec<StoredClient>,
}

/// One client as stored. The digest stays inside: a weak password could be guessed from it.
#[derive(Deserialize)]
struct StoredClient {
    username: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    salt: Option<String>,
    #[serde(default)]
    iterations: u32,
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize)]
struct Document {
    clients: Vec<StoredClient>,
}

impl Saved {
    /// The broker's file at `path` (its `plugin_opt_config_file`).
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// What it says now.
    ///
    /// # Errors
    /// It is not there, not readable, or not whole.
    pub fn read(&self) -> Result<Contents, Refusal> {
        let bytes = files::read(&self.path)?;
        parse(&bytes).ok_or_else(|| {
            let cause = format!(
                "{} is not whole ({} bytes): at its next start the broker would refuse every client",
                self.path.display(),
                bytes.len()
            );
            let remedy = format!("the last whole one is {}; put it back while the broker is stopped", self.copy().display());
            Refusal::new(cause, remedy)
        })
    }

    /// Takes the copy, from a file that is whole; half a file is first replaced by the last copy, and that is told.
    ///
    /// # Errors
    /// The file was not whole (it was restored, where there was a copy); the folder cannot be written.
    pub fn before_change(&self) -> Result<Contents, Refusal> {
        match self.read() {
            Ok(contents) => {
                self.take_copy()?;
                Ok(contents)
            }
            Err(broken) => Err(self.restore(broken)),
        }
    }

    /// Waits until the file is whole and no longer what it was, and copies it. `wanted` says what must be in it.
    ///
    /// # Errors
    /// It is still the same, or not whole (it was then restored).
    pub fn after_change(&self, before: &Contents, wanted: impl Fn(&Contents) -> bool) -> Result<Contents, Refusal> {
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            let found = self.read();
            if let Ok(contents) = &found
                && contents.hash != before.hash
                && wanted(contents)
            {
                self.take_copy()?;
                return found;
            }
            if Instant::now() < until {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            return Err(match found {
                Err(broken) => self.restore(broken),
                Ok(_) => Refusal::new(
                    format!("the broker said it saved, but {} does not hold the change", self.path.display()),
                    "let the broker's user write that folder (from 2.0.16 on it makes a new file there), then run again",
                ),
            });
        }
    }

    /// Puts the copy in the place of half a file, and says so.
    fn restore(&self, broken: Refusal) -> Refusal {
        let copy = files::read(&self.copy()).unwrap_or_default();
        if parse(&copy).is_none() {
            return Refusal::new(
                broken.cause,
                "there is no copy to restore it from: stop the broker and restore it from your own backup",
            );
        }
        match files::replace(&self.path, &copy, 0o600) {
            Ok(()) => {
                let cause = format!("{}; it was restored from {}", broken.cause, self.copy().display());
                Refusal::new(cause, "restart the broker if it refuses clients: it reads the file only when it starts")
            }
            Err(refusal) => refusal,
        }
    }

    fn take_copy(&self) -> Result<(), Refusal> {
        let bytes = files::read(&self.path)?;
        if parse(&bytes).is_none() || files::read(&self.copy())? == bytes {
            return Ok(());
        }
        files::replace(&self.copy(), &bytes, 0o600)
    }

    /// Where the copy is.
    pub fn copy(&self) -> PathBuf {
        files::beside(&self.path, COPY)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Contents {
    /// Whether there is such a user, let in or not.
    pub fn has(&self, username: &str) -> bool {
        self.of(username).is_some()
    }

    /// Whether there is such a user and it is let in.
    pub fn lets_in(&self, username: &str) -> bool {
        self.of(username).is_some_and(|client| !client.disabled)
    }

    /// Whether this is the user's password.
    pub fn holds(&self, username: &str, password: &Secret) -> bool {
        let digest = || {
            let client = self.of(username)?;
            let salt = STANDARD.decode(client.salt.as_ref()?).ok()?;
            let wanted = STANDARD.decode(client.password.as_ref()?).ok()?;
            Some((salt, wanted, client.iterations.clamp(1, MAX_ITERATIONS)))
        };
        digest().is_some_and(|(salt, wanted, rounds)| {
            let mut found = vec![0; wanted.len()];
            pbkdf2::pbkdf2_hmac::<Sha512>(password.expose(), &salt, rounds, &mut found);
            !wanted.is_empty() && Secret::new(found).same(&wanted)
        })
    }

    /// All user names.
    pub fn usernames(&self) -> impl Iterator<Item = &str> {
        self.clients.iter().map(|client| client.username.as_str())
    }

    fn of(&self, username: &str) -> Option<&StoredClient> {
        self.clients.iter().find(|client| client.username == username)
    }
}

fn parse(bytes: &[u8]) -> Option<Contents> {
    let document: Document = serde_json::from_slice(bytes).ok()?;
    Some(Contents { hash: Sha256::digest(bytes).into(), clients: document.clients })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// PBKDF2-HMAC-SHA512 of "admin" with the salt "saltsaltsalt", 101 rounds, 64 bytes (Python's hashlib).
    const WHOLE: &str = r#"{"clients":[{"username":"dev1","password":"@HASH@","salt":"c2FsdHNhbHRzYWx0","iterations":101},{"username":"off","disabled":true}],"roles":[]}"#;

    fn whole() -> String {
        WHOLE.replace("@HASH@", HASH)
    }
    const HASH: &str = "heBPU5Jd86mIpdDAVfAD5iwHrZbigUmDlb7F9zo+urGEwrvlpiKglOko54yG7rqcEKdIlt8u4T98uN5MvPymWw==";

    fn place() -> (tempfile::TempDir, Saved) {
        let folder = tempfile::tempdir().expect("a folder");
        let saved = Saved::new(folder.path().join("dynamic-security.json"));
        fs::write(saved.path(), whole()).expect("written");
        (folder, saved)
    }

    #[test]
    fn the_stored_digest_is_recognised() {
        let (_folder, saved) = place();
        let contents = saved.read().expect("whole");
        assert!(contents.holds("dev1", &Secret::new(b"admin".to_vec())));
        assert!(!contents.holds("dev1", &Secret::new(b"Admin".to_vec())) && !contents.holds("off", &Secret::new(Vec::new())));
        assert!(contents.lets_in("dev1") && contents.has("off") && !contents.lets_in("off"));
    }

    #[test]
    fn a_file_cut_anywhere_is_restored_and_told() {
        let (_folder, saved) = place();
        saved.before_change().expect("whole");
        for length in [0, 1, 60, whole().len() - 1] {
            fs::write(saved.path(), &whole()[..length]).expect("written");
            let refusal = saved.before_change().err().expect("told");
            assert!(refusal.cause.contains("restored") && refusal.remedy.contains("restart"), "{refusal}");
            assert_eq!(fs::read_to_string(saved.path()).expect("read"), whole());
        }
    }

    #[test]
    fn a_change_that_was_not_saved_is_told() {
        let (_folder, saved) = place();
        let before = saved.before_change().expect("whole");
        fs::write(saved.path(), whole().replace("off", "dev2")).expect("written");
        assert!(saved.after_change(&before, |now| now.has("dev2")).is_ok());
        assert!(fs::read_to_string(saved.copy()).expect("a copy").contains("dev2"), "the copy follows a change that is proven");
    }
}
