//! Writes traffic for the benchmark:
//!
//! ```text
//! workload mixed  OUT.pcap MEGABYTES FOLDER...     folders of pcaps/, each with the same share
//! workload steady OUT.pcap FLOWS PACKETS [PACKETS A SECOND]
//! workload flood  OUT.pcap PACKETS
//! workload weeks  OUT.pcap WEEKS HUNDREDS          a healthy city: weeks, and so many hundred devices
//! ```

use citytap_tests::workload::{self, Capture, Mixed, Weeks};
use std::fs::File;
use std::io::{self, BufWriter};

/// Packets a second; packet time decides about epochs and timers, and cities are slower than a benchmark.
const RATE: u64 = 20_000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, out, rest @ ..] = arguments.as_slice() else {
        eprintln!("workload mixed|steady|flood|weeks OUT.pcap ...; see the source");
        std::process::exit(2);
    };
    let number = |at: usize| rest.get(at).and_then(|text| text.parse::<u64>().ok()).expect("a number");
    let mut capture = Capture::new(BufWriter::with_capacity(1 << 20, File::create(out)?))?;
    match kind.as_str() {
        "mixed" => {
            let wanted = Mixed { folders: rest[1..].to_vec(), bytes: number(0) << 20, rate: RATE, seed: 1 };
            workload::mixed(&mut capture, &wanted)?;
        }
        "steady" => {
            let rate = if rest.len() > 2 { number(2) } else { RATE };
            workload::steady(&mut capture, number(0), number(1), rate)?;
        }
        "flood" => workload::flood(&mut capture, number(0), RATE)?,
        "weeks" => {
            let hundreds = number(1) as usize;
            let wanted = Weeks {
                lorawan: 60 * hundreds,
                mqtt: 25 * hundreds,
                modbus: 5 * hundreds,
                lwm2m: 10 * hundreds,
                weeks: number(0),
                seed: 1,
            };
            workload::weeks(&mut capture, &wanted)?;
        }
        _ => panic!("no workload is called {kind}"),
    }
    println!("{}", capture.packets);
    capture.finish()
}
