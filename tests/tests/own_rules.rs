//! A person's own rules from the command line: checked, listed, tried, used in a replay, and what a store remembers of them.

use citytap_tests::cases::{cases, root};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs and answers the exit code, standard output and standard error.
fn citytap(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_citytap-under-test"));
    let output = command.args(arguments).current_dir(root()).stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// An empty folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("own_rules").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for files");
    folder
}

fn capture(name: &str) -> String {
    let case = cases().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"));
    case.capture.display().to_string()
}

const GOOD: &str = "title: Register 1 was written\nname: own-register-1\nlevel: high\nlogsource:\n  product: citytap\n  service: modbus\n\
    detection:\n  selection:\n    modbus.write: true\n  condition: selection\ncitytap:\n  subject: server\n  finding: '{client} wrote address \
    {modbus.address}'\n  action: '{devices} were written to'\n  remedy: Ask the control room.\n  why: Nobody writes here.\n";

const WRONG: &str = "title: Wrong\nlogsource:\n  product: citytap\n  service: modbus\ndetection:\n  selection:\n    modbus.unitid: 1\n  \
    condition: selection\n";

#[test]
fn what_is_wrong_is_told_and_the_rest_is_used() {
    let rules = folder("wrong");
    fs::write(rules.join("good.yml"), GOOD).unwrap();
    fs::create_dir(rules.join("below")).unwrap();
    fs::write(rules.join("below/wrong.yaml"), WRONG).unwrap();
    fs::write(rules.join("notes.txt"), "no rule").unwrap();
    let path = rules.display().to_string();
    let (code, out, _) = citytap(&["rules", "check", &path]);
    assert_eq!(code, 1, "{out}");
    let told = "wrong.yaml:7:5: modbus records have no field modbus.unitid. Did you mean modbus.unit_id?\n1 rule without a problem, 1 problem\n";
    assert!(out.contains(told), "{out}");
    let (code, out, error) =
        citytap(&["rules", "test", &capture("modbus/every_public_function"), "--rules", &path, "--rule", "own-register-1"]);
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("1 problem in your rules"), "{error}");
    assert!(out.starts_with("own-register-1: ") && out.contains("wrote address "), "{out}");
}

#[test]
fn a_rule_that_is_not_there_is_an_error() {
    let (code, _, error) = citytap(&["rules", "check", "no-such-folder"]);
    assert!(code == 3 && error.contains("cannot read rules from no-such-folder"), "{code}: {error}");
    let (code, _, error) = citytap(&["rules", "show", "modbus-unit-scam"]);
    assert!(code == 2 && error.contains("Did you mean 'modbus-unit-scan'?"), "{code}: {error}");
}

#[test]
fn rules_are_listed_and_shown() {
    let (code, out, _) = citytap(&["rules", "list", "--format", "json"]);
    assert_eq!(code, 0);
    let rules: Value = serde_json::from_str(&out).expect("is JSON");
    let scan = rules.as_array().unwrap().iter().find(|rule| rule["name"] == "modbus-unit-scan").expect("is listed");
    assert_eq!((&scan["severity"], &scan["protocols"][0]), (&Value::from("medium"), &Value::from("modbus")));
    let (code, out, _) = citytap(&["rules", "show", "modbus-unit-scan"]);
    assert_eq!(code, 0);
    for words in [
        "says      {client} asked for {count} units",
        "counts    modbus-unit-missing",
        "fires on  modbus/scan_of_units (1 finding)",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[test]
fn a_store_answers_without_the_rules_that_it_was_made_with() {
    let rules = folder("store");
    fs::write(rules.join("good.yml"), GOOD).unwrap();
    let (path, store) = (rules.display().to_string(), rules.join("city").display().to_string());
    let (code, out, error) = citytap(&["replay", &capture("modbus/unknown_client_writes"), "--rules", &path, "--store", &store]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("was written to") && out.contains("Ask the control room."), "{out}");
    let (_, out, _) = citytap(&["actions", "--store", &store]);
    assert!(out.contains("was written to") && out.contains("Ask the control room."), "{out}");
    let (_, out, _) = citytap(&["findings", "--store", &store, "--check", "own-register-1"]);
    assert!(out.contains("own-register-1"), "{out}");
}

#[test]
fn a_configuration_changes_what_rules_and_checks_go_by() {
    let folder = folder("policy");
    let replay = |name: &str, check: &str| {
        let path = folder.join(format!("{name}.toml"));
        fs::write(&path, check).unwrap();
        let path = path.display().to_string();
        let (code, out, error) = citytap(&["replay", &capture("modbus/scan_of_units"), "--format", "json", "--config", &path]);
        assert_eq!(code, 0, "{error}");
        let found: Value = serde_json::from_str(&out).unwrap();
        let scans = found["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == "modbus-unit-scan");
        scans.map(|finding| finding["severity"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // The capture has 244 units that are not there, all within seconds.
    assert_eq!(replay("shipped", ""), ["medium"]);
    assert_eq!(replay("as_many", "[[check]]\nid = \"modbus-unit-scan\"\nat_least = 244\n"), ["medium"]);
    assert_eq!(replay("more", "[[check]]\nid = \"modbus-unit-scan\"\nat_least = 245\n"), [""; 0]);
    assert_eq!(replay("worse", "[[check]]\nid = \"modbus-unit-scan\"\nseverity = \"critical\"\n"), ["critical"]);
    assert_eq!(replay("off", "[[check]]\nid = \"modbus-unit-scan\"\noff = true\n"), [""; 0]);
}

#[test]
fn a_configuration_about_checks_that_do_not_exist_is_refused_with_its_line() {
    let path = folder("wrong_policy").join("citytap.toml");
    let text = "[[check]]\nid = \"modbus-unit-scam\"\noff = true\n\n[[check]]\nid = \"modbus-unit-scan\"\nat_lest = 3\n\n[[check]]\n\
        id = \"modbus-restart\"\nat_least = 3\n\n[[check]]\nid = \"modbus-function-scan\"\nwithin_s = 0\n";
    fs::write(&path, text).unwrap();
    let (code, _, error) = citytap(&["config", "--config", &path.display().to_string()]);
    assert_eq!(code, 2, "{error}");
    for told in [
        "citytap.toml:1: there is no check or rule 'modbus-unit-scam'. Did you mean 'modbus-unit-scan'?",
        "citytap.toml:5: 'modbus-unit-scan' does not go by 'at_lest'. Did you mean 'at_least'? Known are: at_least, within_s.",
        "citytap.toml:9: 'modbus-restart' goes by no number that could be set; it can be off, or have another severity",
        "citytap.toml:13: within_s of 'modbus-function-scan' is a whole number from 1 to 2678400",
    ] {
        assert!(error.contains(told), "{told}\n{error}");
    }
}

#[test]
fn a_filter_keeps_what_a_person_knows_to_be_harmless_out_of_a_rule_that_comes_with_the_program() {
    let rules = folder("filter");
    let filter = |selection: &str| {
        let text = format!(
            "title: The engineering station may\nlogsource:\n  product: citytap\n  service: modbus\nfilter:\n  rules:\n    - modbus-listen-only\n  \
            selection:\n    {selection}\n  condition: not selection\n"
        );
        fs::write(rules.join("filter.yml"), text).unwrap();
    };
    let path = rules.display().to_string();
    let matches = || {
        let (code, out, error) =
            citytap(&["rules", "test", &capture("modbus/listen_only_mode"), "--rules", &path, "--rule", "modbus-listen-only"]);
        assert_eq!(code, 0, "{error}");
        out
    };
    filter("flow.client_ip: 10.0.0.1");
    assert!(matches().contains("modbus-listen-only: 1 match"), "{}", matches());
    filter("flow.client_ip|cidr: 10.10.0.0/16");
    assert!(!matches().contains("modbus-listen-only: 1 match"), "{}", matches());
    let (_, out, _) = citytap(&["rules", "show", "modbus-listen-only", "--rules", &path]);
    assert!(out.contains("less      The engineering station may"), "{out}");
    let (code, out, _) = citytap(&["rules", "check", &path]);
    assert_eq!((code, out.as_str()), (0, "0 rules and 1 filter without a problem\n"));
}

#[test]
fn rules_see_what_a_key_makes_readable_and_find_it_on_the_device() {
    let folder = folder("derived");
    let rule = "title: Payload in the clear\nname: own-payload\nlevel: low\nlogsource:\n  product: citytap\n  service: lorawan\ndetection:\n  \
        selection:\n    record: lorawan.application_payload\n    lorawan.f_cnt|gte: 1\n  condition: selection\ncitytap:\n  subject: dev_eui\n  \
        finding: port {lorawan.f_port}\n";
    fs::write(folder.join("rule.yml"), rule).unwrap();
    let found = |decrypt: &str| {
        fs::write(folder.join("citytap.toml"), format!("[payloads]\ndecrypt = {decrypt}\n")).unwrap();
        let [rules, config] = ["rule.yml", "citytap.toml"].map(|name| folder.join(name).display().to_string());
        let (code, out, error) =
            citytap(&["replay", &capture("lorawan/loratap_v0"), "--format", "json", "--config", &config, "--rules", &rules]);
        assert_eq!(code, 0, "{error}");
        let report: Value = serde_json::from_str(&out).unwrap();
        let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == "own-payload");
        findings.map(|finding| format!("{} {}", finding["subject"].as_str().unwrap(), finding["count"])).collect::<Vec<_>>()
    };
    assert_eq!(found("false"), [""; 0]);
    assert_eq!(found("true"), ["dev_eui:24e124136b270000 2"]);
}
