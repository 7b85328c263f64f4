//! What was not handed over yet, in the order in which it came.
//!
//! On disk it is a folder (see `segments`). A message is on the disk when [`Spool::push`] returns. After a crash what was handed over since the
//! last note of it is handed over again.
//!
//! Beyond its bound the oldest segment goes, and its messages are counted as lost. While the disk refuses (full, read-only), messages wait in memory,
//! bounded and counted too, and go to the disk as soon as it takes them; delivery goes on all the while.

use super::Message;
use super::segments::{LONGEST, Position, Segments};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Bytes that a spool may take on disk by default: a large city's first judgement, 40,000 findings of 2 KB, three times over.
pub const LIMIT: u64 = 256 << 20;

/// Messages that wait in memory where there is no disk or it refuses: some 100 MB, and a large city's first judgement.
pub const IN_MEMORY: usize = 50_000;

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
    disk: Option<Segments>,
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

impl Spool {
    /// Opens the spool in a folder, or makes one there. `limit`: bytes on disk.
    ///
    /// # Errors
    /// Why it cannot be used, and what to do.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, SpoolError> {
        let mut spool = Self::in_memory(IN_MEMORY);
        let failed = |error| SpoolError::Io { path: folder.into(), error };
        let (disk, taken, damaged) = Segments::open(folder, limit).map_err(|error| match error.kind() {
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
        self.spill();
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
        self.spill();
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
        self.disk.as_ref().map_or(0, Segments::unread) + self.ahead.len() as u64
    }

    /// Moves what is in memory to the disk.
    fn spill(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        if self.memory.is_empty() {
            return;
        }
        let written = disk.append(&mut self.memory);
        self.refusal = written.err().map(|error| error.to_string());
        while self.disk.as_ref().is_some_and(Segments::is_over) {
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
        let Some((number, unread)) = disk.shed() else { return };
        // The position behind a segment's last record is still in that segment.
        let ahead = self.ahead.iter().take_while(|(_, next)| next.segment == number).count();
        self.ahead.drain(..ahead);
        let gone = ahead as u64 + unread;
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
