//! `citytap decode`: one JSON line an observation.
//!
//! With a configuration that names keys or allows decryption, the frames also pass the keys' stage, and what it reads is told in lines of
//! their own, `"derived":true`, among those of the epoch in which it became readable.

use super::config::Configured;
use super::{DONE, Failure, UNREADABLE, USAGE};
use crate::config::{Config, Flags};
use crate::hot::{Batch as Changes, Change, Hot, Wishes, in_order};
use crate::keys::Derived;
use crate::keys::lorawan::LorawanKeys;
use crate::signatures;
use citytap_sensor::capture::{CaptureSource, Merge};
use citytap_sensor::dispatch::{self, EpochEnd, HotStage};
use citytap_sensor::flow::{Direction, Endpoint, FlowInfo, Transport};
use citytap_sensor::observation::{Anomaly, Observation, Observer, Place};
use citytap_sensor::protocols::DECODERS;
use citytap_sensor::time::Timestamp;
use serde::Serialize;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Print one JSON line for each decoded message.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap decode capture.pcap\n  citytap decode capture.pcapng.zst --protocol modbus | jq .modbus.function\n  \
    tcpdump -w - -r old.pcap 'port 1883' | citytap decode -\n  citytap decode capture.pcap --config citytap.toml --protocol lorawan"
)]
pub struct Decode {
    /// Capture files, pcap or pcapng, plain, gzip or zstd; - for standard input. Several are merged by time.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// Only messages of this protocol; may be given several times.
    #[arg(long, value_name = "NAME")]
    protocol: Vec<String>,
    /// Threads to use; the output is the same for any number.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::threads)]
    threads: usize,
    #[command(flatten)]
    configured: Configured,
}

impl Decode {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        if let Some(unknown) = self.protocol.iter().find(|name| !DECODERS.iter().any(|spec| spec.name == **name)) {
            eprintln!("citytap: {}", super::schema::unknown_protocol(unknown));
            return Ok(USAGE);
        }
        let config = match self.configured.load(&Flags::default()) {
            Ok(config) => config,
            Err(code) => return Ok(code),
        };
        let mut source = Merge::open(&self.captures, Default::default());
        let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
        let mut failure = None;
        let wanted = self.protocol;
        let mut reading = Reading::new(&config, &wanted);
        let wishes = reading.as_ref().map(|reading| reading.wishes.clone());
        let make = |_| Lines { wanted: wanted.clone(), lines: Vec::new(), text: Vec::new(), hot: wishes.clone().map(Hot::new) };
        let mut parts = Vec::new();
        dispatch::run(&mut source, config.sensor(), &config.network_map(), self.threads, make, |mut epoch| {
            parts.append(&mut epoch.batches);
            if !epoch.whole {
                return true;
            }
            epoch.batches = std::mem::take(&mut parts);
            failure = print(epoch, reading.as_mut(), &mut out).err();
            failure.is_none()
        })?;
        // A reader such as `head` that closes the pipe has what it wanted.
        if let Some(error) = failure.or(out.flush().err()).filter(|error| error.kind() != ErrorKind::BrokenPipe) {
            return Err(format!("cannot write to standard output: {error}").into());
        }
        for damage in source.damage() {
            eprintln!("citytap: {}", damage.error);
        }
        let all_failed = !source.damage().is_empty() && source.describe().iter().all(|capture| capture.packets == 0);
        Ok(if all_failed { UNREADABLE } else { DONE })
    }
}

fn print(mut epoch: EpochEnd<Batch>, reading: Option<&mut Reading>, out: &mut impl Write) -> std::io::Result<()> {
    let derived = reading.map(|reading| reading.epoch(&mut epoch)).unwrap_or_default();
    let mut lines: Vec<(Place, &[u8])> = Vec::new();
    for batch in epoch.batches.iter().chain([&derived]) {
        let mut start = 0;
        for &(place, end) in &batch.lines {
            lines.push((place, batch.text.get(start..end).unwrap_or_default()));
            start = end;
        }
    }
    lines.sort_by_key(|(place, _)| *place);
    lines.iter().try_for_each(|(_, line)| out.write_all(line))
}

/// Reads with keys what frames hide.
struct Reading {
    keys: LorawanKeys,
    wishes: Arc<Wishes>,
}

impl Reading {
    /// `None` where nothing can be read with keys, or nobody wants to see it.
    fn new(config: &Config, wanted: &[String]) -> Option<Self> {
        let shown = wanted.is_empty() || wanted.iter().any(|name| name == PROTOCOL);
        if !config.reads_with_keys() || !shown {
            return None;
        }
        let wishes = Wishes::new(config.sensor().decoders, &[LorawanKeys::INTERESTS], signatures::look_up).ok()?;
        Some(Self { keys: LorawanKeys::new(config.keys.clone(), config.budget()), wishes: Arc::new(wishes) })
    }

    /// Takes what the frames of an epoch told, and answers with lines for what it could read.
    fn epoch(&mut self, epoch: &mut EpochEnd<Batch>) -> Batch {
        let changes = epoch.batches.iter_mut().filter_map(|batch| batch.changes.take()).map(|batch| batch.changes).collect();
        for (_, change) in in_order(changes) {
            match change {
                Change::Fact(fact) => self.keys.fact(&fact),
                Change::Event(event) => self.keys.observe(&event),
                Change::Match(_) => {}
            }
        }
        self.keys.work(epoch.now, epoch.last);
        drop(self.keys.take_facts());
        let mut batch = Batch::default();
        self.keys.take_derived().iter().for_each(|derived| batch.tell(derived));
        batch
    }
}

/// The protocol that keys open.
const PROTOCOL: &str = "lorawan";

/// Lines of one shard and epoch: where each was seen and where it ends in the text.
#[derive(Default)]
struct Batch {
    lines: Vec<(Place, usize)>,
    text: Vec<u8>,
    /// What the keys' stage wants to know.
    changes: Option<Changes>,
}

impl Batch {
    fn tell(&mut self, derived: &Derived) {
        derived.with_record(&mut |record| {
            let head = DerivedHead {
                frame: derived.seen.place.frame,
                time: derived.seen.time,
                network: derived.network,
                derived: true,
                protocol: PROTOCOL,
                record: record.kind().name,
            };
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(&mut self.text, &head);
            self.text.pop();
            let _ = write!(self.text, ",\"{PROTOCOL}\":");
            record.write_json(&mut self.text);
            self.text.extend_from_slice(b"}\n");
        });
        self.lines.push((derived.seen.place, self.text.len()));
    }
}

struct Lines {
    wanted: Vec<String>,
    lines: Vec<(Place, usize)>,
    text: Vec<u8>,
    hot: Option<Hot>,
}

/// The beginning of a line about something that a key made readable.
#[derive(Serialize)]
struct DerivedHead {
    frame: u64,
    time: Timestamp,
    #[serde(skip_serializing_if = "is_default")]
    network: u16,
    derived: bool,
    protocol: &'static str,
    record: &'static str,
}

#[derive(Serialize)]
struct Head<'a> {
    frame: u64,
    time: Timestamp,
    flow: Flow,
    direction: Direction,
    protocol: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    anomalies: Vec<&'a Anomaly>,
}

#[derive(Serialize)]
struct Flow {
    id: u64,
    transport: Transport,
    client: Endpoint,
    server: Endpoint,
    #[serde(skip_serializing_if = "is_default")]
    network: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
}

fn is_default(network: &u16) -> bool {
    *network == 0
}

impl From<&FlowInfo> for Flow {
    fn from(flow: &FlowInfo) -> Self {
        Self {
            id: flow.id,
            transport: flow.transport,
            client: flow.client,
            server: flow.server,
            network: flow.network,
            vlan: flow.vlan,
        }
    }
}

impl Observer for Lines {
    fn observe(&mut self, observation: &Observation<'_>) {
        if let Some(hot) = &mut self.hot {
            hot.observe(observation);
        }
        let told = observation.record.is_some() || !observation.anomalies.is_empty();
        if !told || !self.wanted.is_empty() && !self.wanted.iter().any(|name| name == observation.protocol) {
            return;
        }
        let head = Head {
            frame: observation.place.frame,
            time: observation.time,
            flow: observation.flow.into(),
            direction: observation.direction,
            protocol: observation.protocol,
            record: observation.record.map(|record| record.kind().name),
            carrier: observation.carrier.map(|carrier| carrier.kind().name),
            anomalies: observation.anomalies.iter().collect(),
        };
        // Writing to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.text, &head);
        if let Some(record) = observation.record {
            self.text.pop();
            let _ = write!(self.text, ",\"{}\":", observation.protocol);
            record.write_json(&mut self.text);
            self.text.push(b'}');
        }
        self.text.push(b'\n');
        self.lines.push((observation.place, self.text.len()));
    }
}

impl HotStage for Lines {
    type Batch = Batch;

    fn drain(&mut self) -> Option<Batch> {
        let changes = self.hot.as_mut().and_then(HotStage::drain);
        let told = !self.lines.is_empty() || changes.is_some();
        told.then(|| Batch { lines: std::mem::take(&mut self.lines), text: std::mem::take(&mut self.text), changes })
    }
}
