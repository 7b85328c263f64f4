//! Reading the log, and finding what was done to it.

use super::{CHECKPOINT, MAX_LINE, NOTHING, hash_of, signed};
use citytap_signing::{Verifier, from_base64};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{BufRead, Read};

/// A signed statement that the log had this line: worth most when it is kept on another machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Which log.
    pub log: String,
    /// Number of the line.
    pub n: u64,
    /// Its hash.
    pub hash: String,
    /// Id of the key.
    pub key: String,
    /// Ed25519 signature in base64.
    pub signature: String,
}

/// A log in which nothing was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Lines.
    pub lines: u64,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// Checkpoints from elsewhere that it agrees with.
    pub agreed: usize,
    /// The last line's hash.
    pub last: String,
}

/// The first line at which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Broken {
    /// 1-based number of the line in the file.
    pub line: u64,
    /// What is wrong, in words.
    pub what: String,
}

pub(super) struct Line {
    pub(super) n: u64,
    pub(super) event: String,
    pub(super) prev: String,
    pub(super) hash: String,
    pub(super) log: Option<String>,
    of: Option<u64>,
    key: Option<String>,
    signature: Option<String>,
}

/// Reads one line with its newline, and checks its own hash.
pub(super) fn read_line(bytes: &[u8]) -> Result<Line, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    let text = text.strip_suffix('\n').ok_or("it is cut short")?;
    let (body, rest) = text.rsplit_once(",\"hash\":\"").ok_or("it has no hash")?;
    let hash = rest.strip_suffix("\"}").ok_or("it does not end in its hash")?;
    if hash != hash_of(body) {
        return Err("it was changed: its hash does not fit it".into());
    }
    let value: Value = serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned())?;
    let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(Line {
        n: value.get("n").and_then(Value::as_u64).ok_or("it has no number")?,
        event: field("event").ok_or("it has no event")?,
        prev: field("prev").ok_or("it does not say what it follows")?,
        hash: hash.to_owned(),
        log: field("log"),
        of: value.get("of").and_then(Value::as_u64),
        key: field("key"),
        signature: field("signature"),
    })
}

/// Reads a whole log and finds the first line at which something is wrong: an edit, a cut, a move, an insertion, a signature of
/// another key, an end that nobody signed. A cut at the end shows only against `kept`, checkpoints from elsewhere. Bounded memory.
///
/// # Errors
/// The first line that is wrong. What cannot be read counts as wrong too.
pub fn verify(log: impl BufRead, key: &Verifier, kept: &[Checkpoint]) -> Result<Verified, Broken> {
    let mut log = log;
    let id = key.id().0;
    let mut stands = Verified { lines: 0, checkpoints: 0, agreed: 0, last: NOTHING.into() };
    let (mut name, mut signed_up_to, mut bytes) = (String::new(), 0, Vec::new());
    loop {
        bytes.clear();
        let number = stands.lines + 1;
        let broken = |what: String| Broken { line: number, what };
        let read = (&mut log)
            .take(MAX_LINE as u64 + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| broken(format!("it cannot be read: {error}")))?;
        if read == 0 {
            break;
        }
        let line = read_line(&bytes).map_err(broken)?;
        if line.n != number {
            return Err(broken(format!("it carries the number {}: lines are missing, moved or put in before it", line.n)));
        }
        if line.prev != stands.last {
            return Err(broken("it does not follow the line before: lines were removed, moved or made anew".into()));
        }
        if number == 1 {
            name = line
                .log
                .clone()
                .ok_or_else(|| broken("a log begins with its name, and this one does not: its beginning is missing".into()))?;
        }
        if line.event == CHECKPOINT {
            check(&line, key, &id, &name, &stands).map_err(broken)?;
            stands.checkpoints += 1;
            signed_up_to = number;
        }
        (stands.lines, stands.last) = (number, line.hash);
        for one in kept.iter().filter(|one| one.n == number) {
            agrees(one, key, &name, &stands.last).map_err(broken)?;
            stands.agreed += 1;
        }
    }
    ended(&stands, key, kept, &name, signed_up_to)?;
    Ok(stands)
}

/// A checkpoint in the log vouches for the line right before it.
fn check(line: &Line, key: &Verifier, id: &str, name: &str, before: &Verified) -> Result<(), String> {
    if line.of != Some(before.lines) {
        return Err("this checkpoint is not about the line before it".into());
    }
    if line.key.as_deref() != Some(id) {
        return Err(format!(
            "this checkpoint is of another key ({}) than the one given ({id})",
            line.key.as_deref().unwrap_or("none")
        ));
    }
    let signature = line.signature.as_deref().and_then(from_base64).unwrap_or_default();
    if !key.verifies(&signed(name, before.lines, &before.last), &signature) {
        return Err("the signature of this checkpoint does not hold: lines before it were made anew".into());
    }
    Ok(())
}

fn agrees(kept: &Checkpoint, key: &Verifier, name: &str, hash: &str) -> Result<(), String> {
    let signature = from_base64(&kept.signature).unwrap_or_default();
    if !key.verifies(&signed(&kept.log, kept.n, &kept.hash), &signature) {
        return Err(format!("the checkpoint of line {} from elsewhere is not signed by this key: it proves nothing", kept.n));
    }
    if kept.log != name {
        return Err(format!(
            "the checkpoint from elsewhere is about another log ({}) than this one ({name}): this log began anew",
            kept.log
        ));
    }
    if kept.hash != hash {
        return Err("a checkpoint from elsewhere knew another line here: the log was made anew up to here".into());
    }
    Ok(())
}

fn ended(stands: &Verified, key: &Verifier, kept: &[Checkpoint], name: &str, signed_up_to: u64) -> Result<(), Broken> {
    let broken = |what: String| Broken { line: stands.lines + 1, what };
    if stands.lines == 0 {
        return Err(broken("the log is empty; even a new one has a first line".into()));
    }
    if let Some(one) = kept.iter().find(|one| one.n > stands.lines || one.n == 0) {
        agrees(one, key, name, &one.hash).map_err(broken)?;
        return Err(broken(format!("the end is missing: a checkpoint from elsewhere knew line {}", one.n)));
    }
    if signed_up_to != stands.lines {
        let first = signed_up_to + 1;
        return Err(Broken {
            line: first,
            what: "from here to the end no checkpoint vouches for the log: the program ended before it signed (its next start does), or the end was \
                cut or made anew"
                .into(),
        });
    }
    Ok(())
}
