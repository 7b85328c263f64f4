//! JSON Lines: one object a line, to a file or to standard output.
//!
//! A file is opened for each delivery and appended to, so that it can be moved away at any time (logrotate), and it is on the disk when it counts as
//! delivered. A line that was cut off by a full disk or a crash is ended first, so that it costs itself alone.

use super::{Message, Sink, SinkSpec, Undelivered};
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// The line in the table of sinks.
pub const SPEC: SinkSpec = SinkSpec {
    name: "jsonl",
    doc: "jsonl:FILE appends one JSON object a line to a file, jsonl:- writes to standard output",
    example: "jsonl:alerts.jsonl",
    open,
};

fn open(target: &str) -> Result<Box<dyn Sink>, String> {
    match target {
        "" => Err("name a file, or - for standard output, as in jsonl:alerts.jsonl".into()),
        "-" => Ok(Box::new(Output)),
        path => Ok(Box::new(File(path.into()))),
    }
}

/// Standard output.
struct Output;

impl Sink for Output {
    fn deliver(&mut self, messages: &[Message]) -> Result<(), Undelivered> {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(lines(messages).as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Undelivered { taken: 0, why: format!("standard output: {error}") })
    }
}

/// A file by its path.
struct File(PathBuf);

impl Sink for File {
    fn deliver(&mut self, messages: &[Message]) -> Result<(), Undelivered> {
        self.append(&lines(messages)).map_err(|error| Undelivered { taken: 0, why: format!("{}: {error}", self.0.display()) })
    }

    fn ready(&mut self) -> Result<(), String> {
        self.append("").map_err(|error| error.to_string())
    }
}

impl File {
    fn append(&self, text: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new().append(true).read(true).create(true).open(&self.0)?;
        if file.metadata()?.is_file() && ends_within_a_line(&mut file)? {
            file.write_all(b"\n")?;
        }
        file.write_all(text.as_bytes())?;
        match file.sync_data() {
            // A pipe or a device takes it at once.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
            done => done,
        }
    }
}

fn ends_within_a_line(file: &mut std::fs::File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn lines(messages: &[Message]) -> String {
    messages.iter().flat_map(|message| [message.json.as_str(), "\n"]).collect()
}
