use super::air::{
    ADDRESS, DEVICE, Data, Device, GATEWAY, Tap, accept_1_0, argument, found, listed, other, own, raw, session_1_0, text,
};
use crate::findings::Answer;
use crate::keys::lorawan::derive::SessionKeys;
use crate::keys::lorawan::key::Key;
use crate::keys::lorawan::{Budget, Content, KeyConfig, RootKeys};
use citytap_sensor::observation::Confidence;

fn owner_knows(decrypt: bool) -> KeyConfig {
    let mut config = KeyConfig { decrypt, ..KeyConfig::default() };
    config.devices.insert(DEVICE.dev_eui, RootKeys { app_key: Some(Key::new(other())), nwk_key: Some(Key::new(own())) });
    config
}

#[test]
fn a_published_session_key_is_proved_by_two_frames() {
    for f_cnt in [0, 70_000, 262_142] {
        let mut tap = Tap::new();
        tap.hear(&Data::up(ADDRESS, f_cnt, 1, b"one").seal(&listed(), &own()));
        tap.epoch();
        let Answer::Untested(why) = tap.session_key(ADDRESS) else { panic!() };
        assert_eq!(why, "fewer than two uplinks with different counters seen");
        tap.hear(&Data::up(ADDRESS, f_cnt + 1, 1, b"two, longer than the first").seal(&listed(), &own()));
        tap.epoch();
        let answer = found(tap.session_key(ADDRESS));
        assert_eq!((answer.confidence, argument(&answer, "_proof")), (Confidence::Proved, "the codes of two frames"));
        assert!(argument(&answer, "origin").contains("LoRaMac-node"));
        assert!(format!("{:?}", tap.facts).contains("abp"));
        assert!(tap.verdict("lorawan-known-key", "dev_addr:26011bda").is_none(), "its keys are no root keys");
    }
}

#[test]
fn a_pattern_as_session_key() {
    let mut tap = Tap::new();
    for f_cnt in [5, 6] {
        tap.hear(&Data::up(ADDRESS, f_cnt, 1, b"x").seal(&raw("00000000000000000000000000004142"), &own()));
    }
    tap.end();
    assert_eq!(argument(&found(tap.session_key(ADDRESS)), "list"), "a simple pattern");
}

#[test]
fn copies_of_one_frame_never_confirm_a_session_key() {
    let mut tap = Tap::new();
    let frame = Data::up(ADDRESS, 7, 1, b"x").seal(&listed(), &own());
    for gateway in 0..20 {
        tap.hear_at(&frame, Some(GATEWAY + gateway), None);
        tap.epoch();
    }
    tap.end();
    assert!(matches!(tap.session_key(ADDRESS), Answer::Untested(_)));
    let session = tap.keys.session(0, ADDRESS).unwrap();
    assert_eq!((session.transmissions(), session.receptions().len(), session.other_receptions()), (1, 16, 4));
}

#[test]
fn keys_of_its_own_are_clear_and_without_a_join_the_root_key_is_untested() {
    let mut tap = Tap::new();
    for f_cnt in [7, 8] {
        tap.hear(&Data::up(ADDRESS, f_cnt, 1, b"x").seal(&own(), &own()));
    }
    tap.end();
    let Answer::Clear(on) = tap.session_key(ADDRESS) else { panic!() };
    assert_eq!(on, "tested against 328,388 keys on lists and simple patterns, with frame counters to 262,143");
    let root = tap.verdict("lorawan-known-key", "dev_addr:26011bda").unwrap().answer;
    assert!(matches!(root, Answer::Otherwise(why) if why.starts_with("no join seen")));
}

#[test]
fn two_devices_with_one_address() {
    let mut tap = Tap::new();
    tap.hear(&Data::up(ADDRESS, 7, 1, b"x").seal(&listed(), &own()));
    tap.hear(&Data::up(ADDRESS, 900, 1, b"x").seal(&own(), &own()));
    tap.end();
    assert!(matches!(tap.session_key(ADDRESS), Answer::Untested(why) if why.contains("two devices")));
    tap.hear(&Data::up(ADDRESS, 8, 1, b"x").seal(&listed(), &own()));
    assert_eq!(found(tap.session_key(ADDRESS)).confidence, Confidence::Proved);
}

#[test]
fn counters_go_on_past_the_16_bits_that_are_on_the_air() {
    let mut tap = Tap::new();
    for f_cnt in [65_533, 65_535, 65_537, 65_536, 131_072 + 9] {
        tap.hear(&Data::up(ADDRESS, f_cnt, 1, b"x").seal(&own(), &own()));
    }
    assert_eq!(tap.keys.session(0, ADDRESS).unwrap().f_cnt(), Some(65_536 + 9));
    tap.hear(&Data::up(ADDRESS, 0, 1, b"x").seal(&own(), &own()));
    assert_eq!(tap.keys.session(0, ADDRESS).unwrap().f_cnt(), Some(0), "it started again");
}

#[test]
fn the_owners_key_opens_frames_of_the_session_that_the_join_began() {
    let mut tap = Tap::with(owner_knows(true), Budget::default());
    tap.hear(&DEVICE.join(&other(), 9));
    tap.hear(&accept_1_0(&other(), 77, ADDRESS, &[]));
    let (nwk_s, app_s) = (session_1_0(&other(), 1, 9, 77), session_1_0(&other(), 2, 9, 77));
    tap.hear(&Data::up(ADDRESS, 0, 85, &[0xff, 0x0a, 0x01, 0x14]).seal(&nwk_s, &app_s));
    tap.hear(&Data::up(ADDRESS, 1, 203, &[1, 2, 1, 0, 0, 3, 0, 0, 0]).seal(&nwk_s, &app_s));
    tap.hear(&Data { mhdr: 0x60, ..Data::up(ADDRESS, 0, 0, &[0x06]) }.seal(&nwk_s, &app_s));
    tap.hear(&Data::up(ADDRESS, 2, 1, b"forged").seal(&own(), &own()));
    tap.epoch();
    assert_eq!((tap.keys.counts().mics_right, tap.keys.counts().mics_wrong), (3, 1));
    let facts = format!("{:?}", tap.facts);
    assert!(facts.contains("Firmware, value: \"258\"") && facts.contains("Hardware, value: \"3\""), "{facts}");
    let payloads: Vec<(u8, String)> = tap
        .keys
        .take_derived()
        .iter()
        .filter_map(|derived| match &derived.content {
            Content::Payload { f_port, payload, .. } => Some((*f_port, text(payload))),
            _ => None,
        })
        .collect();
    assert_eq!(payloads, [(85, "ff0a0114".into())]);
    assert!(facts.contains("Vendor, value: \"Milesight\"") && facts.contains("Firmware, value: \"1.14\""), "{facts}");
    assert!(tap.verdict("lorawan-known-session-key", "dev_addr:26011bda").is_none(), "its session keys were derived");
}

#[test]
fn derived_records_of_a_1_1_session() {
    let mut tap = Tap::with(owner_knows(true), Budget::default());
    tap.hear(&DEVICE.join(&own(), 9));
    tap.hear(&DEVICE.accept_1_1(&own(), 0xff, 9, 77, ADDRESS));
    let nwk = |which| DEVICE.session_1_1(&own(), which, 9, 77);
    let (f_int, s_int, enc, app_s) = (nwk(1), nwk(3), nwk(4), DEVICE.session_1_1(&other(), 2, 9, 77));
    let up = Data { mhdr: 0x80, f_opts: vec![0x0b, 0x01], ..Data::up(ADDRESS, 3, 7, b"payload") };
    tap.hear(&up.seal_1_1(&f_int, &s_int, &enc, &app_s, 0));
    let down = Data { mhdr: 0x60, f_ctrl: 0x20, f_opts: vec![0x0b, 0x01], ..Data::up(ADDRESS, 0, 0, &[0x06]) };
    tap.hear(&down.seal_1_1(&f_int, &s_int, &enc, &app_s, 3));
    let derived = tap.derived();
    assert_eq!((tap.keys.counts().mics_right, tap.keys.counts().mics_wrong), (2, 0));
    assert!(derived[0].contains(r#""opt_neg":true"#), "{derived:?}");
    assert!(derived[1].contains(
        r#""direction":"uplink","dev_eui":"24e124fffe010203","dev_addr":"26011bda","f_cnt":3,"commands":[{"name":"RekeyInd""#
    ));
    let payload = r#""direction":"uplink","dev_eui":"24e124fffe010203","dev_addr":"26011bda","f_cnt":3,"f_port":7,"payload":"7061796c6f6164""#;
    assert!(derived[2].contains(payload), "{derived:?}");
    assert!(derived[3].contains(r#"{"name":"RekeyConf","cid":11,"minor_version":1}"#), "{derived:?}");
    assert!(derived[4].contains(r#"{"name":"DevStatusReq","cid":6}"#) && derived.len() == 5, "{derived:?}");
    assert_eq!(tap.keys.counts().payloads_read, 4);
}

#[test]
fn nothing_is_decrypted_unless_the_configuration_says_so() {
    let mut tap = Tap::with(owner_knows(false), Budget::default());
    tap.hear(&DEVICE.join(&other(), 9));
    tap.hear(&accept_1_0(&other(), 77, ADDRESS, &[]));
    let (nwk_s, app_s) = (session_1_0(&other(), 1, 9, 77), session_1_0(&other(), 2, 9, 77));
    tap.hear(&Data::up(ADDRESS, 0, 85, b"payload").seal(&nwk_s, &app_s));
    tap.hear(&Data::up(ADDRESS, 1, 0, &[0x02]).seal(&nwk_s, &app_s));
    assert_eq!(tap.keys.counts().mics_right, 2);
    assert_eq!(tap.derived().len(), 1, "the join-accept alone");
}

#[test]
fn the_first_uplink_after_a_join_links_where_there_is_one_explanation() {
    let mut tap = Tap::new();
    tap.hear_at(&DEVICE.join(&own(), 1), Some(GATEWAY), Some(4_294_000_000));
    tap.hear_at(&accept_1_0(&own(), 1, ADDRESS, &[]), Some(GATEWAY), Some(4_294_000_000_u32.wrapping_add(5_000_000)));
    tap.wait(20_000);
    tap.hear(&Data::up(ADDRESS, 0, 1, b"x").seal(&own(), &own()));
    tap.epoch();
    assert!(tap.links().is_empty(), "another could still claim it");
    tap.wait(600_000);
    tap.epoch();
    assert_eq!(tap.links(), ["dev_eui:24e124fffe010203 = dev_addr:26011bda: first uplink after join Likely"]);
    assert!(tap.verdict("lorawan-known-key", "dev_addr:26011bda").is_none());
}

#[test]
fn what_a_server_tells_is_not_guessed() {
    use crate::hot::owned::{IdentityKey, OwnedFact};
    use citytap_sensor::observation::Presence;
    use citytap_sensor::protocols::lorawan::{dev_addr, dev_eui};
    let mut tap = Tap::new();
    let eui = IdentityKey::new(&dev_eui(DEVICE.dev_eui), 0);
    tap.keys.fact(&OwnedFact::Identity { id: eui.clone(), presence: Presence::Mentioned });
    assert!(matches!(tap.known_key(DEVICE.dev_eui), Answer::Untested(why) if why.starts_with("no join seen")));
    tap.hear(&Data::up(ADDRESS, 7, 1, b"x").seal(&own(), &own()));
    assert!(tap.verdict("lorawan-known-key", "dev_addr:26011bda").is_some());
    let b = IdentityKey::new(&dev_addr(ADDRESS), 0);
    tap.keys.fact(&OwnedFact::SameAs { a: eui, b, basis: "device information", confidence: Confidence::Seen });
    assert!(tap.verdict("lorawan-known-key", "dev_addr:26011bda").is_none());
}

#[test]
fn ambiguity_links_nothing() {
    let neighbour = Device { dev_eui: 99, ..DEVICE };
    // Two joins at once at one gateway, told apart by its clock; two new addresses.
    let mut tap = Tap::new();
    tap.hear_at(&DEVICE.join(&own(), 1), Some(GATEWAY), Some(1_000_000));
    tap.hear_at(&neighbour.join(&other(), 1), Some(GATEWAY), Some(2_000_000));
    tap.hear_at(&accept_1_0(&own(), 1, ADDRESS, &[]), Some(GATEWAY), Some(6_000_000));
    tap.hear_at(&accept_1_0(&other(), 1, ADDRESS + 1, &[]), Some(GATEWAY), Some(8_000_000));
    tap.hear(&Data::up(ADDRESS, 0, 1, b"x").seal(&own(), &own()));
    tap.hear(&Data::up(ADDRESS + 1, 0, 1, b"x").seal(&own(), &own()));
    tap.end();
    assert!(tap.links().is_empty(), "{:?}", tap.links());

    // One join, two new addresses.
    let mut tap = Tap::new();
    tap.hear(&DEVICE.join(&own(), 1));
    tap.hear(&accept_1_0(&own(), 1, ADDRESS, &[]));
    tap.hear(&Data::up(ADDRESS, 0, 1, b"x").seal(&own(), &own()));
    tap.hear(&Data::up(ADDRESS + 1, 1, 1, b"x").seal(&own(), &own()));
    tap.end();
    assert!(tap.links().is_empty(), "{:?}", tap.links());

    // An old counter, another gateway, a schedule that fits no receive window.
    for (f_cnt, gateway, tmst) in [(900, GATEWAY, 6_000_000), (0, GATEWAY + 1, 6_000_000), (0, GATEWAY, 3_000_000)] {
        let mut tap = Tap::new();
        tap.hear_at(&DEVICE.join(&own(), 1), Some(GATEWAY), Some(1_000_000));
        tap.hear_at(&accept_1_0(&own(), 1, ADDRESS, &[]), Some(GATEWAY), Some(tmst));
        tap.hear_at(&Data::up(ADDRESS, f_cnt, 1, b"x").seal(&own(), &own()), Some(gateway), None);
        tap.end();
        assert!(tap.links().is_empty(), "{:?}", tap.links());
    }
}

#[test]
fn a_secret_of_the_owner_shows_nowhere() {
    let mut config = owner_knows(true);
    config.sessions.insert(0x0102_0304, SessionKeys::v1_0(Key::new(own()), Some(Key::new(other()))));
    let mut tap = Tap::with(config, Budget::default());
    tap.hear(&DEVICE.join(&other(), 9));
    tap.hear(&accept_1_0(&other(), 77, ADDRESS, &[]));
    let (nwk_s, app_s) = (session_1_0(&other(), 1, 9, 77), session_1_0(&other(), 2, 9, 77));
    for f_cnt in 0..4 {
        tap.hear(&Data::up(ADDRESS, f_cnt, 203, &[1, 2, 1, 0, 0, 3, 0, 0, 0]).seal(&nwk_s, &app_s));
        tap.hear(&Data::up(0x0102_0304, f_cnt, 0, &[0x02]).seal(&own(), &other()));
    }
    tap.end();
    assert_eq!(tap.keys.counts().mics_right, 8);
    let verdicts = tap.verdicts();
    let checks: Vec<_> = verdicts.iter().map(|verdict| verdict.check).collect();
    let derived = tap.derived();
    let told = format!("{verdicts:?} {checks:?} {:?} {:?} {derived:?}", tap.facts, tap.keys.counts()).to_lowercase();
    assert!(told.contains("join accept") && told.contains("linkcheckreq"), "{told}");
    for secret in [own(), other(), nwk_s, app_s] {
        assert!(!told.contains(&text(&secret)));
        let decimal = format!("{secret:?}");
        assert!(!told.contains(decimal.trim_matches(['[', ']'])));
    }
}
