//! `citytap run` on a mirror port in network namespaces (tests/live/city_lab.py), against a replay of the same packets; and what a person types wrong.
//!
//! Namespaces need root; without it, or without the Python environment that `make test` makes, the first test says so and is passed over.

use citytap_analyzer::engine::live::{Listener, listen};
use citytap_analyzer::engine::{Report, Setup, replay};
use citytap_analyzer::findings::alerts::{Alert, AlertId, Alerts, Decision, Delivery, State};
use citytap_analyzer::live::News;
use citytap_analyzer::store::{City, Contents, Growing, Run};
use citytap_sensor::capture::{CaptureError, CaptureInfo, CaptureSource, Merge, Packet};
use citytap_sensor::time::{SECOND, Timestamp};
use citytap_tests::cases::{cases, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_citytap-under-test");

fn citytap(arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg0("citytap").args(arguments).current_dir(root()).stdin(Stdio::null());
    command.output().expect("the program starts")
}

/// Runs and expects an exit code, and words on standard error.
fn check(arguments: &[&str], code: i32, words: &[&str]) {
    let output = citytap(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "citytap {arguments:?}\n{error}");
    for word in words {
        assert!(error.contains(word), "citytap {arguments:?} does not say '{word}':\n{error}");
    }
}

/// The Python in which the lab's actors are.
fn python() -> Option<PathBuf> {
    let recording = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/citytap-record/py/bin/python"));
    std::env::var_os("CITYTAP_LAB_PYTHON").map(PathBuf::from).or_else(recording).filter(|path| path.exists())
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t0"))
}

/// What a command prints of a store, as JSON.
fn told(command: &[&str], store: &Path) -> Value {
    let output = citytap(&[command, &["--format", "json", "--store", store.to_str().expect("UTF-8")]].concat());
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Two sockets on one interface stamp a packet each for itself, within microseconds: times may differ by less than this, in microseconds.
const APART: u64 = 20_000;

/// Asserts that two values are the same but for times.
fn assert_same(live: &Value, replayed: &Value, place: &str) {
    match (live, replayed) {
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{place}");
            a.iter().for_each(|(key, value)| assert_same(value, &b[key], &format!("{place}.{key}")));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{place}: {live}\n{replayed}");
            a.iter().zip(b).enumerate().for_each(|(at, (a, b))| assert_same(a, b, &format!("{place}[{at}]")));
        }
        (Value::String(a), Value::String(b)) if a != b => {
            let times = (micros_of_the_day(a), micros_of_the_day(b));
            let (Some(a_time), Some(b_time)) = times else { panic!("{place}: {a} live, {b} replayed") };
            assert!(a_time.abs_diff(b_time) < APART, "{place}: {a} live, {b} replayed");
        }
        _ => assert_eq!(live, replayed, "{place}"),
    }
}

fn micros_of_the_day(time: &str) -> Option<u64> {
    let (_, time) = time.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.split(':');
    let (hour, minute) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    let (second, fraction) = parts.next()?.split_once('.')?;
    let micros = fraction.get(..6)?.parse::<u64>().ok()?;
    Some(((hour * 60 + minute) * 60 + second.parse::<u64>().ok()?) * 1_000_000 + micros)
}

#[test]
fn a_live_run_finds_what_a_replay_of_the_same_packets_finds_and_sends_nothing() {
    let Some(python) = python().filter(|_| is_root()) else {
        println!("passed over: it needs root and the Python environment that `make lab` makes");
        return;
    };
    // The user that the program becomes must reach it.
    let folder = std::env::temp_dir().join(format!("citytap-live-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let lab = Command::new(python)
        .args([root().join("tests/live/city_lab.py").as_os_str(), PROGRAM.as_ref(), folder.as_os_str()])
        .stdin(Stdio::null())
        .output()
        .expect("Python starts");
    assert!(lab.status.success(), "{}", String::from_utf8_lossy(&lab.stderr));
    let facts: Value = serde_json::from_slice(&fs::read(folder.join("facts.json")).expect("facts")).expect("JSON");

    it_ended_cleanly_without_rights_and_sent_nothing(&facts);
    let (capture, replayed) = (folder.join("heard.pcap"), folder.join("replayed"));
    check(&["replay", capture.to_str().expect("UTF-8"), "--store", replayed.to_str().expect("UTF-8")], 0, &[]);
    let store = folder.join("store");
    for command in [&["export", "inventory"][..], &["findings"], &["actions"], &["alerts", "list", "--all"]] {
        assert_same(&told(command, &store), &told(command, &replayed), &command.join(" "));
    }
    each_alert_was_told_once(&folder, &facts, &told(&["alerts", "list", "--all"], &replayed));
    // The store is the appliance's, and a replay must not mix its packets in.
    check(&["replay", capture.to_str().expect("UTF-8"), "--store", store.to_str().expect("UTF-8")], 3, &["appliance's own"]);
    let _ = fs::remove_dir_all(&folder);
}

fn it_ended_cleanly_without_rights_and_sent_nothing(facts: &Value) {
    let said = facts["said"].as_str().unwrap_or_default();
    assert_eq!(facts["exit_code"], 0, "{said}");
    assert_eq!(
        (&facts["sent_packets"], &facts["sent_bytes"]),
        (&Value::from(0), &Value::from(0)),
        "something was sent on the tapped interface"
    );
    let status = |name: &str| facts["status"][name].as_str().unwrap_or_default().trim().to_owned();
    assert!(!status("Uid").split_whitespace().any(|uid| uid == "0") && !status("Gid").split_whitespace().any(|gid| gid == "0"));
    assert_eq!(status("Groups"), "");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status(set), "0000000000000000", "{set}");
    }
    assert_eq!(status("NoNewPrivs"), "1");
    assert_eq!(facts["devices_while_running"], 0, "{}", facts["devices_while_running_said"]);
    for words in ["listening on tap0 as nobody", "takes no messages", "takes messages again", "packets, ", "DEVICES "] {
        assert!(said.contains(words), "it does not say '{words}':\n{said}");
    }
}

/// As JSON Lines while the wire was silent, and as syslog once the collector was there. What waits for the digest was not told.
fn each_alert_was_told_once(folder: &Path, facts: &Value, alerts: &Value) {
    let list = alerts["alerts"].as_array().or(alerts.as_array()).expect("a list of alerts");
    let ids = |delivery: &str| {
        let fits = list.iter().filter(|alert| alert["delivery"] == delivery);
        let mut ids: Vec<&str> = fits.filter_map(|alert| alert["id"].as_str()).collect();
        ids.sort_unstable();
        ids
    };
    let wanted = ids("alert");
    assert!(wanted.len() >= 4 && !ids("digest").is_empty(), "the lab shows less than it did: {alerts}");
    let lines = fs::read_to_string(folder.join("alerts/alerts.jsonl")).expect("alerts");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut told: Vec<&str> = lines.iter().filter_map(|line| line["id"].as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, wanted);
    assert_eq!(facts["alerts_before_collector"], wanted.len(), "told while the wire was silent");
    assert_eq!(facts["syslog_fault"], Value::Null);
    let syslog = fs::read_to_string(folder.join("syslog.txt")).expect("syslog");
    let mut sent: Vec<&str> =
        syslog.lines().filter_map(|line| line.split_once("alert=\"")?.1.split_once('"')).map(|(id, _)| id).collect();
    sent.sort_unstable();
    assert_eq!(sent, wanted);
    // local3, and the severities of critical and medium.
    let priorities: BTreeSet<&str> = syslog.lines().filter_map(|line| Some(line.strip_prefix('<')?.split_once('>')?.0)).collect();
    assert!(priorities.contains("154") && priorities.contains("156"), "{priorities:?}");
}

#[test]
fn what_is_typed_wrong_is_told_before_anything_is_opened() {
    check(&["run"], 2, &["required", "--interface"]);
    check(&["run", "--interface", "lo", "--sink", "sylog:udp://x"], 2, &["no sink 'sylog'", "Is syslog meant?"]);
    check(&["run", "--interface", "lo", "--sink", "syslog:x"], 2, &["udp://HOST:PORT"]);
    check(&["run", "--interface", "lo", "--judge-every", "0"], 2, &["--judge-every"]);
    check(&["run", "--interface", "lo", "--user", "no-such-user"], 2, &["no user no-such-user", "useradd"]);
}

#[test]
fn an_interface_that_is_not_there_is_told_with_those_that_are() {
    check(&["run", "--interface", "lp"], 3, if is_root() { &["no interface lp. Is lo meant?", "There are: "] } else { &["lp"] });
}

#[test]
fn its_help_has_examples_and_says_what_sinks_there_are() {
    let output = citytap(&["run", "--help"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for words in ["Examples:", "jsonl:FILE", "syslog:tcp://HOST", "setcap cap_net_raw"] {
        assert!(text.contains(words), "{words}");
    }
    for spec in citytap_analyzer::sinks::SINKS {
        assert!(text.contains(&format!("{}:", spec.name)), "{} is not in the help", spec.name);
    }
}

/// A capture as if it came from an interface.
struct AsLive(Merge);

impl CaptureSource for AsLive {
    fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        self.0.next()
    }

    fn peek(&mut self) -> Result<Option<Timestamp>, CaptureError> {
        self.0.peek()
    }

    fn describe(&self) -> Vec<CaptureInfo> {
        self.0.describe()
    }

    fn bytes_read(&self) -> u64 {
        self.0.bytes_read()
    }

    fn size(&self) -> Option<u64> {
        None
    }

    fn is_live(&self) -> bool {
        true
    }
}

/// Writes the store at each judgement, and keeps what was told. Once, a person decides in between.
struct Watching {
    folder: PathBuf,
    store: Growing,
    news: News,
    judgements: usize,
    /// Alert and what was told of it.
    told: Vec<(String, String)>,
    acknowledged: Option<AlertId>,
}

impl Listener for Watching {
    fn judged(&mut self, report: &Report, now: Timestamp, _: bool) {
        self.judgements += 1;
        let stand = self.store.stand(report, Run::new(report, &[], &[], "city", false));
        assert_eq!(stand.added.run, 1, "it is one run however often it is written");
        let contents = &stand.contents;
        for message in self.news.of(&contents.alerts, &contents.devices, report.alert_policy.suppress, now) {
            self.told.push((message.key.clone(), message.labels["what"].clone()));
        }
        self.store.write(&stand).expect("the store takes it");
        if self.judgements == 3 {
            let alert = contents.alerts.iter().find(|alert| alert.delivery == Delivery::Alert).expect("an alert");
            let mut city = City::open(&self.folder).expect("the store is closed in between");
            city.decide(alert.id, Decision::Acknowledge).expect("is kept").expect("holds");
            self.acknowledged = Some(alert.id);
        }
    }
}

#[test]
fn a_run_that_is_judged_and_written_as_it_goes_ends_as_a_replay_does() {
    let capture = cases().into_iter().find(|case| case.name == "city/six_hours").expect("the city").capture;
    let open = || Merge::open(std::slice::from_ref(&capture), Default::default());
    let setup = Setup { seed: 0x5eed, ..Setup::default() };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("growing");
    let _ = fs::remove_dir_all(&folder);
    let store = Growing::begin(Growing::open(&folder.join("live"), None, "city").expect("a store"));
    let mut watching = Watching {
        folder: folder.join("live"),
        store,
        news: News::new("city", "tap", None),
        judgements: 0,
        told: Vec::new(),
        acknowledged: None,
    };
    let live =
        listen(&mut AsLive(open()), &setup, 1_800 * SECOND, &mut watching).expect("the capture is well").expect("a report");
    assert!(watching.judgements > 8, "{} judgements", watching.judgements);

    let replayed = replay(&mut open(), &Setup::default()).expect("the capture is well");
    let findings = |report: &Report| serde_json::to_value(&report.judgement.findings).expect("JSON");
    let devices = |report: &Report| serde_json::to_value(report.inventory.devices().collect::<Vec<_>>()).expect("JSON");
    assert_same(&findings(&live), &findings(&replayed), "findings");
    assert_same(&devices(&live), &devices(&replayed), "devices");
    assert_eq!(live.coverage.counters, replayed.coverage.counters);

    let mut city = City::open_or_make(&folder.join("replayed"), None, "city").expect("a store");
    city.add(&replayed, Run::new(&replayed, &[], &[], "city", false)).expect("the store takes it");
    let kept = City::open(&folder.join("live")).expect("the store");
    assert_eq!(kept.damaged().1, 0);
    let parts = |contents: &Contents| (contents.devices.clone(), contents.findings.clone(), contents.checks.clone());
    assert!(parts(kept.contents()) == parts(city.contents()), "the store that grew says something else");
    let acknowledged = watching.acknowledged.expect("a person decided");
    assert_eq!(kept.contents().alerts.get(acknowledged).map(|alert| alert.state), Some(State::Acknowledged));
    let others = |contents: &Contents| -> Vec<Alert> {
        contents.alerts.iter().filter(|alert| alert.id != acknowledged).cloned().collect()
    };
    assert_eq!(others(kept.contents()), others(city.contents()));
    every_alert_was_told_when_it_opened(&watching.told, &city.contents().alerts);

    // Started again on the same store, nothing is news but what is new.
    let (alerts, devices) = (&kept.contents().alerts, &kept.contents().devices);
    let mut news = News::new("city", "tap", Some(alerts));
    assert!(news.of(alerts, devices, SECOND, kept.contents().now().plus(2 * SECOND)).is_empty());
}

fn every_alert_was_told_when_it_opened(told: &[(String, String)], alerts: &Alerts) {
    let of = |wanted: &str| told.iter().filter(|(_, what)| what == wanted).map(|(id, _)| id.clone()).collect::<Vec<String>>();
    let (opened, withdrawn) = (of("opened"), of("withdrawn"));
    let standing: BTreeSet<String> = opened.iter().filter(|id| !withdrawn.contains(id)).cloned().collect();
    assert_eq!(standing.len(), opened.len() - withdrawn.len(), "none is opened twice: {told:?}");
    let wanted = alerts.iter().filter(|alert| alert.delivery == Delivery::Alert).map(|alert| alert.id.to_string());
    assert_eq!(standing, wanted.collect::<BTreeSet<_>>());
}
