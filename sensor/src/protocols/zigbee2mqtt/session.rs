//! Reads the bridge's messages and tells each device once.

use super::{IEEE_ADDRESS, MALFORMED, record};
use crate::observation::{Anomalies, Attribute, Eui, Fact, Identity, IdentityValue, Presence, Role};
use crate::protocols::mqtt::payload::json::Scalar;
use crate::protocols::mqtt::payload::{Facts, Origin, Remembered, attribute, hex_of};
use crate::protocols::{Cx, Decoder, Input, Step};
use serde::Deserialize;

/// What one connection told of its bridge.
#[derive(Default)]
pub(super) struct Bridge {
    topics: Remembered,
    devices: Remembered,
    coordinator: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Info<'a> {
    #[serde(borrow)]
    version: Scalar<'a>,
    #[serde(borrow)]
    coordinator: Coordinator<'a>,
    #[serde(borrow)]
    network: Network<'a>,
    permit_join: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Coordinator<'a> {
    #[serde(borrow)]
    ieee_address: Scalar<'a>,
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow)]
    meta: Meta<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta<'a> {
    #[serde(borrow)]
    revision: Scalar<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Network<'a> {
    channel: Option<u8>,
    #[serde(borrow)]
    pan_id: Scalar<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Listed<'a> {
    #[serde(borrow)]
    ieee_address: Scalar<'a>,
    #[serde(borrow, rename = "type")]
    kind: Scalar<'a>,
    network_address: Option<u16>,
    #[serde(borrow)]
    friendly_name: Scalar<'a>,
    #[serde(borrow)]
    manufacturer: Scalar<'a>,
    #[serde(borrow)]
    model_id: Scalar<'a>,
    #[serde(borrow)]
    software_build_id: Scalar<'a>,
    #[serde(borrow)]
    date_code: Scalar<'a>,
    #[serde(borrow)]
    power_source: Scalar<'a>,
    supported: Option<bool>,
    disabled: Option<bool>,
    #[serde(borrow)]
    definition: Option<Definition<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Definition<'a> {
    #[serde(borrow)]
    model: Scalar<'a>,
    #[serde(borrow)]
    vendor: Scalar<'a>,
    #[serde(borrow)]
    description: Scalar<'a>,
}

#[derive(Deserialize)]
struct State<'a> {
    #[serde(borrow)]
    state: Scalar<'a>,
}

impl Decoder for Bridge {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        if self.topics.topic_has_news(input.bytes, cx)
            && let Some(origin) = Origin::of(cx)
        {
            let read = if origin.topic.ends_with("/info") {
                serde_json::from_slice(input.bytes).map(|info| self.info(&info, &origin, &input, cx))
            } else if origin.topic.ends_with("/devices") {
                serde_json::from_slice::<Vec<Listed<'_>>>(input.bytes).map(|listed| {
                    // The coordinator comes first, but nothing says that it must.
                    self.coordinator = listed
                        .iter()
                        .find(|device| device.kind.text() == Some("Coordinator"))
                        .and_then(|device| ieee(&device.ieee_address))
                        .or(self.coordinator);
                    for device in &listed {
                        self.device(device, &origin, &input, cx);
                    }
                })
            } else {
                self.state(&input, cx);
                Ok(())
            };
            if read.is_err() {
                cx.anomaly(input.direction, &MALFORMED);
            }
        }
        Step::Consumed(input.bytes.len())
    }
}

fn ieee(text: &Scalar<'_>) -> Option<u64> {
    text.text()?.strip_prefix("0x").and_then(hex_of::<16>)
}

fn identity(ieee: u64) -> Identity<'static> {
    Identity::new(&IEEE_ADDRESS, IdentityValue::Hex(ieee, 16))
}

impl Bridge {
    fn info(&mut self, info: &Info<'_>, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
        let coordinator = ieee(&info.coordinator.ieee_address);
        self.coordinator = coordinator.or(self.coordinator);
        let mut facts = Facts::new();
        if let Some(publisher) = origin.publisher() {
            facts.push(Fact::Role { id: publisher, role: Role::Bridge });
            attribute(&mut facts, publisher, Attribute::Application, Some("Zigbee2MQTT"), "zigbee2mqtt.version");
            attribute(&mut facts, publisher, Attribute::Software, info.version.text(), "zigbee2mqtt.version");
        }
        if let Some(coordinator) = coordinator.map(identity) {
            facts.push(Fact::Identity { id: coordinator, presence: Presence::Proved });
            facts.push(Fact::Via { id: coordinator, via: origin.via() });
            attribute(&mut facts, coordinator, Attribute::DeviceType, Some("Coordinator"), "zigbee2mqtt.coordinator");
            attribute(&mut facts, coordinator, Attribute::Model, info.coordinator.kind.text(), "zigbee2mqtt.coordinator_type");
            let revision = info.coordinator.meta.revision.text();
            attribute(&mut facts, coordinator, Attribute::Firmware, revision, "zigbee2mqtt.coordinator_revision");
        }
        let record = record::Bridge {
            version: info.version.text(),
            coordinator: coordinator.map(Eui),
            coordinator_type: info.coordinator.kind.text(),
            coordinator_revision: info.coordinator.meta.revision.text(),
            permit_join: info.permit_join,
            channel: info.network.channel,
            pan_id: info.network.pan_id.text(),
        };
        cx.emit(input.direction, &record, &facts, &Anomalies::default());
    }

    fn device(&mut self, device: &Listed<'_>, origin: &Origin, input: &Input<'_>, cx: &mut Cx<'_>) {
        let Some(address) = ieee(&device.ieee_address) else { return };
        let texts = [&device.friendly_name, &device.manufacturer, &device.model_id, &device.software_build_id, &device.date_code];
        let said: Vec<&str> = texts.iter().map(|value| value.text().unwrap_or_default()).collect();
        if !self.devices.has_news(device.ieee_address.text().unwrap_or_default(), said.join("\0").as_bytes(), cx) {
            return;
        }
        let none = Definition::default();
        let definition = device.definition.as_ref().unwrap_or(&none);
        let id = identity(address);
        let via = match self.coordinator {
            Some(coordinator) if coordinator != address => identity(coordinator),
            _ => origin.via(),
        };
        let mut facts = Facts::new();
        facts.push(Fact::Identity { id, presence: Presence::Proved });
        facts.push(Fact::Via { id, via });
        let vendor = definition.vendor.text().or(device.manufacturer.text());
        attribute(&mut facts, id, Attribute::Vendor, vendor, "zigbee2mqtt.vendor");
        attribute(&mut facts, id, Attribute::Model, definition.model.text().or(device.model_id.text()), "zigbee2mqtt.model");
        attribute(&mut facts, id, Attribute::Product, definition.description.text(), "zigbee2mqtt.description");
        attribute(&mut facts, id, Attribute::Firmware, device.software_build_id.text(), "zigbee2mqtt.software_build_id");
        attribute(&mut facts, id, Attribute::Name, device.friendly_name.text(), "zigbee2mqtt.friendly_name");
        attribute(&mut facts, id, Attribute::DeviceType, device.kind.text(), "zigbee2mqtt.device_type");
        let record = record::Device {
            ieee_address: Eui(address),
            device_type: device.kind.text(),
            network_address: device.network_address,
            friendly_name: device.friendly_name.text(),
            manufacturer: device.manufacturer.text(),
            model_id: device.model_id.text(),
            vendor: definition.vendor.text(),
            model: definition.model.text(),
            description: definition.description.text(),
            software_build_id: device.software_build_id.text(),
            date_code: device.date_code.text(),
            power_source: device.power_source.text(),
            supported: device.supported,
            disabled: device.disabled,
        };
        cx.emit(input.direction, &record, &facts, &Anomalies::default());
    }

    fn state(&mut self, input: &Input<'_>, cx: &mut Cx<'_>) {
        // Before version 1.30 the payload was the bare word.
        let parsed = serde_json::from_slice::<State<'_>>(input.bytes).ok().and_then(|state| state.state.0);
        let state = parsed.as_deref().or(std::str::from_utf8(input.bytes).ok()).unwrap_or_default();
        if matches!(state, "online" | "offline") {
            cx.emit(input.direction, &record::State { state }, &[], &Anomalies::default());
        } else {
            cx.anomaly(input.direction, &MALFORMED);
        }
    }
}
