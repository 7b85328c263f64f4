//! Digests of credentials and their key as the store writes them, and as a paired module that replaces keys gets them. The only place where
//! either becomes text.

use super::record::Damage;
use crate::hot::digest::{CredentialDigest, DIGEST_BYTES, DigestKey, KEY_BYTES, kind_name};
use crate::inventory::presented::PresentedCredential;
use crate::inventory::{DeviceId, Sighting, when};
use citytap_sensor::observation::CredentialKind;
use citytap_sensor::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What one device presented.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    device: DeviceId,
    presented: Vec<KeptCredential>,
}

#[derive(Serialize, Deserialize)]
struct KeptCredential {
    kind: Kind,
    digest: Digest,
    #[serde(flatten)]
    seen: Sighting,
    #[serde(default, with = "when::maybe", skip_serializing_if = "Option::is_none")]
    last_accepted: Option<Timestamp>,
    #[serde(default, with = "when::maybe", skip_serializing_if = "Option::is_none")]
    last_refused: Option<Timestamp>,
}

/// By its stable name.
#[derive(Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[derive(Clone)]
struct Kind(CredentialKind);

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind_name(kind.0).into()
    }
}

impl TryFrom<String> for Kind {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let kinds = [CredentialKind::Password, CredentialKind::PskIdentity, CredentialKind::Token];
        let kind = kinds.into_iter().find(|kind| kind_name(*kind) == name);
        kind.map(Self).ok_or_else(|| format!("no kind of credential `{name}`"))
    }
}

/// As hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[derive(Clone)]
struct Digest(CredentialDigest);

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        to_hex(digest.0.expose_for_store())
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut bytes = [0; DIGEST_BYTES];
        // The text is not quoted: damage must not print a digest.
        from_hex(&text, &mut bytes).ok_or("a digest is no 32 hexadecimal digits")?;
        Ok(Self(CredentialDigest::from_store(bytes)))
    }
}

impl Kept {
    pub(super) fn new(device: DeviceId, presented: &[PresentedCredential]) -> Self {
        let kept = |presented: &PresentedCredential| KeptCredential {
            kind: Kind(presented.kind),
            digest: Digest(presented.digest),
            seen: presented.seen,
            last_accepted: presented.last_accepted,
            last_refused: presented.last_refused,
        };
        Self { device, presented: presented.iter().map(kept).collect() }
    }

    pub(super) fn into_presented(self) -> (DeviceId, Vec<PresentedCredential>) {
        let presented = |kept: KeptCredential| PresentedCredential {
            kind: kept.kind.0,
            digest: kept.digest.0,
            seen: kept.seen,
            last_accepted: kept.last_accepted,
            last_refused: kept.last_refused,
        };
        (self.device, self.presented.into_iter().map(presented).collect())
    }
}

/// A digest as text, for the signed file of a paired module alone: without the key it says nothing.
pub(crate) fn digest_for_paired(presented: &PresentedCredential) -> (&'static str, String) {
    (kind_name(presented.kind), to_hex(presented.digest.expose_for_store()))
}

/// The key as text, for the pairing alone.
pub(crate) fn key_for_pairing(key: &DigestKey) -> Zeroizing<String> {
    key_to_hex(key)
}

/// The key as text.
pub(super) fn key_to_hex(key: &DigestKey) -> Zeroizing<String> {
    Zeroizing::new(to_hex(key.expose_for_store()))
}

/// The key from its text.
pub(super) fn key_from_hex(text: &str) -> Result<DigestKey, Damage> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    // The text is not quoted: damage must not print the key.
    from_hex(text, bytes.as_mut()).ok_or_else(|| Damage::Content("it is no 64 hexadecimal digits".into()))?;
    Ok(DigestKey::new(&mut bytes))
}

/// In one allocation, so that no part of a key stays behind where a text grew.
fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().for_each(|byte| text.extend([digit(byte >> 4), digit(byte & 0x0f)]));
    text
}

fn from_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != 2 * bytes.len() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(())
}
