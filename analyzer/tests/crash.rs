//! kill -9 at any moment: what was acknowledged is there, nothing is torn, a run is in the store whole or not at all.

mod common;

use citytap_analyzer::store::on_disk::OnDisk;
use citytap_analyzer::store::record::{seal, unseal};
use citytap_analyzer::store::{Store, Tree};
use common::{capture, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "CITYTAP_CRASH_FOLDER";
const START: &str = "CITYTAP_CRASH_START";
const KILLS: u64 = 20;

/// The content of a record, by its number: long or short, and different from every other.
fn content(number: u64) -> String {
    format!("{number}:").repeat(1 + (number.wrapping_mul(7919) % 900) as usize)
}

/// Numbers that look random, the same in every run of the test.
fn noise(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The process that is killed: writes records for ever, and says which of them it has flushed. Started by
/// `what_was_acknowledged_survives_kill_9`; without the folder that it names there is nothing to do.
#[test]
fn writes_for_ever() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut number: u64 = std::env::var(START).unwrap().parse().unwrap();
    let mut store = OnDisk::open_or_make(Path::new(&folder)).unwrap();
    let mut out = std::io::stdout().lock();
    loop {
        for _ in 0..1 + noise(number) % 60 {
            number += 1;
            let key = number.to_be_bytes();
            store.put(Tree::Devices, &key, &seal(Tree::Devices, &key, &content(number))).unwrap();
            // The newest number, written over and over.
            store.put(Tree::Meta, b"newest", &seal(Tree::Meta, b"newest", &number)).unwrap();
        }
        store.flush().unwrap();
        writeln!(out, "acknowledged {number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut reached = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_for_ever", "--nocapture"])
            .env(FOLDER, &path)
            .env(START, reached.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let acknowledged = |lines: &mut dyn Iterator<Item = String>, wanted: usize| {
            let numbers = lines.filter_map(|line| line.rsplit_once("acknowledged ")?.1.parse::<u64>().ok());
            numbers.take(wanted).last()
        };
        let mut last = acknowledged(&mut lines, 1 + (noise(kill) % 8) as usize).expect("it writes");
        std::thread::sleep(Duration::from_micros(noise(kill + 1000) % 30_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts too.
        last = acknowledged(&mut lines, usize::MAX).unwrap_or(last);

        let store = OnDisk::open(&path).unwrap();
        for number in 1..=last {
            let key = number.to_be_bytes();
            let sealed =
                store.get(Tree::Devices, &key).unwrap().unwrap_or_else(|| panic!("kill {kill}: {number} of {last} is lost"));
            assert_eq!(unseal::<String>(Tree::Devices, &key, &sealed), Ok(content(number)), "kill {kill}");
        }
        store
            .each(Tree::Devices, &mut |key, sealed| {
                let number = u64::from_be_bytes(key.try_into().unwrap());
                assert_eq!(unseal::<String>(Tree::Devices, key, sealed), Ok(content(number)), "kill {kill}");
                reached = reached.max(number);
            })
            .unwrap();
        let newest = store.get(Tree::Meta, b"newest").unwrap().unwrap();
        assert!(unseal::<u64>(Tree::Meta, b"newest", &newest).unwrap() >= last, "kill {kill}");
    }
    assert!(reached > KILLS);
}

#[test]
fn a_run_is_added_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let cases =
        ["tasmota_twelve_devices", "zigbee2mqtt_twelve_devices", "home_assistant_discovery", "sparkplug_b", "homie_3_and_4"];
    let captures = cases.map(|case| capture(&format!("mqtt/{case}")));
    let replay = |store: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_citytap"));
        command.arg("replay").args(&captures).args(["--store", store]).stdout(Stdio::null());
        command.stderr(Stdio::null());
        command
    };
    let start = std::time::Instant::now();
    assert!(replay(&path("whole")).status().unwrap().success());
    let took = start.elapsed();
    let all = |store: &str| json(&["devices", "--store", store, "--format", "json", "--provisional"]);
    let whole = all(&path("whole"));
    assert!(whole.as_array().unwrap().len() > 20);
    for kill in 0..KILLS as u32 {
        let store = path(&format!("store{kill}"));
        let mut child = replay(&store).spawn().unwrap();
        // Most kills fall into the second half, where the store is written.
        let at = took.mul_f64(0.3 + 0.04 * f64::from(kill));
        std::thread::sleep(at);
        // It may have ended already.
        let _ = child.kill();
        child.wait().unwrap();
        if Path::new(&store).join("store.json").is_file() {
            let devices = all(&store);
            let count = devices.as_array().unwrap().len();
            assert!(count == 0 || devices == whole, "killed after {at:?}: {count} devices");
        }
        // Whatever came of it, adding it again ends with the whole.
        assert!(replay(&store).status().unwrap().success());
        assert_eq!(all(&store), whole);
    }
}
