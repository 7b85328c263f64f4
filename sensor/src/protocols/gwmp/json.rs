//! The JSON bodies: PROTOCOL.TXT §4 (`rxpk`, `stat`) and §6 (`txpk`, `txpk_ack`). One pass, borrowed; unknown keys are stepped over.

use super::record::{PullResp, RadioSignal, RxPacket, Stat, TxAck};
use super::session::anomalies::{BASE64_MALFORMED, DUPLICATE_KEY, FIELD_TYPE, PAYLOAD_TOO_LONG, SIZE_MISMATCH};
use crate::json::{Json, Scalar};
use crate::observation::{Anomalies, AnomalyCode};
use crate::protocols::lorawan::BASE64;
use crate::protocols::lorawan::wire::PHY_PAYLOAD_MAX;
use base64::Engine;
use smallvec::SmallVec;

/// Antennas of version 2 gateways: one or two.
pub(super) type Signals<'a> = SmallVec<[RadioSignal<'a>; 2]>;

/// A radio payload out of its base64.
pub(super) struct Payload {
    bytes: [u8; PHY_PAYLOAD_MAX + 3],
    length: Option<usize>,
}

impl Payload {
    pub(super) fn none() -> Self {
        Self { bytes: [0; PHY_PAYLOAD_MAX + 3], length: None }
    }

    /// The payload, where there was one that could be read.
    pub(super) fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length?)
    }

    pub(super) fn length(&self) -> Option<u16> {
        self.length.and_then(|length| u16::try_from(length).ok())
    }

    fn decode(&mut self, scalar: Scalar<'_>, odd: &mut Anomalies) {
        if self.length.is_some() {
            once(odd, &DUPLICATE_KEY);
        }
        let Some(text) = scalar.bytes() else {
            once(odd, &FIELD_TYPE);
            return;
        };
        // Four characters are three bytes.
        if text.len() > self.bytes.len() / 3 * 4 {
            once(odd, &PAYLOAD_TOO_LONG);
            return;
        }
        match BASE64.decode_slice(&text, &mut self.bytes) {
            Ok(length) if length <= PHY_PAYLOAD_MAX => self.length = Some(length),
            Ok(_) => once(odd, &PAYLOAD_TOO_LONG),
            Err(_) => once(odd, &BASE64_MALFORMED),
        }
    }
}

/// Fills a field. The last of several wins, as in most readers of JSON, and is marked.
fn field<'a, T>(odd: &mut Anomalies, slot: &mut Option<T>, json: &mut Json<'a>, read: impl FnOnce(Scalar<'a>) -> Option<T>) {
    fill(odd, slot, json.scalar(), read);
}

/// Fills a number or boolean. These belong outside quotes; inside they are taken, and marked.
fn bare<'a, T>(odd: &mut Anomalies, slot: &mut Option<T>, json: &mut Json<'a>, read: impl FnOnce(Scalar<'a>) -> Option<T>) {
    let scalar = json.scalar();
    if scalar.is_text() {
        once(odd, &FIELD_TYPE);
    }
    fill(odd, slot, scalar, read);
}

fn fill<'a, T>(odd: &mut Anomalies, slot: &mut Option<T>, scalar: Scalar<'a>, read: impl FnOnce(Scalar<'a>) -> Option<T>) {
    if matches!(scalar, Scalar::Null) {
        return;
    }
    if slot.is_some() {
        once(odd, &DUPLICATE_KEY);
    }
    match read(scalar) {
        Some(value) => *slot = Some(value),
        None => once(odd, &FIELD_TYPE),
    }
}

/// Notes an oddity of the message once.
fn once(odd: &mut Anomalies, code: &'static AnomalyCode) {
    if !odd.iter().any(|anomaly| std::ptr::eq(anomaly.code, code)) {
        odd.push(code);
    }
}

fn f32(scalar: Scalar<'_>) -> Option<f32> {
    scalar.f64().map(|value| value as f32)
}

fn hertz(scalar: Scalar<'_>) -> Option<u32> {
    scalar.scaled(6).and_then(|value| u32::try_from(value).ok())
}

fn whole<T: TryFrom<i64>>(scalar: Scalar<'_>) -> Option<T> {
    // Some forwarders write whole numbers with a fraction (`"foff":12.0`).
    scalar.scaled(0).and_then(|value| T::try_from(value).ok())
}

/// One object of `rxpk`. `record` comes with what the datagram says.
pub(super) fn rx_packet<'a>(
    json: &mut Json<'a>,
    record: &mut RxPacket<'a>,
    signals: &mut Signals<'a>,
    payload: &mut Payload,
    odd: &mut Anomalies,
) {
    // The clock beside `rxpk` gives way to the packet's own.
    let time_beside = record.time.take();
    json.members(|key, json| match key {
        b"tmst" => bare(odd, &mut record.tmst_us, json, |value| value.unsigned()),
        b"time" => field(odd, &mut record.time, json, |value| value.text()),
        b"tmms" => bare(odd, &mut record.gps_time_ms, json, |value| value.u64()),
        b"ftime" => bare(odd, &mut record.fine_time_ns, json, |value| value.unsigned()),
        b"freq" => bare(odd, &mut record.frequency_hz, json, hertz),
        b"chan" => bare(odd, &mut record.chan, json, |value| value.unsigned()),
        b"rfch" => bare(odd, &mut record.rfch, json, |value| value.unsigned()),
        b"mid" => bare(odd, &mut record.mid, json, |value| value.unsigned()),
        b"brd" => bare(odd, &mut record.board, json, |value| value.unsigned()),
        b"ant" => bare(odd, &mut record.antenna, json, |value| value.unsigned()),
        b"stat" => bare(odd, &mut record.stat, json, whole),
        b"modu" => field(odd, &mut record.modulation, json, |value| value.text()),
        b"datr" => field(odd, &mut record.data_rate, json, |value| value.text()),
        b"codr" => field(odd, &mut record.code_rate, json, |value| value.text()),
        b"rssi" => bare(odd, &mut record.rssi_dbm, json, f32),
        b"rssis" => bare(odd, &mut record.rssi_signal_dbm, json, f32),
        b"lsnr" => bare(odd, &mut record.snr_db, json, f32),
        b"foff" => bare(odd, &mut record.frequency_offset_hz, json, whole),
        b"hpw" => bare(odd, &mut record.hopping_width, json, |value| value.unsigned()),
        b"aesk" => bare(odd, &mut record.aes_key_index, json, |value| value.unsigned()),
        b"jver" => bare(odd, &mut record.jver, json, |value| value.unsigned()),
        b"size" => bare(odd, &mut record.size, json, |value| value.unsigned()),
        b"data" => payload.decode(json.scalar(), odd),
        b"rsig" => {
            json.items(|json| {
                let signal = signal(json, odd);
                if signals.len() < signals.inline_size() {
                    signals.push(signal);
                }
            });
        }
        _ => {}
    });
    record.time = record.time.take().or(time_beside);
    record.payload_length = payload.length();
    if let Some(first) = signals.first() {
        record.rssi_dbm = record.rssi_dbm.or(first.rssi_channel_dbm);
        record.snr_db = record.snr_db.or(first.snr_db);
    }
    compare_sizes(record.size, record.payload_length, odd);
}

fn signal<'a>(json: &mut Json<'a>, odd: &mut Anomalies) -> RadioSignal<'a> {
    let mut signal = RadioSignal {
        ant: None,
        chan: None,
        rssi_channel_dbm: None,
        rssi_signal_dbm: None,
        rssi_deviation: None,
        snr_db: None,
        frequency_offset_hz: None,
        fine_time_ns: None,
        encrypted_time: false,
        fine_time_status: None,
    };
    json.members(|key, json| match key {
        b"ant" => bare(odd, &mut signal.ant, json, |value| value.unsigned()),
        b"chan" => bare(odd, &mut signal.chan, json, |value| value.unsigned()),
        b"rssic" => bare(odd, &mut signal.rssi_channel_dbm, json, f32),
        b"rssis" => bare(odd, &mut signal.rssi_signal_dbm, json, f32),
        b"rssisd" => bare(odd, &mut signal.rssi_deviation, json, f32),
        b"lsnr" => bare(odd, &mut signal.snr_db, json, f32),
        b"foff" => bare(odd, &mut signal.frequency_offset_hz, json, whole),
        b"ftime" => bare(odd, &mut signal.fine_time_ns, json, |value| value.unsigned()),
        b"etime" => signal.encrypted_time = true,
        b"ftstat" => field(odd, &mut signal.fine_time_status, json, |value| value.plain()),
        _ => {}
    });
    signal
}

/// The object of `txpk`.
pub(super) fn pull_resp<'a>(json: &mut Json<'a>, record: &mut PullResp<'a>, payload: &mut Payload, odd: &mut Anomalies) {
    json.members(|key, json| match key {
        b"imme" => bare(odd, &mut record.immediately, json, |value| value.bool()),
        b"tmst" => bare(odd, &mut record.tmst_us, json, |value| value.unsigned()),
        b"time" => field(odd, &mut record.time, json, |value| value.text()),
        b"tmms" => bare(odd, &mut record.gps_time_ms, json, |value| value.u64()),
        b"freq" => bare(odd, &mut record.frequency_hz, json, hertz),
        b"rfch" => bare(odd, &mut record.rfch, json, |value| value.unsigned()),
        b"powe" => bare(odd, &mut record.power_dbm, json, whole),
        b"modu" => field(odd, &mut record.modulation, json, |value| value.text()),
        b"datr" => field(odd, &mut record.data_rate, json, |value| value.text()),
        b"codr" => field(odd, &mut record.code_rate, json, |value| value.text()),
        b"fdev" => bare(odd, &mut record.frequency_deviation_hz, json, |value| value.unsigned()),
        b"ipol" => bare(odd, &mut record.inverted_polarization, json, |value| value.bool()),
        b"prea" => bare(odd, &mut record.preamble, json, |value| value.unsigned()),
        b"ncrc" => bare(odd, &mut record.no_crc, json, |value| value.bool()),
        b"nhdr" => bare(odd, &mut record.no_header, json, |value| value.bool()),
        b"brd" => bare(odd, &mut record.board, json, |value| value.unsigned()),
        b"ant" => bare(odd, &mut record.antenna, json, |value| value.unsigned()),
        b"size" => bare(odd, &mut record.size, json, |value| value.unsigned()),
        b"data" => payload.decode(json.scalar(), odd),
        _ => {}
    });
    record.payload_length = payload.length();
    compare_sizes(record.size, record.payload_length, odd);
}

/// The object of `stat`.
pub(super) fn stat<'a>(json: &mut Json<'a>, record: &mut Stat<'a>, odd: &mut Anomalies) {
    json.members(|key, json| match key {
        b"time" => field(odd, &mut record.time, json, |value| value.text()),
        b"boot" => field(odd, &mut record.boot, json, |value| value.text()),
        b"lati" => bare(odd, &mut record.latitude, json, |value| value.f64()),
        b"long" => bare(odd, &mut record.longitude, json, |value| value.f64()),
        b"alti" => bare(odd, &mut record.altitude_m, json, whole),
        b"rxnb" => bare(odd, &mut record.rx_received, json, |value| value.unsigned()),
        b"rxok" => bare(odd, &mut record.rx_ok, json, |value| value.unsigned()),
        b"rxfw" => bare(odd, &mut record.rx_forwarded, json, |value| value.unsigned()),
        b"ackr" => bare(odd, &mut record.acknowledged_percent, json, f32),
        b"dwnb" => bare(odd, &mut record.downlinks_received, json, |value| value.unsigned()),
        b"txnb" => bare(odd, &mut record.tx_emitted, json, |value| value.unsigned()),
        b"temp" => bare(odd, &mut record.temperature_c, json, f32),
        b"cpur" => bare(odd, &mut record.cpu_percent, json, f32),
        b"memr" => bare(odd, &mut record.memory_percent, json, f32),
        b"lpps" => bare(odd, &mut record.lost_pps, json, |value| value.unsigned()),
        b"pfrm" => field(odd, &mut record.platform, json, |value| value.text()),
        b"desc" => field(odd, &mut record.description, json, |value| value.text()),
        b"fpga" => field(odd, &mut record.fpga, json, |value| value.text()),
        b"dsp" => field(odd, &mut record.dsp, json, |value| value.text()),
        b"hal" => field(odd, &mut record.hal, json, |value| value.text()),
        b"mail" => record.has_mail = json.scalar().bytes().is_some_and(|text| !text.is_empty()),
        _ => {}
    });
}

/// The object of `txpk_ack`.
pub(super) fn tx_ack<'a>(json: &mut Json<'a>, record: &mut TxAck<'a>, odd: &mut Anomalies) {
    json.members(|key, json| match key {
        b"error" => field(odd, &mut record.error, json, |value| value.text()),
        b"warn" => field(odd, &mut record.warning, json, |value| value.text()),
        b"value" => bare(odd, &mut record.value, json, |value| value.f64()),
        _ => {}
    });
}

fn compare_sizes(told: Option<u16>, counted: Option<u16>, odd: &mut Anomalies) {
    if let (Some(told), Some(counted)) = (told, counted)
        && told != counted
    {
        once(odd, &SIZE_MISMATCH);
    }
}
