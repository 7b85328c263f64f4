//! A capture through the whole sensor, and what was observed as text.

use citytap_sensor::capture::Merge;
use citytap_sensor::counters::Counters;
use citytap_sensor::dispatch::{self, HotStage};
use citytap_sensor::link::NetworkMap;
use citytap_sensor::observation::{FlowMoment, FlowReport, Observation, Observer, Place};
use citytap_sensor::pipeline::SensorConfig;
use citytap_sensor::testing::describe;
use std::path::{Path, PathBuf};

/// One observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub place: Place,
    /// The protocol.
    pub protocol: &'static str,
    /// Name of the record kind.
    pub record: Option<&'static str>,
    /// The record's JSON.
    pub json: String,
    /// The facts, as [`describe`] writes them.
    pub facts: Vec<String>,
    /// Names of the anomalies.
    pub anomalies: Vec<&'static str>,
    /// Client, direction and server.
    pub flow: String,
}

/// All that was observed in a capture.
#[derive(Debug)]
pub struct Result {
    /// In the order of the packets.
    pub seen: Vec<Seen>,
    /// Flows closed, and those of them with a protocol.
    pub flows: [usize; 2],
    /// The counters.
    pub counters: Counters,
    /// Damage to the capture files.
    pub damage: Vec<String>,
}

/// Runs captures through the sensor on so many threads.
pub fn run(captures: &[PathBuf], threads: usize) -> Result {
    run_with(captures, threads, SensorConfig::default())
}

/// The same with other decoders or bounds.
pub fn run_with(captures: &[PathBuf], threads: usize, config: SensorConfig) -> Result {
    let mut source = Merge::open(captures, Default::default());
    let (mut seen, mut flows) = (Vec::new(), [0; 2]);
    let outcome = dispatch::run(
        &mut source,
        config,
        &NetworkMap::default(),
        threads,
        |_| Watch::default(),
        |epoch| {
            let mut batch: Vec<Seen> = Vec::new();
            for watch in epoch.batches {
                batch.extend(watch.seen);
                flows = [flows[0] + watch.flows[0], flows[1] + watch.flows[1]];
            }
            batch.sort_by_key(|seen| seen.place);
            seen.extend(batch);
            true
        },
    );
    let outcome = outcome.unwrap_or_else(|error| panic!("{captures:?}: {error}"));
    let damage = source.damage().iter().map(|damage| damage.error.to_string()).collect();
    Result { seen, flows, counters: outcome.counters, damage }
}

/// One capture on one thread.
pub fn run_one(capture: &Path) -> Result {
    run(&[capture.to_path_buf()], 1)
}

#[derive(Default)]
struct Watch {
    seen: Vec<Seen>,
    flows: [usize; 2],
}

impl Observer for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        let mut json = Vec::new();
        observation.record.inspect(|record| record.write_json(&mut json));
        let (flow, way) = (observation.flow, if observation.direction.index() == 0 { ">" } else { "<" });
        self.seen.push(Seen {
            place: observation.place,
            protocol: observation.protocol,
            record: observation.record.map(|record| record.kind().name),
            json: String::from_utf8(json).expect("JSON is UTF-8"),
            facts: observation.facts.iter().map(describe).collect(),
            anomalies: observation.anomalies.iter().map(|anomaly| anomaly.code.name).collect(),
            flow: format!("{} {way} {}", flow.client, flow.server),
        });
    }

    fn flow(&mut self, report: &FlowReport<'_>) {
        if report.moment == FlowMoment::Closed {
            self.flows[0] += 1;
            self.flows[1] += usize::from(report.protocol.is_some());
        }
    }
}

impl HotStage for Watch {
    type Batch = Watch;

    fn drain(&mut self) -> Option<Watch> {
        (!self.seen.is_empty() || self.flows[0] > 0).then(|| std::mem::take(self))
    }
}
