//! Reads configuration payloads and tells each device once.

use super::{DEVICE, MALFORMED, record};
use crate::observation::{Anomalies, Attribute, Confidence, Fact, Identity, IdentityValue, Presence};
use crate::protocols::mqtt::payload::json::{Scalar, Words};
use crate::protocols::mqtt::payload::{Facts, Origin, Remembered, attribute, hex_of, mac_of, short};
use crate::protocols::zigbee2mqtt::IEEE_ADDRESS;
use crate::protocols::{Cx, Decoder, Input, Step};
use serde::Deserialize;

/// What one connection described.
#[derive(Default)]
pub(super) struct Discovery {
    topics: Remembered,
    devices: Remembered,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Config<'a> {
    #[serde(borrow, alias = "dev")]
    device: Option<About<'a>>,
    #[serde(borrow, alias = "o")]
    origin: Option<Maker<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct About<'a> {
    #[serde(borrow, alias = "ids")]
    identifiers: Words<'a>,
    #[serde(borrow, alias = "cns")]
    connections: Words<'a>,
    #[serde(borrow, alias = "mf")]
    manufacturer: Scalar<'a>,
    #[serde(borrow, alias = "mdl")]
    model: Scalar<'a>,
    #[serde(borrow, alias = "mdl_id")]
    model_id: Scalar<'a>,
    #[serde(borrow)]
    name: Scalar<'a>,
    #[serde(borrow, alias = "sw")]
    sw_version: Scalar<'a>,
    #[serde(borrow, alias = "hw")]
    hw_version: Scalar<'a>,
    #[serde(borrow, alias = "sn")]
    serial_number: Scalar<'a>,
    #[serde(borrow, alias = "sa")]
    suggested_area: Scalar<'a>,
    #[serde(borrow, alias = "cu")]
    configuration_url: Scalar<'a>,
    #[serde(borrow)]
    via_device: Scalar<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Maker<'a> {
    #[serde(borrow)]
    name: Scalar<'a>,
    #[serde(borrow, alias = "sw")]
    sw_version: Scalar<'a>,
}

impl Decoder for Discovery {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        if self.topics.topic_has_news(input.bytes, cx)
            && let Some(origin) = Origin::of(cx)
        {
            match serde_json::from_slice::<Config<'_>>(input.bytes) {
                Ok(Config { device: Some(device), origin: maker }) => {
                    self.device(&device, &maker.unwrap_or_default(), &origin, &input, cx);
                }
                Ok(_) => {}
                Err(_) => cx.anomaly(input.direction, &MALFORMED),
            }
        }
        Step::Consumed(input.bytes.len())
    }
}

impl Discovery {
    fn device(&mut self, device: &About<'_>, maker: &Maker<'_>, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
        let connected = device.connections.0.get(1);
        let Some(name) = device.identifiers.0.first().or(connected).map(|name| short(name)).filter(|name| !name.is_empty())
        else {
            return;
        };
        let said =
            [&device.manufacturer, &device.model, &device.sw_version, &device.hw_version, &device.serial_number, &device.name];
        let said: Vec<&str> = said.iter().map(|value| value.text().unwrap_or_default()).collect();
        if !self.devices.has_news(name, said.join("\0").as_bytes(), cx) {
            return;
        }
        let via_name = device.via_device.text().map(short).filter(|via| !via.is_empty() && *via != name);
        let id = Identity::at(&DEVICE, origin.broker(), IdentityValue::Text(name));
        let mut facts = Facts::new();
        facts.push(Fact::Identity { id, presence: Presence::Proved });
        facts.push(Fact::Via { id, via: origin.via() });
        if let Some(via) = via_name {
            facts.push(Fact::Via { id, via: Identity::at(&DEVICE, origin.broker(), IdentityValue::Text(via)) });
        }
        let basis = "Home Assistant discovery";
        let mut same = |b| facts.push(Fact::SameAs { a: id, b, basis, confidence: Confidence::Likely });
        let mut pairs = device.connections.0.chunks_exact(2);
        let mac = pairs.find_map(|pair| match pair {
            [kind, value] if kind == "mac" => mac_of(value),
            _ => None,
        });
        if let Some(mac) = mac {
            same(Identity::mac(mac));
        }
        // Zigbee2MQTT and deCONZ build the identifier around the IEEE address.
        let ieee = device.identifiers.0.iter().find_map(|text| text.rsplit_once("0x")).and_then(|(_, hex)| hex_of::<16>(hex));
        if let Some(ieee) = ieee {
            same(Identity::new(&IEEE_ADDRESS, IdentityValue::Hex(ieee, 16)));
        }
        attribute(&mut facts, id, Attribute::Vendor, device.manufacturer.text(), "home_assistant.manufacturer");
        attribute(&mut facts, id, Attribute::Product, device.model_id.text().and(device.model.text()), "home_assistant.model");
        attribute(&mut facts, id, Attribute::Model, device.model_id.text().or(device.model.text()), "home_assistant.model_id");
        attribute(&mut facts, id, Attribute::Firmware, device.sw_version.text(), "home_assistant.sw_version");
        attribute(&mut facts, id, Attribute::Hardware, device.hw_version.text(), "home_assistant.hw_version");
        attribute(&mut facts, id, Attribute::Serial, device.serial_number.text(), "home_assistant.serial_number");
        attribute(&mut facts, id, Attribute::Name, device.name.text(), "home_assistant.name");
        let mut levels = origin.topic.split('/').rev();
        let (_, object_id) = (levels.next(), levels.next().unwrap_or_default());
        let component = origin.topic.split('/').nth(1).unwrap_or_default();
        let record = record::Device {
            component,
            object_id,
            identifiers: device.identifiers.0.clone(),
            connections: device.connections.0.clone(),
            manufacturer: device.manufacturer.text(),
            model: device.model.text(),
            model_id: device.model_id.text(),
            name: device.name.text(),
            sw_version: device.sw_version.text(),
            hw_version: device.hw_version.text(),
            serial_number: device.serial_number.text(),
            suggested_area: device.suggested_area.text(),
            configuration_url: device.configuration_url.text().and_then(plain_url),
            via_device: via_name,
            origin_name: maker.name.text(),
            origin_sw_version: maker.sw_version.text(),
        };
        cx.emit(input.direction, &record, &facts, &Anomalies::default());
    }
}

/// A URL without its query; none with a user name, which comes with a password.
fn plain_url(url: &str) -> Option<&str> {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    (!plain.contains('@') && !plain.is_empty()).then_some(short(plain))
}
