//! Tells formats by their first bytes, and names the foreign ones with what to do about them.

use super::error::Fault;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::unpack::{GZIP_MAGIC, Gzip, Source, Zstd, is_zstd};
use super::window::Window;
use super::{COMPRESSION_LAYERS, Compression};

/// A recognised container.
pub(super) enum Container {
    Pcap(Pcap),
    Pcapng(Box<Pcapng>),
}

/// Bytes that tell foreign formats apart; that of tar stands furthest in.
const HEAD: usize = 264;

/// Adds layers to `window` until it shows a container. Answers the compression found on the way, outermost first.
pub(super) fn unpack(mut window: Window) -> (Window, Vec<Compression>, Result<(), Fault>) {
    let mut layers = Vec::new();
    loop {
        window.has(HEAD);
        let compression = match window.rest() {
            head if head.starts_with(&GZIP_MAGIC) => Compression::Gzip,
            head if is_zstd(head) => Compression::Zstd,
            _ => return (window, layers, Ok(())),
        };
        if layers.len() == COMPRESSION_LAYERS {
            return (window, layers, Err(Fault::Nested));
        }
        layers.push(compression);
        let block = window.block();
        let source = match compression {
            Compression::Gzip => Source::Gzip(Box::new(Gzip::new(window))),
            Compression::Zstd => match Zstd::decoder() {
                Ok(decoder) => Source::Zstd(Box::new(Zstd::new(window, decoder))),
                Err(fault) => return (window, layers, Err(fault)),
            },
        };
        window = Window::new(source, block);
    }
}

/// The container that `window` begins with; its header is consumed.
pub(super) fn container(window: &mut Window) -> Result<Container, Fault> {
    if let Some(pcap) = Pcap::begin(window)? {
        return Ok(Container::Pcap(pcap));
    }
    if Pcapng::begins(window.rest()) {
        return Ok(Container::Pcapng(Box::default()));
    }
    if let Some(fault) = window.take_fault() {
        return Err(fault);
    }
    match window.rest() {
        [] => Err(Fault::Empty),
        head => Err(foreign(head)),
    }
}

fn foreign(head: &[u8]) -> Fault {
    const CONVERT: &str = "Convert it first: tshark -r FILE -w out.pcapng";
    const UNPACK: &str = "Unpack it first and read what is inside.";
    const OTHER: &str = "Check that this is the file you meant; captures are made with tcpdump -w, dumpcap or Wireshark.";
    const MAGIC: &[(&[u8], &str, &str)] = &[
        (b"snoop\0\0\0", "a Solaris snoop capture", CONVERT),
        (b"btsnoop\0", "a Bluetooth btsnoop capture", OTHER),
        (b"iptrace 1.0", "an AIX iptrace capture", CONVERT),
        (b"iptrace 2.0", "an AIX iptrace capture", CONVERT),
        (b"GMBU", "a Microsoft Network Monitor capture", CONVERT),
        (b"RTSS", "a Microsoft Network Monitor capture", CONVERT),
        (b"ObserverPktBuffe", "a Network Instruments Observer capture", CONVERT),
        (b"TRSNIFF data", "a Sniffer capture", CONVERT),
        (b"XCP\0", "a NetXRay capture", CONVERT),
        (b"\x1c\0\x01\xab", "an Ixia capture", CONVERT),
        (b"\x1c\0\x01\xac", "an Ixia capture", CONVERT),
        (b"\xab\x01\0\x1c", "an Ixia capture", CONVERT),
        (b"\xac\x01\0\x1c", "an Ixia capture", CONVERT),
        (b"PK\x03\x04", "a zip archive", UNPACK),
        (b"PK\x05\x06", "an empty zip archive", UNPACK),
        (b"BZh", "packed with bzip2", "Unpack it first: bunzip2 FILE"),
        (b"\xfd7zXZ\0", "packed with xz", "Unpack it first: unxz FILE"),
        (b"\x04\x22\x4d\x18", "packed with lz4", "Unpack it first: lz4 -d FILE"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
        (b"Rar!", "a RAR archive", UNPACK),
        (b"\x7fELF", "a program", OTHER),
        (b"%PDF", "a PDF document", OTHER),
        (b"SQLite format 3\0", "a database", OTHER),
        (b"version https://git-lfs", "a Git LFS pointer", "Fetch the file that it stands for: git lfs pull"),
    ];
    const TAR_MAGIC_AT: usize = 257;
    let (what, remedy) = if let Some(&(_, what, remedy)) = MAGIC.iter().find(|(magic, ..)| head.starts_with(magic)) {
        (what, remedy)
    } else if head.get(TAR_MAGIC_AT..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        ("a tar archive", UNPACK)
    } else if head.iter().all(|&byte| byte == 0) {
        ("a file of zeros", "Its space was reserved but never written: the capture tool or its disk failed. Take another copy.")
    } else if head.iter().take(HEAD).all(|&byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        (
            "text",
            "If it is tcpdump's printed output, record again with tcpdump -w FILE; if a hex dump, convert it with text2pcap.",
        )
    } else {
        ("of an unknown format", OTHER)
    };
    Fault::Foreign { what, remedy }
}
