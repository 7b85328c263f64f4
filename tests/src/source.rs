//! The project's own source, for the tests that hold its invariants.

use crate::cases::{root, walk};
use std::fs;
use std::path::Path;

/// A source file, its path relative to the repository's root.
#[derive(Clone, Debug)]
pub struct Source {
    /// `sensor/src/reader.rs`.
    pub path: String,
    /// As written.
    pub text: String,
    /// Without what only tests compile, and with comments blanked; lines keep their numbers.
    pub product: String,
    /// The same with the contents of strings blanked.
    pub code: String,
}

impl Source {
    /// Whether all of it is compiled for tests alone.
    pub fn is_test(&self) -> bool {
        let path = &self.path;
        let name = path.rsplit('/').next().unwrap_or_default();
        path.starts_with("tests/") || path.contains("/tests/") || matches!(name, "tests.rs" | "properties.rs" | "testing.rs")
    }

    /// Numbers and text of the lines of `code` that contain one of these words.
    pub fn lines_with_word(&self, words: &[&str]) -> Vec<String> {
        let lines = self.code.lines().zip(1..).filter(|(line, _)| words.iter().any(|word| has_word(line, word)));
        lines.map(|(line, number)| format!("{}:{number}: {}", self.path, line.trim())).collect()
    }
}

/// Whether `line` contains `word`, with no letter, digit or underscore around it.
pub fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

/// All Rust files of the product's crates and of the tests.
pub fn sources() -> Vec<Source> {
    let crates = ["sensor", "analyzer", "rekey", "rekey/broker-plugin", "signing", "tests"].map(|name| root().join(name));
    let folders = crates.iter().flat_map(|top| ["src", "tests", "examples", "benches"].map(|folder| top.join(folder)));
    let files = folders.filter(|folder| folder.is_dir()).flat_map(|folder| walk(&folder));
    files.filter(|file| file.extension().is_some_and(|end| end == "rs")).map(|file| source(&file)).collect()
}

fn source(file: &Path) -> Source {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let path = file.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    let blanked = blank(&text, false);
    let product = without_tests(&blanked, &blanked);
    let code = without_tests(&blank(&text, true), &blanked);
    Source { path, text, product, code }
}

/// Tests stand last in a file: everything from `#[cfg(test)]` before a block on is left out.
fn without_tests(text: &str, blanked: &str) -> String {
    let mut lines = blanked.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let opens_block = lines.peek().is_some_and(|(_, next)| next.contains("mod ") && next.trim_end().ends_with('{'));
        if line.trim() == "#[cfg(test)]" && opens_block {
            return text.lines().take(at).collect::<Vec<_>>().join("\n");
        }
    }
    text.to_owned()
}

/// Blanks comments, and the contents of strings where asked; keeps lines and columns of what is left.
fn blank(text: &str, strings: bool) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(i, c)| bytes.get(at + i) == Some(&c));
    while at < bytes.len() {
        let end = if starts(at, "//") {
            find(&bytes, at, |at| bytes[at] == '\n')
        } else if starts(at, "/*") {
            find(&bytes, at + 2, |at| starts(at, "*/")) + 2
        } else if let Some(end) = string_end(&bytes, at) {
            if !strings {
                out.extend(&bytes[at..end]);
                at = end;
                continue;
            }
            end
        } else {
            out.push(bytes[at]);
            at += 1;
            continue;
        };
        let end = end.min(bytes.len());
        out.extend(bytes[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

fn find(bytes: &[char], from: usize, is: impl Fn(usize) -> bool) -> usize {
    (from..bytes.len()).find(|at| is(*at)).unwrap_or(bytes.len())
}

/// The end of the string or character that begins at `at`.
fn string_end(bytes: &[char], at: usize) -> Option<usize> {
    let raw = at > 0 && bytes[at] == '#' && matches!(bytes[at - 1], 'r');
    match bytes[at] {
        '"' if at > 0 && bytes[at - 1] == 'r' => Some(find(bytes, at + 1, |at| bytes[at] == '"') + 1),
        '#' if raw => {
            let hashes = bytes[at..].iter().take_while(|c| **c == '#').count();
            let closes = |at: usize| bytes[at] == '"' && bytes[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
            (bytes.get(at + hashes) == Some(&'"')).then(|| find(bytes, at + hashes + 1, closes) + 1 + hashes)
        }
        '"' => {
            let mut end = at + 1;
            while end < bytes.len() && bytes[end] != '"' {
                end += 1 + usize::from(bytes[end] == '\\');
            }
            Some(end + 1)
        }
        // A character, not a lifetime.
        '\'' if bytes.get(at + 1) == Some(&'\\') => Some(find(bytes, at + 3, |at| bytes[at] == '\'') + 1),
        '\'' if bytes.get(at + 2) == Some(&'\'') => Some(at + 3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings() {
        let text = "let a = \"x // y\"; // z \"\nlet b = r#\"c \" d\"#; /* e\n f */ let c = '\"'; let d: &'a str = \"\\\"g\";";
        assert_eq!(
            blank(text, false),
            "let a = \"x // y\";       \nlet b = r#\"c \" d\"#;     \n      let c = '\"'; let d: &'a str = \"\\\"g\";"
        );
        assert_eq!(
            blank(text, true),
            "let a =         ;       \nlet b = r         ;     \n      let c =    ; let d: &'a str =      ;"
        );
    }

    #[test]
    fn words() {
        assert!(
            has_word("use std::time::Instant;", "Instant")
                && !has_word("Instantly", "Instant")
                && !has_word("an_Instant", "Instant")
        );
    }
}
