//! Risk, alerts, clauses, checks and the register from the outside: what a person asks and decides, over several runs.

mod common;

use citytap_analyzer::engine::{self, Setup};
use citytap_analyzer::store::{Growing, Run};
use citytap_sensor::capture::{CaptureSource, Merge};
use common::{capture, city, done, json, refused};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store").display().to_string();
    (folder, store)
}

fn lines(out: &Path, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(out.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn fits(text: &str) {
    text.lines().for_each(|line| assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count()));
}

#[test]
fn terms_add_up_and_verdicts_follow_on_the_city() {
    let (folder, _) = folder();
    let out = folder.path().join("out");
    let screen = done(&["replay", &city(), "--out", &out.display().to_string()]);
    fits(&screen);
    let devices = lines(&out, "devices.jsonl");
    for device in &devices {
        let risk = &device["risk"];
        let sum: i64 = list(&risk["terms"]).iter().map(|term| term["points"].as_i64().unwrap()).sum();
        assert_eq!(risk["score"].as_i64().unwrap(), sum.clamp(0, 100), "{risk}");
    }
    let at_risk = devices.iter().filter(|device| device["risk"]["verdict"] == "act").count();
    assert!(at_risk >= 30 && at_risk < devices.len(), "{at_risk}");
    let actions = lines(&out, "actions.jsonl");
    let rank = |action: &Value| ["act", "plan", "watch"].iter().position(|verdict| action["verdict"] == *verdict).unwrap();
    assert!(actions.is_sorted_by_key(rank), "{actions:?}");
    for action in &actions {
        let watched = action["severity"] == "info" || action["severity"] == "low" && list(&action["devices"]).len() == 1;
        assert!(!watched || action["verdict"] == "watch", "{action}");
        let printed = format!("{:<5}  ", action["verdict"].as_str().unwrap().to_uppercase());
        let title: String = action["title"].as_str().unwrap().chars().take(60).collect();
        assert!(screen.contains(&format!("{printed}{title}")), "{printed}{title} is not in\n{screen}");
    }
    let findings = lines(&out, "findings.jsonl");
    assert!(findings.iter().all(|finding| finding["delivery"] == if finding["severity"] == "info" { "digest" } else { "alert" }));
    let password = findings.iter().find(|finding| finding["check"] == "default-password-accepted").unwrap();
    assert!(list(&password["clauses"]["contradicts"]).contains(&"ETSI EN 303 645 v3.1.3 5.1-1".into()), "{password}");
    let checks: Value = serde_json::from_str(&fs::read_to_string(out.join("coverage.json")).unwrap()).unwrap();
    assert_eq!(checks["checks"]["lorawan-known-key"]["found"], 30);
}

#[test]
fn alerts_are_the_same_for_the_same_capture_and_cover_every_finding_once() {
    let (folder, store) = folder();
    let run = |name: &str, threads: &str| {
        let out = folder.path().join(name);
        done(&["replay", &city(), "--out", &out.display().to_string(), "--threads", threads]);
        out
    };
    let (one, two) = (run("one", "1"), run("two", "3"));
    let text = fs::read_to_string(one.join("alerts.jsonl")).unwrap();
    assert_eq!(text, fs::read_to_string(two.join("alerts.jsonl")).unwrap());
    let alerts = lines(&one, "alerts.jsonl");
    let mut covered: Vec<&str> =
        alerts.iter().flat_map(|alert| list(&alert["findings"])).map(|id| id.as_str().unwrap()).collect();
    covered.sort_unstable();
    let findings = lines(&one, "findings.jsonl");
    let mut ids: Vec<&str> = findings.iter().map(|finding| finding["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(covered, ids);
    assert!(alerts.len() < findings.len() / 3, "{} alerts of {} findings", alerts.len(), findings.len());
    // What the store says after this run alone is what the run said.
    done(&["replay", &city(), "--store", &store]);
    let mut kept = json(&["alerts", "list", "--all", "--store", &store, "--format", "json"]);
    kept.as_array_mut().unwrap().iter_mut().for_each(|alert| alert["schema_version"] = 1.into());
    assert_eq!(list(&kept), alerts);
    fits(&done(&["alerts", "--store", &store]));
}

#[test]
fn decisions_survive_further_runs() {
    let (_folder, store) = folder();
    done(&["replay", &city(), "--store", &store]);
    let alerts = json(&["alerts", "--store", &store, "--format", "json"]);
    let id = |check: &str| {
        let alert = list(&alerts).iter().find(|alert| alert["check"] == check).unwrap_or_else(|| panic!("no alert of {check}"));
        alert["id"].as_str().unwrap().to_owned()
    };
    let (accepted, resolved, seen) = (id("anonymous-accepted"), id("default-password-accepted"), id("lorawan-known-key"));
    let (code, error) = refused(&["alerts", "accept", &accepted, "--reason", "x", "--until", "1990-01-01", "--store", &store]);
    assert!(code == 2 && error.contains("that time is over"), "{error}");
    let (code, error) = refused(&["alerts", "accept", &accepted, "--reason", " ", "--until", "2100-01-01", "--store", &store]);
    assert!(code == 2 && error.contains("say why"), "{error}");
    let (_, error) = refused(&["alerts", "accept", &accepted, "--reason", "x", "--until", "soon", "--store", &store]);
    assert!(error.contains("2027-04-01"), "{error}");
    let (code, error) = refused(&["alerts", "ack", "ffffffffffffff", "--store", &store]);
    assert!(code == 2 && error.contains("no alert has the id"), "{error}");
    let page = done(&["alerts", "accept", &accepted, "--reason", "moves in spring", "--until", "2100-01-01", "--store", &store]);
    assert!(
        page.contains("accepted until 2100-01-01 00:00") && page.contains("accepted until 2100-01-01 00:00: moves in spring"),
        "{page}"
    );
    fits(&page);
    done(&["alerts", "resolve", &resolved[..12], "--reason", "password changed", "--store", &store]);
    done(&["alerts", "ack", &seen, "--store", &store]);

    // The same packets judged again are no news.
    done(&["replay", &city(), "--store", &store, "--again"]);
    let state =
        |id: &str| json(&["alerts", "show", id, "--store", &store, "--format", "json"])["state"].as_str().unwrap().to_owned();
    assert_eq!([state(&accepted), state(&resolved), state(&seen)], ["accepted", "resolved", "acknowledged"]);
    done(&["replay", &capture("mqtt/default_credentials_accepted"), "--store", &store]);
    assert_eq!([state(&accepted), state(&resolved), state(&seen)], ["accepted", "resolved", "acknowledged"]);
    let pending = json(&["alerts", "--store", &store, "--format", "json"]);
    assert!(list(&pending).iter().all(|alert| alert["id"] != *accepted && alert["id"] != *resolved));
    assert!(
        list(&pending).iter().any(|alert| alert["check"] == "default-password-accepted" && alert["state"] == "open"),
        "another broker is another alert"
    );
    done(&["alerts", "reopen", &resolved, "--store", &store]);
    assert_eq!(state(&resolved), "reopened");
}

#[test]
fn what_a_person_decides_while_a_run_goes_on_stays() {
    let (folder, store) = folder();
    let mut source = Merge::open(&[city().into()], Default::default());
    let report = engine::replay(&mut source, &Setup::default()).unwrap();
    let run = || Run::new(&report, &source.describe(), &[], "city", false);
    let mut growing = Growing::begin(Growing::open(&folder.path().join("store"), None, "city").unwrap());
    let first = growing.stand(&report, run());
    assert!(first.added.told.len() > 5, "{:?}", first.added.told);
    growing.write(&first).unwrap();
    let alerts = json(&["alerts", "--store", &store, "--format", "json"]);
    let id = alerts[0]["id"].as_str().unwrap();
    done(&["alerts", "accept", id, "--reason", "known", "--until", "2100-01-01", "--store", &store]);
    let again = growing.stand(&report, run());
    growing.write(&again).unwrap();
    let shown = json(&["alerts", "show", id, "--store", &store, "--format", "json"]);
    assert_eq!((&shown["state"], &shown["count"]), (&"accepted".into(), &alerts[0]["count"]));
}

#[test]
fn one_finding_is_shown_with_its_clauses_and_checks_are_counted() {
    let (_folder, store) = folder();
    done(&["replay", &city(), "--store", &store]);
    let findings = json(&["findings", "--check", "anonymous-accepted", "--store", &store, "--format", "json"]);
    let id = findings[0]["id"].as_str().unwrap();
    let page = done(&["findings", "show", id, "--store", &store]);
    fits(&page);
    assert!(page.contains("contradicts IEC 62443-3-3 SR 1.1, SR 1.2, SR 2.1") && page.contains("frame "), "{page}");
    assert!(!page.to_lowercase().contains("complian"), "{page}");
    let csv = done(&["export", "findings", "--format", "csv", "--store", &store]);
    let row = csv.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(row.contains("IEC 62443-3-3 SR 2.1") && row.contains("anonymous-accepted"), "{row}");
    let (code, error) = refused(&["findings", "show", "zzz", "--store", &store]);
    assert!(code == 2 && error.contains("no finding has the id"), "{error}");
    let checks = json(&["checks", "--store", &store, "--format", "json"]);
    let keys = list(&checks).iter().find(|check| check["check"] == "lorawan-known-key").unwrap();
    assert_eq!(keys["found"], 30);
    let reasons: i64 = keys["reasons"].as_object().unwrap().values().map(|count| count.as_i64().unwrap()).sum();
    assert_eq!(keys["untested"].as_i64(), Some(reasons));
    fits(&done(&["checks", "--store", &store]));
}

const ASSETS: &str = "Asset tag;DevEUI;IP address;Device name;Standort;Owner;Criticality;app_key\n\
    A-1;24:E1:24:71:5E:00:00:0D;;Bay 13;Harbour street;Parking;critical;00112233445566778899aabbccddeeff\n\
    A-2;;10.20.0.5;Main broker;Town hall;IT;hoch;\n\
    A-3;24e124ffff000099;;Bay 99;Harbour street;Parking;;\n";

#[test]
fn the_register_is_compared_and_what_it_says_of_a_device_is_marked_and_weighs() {
    let (folder, store) = folder();
    done(&["replay", &city(), "--store", &store]);
    let risk = |id: &str| {
        json(&["devices", "show", id, "--store", &store, "--format", "json"])["device"]["risk"]["score"].as_i64().unwrap()
    };
    let before = (risk("24e124715e00000d"), risk("10.20.0.5"));
    let file = folder.path().join("assets.csv");
    fs::write(&file, ASSETS).unwrap();
    let file = file.display().to_string();
    let screen = done(&["register", "import", &file, "--store", &store]);
    fits(&screen);
    for wanted in [
        "3 entries of assets.csv",
        "Standort as place",
        "not read  app_key",
        "listed and seen        2",
        "listed and silent      1",
    ] {
        assert!(screen.contains(wanted), "{wanted} is not in\n{screen}");
    }
    let status = json(&["register", "status", "--store", &store, "--format", "json"]);
    let spoke = list(&json(&["devices", "--store", &store, "--format", "json"])).len() as u64;
    assert_eq!(status["speaking_and_unlisted"].as_u64(), Some(spoke - 2));
    assert_eq!((risk("24e124715e00000d"), risk("10.20.0.5")), ((before.0 + 20).min(100), (before.1 + 10).min(100)));
    let page = done(&["devices", "show", "24e124715e00000d", "--store", &store]);
    for wanted in ["Bay 13", "Harbour street", "entered by a person: assets.csv:2", "+20  criticality"] {
        assert!(page.contains(wanted), "{wanted} is not in\n{page}");
    }
    let csv = done(&["export", "inventory", "--format", "csv", "--store", &store]);
    let row = csv.lines().find(|line| line.contains("24e124715e00000d")).unwrap();
    assert!(row.contains("critical,A-1,Parking,Harbour street,") && row.contains("criticality +20"), "{row}");
    let silent = json(&["register", "show", "--only", "silent", "--store", &store, "--format", "json"]);
    assert_eq!((list(&silent).len(), &silent[0]["entry"]["attributes"]["name"]), (1, &"Bay 99".into()));
    fits(&done(&["register", "show", "--store", &store]));

    // A list with anything wrong in it leaves the register as it was.
    fs::write(&file, ASSETS.replace("24e124ffff000099", "24e124")).unwrap();
    let (code, error) = refused(&["register", "import", &file, "--store", &store]);
    assert!(
        code == 2 && error.contains("assets.csv:4:2: DevEUI: this is no dev_eui") && error.contains("nothing was imported"),
        "{error}"
    );
    assert_eq!(json(&["register", "status", "--store", &store, "--format", "json"]), status);
    // A list of the same name takes its place, and what was entered goes with it.
    fs::write(&file, "ip;name\n10.20.0.5;Broker\n").unwrap();
    done(&["register", "import", &file, "--store", &store]);
    assert_eq!((risk("24e124715e00000d"), risk("10.20.0.5")), before);
    assert!(!String::from_utf8_lossy(&everything(Path::new(&store))).contains("00112233445566778899aabbccddeeff"));
}

/// All bytes of a folder's files.
fn everything(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() { everything(&path) } else { fs::read(&path).unwrap() });
    }
    bytes
}

#[test]
fn a_policy_sends_findings_to_the_digest() {
    let (folder, _) = folder();
    let config = folder.path().join("citytap.toml");
    fs::write(&config, "[alerts]\nmin_severity = \"critical\"\ndigest = [\"lorawan-known-key\"]\n").unwrap();
    let out = folder.path().join("out");
    done(&["replay", &city(), "--config", &config.display().to_string(), "--out", &out.display().to_string()]);
    let alerts = lines(&out, "alerts.jsonl");
    let at_once: Vec<&str> =
        alerts.iter().filter(|alert| alert["delivery"] == "alert").map(|alert| alert["check"].as_str().unwrap()).collect();
    assert_eq!(at_once, ["default-password-accepted", "default-password-used"]);
    assert!(alerts.iter().any(|alert| alert["check"] == "lorawan-known-key" && alert["delivery"] == "digest"));
}
