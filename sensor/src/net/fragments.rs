//! IP fragments to whole datagrams, for IPv4 (RFC 791 §3.2, RFC 815) and IPv6 (RFC 8200 §4.5).
//!
//! - A datagram is named by network, source, destination and identification, in IPv4 by the protocol too.
//! - Overlap: what came first wins, in both versions. RFC 8200 has a host discard such datagrams; a tap that did so could be blinded with one fragment.
//! - A last fragment that disagrees with what is known of the length is refused, and so is one that would end beyond 65,535 bytes.
//! - IPv6 atomic fragments (RFC 6946) stand alone, whatever waits under their name.
//! - Offsets and lengths are taken as they are: no minimum size, no multiple of eight.
//!
//! Left out: time-exceeded messages, the ECN field (RFC 3168 §5.3). etherparse's `IpDefragBuf` is not used: in it the last bytes win,
//! it cannot tell of an overlap, and it allocates as far as a fragment's offset, so that one byte costs up to 64 KB.

use crate::counters::{Counter, Counters};
use crate::flow::NetworkId;
use crate::limits;
use crate::reader::Reader;
use crate::time::{SECOND, Timestamp};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

#[cfg(test)]
mod tests;

/// Largest payload of a datagram in bytes: the 16-bit length field of either version.
const LARGEST: usize = 65_535;

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// The address space.
    pub network: NetworkId,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Protocol (IPv4) or next header of the fragment header (IPv6).
    pub protocol: u8,
    /// Where the payload belongs, in bytes.
    pub offset: u16,
    /// Whether more fragments follow it.
    pub more: bool,
    /// The bytes after the IPv4 header or the IPv6 fragment header, as far as they were captured.
    pub payload: &'a [u8],
}

/// A datagram put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassembled {
    /// Protocol of the payload, as the fragment at offset 0 says.
    pub protocol: u8,
    /// The whole payload, at most 65,535 bytes.
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    network: NetworkId,
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// 0 in IPv6, where fragments of one datagram may differ in it (RFC 8200 §4.5).
    protocol: u8,
}

/// Bytes of a datagram that no other piece covers.
struct Piece {
    offset: usize,
    bytes: Box<[u8]>,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.bytes.len()
    }
}

/// A datagram of which fragments are missing.
struct Datagram {
    key: Key,
    since: Timestamp,
    protocol: u8,
    /// In order, without overlap.
    pieces: Vec<Piece>,
    bytes: usize,
    total: Option<usize>,
    fragments: u64,
}

/// The datagrams of a shard that wait for fragments: at most [`limits::FRAGMENT_DATAGRAMS`] with [`limits::FRAGMENT_BYTES`]; the oldest give way.
#[derive(Default)]
pub struct Fragments {
    /// The oldest first.
    waiting: VecDeque<Datagram>,
    bytes: usize,
    /// Completed a moment ago, the oldest first.
    finished: VecDeque<(Key, Timestamp)>,
}

impl Fragments {
    /// Takes a fragment; answers the datagram that it completes.
    pub fn add(&mut self, now: Timestamp, fragment: Fragment<'_>, counters: &mut Counters) -> Option<Reassembled> {
        if fragment.offset == 0 && !fragment.more {
            counters.bump(Counter::FragmentsReassembled);
            return Some(Reassembled { protocol: fragment.protocol, payload: fragment.payload.to_vec() });
        }
        let end = usize::from(fragment.offset) + fragment.payload.len();
        if end > LARGEST || (fragment.more && fragment.payload.is_empty()) {
            counters.bump(Counter::FragmentsDropped);
            return None;
        }
        self.expire(now, counters);
        let key = fragment.key();
        if self.finished.iter().any(|(finished, _)| *finished == key) {
            return None;
        }
        let index = self.waiting.iter().position(|datagram| datagram.key == key);
        let index = self.make_room(index, fragment.payload.len(), counters);
        let datagram = match index {
            Some(index) => self.waiting.get_mut(index)?,
            None => {
                self.waiting.push_back(Datagram::new(key, now));
                self.waiting.back_mut()?
            }
        };
        let before = datagram.bytes;
        let complete = datagram.add(&fragment, counters);
        self.bytes += datagram.bytes - before;
        if !complete {
            return None;
        }
        let index = self.waiting.iter().position(|datagram| datagram.key == key)?;
        let datagram = self.waiting.remove(index)?;
        self.bytes -= datagram.bytes;
        if self.finished.len() >= limits::FRAGMENT_DATAGRAMS {
            self.finished.pop_front();
        }
        self.finished.push_back((key, now));
        counters.bump(Counter::FragmentsReassembled);
        Some(datagram.assemble())
    }

    /// Gives up datagrams older than [`limits::FRAGMENT_AGE`].
    pub fn expire(&mut self, now: Timestamp, counters: &mut Counters) {
        let is_over = |since: Timestamp, age| now.since(since) >= age;
        while let Some(datagram) = self.waiting.pop_front_if(|datagram| is_over(datagram.since, limits::FRAGMENT_AGE)) {
            self.give_up(&datagram, counters);
        }
        while self.finished.pop_front_if(|(_, since)| is_over(*since, limits::FRAGMENT_LINGER)).is_some() {}
    }

    /// Datagrams that wait for fragments.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes that they hold.
    pub fn held(&self) -> usize {
        self.bytes
    }

    /// Gives up the oldest datagrams until another fragment fits, never the one at `index` to which it belongs. Answers where that is now.
    fn make_room(&mut self, mut index: Option<usize>, bytes: usize, counters: &mut Counters) -> Option<usize> {
        while self.bytes + bytes > limits::FRAGMENT_BYTES || (index.is_none() && self.waiting.len() >= limits::FRAGMENT_DATAGRAMS)
        {
            let oldest = usize::from(index == Some(0));
            let Some(datagram) = self.waiting.remove(oldest) else { break };
            self.give_up(&datagram, counters);
            if oldest == 0 {
                index = index.map(|index| index - 1);
            }
        }
        index
    }

    fn give_up(&mut self, datagram: &Datagram, counters: &mut Counters) {
        self.bytes -= datagram.bytes;
        counters.add(Counter::FragmentsDropped, datagram.fragments);
    }
}

impl Fragment<'_> {
    fn key(&self) -> Key {
        let protocol = if self.source.is_ipv4() { self.protocol } else { 0 };
        Key { network: self.network, source: self.source, destination: self.destination, id: self.id, protocol }
    }
}

impl Datagram {
    fn new(key: Key, since: Timestamp) -> Self {
        Self { key, since, protocol: key.protocol, pieces: Vec::new(), bytes: 0, total: None, fragments: 0 }
    }

    /// Keeps what is new in a fragment. Answers whether the datagram is complete.
    fn add(&mut self, fragment: &Fragment<'_>, counters: &mut Counters) -> bool {
        let offset = usize::from(fragment.offset);
        let end = offset + fragment.payload.len();
        let reached = self.pieces.last().map_or(0, Piece::end);
        let is_consistent = match self.total {
            Some(total) if fragment.more => end <= total,
            Some(total) => end == total,
            None => fragment.more || end >= reached,
        };
        if !is_consistent {
            counters.bump(Counter::FragmentOverlaps);
            counters.bump(Counter::FragmentsDropped);
            return false;
        }
        if !fragment.more {
            self.total = Some(end);
        }
        if offset == 0 && self.pieces.first().is_none_or(|first| first.offset > 0) {
            self.protocol = fragment.protocol;
        }
        self.insert(offset, fragment.payload, counters);
        self.total == Some(self.bytes)
    }

    fn insert(&mut self, offset: usize, payload: &[u8], counters: &mut Counters) {
        let (mut at, mut rest) = (offset, payload);
        let (mut covered, mut differs) = (0, false);
        self.fragments += 1;
        while !rest.is_empty() {
            let after = self.pieces.partition_point(|piece| piece.offset <= at);
            let before = after.checked_sub(1).and_then(|index| self.pieces.get(index));
            let known = before.and_then(|piece| piece.bytes.get(at - piece.offset..)).unwrap_or_default();
            let step = if known.is_empty() {
                let free = self.pieces.get(after).map_or(usize::MAX, |piece| piece.offset - at);
                let run = rest.split_at_checked(free).map_or(rest, |(run, _)| run);
                if self.pieces.len() >= limits::FRAGMENTS {
                    counters.bump(Counter::FragmentsDropped);
                    self.fragments -= 1;
                    break;
                }
                self.pieces.insert(after, Piece { offset: at, bytes: run.into() });
                self.bytes += run.len();
                run.len()
            } else {
                differs |= known.iter().zip(rest).any(|(a, b)| a != b);
                let step = known.len().min(rest.len());
                covered += step;
                step
            };
            at += step;
            rest = rest.get(step..).unwrap_or_default();
        }
        let is_copy = covered == payload.len() && !differs;
        if covered > 0 && !is_copy {
            counters.bump(Counter::FragmentOverlaps);
        }
    }

    fn assemble(self) -> Reassembled {
        let mut payload = Vec::with_capacity(self.bytes);
        for piece in &self.pieces {
            payload.extend_from_slice(&piece.bytes);
        }
        Reassembled { protocol: self.protocol, payload }
    }
}

/// The body of a fuzz target: reads `bytes` as a schedule of fragments and passing time, and checks the bounds after every step.
pub fn fuzz_fragments(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let mut fragments = Fragments::default();
    let mut counters = Counters::default();
    let mut now = Timestamp(0);
    let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    while let Some((code, offset)) = reader.u8().zip(reader.u16()) {
        if code == 0xff {
            now = now.plus(u64::from(offset >> 8) * SECOND);
            fragments.expire(now, &mut counters);
            continue;
        }
        let fragment = Fragment {
            network: 0,
            source: address(code & 0x0f),
            destination: address(200),
            id: u32::from(offset & 7),
            protocol: 17,
            offset: offset & !7,
            more: code & 0x10 != 0,
            payload: reader.take_up_to(usize::from(code >> 2)),
        };
        if let Some(whole) = fragments.add(now, fragment, &mut counters) {
            assert!(whole.payload.len() <= LARGEST, "a datagram beyond its length field");
        }
        assert!(fragments.waiting() <= limits::FRAGMENT_DATAGRAMS, "too many datagrams wait");
        assert!(fragments.held() <= limits::FRAGMENT_BYTES, "too many bytes wait");
        let held: usize = fragments.waiting.iter().map(|datagram| datagram.bytes).sum();
        assert_eq!(held, fragments.held(), "the sum of bytes is wrong");
    }
    fragments.expire(now.plus(limits::FRAGMENT_AGE), &mut counters);
    assert_eq!((fragments.waiting(), fragments.held()), (0, 0), "something waits for ever");
}
