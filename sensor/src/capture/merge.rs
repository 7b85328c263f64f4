//! Several captures as one, in the order of time.

use super::error::{CaptureError, Fault};
use super::file::{FileSource, ReadOptions, base_name};
use super::{CaptureInfo, CaptureSource, Packet};
use crate::time::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::PathBuf;

/// Joins captures by time stamp. Each capture keeps its own order, even where its stamps go backwards; of equal stamps the earlier argument's comes first.
///
/// A capture that fails loses what comes after its damage, which is remembered; the others go on, so [`next`](CaptureSource::next) never answers an error.
/// Packets are not copied; where there is one capture, nothing is compared either.
pub struct Merge<S = FileSource> {
    /// By position among the arguments; `None` where it could not be opened.
    sources: Vec<Option<S>>,
    names: Vec<String>,
    heap: BinaryHeap<Reverse<(Timestamp, u16)>>,
    /// The capture at the top of the heap, whose packet was handed out and whose entry is out of date.
    given: Option<u16>,
    damage: Vec<CaptureDamage>,
}

/// A capture that could not be read to its end.
#[derive(Debug)]
pub struct CaptureDamage {
    /// The capture: position among the arguments.
    pub source: u16,
    /// File, offset, what is wrong and what to do.
    pub error: CaptureError,
}

/// Captures of which each may have an open file and blocks of full size. With more, all but the one in its turn are closed after a look at their first time
/// stamp, and blocks are smaller: the files of a capture ring, a thousand and one after the other, then need one buffer and not a gigabyte.
const OPEN_CAPTURES: usize = 16;

/// Bytes read at once from each of many captures.
const SMALL_BLOCK: usize = 1 << 17;

impl Merge<FileSource> {
    /// Opens captures; "-" is standard input. What cannot be opened is remembered as damage.
    pub fn open(paths: &[PathBuf], mut options: ReadOptions) -> Self {
        let many = paths.len() > OPEN_CAPTURES;
        if many {
            options.block = options.block.min(SMALL_BLOCK);
        }
        let mut merge = Self::empty();
        for path in paths {
            let opened =
                if path.as_os_str() == "-" { FileSource::standard_input(options) } else { FileSource::open(path, options) };
            let Some(added) = merge.add(path.display().to_string(), opened) else { break };
            if let Some(source) = added.filter(|_| many) {
                source.park();
            }
        }
        merge
    }
}

impl<S: CaptureSource> Merge<S> {
    /// Joins sources that are open already.
    pub fn new(sources: impl IntoIterator<Item = S>) -> Self {
        let mut merge = Self::empty();
        for source in sources {
            let name = source.describe().first().map(|info| info.name.clone()).unwrap_or_default();
            if merge.add(name, Ok(source)).is_none() {
                break;
            }
        }
        merge
    }

    /// The captures that could not be read to their end, so far.
    pub fn damage(&self) -> &[CaptureDamage] {
        &self.damage
    }

    fn empty() -> Self {
        Self { sources: Vec::new(), names: Vec::new(), heap: BinaryHeap::new(), given: None, damage: Vec::new() }
    }

    /// Adds one source and looks at its first stamp. `None` where no more can be added; `Some(None)` where this one failed or is empty.
    fn add(&mut self, name: String, opened: Result<S, CaptureError>) -> Option<Option<&mut S>> {
        let Ok(index) = u16::try_from(self.sources.len()) else {
            let error = CaptureError { file: name, offset: 0, unpacked: false, packets: 0, fault: Fault::TooManyCaptures };
            self.damage.push(CaptureDamage { source: u16::MAX, error });
            return None;
        };
        self.names.push(name);
        let mut source = match opened {
            Ok(source) => Some(source),
            Err(error) => {
                self.damage.push(CaptureDamage { source: index, error });
                None
            }
        };
        let stamp = source.as_mut().and_then(|source| peek(source, index, &mut self.damage));
        self.sources.push(source);
        let stamp = match stamp {
            Some(stamp) => stamp,
            None => return Some(None),
        };
        self.heap.push(Reverse((stamp, index)));
        Some(self.sources.last_mut().and_then(Option::as_mut))
    }

    /// The capture that comes next; its packet is ready.
    #[inline]
    fn choose(&mut self) -> Option<u16> {
        if let Some(given) = self.given.take()
            && let Some(mut top) = self.heap.peek_mut()
        {
            let source = self.sources.get_mut(usize::from(given)).and_then(Option::as_mut);
            match source.and_then(|source| peek(source, given, &mut self.damage)) {
                Some(stamp) => *top = Reverse((stamp, given)),
                None => {
                    PeekMut::pop(top);
                }
            }
        }
        loop {
            let &Reverse((_, index)) = self.heap.peek()?;
            let source = self.sources.get_mut(usize::from(index)).and_then(Option::as_mut);
            // One that was closed is opened again here, and may fail.
            if source.is_some_and(|source| peek(source, index, &mut self.damage).is_some()) {
                return Some(index);
            }
            self.heap.pop();
        }
    }
}

fn peek<S: CaptureSource>(source: &mut S, index: u16, damage: &mut Vec<CaptureDamage>) -> Option<Timestamp> {
    source.peek().unwrap_or_else(|error| {
        damage.push(CaptureDamage { source: index, error });
        None
    })
}

impl<S: CaptureSource> CaptureSource for Merge<S> {
    #[inline]
    fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        let index = if self.sources.len() == 1 {
            0
        } else {
            let Some(index) = self.choose() else { return Ok(None) };
            self.given = Some(index);
            index
        };
        let Some(Some(source)) = self.sources.get_mut(usize::from(index)) else { return Ok(None) };
        match source.next() {
            Ok(packet) => Ok(packet.map(|packet| Packet { source: index, ..packet })),
            Err(error) => {
                self.damage.push(CaptureDamage { source: index, error });
                Ok(None)
            }
        }
    }

    fn peek(&mut self) -> Result<Option<Timestamp>, CaptureError> {
        if let [only] = self.sources.as_mut_slice() {
            return Ok(only.as_mut().and_then(|source| peek(source, 0, &mut self.damage)));
        }
        Ok(self.choose().and_then(|_| self.heap.peek()).map(|&Reverse((stamp, _))| stamp))
    }

    fn describe(&self) -> Vec<CaptureInfo> {
        let unopened = |name: &str| CaptureInfo { name: base_name(name), ..CaptureInfo::default() };
        let describe = |(source, name): (&Option<S>, &String)| match source {
            Some(source) => source.describe().pop().unwrap_or_else(|| unopened(name)),
            None => unopened(name),
        };
        self.sources.iter().zip(&self.names).map(describe).collect()
    }

    fn bytes_read(&self) -> u64 {
        self.sources.iter().flatten().map(S::bytes_read).sum()
    }

    fn size(&self) -> Option<u64> {
        self.sources.iter().flatten().map(S::size).sum()
    }
}
