//! A device with a default password at the real mosquitto: found on the wire, rotated by the agent, proven, the old password refused, and the wire judged again.
//!
//! The device is tests/live/rekey_device.py; tcpdump records loopback, which needs root. What is missing fails the test with the remedy.

#[path = "../../rekey/tests/lab/mod.rs"]
mod lab;

use citytap_rekey::agent::{Agent, Request, SystemClock};
use citytap_rekey::backends::{Refusal, named};
use citytap_rekey::journal::{Journal, Settings};
use citytap_rekey::rotation::{Approval, Input, Plan, State};
use citytap_rekey::secrets::{Alphabet, Bound, Profile, Sealed, Sealing, Secret};
use citytap_rekey::slot::{Generation, RotationId, Slot};
use citytap_rekey::time::{Span, Timestamp};
use lab::{Lab, Running, With, slot, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is tested here is not the sealing.
struct Unsealed;

impl Sealing for Unsealed {
    fn make(&self, profile: &Profile, bound: Bound<'_>) -> Result<Sealed, Refusal> {
        assert_eq!(profile.alphabet, Alphabet::Hex);
        let mut bytes = vec![0; profile.length.start() / 2];
        getrandom::fill(&mut bytes).expect("random bytes");
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.seal(&Secret::new(digits.into_bytes()), bound)
    }

    fn seal(&self, secret: &Secret, _: Bound<'_>) -> Result<Sealed, Refusal> {
        Ok(Sealed(secret.expose().to_vec()))
    }

    fn open(&self, sealed: &Sealed, _: Bound<'_>) -> Result<Secret, Refusal> {
        Ok(Secret::new(sealed.0.clone()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

fn python() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let found = std::env::var_os("CITYTAP_LAB_PYTHON").map(PathBuf::from).unwrap_or_else(|| target.join("lab-python/bin/python"));
    assert!(found.exists(), "{} is missing: make lab makes it (paho-mqtt)", found.display());
    found
}

fn device(lab: &Lab) -> Running {
    let mut command = Command::new(python());
    command.arg(root().join("tests/live/rekey_device.py")).args(["127.0.0.1", &lab.port.to_string(), "meter-17"]);
    Running(command.arg(lab.path("flash.json")).stdin(Stdio::null()).spawn().expect("python starts"))
}

/// Records loopback around `what` and has citytap judge it: the lines of findings.jsonl.
fn recorded(lab: &Lab, name: &str, what: impl FnOnce()) -> String {
    let capture = lab.path(&format!("{name}.pcap"));
    let mut command = Command::new("tcpdump");
    command.args(["-i", "lo", "-U", "-n", "-Z", "root", "-s", "0", "-w"]).arg(&capture).args(["port", &lab.port.to_string()]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("tcpdump is not installed: make lab does");
    let mut running = Running(child);
    wait_until("tcpdump records (as root)", || capture.exists().then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    what();
    std::thread::sleep(Duration::from_millis(1500));
    let interrupted = Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().expect("kill");
    assert!(interrupted.success() && running.0.wait().is_ok());
    let out = lab.path(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_citytap-under-test"));
    let output = command.arg("replay").arg(&capture).arg("--out").arg(&out).current_dir(root()).output().expect("citytap starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(out.join("findings.jsonl")).expect("findings")
}

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as i64)
}

#[test]
fn a_default_password_is_found_replaced_and_proven_replaced() {
    let lab = Lab::start(With::Plugin, &[("admin", "admin")]);
    lab.run();
    fs::write(lab.path("flash.json"), r#"{"current":{"user":"admin","password":"admin","generation":1},"next":null,"boot":0}"#)
        .expect("written");
    let mut running = None;
    let log_has = |text: &str| wait_until(text, || lab.log().contains(text).then_some(()));
    let before = recorded(&lab, "before", || {
        running = Some(device(&lab));
        log_has("Received PUBLISH from meter-17");
    });
    assert!(before.contains("default-password-accepted"), "{before}");

    let device_slot: Slot = slot("admin");
    let journal = Arc::new(Journal::open(&lab.path("journal"), Arc::new(Unsealed), Settings::default()).expect("it opens"));
    journal.enter(&device_slot, Generation::FIRST, &Secret::new(b"admin".to_vec())).expect("kept");
    let more = "devices.admin.delivery = \"topic_contract\"\ndevices.admin.topic = \"meter-17\"\ndevices.admin.in_clear = true\ndevices.admin.reports_every = 12\n";
    let spec = named("mosquitto").expect("in the table");
    let backend =
        (spec.open)(&lab.table("plugin", more), journal.ledger("mosquitto")).unwrap_or_else(|refusal| panic!("{refusal}"));
    backend.preflight().unwrap_or_else(|refusal| panic!("{refusal}"));
    let can = backend.capability(&device_slot).expect("it can");
    let plan = Plan {
        id: RotationId(0),
        slot: device_slot.clone(),
        device: "meter-17".to_owned(),
        behind: can.behind,
        class: can.class,
        procedure: can.procedure,
        holds_both: can.holds_both,
        from: Generation::FIRST,
        to: journal.next_generation(&device_slot).expect("a number"),
        accepted: backend.read_back(&device_slot).expect("read"),
        keep: BTreeSet::new(),
        reporting: can.reporting,
        polls: can.polls,
        // This device takes no minute to decide; the test must not take three.
        settles: Span::seconds(2),
        outage: can.outage,
        grace: Span::seconds(30),
        approvals: 1,
        retire_approvals: 1,
    };
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = told.clone();
    let teller = Box::new(move |_: &_, what: &str| keep.lock().expect("the lock").push(what.to_owned()));
    let mut agent = Agent::new(journal.clone(), [backend.clone()], Arc::new(SystemClock::start()), teller).expect("it starts");
    let rotation = journal.begin(plan, now()).expect("sound");
    let id = rotation.plan.id;
    agent.adopt(rotation);
    let ask = agent.requests();
    let ask = |what| ask(Request { rotation: id, input: Input::Approved { by: "ada".to_owned(), what } });
    ask(Approval::Rotate);
    let (until, mut restarted, mut last) = (Instant::now() + Duration::from_secs(180), false, None);
    loop {
        agent.turn(Duration::from_millis(100));
        let state = journal.rotations().expect("read").first().expect("there").state();
        if last.replace(state) != Some(state) {
            eprintln!("{state:?}");
        }
        match state {
            // A person restarts the device once it has the new password: the proof wants to see it survive that.
            State::Acked | State::Proven | State::Committed if !restarted => {
                std::thread::sleep(Duration::from_secs(2));
                drop(running.take());
                running = Some(device(&lab));
                restarted = true;
            }
            State::Grace => ask(Approval::Retire),
            State::Retired => break,
            _ => {}
        }
        assert!(Instant::now() < until, "still {state:?}: {:?}\n{:?}", told.lock(), backend.evidence(&device_slot, Timestamp(0)));
    }
    assert!(!lab.lets_in("admin", "admin"), "the old password is refused");
    let flash =
        || serde_json::from_str::<serde_json::Value>(&fs::read_to_string(lab.path("flash.json")).expect("read")).expect("JSON");
    let password = flash()["current"]["password"].as_str().expect("text").to_owned();
    assert!(password.len() == 32 && lab.lets_in("admin", &password));
    let after = recorded(&lab, "after", || {
        drop(running.take());
        let published = lab.log().matches("Received PUBLISH from meter-17").count();
        running = Some(device(&lab));
        wait_until("data after all", || {
            (lab.log().matches("Received PUBLISH from meter-17").count() > published + 1).then_some(())
        });
    });
    assert!(!after.contains("default-password"), "{after}");
    for words in [lab.log(), format!("{:?}", told.lock()), after, before] {
        assert!(!words.contains(&password), "the new password was written somewhere");
    }
    drop(running);
}
