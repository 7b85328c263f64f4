//! Text compared with a file that a person has read.

use std::fs;
use std::path::Path;

/// Whether goldens are to be rewritten (`UPDATE_GOLDEN=1`).
pub fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1")
}

/// Compares `text` with the file; answers what differs. With `UPDATE_GOLDEN=1` writes the file instead.
pub fn check(file: &Path, text: &str) -> Result<(), String> {
    let golden = fs::read_to_string(file).unwrap_or_default();
    if golden == text {
        return Ok(());
    }
    if updating() {
        fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        eprintln!("rewrote {}", file.display());
        return Ok(());
    }
    let (old, new) = (golden.lines().collect::<Vec<_>>(), text.lines().collect::<Vec<_>>());
    let at = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let line = |lines: &[&str]| lines.get(at).map_or("(end)".to_owned(), |line| (*line).to_owned());
    Err(format!("{}:{}\n    golden {}\n    now    {}", file.display(), at + 1, line(&old), line(&new)))
}

/// Fails with all differences at once, and says how to accept them.
pub fn settle(differences: Vec<String>) {
    assert!(
        differences.is_empty(),
        "{} goldens differ; read them, then UPDATE_GOLDEN=1 cargo nextest run -p citytap-tests rewrites:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
