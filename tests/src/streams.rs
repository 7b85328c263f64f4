//! What the pipeline shows to decoders, recorded from captures and shown again in other pieces.

use crate::contract;
use crate::noise::Noise;
use crate::run;
use citytap_sensor::counters::Counter;
use citytap_sensor::flow::{Direction, FlowInfo, Transport};
use citytap_sensor::pipeline::SensorConfig;
use citytap_sensor::protocols::{Channel, Cx, DecoderSpec, Input, Step};
use citytap_sensor::testing::Bench;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// All that one decoder was shown of one flow.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The decoder's name.
    pub protocol: &'static str,
    /// The flow, as it was when the first bytes were shown.
    pub flow: FlowInfo,
    /// What was shown, in order.
    pub events: Vec<Event>,
}

/// One thing shown to a decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A datagram, or the bytes that a segment brought.
    Bytes(Direction, Vec<u8>),
    /// A payload inside another protocol, and what its carrier says of it.
    Carried(Direction, String, Vec<u8>),
    /// Bytes were missing.
    Gap(Direction, Option<u64>),
}

impl Event {
    /// The bytes of it.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Event::Bytes(_, bytes) | Event::Carried(_, _, bytes) => bytes,
            Event::Gap(..) => &[],
        }
    }

    /// The same, to be changed.
    pub fn bytes_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Event::Bytes(_, bytes) | Event::Carried(_, _, bytes) => Some(bytes),
            Event::Gap(..) => None,
        }
    }
}

/// How a conversation is cut into pieces. Only bytes of streams are cut, and only before a gap: after it a segment's start means something.
#[derive(Clone, Debug)]
pub enum Cut {
    /// As recorded.
    AsRecorded,
    /// What goes one way without an answer between, at once.
    AtOnce,
    /// Byte by byte.
    Bytes,
    /// In pieces of random length.
    Random(Noise),
}

/// What came of showing a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What was observed.
    pub lines: Vec<String>,
    /// How many of the lines were told before the decoder lost its place; all, where it did not.
    pub in_sync: usize,
    /// Whether the decoder went on to the end.
    pub goes_on: bool,
}

impl Shown {
    /// Compares with what came of the same bytes in other pieces, as far as this one was in sync.
    pub fn same_while_in_sync(&self, other: &Shown) -> Result<(), String> {
        let all = self.in_sync == self.lines.len();
        let same = other.lines.get(..self.in_sync) == self.lines.get(..self.in_sync) && (!all || self == other);
        if same {
            return Ok(());
        }
        let at = self.lines.iter().zip(&other.lines).take_while(|(mine, theirs)| mine == theirs).count();
        let line = |shown: &Shown| format!("{:?} (of {}, went on: {})", shown.lines.get(at), shown.lines.len(), shown.goes_on);
        Err(format!("at observation {at}:\n  one way   {}\n  the other {}", line(self), line(other)))
    }
}

impl Conversation {
    /// A bench with the conversation's flow.
    pub fn bench(&self) -> Bench {
        let FlowInfo { transport, client, server, client_mac, server_mac, .. } = self.flow;
        let mut bench = Bench::new(contract::decoder(self.protocol), transport, server.port);
        bench = bench.between(client, server, [client_mac, server_mac]);
        bench.tick = 0;
        bench
    }

    /// Shows everything to a fresh decoder.
    pub fn show(&self, cut: Cut) -> Shown {
        let mut bench = self.bench();
        let (mut goes_on, mut in_sync) = (true, None);
        for event in self.pieces(cut) {
            let before = bench.lines.0.len();
            goes_on = goes_on && play(&mut bench, &event);
            if bench.counters.get(Counter::Desynchronised) + bench.counters.get(Counter::ResynchronisationBytes) > 0 {
                in_sync.get_or_insert(before);
            }
        }
        bench.close();
        let in_sync = in_sync.unwrap_or(bench.lines.0.len());
        Shown { lines: bench.lines.0, in_sync, goes_on }
    }

    fn pieces(&self, mut cut: Cut) -> Vec<Event> {
        let mut pieces: Vec<Event> = Vec::new();
        let mut lost = [false; 2];
        for event in &self.events {
            let Event::Bytes(direction, bytes) = event else {
                if let Event::Gap(direction, _) = event {
                    lost[direction.index()] = true;
                }
                pieces.push(event.clone());
                continue;
            };
            let whole = self.flow.transport != Transport::Tcp || lost[direction.index()];
            match &mut cut {
                Cut::AtOnce if !whole => match pieces.last_mut() {
                    Some(Event::Bytes(before, gathered)) if before == direction => gathered.extend_from_slice(bytes),
                    _ => pieces.push(event.clone()),
                },
                Cut::Bytes if !whole => pieces.extend(bytes.iter().map(|byte| Event::Bytes(*direction, vec![*byte]))),
                Cut::Random(noise) if !whole => {
                    let largest = noise.pick(&[2, 7, 40, 300]);
                    let cuts = noise.pieces(bytes, largest);
                    pieces.extend(cuts.into_iter().map(|piece| Event::Bytes(*direction, piece.to_vec())));
                }
                _ => pieces.push(event.clone()),
            }
        }
        pieces
    }

    /// All payload bytes.
    pub fn length(&self) -> usize {
        self.events.iter().map(|event| event.bytes().len()).sum()
    }
}

/// Shows one event; answers whether the decoder goes on. What a stream keeps must stay below the decoder's bound.
pub fn play(bench: &mut Bench, event: &Event) -> bool {
    let alive = match event {
        Event::Bytes(direction, bytes) => bench.show(*direction, bytes),
        Event::Carried(direction, hint, bytes) => {
            let kinds = bench.spec().hooks.carried;
            kinds.iter().any(|kind| bench.carry(kind, hint, *direction, bytes).is_some());
            true
        }
        Event::Gap(direction, missing) => bench.lose(*direction, *missing),
    };
    let (held, most) = (bench.held(), bench.spec().max_message);
    assert!(held.iter().all(|held| *held <= most), "{} keeps {held:?} bytes, more than {most}", bench.spec().name);
    alive
}

/// Runs a capture with recording decoders. Fails where one of them breaks its contract.
pub fn record(capture: &Path) -> Vec<Conversation> {
    RECORDING.with_borrow_mut(|recording| *recording = Some(Vec::new()));
    let config = SensorConfig { decoders: contract::decoders(), ..Default::default() };
    // On this thread, where the recording is.
    let result = run::run_with(&[PathBuf::from(capture)], 1, config);
    let recorded = RECORDING.with_borrow_mut(Option::take).unwrap_or_default();
    let failures = result.counters.get(Counter::DecoderFailures);
    assert_eq!(failures, 0, "{}: a decoder broke its contract; the lines above say how", capture.display());
    recorded.into_iter().filter(|conversation| !conversation.events.is_empty()).collect()
}

/// Whether a decoder is shown nothing but what others carry.
pub fn is_carried_only(spec: &DecoderSpec) -> bool {
    let all = [Transport::Tcp, Transport::Udp, Transport::Icmpv6, Transport::Link];
    !spec.hooks.carried.is_empty() && !all.into_iter().any(|transport| spec.runs_over(transport))
}

thread_local! {
    static RECORDING: RefCell<Option<Vec<Conversation>>> = const { RefCell::new(None) };
}

/// Skipped bodies beyond this end a recording: nobody has their bytes, and zeros stand for them.
const LONGEST_SKIP: u64 = 1 << 20;

/// Keeps what one decoder is shown, while a recording runs on this thread. Of protocols that have a transport of their own, carried payloads are
/// not kept: their carrier's bytes are.
pub(crate) struct Recorder {
    spec: &'static DecoderSpec,
    number: Option<usize>,
    over: bool,
    /// Of each direction, bytes at the front of what is shown next that were kept already.
    kept: [usize; 2],
    /// Of each direction, bytes that the decoder stepped over unseen.
    skipped: [u64; 2],
}

impl Recorder {
    pub(crate) fn new(spec: &'static DecoderSpec) -> Self {
        Self { spec, number: None, over: false, kept: [0; 2], skipped: [0; 2] }
    }

    pub(crate) fn message(&mut self, input: &Input<'_>, step: Step, cx: &mut Cx<'_>) {
        let side = input.direction.index();
        if cx.carrier().is_some() && is_carried_only(self.spec) {
            let event = Event::Carried(input.direction, cx.hint().to_owned(), input.bytes.to_vec());
            return self.keep(event, cx.flow());
        }
        let new = input.bytes.get(self.kept[side]..).unwrap_or_default();
        if !new.is_empty() && cx.carrier().is_none() {
            let mut bytes = vec![0; self.skipped[side].min(LONGEST_SKIP) as usize];
            self.over |= self.skipped[side] > LONGEST_SKIP;
            self.skipped[side] = 0;
            bytes.extend_from_slice(new);
            self.keep(Event::Bytes(input.direction, bytes), cx.flow());
        }
        let length = input.bytes.len();
        self.kept[side] = match step {
            Step::Consumed(n) => length.saturating_sub(n),
            Step::Need(_) if input.channel != Channel::Datagram => length,
            Step::Skip(n) => {
                self.skipped[side] = n.saturating_sub(length as u64);
                length.saturating_sub(n as usize)
            }
            Step::Need(_) | Step::GiveUp => 0,
        };
    }

    pub(crate) fn gap(&mut self, direction: Direction, missing: Option<u64>, cx: &mut Cx<'_>) {
        self.kept[direction.index()] = 0;
        self.skipped[direction.index()] = 0;
        if cx.carrier().is_none() {
            self.keep(Event::Gap(direction, missing), cx.flow());
        }
    }

    pub(crate) fn close(&mut self) {
        self.over = true;
    }

    fn keep(&mut self, event: Event, flow: &FlowInfo) {
        RECORDING.with_borrow_mut(|recording| {
            let Some(recording) = recording.as_mut().filter(|_| !self.over) else { return };
            let number = *self.number.get_or_insert_with(|| {
                recording.push(Conversation { protocol: self.spec.name, flow: *flow, events: Vec::new() });
                recording.len() - 1
            });
            recording[number].events.push(event);
        });
    }
}
