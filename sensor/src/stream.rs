//! Between reassembly and a decoder: shows contiguous bytes, keeps those not yet taken, steps over bodies that nobody wants.

use crate::counters::Counter;
use crate::flow::Direction;
use crate::protocols::{AfterGap, Channel, Cx, Decoder, Input, Step};

/// The bytes of one direction that a decoder has not taken yet; at most its [`max_message`](crate::protocols::DecoderSpec::max_message).
/// A pointer while messages come whole, as nearly all do.
#[derive(Default)]
pub struct StreamBuffer(Option<Box<Waiting>>);

/// Bytes of room that are kept for the next message.
const KEPT: usize = 4096;

/// What is left of a message that did not come whole.
#[derive(Default)]
struct Waiting {
    held: Vec<u8>,
    need: usize,
    skip: u64,
}

impl StreamBuffer {
    /// Shows `bytes` to the decoder. Answers whether it goes on.
    pub fn deliver(
        &mut self,
        decoder: &mut dyn Decoder,
        bytes: &[u8],
        direction: Direction,
        channel: Channel,
        segment_start: bool,
        cx: &mut Cx<'_>,
    ) -> bool {
        let mut input = Input { bytes, direction, channel, segment_start };
        let Some(waiting) = self.0.as_deref_mut() else { return self.show(decoder, input, cx) };
        if waiting.skip > 0 {
            let stepped = waiting.skip.min(bytes.len() as u64);
            waiting.skip -= stepped;
            input.bytes = bytes.get(stepped as usize..).unwrap_or_default();
            input.segment_start = false;
        }
        if waiting.held.is_empty() {
            return self.show(decoder, input, cx);
        }
        waiting.held.extend_from_slice(input.bytes);
        if waiting.held.len() < waiting.need {
            return true;
        }
        let mut held = std::mem::take(&mut waiting.held);
        let alive = self.show(decoder, Input { bytes: &held, segment_start: false, ..input }, cx);
        let waiting = self.waiting();
        if waiting.held.is_empty() && held.capacity() <= KEPT {
            held.clear();
            waiting.held = held;
        }
        alive
    }

    /// Tells the decoder that bytes were lost, unless it did not want them anyway. Answers whether it goes on.
    pub fn lose(&mut self, decoder: &mut dyn Decoder, direction: Direction, missing: Option<u64>, cx: &mut Cx<'_>) -> bool {
        if let Some(missing) = missing
            && let Some(waiting) = self.0.as_deref_mut()
            && missing <= waiting.skip
        {
            waiting.skip -= missing;
            return true;
        }
        self.0 = None;
        cx.count(Counter::Desynchronised, u64::from(missing.is_some()));
        decoder.gap(direction, missing, cx) == AfterGap::Resume
    }

    /// Bytes kept.
    pub fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.held.len())
    }

    fn waiting(&mut self) -> &mut Waiting {
        self.0.get_or_insert_default()
    }

    fn show(&mut self, decoder: &mut dyn Decoder, mut input: Input<'_>, cx: &mut Cx<'_>) -> bool {
        while !input.bytes.is_empty() {
            let length = input.bytes.len();
            let taken = match decoder.message(input, cx) {
                Step::Consumed(n) => n as u64,
                Step::Skip(n) => n,
                Step::GiveUp => return false,
                Step::Need(n) if input.channel == Channel::Datagram => {
                    debug_assert!(n > length, "a decoder asked for bytes that it was shown");
                    return true;
                }
                Step::Need(n) if n > length && n <= cx.spec.max_message => {
                    let waiting = self.waiting();
                    waiting.held.clear();
                    waiting.held.extend_from_slice(input.bytes);
                    waiting.need = n;
                    return true;
                }
                Step::Need(n) => {
                    debug_assert!(n > length, "a decoder asked for bytes that it was shown");
                    cx.count(Counter::MessagesTooLarge, 1);
                    return false;
                }
            };
            debug_assert!(taken > 0, "a decoder took nothing");
            if taken == 0 {
                return false;
            }
            if taken > length as u64 {
                self.waiting().skip = taken - length as u64;
            }
            input.bytes = input.bytes.get(taken as usize..).unwrap_or_default();
            input.segment_start = false;
        }
        true
    }
}
