use super::*;
use crate::time::SECOND;
use std::fmt::Write;

/// What came out, as text: `|` where a segment begins, `[n]` and `[?]` for gaps, `!` for a conflict.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl StreamSink for Text {
    fn data(&mut self, bytes: &[u8], segment_start: bool) {
        assert!(!bytes.is_empty());
        self.0.push_str(if segment_start { "|" } else { "" });
        self.0.extend(bytes.iter().map(|&byte| byte as char));
    }

    fn gap(&mut self, missing: Option<u64>) {
        let _ = match missing {
            Some(missing) => write!(self.0, "[{missing}]"),
            None => write!(self.0, "[?]"),
        };
    }

    fn conflict(&mut self) {
        self.0.push('!');
    }
}

/// A stream with all that it needs.
#[derive(Default)]
pub(super) struct Rig<S> {
    pub(super) stream: HalfStream,
    pub(super) now: Timestamp,
    pub(super) budget: Budget,
    pub(super) counters: Counters,
    pub(super) sink: S,
}

impl<S: StreamSink> Rig<S> {
    pub(super) fn push(&mut self, seq: u32, payload: &[u8]) {
        self.stream.push(seq, payload, self.now, &mut self.budget, &mut self.counters, &mut self.sink);
        self.check();
    }

    pub(super) fn fin(&mut self, seq: u32) {
        self.stream.fin(seq, self.now, &mut self.budget, &mut self.counters, &mut self.sink);
        self.check();
    }

    pub(super) fn ack(&mut self, ack: u32) {
        self.stream.peer_acknowledged(ack, self.now, &mut self.budget, &mut self.counters, &mut self.sink);
        self.check();
    }

    pub(super) fn wait(&mut self, nanos: u64) {
        self.now = self.now.plus(nanos);
        self.stream.expire(self.now, &mut self.budget, &mut self.counters, &mut self.sink);
        self.check();
    }

    pub(super) fn flush(&mut self) {
        self.stream.flush(self.now, &mut self.budget, &mut self.counters, &mut self.sink);
        assert_eq!(self.budget.used(), 0);
        assert!(!self.stream.has_hole());
    }

    fn check(&self) {
        assert!(self.stream.held() <= limits::REASSEMBLY_BYTES);
        assert!(self.stream.held.as_ref().map_or(0, |held| held.segments()) <= limits::REASSEMBLY_SEGMENTS);
        assert_eq!(self.stream.has_hole(), self.budget.used() > 0);
    }
}

enum Do {
    Syn(u32),
    Push(u32, &'static str),
    Fin(u32),
    Ack(u32),
    Wait(u64),
    Flush,
}
use Do::*;

/// Runs steps on a new stream; answers what came out and what was counted, in words.
fn run(steps: &[Do]) -> (String, Rig<Text>) {
    let mut rig = Rig::<Text>::default();
    for step in steps {
        match *step {
            Syn(seq) => rig.stream.syn(seq),
            Push(seq, payload) => rig.push(seq, payload.as_bytes()),
            Fin(seq) => rig.fin(seq),
            Ack(ack) => rig.ack(ack),
            Wait(seconds) => rig.wait(seconds * SECOND),
            Flush => rig.flush(),
        }
    }
    let mut text = rig.sink.0.clone();
    for (counter, n) in rig.counters.iter().filter(|&(_, n)| n > 0) {
        let _ = write!(text, " {}={n}", counter.name().trim_start_matches("tcp_"));
    }
    (text, rig)
}

const FAR: u32 = 0x3000_0000;

#[test]
fn named_situations() {
    let situations: &[(&str, &[Do], &str)] = &[
        ("in order after a handshake", &[Syn(99), Push(100, "abc"), Push(103, "def")], "|abc|def"),
        ("data on the SYN", &[Syn(99), Push(100, "abc"), Syn(99), Push(103, "d")], "|abc|d"),
        ("data that does not count the SYN", &[Syn(99), Push(99, "abc"), Push(102, "def")], "|abc|def"),
        ("an empty segment starts nothing", &[Push(100, ""), Push(300, "abc")], "[?]|abc"),
        ("mid-stream", &[Push(100, "abc"), Push(103, "def")], "[?]|abc|def"),
        ("mid-stream, and the SYN comes late", &[Push(100, "abc"), Syn(99), Push(103, "d")], "[?]|abc|d"),
        ("mid-stream byte by byte", &[Push(99, "x"), Push(100, "y"), Push(101, "abc")], "[?]|x|y|abc"),
        ("mid-stream by a keep-alive probe", &[Push(99, "x"), Push(99, "x"), Push(100, "abc")], "[?]|abc retransmissions=1"),
        ("mid-stream by a zero window probe", &[Push(100, "a"), Push(100, "abc"), Push(103, "d")], "[?]|abc|d"),
        ("two segments exchanged", &[Syn(99), Push(103, "def"), Push(100, "abc")], "|abc|def out_of_order=1"),
        (
            "three in reverse",
            &[Syn(99), Push(106, "ghi"), Push(103, "def"), Push(100, "abc"), Push(109, "j")],
            "|abc|def|ghi|j out_of_order=2",
        ),
        ("retransmission", &[Syn(99), Push(100, "abc"), Push(100, "abc"), Push(103, "d")], "|abc|d retransmissions=1"),
        (
            "retransmission of what is held",
            &[Syn(99), Push(103, "def"), Push(103, "def"), Push(100, "abc")],
            "|abc|def retransmissions=1 out_of_order=1",
        ),
        ("retransmission with more", &[Syn(99), Push(100, "abc"), Push(100, "abcdef")], "|abcdef"),
        (
            "retransmission from before the start",
            &[Push(100, "abc"), Push(90, "0123456789"), Push(103, "d")],
            "[?]|abc|d retransmissions=1",
        ),
        ("keep-alive with a byte", &[Syn(99), Push(100, "abc"), Push(102, "\0"), Push(103, "d")], "|abc|d retransmissions=1"),
        ("keep-alive right after the handshake", &[Syn(99), Push(99, "\0"), Push(100, "abc")], "|abc retransmissions=1"),
        (
            "a segment surrounds one that is held",
            &[Syn(99), Push(103, "de"), Push(101, "bcdefg"), Push(100, "a")],
            "|a|bc|defg out_of_order=2",
        ),
        (
            "a segment in order reaches over one that is held",
            &[Syn(99), Push(103, "de"), Push(100, "abcdefg"), Push(107, "h")],
            "|abc|defg|h out_of_order=1",
        ),
        (
            "a segment in order reaches into one that is held",
            &[Syn(99), Push(103, "defg"), Push(100, "abcde")],
            "|abc|defg out_of_order=1",
        ),
        (
            "overlap with other bytes: the first win",
            &[Syn(99), Push(102, "cdef"), Push(100, "abXXe"), Push(106, "g")],
            "!|ab|cdef|g out_of_order=1 overlap_conflicts=1",
        ),
        (
            "overlap from behind with other bytes",
            &[Syn(99), Push(102, "cd"), Push(103, "Xef"), Push(100, "ab")],
            "!|ab|cdef out_of_order=2 overlap_conflicts=1",
        ),
        ("delivered bytes are not compared", &[Syn(99), Push(100, "abc"), Push(101, "XXd")], "|abcd"),
        (
            "sequence numbers wrap in order",
            &[Syn(u32::MAX - 3), Push(u32::MAX - 2, "abc"), Push(0, "def"), Push(3, "g")],
            "|abc|def|g",
        ),
        (
            "sequence numbers wrap within a segment out of order",
            &[Syn(u32::MAX - 4), Push(2, "g"), Push(u32::MAX, "def"), Push(u32::MAX - 3, "abcd"), Push(3, "h")],
            "|abc|def|g|h out_of_order=2",
        ),
        ("a hole stays until something tells of it", &[Syn(99), Push(103, "def"), Ack(102), Wait(9)], " out_of_order=1"),
        (
            "the peer acknowledges past a hole",
            &[Syn(99), Push(103, "def"), Ack(106), Push(106, "g")],
            "[3]|def|g out_of_order=1 gaps=1 gap_bytes=3",
        ),
        (
            "the peer acknowledges past the first of two holes",
            &[Syn(99), Push(103, "def"), Push(110, "k"), Ack(106), Push(106, "ghij")],
            "[3]|def|ghij|k out_of_order=2 gaps=1 gap_bytes=3",
        ),
        (
            "the peer acknowledges past both holes",
            &[Syn(99), Push(103, "def"), Push(110, "k"), Ack(111)],
            "[3]|def[4]|k out_of_order=2 gaps=2 gap_bytes=7",
        ),
        (
            "an acknowledgement from elsewhere",
            &[Syn(99), Push(103, "def"), Ack(FAR), Ack(50), Push(100, "abc")],
            "|abc|def out_of_order=1",
        ),
        ("an acknowledgement without a hole", &[Syn(99), Push(100, "abc"), Ack(500), Push(103, "d")], "|abc|d"),
        (
            "what was given up comes late",
            &[Syn(99), Push(103, "def"), Ack(106), Push(100, "abc"), Push(106, "g")],
            "[3]|def|g retransmissions=1 out_of_order=1 gaps=1 gap_bytes=3",
        ),
        (
            "one-way: time passes over a hole",
            &[Syn(99), Push(103, "def"), Wait(10), Push(106, "g")],
            "[3]|def|g out_of_order=1 gaps=1 gap_bytes=3",
        ),
        (
            "time passes without an epoch",
            &[Syn(99), Push(103, "def"), Wait(5), Push(110, "k"), Wait(5), Push(106, "g")],
            "[3]|def|g out_of_order=2 gaps=1 gap_bytes=3",
        ),
        (
            "the stream goes on before a held segment: its hole is young",
            &[Syn(99), Push(109, "j"), Wait(8), Push(100, "abc"), Wait(8), Push(103, "def"), Wait(8), Push(106, "ghi")],
            "|abc|def|ghi|j out_of_order=1",
        ),
        (
            "a segment ahead that the stream does not reach is dropped, not followed",
            &[Syn(99), Push(60_000, "XXX"), Wait(1), Push(100, "abc"), Wait(10), Push(103, "def")],
            "|abc|def out_of_order=1 astray=1",
        ),
        (
            "holes that grow old: a segment ahead of later ones is dropped",
            &[Syn(99), Push(60_000, "XXX"), Wait(1), Push(103, "def"), Wait(10), Push(106, "g")],
            "[3]|def|g out_of_order=2 gaps=1 gap_bytes=3 astray=1",
        ),
        (
            "the flow ends with holes",
            &[Syn(99), Push(103, "def"), Push(110, "k"), Flush, Flush],
            "[3]|def[4]|k out_of_order=2 gaps=2 gap_bytes=7",
        ),
        ("FIN", &[Syn(99), Push(100, "abc"), Fin(103), Fin(103)], "|abc"),
        ("FIN overtakes data", &[Syn(99), Fin(103), Push(100, "abc")], "|abc"),
        ("FIN past a hole at the end", &[Syn(99), Fin(103), Flush], "[3] gaps=1 gap_bytes=3"),
        ("FIN past a hole, acknowledged", &[Syn(99), Push(100, "a"), Fin(103), Ack(101), Ack(104)], "|a[2] gaps=1 gap_bytes=2"),
        ("FIN past a hole, and time passes", &[Syn(99), Fin(103), Wait(10)], "[3] gaps=1 gap_bytes=3"),
        ("FIN with data out of order", &[Syn(99), Push(103, "def"), Fin(106), Push(100, "abc")], "|abc|def out_of_order=1"),
        ("a probe after the FIN", &[Syn(99), Push(100, "abc"), Fin(103), Push(103, "\0")], "|abc retransmissions=1"),
        ("a FIN that data refutes", &[Syn(99), Push(100, "abc"), Fin(103), Push(103, "def"), Push(106, "g")], "|abc|def|g"),
        (
            "a FIN amid what is held",
            &[Syn(99), Push(105, "fg"), Fin(103), Push(100, "abcde"), Push(107, "h")],
            "|abcde|fg|h out_of_order=1",
        ),
        ("a FIN far away", &[Syn(99), Fin(FAR), Push(100, "abc")], "|abc"),
        ("only a FIN", &[Fin(100), Push(90, "0123456789"), Flush], " retransmissions=1"),
        ("a new connection with its SYN", &[Syn(99), Push(100, "abc"), Syn(FAR - 1), Push(FAR, "def")], "|abc|def"),
        (
            "a new connection with the initial number of the old one",
            &[Syn(99), Push(100, "abc"), Fin(103), Syn(99), Push(100, "def")],
            "|abc|def",
        ),
        (
            "two segments agree on a position behind: a new connection without SYN",
            &[Syn(FAR - 1), Push(FAR, "abc"), Push(100, "def"), Push(103, "ghi"), Push(106, "j")],
            "|abc[?]|def|ghi|j gaps=1",
        ),
        (
            "two segments agree on a position ahead: a long loss",
            &[Syn(99), Push(100, "abc"), Push(FAR, "def"), Push(FAR + 3, "ghi"), Push(FAR + 6, "j")],
            "|abc[805306265]|def|ghi|j gaps=1 gap_bytes=805306265",
        ),
        (
            "they come exchanged and with a hole",
            &[Syn(99), Push(100, "abc"), Push(FAR + 5, "ghi"), Push(FAR, "def"), Push(FAR + 3, "XX")],
            "|abc[805306265]|def|XX|ghi out_of_order=1 gaps=1 gap_bytes=805306265",
        ),
        (
            "the peer acknowledges a position far ahead",
            &[Syn(99), Push(100, "abc"), Push(FAR, "def"), Ack(FAR + 3), Push(FAR + 3, "g")],
            "|abc[805306265]|def|g gaps=1 gap_bytes=805306265",
        ),
        (
            "a segment astray among others",
            &[Syn(99), Push(100, "abc"), Push(FAR, "XXX"), Push(103, "def"), Push(106, "g")],
            "|abc|def|g astray=1",
        ),
        (
            "segments astray that agree on nothing",
            &[Syn(99), Push(FAR, "XXX"), Push(2 * FAR, "YYY"), Push(3 * FAR, "ZZZ"), Push(100, "abc")],
            "|abc astray=3",
        ),
        (
            "the same segment astray twice agrees with nothing",
            &[Syn(99), Push(FAR, "XXX"), Push(FAR, "XXX"), Push(100, "abc")],
            "|abc retransmissions=1 astray=1",
        ),
        (
            "a segment astray and then silence",
            &[Syn(FAR - 1), Push(FAR, "abc"), Push(100, "def"), Wait(10), Push(103, "g")],
            "|abc[?]|def|g gaps=1",
        ),
        ("a segment astray at the end", &[Syn(FAR - 1), Push(FAR, "abc"), Push(100, "def"), Flush], "|abc[?]|def gaps=1"),
        (
            "a new position begins with a keep-alive probe",
            &[Syn(FAR - 1), Push(FAR, "abc"), Push(99, "\0"), Push(100, "def"), Push(103, "g")],
            "|abc[?]|def|g gaps=1",
        ),
        (
            "a jump with a hole open",
            &[Syn(FAR - 1), Push(FAR, "abc"), Push(FAR + 5, "fg"), Push(100, "hij"), Push(103, "k")],
            "|abc[2]|fg[?]|hij|k out_of_order=1 gaps=2 gap_bytes=2",
        ),
    ];
    let differ: Vec<_> = situations
        .iter()
        .map(|(name, steps, expected)| (name, run(steps).0, expected))
        .filter(|(_, out, expected)| out != *expected)
        .collect();
    assert!(differ.is_empty(), "(situation, out, expected): {differ:#?}");
}

#[test]
fn a_stream_in_order_is_small_and_holds_nothing() {
    assert!(size_of::<HalfStream>() <= 32);
    let (_, rig) = run(&[Syn(99), Push(103, "def"), Push(100, "abc")]);
    assert!(!rig.stream.has_hole());
    assert_eq!((rig.stream.held(), rig.budget.used()), (0, 0));
}

#[test]
fn the_end_is_reached_when_everything_before_the_fin_is_delivered() {
    assert!(run(&[Syn(99), Push(100, "abc"), Fin(103)]).1.stream.is_finished());
    assert!(run(&[Fin(103)]).1.stream.is_finished());
    assert!(!run(&[Syn(99), Fin(103)]).1.stream.is_finished());
    assert!(run(&[Syn(99), Fin(103), Push(100, "abc")]).1.stream.is_finished());
    assert!(run(&[Syn(99), Fin(103), Flush]).1.stream.is_finished());
    assert!(!run(&[Syn(99), Fin(100), Push(100, "abc")]).1.stream.is_finished());
}

#[test]
fn a_new_connection_tells_itself_from_a_repeated_syn() {
    let (_, rig) = run(&[Syn(99), Push(100, "abc")]);
    assert!(!rig.stream.restarts(99));
    assert!(rig.stream.restarts(100));
    assert!(run(&[Syn(99), Push(100, "abc"), Fin(103)]).1.stream.restarts(99));
    assert!(!HalfStream::default().restarts(99));
}

#[test]
fn a_segment_larger_than_any_mtu_is_one_segment() {
    let mut rig = Rig::<Text>::default();
    let large = vec![b'x'; 2 * limits::REASSEMBLY_BYTES];
    rig.stream.syn(99);
    rig.push(100, &large);
    rig.push(100 + large.len() as u32, b"abc");
    assert_eq!(rig.sink.0.len(), large.len() + 5);
    assert_eq!(rig.counters.get(Counter::TcpBufferDropped), 0);
}

#[test]
fn more_segments_than_may_be_held_close_the_first_hole() {
    let mut rig = Rig::<Text>::default();
    rig.stream.syn(99);
    for i in 0..=limits::REASSEMBLY_SEGMENTS as u32 {
        rig.push(102 + 2 * i, b"x");
    }
    assert_eq!(rig.sink.0, "[2]|x");
    assert_eq!(rig.counters.get(Counter::TcpBufferDropped), 2);
    assert_eq!(rig.stream.held(), limits::REASSEMBLY_SEGMENTS);
}

#[test]
fn more_bytes_than_may_be_held_close_the_first_hole() {
    let mut rig = Rig::<Text>::default();
    let half = vec![b'x'; limits::REASSEMBLY_BYTES / 2];
    let step = half.len() as u32;
    rig.stream.syn(99);
    rig.push(101, &half);
    rig.push(101 + step, &half);
    assert_eq!(rig.sink.0, "");
    rig.push(101 + 2 * step, b"abc");
    assert!(rig.sink.0.starts_with("[1]|xxx") && rig.sink.0.ends_with("xxx|abc"));
    assert_eq!(rig.counters.get(Counter::TcpBufferDropped), 1);
}

#[test]
fn a_segment_larger_than_may_be_held_is_delivered_after_its_gap() {
    let mut rig = Rig::<Text>::default();
    rig.stream.syn(99);
    rig.push(101, &vec![b'x'; limits::REASSEMBLY_BYTES + 1]);
    assert!(rig.sink.0.starts_with("[1]|xxx"));
    assert_eq!(rig.sink.0.len(), limits::REASSEMBLY_BYTES + 5);
}

#[test]
fn a_spent_shard_budget_turns_holes_into_gaps_at_once() {
    let mut rig = Rig::<Text> { budget: Budget::new(0), ..Rig::default() };
    rig.stream.syn(99);
    rig.push(103, b"def");
    rig.push(FAR, b"XXX");
    rig.fin(108);
    assert_eq!(rig.sink.0, "[3]|def[2]");
    assert_eq!(rig.counters.get(Counter::TcpBufferDropped), 3 + 3 + 2);
    assert!(rig.stream.is_finished());
}

#[test]
fn a_stream_that_is_dropped_gives_its_share_back() {
    let mut rig = Rig::<Text>::default();
    rig.stream.syn(99);
    rig.push(103, b"def");
    assert!(rig.budget.used() > 0);
    rig.stream = HalfStream::default();
    assert_eq!(rig.budget.used(), 0);
}

#[test]
fn streams_share_one_budget() {
    let (mut budget, mut counters) = (Budget::new(4000), Counters::default());
    let mut streams: Vec<(HalfStream, Text)> = (0..8).map(|_| Default::default()).collect();
    for (stream, sink) in &mut streams {
        stream.syn(99);
        stream.push(101, &[b'x'; 1000], Timestamp(0), &mut budget, &mut counters, sink);
        assert!(budget.used() <= 4000);
    }
    let holding = streams.iter().filter(|(stream, _)| stream.has_hole()).count();
    assert_eq!((holding, counters.get(Counter::TcpGaps)), (3, 5));
}
