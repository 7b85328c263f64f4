//! What a device says about itself, and what follows from it: attributes with their rank, vendor, class.
//!
//! The current value of an attribute is the most certain one, then the latest: what a person entered, what a fingerprint of high confidence
//! concludes, what the device says, what fingerprints of lower confidence conclude, and last the vendor of a prefix, which names who made
//! the network interface or the radio module.

use super::classes::{self, Shown};
use super::fingerprints::{self, About, Conclusion, Input, Set};
use super::vendors;
use crate::inventory::{AttributeSeen, Class, Device, Sighting, attribute_name, confidence_name};
use citytap_sensor::observation::{Attribute, Confidence};
use std::borrow::Cow;
use std::cmp::Reverse;

/// Topics that class patterns read, of each device: they are alike.
pub(super) const TOPICS: usize = 16;

/// A statement of the wire about a device.
#[derive(Clone, Debug)]
pub struct Said {
    /// What is said.
    pub name: Attribute,
    /// The field it was read from.
    pub field: Cow<'static, str>,
    /// Its value.
    pub value: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// Where it was seen.
    pub seen: Sighting,
}

/// A value on its way to be ranked.
struct Candidate {
    name: Attribute,
    value: String,
    source: String,
    by: Option<String>,
    confidence: Confidence,
    rank: u8,
    order: usize,
    seen: Sighting,
}

/// Kinds of names that rules read as attributes.
pub(super) const NAMES: [(&str, &str); 3] =
    [("dev_eui", "lorawan.dev_eui"), ("mqtt_client", "mqtt.client_id"), ("lwm2m_endpoint", "lwm2m.endpoint")];

/// Kinds of objects that rules read as attributes.
pub(super) const OBJECTS: [(&str, &str); 5] = [
    ("mqtt.topic", "mqtt.topic"),
    ("coap.resource", "coap.path"),
    ("coap.resource_type", "coap.core_rt"),
    ("home_assistant.origin", "home_assistant.origin_name"),
    ("modbus.function", "modbus.function_answered"),
];

/// Fills in attributes, vendor, product and the like, and the class. Everything else of the device is there already.
pub fn conclude(device: &mut Device, said: Vec<Said>) {
    let (candidates, fingerprints) = {
        let mut candidates: Vec<Candidate> = said.iter().map(Candidate::said).collect();
        let fingerprints = conclude_by_rules(device, &said, &mut candidates);
        conclude_by_prefix(device, &said, &mut candidates);
        (candidates, fingerprints)
    };
    choose(device, candidates);
    let class = classes::score(&shown(device, &fingerprints));
    device.class =
        class.map(|class| Class { id: class.id.into(), name: class.name.into(), score: class.points, reasons: class.reasons });
}

impl Candidate {
    fn said(said: &Said) -> Self {
        let value =
            if said.name == Attribute::Vendor { vendors::normalise(&said.value).into_owned() } else { said.value.clone() };
        let rank = match said.confidence {
            Confidence::Proved => 9,
            Confidence::Seen => 7,
            Confidence::Likely => 5,
            Confidence::Possible => 3,
        };
        Self {
            name: said.name,
            value,
            source: said.field.clone().into_owned(),
            by: None,
            confidence: said.confidence,
            rank,
            order: 0,
            seen: said.seen,
        }
    }
}

/// Applies the fingerprints; the classes that they set come back with their confidence.
fn conclude_by_rules(device: &Device, said: &[Said], candidates: &mut Vec<Candidate>) -> Vec<(&'static str, String)> {
    let mut inputs: Vec<Input<'_>> = Vec::new();
    let mut seen: Vec<Sighting> = Vec::new();
    let mut add = |attribute, value, sighting: Sighting| {
        inputs.push(Input { attribute, value, frames: [sighting.first_frame, sighting.last_frame] });
        seen.push(sighting);
    };
    for said in said {
        add(&said.field, said.value.as_str(), said.seen);
    }
    for name in &device.identities {
        if let Some((_, attribute)) = NAMES.iter().find(|(kind, _)| *kind == name.kind) {
            add(attribute, &name.value, name.seen);
        }
    }
    for object in &device.objects {
        if let Some((_, attribute)) = OBJECTS.iter().find(|(kind, _)| *kind == object.kind) {
            add(attribute, &object.name, object.seen);
        }
    }
    let mut classes = Vec::new();
    let has = |role: &str| device.roles.iter().any(|seen| seen.role == role);
    for conclusion in fingerprints::conclude(&inputs) {
        let concerns = match conclusion.about {
            About::Itself => true,
            About::Broker => has("broker"),
            About::Gateway => has("radio_gateway"),
        };
        let Some(&sighting) = seen.get(conclusion.input).filter(|_| concerns) else { continue };
        match conclusion.set {
            Set::Class => classes.push((level(conclusion.confidence), conclusion.value)),
            Set::Attribute(name) => merge(name, conclusion, sighting, candidates),
        }
    }
    classes.sort_unstable();
    classes.dedup();
    classes
}

fn level(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Proved | Confidence::Seen => "high",
        Confidence::Likely => "medium",
        Confidence::Possible => "low",
    }
}

/// Adds a conclusion, unless it repeats what stands there: then that counts as much as the conclusion.
fn merge(name: Attribute, conclusion: Conclusion<'_>, seen: Sighting, candidates: &mut Vec<Candidate>) {
    let value = match name {
        Attribute::Vendor => vendors::normalise(&conclusion.value).into_owned(),
        _ => conclusion.value,
    };
    let rank = match conclusion.confidence {
        Confidence::Proved | Confidence::Seen => 8,
        Confidence::Likely => 6,
        Confidence::Possible => 4,
    };
    let same = |known: &&mut Candidate| known.name == name && known.value == value && known.source == conclusion.source;
    match candidates.iter_mut().find(same) {
        Some(known) => known.rank = known.rank.max(rank),
        None => candidates.push(Candidate {
            name,
            value,
            source: conclusion.source.into(),
            by: Some(format!("fingerprint {}", conclusion.rule)),
            confidence: conclusion.confidence,
            rank,
            order: conclusion.order,
            seen,
        }),
    }
}

/// The vendor by the prefix of a MAC address or EUI, and by the JoinEUI.
fn conclude_by_prefix(device: &Device, said: &[Said], candidates: &mut Vec<Candidate>) {
    let mut add = |vendor: Option<&str>, source: &str, rank, by: &str, seen: Sighting| {
        if let Some(vendor) = vendor {
            let (value, source, by) = (vendors::normalise(vendor).into_owned(), source.into(), Some(by.into()));
            candidates.push(Candidate {
                name: Attribute::Vendor,
                value,
                source,
                by,
                confidence: Confidence::Possible,
                rank,
                order: 0,
                seen,
            });
        }
    };
    for name in &device.identities {
        let digits = name.value.len();
        let Some(value) =
            u64::from_str_radix(&name.value, 16).ok().filter(|_| name.value.bytes().all(|byte| byte.is_ascii_hexdigit()))
        else {
            continue;
        };
        match digits {
            12 if name.kind == "mac" => add(vendors::by_mac(value), &name.kind, 0, "prefix of the address", name.seen),
            16 if name.kind.ends_with("_eui") || name.kind.contains("ieee") => {
                add(vendors::by_eui(value), &name.kind, 1, "prefix of the EUI", name.seen);
            }
            _ => {}
        }
    }
    for said in said.iter().filter(|said| said.name == Attribute::JoinEui) {
        let vendor = u64::from_str_radix(&said.value, 16).ok().and_then(vendors::by_join_eui);
        add(vendor, &said.field, 2, "known JoinEUI", said.seen);
    }
}

/// Ranks the values and shows the first of each attribute.
fn choose(device: &mut Device, mut candidates: Vec<Candidate>) {
    candidates.sort_by(|a, b| {
        let order = |c: &Candidate| (c.name, Reverse(c.rank), Reverse((c.seen.last_seen, c.seen.last_frame)), c.order);
        order(a).cmp(&order(b)).then_with(|| (&a.source, &a.value).cmp(&(&b.source, &b.value)))
    });
    let mut before = None;
    for candidate in candidates {
        let current = before.replace(candidate.name) != Some(candidate.name);
        device.attributes.push(AttributeSeen {
            name: attribute_name(candidate.name).into(),
            value: candidate.value,
            current,
            source: candidate.source,
            by: candidate.by,
            confidence: confidence_name(candidate.confidence).into(),
            origin: "observed".into(),
            seen: candidate.seen,
        });
    }
    // Groups stay together, since each attribute has one name.
    device.attributes.sort_by(|a, b| a.name.cmp(&b.name));
    let shown = |attribute: Attribute| {
        let name = attribute_name(attribute);
        device.attributes.iter().find(|seen| seen.current && seen.name == name).map(|seen| seen.value.clone())
    };
    device.name = shown(Attribute::Name).or_else(|| shown(Attribute::Hostname));
    device.vendor = shown(Attribute::Vendor);
    device.product = shown(Attribute::Product);
    device.model = shown(Attribute::Model);
    device.firmware = shown(Attribute::Firmware);
    device.software = shown(Attribute::Software);
    device.hardware = shown(Attribute::Hardware);
    device.serial = shown(Attribute::Serial);
}

/// What speaks for a class. Here the protocols' own words meet those of `classes.toml`.
fn shown<'a>(device: &'a Device, fingerprints: &'a [(&'static str, String)]) -> Shown<'a> {
    let mut shown = Shown::default();
    for (confidence, class) in fingerprints {
        shown.fingerprint(confidence, class);
    }
    roles(device, &mut shown);
    for service in &device.services {
        shown.value("service", &service.protocol);
    }
    let mut topics = 0;
    for object in &device.objects {
        if object.kind == TOPIC {
            topics += 1;
        }
        match word_of_object(&object.kind) {
            Some(Word::Value(kind)) => shown.value(kind, &object.name),
            Some(Word::Text(kind)) if object.kind != TOPIC || topics <= TOPICS => shown.text(kind, &object.name),
            _ => {}
        }
    }
    for name in device.identities.iter().filter(|name| name.kind == "lwm2m_endpoint") {
        shown.text("endpoint", &name.value);
    }
    for attribute in device.attributes.iter().filter(|attribute| attribute.current || attribute.name == "device_type") {
        let text = attribute.value.as_str();
        match word_of(&attribute.source, &attribute.name) {
            Some(Word::Value(kind)) => shown.value(kind, text),
            Some(Word::Text(kind)) => shown.text(kind, text),
            None => {}
        }
    }
    shown
}

/// What `classes.toml` calls an attribute or object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A kind of evidence whose value counts as it is.
    Value(&'static str),
    /// An attribute whose text patterns read.
    Text(&'static str),
}

/// What an attribute from this field is called.
pub(super) fn word_of(source: &str, name: &str) -> Option<Word> {
    Some(match (source, name) {
        ("modbus.user_application_name", _) => Word::Text("user_application_name"),
        ("gwmp.description", _) => Word::Text("description"),
        // What the network's operator calls the kind of device says more than a word in some name.
        (source, "model") if source.ends_with("profile_name") => Word::Text("profile"),
        (_, "name" | "hostname") => Word::Text("name"),
        (_, "model") => Word::Text("model"),
        (_, "product") => Word::Text("product"),
        (_, "application") => Word::Text("application"),
        (_, "device_type") => Word::Text("profile"),
        (_, "vendor") => Word::Text("vendor"),
        _ => return None,
    })
}

/// What an object of this kind is called.
pub(super) fn word_of_object(kind: &str) -> Option<Word> {
    Some(match kind {
        "lwm2m.object" => Word::Value("object"),
        "home_assistant.component" => Word::Value("ha_component"),
        "home_assistant.device_class" => Word::Value("ha_device_class"),
        "sparkplug.metric" => Word::Text("metric"),
        "coap.resource_type" => Word::Text("resource_type"),
        TOPIC => Word::Text("topic"),
        _ => return None,
    })
}

/// The kind of object of which [`TOPICS`] count.
pub(super) const TOPIC: &str = "mqtt.topic";

/// The roles as `classes.toml` calls them.
fn roles<'a>(device: &'a Device, shown: &mut Shown<'a>) {
    let serves = |protocol: &str| device.services.iter().any(|service| service.protocol == protocol);
    let asks = |protocol: &str| device.peers.iter().any(|peer| peer.protocol == protocol && peer.side == "client");
    let named = |kind: &str| device.identities.iter().any(|name| name.kind == kind);
    let bridge = device.roles.iter().any(|role| role.role == "bridge");
    for role in &device.roles {
        match role.role.as_str() {
            "radio_gateway" => shown.value("role", "gateway"),
            "management_server" => shown.value("role", "lwm2m_server"),
            "bootstrap_server" => shown.value("role", "lwm2m_bootstrap_server"),
            "address_server" => shown.value("role", "dhcp_server"),
            role @ ("network_server" | "application_server" | "broker" | "router") => shown.value("role", role),
            "bridge" if serves("modbus") => shown.value("role", "modbus_gateway"),
            "bridge" if serves("mqtt-sn") || serves("mqttsn") => shown.value("role", "mqtt_sn_gateway"),
            "client" if asks("modbus") => shown.value("role", "modbus_client"),
            _ => {}
        }
    }
    if named("modbus_unit") || (serves("modbus") && !bridge) {
        shown.value("role", "modbus_server");
    }
}
