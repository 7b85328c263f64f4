//! Undoes compression as a stream, in bounded memory. Everything that was unpacked before damage is handed out before the damage is told.

use super::error::Fault;
use super::raw::Raw;
use super::window::Window;
use super::{Compression, ZSTD_WINDOW_LOG};
use crate::reader::Reader;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// Where a window's bytes come from.
pub(super) enum Source {
    Raw(Raw),
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
}

impl Source {
    /// Reads into `out`, which is not empty; 0 at the end.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        match self {
            Source::Raw(raw) => raw.read(out),
            Source::Gzip(gzip) => gzip.read(out),
            Source::Zstd(zstd) => zstd.read(out),
        }
    }

    /// The file below.
    pub(super) fn raw(&self) -> &Raw {
        match self {
            Source::Raw(raw) => raw,
            Source::Gzip(gzip) => gzip.below.source().raw(),
            Source::Zstd(zstd) => zstd.below.source().raw(),
        }
    }

    /// The file below, alone.
    pub(super) fn into_raw(self) -> Raw {
        match self {
            Source::Raw(raw) => raw,
            Source::Gzip(gzip) => gzip.below.into_source().into_raw(),
            Source::Zstd(zstd) => zstd.below.into_source().into_raw(),
        }
    }
}

/// Magic of a gzip member (RFC 1952 §2.3.1).
pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Longest gzip member header: name and comment are a line each, the extra field 64 KB.
const GZIP_HEADER: usize = 1 << 18;

/// Members of a gzip file (RFC 1952), one after the other.
pub(super) struct Gzip {
    below: Window,
    state: GzipState,
    inflate: Decompress,
    crc: Crc,
    fault: Option<Fault>,
}

enum GzipState {
    Header,
    Body,
    Trailer,
    Ended,
}

impl Gzip {
    pub(super) fn new(below: Window) -> Self {
        Self { below, state: GzipState::Header, inflate: Decompress::new(false), crc: Crc::new(), fault: None }
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        if let Some(fault) = self.fault.take() {
            self.state = GzipState::Ended;
            return Err(fault);
        }
        loop {
            match self.state {
                GzipState::Header => self.header()?,
                GzipState::Body => {
                    let n = self.body(out)?;
                    if n > 0 {
                        return Ok(n);
                    }
                }
                GzipState::Trailer => self.trailer()?,
                GzipState::Ended => return Ok(0),
            }
        }
    }

    fn header(&mut self) -> Result<(), Fault> {
        let length = loop {
            let held = self.below.rest().len();
            match header_length(self.below.rest()) {
                Ok(Some(length)) => break length,
                Ok(None) if held > GZIP_HEADER => return Err(self.corrupt("the header of a member is too long")),
                Ok(None) if self.below.has(held + 1) => {}
                Ok(None) => return Err(self.ended_early()),
                Err(what) => return Err(self.corrupt(what)),
            }
        };
        self.below.consume(length);
        self.inflate.reset(false);
        self.crc.reset();
        self.state = GzipState::Body;
        Ok(())
    }

    fn body(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        let more = self.below.has(1);
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let outcome = self.inflate.decompress(self.below.rest(), out, FlushDecompress::None);
        let read = (self.inflate.total_in() - before_in) as usize;
        let written = (self.inflate.total_out() - before_out) as usize;
        self.below.consume(read);
        self.crc.update(out.get(..written).unwrap_or_default());
        let fault = match outcome {
            Ok(Status::StreamEnd) => {
                self.state = GzipState::Trailer;
                return Ok(written);
            }
            Ok(_) if read > 0 || written > 0 => return Ok(written),
            Ok(_) if !more => self.ended_early(),
            Ok(_) => self.corrupt("the decoder makes no progress"),
            Err(_) => self.corrupt("this is not a deflate stream"),
        };
        if written == 0 {
            return Err(fault);
        }
        self.fault = Some(fault);
        Ok(written)
    }

    fn trailer(&mut self) -> Result<(), Fault> {
        if !self.below.has(8) {
            return Err(self.ended_early());
        }
        let sum = Reader::new(self.below.rest()).u32_le();
        self.below.consume(8);
        if sum != Some(self.crc.sum()) {
            return Err(self.corrupt("the checksum does not fit"));
        }
        self.state = GzipState::Header;
        if !self.below.has(GZIP_MAGIC.len()) || !self.below.rest().starts_with(&GZIP_MAGIC) {
            self.padding()?;
        }
        Ok(())
    }

    /// After the last member there may be zeros (tapes and block devices pad so); anything else is damage.
    fn padding(&mut self) -> Result<(), Fault> {
        while self.below.has(1) {
            let held = self.below.rest().len();
            if self.below.rest().iter().any(|&byte| byte != 0) {
                return Err(self.corrupt("something that is not gzip follows"));
            }
            self.below.consume(held);
        }
        self.state = GzipState::Ended;
        self.below.take_fault().map_or(Ok(()), Err)
    }

    fn ended_early(&mut self) -> Fault {
        self.state = GzipState::Ended;
        self.below.take_fault().unwrap_or(Fault::PackedCutShort(Compression::Gzip))
    }

    fn corrupt(&mut self, what: &str) -> Fault {
        self.state = GzipState::Ended;
        Fault::Unpack { format: Compression::Gzip, what: what.to_owned() }
    }
}

/// Length of a member header (RFC 1952 §2.3); `None` where more bytes are needed.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    const HCRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let mut reader = Reader::new(bytes);
    let Some([magic_1, magic_2, method, flags, ..]) = reader.array::<10>() else { return Ok(None) };
    if [magic_1, magic_2] != GZIP_MAGIC {
        return Err("a member does not begin as one");
    }
    if method != 8 {
        return Err("the compression method is not deflate");
    }
    let mut rest = || {
        if flags & EXTRA != 0 {
            let length = reader.u16_le()?;
            reader.skip(length.into())?;
        }
        for flag in [NAME, COMMENT] {
            if flags & flag != 0 {
                let text = memchr::memchr(0, reader.peek_rest())?;
                reader.skip(text + 1)?;
            }
        }
        if flags & HCRC != 0 {
            reader.skip(2)?;
        }
        Some(reader.offset())
    };
    Ok(rest())
}

/// Whether `bytes` begin with a zstd frame or a skippable frame (RFC 8878 §3.1).
pub(super) fn is_zstd(bytes: &[u8]) -> bool {
    matches!(Reader::new(bytes).u32_le(), Some(0xfd2f_b528 | 0x184d_2a50..=0x184d_2a5f))
}

/// Bytes with which a frame is begun: what tells how long its header is (RFC 8878 §3.1.1: magic and descriptor).
const ZSTD_START: usize = 5;

/// Length of a block header (RFC 8878 §3.1.1.2).
const ZSTD_BLOCK_HEADER: usize = 3;

/// Frames of a zstd file (RFC 8878), one after the other.
pub(super) struct Zstd {
    below: Window,
    decoder: Decoder<'static>,
    /// Input bytes that the decoder takes before it has output again; 0 between frames.
    wanted: usize,
    /// The decoder holds output that did not fit.
    flushing: bool,
    ended: bool,
}

impl Zstd {
    pub(super) fn decoder() -> Result<Decoder<'static>, Fault> {
        let mut decoder = Decoder::new().map_err(|error| corrupt(&error))?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(|error| corrupt(&error))?;
        Ok(decoder)
    }

    pub(super) fn new(below: Window, decoder: Decoder<'static>) -> Self {
        Self { below, decoder, wanted: 0, flushing: false, ended: false }
    }

    /// Feeds the decoder what it asked for without the block header that it likes to see after it: so one call does one thing, and an error in the next block
    /// loses none of this block's output (the decoder forgets its output when it fails).
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        while !self.ended {
            let wanted = match self.wanted {
                0 => ZSTD_START,
                wanted if wanted > ZSTD_BLOCK_HEADER => wanted - ZSTD_BLOCK_HEADER,
                wanted => wanted,
            };
            let more = self.flushing || self.below.has(1);
            if !more {
                self.ended = true;
                return match self.below.take_fault() {
                    Some(fault) => Err(fault),
                    None if self.wanted == 0 => Ok(0),
                    None => Err(Fault::PackedCutShort(Compression::Zstd)),
                };
            }
            let rest = self.below.rest();
            let input = if self.flushing { &[] } else { rest.get(..wanted).unwrap_or(rest) };
            let status = match self.decoder.run_on_buffers(input, out) {
                Ok(status) => status,
                Err(error) => {
                    self.ended = true;
                    return Err(corrupt(&error));
                }
            };
            let stuck = status.bytes_read == 0 && status.bytes_written == 0 && !self.flushing;
            self.flushing = status.bytes_written == out.len();
            self.wanted = status.remaining;
            self.below.consume(status.bytes_read);
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
            if stuck {
                self.ended = true;
                return Err(Fault::Unpack { format: Compression::Zstd, what: "the decoder makes no progress".to_owned() });
            }
        }
        Ok(0)
    }
}

fn corrupt(error: &std::io::Error) -> Fault {
    let what = error.to_string();
    if what.contains("too much memory") {
        return Fault::ZstdWindow;
    }
    Fault::Unpack { format: Compression::Zstd, what }
}
