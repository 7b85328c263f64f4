//! Reads configuration payloads and tells each device once, and once each of which kinds its entities are.

use super::{COMPONENTS, DEVICE, DEVICE_CLASS_BYTES, ENTITIES, MALFORMED, record};
use crate::counters::Counter;
use crate::observation::{Anomalies, Attribute, Confidence, Fact, Identity, IdentityValue, Presence, Text};
use crate::protocols::mqtt::payload::json::{Scalar, Words};
use crate::protocols::mqtt::payload::{Facts, Origin, Remembered, attribute, hex_of, mac_of, short};
use crate::protocols::zigbee2mqtt::IEEE_ADDRESS;
use crate::protocols::{Cx, Decoder, Input, Step};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// What one connection described.
#[derive(Default)]
pub(super) struct Discovery {
    topics: Remembered,
    devices: Remembered,
    /// Components and device classes, each with its device.
    kinds: Remembered,
}

/// A payload: of one entity, whose options stand beside the device, or of a device with all its entities.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Config<'a> {
    #[serde(borrow, alias = "dev")]
    device: Option<About<'a>>,
    #[serde(borrow, alias = "o")]
    origin: Option<Maker<'a>>,
    #[serde(borrow, alias = "cmps")]
    components: Entities<'a>,
    #[serde(borrow, alias = "dev_cla")]
    device_class: Scalar<'a>,
    #[serde(borrow, alias = "ent_cat")]
    entity_category: Scalar<'a>,
}

/// An entity in device-based discovery.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Entity<'a> {
    #[serde(borrow, alias = "p")]
    platform: Scalar<'a>,
    #[serde(borrow, alias = "dev_cla")]
    device_class: Scalar<'a>,
    #[serde(borrow, alias = "ent_cat")]
    entity_category: Scalar<'a>,
    #[serde(borrow, alias = "uniq_id")]
    unique_id: Scalar<'a>,
    #[serde(borrow, alias = "atype")]
    automation_type: Scalar<'a>,
}

impl Entity<'_> {
    /// One that has nothing but its platform is being removed; the others have an identifier, or are triggers of automations.
    fn is_there(&self) -> bool {
        self.unique_id.text().or(self.automation_type.text()).is_some()
    }
}

/// The first [`ENTITIES`] entities, and how many more there are.
#[derive(Default)]
struct Entities<'a> {
    first: Vec<Entity<'a>>,
    beyond: u64,
}

impl<'de: 'a, 'a> Deserialize<'de> for Entities<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Entities<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of entities")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Entities::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut entities = Entities::default();
                while entries.next_key::<IgnoredAny>()?.is_some() {
                    if entities.first.len() < ENTITIES {
                        entities.first.push(entries.next_value()?);
                    } else {
                        entries.next_value::<IgnoredAny>()?;
                        entities.beyond += 1;
                    }
                }
                Ok(entities)
            }
        }

        deserializer.deserialize_any(Each)
    }
}

/// An entity as far as it tells what its device is.
struct Kind<'a> {
    component: &'a str,
    device_class: Option<&'a str>,
}

impl<'a> Kind<'a> {
    /// `None`: the component is none that is known, or the entity is for settings or upkeep of the device.
    fn of(component: &'a str, device_class: &'a Scalar<'_>, entity_category: &Scalar<'_>) -> Option<Self> {
        let is_word = |text: &&str| {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            (1..=DEVICE_CLASS_BYTES).contains(&text.len()) && text.bytes().all(fits)
        };
        let known = COMPONENTS.contains(&component) && component != BY_DEVICE;
        (known && entity_category.text().is_none()).then(|| Self { component, device_class: device_class.text().filter(is_word) })
    }
}

/// Stands for the component in the topic of device-based discovery.
const BY_DEVICE: &str = "device";

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
                Ok(config) => {
                    if let Some(device) = &config.device {
                        self.device(device, &config, &origin, &input, cx);
                    }
                }
                Err(_) => cx.anomaly(input.direction, &MALFORMED),
            }
        }
        Step::Consumed(input.bytes.len())
    }
}

impl Discovery {
    /// The kinds of entities that were not told of this device yet: component, or component and device class.
    fn kinds(&mut self, name: &str, config: &Config<'_>, origin: &Origin, cx: &mut Cx<'_>) -> Vec<(&'static str, String)> {
        let component = origin.topic.split('/').nth(1).unwrap_or_default();
        let entities: Vec<Kind<'_>> = if component == BY_DEVICE {
            cx.count(Counter::SessionEntriesDropped, config.components.beyond);
            let there = config.components.first.iter().filter(|entity| entity.is_there());
            there.filter_map(|entity| Kind::of(entity.platform.text()?, &entity.device_class, &entity.entity_category)).collect()
        } else {
            Kind::of(component, &config.device_class, &config.entity_category).into_iter().collect()
        };
        let mut news = Vec::new();
        let mut add = |kind, value: String| {
            if self.kinds.has_news(&format!("{name}\0{value}"), b"", cx) {
                news.push((kind, value));
            }
        };
        for entity in entities {
            add("home_assistant.component", entity.component.to_owned());
            if let Some(device_class) = entity.device_class {
                add("home_assistant.device_class", format!("{}/{device_class}", entity.component));
            }
        }
        news
    }

    fn device(&mut self, device: &About<'_>, config: &Config<'_>, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
        let connected = device.connections.0.get(1);
        let Some(name) = device.identifiers.0.first().or(connected).map(|name| short(name)).filter(|name| !name.is_empty())
        else {
            return;
        };
        let id = Identity::at(&DEVICE, origin.broker(), IdentityValue::Text(name));
        let kinds = self.kinds(name, config, origin, cx);
        let objects = kinds.iter().map(|(kind, name)| Fact::Object { id, kind, name: Text::Str(name) });
        let said =
            [&device.manufacturer, &device.model, &device.sw_version, &device.hw_version, &device.serial_number, &device.name];
        let said: Vec<&str> = said.iter().map(|value| value.text().unwrap_or_default()).collect();
        if !self.devices.has_news(name, said.join("\0").as_bytes(), cx) {
            let facts: Facts<'_> = objects.collect();
            if !facts.is_empty() {
                cx.facts(input.direction, &facts);
            }
            return;
        }
        let via_name = device.via_device.text().map(short).filter(|via| !via.is_empty() && *via != name);
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
        let maker = config.origin.as_ref();
        if let Some(origin) = maker.and_then(|maker| maker.name.text()).map(short).filter(|origin| !origin.is_empty()) {
            facts.push(Fact::Object { id, kind: "home_assistant.origin", name: Text::Str(origin) });
        }
        facts.extend(objects);
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
            origin_name: maker.and_then(|maker| maker.name.text()),
            origin_sw_version: maker.and_then(|maker| maker.sw_version.text()),
        };
        cx.emit(input.direction, &record, &facts, &Anomalies::default());
    }
}

/// A URL without its query; none with a user name, which comes with a password.
fn plain_url(url: &str) -> Option<&str> {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    (!plain.contains('@') && !plain.is_empty()).then_some(short(plain))
}
