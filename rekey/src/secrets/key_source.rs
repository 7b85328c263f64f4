//! Where the sealing key comes from. It never stands in the module's own folder, so that whoever copies the folder has nothing.
//!
//! - `file:PATH`: a file that its owner alone may read (mode 0600 or 0400). The first key in it seals, further ones still open.
//! - `systemd:NAME`: a credential of the unit (`LoadCredentialEncrypted=NAME:...`), read from `$CREDENTIALS_DIRECTORY`; the same format. This is
//!   also how a TPM is used: `systemd-creds encrypt --with-key=tpm2` binds the credential to the machine's TPM, and systemd opens it
//!   when the unit starts. This program does not speak to the TPM itself.
//! - `passphrase`: typed at the terminal, or read from a file descriptor (`passphrase:fd=3`), never from the command line or the
//!   environment, where other processes read it. Argon2id (RFC 9106) makes the key.
//!
//! The file is text: a first line [`HEAD`], then one line of 64 hexadecimal digits for each key.

use super::derived::{self, MASTER_BYTES, Master};
use super::sealing::Keyring;
use argon2::{Algorithm, Argon2, Params, Version};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zeroize::{Zeroize, Zeroizing};

/// First line of a key file.
pub const HEAD: &str = "citytap-rekey sealing key 1";

/// Keys in one file: one that seals, and those before it whose secrets were not sealed anew yet.
pub const MAX_KEYS: usize = 8;

/// Longest key file or passphrase that is read.
const MAX_BYTES: u64 = 4096;

/// Shortest passphrase: it alone keeps whoever has the disk from every secret.
pub const MIN_PASSPHRASE: usize = 16;

/// Argon2id as RFC 9106 §4 advises where memory is scarce: 64 MiB, 3 passes, 4 lanes.
const ARGON2: (u32, u32, u32) = (64 << 10, 3, 4);

/// Where the key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A credential of systemd's.
    Systemd(String),
    /// A passphrase from the terminal, or from this file descriptor.
    Passphrase(Option<u32>),
}

/// Why there is no sealing key, and what to do. It never quotes what it read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// What was typed names no source.
    #[error(
        "'{0}' says no source of the sealing key; write file:/etc/citytap-rekey/sealing.key, systemd:sealing-key, passphrase or passphrase:fd=3"
    )]
    NoSource(String),
    /// It cannot be read.
    #[error("the sealing key {place} cannot be read ({why}); {remedy}")]
    Unreadable {
        /// Which file.
        place: String,
        /// What the system says.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Others may read it.
    #[error(
        "the sealing key {place} may be read by others (mode {mode:04o}): chmod 600 it, and replace the key if anybody may have read it"
    )]
    Open {
        /// Which file.
        place: String,
        /// Its mode.
        mode: u32,
    },
    /// It is no key file.
    #[error("{place} is no sealing key ({why}); `citytap-rekey sealing make --file PATH` makes one")]
    NoKey {
        /// Which file.
        place: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A passphrase that does not do.
    #[error("{0}")]
    Passphrase(String),
    /// It cannot be written.
    #[error("{place} cannot be written ({why}); nothing was changed")]
    Unwritable {
        /// Which file.
        place: String,
        /// What the system says.
        why: String,
    },
}

impl FromStr for KeySource {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let no = || KeyError::NoSource(text.chars().take(80).collect());
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("systemd", name)) if !name.is_empty() && !name.contains('/') => Ok(Self::Systemd(name.into())),
            Some(("passphrase", fd)) => {
                let fd = fd.strip_prefix("fd=").and_then(|fd| fd.parse().ok()).ok_or_else(no)?;
                Ok(Self::Passphrase(Some(fd)))
            }
            None if text == "passphrase" => Ok(Self::Passphrase(None)),
            _ => Err(no()),
        }
    }
}

impl KeySource {
    /// Reads the keys. `folder`: the module's own, where a passphrase's salt and the check of it lie.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub fn open(&self, folder: &Path) -> Result<Keyring, KeyError> {
        match self {
            Self::File(path) => read_file(path, true),
            Self::Systemd(name) => read_file(&credential(name)?, false),
            Self::Passphrase(fd) => {
                let salt = Salt::read(folder)?;
                let typed = read_passphrase(*fd, "Passphrase of the sealing key: ")?;
                let master = salt.master(&typed)?;
                if salt.check(&master) != salt.check {
                    return Err(KeyError::Passphrase("that is not the passphrase; nothing was opened".into()));
                }
                Ok(Keyring::new(&master, &[]))
            }
        }
    }

    /// In words, for `doctor`.
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => format!("the file {}", path.display()),
            Self::Systemd(name) => format!("the systemd credential {name} (bound to the TPM where systemd-creds did so)"),
            Self::Passphrase(_) => "a passphrase".into(),
        }
    }
}

fn credential(name: &str) -> Result<PathBuf, KeyError> {
    let unreadable = |why: &str| KeyError::Unreadable {
        place: format!("systemd:{name}"),
        why: why.to_owned(),
        remedy: "start it as a unit with LoadCredentialEncrypted=, as in deploy/citytap-rekey.service",
    };
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
    let folder = folder.ok_or_else(|| unreadable("systemd passed no credentials to this process"))?;
    Ok(Path::new(&folder).join(name))
}

fn read_file(path: &Path, is_ours: bool) -> Result<Keyring, KeyError> {
    let place = path.display().to_string();
    let unreadable = |error: std::io::Error| KeyError::Unreadable {
        place: place.clone(),
        why: error.to_string(),
        remedy: "check the name and who you are, or make one with `citytap-rekey sealing make --file PATH`",
    };
    let file = File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    // systemd's credentials lie in a folder of the unit's alone and have its modes.
    if is_ours && meta.mode() & 0o077 != 0 {
        return Err(KeyError::Open { place, mode: meta.mode() & 0o7777 });
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    let masters = parse(&text).map_err(|why| KeyError::NoKey { place, why })?;
    let (current, older) =
        masters.split_first().ok_or(KeyError::NoKey { place: path.display().to_string(), why: "it holds no key" })?;
    Ok(Keyring::new(current, older))
}

fn parse(text: &str) -> Result<Vec<Master>, &'static str> {
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some(HEAD) {
        return Err("its first line is not the one of a sealing key");
    }
    let mut masters = Vec::new();
    for line in lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if masters.len() >= MAX_KEYS {
            return Err("it holds too many keys; remove those at the end after `citytap-rekey sealing rotate`");
        }
        masters.push(master_of(line).ok_or("a line of it is not 64 hexadecimal digits")?);
    }
    Ok(masters)
}

fn master_of(line: &str) -> Option<Master> {
    let mut bytes = Zeroizing::new([0; MASTER_BYTES]);
    if line.len() != 2 * MASTER_BYTES {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    for (byte, pair) in bytes.iter_mut().zip(line.as_bytes().as_chunks::<2>().0) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(Master::new(*bytes))
}

/// Makes a new key in a file: of its own, or in front of those in it, which stay readable until everything was sealed anew.
///
/// # Errors
/// Where the file cannot be read or written, or there is no randomness.
pub fn make_in_file(path: &Path) -> Result<(), KeyError> {
    let place = path.display().to_string();
    let unwritable = |why: String| KeyError::Unwritable { place: place.clone(), why };
    let mut older = Zeroizing::new(String::new());
    if path.exists() {
        let keys = read_text(path)?;
        parse(&keys).map_err(|why| KeyError::NoKey { place: place.clone(), why })?;
        keys.lines().skip(1).filter(|line| !line.trim().is_empty()).for_each(|line| {
            older.push_str(line);
            older.push('\n');
        });
    }
    let mut bytes = Zeroizing::new([0; MASTER_BYTES]);
    getrandom::fill(bytes.as_mut()).map_err(|error| unwritable(error.to_string()))?;
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
    text.push_str(HEAD);
    text.push('\n');
    push_hex(&mut text, Master::new(*bytes).expose());
    text.push('\n');
    text.push_str(&older);
    write_private(path, text.as_bytes()).map_err(|error| unwritable(error.to_string()))
}

/// Removes all keys but the first from a file, after everything was sealed anew.
///
/// # Errors
/// Where the file cannot be read or written.
pub fn keep_first_in_file(path: &Path) -> Result<(), KeyError> {
    let text = read_text(path)?;
    let place = path.display().to_string();
    parse(&text).map_err(|why| KeyError::NoKey { place: place.clone(), why })?;
    let is_key = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let mut kept = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
    text.lines().filter(is_key).take(2).for_each(|line| {
        kept.push_str(line.trim());
        kept.push('\n');
    });
    write_private(path, kept.as_bytes()).map_err(|error| KeyError::Unwritable { place, why: error.to_string() })
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.map_err(|error| KeyError::Unreadable {
        place: path.display().to_string(),
        why: error.to_string(),
        remedy: "check the name and who you are",
    })?;
    Ok(text)
}

/// Writes a file that its owner alone may read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().for_each(|byte| text.extend([digit(byte >> 4), digit(byte & 0x0f)]));
}

/// What stands beside a passphrase's secrets: nothing of it is secret.
#[derive(Serialize, Deserialize)]
struct Salt {
    salt: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// Tells a mistyped passphrase; as hard to guess from as anything that was sealed.
    check: String,
}

const SALT_FILE: &str = "passphrase.json";

impl Salt {
    fn read(folder: &Path) -> Result<Self, KeyError> {
        let path = folder.join(SALT_FILE);
        let unreadable = |why: String| KeyError::Unreadable {
            place: path.display().to_string(),
            why,
            remedy: "set a passphrase first: `citytap-rekey sealing make --passphrase`",
        };
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
        let salt: Self = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        // Whoever can write the file must not make us take all memory.
        let is_sane = salt.memory_kib <= 1 << 20 && salt.passes <= 64 && salt.lanes <= 64;
        if is_sane { Ok(salt) } else { Err(unreadable("its costs are beyond reason".into())) }
    }

    fn master(&self, typed: &str) -> Result<Master, KeyError> {
        let wrong =
            |error: argon2::Error| KeyError::Passphrase(format!("the passphrase cannot be used ({error}); see {SALT_FILE}"));
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(MASTER_BYTES)).map_err(wrong)?;
        let mut bytes = Zeroizing::new([0; MASTER_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(typed.as_bytes(), self.salt.as_bytes(), bytes.as_mut())
            .map_err(wrong)?;
        Ok(Master::new(*bytes))
    }

    fn check(&self, master: &Master) -> String {
        let check = derived::key(master, "passphrase check");
        super::sealing::hex(check.first_chunk::<8>().map_or(&[], |first| first.as_slice()))
    }
}

/// Sets the passphrase of a folder that has none yet, read from the terminal (twice) or from a file descriptor.
///
/// # Errors
/// Where one is set, it is too short, the two differ, or the folder cannot be written.
pub fn make_passphrase(folder: &Path, fd: Option<u32>) -> Result<(), KeyError> {
    let path = folder.join(SALT_FILE);
    if path.exists() {
        return Err(KeyError::Passphrase(format!(
            "{} is there already: a passphrase is set; nothing was changed",
            path.display()
        )));
    }
    let typed = read_passphrase(fd, "New passphrase of the sealing key: ")?;
    if typed.chars().count() < MIN_PASSPHRASE {
        return Err(KeyError::Passphrase(format!(
            "a passphrase has at least {MIN_PASSPHRASE} characters; five words that do not belong together do"
        )));
    }
    if fd.is_none() && *read_passphrase(None, "Once more: ")? != *typed {
        return Err(KeyError::Passphrase("the two differ; nothing was changed".into()));
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| KeyError::Passphrase(format!("there is no randomness: {error}")))?;
    let (memory_kib, passes, lanes) = ARGON2;
    let mut salt = Salt { salt: super::sealing::hex(&random), memory_kib, passes, lanes, check: String::new() };
    salt.check = salt.check(&salt.master(&typed)?);
    let text = serde_json::to_string_pretty(&salt).unwrap_or_default();
    write_private(&path, text.as_bytes())
        .map_err(|error| KeyError::Unwritable { place: path.display().to_string(), why: error.to_string() })
}

/// Reads one line from a file descriptor, or from the terminal without showing it.
pub(crate) fn read_passphrase(fd: Option<u32>, prompt: &str) -> Result<Zeroizing<String>, KeyError> {
    let failed = |error: std::io::Error| KeyError::Passphrase(format!("no passphrase could be read: {error}"));
    let Some(fd) = fd else { return ask(prompt) };
    // Opening the descriptor's own name needs no ownership of what somebody else opened.
    let file = File::open(format!("/proc/self/fd/{fd}")).map_err(failed)?;
    line(BufReader::new(file)).map_err(failed)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, KeyError> {
    let none = |_| KeyError::Passphrase("there is no terminal to ask at; use passphrase:fd=N and open N in the shell".into());
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(none)?;
    let failed = |error: std::io::Error| KeyError::Passphrase(format!("the terminal does not answer: {error}"));
    terminal.write_all(prompt.as_bytes()).map_err(failed)?;
    let before = tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO;
    tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|error| failed(error.into()))?;
    let typed = line(BufReader::new(&terminal));
    // Whatever was typed, the terminal shows again what comes next.
    let restored = tcsetattr(&terminal, OptionalActions::Now, &before);
    let _ = (&terminal).write_all(b"\n");
    restored.map_err(|error| failed(error.into()))?;
    typed.map_err(failed)
}

fn line(reader: impl BufRead) -> std::io::Result<Zeroizing<String>> {
    let mut typed = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
    reader.take(MAX_BYTES).read_line(&mut typed)?;
    while typed.ends_with(['\n', '\r']) {
        typed.pop();
    }
    if typed.is_empty() {
        typed.zeroize();
        return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "nothing was typed"));
    }
    Ok(typed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::{Bound, Secret};
    use crate::slot::{Generation, RotationId, Slot};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_made_private_and_rotated_in_front_of_the_old_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        make_in_file(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let source: KeySource = format!("file:{}", path.display()).parse().unwrap();
        let slot = Slot::new("mosquitto", "dev1").unwrap();
        let bound = Bound { slot: &slot, generation: Generation(1), rotation: RotationId(0) };
        let first = source.open(folder.path()).unwrap();
        let sealed = first.seal(&Secret::new(b"x".to_vec()), bound).unwrap();

        make_in_file(&path).unwrap();
        let both = source.open(folder.path()).unwrap();
        assert_ne!(first.id(), both.id());
        let resealed = both.reseal(&sealed, bound).unwrap().unwrap();
        keep_first_in_file(&path).unwrap();
        let last = source.open(folder.path()).unwrap();
        assert_eq!(last.id(), both.id());
        assert!(last.open(&resealed, bound).is_ok() && last.open(&sealed, bound).is_err());
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        make_in_file(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let source = KeySource::File(path.clone());
        let error = source.open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("mode 0640") && error.contains("chmod 600"), "{error}");
        for text in ["planted-secret\n".into(), format!("{HEAD}\nplanted-secret\n"), format!("{HEAD}\n")] {
            write_private(&path, text.as_bytes()).unwrap();
            let error = source.open(folder.path()).err().unwrap().to_string();
            assert!(error.contains("no sealing key") && !error.contains("planted"), "{error}");
        }
        assert!("vault:x".parse::<KeySource>().is_err() && "systemd:../x".parse::<KeySource>().is_err());
    }

    #[test]
    fn a_passphrase_comes_from_a_descriptor_and_a_wrong_one_opens_nothing() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let typed = |text: &str| {
            let path = folder.path().join("typed");
            std::fs::write(&path, text).unwrap();
            let file = File::open(&path).unwrap();
            let fd = u32::try_from(file.as_raw_fd()).unwrap();
            (file, fd)
        };
        let (_short, fd) = typed("too short\n");
        assert!(make_passphrase(folder.path(), Some(fd)).is_err());
        let (_file, fd) = typed("correct horse battery staple\n");
        make_passphrase(folder.path(), Some(fd)).unwrap();
        assert!(make_passphrase(folder.path(), Some(fd)).unwrap_err().to_string().contains("already"));
        let kept = std::fs::read_to_string(folder.path().join(SALT_FILE)).unwrap();
        assert!(!kept.contains("horse"));
        let id = KeySource::Passphrase(Some(fd)).open(folder.path()).unwrap().id();
        assert_eq!(KeySource::Passphrase(Some(fd)).open(folder.path()).unwrap().id(), id);
        let (_wrong, fd) = typed("incorrect horse battery staple\n");
        assert!(KeySource::Passphrase(Some(fd)).open(folder.path()).err().unwrap().to_string().contains("not the passphrase"));
    }
}
