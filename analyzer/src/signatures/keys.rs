//! Known LoRaWAN keys as a list. What families of keys follow from a device's names, and the trials, are `crate::keys`.

use super::{LORAWAN_KEYS, PackError, tsv};
use std::sync::LazyLock;

static KEYS: LazyLock<Vec<KnownKey>> = LazyLock::new(|| read().unwrap_or_default());

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
    &KEYS
}

fn read() -> Result<Vec<KnownKey>, PackError> {
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

pub(super) fn check() -> Result<(), PackError> {
    read().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_was_published_has_334_keys() {
        assert_eq!(lorawan_keys().iter().filter(|key| key.list == "rolaguard-2021").count(), 334);
        assert!(lorawan_keys().iter().any(|key| key.key == [0; 16]));
    }
}
