//! Topics `v3/<application>[@<tenant>]/devices/<device>/<event>`, and the messages under them.

use super::record::{DeviceCommand, DeviceEvent};
use crate::json::{Json, Kind, Scalar};
use crate::observation::{DevAddr, Eui, Untold};
use crate::protocols::lorawan::wire::PHY_PAYLOAD_MAX;
use crate::protocols::lorawan::{BASE64, data_rate_name};
use base64::Engine;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Gateways told of one uplink.
pub(super) const GATEWAYS: usize = 8;

/// Gateways that heard an uplink, with their positions in degrees.
pub(super) type Gateways = SmallVec<[(Eui, Option<(f64, f64)>); 4]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topic<'a> {
    pub(super) application_id: &'a str,
    pub(super) tenant_id: Option<&'a str>,
    pub(super) device_id: &'a str,
    pub(super) event: &'a str,
}

impl<'a> Topic<'a> {
    pub(super) fn parse(topic: &'a str) -> Option<Self> {
        let (application, rest) = topic.strip_prefix("v3/")?.split_once("/devices/")?;
        let (device_id, event) = rest.split_once('/')?;
        let known = ["up", "join", "location/solved", "service/data"].contains(&event)
            || event.strip_prefix("down/").is_some_and(|state| !state.is_empty() && !state.contains('/'));
        if !known || device_id.is_empty() || application.contains('/') {
            return None;
        }
        let (application_id, tenant_id) =
            application.split_once('@').map_or((application, None), |(application, tenant)| (application, Some(tenant)));
        Some(Self { application_id, tenant_id, device_id, event })
    }

    /// Whether an application says it, rather than the stack.
    pub(super) fn is_command(self) -> bool {
        matches!(self.event, "down/push" | "down/replace")
    }
}

/// A message of the stack.
pub(super) fn device_event<'a>(json: &mut Json<'a>, record: &mut DeviceEvent<'a>, gateways: &mut Gateways) {
    json.members(|key, json| match key {
        b"end_device_ids" => end_device_ids(json, record),
        b"simulated" => record.simulated = json.scalar().bool() == Some(true),
        b"uplink_message"
        | b"join_accept"
        | b"downlink_ack"
        | b"downlink_nack"
        | b"downlink_sent"
        | b"downlink_queued"
        | b"downlink_queue_invalidated"
        | b"service_data"
        | b"location_solved"
        | b"downlink_failed" => message(json, record, gateways),
        _ => {}
    });
}

/// Downlinks of an application.
pub(super) fn device_command(json: &mut Json<'_>, record: &mut DeviceCommand<'_>) {
    json.members(|key, json| {
        if key == b"downlinks" {
            json.items(|json| {
                record.downlinks += 1;
                if record.downlinks > 1 {
                    return;
                }
                json.members(|key, json| match key {
                    b"f_port" => record.f_port = json.scalar().unsigned(),
                    b"confirmed" => record.confirmed = json.scalar().bool(),
                    b"frm_payload" => record.payload_length = decoded_length(json.scalar()),
                    _ => {}
                });
            });
        }
    });
}

fn end_device_ids(json: &mut Json<'_>, record: &mut DeviceEvent<'_>) {
    json.members(|key, json| match key {
        b"dev_eui" => record.dev_eui = hex(json.scalar(), 16).map(Eui),
        b"join_eui" => record.join_eui = hex(json.scalar(), 16).map(Eui),
        b"dev_addr" => record.dev_addr = hex(json.scalar(), 8).and_then(|address| u32::try_from(address).ok()).map(DevAddr),
        _ => {}
    });
}

/// The message within. Its kinds share their keys; session keys are stepped over.
fn message<'a>(json: &mut Json<'a>, record: &mut DeviceEvent<'a>, gateways: &mut Gateways) {
    json.members(|key, json| match key {
        b"f_port" => record.f_port = json.scalar().unsigned(),
        b"f_cnt" => record.f_cnt = json.scalar().unsigned(),
        b"confirmed" => record.confirmed = json.scalar().bool(),
        b"frm_payload" => {
            let scalar = json.scalar();
            record.payload_length = decoded_length(scalar);
            record.payload_digest = payload_digest(scalar);
        }
        b"decoded_payload" => record.decoded = json.kind() == Kind::Object,
        b"rx_metadata" => drop(json.items(|json| rx_metadata(json, record, gateways))),
        b"settings" => settings(json, record),
        b"version_ids" => version_ids(json, record),
        b"network_ids" => drop(json.members(|key, json| {
            if key == b"net_id" {
                record.net_id = json.scalar().text();
            }
        })),
        // By source: `user` is what a person entered; any is the device's.
        b"locations" => drop(json.members(|_, json| (record.latitude, record.longitude) = location(json))),
        b"location" => (record.latitude, record.longitude) = location(json),
        b"last_battery_percentage" => drop(json.members(|key, json| {
            if key == b"value" {
                record.battery_percent = json.scalar().f64().map(|value| value as f32);
            }
        })),
        b"error" => drop(json.members(|key, json| {
            if key == b"name" {
                record.error = json.scalar().text();
            }
        })),
        b"downlink" => drop(json.members(|key, json| match key {
            b"f_port" => record.f_port = json.scalar().unsigned(),
            b"f_cnt" => record.f_cnt = json.scalar().unsigned(),
            b"confirmed" => record.confirmed = json.scalar().bool(),
            b"frm_payload" => record.payload_length = decoded_length(json.scalar()),
            _ => {}
        })),
        _ => {}
    });
}

fn rx_metadata<'a>(json: &mut Json<'a>, record: &mut DeviceEvent<'a>, gateways: &mut Gateways) {
    let (mut gateway, mut gateway_id, mut rssi_dbm, mut snr_db, mut tmst_us) = (None, None, None, None, None);
    let mut position = None;
    json.members(|key, json| match key {
        b"gateway_ids" => drop(json.members(|key, json| match key {
            b"eui" => gateway = hex(json.scalar(), 16).map(Eui),
            b"gateway_id" => gateway_id = json.scalar().text(),
            _ => {}
        })),
        b"rssi" => rssi_dbm = json.scalar().f64().map(|value| value as f32),
        b"snr" => snr_db = json.scalar().f64().map(|value| value as f32),
        b"timestamp" => tmst_us = json.scalar().unsigned(),
        b"location" => {
            let (latitude, longitude) = location(json);
            position = latitude.zip(longitude);
        }
        _ => {}
    });
    record.gateways += 1;
    if record.gateways == 1 {
        (record.gateway, record.gateway_id) = (gateway, gateway_id);
        (record.rssi_dbm, record.snr_db, record.tmst_us) = (rssi_dbm, snr_db, tmst_us);
    }
    if gateways.len() < GATEWAYS {
        gateways.extend(gateway.map(|gateway| (gateway, position)));
    }
}

fn settings(json: &mut Json<'_>, record: &mut DeviceEvent<'_>) {
    let (mut bandwidth_hz, mut spreading_factor) = (None, None);
    json.members(|key, json| match key {
        b"frequency" => record.frequency_hz = json.scalar().unsigned(),
        b"data_rate" => drop(json.members(|key, json| match key {
            b"lora" => drop(json.members(|key, json| match key {
                b"bandwidth" => bandwidth_hz = json.scalar().unsigned(),
                b"spreading_factor" => spreading_factor = json.scalar().unsigned(),
                _ => {}
            })),
            b"fsk" => drop(json.members(|key, json| {
                if key == b"bit_rate" {
                    record.data_rate = json.scalar().unsigned::<u32>().map(|rate| Cow::Owned(rate.to_string()));
                }
            })),
            _ => {}
        })),
        _ => {}
    });
    if let (Some(spreading_factor), Some(bandwidth_hz)) = (spreading_factor, bandwidth_hz) {
        record.data_rate = data_rate_name(spreading_factor, bandwidth_hz).map(Cow::Borrowed);
    }
}

fn version_ids<'a>(json: &mut Json<'a>, record: &mut DeviceEvent<'a>) {
    json.members(|key, json| match key {
        b"brand_id" => record.brand_id = json.scalar().text(),
        b"model_id" => record.model_id = json.scalar().text(),
        b"hardware_version" => record.hardware_version = json.scalar().text(),
        b"firmware_version" => record.firmware_version = json.scalar().text(),
        b"band_id" => record.band_id = json.scalar().text(),
        _ => {}
    });
}

/// Latitude and longitude. A field that is 0 is left out of these messages.
fn location(json: &mut Json<'_>) -> (Option<f64>, Option<f64>) {
    let (mut latitude, mut longitude) = (None, None);
    json.members(|key, json| match key {
        b"latitude" => latitude = json.scalar().f64(),
        b"longitude" => longitude = json.scalar().f64(),
        _ => {}
    });
    match (latitude, longitude) {
        (None, None) => (None, None),
        _ => (latitude.or(Some(0.0)), longitude.or(Some(0.0))),
    }
}

fn hex(scalar: Scalar<'_>, digits: usize) -> Option<u64> {
    let text = scalar.plain()?;
    let all_digits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all_digits { u64::from_str_radix(text, 16).ok() } else { None }
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
