use super::air::{ADDRESS, DEVICE, Data, Raw, Tap, accept_1_0, argument, found, listed, other, own, session_1_0};
use crate::findings::Answer;
use crate::hot::owned::{IdentityKey, OwnedFact};
use crate::keys::lorawan::candidates::{Candidates, Euis};
use crate::keys::lorawan::derive::SessionKeys;
use crate::keys::lorawan::key::Key;
use crate::keys::lorawan::{Budget, KeyConfig, RootKeys};
use citytap_sensor::observation::Confidence;
use citytap_sensor::protocols::lorawan::{dev_addr, dev_eui};

const NOTHING: Budget = Budget { per_device: 0, in_total: 0 };

fn root(app_key: Raw) -> KeyConfig {
    let mut config = KeyConfig::default();
    config.devices.insert(DEVICE.dev_eui, RootKeys { app_key: Some(Key::new(app_key)), nwk_key: None });
    config
}

fn session(nwk_s_key: Raw) -> KeyConfig {
    let mut config = KeyConfig::default();
    config.sessions.insert(ADDRESS, SessionKeys::v1_0(Key::new(nwk_s_key), None));
    config
}

fn tally(tap: &Tap, name: &str) -> u64 {
    tap.keys.tallies().into_iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn a_configured_key_that_is_right_is_an_answer_without_a_trial() {
    let mut tap = Tap::with(root(own()), NOTHING);
    tap.hear(&DEVICE.join(&own(), 1));
    tap.hear(&DEVICE.join(&own(), 2));
    tap.end();
    let Answer::Clear(on) = tap.known_key(DEVICE.dev_eui) else { panic!() };
    let keys = Candidates::embedded().count();
    assert_eq!(on.replace(',', ""), format!("the configured key makes the code of 2 joins and is none of {keys} known keys"));
    assert_eq!((tap.keys.trials(), tally(&tap, "configured_keys_right"), tally(&tap, "configured_keys_wrong")), (0, 1, 0));
}

#[test]
fn with_a_budget_too_nothing_is_tried_where_the_owner_knows_the_key() {
    let mut tap = Tap::with(root(own()), Budget::default());
    tap.hear(&DEVICE.join(&own(), 1));
    tap.end();
    assert_eq!(tap.keys.trials(), 0);
    tap.hear(&DEVICE.join(&other(), 2));
    tap.end();
    assert!(tap.keys.trials() > 0, "another key was used in its name");
    let Answer::Clear(on) = tap.known_key(DEVICE.dev_eui) else { panic!() };
    assert!(on.ends_with("known keys; 1 join made with another key"), "{on}");
}

#[test]
fn a_configured_key_that_is_published_is_found_in_one_join() {
    let mut tap = Tap::with(root(listed()), NOTHING);
    tap.hear(&DEVICE.join(&listed(), 1));
    tap.end();
    let answer = found(tap.known_key(DEVICE.dev_eui));
    let proof = "the configured key, which makes the code of 1 join";
    assert_eq!((answer.confidence, argument(&answer, "_proof"), answer.evidence.count), (Confidence::Proved, proof, 1));
    assert!(argument(&answer, "origin").contains("LoRaMac-node"));
}

#[test]
fn a_configured_key_that_follows_from_the_euis_is_found() {
    let candidates = Candidates::embedded();
    let family = candidates.families.iter().find(|family| family.needs_euis()).unwrap();
    let euis = Euis { dev_eui: DEVICE.dev_eui, join_eui: DEVICE.join_eui };
    let key = family.key(0, Some(euis)).unwrap();
    let mut tap = Tap::with(root(key), NOTHING);
    tap.hear(&DEVICE.join(&key, 1));
    tap.end();
    assert_eq!(argument(&found(tap.known_key(DEVICE.dev_eui)), "list"), &*family.name);
}

#[test]
fn a_configured_key_that_is_wrong_is_told_beside_the_answer() {
    let mut tap = Tap::with(root(other()), Budget::default());
    tap.hear(&DEVICE.join(&own(), 1));
    tap.end();
    let wrong = "; the configured key is wrong: 1 join seen, and it makes the code of none";
    let Answer::Clear(on) = tap.known_key(DEVICE.dev_eui) else { panic!() };
    assert!(on.starts_with("tested against") && on.ends_with(wrong), "{on}");
    assert_eq!((tally(&tap, "configured_keys_right"), tally(&tap, "configured_keys_wrong")), (0, 1));

    let mut tap = Tap::with(root(other()), NOTHING);
    tap.hear(&DEVICE.join(&own(), 1));
    tap.end();
    assert!(matches!(tap.known_key(DEVICE.dev_eui), Answer::Untested(why) if why.starts_with("budget") && why.ends_with(wrong)));

    let mut tap = Tap::with(root(other()), Budget::default());
    tap.hear(&DEVICE.join(&listed(), 1));
    tap.hear(&DEVICE.join(&listed(), 2));
    tap.end();
    assert_eq!(found(tap.known_key(DEVICE.dev_eui)).confidence, Confidence::Proved, "a published key goes before");
}

#[test]
fn a_configured_session_key_answers_after_one_frame() {
    let mut tap = Tap::with(session(own()), NOTHING);
    tap.hear(&Data::up(ADDRESS, 7, 1, b"x").seal(&own(), &own()));
    tap.end();
    let Answer::Clear(on) = tap.session_key(ADDRESS) else { panic!() };
    assert!(on.starts_with("the configured key makes the code of 1 frame and is none of 328,388"), "{on}");
    assert!(tap.verdict("lorawan-known-key", "dev_addr:26011bda").is_none(), "its keys are fixed: it has no root key");

    let mut tap = Tap::with(session(listed()), NOTHING);
    tap.hear(&Data::up(ADDRESS, 7, 1, b"x").seal(&listed(), &own()));
    tap.end();
    assert_eq!(argument(&found(tap.session_key(ADDRESS)), "_proof"), "the configured key, which makes the code of 1 frame");

    let mut tap = Tap::with(session(other()), NOTHING);
    tap.hear(&Data::up(ADDRESS, 7, 1, b"x").seal(&own(), &own()));
    tap.end();
    let Answer::Untested(why) = tap.session_key(ADDRESS) else { panic!() };
    assert_eq!(
        why,
        "fewer than two uplinks with different counters seen; the configured key is wrong: 1 frame seen, and it makes the code of none"
    );
}

#[test]
fn a_session_that_a_server_named_first_has_its_configured_key_too() {
    let mut tap = Tap::with(session(own()), NOTHING);
    let (a, b) = (IdentityKey::new(&dev_eui(DEVICE.dev_eui), 0), IdentityKey::new(&dev_addr(ADDRESS), 0));
    tap.keys.fact(&OwnedFact::SameAs { a, b, basis: "device information", confidence: Confidence::Seen });
    tap.hear(&Data::up(ADDRESS, 7, 1, b"x").seal(&own(), &own()));
    assert_eq!(tap.keys.counts().mics_right, 1);
}

#[test]
fn frames_of_a_joined_session_say_nothing_of_a_session_key_at_its_address() {
    let mut config = root(own());
    config.sessions = session(other()).sessions;
    let mut tap = Tap::with(config, NOTHING);
    tap.hear(&DEVICE.join(&own(), 9));
    tap.hear(&accept_1_0(&own(), 77, ADDRESS, &[]));
    let (nwk_s, app_s) = (session_1_0(&own(), 1, 9, 77), session_1_0(&own(), 2, 9, 77));
    tap.hear(&Data::up(ADDRESS, 0, 1, b"x").seal(&nwk_s, &app_s));
    tap.end();
    assert_eq!((tap.keys.counts().mics_right, tally(&tap, "configured_keys_wrong")), (1, 0));
}
