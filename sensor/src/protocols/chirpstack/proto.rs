//! Messages in Protocol Buffers. Version 4 keeps version 3's layouts as legacy fields, so that one reader serves both; where a number means
//! different things in both, the wire type or the topic tells them apart.

use super::message::{Downlink, LOG_CODE, LOG_LEVEL, Lists, Radio, TX_ACK_STATUS, crc, dev_addr, dev_addr_text, eui};
use super::record::{DeviceCommand, DeviceEvent, GatewayAck, GatewayStats};
use super::topic;
use crate::observation::{Eui, Untold};
use crate::protobuf::{Field, Fields};
use std::borrow::Cow;

/// `UplinkFrame`.
pub(super) fn uplink(fields: &mut Fields<'_>, radio: &mut Radio) -> bool {
    let mut readable = true;
    for (number, field) in fields {
        match number {
            1 => readable &= field.bytes().is_some_and(|bytes| radio.set_frame(bytes)),
            2 | 4 => uplink_tx_info(field.message(), radio),
            3 => drop(rx_info_legacy(field.message(), radio)),
            5 => drop(rx_info(field.message(), radio)),
            _ => {}
        }
    }
    readable
}

/// `DownlinkFrame`, also with the single payload of early versions 3.
pub(super) fn downlink(fields: &mut Fields<'_>, downlink: &mut Downlink) -> bool {
    let mut readable = true;
    let mut single = Radio::default();
    for (number, field) in fields {
        match number {
            1 => readable &= field.bytes().is_some_and(|bytes| single.set_frame(bytes)),
            2 => downlink_tx_info_legacy(field.message(), &mut single),
            3 => downlink.id = field.unsigned(),
            5 => {
                let mut item = Radio::default();
                for (number, field) in field.message() {
                    match number {
                        1 => readable &= field.bytes().is_some_and(|bytes| item.set_frame(bytes)),
                        2 => downlink_tx_info_legacy(field.message(), &mut item),
                        3 => downlink_tx_info(field.message(), &mut item),
                        _ => {}
                    }
                }
                downlink.push(item);
            }
            _ => {}
        }
    }
    if downlink.items.is_empty() && single.frame.is_some() {
        downlink.push(single);
    }
    readable
}

/// `GatewayStats`.
pub(super) fn stats<'a>(fields: &mut Fields<'a>, record: &mut GatewayStats<'a>) {
    for (number, field) in fields {
        match number {
            3 => (record.latitude, record.longitude, record.altitude_m) = location(field.message()),
            4 => record.config_version = field.text().map(Cow::Borrowed),
            5 => record.rx_received = field.unsigned(),
            6 => record.rx_ok = field.unsigned(),
            7 => record.tx_received = field.unsigned(),
            8 => record.tx_emitted = field.unsigned(),
            9 => record.ip = field.text().map(Cow::Borrowed),
            10 => match entry(field.message()) {
                ("model", value) => record.model = Some(Cow::Borrowed(value)),
                ("concentratord_version", value) => record.concentratord_version = Some(Cow::Borrowed(value)),
                ("hal_version", value) => record.hal_version = Some(Cow::Borrowed(value)),
                _ => {}
            },
            _ => {}
        }
    }
}

/// `DownlinkTxAck`.
pub(super) fn ack<'a>(fields: &mut Fields<'a>, record: &mut GatewayAck<'a>) {
    for (number, field) in fields {
        match number {
            2 => record.downlink_id = field.unsigned(),
            3 => record.status = field.text().filter(|error| !error.is_empty()).map(Cow::Borrowed),
            // The state 0 (IGNORED) leaves the item empty.
            5 => record.status = named(&TX_ACK_STATUS, field.message().next().map_or(Field::Varint(0), |(_, status)| status)),
            _ => {}
        }
    }
}

/// `ConnState`: 1 is online.
pub(super) fn online(fields: &mut Fields<'_>) -> bool {
    fields.fold(false, |online, (number, field)| if number == 2 { field.unsigned() == Some(1_u8) } else { online })
}

/// The command of `GatewayCommandExecRequest`.
pub(super) fn exec_command<'a>(fields: &mut Fields<'a>) -> Option<Cow<'a, str>> {
    fields.find(|(number, _)| *number == 2).and_then(|(_, field)| field.text()).map(Cow::Borrowed)
}

/// The events of version 4's `integration.proto`.
pub(super) fn device_event<'a>(fields: &mut Fields<'a>, record: &mut DeviceEvent<'a>, lists: &mut Lists<'a>) {
    let event = record.event;
    for (number, field) in fields {
        match (event, number) {
            ("log", 2) => device_info(field.message(), record, lists),
            ("log", 3) => record.level = named(&LOG_LEVEL, field),
            ("log", 4) => record.code = named(&LOG_CODE, field),
            ("log", 5) => record.description = field.text().map(Cow::Borrowed),
            ("log", _) => {}
            (_, 3) => device_info(field.message(), record, lists),
            ("up" | "join", 4) => record.dev_addr = field.text().and_then(dev_addr_text),
            ("up", 5) => record.adr = field.bool(),
            ("up", 6) => record.dr = field.unsigned(),
            ("up", 7) => record.f_cnt = field.unsigned(),
            ("up", 8) => record.f_port = field.unsigned(),
            ("up", 9) => record.confirmed = field.bool(),
            ("up", 10) => {
                record.payload_length = length(field);
                record.payload_digest = field.bytes().map_or_else(Untold::default, Untold::of);
            }
            ("up", 11) => record.decoded = true,
            ("up", 12) => {
                let mut radio = Radio::default();
                let gateway = rx_info(field.message(), &mut radio);
                lists.heard(gateway, &radio, record);
            }
            ("up", 13) => record.frequency_hz = frequency(field),
            ("ack", 5) => record.acknowledged = field.bool(),
            ("ack", 6) | ("txack", 5) => record.f_cnt = field.unsigned(),
            ("txack", 6) => record.gateway = field.text().and_then(topic::eui),
            ("status", 5) => record.margin_db = field.signed().and_then(|margin| i16::try_from(margin).ok()),
            ("status", 6) => record.external_power = field.bool(),
            ("status", 8) => record.battery_percent = field.float().map(|level| level as f32),
            ("location", 4) => (record.latitude, record.longitude, _) = location(field.message()),
            _ => {}
        }
    }
}

/// The events of version 3's `integration.proto`.
pub(super) fn device_event_3<'a>(fields: &mut Fields<'a>, record: &mut DeviceEvent<'a>, lists: &mut Lists<'a>) {
    let event = record.event;
    for (number, field) in fields {
        match (event, number) {
            (_, 2) => record.application_name = field.text().map(Cow::Borrowed),
            (_, 3) => record.device_name = field.text().map(Cow::Borrowed),
            ("up", 5) | ("join", 6) => {
                let mut radio = Radio::default();
                let gateway = rx_info_legacy(field.message(), &mut radio);
                lists.heard(gateway, &radio, record);
            }
            ("up", 6) | ("join", 7) => record.frequency_hz = frequency(field),
            ("up", 7) => record.adr = field.bool(),
            ("up" | "join", 8) => record.dr = field.unsigned(),
            ("up", 9) => record.f_cnt = field.unsigned(),
            ("up", 10) => record.f_port = field.unsigned(),
            ("up", 11) => {
                record.payload_length = length(field);
                record.payload_digest = field.bytes().map_or_else(Untold::default, Untold::of);
            }
            ("up", 12) => record.decoded = true,
            ("up", 14) => record.confirmed = field.bool(),
            ("up", 15) | ("join", 5) => record.dev_addr = field.bytes().and_then(dev_addr),
            ("ack", 5) => record.acknowledged = field.bool(),
            ("ack", 6) | ("txack", 5) => record.f_cnt = field.unsigned(),
            ("error", 6) => record.description = field.text().map(Cow::Borrowed),
            ("status", 5) => record.margin_db = field.signed().and_then(|margin| i16::try_from(margin).ok()),
            ("status", 6) => record.external_power = field.bool(),
            ("status", 8) => record.battery_percent = field.float().map(|level| level as f32),
            ("location", 5) => (record.latitude, record.longitude, _) = location(field.message()),
            ("up", 13) | ("join" | "status", 9) | ("error", 8) | ("ack", 7) | ("txack" | "location", 6) => {
                let (key, value) = entry(field.message());
                lists.tag(Cow::Borrowed(key), Cow::Borrowed(value));
            }
            _ => {}
        }
    }
}

/// `DownlinkCommand`.
pub(super) fn device_command(fields: &mut Fields<'_>, record: &mut DeviceCommand<'_>) {
    for (number, field) in fields {
        match number {
            3 => record.confirmed = field.bool(),
            4 => record.f_port = field.unsigned(),
            5 => record.payload_length = length(field),
            _ => {}
        }
    }
}

fn device_info<'a>(fields: Fields<'a>, record: &mut DeviceEvent<'a>, lists: &mut Lists<'a>) {
    for (number, field) in fields {
        match number {
            2 => record.tenant_name = field.text().map(Cow::Borrowed),
            4 => record.application_name = field.text().map(Cow::Borrowed),
            6 => record.device_profile_name = field.text().map(Cow::Borrowed),
            7 => record.device_name = field.text().map(Cow::Borrowed),
            9 => {
                let (key, value) = entry(field.message());
                lists.tag(Cow::Borrowed(key), Cow::Borrowed(value));
            }
            _ => {}
        }
    }
}

/// Version 3 has the modulation beside its name, version 4 inside it; the numbers within are the same.
fn uplink_tx_info(fields: Fields<'_>, radio: &mut Radio) {
    for (number, field) in fields {
        match number {
            1 => radio.frequency_hz = field.unsigned(),
            2 => modulation(field.message(), radio),
            3 => lora(field.message(), radio),
            4 => radio.bit_rate = bit_rate(field.message()),
            _ => {}
        }
    }
}

fn downlink_tx_info_legacy(fields: Fields<'_>, radio: &mut Radio) {
    // A timing of 0 (immediately) is not written.
    radio.timing = Some("immediately");
    for (number, field) in fields {
        match number {
            5 => radio.frequency_hz = field.unsigned(),
            6 => radio.power_dbm = field.signed().and_then(|power| i8::try_from(power).ok()),
            8 => lora(field.message(), radio),
            9 => radio.bit_rate = bit_rate(field.message()),
            12 => {
                radio.timing =
                    field.unsigned().and_then(|timing: usize| ["immediately", "delay", "gps_epoch"].get(timing).copied())
            }
            14 => radio.delay_us = delay_us(field),
            16 => radio.set_context(field.bytes().unwrap_or_default()),
            _ => {}
        }
    }
}

fn downlink_tx_info(fields: Fields<'_>, radio: &mut Radio) {
    for (number, field) in fields {
        match number {
            1 => radio.frequency_hz = field.unsigned(),
            2 => radio.power_dbm = field.signed().and_then(|power| i8::try_from(power).ok()),
            3 => modulation(field.message(), radio),
            6 => {
                radio.timing = match field.message().next() {
                    Some((1, _)) => Some("immediately"),
                    Some((2, timing)) => {
                        radio.delay_us = delay_us(timing);
                        Some("delay")
                    }
                    Some((3, _)) => Some("gps_epoch"),
                    _ => None,
                };
            }
            7 => radio.set_context(field.bytes().unwrap_or_default()),
            _ => {}
        }
    }
}

/// `DelayTimingInfo`: a duration in its first field, seconds and nanoseconds.
fn delay_us(timing: Field<'_>) -> Option<u32> {
    let (mut seconds, mut nanos) = (0u32, 0u32);
    let (_, duration) = timing.message().find(|(number, _)| *number == 1)?;
    for (number, field) in duration.message() {
        match number {
            1 => seconds = field.unsigned()?,
            2 => nanos = field.unsigned()?,
            _ => {}
        }
    }
    seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000)
}

fn modulation(fields: Fields<'_>, radio: &mut Radio) {
    for (number, field) in fields {
        match number {
            3 => lora(field.message(), radio),
            4 => radio.bit_rate = bit_rate(field.message()),
            _ => {}
        }
    }
}

fn lora(fields: Fields<'_>, radio: &mut Radio) {
    for (number, field) in fields {
        match number {
            1 => radio.bandwidth = field.unsigned(),
            2 => radio.spreading_factor = field.unsigned(),
            _ => {}
        }
    }
}

fn bit_rate(mut fields: Fields<'_>) -> Option<u32> {
    fields.find(|(number, _)| *number == 2).and_then(|(_, field)| field.unsigned())
}

/// `UplinkRxInfo`; answers the gateway.
fn rx_info(fields: Fields<'_>, radio: &mut Radio) -> Option<Eui> {
    let mut gateway = None;
    // A state of 0 (no checksum) is not written.
    radio.crc = Some("none");
    for (number, field) in fields {
        match number {
            1 => gateway = field.text().and_then(topic::eui),
            6 => radio.rssi_dbm = field.signed().map(|rssi| rssi as f32),
            7 => radio.snr_db = field.float().map(|snr| snr as f32),
            8 => radio.channel = field.unsigned(),
            13 => radio.set_context(field.bytes().unwrap_or_default()),
            16 => radio.crc = field.unsigned().and_then(crc),
            _ => {}
        }
    }
    gateway
}

/// `UplinkRXInfo` of version 3; answers the gateway.
fn rx_info_legacy(fields: Fields<'_>, radio: &mut Radio) -> Option<Eui> {
    let mut gateway = None;
    for (number, field) in fields {
        match number {
            1 => gateway = field.bytes().and_then(eui),
            5 => radio.rssi_dbm = field.signed().map(|rssi| rssi as f32),
            6 => radio.snr_db = field.float().map(|snr| snr as f32),
            7 => radio.channel = field.unsigned(),
            15 => radio.set_context(field.bytes().unwrap_or_default()),
            17 => radio.crc = field.unsigned().and_then(crc),
            _ => {}
        }
    }
    gateway
}

/// Latitude, longitude, altitude.
fn location(fields: Fields<'_>) -> (Option<f64>, Option<f64>, Option<f64>) {
    let (mut latitude, mut longitude, mut altitude) = (None, None, None);
    for (number, field) in fields {
        match number {
            1 => latitude = field.float(),
            2 => longitude = field.float(),
            3 => altitude = field.float(),
            _ => {}
        }
    }
    (latitude, longitude, altitude)
}

fn frequency(field: Field<'_>) -> Option<u32> {
    let mut radio = Radio::default();
    uplink_tx_info(field.message(), &mut radio);
    radio.frequency_hz
}

/// An entry of a map from text to text.
fn entry<'a>(fields: Fields<'a>) -> (&'a str, &'a str) {
    let (mut key, mut value) = ("", "");
    for (number, field) in fields {
        match number {
            1 => key = field.text().unwrap_or_default(),
            2 => value = field.text().unwrap_or_default(),
            _ => {}
        }
    }
    (key, value)
}

fn length(field: Field<'_>) -> Option<u32> {
    field.bytes().and_then(|bytes| u32::try_from(bytes.len()).ok())
}

/// The name of an enumeration's value; beyond those known the number.
fn named(names: &[&'static str], field: Field<'_>) -> Option<Cow<'static, str>> {
    let value: usize = field.unsigned()?;
    Some(names.get(value).map_or_else(|| Cow::Owned(value.to_string()), |name| Cow::Borrowed(*name)))
}
