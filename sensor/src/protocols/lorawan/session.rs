//! The decoder: one frame a message. The only state is what was told already, so that a device that reports every minute is told once.

use super::reception::{CarrierFields, Reception};
use super::record::{DataFrame, Facts, JoinAccept, JoinRequest, Proprietary, RejoinRequest, Unreadable};
use super::said::{Said, Saying};
use super::wire::{self, Frame, Link, NotAFrame, PhyPayload};
use super::{address::NetId, commands, dev_addr, dev_eui};
use crate::observation::{Anomalies, Eui, Hex, Identity};
use crate::protocols::{Cx, Decoder, Input, Step};

/// Ways in which frames depart from the specification.
pub mod anomalies {
    use crate::anomalies;
    anomalies! {
        /// The frame's length is not one that its type can have (TS001-1.0.4 §4.1, §6.2).
        FRAME_LENGTH = "lorawan.frame_length",
        /// FCtrl announces more FOpts bytes than the frame has (TS001-1.0.4 §4.3.1.6).
        F_OPTS_LENGTH = "lorawan.f_opts_length",
        /// A rejoin-request of a type that is not defined (LoRaWAN 1.1 §6.2.4).
        REJOIN_TYPE = "lorawan.rejoin_type",
        /// FOpts does not read as MAC commands: proprietary, cut, or encrypted as in 1.1 (LoRaWAN 1.1 §4.3.1.6).
        F_OPTS_UNREADABLE = "lorawan.f_opts_unreadable",
        /// MAC commands in FOpts and on port 0 at once (TS001-1.0.4 §4.3.1.6).
        F_OPTS_WITH_PORT_0 = "lorawan.f_opts_with_port_0",
        /// A reserved FPort, 225 to 255 (TS001-1.0.4 §4.3.2).
        F_PORT_RESERVED = "lorawan.f_port_reserved",
        /// A frame type of one direction where the carrier passes on the other: a gateway heard a downlink, or is to send an uplink.
        DIRECTION = "lorawan.direction",
    }
}

use anomalies::{DIRECTION, F_OPTS_LENGTH, F_OPTS_UNREADABLE, F_OPTS_WITH_PORT_0, F_PORT_RESERVED, FRAME_LENGTH, REJOIN_TYPE};

#[derive(Default)]
pub(super) struct Session {
    carrier: Option<CarrierFields>,
    said: Said,
}

impl Decoder for Session {
    fn message(&mut self, input: Input<'_>, cx: &mut Cx<'_>) -> Step {
        let reception = self.reception(cx);
        match PhyPayload::parse(input.bytes) {
            Ok(phy) => self.frame(&phy, reception, input, cx),
            Err(NotAFrame::Empty | NotAFrame::OtherVersion(_)) => return Step::GiveUp,
            Err(other) => unreadable(other, reception, input, cx),
        }
        Step::Consumed(input.bytes.len())
    }

    fn close(&mut self, cx: &mut Cx<'_>) {
        self.said.close(cx);
    }
}

impl Session {
    fn reception<'c>(&mut self, cx: &Cx<'c>) -> Reception<'c> {
        let Some(carrier) = cx.carrier() else { return Reception::default() };
        let fields = match self.carrier {
            Some(fields) if fields.are_of(carrier) => fields,
            _ => *self.carrier.insert(CarrierFields::of(carrier)),
        };
        fields.read(carrier)
    }

    fn frame(&mut self, phy: &PhyPayload<'_>, reception: Reception<'_>, input: Input<'_>, cx: &mut Cx<'_>) {
        let mut odd = Anomalies::default();
        if phy
            .mhdr
            .f_type
            .link()
            .is_some_and(|link| [Link::Up.name(), Link::Down.name()].contains(&cx.hint()) && link.name() != cx.hint())
        {
            odd.push_at(&DIRECTION, 0);
        }
        let phy_payload = Hex(phy.bytes);
        let mic = Hex(phy.mic().unwrap_or_default());
        let Reception { gateway, frequency_hz, data_rate, rssi_dbm, snr_db, tmst_us, checksum_right, timing, delay_us } =
            reception;
        let direction = input.direction;
        match phy.frame {
            Frame::JoinRequest(wire::JoinRequest { join_eui, dev_eui: eui, dev_nonce }) => {
                let record = JoinRequest {
                    join_eui,
                    dev_eui: eui,
                    dev_nonce,
                    mic,
                    phy_payload,
                    gateway,
                    frequency_hz,
                    data_rate,
                    rssi_dbm,
                    snr_db,
                    tmst_us,
                    checksum_right,
                    timing,
                    delay_us,
                };
                let said = (eui.0, gateway, 0x100);
                let facts = self.unless_said(said, dev_eui(eui.0), cx, || record.facts());
                cx.emit(direction, &record, &facts, &odd);
            }
            Frame::RejoinRequest(wire::RejoinRequest { rejoin_type, net_id, join_eui, dev_eui: eui, rj_count }) => {
                let record = RejoinRequest {
                    rejoin_type,
                    net_id,
                    join_eui,
                    dev_eui: eui,
                    rj_count,
                    mic,
                    phy_payload,
                    gateway,
                    frequency_hz,
                    data_rate,
                    rssi_dbm,
                    snr_db,
                    tmst_us,
                    checksum_right,
                    timing,
                    delay_us,
                };
                let said = (eui.0, gateway, 0x200);
                let facts = self.unless_said(said, dev_eui(eui.0), cx, || record.facts());
                cx.emit(direction, &record, &facts, &odd);
            }
            Frame::JoinAccept(encrypted) => {
                let has_cf_list = encrypted.len() > 16;
                let record = JoinAccept {
                    has_cf_list,
                    phy_payload,
                    gateway,
                    frequency_hz,
                    data_rate,
                    rssi_dbm,
                    snr_db,
                    tmst_us,
                    checksum_right,
                    timing,
                    delay_us,
                };
                cx.emit(direction, &record, &[], &odd);
            }
            Frame::Proprietary(payload) => {
                let payload_length = length(payload);
                let record = Proprietary {
                    payload_length,
                    phy_payload,
                    gateway,
                    frequency_hz,
                    data_rate,
                    rssi_dbm,
                    snr_db,
                    tmst_us,
                    checksum_right,
                    timing,
                    delay_us,
                };
                cx.emit(direction, &record, &[], &odd);
            }
            Frame::Data(data) => {
                let walk = commands::parse(data.link, data.f_opts);
                note_oddities(&data, walk.complete, &mut odd);
                let record = DataFrame {
                    direction: data.link.name(),
                    confirmed: data.confirmed,
                    dev_addr: data.dev_addr,
                    net_id: NetId::of(data.dev_addr),
                    f_ctrl: data.f_ctrl.octet,
                    adr: data.f_ctrl.adr(),
                    adr_ack_req: data.f_ctrl.adr_ack_req(),
                    ack: data.f_ctrl.ack(),
                    f_pending: data.f_ctrl.f_pending(),
                    class_b: data.f_ctrl.class_b(),
                    f_cnt_lsb: data.f_cnt_lsb,
                    f_opts: (!data.f_opts.is_empty()).then_some(Hex(data.f_opts)),
                    commands: &walk.commands,
                    commands_complete: (!data.f_opts.is_empty()).then_some(walk.complete),
                    f_port: data.f_port,
                    payload_length: length(data.frm_payload),
                    mic,
                    phy_payload,
                    gateway,
                    frequency_hz,
                    data_rate,
                    rssi_dbm,
                    snr_db,
                    tmst_us,
                    checksum_right,
                    timing,
                    delay_us,
                };
                let uplink = data.link == Link::Up;
                let what = if uplink { 0x300 } else { 0x400 } | u16::from(data.f_port.unwrap_or(0));
                let said = (u64::from(data.dev_addr.0), gateway, what);
                let facts = match uplink {
                    true => self.unless_said(said, dev_addr(data.dev_addr.0), cx, || record.facts(true)),
                    // Being sent to is no activity.
                    false if self.is_new(said, dev_addr(data.dev_addr.0), cx) => record.facts(false),
                    false => Facts::new(),
                };
                cx.emit(direction, &record, &facts, &odd);
            }
        }
    }

    fn is_new(&mut self, (id, gateway, what): (u64, Option<Eui>, u16), identity: Identity<'static>, cx: &Cx<'_>) -> bool {
        self.said.is_new(identity, id, about(gateway, what), cx)
    }

    /// The facts where they are new; else only that the device is active.
    fn unless_said(
        &mut self,
        (id, gateway, what): (u64, Option<Eui>, u16),
        identity: Identity<'static>,
        cx: &Cx<'_>,
        facts: impl FnOnce() -> Facts<'static>,
    ) -> Facts<'static> {
        match self.said.hear(identity, id, about(gateway, what), cx) {
            Saying::New(other) => {
                let mut facts = facts();
                facts.extend(other);
                facts
            }
            Saying::Again(activity) => activity.into_iter().collect(),
        }
    }
}

/// A number that changes with what is told of a device.
fn about(gateway: Option<Eui>, what: u16) -> u64 {
    gateway.map_or(0, |eui| eui.0).rotate_left(16) ^ u64::from(what)
}

fn note_oddities(data: &wire::DataFrame<'_>, commands_complete: bool, odd: &mut Anomalies) {
    if !commands_complete {
        odd.push_at(&F_OPTS_UNREADABLE, 8);
    }
    match data.f_port {
        Some(0) if !data.f_opts.is_empty() => odd.push(&F_OPTS_WITH_PORT_0),
        Some(225..) => odd.push(&F_PORT_RESERVED),
        _ => {}
    }
}

fn unreadable(why: NotAFrame, reception: Reception<'_>, input: Input<'_>, cx: &mut Cx<'_>) {
    let mut odd = Anomalies::default();
    odd.push(match why {
        NotAFrame::FOptsLength(_) => &F_OPTS_LENGTH,
        NotAFrame::RejoinType(_) => &REJOIN_TYPE,
        NotAFrame::Length(_) | NotAFrame::OtherVersion(_) | NotAFrame::Empty => &FRAME_LENGTH,
    });
    let Reception { gateway, frequency_hz, data_rate, rssi_dbm, snr_db, tmst_us, checksum_right, timing, delay_us } = reception;
    let f_type = input.bytes.first().map_or(0, |octet| octet >> 5);
    let phy_payload = Hex(input.bytes);
    let record = Unreadable {
        f_type,
        phy_payload,
        gateway,
        frequency_hz,
        data_rate,
        rssi_dbm,
        snr_db,
        tmst_us,
        checksum_right,
        timing,
        delay_us,
    };
    cx.emit(input.direction, &record, &[], &odd);
}

fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}
