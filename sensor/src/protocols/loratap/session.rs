//! The decoder: one frame a message. It remembers the gateway that it told of.

use super::record::Packet;
use super::wire::{Header, SYNC_WORD_LORAWAN, SYNC_WORD_PRIVATE};
use crate::flow::Direction;
use crate::observation::{Anomalies, Eui, Fact, Presence, Role};
use crate::protocols::heard::Heard;
use crate::protocols::lorawan::{PHY_PAYLOAD, data_rate_name, gateway_eui};
use crate::protocols::{Carried, Channel, Cx, Decoder, Input, Step};
use smallvec::SmallVec;

/// Ways in which headers depart from the definition.
pub mod anomalies {
    use crate::anomalies;
    anomalies! {
        /// The header is cut, or its length field leaves no room for it or is longer than the frame.
        HEADER_MALFORMED = "loratap.header_malformed",
        /// A version beyond 1; what is known of it is read as version 1.
        VERSION_UNKNOWN = "loratap.version_unknown",
        /// A header of version 1 or later that is too short for version 1's fields.
        EXTENSION_MISSING = "loratap.extension_missing",
    }
}

use anomalies::{EXTENSION_MISSING, HEADER_MALFORMED, VERSION_UNKNOWN};

#[derive(Default)]
pub(super) struct Session {
    gateway: Option<Eui>,
    heard: Heard,
}

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let taken = Step::Consumed(input.bytes.len());
        let Some((header, payload)) = Header::parse(input.bytes) else {
            cx.anomaly(input.direction, &HEADER_MALFORMED);
            return taken;
        };
        let mut odd = Anomalies::default();
        if header.version > 1 {
            odd.push_at(&VERSION_UNKNOWN, 0);
        }
        if header.version > 0 && header.extension.is_none() {
            odd.push_at(&EXTENSION_MISSING, 2);
        }
        let record = packet(&header, payload);
        let facts = self.gateway_facts(record.gateway, cx);
        cx.emit(input.direction, &record, &facts, &odd);
        if is_lorawan(&header) && !payload.is_empty() {
            let hint = match record.iq_inverted {
                Some(true) => "downlink",
                Some(false) => "uplink",
                None => "",
            };
            let (kind, channel, direction, bytes, carrier) = (PHY_PAYLOAD, Channel::Datagram, input.direction, payload, &record);
            cx.forward(Carried { kind, hint, channel, direction, bytes, carrier });
        }
        taken
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        if let Some(rest) = self.gateway.and_then(|gateway| self.heard.rest(gateway_eui(gateway.0))) {
            cx.facts(Direction::ToServer, &[rest]);
        }
    }
}

impl Session {
    fn gateway_facts(&mut self, gateway: Option<Eui>, cx: &Cx<'_>) -> SmallVec<[Fact<'static>; 2]> {
        let Some(eui) = gateway else { return SmallVec::new() };
        let id = gateway_eui(eui.0);
        if self.gateway == gateway {
            return self.heard.message(id, cx).into_iter().collect();
        }
        let before = self.gateway.replace(eui).map(|before| gateway_eui(before.0));
        let rest = self.heard.turn(before, cx);
        let told = [Fact::Identity { id, presence: Presence::Mentioned }, Fact::Role { id, role: Role::RadioGateway }];
        told.into_iter().chain(rest).collect()
    }
}

/// Whether the payload can be a LoRaWAN frame that was received whole.
fn is_lorawan(header: &Header) -> bool {
    let intact = header.extension.is_none_or(|extension| extension.crc() != Some("bad") && !extension.implicit_header());
    intact && matches!(header.sync_word, SYNC_WORD_LORAWAN | SYNC_WORD_PRIVATE)
}

fn packet(header: &Header, payload: &[u8]) -> Packet {
    let extension = header.extension;
    Packet {
        version: header.version,
        frequency_hz: header.frequency_hz,
        bandwidth_hz: header.bandwidth_hz,
        spreading_factor: header.spreading_factor,
        data_rate: data_rate_name(u32::from(header.spreading_factor), header.bandwidth_hz),
        rssi_dbm: header.packet_rssi_dbm.or(header.current_rssi_dbm),
        max_rssi_dbm: header.max_rssi_dbm,
        current_rssi_dbm: header.current_rssi_dbm,
        snr_db: header.snr_db,
        sync_word: header.sync_word,
        gateway: extension.map(|extension| Eui(extension.gateway)).filter(|eui| eui.0 != 0),
        tmst_us: extension.map(|extension| extension.tmst_us),
        modulation: extension.map(|extension| if extension.is_fsk() { "FSK" } else { "LORA" }),
        iq_inverted: extension.map(|extension| extension.iq_inverted()),
        implicit_header: extension.map(|extension| extension.implicit_header()),
        crc: extension.and_then(|extension| extension.crc()),
        code_rate: extension.map(|extension| extension.code_rate),
        fsk_data_rate: extension.filter(|extension| extension.is_fsk()).map(|extension| extension.fsk_data_rate),
        if_channel: extension.map(|extension| extension.if_channel),
        rf_chain: extension.map(|extension| extension.rf_chain),
        tag: extension.map(|extension| extension.tag),
        payload_length: u16::try_from(payload.len()).unwrap_or(u16::MAX),
    }
}
