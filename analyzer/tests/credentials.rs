//! Digests of credentials in a store: what they show over several runs, and that they show it to nobody else.

mod common;

use citytap_analyzer::detectors::baseline::checks;
use citytap_analyzer::engine::{Setup, replay};
use citytap_analyzer::hot::digest::{CredentialDigest, DigestKey};
use citytap_analyzer::inventory::DeviceId;
use citytap_analyzer::inventory::presented::PresentedCredential;
use citytap_analyzer::store::on_disk::OnDisk;
use citytap_analyzer::store::{City, Store, Tree};
use citytap_sensor::observation::{CredentialKind, Outcome};
use citytap_sensor::time::SECOND;
use common::{capture, citytap, done};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

const ACCEPTED: &str = "mqtt/default_credentials_accepted";

/// The password of one of its clients, as the case tells; no other client has it.
const PASSWORD: &str = "hT6-unlisted-pw-0831";

/// Writes the capture as it were so many hours later, with another password of the same length.
fn later(hours: u32, password: &str, to: &Path) -> String {
    let mut bytes = std::fs::read(capture(ACCEPTED)).unwrap();
    assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1], "a pcap file, least significant byte first");
    let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut at = 24;
    while at < bytes.len() {
        let (seconds, length) = (number(&bytes, at) + hours * 3600, number(&bytes, at + 8) as usize);
        bytes[at..at + 4].copy_from_slice(&seconds.to_le_bytes());
        at += 16 + length;
    }
    let places: Vec<usize> =
        (0..bytes.len() - PASSWORD.len()).filter(|&at| bytes[at..].starts_with(PASSWORD.as_bytes())).collect();
    assert!(!places.is_empty() && password.len() == PASSWORD.len());
    for place in places {
        bytes[place..place + password.len()].copy_from_slice(password.as_bytes());
    }
    let path = to.join(format!("{hours}-{password}.pcap")).display().to_string();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn presented(store: &str) -> BTreeMap<DeviceId, Vec<PresentedCredential>> {
    City::open(Path::new(store)).unwrap().contents().credentials.clone()
}

/// Of a store in which one device logs in.
fn only(store: &str) -> Vec<PresentedCredential> {
    let mut devices = presented(store).into_values();
    let presented = devices.next().unwrap();
    assert_eq!(devices.next(), None);
    presented
}

fn digests(presented: &BTreeMap<DeviceId, Vec<PresentedCredential>>) -> Vec<CredentialDigest> {
    presented.values().flatten().map(|credential| credential.digest).collect()
}

#[test]
fn a_changed_password_shows_and_an_unchanged_one_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store").display().to_string();
    let add = |hours, password| done(&["replay", &later(hours, password, folder.path()), "--store", &store]);
    // One device logs in as four clients, of which two have one account.
    add(0, PASSWORD);
    let first = only(&store);
    assert_eq!(first.iter().map(|one| one.seen.count).collect::<Vec<_>>(), [2, 1, 1]);
    assert!(first.iter().all(|one| one.kind == CredentialKind::Password && one.outcome() == Outcome::Accepted));

    add(1, PASSWORD);
    let second = only(&store);
    assert_eq!(second.len(), first.len());
    for (before, now) in first.iter().zip(&second) {
        assert_eq!((now.digest, now.seen.count), (before.digest, 2 * before.seen.count));
        assert_eq!(now.seen.first_seen, before.seen.first_seen);
        assert_eq!(now.seen.last_seen.since(before.seen.last_seen), 3600 * SECOND);
    }

    // A changed password is one more entry, and what was in its place is seen no more.
    add(2, "hT6-unlisted-pw-0900");
    let third = only(&store);
    assert_eq!(third.iter().map(|one| one.seen.count).collect::<Vec<_>>(), [6, 3, 2, 1]);
    assert_eq!(third[2], second[2]);
    assert!(third[3].seen.first_seen > third[2].seen.last_seen && third[3].outcome() == Outcome::Accepted);
    assert!(second.iter().all(|one| one.digest != third[3].digest));

    // The same packets judged again count once.
    done(&["replay", &later(2, "hT6-unlisted-pw-0900", folder.path()), "--store", &store, "--again"]);
    assert_eq!(only(&store), third);
}

#[test]
fn two_devices_with_one_credential_have_one_digest_and_two_stores_have_none_in_common() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name).display().to_string());
    // The digests of the two stores differ; who shares a credential with whom does not.
    for store in [&one, &other] {
        done(&["replay", &capture("mqtt/tasmota_twelve_devices"), &capture(ACCEPTED), "--store", store]);
    }
    let [one, other] = [one, other].map(|store| presented(&store));
    let shared = |presented: &BTreeMap<DeviceId, Vec<PresentedCredential>>| {
        let mut devices: BTreeMap<Vec<DeviceId>, usize> = BTreeMap::new();
        for digest in digests(presented) {
            let having = presented.iter().filter(|(_, all)| all.iter().any(|one| one.digest == digest));
            *devices.entry(having.map(|(device, _)| *device).collect()).or_default() += 1;
        }
        devices
    };
    assert_eq!(shared(&one), shared(&other));
    assert!(shared(&one).keys().any(|devices| devices.len() > 1), "some share one: {:?}", shared(&one));
    assert!(digests(&one).iter().all(|digest| !digests(&other).contains(digest)));
}

#[test]
fn digests_are_the_same_for_any_number_of_threads() {
    let cases = [ACCEPTED, "mqtt/secrets_in_odd_places", "mqtt/websocket", "mqtt/authentication_refused"].map(capture);
    let run = |threads| {
        let mut source = citytap_sensor::capture::Merge::open(&cases.clone().map(Into::into), Default::default());
        let digest_key = Some(Arc::new(DigestKey::new(&mut [7; 32])));
        let report = replay(&mut source, &Setup { threads, digest_key, ..Setup::default() }).unwrap();
        report.inventory.presented()
    };
    let one = run(1);
    let kinds: BTreeSet<_> = one.0.values().flatten().map(|one| format!("{:?}", one.kind)).collect();
    assert!(kinds.len() >= 2, "{kinds:?}");
    for threads in [2, 4, 7] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
    let mut source = citytap_sensor::capture::Merge::open(&cases.map(Into::into), Default::default());
    let without = replay(&mut source, &Setup::default()).unwrap();
    assert_eq!(without.inventory.presented(), (BTreeMap::new(), 0), "without a store nothing is digested");
}

#[test]
fn a_run_writes_the_same_files_with_and_without_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    done(&["replay", &capture(ACCEPTED), "--out", &path("without")]);
    done(&["replay", &capture(ACCEPTED), "--out", &path("with"), "--store", &path("store")]);
    for entry in std::fs::read_dir(path("without")).unwrap() {
        let name = entry.unwrap().file_name();
        let name = name.to_str().unwrap();
        let [with, without] = ["with", "without"].map(|folder| {
            let text = std::fs::read_to_string(Path::new(&path(folder)).join(name)).unwrap();
            without_what_is_normal(name, &text)
        });
        assert!(with == without, "{name}");
    }
}

/// A file of a run without what is learned where it is kept alone.
fn without_what_is_normal(name: &str, text: &str) -> String {
    let learned = |line: &&str| checks::ALL.iter().any(|check| line.contains(&format!("\"check\":\"{}\"", check.id)));
    match name {
        "checks.jsonl" => text.lines().filter(|line| !learned(line)).collect::<Vec<_>>().join("\n"),
        "coverage.json" => {
            let mut coverage: serde_json::Value = serde_json::from_str(text).unwrap();
            coverage.as_object_mut().unwrap().remove("checks");
            coverage.to_string()
        }
        _ => text.to_owned(),
    }
}

/// A store of a program that made no digests yet, or no key.
#[test]
fn an_older_store_opens_and_gets_digests_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store").display().to_string();
    done(&["replay", &later(0, PASSWORD, folder.path()), "--store", &store]);
    let devices = done(&["devices", "--store", &store]);
    for without_key in [false, true] {
        let mut older = OnDisk::open(Path::new(&store)).unwrap();
        let mut keys = Vec::new();
        older.each(Tree::Credentials, &mut |key, _| keys.push(key.to_vec())).unwrap();
        assert!(!keys.is_empty());
        keys.iter().for_each(|key| older.remove(Tree::Credentials, key).unwrap());
        if without_key {
            older.remove(Tree::Meta, b"digest_key").unwrap();
        }
        older.flush().unwrap();
        drop(older);
        let output = citytap(&["devices", "--store", &store]);
        assert!(output.status.success() && output.stderr.is_empty());
        if !without_key {
            assert_eq!(String::from_utf8(output.stdout).unwrap(), devices);
        }
        done(&["replay", &later(1 + u32::from(without_key), PASSWORD, folder.path()), "--store", &store]);
        assert_eq!(only(&store).iter().map(|one| one.seen.count).collect::<Vec<_>>(), [2, 1, 1]);
    }
}

#[test]
fn a_damaged_key_is_told_and_never_quoted_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store").display().to_string();
    done(&["replay", &later(0, PASSWORD, folder.path()), "--store", &store]);
    let before = presented(&store);
    let mut open = OnDisk::open(Path::new(&store)).unwrap();
    let sealed = open.get(Tree::Meta, b"digest_key").unwrap().unwrap();
    let key = String::from_utf8(sealed[6..sealed.len() - 1].to_vec()).unwrap();
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mut damaged = sealed.clone();
    damaged[20] ^= 1;
    open.put(Tree::Meta, b"digest_key", &damaged).unwrap();
    open.flush().unwrap();
    drop(open);
    let output = citytap(&["replay", &later(1, PASSWORD, folder.path()), "--store", &store]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && told.contains("record digest_key in meta was passed over: its checksum is wrong"),
        "{told}"
    );
    assert!(!told.contains(&key[20..]) && !told.contains(&key[..10]), "{told}");
    assert_eq!(presented(&store), before);
    assert_eq!(OnDisk::open(Path::new(&store)).unwrap().get(Tree::Meta, b"digest_key").unwrap(), Some(damaged));
}

/// Whoever has digests and key can try guesses, so the folder is its owner's alone.
#[cfg(unix)]
#[test]
fn only_the_owner_reads_a_store() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    // It may have been there before, open to all.
    std::fs::create_dir(&store).unwrap();
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o777)).unwrap();
    done(&["replay", &capture(ACCEPTED), "--store", &store.display().to_string()]);
    assert_eq!(std::fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o700);
}
