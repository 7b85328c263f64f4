//! What citytap and citytap-rekey hand to each other is signed: Ed25519 signatures (RFC 8032) and their keys as files: PKCS #8 and SubjectPublicKeyInfo in PEM (RFC 8410, RFC 7468), so that
//! `openssl genpkey -algorithm ed25519` makes one and `openssl pkeyutl -verify -rawin` checks what we sign. [`mod@file`] is the form of signed
//! files.

pub mod file;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// What comes before the 32 bytes of a private key in DER: PKCS #8 version 0, id-Ed25519, an octet string in an octet string.
const PRIVATE: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// What comes before the 32 bytes of a public key in DER.
const PUBLIC: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// Longest key file that is read.
const MAX_BYTES: u64 = 4096;

/// Why a key cannot be used, and what to do. It never quotes what it read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// It cannot be read.
    #[error("the key {place} cannot be read ({why}); check the name and who you are, or make one with `keys make --out {place}`")]
    Unreadable {
        /// Which file.
        place: String,
        /// What the system says.
        why: String,
    },
    /// Others may read it.
    #[error(
        "the private key {place} may be read by others (mode {mode:04o}): chmod 600 it, and replace it if anybody may have read it"
    )]
    Open {
        /// Which file.
        place: String,
        /// Its mode.
        mode: u32,
    },
    /// It is something else.
    #[error("{place} is no Ed25519 {wanted} key in PEM; `keys make` or `openssl genpkey -algorithm ed25519` makes one")]
    NoKey {
        /// Which file.
        place: String,
        /// `private` or `public`.
        wanted: &'static str,
    },
    /// It cannot be written.
    #[error("the key {place} cannot be written ({why}); nothing was changed")]
    Unwritable {
        /// Which file.
        place: String,
        /// What the system says.
        why: String,
    },
}

/// A key that signs. It has neither `Debug` nor `Clone`.
pub struct Signer(SigningKey);

/// A key that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier(VerifyingKey);

/// The id of a key: the first 8 bytes of SHA-256 over its SubjectPublicKeyInfo, in hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Signer {
    /// A new key from the operating system.
    ///
    /// # Errors
    /// Where it gives no randomness.
    pub fn make() -> Result<Self, SigningError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut())
            .map_err(|error| SigningError::Unwritable { place: "(new)".into(), why: error.to_string() })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads one that its owner alone may read.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(path: &Path) -> Result<Self, SigningError> {
        let place = path.display().to_string();
        let unreadable = |error: std::io::Error| SigningError::Unreadable { place: place.clone(), why: error.to_string() };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.mode();
        if mode & 0o077 != 0 {
            return Err(SigningError::Open { place, mode: mode & 0o7777 });
        }
        let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        let seed = body(&text, "PRIVATE KEY", PRIVATE).ok_or(SigningError::NoKey { place, wanted: "private" })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Writes it for its owner alone, and the public half beside it as `PATH.pub`. An existing file stays as it is.
    ///
    /// # Errors
    /// Where one is there or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SigningError> {
        let public = public_path(path);
        let unwritable = |path: &Path, why: String| SigningError::Unwritable { place: path.display().to_string(), why };
        for file in [path, &public] {
            if file.exists() {
                return Err(unwritable(file, "it is there already".into()));
            }
        }
        let der = Zeroizing::new([PRIVATE, self.0.as_bytes()].concat());
        let pem = Zeroizing::new(pem("PRIVATE KEY", &der));
        write_private(path, pem.as_bytes()).map_err(|error| unwritable(path, error.to_string()))?;
        std::fs::write(&public, self.verifier().to_pem()).map_err(|error| unwritable(&public, error.to_string()))
    }

    /// The half that verifies.
    pub fn verifier(&self) -> Verifier {
        Verifier(self.0.verifying_key())
    }

    /// Signs bytes. What is signed begins by saying what it is, so that a signature for one purpose serves no other.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

/// Where the public half of a key lies.
pub fn public_path(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

impl Verifier {
    /// Reads one.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(path: &Path) -> Result<Self, SigningError> {
        let place = path.display().to_string();
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
        read.map_err(|error| SigningError::Unreadable { place: place.clone(), why: error.to_string() })?;
        Self::parse(&text).ok_or(SigningError::NoKey { place, wanted: "public" })
    }

    /// From its PEM; `None` where it is none, or one under which anything would verify.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = body(text, "PUBLIC KEY", PUBLIC)?;
        VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak()).map(Self)
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[PUBLIC, self.0.as_bytes()].concat())
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        let hash = Sha256::digest([PUBLIC, self.0.as_bytes()].concat());
        KeyId(hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether the key signed these bytes.
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(bytes, &signature).is_ok())
    }
}

/// Writes a new file that its owner alone may read, whole or not at all.
///
/// # Errors
/// What the system says; a file that is there stays as it is.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        std::fs::remove_file(path)?;
    }
    written
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// The 32 bytes of a key in PEM.
fn body(text: &str, label: &str, prefix: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).ok()?);
    let bytes = der.strip_prefix(prefix)?;
    (bytes.len() == 32).then(|| bytes.first_chunk::<32>().map(|bytes| Zeroizing::new(*bytes))).flatten()
}

/// Bytes in base64, as signatures are written.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes of base64.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn a_key_is_written_privately_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.pem");
        let key = Signer::make().unwrap();
        key.write(&path).unwrap();
        assert!(key.write(&path).unwrap_err().to_string().contains("already"));
        let again = Signer::read(&path).unwrap();
        let public = Verifier::read(&public_path(&path)).unwrap();
        assert_eq!(again.verifier(), public);
        let signature = again.sign(b"text");
        assert!(public.verifies(b"text", &signature));
        assert!(!public.verifies(b"texT", &signature) && !public.verifies(b"text", &signature[..63]));
        assert!(!Signer::make().unwrap().verifier().verifies(b"text", &signature));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Signer::read(&path), Err(SigningError::Open { mode: 0o644, .. })));
        assert!(Verifier::read(&path).is_err(), "a private key is no public one");
    }

    /// openssl is another implementation of RFC 8032 and RFC 8410.
    #[test]
    fn openssl_makes_our_keys_and_checks_our_signatures() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let run = |arguments: &[&str]| Command::new("openssl").args(arguments).output().map(|out| out.status.success());
        let made = run(&["genpkey", "-algorithm", "ed25519", "-out", &at("key.pem")]).expect("openssl is installed");
        assert!(made && run(&["pkey", "-in", &at("key.pem"), "-pubout", "-out", &at("pub.pem")]).unwrap());
        std::fs::set_permissions(at("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = Signer::read(at("key.pem").as_ref()).unwrap();
        let openssl_says = std::fs::read_to_string(at("pub.pem")).unwrap();
        assert_eq!(openssl_says, key.verifier().to_pem());
        std::fs::write(at("body"), b"what was signed").unwrap();
        std::fs::write(at("signature"), key.sign(b"what was signed")).unwrap();
        let verify = [
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            &at("pub.pem"),
            "-rawin",
            "-in",
            &at("body"),
            "-sigfile",
            &at("signature"),
        ];
        assert!(run(&verify).unwrap());
    }
}
