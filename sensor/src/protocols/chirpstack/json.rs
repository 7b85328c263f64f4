//! Messages in JSON: the JSON mapping of the Protocol Buffers messages, with the key spellings of versions 3 and 4.

use super::message::{Downlink, Lists, Radio, crc_named, dev_addr, dev_addr_text, eui};
use super::record::{DeviceCommand, DeviceEvent, GatewayAck, GatewayStats};
use super::topic;
use crate::json::{Json, Kind, Scalar};
use crate::observation::{DevAddr, Eui, Untold};
use crate::protocols::lorawan::{BASE64, wire::PHY_PAYLOAD_MAX};
use base64::Engine;

/// `UplinkFrame`; answers whether the payload was readable or absent.
pub(super) fn uplink(json: &mut Json<'_>, radio: &mut Radio) -> bool {
    let mut readable = true;
    json.members(|key, json| match key {
        b"phyPayload" => readable &= frame(json.scalar(), radio),
        b"txInfo" | b"txInfoLegacy" => tx_info(json, radio),
        b"rxInfo" | b"rxInfoLegacy" => drop(rx_info(json, radio)),
        _ => {}
    });
    readable
}

/// `DownlinkFrame`, also with the single payload of early versions 3.
pub(super) fn downlink(json: &mut Json<'_>, downlink: &mut Downlink) -> bool {
    let mut readable = true;
    let mut single = Radio::default();
    json.members(|key, json| match key {
        b"downlinkId" | b"token" => downlink.id = json.scalar().unsigned(),
        b"phyPayload" => readable &= frame(json.scalar(), &mut single),
        b"txInfo" => tx_info(json, &mut single),
        b"items" => drop(json.items(|json| {
            let mut item = Radio::default();
            readable &= uplink(json, &mut item);
            downlink.push(item);
        })),
        _ => {}
    });
    if downlink.items.is_empty() && single.frame.is_some() {
        downlink.push(single);
    }
    readable
}

/// `GatewayStats`.
pub(super) fn stats<'a>(json: &mut Json<'a>, record: &mut GatewayStats<'a>) {
    json.members(|key, json| match key {
        b"ip" => record.ip = json.scalar().text(),
        b"location" => {
            json.members(|key, json| match key {
                b"latitude" => record.latitude = json.scalar().f64(),
                b"longitude" => record.longitude = json.scalar().f64(),
                b"altitude" => record.altitude_m = json.scalar().f64(),
                _ => {}
            });
        }
        b"configVersion" => record.config_version = json.scalar().text(),
        b"rxPacketsReceived" => record.rx_received = json.scalar().unsigned(),
        b"rxPacketsReceivedOk" | b"rxPacketsReceivedOK" => record.rx_ok = json.scalar().unsigned(),
        b"txPacketsReceived" => record.tx_received = json.scalar().unsigned(),
        b"txPacketsEmitted" => record.tx_emitted = json.scalar().unsigned(),
        b"metadata" | b"metaData" => drop(json.members(|key, json| match key {
            b"model" => record.model = json.scalar().text(),
            b"concentratord_version" => record.concentratord_version = json.scalar().text(),
            b"hal_version" => record.hal_version = json.scalar().text(),
            _ => {}
        })),
        _ => {}
    });
}

/// `DownlinkTxAck`.
pub(super) fn ack<'a>(json: &mut Json<'a>, record: &mut GatewayAck<'a>) {
    json.members(|key, json| match key {
        b"downlinkId" | b"token" => record.downlink_id = json.scalar().unsigned(),
        b"error" => record.status = json.scalar().text().filter(|error| !error.is_empty()).or(record.status.take()),
        b"items" => drop(json.items(|json| {
            json.members(|key, json| {
                if key == b"status" {
                    record.status = json.scalar().text();
                }
            });
        })),
        _ => {}
    });
}

/// `ConnState`: whether the gateway is online.
pub(super) fn online(json: &mut Json<'_>) -> bool {
    let mut online = false;
    json.members(|key, json| {
        if key == b"state" {
            online = matches!(json.scalar().plain(), Some("ONLINE" | "1"));
        }
    });
    online
}

/// The command of `GatewayCommandExecRequest`.
pub(super) fn exec_command<'a>(json: &mut Json<'a>) -> Option<std::borrow::Cow<'a, str>> {
    let mut command = None;
    json.members(|key, json| {
        if key == b"command" {
            command = json.scalar().text();
        }
    });
    command
}

/// The events of `integration.proto`.
pub(super) fn device_event<'a>(json: &mut Json<'a>, record: &mut DeviceEvent<'a>, lists: &mut Lists<'a>) {
    json.members(|key, json| match key {
        b"deviceInfo" => device_info(json, record, lists),
        b"applicationName" => record.application_name = json.scalar().text(),
        b"deviceName" => record.device_name = json.scalar().text(),
        b"deviceProfileName" => record.device_profile_name = json.scalar().text(),
        b"tags" => tags(json, lists),
        b"devAddr" => record.dev_addr = json.scalar().plain().and_then(any_dev_addr),
        b"fCnt" | b"fCntDown" => record.f_cnt = json.scalar().unsigned(),
        b"fPort" => record.f_port = json.scalar().unsigned(),
        b"adr" => record.adr = json.scalar().bool(),
        b"dr" => record.dr = json.scalar().unsigned(),
        b"confirmed" | b"confirmedUplink" => record.confirmed = json.scalar().bool(),
        b"data" => {
            let scalar = json.scalar();
            record.payload_length = decoded_length(scalar);
            record.payload_digest = payload_digest(scalar);
        }
        b"object" | b"objectJSON" => record.decoded = !matches!(json.kind(), Kind::Literal),
        b"rxInfo" => drop(json.items(|json| {
            let mut radio = Radio::default();
            let gateway = rx_info(json, &mut radio);
            lists.heard(gateway, &radio, record);
        })),
        b"txInfo" => {
            let mut radio = Radio::default();
            tx_info(json, &mut radio);
            record.frequency_hz = radio.frequency_hz;
        }
        b"acknowledged" => record.acknowledged = json.scalar().bool(),
        b"margin" => record.margin_db = json.scalar().i64().and_then(|margin| i16::try_from(margin).ok()),
        b"externalPowerSource" => record.external_power = json.scalar().bool(),
        b"batteryLevel" => record.battery_percent = json.scalar().f64().map(|level| level as f32),
        b"location" => drop(json.members(|key, json| match key {
            b"latitude" => record.latitude = json.scalar().f64(),
            b"longitude" => record.longitude = json.scalar().f64(),
            _ => {}
        })),
        b"level" | b"type" => record.level = json.scalar().text(),
        b"code" => record.code = json.scalar().text(),
        b"description" | b"error" => record.description = json.scalar().text(),
        _ => {}
    });
}

/// `DownlinkCommand`.
pub(super) fn device_command(json: &mut Json<'_>, record: &mut DeviceCommand<'_>) {
    json.members(|key, json| match key {
        b"fPort" => record.f_port = json.scalar().unsigned(),
        b"confirmed" => record.confirmed = json.scalar().bool(),
        b"data" => record.payload_length = decoded_length(json.scalar()),
        _ => {}
    });
}

fn device_info<'a>(json: &mut Json<'a>, record: &mut DeviceEvent<'a>, lists: &mut Lists<'a>) {
    json.members(|key, json| match key {
        b"tenantName" => record.tenant_name = json.scalar().text(),
        b"applicationName" => record.application_name = json.scalar().text(),
        b"deviceProfileName" => record.device_profile_name = json.scalar().text(),
        b"deviceName" => record.device_name = json.scalar().text(),
        b"tags" => tags(json, lists),
        _ => {}
    });
}

fn tags<'a>(json: &mut Json<'a>, lists: &mut Lists<'a>) {
    json.members(|key, json| {
        if let Some(value) = json.scalar().text() {
            lists.tag(String::from_utf8_lossy(key), value);
        }
    });
}

fn tx_info(json: &mut Json<'_>, radio: &mut Radio) {
    json.members(|key, json| match key {
        b"frequency" => radio.frequency_hz = json.scalar().unsigned(),
        b"power" => radio.power_dbm = json.scalar().i64().and_then(|power| i8::try_from(power).ok()),
        b"modulation" if json.kind() == Kind::Object => drop(json.members(|key, json| match key {
            b"lora" => lora(json, radio),
            b"fsk" => fsk(json, radio),
            _ => {}
        })),
        b"loRaModulationInfo" | b"loraModulationInfo" => lora(json, radio),
        b"fskModulationInfo" => fsk(json, radio),
        b"timing" if json.kind() == Kind::Object => drop(json.members(|key, json| match key {
            b"immediately" => radio.timing = Some("immediately"),
            b"delay" => {
                radio.timing = Some("delay");
                delay(json, radio);
            }
            b"gpsEpoch" => radio.timing = Some("gps_epoch"),
            _ => {}
        })),
        b"delayTimingInfo" => delay(json, radio),
        b"timing" => {
            radio.timing = match json.scalar().plain() {
                Some("IMMEDIATELY") => Some("immediately"),
                Some("DELAY") => Some("delay"),
                Some("GPS_EPOCH") => Some("gps_epoch"),
                _ => None,
            };
        }
        b"context" => context(json.scalar(), radio),
        _ => {}
    });
}

/// `DelayTimingInfo`: a duration as the JSON mapping of Protocol Buffers writes it, `1s` or `1.400s`.
fn delay(json: &mut Json<'_>, radio: &mut Radio) {
    if json.kind() != Kind::Object {
        return;
    }
    json.members(|key, json| {
        if key == b"delay" {
            let seconds = json.scalar().plain().and_then(|text| text.strip_suffix('s')?.parse::<f64>().ok());
            radio.delay_us =
                seconds.filter(|seconds| (0.0..4_000.0).contains(seconds)).map(|seconds| (seconds * 1e6).round() as u32);
        }
    });
}

fn lora(json: &mut Json<'_>, radio: &mut Radio) {
    json.members(|key, json| match key {
        b"bandwidth" => radio.bandwidth = json.scalar().unsigned(),
        b"spreadingFactor" => radio.spreading_factor = json.scalar().unsigned(),
        _ => {}
    });
}

fn fsk(json: &mut Json<'_>, radio: &mut Radio) {
    json.members(|key, json| {
        if key == b"datarate" {
            radio.bit_rate = json.scalar().unsigned();
        }
    });
}

/// `UplinkRxInfo`; answers the gateway.
fn rx_info(json: &mut Json<'_>, radio: &mut Radio) -> Option<Eui> {
    let mut gateway = None;
    json.members(|key, json| match key {
        b"gatewayId" | b"gatewayID" => gateway = json.scalar().plain().and_then(any_eui),
        b"rssi" => radio.rssi_dbm = json.scalar().f64().map(|rssi| rssi as f32),
        b"snr" | b"loRaSNR" | b"loraSnr" => radio.snr_db = json.scalar().f64().map(|snr| snr as f32),
        b"channel" => radio.channel = json.scalar().unsigned(),
        b"crcStatus" => radio.crc = json.scalar().plain().and_then(crc_named),
        b"context" => context(json.scalar(), radio),
        _ => {}
    });
    gateway
}

fn frame(scalar: Scalar<'_>, radio: &mut Radio) -> bool {
    let mut buffer = [0; PHY_PAYLOAD_MAX + 3];
    let length = scalar.bytes().and_then(|text| BASE64.decode_slice(&text, &mut buffer).ok());
    length.and_then(|length| buffer.get(..length)).is_some_and(|bytes| radio.set_frame(bytes))
}

fn context(scalar: Scalar<'_>, radio: &mut Radio) {
    let mut buffer = [0; 48];
    let length = scalar.bytes().and_then(|text| BASE64.decode_slice(&text, &mut buffer).ok());
    radio.set_context(length.and_then(|length| buffer.get(..length)).unwrap_or_default());
}

/// Hex in version 4 and in the JSON of later versions 3, base64 in the Protocol Buffers mapping.
fn any_eui(text: &str) -> Option<Eui> {
    topic::eui(text).or_else(|| {
        let mut buffer = [0; 9];
        let length = BASE64.decode_slice(text, &mut buffer).ok()?;
        eui(buffer.get(..length)?)
    })
}

fn any_dev_addr(text: &str) -> Option<DevAddr> {
    dev_addr_text(text).or_else(|| {
        let mut buffer = [0; 6];
        let length = BASE64.decode_slice(text, &mut buffer).ok()?;
        dev_addr(buffer.get(..length)?)
    })
}

/// Digest of what base64 text decodes to, where it has room for it in a frame.
fn payload_digest(scalar: Scalar<'_>) -> Untold {
    let mut buffer = [0; PHY_PAYLOAD_MAX + 3];
    let length = scalar.bytes().and_then(|text| BASE64.decode_slice(&text, &mut buffer).ok());
    length.and_then(|length| buffer.get(..length)).map_or_else(Untold::default, Untold::of)
}

/// Length of what base64 text decodes to.
fn decoded_length(scalar: Scalar<'_>) -> Option<u32> {
    let text = scalar.bytes()?;
    let digits = text.iter().filter(|byte| **byte != b'=').count();
    u32::try_from(digits / 4 * 3 + (digits % 4).saturating_sub(1)).ok()
}
