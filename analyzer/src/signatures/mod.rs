//! The data packs: known secrets, vendors, product fingerprints, device classes. They are embedded when the program is built and read when they
//! are first needed; nothing is read from disk.
//!
//! What turns into what: rows of `signatures/` become lookups ([`vendors`], [`credentials`], [`keys`], [`advisories`]), rules ([`fingerprints`]) and
//! points ([`classes`]); [`conclusions`] applies them to a device, and an [`outline`](mod@outline) tells
//! devices of one class apart from others without doing so. This module, unlike the inventory, knows what the protocols call things.
//!
//! A pack that cannot be read is an [`PackError`] with file and line. The embedded packs are read whole in a test; at run time a pack
//! that failed would be empty, and its digest in the manifest says which one was used.

pub mod advisories;
pub mod classes;
pub mod clauses;
pub mod columns;
pub mod conclusions;
pub mod credentials;
pub mod fingerprints;
pub mod keys;
pub mod outline;
mod tsv;
pub mod vendors;

use citytap_sensor::observation::CredentialKind;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What is wrong in a pack, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signatures/{file}:{line}: {what}")]
pub struct PackError {
    /// The file within `signatures/`.
    pub file: &'static str,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// One embedded file, for the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pack {
    /// The file within `signatures/`.
    pub name: &'static str,
    /// The program's version, with which the packs are delivered.
    pub version: &'static str,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
}

macro_rules! packs {
    ($($constant:ident = $name:literal,)*) => {
        $(pub(crate) const $constant: File = File { name: $name, bytes: include_bytes!(concat!("../../../signatures/", $name)) };)*
        const FILES: &[File] = &[$($constant,)*];
    };
}

/// An embedded file.
#[derive(Clone, Copy)]
pub(crate) struct File {
    name: &'static str,
    bytes: &'static [u8],
}

packs! {
    END_OF_LIFE = "advisories/end_of_life.tsv",
    ADVISORIES = "advisories/pack.tsv.gz",
    CLASSES = "classes.toml",
    CLAUSE_CHECKS = "clauses/checks.tsv",
    CLAUSE_CLASSES = "clauses/classes.tsv",
    MQTT_CREDENTIALS = "credentials/mqtt.tsv",
    FINGERPRINTS_GATEWAY = "fingerprints/gateway.toml",
    FINGERPRINTS_LORAWAN = "fingerprints/lorawan.toml",
    FINGERPRINTS_LWM2M = "fingerprints/lwm2m.toml",
    FINGERPRINTS_MODBUS = "fingerprints/modbus.toml",
    FINGERPRINTS_MQTT = "fingerprints/mqtt.toml",
    COAP_KEYS = "keys/coap.tsv",
    LORAWAN_KEYS = "keys/lorawan.tsv",
    LORAWAN_GENERATOR = "keys/lorawan_generator.toml",
    TLS_SPKI = "keys/tls_spki.tsv",
    REGISTER_COLUMNS = "register/columns.tsv",
    LORAWAN_VENDORS = "vendors/lorawan.tsv",
    LWM2M_OBJECTS = "vendors/lwm2m_objects.tsv",
    VENDOR_NAMES = "vendors/modbus.tsv",
    OUI = "vendors/oui.tsv.gz",
}

impl File {
    /// The file's text. The embedded files are UTF-8, which a test checks.
    fn text(self) -> &'static str {
        std::str::from_utf8(self.bytes).unwrap_or_default()
    }

    fn error(self, line: usize, what: impl Into<String>) -> PackError {
        PackError { file: self.name, line, what: what.into() }
    }

    /// The line of a byte of the file, from 1.
    fn line_of(self, offset: usize) -> usize {
        1 + self.bytes.iter().take(offset).filter(|&&byte| byte == b'\n').count()
    }
}

/// The text of the LoRaWAN key generator's families, for the stage that tries keys.
pub fn lorawan_generator() -> &'static str {
    LORAWAN_GENERATOR.text()
}

/// All embedded packs with their digests, sorted by name; last what a person brought beside them.
pub fn packs() -> Vec<Pack> {
    let own = advisories::Pack::own_files().iter();
    let own = own.map(|(name, sha256)| Pack { name, version: "own", sha256: sha256.clone() });
    let pack = |file: &File| Pack {
        name: file.name,
        version: env!("CARGO_PKG_VERSION"),
        sha256: Sha256::digest(file.bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    FILES.iter().map(pack).chain(own).collect()
}

/// Reads every pack whole.
///
/// # Errors
/// The first thing wrong in each pack, with file and line.
pub fn check() -> Result<(), Vec<PackError>> {
    let mut errors = Vec::new();
    errors.extend(
        FILES
            .iter()
            .filter(|file| file.name.ends_with(".gz"))
            .all(|file| file.bytes.is_empty())
            .then(|| OUI.error(1, "is empty")),
    );
    errors.extend(advisories::pack::check().err());
    errors.extend(advisories::end_of_life::check().err());
    errors.extend(vendors::check().err());
    errors.extend(credentials::check().err());
    errors.extend(keys::check().err());
    errors.extend(clauses::check().err());
    errors.extend(columns::check().err());
    let classes = classes::check();
    errors.extend(fingerprints::check(classes.as_deref().unwrap_or_default()).err().into_iter().flatten());
    errors.extend(classes.err().into_iter().flatten());
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Looks up a credential that was seen: the list that knows it and what the list says of it. Called where the secret is, so that it need
/// not leave.
pub fn look_up(kind: CredentialKind, user: Option<&[u8]>, secret: Option<&[u8]>) -> Option<(&'static str, &'static str)> {
    match kind {
        CredentialKind::Password => credentials::CredentialList::embedded().match_mqtt(user, secret),
        CredentialKind::Token => credentials::CredentialList::embedded().match_token(user.or(secret)?),
        CredentialKind::PskIdentity => credentials::psk_identity(user.or(secret)?).map(|known| (known.list, known.origin)),
        CredentialKind::Anonymous => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_pack_is_read_without_error() {
        if let Err(errors) = check() {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
    }

    #[test]
    fn the_manifest_names_each_pack_with_its_digest() {
        let packs = packs();
        assert_eq!(packs.len(), FILES.len());
        assert!(packs.is_sorted_by(|a, b| a.name < b.name));
        assert!(packs.iter().all(|pack| pack.sha256.len() == 64));
    }

    #[test]
    fn the_folder_holds_no_pack_that_is_not_embedded() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../signatures");
        for folder in ["", "clauses", "credentials", "fingerprints", "keys", "register", "vendors"] {
            for entry in std::fs::read_dir(root.join(folder)).expect("is there") {
                let entry = entry.expect("is readable");
                let name = entry.file_name().into_string().expect("is text");
                let pack = [".toml", ".tsv", ".gz"].iter().any(|end| name.ends_with(end));
                let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                assert!(!pack || FILES.iter().any(|file| file.name == name), "{name} is not embedded");
            }
        }
    }
}
