//! Prints how many key trials a second one core makes, by the CPU time of this thread:
//! `cargo run --profile quick -p citytap-analyzer --example mic_trials`.

use citytap_analyzer::hot::owned::{Event, OwnedValue, Seen};
use citytap_analyzer::keys::lorawan::mic::{Target, Trials};
use citytap_analyzer::keys::lorawan::{Budget, KeyConfig, LorawanKeys};
use citytap_sensor::flow::{Direction, Endpoint};
use citytap_sensor::observation::{KindId, Place};
use citytap_sensor::time::Timestamp;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

/// Keys tried in each measurement of bare trials, at most.
const KEYS: u32 = 1_000_000;

fn main() {
    let clock = Instant::now();
    println!("bare trials on join-requests");
    for frames in [1_usize, 2, 8, 64, 256] {
        let targets: Vec<Target> = (0..frames).map(|at| Target::new(&[&[at as u8; 19]], [1, 2, 3, 4])).collect();
        let mut trials = Trials::new(&targets);
        let keys = KEYS / (1 + frames as u32 / 8);
        let start = seconds(&clock);
        for number in 0..keys {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&number.to_be_bytes());
            trials.try_key(&key, |_| ());
        }
        told(frames, u64::from(keys) * frames as u64, seconds(&clock) - start);
    }
    println!("whole audits: lists, derived keys and patterns on one join of each device");
    for devices in [1_u64, 8, 64, 1_000] {
        let mut keys = LorawanKeys::new(KeyConfig::default(), Budget::default());
        (0..devices).for_each(|device| keys.observe(&join(device)));
        let start = seconds(&clock);
        keys.work(Timestamp(0), true);
        told(devices as usize, keys.trials(), seconds(&clock) - start);
    }
}

fn told(frames: usize, trials: u64, seconds: f64) {
    println!("{frames:6} frames  {:12.0} trials/s  {trials} trials in {seconds:.2} s", trials as f64 / seconds);
}

/// A join-request that no key makes.
fn join(device: u64) -> Event {
    let endpoint = Endpoint { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 1700 };
    let frame = [&[0x00][..], &[7; 8], &device.to_le_bytes(), &[1, 0, 1, 2, 3, 4]].concat();
    Event {
        stages: 1,
        seen: Seen { place: Place { frame: device + 1, sequence: 0 }, time: Timestamp(0) },
        network: 0,
        sender: endpoint,
        receiver: endpoint,
        direction: Direction::ToServer,
        kind: KindId::of("lorawan.join_request"),
        fields: vec![OwnedValue::Bytes(frame.into())],
    }
}

/// CPU time of this thread where the system tells it, so that other work on the machine does not count; else wall time.
fn seconds(clock: &Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanos.map_or_else(|| clock.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}
