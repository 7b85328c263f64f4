//! What one device address sent and was sent, as far as downlinks are judged by it.

use super::super::lorawan_radio::{GatewayAt, Reception};
use super::orders::{Harm, Signal, harm};
use super::usual::{Given, given};
use crate::findings::Evidence;
use crate::hot::owned::Seen;
use citytap_sensor::protocols::lorawan::commands;
use citytap_sensor::protocols::lorawan::wire::{DataFrame, Link};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use smallvec::SmallVec;

/// Uplinks in a row, none missing, after which it is known that none asked for an acknowledgement.
const ROW: u32 = 8;

/// Steps of the counter that are no step of one device, after which the address is taken for shared.
const ODD: u32 = 2;

/// The largest step of one device that lost frames.
const STEP: u16 = 1_024;

/// The last window closes by then: RX1 opens after at most 15 s, RX2 a second later.
const WINDOWS: Nanos = 17 * SECOND;

/// Gateways at which the last uplink was heard.
const GATEWAYS: usize = 8;

/// Uplinks from which a device's windows are judged.
const HEARD: u32 = 8;

/// Settings remembered that a device was given: those of a channel plan.
const GIVEN: usize = 16;

/// The gateway's clock is known to so many microseconds: what comes over a slow backhaul makes it look behind.
const CLOCK_US: i32 = 5_000_000;

/// Frequencies on which devices of class C listen all the time: RX2 of the regions (RP002-1.0.4 §2).
const RX2_HZ: &[u64] = &[
    869_525_000,
    923_300_000,
    505_300_000,
    434_665_000,
    866_550_000,
    921_900_000,
    923_200_000,
    921_400_000,
    916_600_000,
    917_300_000,
    869_100_000,
    786_000_000,
    868_900_000,
    486_900_000,
    498_300_000,
    485_300_000,
    486_300_000,
    496_500_000,
    497_700_000,
];

/// What is known of one address.
#[derive(Default)]
pub(super) struct Device {
    pub(super) uplinks: u32,
    last: Option<(u16, Timestamp)>,
    /// Uplinks in a row, none missing and none confirmed.
    row: u32,
    odd: u32,
    class_b: bool,
    /// Where the last uplink was heard, by the gateways' clocks.
    heard: SmallVec<[(GatewayAt, Option<u32>); 2]>,
    signal: Option<Signal>,
    /// FOpts that did not read as commands: encrypted, so that those that read are chance.
    unreadable: bool,
    pub(super) downlinks: u32,
    /// The last downlink's counter, by whether it was for an application: 1.1 counts the two apart.
    down: [Option<u16>; 2],
    repeat: [Option<(u16, Seen)>; 2],
    in_window: u32,
    pub(super) out_of_window: Evidence,
    pub(super) out_on_hz: Option<u64>,
    pub(super) acks: Evidence,
    pub(super) acks_judged: u32,
    pub(super) replays: Evidence,
    /// Orders in the clear, and those that a key made readable.
    orders: [Option<Box<Orders>>; 2],
}

/// What a device was ordered.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) messages: u32,
    pub(super) harms: SmallVec<[(Harm, Evidence); 1]>,
    pub(super) given: SmallVec<[(Given, Seen); 2]>,
}

/// How a downlink is to be sent.
pub(super) struct Sending<'e> {
    pub(super) timing: Option<&'e str>,
    /// Microseconds after the uplink, where the carrier says so.
    pub(super) delay_us: Option<u32>,
    /// The gateway's clock when it was told, microseconds, as far as it is known.
    pub(super) now_us: Option<u32>,
    pub(super) frequency_hz: Option<u64>,
}

impl Device {
    /// An uplink that was not heard before.
    pub(super) fn uplink(&mut self, data: &DataFrame<'_>, reception: &Reception, signal: Signal) {
        self.uplinks = self.uplinks.saturating_add(1);
        let step = self.last.map_or(1, |(last, _)| data.f_cnt_lsb.wrapping_sub(last));
        // A counter that starts again is one of a new session.
        let new_session = data.f_cnt_lsb <= 3 && step > STEP;
        if new_session {
            (self.down, self.repeat) = Default::default();
        } else if step > STEP || step == 0 {
            self.odd += 1;
        }
        self.row = if step == 1 && !data.confirmed { self.row.saturating_add(1) } else { u32::from(!data.confirmed) };
        self.last = Some((data.f_cnt_lsb, reception.time()));
        self.class_b = data.f_ctrl.class_b() == Some(true);
        self.signal = Some(signal);
        self.heard.clear();
        self.hear(reception);
        self.readable(Link::Up, data.f_opts);
    }

    /// The last uplink was heard by another gateway too, or was sent again.
    pub(super) fn copy(&mut self, data: &DataFrame<'_>, reception: &Reception, signal: Signal) {
        let Some((_, when)) = self.last.as_mut().filter(|(last, _)| *last == data.f_cnt_lsb) else { return };
        *when = reception.time();
        if let Some(best) = &mut self.signal {
            best.snr_db = best.snr_db.max(signal.snr_db);
        }
        self.hear(reception);
    }

    fn hear(&mut self, reception: &Reception) {
        let Some(at) = reception.at() else { return };
        self.heard.retain(|(gateway, _)| *gateway != at);
        if self.heard.len() < GATEWAYS {
            self.heard.push((at, reception.tmst_us));
        }
    }

    /// Whether what is sent to the address can be judged: one device, that was heard.
    pub(super) fn is_one(&self) -> bool {
        self.odd < ODD && self.uplinks > 0
    }

    /// A downlink that was not sent before.
    pub(super) fn downlink(&mut self, data: &DataFrame<'_>, reception: &Reception, sending: &Sending<'_>, tolerance: Nanos) {
        self.downlinks = self.downlinks.saturating_add(1);
        let side = usize::from(data.f_port.unwrap_or(0) > 0);
        if let Some(last) = self.down.get_mut(side) {
            let on = last.is_none_or(|last| (1..=0x7fff).contains(&data.f_cnt_lsb.wrapping_sub(last)));
            if on {
                // What was repeated meanwhile did not come from a server that had lost its counters.
                let repeated = self.repeat.get_mut(side).and_then(Option::take);
                if let Some((_, seen)) = repeated.filter(|(f_cnt, _)| data.f_cnt_lsb.wrapping_sub(*f_cnt) > 1) {
                    self.replays.add(seen, "lorawan.f_cnt_lsb");
                }
            }
            *last = Some(data.f_cnt_lsb);
        }
        self.window(reception, sending, tolerance);
        self.acknowledged(data, reception);
        self.ordered(data, reception.seen);
    }

    /// A downlink that was sent before, and not a moment ago.
    pub(super) fn again(&mut self, data: &DataFrame<'_>, reception: &Reception) {
        let side = usize::from(data.f_port.unwrap_or(0) > 0);
        let Some(last) = self.down.get(side).copied().flatten() else { return };
        let behind = last.wrapping_sub(data.f_cnt_lsb);
        // Confirmed messages are sent again until they are acknowledged, and groups get theirs from several gateways.
        let old = !data.confirmed && (1..=0x7fff).contains(&behind) && data.f_cnt_lsb > 0;
        if let Some(repeat) = self.repeat.get_mut(side).filter(|_| old) {
            *repeat = Some((data.f_cnt_lsb, reception.seen));
        }
    }

    fn window(&mut self, reception: &Reception, sending: &Sending<'_>, tolerance: Nanos) {
        let Some((_, uplink)) = self.last else { return };
        let near = |time: Nanos, tolerance: Nanos| {
            let off = time % SECOND;
            time >= SECOND - tolerance && time <= WINDOWS && off.min(SECOND - off) <= tolerance
        };
        let met = match sending.timing {
            Some("at_tmst") => {
                let heard = self.heard.iter().find(|(gateway, _)| Some(*gateway) == reception.at()).and_then(|(_, tmst)| *tmst);
                let Some(delay) = heard.zip(reception.tmst_us).map(|(up, down)| u64::from(down.wrapping_sub(up)) * 1_000) else {
                    return;
                };
                // After the windows it may answer an uplink that was not seen here.
                if delay > WINDOWS {
                    return;
                }
                near(delay, tolerance)
            }
            // The carrier names the uplink by its time on the gateway's clock, and says how long after it.
            Some("after_uplink") => {
                let exact = sending.delay_us.map(|us| near(u64::from(us) * 1_000, tolerance));
                let its_own =
                    self.heard.iter().any(|(gateway, tmst)| Some(*gateway) == reception.at() && *tmst == reception.tmst_us);
                let age = || Some(sending.now_us?.wrapping_sub(reception.tmst_us?) as i32);
                let stale = match its_own {
                    true => Some(reception.time().since(uplink) > WINDOWS),
                    false => age().map(|age| age > (WINDOWS / 1_000) as i32 + CLOCK_US),
                };
                match (exact, stale) {
                    (None, None) => return,
                    (exact, stale) => exact != Some(false) && stale != Some(true),
                }
            }
            // A server that sends at once meets a window as exactly as its network lets it.
            Some("immediately") => near(reception.time().since(uplink), SECOND / 2),
            _ => return,
        };
        let class_c = sending.frequency_hz.is_none_or(|frequency| RX2_HZ.contains(&frequency));
        if met {
            self.in_window = self.in_window.saturating_add(1);
        } else if !class_c && !self.class_b && self.uplinks >= HEARD && self.is_one() {
            self.out_on_hz = sending.frequency_hz;
            self.out_of_window.add(reception.seen, "lorawan.tmst_us");
        }
    }

    fn acknowledged(&mut self, data: &DataFrame<'_>, reception: &Reception) {
        let Some((_, uplink)) = self.last else { return };
        let known = self.row >= ROW && self.is_one() && reception.time().since(uplink) <= WINDOWS;
        if known {
            self.acks_judged = self.acks_judged.saturating_add(1);
            if data.f_ctrl.ack() {
                self.acks.add(reception.seen, "lorawan.ack");
            }
        }
    }

    fn ordered(&mut self, data: &DataFrame<'_>, seen: Seen) {
        self.readable(Link::Down, data.f_opts);
        self.order(data.f_opts, false, seen);
    }

    /// Orders, as bytes; `decrypted` are those that a key made readable.
    pub(super) fn order(&mut self, bytes: &[u8], decrypted: bool, seen: Seen) {
        let (Some(signal), true) = (self.signal, !bytes.is_empty() && self.is_one()) else { return };
        let Some(orders) = self.orders.get_mut(usize::from(decrypted)) else { return };
        let orders = orders.get_or_insert_default();
        orders.messages = orders.messages.saturating_add(1);
        let walk = commands::parse(Link::Down, bytes);
        if !walk.complete {
            return;
        }
        for given in given(&walk.commands) {
            if orders.given.len() < GIVEN && !orders.given.iter().any(|(known, _)| *known == given) {
                orders.given.push((given, seen));
            }
        }
        let Some(harm) = harm(&walk.commands, signal) else { return };
        match orders.harms.iter_mut().find(|(known, _)| *known == harm) {
            Some((_, evidence)) => evidence.add(seen, "lorawan.commands"),
            None => orders.harms.push((harm, Evidence::one(seen, "lorawan.commands"))),
        }
    }

    /// Its orders, as far as they could be read: where FOpts are encrypted, what reads as a command in them is chance.
    pub(super) fn orders(&self) -> impl Iterator<Item = &Orders> {
        let [clear, decrypted] = &self.orders;
        clear.iter().filter(|_| !self.unreadable).chain(decrypted).map(|orders| &**orders)
    }

    fn readable(&mut self, link: Link, f_opts: &[u8]) {
        self.unreadable |= !f_opts.is_empty() && !commands::parse(link, f_opts).complete;
    }

    /// Whether its FOpts are commands.
    pub(super) fn is_readable(&self) -> bool {
        !self.unreadable
    }

    /// Whether it mostly is sent to in its windows: others listen always.
    pub(super) fn is_class_a(&self) -> bool {
        self.out_of_window.count <= u64::from(self.in_window.max(1))
    }
}
