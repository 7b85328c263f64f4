//! A secret's value reaches no byte of the store, of --out, of standard output or standard error, in no usual form (DESIGN, invariant 9).

mod common;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use common::{citytap, pcaps};
use std::path::{Path, PathBuf};

/// A case with the values that must not come out.
struct Case {
    folder: PathBuf,
    captures: Vec<String>,
    secrets: Vec<String>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let folders = |path: &Path| -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.retain(|path| path.is_dir());
        folders.sort();
        folders
    };
    for folder in folders(&pcaps()).iter().flat_map(|group| folders(group)) {
        let Ok(text) = std::fs::read_to_string(folder.join("case.toml")) else { continue };
        let case: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut secrets = Vec::new();
        // Lists of secrets stand at the top or among the facts.
        let tables = [Some(&case), case.get("facts").and_then(toml::Value::as_table)];
        for (name, value) in tables.into_iter().flatten().flatten() {
            if name.starts_with("secrets_") || name.starts_with("unlisted_secrets") {
                let list = value.as_array().unwrap_or_else(|| panic!("{}: {name} is no list", folder.display()));
                secrets.extend(list.iter().map(|secret| secret.as_str().unwrap().to_owned()));
            }
        }
        if !secrets.is_empty() {
            let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let captures = files.filter(|path| path.to_string_lossy().contains(".pcap")).map(|path| path.display().to_string());
            let captures = captures.collect();
            cases.push(Case { folder, captures, secrets });
        }
    }
    cases
}

/// The forms in which a value could come out: as it is, as hex, as base64 at each of the three alignments, percent-encoded, escaped, reversed.
fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = secret.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    let numbers = bytes.iter().map(u8::to_string).collect::<Vec<_>>();
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("hex", hex.clone().into_bytes()),
        ("upper hex", hex.to_uppercase().into_bytes()),
        ("percent", percent.into_bytes()),
        ("JSON numbers", numbers.join(",").into_bytes()),
        ("Debug numbers", numbers.join(", ").into_bytes()),
        ("UTF-16", bytes.iter().flat_map(|byte| [*byte, 0]).collect()),
    ];
    for shift in 0..3 {
        let shifted = [&[0; 3][..shift], bytes].concat();
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            let text = engine.encode(&shifted);
            // The characters that depend on what stands before and after.
            let start = (shift * 8).div_ceil(6);
            let end = shifted.len() * 8 / 6;
            forms.push((name, text.as_bytes()[start..end].to_vec()));
        }
    }
    forms
}

fn search(what: &str, bytes: &[u8], case: &Case) -> Vec<String> {
    let mut found = Vec::new();
    for secret in &case.secrets {
        for (form, needle) in forms(secret) {
            if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
                let around = &bytes[at.saturating_sub(60)..(at + needle.len() + 20).min(bytes.len())];
                found.push(format!(
                    "{}: {secret} as {form} in {what}: …{}…",
                    case.folder.display(),
                    String::from_utf8_lossy(around).replace('\n', " ")
                ));
            }
        }
    }
    found
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

#[test]
fn no_secret_comes_out_in_any_form() {
    let cases = cases();
    assert!(cases.len() >= 7, "the captures with secrets are there");
    let mut found = Vec::new();
    for case in &cases {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (store, out, expect) = (path("store"), path("out"), path("expect.toml"));
        for capture in &case.captures {
            for arguments in [
                &["replay", capture, "--store", &store, "--out", &out, "--write-expect", &expect][..],
                &["replay", capture, "--format", "json"],
                &["replay", capture, "--expect", &expect],
                &["decode", capture],
            ] {
                let output = citytap(arguments);
                for (stream, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
                    found.extend(search(&format!("{stream} of {} {}", arguments[0], arguments[1]), &bytes, case));
                }
            }
        }
        let devices = citytap(&["devices", "--store", &store, "--format", "json", "--provisional"]).stdout;
        found.extend(search("devices", &devices, case));
        let devices: serde_json::Value = serde_json::from_slice(&devices).unwrap();
        for device in devices.as_array().unwrap() {
            let page = citytap(&["devices", "show", device["id"].as_str().unwrap(), "--store", &store]);
            found.extend(search("devices show", &page.stdout, case));
        }
        for arguments in [
            &["devices", "--provisional"][..],
            &["findings"],
            &["findings", "--format", "json"],
            &["actions"],
            &["export", "inventory", "--format", "csv"],
        ] {
            let output = citytap(&[arguments, &["--store", &store]].concat());
            found.extend(search(arguments[0], &[output.stdout, output.stderr].concat(), case));
        }
        let mut all = Vec::new();
        files(folder.path(), &mut all);
        assert!(all.len() > 5, "a store and a folder were written");
        for file in all {
            found.extend(search(&file.display().to_string(), &std::fs::read(&file).unwrap(), case));
        }
    }
    found.sort();
    found.dedup();
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let case = Case { folder: "here".into(), captures: Vec::new(), secrets: vec!["Wd5-unlisted-ns-77aa".into()] };
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}Wd5-unlisted-ns-77aaxyz");
        let encoded = base64::engine::general_purpose::STANDARD.encode(&text);
        assert!(!search("base64", encoded.as_bytes(), &case).is_empty(), "{encoded}");
        assert!(!search("plain", text.as_bytes(), &case).is_empty());
    }
    assert!(search("nothing", b"Wd5-unlisted-ns-77ab", &case).is_empty());
}
