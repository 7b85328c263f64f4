//! The decoder: one message at a time; it keeps who the gateway is, what its data rate indexes mean, and what was told of it.

use super::eui;
use super::json::{self, Frame, MessageType, Parts};
use super::record::{
    DiscoveryRequest, DiscoveryResponse, Downlink, Other, RemoteCommand, RouterConfig, TimeSync, Transmitted, Uplink, Version,
};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::json::{Json, Kind};
use crate::observation::{Anomalies, Attribute, Confidence, Eui, Fact, Identity, Presence, Record, Role, SecurityAspect, Text};
use crate::protocols::heard::Heard;
use crate::protocols::lorawan::{PHY_PAYLOAD, data_rate_name, dev_eui, gateway_eui};
use crate::protocols::{Carried, Channel, Cx, Decoder, Input, Step};
use smallvec::SmallVec;
use std::borrow::Cow;

/// Ways in which messages depart from the protocol.
pub mod anomalies {
    use crate::anomalies;
    anomalies! {
        /// The JSON ends early or breaks the grammar (RFC 8259).
        JSON_MALFORMED = "station.json_malformed",
        /// A frame whose fields are missing, out of range or no hex, so that it cannot be put together.
        FRAME_INCOMPLETE = "station.frame_incomplete",
        /// A message of a type that the protocol does not have.
        MESSAGE_UNKNOWN = "station.message_unknown",
        /// More downlinks in one schedule than are read; the others are dropped.
        SCHEDULE_TOO_LONG = "station.schedule_too_long",
    }
}

use anomalies::{FRAME_INCOMPLETE, JSON_MALFORMED, MESSAGE_UNKNOWN, SCHEDULE_TOO_LONG};

/// Downlinks read from one schedule.
pub(super) const SCHEDULE: usize = 128;

#[derive(Default)]
pub(super) struct Session {
    gateway: Option<Eui>,
    path_read: bool,
    gateway_told: Option<Eui>,
    heard: Heard,
    server_told: bool,
    rates: [Option<&'static str>; 16],
}

type Facts<'a> = SmallVec<[Fact<'a>; 8]>;

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        if !self.path_read {
            self.path_read = true;
            self.gateway = cx.hint().split(' ').find_map(eui::in_path);
        }
        let (bytes, direction) = (input.bytes, input.direction);
        match json::message_type(bytes, cx.hint()) {
            Some(MessageType::Discovery) => self.discovery(bytes, direction, cx),
            Some(MessageType::Version) => self.version(bytes, direction, cx),
            Some(MessageType::RouterConfig) => self.router_config(bytes, direction, cx),
            Some(MessageType::Uplink(msgtype)) => self.uplink(msgtype, bytes, direction, cx),
            Some(MessageType::Downlink("dnsched")) => self.schedule(bytes, direction, cx),
            Some(MessageType::Downlink(msgtype)) => self.downlink(msgtype, &mut Json::new(bytes), direction, cx),
            Some(MessageType::Transmitted) => self.transmitted(bytes, direction, cx),
            Some(MessageType::TimeSync) => self.timesync(bytes, direction, cx),
            Some(MessageType::RemoteCommand(msgtype)) => self.remote_command(msgtype, bytes, direction, cx),
            Some(MessageType::Other | MessageType::Unknown) => self.other(bytes, direction, cx),
            None => return Step::GiveUp,
        }
        Step::Consumed(bytes.len())
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(rest) = self.gateway_told.and_then(|gateway| self.heard.rest(gateway_eui(gateway.0))) {
            cx.facts(Direction::ToServer, &[rest]);
        }
    }
}

impl Session {
    fn discovery(&mut self, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut json = Json::new(bytes);
        let (mut gateway, mut muxs, mut uri, mut error) = (None, None, None, None);
        json.members(|key, json| match key {
            b"router" => gateway = eui::of(json.scalar()),
            b"muxs" => muxs = json.scalar().text(),
            b"uri" => uri = json.scalar().text().map(without_query),
            b"error" => error = json.scalar().text(),
            _ => {}
        });
        let odd = malformed(&json);
        self.gateway = gateway.or(self.gateway);
        if direction == Direction::ToServer {
            let facts = self.gateway_facts(cx);
            cx.emit(direction, &DiscoveryRequest { gateway }, &facts, &odd);
        } else {
            let facts = self.server_facts(cx);
            cx.emit(direction, &DiscoveryResponse { gateway, muxs, uri, error }, &facts, &odd);
        }
    }

    fn version(&mut self, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut record = Version {
            gateway: self.gateway,
            station: None,
            firmware: None,
            package: None,
            model: None,
            protocol: None,
            features: None,
        };
        let mut json = Json::new(bytes);
        json.members(|key, json| match key {
            b"station" => record.station = json.scalar().text(),
            b"firmware" => record.firmware = json.scalar().text(),
            b"package" => record.package = json.scalar().text(),
            b"model" => record.model = json.scalar().text(),
            b"protocol" => record.protocol = json.scalar().unsigned(),
            b"features" => record.features = json.scalar().text(),
            _ => {}
        });
        let odd = malformed(&json);
        let id = self.gateway_identity(cx);
        let told = self.gateway_facts(cx);
        let mut facts = Facts::from_slice(&told);
        for (value, name, field) in [
            (&record.station, Attribute::Software, "station.station"),
            (&record.firmware, Attribute::Firmware, "station.firmware"),
            (&record.model, Attribute::Model, "station.model"),
        ] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty() && *value != "null") {
                facts.push(Fact::Attribute { id, name, value: Text::Str(value), confidence: Confidence::Seen, field });
            }
        }
        facts.extend(record.protocol.map(|protocol| Fact::Attribute {
            id,
            name: Attribute::ProtocolVersion,
            value: Text::Number(u64::from(protocol)),
            confidence: Confidence::Seen,
            field: "station.protocol",
        }));
        cx.emit(direction, &record, &facts, &odd);
    }

    fn router_config(&mut self, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut json = Json::new(bytes);
        let (mut region, mut hwspec, mut max_eirp_dbm) = (None, None, None);
        let (mut net_ids, mut range, mut channels) = (SmallVec::<[u32; 8]>::new(), SmallVec::<[u32; 2]>::new(), SmallVec::new());
        let (mut no_cca, mut no_duty_cycle, mut no_dwell_time, mut join_eui_ranges) = (None, None, None, 0);
        let rates = &mut self.rates;
        json.members(|key, json| match key {
            b"region" => region = json.scalar().text(),
            b"hwspec" => hwspec = json.scalar().text(),
            b"NetID" => net_ids = json::numbers(json, 128),
            b"JoinEui" | b"JoinEUI" => join_eui_ranges = json::count(json),
            b"freq_range" => range = json::numbers(json, 2),
            b"upchannels" => channels = json::first_numbers(json),
            b"max_eirp" => max_eirp_dbm = json.scalar().f64().map(|power| power as f32),
            b"nocca" => no_cca = json.scalar().bool(),
            b"nodc" => no_duty_cycle = json.scalar().bool(),
            b"nodwell" => no_dwell_time = json.scalar().bool(),
            b"DRs" => json::data_rates(json, |index, spreading_factor, bandwidth_hz| {
                if let Some(rate) = rates.get_mut(index) {
                    // Spreading factor 0 is FSK.
                    *rate = if spreading_factor == 0 { Some("50000") } else { data_rate_name(spreading_factor, bandwidth_hz) };
                }
            }),
            _ => {}
        });
        let odd = malformed(&json);
        let id = self.gateway_identity(cx);
        let record = RouterConfig {
            gateway: self.gateway,
            region,
            hwspec,
            net_ids: &net_ids,
            join_eui_ranges,
            frequency_range_hz: &range,
            channels_hz: &channels,
            max_eirp_dbm,
            no_cca,
            no_duty_cycle,
            no_dwell_time,
        };
        let told = self.server_facts(cx);
        let mut facts = Facts::from_slice(&told);
        facts.extend(record.region.as_deref().map(|region| Fact::Attribute {
            id,
            name: Attribute::Region,
            value: Text::Str(region),
            confidence: Confidence::Seen,
            field: "station.region",
        }));
        cx.emit(direction, &record, &facts, &odd);
    }

    fn uplink(&mut self, msgtype: &'static str, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut parts = Parts::default();
        let mut record = Uplink {
            msgtype,
            gateway: self.gateway,
            frequency_hz: None,
            dr: None,
            data_rate: None,
            rssi_dbm: None,
            snr_db: None,
            rctx: None,
            xtime: None,
            tmst_us: None,
            gps_time_us: None,
            fine_time_ns: None,
            rx_time_s: None,
            payload_length: None,
        };
        let mut json = Json::new(bytes);
        json.members(|key, json| match key {
            b"DR" => record.dr = json::data_rate_index(json.scalar()),
            b"Freq" => record.frequency_hz = json.scalar().unsigned(),
            b"upinfo" => drop(json.members(|key, json| match key {
                b"rctx" => record.rctx = json.scalar().i64(),
                b"xtime" => record.xtime = json.scalar().i64(),
                b"gpstime" => record.gps_time_us = json.scalar().i64(),
                b"fts" => record.fine_time_ns = json.scalar().i64(),
                b"rssi" => record.rssi_dbm = json.scalar().f64().map(|value| value as f32),
                b"snr" => record.snr_db = json.scalar().f64().map(|value| value as f32),
                b"rxtime" => record.rx_time_s = json.scalar().f64(),
                _ => {}
            })),
            _ => drop(parts.take(key, json)),
        });
        record.data_rate = self.rate(record.dr);
        record.tmst_us = record.xtime.map(|xtime| xtime as u32);
        let mut odd = malformed(&json);
        let frame = parts.frame(msgtype);
        if frame.is_none() {
            odd.push(&FRAME_INCOMPLETE);
        }
        record.payload_length = frame.as_ref().and_then(|frame| u16::try_from(frame.len()).ok());
        let facts = self.gateway_facts(cx);
        cx.emit(direction, &record, &facts, &odd);
        // In device mode a station passes on downlinks that it hears.
        let hint = if matches!(msgtype, "dndf" | "jacc") { "" } else { "uplink" };
        if let Some(frame) = frame.filter(|_| msgtype != "rejoin") {
            forward(&frame, hint, direction, &record, cx);
        }
    }

    fn schedule(&mut self, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut json = Json::new(bytes);
        let mut entries = 0_usize;
        json.members(|key, json| {
            if key == b"schedule" {
                json.items(|json| {
                    entries += 1;
                    if entries <= SCHEDULE {
                        self.downlink("dnsched", json, direction, cx);
                    }
                });
            }
        });
        if json.broken().is_some() && entries == 0 {
            cx.anomaly(direction, &JSON_MALFORMED);
        }
        if entries > SCHEDULE {
            cx.count(Counter::SessionEntriesDropped, (entries - SCHEDULE) as u64);
            cx.anomaly(direction, &SCHEDULE_TOO_LONG);
        }
    }

    fn downlink(&mut self, msgtype: &'static str, json: &mut Json<'_>, direction: Direction, cx: &mut Cx<'_>) {
        let mut pdu = None;
        let mut record = Downlink {
            msgtype,
            gateway: self.gateway,
            dev_eui: None,
            device_class: None,
            diid: None,
            rx_delay_s: None,
            dr: None,
            data_rate: None,
            frequency_hz: None,
            rx2_dr: None,
            rx2_frequency_hz: None,
            priority: None,
            xtime: None,
            tmst_us: None,
            gps_time_us: None,
            rctx: None,
            payload_length: None,
        };
        json.members(|key, json| match key {
            b"DevEui" | b"DevEUI" => record.dev_eui = eui::of(json.scalar()),
            b"dC" => record.device_class = json.scalar().unsigned(),
            b"diid" | b"seqno" => record.diid = json.scalar().i64(),
            b"RxDelay" => record.rx_delay_s = json.scalar().unsigned(),
            b"RX1DR" | b"DR" => record.dr = json::data_rate_index(json.scalar()),
            b"RX1Freq" | b"Freq" => record.frequency_hz = json.scalar().unsigned(),
            b"RX2DR" => record.rx2_dr = json::data_rate_index(json.scalar()),
            b"RX2Freq" => record.rx2_frequency_hz = json.scalar().unsigned(),
            b"priority" => record.priority = json.scalar().unsigned(),
            b"xtime" => record.xtime = json.scalar().i64(),
            b"gpstime" => record.gps_time_us = json.scalar().i64(),
            b"rctx" => record.rctx = json.scalar().i64(),
            b"pdu" => pdu = json.scalar().plain(),
            _ => {}
        });
        let mut odd = malformed(json);
        let mut frame = Frame::new();
        let whole = pdu.and_then(|pdu| json::push_hex(pdu, &mut frame));
        match whole {
            Some(()) => record.payload_length = u16::try_from(frame.len()).ok(),
            None => odd.push(&FRAME_INCOMPLETE),
        }
        record.data_rate = self.rate(record.dr);
        record.tmst_us = record.xtime.map(|xtime| xtime as u32);
        let mut facts = self.server_facts(cx);
        facts.extend(record.dev_eui.map(|eui| Fact::Identity { id: dev_eui(eui.0), presence: Presence::Mentioned }));
        cx.emit(direction, &record, &facts, &odd);
        if whole.is_some() {
            forward(&frame, "downlink", direction, &record, cx);
        }
    }

    fn transmitted(&mut self, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut record = Transmitted {
            gateway: self.gateway,
            dev_eui: None,
            diid: None,
            dr: None,
            frequency_hz: None,
            rctx: None,
            xtime: None,
            tx_time_s: None,
            gps_time_us: None,
        };
        let mut json = Json::new(bytes);
        json.members(|key, json| match key {
            b"DevEui" | b"DevEUI" => record.dev_eui = eui::of(json.scalar()),
            b"diid" => record.diid = json.scalar().i64(),
            b"DR" => record.dr = json::data_rate_index(json.scalar()),
            b"Freq" => record.frequency_hz = json.scalar().unsigned(),
            b"rctx" => record.rctx = json.scalar().i64(),
            b"xtime" => record.xtime = json.scalar().i64(),
            b"txtime" => record.tx_time_s = json.scalar().f64(),
            b"gpstime" => record.gps_time_us = json.scalar().i64(),
            _ => {}
        });
        let facts = self.gateway_facts(cx);
        cx.emit(direction, &record, &facts, &malformed(&json));
    }

    fn timesync(&mut self, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut record = TimeSync { gateway: self.gateway, tx_time_us: None, gps_time_us: None, xtime: None };
        let mut json = Json::new(bytes);
        json.members(|key, json| match key {
            b"txtime" => record.tx_time_us = json.scalar().i64(),
            b"gpstime" => record.gps_time_us = json.scalar().i64(),
            b"xtime" => record.xtime = json.scalar().i64(),
            _ => {}
        });
        cx.emit(direction, &record, &[], &malformed(&json));
    }

    fn remote_command(&mut self, msgtype: &'static str, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut record =
            RemoteCommand { msgtype, gateway: self.gateway, command: None, arguments: 0, user: None, start: None, stop: None };
        let mut json = Json::new(bytes);
        json.members(|key, json| match key {
            b"command" => record.command = json.scalar().text(),
            b"arguments" if json.kind() == Kind::Array => record.arguments = json::count(json),
            b"user" => record.user = json.scalar().text(),
            b"start" => record.start = json.scalar().unsigned(),
            b"stop" => record.stop = json.scalar().unsigned(),
            _ => {}
        });
        cx.emit(direction, &record, &[], &malformed(&json));
    }

    fn other(&mut self, bytes: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let mut msgtype = Cow::Borrowed("");
        let mut json = Json::new(bytes);
        json.members(|key, json| {
            if key == b"msgtype" {
                msgtype = json.scalar().text().unwrap_or_default();
            }
        });
        let mut odd = malformed(&json);
        if json::message_type(bytes, "") == Some(MessageType::Unknown) {
            odd.push(&MESSAGE_UNKNOWN);
        }
        cx.emit(direction, &Other { msgtype, gateway: self.gateway }, &[], &odd);
    }

    fn rate(&self, index: Option<u8>) -> Option<&'static str> {
        *self.rates.get(usize::from(index?))?
    }

    fn gateway_identity(&self, cx: &Cx<'_>) -> Identity<'static> {
        self.gateway.map_or(Identity::ip(cx.flow().client.ip), |eui| gateway_eui(eui.0))
    }

    fn gateway_facts(&mut self, cx: &Cx<'_>) -> Facts<'static> {
        let Some(gateway) = self.gateway else { return Facts::new() };
        let id = gateway_eui(gateway.0);
        if self.gateway_told == Some(gateway) {
            return self.heard.message(id, cx).into_iter().collect();
        }
        let before = self.gateway_told.replace(gateway).map(|before| gateway_eui(before.0));
        let rest = self.heard.turn(before, cx);
        let (client, server) = (Identity::ip(cx.flow().client.ip), Identity::ip(cx.flow().server.ip));
        let mut facts = Facts::from_iter([
            Fact::Identity { id, presence: Presence::Proved },
            Fact::Role { id, role: Role::RadioGateway },
            Fact::Via { id, via: client },
            Fact::Peer { client: id, server, protocol: "station" },
            Fact::Security { id, aspect: SecurityAspect::Transport, value: Text::Str("none") },
        ]);
        // Most likely its own; where several gateways share one behind a NAT, the inventory sees them there at once.
        if client != server {
            facts.push(Fact::SameAs { a: id, b: client, basis: "Basics Station message", confidence: Confidence::Likely });
        }
        facts.extend(rest);
        facts
    }

    fn server_facts(&mut self, cx: &Cx<'_>) -> Facts<'static> {
        if self.server_told {
            return Facts::new();
        }
        self.server_told = true;
        let server = cx.flow().server;
        let id = Identity::ip(server.ip);
        Facts::from_iter([
            Fact::Identity { id, presence: Presence::Proved },
            Fact::Role { id, role: Role::NetworkServer },
            Fact::Service { id, protocol: "station", port: Some(server.port), protected: false },
        ])
    }
}

fn forward(frame: &[u8], hint: &str, direction: Direction, carrier: &dyn Record, cx: &mut Cx<'_>) {
    cx.forward(Carried { kind: PHY_PAYLOAD, hint, channel: Channel::Datagram, direction, bytes: frame, carrier });
}

fn malformed(json: &Json<'_>) -> Anomalies {
    let mut odd = Anomalies::default();
    if let Some(offset) = json.broken() {
        odd.push_at(&JSON_MALFORMED, offset);
    }
    odd
}

/// Servers can put tokens into the query.
fn without_query(uri: Cow<'_, str>) -> Cow<'_, str> {
    match uri.split_once('?') {
        Some((path, _)) => Cow::Owned(path.to_owned()),
        None => uri,
    }
}
