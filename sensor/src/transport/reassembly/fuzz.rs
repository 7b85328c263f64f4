//! The body of a fuzz target: bytes read as a schedule of calls.

use super::{Budget, HalfStream, StreamSink};
use crate::counters::Counters;
use crate::limits;
use crate::reader::Reader;
use crate::time::{SECOND, Timestamp};

/// Counts what it is given.
#[derive(Default)]
struct Sum {
    bytes: u64,
}

impl StreamSink for Sum {
    fn data(&mut self, bytes: &[u8], _: bool) {
        assert!(!bytes.is_empty(), "no empty deliveries");
        self.bytes += bytes.len() as u64;
    }

    fn gap(&mut self, missing: Option<u64>) {
        assert_ne!(missing, Some(0), "no empty gaps");
    }
}

/// Reads `bytes` as a schedule of segments, acknowledgements and passing time for one stream, and checks its bounds after every step.
pub fn fuzz_reassembly(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let mut stream = HalfStream::default();
    // Small enough that schedules of a few hundred bytes reach it.
    let mut budget = Budget::new(4096);
    let mut counters = Counters::default();
    let mut sink = Sum::default();
    let mut now = Timestamp(0);
    let (mut base, mut pushed) = (reader.u32().unwrap_or_default(), 0);
    while let Some((code, seq)) = reader.u8().zip(reader.u16()) {
        let seq = base.wrapping_add(u32::from(seq));
        match code >> 5 {
            0 => stream.syn(seq),
            1 => stream.fin(seq, now, &mut budget, &mut counters, &mut sink),
            2 => stream.peer_acknowledged(seq, now, &mut budget, &mut counters, &mut sink),
            3 => {
                now = now.plus(u64::from(code & 0x1f) * SECOND);
                stream.expire(now, &mut budget, &mut counters, &mut sink);
            }
            4 => base = base.wrapping_add(seq.wrapping_mul(u32::from(code) << 8)),
            _ => {
                let payload = reader.take_up_to(usize::from(code & 0x3f));
                pushed += payload.len() as u64;
                stream.push(seq, payload, now, &mut budget, &mut counters, &mut sink);
            }
        }
        assert!(stream.held() <= limits::REASSEMBLY_BYTES && budget.used() <= 4096, "a bound was exceeded");
        assert!(stream.has_hole() || budget.used() == 0, "the budget leaks");
    }
    stream.flush(now, &mut budget, &mut counters, &mut sink);
    assert_eq!(budget.used(), 0, "the budget leaks");
    assert!(sink.bytes <= pushed, "bytes were delivered twice");
}
