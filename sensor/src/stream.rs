//! Between reassembly and a decoder: shows contiguous bytes, keeps those not yet taken, steps over bodies that nobody wants.

use crate::counters::Counter;
use crate::flow::Direction;
use crate::protocols::{AfterGap, Channel, Cx, Decoder, Input, Step};

/// The bytes of one direction that a decoder has not taken yet; at most its [`max_message`](crate::protocols::DecoderSpec::max_message).
#[derive(Default)]
pub struct StreamBuffer {
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
        if self.skip > 0 {
            let stepped = self.skip.min(bytes.len() as u64);
            self.skip -= stepped;
            input.bytes = bytes.get(stepped as usize..).unwrap_or_default();
            input.segment_start = false;
        }
        if self.held.is_empty() {
            return self.show(decoder, input, cx);
        }
        self.held.extend_from_slice(input.bytes);
        if self.held.len() < self.need {
            return true;
        }
        let held = std::mem::take(&mut self.held);
        let alive = self.show(decoder, Input { bytes: &held, segment_start: false, ..input }, cx);
        if self.held.is_empty() && held.capacity() <= 4096 {
            self.held = held;
            self.held.clear();
        }
        alive
    }

    /// Tells the decoder that bytes were lost, unless it did not want them anyway. Answers whether it goes on.
    pub fn lose(&mut self, decoder: &mut dyn Decoder, direction: Direction, missing: Option<u64>, cx: &mut Cx<'_>) -> bool {
        if let Some(missing) = missing
            && missing <= self.skip
        {
            self.skip -= missing;
            return true;
        }
        self.skip = 0;
        self.held.clear();
        cx.count(Counter::Desynchronised, u64::from(missing.is_some()));
        decoder.gap(direction, missing, cx) == AfterGap::Resume
    }

    /// Bytes kept.
    pub fn held(&self) -> usize {
        self.held.len()
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
                    self.held.clear();
                    self.held.extend_from_slice(input.bytes);
                    self.need = n;
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
            self.skip = taken.saturating_sub(length as u64);
            input.bytes = input.bytes.get(taken as usize..).unwrap_or_default();
            input.segment_start = false;
        }
        true
    }
}
