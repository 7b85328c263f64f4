//! Product fingerprints: a decoded field's text says what the device is. The format is described in `signatures/README.md`.
//!
//! Attributes of the rules are the names of the fields that facts carry (`modbus.vendor_name`), and a few that stand for a name or object
//! (`mqtt.client_id`, `mqtt.topic`); [`super::conclusions`] puts them together.

use super::{
    FINGERPRINTS_GATEWAY, FINGERPRINTS_LORAWAN, FINGERPRINTS_LWM2M, FINGERPRINTS_MODBUS, FINGERPRINTS_MQTT, File, PackError,
};
use citytap_sensor::observation::{Attribute, Confidence};
use regex::{Captures, Regex, RegexSet};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, OnceLock};
use toml::Spanned;

static RULES: LazyLock<Rules> =
    LazyLock::new(|| Rules::new(FILES.iter().flat_map(|&file| read(file).unwrap_or_default()).collect()));

/// The files, in the order in which their rules count.
const FILES: [File; 5] = [FINGERPRINTS_GATEWAY, FINGERPRINTS_LORAWAN, FINGERPRINTS_LWM2M, FINGERPRINTS_MODBUS, FINGERPRINTS_MQTT];

/// The attributes that rules may read. A rule with another name can never match, so it is an error.
pub const ATTRIBUTES: &[&str] = &[
    "chirpstack.concentratord_version",
    "chirpstack.hal_version",
    "chirpstack.model",
    "coap.core_rt",
    "coap.path",
    "coap.payload",
    "gwmp.description",
    "gwmp.platform",
    "home_assistant.hw_version",
    "home_assistant.manufacturer",
    "home_assistant.model",
    "home_assistant.origin_name",
    "home_assistant.sw_version",
    "homie.fw_name",
    "homie.fw_version",
    "lorawan.dev_eui",
    "lorawan.f_port",
    "lorawan.join_eui",
    "lorawan.payload",
    "lwm2m./3/0/0",
    "lwm2m./3/0/1",
    "lwm2m./3/0/17",
    "lwm2m./3/0/18",
    "lwm2m./3/0/2",
    "lwm2m./3/0/3",
    "lwm2m./5/0/7",
    "lwm2m.endpoint",
    "modbus.function_answered",
    "modbus.model_name",
    "modbus.product_code",
    "modbus.product_name",
    "modbus.revision",
    "modbus.server_id",
    "modbus.user_application_name",
    "modbus.vendor_name",
    "modbus.vendor_url",
    "mqtt.client_id",
    "mqtt.payload",
    "mqtt.topic",
    "shelly.model",
    "shelly.version",
    "sparkplug.firmware",
    "sparkplug.make",
    "sparkplug.model",
    "sparkplug.transmission_version",
    "station.firmware",
    "station.model",
    "station.station",
    "tasmota.module",
    "tasmota.version",
    "the_things_stack.brand_id",
    "the_things_stack.firmware_version",
    "the_things_stack.model_id",
    "umas.device_name",
    "umas.firmware",
    "zigbee2mqtt.model",
    "zigbee2mqtt.software_build_id",
    "zigbee2mqtt.vendor",
    "zigbee2mqtt.version",
];

/// What a rule can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    /// An attribute of the device.
    Attribute(Attribute),
    /// Its class, by id.
    Class,
}

/// Who a rule's statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The device that the attribute belongs to.
    Itself,
    /// The broker that delivers.
    Broker,
    /// The radio gateway that the topic names.
    Gateway,
}

/// A rule.
pub struct Rule {
    /// Stable id.
    pub id: String,
    /// Whom it is about.
    pub about: About,
    /// How sure it is: high is `Seen`, medium `Likely`, low `Possible`.
    pub confidence: Confidence,
    when: Vec<Condition>,
    set: Vec<(Set, Spanned<String>)>,
    examples: Vec<Example>,
}

struct Condition {
    attribute: Spanned<String>,
    pattern: Pattern,
}

/// A pattern that is compiled when it is first tried: most runs need few of them.
pub(super) struct Pattern {
    pub(super) source: Spanned<String>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) fn new(source: Spanned<String>) -> Self {
        Self { source, compiled: OnceLock::new() }
    }

    pub(super) fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(self.source.get_ref()).ok()).as_ref()
    }

    pub(super) fn check(&self, file: File) -> Result<(), PackError> {
        Regex::new(self.source.get_ref())
            .map(drop)
            .map_err(|error| file.error(file.line_of(self.source.span().start), error.to_string()))
    }
}

/// One attribute's text, as a rule reads it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The attribute, as in `modbus.vendor_name`.
    pub attribute: &'a str,
    /// Its text.
    pub value: &'a str,
    /// Packets of the first and last time. Where a rule reads a payload, its other attributes must be of the same packet.
    pub frames: [u64; 2],
}

/// What a rule concludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion<'a> {
    /// Number of the rule; the earlier one wins where confidence is the same.
    pub order: usize,
    /// The rule's id.
    pub rule: &'static str,
    /// Whom it is about.
    pub about: About,
    /// How sure it is.
    pub confidence: Confidence,
    /// What is set.
    pub set: Set,
    /// To which value.
    pub value: String,
    /// Which input shows it, by position.
    pub input: usize,
    /// The attribute that shows it.
    pub source: &'a str,
}

/// All rules, found by the attributes that they read.
struct Rules {
    rules: Vec<Rule>,
    by_attribute: HashMap<String, Reading>,
}

/// The conditions that read one attribute.
#[derive(Default)]
struct Reading {
    /// Rule and place within it.
    conditions: Vec<(usize, usize)>,
    sources: Vec<String>,
    /// All their patterns as one, compiled when first needed: one pass over a text finds those that match it.
    set: OnceLock<Option<RegexSet>>,
}

impl Reading {
    fn matched(&self, text: &str) -> impl Iterator<Item = (usize, usize)> {
        let set = self.set.get_or_init(|| RegexSet::new(&self.sources).ok()).as_ref();
        let matches: Vec<usize> = set.map(|set| set.matches(text).into_iter().collect()).unwrap_or_default();
        matches.into_iter().filter_map(|at| self.conditions.get(at).copied())
    }
}

impl Rules {
    fn new(rules: Vec<Rule>) -> Self {
        let mut by_attribute: HashMap<String, Reading> = HashMap::new();
        for (number, rule) in rules.iter().enumerate() {
            for (place, condition) in rule.when.iter().enumerate() {
                let reading = by_attribute.entry(condition.attribute.get_ref().clone()).or_default();
                reading.conditions.push((number, place));
                reading.sources.push(condition.pattern.source.get_ref().clone());
            }
        }
        Self { rules, by_attribute }
    }
}

/// What the embedded rules conclude, in the order of the inputs and rules.
pub fn conclude<'a>(inputs: &[Input<'a>]) -> Vec<Conclusion<'a>> {
    let rules: &'static Rules = &RULES;
    let mut found = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let Some(reading) = rules.by_attribute.get(input.attribute) else { continue };
        for (order, _) in reading.matched(input.value).filter(|(_, place)| *place == 0) {
            if let Some(rule) = rules.rules.get(order) {
                rule.conclude(order, number, inputs, &mut found);
            }
        }
    }
    found
}

/// How the rules read a text of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touch {
    /// No condition matches it.
    None,
    /// These conditions match it, whatever else it says: numbers, the same for the same conditions.
    Conditions(Vec<u32>),
    /// A condition matches it and takes something out of it.
    Itself,
    /// A condition matches it that asks for something else in the same packet.
    WithPacket,
}

/// How the embedded rules read a text.
pub fn touch(attribute: &str, text: &str) -> Touch {
    let rules: &'static Rules = &RULES;
    let Some(reading) = rules.by_attribute.get(attribute) else { return Touch::None };
    let mut numbers = Vec::new();
    let mut takes = false;
    for (order, place) in reading.matched(text) {
        let Some(rule) = rules.rules.get(order) else { continue };
        if rule.same_packet() {
            return Touch::WithPacket;
        }
        takes |= rule.when.get(place).is_some_and(|condition| condition.pattern.source.get_ref().contains("(?P<"));
        numbers.push((order as u32) << 8 | place as u32);
    }
    match numbers.is_empty() {
        _ if takes => Touch::Itself,
        true => Touch::None,
        false => Touch::Conditions(numbers),
    }
}

impl Rule {
    fn conclude<'a>(&'static self, order: usize, number: usize, inputs: &[Input<'a>], found: &mut Vec<Conclusion<'a>>) {
        let Some(input) = inputs.get(number) else { return };
        let Some(groups) = self.matched(input, inputs) else { return };
        for (set, template) in &self.set {
            if let Some(value) = fill(template.get_ref(), &groups) {
                let (rule, about, confidence) = (self.id.as_str(), self.about, self.confidence);
                found.push(Conclusion {
                    order,
                    rule,
                    about,
                    confidence,
                    set: *set,
                    value,
                    input: number,
                    source: input.attribute,
                });
            }
        }
    }

    /// Whether its conditions must hold in one packet.
    fn same_packet(&self) -> bool {
        self.when.iter().any(|condition| condition.attribute.get_ref().ends_with(".payload"))
    }

    fn matched<'a>(&self, input: &Input<'a>, inputs: &[Input<'a>]) -> Option<Vec<Captures<'a>>> {
        let same_packet = self.same_packet();
        let mut groups = Vec::with_capacity(self.when.len());
        for (place, condition) in self.when.iter().enumerate() {
            let regex = condition.pattern.regex()?;
            let captures = if place == 0 {
                regex.captures(input.value)?
            } else {
                let others = inputs.iter().filter(|other| other.attribute == condition.attribute.get_ref());
                let beside = |other: &&Input<'a>| !same_packet || input.frames.iter().any(|frame| other.frames.contains(frame));
                others.filter(beside).find_map(|other| regex.captures(other.value))?
            };
            groups.push(captures);
        }
        Some(groups)
    }
}

/// The template with its groups; `None` where one is missing or empty.
fn fill(template: &str, groups: &[Captures<'_>]) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        let value = groups.iter().rev().find_map(|captures| captures.name(name)).filter(|value| !value.as_str().is_empty())?;
        text.push_str(before);
        text.push_str(value.as_str());
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    fingerprint: Vec<RuleToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleToml {
    id: Spanned<String>,
    when: Vec<ConditionToml>,
    about: Option<Spanned<String>>,
    set: BTreeMap<String, Spanned<String>>,
    confidence: Spanned<String>,
    #[serde(rename = "source")]
    _source: String,
    example: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionToml {
    attribute: Spanned<String>,
    matches: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "worked examples for tests"))]
struct Example {
    input: BTreeMap<String, String>,
    expect: BTreeMap<String, String>,
}

/// The attribute that a name in `set` means.
fn set_named(name: &str) -> Option<Set> {
    Some(match name {
        "vendor" => Set::Attribute(Attribute::Vendor),
        "product" => Set::Attribute(Attribute::Product),
        "model" => Set::Attribute(Attribute::Model),
        "firmware" => Set::Attribute(Attribute::Firmware),
        "software" => Set::Attribute(Attribute::Software),
        "hardware" => Set::Attribute(Attribute::Hardware),
        "serial" => Set::Attribute(Attribute::Serial),
        "name" => Set::Attribute(Attribute::Name),
        "class" => Set::Class,
        _ => return None,
    })
}

fn read(file: File) -> Result<Vec<Rule>, PackError> {
    let toml: FileToml = toml::from_str(file.text()).map_err(|error| {
        let line = error.span().map_or(1, |span| file.line_of(span.start));
        file.error(line, error.message())
    })?;
    toml.fingerprint.into_iter().map(|rule| rule.read(file)).collect()
}

impl RuleToml {
    fn read(self, file: File) -> Result<Rule, PackError> {
        let at = |text: &Spanned<String>, what: &str| {
            file.error(file.line_of(text.span().start), format!("{what} `{}`", text.get_ref()))
        };
        let about = match self.about.as_ref().map(|about| about.get_ref().as_str()) {
            None | Some("self") => About::Itself,
            Some("broker") => About::Broker,
            Some("gateway") => About::Gateway,
            Some(_) => return Err(at(self.about.as_ref().unwrap_or(&self.id), "cannot be about")),
        };
        let confidence = match self.confidence.get_ref().as_str() {
            "high" => Confidence::Seen,
            "medium" => Confidence::Likely,
            "low" => Confidence::Possible,
            _ => return Err(at(&self.confidence, "no confidence is called")),
        };
        let mut set = Vec::with_capacity(self.set.len());
        for (name, template) in self.set {
            let known = set_named(&name)
                .ok_or_else(|| file.error(file.line_of(template.span().start), format!("`{name}` cannot be set")))?;
            set.push((known, template));
        }
        let when =
            self.when.into_iter().map(|c| Condition { attribute: c.attribute, pattern: Pattern::new(c.matches) }).collect();
        Ok(Rule { id: self.id.into_inner(), about, confidence, when, set, examples: self.example })
    }
}

/// Reads all files whole, compiles every pattern and looks up every name.
pub(super) fn check(classes: &[String]) -> Result<(), Vec<PackError>> {
    let mut errors = Vec::new();
    for file in FILES {
        let rules = match read(file) {
            Ok(rules) => rules,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        for rule in &rules {
            check_rule(file, rule, classes, &mut errors);
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_rule(file: File, rule: &Rule, classes: &[String], errors: &mut Vec<PackError>) {
    let line = |text: &Spanned<String>| file.line_of(text.span().start);
    for condition in &rule.when {
        let name = condition.attribute.get_ref();
        if !ATTRIBUTES.contains(&name.as_str()) {
            errors.push(file.error(line(&condition.attribute), format!("{}: no field is called `{name}`", rule.id)));
        }
        errors.extend(condition.pattern.check(file).err());
    }
    for (set, template) in &rule.set {
        if *set == Set::Class && !classes.contains(template.get_ref()) {
            errors.push(file.error(line(template), format!("{}: no class is called `{}`", rule.id, template.get_ref())));
        }
    }
    if rule.when.is_empty() || rule.examples.is_empty() {
        errors.push(file.error(1, format!("{}: has no condition or no example", rule.id)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::conclusions::{NAMES, OBJECTS};
    use super::*;

    fn name(set: Set) -> &'static str {
        match set {
            Set::Attribute(attribute) => crate::inventory::attribute_name(attribute),
            Set::Class => "class",
        }
    }

    #[test]
    fn every_rule_gives_what_its_examples_expect() {
        let mut examples = 0;
        for rule in &RULES.rules {
            for example in &rule.examples {
                let inputs: Vec<Input<'_>> =
                    example.input.iter().map(|(attribute, value)| Input { attribute, value, frames: [1, 1] }).collect();
                let found = conclude(&inputs);
                for (set, value) in &example.expect {
                    let given = found.iter().find(|one| one.rule == rule.id && name(one.set) == set);
                    assert_eq!(given.map(|one| one.value.as_str()), Some(value.as_str()), "{}: {set}", rule.id);
                }
                examples += 1;
            }
        }
        assert!(examples > 100, "{examples}");
    }

    #[test]
    fn a_name_that_no_field_has_is_an_error_with_its_line() {
        let file = File { name: "fingerprints/test.toml", bytes: b"# head\n[[fingerprint]]\nid = 'x'\nwhen = [{ attribute = 'modbus.vendr', matches = '(' }]\nset = { class = 'lamp' }\nconfidence = 'high'\nsource = ''\nexample = []\n" };
        let mut errors = Vec::new();
        check_rule(file, &read(file).expect("is read")[0], &["street_light".into()], &mut errors);
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(told[0], "signatures/fingerprints/test.toml:4: x: no field is called `modbus.vendr`");
        assert!(told[1].starts_with("signatures/fingerprints/test.toml:4: regex parse error"), "{}", told[1]);
        assert_eq!(told[2], "signatures/fingerprints/test.toml:5: x: no class is called `lamp`");
    }

    #[test]
    fn a_payload_counts_with_the_topic_of_its_own_message_alone() {
        let topic = Input { attribute: "mqtt.topic", value: "$SYS/broker/version", frames: [1, 9] };
        let payload = Input { attribute: "mqtt.payload", value: "mosquitto version 2.0.11", frames: [5, 5] };
        assert!(conclude(&[topic, payload]).iter().all(|one| one.rule != "mosquitto-version"));
        let payload = Input { frames: [9, 9], ..payload };
        assert!(conclude(&[topic, payload]).iter().any(|one| one.rule == "mosquitto-version"));
    }

    /// Attributes that rules read and no decoder tells: payloads are not kept, and what UMAS says of a device is not decoded.
    const NOT_TOLD: [&str; 5] = ["coap.payload", "lorawan.payload", "mqtt.payload", "umas.device_name", "umas.firmware"];

    #[test]
    fn decoders_tell_what_rules_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sensor/src/protocols");
        let mut source = String::new();
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("is readable") {
                let path = entry.expect("is readable").path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("tests.rs") {
                    source += &std::fs::read_to_string(path).expect("is text");
                }
            }
        }
        // Names and objects of devices are read under names of the packs' own.
        let said = |what: &str, (kind, attribute): &(&str, &str), read: &str| {
            *attribute == read && source.contains(&format!("{what}: \"{kind}\""))
        };
        // A line that hands a payload on names its kind, and tells nothing.
        let told_itself = |read: &str| {
            let tells =
                |line: &str| !line.contains("kind: ") && !line.contains("carried: ") && line.contains(&format!("\"{read}\""));
            source.lines().any(tells)
        };
        for read in ATTRIBUTES {
            let told = told_itself(read)
                || NAMES.iter().any(|pair| said("name", pair, read))
                || OBJECTS.iter().any(|pair| said("kind", pair, read));
            assert_eq!(told, !NOT_TOLD.contains(read), "{read}");
        }
        assert!(NOT_TOLD.iter().all(|name| ATTRIBUTES.contains(name)));
    }
}
