//! Radio metadata of a frame, as its carrier tells it. Carriers name these fields alike; what a carrier does not have stays empty.

use crate::observation::{Eui, FieldId, KindId, Record, Value};

/// What the carrier tells of a frame's reception or transmission.
#[derive(Clone, Copy, Default)]
pub(super) struct Reception<'a> {
    pub(super) gateway: Option<Eui>,
    pub(super) frequency_hz: Option<u32>,
    pub(super) data_rate: Option<&'a str>,
    pub(super) rssi_dbm: Option<f32>,
    pub(super) snr_db: Option<f32>,
    pub(super) tmst_us: Option<u32>,
    pub(super) checksum_right: Option<bool>,
    pub(super) timing: Option<&'static str>,
    pub(super) delay_us: Option<u32>,
}

/// Where a kind of carrier has the fields: looked up once for each kind.
#[derive(Clone, Copy)]
pub(super) struct CarrierFields {
    kind: KindId,
    gateway: Option<FieldId>,
    frequency_hz: Option<FieldId>,
    data_rate: Option<FieldId>,
    rssi_dbm: Option<FieldId>,
    snr_db: Option<FieldId>,
    tmst_us: Option<FieldId>,
    checksum: Option<FieldId>,
    device_class: Option<FieldId>,
    gps_time: Option<FieldId>,
    immediately: Option<FieldId>,
    timing: Option<FieldId>,
    delay_us: Option<FieldId>,
    delay_s: Option<FieldId>,
}

impl CarrierFields {
    /// Whether these are the fields of this carrier.
    pub(super) fn are_of(&self, carrier: &dyn Record) -> bool {
        self.kind == carrier.kind().id
    }

    pub(super) fn of(carrier: &dyn Record) -> Self {
        let kind = carrier.kind();
        let find = |name| kind.field(name).map(|(id, _)| id);
        Self {
            kind: kind.id,
            gateway: find("gateway"),
            frequency_hz: find("frequency_hz"),
            data_rate: find("data_rate"),
            rssi_dbm: find("rssi_dbm"),
            snr_db: find("snr_db"),
            tmst_us: find("tmst_us"),
            checksum: find("stat").or(find("crc")),
            device_class: find("device_class"),
            gps_time: find("gps_time_ms").or(find("gps_time_us")),
            immediately: find("immediately"),
            timing: find("timing"),
            delay_us: find("delay_us"),
            delay_s: find("rx_delay_s"),
        }
    }

    pub(super) fn read<'a>(&self, carrier: &'a dyn Record) -> Reception<'a> {
        let value = |id: Option<FieldId>| id.map_or(Value::Absent, |id| carrier.field(id));
        Reception {
            gateway: match value(self.gateway) {
                Value::Id { value, .. } => Some(Eui(value)),
                _ => None,
            },
            frequency_hz: whole(value(self.frequency_hz)),
            data_rate: match value(self.data_rate) {
                Value::Text(text) => Some(text),
                _ => None,
            },
            rssi_dbm: fraction(value(self.rssi_dbm)),
            snr_db: fraction(value(self.snr_db)),
            tmst_us: whole(value(self.tmst_us)),
            checksum_right: match value(self.checksum) {
                // GWMP: 1 right, 0 none, -1 wrong.
                Value::Unsigned(stat) => Some(stat == 1),
                Value::Signed(stat) => Some(stat == 1),
                Value::Text("ok") => Some(true),
                Value::Text("bad") => Some(false),
                _ => None,
            },
            timing: self.timing(value),
            delay_us: whole(value(self.delay_us)).or_else(|| whole(value(self.delay_s))?.checked_mul(1_000_000)),
        }
    }

    fn timing<'a>(&self, value: impl Fn(Option<FieldId>) -> Value<'a>) -> Option<&'static str> {
        match value(self.timing) {
            Value::Text("immediately") => return Some("immediately"),
            Value::Text("delay") => return Some("after_uplink"),
            Value::Text("gps_epoch") => return Some("at_gps_time"),
            _ => {}
        }
        // What is asked to be sent has one of these; what was received has neither.
        let at = match (self.immediately, self.device_class) {
            (Some(_), _) => "at_tmst",
            (None, Some(_)) => "after_uplink",
            (None, None) => return None,
        };
        match (value(self.immediately), value(self.gps_time), value(self.tmst_us)) {
            (_, Value::Unsigned(1..) | Value::Signed(1..), _) => Some("at_gps_time"),
            (Value::Bool(true), ..) => Some("immediately"),
            (.., Value::Unsigned(_)) => Some(at),
            _ => None,
        }
    }
}

fn whole(value: Value<'_>) -> Option<u32> {
    match value {
        Value::Unsigned(value) => u32::try_from(value).ok(),
        _ => None,
    }
}

fn fraction(value: Value<'_>) -> Option<f32> {
    match value {
        Value::Float(value) => Some(value as f32),
        Value::Signed(value) => Some(value as f32),
        Value::Unsigned(value) => Some(value as f32),
        _ => None,
    }
}
