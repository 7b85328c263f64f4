//! The decoder: reads datagrams, pairs acknowledgements with what they acknowledge, hands radio payloads on, and tells of gateway and server
//! when that changes.

use super::json::{self, Payload, Signals};
use super::record::{PullAck, PullData, PullResp, PushAck, PushData, RxPacket, Stat, TxAck};
use super::wire::{Datagram, Identifier};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::json::Json;
use crate::observation::{Anomalies, Attribute, Confidence, Eui, Fact, Identity, Presence, Role, SecurityAspect, Text};
use crate::protocols::heard::Heard;
use crate::protocols::lorawan::said::hash;
use crate::protocols::lorawan::{PHY_PAYLOAD, gateway_eui};
use crate::protocols::{Carried, Channel, Cx, Decoder, Input, Step};
use crate::time::Timestamp;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Ways in which datagrams depart from the specification.
pub mod anomalies {
    use crate::anomalies;
    anomalies! {
        /// A datagram among GWMP's that has no header of its (PROTOCOL.TXT §3).
        HEADER_MALFORMED = "gwmp.header_malformed",
        /// Bytes after a datagram that is a header alone, or after the JSON.
        TRAILING_BYTES = "gwmp.trailing_bytes",
        /// The JSON is missing, ends early or breaks the grammar (RFC 8259).
        JSON_MALFORMED = "gwmp.json_malformed",
        /// A key that occurs twice in one object; the last one counts.
        DUPLICATE_KEY = "gwmp.duplicate_key",
        /// A value of another type than the key has, such as `"ncrc":"true"` (PROTOCOL.TXT §4, §6).
        FIELD_TYPE = "gwmp.field_type",
        /// `data` is no base64.
        BASE64_MALFORMED = "gwmp.base64_malformed",
        /// `data` is longer than a LoRa packet can be, 255 bytes.
        PAYLOAD_TOO_LONG = "gwmp.payload_too_long",
        /// `size` is not the length of `data`.
        SIZE_MISMATCH = "gwmp.size_mismatch",
        /// More radio packets in a datagram than are read; the others are dropped.
        TOO_MANY_PACKETS = "gwmp.too_many_packets",
    }
}

use anomalies::{HEADER_MALFORMED, JSON_MALFORMED, TOO_MANY_PACKETS, TRAILING_BYTES};

/// Requests without an answer that are kept.
pub(super) const PENDING: usize = 8;

/// Radio packets read from one datagram.
pub(super) const PACKETS: usize = 256;

#[derive(Default)]
pub(super) struct Session {
    gateway: Option<Eui>,
    gateway_heard: Heard,
    server_answered: bool,
    server_heard: Heard,
    position: Option<(i32, i32)>,
    /// Hash of platform, description and library: told again when one of them changes.
    self_description: u64,
    pending: [Option<Pending>; PENDING],
    next: usize,
}

#[derive(Clone, Copy)]
struct Pending {
    token: u16,
    identifier: Identifier,
    at: Timestamp,
}

type Facts<'a> = SmallVec<[Fact<'a>; 8]>;

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let Some(datagram) = Datagram::parse(input.bytes) else {
            cx.anomaly(input.direction, &HEADER_MALFORMED);
            return Step::Consumed(input.bytes.len());
        };
        match datagram.identifier {
            Identifier::PushData => self.push_data(&datagram, input.direction, cx),
            Identifier::PushAck => self.push_ack(&datagram, input.direction, cx),
            Identifier::PullData => self.pull_data(&datagram, input.direction, cx),
            Identifier::PullResp => self.pull_resp(&datagram, input.direction, cx),
            Identifier::PullAck => self.pull_ack(&datagram, input.direction, cx),
            Identifier::TxAck => self.tx_ack(&datagram, input.direction, cx),
        }
        Step::Consumed(input.bytes.len())
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        let server = Identity::ip(cx.flow().server.ip);
        let gateway = self.gateway.and_then(|gateway| self.gateway_heard.rest(gateway_eui(gateway.0)));
        let rest: Facts<'_> = gateway.into_iter().chain(self.server_heard.rest(server)).collect();
        if !rest.is_empty() {
            cx.facts(Direction::ToServer, &rest);
        }
    }
}

impl Session {
    fn push_data(&mut self, datagram: &Datagram<'_>, direction: Direction, cx: &mut Cx<'_>) {
        let Some(gateway) = datagram.gateway else { return };
        self.ask(datagram, cx);
        let mut facts = self.gateway_facts(gateway, cx);
        let mut json = Json::new(datagram.body);
        let mut time_beside = None;
        let mut parts = 0_usize;
        json.members(|key, json| match key {
            b"time" => time_beside = json.scalar().text(),
            b"rxpk" => {
                json.items(|json| {
                    parts += 1;
                    if parts <= PACKETS {
                        rx_packet(datagram, gateway, &time_beside, json, &std::mem::take(&mut facts), direction, cx);
                    }
                });
            }
            b"stat" => {
                parts += 1;
                self.stat(datagram, gateway, json, &std::mem::take(&mut facts), direction, cx);
            }
            _ => {}
        });
        let mut odd = Anomalies::default();
        match json.broken() {
            Some(offset) => odd.push_at(&JSON_MALFORMED, offset),
            None => note_trailing(json.rest(), &mut odd),
        }
        if parts > PACKETS {
            odd.push(&TOO_MANY_PACKETS);
            cx.count(Counter::SessionEntriesDropped, (parts - PACKETS) as u64);
        }
        if parts == 0 {
            let record = PushData { version: datagram.version, token: datagram.token, gateway, length: length(datagram.body) };
            cx.emit(direction, &record, &facts, &odd);
            return;
        }
        for anomaly in odd.iter() {
            cx.anomaly(direction, anomaly.code);
        }
    }

    fn stat<'a>(
        &mut self,
        datagram: &Datagram<'a>,
        gateway: Eui,
        json: &mut Json<'a>,
        told: &[Fact<'_>],
        direction: Direction,
        cx: &mut Cx<'_>,
    ) {
        let mut odd = Anomalies::default();
        let mut record = Stat {
            version: datagram.version,
            token: datagram.token,
            gateway,
            time: None,
            boot: None,
            latitude: None,
            longitude: None,
            altitude_m: None,
            rx_received: None,
            rx_ok: None,
            rx_forwarded: None,
            acknowledged_percent: None,
            downlinks_received: None,
            tx_emitted: None,
            temperature_c: None,
            cpu_percent: None,
            memory_percent: None,
            lost_pps: None,
            platform: None,
            description: None,
            fpga: None,
            dsp: None,
            hal: None,
            has_mail: false,
        };
        json::stat(json, &mut record, &mut odd);
        let mut facts = Facts::from_slice(told);
        let id = gateway_eui(gateway.0);
        let position = record.latitude.zip(record.longitude).and_then(|(latitude, longitude)| position(latitude, longitude));
        if position.is_some() && position != self.position {
            self.position = position;
            facts.extend(position.map(|(latitude, longitude)| Fact::Attribute {
                id,
                name: Attribute::Position,
                value: Text::Position(latitude, longitude),
                confidence: Confidence::Seen,
                field: "gwmp.latitude",
            }));
        }
        let described =
            hash([&record.platform, &record.description, &record.hal].map(|text| text.as_deref().unwrap_or_default()));
        if described != self.self_description {
            self.self_description = described;
            for (value, name, field) in [
                (&record.platform, Attribute::Model, "gwmp.platform"),
                (&record.description, Attribute::Name, "gwmp.description"),
                (&record.hal, Attribute::Software, "gwmp.hal"),
            ] {
                let value = value.as_deref().unwrap_or_default().trim();
                if !value.is_empty() {
                    facts.push(Fact::Attribute { id, name, value: Text::Str(value), confidence: Confidence::Seen, field });
                }
            }
        }
        cx.emit(direction, &record, &facts, &odd);
    }

    fn push_ack(&mut self, datagram: &Datagram<'_>, direction: Direction, cx: &mut Cx<'_>) {
        let latency_us = self.answer(datagram.token, Identifier::PushData, cx);
        let facts = self.server_facts(cx);
        let record = PushAck { version: datagram.version, token: datagram.token, gateway: self.gateway, latency_us };
        cx.emit(direction, &record, &facts, &trailing(datagram));
    }

    fn pull_data(&mut self, datagram: &Datagram<'_>, direction: Direction, cx: &mut Cx<'_>) {
        let Some(gateway) = datagram.gateway else { return };
        self.ask(datagram, cx);
        let facts = self.gateway_facts(gateway, cx);
        let record = PullData { version: datagram.version, token: datagram.token, gateway };
        cx.emit(direction, &record, &facts, &trailing(datagram));
    }

    fn pull_ack(&mut self, datagram: &Datagram<'_>, direction: Direction, cx: &mut Cx<'_>) {
        let latency_us = self.answer(datagram.token, Identifier::PullData, cx);
        let facts = self.server_facts(cx);
        let record = PullAck { version: datagram.version, token: datagram.token, gateway: self.gateway, latency_us };
        cx.emit(direction, &record, &facts, &trailing(datagram));
    }

    fn pull_resp(&mut self, datagram: &Datagram<'_>, direction: Direction, cx: &mut Cx<'_>) {
        self.ask(datagram, cx);
        let facts = self.server_facts(cx);
        let mut odd = Anomalies::default();
        let mut record = PullResp {
            version: datagram.version,
            token: datagram.token,
            gateway: self.gateway,
            immediately: None,
            tmst_us: None,
            time: None,
            gps_time_ms: None,
            frequency_hz: None,
            rfch: None,
            power_dbm: None,
            modulation: None,
            data_rate: None,
            code_rate: None,
            frequency_deviation_hz: None,
            inverted_polarization: None,
            preamble: None,
            no_crc: None,
            no_header: None,
            board: None,
            antenna: None,
            size: None,
            payload_length: None,
        };
        let mut payload = Payload::none();
        let mut json = Json::new(datagram.body);
        json.members(|key, json| {
            if key == b"txpk" {
                json::pull_resp(json, &mut record, &mut payload, &mut odd);
            }
        });
        note_end(&json, &mut odd);
        cx.emit(direction, &record, &facts, &odd);
        if let Some(bytes) = payload.get() {
            let channel = Channel::Datagram;
            cx.forward(Carried { kind: PHY_PAYLOAD, hint: "downlink", channel, direction, bytes, carrier: &record });
        }
    }

    fn tx_ack(&mut self, datagram: &Datagram<'_>, direction: Direction, cx: &mut Cx<'_>) {
        let Some(gateway) = datagram.gateway else { return };
        let facts = self.gateway_facts(gateway, cx);
        let latency_us = self.answer(datagram.token, Identifier::PullResp, cx);
        let (version, token) = (datagram.version, datagram.token);
        let mut record = TxAck { version, token, gateway, error: None, warning: None, value: None, latency_us };
        let mut odd = Anomalies::default();
        // Without a body the packet was accepted.
        if !is_padding(datagram.body) {
            let mut json = Json::new(datagram.body);
            json.members(|key, json| {
                if key == b"txpk_ack" {
                    json::tx_ack(json, &mut record, &mut odd);
                }
            });
            note_end(&json, &mut odd);
        }
        cx.emit(direction, &record, &facts, &odd);
    }

    fn ask(&mut self, datagram: &Datagram<'_>, cx: &mut Cx<'_>) {
        let Some(slot) = self.pending.get_mut(self.next) else { return };
        let asked = Pending { token: datagram.token, identifier: datagram.identifier, at: cx.now() };
        cx.count(Counter::SessionEntriesDropped, u64::from(slot.replace(asked).is_some()));
        self.next = (self.next + 1) % PENDING;
    }

    /// Microseconds since the request.
    fn answer(&mut self, token: u16, identifier: Identifier, cx: &Cx<'_>) -> Option<u64> {
        let slot = self
            .pending
            .iter_mut()
            .find(|slot| slot.is_some_and(|pending| pending.token == token && pending.identifier == identifier))?;
        slot.take().map(|pending| cx.now().since(pending.at) / 1_000)
    }

    /// What a datagram from a gateway tells. The address is most likely its own; where several gateways share one behind a NAT, the inventory
    /// sees them there at once, and their traffic passes through it. A forwarder on the server's host has the server's address.
    fn gateway_facts(&mut self, gateway: Eui, cx: &Cx<'_>) -> Facts<'static> {
        let id = gateway_eui(gateway.0);
        if self.gateway == Some(gateway) {
            return self.gateway_heard.message(id, cx).into_iter().collect();
        }
        // Several gateways can share a NAT's address: then each is told of again, and that is no reason to keep a list here.
        let before = self.gateway.replace(gateway).map(|before| gateway_eui(before.0));
        let rest = self.gateway_heard.turn(before, cx);
        let (client, server) = (Identity::ip(cx.flow().client.ip), Identity::ip(cx.flow().server.ip));
        let mut facts = Facts::from_iter([
            Fact::Identity { id, presence: Presence::Proved },
            Fact::Role { id, role: Role::RadioGateway },
            Fact::Via { id, via: client },
            Fact::Identity { id: server, presence: Presence::Mentioned },
            Fact::Peer { client: id, server, protocol: "gwmp" },
            Fact::Security { id, aspect: SecurityAspect::Transport, value: Text::Str("none") },
        ]);
        if client != server {
            facts.push(Fact::SameAs { a: id, b: client, basis: "GWMP datagram", confidence: Confidence::Likely });
        }
        facts.extend(rest);
        facts
    }

    fn server_facts(&mut self, cx: &Cx<'_>) -> Facts<'static> {
        let server = cx.flow().server;
        let id = Identity::ip(server.ip);
        if self.server_answered {
            return self.server_heard.message(id, cx).into_iter().collect();
        }
        (self.server_answered, self.server_heard) = (true, Heard::told(cx));
        Facts::from_iter([
            Fact::Identity { id, presence: Presence::Proved },
            Fact::Role { id, role: Role::NetworkServer },
            Fact::Service { id, protocol: "gwmp", port: Some(server.port), protected: false },
        ])
    }
}

fn rx_packet<'a>(
    datagram: &Datagram<'a>,
    gateway: Eui,
    time_beside: &Option<Cow<'a, str>>,
    json: &mut Json<'a>,
    facts: &[Fact<'_>],
    direction: Direction,
    cx: &mut Cx<'_>,
) {
    let mut odd = Anomalies::default();
    let mut signals = Signals::new();
    let mut payload = Payload::none();
    let mut record = RxPacket {
        version: datagram.version,
        token: datagram.token,
        gateway,
        jver: None,
        tmst_us: None,
        time: time_beside.clone(),
        gps_time_ms: None,
        fine_time_ns: None,
        frequency_hz: None,
        chan: None,
        rfch: None,
        mid: None,
        board: None,
        antenna: None,
        stat: None,
        modulation: None,
        data_rate: None,
        code_rate: None,
        rssi_dbm: None,
        rssi_signal_dbm: None,
        snr_db: None,
        frequency_offset_hz: None,
        hopping_width: None,
        aes_key_index: None,
        size: None,
        payload_length: None,
        signals: &[],
    };
    json::rx_packet(json, &mut record, &mut signals, &mut payload, &mut odd);
    let record = RxPacket { signals: &signals, ..record };
    if let Some(offset) = json.broken() {
        odd.push_at(&JSON_MALFORMED, offset);
    }
    cx.emit(direction, &record, facts, &odd);
    let checksum_failed = record.stat.is_some_and(|stat| stat < 0);
    if let Some(bytes) = payload.get().filter(|_| !checksum_failed) {
        let channel = Channel::Datagram;
        cx.forward(Carried { kind: PHY_PAYLOAD, hint: "uplink", channel, direction, bytes, carrier: &record });
    }
}

fn trailing(datagram: &Datagram<'_>) -> Anomalies {
    let mut odd = Anomalies::default();
    note_trailing(datagram.body, &mut odd);
    odd
}

fn note_end(json: &Json<'_>, odd: &mut Anomalies) {
    match json.broken() {
        Some(offset) => odd.push_at(&JSON_MALFORMED, offset),
        None => note_trailing(json.rest(), odd),
    }
}

fn note_trailing(rest: &[u8], odd: &mut Anomalies) {
    if !is_padding(rest) {
        odd.push(&TRAILING_BYTES);
    }
}

/// C programs send the NUL that ends their text, others a line end.
fn is_padding(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace())
}

/// In millionths of a degree; zero and zero is what gateways send that do not know.
fn position(latitude: f64, longitude: f64) -> Option<(i32, i32)> {
    let known =
        (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) && (latitude != 0.0 || longitude != 0.0);
    known.then_some(((latitude * 1e6).round() as i32, (longitude * 1e6).round() as i32))
}

fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}
