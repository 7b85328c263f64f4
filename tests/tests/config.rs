//! The configuration from outside: every message for what a person writes wrong, a replay that keys change, and that no key comes out.

use citytap_sensor::capture::CaptureSource;
use citytap_tests::cases::{cases, root};
use citytap_tests::golden;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs in a folder; paths in messages are then the same everywhere.
fn citytap(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_citytap-under-test"));
    command.arg0("citytap").args(arguments).current_dir(folder).stdin(Stdio::null()).env_remove("CITYTAP_STORE");
    let output = command.output().expect("the program starts");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{arguments:?}");
    output
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = citytap(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("config").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for files");
    folder
}

/// A file that only its owner can read.
fn file(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file for the test");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
}

fn capture(name: &str) -> String {
    let case = cases().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"));
    case.capture.to_str().expect("UTF-8").to_owned()
}

/// The facts of a case.
fn facts(name: &str) -> toml::Table {
    let text = fs::read_to_string(root().join("pcaps").join(name).join("case.toml")).expect("a case");
    let case: toml::Table = text.parse().expect("TOML");
    case["facts"].as_table().expect("facts").clone()
}

/// Configurations that are wrong, one after the other; `== keys` begins the key file that goes with one.
const WRONG: &str = include_str!("../goldens/config_wrong.txt");

#[test]
fn what_is_wrong_is_told_with_place_and_remedy() {
    let folder = folder("wrong");
    let mut told = String::from("# What `citytap config` says of each entry of config_wrong.txt.\n");
    for entry in WRONG.split("\n== ").skip(1) {
        let (title, text) = entry.split_once('\n').expect("a title");
        let (config, keys) = text.split_once("-- keys.toml\n").map_or((text, None), |(config, keys)| (config, Some(keys)));
        let _ = fs::remove_file(folder.join("keys.toml"));
        file(&folder, "citytap.toml", config);
        keys.iter().for_each(|keys| file(&folder, "keys.toml", keys));
        let output = citytap(&folder, &["config", "--config", "citytap.toml"]);
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{title}: nothing is half applied\n{error}");
        assert!(!error.contains("0123456789abcdef0123456789abcdef"), "{title}: a key is quoted\n{error}");
        let _ = write!(told, "\n{title}\n{error}");
    }
    golden::settle(golden::check(&root().join("tests/goldens/config_messages.txt"), &told).err().into_iter().collect());
}

#[test]
fn a_configuration_that_is_not_there_or_is_no_text() {
    let folder = folder("absent");
    for command in [&["config"][..], &["replay", "x.pcap"], &["decode", "x.pcap"]] {
        let output = citytap(&folder, &[command, &["--config", "absent.toml"]].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(2) && error.contains("absent.toml: the configuration cannot be read: there is no"),
            "{error}"
        );
    }
    fs::write(folder.join("bytes.toml"), [0xff, 0xfe]).expect("a file");
    let output = citytap(&folder, &["config", "--config", "bytes.toml"]);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("bytes.toml: the configuration cannot be read: it is not text in UTF-8")
    );
}

#[test]
fn the_defaults_are_a_first_file() {
    let folder = folder("defaults");
    let printed = done(&folder, &["config"]);
    file(&folder, "citytap.toml", &printed);
    let again = done(&folder, &["config", "--config", "citytap.toml"]);
    assert!(again.contains("flows = 1048576  # citytap.toml:"), "{again}");
    let capture = capture("modbus/every_public_function");
    let plain = done(&folder, &["replay", &capture, "--format", "json"]);
    let configured = done(&folder, &["replay", &capture, "--format", "json", "--config", "citytap.toml"]);
    assert_eq!(plain, configured, "the same settings are the same configuration");
    golden::settle(golden::check(&root().join("tests/goldens/config_defaults.toml"), &printed).err().into_iter().collect());
}

/// Keys of every device of a case, and whether payloads are decrypted.
fn configure(folder: &Path, name: &str, decrypt: bool) -> Vec<String> {
    let facts = facts(name);
    let (mut keys, mut secrets) = (String::new(), Vec::new());
    let devices = facts.get("devices").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    for device in devices.iter().chain(facts.get("device")) {
        let _ = writeln!(keys, "[device.{}]", device["dev_eui"].as_str().expect("a DevEUI"));
        for key in ["app_key", "nwk_key"] {
            if let Some(value) = device.get(key).and_then(toml::Value::as_str) {
                let _ = writeln!(keys, "{key} = \"{value}\"");
            }
        }
        let values = device.as_table().expect("a table").iter().filter(|(name, _)| name.to_lowercase().ends_with("key"));
        secrets.extend(values.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
    }
    for session in facts.get("sessions").and_then(toml::Value::as_array).into_iter().flatten() {
        let field = |name: &str| session[name].as_str().expect("text").to_owned();
        let (nwk, app) = (field("nwk_s_key"), field("app_s_key"));
        let _ = writeln!(keys, "[session.{}]\nnwk_s_key = \"{nwk}\"\napp_s_key = \"{app}\"", field("dev_addr"));
        secrets.extend([nwk, app]);
    }
    file(folder, "keys.toml", &keys);
    let text = format!(
        "[keys]\nfile = \"keys.toml\"\n[payloads]\ndecrypt = {decrypt}\n[audit]\ntrials_per_device = 0\ntrials_per_day = 0\n"
    );
    file(folder, "citytap.toml", &text);
    secrets
}

fn replayed(folder: &Path, arguments: &[&str]) -> Value {
    let text = done(folder, &[&["replay", "--format", "json"], arguments].concat());
    serde_json::from_str(&text).expect("JSON")
}

fn answers(replayed: &Value, check: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let checks = replayed["checks"].as_array().expect("checks").iter().filter(|answer| answer["check"] == check);
    checks.map(|answer| (text(&answer["outcome"]), text(&answer["reason"]))).collect()
}

#[test]
fn keys_of_the_owner_change_the_answers() {
    let (folder, capture) = (folder("keys"), capture("lorawan/unlisted_keys"));
    configure(&folder, "lorawan/unlisted_keys", false);
    let with = replayed(&folder, &[&capture, "--config", "citytap.toml"]);
    file(&folder, "poor.toml", "[audit]\ntrials_per_device = 0\ntrials_per_day = 0\n");
    let without = replayed(&folder, &[&capture, "--config", "poor.toml"]);
    let before = answers(&without, "lorawan-known-key");
    let of_budget = before.iter().filter(|(_, why)| why.starts_with("budget"));
    assert!(of_budget.count() == 4 && before.iter().all(|(outcome, _)| outcome == "untested"), "{before:?}");
    let now = answers(&with, "lorawan-known-key");
    assert!(
        now.len() == 4 && now.iter().all(|(outcome, on)| outcome == "clear" && on.starts_with("the configured key makes")),
        "{now:?}"
    );
    let keys = &with["coverage"]["keys"];
    assert_eq!((&keys["configured_keys_right"], &keys["frames_right"]), (&4.into(), &16.into()), "{keys}");
    assert_eq!(with["coverage"]["records"]["lorawan.join_accept_decrypted"], 8, "{}", with["coverage"]["records"]);
    assert!(keys.get("payloads_read").is_none() && with["coverage"]["records"].get("lorawan.application_payload").is_none());
    assert_ne!(with["manifest"]["configuration"]["sha256"], without["manifest"]["configuration"]["sha256"]);
    assert!(
        with["devices"].as_array().map(Vec::len) < without["devices"].as_array().map(Vec::len),
        "sessions are known to their devices"
    );
}

#[test]
fn fixed_session_keys_of_the_owner() {
    let (folder, capture) = (folder("sessions"), capture("lorawan/abp_sessions"));
    configure(&folder, "lorawan/abp_sessions", false);
    let now = answers(&replayed(&folder, &[&capture, "--config", "citytap.toml"]), "lorawan-known-session-key");
    let mut outcomes: Vec<&str> = now.iter().map(|(outcome, _)| outcome.as_str()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["clear", "found"], "{now:?}");
    assert!(now.iter().all(|(_, why)| why.contains("the configured key")), "{now:?}");
}

#[test]
fn what_is_decrypted_is_counted_by_replay_and_printed_by_decode() {
    let (folder, capture) = (folder("decrypt"), capture("lorawan/application_packages"));
    configure(&folder, "lorawan/application_packages", true);
    let records = &replayed(&folder, &[&capture, "--config", "citytap.toml"])["coverage"]["records"];
    let lines = done(&folder, &["decode", &capture, "--config", "citytap.toml"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let derived: Vec<&Value> = lines.iter().filter(|line| line["derived"] == true).collect();
    let count = |kind: &str| derived.iter().filter(|line| line["record"] == kind).count();
    assert_eq!((count("lorawan.join_accept_decrypted"), count("lorawan.package_message")), (1, 28), "{derived:?}");
    assert_eq!(records["lorawan.package_message"], 28, "{records}");
    let packages: std::collections::BTreeSet<&str> =
        derived.iter().filter_map(|line| line["lorawan"]["package"].as_str()).collect();
    assert_eq!(packages.len(), 4, "{packages:?}");
    let frames: Vec<u64> = lines.iter().filter_map(|line| line["frame"].as_u64()).collect();
    assert!(frames.is_sorted(), "a line about a frame stands where the frame does, its epoch permitting");

    let (folder, capture) = (self::folder("commands"), self::capture("lorawan/mac_commands"));
    configure(&folder, "lorawan/mac_commands", true);
    let lines = done(&folder, &["decode", &capture, "--config", "citytap.toml", "--protocol", "lorawan", "--threads", "2"]);
    assert_eq!(lines, done(&folder, &["decode", &capture, "--config", "citytap.toml", "--protocol", "lorawan"]));
    assert_eq!(lines.matches("\"record\":\"lorawan.mac_commands\"").count(), 2, "one up and one down on port 0");
    assert!(lines.contains("DutyCycleReq") && lines.contains("\"record\":\"lorawan.application_payload\""), "{lines}");
    let lines = done(&folder, &["decode", &capture, "--config", "citytap.toml", "--protocol", "arp"]);
    assert!(!lines.contains("derived"));
}

#[test]
fn the_same_capture_and_configuration_are_the_same_bytes() {
    let (folder, capture) = (folder("same"), capture("lorawan/version_1_1"));
    configure(&folder, "lorawan/version_1_1", true);
    let run = |threads: &str| {
        let out = format!("out{threads}");
        let printed = done(&folder, &["replay", &capture, "--config", "citytap.toml", "--threads", threads, "--out", &out]);
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder.join(out)).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
        files.sort();
        let files: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).expect("a file")).collect();
        (printed, files)
    };
    let (one, three) = (run("1"), run("3"));
    assert!(one == three && one.1.len() == 7);
    assert!(one.0.contains("keys      1 of your keys in use"), "{}", one.0);
}

#[test]
fn no_key_of_the_owner_comes_out() {
    for name in ["lorawan/unlisted_keys", "lorawan/application_packages", "lorawan/abp_sessions", "lorawan/version_1_1"] {
        let (folder, capture) = (folder(&format!("secret_{}", name.replace('/', "_"))), capture(name));
        let secrets = configure(&folder, name, true);
        assert!(secrets.len() >= 3, "{name}");
        let config = ["--config", "citytap.toml"];
        let mut outputs = Vec::new();
        for arguments in [
            &["replay", &capture, "--out", "out", "--store", "store", "--write-expect", "expect.toml", "--timings"][..],
            &["replay", &capture, "--format", "json"],
            &["decode", &capture],
            &["config"],
        ] {
            let output = citytap(&folder, &[arguments, &config].concat());
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            outputs.push((format!("{arguments:?}"), [output.stdout, output.stderr].concat()));
        }
        for arguments in [
            &["devices", "--format", "json"][..],
            &["findings", "--format", "json"],
            &["export", "inventory", "--format", "json"],
        ] {
            outputs.push((format!("{arguments:?}"), citytap(&folder, &[arguments, &["--store", "store"]].concat()).stdout));
        }
        // A key that is wrong by a digit is told without its text.
        let keys = fs::read_to_string(folder.join("keys.toml")).expect("keys");
        fs::rename(folder.join("keys.toml"), folder.join("kept")).expect("renamed");
        file(&folder, "keys.toml", &keys.replace("\"\n", "0\"\n"));
        let refused = citytap(&folder, &["config", "--config", "citytap.toml"]);
        assert_eq!(refused.status.code(), Some(2));
        outputs.push(("a wrong key file".into(), refused.stderr));
        fs::remove_file(folder.join("keys.toml")).expect("removed");
        fs::remove_file(folder.join("kept")).expect("removed");
        for path in citytap_tests::cases::walk(&folder) {
            outputs.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
        for (what, bytes) in &outputs {
            for secret in &secrets {
                for form in forms(secret) {
                    assert!(!bytes.windows(form.len()).any(|window| window == form), "{name}: a key in {what}");
                }
            }
        }
    }
}

/// A key in hexadecimal, as bytes, and as numbers.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bytes: Vec<u8> =
        (0..secret.len()).step_by(2).map(|at| u8::from_str_radix(&secret[at..at + 2], 16).expect("hex")).collect();
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    vec![
        secret.to_lowercase().into_bytes(),
        secret.to_uppercase().into_bytes(),
        numbers.join(",").into_bytes(),
        numbers.join(", ").into_bytes(),
        bytes,
    ]
}

#[test]
fn networks_and_prefixes_are_applied() {
    let (folder, capture) = (folder("networks"), capture("net/vlan_and_qinq"));
    let plain = done(&folder, &["decode", &capture]);
    let vlan = plain
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["flow"]["vlan"].as_u64())
        .next()
        .expect("a VLAN");
    file(&folder, "citytap.toml", &format!("[[network]]\nid = 7\nname = \"lamps\"\nvlan = {vlan}\n"));
    let lines = done(&folder, &["decode", &capture, "--config", "citytap.toml"]);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let wanted = if line["flow"]["vlan"] == vlan { 7 } else { 0 };
        assert_eq!(line["flow"]["network"].as_u64().unwrap_or(0), wanted, "{line}");
    }
    let replayed = replayed(&folder, &[&capture, "--config", "citytap.toml"]);
    assert_eq!(replayed["manifest"]["configuration"]["networks"]["7"], "lamps");
    assert!(replayed["devices"].as_array().expect("devices").iter().any(|device| device["network"] == 7));

    file(&folder, "site.toml", "[site]\nname = \"harbour\"\nprefixes = [\"192.0.2.0/24\"]\n");
    let foreign = self::replayed(&folder, &[&capture, "--config", "site.toml"]);
    assert_eq!(foreign["manifest"]["site"], "harbour");
    assert!(
        foreign["devices"].as_array().map(Vec::len) < replayed["devices"].as_array().map(Vec::len),
        "addresses of others are no devices"
    );
}

#[test]
fn interfaces_tell_networks_apart() {
    let (folder, capture) = (folder("interfaces"), capture("net/pcapng_two_interfaces"));
    let names = facts("net/pcapng_two_interfaces");
    file(&folder, "citytap.toml", &format!("[[network]]\nid = 3\ninterface = {}\n", names["interfaces"][0]));
    for threads in ["1", "3"] {
        let lines = done(&folder, &["decode", &capture, "--config", "citytap.toml", "--threads", threads]);
        let networks: std::collections::BTreeSet<u64> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["flow"]["network"].as_u64().unwrap_or(0))
            .collect();
        assert_eq!(networks.into_iter().collect::<Vec<_>>(), [0, 3]);
    }
}

/// The packets of a capture, each outer IPv4 datagram cut in two.
fn in_fragments(capture: &str) -> Vec<u8> {
    // A pcap of Ethernet frames with microseconds: magic, version 2.4, no zone, snap length, link type.
    let mut pcap = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        pcap.extend_from_slice(&word.to_le_bytes());
    }
    let mut source = citytap_sensor::capture::open(Path::new(capture)).expect("a capture");
    let mut second = 1_700_000_000_u32;
    while let Some(packet) = source.next().expect("a packet") {
        second += 1;
        let mut write = |frame: &[u8]| {
            let length = u32::try_from(frame.len()).expect("a short frame");
            for word in [second, 0, length, length] {
                pcap.extend_from_slice(&word.to_le_bytes());
            }
            pcap.extend_from_slice(frame);
        };
        let frame = packet.bytes;
        // IPv4 without options that carries UDP; else the frame is left whole.
        if frame.len() < 34 + 48 || frame[12..15] != [0x08, 0x00, 0x45] || frame[23] != 17 {
            write(frame);
            continue;
        }
        let (head, data) = frame.split_at(34);
        for (part, flags) in [(&data[..32], [0x20, 0]), (&data[32..], [0, 4])] {
            let mut cut = [head, part].concat();
            cut[16..18].copy_from_slice(&(20_u16 + part.len() as u16).to_be_bytes());
            cut[18..20].copy_from_slice(&(second as u16).to_be_bytes());
            cut[20..22].copy_from_slice(&flags);
            write(&cut);
        }
    }
    pcap
}

#[test]
fn a_tunnel_in_fragments_belongs_to_its_network() {
    let (folder, capture) = (folder("fragments"), capture("net/vxlan"));
    fs::write(folder.join("cut.pcap"), in_fragments(&capture)).expect("a capture");
    file(&folder, "citytap.toml", &format!("[[network]]\nid = 9\ntunnel = {}\n", facts("net/vxlan")["vni"]));
    for threads in ["1", "2"] {
        let config = ["--protocol", "modbus", "--config", "citytap.toml", "--threads", threads];
        let whole = done(&folder, &[&["decode", &capture], &config[..]].concat());
        let cut = done(&folder, &[&["decode", "cut.pcap"], &config[..]].concat());
        assert!(cut.lines().count() > 10 && cut.lines().count() == whole.lines().count(), "{cut}");
        assert!(whole.lines().chain(cut.lines()).all(|line| line.contains("\"network\":9")), "{cut}");
    }
}

#[test]
fn a_site_that_is_not_the_stores_is_told_by_its_line() {
    let (folder, capture) = (folder("site"), capture("modbus/every_public_function"));
    file(&folder, "citytap.toml", "[site]\nname = \"harbour\"\n");
    done(&folder, &["replay", &capture, "--store", "store", "--config", "citytap.toml"]);
    file(&folder, "other.toml", "\n[site]\nname = \"airport\"\n");
    let output = citytap(&folder, &["replay", &capture, "--store", "store", "--again", "--config", "other.toml"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert_eq!(
        error,
        "citytap: other.toml:3: the site is 'airport', and the store store is about the site 'harbour'; change the name, or use a store of that site\n"
    );
    done(&folder, &["replay", &capture, "--store", "store", "--again", "--config", "other.toml", "--site", "harbour"]);
}
