//! `citytap decode`: one JSON line an observation.

use super::{DONE, Failure, UNREADABLE, USAGE};
use citytap_sensor::capture::{CaptureSource, Merge};
use citytap_sensor::dispatch::{self, EpochEnd, HotStage};
use citytap_sensor::flow::{Direction, Endpoint, FlowInfo, Transport};
use citytap_sensor::link::NetworkMap;
use citytap_sensor::observation::{Anomaly, Observation, Observer, Place};
use citytap_sensor::pipeline::SensorConfig;
use citytap_sensor::protocols::DECODERS;
use citytap_sensor::time::Timestamp;
use serde::Serialize;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;

/// Print one JSON line for each decoded message.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap decode capture.pcap\n  citytap decode capture.pcapng.zst --protocol modbus | jq .modbus.function\n  \
    tcpdump -w - -r old.pcap 'port 1883' | citytap decode -"
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
}

impl Decode {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        if let Some(unknown) = self.protocol.iter().find(|name| !DECODERS.iter().any(|spec| spec.name == **name)) {
            eprintln!("citytap: {}", super::schema::unknown_protocol(unknown));
            return Ok(USAGE);
        }
        let mut source = Merge::open(&self.captures, Default::default());
        let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
        let mut failure = None;
        let wanted = self.protocol;
        let make = |_| Lines { wanted: wanted.clone(), lines: Vec::new(), text: Vec::new() };
        dispatch::run(&mut source, SensorConfig::default(), &NetworkMap::default(), self.threads, make, |epoch| {
            failure = print(epoch, &mut out).err();
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

fn print(epoch: EpochEnd<Batch>, out: &mut impl Write) -> std::io::Result<()> {
    let mut lines: Vec<(Place, &[u8])> = Vec::new();
    for batch in &epoch.batches {
        let mut start = 0;
        for &(place, end) in &batch.lines {
            lines.push((place, batch.text.get(start..end).unwrap_or_default()));
            start = end;
        }
    }
    lines.sort_by_key(|(place, _)| *place);
    lines.iter().try_for_each(|(_, line)| out.write_all(line))
}

/// Lines of one shard and epoch: where each was seen and where it ends in the text.
struct Batch {
    lines: Vec<(Place, usize)>,
    text: Vec<u8>,
}

struct Lines {
    wanted: Vec<String>,
    lines: Vec<(Place, usize)>,
    text: Vec<u8>,
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
        (!self.lines.is_empty()).then(|| Batch { lines: std::mem::take(&mut self.lines), text: std::mem::take(&mut self.text) })
    }
}
