//! A Modbus server that does not heed the unit identifier, and one that does, scanned over many connections.

mod common;

use common::{capture, done};
use serde_json::Value;
use std::path::Path;

/// The devices of a replay, as bytes and read.
fn devices(case: &str, threads: &str) -> (String, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    done(&["replay", &capture(case), "--threads", threads, "--out", &out]);
    let text = std::fs::read_to_string(Path::new(&out).join("devices.jsonl")).unwrap();
    let devices = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (text, devices)
}

/// The device that has a name, and how many devices have names of that kind.
fn who_has<'d>(devices: &'d [Value], kind: &str, value: &str) -> (&'d Value, usize) {
    let has = |device: &&Value, value: Option<&str>| {
        let is_it = |name: &Value| name["kind"] == kind && value.is_none_or(|value| name["value"] == value);
        device["identities"].as_array().unwrap().iter().any(is_it)
    };
    let found = devices.iter().find(|device| has(device, Some(value))).unwrap_or_else(|| panic!("no {kind}:{value}"));
    (found, devices.iter().filter(|device| has(device, None)).count())
}

#[test]
fn a_server_that_answers_under_any_unit_is_one_device_for_any_number_of_threads() {
    let case = "modbus/scan_of_units_that_all_answer";
    let (bytes, devices) = devices(case, "1");
    for threads in ["2", "5"] {
        assert!(self::devices(case, threads).0 == bytes, "{threads} threads");
    }
    // The server, a poller and two scanners.
    assert_eq!(devices.len(), 4);
    let (server, with_units) = who_has(&devices, "modbus_unit", "247");
    assert_eq!((with_units, server["vendor"].as_str(), server["class"]["id"].as_str()), (1, Some("WAGO"), Some("plc")));
    assert_eq!(who_has(&devices, "ip", "10.10.0.10").0["id"], server["id"]);
    assert!(server["roles"].as_array().unwrap().iter().any(|role| role["role"] == "answers_any_name"));

    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store").display().to_string();
    done(&["replay", &capture(case), "--store", &store]);
    let page = done(&["devices", "show", "10.10.0.10", "--store", &store]);
    assert!(page.contains("it answers under any number that it is asked for: its many names are one device"), "{page}");
}

#[test]
fn units_behind_a_gateway_stay_devices_of_their_own() {
    let (bytes, devices) = devices("modbus/scan_of_units", "1");
    assert!(self::devices("modbus/scan_of_units", "3").0 == bytes);
    let (unit, with_units) = who_has(&devices, "modbus_unit", "100");
    assert_eq!((with_units, unit["identities"].as_array().unwrap().len()), (3, 1));
}
