//! What was not handed over yet, in the order in which it came.
//!
//! On disk it is a folder: `segment-N` files of one record a line (a checksum, a space, the message as JSON) that are only appended to, and `read`,
//! which says how far the peer has taken them and how much was lost. A record is on the disk when [`Spool::push`] returns. After a crash a
//! record that was cut off is dropped, and what was handed over since `read` was last written is handed over again.
//!
//! Beyond its bound the oldest segment goes, and its messages are counted as lost. While the disk refuses (full, read-only), messages wait in memory,
//! bounded and counted too, and go to the disk as soon as it takes them; delivery goes on all the while.

use super::Message;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes that a spool may take on disk by default: a large city's first judgement, 40,000 findings of 2 KB, three times over.
pub const LIMIT: u64 = 256 << 20;

/// Parts that the bound is divided into: so much at a time is lost when it is hit.
const SEGMENTS: u64 = 16;

/// Messages that wait in memory where there is no disk or it refuses: some 100 MB, and a large city's first judgement.
pub const IN_MEMORY: usize = 50_000;

/// Longest record in bytes: a message with its evidence is some kilobytes.
const LONGEST: usize = 1 << 20;

const READ: &str = "read";
const LOCK: &str = "lock";

/// How much of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Messages that wait.
    pub waiting: u64,
    /// Those of them that are not on disk, and would not survive the process.
    pub in_memory: u64,
    /// Messages lost because a bound was hit, over all runs.
    pub lost: u64,
    /// Records that could not be read back.
    pub damaged: u64,
    /// Why the disk does not take messages, where it does not.
    pub disk: Option<String>,
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process has it.
    #[error("the spool {} is in use by another citytap; stop it, or give this one a spool of its own", .0.display())]
    InUse(PathBuf),
    /// The file system refuses.
    #[error("cannot use the spool {}: {error}; see that the disk has room and that this user may write there", .path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
}

/// A queue of messages for one sink.
pub struct Spool {
    disk: Option<Disk>,
    /// Messages not on disk, all of them later than those that are.
    memory: VecDeque<Message>,
    /// Most messages in memory.
    most: usize,
    /// Messages read back from the disk that were not taken yet, the oldest first, each with where the next begins.
    ahead: VecDeque<(Message, Position)>,
    /// Number of the oldest message that was not taken; they are numbered from 0 as they come.
    first: u64,
    lost: u64,
    damaged: u64,
    refusal: Option<String>,
}

/// Where in the segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    segment: u64,
    offset: u64,
}

/// What `read` says.
#[derive(Default, Serialize, Deserialize)]
struct Taken {
    #[serde(flatten)]
    next: Position,
    lost: u64,
}

/// The segments on disk.
struct Disk {
    folder: PathBuf,
    limit: u64,
    /// By number, the oldest first; the last is written to.
    segments: VecDeque<Segment>,
    writer: Option<File>,
    /// Where reading goes on.
    next: Position,
    /// Behind the last message that the peer has taken.
    taken: Position,
    /// Held as long as the spool is used.
    _lock: File,
}

struct Segment {
    number: u64,
    bytes: u64,
    /// Messages from where reading goes on.
    unread: u64,
}

impl Spool {
    /// Opens the spool in a folder, or makes one there. `limit`: bytes on disk.
    ///
    /// # Errors
    /// Why it cannot be used, and what to do.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, SpoolError> {
        let mut spool = Self::in_memory(IN_MEMORY);
        let failed = |error| SpoolError::Io { path: folder.into(), error };
        let (disk, taken, damaged) = Disk::open(folder, limit).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => SpoolError::InUse(folder.into()),
            _ => failed(error),
        })?;
        (spool.lost, spool.damaged) = (taken.lost, damaged);
        spool.disk = Some(disk);
        Ok(spool)
    }

    /// A spool without a disk, which ends with the process. `most`: messages kept.
    pub fn in_memory(most: usize) -> Self {
        Self { disk: None, memory: VecDeque::new(), most, ahead: VecDeque::new(), first: 0, lost: 0, damaged: 0, refusal: None }
    }

    /// Adds messages. They are on the disk when it returns, unless that refuses; see [`Amounts::disk`].
    pub fn push(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            if message.json.len() + message.text.len() > LONGEST / 4 {
                self.lost += 1;
            } else {
                self.memory.push_back(message);
            }
        }
        self.to_disk();
        while self.memory.len() > self.most {
            if self.on_disk() > 0 {
                self.shed_segment();
            } else {
                self.memory.pop_front();
                self.first += 1;
                self.lost += 1;
            }
        }
    }

    /// The oldest messages that were not taken, at most `most` of them, and the number of the first, for [`Spool::taken`].
    pub fn peek(&mut self, most: usize) -> (u64, Vec<Message>) {
        self.look_ahead(most);
        let ahead = self.ahead.iter().map(|(message, _)| message);
        // Those in memory come after all on disk.
        let all_ahead = self.on_disk() == self.ahead.len() as u64;
        let memory = self.memory.iter().filter(|_| all_ahead);
        (self.first, ahead.chain(memory).take(most).cloned().collect())
    }

    /// The peer has taken all messages before this number.
    pub fn taken(&mut self, before: u64) {
        let mut moved = false;
        while self.first < before {
            self.look_ahead(1);
            if let Some((_, next)) = self.ahead.pop_front() {
                moved = true;
                self.disk.iter_mut().for_each(|disk| disk.was_taken(next));
            } else if self.memory.pop_front().is_none() {
                break;
            }
            self.first += 1;
        }
        if moved {
            self.write_taken();
        }
        self.to_disk();
    }

    /// How much of what.
    pub fn amounts(&self) -> Amounts {
        Amounts {
            waiting: self.on_disk() + self.memory.len() as u64,
            in_memory: self.memory.len() as u64,
            lost: self.lost,
            damaged: self.damaged,
            disk: self.refusal.clone(),
        }
    }

    /// Messages on disk that were not taken.
    fn on_disk(&self) -> u64 {
        let unread: u64 = self.disk.iter().flat_map(|disk| &disk.segments).map(|segment| segment.unread).sum();
        unread + self.ahead.len() as u64
    }

    /// Moves what is in memory to the disk.
    fn to_disk(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        if self.memory.is_empty() {
            return;
        }
        let written = disk.append(&mut self.memory);
        self.refusal = written.err().map(|error| error.to_string());
        while self.disk.as_ref().is_some_and(|disk| disk.bytes() > disk.limit && disk.segments.len() > 1) {
            self.shed_segment();
        }
    }

    fn write_taken(&mut self) {
        let Some(disk) = &self.disk else { return };
        let written = disk.write_taken(self.lost);
        self.refusal = written.err().map(|error| error.to_string());
    }

    /// Drops the oldest segment.
    fn shed_segment(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        let Some(oldest) = disk.shed() else { return };
        // The position behind a segment's last record is still in that segment.
        let ahead = self.ahead.iter().take_while(|(_, next)| next.segment == oldest.number).count();
        self.ahead.drain(..ahead);
        let gone = ahead as u64 + oldest.unread;
        self.lost += gone;
        self.first += gone;
        self.write_taken();
    }

    /// Reads from the disk until so many messages are at hand.
    fn look_ahead(&mut self, most: usize) {
        let Some(disk) = &mut self.disk else { return };
        if self.ahead.len() < most {
            self.damaged += disk.read(most - self.ahead.len(), &mut self.ahead);
        }
    }
}

impl Disk {
    fn open(folder: &Path, limit: u64) -> std::io::Result<(Self, Taken, u64)> {
        fs::create_dir_all(folder)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => std::io::Error::from(ErrorKind::WouldBlock),
            TryLockError::Error(error) => error,
        })?;
        let taken = fs::read(folder.join(READ)).ok().and_then(|text| serde_json::from_slice::<Taken>(&text).ok());
        let taken = taken.unwrap_or_default();
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_prefix("segment-")?.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let segments = VecDeque::with_capacity(numbers.len());
        let mut disk =
            Self { folder: folder.into(), limit, segments, writer: None, next: taken.next, taken: taken.next, _lock: lock };
        let mut damaged = 0;
        for number in numbers {
            if number < taken.next.segment {
                fs::remove_file(disk.path(number))?;
                continue;
            }
            let (segment, bad) = disk.look_over(number)?;
            damaged += bad;
            disk.segments.push_back(segment);
        }
        if let Some(first) = disk.segments.front().map(|first| first.number).filter(|first| *first > disk.next.segment) {
            disk.next = Position { segment: first, offset: 0 };
        }
        Ok((disk, taken, damaged))
    }

    /// Counts what is to be read of a segment, and takes away what was cut off at its end.
    fn look_over(&self, number: u64) -> std::io::Result<(Segment, u64)> {
        let path = self.path(number);
        let from = if number == self.next.segment { self.next.offset } else { 0 };
        let (mut unread, mut damaged, mut whole) = (0, 0, from);
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        while next_line(&mut reader, &mut line)? {
            whole += line.len() as u64;
            match unseal(&line) {
                Some(_) => unread += 1,
                None => damaged += 1,
            }
        }
        let length = fs::metadata(&path)?.len();
        if whole < length {
            damaged += 1;
            OpenOptions::new().write(true).open(&path)?.set_len(whole)?;
        }
        Ok((Segment { number, bytes: whole, unread }, damaged))
    }

    fn path(&self, number: u64) -> PathBuf {
        segment_path(&self.folder, number)
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Writes messages behind the others; what was written is taken out of `from`.
    fn append(&mut self, from: &mut VecDeque<Message>) -> std::io::Result<()> {
        while !from.is_empty() {
            let room = self.limit / SEGMENTS;
            if self.segments.back().is_none_or(|last| last.bytes >= room) {
                let number = self.segments.back().map_or(self.next.segment, |last| last.number + 1);
                self.segments.push_back(Segment { number, bytes: 0, unread: 0 });
                self.writer = None;
            }
            let Some(last) = self.segments.back() else { return Ok(()) };
            let (path, bytes) = (self.path(last.number), last.bytes);
            let (mut text, mut count) = (String::new(), 0);
            for message in from.iter() {
                if bytes + text.len() as u64 >= room {
                    break;
                }
                seal(message, &mut text);
                count += 1;
            }
            let writer = match &mut self.writer {
                Some(writer) => writer,
                none => none.insert(OpenOptions::new().create(true).append(true).open(&path)?),
            };
            if let Err(error) = writer.write_all(text.as_bytes()).and_then(|()| writer.sync_data()) {
                // Half a record would make the next one unreadable. A disk that is full can still shorten a file.
                let _ = writer.set_len(bytes);
                self.writer = None;
                return Err(error);
            }
            if let Some(last) = self.segments.back_mut() {
                last.bytes += text.len() as u64;
                last.unread += count;
            }
            from.drain(..count as usize);
        }
        Ok(())
    }

    /// Reads at most `most` further messages. Answers how many records were damaged.
    fn read(&mut self, most: usize, into: &mut VecDeque<(Message, Position)>) -> u64 {
        let (mut damaged, mut left) = (0, most);
        while left > 0 {
            let Some(at) = self.segments.iter().position(|segment| segment.unread > 0) else { break };
            let Some(segment) = self.segments.get_mut(at) else { break };
            if self.next.segment != segment.number {
                self.next = Position { segment: segment.number, offset: 0 };
            }
            let path = segment_path(&self.folder, segment.number);
            let opened = File::open(&path).and_then(|mut file| file.seek(SeekFrom::Start(self.next.offset)).map(|_| file));
            let Ok(file) = opened else {
                // Somebody took it away.
                damaged += std::mem::take(&mut segment.unread);
                continue;
            };
            let mut reader = BufReader::new(file);
            let mut line = Vec::new();
            while left > 0 && segment.unread > 0 {
                if !next_line(&mut reader, &mut line).unwrap_or(false) {
                    damaged += std::mem::take(&mut segment.unread);
                    break;
                }
                self.next.offset += line.len() as u64;
                if let Some(message) = unseal(&line) {
                    segment.unread -= 1;
                    left -= 1;
                    into.push_back((message, self.next));
                }
            }
        }
        damaged
    }

    /// Everything before this position was taken: whole segments go.
    fn was_taken(&mut self, next: Position) {
        self.taken = next;
        while self.segments.len() > 1 && self.segments.front().is_some_and(|first| first.number < next.segment) {
            if let Some(first) = self.segments.pop_front() {
                let _ = fs::remove_file(self.path(first.number));
            }
        }
    }

    /// Drops the oldest segment.
    fn shed(&mut self) -> Option<Segment> {
        let oldest = self.segments.pop_front()?;
        if self.segments.is_empty() {
            self.writer = None;
        }
        let next = Position { segment: oldest.number + 1, offset: 0 };
        for position in [&mut self.next, &mut self.taken] {
            if position.segment <= oldest.number {
                *position = next;
            }
        }
        // One that stays is passed over at the next start.
        let _ = fs::remove_file(self.path(oldest.number));
        Some(oldest)
    }

    fn write_taken(&self, lost: u64) -> std::io::Result<()> {
        let (path, beside) = (self.folder.join(READ), self.folder.join(".read.new"));
        let mut file = File::create(&beside)?;
        file.write_all(serde_json::to_string(&Taken { next: self.taken, lost }).unwrap_or_default().as_bytes())?;
        file.sync_data()?;
        fs::rename(beside, path)
    }
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("segment-{number:010}"))
}

/// The next whole line with its end; false where there is none.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    reader.take(LONGEST as u64).read_until(b'\n', line)?;
    Ok(line.last() == Some(&b'\n'))
}

fn seal(message: &Message, text: &mut String) {
    // Our own type has string keys alone: writing it to memory cannot fail.
    let body = serde_json::to_string(message).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:08x} {body}", crc32fast::hash(body.as_bytes()));
}

fn unseal(line: &[u8]) -> Option<Message> {
    let (sum, body) = std::str::from_utf8(line).ok()?.trim_end_matches('\n').split_once(' ')?;
    let right = u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(body.as_bytes());
    if right { serde_json::from_str(body).ok() } else { None }
}
