//! What reading captures costs, without anything that follows: `cargo run --release --example capture_cost -- [--digest] CAPTURE...`

use citytap_sensor::capture::{CaptureSource, Merge, ReadOptions};
use std::path::PathBuf;
use std::time::Instant;

fn main() {
    let (mut options, mut paths) = (ReadOptions::default(), Vec::new());
    for argument in std::env::args().skip(1) {
        match (argument.as_str(), argument.strip_prefix("--block=").and_then(|n| n.parse().ok())) {
            ("--digest", _) => options.digest = true,
            (_, Some(block)) => options.block = block,
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    let start = Instant::now();
    let mut merge = Merge::open(&paths, options);
    let (mut packets, mut bytes, mut mix) = (0u64, 0u64, 0u64);
    while let Ok(Some(packet)) = merge.next() {
        packets += 1;
        bytes += packet.bytes.len() as u64;
        mix ^= packet.stamp.0 ^ u64::from(packet.bytes.first().copied().unwrap_or_default());
    }
    let elapsed = start.elapsed();
    for damage in merge.damage() {
        eprintln!("{}", damage.error);
    }
    for info in merge.describe() {
        println!(
            "{} {:?} {:?} {} packets {}",
            info.name,
            info.format,
            info.compression,
            info.packets,
            info.digest.map_or(String::new(), |d| d.to_string())
        );
    }
    println!(
        "{packets} packets, {bytes} bytes ({mix:x}): {:.1} ns a packet, {elapsed:?}",
        elapsed.as_nanos() as f64 / packets.max(1) as f64
    );
}
