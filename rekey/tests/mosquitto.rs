//! The backend against the real mosquitto of Debian, started on loopback by each test.

mod lab;

use citytap_rekey::backends::Backend;
use citytap_rekey::evidence::Evidence;
use citytap_rekey::rotation::Outcome;
use citytap_rekey::slot::Generation;
use citytap_rekey::time::Timestamp;
use lab::{Lab, With, by, secret, slot, uses, wait_until};
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const START: Timestamp = Timestamp(0);
const OLD: &str = "OldPasswordOfTheFactory";
const NEW: &str = "NewPasswordFromRekey42";

fn generations(backend: &dyn Backend, name: &str) -> Vec<u32> {
    let set = backend.read_back(&slot(name)).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert!(!set.foreign, "{set:?}");
    set.generations.into_iter().map(|it| it.0).collect()
}

fn why(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Rejected { why } | Outcome::Unknown { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn plugin_both_passwords_work_under_one_name_and_the_old_one_not_after_retirement() {
    let lab = Lab::started(With::Plugin, &[("dev1", OLD), ("dev2", "other")]);
    let backend = lab.backend("plugin", "");
    backend.preflight().unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(generations(&*backend, "dev1"), [1]);
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done, "asked again, nothing changes");
    assert_eq!(generations(&*backend, "dev1"), [1, 2]);
    assert!(lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW) && !lab.lets_in("dev1", "neither"));
    assert!(lab.lets_in("dev2", "other") && !lab.lets_in("dev2", NEW), "others are as before");

    lab.run();
    assert!(lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW), "after a restart");
    assert_eq!(lab.retire(&*backend, &slot("dev1"), 1), Outcome::Done);
    assert_eq!(lab.retire(&*backend, &slot("dev1"), 1), Outcome::Done, "asked again, nothing changes");
    assert_eq!(generations(&*backend, "dev1"), [2]);
    assert!(!lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW));
    assert!(why(&backend.retire(&slot("dev1"), Generation(2), by(9))).contains("lock the device out"), "the last one stays");
    assert!(lab.lets_in("dev1", NEW));

    assert_eq!(backend.leave(&slot("dev1"), by(10)), Outcome::Done);
    fs::remove_file(lab.path("accepts")).expect("removed");
    lab.run();
    assert!(lab.lets_in("dev1", NEW), "without us");
}

#[test]
fn plugin_tells_which_generation_was_used_and_keeps_it_while_nobody_listens() {
    let lab = Lab::started(With::Plugin, &[("dev1", OLD)]);
    let backend = lab.backend("plugin", "");
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    let evidence = || backend.evidence(&slot("dev1"), START).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(evidence(), [], "the canary is nobody's use");
    let mut client = lab.connect("c1", "dev1", OLD).expect("let in");
    client.publish("city/lamp", b"on", None).expect("published");
    client.publish("city/lamp", b"off", None).expect("published");
    let seen = wait_until("login and data", || Some(evidence()).filter(|seen| seen.len() == 2));
    assert_eq!(uses(&seen), [(1, false), (1, true)]);
    let mark = |it: &Evidence| if let Evidence::Used(it) = it { it.session } else { 0 };
    assert_eq!(mark(&seen[0]), mark(&seen[1]), "one session");

    drop(backend); // We are away; the plugin keeps the latest.
    lab.lets_in("dev1", NEW);
    lab.lets_in("dev1", NEW);
    let backend = lab.backend("plugin", "");
    let evidence = || backend.evidence(&slot("dev1"), START).unwrap_or_else(|refusal| panic!("{refusal}"));
    let seen = wait_until("the use that was kept", || Some(evidence()).filter(|seen| seen.len() == 3));
    assert_eq!(uses(&seen), [(1, false), (1, true), (2, false)]);
    assert!(!lab.lets_in("dev1", "neither"));
    wait_until("the refusal", || evidence().iter().any(|it| matches!(it, Evidence::Refused { .. })).then_some(()));
}

#[test]
fn plugin_a_login_with_an_old_password_that_is_not_known_here_counts_as_a_use_of_it() {
    let lab = Lab::start(With::Plugin, &[("dev1", OLD)]);
    lab.run();
    let backend = lab.backend("plugin", "");
    assert_eq!(generations(&*backend, "dev1"), [1]);
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    assert!(lab.lets_in("dev1", OLD), "dynamic security decides as before");
    let seen =
        wait_until("the use", || Some(backend.evidence(&slot("dev1"), START).expect("told")).filter(|seen| !seen.is_empty()));
    assert_eq!(uses(&seen), [(1, false)]);
}

#[test]
fn plugin_a_broker_restart_while_we_were_away_counts_as_a_use_of_what_the_broker_holds() {
    let lab = Lab::started(With::Plugin, &[("dev1", OLD)]);
    let backend = lab.backend("plugin", "");
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    assert!(lab.lets_in("dev1", NEW));
    wait_until("the first use", || (!backend.evidence(&slot("dev1"), START).expect("told").is_empty()).then_some(()));
    drop(backend);
    lab.run();
    let backend = lab.backend("plugin", "");
    assert!(lab.lets_in("dev1", NEW));
    let seen = wait_until("the next use", || {
        Some(uses(&backend.evidence(&slot("dev1"), START).expect("told"))).filter(|seen| seen.len() > 1)
    });
    assert!(seen.contains(&(1, false)), "what was lost may have been the old one: {seen:?}");
}

#[test]
fn plugin_does_not_let_in_whom_a_person_disabled_until_they_are_enabled_again() {
    let lab = Lab::started(With::Plugin, &[("dev1", OLD)]);
    let backend = lab.backend("plugin", "");
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    let person = |command: &str| {
        let mut client = lab.connect("person", lab::ADMIN, lab::ADMIN_PASSWORD).expect("let in");
        let text = format!(r#"{{"commands":[{{"command":"{command}","username":"dev1"}}]}}"#);
        client.publish("$CONTROL/dynamic-security/v1", text.as_bytes(), None).expect("published");
    };
    person("disableClient");
    wait_until("neither password works", || (!lab.lets_in("dev1", OLD) && !lab.lets_in("dev1", NEW)).then_some(()));
    person("enableClient");
    wait_until("both work again", || (lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW)).then_some(()));
    assert_eq!(generations(&*backend, "dev1"), [1, 2]);
}

#[test]
fn plugin_works_with_a_broker_that_gave_up_root() {
    let lab = Lab::started(With::PluginUnprivileged, &[("dev1", OLD)]);
    let status = fs::read_to_string(format!("/proc/{}/status", lab.broker_pid())).expect("read");
    assert!(!status.contains("Uid:\t0\t0"), "the broker still is root");
    let backend = lab.backend("plugin", "");
    backend.preflight().unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    assert!(lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW));
    wait_until("both uses", || (backend.evidence(&slot("dev1"), START).expect("told").len() == 2).then_some(()));
    assert_eq!(lab.retire(&*backend, &slot("dev1"), 1), Outcome::Done);
    assert!(!lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW));
    let open =
        |name: &str| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(lab.path(name)).expect("there").permissions()) & 0o007;
    assert_eq!(
        [open("accepts"), open("uses"), open("dynamic-security.json.citytap-copy")],
        [0, 0, 0],
        "closed to everybody else"
    );
}

#[test]
fn plugin_in_the_wrong_order_is_found_out_before_anything_is_delivered() {
    let lab = Lab::started(With::PluginAfter, &[("dev1", OLD)]);
    let backend = lab.backend("plugin", "");
    let refusal = backend.preflight().expect_err("the wrong order");
    assert!(refusal.remedy.contains("before dynamic security"), "{refusal}");
    let outcome = lab.accept(&*backend, &slot("dev1"), 2, NEW);
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert!(!lab.lets_in("dev1", NEW) && lab.lets_in("dev1", OLD));
}

#[test]
fn alternate_user_both_users_log_in_and_the_old_one_not_after_retirement() {
    let lab = Lab::started(With::DynamicSecurity, &[("dev1", OLD)]);
    let backend = lab.backend("alternate_user", "");
    backend.preflight().unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done, "asked again, nothing changes");
    assert_eq!(generations(&*backend, "dev1"), [1, 2]);
    assert!(lab.lets_in("dev1", OLD) && lab.lets_in("dev1.g2", NEW) && !lab.lets_in("dev1.g2", OLD));
    let mut client = lab.connect("c1", "dev1.g2", NEW).expect("let in");
    client.publish("city/lamp", b"on", None).expect("published");
    client.subscribe("city/#").expect("the same rights");
    let seen = backend.evidence(&slot("dev1"), START).expect("told");
    assert!(uses(&seen).contains(&(1, false)) && uses(&seen).contains(&(2, true)), "{seen:?}");

    lab.run();
    assert!(lab.lets_in("dev1.g2", NEW), "after a restart");
    assert_eq!(lab.retire(&*backend, &slot("dev1"), 1), Outcome::Done);
    assert_eq!(lab.retire(&*backend, &slot("dev1"), 1), Outcome::Done, "asked again, nothing changes");
    assert!(!lab.lets_in("dev1", OLD) && lab.lets_in("dev1.g2", NEW));
    assert_eq!(generations(&*backend, "dev1"), [2]);
    assert!(why(&backend.retire(&slot("dev1"), Generation(2), by(9))).contains("lock the device out"));
    assert_eq!(
        lab.accept(&*backend, &slot("dev1"), 3, OLD),
        Outcome::Done,
        "the next rotation takes its rights from the second user"
    );
    assert!(lab.lets_in("dev1.g3", OLD));
}

#[test]
fn alternate_user_is_refused_where_topics_are_named_by_user() {
    let lab = Lab::start(With::DynamicSecurity, &[("dev1", OLD)]);
    let path = lab.path("dynamic-security.json");
    let text = fs::read_to_string(&path)
        .expect("read")
        .replace(r#""roles":[{"rolename":"device"}]"#, r#""roles":[{"rolename":"by-name"}]"#);
    fs::write(&path, text).expect("written");
    lab.run();
    let backend = lab.backend("alternate_user", "");
    assert!(why(&lab.accept(&*backend, &slot("dev1"), 2, NEW)).contains("%u"));
    assert!(why(&lab.accept(&*backend, &slot("nobody"), 2, NEW)).contains("no such user"));
}

#[test]
fn the_administrator_is_never_changed() {
    let lab = Lab::started(With::DynamicSecurity, &[]);
    lab.ledger.set_accepted(&slot(lab::ADMIN), &[1, 2]);
    let backend = lab.backend("alternate_user", "");
    lab.accept(&*backend, &slot(lab::ADMIN), 2, NEW);
    assert!(why(&backend.retire(&slot(lab::ADMIN), Generation(1), by(1))).contains("never changed"));
    assert!(lab.lets_in(lab::ADMIN, lab::ADMIN_PASSWORD));
}

#[test]
fn a_broker_that_saves_unsafely_needs_consent() {
    let lab = Lab::started(With::DynamicSecurity, &[]);
    let mut table = lab.table("alternate_user", "");
    table.remove("accept_unsafe_saving");
    let spec = citytap_rekey::backends::named("mosquitto").expect("in the table");
    let backend = (spec.open)(&table, lab.ledger.clone()).unwrap_or_else(|refusal| panic!("{refusal}"));
    // On another mosquitto (CITYTAP_MOSQUITTO) there is nothing to consent to.
    match backend.preflight() {
        Err(refusal) => assert!(refusal.cause.contains("2.0.11") && refusal.remedy.contains("accept_unsafe_saving"), "{refusal}"),
        Ok(()) => assert!(!lab.log().contains("mosquitto version 2.0.11 ")),
    }
}

#[test]
fn half_a_file_is_restored_and_told_and_nothing_is_locked_out() {
    let lab = Lab::started(With::DynamicSecurity, &[("dev1", OLD)]);
    let backend = lab.backend("alternate_user", "");
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    break_file(&lab);
    assert!(!lab.lets_in("dev1", OLD) && !lab.lets_in("dev1.g2", NEW), "with half a file mosquitto refuses every client");
    let refusal = backend.read_back(&slot("dev1")).expect_err("it refuses us too");
    assert!(refusal.remedy.contains("dynamic-security.json"), "{refusal}");
    let refusal = backend.preflight().expect_err("told");
    assert!(refusal.cause.contains("restored") && refusal.remedy.contains("restart"), "{refusal}");
    lab.run();
    assert!(lab.lets_in("dev1", OLD) && lab.lets_in("dev1.g2", NEW), "the copy holds the last change");
    assert_eq!(generations(&*backend, "dev1"), [1, 2]);
}

/// As a crash of 2.0.11 in the middle of saving leaves it.
fn break_file(lab: &Lab) {
    let path = lab.path("dynamic-security.json");
    let whole = fs::read(&path).expect("read");
    lab.stop();
    fs::write(&path, &whole[..whole.len() / 2]).expect("cut");
    lab.run();
}

#[test]
fn plugin_lets_staged_devices_in_even_while_dynamic_security_is_broken() {
    let lab = Lab::started(With::Plugin, &[("dev1", OLD)]);
    let backend = lab.backend("plugin", "");
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    break_file(&lab);
    assert!(lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW));
    assert!(backend.preflight().is_err_and(|refusal| refusal.cause.contains("restored")));
}

#[test]
fn plugin_an_old_password_that_was_never_entered_here_is_retired_all_the_same() {
    let lab = Lab::start(With::Plugin, &[("dev1", OLD)]);
    lab.run();
    let backend = lab.backend("plugin", "");
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
    assert_eq!(generations(&*backend, "dev1"), [1, 2]);
    assert_eq!(lab.retire(&*backend, &slot("dev1"), 1), Outcome::Done);
    assert!(!lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW));
    assert_eq!(generations(&*backend, "dev1"), [2]);
}

#[test]
fn plugin_a_new_password_can_be_retired_again_and_the_old_one_stays() {
    for entered in [true, false] {
        let lab = Lab::start(With::Plugin, &[("dev1", OLD)]);
        if entered {
            lab.ledger.enter(&slot("dev1"), 1, OLD);
        }
        lab.run();
        let backend = lab.backend("plugin", "");
        assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, NEW), Outcome::Done);
        assert_eq!(lab.retire(&*backend, &slot("dev1"), 2), Outcome::Done);
        assert!(lab.lets_in("dev1", OLD) && !lab.lets_in("dev1", NEW));
        assert_eq!(generations(&*backend, "dev1"), [1]);
    }
}

#[test]
fn a_broker_killed_in_mid_batch_is_caught_up_by_asking_again() {
    let names: Vec<String> = (0..20).map(|at| format!("dev{at}")).collect();
    let devices: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), OLD)).collect();
    let lab = Lab::started(With::DynamicSecurity, &devices);
    let backend = lab.backend("alternate_user", "");
    let mut outcomes = Vec::new();
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let accept = |name: &String| lab.accept(&*backend, &slot(name), 2, NEW);
            names.iter().map(accept).collect::<Vec<Outcome>>()
        });
        std::thread::sleep(std::time::Duration::from_millis(150));
        lab.stop();
        outcomes = work.join().expect("no panic");
    });
    let done = outcomes.iter().filter(|it| **it == Outcome::Done).count();
    assert!(done < names.len(), "the broker was killed too late to show anything");
    lab.run();
    if let Err(refusal) = backend.preflight() {
        assert!(refusal.cause.contains("restored"), "{refusal}");
        lab.run();
    }
    for (name, outcome) in names.iter().zip(&outcomes) {
        assert!(lab.lets_in(name, OLD), "{name} was locked out");
        assert!(*outcome != Outcome::Done || lab.lets_in(&format!("{name}.g2"), NEW), "{name}: done, and yet not there");
        assert_eq!(lab.accept(&*backend, &slot(name), 2, NEW), Outcome::Done, "{name}");
        assert_eq!(generations(&*backend, name), [1, 2]);
    }
}

#[test]
fn psk_file_both_identities_work_and_the_old_one_not_after_retirement() {
    let (old, new) = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100");
    let lab = Lab::started(With::PskFile, &[("dev1", old)]);
    let backend = lab.backend("psk_file", "");
    backend.preflight().unwrap_or_else(|refusal| panic!("{refusal}"));
    fs::set_permissions(lab.path("psk"), std::os::unix::fs::PermissionsExt::from_mode(0o640)).expect("set");
    assert!(psk_login(&lab, "dev1", old) && !psk_login(&lab, "dev1", new));
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 2, new), Outcome::Done);
    assert_eq!(generations(&*backend, "dev1"), [1, 2]);
    assert!(psk_login(&lab, "dev1", old) && psk_login(&lab, "dev1.g2", new) && !psk_login(&lab, "dev1.g2", old));
    let seen = uses(&backend.evidence(&slot("dev1"), START).expect("told"));
    assert!(seen.contains(&(1, false)) && seen.contains(&(2, false)), "{seen:?}");
    assert_eq!(lab.retire(&*backend, &slot("dev1"), 1), Outcome::Done);
    assert!(!psk_login(&lab, "dev1", old) && psk_login(&lab, "dev1.g2", new));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(lab.path("psk")).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o640, "owner and mode are kept");
    assert!(why(&lab.accept(&*backend, &slot("dev1"), 3, "no hex")).contains("hex"));
}

/// MQTT over TLS-PSK by openssl: whether CONNACK 0 comes back.
fn psk_login(lab: &Lab, identity: &str, key: &str) -> bool {
    let address = format!("127.0.0.1:{}", lab.psk_port);
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-tls1_2", "-connect", &address, "-psk_identity", identity, "-psk", key]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut running = lab::Running(child.expect("openssl is not installed: apt-get install openssl"));
    let connect = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04psk1";
    let mut input = running.0.stdin.take().expect("piped");
    let _ = input.write_all(connect).and_then(|()| input.flush()); // A refused handshake closes the pipe.
    let mut answer = [0; 4];
    let read = running.0.stdout.take().expect("piped").read_exact(&mut answer);
    read.is_ok() && answer == [0x20, 2, 0, 0]
}

#[test]
fn password_file_cuts_over_and_leaves_others_connected() {
    let lab = Lab::started(With::PasswordFile, &[("dev1", OLD), ("dev2", "other")]);
    let backend = lab.backend("password_file", "");
    backend.preflight().unwrap_or_else(|refusal| panic!("{refusal}"));
    let mut bystander = lab.connect("c2", "dev2", "other").expect("let in");
    assert_eq!(generations(&*backend, "dev1"), [1]);
    assert!(why(&lab.accept(&*backend, &slot("dev1"), 2, NEW)).contains("cut-over"));
    assert_eq!(backend.switch(&slot("dev1"), Generation(2), Some(&secret(NEW)), by(2)), Outcome::Done);
    assert_eq!(generations(&*backend, "dev1"), [2]);
    assert!(!lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW));
    bystander.publish("city/x", b"still here", None).expect("not disconnected");
    assert_eq!(backend.switch(&slot("dev1"), Generation(1), Some(&secret(OLD)), by(3)), Outcome::Done, "and back");
    assert!(lab.lets_in("dev1", OLD) && !lab.lets_in("dev1", NEW));
    assert_eq!(generations(&*backend, "dev1"), [1]);
}

#[test]
fn quarantine_leaves_the_way_of_delivery_open_and_ends() {
    let lab = Lab::started(With::DynamicSecurity, &[("dev1", OLD)]);
    let backend = lab.backend("alternate_user", "devices.dev1.delivery = \"topic_contract\"\n");
    let reaches = |topic: &str| {
        let mut listener = lab.connect("ear", lab::ADMIN, lab::ADMIN_PASSWORD).expect("let in");
        listener.subscribe(topic).expect("subscribed");
        let mut client = lab.connect("c1", "dev1", OLD).expect("let in");
        client.publish(topic, b"x", None).expect("acknowledged either way");
        let heard = listener.receive(std::time::Instant::now() + std::time::Duration::from_millis(400)).expect("alive");
        heard.is_some()
    };
    assert!(reaches("city/lamp"));
    assert_eq!(backend.quarantine(&slot("dev1"), Some(Timestamp(i64::MAX)), by(1)), Outcome::Done);
    assert_eq!(
        backend.quarantine(&slot("dev1"), Some(Timestamp(i64::MAX)), by(1)),
        Outcome::Done,
        "asked again, nothing changes"
    );
    assert!(!reaches("city/lamp") && reaches("citytap/rekey/dev1/state"));
    assert_eq!(backend.quarantine(&slot("dev1"), None, by(2)), Outcome::Done);
    assert_eq!(backend.quarantine(&slot("dev1"), None, by(2)), Outcome::Done, "asked again, nothing changes");
    assert!(reaches("city/lamp"));
}

fn openssl(lab: &Lab, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(lab.folder.path()).output();
    let output = output.expect("openssl is not installed: apt-get install openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn over_tls_the_brokers_certificate_is_checked() {
    let lab = Lab::start(With::Tls, &[("dev1", OLD)]);
    for name in ["ca", "other"] {
        openssl(
            &lab,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"
            ),
        );
    }
    openssl(
        &lab,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=broker -addext subjectAltName=DNS:broker.city -keyout broker.key -out broker.csr",
    );
    openssl(
        &lab,
        "x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out broker.crt",
    );
    lab.run();
    let backend = |ca: &str, name: &str| {
        lab.backend("alternate_user", &format!("tls_ca = \"{}\"\ntls_name = \"{name}\"\n", lab.path(ca).display()))
    };
    let good = backend("ca.crt", "broker.city");
    good.preflight().unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(lab.accept(&*good, &slot("dev1"), 2, NEW), Outcome::Done);
    assert_eq!(generations(&*good, "dev1"), [1, 2]);
    for (ca, name) in [("other.crt", "broker.city"), ("ca.crt", "another.city")] {
        let refusal = backend(ca, name).read_back(&slot("dev1")).expect_err("not this broker");
        assert!(refusal.to_string().contains("certificate"), "{refusal}");
    }
}

#[test]
fn no_secret_is_in_arguments_environment_log_or_words() {
    let lab = Lab::started(With::Plugin, &[("dev1", OLD)]);
    let backend = lab.backend("plugin", "");
    let mut words = format!("{:?}", lab.accept(&*backend, &slot("dev1"), 2, NEW));
    assert!(lab.lets_in("dev1", OLD) && lab.lets_in("dev1", NEW) && !lab.lets_in("dev1", "neither"));
    words += &format!("{:?}", backend.evidence(&slot("dev1"), START));
    words += &format!("{:?}", backend.preflight());
    words += &lab.log();
    words += &fs::read_to_string(lab.path("accepts")).expect("read");
    words += &fs::read_to_string(lab.path("dynamic-security.json.citytap-copy")).expect("read");
    for process in [lab.broker_pid(), std::process::id()] {
        for file in ["cmdline", "environ"] {
            words += &String::from_utf8_lossy(&fs::read(format!("/proc/{process}/{file}")).expect("read"));
        }
    }
    for secret in [OLD, NEW, lab::ADMIN_PASSWORD] {
        assert!(!words.contains(secret), "a secret was found");
    }
    assert!(words.contains("used generation 2"), "the log that was searched is the right one");
}
