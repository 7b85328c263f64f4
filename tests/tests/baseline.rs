//! What is normal, learned from captures of real software, and what deviates: against a frozen version at once, after days of learning otherwise; in one
//! long run as in many that a store joins.

use citytap_analyzer::detectors::baseline::checks;
use citytap_analyzer::detectors::baseline::learned::{Accepted, Baseline, Party, Standing};
use citytap_analyzer::engine::live::Listener;
use citytap_analyzer::engine::{self, Report, Setup};
use citytap_analyzer::findings::Severity;
use citytap_analyzer::policy::{Change, Policy};
use citytap_analyzer::store::{City, Contents, Growing, Run};
use citytap_sensor::capture::Merge;
use citytap_sensor::time::{SECOND, Timestamp};
use citytap_tests::cases::{Case, cases, root, shared};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

const DAY: u64 = 86_400;

/// How many findings each check has.
type Counts = BTreeMap<String, i64>;

fn baseline_cases() -> Vec<Case> {
    let of_folder: Vec<Case> =
        cases().into_iter().filter(|case| case.stem == "capture" && case.folder.join("normal.pcap").exists()).collect();
    assert!(of_folder.len() >= 9, "{of_folder:?}");
    of_folder
}

fn case(name: &str) -> Case {
    baseline_cases().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
}

/// What the case says must be found.
fn expected(case: &Case) -> Counts {
    let text = fs::read_to_string(case.folder.join("case.toml")).expect("a case.toml");
    let table: toml::Table = text.parse().expect("TOML");
    let deviations = table["facts"]["deviations"].as_table().expect("deviations");
    deviations.iter().map(|(check, count)| (check.clone(), count.as_integer().expect("a number"))).collect()
}

fn replay(captures: &[PathBuf], baseline: Option<Arc<Baseline>>, threads: usize) -> Report {
    let mut source = Merge::open(captures, Default::default());
    // What is normal is learned where it is kept.
    let setup = Setup { threads, baseline: Some(baseline.unwrap_or_default()), ..Setup::default() };
    engine::replay(&mut source, &setup).unwrap_or_else(|error| panic!("{captures:?}: {error}"))
}

fn found(report: &Report) -> Counts {
    let mut counts = Counts::new();
    let ours = |id: &str| checks::ALL.iter().any(|check| check.id == id);
    for finding in report.judgement.findings.iter().filter(|finding| ours(finding.spec.id)) {
        *counts.entry(finding.spec.id.to_owned()).or_insert(0) += 1;
    }
    counts
}

fn learned(report: &Report) -> Arc<Baseline> {
    report.learned.as_ref().expect("a run that is remembered learns").baseline.clone()
}

fn file(case: &Case, name: &str) -> PathBuf {
    case.folder.join(name)
}

/// A capture of several, each at so many seconds after the beginning of the first.
fn laid_out(name: &str, parts: &[(PathBuf, u64)]) -> PathBuf {
    const START: u64 = 1_777_874_400;
    let mut out = Vec::new();
    for (path, offset) in parts {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(bytes[..4], 0xa1b2_c3d4_u32.to_le_bytes(), "{} is no pcap in microseconds", path.display());
        if out.is_empty() {
            out.extend_from_slice(&bytes[..24]);
        }
        let number = |at: usize| u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")));
        let (mut at, first) = (24, number(24));
        while at < bytes.len() {
            let end = at + 16 + number(at + 8) as usize;
            let second = u32::try_from(START + offset + number(at) - first).expect("a second");
            out.extend_from_slice(&second.to_le_bytes());
            out.extend_from_slice(&bytes[at + 4..end]);
            at = end;
        }
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("baseline");
    fs::create_dir_all(&folder).expect("a folder for files");
    let path = folder.join(name);
    fs::write(&path, out).expect("a file for the test");
    path
}

/// The capture of a case on the last of so many days, the normal one on those before.
fn days(case: &Case, days: u64, last: &str) -> Vec<PathBuf> {
    let stem = case.name.replace('/', "-");
    let name = |day: u64| if day + 1 == days { last } else { "normal.pcap" };
    let day = |day: u64| laid_out(&format!("{stem}-{days}-{day}-{last}"), &[(file(case, name(day)), day * DAY)]);
    (0..days).map(day).collect()
}

#[test]
fn what_a_frozen_version_does_not_know_is_found_at_once_and_the_usual_is_not() {
    let mut wrong = Vec::new();
    for case in baseline_cases() {
        let report = replay(&[file(&case, "normal.pcap")], Some(Arc::default()), 1);
        assert_eq!(found(&report), Counts::new(), "{}: a first run learns", case.name);
        let mut normal = (*learned(&report)).clone();
        assert_eq!(normal.freeze(Timestamp(0), ""), 1);
        let normal = Arc::new(normal);
        for (name, wanted) in [("again.pcap", Counts::new()), ("capture.pcap", expected(&case))] {
            let report = replay(&[file(&case, name)], Some(normal.clone()), 1);
            if found(&report) != wanted {
                let said: Vec<String> = report
                    .judgement
                    .findings
                    .iter()
                    .map(|finding| format!("{}: {}", finding.spec.id, finding.message()))
                    .collect();
                wrong.push(format!("{} {name}: {:?}, not {wanted:?}\n  {}", case.name, found(&report), said.join("\n  ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn after_seven_days_of_learning_the_eighth_is_judged_in_one_run_and_in_eight() {
    let mut wrong = Vec::new();
    for case in baseline_cases() {
        let wanted = expected(&case);
        let captures = days(&case, 8, "capture.pcap");
        let mut source = Merge::open(&captures, Default::default());
        let forgotten = engine::replay(&mut source, &Setup::default()).expect("a replay");
        if forgotten.judgement.checks.iter().any(|check| checks::ALL.contains(&check.spec)) {
            wrong.push(format!("{} where nothing outlives the run: something was learned", case.name));
        }
        let mut baseline = Arc::default();
        for (day, capture) in captures.iter().enumerate() {
            let report = replay(std::slice::from_ref(capture), Some(baseline), 1);
            let day_wanted = if day == 7 { wanted.clone() } else { Counts::new() };
            if found(&report) != day_wanted {
                wrong.push(format!("{} on day {}: {:?}, not {day_wanted:?}", case.name, day + 1, found(&report)));
            }
            baseline = learned(&report);
        }
        let remembered = found(&replay(&captures, Some(Arc::default()), 1));
        if remembered != wanted {
            wrong.push(format!("{} in one run that is kept: {remembered:?}, not {wanted:?}", case.name));
        }
        let usual = found(&replay(&days(&case, 9, "again.pcap"), None, 1));
        if !usual.is_empty() {
            wrong.push(format!("{} as usual: {usual:?}", case.name));
        }
        let early = found(&replay(&days(&case, 7, "capture.pcap"), None, 1));
        if !early.is_empty() {
            wrong.push(format!("{} on the seventh day is still learned: {early:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_person_takes_in_is_normal_and_what_a_person_forgets_is_found_again() {
    for case in baseline_cases() {
        let mut normal = (*learned(&replay(&[file(&case, "normal.pcap")], Some(Arc::default()), 1))).clone();
        normal.freeze(Timestamp(0), "");
        let after = learned(&replay(&[file(&case, "capture.pcap")], Some(Arc::new(normal)), 1));
        let waiting: Vec<String> = after.deviations().map(|deviation| deviation.id()).collect();
        assert!(!waiting.is_empty(), "{}", case.name);
        let mut accepted = (*after).clone();
        let decision = Accepted { at: Timestamp(1), reason: "planned".into() };
        waiting.iter().for_each(|id| {
            accepted.accept(id, &decision);
        });
        assert_eq!(accepted.deviations().count(), 0, "{}", case.name);
        let report = replay(&[file(&case, "capture.pcap")], Some(Arc::new(accepted)), 1);
        assert_eq!(found(&report), Counts::new(), "{}: taken in", case.name);
        let mut forgotten = (*after).clone();
        waiting.iter().for_each(|id| {
            forgotten.dismiss(id);
        });
        assert_eq!(forgotten.deviations().count(), 0, "{}", case.name);
        let report = replay(&[file(&case, "capture.pcap")], Some(Arc::new(forgotten)), 1);
        assert_eq!(found(&report), expected(&case), "{}: forgotten", case.name);
    }
}

#[test]
fn a_person_says_after_how_many_days_it_is_known_who_writes() {
    let captures = days(&case("baseline/modbus_strangers"), 3, "capture.pcap");
    let mut policy = Policy::default();
    let numbers = [("learning_days".to_owned(), 2)].into();
    policy.set("modbus-new-writer", Change { numbers, severity: Some(Severity::Critical), ..Change::default() });
    let mut source = Merge::open(&captures, Default::default());
    let report =
        engine::replay(&mut source, &Setup { policy, baseline: Some(Arc::default()), ..Setup::default() }).expect("a replay");
    assert_eq!(found(&report), [("modbus-new-writer".to_owned(), 1)].into());
    assert!(report.judgement.findings.iter().any(|finding| finding.severity == Severity::Critical));
}

/// Whatever was learned of a capture and frozen, the same capture again is normal: every capture of the project, and others.
#[test]
fn a_capture_is_normal_by_itself() {
    let mut captures: Vec<PathBuf> = cases().into_iter().map(|case| case.capture).collect();
    captures.extend(shared().map(|(_, captures)| captures).unwrap_or_default());
    let mut wrong = Vec::new();
    for capture in captures {
        let first = replay(std::slice::from_ref(&capture), Some(Arc::default()), 1);
        let mut normal = (*learned(&first)).clone();
        normal.freeze(Timestamp(0), "");
        let again = replay(std::slice::from_ref(&capture), Some(Arc::new(normal)), 1);
        for report in [first, again] {
            if !found(&report).is_empty() {
                wrong.push(format!("{}: {:?}", capture.display(), found(&report)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_waits_for_a_decision_stays_found_while_it_does_not_happen_again() {
    let case = case("baseline/modbus_strangers");
    let mut contents = Contents::default();
    let mut normal = (*learned(&replay(&[file(&case, "normal.pcap")], Some(Arc::default()), 1))).clone();
    normal.freeze(Timestamp(0), "");
    contents.baseline = Arc::new(normal);
    for name in ["capture.pcap", "again.pcap"] {
        let at = laid_out(&format!("waits-{name}"), &[(file(&case, name), if name == "capture.pcap" { 0 } else { DAY })]);
        let report = replay(&[at], Some(contents.baseline.clone()), 1);
        contents.add(&report, Run::new(&report, &[], &[], "city", false));
        let open: Vec<&str> = contents.open_findings().iter().map(|finding| finding.check.as_str()).collect();
        assert!(open.contains(&"modbus-new-writer") && open.contains(&"modbus-new-registers-read"), "{name}: {open:?}");
    }
}

#[test]
fn the_same_is_learned_on_any_number_of_threads() {
    for case in baseline_cases() {
        let text = |threads| {
            let report = replay(&[file(&case, "capture.pcap")], Some(Arc::default()), threads);
            serde_json::to_string(&*learned(&report)).expect("JSON")
        };
        let one = text(1);
        assert_eq!(one, text(3), "{}", case.name);
        let back: Baseline = serde_json::from_str(&one).expect("what was written is read");
        assert_eq!(serde_json::to_string(&back).expect("JSON"), one, "{}", case.name);
    }
}

#[test]
fn a_sensor_that_falls_silent_is_told_in_one_run_and_across_runs_and_clears_when_it_is_heard_again() {
    let (steady, sensors) = (case("baseline/modbus_strangers"), case("baseline/mqtt_topic_of_another"));
    let (steady, sensors) = (file(&steady, "normal.pcap"), file(&sensors, "normal.pcap"));
    let ticks = |from: u64, to: u64, speaking: &dyn Fn(u64) -> bool| -> Vec<(PathBuf, u64)> {
        (from / 600..to / 600)
            .flat_map(|tick| {
                let both = [(steady.clone(), tick * 600), (sensors.clone(), tick * 600 + 300)];
                both.into_iter().take(if speaking(tick * 600) { 2 } else { 1 }).collect::<Vec<_>>()
            })
            .collect()
    };
    // For seven days and a half all speak every ten minutes; then three sensors, the broker and the host of dashboard and controller say no
    // more. The two clients are devices of their own, since they are there at one time.
    let stopped = 7 * DAY + DAY / 2;
    let whole = laid_out("silence.pcap", &ticks(0, 8 * DAY, &|second| second < stopped));
    assert_eq!(found(&replay(std::slice::from_ref(&whole), None, 1)), [("device-silent".to_owned(), 7)].into());
    let short = laid_out("silence-short.pcap", &ticks(0, stopped + 1_800, &|second| second < stopped));
    assert_eq!(found(&replay(&[short], None, 1)), Counts::new(), "half an hour is no silence");

    let mut contents = Contents::default();
    let mut run = |name: &str, parts: &[(PathBuf, u64)]| {
        let report = replay(&[laid_out(name, parts)], Some(contents.baseline.clone()), 1);
        contents.add(&report, Run::new(&report, &[], &[], "city", false));
        let open: Vec<String> = contents.open_findings().iter().map(|finding| finding.check.clone()).collect();
        let mut counts = Counts::new();
        open.into_iter()
            .filter(|check| checks::ALL.iter().any(|ours| ours.id == check))
            .for_each(|check| *counts.entry(check).or_insert(0) += 1);
        counts
    };
    assert_eq!(run("silence-1.pcap", &ticks(0, 7 * DAY, &|_| true)), Counts::new());
    let silent: Counts = [("device-silent".to_owned(), 7)].into();
    assert_eq!(run("silence-2.pcap", &ticks(7 * DAY, 8 * DAY, &|_| false)), silent);
    // A capture of an hour a month later: nobody watched in between.
    assert_eq!(run("silence-3.pcap", &ticks(38 * DAY, 38 * DAY + 3_600, &|_| true)), Counts::new());
    let gone: Counts = [("device-gone".to_owned(), 7)].into();
    let after = run("silence-4.pcap", &ticks(39 * DAY, 47 * DAY, &|_| false));
    assert_eq!(after.get("device-gone"), gone.get("device-gone"), "{after:?}");
}

fn citytap(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_citytap-under-test"));
    command.arg0("citytap").args(arguments).current_dir(root()).stdin(Stdio::null());
    let output = command.output().expect("the program starts");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn done(arguments: &[&str]) -> String {
    let output = citytap(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn a_person_shows_freezes_compares_takes_in_and_exports() {
    let case = case("baseline/modbus_strangers");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("baseline-store");
    let _ = fs::remove_dir_all(&folder);
    let store = ["--store", text(&folder)];
    let with_store = |arguments: &[&str]| done(&[arguments, &store].concat());
    let normal = laid_out("cli-normal.pcap", &[(file(&case, "normal.pcap"), 0)]);
    let strange = laid_out("cli-strange.pcap", &[(file(&case, "capture.pcap"), DAY)]);
    done(&["replay", text(&normal), "--store", text(&folder)]);
    let shown = with_store(&["baseline", "show", "--kind", "polls", "--device", "10.10.0.10"]);
    assert!(shown.contains("10.10.0.100") && shown.contains("holding 0-19") && shown.contains("never frozen"), "{shown}");
    assert!(!with_store(&["baseline", "show", "--kind", "writes", "--device", "10.10.0.101"]).contains("WHO"));
    assert!(with_store(&["baseline", "freeze", "--reason", "as built"]).contains("version 1 is frozen"));
    let exported = folder.with_extension("json");
    fs::write(&exported, with_store(&["baseline", "export"])).expect("a file");
    done(&["replay", text(&strange), "--store", text(&folder)]);
    let diff = with_store(&["baseline", "diff"]);
    assert!(diff.contains("10.10.0.77") && diff.contains("coils 4-4") && diff.contains("is new"), "{diff}");
    let diff: serde_json::Value = serde_json::from_str(&with_store(&["baseline", "diff", "--format", "json"])).expect("JSON");
    let waiting = diff["waiting"].as_array().expect("a list");
    let writes = waiting.iter().find(|one| one["kind"] == "writes").expect("who wrote");
    let id = writes["id"].as_str().expect("an id");
    let accepted = with_store(&["baseline", "accept", id, "--reason", "new control room"]);
    assert!(accepted.contains("taken in"), "{accepted}");
    assert!(!with_store(&["baseline", "diff"]).contains("coils 4-4"), "all that the two do is taken in");
    assert!(with_store(&["baseline", "export", "--as", "csv"]).contains("new control room"));
    let all = with_store(&["baseline", "accept", "--all"]);
    assert!(all.contains(", 0 left"), "{all}");

    let unknown = citytap(&["baseline", "accept", id, "--store", text(&folder)]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(unknown.status.code() == Some(2) && said.contains("no deviation has the id"), "{said}");
    let wrong = citytap(&["baseline", "show", "--kind", "poll", "--store", text(&folder)]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && said.contains("Did you mean 'polls'?"), "{said}");

    // For CI: an exported baseline, without a store.
    let failed = citytap(&["replay", text(&strange), "--baseline", text(&exported), "--fail-on", "high"]);
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stdout));
    done(&["replay", text(&normal), "--baseline", text(&exported), "--fail-on", "high"]);
    let wrong = citytap(&["replay", text(&normal), "--baseline", text(&normal)]);
    assert_eq!(wrong.status.code(), Some(3), "{}", String::from_utf8_lossy(&wrong.stderr));
}

#[test]
fn a_stranger_whom_a_person_forgets_leaves_nothing_behind() {
    let case = case("baseline/modbus_strangers");
    let mut normal = (*learned(&replay(&[file(&case, "normal.pcap")], Some(Arc::default()), 1))).clone();
    normal.freeze(Timestamp(0), "");
    let mut after = (*learned(&replay(&[file(&case, "capture.pcap")], Some(Arc::new(normal)), 1))).clone();
    let strangers: Vec<(String, String)> = after
        .parties
        .iter()
        .filter(|(_, party)| party.known.standing == Standing::Deviation)
        .map(|(key, _)| (key.to_string(), Party::id(key)))
        .collect();
    assert_eq!(strangers.len(), 3);
    strangers.iter().for_each(|(_, id)| assert!(after.dismiss(id)));
    let text = serde_json::to_string(&after).expect("JSON");
    for (key, _) in strangers {
        assert!(!text.contains(&key), "{key}");
    }
    assert!(text.contains("holding 100-119"), "what the control system did waits on");
}

/// Writes the store at each judgement; once something waits for a decision there, a person takes all of it in.
struct Deciding {
    folder: PathBuf,
    store: Growing,
    /// Found in each judgement.
    found: Vec<Counts>,
    accepted: usize,
}

impl Listener for Deciding {
    fn judged(&mut self, report: &Report, _: Timestamp, _: bool) {
        self.found.push(found(report));
        let stand = self.store.stand(report, Run::new(report, &[], &[], "city", false));
        self.store.write(&stand).expect("the store takes it");
        let mut city = City::open(&self.folder).expect("the store is closed in between");
        let mut baseline = (*city.contents().baseline).clone();
        let waiting: Vec<String> = baseline.deviations().map(|deviation| deviation.id()).collect();
        if self.accepted == 0 && !waiting.is_empty() {
            let decision = Accepted { at: Timestamp(1), reason: "planned".into() };
            self.accepted = waiting.iter().filter(|id| baseline.accept(id, &decision)).count();
            city.set_baseline(baseline).expect("the store takes it");
        }
    }

    fn decided(&mut self) -> Option<Arc<Baseline>> {
        self.store.take_decided()
    }
}

#[test]
fn what_a_person_takes_in_while_a_run_goes_on_is_normal_at_a_later_judgement_and_stays_so() {
    for case in baseline_cases() {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("baseline-deciding");
        let _ = fs::remove_dir_all(&folder);
        let mut city = Growing::open(&folder, None, "city").expect("a store");
        let mut normal = (*learned(&replay(&[file(&case, "normal.pcap")], Some(Arc::default()), 1))).clone();
        normal.freeze(Timestamp(0), "");
        city.set_baseline(normal.clone()).expect("the store takes it");
        let capture = file(&case, "capture.pcap");
        let parts: Vec<_> = (0..4).map(|hour| (capture.clone(), DAY + hour * 3_600)).collect();
        let whole = laid_out("deciding.pcap", &parts);
        let setup = Setup { baseline: Some(city.contents().baseline.clone()), ..Setup::default() };
        let mut deciding = Deciding { folder: folder.clone(), store: Growing::begin(city), found: Vec::new(), accepted: 0 };
        let mut source = Merge::open(std::slice::from_ref(&whole), Default::default());
        let last = engine::live::listen(&mut source, &setup, 600 * SECOND, &mut deciding).expect("well").expect("a report");
        assert!(deciding.accepted > 0 && deciding.found.iter().any(|found| !found.is_empty()), "{}", case.name);
        assert_eq!(found(&last), Counts::new(), "{}: {:?}", case.name, deciding.found);
        let after = learned(&last);
        assert_eq!(after.deviations().count(), 0, "{}", case.name);
        let kept = City::open(&folder).expect("the store");
        assert_eq!(*kept.contents().baseline, *after, "{}: the store says what the run says", case.name);
        assert!(serde_json::to_string(&*after).expect("JSON").contains("planned"), "{}", case.name);
        // What was seen is counted as if nobody had decided.
        let undecided = learned(&replay(&[whole], Some(Arc::new(normal)), 1));
        let seen = |baseline: &Baseline| -> Vec<_> {
            let relations = baseline.relations.iter().map(|(key, known)| (key.id(), known));
            let parties = baseline.parties.iter().map(|(key, party)| (key.to_string(), &party.known));
            relations
                .chain(parties)
                .map(|(id, known)| (id, known.first_seen, known.last_seen, known.days, known.minutes))
                .collect()
        };
        assert_eq!(seen(&after), seen(&undecided), "{}", case.name);
        let rhythms = |baseline: &Baseline| baseline.parties.values().map(|party| party.rhythm).collect::<Vec<_>>();
        assert_eq!(rhythms(&after), rhythms(&undecided), "{}", case.name);
    }
}
