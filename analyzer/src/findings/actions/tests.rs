use super::*;
use crate::checks;
use crate::findings::risk::Criticality;
use crate::inventory::exposure::Exposure;

/// Devices without classes.
struct Nobody;

impl Directory for Nobody {
    fn class(&self, _: DeviceId) -> Option<&str> {
        None
    }
    fn called(&self, id: DeviceId) -> Option<String> {
        Some(format!("device {}", id.0))
    }
}

/// A finding of a made-up city.
struct Made {
    check: &'static str,
    severity: Severity,
    confidence: Confidence,
    device: u64,
    arguments: Vec<(&'static str, String)>,
}

fn made(check: &'static str, severity: Severity, device: u64, arguments: Vec<(&'static str, String)>) -> Made {
    Made { check, severity, confidence: Confidence::Seen, device, arguments }
}

impl Made {
    fn part(&self) -> Part<'_> {
        let arguments = self.arguments.iter().map(|(name, value)| (*name, value.as_str()));
        let id = FindingId::of(self.check, DeviceId(self.device), arguments.clone());
        let spec = checks::by_id(self.check).expect("a check of ours");
        let weight = Weight { severity: self.severity, confidence: self.confidence, known_exploited: false };
        Part::new(id, DeviceId(self.device), (spec, weight), arguments)
    }
}

fn acted(made: &[Made]) -> Vec<Action> {
    actions(made.iter().map(Made::part), &|_| Context::default())
}

/// 60,000 devices: lights, meters, sensors, controllers behind 300 servers, with what such a city has.
fn city() -> Vec<Made> {
    use Severity::{Critical, High, Info, Low, Medium};
    let mut all = Vec::new();
    let key = |origin: &str| vec![("origin", origin.to_owned())];
    all.extend((0..40_000).map(|device| made("lorawan-known-key", Critical, device, key("the maker's manual"))));
    // Two dozen examples that were copied into products.
    let psk = |device: u64| made("known-psk-identity", Medium, device, key(&format!("example {}", device % 24)));
    all.extend((40_000..48_000).map(psk));
    let server = |device: u64| vec![("server", format!("10.0.{}.{}", device % 300 / 100, device % 100))];
    all.extend((40_000..55_000).map(|device| made("secret-in-clear-text", Medium, device, server(device))));
    all.extend((55_000..55_040).map(|d| made("anonymous-accepted", High, d, vec![("clients", (d % 7 + 1).to_string())])));
    all.extend((55_040..55_055).map(|d| made("default-password-accepted", Critical, d, vec![("_products", format!("p{d}"))])));
    let outcome =
        |d: u64| vec![("outcome", ["it was accepted", "it was refused", "no answer was seen"][d as usize % 3].to_owned())];
    all.extend((56_000..56_900).map(|device| made("default-password-used", High, device, outcome(device))));
    all.extend((57_000..57_200).map(|d| made("modbus-unit-scan", Medium, d, vec![("_client", format!("10.9.0.{}", d % 5))])));
    all.extend((57_200..59_000).map(|device| made("no-security-mode", High, device, Vec::new())));
    all.extend((0..59_000).map(|device| made("coap-multicast-discovery", Info, device, Vec::new())));
    all.extend((59_000..59_001).map(|device| made("lwm2m-reboot", Low, device, Vec::new())));
    all.extend((59_000..59_400).map(|device| made("mqtt-sys-read", Low, device, Vec::new())));
    all
}

#[test]
fn a_city_of_sixty_thousand_devices_starts_with_some_twenty_five_actions() {
    let made = city();
    assert!(made.len() > 120_000);
    let actions = acted(&made);
    assert!((10..=25).contains(&actions.len()), "{}", actions.len());
    let first = &actions[0];
    assert_eq!((first.spec.id, first.devices.len(), first.verdict), ("lorawan-known-key", 40_000, Verdict::Act));
    assert!(actions.is_sorted_by_key(|action| (Reverse(action.verdict), Reverse(action.risk.score()))));
    let findings: usize = actions.iter().map(|action| action.findings.len()).sum();
    assert_eq!(findings, made.len(), "no finding is left out");
    let of = |check: &str| -> Vec<&Action> { actions.iter().filter(|action| action.spec.id == check).collect() };
    assert_eq!((of("secret-in-clear-text").len(), of("known-psk-identity").len()), (OWN + 1, OWN + 1));
    assert_eq!(of("anonymous-accepted")[0].title(&Nobody), "40 devices accept anonymous clients, 160 did");
    assert_eq!(of("lwm2m-reboot")[0].verdict, Verdict::Watch);
    assert_eq!(of("mqtt-sys-read")[0].verdict, Verdict::Plan);
    assert!(actions.iter().filter(|action| action.severity == Severity::Info).all(|action| action.verdict == Verdict::Watch));
}

#[test]
fn the_order_of_findings_says_nothing() {
    let mut made = city();
    made.truncate(70_000);
    let told = |made: &[Made]| {
        acted(made).iter().map(|action| (action.id, action.devices.len(), action.title(&Nobody))).collect::<Vec<_>>()
    };
    let forward = told(&made);
    made.reverse();
    assert_eq!(forward, told(&made));
}

#[test]
fn causes_beyond_the_first_ones_share_a_line_that_names_some() {
    let servers = |n: u64| {
        (0..n).map(|d| made("secret-in-clear-text", Severity::Medium, d, vec![("server", format!("s{d}"))])).collect::<Vec<_>>()
    };
    assert_eq!(acted(&servers(OWN as u64 + 1)).len(), OWN + 1);
    let many = acted(&servers(9));
    assert_eq!(many.len(), OWN + 1);
    let shared = many.iter().find(|action| action.devices.len() == 6).expect("a shared line");
    assert_eq!(shared.title(&Nobody), "6 devices sent passwords to s3, s4 and 4 others in clear text");
}

#[test]
fn the_device_that_weighs_most_ranks_its_action() {
    let made = [
        made("no-security-mode", Severity::High, 1, Vec::new()),
        made("no-security-mode", Severity::High, 2, Vec::new()),
        made("anonymous-accepted", Severity::High, 3, vec![("clients", "3".into())]),
    ];
    let context = |device: DeviceId| Context {
        exposure: Exposure { clear: device.0 == 2, ..Exposure::default() },
        criticality: (device.0 == 2).then_some(Criticality::Critical),
    };
    let actions = actions(made.iter().map(Made::part), &context);
    let told: Vec<_> = actions.iter().map(|action| (action.spec.id, action.risk.score(), action.verdict)).collect();
    assert_eq!(told, [("no-security-mode", 80, Verdict::Act), ("anonymous-accepted", 50, Verdict::Plan)]);
}
