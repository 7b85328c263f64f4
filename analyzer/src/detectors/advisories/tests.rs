//! Devices that say what they are, and what is answered.

use super::*;
use crate::findings::judge::{Judgement, Jury, Outcome};
use crate::hot::owned::OwnedFact;
use crate::inventory::InventoryConfig;
use citytap_sensor::observation::{Attribute, Identity, Presence};
use citytap_sensor::time::Timestamp;

/// 2026-11-20.
const DAY_OF_TEST: u64 = 20_777 * 86_400 * 1_000_000_000;

struct City {
    inventory: Inventory,
    frame: u64,
}

impl City {
    fn new() -> Self {
        Self { inventory: Inventory::new(InventoryConfig::new("city")), frame: 0 }
    }

    fn seen(&mut self) -> Seen {
        self.frame += 1;
        Seen { place: Place { frame: self.frame, sequence: 0 }, time: Timestamp(DAY_OF_TEST + self.frame) }
    }

    /// A device at an address that says these things.
    fn device(&mut self, address: u8, said: &[(Attribute, &'static str, &str)]) -> &mut Self {
        let id = IdentityKey::new(&Identity::ip([10, 0, 0, address].into()), 0);
        let seen = self.seen();
        self.inventory.apply(&OwnedFact::Identity { id: id.clone(), presence: Presence::Proved }, seen);
        for &(name, field, value) in said {
            let seen = self.seen();
            let fact = OwnedFact::Attribute { id: id.clone(), name, value: value.into(), confidence: Confidence::Seen, field };
            self.inventory.apply(&fact, seen);
        }
        self
    }

    fn judged(&self) -> Judgement {
        let policy = crate::policy::Policy::default();
        let mut jury = Jury::new(&self.inventory, &policy);
        verdicts(&self.inventory, &mut |verdict| jury.take(verdict));
        jury.judge().0
    }

    /// The answer about the only device.
    fn answer(&self) -> (Outcome, String) {
        let judgement = self.judged();
        let check = judgement.checks.iter().find(|check| check.spec == &checks::KNOWN_VULNERABILITY).expect("is answered");
        (check.outcome, check.reason().into_owned())
    }
}

fn modbus(vendor: &'static str, code: &'static str, revision: &'static str) -> Vec<(Attribute, &'static str, &'static str)> {
    [
        (Attribute::Vendor, "modbus.vendor_name", vendor),
        (Attribute::Model, "modbus.product_code", code),
        (Attribute::Firmware, "modbus.revision", revision),
    ]
    .into_iter()
    .filter(|(_, _, value)| !value.is_empty())
    .collect()
}

#[test]
fn a_version_that_an_advisory_names_is_found_with_what_mends_it() {
    let mut city = City::new();
    city.device(5, &modbus("Schneider Electric", "TM221CE24R", "1.5.0.0"));
    let judgement = city.judged();
    let finding = judgement.findings.iter().find(|finding| finding.spec == &checks::KNOWN_VULNERABILITY).expect("is found");
    let message = finding.message();
    assert!(message.starts_with("Schneider Electric Modicon M221 1.5.0.0 has "), "{message}");
    assert!(
        message.contains("update Schneider Electric Modicon M221 to 1.6.2.0 or later") && message.contains(&Pack::shipped().date),
        "{message}"
    );
    assert_eq!(finding.confidence, Confidence::Likely);
    assert!(finding.severity >= Severity::High);
    assert_eq!(finding.evidence.pointers().next().map(|pointer| pointer.field), Some("device.firmware"));
}

#[test]
fn what_all_versions_have_is_possible_and_at_most_medium() {
    let mut city = City::new();
    city.device(5, &modbus("Siemens AG", "6ES7 214-1AG40-0XB0", "V9.9.9"));
    let judgement = city.judged();
    let finding = judgement.findings.iter().find(|finding| finding.spec == &checks::KNOWN_VULNERABILITY).expect("is found");
    assert_eq!(finding.confidence, Confidence::Possible);
    assert!(finding.severity <= Severity::Medium && finding.message().contains("may have"), "{}", finding.message());
}

#[test]
fn a_version_without_weaknesses_is_clear_and_says_against_what_it_was_tested() {
    let mut city = City::new();
    city.device(5, &modbus("Moxa", "MGate MB3280", "4.2"));
    let (outcome, reason) = city.answer();
    assert_eq!(outcome, Outcome::Clear, "{reason}");
    assert!(reason.contains("for Moxa MGate MB3280") && reason.contains(&Pack::shipped().date), "{reason}");
}

#[test]
fn without_a_version_or_a_maker_it_could_not_be_tested() {
    let mut city = City::new();
    city.device(5, &modbus("Moxa", "MGate MB3280", ""));
    let (outcome, reason) = city.answer();
    assert!(outcome == Outcome::Untested && reason.starts_with("no version was seen"), "{reason}");
    let mut city = City::new();
    city.device(5, &modbus("", "X-100 meter", "4.0"));
    assert_eq!(city.answer(), (Outcome::Untested, "who made it is not known".into()));
    let mut city = City::new();
    city.device(5, &modbus("Nobody Knows", "X1", "4.0"));
    let (outcome, reason) = city.answer();
    assert!(outcome == Outcome::Untested && reason.starts_with("no advisory of ours is about its maker"), "{reason}");
    let mut city = City::new();
    city.device(5, &modbus("Moxa", "ZZZ-9999", "4.0"));
    let (outcome, reason) = city.answer();
    assert!(outcome == Outcome::Untested && reason.starts_with("no advisory of ours names this product"), "{reason}");
}

#[test]
fn a_device_that_says_nothing_of_its_model_is_not_asked() {
    let mut city = City::new();
    city.device(5, &[(Attribute::Vendor, "modbus.vendor_name", "Siemens"), (Attribute::Firmware, "modbus.revision", "1.0")]);
    assert!(city.judged().checks.is_empty());
}

#[test]
fn the_prefix_of_an_address_never_makes_it_affected() {
    let mut city = City::new();
    let id = IdentityKey::new(&Identity::mac([0x00, 0x90, 0xe8, 1, 2, 3]), 0);
    let seen = city.seen();
    city.inventory.apply(&OwnedFact::Identity { id: id.clone(), presence: Presence::Proved }, seen);
    for (name, value) in [(Attribute::Model, "MGate MB3280"), (Attribute::Firmware, "4.0")] {
        let seen = city.seen();
        let fact = OwnedFact::Attribute { id: id.clone(), name, value: value.into(), confidence: Confidence::Seen, field: "x" };
        city.inventory.apply(&fact, seen);
    }
    let device = city.inventory.devices().next().expect("a device");
    assert_eq!(device.vendor.as_deref(), Some("Moxa"), "by its prefix");
    let judgement = city.judged();
    let finding = judgement.findings.iter().find(|finding| finding.spec == &checks::KNOWN_VULNERABILITY).expect("is possible");
    assert_eq!((finding.confidence, finding.severity), (Confidence::Possible, Severity::Low));
}

#[test]
fn devices_of_one_product_and_version_are_one_action() {
    let mut city = City::new();
    for address in 1..=30 {
        city.device(address, &modbus("Moxa", "MGate MB3280", "4.0"));
    }
    let judgement = city.judged();
    assert_eq!(judgement.findings.len(), 30);
    let actions =
        crate::findings::actions::actions(judgement.findings.iter().map(|finding| finding.part()), &|_| Default::default());
    assert_eq!(actions.len(), 1);
    let title = actions[0].title(&city.inventory);
    assert!(title.starts_with("30 devices are Moxa MGate MB3280 4.0, which has "), "{title}");
}

#[test]
fn software_of_others_is_judged_by_its_own_maker_and_version() {
    let mut city = City::new();
    city.device(
        5,
        &[
            (Attribute::Vendor, "x", "RAKwireless"),
            (Attribute::Product, "x", "Mosquitto"),
            (Attribute::Model, "x", "RAK7289"),
            (Attribute::Firmware, "x", "2.0.11"),
        ],
    );
    let judgement = city.judged();
    let finding = judgement.findings.iter().find(|finding| finding.spec == &checks::KNOWN_VULNERABILITY).expect("is found");
    assert!(finding.message().starts_with("Eclipse Mosquitto 2.0.11 has "), "{}", finding.message());
}

#[test]
fn the_end_of_support_is_judged_at_the_time_of_the_packets() {
    let answer = |version, today: &str| {
        let claim = Claim::new(Pack::shipped(), "VMware", true, &["RabbitMQ"], Some(version));
        let known = end_of_life::of(&claim).expect("is known");
        (today >= known.end.date, known.sure)
    };
    assert_eq!(answer("3.8.15", "2022-07-31"), (true, true));
    assert_eq!(answer("3.8.15", "2022-07-30"), (false, true));
    assert_eq!(answer("3.13.2", "2024-09-16"), (false, true));
    let other = Claim::new(Pack::shipped(), "VMware", true, &["RabbitMQ"], Some("4.9.0"));
    assert!(end_of_life::of(&other).is_none());
    let mut city = City::new();
    city.device(5, &[(Attribute::Product, "x", "RabbitMQ"), (Attribute::Firmware, "x", "3.8.15")]);
    let judgement = city.judged();
    let finding = judgement.findings.iter().find(|finding| finding.spec == &checks::END_OF_LIFE).expect("is found");
    assert!(finding.message().contains("is no longer mended since 2022-07-31"), "{}", finding.message());
}

#[test]
fn more_claims_than_are_remembered_are_judged_all_the_same() {
    let mut remembered = Remembered::default();
    let mut filler = Claim::new(Pack::shipped(), "Moxa", true, &["X"], None);
    for number in 0..REMEMBERED {
        filler.version = Some(number.to_string());
        remembered.insert(filler.clone(), (Answer::Clear("".into()), None));
    }
    let mut city = City::new();
    city.device(5, &modbus("Moxa", "MGate MB3280", "4.0"));
    let (subject, device) = city.inventory.described().next().expect("is described");
    let mut answers = 0;
    judge(&device, &subject, Pack::shipped(), &mut remembered, &mut |verdict| {
        answers += usize::from(matches!(verdict.answer, Answer::Found(_)))
    });
    assert_eq!((answers, remembered.len()), (1, REMEMBERED));
}
