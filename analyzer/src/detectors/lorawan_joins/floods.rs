//! Floods of join-requests at a gateway: many more than it usually hears, mostly of devices that nobody ever heard.
//!
//! A power cut makes every device of a district join at once, but those were heard before, by name or under a radio address: more strangers than
//! addresses were not.

use crate::findings::{Answer, Evidence, Found, Severity};
use crate::hot::owned::Seen;
use citytap_sensor::observation::Confidence;
use citytap_sensor::time::{Nanos, SECOND};

/// Requests are counted over this time.
pub(super) const WINDOW: Nanos = 600 * SECOND;

/// Windows after which it is known what a gateway usually hears: an hour.
const SETTLED: u32 = 6;

/// What was heard at one gateway.
#[derive(Default)]
pub(super) struct Flood {
    /// The number of the window, requests in it, those of devices never heard before, and its first.
    window: Option<(u64, u32, u32, Seen)>,
    windows: u32,
    requests: u32,
    /// The most in a window that was not a flood.
    most: u32,
    /// Radio addresses heard here: after a power cut the devices behind them join, and show their names for the first time.
    addresses: u32,
    pub(super) found: Evidence,
    /// Requests and strangers of the worst flood.
    worst: (u32, u32),
}

/// The numbers that a person may change.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) least: u64,
    pub(super) times: u64,
}

impl Flood {
    /// A request that was not heard before; whether its device never was either.
    pub(super) fn heard(&mut self, stranger: bool, seen: Seen, limits: Limits) {
        let number = seen.time.0 / WINDOW;
        self.requests = self.requests.saturating_add(1);
        match &mut self.window {
            Some((window, requests, strangers, _)) if *window == number => {
                *requests = requests.saturating_add(1);
                *strangers = strangers.saturating_add(u32::from(stranger));
            }
            _ => {
                self.close(limits);
                self.window = Some((number, 1, u32::from(stranger), seen));
            }
        }
    }

    /// A device sent something here, under an address that was never heard here before or a known one.
    pub(super) fn uplink(&mut self, new_address: bool, seen: Seen, limits: Limits) {
        self.addresses = self.addresses.saturating_add(u32::from(new_address));
        let number = seen.time.0 / WINDOW;
        if self.window.is_none_or(|(window, ..)| window < number) {
            self.close(limits);
            self.window = Some((number, 0, 0, seen));
        }
    }

    /// Judges the window that ended before this one.
    fn close(&mut self, limits: Limits) {
        let Some((_, requests, strangers, first)) = self.window.take() else { return };
        if self.is_flood(requests, strangers, limits) {
            self.found.add(first, "lorawan.dev_eui");
            self.worst = self.worst.max((requests, strangers));
            return;
        }
        self.windows = self.windows.saturating_add(1);
        self.most = self.most.max(requests);
    }

    fn is_flood(&self, requests: u32, strangers: u32, limits: Limits) -> bool {
        let usual = u64::from(self.most).saturating_mul(limits.times);
        let many = u64::from(requests) >= limits.least && u64::from(requests) > usual;
        self.windows >= SETTLED && many && strangers > requests / 2 && strangers > self.addresses
    }

    pub(super) fn answer(&self, limits: Limits) -> Answer {
        let mut now = (self.worst, self.found.clone());
        if let Some((_, requests, strangers, first)) = self.window.filter(|(_, all, new, _)| self.is_flood(*all, *new, limits)) {
            now.0 = now.0.max((requests, strangers));
            now.1.add(first, "lorawan.dev_eui");
        }
        let ((requests, strangers), evidence) = now;
        if evidence.count > 0 {
            let arguments = vec![("_requests", requests.to_string().into()), ("_strangers", strangers.to_string().into())];
            return Answer::Found(Found { severity: Severity::Low, confidence: Confidence::Possible, arguments, evidence });
        }
        match self.windows {
            0..SETTLED => Answer::Otherwise("it was heard for less than an hour, so what it usually hears is not known"),
            _ => Answer::Clear(
                format!("{} requests to join were heard there, never many of strangers at once", self.requests).into(),
            ),
        }
    }
}
