//! Reads what devices say of themselves, and what they are told to do.

use super::{BACKLOG, MALFORMED, TOPIC, record};
use crate::observation::{
    Anomalies, Attribute, Confidence, Credential, CredentialKind, Fact, Identity, IdentityValue, Outcome, Presence, Secret,
};
use crate::protocols::mqtt::payload::json::Scalar;
use crate::protocols::mqtt::payload::{Facts, Origin, Remembered, address_of, attribute, mac_of, short};
use crate::protocols::{Cx, Decoder, Input, Step};
use serde::Deserialize;

/// What one connection told.
#[derive(Default)]
pub(super) struct Devices {
    seen: Remembered,
}

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'t> {
    /// `tasmota/discovery/<MAC>/config`.
    Discovery,
    /// A message that says what the device is: its topic, and which message.
    About(&'t str, &'t str),
    /// A reading: its topic.
    Reading(&'t str),
    /// A command: topic of the device, command.
    Command(&'t str, &'t str),
}

impl<'t> Place<'t> {
    /// What this topic is for, if it is one of Tasmota's.
    pub(super) fn of(topic: &'t str) -> Option<Self> {
        let (prefix, rest) = topic.split_once('/')?;
        match prefix {
            "tasmota" => (rest.starts_with("discovery/") && rest.ends_with("/config")).then_some(Place::Discovery),
            "tele" | "stat" => {
                let (device, last) = rest.rsplit_once('/')?;
                match last {
                    "INFO1" | "INFO2" | "INFO3" | "STATUS" | "STATUS2" | "STATUS5" => Some(Place::About(device, last)),
                    "STATE" | "SENSOR" | "LWT" => Some(Place::Reading(device)),
                    _ => None,
                }
            }
            "cmnd" => rest.rsplit_once('/').map(|(device, command)| Place::Command(device, command)),
            _ => None,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Config<'a> {
    #[serde(borrow)]
    ip: Scalar<'a>,
    #[serde(borrow)]
    dn: Scalar<'a>,
    #[serde(borrow)]
    hn: Scalar<'a>,
    #[serde(borrow)]
    mac: Scalar<'a>,
    #[serde(borrow)]
    md: Scalar<'a>,
    #[serde(borrow)]
    sw: Scalar<'a>,
    #[serde(borrow)]
    t: Scalar<'a>,
}

/// The messages nest what they say under a name of their own; before version 9 INFO1 to INFO3 did not.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Nested<'a> {
    #[serde(
        borrow,
        alias = "Info1",
        alias = "Info2",
        alias = "Info3",
        alias = "StatusFWR",
        alias = "StatusNET",
        rename = "Status"
    )]
    inner: Option<About<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct About<'a> {
    #[serde(borrow)]
    module: Scalar<'a>,
    #[serde(borrow)]
    device_name: Scalar<'a>,
    #[serde(borrow)]
    version: Scalar<'a>,
    #[serde(borrow)]
    build_date_time: Scalar<'a>,
    #[serde(borrow)]
    hardware: Scalar<'a>,
    #[serde(borrow)]
    hostname: Scalar<'a>,
    #[serde(borrow, rename = "IPAddress")]
    ip_address: Scalar<'a>,
    #[serde(borrow)]
    mac: Scalar<'a>,
}

impl Decoder for Devices {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let place =
            Origin::with_topic(cx, |topic| Place::of(topic).map(|place| matches!(place, Place::Command(..) | Place::Reading(_))));
        match place.flatten() {
            Some(true) => self.often(&input, cx),
            Some(false) if self.seen.topic_has_news(input.bytes, cx) => self.about(&input, cx),
            _ => {}
        }
        Step::Consumed(input.bytes.len())
    }
}

const BASIS: &str = "Tasmota status";

impl Devices {
    /// Readings and commands.
    fn often(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) {
        let reading = Origin::with_topic(cx, |topic| matches!(Place::of(topic), Some(Place::Reading(_)))) == Some(true);
        // The content of a reading says nothing of the device: only its topic counts.
        if reading && !self.seen.topic_has_news(&[], cx) {
            return;
        }
        let Some(origin) = Origin::of(cx) else { return };
        match Place::of(&origin.topic) {
            Some(Place::Reading(device)) if self.seen.has_news(device, b"reading", cx) => {
                let mut facts = Facts::new();
                tell_topic(device, &origin, &mut facts);
                cx.facts(input.direction, &facts);
            }
            Some(Place::Command(device, command)) => command_to(device, command, &origin, input, cx),
            _ => {}
        }
    }

    fn about(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) {
        let Some(origin) = Origin::of(cx) else { return };
        let read = match Place::of(&origin.topic) {
            Some(Place::Discovery) => serde_json::from_slice(input.bytes).map(|config| discovery(&config, &origin, input, cx)),
            Some(Place::About(device, part)) => serde_json::from_slice::<Nested<'_>>(input.bytes).and_then(|nested| {
                let about = match nested.inner {
                    Some(about) => about,
                    None => serde_json::from_slice(input.bytes)?,
                };
                status(device, part, &about, &origin, input, cx);
                Ok(())
            }),
            _ => Ok(()),
        };
        if read.is_err() {
            cx.anomaly(input.direction, &MALFORMED);
        }
    }
}

/// Tells of a device by its topic; answers its identity.
fn tell_topic<'a>(device: &'a str, origin: &'a Origin, facts: &mut Facts<'a>) -> Identity<'a> {
    let id = Identity::at(&TOPIC, origin.broker(), IdentityValue::Text(device));
    facts.push(Fact::Identity { id, presence: if origin.delivered { Presence::Sent } else { Presence::Proved } });
    facts.push(Fact::Via { id, via: Identity::ip(origin.broker_ip()) });
    if let Some(publisher) = origin.publisher() {
        // Each device has a connection of its own; a bridge between brokers has many devices, hence only likely.
        facts.push(Fact::SameAs { a: id, b: publisher, basis: BASIS, confidence: Confidence::Likely });
    }
    attribute(facts, id, Attribute::Application, Some("Tasmota"), "tasmota.topic");
    id
}

fn discovery(config: &Config<'_>, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
    let mut facts = Facts::new();
    let ip = config.ip.text().and_then(address_of);
    let mac = config.mac.text().and_then(mac_of);
    let topic = config.t.text().map(short).filter(|topic| !topic.is_empty());
    let by_topic = topic.map(|topic| tell_topic(topic, origin, &mut facts));
    let by_mac = mac.map(Identity::mac);
    if let Some(id) = by_mac {
        facts.push(Fact::Identity { id, presence: Presence::Proved });
    }
    if let Some(id) = by_mac.or(by_topic) {
        let others = [by_mac.and(by_topic), ip.map(Identity::ip)];
        for b in others.into_iter().flatten() {
            facts.push(Fact::SameAs { a: id, b, basis: "Tasmota discovery", confidence: Confidence::Likely });
        }
        attribute(&mut facts, id, Attribute::Name, config.dn.text(), "tasmota.name");
        attribute(&mut facts, id, Attribute::Hostname, config.hn.text(), "tasmota.hostname");
        attribute(&mut facts, id, Attribute::Model, config.md.text(), "tasmota.model");
        attribute(&mut facts, id, Attribute::Firmware, config.sw.text(), "tasmota.version");
        attribute(&mut facts, id, Attribute::Application, Some("Tasmota"), "tasmota.version");
    }
    let record = record::Discovery {
        mac: config.mac.text(),
        ip,
        topic,
        name: config.dn.text(),
        hostname: config.hn.text(),
        model: config.md.text(),
        version: config.sw.text(),
    };
    cx.emit(input.direction, &record, &facts, &Anomalies::default());
}

fn status(device: &str, part: &str, about: &About<'_>, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
    let ip = about.ip_address.text().and_then(address_of);
    let mac = about.mac.text().and_then(mac_of);
    let mut facts = Facts::new();
    let id = tell_topic(device, origin, &mut facts);
    for b in [mac.map(Identity::mac), ip.map(Identity::ip)].into_iter().flatten() {
        facts.push(Fact::SameAs { a: id, b, basis: BASIS, confidence: Confidence::Likely });
    }
    // In STATUS the module is a number.
    let module = about.module.text().filter(|module| !module.bytes().all(|byte| byte.is_ascii_digit()));
    attribute(&mut facts, id, Attribute::Model, module, "tasmota.module");
    attribute(&mut facts, id, Attribute::Name, about.device_name.text(), "tasmota.name");
    attribute(&mut facts, id, Attribute::Firmware, about.version.text(), "tasmota.version");
    attribute(&mut facts, id, Attribute::Hardware, about.hardware.text(), "tasmota.hardware");
    attribute(&mut facts, id, Attribute::Hostname, about.hostname.text(), "tasmota.hostname");
    let record = record::Status {
        topic: device,
        part,
        module,
        name: about.device_name.text(),
        version: about.version.text(),
        build_date: about.build_date_time.text(),
        hardware: about.hardware.text(),
        hostname: about.hostname.text(),
        ip,
        mac: about.mac.text(),
    };
    cx.emit(input.direction, &record, &facts, &Anomalies::default());
}

/// The kind of secret that a command sets.
fn sets_secret(command: &str) -> Option<CredentialKind> {
    let name = command.trim_end_matches(|digit: char| digit.is_ascii_digit()).to_ascii_lowercase();
    match name.as_str() {
        "password" | "mqttpassword" | "webpassword" | "wifipassword" => Some(CredentialKind::Password),
        "tlskey" | "influxdbtoken" | "influxdbpassword" | "weblogin" => Some(CredentialKind::Token),
        _ => None,
    }
}

fn command_to(device: &str, command: &str, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
    let text = std::str::from_utf8(input.bytes).unwrap_or_default();
    let backlog = command.to_ascii_lowercase().starts_with("backlog");
    let to = Identity::at(&TOPIC, origin.broker(), IdentityValue::Text(device));
    let mut facts = Facts::new();
    facts.push(Fact::Identity { id: to, presence: Presence::Mentioned });
    let mut commands = Vec::new();
    let steps = text.split(';').map(|step| step.trim().split_once([' ', '=']).unwrap_or((step.trim(), "")));
    let alone = [(command, text)];
    let each: Vec<(&str, &str)> = if backlog { steps.take(BACKLOG).collect() } else { alone.to_vec() };
    let mut user = None;
    let mut secret = false;
    for (name, value) in each {
        let name = short(name);
        // A name is a word; anything else could be a value that slipped.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        commands.push(name);
        let value = value.trim();
        // Without a value a command asks.
        if name.eq_ignore_ascii_case("mqttuser") && !value.is_empty() {
            (user, secret) = (Some(value), true);
        }
        if let Some(kind) = sets_secret(name).filter(|_| !value.is_empty()) {
            secret = true;
            facts.push(Fact::Credential(Credential {
                by: origin.via(),
                to,
                kind,
                user: user.filter(|_| name.eq_ignore_ascii_case("mqttpassword")).map(|user| Secret::new(user.as_bytes())),
                secret: Some(Secret::new(value.as_bytes())),
                outcome: Outcome::Unknown,
                cleartext: true,
            }));
        }
    }
    let payload_length = u32::try_from(input.bytes.len()).unwrap_or(u32::MAX);
    let record = record::Command { topic: device, commands, sets_secret: secret, payload_length };
    cx.emit(input.direction, &record, &facts, &Anomalies::default());
}
