//! Reads announcements, answers and notifications.

use super::{DEVICE, MALFORMED, record};
use crate::observation::{Anomalies, Attribute, Confidence, Fact, Identity, IdentityValue, Presence, Text};
use crate::protocols::mqtt::payload::json::Scalar;
use crate::protocols::mqtt::payload::{Facts, Origin, Remembered, address_of, attribute, mac_of, short};
use crate::protocols::{Cx, Decoder, Input, Step};
use serde::Deserialize;

/// What one connection told.
#[derive(Default)]
pub(super) struct Devices {
    topics: Remembered,
    devices: Remembered,
}

/// Generation 1: announce and info.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Announce<'a> {
    #[serde(borrow)]
    id: Scalar<'a>,
    #[serde(borrow)]
    model: Scalar<'a>,
    #[serde(borrow)]
    mac: Scalar<'a>,
    #[serde(borrow)]
    ip: Scalar<'a>,
    #[serde(borrow)]
    fw_ver: Scalar<'a>,
    new_fw: Option<bool>,
    #[serde(borrow)]
    wifi_sta: Station<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Station<'a> {
    #[serde(borrow, alias = "sta_ip")]
    ip: Scalar<'a>,
}

/// Later generations: a frame of the RPC protocol.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Frame<'a> {
    #[serde(borrow)]
    src: Scalar<'a>,
    #[serde(borrow)]
    result: Option<Info<'a>>,
    #[serde(borrow)]
    params: Option<Parameters<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Info<'a> {
    #[serde(borrow)]
    mac: Scalar<'a>,
    #[serde(borrow)]
    model: Scalar<'a>,
    r#gen: Option<u8>,
    #[serde(borrow)]
    fw_id: Scalar<'a>,
    #[serde(borrow)]
    ver: Scalar<'a>,
    #[serde(borrow)]
    app: Scalar<'a>,
    #[serde(borrow)]
    name: Scalar<'a>,
    auth_en: Option<bool>,
    /// Of `Shelly.GetConfig`.
    #[serde(borrow)]
    sys: System<'a>,
    /// Of `Sys.GetConfig`.
    #[serde(borrow)]
    device: Settings<'a>,
}

/// What the configuration says of the device.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Settings<'a> {
    #[serde(borrow)]
    name: Scalar<'a>,
    #[serde(borrow)]
    mac: Scalar<'a>,
    #[serde(borrow)]
    fw_id: Scalar<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Parameters<'a> {
    #[serde(borrow)]
    sys: System<'a>,
    #[serde(borrow)]
    wifi: Station<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct System<'a> {
    #[serde(borrow)]
    mac: Scalar<'a>,
    #[serde(borrow)]
    device: Settings<'a>,
}

impl Decoder for Devices {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let announces = Origin::with_topic(cx, |topic| {
            let first_generation = topic.starts_with("shellies/");
            (first_generation, !first_generation || topic.ends_with("announce") || topic.ends_with("/info"))
        });
        match announces {
            Some((false, _)) if says_what_it_is(input.bytes) => self.frame(&input, cx),
            Some((true, true)) if self.topics.topic_has_news(input.bytes, cx) => self.announce(&input, cx),
            Some(_) if self.topics.topic_has_news(&[], cx) => self.reading(&input, cx),
            _ => {}
        }
        Step::Consumed(input.bytes.len())
    }
}

/// Most notifications carry readings; those that say what the device is have one of these names.
fn says_what_it_is(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{')
        && [&b"\"mac\""[..], b"\"model\"", b"\"sta_ip\""].iter().any(|name| memchr::memmem::find(bytes, name).is_some())
}

impl Devices {
    fn announce(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) {
        let Some(origin) = Origin::of(cx) else { return };
        let Ok(announce) = serde_json::from_slice::<Announce<'_>>(input.bytes) else {
            cx.anomaly(input.direction, &MALFORMED);
            return;
        };
        let from_topic = origin.topic.split('/').nth(1).filter(|level| *level != "announce");
        let Some(id) = announce.id.text().or(from_topic) else { return };
        let ip = announce.ip.text().or(announce.wifi_sta.ip.text()).and_then(address_of);
        let record = record::Device {
            id: short(id),
            generation: Some(1),
            model: announce.model.text(),
            app: None,
            name: None,
            mac: announce.mac.text(),
            ip,
            version: announce.fw_ver.text(),
            fw_id: None,
            new_firmware: announce.new_fw,
            auth_enabled: None,
        };
        self.device(&record, &origin, input, cx);
    }

    fn frame(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) {
        let Ok(frame) = serde_json::from_slice::<Frame<'_>>(input.bytes) else {
            cx.anomaly(input.direction, &MALFORMED);
            return;
        };
        // A request to a device has the client as its source.
        let Some(id) = frame.src.text().filter(|src| src.starts_with("shelly")) else { return };
        let (info, parameters) = (frame.result.unwrap_or_default(), frame.params.unwrap_or_default());
        let settings = [&info.sys.device, &info.device];
        let set = |field: for<'s> fn(&'s Settings<'s>) -> Option<&'s str>| settings.into_iter().find_map(field);
        let mac = info.mac.text().or(parameters.sys.mac.text()).or(set(|settings| settings.mac.text()));
        let fw_id = info.fw_id.text().or(set(|settings| settings.fw_id.text()));
        let ip = parameters.wifi.ip.text().and_then(address_of);
        let record = record::Device {
            id: short(id),
            generation: info.r#gen,
            model: info.model.text(),
            app: info.app.text(),
            name: info.name.text().or(set(|settings| settings.name.text())),
            mac,
            ip,
            version: info.ver.text().or(fw_id.and_then(version_in)),
            fw_id,
            new_firmware: None,
            auth_enabled: info.auth_en,
        };
        let content = [record.version, record.model, mac, record.name].map(Option::unwrap_or_default).join("\0");
        let state = format!("{content}\0{ip:?}\0{:?}", record.auth_enabled);
        if self.devices.has_news(&format!("{id}/about"), state.as_bytes(), cx)
            && let Some(origin) = Origin::of(cx)
        {
            self.device(&record, &origin, input, cx);
        }
    }

    /// The first reading of a device that was not announced.
    fn reading(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) {
        let Some(origin) = Origin::of(cx) else { return };
        let level = if origin.topic.starts_with("shellies/") { 1 } else { 0 };
        let Some(id) = origin.topic.split('/').nth(level).filter(|id| id.starts_with("shelly")) else { return };
        if self.devices.has_news(id, b"", cx) {
            let mut facts = Facts::new();
            tell(short(id), None, None, &origin, &mut facts);
            cx.facts(input.direction, &facts);
        }
    }

    fn device(&mut self, record: &record::Device<'_>, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
        let mut facts = Facts::new();
        let id = tell(record.id, record.mac.and_then(mac_of), record.ip, origin, &mut facts);
        attribute(&mut facts, id, Attribute::Model, record.model, "shelly.model");
        attribute(&mut facts, id, Attribute::Product, record.app, "shelly.app");
        attribute(&mut facts, id, Attribute::Name, record.name, "shelly.name");
        attribute(&mut facts, id, Attribute::Firmware, record.version, "shelly.version");
        let auth = record.auth_enabled.map(|enabled| if enabled { "true" } else { "false" });
        attribute(&mut facts, id, Attribute::AuthenticationEnabled, auth, "shelly.auth_enabled");
        cx.emit(input.direction, record, &facts, &Anomalies::default());
    }
}

/// The version in a firmware's identifier: `20231107-164738/1.0.8-g34b5d4f` (date, version, commit).
fn version_in(fw_id: &str) -> Option<&str> {
    let (_, rest) = fw_id.split_once('/')?;
    rest.rsplit_once("-g").map_or(Some(rest), |(version, _)| Some(version)).filter(|version| !version.is_empty())
}

/// The model in an identifier: `shelly1minig3` of `shelly1minig3-5432044abbcc`.
fn model_in(id: &str) -> Option<&str> {
    let (model, end) = id.rsplit_once('-')?;
    let hex = (6..=12).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && model.len() > "shelly".len()).then_some(model)
}

/// Tells of a device; its identifier ends with its MAC address, or the last three bytes of it.
fn tell<'a>(
    id: &'a str,
    mac: Option<[u8; 6]>,
    ip: Option<std::net::IpAddr>,
    origin: &'a Origin,
    facts: &mut Facts<'a>,
) -> Identity<'a> {
    let mac = mac.or_else(|| id.rsplit_once('-').and_then(|(_, end)| mac_of(end)));
    let device = Identity::new(&DEVICE, IdentityValue::Text(id));
    facts.push(Fact::Identity { id: device, presence: if origin.delivered { Presence::Sent } else { Presence::Proved } });
    facts.push(Fact::Via { id: device, via: Identity::ip(origin.broker_ip()) });
    for b in [mac.map(Identity::mac), ip.map(Identity::ip), origin.publisher()].into_iter().flatten() {
        facts.push(Fact::SameAs { a: device, b, basis: "Shelly announcement", confidence: Confidence::Likely });
    }
    attribute(facts, device, Attribute::Vendor, Some("Shelly"), "shelly.id");
    // What the device says in so many words goes before what its identifier says.
    facts.extend(model_in(id).map(|model| Fact::Attribute {
        id: device,
        name: Attribute::Model,
        value: Text::Str(model),
        confidence: Confidence::Likely,
        field: "shelly.id",
    }));
    device
}
