//! What can be wrong with a capture, told so that a tired operator knows what to do.

use super::Compression;
use std::fmt;
use std::io::{self, ErrorKind};

/// A capture that could not be opened, or not be read to its end. What came before was handed out.
#[derive(Debug)]
pub struct CaptureError {
    /// The file as the operator named it.
    pub file: String,
    /// Offset in bytes of the first record that could not be read; in the unpacked data where [`unpacked`](Self::unpacked) is set.
    pub offset: u64,
    /// Whether the offset counts unpacked bytes and not those of the file.
    pub unpacked: bool,
    /// Packets that were read before.
    pub packets: u64,
    /// What is wrong.
    pub fault: Fault,
}

impl CaptureError {
    /// What to do about it, in plain words.
    pub fn remedy(&self) -> &'static str {
        self.fault.remedy()
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fault.source()
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, unpacked, packets, fault } = self;
        write!(f, "{}: ", printable(file))?;
        if fault.has_place() {
            let data = if *unpacked { " of the unpacked data" } else { "" };
            let plural = if *packets == 1 { "" } else { "s" };
            write!(f, "at byte {offset}{data}, after {packets} packet{plural}: ")?;
        }
        write!(f, "{fault}. {}", self.remedy())
    }
}

/// What is wrong with a capture. Each says its cause; [`Fault::remedy`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file could not be opened.
    #[error("cannot be opened: {0}")]
    Open(#[source] io::Error),
    /// The file or its disk failed while it was read.
    #[error("cannot be read further: {0}")]
    Read(#[source] io::Error),
    /// There is not one byte.
    #[error("is empty")]
    Empty,
    /// It is no capture that is known here.
    #[error("is {what}, not a pcap or pcapng capture")]
    Foreign {
        /// What it looks like.
        what: &'static str,
        /// What to do with such a file.
        remedy: &'static str,
    },
    /// The file ends within something.
    #[error("the file ends inside {what}: {there} of {needed} bytes are there")]
    CutShort {
        /// What is cut.
        what: &'static str,
        /// Bytes that are there.
        there: u64,
        /// Bytes that it needs.
        needed: u64,
    },
    /// The file ends within compressed data.
    #[error("the {0} data end before they are complete")]
    PackedCutShort(Compression),
    /// A length or number that cannot be.
    #[error("{what} is {value}, {rule}")]
    Value {
        /// What is wrong.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What it must be.
        rule: &'static str,
    },
    /// The two lengths around a pcapng block differ.
    #[error("a block's two lengths disagree: {front} in front, {behind} behind")]
    LengthsDisagree {
        /// Length in front of the block.
        front: u32,
        /// Length behind it.
        behind: u32,
    },
    /// Compressed data that cannot be unpacked.
    #[error("the {format} data are corrupt: {what}")]
    Unpack {
        /// Which compression.
        format: Compression,
        /// What its decoder says.
        what: String,
    },
    /// A zstd window larger than the bound.
    #[error("the zstd data need a window of more than 128 MB to unpack")]
    ZstdWindow,
    /// Compression within compression beyond the bound.
    #[error("is compressed more than twice over")]
    Nested,
    /// More captures than can be told apart.
    #[error("is one capture too many: at most 65535 can be read in one run")]
    TooManyCaptures,
    /// A network interface from which nothing can be read any more.
    #[error("cannot be listened to any more ({0})")]
    Interface(String),
    /// The clock that live packets are stamped with went back: packet time would stand still until it is past again.
    #[error("was set back by {0} seconds")]
    ClockSetBack(u64),
}

impl Fault {
    /// What to do about it, in plain words.
    pub fn remedy(&self) -> &'static str {
        const CUT: &str = "The capture was cut off while it was written or copied (tool killed, disk full, copy not finished). All packets before this place were \
                           used; copy the file again or close the capture properly to get the rest.";
        const CORRUPT: &str = "The file was damaged after it was written, or its writer is faulty. All packets before this place were used; copy the file again \
                               from its origin, and compare checksums.";
        match self {
            Fault::Open(error) | Fault::Read(error) => match error.kind() {
                ErrorKind::NotFound => "Check the name and the folder.",
                ErrorKind::PermissionDenied => "Run as a user who may read this file, or have its permissions changed.",
                ErrorKind::IsADirectory => "It is a folder: name the capture files in it.",
                _ if error.raw_os_error() == Some(24) => {
                    "Too many files are open: raise the limit (ulimit -n) or read fewer captures in one run."
                }
                _ => {
                    "Check that the disk or share that holds the file is well and still connected. Packets read before were used."
                }
            },
            Fault::Empty => {
                "The capture tool wrote nothing: check that it ran, that its disk was not full, and that packets reached it."
            }
            Fault::Foreign { remedy, .. } => remedy,
            Fault::CutShort { .. } | Fault::PackedCutShort(_) => CUT,
            Fault::Value { .. } | Fault::LengthsDisagree { .. } | Fault::Unpack { .. } => CORRUPT,
            Fault::ZstdWindow => "Unpack it first with: zstd -d --long=31 FILE",
            Fault::Nested => "Unpack it once by hand and read the result.",
            Fault::Interface(_) => "It was unplugged or removed: bring it back, then start again.",
            Fault::ClockSetBack(_) => "Start again, so that times are right; what was found is kept.",
            Fault::TooManyCaptures => "Join captures first (mergecap -w out.pcapng FILES) or read them in several runs.",
        }
    }

    /// Whether an offset says something about it.
    fn has_place(&self) -> bool {
        use Fault::{ClockSetBack, Empty, Foreign, Interface, Nested, Open, TooManyCaptures};
        !matches!(self, Open(_) | Empty | Foreign { .. } | Nested | TooManyCaptures | Interface(_) | ClockSetBack(_))
    }
}

/// `text` without control characters, and at most [`MAX_TEXT`](super::MAX_TEXT) characters of it: names in captures are as hostile as packets, and end on terminals.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(super::MAX_TEXT).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
