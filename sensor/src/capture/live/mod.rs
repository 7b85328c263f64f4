//! Packets from network interfaces, as they pass.
//!
//! Receive-only: what is opened is read and never written to; no filter, address or route is set. An interface is put into promiscuous mode for as
//! long as it is listened to, unless that is not wanted: a mirror port gets frames that are addressed to others. The kernel ends it with the
//! process, however that ends.
//!
//! Several interfaces become one in the order of time: as each hands over its packets up to [`LAG`] late, a packet waits until every other interface
//! has a later one or none that could be earlier. [`idle`](CaptureSource::idle) tells the time while nothing comes, so that it never
//! overtakes a packet that is still on its way.
//!
//! The time is asked of a clock that the caller brings. Reading by libpcap is in `tap`; what is left out: monitor mode of radios, hardware time stamps.

mod tap;
#[cfg(test)]
mod tests;

use super::{CaptureError, CaptureInfo, CaptureSource, Fault, Interface, LinkType, Lost, MAX_PACKET, Packet};
use crate::time::{Nanos, SECOND, Timestamp};
use tap::Tap;

/// How late a packet can be handed over after it was stamped: the kernel closes a block of packets after `tap::BLOCK_MILLIS`, and is given twice as
/// much again for being busy.
pub const LAG: Nanos = 300 * 1_000_000;

/// A packet stamped this long after the present shows that the clock was set back; it does not wait for its time.
const SET_BACK: Nanos = SECOND;

/// Longest sleep while nothing comes: how soon a silent wire tells the time, and a signal to end is heeded.
const SLEEP: Nanos = 200 * 1_000_000;

/// Default size of the kernel's buffer for each interface in bytes: half a second at 1 Gbit/s.
pub const BUFFER: u32 = 64 << 20;

/// How interfaces are listened to.
#[derive(Clone, Copy, Debug)]
pub struct LiveOptions {
    /// Bytes of the kernel's buffer for each interface; at most 2 GB.
    pub buffer: u32,
    /// Whether frames that are addressed to others are heard.
    pub promiscuous: bool,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self { buffer: BUFFER, promiscuous: true }
    }
}

/// Why an interface cannot be listened to.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// There is none of that name.
    #[error("there is no interface {name}")]
    Missing {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The process has no right to listen.
    #[error("no permission to listen on {name} ({what})")]
    NotPermitted {
        /// The interface.
        name: String,
        /// What libpcap says.
        what: String,
    },
    /// Something else.
    #[error("cannot listen on {name}: {what}")]
    Failed {
        /// The interface.
        name: String,
        /// What libpcap says.
        what: String,
    },
}

/// What reads one interface. Apart, so that tests bring their own.
pub(crate) trait Wire {
    /// Puts the next packet into `into`, in place of what is there; `None` where there is none at present. The second number is its length on
    /// the wire.
    fn read(&mut self, into: &mut Vec<u8>) -> Result<Option<(Timestamp, u32)>, String>;
    /// What its packets begin with.
    fn link_type(&self) -> LinkType;
    /// Packets lost so far.
    fn lost(&mut self) -> Lost;
}

/// Sleeps until one of the wires has a packet, at most so long.
type Sleep<W> = fn(&mut dyn Iterator<Item = &W>, Nanos);

/// Interfaces that are listened to, in the order in which they were named.
pub struct LiveSource<C> {
    inner: Joined<Tap, C>,
}

impl<C: FnMut() -> Timestamp> LiveSource<C> {
    /// Opens interfaces; from here on packets are kept by the kernel. `any` is all of the machine's. `clock` tells the time that packets are
    /// stamped with: the system's.
    ///
    /// # Errors
    /// The first interface that cannot be listened to.
    pub fn open(interfaces: &[String], options: LiveOptions, clock: C) -> Result<Self, LiveError> {
        let open = |name: &String| Ok((name.clone(), Tap::open(name, options)?));
        let taps = interfaces.iter().map(open).collect::<Result<Vec<_>, LiveError>>()?;
        Ok(Self { inner: Joined::new(taps, clock, tap::sleep) })
    }

    /// What happened to interfaces since the last call, for people.
    pub fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.inner.news)
    }
}

/// What the source hands on to its interfaces.
impl<C: FnMut() -> Timestamp> CaptureSource for LiveSource<C> {
    #[inline]
    fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        self.inner.next()
    }

    fn peek(&mut self) -> Result<Option<Timestamp>, CaptureError> {
        self.inner.peek()
    }

    fn describe(&self) -> Vec<CaptureInfo> {
        self.inner.describe()
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }

    fn size(&self) -> Option<u64> {
        None
    }

    fn is_live(&self) -> bool {
        true
    }

    fn idle(&self) -> Option<Timestamp> {
        self.inner.idle()
    }

    fn lost(&mut self) -> Lost {
        self.inner.lost()
    }
}

/// One interface, and its packet that waits for its turn.
struct Line<W> {
    name: String,
    /// `None` once it failed.
    wire: Option<W>,
    link_type: LinkType,
    bytes: Vec<u8>,
    /// Stamp and length on the wire of what is in `bytes`.
    waiting: Option<(Timestamp, u32)>,
    packets: u64,
    bytes_read: u64,
    lost: Lost,
}

struct Joined<W, C> {
    lines: Vec<Line<W>>,
    clock: C,
    sleep: Sleep<W>,
    idle: Option<Timestamp>,
    news: Vec<String>,
    /// The last interface that failed.
    failed: Option<CaptureError>,
}

impl<W: Wire, C: FnMut() -> Timestamp> Joined<W, C> {
    fn new(wires: Vec<(String, W)>, clock: C, sleep: Sleep<W>) -> Self {
        let line = |(name, wire): (String, W)| Line {
            name,
            link_type: wire.link_type(),
            wire: Some(wire),
            bytes: Vec::new(),
            waiting: None,
            packets: 0,
            bytes_read: 0,
            lost: Lost::default(),
        };
        Self { lines: wires.into_iter().map(line).collect(), clock, sleep, idle: None, news: Vec::new(), failed: None }
    }

    /// The line whose packet is next; `None` where none may go yet, and then `idle` tells the time.
    fn choose(&mut self) -> Result<Option<usize>, CaptureError> {
        self.idle = None;
        let mut slept = false;
        loop {
            // The time is asked first: what is stamped before it and not here yet is at most so late.
            let now = if self.is_full() { Timestamp(0) } else { (self.clock)() };
            self.fill()?;
            if self.lines.iter().all(|line| line.wire.is_none() && line.waiting.is_none()) {
                return Ok(None);
            }
            let settled = Timestamp(now.0.saturating_sub(LAG));
            let waiting = self.lines.iter().enumerate().filter_map(|(at, line)| Some((line.waiting?.0, at)));
            let first = waiting.min();
            let may_go = |stamp: Timestamp| self.is_full() || stamp <= settled || stamp > now.plus(SET_BACK);
            match first {
                Some((stamp, at)) if may_go(stamp) => return Ok(Some(at)),
                _ if slept => {
                    self.idle = Some(first.map_or(settled, |(stamp, _)| stamp.min(settled)));
                    return Ok(None);
                }
                _ => {}
            }
            let most = first.map_or(SLEEP, |(stamp, _)| stamp.since(settled).clamp(1_000_000, SLEEP));
            let empty = self.lines.iter().filter(|line| line.waiting.is_none());
            (self.sleep)(&mut empty.filter_map(|line| line.wire.as_ref()), most);
            slept = true;
        }
    }

    /// Whether each interface has a packet that waits, so that the earliest of them is the next.
    fn is_full(&self) -> bool {
        let mut listening = self.lines.iter().filter(|line| line.wire.is_some() || line.waiting.is_some());
        listening.all(|line| line.waiting.is_some())
    }

    /// Reads a packet from each interface that has none waiting. One that fails is told of; when none is left and no packet either, that is an error.
    fn fill(&mut self) -> Result<(), CaptureError> {
        for line in self.lines.iter_mut().filter(|line| line.waiting.is_none()) {
            let Some(wire) = &mut line.wire else { continue };
            match wire.read(&mut line.bytes) {
                Ok(read) => line.waiting = read,
                Err(what) => {
                    line.lost = wire.lost();
                    line.wire = None;
                    let fault = Fault::Interface(what);
                    let error =
                        CaptureError { file: line.name.clone(), offset: 0, unpacked: false, packets: line.packets, fault };
                    // What was told of before the last one failed is news; the last is the end.
                    self.news.extend(self.failed.replace(error).map(|earlier| earlier.to_string()));
                }
            }
        }
        if self.lines.iter().any(|line| line.wire.is_some() || line.waiting.is_some()) {
            let listening = self.lines.iter().any(|line| line.wire.is_some());
            self.news.extend(self.failed.take_if(|_| listening).map(|error| error.to_string()));
            return Ok(());
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl<W: Wire, C: FnMut() -> Timestamp> Joined<W, C> {
    #[inline]
    fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        let Some(at) = self.choose()? else { return Ok(None) };
        let Some(line) = self.lines.get_mut(at) else { return Ok(None) };
        let Some((stamp, wire_length)) = line.waiting.take() else { return Ok(None) };
        line.packets += 1;
        line.bytes_read += line.bytes.len() as u64;
        let bytes = line.bytes.get(..line.bytes.len().min(MAX_PACKET)).unwrap_or_default();
        Ok(Some(Packet { bytes, stamp, link_type: line.link_type, wire_length, source: at as u16, interface: 0 }))
    }

    fn peek(&mut self) -> Result<Option<Timestamp>, CaptureError> {
        let at = self.choose()?;
        Ok(at.and_then(|at| self.lines.get(at)).and_then(|line| line.waiting).map(|(stamp, _)| stamp))
    }

    fn describe(&self) -> Vec<CaptureInfo> {
        let describe = |line: &Line<W>| CaptureInfo {
            name: line.name.clone(),
            interfaces: vec![Interface {
                link_type: line.link_type,
                name: line.name.clone(),
                dropped: Some(line.lost.by_kernel),
                ..Interface::default()
            }],
            packets: line.packets,
            bytes_read: line.bytes_read,
            ..CaptureInfo::default()
        };
        self.lines.iter().map(describe).collect()
    }

    fn bytes_read(&self) -> u64 {
        self.lines.iter().map(|line| line.bytes_read).sum()
    }

    fn idle(&self) -> Option<Timestamp> {
        self.idle
    }

    fn lost(&mut self) -> Lost {
        let mut sum = Lost::default();
        for line in &mut self.lines {
            if let Some(wire) = &mut line.wire {
                line.lost = wire.lost();
            }
            sum.by_kernel += line.lost.by_kernel;
            sum.by_interface += line.lost.by_interface;
        }
        sum
    }
}
