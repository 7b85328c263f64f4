//! Sealed values: version, checksum, body.
//!
//! ```text
//! 1 byte   version of this layout
//! 4 bytes  CRC-32 over the tree's name, 0, key, 0, body; least significant byte first
//! rest     body: JSON, or raw bytes in the journal
//! ```
//!
//! The checksum covers tree and key, so that a value in a wrong place is noticed too.

use super::Tree;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the layout of sealed values.
pub const RECORD_VERSION: u8 = 1;

/// What is wrong with a stored value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Too short to be one.
    #[error("it is cut short")]
    Short,
    /// A layout that this program does not know.
    #[error("its layout has version {0}, this program knows {RECORD_VERSION}")]
    Version(u8),
    /// Not the bytes that were written, or not in their place.
    #[error("its checksum is wrong")]
    Checksum,
    /// The bytes are right, and are not what stands in this tree.
    #[error("its content cannot be read: {0}")]
    Content(String),
}

/// Seals bytes.
pub fn seal_bytes(tree: Tree, key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(5 + body.len());
    sealed.push(RECORD_VERSION);
    sealed.extend_from_slice(&checksum(tree, key, body).to_le_bytes());
    sealed.extend_from_slice(body);
    sealed
}

/// Opens sealed bytes.
///
/// # Errors
/// What is wrong with them.
pub fn unseal_bytes<'s>(tree: Tree, key: &[u8], sealed: &'s [u8]) -> Result<&'s [u8], Damage> {
    let (version, rest) = sealed.split_first().ok_or(Damage::Short)?;
    if *version != RECORD_VERSION {
        return Err(Damage::Version(*version));
    }
    let (sum, body) = rest.split_first_chunk::<4>().ok_or(Damage::Short)?;
    if u32::from_le_bytes(*sum) != checksum(tree, key, body) {
        return Err(Damage::Checksum);
    }
    Ok(body)
}

/// Seals a value as JSON.
pub fn seal(tree: Tree, key: &[u8], value: &impl Serialize) -> Vec<u8> {
    // Our own types have string keys alone: writing them to memory cannot fail.
    seal_bytes(tree, key, &serde_json::to_vec(value).unwrap_or_default())
}

/// Opens a sealed value.
///
/// # Errors
/// What is wrong with it.
pub fn unseal<T: DeserializeOwned>(tree: Tree, key: &[u8], sealed: &[u8]) -> Result<T, Damage> {
    serde_json::from_slice(unseal_bytes(tree, key, sealed)?).map_err(|error| Damage::Content(error.to_string()))
}

fn checksum(tree: Tree, key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [tree.name().as_bytes(), &[0], key, &[0], body] {
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_comes_back() {
        let sealed = seal(Tree::Devices, b"key", &vec![1, 2, 3]);
        assert_eq!(unseal::<Vec<u8>>(Tree::Devices, b"key", &sealed), Ok(vec![1, 2, 3]));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let sealed = seal(Tree::Devices, b"key", &"a device");
        for at in 0..sealed.len() {
            assert!(unseal::<String>(Tree::Devices, b"key", &sealed[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut other = sealed.clone();
                other[at] ^= 1 << bit;
                assert!(unseal::<String>(Tree::Devices, b"key", &other).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_value_in_a_wrong_place_is_noticed() {
        let sealed = seal(Tree::Devices, b"key", &"a device");
        assert_eq!(unseal::<String>(Tree::Devices, b"other", &sealed), Err(Damage::Checksum));
        assert_eq!(unseal::<String>(Tree::Checks, b"key", &sealed), Err(Damage::Checksum));
    }

    #[test]
    fn a_layout_of_a_newer_program_is_named() {
        let mut sealed = seal(Tree::Devices, b"key", &"a device");
        sealed[0] = 2;
        assert_eq!(unseal::<String>(Tree::Devices, b"key", &sealed), Err(Damage::Version(2)));
    }
}
