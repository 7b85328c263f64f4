//! Live sources: time without packets, workers that do not keep up, what is told while the run goes on.

use super::*;
use crate::capture::{CaptureInfo, Lost};
use crate::counters::Counter;
use crate::limits::{EPOCH_PACKETS, FLOW_SILENCE};
use crate::observation::{FlowMoment, FlowReport, Observation};
use crate::time::SECOND;
use std::time::Duration;

/// What a source answers in turn.
#[derive(Clone, Copy)]
enum Step {
    /// A packet at this second.
    Packet(u64),
    /// None, and it is this second.
    Idle(u64),
}

struct Scripted {
    steps: std::vec::IntoIter<Step>,
    live: bool,
    idle: Option<Timestamp>,
    frame: Vec<u8>,
    taken: u64,
}

impl Scripted {
    fn new(steps: Vec<Step>, live: bool) -> Self {
        Self { steps: steps.into_iter(), live, idle: None, frame: frame(), taken: 0 }
    }
}

impl CaptureSource for Scripted {
    fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        self.idle = None;
        let second = match self.steps.next() {
            Some(Step::Packet(second)) => second,
            Some(Step::Idle(second)) => {
                self.idle = Some(Timestamp(second * SECOND));
                return Ok(None);
            }
            None => return Ok(None),
        };
        self.taken += 1;
        let (bytes, wire_length) = (self.frame.as_slice(), self.frame.len() as u32);
        let stamp = Timestamp(second * SECOND);
        Ok(Some(Packet { bytes, stamp, link_type: LinkType(101), wire_length, source: 0, interface: 0 }))
    }

    fn peek(&mut self) -> Result<Option<Timestamp>, CaptureError> {
        Ok(None)
    }

    fn describe(&self) -> Vec<CaptureInfo> {
        Vec::new()
    }

    fn bytes_read(&self) -> u64 {
        0
    }

    fn size(&self) -> Option<u64> {
        None
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn idle(&self) -> Option<Timestamp> {
        self.idle
    }

    fn lost(&mut self) -> Lost {
        // As many as came, and one of ten in the interface.
        Lost { by_kernel: self.taken, by_interface: self.taken / 10 }
    }
}

/// A UDP datagram of no known protocol from 10.0.0.1 to 10.0.0.2, without a link layer.
fn frame() -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0xea, 0x60, 0xea, 0x61, 0, 0, 0, 0];
    bytes.extend([7; 1_200]);
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[24..26].copy_from_slice(&(length - 20).to_be_bytes());
    bytes
}

/// Keeps what flows did; takes its time at the end of an epoch.
#[derive(Default)]
struct Watch {
    flows: Vec<(FlowMoment, u64)>,
    pause: Duration,
}

impl Observer for Watch {
    fn observe(&mut self, _: &Observation<'_>) {}

    fn flow(&mut self, report: &FlowReport<'_>) {
        self.flows.push((report.moment, report.packets.iter().sum()));
    }
}

impl HotStage for Watch {
    type Batch = Vec<(FlowMoment, u64)>;

    fn drain(&mut self) -> Option<Self::Batch> {
        std::thread::sleep(self.pause);
        Some(std::mem::take(&mut self.flows))
    }
}

type Epochs = Vec<EpochEnd<Vec<(FlowMoment, u64)>>>;

/// Epochs as they ended, the parts of the last one joined.
fn run_all(steps: Vec<Step>, live: bool, threads: usize, pause: Duration) -> (Epochs, Outcome) {
    let mut epochs = Epochs::new();
    let make = |_| Watch { pause, ..Watch::default() };
    let config = SensorConfig { flows: 8, ..SensorConfig::default() };
    let mut source = Scripted::new(steps, live);
    let outcome = run(&mut source, config, &NetworkMap::default(), threads, make, |mut epoch| {
        if let Some(part) = epochs.pop_if(|before| !before.whole) {
            assert_eq!((part.epoch, part.now), (epoch.epoch, epoch.now));
            epoch.batches.splice(0..0, part.batches);
        }
        epochs.push(epoch);
        true
    });
    (epochs, outcome.expect("the script does not fail"))
}

const START: u64 = 1_000_000;

#[test]
fn on_a_silent_wire_time_goes_on_and_flows_end() {
    let silence = FLOW_SILENCE / SECOND + 120;
    let steps: Vec<Step> =
        [Step::Packet(START)].into_iter().chain((1..silence).map(|second| Step::Idle(START + second))).collect();
    for threads in [1, 3] {
        let (epochs, outcome) = run_all(steps.clone(), true, threads, Duration::ZERO);
        let ends = epochs.iter().find(|epoch| epoch.batches.iter().flatten().any(|(moment, _)| *moment == FlowMoment::Closed));
        let ends = ends.expect("the flow ends");
        assert!(!ends.last && ends.now.seconds() >= START + FLOW_SILENCE / SECOND, "{:?}", ends.now);
        assert!(epochs.len() as u64 >= silence - 1 && epochs.windows(2).all(|pair| pair[0].epoch + 1 == pair[1].epoch));
        // Times of packets are told, not of silence.
        assert_eq!(outcome.span, Some((Timestamp(START * SECOND), Timestamp(START * SECOND))));
    }
}

#[test]
fn a_time_that_is_behind_the_last_packet_is_no_packet_out_of_order() {
    let steps = vec![Step::Packet(START + 2), Step::Idle(START + 1), Step::Idle(START + 2), Step::Packet(START + 2)];
    let (_, outcome) = run_all(steps, true, 1, Duration::ZERO);
    assert_eq!(outcome.counters.get(Counter::TimeBackward), 0);
}

#[test]
fn time_passes_before_the_first_packet() {
    let (epochs, outcome) = run_all((0..5).map(|second| Step::Idle(START + second)).collect(), true, 1, Duration::ZERO);
    assert_eq!((epochs.len(), outcome.span), (5, None));
    assert_eq!(epochs.last().map(|epoch| (epoch.last, epoch.now.seconds())), Some((true, START + 4)));
}

#[test]
fn a_live_run_tells_how_it_stands_at_each_epoch_and_a_replay_at_its_end() {
    let steps: Vec<Step> = (0..40).map(|second| Step::Packet(START + second)).collect();
    for threads in [1, 3] {
        let (epochs, outcome) = run_all(steps.clone(), true, threads, Duration::ZERO);
        let packets = |outcome: &Outcome| outcome.counters.get(Counter::Packets);
        let told: Vec<u64> = epochs.iter().filter_map(|epoch| epoch.so_far.as_ref()).map(packets).collect();
        assert_eq!(told, (1..=40).collect::<Vec<_>>());
        let flows = epochs.iter().filter_map(|epoch| epoch.so_far.as_ref()).map(|outcome| outcome.counters.get(Counter::Flows));
        assert!(flows.into_iter().all(|flows| flows == 1), "counters of shards are in it");
        let last = epochs.last().and_then(|epoch| epoch.so_far.as_ref()).expect("told");
        assert_eq!(last.counters, outcome.counters);
        assert_eq!(outcome.counters.get(Counter::PacketsDroppedByKernel), 40);
        assert_eq!(outcome.counters.get(Counter::PacketsDroppedByInterface), 4);
        let (epochs, _) = run_all(steps.clone(), false, threads, Duration::ZERO);
        assert!(epochs.iter().all(|epoch| epoch.so_far.is_none()));
    }
}

#[test]
fn a_live_run_drops_and_counts_where_a_worker_does_not_keep_up_and_a_replay_waits() {
    let steps: Vec<Step> = (0..6 * EPOCH_PACKETS).map(|_| Step::Packet(START)).collect();
    for live in [true, false] {
        let (epochs, outcome) = run_all(steps.clone(), live, 2, Duration::from_millis(2));
        let seen: u64 = epochs.iter().flat_map(|epoch| &epoch.batches).flatten().map(|(_, packets)| packets).sum();
        let dropped = outcome.counters.get(Counter::PacketsDroppedInQueue);
        assert_eq!(seen + dropped, 6 * EPOCH_PACKETS);
        assert_eq!(dropped > 0, live, "{dropped} dropped");
        assert_eq!(epochs.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), (1..=6).collect::<Vec<_>>(), "no epoch is lost");
    }
}
