//! Detectors on captures: what each must find, on whom, and what must stay silent beside it.

use citytap_analyzer::config::{Config, Flags};
use citytap_analyzer::detectors::DETECTORS;
use citytap_analyzer::engine::{self, Report, Setup};
use citytap_analyzer::findings::Severity;
use citytap_analyzer::findings::judge::{Finding, Outcome};
use citytap_sensor::capture::Merge;
use citytap_tests::cases::cases;
use std::fs;
use std::path::PathBuf;

fn run(case: &str, config: &str) -> Report {
    let case = cases().into_iter().find(|other| other.name == case).unwrap_or_else(|| panic!("no capture is called {case}"));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("detectors").join(case.name.replace('/', "_"));
    fs::create_dir_all(&folder).expect("a folder for the configuration");
    let file = folder.join("citytap.toml");
    fs::write(&file, config).expect("a configuration");
    let config = Config::load(Some(&file), &Flags::default()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let policy = config.policy(citytap_analyzer::rules::embedded()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let setup = Setup { config, policy, ..Setup::default() };
    let mut source = Merge::open(std::slice::from_ref(&case.capture), Default::default());
    engine::replay(&mut source, &setup).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

/// The findings of a check: whom each is about, how grave it is, and its sentence.
fn found(report: &Report, check: &str) -> Vec<(String, Severity, String)> {
    let of = report.judgement.findings.iter().filter(|finding| finding.spec.id == check);
    let mut found: Vec<_> = of.map(|one| (one.subject.value.to_string(), one.severity, one.message())).collect();
    found.sort();
    found
}

fn outcomes(report: &Report, check: &str) -> [usize; 3] {
    let count = |outcome| report.judgement.checks.iter().filter(|one| one.spec.id == check && one.outcome == outcome).count();
    [count(Outcome::Found), count(Outcome::Clear), count(Outcome::Untested)]
}

/// What each check of a detector must find: capture, check, whom it is about, how grave, and a part of the sentence.
const FOUND: &[(&str, &str, &str, Severity, &str)] = &[
    ("lorawan/clocks_of_gateways", "clock-wrong", "7076ff0056060004", Severity::Low, "it says 1970-01-01, where clocks begin"),
    (
        "lorawan/clocks_of_gateways",
        "clock-wrong",
        "7076ff0056060005",
        Severity::Low,
        "2 hours ahead, most likely because its time zone",
    ),
    ("coap/flood_of_answers", "coap-amplification", "10.30.0.10", Severity::High, "10.30.0.77"),
    ("coap/notifications_to_a_victim", "coap-notification-amplification", "10.30.0.10", Severity::High, "10.30.0.77"),
    (
        "mqtt/deliveries_left_open",
        "mqtt-deliveries-left-open",
        "10.20.0.66",
        Severity::Medium,
        "more than 100 deliveries at QoS 2",
    ),
    (
        "mqtt/retained_command",
        "mqtt-retained-cleared-by-another",
        "10.20.0.20",
        Severity::Low,
        "10.20.0.66 had left with 10.20.0.5 for new subscribers: cmnd/",
    ),
    ("mqtt/retained_command", "mqtt-retained-cleared-by-another", "10.20.0.20", Severity::Low, "valve/7/set"),
    ("mqtt/zigbee_open_for_long", "zigbee2mqtt-open-for-joining", "00124b0024c10002", Severity::Low, "for 10 minutes or more"),
    ("mqtt/one_name_two_devices", "one-name-at-two-addresses", "lamp-7", Severity::Low, "10.20.1.10 and 10.20.1.11"),
    ("lwm2m/one_name_two_devices", "one-name-at-two-addresses", "wm-1", Severity::Low, "10.30.4.25 and 10.30.4.26"),
    ("net/expired_certificate", "certificate-not-valid", "10.20.3.1", Severity::Medium, "has expired: it is valid until 2"),
    ("net/expired_certificate", "certificate-not-valid", "10.20.3.2", Severity::Low, "is not valid yet: it is valid from 2"),
    ("net/telnet_and_ftp", "cleartext-management", "10.20.2.5", Severity::Medium, "FTP"),
    ("net/telnet_and_ftp", "cleartext-management", "10.20.5.1", Severity::Medium, "Telnet"),
    ("lorawan/abp_sessions", "lorawan-fixed-session-keys", "260b0501", Severity::Info, "never joins"),
    ("lorawan/default_key_joins_twice", "lorawan-version-1-0", "24e124136b000001", Severity::Info, "LoRaWAN 1.0"),
    (
        "lorawan/basics_station",
        "gateway-link-unprotected",
        "58a0cbfffe8039ab",
        Severity::Info,
        "neither encrypted nor authenticated",
    ),
    ("modbus/asked_from_outside", "protocol-without-authentication", "10.20.2.5", Severity::Info, "Modbus"),
];

/// Captures on which a check must find nothing: what looks like it and is not.
const SILENT: &[(&str, &[&str])] = &[
    (
        "clock-wrong",
        &["lorawan/one_device_three_gateways", "lwm2m/six_devices", "mqtt/sparkplug_b", "lorawan/forwarder_over_the_internet"],
    ),
    (
        "coap-amplification",
        &[
            "coap/libcoap_blocks",
            "coap/blockwise_both_ways",
            "coap/discovery_sweep",
            "lwm2m/firmware_in_blocks",
            "city/six_hours",
        ],
    ),
    (
        "coap-notification-amplification",
        &["coap/observe_and_cancel", "coap/many_observations", "lwm2m/six_devices", "city/six_hours"],
    ),
    (
        "mqtt-deliveries-left-open",
        &["mqtt/three_versions_three_qos", "mqtt/persistent_session_redelivery", "mqtt/bridge_between_brokers"],
    ),
    (
        "mqtt-retained-cleared-by-another",
        &["mqtt/home_assistant_discovery", "mqtt/tasmota_twelve_devices", "mqtt/bridge_between_brokers"],
    ),
    ("zigbee2mqtt-open-for-joining", &["mqtt/zigbee2mqtt_twelve_devices"]),
    (
        "one-name-at-two-addresses",
        &[
            "net/dhcp_address_changes",
            "lwm2m/six_devices",
            "lorawan/gateways_that_change_address",
            "mqtt/client_id_taken_over",
            "mqtt/tasmota_twelve_devices",
            "city/six_hours",
        ],
    ),
    ("certificate-not-valid", &["coap/dtls_certificate", "mqtt/tls_unread"]),
    ("cleartext-management", &["modbus/http_on_port_502", "city/six_hours"]),
    ("lorawan-version-1-0", &["lorawan/version_1_1_default_nwk_key", "lorawan/uplinks_without_join"]),
    ("lorawan-fixed-session-keys", &["lorawan/default_key_joins_twice", "lorawan/uplinks_without_join"]),
    ("talks-across-zones", &["city/six_hours", "modbus/unknown_client_writes"]),
];

#[test]
fn detectors_find_what_they_must_and_nothing_else_beside_it() {
    let mut wrong = Vec::new();
    let wanted = |case: &str, check: &str| FOUND.iter().filter(|(a, b, ..)| (*a, *b) == (case, check)).count();
    for (case, check, subject, severity, part) in FOUND {
        let found = found(&run(case, ""), check);
        let fits = |(about, how, text): &&(String, Severity, String)| about == subject && how == severity && text.contains(part);
        if found.iter().filter(fits).count() != 1 || found.len() != wanted(case, check) {
            wrong.push(format!("{case}, {check} on {subject}: {found:#?}"));
        }
    }
    for (check, captures) in SILENT {
        for case in *captures {
            let found = found(&run(case, ""), check);
            if !found.is_empty() {
                wrong.push(format!("{case}, {check}: {found:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn zones_part_a_site_and_without_them_the_check_says_so() {
    let plain = run("mqtt/retained_command", "");
    let [found_plain, clear_plain, untested] = outcomes(&plain, "talks-across-zones");
    assert_eq!((found_plain, clear_plain), (0, 0));
    assert!(untested > 0);
    let reason =
        plain.judgement.checks.iter().find(|one| one.spec.id == "talks-across-zones").map(|one| one.reason().into_owned());
    assert_eq!(reason.as_deref(), Some("no zones are configured"));

    let zones = |talks_to: &str| {
        format!(
            "[[zone]]\nname = \"field\"\nprefixes = [\"10.20.1.0/24\"]\n{talks_to}\n[[zone]]\nname = \"centre\"\nprefixes = [\"10.20.0.0/24\"]\n"
        )
    };
    let apart = run("mqtt/retained_command", &zones(""));
    let told = found(&apart, "talks-across-zones");
    assert_eq!(told.len(), 1, "{told:?}");
    let (about, severity, text) = &told[0];
    assert_eq!((about.as_str(), *severity), ("10.20.0.5", Severity::Medium));
    assert_eq!(text, "Clients in zone field use it by mqtt, and it stands in zone centre: 10.20.1.10.");
    for allowed in ["talks_to = [\"centre\"]", "talks_to = [\"centre/mqtt\"]", "talks_to = [\"centre/tcp/1883\"]"] {
        let report = run("mqtt/retained_command", &zones(allowed));
        assert_eq!(found(&report, "talks-across-zones"), [], "{allowed}");
        assert_eq!(outcomes(&report, "talks-across-zones")[1], 1, "{allowed}");
    }
    let other = run("mqtt/retained_command", &zones("talks_to = [\"centre/modbus\"]"));
    assert_eq!(found(&other, "talks-across-zones").len(), 1);
}

#[test]
fn prefixes_tell_rules_who_is_outside() {
    let outside = |prefixes: &str| found(&run("modbus/asked_from_outside", prefixes), "modbus-answers-outside");
    assert_eq!(outside("").len(), 1, "a public address asks a private one");
    assert_eq!(outside("[site]\nprefixes = [\"10.20.0.0/16\"]\n").len(), 1);
    assert_eq!(outside("[site]\nprefixes = [\"10.20.0.0/16\", \"203.0.113.0/24\"]\n"), [], "the address is the site's own");
    let control = outside("[site]\nprefixes = [\"10.20.2.0/24\"]\n");
    assert_eq!(control.len(), 2, "so is the control room no longer: {control:?}");
}

#[test]
fn thresholds_of_detectors_are_a_persons_to_change() {
    let check = |settings: &str| format!("[[check]]\nid = {settings}\n");
    let open = |settings: &str| found(&run("mqtt/deliveries_left_open", &check(settings)), "mqtt-deliveries-left-open").len();
    assert_eq!(open("\"mqtt-deliveries-left-open\"\nmore_than = 139"), 1);
    assert_eq!(open("\"mqtt-deliveries-left-open\"\nmore_than = 140"), 0);
    let clocks = |settings: &str| found(&run("lorawan/clocks_of_gateways", &check(settings)), "clock-wrong").len();
    assert_eq!(clocks("\"clock-wrong\"\noff_s = 7300"), 1, "two hours are within what may be");
    assert_eq!(clocks("\"clock-wrong\"\nagreeing = 5"), 0, "there are only four");
    let zigbee = |seconds: u64| {
        let settings = check(&format!("\"zigbee2mqtt-open-for-joining\"\nlonger_than_s = {seconds}"));
        found(&run("mqtt/zigbee_open_for_long", &settings), "zigbee2mqtt-open-for-joining").len()
    };
    assert_eq!((zigbee(120), zigbee(3_600)), (2, 0));
}

/// What only who has a key can see: the owner said that payloads may be decrypted.
#[test]
fn what_keys_make_readable_reaches_detectors() {
    let decrypt = "[payloads]\ndecrypt = true\n";
    let harm = |config| found(&run("lorawan/orders_on_port_0", config), "lorawan-harmful-command");
    assert_eq!(harm(""), []);
    let told = harm(decrypt);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].2.contains("to send at the slowest data rate and full power"), "{told:?}");

    let altered = |config| found(&run("lorawan/payloads_altered", config), "lorawan-payload-altered");
    let without = altered("");
    assert_eq!(without.len(), 1, "the port alone: {without:?}");
    let with = altered(decrypt);
    let parts: Vec<(&str, bool)> =
        with.iter().map(|(about, _, text)| (about.as_str(), text.contains("another content, though the code"))).collect();
    assert_eq!(parts, [("24e124136b0a0001", true), ("70b3d57ed00a0029", false)], "{with:?}");
}

#[test]
fn a_gateway_outside_is_told_by_what_the_site_says_of_addresses() {
    let elsewhere = |config: &str| found(&run("lorawan/gateways_from_elsewhere", config), "lorawan-gateway-elsewhere").len();
    assert_eq!(elsewhere(""), 3);
    assert_eq!(
        elsewhere("[site]\nprefixes = [\"10.40.0.0/16\", \"203.0.113.0/24\"]\n"),
        0,
        "the mobile fallback's addresses are ours"
    );
    let zones =
        "[[zone]]\nname = \"north\"\nprefixes = [\"10.40.1.0/24\"]\n[[zone]]\nname = \"south\"\nprefixes = [\"10.40.2.0/24\"]\n";
    assert_eq!(elsewhere(zones), 6, "and those that went over to another zone");
}

/// What is set up badly is so on many devices at once: each kind is one line of the list.
#[test]
fn what_is_set_up_badly_is_one_action_for_a_city() {
    let report = run("city/six_hours", "");
    for (check, most) in [
        ("gateway-link-unprotected", 1),
        ("protocol-without-authentication", 3),
        ("lorawan-fixed-session-keys", 1),
        ("lorawan-version-1-0", 1),
        ("no-security-mode", 1),
        ("clock-wrong", 1),
    ] {
        let actions = report.actions.iter().filter(|action| action.spec.id == check).count();
        assert!(actions <= most, "{check}: {actions} actions");
    }
    let findings = |check: &str| report.judgement.findings.iter().filter(|finding: &&Finding| finding.spec.id == check).count();
    assert!(findings("gateway-link-unprotected") == 5 && findings("no-security-mode") > 20);
}

#[test]
fn every_check_of_these_detectors_is_shown_by_a_capture() {
    let elsewhere = [
        ("credentials", "shown by the captures of `signatures`"),
        ("zones", "needs a configuration, and has a test of its own"),
        ("advisories", "measured on labelled pairs, and listed by the quiet test"),
        ("baseline", "has captures of its own, two for each case"),
        ("gateways", "shown by the captures of `lorawan`"),
    ];
    let of_detector = |name: &str| name.starts_with("lorawan_") || elsewhere.iter().any(|(other, _)| *other == name);
    let named = |id: &str| FOUND.iter().any(|(_, check, ..)| *check == id);
    let checks = DETECTORS.iter().filter(|spec| !of_detector(spec.name)).flat_map(|spec| spec.checks);
    let shown_by_none: Vec<&str> = checks.map(|check| check.id).filter(|id| !named(id)).collect();
    assert_eq!(shown_by_none, Vec::<&str>::new());
}
