//! Runs the hot half over a capture and drops what leaves it: the cost of capture, flows, decoding and observing alone.
use citytap_analyzer::hot::{Hot, Wishes};
use citytap_sensor::capture::Merge;
use citytap_sensor::dispatch;
use citytap_sensor::link::NetworkMap;
use citytap_sensor::pipeline::SensorConfig;
use citytap_sensor::protocols::DECODERS;
use std::sync::Arc;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("a capture");
    let threads = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut source = Merge::open(&[path.into()], Default::default());
    let wishes = Arc::new(Wishes::new(DECODERS, &[], |_, _, _| None).expect("no wishes"));
    let (mut changes, mut flows) = (0, 0);
    let outcome = dispatch::run(
        &mut source,
        SensorConfig::default(),
        &NetworkMap::default(),
        threads,
        |_| Hot::new(wishes.clone()),
        |epoch| {
            changes += epoch.batches.iter().map(|batch| batch.changes.len()).sum::<usize>();
            flows += epoch.batches.iter().map(|batch| batch.flows.len()).sum::<usize>();
            true
        },
    );
    let outcome = outcome.expect("a readable capture");
    for (counter, figure) in outcome.counters.iter().filter(|(_, figure)| *figure > 0) {
        println!("{} {figure}", counter.name());
    }
    println!("changes {changes} flow reports {flows}");
}
