//! `cargo run -p citytap-rekey --release --example soak -- 10000000 [FIRST_SEED]`: that many rotations in the simulated world, on all cores; ends with an error
//! at the first violation and names its seed. `soak trace SEED` tells one story.

use citytap_rekey::simulation::tell;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "trace") {
        let seed = arguments.get(1).and_then(|seed| seed.parse().ok()).unwrap_or(0);
        println!("{:?}", tell(seed, true));
        return ExitCode::SUCCESS;
    }
    let wanted: u64 = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let first: u64 = arguments.get(1).and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let (next, rotations, crashes, restores, silence) =
        (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let ends = Mutex::new(BTreeMap::<String, u64>::new());
    let wrong = Mutex::new(Vec::new());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut mine = BTreeMap::<String, u64>::new();
                while rotations.load(Ordering::Relaxed) < wanted && wrong.lock().is_ok_and(|wrong| wrong.len() < 10) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let story = tell(seed, false);
                    rotations.fetch_add(story.ends.len() as u64, Ordering::Relaxed);
                    crashes.fetch_add(u64::from(story.crashes), Ordering::Relaxed);
                    restores.fetch_add(u64::from(story.restores), Ordering::Relaxed);
                    silence.fetch_max(u64::try_from(story.silence.0).unwrap_or(0) / 1_000_000_000, Ordering::Relaxed);
                    for (class, state) in &story.ends {
                        *mine.entry(format!("{class:?} {state}")).or_default() += 1;
                    }
                    if let (Some(violation), Ok(mut wrong)) = (story.violation, wrong.lock()) {
                        wrong.push((seed, violation));
                    }
                }
                if let Ok(mut ends) = ends.lock() {
                    mine.into_iter().for_each(|(end, count)| *ends.entry(end).or_default() += count);
                }
            });
        }
    });
    println!(
        "{} rotations in {:.1} s, {} crashes, {} restores, longest silence of the module's making {} s",
        rotations.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64(),
        crashes.load(Ordering::Relaxed),
        restores.load(Ordering::Relaxed),
        silence.load(Ordering::Relaxed)
    );
    ends.lock().iter().flat_map(|ends| ends.iter()).for_each(|(end, count)| println!("  {count:>9} {end}"));
    let wrong = wrong.into_inner().unwrap_or_default();
    wrong.iter().for_each(|(seed, violation)| println!("seed {seed}: {violation}"));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
