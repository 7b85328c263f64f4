//! Default credentials: is what somebody presented public knowledge? Compared where it was seen, by hash, without keeping it.

use super::{COAP_KEYS, MQTT_CREDENTIALS, PackError, TLS_SPKI, tsv};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::LazyLock;

static MQTT: LazyLock<CredentialList> = LazyLock::new(|| mqtt().unwrap_or_default());
static COAP: LazyLock<Coap> = LazyLock::new(|| coap().unwrap_or_default());
static SPKI: LazyLock<HashMap<[u8; 32], &'static str>> = LazyLock::new(|| spki().unwrap_or_default());

/// How the lists write what is empty or absent.
const BLANK: &str = "<blank>";

/// User names and passwords that are defaults somewhere. The list is public; what is compared with it is not kept.
#[derive(Default)]
pub struct CredentialList {
    rows: Vec<Listed>,
    index: HashTable<u32>,
}

struct Listed {
    user: &'static str,
    password: &'static str,
    lists: &'static str,
    products: &'static str,
}

impl CredentialList {
    /// The embedded list.
    pub fn embedded() -> &'static Self {
        &MQTT
    }

    /// The names of the lists that have the pair, the most telling first, joined with `;`, and the products that have it as default. Absent and
    /// empty are the same. One hash and one comparison; a shard calls it for each CONNECT.
    pub fn match_mqtt(&self, user: Option<&[u8]>, password: Option<&[u8]>) -> Option<(&'static str, &'static str)> {
        let (user, password) = (user.unwrap_or_default(), password.unwrap_or_default());
        // A longer one is on no list, and needs no hash.
        if user.is_empty() && password.is_empty() || user.len().max(password.len()) > 256 {
            return None;
        }
        let same = |&row: &u32| {
            self.rows.get(row as usize).is_some_and(|row| row.user.as_bytes() == user && row.password.as_bytes() == password)
        };
        let row = self.index.find(hash(user, password), same)?;
        self.rows.get(*row as usize).map(|row| (row.lists, row.products))
    }

    /// The same for a token that stands where the user name stands, without a password.
    pub fn match_token(&self, token: &[u8]) -> Option<(&'static str, &'static str)> {
        self.match_mqtt(Some(token), None)
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn hash(user: &[u8], password: &[u8]) -> u64 {
    FixedState::default().hash_one((user, password))
}

fn mqtt() -> Result<CredentialList, PackError> {
    let file = MQTT_CREDENTIALS;
    let mut list = CredentialList::default();
    let shown = |cell: &'static str| if cell == BLANK { "" } else { cell };
    for row in tsv::rows(file, ["list", "vendor_product", "username", "password", "applies_to", "source"])? {
        let [lists, products, user, password, _, _] = row.cells;
        let (user, password) = (shown(user), shown(password));
        if user.is_empty() && password.is_empty() {
            return Err(file.error(row.line, "has neither user name nor password"));
        }
        let number = list.rows.len() as u32;
        list.rows.push(Listed { user, password, lists, products });
        let rows = &list.rows;
        let hash_of = |&row: &u32| rows.get(row as usize).map_or(0, |row| hash(row.user.as_bytes(), row.password.as_bytes()));
        list.index.insert_unique(hash(user.as_bytes(), password.as_bytes()), number, hash_of);
    }
    Ok(list)
}

/// A known pre-shared key's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownIdentity {
    /// The list.
    pub list: &'static str,
    /// Where it is from, in plain words.
    pub origin: &'static str,
    /// Whether the key that goes with it is known too.
    pub key_known: bool,
}

#[derive(Default)]
struct Coap {
    identities: HashMap<&'static [u8], KnownIdentity>,
    prefixes: Vec<(&'static [u8], KnownIdentity)>,
    certificates: HashMap<[u8; 32], &'static str>,
}

/// Whether a PSK identity is one that examples and products use. It proves nothing about the key: a match is *possible*.
pub fn psk_identity(identity: &[u8]) -> Option<KnownIdentity> {
    let exact = || COAP.identities.get(identity);
    let prefix = || COAP.prefixes.iter().find(|(prefix, _)| identity.starts_with(prefix)).map(|(_, known)| known);
    exact().or_else(prefix).copied()
}

/// Where the private key of a certificate is published: a demo certificate's origin, or the vendors whose products share it.
pub fn published_key(spki_sha256: &[u8; 32]) -> Option<&'static str> {
    COAP.certificates.get(spki_sha256).or_else(|| SPKI.get(spki_sha256)).copied()
}

fn coap() -> Result<Coap, PackError> {
    let file = COAP_KEYS;
    let mut found = Coap::default();
    for row in tsv::rows(file, ["kind", "list", "identity", "key", "salt", "id_context", "origin", "source"])? {
        let [kind, list, identity, key, _, _, origin, _] = row.cells;
        let known = KnownIdentity { list, origin, key_known: key != "-" };
        match kind {
            // A row with the key tells more than one without.
            "psk" => drop(found.identities.insert(identity.as_bytes(), known)),
            "psk-identity" => drop(found.identities.entry(identity.as_bytes()).or_insert(known)),
            "psk-identity-prefix" => found.prefixes.push((identity.as_bytes(), known)),
            "spki" => {
                let spki = digest(key).ok_or_else(|| file.error(row.line, "the key is no SHA-256"))?;
                found.certificates.insert(spki, origin);
            }
            "psk-key" | "oscore" => {}
            _ => return Err(file.error(row.line, format!("`{kind}` is no kind of row"))),
        }
    }
    Ok(found)
}

fn spki() -> Result<HashMap<[u8; 32], &'static str>, PackError> {
    let rows = tsv::rows(TLS_SPKI, ["spki_sha256", "vendors", "products"])?;
    let entry = |row: tsv::Row<3>| {
        let [spki, vendors, _] = row.cells;
        Ok((digest(spki).ok_or_else(|| TLS_SPKI.error(row.line, format!("`{spki}` is no SHA-256")))?, vendors))
    };
    rows.into_iter().map(entry).collect()
}

fn digest(text: &str) -> Option<[u8; 32]> {
    tsv::hex(text)?.try_into().ok()
}

pub(super) fn check() -> Result<(), PackError> {
    mqtt()?;
    coap()?;
    spki().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_password_is_known_with_its_lists_and_products() {
        let (lists, products) = CredentialList::embedded().match_mqtt(Some(b"admin"), Some(b"admin")).expect("is listed");
        assert!(lists.starts_with("broker-default;"), "{lists}");
        assert!(products.contains("ChirpStack"), "{products}");
        assert_eq!(CredentialList::embedded().match_mqtt(Some(b"admin"), Some(b"kah7Ohgh-not-listed")), None);
        assert_eq!(CredentialList::embedded().match_mqtt(None, None), None);
    }

    #[test]
    fn every_listed_pair_is_found() {
        let list = CredentialList::embedded();
        assert!(list.len() > 1000);
        for row in &list.rows {
            let found = list.match_mqtt(Some(row.user.as_bytes()), Some(row.password.as_bytes()));
            assert_eq!(found, Some((row.lists, row.products)), "{} {}", row.user, row.password);
        }
    }

    #[test]
    fn a_demo_token_stands_in_the_user_name_alone() {
        let list = CredentialList::embedded();
        let token =
            list.rows.iter().find(|row| row.password.is_empty() && row.lists.contains("platform-default")).expect("is listed");
        assert!(list.match_token(token.user.as_bytes()).is_some());
        assert!(list.match_mqtt(Some(token.user.as_bytes()), Some(b"")).is_some());
    }

    #[test]
    fn an_example_identity_is_known_and_others_are_not() {
        let known = psk_identity(b"Client_identity").expect("is listed");
        assert!(known.key_known && known.list == "coap-default");
        assert_eq!(psk_identity(b"urn:dev:ops:32473-1-lamp"), None);
    }
}
