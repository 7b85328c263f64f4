use super::air::{DEVICE, Device, GATEWAY, Raw, Tap, accept_1_0, argument, found, hex, own, raw, text};
use crate::findings::{Answer, Severity};
use crate::keys::lorawan::audit::{DEVICES, grouped};
use crate::keys::lorawan::candidates::Candidates;
use crate::keys::lorawan::derive::{self, JOIN, Request};
use crate::keys::lorawan::key::Key;
use crate::keys::lorawan::{Budget, KeyConfig, LorawanKeys, RootKeys};
use citytap_sensor::observation::Confidence;

const HOUR: u64 = 3_600_000;

/// A key that stands on a list.
fn listed() -> Raw {
    raw("5572404c696e6b4c6f52613230313823")
}

fn twice(eui: u64) -> Raw {
    [eui.to_be_bytes(), eui.to_be_bytes()].concat().try_into().unwrap()
}

#[test]
fn one_join_is_possible_and_a_second_with_another_nonce_proves() {
    let mut tap = Tap::new();
    tap.hear(&DEVICE.join(&twice(DEVICE.dev_eui), 17));
    tap.epoch();
    let first = found(tap.known_key(DEVICE.dev_eui));
    assert_eq!((first.severity, first.confidence), (Severity::Critical, Confidence::Possible));
    assert_eq!(argument(&first, "list"), "DevEUI twice");
    assert!(argument(&first, "_proof").contains("one honest device in 13,027"), "{:?}", first.arguments);

    tap.hear(&DEVICE.join(&twice(DEVICE.dev_eui), 18));
    tap.epoch();
    let second = found(tap.known_key(DEVICE.dev_eui));
    assert_eq!((second.confidence, argument(&second, "_proof")), (Confidence::Proved, "the codes of two joins"));
    assert_eq!((second.evidence.count, second.evidence.pointers().map(|p| p.seen.place.frame).collect()), (2, vec![1, 2]));
}

#[test]
fn copies_and_retransmissions_never_confirm() {
    let mut tap = Tap::new();
    let join = DEVICE.join(&listed(), 17);
    for gateway in 0..5 {
        tap.hear_at(&join, Some(GATEWAY + gateway), None);
        tap.epoch();
    }
    // Sent again hours later: the same bytes.
    for _ in 0..3 {
        tap.wait(9 * HOUR);
        tap.hear(&join);
        tap.epoch();
    }
    tap.end();
    let answer = found(tap.known_key(DEVICE.dev_eui));
    assert_eq!((answer.confidence, answer.evidence.count), (Confidence::Possible, 1));
    let device = tap.keys.device(DEVICE.dev_eui).unwrap();
    assert_eq!((device.joins(), device.copies()), (1, 7));
}

#[test]
fn a_join_accept_proves_and_names_the_session() {
    let mut tap = Tap::new();
    tap.hear(&DEVICE.join(&listed(), 17));
    tap.wait(100);
    tap.hear(&accept_1_0(&listed(), 0x010203, 0x2601_1bda, &[]));
    tap.epoch();
    let answer = found(tap.known_key(DEVICE.dev_eui));
    assert_eq!((answer.confidence, argument(&answer, "_proof")), (Confidence::Proved, "the codes of a join and its join-accept"));
    assert!(argument(&answer, "origin").contains("Milesight"));
    assert_eq!(tap.links(), ["dev_eui:24e124fffe010203 = dev_addr:26011bda: join accept Proved"]);
    let derived = tap.derived();
    assert!(derived[0].starts_with(
        r#"lorawan.join_accept_decrypted {"dev_eui":"24e124fffe010203","join_nonce":66051,"net_id":"000013","dev_addr":"26011bda""#
    ));
}

#[test]
fn a_join_accept_of_1_1_and_a_rejoin_prove() {
    let mut tap = Tap::new();
    tap.hear(&DEVICE.join(&listed(), 17));
    tap.hear(&DEVICE.accept_1_1(&listed(), 0xff, 17, 5, 0x2601_0001));
    tap.epoch();
    assert_eq!(found(tap.known_key(DEVICE.dev_eui)).confidence, Confidence::Proved);
    let version = tap.facts.iter().any(|fact| format!("{fact:?}").contains("ProtocolVersion, value: \"1.1\""));
    assert!(version, "{:?}", tap.facts);

    // At another gateway: a join-accept names no device.
    const ELSEWHERE: Option<u64> = Some(GATEWAY + 1);
    let other = Device { dev_eui: 7, ..DEVICE };
    tap.hear_at(&other.join(&listed(), 1), ELSEWHERE, None);
    tap.epoch();
    assert_eq!(found(tap.known_key(7)).confidence, Confidence::Possible);
    tap.hear_at(&other.rejoin(&own(), 1), ELSEWHERE, None);
    assert_eq!(found(tap.known_key(7)).confidence, Confidence::Possible);
    tap.hear_at(&other.rejoin(&listed(), 1), ELSEWHERE, None);
    let answer = found(tap.known_key(7));
    assert_eq!((answer.confidence, argument(&answer, "_proof")), (Confidence::Proved, "the codes of a join and a rejoin"));
    // What answers a rejoin is encrypted with a key of its own.
    tap.hear_at(&other.accept_1_1(&listed(), 1, 1, 6, 0x2601_0002), ELSEWHERE, None);
    tap.epoch();
    assert!(tap.links().contains(&"dev_eui:0000000000000007 = dev_addr:26010002: join accept Proved".into()));
}

#[test]
fn a_key_of_its_own_is_clear_and_says_on_what() {
    let mut tap = Tap::new();
    tap.hear(&DEVICE.join(&own(), 1));
    tap.epoch();
    let Answer::Untested(why) = tap.known_key(DEVICE.dev_eui) else { panic!("tested already") };
    assert_eq!(why, "key trials still wait; 1,996 of 329,676 candidate keys tried");
    tap.wait(31_000);
    tap.epoch();
    let Answer::Clear(on) = tap.known_key(DEVICE.dev_eui) else { panic!("not clear") };
    assert_eq!(on, "tested against 329,676 keys on lists and derived from what it sends in clear, on 1 of 1 joins");
}

#[test]
fn patterns_are_found_with_the_last_frames() {
    let mut tap = Tap::new();
    for (number, key) in ["41424242424242424242424242424242", "c0de0000000000000000000000000000"].iter().enumerate() {
        let device = Device { dev_eui: number as u64, ..DEVICE };
        tap.hear(&device.join(&raw(key), 1));
        tap.hear(&device.join(&raw(key), 2));
    }
    tap.end();
    for (eui, told) in [(0, "One byte, then another"), (1, "Two bytes, then fourteen zeros")] {
        let answer = found(tap.known_key(eui));
        assert_eq!((answer.confidence, argument(&answer, "list")), (Confidence::Proved, "a simple pattern"));
        assert!(argument(&answer, "origin").starts_with(told), "{answer:?}");
    }
}

#[test]
fn a_key_in_several_families_is_told_by_the_first() {
    let mut tap = Tap::new();
    tap.hear(&DEVICE.join(&[0; 16], 1));
    tap.hear(&DEVICE.join(&[0; 16], 2));
    tap.end();
    assert_eq!(argument(&found(tap.known_key(DEVICE.dev_eui)), "list"), "list rolaguard-2021");
}

#[test]
fn chance_is_dropped_once_other_joins_do_not_fit() {
    let mut tap = Tap::new();
    tap.hear(&DEVICE.join(&listed(), 1));
    tap.epoch();
    tap.hear(&DEVICE.join(&own(), 2));
    tap.epoch();
    assert_eq!(found(tap.known_key(DEVICE.dev_eui)).confidence, Confidence::Possible, "one forged join hides nothing");
    tap.hear(&DEVICE.join(&own(), 3));
    tap.epoch();
    assert!(!matches!(tap.known_key(DEVICE.dev_eui), Answer::Found(found) if found.confidence == Confidence::Proved));
}

#[test]
fn a_replaced_key_clears_once_the_network_accepts_it() {
    let mut tap = Tap::new();
    tap.hear(&DEVICE.join(&listed(), 1));
    tap.hear(&DEVICE.join(&listed(), 2));
    tap.epoch();
    assert_eq!(found(tap.known_key(DEVICE.dev_eui)).confidence, Confidence::Proved);
    tap.wait(HOUR);
    tap.hear(&DEVICE.join(&own(), 3));
    tap.epoch();
    assert_eq!(found(tap.known_key(DEVICE.dev_eui)).confidence, Confidence::Proved, "anybody can send a join in its name");
    tap.hear(&accept_1_0(&own(), 9, 0x2601_0009, &[]));
    tap.epoch();
    tap.end();
    // The older joins are still kept and still fit: the newest answer counts.
    assert!(matches!(tap.known_key(DEVICE.dev_eui), Answer::Clear(_)), "{:?}", tap.known_key(DEVICE.dev_eui));
}

#[test]
fn an_exhausted_budget_is_told_and_new_the_next_day() {
    let mut tap = Tap::with(KeyConfig::default(), Budget { in_total: 3_000, ..Budget::default() });
    for eui in 0..3 {
        tap.hear(&Device { dev_eui: eui, ..DEVICE }.join(&own(), 1));
    }
    tap.end();
    let Answer::Untested(why) = tap.known_key(0) else { panic!() };
    assert_eq!(why, "budget: the day's key trials for all devices are used up; 1,996 of 329,676 candidate keys tried");
    let Answer::Untested(why) = tap.known_key(1) else { panic!() };
    assert_eq!(why, "budget: the day's key trials for all devices are used up; 0 of 329,676 candidate keys tried");
    tap.wait(24 * HOUR);
    tap.epoch();
    assert_eq!(tap.keys.trials(), 2 * 1_996);

    let mut tap = Tap::with(KeyConfig::default(), Budget { per_device: 10_000, ..Budget::default() });
    tap.hear(&DEVICE.join(&own(), 1));
    tap.end();
    let Answer::Untested(why) = tap.known_key(DEVICE.dev_eui) else { panic!() };
    assert!(why.starts_with("budget: this device's key trials for the day are used up; 1,996 of"), "{why}");
}

#[test]
fn patterns_are_tried_once_a_day() {
    let mut tap = Tap::new();
    tap.hear(&DEVICE.join(&own(), 1));
    tap.end();
    let after_one = tap.keys.trials();
    for nonce in 2..6 {
        tap.wait(HOUR);
        tap.hear(&DEVICE.join(&own(), nonce));
        tap.epoch();
        tap.wait(31_000);
        tap.epoch();
    }
    assert_eq!(tap.keys.trials() - after_one, 4 * 1_996);
    tap.wait(24 * HOUR);
    tap.hear(&DEVICE.join(&own(), 6));
    tap.end();
    assert!(tap.keys.trials() - after_one > 4 * 327_680);
}

#[test]
fn a_configured_key_makes_no_finding_and_opens_the_session() {
    let mut config = KeyConfig::default();
    config.join_euis.insert(DEVICE.join_eui, RootKeys { app_key: Some(Key::new(own())), nwk_key: None });
    let mut tap = Tap::with(config, Budget::default());
    tap.hear(&DEVICE.join(&own(), 1));
    tap.hear(&accept_1_0(&own(), 9, 0x2601_0009, &hex("184f84e85684b85e84886684586e8400")));
    tap.end();
    assert!(matches!(tap.known_key(DEVICE.dev_eui), Answer::Clear(_)));
    assert_eq!(tap.links(), ["dev_eui:24e124fffe010203 = dev_addr:26010009: join accept Proved"]);
    assert!(tap.derived()[0].contains(r#""frequencies_hz":[867100000,867300000,867500000,867700000,867900000]"#));
    assert_eq!(tap.keys.counts().configured_keys_wrong, 0);
    tap.hear(&DEVICE.join(&listed(), 2));
    assert_eq!(tap.keys.counts().configured_keys_wrong, 1);
}

/// The public example of a join with its answer (AppKey, frames, session keys) that the lorawan-packet library documents.
#[test]
fn a_published_join_and_its_session_keys() {
    let key = Key::from_hex("B6B53F4A168A7A88BDF7EA135CE9CFCA").unwrap();
    let request = Request { kind: JOIN, dev_eui: 0x00af_ee7c_f5ed_6f1e, join_eui: 0x70b3_d57e_d000_00dc, nonce: 0xcc85 };
    let device = Device { dev_eui: request.dev_eui, join_eui: request.join_eui };
    let app_key = raw("B6B53F4A168A7A88BDF7EA135CE9CFCA");
    assert_eq!(text(&device.join(&app_key, 0xcc85)), "00dc0000d07ed5b3701e6fedf57ceeaf0085cc587fe913");
    let frame = hex("204DD85AE608B87FC4889970B7D2042C9E72959B0057AED6094B16003DF12DE145");
    let opened = derive::open(&key, &request, &frame).expect("it opens");
    let accept = opened.content().unwrap();
    assert_eq!((accept.join_nonce, accept.net_id.0, accept.dev_addr.0), (0xe5063a, 0x13, 0x2601_2e43));
    let keys = derive::session_keys(&key, None, &request, &accept);
    assert_eq!(text(keys.f_nwk_s_int.bytes()), "2c96f7028184bb0be8aa49275290d4fc");
    assert_eq!(text(keys.app_s.unwrap().bytes()), "f3a5c8f0232a38c144029c165865802c");
    assert!(derive::open(&key, &Request { nonce: 1, ..request }, &frame).is_some(), "1.0 does not bind the answer to the nonce");
    assert!(derive::open(&Key::new([1; 16]), &request, &frame).is_none());
    assert!(derive::open(&key, &request, &frame[..32]).is_none());
}

#[test]
fn a_hundred_thousand_strangers_prove_nothing_and_stay_bounded() {
    let mut slice = Candidates::parsed();
    slice.families.retain(|family| &*family.id == "list-citytap");
    let mut tap = Tap::new();
    tap.keys = LorawanKeys::with_candidates(KeyConfig::default(), Budget::default(), Box::leak(Box::new(slice)));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..100_000_u64 {
        let mut frame = [&[0x00][..], &[1; 8], &number.to_le_bytes(), &[7, 7]].concat();
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        frame.extend(&state.to_be_bytes()[..4]);
        tap.hear(&frame);
        if number % 1_000 == 0 {
            tap.epoch();
        }
    }
    tap.end();
    let verdicts = tap.verdicts();
    assert_eq!(verdicts.len(), DEVICES);
    assert_eq!(tap.keys.counts().devices_forgotten, 100_000 - DEVICES as u64);
    for verdict in verdicts {
        assert!(!matches!(verdict.answer, Answer::Found(found) if found.confidence != Confidence::Possible));
    }
}

#[test]
fn digits_in_groups() {
    assert_eq!([0, 999, 1_000, 329_676].map(grouped), ["0", "999", "1,000", "329,676"]);
}
