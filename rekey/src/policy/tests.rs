use super::*;
use crate::words::parse_moment;
use citytap_signing::Signer;
use proptest::prelude::*;
use std::fs;

fn read(text: &str) -> Result<Policy, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    for name in ["ada", "bo"] {
        Signer::make().unwrap().write(&folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("slots.csv"), "identity,slot\nmqtt_client:lamp-17,mosquitto/lamp17\n").unwrap();
    fs::write(folder.path().join("bad.csv"), "identity,slot\nlamp,mosquitto/lamp17\n").unwrap();
    fs::write(&path, text).unwrap();
    let cut = |problem: &Problem| problem.to_string().replace(&format!("{}/", folder.path().display()), "");
    Policy::read(&path).map_err(|problems| problems.0.iter().map(cut).collect())
}

#[test]
fn an_empty_policy_changes_nothing_and_permits_nobody() {
    let policy = read("").unwrap();
    assert!(policy.dry_run && !policy.deliver_in_clear && !policy.allow_mosquitto_before_2_0_16);
    assert_eq!(
        policy.permits(&"mosquitto/lamp-1".parse().unwrap()).unwrap_err(),
        "the policy does not include it ([devices] include)"
    );
    assert_eq!((policy.approvals.cut_over, policy.approvals.retire, policy.grace.intervals), (2, 2, 3));
    assert_eq!(policy.canary.stages.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1", "1%", "10%", "all"]);
}

#[test]
fn a_whole_policy_is_read() {
    let policy = read(
        "[run]\ndry_run = false\nhold = [\"mosquitto/lamp-7\"]\n[triggers]\nleaked_key = true\nage = \"365d\"\n\
        [devices]\ninclude = [\"mosquitto/lamp-*\", \"join_server/*\"]\nexclude = [\"*/lamp-9\"]\n\
        [[window]]\ndays = [\"mon\", \"sun\"]\nfrom = \"23:00\"\nto = \"04:00\"\nutc_offset = \"+01:00\"\n\
        [rate]\nper_hour = 10\nat_once = 2\n[canary]\nstages = [\"2\", \"2.5%\", \"all\"]\nsoak = \"90m\"\n\
        [approvals]\nretire = 3\n[[approver]]\nname = \"Ada\"\nkey = \"ada.pub\"\n[[approver]]\nname = \"Bo\"\nkey = \"bo.pub\"\n\
        [grace]\nintervals = 4\nat_least = \"36h\"\n[deny]\nhex = [\"ff0a\"]\ntext = [\"Restart 99\"]\n\
        [mosquitto]\nallow_before_2_0_16 = true\n[delivery]\nin_clear = true\n\
        [findings]\nslots = \"slots.csv\"\n[[map]]\nidentity = \"dev_eui\"\nslot = \"join_server/{}\"\n",
    )
    .unwrap();
    assert!(!policy.dry_run && policy.deliver_in_clear);
    let permits = |slot: &str| policy.permits(&slot.parse().unwrap());
    assert_eq!(permits("mosquitto/lamp-1"), Ok(()));
    assert!(permits("mosquitto/lamp-7").unwrap_err().contains("hold"));
    assert!(permits("mosquitto/lamp-9").unwrap_err().contains("excludes"));
    assert!(permits("mosquitto/admin").unwrap_err().contains("does not include"));
    assert_eq!(policy.grace.of(Span::hours(10), Span::hours(24)), Span::hours(40));
    assert_eq!(policy.grace.of(Span::seconds(60), Span::ZERO), Span::hours(36));
    assert_eq!(policy.approvers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["Ada", "Bo"]);
    let slot = policy.slots.slot([("dev_eui", "0102030405060708")].into_iter()).unwrap();
    assert_eq!(slot.to_string(), "join_server/0102030405060708");
}

#[test]
fn what_is_wrong_is_told_with_line_and_nearest_word() {
    let wrong = read(
        "[run]\ndryrun = true\nhold_all = 1\n[devises]\n[grace]\nintervals = 1\n[approvals]\ncut_over = 1\nat_once = 3\n\
        [canary]\nstages = [\"10%\", \"1\", \"all\"]\n[devices]\ninclude = [\"lamp\"]\n[[window]]\nfrom = \"1:00\"\n[[window]]\nfrom = \"01:00\"\n",
    )
    .unwrap_err();
    let expected = [
        "policy.toml:2: there is no 'dryrun' below [run]. Did you mean 'dry_run'? Names are dry_run, hold_all, hold",
        "policy.toml:3: hold_all is true or false, as in hold_all = false",
        "policy.toml:4: there is no section 'devises'. Did you mean 'devices'? Sections are [run], [triggers], [devices], [[window]], [rate], \
            [canary], [approvals], [[approver]], [grace], [deny], [mosquitto], [delivery], [findings], [[map]]",
        "policy.toml:6: intervals is a number from 2 to 1000: a device that was away once must be heard again, as in intervals = 3",
        "policy.toml:8: cut_over is a number from 2 to 10: one person alone does not approve what can lock a device out, as in cut_over = 2",
        "policy.toml:9: 'at_once' belongs below [rate], not below [approvals]",
        "policy.toml:11: stages is a list of numbers and percentages in quotes that grow and end in \"all\", as in stages = [\"1\", \"1%\", \"10%\", \"all\"]",
        "policy.toml:13: 'lamp' fits no slot: a slot is a backend, a slash and a name, as in mosquitto/lamp-*",
        "policy.toml:15: from is a time of day in quotes, as in from = \"01:00\"",
        "policy.toml:16: [[window]] needs from and to",
    ];
    assert_eq!(wrong, expected);
}

#[test]
fn files_that_a_policy_names_are_checked_too() {
    let wrong = read("[findings]\nslots = \"bad.csv\"\n").unwrap_err();
    assert_eq!(wrong, ["bad.csv:2: 'lamp' is no identity; write its kind, a colon and its value: mqtt_client:lamp-17"]);
    let twice = "[[approver]]\nname = \"Ada\"\nkey = \"ada.pub\"\n[[approver]]\nname = \"Eve\"\nkey = \"ada.pub\"\n";
    assert_eq!(
        read(twice).unwrap_err(),
        ["policy.toml:4: 'Ada' stands here already with this name or key; each person has a key of their own"]
    );
    let error = read("[[approver]]\nname = \"Ada\"\nkey = \"ada\"\n").unwrap_err();
    assert!(error[0].contains("no Ed25519 public key"), "{error:?}");
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    // Friday 23:00 to 04:00, one hour ahead of UTC.
    let days = [false, false, false, false, true, false, false];
    let window = Window { days, from: 23 * 60, to: 4 * 60, offset: 60 };
    let open = |text: &str| window.is_open(parse_moment(text).unwrap());
    assert!(open("2026-11-27T22:00:00Z") && open("2026-11-28T02:59:00Z"));
    assert!(!open("2026-11-27T21:59:00Z") && !open("2026-11-28T03:00:00Z") && !open("2026-11-28T22:30:00Z"));
    let day = Window { days: [true; 7], from: 60, to: 120, offset: -120 };
    assert!(
        day.is_open(parse_moment("2026-11-28T03:30:00Z").unwrap()) && !day.is_open(parse_moment("2026-11-28T01:30:00Z").unwrap())
    );
}

#[test]
fn patterns_fit_as_a_person_expects() {
    let fits = |pattern: &str, text: &str| Pattern(pattern.into()).fits_text(text);
    for (pattern, text) in [("a/b", "a/b"), ("a/*", "a/"), ("*", "x"), ("*/b*d", "a/bcd"), ("a**c", "abc"), ("a/*b*b", "a/xbyb")]
    {
        assert!(fits(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("a/b", "a/bc"), ("a/*c", "a/b"), ("a/bb*bb", "a/bbb"), ("", "x")] {
        assert!(!fits(pattern, text), "{pattern} {text}");
    }
}

/// What is shipped as an example is read, and permits nobody yet.
#[test]
fn the_example_files_are_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let policy = Policy::read(&folder.join("policy.toml")).unwrap();
    assert!(policy.dry_run && policy.permits(&"mosquitto/lamp-1".parse().unwrap()).is_err());
    let config = crate::config::Config::read(&folder.join("rekey.toml")).unwrap();
    assert!(config.policy.ends_with("deploy/policy.toml"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_told_and_never_panics(text: String) {
        let _ = read(&text);
    }

    /// A policy of the shipped names with values of any kind.
    #[test]
    fn any_value_under_a_known_name_is_read_or_told(section in 0..14_usize, option: prop::sample::Index, value in prop::sample::select(vec![
        "true", "1", "\"\"", "[]", "[1]", "\"24h\"", "-1", "[\"*\"]", "{}", "9999999999999999999", "1.5", "\"99999999999999999999d\"", "[\"all\"]", "\"{}\"",
    ])) {
        let section = &options::SECTIONS[section];
        let option = option.get(section.options);
        let head = if section.many { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) };
        let _ = read(&format!("{head}\n{} = {value}\n", option.name));
    }
}
