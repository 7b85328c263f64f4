//! Traffic for the benchmark and the quiet test, made from nothing but `pcaps/` and a seed: the same arguments give the same bytes.
//!
//! - [`mixed`] multiplies the captures of `pcaps/` with fresh addresses and interleaves them by time: short and odd conversations.
//! - [`steady`] keeps so many flows of the four protocols open at once and lets each of them speak again and again.
//! - [`weeks`] is a healthy city for weeks on end, with all that happens in one.
//! - [`flood`] never says the same thing twice: each packet is of a new address, client, device or topic.

mod frames;
mod mixed;
mod steady;
mod weeks;

pub use mixed::{Mixed, mixed};
pub use steady::{flood, steady};
pub use weeks::{Weeks, weeks};

use std::io::{self, Write};

/// A capture being written: pcap with nanoseconds, Ethernet.
pub struct Capture<W> {
    out: W,
    /// Packets so far.
    pub packets: u64,
    /// Bytes of packets so far.
    pub bytes: u64,
}

impl<W: Write> Capture<W> {
    /// Begins with the file's header.
    pub fn new(mut out: W) -> io::Result<Self> {
        let head = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1];
        head.iter().try_for_each(|word| out.write_all(&word.to_le_bytes()))?;
        Ok(Self { out, packets: 0, bytes: 0 })
    }

    /// Writes a packet; `time` in nanoseconds since the capture's beginning.
    pub fn packet(&mut self, time: u64, frame: &[u8]) -> io::Result<()> {
        let nanos = START + time;
        let head = [(nanos / SECOND) as u32, (nanos % SECOND) as u32, frame.len() as u32, frame.len() as u32];
        head.iter().try_for_each(|word| self.out.write_all(&word.to_le_bytes()))?;
        self.packets += 1;
        self.bytes += frame.len() as u64;
        self.out.write_all(frame)
    }

    /// Writes what is left.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

const SECOND: u64 = 1_000_000_000;

/// All workloads begin on 4 May 2026, 06:00 UTC.
const START: u64 = 1_777_874_400 * SECOND;
