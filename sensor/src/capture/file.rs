//! One capture, from a file or a reader.

use super::detect::{self, Container};
use super::error::{CaptureError, Fault, printable};
use super::raw::{Digest, Raw};
use super::unpack::Source;
use super::window::Window;
use super::{CaptureInfo, CaptureSource, Compression, Format, Interface, LinkType, Packet};
use crate::time::Timestamp;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How a capture is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Compute the SHA-256 of the file in the same pass. Costs about half a nanosecond a byte; where a thread is to spare,
    /// [`digest_file`](super::digest_file) beside the replay costs no time at all. After damage the rest of the file is read for it.
    pub digest: bool,
    /// Bytes read at once.
    pub block: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { digest: false, block: BLOCK }
    }
}

/// Bytes read at once: large enough that system calls vanish.
const BLOCK: usize = 1 << 20;

/// One capture, from a file or a reader.
pub struct FileSource {
    name: String,
    /// Where the file can be opened again: regular files only.
    path: Option<PathBuf>,
    options: ReadOptions,
    state: State,
    /// `found` describes the packet that is handed out next.
    ready: bool,
    found: Found,
    packets: u64,
    /// Of a capture that has ended.
    last: Ended,
    size: Option<u64>,
}

enum State {
    Reading(Box<Reading>),
    /// Closed before its first packet was handed out, to be opened again in its turn.
    Parked,
    Ended,
}

struct Reading {
    window: Window,
    container: Container,
    compression: Vec<Compression>,
}

#[derive(Default)]
struct Ended {
    format: Option<Format>,
    compression: Vec<Compression>,
    interfaces: Vec<Interface>,
    comments: Vec<String>,
    sections_unread: u64,
    bytes_read: u64,
    digest: Option<Digest>,
}

/// Where the next packet lies in the window, and what is known of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) position: usize,
    pub(super) length: usize,
    pub(super) stamp: Timestamp,
    pub(super) wire_length: u32,
    pub(super) link_type: LinkType,
    pub(super) interface: u16,
}

impl FileSource {
    /// Opens a capture file.
    pub fn open(path: &Path, options: ReadOptions) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let failed = |error| CaptureError {
            file: path.display().to_string(),
            offset: 0,
            unpacked: false,
            packets: 0,
            fault: Fault::Open(error),
        };
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if about.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let size = about.is_file().then_some(about.len());
        let mut source = Self::begin(name, Box::new(file), options)?;
        source.size = size;
        source.path = size.map(|_| path.to_owned());
        Ok(source)
    }

    /// Reads a capture from any reader; `name` stands for it in errors and evidence.
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static, options: ReadOptions) -> Result<Self, CaptureError> {
        Self::begin(name.to_owned(), Box::new(reader), options)
    }

    /// What an operator named "-".
    pub fn standard_input(options: ReadOptions) -> Result<Self, CaptureError> {
        Self::from_reader("standard input", io::stdin(), options)
    }

    fn begin(name: String, input: Box<dyn Read + Send>, options: ReadOptions) -> Result<Self, CaptureError> {
        let block = options.block.max(1);
        let window = Window::new(Source::Raw(Raw::new(input, options.digest)), block);
        let (mut window, compression, unpacked) = detect::unpack(window);
        match unpacked.and_then(|()| detect::container(&mut window)) {
            Err(fault) => {
                Err(CaptureError { file: name, offset: window.offset(), unpacked: !compression.is_empty(), packets: 0, fault })
            }
            Ok(container) => Ok(Self {
                name,
                path: None,
                options,
                state: State::Reading(Box::new(Reading { window, container, compression })),
                ready: false,
                found: Found::default(),
                packets: 0,
                last: Ended::default(),
                size: None,
            }),
        }
    }

    /// Closes a file until its first packet is asked for. Does nothing where that packet was handed out already or the input cannot be opened again.
    /// Thousands of captures, one after the other in time, so need neither thousands of open files nor of buffers.
    pub(super) fn park(&mut self) {
        if self.ready && self.packets == 0 && self.path.is_some() {
            self.last = self.known();
            self.state = State::Parked;
        }
    }

    #[cold]
    fn unpark(&mut self) -> Result<(), CaptureError> {
        (self.state, self.ready) = (State::Ended, false);
        let path = self.path.clone().unwrap_or_default();
        let mut again = Self::open(&path, self.options)?;
        self.ready = again.find()?;
        self.found = again.found;
        self.state = again.state;
        Ok(())
    }

    /// Finds the next packet, unless that was done.
    #[inline]
    fn find(&mut self) -> Result<bool, CaptureError> {
        if self.ready {
            return Ok(true);
        }
        let State::Reading(reading) = &mut self.state else { return Ok(false) };
        let outcome = match &mut reading.container {
            Container::Pcap(pcap) => pcap.find(&mut reading.window, &mut self.found),
            Container::Pcapng(pcapng) => pcapng.find(&mut reading.window, &mut self.found),
        };
        if let Ok(true) = outcome {
            self.ready = true;
            return Ok(true);
        }
        self.end(outcome.err())
    }

    #[cold]
    fn end(&mut self, fault: Option<Fault>) -> Result<bool, CaptureError> {
        let known = self.known();
        let State::Reading(reading) = std::mem::replace(&mut self.state, State::Ended) else { return Ok(false) };
        let (offset, unpacked) = (reading.window.offset(), !known.compression.is_empty());
        let mut raw = reading.window.into_source().into_raw();
        let digest = raw.finish();
        self.last = Ended { bytes_read: raw.count, ..known };
        let failed = |fault| CaptureError { file: self.name.clone(), offset, unpacked, packets: self.packets, fault };
        if let Some(fault) = fault {
            self.last.digest = digest.ok().flatten();
            return Err(failed(fault));
        }
        self.last.digest = digest.map_err(failed)?;
        Ok(false)
    }

    fn known(&self) -> Ended {
        let State::Reading(reading) = &self.state else { return Ended::default() };
        let (compression, bytes_read) = (reading.compression.clone(), reading.window.source().raw().count);
        match &reading.container {
            Container::Pcap(pcap) => {
                let interfaces = vec![Interface { link_type: pcap.link_type, ..Interface::default() }];
                Ended { format: Some(pcap.format), compression, interfaces, bytes_read, ..Ended::default() }
            }
            Container::Pcapng(pcapng) => Ended {
                format: Some(Format::Pcapng),
                compression,
                interfaces: pcapng.interfaces.clone(),
                comments: pcapng.comments.clone(),
                sections_unread: pcapng.sections_unread,
                bytes_read,
                digest: None,
            },
        }
    }
}

impl CaptureSource for FileSource {
    #[inline]
    fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        if matches!(self.state, State::Parked) {
            self.unpark()?;
        }
        if !self.find()? {
            return Ok(None);
        }
        self.ready = false;
        self.packets += 1;
        let State::Reading(reading) = &self.state else { return Ok(None) };
        let Found { position, length, stamp, wire_length, link_type, interface } = self.found;
        Ok(Some(Packet { bytes: reading.window.bytes(position, length), stamp, link_type, wire_length, source: 0, interface }))
    }

    #[inline]
    fn peek(&mut self) -> Result<Option<Timestamp>, CaptureError> {
        if matches!(self.state, State::Parked) {
            self.unpark()?;
        }
        Ok(self.find()?.then_some(self.found.stamp))
    }

    fn describe(&self) -> Vec<CaptureInfo> {
        let known;
        let Ended { format, compression, interfaces, comments, sections_unread, bytes_read, digest } = match &self.state {
            State::Reading(_) => {
                known = self.known();
                &known
            }
            State::Parked | State::Ended => &self.last,
        };
        vec![CaptureInfo {
            name: base_name(&self.name),
            format: *format,
            compression: compression.clone(),
            interfaces: interfaces.clone(),
            comments: comments.clone(),
            sections_unread: *sections_unread,
            packets: self.packets,
            bytes_read: *bytes_read,
            size: self.size,
            digest: *digest,
        }]
    }

    fn bytes_read(&self) -> u64 {
        match &self.state {
            State::Reading(reading) => reading.window.source().raw().count,
            State::Parked => 0,
            State::Ended => self.size.unwrap_or(self.last.bytes_read),
        }
    }

    fn size(&self) -> Option<u64> {
        self.size
    }
}

/// The part of `name` that evidence shows: no folders, nothing that moves a terminal's cursor.
pub(super) fn base_name(name: &str) -> String {
    printable(Path::new(name).file_name().map_or(name.into(), |base| base.to_string_lossy()).as_ref())
}

/// Reads `bytes` as a capture, to the end or to a few megabytes of packets: the body of a fuzz target.
pub fn fuzz(bytes: &[u8]) {
    let options = ReadOptions { digest: false, block: 256 };
    let Ok(mut source) = FileSource::from_reader("fuzz", io::Cursor::new(bytes.to_vec()), options) else { return };
    let mut total = 0;
    while let Ok(Some(packet)) = source.next() {
        assert!(packet.bytes.len() <= super::MAX_PACKET, "a packet larger than the bound");
        total += packet.bytes.len() + 1;
        if total > FUZZ_BYTES {
            break;
        }
    }
    assert!(
        source.describe().iter().all(|info| info.interfaces.len() <= super::MAX_INTERFACES),
        "more interfaces than the bound"
    );
}

/// Bytes of packets after which fuzzing stops: compressed inputs may unpack without end.
const FUZZ_BYTES: usize = 1 << 22;
