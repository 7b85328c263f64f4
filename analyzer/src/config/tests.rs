//! Layers, what a configuration comes to, and that it prints as a file that reads again. The texts of errors are a golden of `tests/`.

use super::options::SECTIONS;
use super::{Config, Flags, Layer, SITE};
use crate::inventory::Bounds;
use crate::keys::Budget;
use citytap_sensor::limits::FLOWS;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const KEY: &str = "c0ffee0102a3b4c5d6e7f80912233445";

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn load(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "citytap.toml", text);
    Config::load(Some(&path), &Flags::default()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn refused(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "citytap.toml", text);
    let problems = Config::load(Some(&path), &Flags::default()).err().unwrap_or_else(|| panic!("{text} reads"));
    problems.iter().map(|problem| problem.text.clone()).collect()
}

#[test]
fn without_a_file_and_with_an_empty_one_it_is_what_the_rooms_have_as_defaults() {
    for config in [Config::load(None, &Flags::default()).unwrap_or_default(), load("")] {
        let (inventory, bounds) = (config.inventory(), Bounds::default());
        assert_eq!((config.sensor().flows, config.budget()), (FLOWS, Budget::default()));
        assert_eq!((inventory.bounds.identities, inventory.bounds.provisional), (bounds.identities, bounds.provisional));
        assert_eq!((inventory.site.as_str(), inventory.prefixes.len()), (SITE, 0));
        assert_eq!(config.network_map().of(Some(7), Some(9)), 0);
        assert!(!config.reads_with_keys() && config.said_site().is_none() && config.site.layer == Layer::Shipped);
    }
}

#[test]
fn each_value_knows_its_layer_and_flags_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "citytap.toml", "[site]\nname = \"harbour\"\n\n[memory]\nflows = 6400\n");
    let config = Config::load(Some(&path), &Flags::default()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let place = |line| Layer::File { file: path.display().to_string().into(), line };
    assert_eq!((config.said_site(), &config.site.layer), (Some("harbour"), &place(2)));
    assert_eq!((config.flows.value, &config.flows.layer, config.sensor().flows), (6400, &place(5), 100));
    assert_eq!(config.devices.layer, Layer::Shipped);
    let flags = Flags { site: Some("airport".into()) };
    let mut config = Config::load(Some(&path), &flags).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!((config.site.value.as_str(), config.site.layer.to_string()), ("airport", "--site".into()));
    config.set_site_of_store("airport");
    assert_eq!(config.site.layer, Layer::Flag("--site"));
    let mut shipped = Config::default();
    shipped.set_site_of_store("depot");
    assert_eq!((shipped.site.value.as_str(), shipped.site.layer), ("depot", Layer::Store));
}

#[test]
fn whole_numbers_in_all_forms_of_toml() {
    let config = load("[memory]\nflows = 1_048_576\ndevices = 0x1000\nprovisional = 0b111\n");
    assert_eq!((config.flows.value, config.devices.value, config.provisional.value), (1_048_576, 4096, 7));
}

#[test]
fn values_at_the_ends_of_their_ranges_and_beyond() {
    load(
        "[memory]\nflows = 64\ndevices = 16777216\nprovisional = 1\n[audit]\ntrials_per_device = 0\ntrials_per_day = 1000000000000000\n",
    );
    for wrong in [
        "[memory]\nflows = 63",
        "[memory]\nflows = 67108865",
        "[memory]\ndevices = 0",
        "[memory]\ndevices = 16777217",
        "[memory]\nprovisional = -1",
        "[memory]\nprovisional = 1e3",
        "[audit]\ntrials_per_device = 1000000000001",
        "[audit]\ntrials_per_day = 99999999999999999999999999",
    ] {
        let told = refused(wrong);
        assert!(told.len() == 1 && told[0].contains("a whole number from"), "{wrong}: {told:?}");
    }
}

#[test]
fn the_network_that_names_more_goes_first_whatever_the_order() {
    let entries = [
        "[[network]]\nid = 1\nvlan = [7, 8]\n",
        "[[network]]\nid = 2\nvlan = 7\ninterface = \"eth1\"\n",
        "[[network]]\nid = 3\nvlan = 9\n",
        "[[network]]\nid = 4\nvlan = 9\ntunnel = [70, 71]\n",
        "[[network]]\nid = 5\nvlan = 9\ntunnel = 71\ninterface = [\"eth1\", \"eth2\"]\n",
    ];
    let orders: [&[usize]; 3] = [&[0, 1, 2, 3, 4], &[4, 3, 2, 1, 0], &[2, 4, 1, 0, 3]];
    for order in orders {
        let text: String = order.iter().map(|at| entries[*at]).collect();
        let config = load(&text);
        let map = config.network_map();
        assert_eq!((map.of(Some(7), None), map.of(Some(8), None), map.of(Some(6), None)), (1, 1, 0), "{order:?}");
        assert_eq!((map.of(Some(9), None), map.of(Some(9), Some(71)), map.of(Some(9), Some(72))), (3, 4, 3), "{order:?}");
        let settings = config.summary();
        assert_eq!(settings, load(&entries.concat()).summary(), "the order says nothing");
    }
}

#[test]
fn networks_that_claim_one_packet_are_refused() {
    let told = |a: &str, b: &str| refused(&format!("[[network]]\nid = 1\n{a}\n[[network]]\nid = 2\n{b}\n"));
    assert!(
        told("vlan = 7", "vlan = [6, 7]")[0].contains("a packet of VLAN 7 belongs to this network and to network 1 of line 1")
    );
    assert!(told("vlan = 7", "interface = \"eth1\"")[0].contains("a packet of VLAN 7, interface eth1 belongs"));
    assert!(told("vlan = 7\ntunnel = 1", "tunnel = 1\ninterface = \"a\"")[0].contains("VLAN 7, tunnel 1, interface a"));
    load("[[network]]\nid = 1\nvlan = 7\ntunnel = 1\n[[network]]\nid = 2\ntunnel = 2\ninterface = \"a\"\n");
}

#[test]
fn zones_are_no_more_than_there_is_room_for() {
    let zones = |count: usize| -> String {
        (0..count).map(|at| format!("[[zone]]\nname = \"z{at}\"\nprefixes = [\"10.{}.{}.0/24\"]\n", at / 256, at % 256)).collect()
    };
    assert_eq!(load(&zones(256)).zones().of("10.0.7.1".parse().unwrap(), None).map(|zone| zone.name.as_str()), Some("z7"));
    assert!(refused(&zones(257))[0].contains("no more than 256 zones"));
}

#[test]
fn networks_make_no_more_entries_than_there_is_room_for() {
    let list = |count: u64| format!("{:?}", (1..=count).collect::<Vec<_>>());
    let most = format!("[[network]]\nid = 1\nvlan = {}\ntunnel = {}\n", list(128), list(128));
    let config = load(&most);
    assert_eq!((config.network_map().of(Some(128), Some(1)), config.network_map().of(Some(129), Some(1))), (1, 0));
    for more in ["[[network]]\nid = 2\nvlan = 200\n", "[[network]]\nid = 2\nvlan = 200\ninterface = \"eth1\"\n"] {
        let told = refused(&format!("{more}{most}"));
        assert!(
            told.len() == 1 && told[0].contains("no more than 16384 are possible") && told[0].contains("name fewer"),
            "{told:?}"
        );
    }
    let told = refused(&format!("[[network]]\nid = 1\nvlan = {}\ntunnel = {}\n", list(4094), list(5000)));
    assert!(told[0].starts_with("all networks together make 20470000 entries, this one 20470000"), "{told:?}");
}

#[test]
fn what_is_printed_reads_again_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let keys = format!("[device.0102030405060708]\napp_key = \"{KEY}\"\n[session.26011bda]\nnwk_s_key = \"{KEY}\"\n");
    file(folder.path(), "keys.toml", &keys);
    let text = "[site]\nname = \"port \\\"A\\\"\"\nprefixes = [\"10.20.0.0/16\", \"fd12::/32\"]\n[keys]\nfile = \"keys.toml\"\n\
        [payloads]\ndecrypt = true\n[audit]\ntrials_per_device = 5\n[memory]\nprovisional = 9\n\
        [[network]]\nid = 2\nname = \"lamps\"\nvlan = [101, 100]\ntunnel = 7\ninterface = \"eth1\"\n\
        [[zone]]\nname = \"lamps\"\nvlan = [5, 4]\ntalks_to = [\"office\", \"plant/modbus\", \"plant/tcp/22\", \"plant/udp\"]\n\
        [[zone]]\nname = \"office\"\nprefixes = [\"10.1.0.0/16\", \"fd00::/16\"]\n[[zone]]\nname = \"plant\"\nvlan = 9\n";
    let path = file(folder.path(), "citytap.toml", text);
    let config = Config::load(Some(&path), &Flags::default()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let printed = config.to_toml();
    let again = Config::load(Some(&file(folder.path(), "again.toml", &printed)), &Flags::default());
    let again = again.unwrap_or_else(|problems| panic!("{problems:?}\n{printed}"));
    assert_eq!(again.settings(), config.settings(), "{printed}");
    assert!(printed.contains("citytap.toml:9") && printed.contains("# default") && !printed.contains(KEY), "{printed}");
    assert!(printed.contains("#   device.0102030405060708: app_key\n#   session.26011bda: nwk_s_key\n"), "{printed}");
    let shipped = load(&Config::default().to_toml());
    assert_eq!(shipped.settings(), Config::default().settings());
}

#[test]
fn every_option_is_read_printed_and_has_an_example_that_is_right() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "keys.toml", "");
    let mut text = String::new();
    for section in SECTIONS {
        text.push_str(&if section.many { format!("[[{}]]\n", section.name) } else { format!("[{}]\n", section.name) });
        section.options.iter().for_each(|option| text.push_str(&format!("{} = {}\n", option.name, option.example)));
    }
    // What the example of a zone may talk to.
    text.push_str("[[zone]]\nname = \"control\"\nprefixes = [\"10.30.0.0/16\"]\n");
    let path = file(folder.path(), "citytap.toml", &text);
    let config = Config::load(Some(&path), &Flags::default()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let printed = config.to_toml();
    for option in SECTIONS.iter().flat_map(|section| section.options) {
        let line = format!("\n{} = {}", option.name, option.example);
        assert!(printed.contains(&line), "{line} is not in\n{printed}");
    }
    assert_eq!(config.networks[0].value.name, "street lights");
}

#[test]
fn the_digest_changes_with_every_setting_and_with_no_layer_or_key_value() {
    let digest = |config: &Config| config.summary().sha256;
    let shipped = digest(&Config::default());
    assert_eq!(digest(&load("[site]\nname = \"city\"\n[memory]\nflows = 1048576\n")), shipped, "the layer says nothing");
    let mut seen = vec![shipped];
    for text in [
        "[site]\nname = \"x\"",
        "[site]\nprefixes = [\"10.0.0.0/8\"]",
        "[[network]]\nid = 1\nvlan = 1",
        "[[zone]]\nname = \"a\"\nvlan = 1",
        "[[zone]]\nname = \"a\"\nprefixes = [\"10.0.0.0/8\"]",
        "[[zone]]\nname = \"a\"\nvlan = 1\n[[zone]]\nname = \"b\"\nvlan = 2",
        "[[zone]]\nname = \"a\"\nvlan = 1\ntalks_to = [\"b\"]\n[[zone]]\nname = \"b\"\nvlan = 2",
        "[[zone]]\nname = \"a\"\nvlan = 1\ntalks_to = [\"b/tcp/22\"]\n[[zone]]\nname = \"b\"\nvlan = 2",
        "[[check]]\nid = \"a\"\noff = true",
        "[[check]]\nid = \"a\"\nseverity = \"low\"",
        "[[check]]\nid = \"a\"\nat_least = 7",
        "[memory]\nflows = 64",
        "[memory]\ndevices = 64",
        "[memory]\nprovisional = 64",
        "[audit]\ntrials_per_device = 1",
        "[audit]\ntrials_per_day = 1",
        "[payloads]\ndecrypt = true",
        "[alerts]\nmin_severity = \"high\"",
        "[alerts]\nsuppress = \"30m\"",
        "[alerts]\ndigest = []",
    ] {
        let digest = digest(&load(text));
        assert!(!seen.contains(&digest), "{text}");
        seen.push(digest);
    }
    let with_key = |section: &str, key: &str| {
        let folder = tempfile::tempdir().unwrap();
        file(folder.path(), "keys.toml", &format!("[{section}]\napp_key = \"{key}\"\n"));
        let path = file(folder.path(), "citytap.toml", "[keys]\nfile = \"keys.toml\"\n");
        Config::load(Some(&path), &Flags::default())
            .map(|config| digest(&config))
            .unwrap_or_else(|problems| panic!("{problems:?}"))
    };
    let one = with_key("device.0102030405060708", KEY);
    assert_eq!(one, with_key("device.0102030405060708", &KEY.replace('c', "d")), "no guess at a key can be checked against it");
    assert!(one != with_key("device.0102030405060709", KEY) && !seen.contains(&one));
}

#[test]
fn a_key_file_that_others_can_read_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let keys = file(folder.path(), "keys.toml", "");
    let path = file(folder.path(), "citytap.toml", "[keys]\nfile = \"keys.toml\"\n");
    let warnings = |mode| {
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).unwrap();
        Config::load(Some(&path), &Flags::default())
            .map(|config| config.warnings)
            .unwrap_or_else(|problems| panic!("{problems:?}"))
    };
    assert!(warnings(0o600).is_empty() && warnings(0o640).is_empty());
    let told = warnings(0o644);
    assert!(told.len() == 1 && told[0].contains("every user of this machine can read it; chmod 600"), "{told:?}");
}

#[test]
fn what_looks_like_a_key_is_never_quoted() {
    for text in [
        format!("{KEY} = 1\n"),
        format!("[keys]\n{KEY} = 1\n"),
        format!("[keys]\nfile = \"{KEY}\"\nfile = 2"),
        format!("[keys]\nfile = \"{KEY}\"\n"),
        format!("[keys]\nfile = \"0x{KEY}\"\n"),
        format!("[keys]\n\"{}\" = 1\n", in_pairs()),
        format!("[[check]]\nid = \"{KEY}\"\noff = true\n"),
        format!("[[check]]\nid = \"modbus-restart\"\n{KEY} = 1\n"),
        format!("[site]\nname = {KEY}\n"),
        format!("[device.0102030405060708]\napp_key = \"{KEY}\"\n"),
    ] {
        let told = refused(&text);
        assert!(!told.concat().contains(KEY) && !told.concat().contains(&in_pairs()), "{text}: {told:?}");
    }
}

/// The key as some tools write it: `c0:ff:ee:...`.
fn in_pairs() -> String {
    let pairs: Vec<String> = KEY.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
    pairs.join(":")
}

#[test]
fn what_is_told_at_once_is_said_in_words() {
    let config = load(
        "[alerts]\nmin_severity = \"high\"\nsuppress = \"90m\"\ndigest = [\"device-new\", \"mqtt-sys-read\", \"my-own-rule\"]",
    );
    let policy = config.alerts();
    assert_eq!((policy.min_severity, policy.suppress), (crate::findings::Severity::High, 90 * 60 * 1_000_000_000));
    assert_eq!(policy.digest, ["device-new", "mqtt-sys-read", "my-own-rule"]);
    assert!(config.to_toml().contains("suppress = \"90m\""));
    let [warning] = config.warnings.as_slice() else { panic!("{:?}", config.warnings) };
    assert!(warning.contains(":4: no check of ours is called 'my-own-rule'"), "{warning}");
    let near = load("[alerts]\ndigest = [\"mqtt-sys-raed\"]").warnings.concat();
    assert!(near.contains("Did you mean 'mqtt-sys-read'?"), "{near}");
}

#[test]
fn what_is_told_at_once_cannot_be_said_in_other_words() {
    for (text, wanted) in [
        ("[alerts]\nmin_severity = \"severe\"", "min_severity is one of"),
        ("[alerts]\nsuppress = 60", "suppress is a time as"),
        ("[alerts]\nsuppress = \"31d\"", "suppress is a time as"),
        ("[alerts]\nsuppress = \"an hour\"", "suppress is a time as"),
        ("[alerts]\ndigest = \"device-new\"", "digest is a list of checks"),
        ("[alerts]\nsupress = \"1h\"", "Did you mean 'suppress'?"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "citytap.toml", text);
        let problems = Config::load(Some(&path), &Flags::default()).err().unwrap_or_default();
        assert!(problems.iter().any(|problem| problem.line == Some(2) && problem.text.contains(wanted)), "{text}: {problems:?}");
    }
}
