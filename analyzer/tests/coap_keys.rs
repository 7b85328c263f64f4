//! Known keys of CoAP, from capture to finding: what each recorded case must show, and that no key is told.

mod common;

use common::{capture, citytap};

/// Case, and for each check that must answer: its title on the screen, and the answer.
const CASES: &[(&str, &[&str])] = &[
    ("oscore_rfc8613_vector", &["OSCORE master secrets: 2 found [proved]"]),
    ("oscore_rfc8613_vector_with_context", &["OSCORE master secrets: 2 found [proved]"]),
    ("oscore_unlisted", &["OSCORE master secrets: 2 tested and clear", "nothing was found"]),
    (
        "dtls_psk_plain_suite",
        &["DTLS pre-shared keys: 1 found [proved]", "pre-shared key identities: 1 tested and clear", "uses a published DTLS"],
    ),
    ("dtls_psk_other_suites", &["DTLS pre-shared keys: 1 found [proved]", "pre-shared key identities: 1 tested and clear"]),
    ("dtls_psk_known_identity", &["DTLS pre-shared keys: 1 could not test", "pre-shared key identities: 1 found [possible]"]),
    ("dtls_psk_refused", &["DTLS pre-shared keys: 1 could not test", "pre-shared key identities: 1 found [possible]"]),
    (
        "dtls_psk_unlisted",
        &["DTLS pre-shared keys: 1 could not test", "pre-shared key identities: 1 tested and clear", "nothing was found"],
    ),
];

/// Keys of the cases, as text and as hex: they are public, and still not to be told.
const KEYS: &[&str] = &[
    "secretPSK",
    "73656372657450534b",
    "000102030405060708090a0b0c0d0e0f",
    "0102030405060708090a0b0c0d0e0f10",
    "9e7ca92223786340",
];

#[test]
fn recorded_cases_show_what_they_were_recorded_for() {
    for (case, wanted) in CASES {
        let capture = capture(&format!("coap/{case}"));
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("out").display().to_string();
        let output = citytap(&["replay", &capture, "--out", &out]);
        let screen = String::from_utf8(output.stdout).expect("prints UTF-8");
        for line in *wanted {
            assert!(screen.contains(line), "{case}: no '{line}' in\n{screen}");
        }
        let files = ["findings.jsonl", "actions.jsonl", "devices.jsonl"];
        let told = files.map(|file| std::fs::read_to_string(folder.path().join("out").join(file)).unwrap_or_default()).concat();
        assert!(told.contains("\"10.30.0.10") || told.contains("ip:10.30.0.10"), "{case}: {told}");
        for key in KEYS {
            assert!(!screen.contains(key) && !told.contains(key), "{case} tells {key}");
        }
    }
}
