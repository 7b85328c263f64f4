//! What messages say, whatever they are written in.

use super::record::{DeviceEvent, Tag};
use crate::observation::{DevAddr, Eui};
use crate::protocols::lorawan::data_rate_name;
use crate::protocols::lorawan::wire::PHY_PAYLOAD_MAX;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Transmissions read of one downlink.
pub(super) const ITEMS: usize = 8;

/// Gateways told of one uplink.
pub(super) const GATEWAYS: usize = 8;

/// Tags told of one device.
pub(super) const TAGS: usize = 16;

/// A radio payload.
pub(super) type Frame = SmallVec<[u8; PHY_PAYLOAD_MAX + 1]>;

/// A reception or transmission.
#[derive(Default)]
pub(super) struct Radio {
    pub(super) frame: Option<Frame>,
    pub(super) frequency_hz: Option<u32>,
    pub(super) bandwidth: Option<u32>,
    pub(super) spreading_factor: Option<u32>,
    pub(super) bit_rate: Option<u32>,
    pub(super) power_dbm: Option<i8>,
    pub(super) timing: Option<&'static str>,
    pub(super) delay_us: Option<u32>,
    pub(super) rssi_dbm: Option<f32>,
    pub(super) snr_db: Option<f32>,
    pub(super) channel: Option<u32>,
    pub(super) tmst_us: Option<u32>,
    pub(super) crc: Option<&'static str>,
}

/// A downlink.
#[derive(Default)]
pub(super) struct Downlink {
    pub(super) id: Option<u32>,
    pub(super) items: Vec<Radio>,
    /// How many there were, those not read included.
    pub(super) count: usize,
}

/// Lists of a device event, beside its record.
#[derive(Default)]
pub(super) struct Lists<'a> {
    pub(super) gateways: SmallVec<[Eui; 4]>,
    pub(super) tags: SmallVec<[Tag<'a>; 4]>,
}

impl Radio {
    /// Version 3 tells the bandwidth in kHz, version 4 in Hz.
    pub(super) fn data_rate(&self) -> Option<Cow<'static, str>> {
        if let Some(bit_rate) = self.bit_rate {
            return Some(Cow::Owned(bit_rate.to_string()));
        }
        let bandwidth = self.bandwidth?;
        let bandwidth_hz = if bandwidth < 10_000 { bandwidth * 1_000 } else { bandwidth };
        data_rate_name(self.spreading_factor?, bandwidth_hz).map(Cow::Borrowed)
    }

    pub(super) fn payload_length(&self) -> Option<u16> {
        self.frame.as_ref().and_then(|frame| u16::try_from(frame.len()).ok())
    }

    pub(super) fn set_frame(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= PHY_PAYLOAD_MAX;
        if fits {
            self.frame = Some(Frame::from_slice(bytes));
        }
        fits
    }

    /// Four bytes of context are the clock of a packet forwarder's concentrator.
    pub(super) fn set_context(&mut self, bytes: &[u8]) {
        self.tmst_us = bytes.try_into().ok().map(u32::from_be_bytes);
    }
}

impl Downlink {
    pub(super) fn push(&mut self, item: Radio) {
        self.count += 1;
        if self.items.len() < ITEMS {
            self.items.push(item);
        }
    }
}

impl<'a> Lists<'a> {
    /// Notes a gateway that heard the device; the record shows the first.
    pub(super) fn heard(&mut self, gateway: Option<Eui>, radio: &Radio, event: &mut DeviceEvent<'_>) {
        event.gateways += 1;
        if event.gateways == 1 {
            (event.gateway, event.rssi_dbm, event.snr_db) = (gateway, radio.rssi_dbm, radio.snr_db);
        }
        if self.gateways.len() < GATEWAYS {
            self.gateways.extend(gateway);
        }
    }

    pub(super) fn tag(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        if self.tags.len() < TAGS {
            self.tags.push(Tag { key, value });
        }
    }
}

/// A DevAddr in bytes, most significant first.
pub(super) fn dev_addr(bytes: &[u8]) -> Option<DevAddr> {
    bytes.try_into().ok().map(|bytes| DevAddr(u32::from_be_bytes(bytes)))
}

/// An EUI in bytes, most significant first.
pub(super) fn eui(bytes: &[u8]) -> Option<Eui> {
    bytes.try_into().ok().map(|bytes| Eui(u64::from_be_bytes(bytes)))
}

/// 8 hex digits.
pub(super) fn dev_addr_text(text: &str) -> Option<DevAddr> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits { u32::from_str_radix(text, 16).ok().map(DevAddr) } else { None }
}

/// CRCStatus of `gw.proto`.
pub(super) fn crc(status: u64) -> Option<&'static str> {
    ["none", "bad", "ok"].get(usize::try_from(status).ok()?).copied()
}

/// CRCStatus by name.
pub(super) fn crc_named(status: &str) -> Option<&'static str> {
    match status {
        "NO_CRC" => Some("none"),
        "BAD_CRC" => Some("bad"),
        "CRC_OK" => Some("ok"),
        _ => None,
    }
}

/// TxAckStatus of `gw.proto`.
pub(super) const TX_ACK_STATUS: [&str; 12] = [
    "IGNORED",
    "OK",
    "TOO_LATE",
    "TOO_EARLY",
    "COLLISION_PACKET",
    "COLLISION_BEACON",
    "TX_FREQ",
    "TX_POWER",
    "GPS_UNLOCKED",
    "QUEUE_FULL",
    "INTERNAL_ERROR",
    "DUTY_CYCLE_OVERFLOW",
];

/// LogLevel of `integration.proto`.
pub(super) const LOG_LEVEL: [&str; 3] = ["INFO", "WARNING", "ERROR"];

/// LogCode of `integration.proto`.
pub(super) const LOG_CODE: [&str; 9] = [
    "UNKNOWN",
    "DOWNLINK_PAYLOAD_SIZE",
    "UPLINK_CODEC",
    "DOWNLINK_CODEC",
    "OTAA",
    "UPLINK_F_CNT_RESET",
    "UPLINK_MIC",
    "UPLINK_F_CNT_RETRANSMISSION",
    "DOWNLINK_GATEWAY",
];
