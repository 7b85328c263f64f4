//! The command line from outside, on a made-up town: a default password is found, replaced and proven replaced; what a person types wrong, who may approve,
//! and that no secret reaches any output, argument, environment or file.

use citytap_rekey::secrets::key_source::KeySource;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_citytap-rekey");

/// The new key is in use; the old one is still accepted.
const PROVEN: &[&str] = &["Proven", "Committed", "Grace"];

/// A made-up town in a folder of its own.
struct Town {
    _kept: tempfile::TempDir,
    folder: PathBuf,
    /// Everything that was ever printed.
    said: String,
}

impl Town {
    fn new(devices: &str) -> Self {
        let kept = tempfile::tempdir().expect("a folder");
        let folder = kept.path().join("town");
        let output =
            Command::new(PROGRAM).args(["simulate", "--prepare-only", "--devices", devices, "--folder"]).arg(&folder).output();
        let output = output.expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { _kept: kept, folder, said: String::new() }
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("--config")
            .arg(self.folder.join("rekey.toml"))
            .args(arguments)
            .stdin(Stdio::null())
            .current_dir(&self.folder);
        command
    }

    /// Runs, expects an exit code, and answers what it said.
    fn run(&mut self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).output().expect("the program starts");
        self.heard(arguments, &output, code)
    }

    fn heard(&mut self, arguments: &[&str], output: &Output, code: i32) -> String {
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "citytap-rekey {arguments:?}\n{said}");
        assert!(!said.contains("panicked"), "{said}");
        self.said.push_str(&said);
        said
    }

    /// Runs with a line on standard input.
    fn run_with(&mut self, arguments: &[&str], line: &str, code: i32) -> String {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        child.stdin.take().expect("a pipe").write_all(line.as_bytes()).expect("a line");
        let output = child.wait_with_output().expect("the program ends");
        self.heard(arguments, &output, code)
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.folder.join(name)).expect("a file");
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.folder.join(name), text.replace(from, to)).expect("a file");
    }

    fn passwords(&self) -> BTreeMap<String, String> {
        let devices: BTreeMap<String, Value> =
            serde_json::from_slice(&fs::read(self.folder.join("devices.json")).expect("devices")).expect("JSON");
        devices.into_iter().map(|(name, device)| (name, device["password"].as_str().expect("a password").to_owned())).collect()
    }

    /// A device that has this password, of which the verifier is told by `enter`.
    fn add_device(&mut self, name: &str, password: &str) {
        let mut devices: BTreeMap<String, Value> =
            serde_json::from_slice(&fs::read(self.folder.join("devices.json")).unwrap()).unwrap();
        devices.insert(name.into(), serde_json::json!({"password": password, "starts": 1}));
        fs::write(self.folder.join("devices.json"), serde_json::to_vec(&devices).unwrap()).unwrap();
        let slot = format!("simulated/{name}");
        let said = self.run_with(&["enter", &slot, "--fd", "0"], &format!("{password}\n"), 0);
        assert!(said.contains(&format!("generation 1 of {slot} is sealed")), "{said}");
    }

    fn approve(&mut self, people: &[&str], also: &[&str]) {
        let plan = self.at("plan.json");
        for person in people {
            let key = self.at(&format!("{person}.pem"));
            let mut arguments = vec!["approve", &plan, "--key", &key];
            also.iter().for_each(|word| arguments.extend(["--also", word]));
            self.run(&arguments, 0);
        }
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    /// Waits until `status --json` of the only rotation says this.
    fn wait_for(&mut self, wanted: &[&str], limit: Duration) {
        let begun = Instant::now();
        loop {
            let status: Value = serde_json::from_str(&self.run(&["status", "--json"], 0)).expect("JSON");
            let states: Vec<String> =
                status["rotations"].as_object().into_iter().flatten().map(|(_, one)| one["state"].to_string()).collect();
            if states.iter().any(|one| wanted.iter().any(|state| one.contains(state))) {
                return;
            }
            assert!(begun.elapsed() < limit, "none of {wanted:?} after {limit:?}: {states:?}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

fn end(child: Child) -> Output {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), nix::sys::signal::SIGTERM)
        .expect("a process of ours");
    child.wait_with_output().expect("it ends")
}

/// All ways in which a secret could stand somewhere.
fn written(secret: &str) -> Vec<Vec<u8>> {
    use base64::Engine;
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let bytes: String = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(",");
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
    vec![
        secret.as_bytes().to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        bytes.into_bytes(),
        base64.as_bytes()[..base64.len() - 2].to_vec(),
    ]
}

fn has(place: &[u8], secret: &str) -> bool {
    written(secret).iter().any(|form| place.windows(form.len()).any(|part| part == form.as_slice()))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[test]
fn a_default_password_is_found_replaced_proven_and_the_finding_closed_in_one_command() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().join("town");
    let output = Command::new(PROGRAM).args(["simulate", "--devices", "2", "--folder"]).arg(&folder).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    for words in [
        "2 findings about keys",
        "overlap",
        "in stages of 1, all",
        "approved by Ada, Bo; that is enough",
        "2 rotations: 2 retired",
        "2 of them over",
        "stands: ",
    ] {
        assert!(said.contains(words), "no '{words}' in\n{said}");
    }
    let devices: BTreeMap<String, Value> = serde_json::from_slice(&fs::read(folder.join("devices.json")).unwrap()).unwrap();
    let passwords: Vec<&str> = devices.values().map(|device| device["password"].as_str().unwrap()).collect();
    assert!(passwords[0] != passwords[1] && passwords.iter().all(|password| password.len() == 22), "each has its own");
    assert!(devices.values().all(|device| device["refused"] == 0), "no device was ever refused");
    let results = fs::read_to_string(folder.join("results.jsonl")).unwrap();
    let line: Value = serde_json::from_str(results.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&line["state"], &line["from"], &line["to"]), (&"retired".into(), &1.into(), &2.into()));
    assert!(
        line["proven"].is_string()
            && line["retired"].is_string()
            && line["witnesses"].as_array().unwrap().contains(&"verifier".into())
    );
    let log = fs::read_to_string(folder.join("state/audit.jsonl")).unwrap();
    for event in ["begun", "findings_taken", "run_begun", "effect", "outcome", "state", "checkpoint", "run_ended"] {
        assert!(log.contains(&format!("\"event\":\"{event}\"")), "no {event} in the log");
    }
}

#[test]
fn no_secret_reaches_an_output_an_argument_the_environment_or_a_file() {
    let planted = "planted7Xq2RwkZ";
    let mut town = Town::new("1");
    town.add_device("lamp-9", planted);
    town.run(&["readiness"], 0);
    let plan = town.at("plan.json");
    town.run(&["plan", "--slot", "simulated/lamp-9", "--out", &plan], 0);
    town.approve(&["ada", "bo"], &["retire"]);
    let child = town.begin(&["run", "--plan", &plan, "--until-done"]);
    town.wait_for(PROVEN, Duration::from_secs(60));
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    for name in ["cmdline", "environ"] {
        // Whoever is not root cannot read the environment of a process that is shut in, which is the point of it.
        let Ok(bytes) = fs::read(proc.join(name)) else { continue };
        assert!(!has(&bytes, planted), "{name}");
    }
    let limits = fs::read_to_string(proc.join("limits")).unwrap_or_default();
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    assert!(core.is_none_or(|line| line.split_whitespace().nth(4) == Some("0")), "{core:?}");
    let output = child.wait_with_output().unwrap();
    town.heard(&["run"], &output, 0);
    let made = town.passwords()["lamp-9"].clone();
    assert_ne!(made, planted);
    let sealing = fs::read_to_string(town.folder.join("sealing.key")).unwrap();
    let sealing = sealing.lines().nth(1).unwrap().to_owned();
    for arguments in [
        &["status", "--all"][..],
        &["status", "--json"],
        &["work-orders"],
        &["work-orders", "--csv"],
        &["audit", "verify"],
        &["findings", "list"],
    ] {
        town.run(arguments, 0);
    }
    // Whether memory can be locked depends on the machine.
    let output = town.command(&["doctor"]).output().unwrap();
    let code = output.status.code().unwrap();
    assert!(town.heard(&["doctor"], &output, code).contains("the audit log stands"), "{code}");
    let (results, export, copy) = (town.at("results.jsonl"), town.at("emergency.age"), town.at("journal.copy"));
    town.run(&["results", "--out", &results], 1);
    let people = [age_key(), age_key()];
    town.run(&["break-glass", "--recipient", &people[0], "--recipient", &people[1], "--out", &export], 0);
    town.run(&["copy", "--out", &copy], 0);
    town.run(&["leave", "simulated/lamp-9"], 0);
    // Entered once more it is refused, and not repeated.
    town.run_with(&["enter", "simulated/lamp-9", "--fd", "0"], &format!("{planted}\n"), 1);
    town.run_with(&["enter", "simulated/lamp-9", "--hex", "--generation", "7", "--fd", "0"], &format!("{planted}\n"), 2);
    for secret in [planted, made.as_str(), sealing.as_str()] {
        assert!(!has(town.said.as_bytes(), secret), "a secret was printed");
        for file in files(&town.folder) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            // The devices' own memory, which stands for devices that are elsewhere; and the sealing key's own file.
            if name.starts_with("devices.json") || name == "sealing.key" && secret == sealing {
                continue;
            }
            assert!(!has(&fs::read(&file).unwrap(), secret), "a secret stands in {name}");
        }
    }
    // The search finds what is there.
    assert!(has(&fs::read(town.folder.join("devices.json")).unwrap(), &made));
}

fn age_key() -> String {
    age::x25519::Identity::generate().to_public().to_string()
}

#[test]
fn nothing_is_carried_out_without_the_people_or_after_a_change() {
    let mut town = Town::new("1");
    let plan = town.at("plan.json");
    let findings = town.at("findings.jsonl");
    town.run(&["findings", "import", &findings], 0);
    let said = town.run(&["plan", "--out", &plan], 0);
    assert!(said.contains("Approvals needed: 1 for the plan, 2 to retire the old keys"), "{said}");
    let said = town.run(&["run", "--plan", &plan, "--until-done"], 1);
    assert!(said.contains("1 person must still approve plan"), "{said}");
    // A stranger's key.
    let stranger = town.at("stranger.pem");
    town.run(&["keys", "make", "--out", &stranger], 0);
    let said = town.run(&["approve", &plan, "--key", &stranger], 1);
    assert!(said.contains("is no approver's"), "{said}");
    town.approve(&["ada"], &[]);
    // The policy changes after approval.
    town.edit("policy.toml", "soak = \"2s\"", "soak = \"1s\"");
    let said = town.run(&["run", "--plan", &plan, "--until-done"], 1);
    assert!(said.contains("the policy changed since the plan was made"), "{said}");
    town.edit("policy.toml", "soak = \"1s\"", "soak = \"2s\"");
    // The plan itself changes.
    town.edit("plan.json", "\"made up: it says nothing about real devices\"", "\"\"");
    let said = town.run(&["run", "--plan", &plan], 1);
    assert!(said.contains("was changed after it was made"), "{said}");
    // Dry run by default.
    town.run(&["plan", "--out", &plan], 0);
    town.edit("policy.toml", "dry_run = false", "dry_run = true");
    let said = town.run(&["run", "--plan", &plan], 0);
    assert!(said.contains("Dry run: nothing was sent"), "{said}");
    assert_eq!(town.passwords()["lamp-1"], "admin");
    assert!(
        fs::read_to_string(town.folder.join("state/audit.jsonl"))
            .unwrap()
            .lines()
            .all(|line| !line.contains("\"event\":\"begun\",\"rotation\""))
    );
}

#[test]
fn a_person_holds_everything_and_both_keys_stay_accepted_until_it_goes_on() {
    let mut town = Town::new("1");
    let plan = town.at("plan.json");
    let findings = town.at("findings.jsonl");
    town.run(&["findings", "import", &findings], 0);
    town.run(&["plan", "--out", &plan], 0);
    town.approve(&["ada"], &[]);
    let child = town.begin(&["run", "--plan", &plan]);
    town.wait_for(PROVEN, Duration::from_secs(60));
    // Retirement needs two, so it stays in its grace; then somebody stops everything.
    let said = town.run(&["hold", "--all", "--why", "a storm"], 0);
    assert!(said.contains("old and new keys stay accepted"), "{said}");
    town.wait_for(&["Held"], Duration::from_secs(20));
    let said = town.run(&["status"], 0);
    assert!(said.contains("ON HOLD: *: a storm") && said.contains("HELD: a storm") && said.contains("stay accepted"), "{said}");
    // What needs the journal is answered by the process that has it.
    let said = town.run(&["plan"], 1);
    assert!(said.contains("rotation 1 of it is open"), "{said}");
    assert!(town.run(&["readiness"], 0).contains("simulated/lamp-1"));
    let said = town.run(&["break-glass", "--recipient", "a", "--recipient", "b", "--out", "x"], 3);
    assert!(said.contains("another process has it open"), "{said}");
    town.run(&["continue", "--all"], 0);
    town.wait_for(&["Grace"], Duration::from_secs(60));
    let output = end(child);
    town.heard(&["run"], &output, 0);
    let log = fs::read_to_string(town.folder.join("state/audit.jsonl")).unwrap();
    assert!(log.contains("\"what\":\"hold\"") && log.contains("\"what\":\"continue\""), "{log}");
    assert!(town.run(&["audit", "verify"], 0).contains("stands"));
    // A service takes findings, plans and carries a plan out while it has the journal.
    town.add_device("lamp-2", "default-2");
    let child = town.begin(&["run"]);
    std::thread::sleep(Duration::from_secs(2));
    let said = town.run(&["plan", "--slot", "simulated/lamp-2", "--out", "second.json"], 0);
    assert!(said.contains("1 device planned"), "{said}");
    let key = town.at("bo.pem");
    town.run(&["approve", "second.json", "--key", &key], 0);
    let said = town.run(&["run", "--plan", "second.json"], 0);
    assert!(said.contains("Taken up: plan"), "{said}");
    let begun = Instant::now();
    while town.passwords()["lamp-2"] == "default-2" {
        assert!(begun.elapsed() < Duration::from_secs(60), "the second plan is not carried out");
        std::thread::sleep(Duration::from_millis(300));
    }
    let output = end(child);
    town.heard(&["run"], &output, 0);
    // An edit of the log is found and named.
    let mut lines: Vec<String> = log.lines().map(str::to_owned).collect();
    lines[3] = lines[3].replace("\"at\":\"20", "\"at\":\"21");
    fs::write(town.folder.join("state/audit.jsonl"), lines.join("\n") + "\n").unwrap();
    let said = town.run(&["audit", "verify"], 1);
    assert!(said.contains("audit.jsonl:4: it was changed"), "{said}");
}

#[test]
fn the_sealing_key_is_replaced_and_a_copy_restored() {
    let mut town = Town::new("2");
    let before = KeySource::File(town.folder.join("sealing.key")).open(&town.folder).unwrap().id();
    let copy = town.at("journal.copy");
    town.run(&["copy", "--out", &copy], 0);
    let said = town.run(&["sealing", "rotate"], 0);
    assert!(said.contains("2 secrets sealed anew"), "{said}");
    let after = KeySource::File(town.folder.join("sealing.key")).open(&town.folder).unwrap().id();
    assert_ne!(before, after);
    let said = town.run(&["sealing", "rotate"], 0);
    assert!(said.contains("2 secrets sealed anew"), "{said}");
    // The copy of before was sealed with a key that is gone: it says which.
    let said = town.run(&["restore", "--from", &copy], 3);
    assert!(said.contains("there is a journal already"), "{said}");
    fs::rename(town.folder.join("state/journal.redb"), town.folder.join("state/moved")).unwrap();
    town.run(&["restore", "--from", &copy], 0);
    let people = [age_key(), age_key()];
    let export = town.at("emergency.age");
    let said = town.run(&["break-glass", "--recipient", &people[0], "--recipient", &people[1], "--out", &export], 3);
    assert!(said.contains(&format!("sealed with the key {before}")), "{said}");
}

#[test]
fn nothing_is_delivered_before_a_copy_of_the_journal_is_elsewhere() {
    let mut town = Town::new("1");
    fs::create_dir(town.folder.join("copies")).unwrap();
    town.edit("rekey.toml", "folder = \"state\"", "folder = \"state\"\ncopies = \"copies\"");
    let plan = town.at("plan.json");
    town.run(&["plan", "--slot", "simulated/lamp-1", "--out", &plan], 0);
    town.approve(&["ada"], &[]);
    let child = town.begin(&["run", "--plan", &plan]);
    town.wait_for(&["Delivering"], Duration::from_secs(60));
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(town.passwords()["lamp-1"], "admin");
    let version = fs::read_to_string(town.folder.join("copies/version")).unwrap();
    assert!(town.folder.join("copies/journal.copy").is_file());
    town.run(&["copy", "--carried", &version], 0);
    town.wait_for(PROVEN, Duration::from_secs(60));
    assert_ne!(town.passwords()["lamp-1"], "admin");
    let output = end(child);
    town.heard(&["run"], &output, 0);
}

#[test]
fn what_is_typed_wrong_is_told_with_an_exit_code() {
    let mut town = Town::new("1");
    for (arguments, code, words) in [
        (&["no-such-command"][..], 2, "unrecognized subcommand"),
        (&["hold", "lamp"], 2, "'lamp' fits no slot"),
        (&["revert", "lamp"], 2, "is no slot"),
        (&["break-glass", "--recipient", "age1x", "--out", "x"], 2, "at least 2 different recipients"),
        (&["approve", "none.json", "--key", "ada.pem"], 3, "cannot read none.json"),
        (&["findings", "import", "policy.toml"], 1, "is no signed file"),
        (&["restore", "--from", "none"], 3, "there is a journal already"),
        (&["plan", "--slot", "simulated/nobody"], 1, "no made-up device is called nobody"),
        (&["plan", "--slot", "mosquitto/lamp"], 1, "the policy does not include it"),
    ] {
        let said = town.run(arguments, code);
        assert!(said.contains(words), "citytap-rekey {arguments:?} does not say '{words}':\n{said}");
    }
    town.edit("policy.toml", "[grace]", "[grase]");
    let said = town.run(&["readiness"], 3);
    assert!(said.contains("policy.toml:9: there is no section 'grase'. Did you mean 'grace'?"), "{said}");
    town.edit("policy.toml", "[grase]", "[grace]");
    fs::remove_dir_all(town.folder.join("state")).unwrap();
    let said = town.run(&["readiness"], 3);
    assert!(said.contains("install -d -m 700"), "{said}");
}
