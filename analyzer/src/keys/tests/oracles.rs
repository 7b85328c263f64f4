//! The same answers as others give: vectors of standards, another implementation, recorded frames with known keys.

use super::air::{hex, raw, text};
use crate::keys::derive::SessionKeys;
use crate::keys::derived::decrypted;
use crate::keys::key::Key;
use crate::keys::mic::{Target, Trials, cmac, encrypt};
use crate::keys::sessions::Known;
use aes::Aes128;
use aes::cipher::KeyInit;
use citytap_sensor::protocols::lorawan::wire::{Frame, PhyPayload};
use cmac::{Cmac, Mac};
use proptest::prelude::*;

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
fn recorded_frames_with_known_keys() {
    let Some(folder) = std::env::var_os("CITYTAP_CAPTURES") else {
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
