//! Prints how many key trials a second one core makes on join-requests: `cargo run --profile quick --example mic_trials`.

use citytap_analyzer::keys::mic::{Target, Trials};
use std::time::Instant;

/// Keys tried in each measurement.
const KEYS: u32 = 1_000_000;

fn main() {
    println!("join-requests   trials/s/core");
    for frames in [1_usize, 2, 4, 8, 16, 64, 256] {
        let targets: Vec<Target> = (0..frames).map(|at| Target::new(&[&[at as u8; 19]], [1, 2, 3, 4])).collect();
        let mut trials = Trials::new(&targets);
        let keys = KEYS / (1 + frames as u32 / 8);
        let mut hits = 0;
        let start = Instant::now();
        for number in 0..keys {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&number.to_be_bytes());
            trials.try_key(&key, |_| hits += 1);
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{frames:13}   {:12.0}   ({hits} chance hits)", f64::from(keys) * frames as f64 / seconds);
    }
}
