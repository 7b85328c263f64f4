//! How lists of assets call their columns: `signatures/register/columns.tsv`.

use super::tsv::rows;
use super::{PackError, REGISTER_COLUMNS};
use std::collections::BTreeMap;
use std::sync::LazyLock;

static WORDS: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| read().unwrap_or_default());

/// The field that a column of this name most likely holds.
pub fn field_of(column: &str) -> Option<&'static str> {
    WORDS.get(plain(column).as_str()).copied()
}

/// A column's name in small letters and digits alone: `Device EUI`, `device_eui` and `DeviceEUI` are one.
pub fn plain(column: &str) -> String {
    column.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Reads the pack whole.
///
/// # Errors
/// The first thing wrong in it.
pub(super) fn check() -> Result<(), PackError> {
    read().map(drop)
}

fn read() -> Result<BTreeMap<&'static str, &'static str>, PackError> {
    let mut words = BTreeMap::new();
    for row in rows(REGISTER_COLUMNS, ["field", "word"])? {
        let [field, word] = row.cells;
        if plain(word) != word || words.insert(word, field).is_some() {
            return Err(REGISTER_COLUMNS.error(row.line, format!("`{word}` is not in its plain form, or stands there twice")));
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register::Field;

    #[test]
    fn every_word_is_for_a_field_that_there_is() {
        assert_eq!(WORDS.values().find(|field| Field::named(field).is_none()), None);
        assert!(WORDS.len() > 50);
    }

    #[test]
    fn exports_of_network_servers_are_understood() {
        for (column, field) in [
            ("DevEUI", "dev_eui"),
            ("dev_eui", "dev_eui"),
            ("ids.dev_eui", "dev_eui"),
            ("Device name", "name"),
            ("Gateway ID", "gateway_eui"),
        ] {
            assert_eq!(field_of(column), Some(field), "{column}");
        }
        // A list of devices for import holds their keys: they are read by nobody.
        for column in ["app_key", "nwk_key", "AppSKey", "root_keys.app_key.key"] {
            assert_eq!(field_of(column), None);
        }
    }
}
