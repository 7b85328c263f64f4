//! The bundled city holds what its case says: classes, proved keys, and no device merged with another.

use std::path::Path;
use std::process::Command;

fn case() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps/city/six_hours")
}

fn replay(expectations: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_citytap"));
    command.arg("replay").arg(case().join("capture.pcap.zst")).arg("--expect").arg(expectations);
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_city_is_as_its_case_says() {
    assert_eq!(replay(&case().join("expect.toml")), (Some(0), String::new()));
}

#[test]
fn a_wrong_expectation_names_its_line_and_ends_with_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("expect.toml");
    std::fs::write(&path, "[counts]\npackets = 1\n\n[[finding]]\ncheck = \"anonymous-accepted\"\nabsent = true\n").unwrap();
    let (code, error) = replay(&path);
    assert_eq!(code, Some(1));
    assert!(error.contains("expect.toml:2: packets is 12171, expected 1."), "{error}");
    assert!(error.contains("expect.toml:4: anonymous-accepted must not be found but is, 1 time (packets 91,"), "{error}");
}
