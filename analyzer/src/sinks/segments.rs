//! A queue of messages in files.
//!
//! A folder holds `segment-N` files of one record a line (a checksum, a space, the message as JSON) that are only appended to, and `read`, which says how
//! far the peer has taken them and how much was lost. A record that was cut off by a crash is dropped when the folder is opened, one that was
//! damaged is passed over; both are counted. A lock keeps other processes out.

use super::Message;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Parts that the bound is divided into: so much at a time is lost when it is hit.
const SEGMENTS: u64 = 16;

/// Longest record in bytes: a message with its evidence is some kilobytes.
pub(super) const LONGEST: usize = 1 << 20;

const READ: &str = "read";
const LOCK: &str = "lock";

/// Where in the segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) segment: u64,
    offset: u64,
}

/// What `read` says.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Taken {
    #[serde(flatten)]
    next: Position,
    pub(super) lost: u64,
}

/// The segments on disk.
pub(super) struct Segments {
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

impl Segments {
    /// Opens the segments of a folder, or begins with none. Answers what the peer has taken and lost, and how many records are damaged;
    /// `WouldBlock` where another process has them.
    pub(super) fn open(folder: &Path, limit: u64) -> std::io::Result<(Self, Taken, u64)> {
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

    /// Whether they take more than they may, and not all is in the one that is written to.
    pub(super) fn is_over(&self) -> bool {
        self.segments.len() > 1 && self.segments.iter().map(|segment| segment.bytes).sum::<u64>() > self.limit
    }

    /// Messages that were not read yet.
    pub(super) fn unread(&self) -> u64 {
        self.segments.iter().map(|segment| segment.unread).sum()
    }

    /// Writes messages behind the others; what was written is taken out of `from`.
    pub(super) fn append(&mut self, from: &mut VecDeque<Message>) -> std::io::Result<()> {
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
    pub(super) fn read(&mut self, most: usize, into: &mut VecDeque<(Message, Position)>) -> u64 {
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
    pub(super) fn was_taken(&mut self, next: Position) {
        self.taken = next;
        while self.segments.len() > 1 && self.segments.front().is_some_and(|first| first.number < next.segment) {
            if let Some(first) = self.segments.pop_front() {
                let _ = fs::remove_file(self.path(first.number));
            }
        }
    }

    /// Drops the oldest segment. Answers its number, and how many messages of it were not read.
    pub(super) fn shed(&mut self) -> Option<(u64, u64)> {
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
        Some((oldest.number, oldest.unread))
    }

    /// Notes how far the peer is, and how many messages were lost.
    pub(super) fn write_taken(&self, lost: u64) -> std::io::Result<()> {
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
