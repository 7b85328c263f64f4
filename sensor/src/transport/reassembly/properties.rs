//! Reassembly against a naive model, and against garbage.

use super::tests::{Rig, Text};
use super::*;
use crate::time::SECOND;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What comes out, byte by byte: `None` is a missing byte.
#[derive(Default)]
struct Bytes(Vec<Option<u8>>);

impl StreamSink for Bytes {
    fn data(&mut self, bytes: &[u8], _: bool) {
        self.0.extend(bytes.iter().copied().map(Some));
    }

    fn gap(&mut self, missing: Option<u64>) {
        self.0.extend((0..missing.expect("a known length")).map(|_| None));
    }

    fn conflict(&mut self) {
        panic!("consistent bytes cannot conflict");
    }
}

/// The same rules over single bytes in a map, without bounds.
#[derive(Default)]
struct Model {
    next: usize,
    waiting: BTreeMap<usize, (u8, Timestamp)>,
    progress: Timestamp,
    out: Vec<Option<u8>>,
}

impl Model {
    fn drain(&mut self) {
        while let Some((byte, arrived)) = self.waiting.remove(&self.next) {
            self.progress = self.progress.max(arrived);
            self.out.push(Some(byte));
            self.next += 1;
        }
    }

    fn give_up(&mut self, to: usize) {
        self.out.extend((self.next..to).map(|_| None));
        self.next = to;
        self.drain();
    }

    fn push(&mut self, at: usize, payload: &[u8], now: Timestamp) {
        self.expire(now);
        let (before, was_waiting) = (self.next, !self.waiting.is_empty());
        for (i, &byte) in payload.iter().enumerate().filter(|(i, _)| at + i >= before) {
            self.waiting.entry(at + i).or_insert((byte, now));
        }
        self.drain();
        if self.next > before && was_waiting {
            self.progress = now;
        }
    }

    fn acknowledged(&mut self, ack: usize) {
        while let Some((&at, _)) = self.waiting.first_key_value().filter(|&(&at, _)| at <= ack) {
            self.give_up(at);
        }
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((&at, &(_, arrived))) = self.waiting.first_key_value() {
            if now.since(arrived.max(self.progress)) < limits::HOLE_AGE {
                break;
            }
            if arrived < self.progress {
                self.waiting.remove(&at);
            } else {
                self.give_up(at);
            }
        }
    }

    fn flush(&mut self) {
        while let Some((&at, _)) = self.waiting.first_key_value() {
            self.give_up(at);
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Segment { at: usize, length: usize },
    Ack(usize),
    Wait(u64),
}

const STREAM: usize = 2_000;

/// Segments of a stream in order, some sent twice, cut anew, lost or moved within a window; acknowledgements and time in between.
fn schedules() -> impl Strategy<Value = Vec<Event>> {
    let cut = (1usize..90, 0u8..20, 0usize..8, 0usize..60);
    prop::collection::vec(cut, 1..60).prop_map(|cuts| {
        let (mut events, mut at) = (Vec::new(), 0);
        for (i, (length, fate, shift, extra)) in cuts.into_iter().enumerate() {
            let length = length.min(STREAM - at);
            let segment = Event::Segment { at, length };
            match fate {
                0 | 1 => {}
                2 => events.push((i, Event::Ack((at + length).saturating_sub(extra)))),
                3 => events.push((i + shift, Event::Wait(extra as u64 / 4))),
                4 | 5 => events.extend([(i, segment.clone()), (i + shift, segment)]),
                6 | 7 => {
                    events.push((i + shift, Event::Segment { at: at.saturating_sub(extra), length: length + extra.min(at) }))
                }
                8..=12 => events.push((i + shift, segment)),
                _ => events.push((i, segment)),
            }
            at += length;
        }
        events.sort_by_key(|&(i, _)| i);
        events.into_iter().map(|(_, event)| event).collect()
    })
}

/// Bytes that tell their position.
fn content() -> Vec<u8> {
    (0..STREAM as u32 + 200).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

proptest! {
    #[test]
    fn every_schedule_gives_what_the_model_gives(isn: u32, near_wrap: bool, events in schedules()) {
        let isn = if near_wrap { 0u32.wrapping_sub(isn % STREAM as u32) } else { isn };
        let start = isn.wrapping_add(1);
        let content = content();
        let (mut rig, mut model) = (Rig::<Bytes>::default(), Model::default());
        rig.stream.syn(isn);
        for event in &events {
            match *event {
                Event::Segment { at, length } => {
                    let payload = &content[at..at + length];
                    rig.push(start.wrapping_add(at as u32), payload);
                    model.push(at, payload, rig.now);
                }
                Event::Ack(ack) => {
                    rig.ack(start.wrapping_add(ack as u32));
                    model.acknowledged(ack);
                }
                Event::Wait(seconds) => {
                    rig.wait(seconds * SECOND);
                    model.expire(rig.now);
                }
            }
            prop_assert_eq!(&rig.sink.0, &model.out);
            prop_assert_eq!(rig.stream.held(), model.waiting.len());
        }
        rig.flush();
        model.flush();
        prop_assert_eq!(&rig.sink.0, &model.out);
        for (byte, expected) in rig.sink.0.iter().zip(&content) {
            prop_assert!(byte.is_none_or(|byte| byte == *expected));
        }
    }

    #[test]
    fn whatever_arrived_comes_out_once_whatever_its_order(isn: u32, order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(), lost in 1usize..40) {
        let content = content();
        let mut rig = Rig::<Bytes>::default();
        rig.stream.syn(isn);
        for &i in order.iter().filter(|&&i| i != lost) {
            rig.push(isn.wrapping_add(1 + 50 * i as u32), &content[50 * i..50 * (i + 1)]);
        }
        rig.flush();
        let end = if lost == 39 { 39 * 50 } else { 40 * 50 };
        let expected: Vec<_> = (0..end).map(|i| (i / 50 != lost).then_some(content[i])).collect();
        prop_assert_eq!(&rig.sink.0, &expected);
    }

    #[test]
    fn garbage_stays_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        fuzz_reassembly(&bytes);
    }

    #[test]
    fn garbage_cannot_derail_a_stream_for_good(garbage in prop::collection::vec((any::<u32>(), 1usize..50), 0..20), isn: u32) {
        let mut rig = Rig::<Text>::default();
        rig.stream.syn(isn);
        for (seq, length) in garbage {
            rig.push(seq, &vec![b'?'; length]);
        }
        rig.wait(limits::HOLE_AGE);
        let far = rig.stream.next.wrapping_add(0x8000_0000);
        for i in 0..3 {
            rig.push(far.wrapping_add(3 * i), b"abc");
        }
        prop_assert!(rig.sink.0.ends_with("|abc|abc|abc"));
    }
}
