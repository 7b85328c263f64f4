//! The two programs together: citytap finds a default password and hands it over signed, the module that replaces keys reads it, and its signed proof closes the
//! finding until the old password is seen again.

use citytap_rekey::findings::attribution::{Known, PairedKey, Sighting, which};
use citytap_rekey::findings::import::{self, Freshness, Imported};
use citytap_rekey::findings::results;
use citytap_rekey::policy::{Policy, Trigger};
use citytap_rekey::rotation::State;
use citytap_rekey::secrets::Secret;
use citytap_rekey::slot::{Generation, RotationId, Slot};
use citytap_rekey::time::{Span, Timestamp};
use citytap_rekey::words::parse_moment;
use citytap_signing::{Signer, Verifier};
use citytap_tests::cases::cases;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// A city in a folder of its own, in which `hvac-1` logged in as admin with the password admin.
struct City {
    _kept: TempFolder,
    folder: PathBuf,
}

struct TempFolder(PathBuf);

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn capture() -> PathBuf {
    cases().into_iter().find(|case| case.name == "mqtt/default_credentials_accepted").expect("the case").capture
}

impl City {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("rekey").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let city = Self { _kept: TempFolder(folder.clone()), folder };
        city.run(&["replay", &capture().display().to_string(), "--store", &city.at("store")], 0);
        city
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn run(&self, arguments: &[&str], code: i32) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_citytap-under-test"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("it starts");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "citytap {arguments:?}\n{said}");
        String::from_utf8(output.stdout).expect("text") + &String::from_utf8_lossy(&output.stderr)
    }

    fn handed_over(&self) -> (Imported, Verifier) {
        let (store, key, out) = (self.at("store"), self.at("citytap.pem"), self.at("findings.jsonl"));
        self.run(&["keys", "make", "--out", &key], 0);
        self.run(&["export", "rekey", "--store", &store, "--sign", &key, "--with-digests", "--out", &out], 0);
        let key = Verifier::read(self.folder.join("citytap.pem.pub").as_path()).expect("a public key");
        let text = fs::read_to_string(&out).expect("findings");
        let fresh = Freshness { holds: Span::hours(1), used: BTreeMap::new(), now: now() };
        let mut policy = Policy::shipped();
        policy.slots.rules.push(("mqtt_client".into(), "mosquitto/{}".into()));
        (import::read(&out, &text, &key, &fresh, &policy).expect("findings that count"), key)
    }

    fn state(&self, finding: &str) -> String {
        let shown: Value =
            serde_json::from_str(&self.run(&["findings", "show", finding, "--format", "json", "--store", &self.at("store")], 0))
                .expect("JSON");
        shown[0]["state"].as_str().expect("a state").to_owned()
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    Timestamp(i64::try_from(since.as_nanos()).expect("a time"))
}

fn used(imported: &Imported) -> (import::Finding, Slot) {
    let found = imported.found.iter().find(|(finding, slot)| finding.check == "default-password-used" && slot.name() == "hvac-1");
    found.expect("the default password of hvac-1").clone()
}

#[test]
fn findings_about_keys_are_handed_over_signed_and_without_secrets() {
    let city = City::new("handed-over");
    let (imported, key) = city.handed_over();
    let (finding, slot) = used(&imported);
    assert_eq!((finding.matter, slot.to_string().as_str()), (Trigger::DefaultCredential, "mosquitto/hvac-1"));
    let text = fs::read_to_string(city.at("findings.jsonl")).unwrap();
    assert!(!text.contains("hT6-unlisted-pw-0831"));
    // What hvac-1 presented is answered with a generation by whoever has the secrets and the paired key.
    city.run(&["keys", "pair", "--store", &city.at("store"), "--out", &city.at("pairing.key")], 0);
    let (site, paired) = PairedKey::parse(&fs::read_to_string(city.at("pairing.key")).unwrap()).unwrap();
    assert_eq!(site, imported.site);
    let (presented, _) = imported.presented.iter().find(|(_, slot)| slot.name() == "hvac-1").unwrap();
    let digest: Vec<u8> = (0..16).map(|at| u8::from_str_radix(&presented.digest[2 * at..2 * at + 2], 16).unwrap()).collect();
    let known = |generation, secret: &str| Known {
        generation: Generation(generation),
        user: "admin".into(),
        secret: Some(Secret::new(secret.as_bytes().to_vec())),
        serial: None,
    };
    let seen = Sighting::Digest { kind: &presented.kind, digest: &digest };
    assert_eq!(which(&seen, &[known(1, "admin"), known(2, "something-new")], Some(&paired)), Some(Generation(1)));
    assert!(presented.last_accepted.is_some());
    // A changed file is refused.
    let changed = text.replacen("hvac-1", "hvac-9", 1);
    let fresh = Freshness { holds: Span::hours(1), used: BTreeMap::new(), now: now() };
    assert!(import::read("f", &changed, &key, &fresh, &Policy::shipped()).unwrap_err().to_string().contains("was changed"));
}

#[test]
fn a_proof_closes_a_finding_until_the_old_password_is_seen_again() {
    let city = City::new("closed");
    let (imported, _) = city.handed_over();
    let (finding, slot) = used(&imported);
    let seen = parse_moment(finding.last_seen.as_deref().unwrap()).unwrap();
    let signer = Signer::make().unwrap();
    signer.write(&city.folder.join("rekey.pem")).unwrap();
    let proof = |state: State, retired: Timestamp| {
        let result = results::Result {
            finding: finding.id.clone(),
            check: finding.check.clone(),
            device: finding.device.clone(),
            slot: slot.clone(),
            rotation: RotationId(7),
            from: Generation(1),
            to: Generation(2),
            state,
            proven: Some(retired),
            retired: Some(retired),
            witnesses: vec!["verifier", "sensor"],
        };
        fs::write(city.at("results.jsonl"), results::signed(&[result], &signer, now())).unwrap();
    };
    let close = |code: i32| {
        city.run(
            &[
                "findings",
                "close",
                "--proof",
                &city.at("results.jsonl"),
                "--key",
                &city.at("rekey.pem.pub"),
                "--store",
                &city.at("store"),
            ],
            code,
        )
    };
    proof(State::Grace, seen.plus(Span::hours(1)));
    assert!(close(1).contains("its rotation is grace"));
    proof(State::Retired, Timestamp(seen.0 - 1_000_000_000));
    assert!(close(1).contains("it was seen at"));
    assert_eq!(city.state(&finding.id), "open");
    // Somebody else's signature.
    proof(State::Retired, seen.plus(Span::hours(1)));
    let key = city.at("citytap.pem.pub");
    let said =
        city.run(&["findings", "close", "--proof", &city.at("results.jsonl"), "--key", &key, "--store", &city.at("store")], 1);
    assert!(said.contains("was signed with the key"), "{said}");

    assert!(close(0).contains("1 finding closed with proof"));
    assert_eq!(city.state(&finding.id), "closed");
    let store = city.at("store");
    let page = city.run(&["findings", "show", &finding.id, "--store", &store], 0);
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        page.contains("rotation 7 of mosquitto/hvac-1 (generation 1 to 2)") && page.contains("seen by verifier and sensor"),
        "{page}"
    );
    assert!(city.run(&["findings", "--store", &store], 0).contains("1 closed with proof"));
    let listed = city.run(&["findings", "--cleared", "--store", &store], 0);
    let row = listed.lines().find(|line| line.ends_with("closed")).unwrap_or_else(|| panic!("{listed}"));
    assert!(row.contains(&finding.check) && row.contains("device 10.20."), "{listed}");
    // The same packets once more change nothing; the old password two hours later opens it again.
    city.run(&["replay", &capture().display().to_string(), "--store", &store], 0);
    assert_eq!(city.state(&finding.id), "closed");
    let later = city.at("later.pcap");
    fs::write(&later, shifted(&fs::read(capture()).unwrap(), 7200)).unwrap();
    city.run(&["replay", &later, "--store", &store], 0);
    assert_eq!(city.state(&finding.id), "open");
    let page = city.run(&["findings", "show", &finding.id, "--store", &store], 0);
    assert!(page.split_whitespace().collect::<Vec<_>>().join(" ").contains("it was seen again since, so it is open"), "{page}");
}

/// A classic little-endian capture, so many seconds later.
fn shifted(capture: &[u8], seconds: u32) -> Vec<u8> {
    assert_eq!(capture[..4], [0xd4, 0xc3, 0xb2, 0xa1], "microseconds, little-endian");
    let mut bytes = capture.to_vec();
    let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let time = number(&bytes, at) + seconds;
        bytes[at..at + 4].copy_from_slice(&time.to_le_bytes());
        at += 16 + number(&bytes, at + 8) as usize;
    }
    bytes
}
