//! Writing the log.

use super::verify::{Checkpoint, Line, read_line};
use super::{CHECKPOINT, Event, MAX_LINE, NOTHING, hash_of, signed};
use crate::time::Timestamp;
use crate::words::moment;
use citytap_signing::{Signer, base64};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why nothing is written to the log. Then nothing is done either: what cannot be told later must not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The file system refuses.
    #[error(
        "the audit log {place} cannot be {done} ({why}); nothing further is done until it can: make room, or correct its owner"
    )]
    Io {
        /// The file.
        place: String,
        /// `read` or `written`.
        done: &'static str,
        /// What it says.
        why: String,
    },
    /// Its end is not what this program writes.
    #[error(
        "the audit log {place} is damaged at line {line} ({why}); `citytap-rekey audit verify` tells more. Keep the file as evidence, \
        move it away, and the next start begins a new one"
    )]
    Damaged {
        /// The file.
        place: String,
        /// Which line.
        line: u64,
        /// What is wrong.
        why: String,
    },
}

/// The log, open for writing. One process has it at a time; the journal's lock sees to that.
pub struct Log {
    path: PathBuf,
    file: File,
    id: String,
    next: u64,
    last: String,
    unsigned: u64,
    signer: Signer,
}

impl Log {
    /// Opens the log, or begins one. A line torn by a crash is taken out, and said in the log; lines that nobody signed yet are signed.
    ///
    /// # Errors
    /// Where it cannot be read or written, or its end is damaged.
    pub fn open(path: &Path, signer: Signer, now: Timestamp) -> Result<Self, AuditError> {
        let io = |done| {
            move |error: std::io::Error| AuditError::Io { place: path.display().to_string(), done, why: error.to_string() }
        };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io("read"))?;
        let end = read_end(&mut file, path)?;
        file.set_len(end.whole).and_then(|()| file.seek(SeekFrom::End(0))).map_err(io("written"))?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            id: end.id.unwrap_or_default(),
            next: end.lines + 1,
            last: end.hash,
            unsigned: end.unsigned,
            signer,
        };
        if log.next == 1 {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|error| AuditError::Io {
                place: path.display().to_string(),
                done: "written",
                why: error.to_string(),
            })?;
            log.id = crate::secrets::sealing::hex(&random);
            let public = log.signer.verifier();
            let begun =
                Event::new("begun").with("log", log.id.clone()).with("key", public.id().0).with("public_key", public.to_pem());
            log.append(&begun, now)?;
        }
        if end.torn > 0 {
            log.append(&Event::new("torn_line_removed").with("bytes", end.torn), now)?;
        }
        log.sync(now)?;
        Ok(log)
    }

    /// Adds an event. It is durable, and vouched for, after the next [`Log::sync`].
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn append(&mut self, event: &Event, now: Timestamp) -> Result<(), AuditError> {
        let mut fields = Map::new();
        fields.insert("n".into(), json!(self.next));
        fields.insert("at".into(), json!(moment(now)));
        fields.insert("event".into(), json!(event.what));
        fields.extend(event.fields.clone());
        fields.insert("prev".into(), json!(self.last));
        let body = ordered(&fields);
        let hash = hash_of(&body);
        let line = format!("{body},\"hash\":\"{hash}\"}}\n");
        if line.len() > MAX_LINE {
            return Err(self.io("an event of it would be longer than a line may be".into()));
        }
        self.file.write_all(line.as_bytes()).map_err(|error| self.io(error.to_string()))?;
        (self.next, self.last) = (self.next + 1, hash);
        self.unsigned += 1;
        Ok(())
    }

    /// Signs what was added and makes it durable. Does nothing where nothing was added.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn sync(&mut self, now: Timestamp) -> Result<(), AuditError> {
        if self.unsigned > 0 {
            let checkpoint = self.checkpoint();
            let event = Event::new(CHECKPOINT)
                .with("of", checkpoint.n)
                .with("key", checkpoint.key.clone())
                .with("signature", checkpoint.signature.clone());
            self.append(&event, now)?;
            self.unsigned = 0;
        }
        self.file.sync_data().map_err(|error| self.io(error.to_string()))
    }

    /// A checkpoint of the last line, to be kept elsewhere.
    pub fn checkpoint(&self) -> Checkpoint {
        let n = self.next - 1;
        let signature = base64(&self.signer.sign(&signed(&self.id, n, &self.last)));
        Checkpoint { log: self.id.clone(), n, hash: self.last.clone(), key: self.signer.verifier().id().0, signature }
    }

    fn io(&self, why: String) -> AuditError {
        AuditError::Io { place: self.path.display().to_string(), done: "written", why }
    }
}

struct End {
    id: Option<String>,
    lines: u64,
    hash: String,
    unsigned: u64,
    /// Bytes of whole lines, and of what a crash left of one.
    whole: u64,
    torn: u64,
}

/// Reads what is there. The chain itself is [`super::verify`]'s to judge; here it is followed, so that the next line continues it.
fn read_end(file: &mut File, path: &Path) -> Result<End, AuditError> {
    let io = |error: std::io::Error| AuditError::Io { place: path.display().to_string(), done: "read", why: error.to_string() };
    let mut end = End { id: None, lines: 0, hash: NOTHING.into(), unsigned: 0, whole: 0, torn: 0 };
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = std::io::Read::take(&mut reader, MAX_LINE as u64 + 1).read_until(b'\n', &mut bytes).map_err(io)?;
        if read == 0 {
            return Ok(end);
        }
        let damaged = |why: String| AuditError::Damaged { place: path.display().to_string(), line: end.lines + 1, why };
        if bytes.last() != Some(&b'\n') {
            if read > MAX_LINE {
                return Err(damaged("it is longer than a line may be".into()));
            }
            end.torn = read as u64;
            return Ok(end);
        }
        let Line { n, hash, prev, event, log, .. } = read_line(&bytes).map_err(damaged)?;
        if (n, &prev) != (end.lines + 1, &end.hash) {
            return Err(damaged("it does not follow the line before".into()));
        }
        end.unsigned = if event == CHECKPOINT { 0 } else { end.unsigned + 1 };
        end.id = end.id.or(log);
        (end.lines, end.hash) = (n, hash);
        end.whole += read as u64;
    }
}

/// An object's text without its closing brace: the chain's number, time and event first, the hash before last.
fn ordered(fields: &Map<String, Value>) -> String {
    let first = ["n", "at", "event"];
    let rest = fields.keys().map(String::as_str).filter(|name| !first.contains(name) && *name != "prev");
    let names = first.into_iter().chain(rest).chain(["prev"]);
    let parts = names.filter_map(|name| fields.get(name).map(|value| format!("{}:{value}", Value::from(name))));
    format!("{{{}", parts.collect::<Vec<_>>().join(","))
}
