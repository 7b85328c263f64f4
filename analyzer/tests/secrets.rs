//! A secret's value reaches no byte of the store, of --out, of standard output or standard error, in no usual form (DESIGN, invariant 9). Its
//! keyed digest and their key stand in the store and reach no byte of the others.

mod common;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use citytap_analyzer::store::on_disk::OnDisk;
use citytap_analyzer::store::{Store, Tree};
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
fn forms(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
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
        for (form, needle) in forms(secret.as_bytes()) {
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

/// The key of a store and its digests, as bytes, with what each is.
fn of_the_store(store: &str) -> Vec<(&'static str, Vec<u8>)> {
    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |digit: u8| char::from(digit).to_digit(16).unwrap() as u8;
        hex.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }
    let store = OnDisk::open(Path::new(store)).unwrap();
    // Five bytes stand before the JSON of a record.
    let key: String = serde_json::from_slice(&store.get(Tree::Meta, b"digest_key").unwrap().unwrap()[5..]).unwrap();
    let mut all = vec![("the store's key", bytes(&key))];
    store
        .each(Tree::Credentials, &mut |_, sealed| {
            let kept: serde_json::Value = serde_json::from_slice(&sealed[5..]).unwrap();
            let presented = kept["presented"].as_array().unwrap();
            all.extend(presented.iter().map(|one| ("a digest", bytes(one["digest"].as_str().unwrap()))));
        })
        .unwrap();
    all
}

/// Of what the store keeps to itself, what comes out.
fn search_kept(what: &str, text: &[u8], kept: &[(&'static str, Vec<u8>)]) -> Vec<String> {
    let forms = kept.iter().flat_map(|(name, bytes)| forms(bytes).into_iter().map(move |form| (name, form)));
    let found = forms.filter(|(_, (_, needle))| memchr::memmem::find(text, needle).is_some());
    found.map(|(name, (form, _))| format!("{name} as {form} in {what}")).collect()
}

#[test]
fn no_secret_comes_out_in_any_form() {
    let cases = cases();
    assert!(cases.len() >= 7, "the captures with secrets are there");
    let (mut found, mut digests) = (Vec::new(), 0);
    for case in &cases {
        let mut told: Vec<(String, Vec<u8>)> = Vec::new();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (store, out, expect) = (path("store"), path("out"), path("expect.toml"));
        for capture in &case.captures {
            let mut commands = vec![
                vec!["replay", capture, "--store", &store, "--out", &out, "--write-expect", &expect],
                vec!["decode", capture],
            ];
            // The large capture's keys take their time: what is added to the store is what the other forms print.
            if !capture.ends_with(".zst") {
                commands.push(vec!["replay", capture, "--format", "json"]);
                commands.push(vec!["replay", capture, "--expect", &expect]);
            }
            for arguments in commands {
                let output = citytap(&arguments);
                for (stream, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
                    told.push((format!("{stream} of {} {}", arguments[0], arguments[1]), bytes));
                }
            }
        }
        let devices = citytap(&["devices", "--store", &store, "--format", "json", "--provisional"]).stdout;
        told.push(("devices".into(), devices.clone()));
        let devices: serde_json::Value = serde_json::from_slice(&devices).unwrap();
        for device in devices.as_array().unwrap() {
            let page = citytap(&["devices", "show", device["id"].as_str().unwrap(), "--store", &store]);
            told.push(("devices show".into(), [page.stdout, page.stderr].concat()));
        }
        for arguments in [
            &["devices", "--provisional"][..],
            &["findings"],
            &["findings", "--format", "json"],
            &["actions"],
            &["export", "inventory", "--format", "csv"],
            &["export", "inventory", "--format", "json"],
        ] {
            let output = citytap(&[arguments, &["--store", &store]].concat());
            told.push((arguments[0].into(), [output.stdout, output.stderr].concat()));
        }
        let mut all = Vec::new();
        files(folder.path(), &mut all);
        assert!(all.len() > 5, "a store and a folder were written");
        for file in all {
            let bytes = std::fs::read(&file).unwrap();
            if file.starts_with(&store) {
                found.extend(search(&file.display().to_string(), &bytes, case));
            } else {
                told.push((file.display().to_string(), bytes));
            }
        }
        let kept = of_the_store(&store);
        digests += kept.len() - 1;
        for (what, bytes) in &told {
            found.extend(search(what, bytes, case));
            found.extend(search_kept(what, bytes, &kept));
        }
    }
    assert!(digests > 20, "{digests} digests were looked for");
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
    let kept = [("a digest", vec![0xab, 0x01, 0x7f, 0x00, 0xc3])];
    for text in [&b"x\xab\x01\x7f\x00\xc3"[..], b"ab017f00c3", b"AB017F00C3", b"[171,1,127,0,195]", b"qwF/AM"] {
        assert!(!search_kept("text", text, &kept).is_empty(), "{text:?}");
    }
    assert!(search_kept("nothing", b"ab017f00c4", &kept).is_empty());
}
