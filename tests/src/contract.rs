//! The decoder contract, checked at every answer.
//!
//! [`decoders`] is the table of all decoders, each wrapped: it holds every [`Step`] against the contract and, while a recording runs
//! (see [`crate::streams`]), keeps what the pipeline showed. The wrapped table goes wherever the plain one does.

use crate::streams;
use citytap_sensor::flow::Direction;
use citytap_sensor::protocols::{AfterGap, Channel, Cx, DECODERS, Decoder, DecoderSpec, Input, Step};
use std::sync::LazyLock;

/// All decoders, wrapped, in the order of the table.
pub fn decoders() -> &'static [&'static DecoderSpec] {
    static WRAPPED: LazyLock<Vec<&'static DecoderSpec>> = LazyLock::new(|| {
        assert!(DECODERS.len() <= CREATE.len(), "more decoders than this table has room for: make CREATE longer");
        let wrap = |(spec, create): (&&'static DecoderSpec, &Create)| {
            let DecoderSpec { name, title, documents, hooks, max_message, probe, .. } = **spec;
            let DecoderSpec { records, anomalies, identities, bounds, .. } = **spec;
            let create = *create;
            let wrapped =
                DecoderSpec { name, title, documents, hooks, max_message, probe, create, records, anomalies, identities, bounds };
            &*Box::leak(Box::new(wrapped))
        };
        DECODERS.iter().zip(&CREATE).map(wrap).collect()
    });
    &WRAPPED
}

/// The wrapped decoder of a protocol.
pub fn decoder(name: &str) -> &'static DecoderSpec {
    decoders().iter().find(|spec| spec.name == name).unwrap_or_else(|| panic!("no decoder is called {name}"))
}

type Create = fn() -> Box<dyn Decoder>;

/// A function pointer knows no number, so each position of the table has a function of its own.
static CREATE: [Create; 32] = {
    macro_rules! each { ($($at:literal)*) => { [$(create::<$at>,)*] } }
    each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
};

fn create<const AT: usize>() -> Box<dyn Decoder> {
    let spec = DECODERS[AT];
    Box::new(Checked { spec, inner: (spec.create)(), over: false, recorder: streams::Recorder::new(spec) })
}

struct Checked {
    spec: &'static DecoderSpec,
    inner: Box<dyn Decoder>,
    over: bool,
    recorder: streams::Recorder,
}

impl Decoder for Checked {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let (name, shown) = (self.spec.name, input.bytes.len());
        assert!(!self.over || input.channel == Channel::Datagram, "{name} was shown bytes after it gave up");
        let step = self.inner.message(input, cx);
        match step {
            Step::Consumed(n) => assert!((1..=shown).contains(&n) || shown == 0, "{name} consumed {n} of {shown} bytes"),
            Step::Need(n) => assert!(n > shown, "{name} needs {n} bytes and was shown {shown}"),
            Step::Skip(n) => assert!(n > 0, "{name} skips nothing"),
            Step::GiveUp => self.over = true,
        }
        self.recorder.message(&input, step, cx);
        step
    }

    fn gap(&mut self, direction: Direction, missing: Option<u64>, cx: &mut Cx<'_>) -> AfterGap {
        self.recorder.gap(direction, missing, cx);
        let after = self.inner.gap(direction, missing, cx);
        self.over |= after == AfterGap::GiveUp;
        after
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.recorder.close();
        self.inner.close(cx);
    }
}
