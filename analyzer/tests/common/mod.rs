//! Running the program on the bundled captures.
#![allow(dead_code, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn pcaps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps")
}

pub fn capture(case: &str) -> String {
    let folder = pcaps().join(case);
    let names = ["capture.pcap", "capture.pcapng", "capture.pcap.zst"];
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no capture in {}", folder.display())).display().to_string()
}

pub fn city() -> String {
    capture("city/six_hours")
}

pub fn citytap(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_citytap"));
    command.args(arguments).env_remove("CITYTAP_STORE").output().expect("citytap starts")
}

/// Standard output of a run that ends with 0.
pub fn done(arguments: &[&str]) -> String {
    let output = citytap(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("prints UTF-8")
}

/// Exit code and standard error of a run that does not.
pub fn refused(arguments: &[&str]) -> (i32, String) {
    let output = citytap(arguments);
    let code = output.status.code().unwrap_or(-1);
    assert_ne!(code, 0, "{arguments:?}");
    (code, String::from_utf8(output.stderr).expect("prints UTF-8"))
}

pub fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&done(arguments)).expect("prints JSON")
}
