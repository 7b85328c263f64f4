//! The topic contract with the reference device (tests/live/rekey_device.py, paho) at the real mosquitto; and what is refused before anything is sent.

mod lab;

use citytap_rekey::evidence::Evidence;
use citytap_rekey::rotation::Outcome;
use citytap_rekey::slot::Generation;
use citytap_rekey::time::Timestamp;
use lab::{Lab, Running, With, by, secret, slot, uses, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const OLD: &str = "admin";
const NEW: &str = "00112233445566778899aabbccddeeff";
const CONTRACT: &str = "devices.dev1.delivery = \"topic_contract\"\ndevices.dev1.in_clear = true\n";

/// The Python with paho: what `make lab` made, or the interpreter that the environment names.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let found = std::env::var_os("CITYTAP_LAB_PYTHON").map(PathBuf::from).unwrap_or_else(|| target.join("lab-python/bin/python"));
    assert!(found.exists(), "{} is missing: make lab makes it (paho-mqtt)", found.display());
    found
}

fn device(lab: &Lab, broken: bool) -> Running {
    let flash = lab.path("flash.json");
    if !flash.exists() {
        fs::write(&flash, format!(r#"{{"current":{{"user":"dev1","password":"{OLD}","generation":1}},"next":null,"boot":0}}"#))
            .expect("written");
    }
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/live/rekey_device.py"));
    command.args(["127.0.0.1", &lab.port.to_string(), "dev1"]).arg(&flash).args(broken.then_some("--broken"));
    Running(command.stdin(Stdio::null()).spawn().expect("python starts"))
}

#[test]
fn a_device_takes_the_new_password_and_the_old_one_is_retired() {
    let lab = Lab::started(With::Plugin, &[("dev1", OLD)]);
    let backend = lab.backend("plugin", CONTRACT);
    let running = device(&lab, false);
    let evidence = || backend.evidence(&slot("dev1"), Timestamp(0)).expect("told");
    wait_until("the device is there", || lab.log().contains("Received PUBLISH from dev1").then_some(()));
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    assert_eq!(backend.deliver(&slot("dev1"), Generation(1), Generation(2), Some(&secret(NEW)), by(3)), Outcome::Done);
    wait_until("data with the new one", || uses(&evidence()).contains(&(2, true)).then_some(()));
    wait_until("its own word", || {
        evidence().iter().any(|it| matches!(it, Evidence::Acknowledged { generation: Generation(2), .. })).then_some(())
    });
    assert_eq!(lab.retire(&*backend, &slot("dev1"), 1), Outcome::Done);
    assert!(!lab.lets_in("dev1", OLD));
    let since = evidence().last().expect("seen").at();
    let later = || backend.evidence(&slot("dev1"), Timestamp(since.0 + 1)).expect("told");
    wait_until("data after the retirement", || uses(&later()).contains(&(2, true)).then_some(()));

    drop(running);
    let _running = device(&lab, false);
    wait_until("a restart of the device", || later().iter().any(|it| matches!(it, Evidence::Restarted { .. })).then_some(()));
}

#[test]
fn a_device_that_garbles_the_new_password_comes_back_with_the_old_one() {
    let lab = Lab::started(With::DynamicSecurity, &[("dev1", OLD)]);
    let backend = lab.backend("alternate_user", CONTRACT);
    let _running = device(&lab, true);
    let evidence = |since| uses(&backend.evidence(&slot("dev1"), since).expect("told"));
    wait_until("data with the old one", || evidence(Timestamp(0)).contains(&(1, true)).then_some(()));
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    let told = backend.deliver(&slot("dev1"), Generation(1), Generation(2), Some(&secret(NEW)), by(3));
    assert_eq!(told, Outcome::Done, "it said that it stored it");
    let flash = || fs::read_to_string(lab.path("flash.json")).expect("read");
    wait_until("the device gave the new one up", || {
        (lab.log().contains("dev1.g2") && flash().contains("\"next\": null")).then_some(())
    });
    let (log, logins) = (lab.log(), |log: &str| log.matches("u'dev1')").count());
    assert!(logins(&log) >= 2, "it came back: {log}");
    assert!(!evidence(Timestamp(0)).iter().any(|it| it.0 == 2), "and never got in with the new one");
}

#[test]
fn nothing_is_sent_in_clear_without_consent_nor_to_a_topic_of_many() {
    let lab = Lab::started(With::DynamicSecurity, &[("dev1", OLD)]);
    let mut ear = lab.connect("ear", lab::ADMIN, lab::ADMIN_PASSWORD).expect("let in");
    ear.subscribe("#").expect("subscribed");
    for (more, part) in [
        ("devices.dev1.delivery = \"topic_contract\"\n", "in clear"),
        ("devices.dev1.delivery = \"tasmota\"\ndevices.dev1.in_clear = true\ndevices.dev1.topic = \"+\"\n", "many devices"),
        ("", "a person must go"),
    ] {
        let backend = lab.backend("alternate_user", more);
        let outcome = backend.deliver(&slot("dev1"), Generation(1), Generation(2), Some(&secret(NEW)), by(3));
        assert!(matches!(&outcome, Outcome::Rejected { why } if why.contains(part)), "{outcome:?}");
    }
    assert!(ear.receive(Instant::now() + Duration::from_millis(300)).expect("alive").is_none());
}

#[test]
fn what_is_sent_is_not_retained_and_a_device_without_its_way_back_is_sent_no_secret() {
    let lab = Lab::started(With::DynamicSecurity, &[("dev1", OLD)]);
    let backend = lab.backend("alternate_user", "devices.dev1.delivery = \"tasmota\"\ndevices.dev1.in_clear = true\n");
    let mut ear = lab.connect("ear", lab::ADMIN, lab::ADMIN_PASSWORD).expect("let in");
    ear.subscribe("cmnd/#").expect("subscribed");
    let outcome = backend.deliver(&slot("dev1"), Generation(1), Generation(2), Some(&secret("kTq8kTq8kTq8kTq8kTq8")), by(3));
    assert!(matches!(&outcome, Outcome::Rejected { why } if why.contains("no secret was sent")), "{outcome:?}");
    let rule = ear.receive(Instant::now() + Duration::from_secs(1)).expect("alive").expect("the rule");
    assert!(rule.topic == "cmnd/dev1/Rule3" && !rule.retained);
    assert!(ear.receive(Instant::now() + Duration::from_millis(300)).expect("alive").is_none());
    let mut late = lab.connect("late", lab::ADMIN, lab::ADMIN_PASSWORD).expect("let in");
    late.subscribe("cmnd/#").expect("subscribed");
    assert!(late.receive(Instant::now() + Duration::from_millis(300)).expect("alive").is_none(), "nothing is retained");
}
