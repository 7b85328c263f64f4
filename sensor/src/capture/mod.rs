//! Packets from capture files, from standard input and from network interfaces, each with its time, link type, length on the wire and origin.
//!
//! What is read: pcap (micro- and nanoseconds, both byte orders, and the "modified" pcap of old Linux kernels) and pcapng (many sections and interfaces, each
//! interface with its own link type and resolution; enhanced, simple and obsolete packet blocks). Either may be packed with gzip (many members) or zstd (many
//! frames), in at most [`COMPRESSION_LAYERS`] layers. Formats are told by content, never by name. [`Merge`] joins several captures by time. [`live`] listens
//! on interfaces.
//!
//! What is left out: name resolution, decryption secrets, journal and custom blocks of pcapng, options of packet blocks, checksums in FCS trailers, and the
//! lengths of sections (the blocks themselves are followed). Foreign formats are named with the command that converts them.
//!
//! Damage ends a capture, never the run: every packet before it was handed out, and the error says file, offset, what is wrong and what to do.
//!
//! Documents: draft-ietf-opsawg-pcap (pcap), draft-ietf-opsawg-pcapng (pcapng), RFC 1952 (gzip), RFC 8878 (zstd), the registry of link types at tcpdump.org.
//!
//! The layers, bottom up: `raw` counts and digests the bytes of the file, `unpack` undoes compression, `window` keeps one block of 1 MB in which whole records
//! lie so that packets are borrowed and not copied, `pcap` and `pcapng` are the grammars, `file` joins them.
//!
//! The grammars are our own and not those of the pcap-parser crate, which tests use as a second opinion: its reader copies its buffer about (the measured cost
//! of a packet is higher), it allocates a list of options for each packet block that has any, reads options of big-endian sections as little-endian, does
//! not know the obsolete packet block, gives up a block for one odd option, and its length arithmetic can overflow.

mod detect;
mod error;
mod file;
mod link_type;
pub mod live;
mod merge;
mod pcap;
mod pcapng;
mod raw;
mod unpack;
mod window;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod writers;

pub use error::{CaptureError, Fault};
pub use file::{FileSource, ReadOptions, fuzz};
pub use link_type::LinkType;
pub use merge::{CaptureDamage, Merge};
pub use raw::{Digest, digest_file};

use crate::time::Timestamp;
use std::fmt;
use std::io::Read;
use std::path::Path;

/// Largest captured length of a packet in bytes. libpcap writes at most 262,144; Linux merges segments to at most 524,280 bytes before a capture sees them
/// ("BIG TCP"). Twice that leaves room; a longer one is a corrupt length, and would make one packet's buffer as large as an attacker likes.
pub const MAX_PACKET: usize = 1 << 20;

/// Largest pcapng block that is read (packets, sections, interfaces, statistics): a packet and as many bytes of options.
pub const MAX_BLOCK: usize = 2 * MAX_PACKET;

/// Largest pcapng block that is stepped over. Wireshark refuses larger ones too, so no writer makes them; a larger length is a corrupt one, which must
/// not swallow the rest of the file in silence.
pub const MAX_SKIPPED_BLOCK: u32 = 16 << 20;

/// Different interfaces in one capture: a host that captures on "any" with a thousand containers stays below.
pub const MAX_INTERFACES: usize = 4096;

/// Characters kept of an interface's name or description, and of a comment.
pub const MAX_TEXT: usize = 256;

/// Comments kept of a capture.
pub const MAX_COMMENTS: usize = 64;

/// Layers of compression that are undone: a log rotator may pack again what the capture tool packed.
pub const COMPRESSION_LAYERS: usize = 2;

/// Base-2 logarithm of the largest zstd window, 128 MB: what the zstd tool accepts without being told, and what its highest level uses.
pub const ZSTD_WINDOW_LOG: u32 = 27;

/// One captured packet, borrowed from the capture's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The captured bytes, from the link layer on.
    pub bytes: &'a [u8],
    /// Time stamp as captured: may go backwards (see [`Clock`](crate::time::Clock)).
    pub stamp: Timestamp,
    /// What the bytes begin with.
    pub link_type: LinkType,
    /// Length on the wire in bytes; more than `bytes` holds where a snap length cut the packet.
    pub wire_length: u32,
    /// The capture that it came from: position among the arguments, from 0.
    pub source: u16,
    /// The interface in that capture: position in [`CaptureInfo::interfaces`].
    pub interface: u16,
}

/// Something that hands out packets, one at a time.
pub trait CaptureSource {
    /// The next packet; `None` at the end, and where [`idle`](Self::idle) says so when there is none at present. After an error the source has ended.
    fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError>;

    /// The time stamp of the packet that [`next`](Self::next) will hand out; `None` at the end.
    fn peek(&mut self) -> Result<Option<Timestamp>, CaptureError>;

    /// What is known so far of each capture behind this source; complete at the end.
    fn describe(&self) -> Vec<CaptureInfo>;

    /// Bytes of the files, as stored, that are done with; for progress, against [`size`](Self::size).
    fn bytes_read(&self) -> u64;

    /// Bytes of the files, as stored; `None` where it is not known (standard input).
    fn size(&self) -> Option<u64>;

    /// Whether packets come when they are sent, so that they are lost where nobody takes them.
    fn is_live(&self) -> bool {
        false
    }

    /// After [`next`](Self::next) answered `None`: the time that was reached while no packet came, before which none will come; `None` where
    /// the source is at its end.
    fn idle(&self) -> Option<Timestamp> {
        None
    }

    /// What was lost so far before it could be handed out.
    fn lost(&mut self) -> Lost {
        Lost::default()
    }
}

/// Packets that a live source lost, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Because the kernel's buffer was full.
    pub by_kernel: u64,
    /// In the interface or its driver.
    pub by_interface: u64,
}

/// What is known of one capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureInfo {
    /// Base name of the file, or the name given with the reader; control characters replaced.
    pub name: String,
    /// The container; `None` until it was recognised.
    pub format: Option<Format>,
    /// Compression around it, outermost first.
    pub compression: Vec<Compression>,
    /// The interfaces seen so far; a pcap has one. Equal interfaces of several sections are one.
    pub interfaces: Vec<Interface>,
    /// Comments on sections, at most [`MAX_COMMENTS`].
    pub comments: Vec<String>,
    /// Sections of a pcapng version that is not known, whose packets were stepped over.
    pub sections_unread: u64,
    /// Packets handed out.
    pub packets: u64,
    /// Bytes read of the file as stored.
    pub bytes_read: u64,
    /// Bytes of the file as stored, where known.
    pub size: Option<u64>,
    /// SHA-256 of the file as stored, where asked for, once the capture was read to its end.
    pub digest: Option<Digest>,
}

/// A container format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// pcap with microseconds.
    PcapMicros,
    /// pcap with nanoseconds.
    PcapNanos,
    /// pcap with longer record headers (magic 0xa1b2cd34).
    PcapModified,
    /// pcapng.
    Pcapng,
}

/// A compression format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }
}

/// One interface of a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Link type of its packets.
    pub link_type: LinkType,
    /// Its name (`if_name`); empty where not told. Control characters replaced.
    pub name: String,
    /// Its description (`if_description`); empty where not told.
    pub description: String,
    /// Packets that the capture tool says it lost for want of room (`isb_ifdrop`), where told.
    pub dropped: Option<u64>,
}

/// Opens a capture file.
pub fn open(path: &Path) -> Result<FileSource, CaptureError> {
    FileSource::open(path, ReadOptions::default())
}

/// Reads a capture from any reader; `name` stands for it in errors and evidence.
pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Result<FileSource, CaptureError> {
    FileSource::from_reader(name, reader, ReadOptions::default())
}
