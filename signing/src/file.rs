//! Files of JSON Lines under one signature: a header that says what the file is, a line each, and at the end the signature over all bytes
//! before it. So `head -n -1 FILE` is what `openssl pkeyutl -verify -rawin` checks.

use super::{Signer, Verifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest file that is read: a city's findings, some thousand bytes each.
pub const MAX_BYTES: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct Last {
    key: String,
    signature: String,
}

/// Why a signed file does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is no signature at its end.
    #[error("{0} is no signed file: its last line is no signature; it was cut short, or is something else")]
    Unsigned(String),
    /// Another key signed it.
    #[error("{place} was signed with the key {key}, and {known} is trusted here; check who made it")]
    OtherKey {
        /// The file.
        place: String,
        /// Id of the key.
        key: String,
        /// Id of the key that is trusted.
        known: String,
    },
    /// It was changed.
    #[error("the signature of {0} does not hold: the file was changed after it was signed; nothing of it was used")]
    Changed(String),
    /// A line is not what it should be.
    #[error("{place}:{line}: {why}; it was made by another version, and nothing of it was used")]
    Line {
        /// The file.
        place: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

/// A file of a header and lines, signed.
pub fn signed(signer: &Signer, header: &impl Serialize, lines: &[impl Serialize]) -> Vec<u8> {
    // Our own types have string keys alone: writing them to memory cannot fail.
    let mut bytes = serde_json::to_vec(header).unwrap_or_default();
    bytes.push(b'\n');
    for line in lines {
        bytes.extend(serde_json::to_vec(line).unwrap_or_default());
        bytes.push(b'\n');
    }
    let last = Last { key: signer.verifier().id().0, signature: STANDARD.encode(signer.sign(&bytes)) };
    bytes.extend(serde_json::to_vec(&last).unwrap_or_default());
    bytes.push(b'\n');
    bytes
}

/// The header and the lines of a file that this key signed. `kind`: what its header must say that it is.
///
/// # Errors
/// Where it is not signed, by another key, changed, or of another kind.
pub fn open<H: DeserializeOwned, L: DeserializeOwned>(
    place: &str,
    text: &str,
    kind: &str,
    key: &Verifier,
) -> Result<(H, Vec<L>), FileError> {
    let unsigned = || FileError::Unsigned(place.to_owned());
    let whole = text.strip_suffix('\n').ok_or_else(unsigned)?;
    let start = whole.rfind('\n').map(|at| at + 1).ok_or_else(unsigned)?;
    let (body, last) = whole.split_at_checked(start).ok_or_else(unsigned)?;
    let last: Last = serde_json::from_str(last).map_err(|_| unsigned())?;
    let known = key.id().0;
    if last.key != known {
        let shown = last.key.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        return Err(FileError::OtherKey { place: place.to_owned(), key: shown, known });
    }
    if !STANDARD.decode(&last.signature).is_ok_and(|signature| key.verifies(body.as_bytes(), &signature)) {
        return Err(FileError::Changed(place.to_owned()));
    }
    let wrong = |line: usize, why: String| FileError::Line { place: place.to_owned(), line, why };
    let mut lines = body.lines().zip(1..);
    let (header, _) = lines.next().ok_or_else(unsigned)?;
    let said: serde_json::Value = serde_json::from_str(header).map_err(|error| wrong(1, error.to_string()))?;
    if said.get("kind").and_then(|kind| kind.as_str()) != Some(kind) {
        return Err(wrong(1, format!("the file is no '{kind}'")));
    }
    let header = serde_json::from_value(said).map_err(|error| wrong(1, error.to_string()))?;
    let lines = lines.map(|(line, number)| serde_json::from_str(line).map_err(|error| wrong(number, error.to_string())));
    Ok((header, lines.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &str, key: &Verifier) -> Result<(Value, Vec<Value>), FileError> {
        open("file", text, "test", key)
    }

    #[test]
    fn a_signed_file_is_read_and_any_change_is_found() {
        let signer = Signer::make().unwrap();
        let key = signer.verifier();
        let bytes = signed(&signer, &json!({"kind": "test", "n": 2}), &[json!(1), json!("two")]);
        let text = String::from_utf8(bytes).unwrap();
        let (header, lines) = read(&text, &key).unwrap();
        assert_eq!((header["n"].as_u64(), lines), (Some(2), vec![json!(1), json!("two")]));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert!(read(&String::from_utf8(changed).unwrap(), &key).is_err(), "byte {at}");
            assert!(read(&text[..at], &key).is_err(), "cut at {at}");
        }
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(1, 2);
        assert_eq!(read(&(lines.join("\n") + "\n"), &key), Err(FileError::Changed("file".into())));
        assert!(matches!(read(&text, &Signer::make().unwrap().verifier()), Err(FileError::OtherKey { .. })));
        let error = open::<Value, Value>("file", &text, "another", &key).unwrap_err();
        assert!(error.to_string().contains("the file is no 'another'"), "{error}");
    }
}
