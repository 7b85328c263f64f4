//! The decoder: one MQTT payload a message; the topic says what it is. It keeps what it told of devices and gateways.

use super::message::{Downlink, Lists, Radio};
use super::record::{
    DeviceCommand, DeviceEvent, GatewayAck, GatewayDownlink, GatewayMessage, GatewayState, GatewayStats, GatewayUplink,
};
use super::topic::{self, Topic, What};
use super::{json, proto};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::json::Json;
use crate::observation::{
    Anomalies, Attribute, Confidence, Eui, Fact, Identity, IdentityValue, Presence, Record, Role, Text, Untold,
};
use crate::protobuf::Fields;
use crate::protocols::lorawan::said::{Said, Saying, hash};
use crate::protocols::lorawan::{PHY_PAYLOAD, dev_addr, dev_eui, gateway_eui};
use crate::protocols::mqtt::payload::Origin;
use crate::protocols::{Carried, Channel, Cx, Decoder, Input, Step};
use smallvec::SmallVec;

/// Ways in which messages depart from their definition.
pub mod anomalies {
    use crate::anomalies;
    anomalies! {
        /// The JSON or Protocol Buffers message ends early or breaks its grammar.
        MALFORMED = "chirpstack.malformed",
        /// The radio payload is no base64 or longer than a LoRa packet can be.
        PAYLOAD_MALFORMED = "chirpstack.payload_malformed",
        /// A downlink with more transmissions than are read; the others are dropped.
        TOO_MANY_ITEMS = "chirpstack.too_many_items",
    }
}

use anomalies::{MALFORMED, PAYLOAD_MALFORMED, TOO_MANY_ITEMS};

#[derive(Default)]
pub(super) struct Session {
    said: Said,
}

/// A message in one of its two encodings.
enum Body<'a> {
    Json(Json<'a>),
    Protobuf(Fields<'a>),
}

type Facts<'a> = SmallVec<[Fact<'a>; 8]>;

impl<'a> Body<'a> {
    /// `{` as the key of a Protocol Buffers field would begin a group, which these messages do not have.
    fn of(bytes: &'a [u8]) -> Self {
        if bytes.trim_ascii_start().first() == Some(&b'{') {
            Body::Json(Json::new(bytes))
        } else {
            Body::Protobuf(Fields::new(bytes))
        }
    }

    fn encoding(&self) -> &'static str {
        match self {
            Body::Json(_) => "json",
            Body::Protobuf(_) => "protobuf",
        }
    }

    fn oddities(&self) -> Anomalies {
        let mut odd = Anomalies::default();
        match self {
            Body::Json(json) => {
                if let Some(offset) = json.broken() {
                    odd.push_at(&MALFORMED, offset);
                }
            }
            Body::Protobuf(fields) if fields.broken() => odd.push(&MALFORMED),
            Body::Protobuf(_) => {}
        }
        odd
    }
}

/// What a gateway topic says.
#[derive(Clone, Copy)]
struct Place<'a> {
    region: Option<&'a str>,
    gateway: Eui,
    direction: Direction,
}

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let Some(topic) = Topic::parse(cx.hint()) else { return Step::GiveUp };
        let body = Body::of(input.bytes);
        let direction = input.direction;
        match topic {
            Topic::Gateway { region, gateway, what, name } => {
                let place = Place { region, gateway, direction };
                if what != What::Command {
                    self.publisher(place, cx);
                }
                match (what, name) {
                    (What::Event, "up") => self.gateway_uplink(place, body, cx),
                    (What::Event, "stats") => self.gateway_stats(place, body, cx),
                    (What::Event, "ack") => self.gateway_ack(place, body, cx),
                    (What::Command, "down") => self.gateway_downlink(place, body, cx),
                    (What::State, "conn") => self.gateway_state(place, body, cx),
                    _ => self.gateway_message(place, what, name, body, cx),
                }
            }
            Topic::Device { application, dev_eui, what: What::Command, name } => {
                self.device_command(application, dev_eui, name, body, direction, cx);
            }
            Topic::Device { application, dev_eui, name, .. } => {
                self.device_event(application, dev_eui, name, body, direction, cx)
            }
        }
        Step::Consumed(input.bytes.len())
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.said.close(cx);
    }
}

impl Session {
    fn gateway_uplink(&mut self, place: Place<'_>, mut body: Body<'_>, cx: &mut Cx<'_>) {
        let mut radio = Radio::default();
        let readable = match &mut body {
            Body::Json(json) => json::uplink(json, &mut radio),
            Body::Protobuf(fields) => proto::uplink(fields, &mut radio),
        };
        let mut odd = body.oddities();
        if !readable {
            odd.push(&PAYLOAD_MALFORMED);
        }
        let record = GatewayUplink {
            gateway: place.gateway,
            region: place.region,
            encoding: body.encoding(),
            frequency_hz: radio.frequency_hz,
            data_rate: radio.data_rate(),
            rssi_dbm: radio.rssi_dbm,
            snr_db: radio.snr_db,
            channel: radio.channel,
            tmst_us: radio.tmst_us,
            crc: radio.crc,
            payload_length: radio.payload_length(),
        };
        cx.emit(place.direction, &record, &self.gateway_facts(place, cx), &odd);
        if let Some(frame) = radio.frame.filter(|_| radio.crc != Some("bad")) {
            forward(&frame, "uplink", place.direction, &record, cx);
        }
    }

    fn gateway_downlink(&mut self, place: Place<'_>, mut body: Body<'_>, cx: &mut Cx<'_>) {
        let mut downlink = Downlink::default();
        let readable = match &mut body {
            Body::Json(json) => json::downlink(json, &mut downlink),
            Body::Protobuf(fields) => proto::downlink(fields, &mut downlink),
        };
        let mut odd = body.oddities();
        if !readable {
            odd.push(&PAYLOAD_MALFORMED);
        }
        if downlink.count > downlink.items.len() {
            odd.push(&TOO_MANY_ITEMS);
            cx.count(Counter::SessionEntriesDropped, (downlink.count - downlink.items.len()) as u64);
        }
        let id = gateway_eui(place.gateway.0);
        let facts = [Fact::Identity { id, presence: Presence::Mentioned }, Fact::Role { id, role: Role::RadioGateway }];
        let facts = if self.said.is_new(gateway_eui(place.gateway.0), place.gateway.0, 2, cx) { &facts[..] } else { &[] };
        if downlink.items.is_empty() {
            downlink.items.push(Radio::default());
        }
        let mut previous = None;
        for (item, radio) in downlink.items.iter().enumerate() {
            let record = GatewayDownlink {
                gateway: place.gateway,
                region: place.region,
                encoding: body.encoding(),
                downlink_id: downlink.id,
                item: u32::try_from(item).unwrap_or(u32::MAX),
                frequency_hz: radio.frequency_hz,
                data_rate: radio.data_rate(),
                power_dbm: radio.power_dbm,
                timing: radio.timing,
                tmst_us: radio.tmst_us,
                payload_length: radio.payload_length(),
                delay_us: radio.delay_us,
            };
            let (facts, odd) = if item == 0 { (facts, odd) } else { (&[][..], Anomalies::default()) };
            cx.emit(place.direction, &record, facts, &odd);
            // RX1 and RX2 offer the same frame; it is one downlink.
            if let Some(frame) = radio.frame.as_ref().filter(|frame| previous != Some(*frame)) {
                forward(frame, "downlink", place.direction, &record, cx);
                previous = Some(frame);
            }
        }
    }

    fn gateway_stats<'a>(&mut self, place: Place<'a>, mut body: Body<'a>, cx: &mut Cx<'_>) {
        let mut record = GatewayStats {
            gateway: place.gateway,
            region: place.region,
            encoding: body.encoding(),
            ip: None,
            latitude: None,
            longitude: None,
            altitude_m: None,
            config_version: None,
            rx_received: None,
            rx_ok: None,
            tx_received: None,
            tx_emitted: None,
            model: None,
            concentratord_version: None,
            hal_version: None,
        };
        match &mut body {
            Body::Json(json) => json::stats(json, &mut record),
            Body::Protobuf(fields) => proto::stats(fields, &mut record),
        }
        let id = gateway_eui(place.gateway.0);
        let told = self.gateway_facts(place, cx);
        let mut facts = Facts::from_slice(&told);
        let position = position(record.latitude, record.longitude);
        let texts =
            [&record.model, &record.concentratord_version, &record.hal_version].map(|text| text.as_deref().unwrap_or_default());
        let about = position.map_or(0, |(latitude, longitude)| (latitude as u32 as u64) << 32 | longitude as u32 as u64);
        if self.said.is_new(id, place.gateway.0, hash(texts) ^ about, cx) {
            let names = [
                (Attribute::Model, "chirpstack.model"),
                (Attribute::Software, "chirpstack.concentratord_version"),
                (Attribute::Firmware, "chirpstack.hal_version"),
            ];
            for (value, (name, field)) in texts.into_iter().zip(names).filter(|(value, _)| !value.is_empty()) {
                facts.push(Fact::Attribute { id, name, value: Text::Str(value), confidence: Confidence::Seen, field });
            }
            facts.extend(position.map(|(latitude, longitude)| Fact::Attribute {
                id,
                name: Attribute::Position,
                value: Text::Position(latitude, longitude),
                confidence: Confidence::Seen,
                field: "chirpstack.latitude",
            }));
        }
        cx.emit(place.direction, &record, &facts, &body.oddities());
    }

    fn gateway_ack<'a>(&mut self, place: Place<'a>, mut body: Body<'a>, cx: &mut Cx<'_>) {
        let (Place { region, gateway, .. }, encoding) = (place, body.encoding());
        let mut record = GatewayAck { gateway, region, encoding, downlink_id: None, status: None };
        match &mut body {
            Body::Json(json) => json::ack(json, &mut record),
            Body::Protobuf(fields) => proto::ack(fields, &mut record),
        }
        cx.emit(place.direction, &record, &self.gateway_facts(place, cx), &body.oddities());
    }

    fn gateway_state(&mut self, place: Place<'_>, mut body: Body<'_>, cx: &mut Cx<'_>) {
        let online = match &mut body {
            Body::Json(json) => json::online(json),
            Body::Protobuf(fields) => proto::online(fields),
        };
        let record = GatewayState { gateway: place.gateway, region: place.region, encoding: body.encoding(), online };
        // Retained and last-will messages outlive the gateway's activity.
        let id = gateway_eui(place.gateway.0);
        cx.emit(place.direction, &record, &[Fact::Identity { id, presence: Presence::Mentioned }], &body.oddities());
    }

    fn gateway_message(&mut self, place: Place<'_>, what: What, name: &str, mut body: Body<'_>, cx: &mut Cx<'_>) {
        let command = match &mut body {
            Body::Json(json) if name == "exec" => json::exec_command(json),
            Body::Protobuf(fields) if name == "exec" && what == What::Command => proto::exec_command(fields),
            _ => None,
        };
        let record = GatewayMessage {
            gateway: place.gateway,
            region: place.region,
            encoding: body.encoding(),
            what: if what == What::Command { "command" } else { "event" },
            name,
            command,
        };
        cx.emit(place.direction, &record, &[], &body.oddities());
    }

    fn device_event<'a>(
        &mut self,
        application_id: &'a str,
        eui: Eui,
        event: &'a str,
        mut body: Body<'a>,
        direction: Direction,
        cx: &mut Cx<'_>,
    ) {
        let mut lists = Lists::default();
        let mut record = DeviceEvent {
            event,
            encoding: body.encoding(),
            application_id,
            application_name: None,
            tenant_name: None,
            device_profile_name: None,
            device_name: None,
            dev_eui: eui,
            dev_addr: None,
            f_cnt: None,
            f_port: None,
            adr: None,
            dr: None,
            confirmed: None,
            payload_length: None,
            decoded: false,
            gateways: 0,
            gateway: None,
            rssi_dbm: None,
            snr_db: None,
            frequency_hz: None,
            acknowledged: None,
            margin_db: None,
            external_power: None,
            battery_percent: None,
            latitude: None,
            longitude: None,
            level: None,
            code: None,
            description: None,
            tags: &[],
            payload_digest: Untold::default(),
        };
        match &mut body {
            Body::Json(json) => json::device_event(json, &mut record, &mut lists),
            // Applications have numbers in version 3 and UUIDs in version 4.
            Body::Protobuf(fields) if application_id.bytes().all(|byte| byte.is_ascii_digit()) => {
                proto::device_event_3(fields, &mut record, &mut lists);
            }
            Body::Protobuf(fields) => proto::device_event(fields, &mut record, &mut lists),
        }
        let record = DeviceEvent { tags: &lists.tags, ..record };
        let facts = self.device_facts(&record, &lists.gateways, cx);
        cx.emit(direction, &record, &facts, &body.oddities());
    }

    fn device_command(
        &mut self,
        application_id: &str,
        eui: Eui,
        command: &str,
        mut body: Body<'_>,
        direction: Direction,
        cx: &mut Cx<'_>,
    ) {
        let encoding = body.encoding();
        let mut record = DeviceCommand {
            command,
            encoding,
            application_id,
            dev_eui: eui,
            f_port: None,
            confirmed: None,
            payload_length: None,
        };
        match &mut body {
            Body::Json(json) => json::device_command(json, &mut record),
            Body::Protobuf(fields) => proto::device_command(fields, &mut record),
        }
        let fact = Fact::Identity { id: dev_eui(eui.0), presence: Presence::Mentioned };
        cx.emit(direction, &record, &[fact], &body.oddities());
    }

    /// Who publishes a gateway's events and state is the gateway, if its client identifier says so. Else it most likely has the gateway's
    /// address: of a bridge that publishes for several, the inventory sees them there at once.
    fn publisher(&mut self, place: Place<'_>, cx: &mut Cx<'_>) {
        if place.direction != Direction::ToServer || !self.said.is_new(gateway_eui(place.gateway.0), place.gateway.0, 4, cx) {
            return;
        }
        let Some(origin) = Origin::of(cx) else { return };
        let id = gateway_eui(place.gateway.0);
        let (client, server) = (Identity::ip(cx.flow().client.ip), Identity::ip(cx.flow().server.ip));
        let is_its_name = |name: &Identity<'_>| match name.value {
            IdentityValue::Text(text) => topic::eui(text) == Some(place.gateway),
            _ => false,
        };
        let same = |b, basis| Fact::SameAs { a: id, b, basis, confidence: Confidence::Likely };
        match origin.publisher().filter(is_its_name) {
            Some(publisher) => cx.facts(place.direction, &[same(publisher, "client identifier of the gateway's EUI")]),
            None if client != server => cx.facts(place.direction, &[same(client, "publishes the gateway's events")]),
            None => {}
        }
    }

    fn gateway_facts(&mut self, place: Place<'_>, cx: &Cx<'_>) -> Facts<'static> {
        let id = gateway_eui(place.gateway.0);
        match self.said.hear(id, place.gateway.0, 1, cx) {
            Saying::New(other) => {
                let told = [Fact::Identity { id, presence: Presence::Sent }, Fact::Role { id, role: Role::RadioGateway }];
                told.into_iter().chain(other).collect()
            }
            Saying::Again(activity) => activity.into_iter().collect(),
        }
    }

    /// What an event tells of its device, where that is new.
    fn device_facts<'a>(&mut self, event: &'a DeviceEvent<'a>, gateways: &[Eui], cx: &Cx<'_>) -> Facts<'a> {
        let id = dev_eui(event.dev_eui.0);
        // The server checked the MIC of uplinks and joins; other events only mention the device.
        let heard = matches!(event.event, "up" | "join" | "status" | "ack");
        let texts = [&event.device_name, &event.device_profile_name, &event.application_name]
            .map(|text| text.as_deref().unwrap_or_default());
        let numbers = event.dev_addr.map_or(0, |address| u64::from(address.0)) ^ (u64::from(event.f_port.unwrap_or(0)) << 40);
        let via = gateways.iter().fold(0_u64, |all, gateway| all.rotate_left(5) ^ gateway.0);
        let position = position(event.latitude, event.longitude);
        let about = hash(texts.into_iter().chain([event.event])) ^ numbers ^ via ^ position.map_or(0, |(a, b)| (a ^ b) as u64);
        let other = match self.said.hear_of(id, event.dev_eui.0, about, heard, cx) {
            Saying::New(other) => other,
            Saying::Again(activity) => return activity.into_iter().collect(),
        };
        let presence = if heard { Presence::Proved } else { Presence::Mentioned };
        let mut facts = Facts::from_iter([Fact::Identity { id, presence }, Fact::Role { id, role: Role::EndDevice }]);
        facts.extend(other);
        facts.extend(event.dev_addr.map(|address| Fact::SameAs {
            a: id,
            b: dev_addr(address.0),
            basis: "network server's event",
            confidence: Confidence::Seen,
        }));
        facts.extend(gateways.iter().map(|gateway| Fact::Via { id, via: gateway_eui(gateway.0) }));
        let names = [
            (Attribute::Name, Confidence::Seen, "chirpstack.device_name"),
            // People name profiles after models, mostly.
            (Attribute::Model, Confidence::Possible, "chirpstack.device_profile_name"),
            (Attribute::Application, Confidence::Seen, "chirpstack.application_name"),
        ];
        for (value, (name, confidence, field)) in texts.into_iter().zip(names).filter(|(value, _)| !value.is_empty()) {
            facts.push(Fact::Attribute { id, name, value: Text::Str(value), confidence, field });
        }
        facts.extend(event.f_port.filter(|port| *port > 0).map(|port| number(id, port)));
        facts.extend(position.map(|(latitude, longitude)| Fact::Attribute {
            id,
            name: Attribute::Position,
            value: Text::Position(latitude, longitude),
            confidence: Confidence::Seen,
            field: "chirpstack.latitude",
        }));
        facts
    }
}

fn number(id: Identity<'_>, port: u8) -> Fact<'_> {
    let (value, confidence) = (Text::Number(u64::from(port)), Confidence::Seen);
    Fact::Attribute { id, name: Attribute::CodecHint, value, confidence, field: "chirpstack.f_port" }
}

fn forward(frame: &[u8], hint: &str, direction: Direction, carrier: &dyn Record, cx: &mut Cx<'_>) {
    cx.forward(Carried { kind: PHY_PAYLOAD, hint, channel: Channel::Datagram, direction, bytes: frame, carrier });
}

/// In millionths of a degree; zero and zero is what is told of what is not known.
fn position(latitude: Option<f64>, longitude: Option<f64>) -> Option<(i32, i32)> {
    let (latitude, longitude) = (latitude?, longitude?);
    let known =
        (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) && (latitude != 0.0 || longitude != 0.0);
    known.then_some(((latitude * 1e6).round() as i32, (longitude * 1e6).round() as i32))
}
