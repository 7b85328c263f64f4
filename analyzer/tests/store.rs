//! A store from the outside: what is added is there after a restart, and is asked in plain words.

mod common;

use common::{capture, city, citytap, done, json, refused};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

fn store(folder: &tempfile::TempDir) -> String {
    folder.path().join("store").display().to_string()
}

fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn a_city_is_kept_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let out = folder.path().join("out").display().to_string();
    let screen = done(&["replay", &city(), "--store", &store, "--out", &out]);
    assert!(screen.contains("run 1 in"), "{screen}");

    // What a run alone says and what the store says is the same.
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(Path::new(&out).join(name)).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("schema_version")));
        lines
    };
    let devices = json(&["devices", "--store", &store, "--format", "json", "--provisional"]);
    assert_eq!(devices.as_array().unwrap(), &lines("devices.jsonl"));
    // What is concluded from a stored device is what its run concluded.
    for device in devices.as_array().unwrap() {
        let device: citytap_analyzer::inventory::Device = serde_json::from_value(device.clone()).unwrap();
        let mut again = device.clone();
        citytap_analyzer::inventory::merge::conclude(&mut again);
        assert_eq!(again, device);
    }
    let mut findings = json(&["findings", "--store", &store, "--format", "json"]);
    for finding in findings.as_array_mut().unwrap() {
        assert_eq!(finding.as_object_mut().unwrap().remove("state"), Some("open".into()));
        for place in finding["evidence"].as_array_mut().unwrap() {
            assert_eq!(place.as_object_mut().unwrap().remove("run"), Some(1.into()));
        }
    }
    assert_eq!(findings.as_array().unwrap(), &lines("findings.jsonl"));
    let actions = json(&["actions", "--store", &store, "--format", "json"]);
    assert_eq!(actions.as_array().unwrap(), &lines("actions.jsonl"));
    assert!(done(&["diff", &store, &out]).contains("nothing differs"));

    // Tables fit a terminal and say how many rows they have.
    let table = done(&["devices", "--store", &store]);
    fits(&table);
    let shown = devices.as_array().unwrap().iter().filter(|device| device["provisional"] == false).count();
    assert!(table.lines().last().unwrap().starts_with(&format!("{shown} devices")), "{table}");
    let risk = |line: &str| line.split_whitespace().next().and_then(|word| word.parse::<u8>().ok()).expect("a risk");
    let risks: Vec<u8> = table.lines().skip(1).take(shown).map(risk).collect();
    assert!(risks.is_sorted_by(|a, b| a >= b) && risks[0] >= 60, "{table}");
    let table = done(&["findings", "--store", &store]);
    fits(&table);
    assert!(table.contains(&format!("{} findings", findings.as_array().unwrap().len())));
    fits(&done(&["actions", "--store", &store]));

    // One device by every name that it has.
    let page = done(&["devices", "show", "10.20.0.5", "--store", &store]);
    fits(&page);
    for wanted in
        ["broker 10.20.0.5", "accepts MQTT connections", "mqtt on port 1883", "anonymous", "allow_anonymous false", "frame "]
    {
        assert!(page.contains(wanted), "{wanted} is not in:\n{page}");
    }
    let broker = json(&["devices", "show", "ip:10.20.0.5", "--store", &store, "--format", "json"]);
    let id = broker["device"]["id"].as_str().unwrap();
    assert!(broker["checks"].as_array().unwrap().iter().any(|check| check["outcome"] == "found"));
    for name in [id, &id[..8], &id.to_uppercase()] {
        assert_eq!(done(&["devices", "show", name, "--store", &store]), page);
    }
    for name in ["24e124715e00000d", "dev_eui:24e124715e00000d", "24:E1:24:71:5E:00:00:0D"] {
        assert!(done(&["devices", "show", name, "--store", &store]).contains("dev_eui:24e124715e00000d"), "{name}");
    }

    // Exports.
    let csv = done(&["export", "inventory", "--format", "csv", "--store", &store]);
    assert!(csv.starts_with("id,class,name,"));
    let file = folder.path().join("inventory.json").display().to_string();
    assert_eq!(done(&["export", "inventory", "--format", "json", "--store", &store, "--out", &file]), "");
    let exported: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(exported, devices);
    assert_eq!(csv.matches("\r\n").count(), 1 + devices.as_array().unwrap().len());
}

#[test]
fn the_same_capture_twice_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let mqtt = capture("mqtt/tasmota_twelve_devices");
    done(&["replay", &mqtt, "--store", &store]);
    let all = ["devices", "--store", &store, "--format", "json", "--provisional"];
    let before = json(&all);

    let output = citytap(&["replay", &mqtt, "--store", &store]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("is in the store already (run 1)"), "{told}");
    assert_eq!(json(&all), before);

    let screen = done(&["replay", &mqtt, "--store", &store, "--again"]);
    assert!(screen.contains("run 2") && screen.contains("0 devices new"), "{screen}");
    assert_eq!(json(&all), before);

    let (code, told) = refused(&["replay", &mqtt, &capture("modbus/exceptions"), "--store", &store]);
    assert!(code == 2 && told.contains("leave it out to add the others"), "{told}");
    assert_eq!(json(&all), before);
}

#[test]
fn a_capture_from_standard_input_is_known_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let path = capture("modbus/exceptions");
    done(&["replay", &path, "--store", &store]);
    let output = Command::new(env!("CARGO_BIN_EXE_citytap"))
        .args(["replay", "-", "--store", &store])
        .stdin(std::fs::File::open(&path).unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("in the store already (run 1)"), "{told}");
}

#[test]
fn runs_added_in_any_order_make_the_same_devices() {
    let folder = tempfile::tempdir().unwrap();
    let cases = ["modbus/every_public_function", "modbus/units_behind_a_gateway", "mqtt/default_credentials_accepted"];
    let add = |name: &str, order: &[usize]| {
        let store = folder.path().join(name).display().to_string();
        for &at in order {
            done(&["replay", &capture(cases[at]), "--store", &store]);
        }
        json(&["devices", "--store", &store, "--format", "json", "--provisional"])
    };
    let forth = add("forth", &[0, 1, 2]);
    assert!(!forth.as_array().unwrap().is_empty());
    assert_eq!(add("back", &[2, 1, 0]), forth);
}

#[test]
fn two_runs_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (first, second) = (capture("modbus/every_public_function"), capture("modbus/exceptions"));
    let alone = |capture: &str| json(&["replay", capture, "--format", "json"]);
    let (a, b) = (alone(&first), alone(&second));
    done(&["replay", &first, "--store", &store]);
    done(&["replay", &second, "--store", &store]);
    let both = json(&["devices", "--store", &store, "--format", "json", "--provisional"]);
    let total =
        |devices: &Value| devices.as_array().unwrap().iter().map(|device| device["packets"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(total(&both), total(&a["devices"]) + total(&b["devices"]));
    let page = done(&["devices", "show", both[0]["id"].as_str().unwrap(), "--store", &store]);
    assert!(page.contains("SOURCES"), "{page}");
}

#[test]
fn what_changed_between_two_runs_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, empty] = ["a", "b", "empty"].map(|name| folder.path().join(name).display().to_string());
    done(&["replay", &capture("mqtt/default_credentials_refused"), "--out", &a]);
    done(&["replay", &capture("mqtt/default_credentials_accepted"), "--store", &b]);
    let text = done(&["diff", &a, &b]);
    fits(&text);
    assert!(text.contains("NEW FINDINGS"), "{text}");
    let difference = json(&["diff", &a, &b, "--format", "json"]);
    let back = json(&["diff", &b, &a, "--format", "json"]);
    assert_eq!(difference["new_findings"], back["gone_findings"]);
    assert_eq!(difference["new"], back["gone"]);
    assert_eq!(citytap(&["diff", &a, &b, "--exit-code"]).status.code(), Some(1));
    assert_eq!(citytap(&["diff", &b, &b, "--exit-code"]).status.code(), Some(0));
    std::fs::create_dir(&empty).unwrap();
    let (code, told) = refused(&["diff", &a, &empty]);
    assert!(code == 3 && told.contains("neither a store nor a folder that replay --out wrote"), "{told}");
}

#[test]
fn a_wrong_word_gets_the_nearest_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    done(&["replay", &capture("mqtt/default_credentials_accepted"), "--store", &store]);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["devices", "--class", "brokre"], 2, "Did you mean 'broker'?"),
        (&["devices", "show", "10.20.0.500"], 2, "Did you mean '10.20."),
        (&["devices", "show", "nothing-like-it-at-all"], 2, "lists them"),
        (&["findings", "--check", "anonymus-accepted"], 2, "Did you mean 'anonymous-accepted'?"),
        (&["findings", "--severity", "hihg"], 2, "severities are info, low, medium, high and critical"),
    ];
    for (arguments, wanted, text) in cases {
        let arguments = [*arguments, &["--store", &store]].concat();
        let (code, told) = refused(&arguments);
        assert!(code == *wanted && told.contains(text), "{arguments:?}: {code} {told}");
    }
    let (code, told) = refused(&["schema", "modbsu"]);
    assert!(code == 2 && told.contains("Did you mean 'modbus'?"), "{told}");
    let (code, told) = refused(&["device"]);
    assert!(code == 2 && told.contains("'devices'"), "{told}");

    // Several that fit are listed: in the second capture only one unit of the server was seen, so it is a name of the server.
    done(&["replay", &capture("modbus/units_behind_a_gateway"), "--store", &store]);
    done(&["replay", &capture("modbus/every_public_function"), "--store", &store]);
    let (code, told) = refused(&["devices", "show", "modbus_unit:1", "--store", &store]);
    assert!(code == 2 && told.contains("fits 2 devices; say which by its id"), "{told}");
}

#[test]
fn a_store_that_is_none_is_told_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (code, told) = refused(&["devices", "--store", &path("none")]);
    assert!(code == 3 && told.contains("there is no store at") && told.contains("citytap replay CAPTURE --store"), "{told}");
    std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
    let (code, told) = refused(&["replay", &capture("modbus/exceptions"), "--store", &folder.path().display().to_string()]);
    assert!(code == 3 && told.contains("no citytap store"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let nowhere = Command::new(env!("CARGO_BIN_EXE_citytap"))
        .arg("findings")
        .env_remove("CITYTAP_STORE")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&nowhere.stderr);
    assert!(nowhere.status.code() == Some(3) && told.contains("--store DIR or CITYTAP_STORE"), "{told}");

    let store = path("store");
    done(&["replay", &capture("modbus/exceptions"), "--store", &store, "--site", "harbour"]);
    let (code, told) = refused(&["replay", &capture("modbus/exceptions"), "--store", &store, "--site", "airport"]);
    assert!(code == 3 && told.contains("is about the site 'harbour'"), "{told}");
    let meant = Command::new(env!("CARGO_BIN_EXE_citytap")).arg("devices").env("CITYTAP_STORE", &store).output().unwrap();
    assert!(meant.status.success());
}

#[test]
fn a_store_in_use_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    done(&["replay", &capture("modbus/exceptions"), "--store", &store]);
    let held = citytap_analyzer::store::on_disk::OnDisk::open(Path::new(&store)).unwrap();
    let (code, told) = refused(&["devices", "--store", &store]);
    assert!(code == 3 && told.contains("in use by another citytap; stop it or ask the running appliance"), "{told}");
    drop(held);
    done(&["devices", "--store", &store]);
}

#[test]
fn a_damaged_record_costs_itself_alone() {
    use citytap_analyzer::store::{Store, Tree, on_disk::OnDisk};
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    done(&["replay", &capture("modbus/units_behind_a_gateway"), "--store", &store]);
    let before = json(&["devices", "--store", &store, "--format", "json", "--provisional"]);
    let mut open = OnDisk::open(Path::new(&store)).unwrap();
    let mut first = None;
    open.each(Tree::Devices, &mut |key, value| {
        first.get_or_insert((key.to_vec(), value.to_vec()));
    })
    .unwrap();
    let (key, mut value) = first.unwrap();
    value[40] ^= 1;
    open.put(Tree::Devices, &key, &value).unwrap();
    open.flush().unwrap();
    drop(open);
    let output = citytap(&["devices", "--store", &store, "--format", "json", "--provisional"]);
    let told = String::from_utf8_lossy(&output.stderr);
    let id = before[0]["id"].as_str().unwrap();
    assert!(told.contains(id) && told.contains("checksum") && told.contains("1 record is damaged"), "{told}");
    let after: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(after.as_array().unwrap().as_slice(), &before.as_array().unwrap()[1..]);
}

fn report(capture: &str) -> (citytap_analyzer::engine::Report, Vec<citytap_sensor::capture::CaptureInfo>) {
    use citytap_analyzer::engine;
    use citytap_sensor::capture::CaptureSource;
    let mut source = citytap_sensor::capture::open(Path::new(capture)).unwrap();
    let setup = engine::Setup::default();
    let report = engine::replay(&mut source, &setup).unwrap();
    (report, source.describe())
}

#[test]
fn a_full_store_takes_nothing_more_and_says_what_to_do() {
    use citytap_analyzer::store::in_memory::InMemory;
    use citytap_analyzer::store::{City, Run};
    let (report, captures) = report(&capture("modbus/exceptions"));
    let mut city = City::read(Path::new("small"), Box::new(InMemory::default()), Some("city"), 1_000).unwrap();
    let run = Run::new(&report, &captures, &[], "city", false);
    let error = city.add(&report, run.clone()).unwrap_err().to_string();
    assert!(error.contains("may take 1000") && error.contains("export inventory"), "{error}");
    let mut city = City::read(Path::new("small"), city.into_store(), None, 1 << 30).unwrap();
    assert_eq!(city.contents().devices.len(), 0);
    city.add(&report, run).unwrap();
    assert_eq!(city.contents().devices, report.inventory.devices().map(|device| (device.id, device)).collect());
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    for arguments in [
        &["schema"][..],
        &["decode", &capture("mqtt/big_publishes")],
        &["replay", &capture("mqtt/big_publishes"), "--format", "json"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_citytap"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.is_empty(), "{arguments:?}: {told}");
    }
}

#[test]
fn the_schema_lists_every_protocol_with_a_doc_for_every_field() {
    let schema = json(&["schema", "--format", "json"]);
    let protocols = schema["protocols"].as_array().unwrap();
    assert_eq!(protocols.len(), citytap_sensor::protocols::DECODERS.len());
    for field in protocols.iter().flat_map(|protocol| protocol["records"].as_array().unwrap()).flat_map(|record| {
        assert!(!record["doc"].as_str().unwrap().is_empty(), "{}", record["name"]);
        record["fields"].as_array().unwrap()
    }) {
        assert!(!field["doc"].as_str().unwrap().is_empty() && !field["type"].as_str().unwrap().is_empty(), "{field}");
    }
    assert!(!schema["checks"].as_array().unwrap().is_empty());
    let text = done(&["schema"]);
    fits(&text);
    assert!(text.contains("modbus.request") && text.contains("CHECKS"));
}

#[test]
fn every_command_has_examples_completions_and_a_page() {
    for command in ["replay", "decode", "devices", "findings", "actions", "export", "diff", "schema", "completions", "man"] {
        assert!(done(&[command, "--help"]).contains("Examples:"), "{command}");
        assert!(done(&["man", command]).contains(".TH"), "{command}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(done(&["completions", shell]).contains("citytap"));
    }
}
