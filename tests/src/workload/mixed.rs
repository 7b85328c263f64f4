//! Captures multiplied.

use super::{Capture, SECOND, frames};
use crate::cases::{Case, cases};
use crate::noise::Noise;
use citytap_sensor::capture::{CaptureSource, LinkType, Merge};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{self, Write};

/// What to multiply and how much.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// Folders of `pcaps/` to take; each gets the same share of bytes.
    pub folders: Vec<String>,
    /// Bytes of packets in all.
    pub bytes: u64,
    /// Packets a second.
    pub rate: u64,
    /// Another seed gives other addresses and another order.
    pub seed: u64,
}

/// A case longer than this is pressed together, so that its copies overlap.
const LONGEST: u64 = 900 * SECOND;

struct Conversations {
    /// Time since the first packet, and the frame.
    packets: Vec<(u64, Vec<u8>)>,
    bytes: u64,
}

/// Writes the workload: copies of the cases, each with addresses of its own, beginning at random times.
pub fn mixed<W: Write>(capture: &mut Capture<W>, wanted: &Mixed) -> io::Result<()> {
    let sources = sources(&wanted.folders);
    let total: usize = sources.values().flatten().map(|source| source.packets.len()).sum();
    let average = sources.values().flatten().map(|source| source.bytes).sum::<u64>() / total.max(1) as u64;
    let span = (wanted.bytes / average.max(1)).saturating_mul(SECOND) / wanted.rate.max(1);
    let mut noise = Noise::new(wanted.seed);
    let mut starts: Vec<(u64, &Conversations, u64)> = Vec::new();
    for folder in sources.values() {
        let mut left = (wanted.bytes / sources.len() as u64) as i64;
        while left > 0 {
            let source = &folder[noise.below(folder.len())];
            left -= source.bytes as i64;
            starts.push((noise.below(span as usize) as u64, source, noise.number()));
        }
    }
    starts.sort_by_key(|(start, _, copy)| (*start, *copy));
    let mut open: BinaryHeap<Reverse<(u64, usize, usize)>> = BinaryHeap::new();
    let mut frame = Vec::new();
    let mut next = 0;
    loop {
        while next < starts.len() && open.peek().is_none_or(|Reverse((time, ..))| starts[next].0 <= *time) {
            open.push(Reverse((starts[next].0, next, 0)));
            next += 1;
        }
        let Some(Reverse((time, number, at))) = open.pop() else { return Ok(()) };
        let (start, source, copy) = starts[number];
        frame.clear();
        frame.extend_from_slice(&source.packets[at].1);
        frames::readdress(&mut frame, copy);
        capture.packet(time, &frame)?;
        if let Some((after, _)) = source.packets.get(at + 1) {
            open.push(Reverse((start + after, number, at + 1)));
        }
    }
}

/// The packets of the cases of each folder that can be readdressed.
fn sources(folders: &[String]) -> BTreeMap<String, Vec<Conversations>> {
    let mut sources: BTreeMap<String, Vec<Conversations>> = BTreeMap::new();
    for case in cases() {
        let folder = case.name.split('/').next().unwrap_or_default();
        if !folders.iter().any(|name| name == folder) {
            continue;
        }
        let loaded = load(&case);
        if !loaded.packets.is_empty() {
            sources.entry(folder.to_owned()).or_default().push(loaded);
        }
    }
    assert_eq!(sources.len(), folders.len(), "a folder of {folders:?} holds no packets that can be multiplied");
    sources
}

fn load(case: &Case) -> Conversations {
    let mut source = Merge::open(std::slice::from_ref(&case.capture), Default::default());
    let mut packets: Vec<(u64, Vec<u8>)> = Vec::new();
    while let Ok(Some(packet)) = source.next() {
        if packet.link_type == LinkType(1) && frames::is_plain(packet.bytes) {
            packets.push((packet.stamp.0, packet.bytes.to_vec()));
        }
    }
    packets.sort_by_key(|(time, _)| *time);
    let first = packets.first().map_or(0, |(time, _)| *time);
    let length = packets.last().map_or(0, |(time, _)| *time - first);
    for (time, _) in &mut packets {
        *time -= first;
        if length > LONGEST {
            *time = (u128::from(*time) * u128::from(LONGEST) / u128::from(length)) as u64;
        }
    }
    let bytes = packets.iter().map(|(_, frame)| frame.len() as u64).sum();
    Conversations { packets, bytes }
}
