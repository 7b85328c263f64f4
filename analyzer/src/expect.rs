//! Expectations of a replay, for CI: which devices, findings and counts must and must not appear.
//!
//! A file is TOML:
//!
//! ```toml
//! [counts]                       # exact numbers
//! devices = 12
//! findings = 3
//! packets = 1200
//! "class.street light" = 4       # devices of a class, as the screen names it
//! "records.modbus.request" = 40  # messages of a kind
//!
//! [[device]]                     # at least one device has all of these
//! identity = "dev_eui:24e124715e000001"
//! class = "parking_sensor"
//! firmware = "1.4"
//!
//! [[finding]]
//! check = "anonymous-accepted"
//! severity = "high"
//! count = 1                      # exactly so many; without it at least one
//!
//! [[finding]]
//! check = "default-password-used"
//! absent = true                  # none at all
//! ```

use crate::engine::Report;
use crate::findings::judge::Finding;
use crate::inventory::{Device, confidence_name};
use crate::screen::counted;
use crate::signatures::classes::class_words;
use citytap_sensor::counters::Counter;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

/// A file of expectations.
#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    counts: BTreeMap<String, Spanned<u64>>,
    #[serde(default)]
    device: Vec<Spanned<WantedDevice>>,
    #[serde(default)]
    finding: Vec<Spanned<WantedFinding>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedDevice {
    identity: Option<String>,
    id: Option<String>,
    class: Option<String>,
    name: Option<String>,
    vendor: Option<String>,
    product: Option<String>,
    model: Option<String>,
    firmware: Option<String>,
    role: Option<String>,
    #[serde(default)]
    absent: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedFinding {
    check: String,
    severity: Option<String>,
    confidence: Option<String>,
    /// A name of the device, as `kind:value`.
    identity: Option<String>,
    count: Option<usize>,
    #[serde(default)]
    absent: bool,
}

/// Expectations with the file that they stand in.
pub struct Expectations {
    file: String,
    text: String,
    wanted: Wanted,
}

impl Expectations {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub fn load(path: &Path) -> Result<Self, String> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {file}: {error}"))?;
        Self::parse(file, text)
    }

    fn parse(file: String, text: String) -> Result<Self, String> {
        let wanted: Wanted = toml::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
        for finding in &wanted.finding {
            let known = crate::checks::all().any(|spec| spec.id == finding.get_ref().check);
            if !known {
                let ids = crate::checks::all().map(|spec| spec.id).collect::<Vec<_>>().join(", ");
                let line = line_of(&text, finding.span().start);
                return Err(format!("{file}:{line}: no check is called '{}'. Known are: {ids}.", finding.get_ref().check));
            }
        }
        Ok(Self { file, text, wanted })
    }

    /// First expectations out of a result: its counts and its findings.
    pub fn of(report: &Report) -> Self {
        let mut wanted = Wanted::default();
        let spanned = |value| Spanned::new(0..0, value);
        for (name, value) in counts(report) {
            wanted.counts.insert(name, spanned(value));
        }
        let mut findings: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for finding in &report.judgement.findings {
            *findings.entry((finding.spec.id, finding.severity.name())).or_insert(0) += 1;
        }
        wanted.finding = findings
            .into_iter()
            .map(|((check, severity), count)| {
                Spanned::new(
                    0..0,
                    WantedFinding {
                        check: check.into(),
                        severity: Some(severity.into()),
                        confidence: None,
                        identity: None,
                        count: Some(count),
                        absent: false,
                    },
                )
            })
            .collect();
        Self { file: String::new(), text: String::new(), wanted }
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text =
            String::from("# Expectations of a replay, checked by `citytap replay CAPTURE --expect THIS`.\n\n[counts]\n");
        for (name, value) in &self.wanted.counts {
            text.push_str(&format!("{} = {}\n", toml_key(name), value.get_ref()));
        }
        for finding in &self.wanted.finding {
            let finding = finding.get_ref();
            text.push_str(&format!("\n[[finding]]\ncheck = \"{}\"\n", finding.check));
            if let Some(severity) = &finding.severity {
                text.push_str(&format!("severity = \"{severity}\"\n"));
            }
            if let Some(count) = finding.count {
                text.push_str(&format!("count = {count}\n"));
            }
        }
        text
    }

    /// What does not hold, a line each, with the line of the expectation and the packets that speak against it.
    pub fn check(&self, report: &Report) -> Vec<String> {
        let mut failures = Vec::new();
        let actual: BTreeMap<String, u64> = counts(report).collect();
        for (name, wanted) in &self.wanted.counts {
            let is = actual.get(name).copied().unwrap_or(0);
            if is != *wanted.get_ref() {
                failures.push(format!("{}: {name} is {is}, expected {}.", self.place(wanted.span().start), wanted.get_ref()));
            }
        }
        for wanted in &self.wanted.device {
            failures.extend(self.check_device(wanted, report));
        }
        for wanted in &self.wanted.finding {
            failures.extend(self.check_finding(wanted, report));
        }
        failures
    }

    fn check_device(&self, wanted: &Spanned<WantedDevice>, report: &Report) -> Option<String> {
        let matching = report.inventory.devices().find(|device| wanted.get_ref().fits(device));
        let place = self.place(wanted.span().start);
        match (matching, wanted.get_ref().absent) {
            (None, false) => Some(format!("{place}: no device is like this: {}.", wanted.get_ref().describe())),
            (Some(device), true) => {
                Some(format!("{place}: device {} must not appear but does: {}.", device.id, wanted.get_ref().describe()))
            }
            _ => None,
        }
    }

    fn check_finding(&self, wanted: &Spanned<WantedFinding>, report: &Report) -> Option<String> {
        let place = self.place(wanted.span().start);
        let wanted = wanted.get_ref();
        let matching: Vec<&Finding> = report.judgement.findings.iter().filter(|finding| wanted.fits(finding, report)).collect();
        let frames = || {
            let frames = matching.iter().flat_map(|finding| finding.places().map(|place| place.frame.to_string()));
            frames.take(6).collect::<Vec<_>>().join(", ")
        };
        let times = |found: usize| counted(found, "time", "times");
        match (matching.len(), wanted.absent, wanted.count) {
            (0, true, _) => None,
            (found, true, _) => {
                Some(format!("{place}: {} must not be found but is, {} (packets {}).", wanted.check, times(found), frames()))
            }
            (found, false, Some(count)) if found != count => {
                let seen = if found > 0 { format!(" (packets {})", frames()) } else { String::new() };
                Some(format!("{place}: {} is found {}, expected {count}{seen}.", wanted.check, times(found)))
            }
            (0, false, None) => Some(format!("{place}: {} is not found.", wanted.check)),
            _ => None,
        }
    }

    fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.file, line_of(&self.text, offset))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

fn toml_key(name: &str) -> String {
    let bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { name.into() } else { format!("\"{name}\"") }
}

/// The numbers that can be expected, by name.
fn counts(report: &Report) -> impl Iterator<Item = (String, u64)> {
    let mut counts = vec![
        ("devices".to_owned(), report.inventory.count().0 as u64),
        ("findings".to_owned(), report.judgement.findings.len() as u64),
        ("actions".to_owned(), report.actions.len() as u64),
        ("packets".to_owned(), report.coverage.counters.get(Counter::Packets)),
    ];
    let mut classes: BTreeMap<String, u64> = BTreeMap::new();
    for class in report.inventory.classes() {
        let class = class.and_then(class_words).map_or("unclassed", |(name, _)| name);
        *classes.entry(format!("class.{class}")).or_insert(0) += 1;
    }
    counts.extend(classes);
    counts.extend(report.coverage.records.iter().map(|(kind, count)| (format!("records.{kind}"), *count)));
    counts.into_iter()
}

impl WantedDevice {
    fn fits(&self, device: &Device) -> bool {
        let same = |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|wanted| is == Some(wanted));
        let has_identity = self
            .identity
            .as_ref()
            .is_none_or(|wanted| device.identities.iter().any(|name| *wanted == format!("{}:{}", name.kind, name.value)));
        has_identity
            && same(&self.id, Some(&device.id.to_string()))
            && same(&self.class, device.class.as_ref().map(|class| class.id.as_str()))
            && same(&self.name, device.name.as_deref())
            && same(&self.vendor, device.vendor.as_deref())
            && same(&self.product, device.product.as_deref())
            && same(&self.model, device.model.as_deref())
            && same(&self.firmware, device.firmware.as_deref())
            && self.role.as_ref().is_none_or(|wanted| device.roles.iter().any(|role| role.role == *wanted))
    }

    fn describe(&self) -> String {
        let parts = [
            ("identity", &self.identity),
            ("id", &self.id),
            ("class", &self.class),
            ("name", &self.name),
            ("vendor", &self.vendor),
            ("product", &self.product),
            ("model", &self.model),
            ("firmware", &self.firmware),
            ("role", &self.role),
        ];
        let told = parts.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
        told.collect::<Vec<_>>().join(", ")
    }
}

impl WantedFinding {
    fn fits(&self, finding: &Finding, report: &Report) -> bool {
        let device = || report.inventory.device(finding.device);
        let has_identity = self.identity.as_ref().is_none_or(|wanted| {
            device().is_some_and(|device| device.identities.iter().any(|name| *wanted == format!("{}:{}", name.kind, name.value)))
        });
        finding.spec.id == self.check
            && self.severity.as_ref().is_none_or(|wanted| finding.severity.name() == wanted)
            && self.confidence.as_ref().is_none_or(|wanted| confidence_name(finding.confidence) == wanted)
            && has_identity
    }
}
