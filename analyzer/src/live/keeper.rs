//! Takes each judgement of a run that goes on: tells what is news, and keeps the store.

use super::source::{Notices, Orders};
use super::{News, tell};
use crate::detectors::baseline::learned::Baseline;
use crate::engine::Report;
use crate::engine::live::Listener;
use crate::screen::{counted, moment};
use crate::sinks::Message;
use crate::sinks::courier::{Courier, Delivery};
use crate::store::{Growing, Run, Stand, StoreError};
use citytap_sensor::capture::CaptureInfo;
use citytap_sensor::counters::Counter;
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the store is written, in packet time: what a power cut costs, and with a judgement's interval less than the minute in which a device is
/// to be listed.
pub const STORE_EVERY: Nanos = 30 * SECOND;

/// Writing may take this part of the time at most: a large store is written less often.
const SHARE: Nanos = 10;

/// How often it is tried at the end, while somebody reads the store. Each try waits a second and a half by itself.
const LAST_TRIES: u32 = 8;

/// How long each sink may take at the end for what waits.
const LAST_DELIVERY: Duration = Duration::from_secs(8);

/// What could not be done, so that the process does not end as if it could.
pub type Failures = Vec<String>;

/// The keeper of store and spools.
pub struct Keeper {
    /// To each sink.
    pub couriers: Vec<Courier>,
    /// What was told.
    pub news: News,
    /// The store, where there is one.
    pub store: Option<Growing>,
    /// The site's name.
    pub site: String,
    /// The interfaces.
    pub captures: Arc<Mutex<Vec<CaptureInfo>>>,
    /// Orders from outside.
    pub orders: Orders,
    /// What happened to the tap itself.
    pub notices: Notices,
    next_write: Option<Timestamp>,
    /// What the store last refused, which is told once.
    refused: Option<String>,
}

impl Keeper {
    /// One that has told and kept nothing yet.
    pub fn new(
        couriers: Vec<Courier>,
        news: News,
        store: Option<Growing>,
        site: String,
        captures: Arc<Mutex<Vec<CaptureInfo>>>,
        orders: Orders,
        notices: Notices,
    ) -> Self {
        Self { couriers, news, store, site, captures, orders, notices, next_write: None, refused: None }
    }

    /// Delivers what can be delivered now, and tells how each sink stands.
    pub fn finish(self) -> Failures {
        let mut failures = Vec::from_iter(self.refused.map(|why| format!("the last minutes are not in the store: {why}")));
        for courier in &self.couriers {
            let delivery = courier.finish(LAST_DELIVERY);
            tell(&stands(courier.target(), &delivery));
            if delivery.amounts.in_memory > 0 {
                let messages = counted(delivery.amounts.in_memory, "message", "messages");
                failures.push(format!("{messages} for {} could neither be delivered nor kept on disk", courier.target()));
            }
        }
        failures
    }

    /// What is to be told: of alerts as the store would have them, or as the run alone has them.
    fn news(&mut self, report: &Report, stand: Option<&Stand>, now: Timestamp) -> Vec<Message> {
        let suppress = report.alert_policy.suppress;
        let mut messages = match stand {
            Some(Stand { contents, .. }) => self.news.of(&contents.alerts, &contents.devices, suppress, now),
            None => self.news.of(&report.alerts, &report.inventory, suppress, now),
        };
        messages.extend(self.notices.take().iter().map(|(severity, text)| self.news.of_the_sensor(*severity, text, now)));
        messages
    }

    fn write(&mut self, stand: &Stand, now: Timestamp, last: bool) {
        let Some(store) = &mut self.store else { return };
        if !last && self.next_write.is_some_and(|next| now < next) {
            return;
        }
        let began = Instant::now();
        let mut tries = if last { LAST_TRIES } else { 1 };
        let refused = loop {
            match store.write(stand) {
                Ok(()) => {
                    let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(Nanos::MAX);
                    self.next_write = Some(now.plus(STORE_EVERY.max(took.saturating_mul(SHARE))));
                    break None;
                }
                Err(StoreError::InUse(_)) if tries > 1 => tries -= 1,
                // Somebody reads it: the next judgement tries again.
                Err(StoreError::InUse(_)) if !last => break None,
                Err(error) => {
                    self.next_write = Some(now.plus(STORE_EVERY));
                    break Some(error.to_string());
                }
            }
        };
        match (&refused, &self.refused) {
            (Some(why), before) if Some(why) != before.as_ref() => {
                tell(&format!("the store is not written: {why}; it is tried again"));
            }
            (None, Some(_)) => tell("the store is written again"),
            _ => {}
        }
        self.refused = refused;
    }

    fn status(&self, report: &Report, now: Timestamp) {
        let counters = &report.coverage.counters;
        let packets = counted(counters.get(Counter::Packets), "packet", "packets");
        let (devices, findings) = (report.inventory.count().0, report.judgement.findings.len());
        let devices = counted(devices as u64, "device", "devices");
        let findings = counted(findings as u64, "finding", "findings");
        tell(&format!("{} UTC: {packets}, {devices}, {findings}", moment(now)));
        let dropped = [Counter::PacketsDroppedByKernel, Counter::PacketsDroppedByInterface, Counter::PacketsDroppedInQueue];
        for (counter, count) in
            dropped.into_iter().map(|counter| (counter, counters.get(counter))).filter(|(_, count)| *count > 0)
        {
            tell(&format!("{}: {count}", counter.name()));
        }
        self.couriers.iter().for_each(|courier| tell(&stands(courier.target(), &courier.delivery())));
    }
}

impl Listener for Keeper {
    fn judged(&mut self, report: &Report, now: Timestamp, last: bool) {
        let captures = self.captures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stand = self.store.as_ref().map(|store| store.stand(report, Run::new(report, &captures, &[], &self.site, false)));
        let messages = self.news(report, stand.as_ref(), now);
        for courier in &self.couriers {
            courier.push(messages.clone());
        }
        if let Some(stand) = &stand {
            self.write(stand, now, last);
        }
        if self.orders.status.swap(false, Ordering::Relaxed) {
            self.status(report, now);
        }
    }

    fn decided(&mut self) -> Option<Arc<Baseline>> {
        self.store.as_mut()?.take_decided()
    }

    fn is_waiting(&mut self) -> bool {
        self.orders.status.load(Ordering::Relaxed)
    }
}

/// How delivery to a sink stands, in words.
fn stands(target: &str, delivery: &Delivery) -> String {
    let Delivery { delivered, amounts, away } = delivery;
    let mut parts = vec![format!("{} delivered", counted(*delivered, "message", "messages"))];
    if amounts.waiting > 0 {
        parts.push(format!("{} waiting", amounts.waiting));
    }
    if amounts.lost > 0 {
        parts.push(format!("{} lost because the spool was full", amounts.lost));
    }
    if amounts.damaged > 0 {
        parts.push(format!("{} damaged in the spool", amounts.damaged));
    }
    parts.extend(away.as_ref().map(|why| format!("away: {why}")));
    parts.extend(amounts.disk.as_ref().map(|why| format!("the spool's disk refuses: {why}")));
    format!("{target}: {}", parts.join(", "))
}
