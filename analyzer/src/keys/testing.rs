//! Events for tests: those of a capture of `pcaps/`, and answers in short.

use super::Keys;
use crate::findings::{Answer, Verdict};
use crate::hot::owned::Event;
use crate::hot::{Change, Hot, Wishes};
use crate::signatures;
use citytap_sensor::capture::Merge;
use citytap_sensor::dispatch;
use citytap_sensor::link::NetworkMap;
use citytap_sensor::pipeline::SensorConfig;
use citytap_sensor::protocols::DECODERS;
use std::path::Path;
use std::sync::Arc;

/// The events of a capture in the order of packets.
pub(super) fn events(case: &str) -> Vec<Event> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps").join(case).join("capture.pcap");
    let wishes = Arc::new(Wishes::new(DECODERS, &[&Keys::interests()], signatures::look_up).unwrap());
    let mut events = Vec::new();
    let mut source = Merge::open(&[path], Default::default());
    dispatch::run(
        &mut source,
        SensorConfig::default(),
        &NetworkMap::default(),
        1,
        |_| Hot::new(wishes.clone()),
        |epoch| {
            events.extend(epoch.batches.into_iter().flat_map(|batch| batch.changes).filter_map(|told| match told.change {
                Change::Event(event) => Some(*event),
                Change::Fact(_) | Change::Match(_) => None,
            }));
            true
        },
    )
    .unwrap();
    events.sort_by_key(|event| event.seen.place);
    events
}

/// The answers that are handed over, sorted by name and check.
pub(super) fn heard(told: impl FnOnce(&mut dyn FnMut(Verdict))) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    told(&mut |verdict| verdicts.push(verdict));
    verdicts.sort_by(|a, b| (&a.subject, a.check.id).cmp(&(&b.subject, b.check.id)));
    verdicts
}

/// Device, answer, and for a finding its arguments and how often.
pub(super) fn answers(verdicts: Vec<Verdict>) -> Vec<String> {
    let shown = |verdict: Verdict| {
        let answer = match verdict.answer {
            Answer::Found(found) | Answer::Presumed(found, _) => {
                let arguments = found.arguments.into_iter().map(|(_, value)| value).collect::<Vec<_>>().join(": ");
                format!("found {arguments} x{}", found.evidence.count)
            }
            Answer::Clear(text) => format!("clear {text}"),
            Answer::Untested(text) => format!("untested {text}"),
            Answer::Otherwise(text) => format!("otherwise {text}"),
        };
        format!("{} {answer}", verdict.subject.value)
    };
    verdicts.into_iter().map(shown).collect()
}
