//! The command line from outside: what a person types wrong, damaged files, pipes; exit codes and the words of the messages.

use citytap_tests::cases::{cases, root};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const DONE: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const UNREADABLE: i32 = 3;

fn citytap(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_citytap-under-test"));
    command.arg0("citytap").args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs and expects an exit code, and words on standard error.
fn check(arguments: &[&str], code: i32, words: &[&str]) -> Output {
    let output = citytap(arguments).output().expect("the program starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "citytap {arguments:?}\n{error}");
    for word in words {
        assert!(error.contains(word), "citytap {arguments:?} does not say '{word}':\n{error}");
    }
    assert!(!error.contains("panicked"), "{error}");
    output
}

fn capture(name: &str) -> PathBuf {
    cases().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}")).capture
}

fn modbus() -> PathBuf {
    capture("modbus/every_public_function")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A file of this test's own.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli");
    fs::create_dir_all(&folder).expect("a folder for files");
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file for the test");
    path
}

/// `decode` and `replay` alike.
const COMMANDS: &[&str] = &["decode", "replay"];

#[test]
fn no_arguments() {
    check(&[], USAGE, &["Usage", "decode", "replay"]);
    COMMANDS.iter().for_each(|command| drop(check(&[command], USAGE, &["required", "CAPTURE"])));
}

#[test]
fn unknown_command() {
    check(&["reply", "x.pcap"], USAGE, &["reply", "replay"]);
}

#[test]
fn unknown_flag() {
    check(&["replay", "x.pcap", "--thread", "2"], USAGE, &["--thread", "--threads"]);
    check(&["replay", "x.pcap", "--threads", "two"], USAGE, &["two", "--threads", "give a number"]);
    COMMANDS.iter().for_each(|command| {
        drop(check(&[command, "x.pcap", "--threads", "0"], USAGE, &["--threads", "at least 1 thread"]));
    });
    check(&["replay", "x.pcap", "--fail-on", "bad"], USAGE, &["bad", "critical"]);
}

#[test]
fn help_has_examples() {
    for command in COMMANDS {
        let output = check(&[command, "--help"], DONE, &[]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("Examples:"), "{command}");
    }
}

#[test]
fn version() {
    let output = check(&["--version"], DONE, &[]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("citytap 0."));
}

#[test]
fn unknown_protocol() {
    check(&["decode", text(&modbus()), "--protocol", "modbuss"], USAGE, &["modbuss", "Known are", "modbus"]);
}

#[test]
fn missing_file() {
    COMMANDS
        .iter()
        .for_each(|command| drop(check(&[command, "not/there.pcap"], UNREADABLE, &["not/there.pcap", "Check the name"])));
}

#[test]
fn folder() {
    COMMANDS.iter().for_each(|command| drop(check(&[command, "pcaps"], UNREADABLE, &["pcaps", "folder"])));
}

#[test]
fn empty_file() {
    let path = file("empty.pcap", b"");
    COMMANDS.iter().for_each(|command| drop(check(&[command, text(&path)], UNREADABLE, &["empty.pcap", "is empty"])));
}

#[test]
fn text_file() {
    let path = file("notes.txt", b"These are my notes of Monday.\n");
    COMMANDS.iter().for_each(|command| drop(check(&[command, text(&path)], UNREADABLE, &["notes.txt", "not a pcap"])));
}

#[test]
fn truncated_capture() {
    let whole = fs::read(modbus()).expect("a readable capture");
    let path = file("cut.pcap", &whole[..whole.len() - 7]);
    for command in COMMANDS {
        let output = check(&[command, text(&path)], DONE, &["cut.pcap", "at byte", "packets before this place were used"]);
        assert!(!output.stdout.is_empty(), "what came before the damage is used");
    }
}

#[test]
fn corrupt_compression() {
    let mut packed = fs::read(capture("city/six_hours")).expect("a readable capture");
    let middle = packed.len() / 2;
    packed[middle..middle + 64].fill(0xff);
    let path = file("corrupt.pcap.zst", &packed);
    check(&["decode", text(&path)], DONE, &["corrupt.pcap.zst", "zstd"]);
}

#[test]
fn one_good_and_one_missing() {
    let output = check(&["decode", text(&modbus()), "not/there.pcap"], DONE, &["not/there.pcap"]);
    assert!(!output.stdout.is_empty());
}

#[test]
fn standard_input() {
    let whole = fs::read(modbus()).expect("a readable capture");
    let from_file = check(&["decode", text(&modbus())], DONE, &[]).stdout;
    let mut child = citytap(&["decode", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || input.write_all(&whole));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the writer ends").expect("the program reads all");
    assert!(output.status.success() && output.stdout == from_file);
}

#[test]
fn empty_standard_input() {
    check(&["decode", "-"], UNREADABLE, &["is empty"]);
}

#[test]
fn reader_that_stops_early() {
    for arguments in [["decode"], ["replay"]] {
        let city = capture("city/six_hours");
        let mut child = citytap(&[arguments[0], text(&city)])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut first = [0; 16];
        child.stdout.take().expect("a pipe").read_exact(&mut first).expect("sixteen bytes");
        let output = child.wait_with_output().expect("the program ends");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(DONE) && error.is_empty(), "{arguments:?}: {:?} {error}", output.status);
    }
}

#[test]
fn full_disk() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full");
    for command in COMMANDS {
        let output = citytap(&[command, text(&modbus())]).stdout(full()).output().expect("the program starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(UNREADABLE) && error.contains("cannot write"), "{command}: {error}");
    }
}

#[test]
fn lines_are_json() {
    let output = check(&["decode", text(&modbus()), "--protocol", "modbus"], DONE, &[]);
    let mut lines = 0;
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(value["frame"].is_u64() && value["protocol"] == "modbus" && value["flow"]["client"].is_string(), "{line}");
        lines += 1;
    }
    assert!(lines > 70);
}

#[test]
fn any_number_of_threads() {
    let city = capture("city/six_hours");
    for arguments in [vec!["decode"], vec!["replay"], vec!["replay", "--format", "json"]] {
        let run = |threads: &str| {
            let arguments = [&arguments[..], &[text(&city), "--threads", threads]].concat();
            check(&arguments, DONE, &[]).stdout
        };
        let one = run("1");
        assert!(one.len() > 300 && one == run("2") && one == run("3"), "{arguments:?} differs with the number of threads");
    }
}

#[test]
fn more_threads_than_there_is_work_for() {
    for command in COMMANDS {
        let run = |threads: &str| check(&[command, text(&modbus()), "--threads", threads], DONE, &[]).stdout;
        assert_eq!(run("1"), run("1000"), "{command}");
    }
}

/// A pcap file of this link type with so many packets of a few bytes.
fn pcap(link_type: u8, packets: u8) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, link_type, 0, 0, 0];
    for number in 0..packets {
        bytes.extend([number, 0, 0, 0x60, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0]);
        bytes.extend([0; 8]);
    }
    bytes
}

#[test]
fn nothing_read_is_not_nothing_found() {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli").join("radiotap.out");
    let shown = |name: &str, bytes: &[u8]| {
        let path = file(name, bytes);
        let output = check(&["replay", text(&path), "--out", text(&out)], DONE, &[]);
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let radiotap = shown("radiotap.pcap", &pcap(127, 3));
    assert!(radiotap.contains("3 packets of link type 127, which is not decoded"), "{radiotap}");
    assert!(radiotap.contains("ACT  nothing was tested: no message could be read."), "{radiotap}");
    let coverage = fs::read_to_string(out.join("coverage.json")).expect("a written file");
    let coverage: serde_json::Value = serde_json::from_str(&coverage).expect("JSON");
    assert_eq!(coverage["undecoded_link_types"]["127"], 3);
    let one = shown("one.pcap", &pcap(105, 1));
    assert!(one.contains("read      1 packet,") && one.contains("1 packet of link type 105, which is not decoded"), "{one}");
    let none = shown("none.pcap", &pcap(1, 0));
    assert!(none.contains("read      0 packets") && none.contains("ACT  nothing was tested: no packet was read."), "{none}");
}

#[test]
fn gateways_are_listed_by_their_eui() {
    let store = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli").join("gateways");
    let _ = fs::remove_dir_all(&store);
    check(&["replay", text(&capture("lorawan/one_device_three_gateways")), "--store", text(&store)], DONE, &[]);
    let listed = String::from_utf8(check(&["devices", "--store", text(&store)], DONE, &[]).stdout).expect("UTF-8");
    assert!(listed.contains(" 7076ff0056060001 ") && !listed.contains("gateway_eui:"), "{listed}");
    assert!(listed.contains("5 devices"), "a gateway is the device at its address:\n{listed}");
}

#[test]
fn fail_on() {
    check(&["replay", text(&capture("city/six_hours")), "--fail-on", "high"], FAILED, &["--fail-on"]);
}

#[test]
fn written_expectations_hold() {
    let city = capture("city/six_hours");
    let path = file("expect.toml", b"");
    fs::remove_file(&path).expect("just written");
    check(&["replay", text(&city), "--write-expect", text(&path)], DONE, &[]);
    check(&["replay", text(&city), "--expect", text(&path)], DONE, &[]);
    check(&["replay", text(&modbus()), "--expect", text(&path)], FAILED, &["expect.toml"]);
    check(&["replay", text(&city), "--expect", "not/there.toml"], USAGE, &["not/there.toml"]);
}
