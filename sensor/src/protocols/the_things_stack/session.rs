//! The decoder: one MQTT payload a message. It keeps what it told of devices and gateways.

use super::json::{self, Gateways, Topic};
use super::record::{DeviceCommand, DeviceEvent};
use crate::json::Json;
use crate::observation::{Anomalies, Attribute, Confidence, Fact, Presence, Role, SecurityAspect, Text, Untold};
use crate::protocols::lorawan::said::{Said, Saying, hash};
use crate::protocols::lorawan::{dev_addr, dev_eui, gateway_eui};
use crate::protocols::{Cx, Decoder, Input, Step};
use smallvec::SmallVec;

/// Ways in which messages depart from their definition.
pub mod anomalies {
    use crate::anomalies;
    anomalies! {
        /// The JSON is missing, ends early or breaks the grammar (RFC 8259).
        JSON_MALFORMED = "the_things_stack.json_malformed",
    }
}

use anomalies::JSON_MALFORMED;

#[derive(Default)]
pub(super) struct Session {
    said: Said,
}

type Facts<'a> = SmallVec<[Fact<'a>; 12]>;

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let Some(topic) = Topic::parse(cx.hint()) else { return Step::GiveUp };
        let mut json = Json::new(input.bytes);
        if topic.is_command() {
            let mut record = DeviceCommand {
                command: topic.event,
                application_id: topic.application_id,
                tenant_id: topic.tenant_id,
                device_id: topic.device_id,
                downlinks: 0,
                f_port: None,
                confirmed: None,
                payload_length: None,
            };
            json::device_command(&mut json, &mut record);
            cx.emit(input.direction, &record, &[], &oddities(&json));
        } else {
            let mut record = nothing(topic);
            let mut gateways = Gateways::new();
            json::device_event(&mut json, &mut record, &mut gateways);
            let mut facts = Facts::new();
            self.device_facts(&record, &gateways, &mut facts, cx);
            self.gateway_facts(&gateways, &mut facts, cx);
            cx.emit(input.direction, &record, &facts, &oddities(&json));
        }
        Step::Consumed(input.bytes.len())
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.said.close(cx);
    }
}

impl Session {
    /// What an event tells of its device, where that is new.
    fn device_facts<'a>(&mut self, event: &'a DeviceEvent<'a>, gateways: &Gateways, facts: &mut Facts<'a>, cx: &Cx<'_>) {
        let id = match (event.dev_eui, event.dev_addr) {
            (Some(eui), _) => dev_eui(eui.0),
            (None, Some(address)) => dev_addr(address.0),
            (None, None) => return,
        };
        // The stack checked the MIC of uplinks and joins; a simulated uplink was never on the air.
        let heard = matches!(event.event, "up" | "join" | "down/ack" | "down/nack") && !event.simulated;
        let position = position(event.latitude.zip(event.longitude));
        let (key, about) = (event.dev_eui.map_or(0, |eui| eui.0), about(event, gateways, position));
        let other = match self.said.hear_of(id, key, about, heard, cx) {
            Saying::New(other) => other,
            Saying::Again(activity) => return facts.extend(activity),
        };
        let presence = if heard { Presence::Proved } else { Presence::Mentioned };
        facts.push(Fact::Identity { id, presence });
        facts.push(Fact::Role { id, role: Role::EndDevice });
        facts.extend(other);
        if let (Some(eui), Some(address)) = (event.dev_eui, event.dev_addr) {
            let (a, b) = (dev_eui(eui.0), dev_addr(address.0));
            facts.push(Fact::SameAs { a, b, basis: "network server's event", confidence: Confidence::Seen });
        }
        if event.event == "join" {
            facts.push(Fact::Security { id, aspect: SecurityAspect::Activation, value: Text::Str("otaa") });
        }
        if heard {
            facts.extend(gateways.iter().map(|(gateway, _)| Fact::Via { id, via: gateway_eui(gateway.0) }));
        }
        let attribute = |name, value, field| Fact::Attribute { id, name, value, confidence: Confidence::Seen, field };
        facts.push(attribute(Attribute::Name, Text::Str(event.device_id), "the_things_stack.device_id"));
        facts.push(attribute(Attribute::Application, Text::Str(event.application_id), "the_things_stack.application_id"));
        for (value, name, field) in [
            (&event.brand_id, Attribute::Vendor, "the_things_stack.brand_id"),
            (&event.model_id, Attribute::Model, "the_things_stack.model_id"),
            (&event.hardware_version, Attribute::Hardware, "the_things_stack.hardware_version"),
            (&event.firmware_version, Attribute::Firmware, "the_things_stack.firmware_version"),
            (&event.band_id, Attribute::Region, "the_things_stack.band_id"),
        ] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                facts.push(attribute(name, Text::Str(value), field));
            }
        }
        facts.extend(event.join_eui.map(|eui| attribute(Attribute::JoinEui, Text::Hex(eui.0, 16), "the_things_stack.join_eui")));
        let port = event.f_port.filter(|port| *port > 0 && event.event == "up");
        facts.extend(port.map(|port| attribute(Attribute::CodecHint, Text::Number(u64::from(port)), "the_things_stack.f_port")));
        facts.extend(position.map(|(latitude, longitude)| {
            attribute(Attribute::Position, Text::Position(latitude, longitude), "the_things_stack.latitude")
        }));
    }

    fn gateway_facts(&mut self, gateways: &Gateways, facts: &mut Facts<'_>, cx: &Cx<'_>) {
        for (gateway, place) in gateways {
            let id = gateway_eui(gateway.0);
            let position = position(*place);
            if !self.said.is_new(id, gateway.0, 1 ^ position.map_or(0, number), cx) {
                continue;
            }
            facts.push(Fact::Identity { id, presence: Presence::Mentioned });
            facts.push(Fact::Role { id, role: Role::RadioGateway });
            facts.extend(position.map(|(latitude, longitude)| Fact::Attribute {
                id,
                name: Attribute::Position,
                value: Text::Position(latitude, longitude),
                confidence: Confidence::Seen,
                field: "the_things_stack.gateway_id",
            }));
        }
    }
}

/// A number that changes with what is told of a device.
fn about(event: &DeviceEvent<'_>, gateways: &Gateways, position: Option<(i32, i32)>) -> u64 {
    let optional = [&event.brand_id, &event.model_id, &event.hardware_version, &event.firmware_version, &event.band_id];
    let texts = optional.into_iter().map(|text| text.as_deref().unwrap_or_default());
    let via = gateways.iter().fold(0_u64, |all, (gateway, _)| all.rotate_left(5) ^ gateway.0);
    let numbers = event.dev_addr.map_or(0, |address| u64::from(address.0)) ^ (u64::from(event.f_port.unwrap_or(0)) << 40);
    hash(texts.chain([event.event, event.application_id, event.device_id])) ^ via ^ numbers ^ position.map_or(0, number)
}

fn number((latitude, longitude): (i32, i32)) -> u64 {
    (u64::from(latitude as u32) << 32) | u64::from(longitude as u32)
}

fn oddities(json: &Json<'_>) -> Anomalies {
    let mut odd = Anomalies::default();
    if let Some(offset) = json.broken() {
        odd.push_at(&JSON_MALFORMED, offset);
    }
    odd
}

/// In millionths of a degree.
fn position(degrees: Option<(f64, f64)>) -> Option<(i32, i32)> {
    let (latitude, longitude) = degrees?;
    let known = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
    known.then_some(((latitude * 1e6).round() as i32, (longitude * 1e6).round() as i32))
}

fn nothing(topic: Topic<'_>) -> DeviceEvent<'_> {
    DeviceEvent {
        event: topic.event,
        application_id: topic.application_id,
        tenant_id: topic.tenant_id,
        device_id: topic.device_id,
        dev_eui: None,
        join_eui: None,
        dev_addr: None,
        f_cnt: None,
        f_port: None,
        confirmed: None,
        payload_length: None,
        decoded: false,
        simulated: false,
        gateways: 0,
        gateway: None,
        gateway_id: None,
        rssi_dbm: None,
        snr_db: None,
        tmst_us: None,
        frequency_hz: None,
        data_rate: None,
        net_id: None,
        brand_id: None,
        model_id: None,
        hardware_version: None,
        firmware_version: None,
        band_id: None,
        latitude: None,
        longitude: None,
        battery_percent: None,
        error: None,
        payload_digest: Untold::default(),
    }
}
