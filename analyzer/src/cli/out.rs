//! What commands share: printing, stores by name, nearest right words.

use super::Failure;
use crate::store::City;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

/// Where a store is looked for when none is named.
pub const DEFAULT_STORE: &str = "citytap-store";

/// The variable that names a store.
pub const VARIABLE: &str = "CITYTAP_STORE";

/// The store to ask, and how to print.
#[derive(clap::Args)]
pub struct Asked {
    /// The store's folder; else CITYTAP_STORE says it, else it is ./citytap-store.
    #[arg(long, value_name = "DIR", global = true)]
    store: Option<PathBuf>,
    /// What to print: a table for people, or JSON.
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"], global = true)]
    format: String,
}

impl Asked {
    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        self.format == "json"
    }

    /// Opens the store.
    pub fn open(&self) -> Result<City, Failure> {
        open_store(self.store.clone())
    }
}

/// Opens the store that is named, or the one that is meant where none is.
pub fn open_store(named: Option<PathBuf>) -> Result<City, Failure> {
    let meant = || std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = match named.or_else(meant) {
        Some(path) => path,
        None if PathBuf::from(DEFAULT_STORE).is_dir() => DEFAULT_STORE.into(),
        None => {
            return Err(format!(
                "no store is named and there is no ./{DEFAULT_STORE}; say which with --store DIR or {VARIABLE}, \
                or make one: citytap replay CAPTURE --store {DEFAULT_STORE}"
            )
            .into());
        }
    };
    let city = City::open(&path)?;
    tell_damage(&city);
    Ok(city)
}

/// Tells of records that could not be used.
pub fn tell_damage(city: &City) {
    let (named, count) = city.damaged();
    for record in named {
        eprintln!("citytap: the store's record {} in {} was passed over: {}", record.key, record.tree.name(), record.what);
    }
    if count > 0 {
        let is = if count == 1 { "1 record is" } else { &format!("{count} records are") };
        eprintln!("citytap: {is} damaged; replay the captures into a new store to get them back");
    }
}

/// Prints to standard output. A reader such as `head` that closes the pipe has what it wanted.
pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Prints bytes to standard output.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("cannot write to standard output: {error}").into()),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    // Our own types have string keys alone: writing them to memory cannot fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    print(&text)
}

/// The known word that is most like the one typed, if any is like it.
pub fn nearest<'w>(typed: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let typed = typed.to_lowercase();
    let near = known.into_iter().map(|word| (distance(&typed, &word.to_lowercase()), word));
    let (far, word) = near.min()?;
    (far <= 1 + typed.chars().count() / 4).then_some(word)
}

/// Edits that make one word of the other: insert, remove, replace, swap neighbours.
fn distance(a: &str, b: &str) -> usize {
    /// Longer words are no words that a person types.
    const LONGEST: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(LONGEST).collect(), b.chars().take(LONGEST).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let words = ["street_light", "water_meter", "gateway"];
        assert_eq!(nearest("stret_light", words), Some("street_light"));
        assert_eq!(nearest("gatewya", words), Some("gateway"));
        assert_eq!(nearest("toaster", words), None);
        assert_eq!(nearest("x", []), None);
    }
}
