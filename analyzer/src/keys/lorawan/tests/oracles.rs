//! The same answers as others give: vectors of standards, another implementation, recorded frames with known keys.

use super::air::{hex, raw, text};
use crate::findings::Answer;
use crate::hot::{Change, Hot, Wishes, in_order};
use crate::keys::lorawan::derive::SessionKeys;
use crate::keys::lorawan::derived::decrypted;
use crate::keys::lorawan::key::Key;
use crate::keys::lorawan::mic::{Target, Trials, cmac, encrypt};
use crate::keys::lorawan::sessions::Known;
use crate::keys::lorawan::{Budget, KeyConfig, LorawanKeys};
use crate::keys::testing::heard;
use crate::signatures;
use aes::Aes128;
use aes::cipher::KeyInit;
use citytap_sensor::capture::Merge;
use citytap_sensor::dispatch;
use citytap_sensor::link::NetworkMap;
use citytap_sensor::pipeline::SensorConfig;
use citytap_sensor::protocols::DECODERS;
use citytap_sensor::protocols::lorawan::wire::{Frame, PhyPayload};
use cmac::{Cmac, Mac};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

#[test]
fn fips_197_appendix_b_and_c_1() {
    let cipher = |key: &str, block: &str| text(&encrypt(&Key::new(raw(key)), raw(block)));
    assert_eq!(
        cipher("2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734"),
        "3925841d02dc09fbdc118597196a0b32"
    );
    assert_eq!(
        cipher("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff"),
        "69c4e0d86a7b0430d8cdb78070b4c55a"
    );
}

#[test]
fn rfc_4493_section_4() {
    let key = Key::new(raw("2b7e151628aed2a6abf7158809cf4f3c"));
    let message = hex(concat!(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    ));
    for (length, tag) in [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ] {
        assert_eq!(text(&cmac(&key, &message[..length])), tag);
    }
}

proptest! {
    #[test]
    fn as_another_implementation(key: [u8; 16], messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 1..20)) {
        let tag = |message: &[u8]| -> [u8; 4] {
            let mut mac = <Cmac<Aes128> as KeyInit>::new_from_slice(&key).unwrap();
            mac.update(message);
            mac.finalize().into_bytes()[..4].try_into().unwrap()
        };
        // Every third code is wrong by a bit.
        let targets: Vec<Target> = messages.iter().enumerate().map(|(at, message)| {
            let mut mic = tag(message);
            mic[3] ^= u8::from(at % 3 == 2);
            let (head, rest) = message.split_at(message.len() / 3);
            Target::new(&[head, rest], mic)
        }).collect();
        let mut hits = Vec::new();
        Trials::new(&targets).try_key(&key, |at| hits.push(at));
        hits.sort_unstable();
        let right: Vec<usize> = (0..messages.len()).filter(|at| at % 3 != 2).collect();
        prop_assert_eq!(&hits, &right);
        for (at, target) in targets.iter().enumerate() {
            prop_assert_eq!(target.fits(&Key::new(key)), at % 3 != 2);
        }
    }
}

#[test]
fn the_decoders_have_the_fields_that_are_asked_for() {
    assert!(Wishes::new(DECODERS, &[LorawanKeys::INTERESTS], signatures::look_up).is_ok());
}

/// A capture through decoders, shards and this stage.
fn replay(path: &Path, config: KeyConfig) -> LorawanKeys {
    let wishes =
        Arc::new(Wishes::new(DECODERS, &[LorawanKeys::INTERESTS], signatures::look_up).unwrap_or_else(|error| panic!("{error}")));
    let mut keys = LorawanKeys::new(config, Budget::default());
    let mut source = Merge::open(&[path.to_owned()], Default::default());
    let make = |_| Hot::new(wishes.clone());
    let outcome = dispatch::run(&mut source, SensorConfig::default(), &NetworkMap::default(), 1, make, |epoch| {
        for (seen, change) in in_order(epoch.batches.into_iter().map(|batch| batch.changes).collect()) {
            match change {
                Change::Event(event) => keys.observe(&event),
                Change::Fact(fact) => keys.fact(&fact),
                Change::Match(_) => {}
            }
            keys.work(seen.time, false);
        }
        true
    });
    let end = outcome.unwrap_or_else(|error| panic!("{error}")).span.map(|(_, last)| last);
    keys.work(end.unwrap_or_default(), true);
    keys
}

#[test]
fn captures_of_a_device_under_test() {
    let Some(folder) = std::env::var_os("CITYTAP_CAPTURES").filter(|top| !top.is_empty()) else {
        eprintln!("CITYTAP_CAPTURES is not set: no capture was replayed");
        return;
    };
    for name in ["agent_resultFUN", "agent_resultMAC", "inj_agent_result_doubleMAC02", "inj_agent_result_freqMAC"] {
        let path = Path::new(&folder).join(format!("_derived/lorawan_conformance_{name}.pcap"));
        let mut config = KeyConfig { decrypt: true, ..KeyConfig::default() };
        let (nwk_s, app_s) = (raw("007e151628aed2a6abf7158809cf4f3c"), raw("ff7e151628aed2a6abf7158809cf4f3c"));
        config.sessions.insert(0x0101_0101, SessionKeys::v1_0(Key::new(nwk_s), Some(Key::new(app_s))));
        let keys = replay(&path, config);
        let oracle = Path::new(&folder).join(format!("_oracle/lorawan/lorawan_conformance_{name}.jsonl"));
        let oracle = std::fs::read_to_string(oracle).unwrap();
        // Confirmed frames that were sent again are one transmission.
        let frames: BTreeSet<&str> = oracle.lines().filter_map(|line| line.split('"').nth(5)).collect();
        let frames = frames.len() as u64;
        assert_eq!((keys.counts().mics_right, keys.counts().mics_wrong), (frames, 0), "{name}");
        let answers: Vec<_> =
            heard(|take| keys.verdicts(take)).into_iter().map(|verdict| (verdict.check.id, verdict.answer)).collect();
        let [(check, Answer::Clear(on))] = answers.as_slice() else { panic!("{name}: {answers:?}") };
        assert!(*check == "lorawan-known-session-key" && on.starts_with("the configured key makes"), "{name}: {on}");
    }
}

#[test]
fn recorded_frames_with_known_keys() {
    let Some(folder) = std::env::var_os("CITYTAP_CAPTURES").filter(|top| !top.is_empty()) else {
        eprintln!("CITYTAP_CAPTURES is not set: the LoRaWAN oracles were not compared");
        return;
    };
    let folder = std::path::Path::new(&folder).join("_oracle/lorawan");
    let mut compared = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let oracle: serde_json::Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| oracle[name].as_str().unwrap_or_default();
            let bytes = hex(field("phy"));
            let phy = PhyPayload::parse(&bytes).unwrap();
            let Frame::Data(data) = phy.frame else { panic!("{line}") };
            let (nwk_s, app_s) = (Key::new(raw(field("nwkskey"))), Key::new(raw(field("appskey"))));
            let key = if data.f_port == Some(0) { nwk_s.clone() } else { app_s.clone() };
            let mut known = Known::new(SessionKeys::v1_0(nwk_s, Some(app_s)), None);
            let f_cnt = known.verify(&phy, &data);
            assert_eq!(f_cnt.is_some(), oracle["mic_ok"].as_bool().unwrap(), "{line}");
            assert_eq!(text(&decrypted(&key, &data, f_cnt.unwrap_or(0))), field("plain"), "{line}");
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}
