//! Known keys as lists: LoRaWAN keys, pre-shared keys of DTLS, OSCORE master secrets. What follows from them, and the trials, are
//! `crate::keys`.
//!
//! The types have no `Debug`, so that a key does not get into a log.

use super::{COAP_KEYS, LORAWAN_KEYS, PackError, tsv};
use std::sync::LazyLock;

static LORAWAN: LazyLock<Vec<KnownKey>> = LazyLock::new(|| lorawan().unwrap_or_default());
static COAP: LazyLock<Coap> = LazyLock::new(|| coap().unwrap_or_default());

/// A key that is public.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KnownKey {
    /// The key.
    pub key: [u8; 16],
    /// The list that has it.
    pub list: &'static str,
    /// Where it is from, in plain words.
    pub origin: &'static str,
}

/// The known LoRaWAN keys, in the order of the list.
pub fn lorawan_keys() -> &'static [KnownKey] {
    &LORAWAN
}

/// Which identities a pre-shared key goes with where it was published (RFC 4279 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PskIdentity {
    /// This one.
    Is(&'static str),
    /// All that begin so.
    Begins(&'static str),
    /// Whatever it is.
    Any,
}

/// A pre-shared key that is public.
pub struct KnownPsk {
    /// The identity that it was published with.
    pub identity: PskIdentity,
    /// The key.
    pub key: Vec<u8>,
    /// The list that has it.
    pub list: &'static str,
    /// Where it is from, in plain words.
    pub origin: &'static str,
}

/// An OSCORE security context that is public (RFC 8613 §3.1). The algorithms are the default ones.
pub struct KnownOscore {
    /// Sender ID of the side that the row describes.
    pub sender: Vec<u8>,
    /// Its Recipient ID: the other side's Sender ID.
    pub recipient: Vec<u8>,
    /// Master Secret.
    pub secret: Vec<u8>,
    /// Master Salt; empty where there is none.
    pub salt: Vec<u8>,
    /// ID Context.
    pub id_context: Option<Vec<u8>>,
    /// The list that has it.
    pub list: &'static str,
    /// Where it is from, in plain words.
    pub origin: &'static str,
}

#[derive(Default)]
struct Coap {
    psks: Vec<KnownPsk>,
    oscore: Vec<KnownOscore>,
}

/// The known pre-shared keys, in the order of the list.
pub fn psks() -> &'static [KnownPsk] {
    &COAP.psks
}

/// The known OSCORE contexts, in the order of the list.
pub fn oscore_contexts() -> &'static [KnownOscore] {
    &COAP.oscore
}

fn lorawan() -> Result<Vec<KnownKey>, PackError> {
    let file = LORAWAN_KEYS;
    let key = |row: tsv::Row<3>| {
        let [key, list, origin] = row.cells;
        let key = tsv::hex(key)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| file.error(row.line, "the key is not 16 bytes in hex"))?;
        Ok(KnownKey { key, list, origin })
    };
    tsv::rows(file, ["key", "list", "origin"])?.into_iter().map(key).collect()
}

fn coap() -> Result<Coap, PackError> {
    let file = COAP_KEYS;
    let mut found = Coap::default();
    for row in tsv::rows(file, ["kind", "list", "identity", "key", "salt", "id_context", "origin", "source"])? {
        let [kind, list, identity, key, salt, id_context, origin, _] = row.cells;
        let bytes = |cell| tsv::hex(cell).ok_or_else(|| file.error(row.line, format!("`{cell}` is not hex")));
        let identity = match kind {
            "psk" => PskIdentity::Is(identity),
            "psk-identity-prefix" => PskIdentity::Begins(identity),
            "psk-key" => PskIdentity::Any,
            "oscore" => {
                let (sender, recipient) =
                    identity.split_once('/').ok_or_else(|| file.error(row.line, "the ids are not two, joined with `/`"))?;
                let id = |cell| if cell == "empty" { Ok(Vec::new()) } else { bytes(cell) };
                let optional = |cell| if cell == ABSENT { Ok(None) } else { bytes(cell).map(Some) };
                found.oscore.push(KnownOscore {
                    sender: id(sender)?,
                    recipient: id(recipient)?,
                    secret: bytes(key)?,
                    salt: optional(salt)?.unwrap_or_default(),
                    id_context: optional(id_context)?,
                    list,
                    origin,
                });
                continue;
            }
            _ => continue,
        };
        // An identity whose key is not known is for `credentials`.
        if key != ABSENT {
            found.psks.push(KnownPsk { identity, key: bytes(key)?, list, origin });
        }
    }
    Ok(found)
}

/// How the lists write what is not there.
const ABSENT: &str = "-";

pub(super) fn check() -> Result<(), PackError> {
    lorawan()?;
    coap().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_was_published_has_334_keys() {
        assert_eq!(lorawan_keys().iter().filter(|key| key.list == "rolaguard-2021").count(), 334);
        assert!(lorawan_keys().iter().any(|key| key.key == [0; 16]));
    }

    #[test]
    fn pre_shared_keys_go_with_an_identity_its_beginning_or_any() {
        let of = |identity| psks().iter().find(|psk| psk.identity == identity).map(|psk| psk.key.as_slice());
        assert_eq!(of(PskIdentity::Is("Client_identity")), Some(&b"secretPSK"[..]));
        assert_eq!(of(PskIdentity::Begins("cali.")), Some(&b".fornium"[..]));
        assert!(psks().iter().any(|psk| psk.identity == PskIdentity::Any && psk.key == (0..16).collect::<Vec<u8>>()));
    }

    #[test]
    fn a_published_context_with_and_without_salt_and_id_context() {
        let first = oscore_contexts().first().expect("is listed");
        assert!(first.sender.is_empty() && first.recipient == [1] && first.salt.len() == 8 && first.id_context.is_none());
        assert!(oscore_contexts().iter().any(|context| context.salt.is_empty()));
        assert!(oscore_contexts().iter().any(|context| context.id_context.as_ref().is_some_and(|id| id.len() == 8)));
    }
}
