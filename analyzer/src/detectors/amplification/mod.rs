//! Amplification by CoAP servers: much more sent to an address than came from there, while nothing shows that the address is who asked.
//!
//! It turns what CoAP flows over UDP carried, minute by minute, into answers about servers. An address has shown that it is there, and counts as
//! no victim for an hour before and after, when it gave an Echo value back (RFC 9175), asked for a later block of a body, acknowledged or refused a
//! message, or used OSCORE; what runs in DTLS is no CoAP flow. Bytes are those of the transport's payload; the factor is that of all that went
//! between the two. Answers that are short or few are never a finding, however much longer they are than the request.

mod checks;
#[cfg(test)]
mod tests;

use super::{Detector, DetectorSpec, Watched};
use crate::findings::{Answer, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{Event, FlowSummary, IdentityKey, Interest, OwnedValue, Seen};
use crate::inventory::Inventory;
use checks::{ANSWERS, BYTES, FACTOR, GRAVE_BYTES, GRAVE_FACTOR, NOTIFICATIONS};
use citytap_sensor::flow::{NetworkId, Transport};
use citytap_sensor::observation::{Confidence, Identity};
use citytap_sensor::time::{SECOND, Timestamp};
use std::net::IpAddr;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "amplification",
    checks: &[&ANSWERS, &NOTIFICATIONS],
    interests: INTERESTS,
    parameters: &[&FACTOR, &BYTES, &GRAVE_FACTOR, &GRAVE_BYTES],
    make: |making| {
        Box::new(Amplification::new(Limits {
            factor: making.number(&FACTOR),
            bytes: making.number(&BYTES),
            grave_factor: making.number(&GRAVE_FACTOR),
            grave_bytes: making.number(&GRAVE_BYTES),
        }))
    },
};

const INTERESTS: &[Interest] = &[
    Interest::novelties("coap.response", &["notification"]),
    Interest::samples("coap.request", &["echo"]),
    Interest::novelties("coap.request", &["blocks.num"]),
    Interest::novelties("coap.request", &["oscore"]),
    Interest::novelties("coap.empty", &["message_type"]),
];

/// Pairs of server and address watched. A flood with forged senders makes more.
const PAIRS: usize = 1 << 17;

/// How long before and after it showed itself an address is no victim.
const PROVED: u64 = 3_600 * SECOND;

/// What is too much.
struct Limits {
    factor: u64,
    bytes: u64,
    grave_factor: u64,
    grave_bytes: u64,
}

/// A server and an address that it sends to, in a network.
type Key = (NetworkId, IpAddr, IpAddr);

/// What went between a server and an address.
#[derive(Default)]
struct Pair {
    /// When the address last showed itself.
    proved: Option<Timestamp>,
    notified: bool,
    got: u64,
    sent: u64,
    /// The minute that flows tell of now, where it began, and the bytes sent in it.
    minute: Option<(u64, Seen, u64)>,
    /// Minutes in which too much was sent, and the worst of them.
    evidence: Evidence,
    severity: Option<Severity>,
    last: Timestamp,
}

struct Amplification {
    limits: Limits,
    pairs: Watched<Key, Pair>,
}

impl Amplification {
    fn new(limits: Limits) -> Self {
        Self { limits, pairs: Watched::new(PAIRS) }
    }
}

impl Limits {
    /// How grave it is to send so much in a minute to an address that sent so little.
    fn severity(&self, in_minute: u64, got: u64, sent: u64) -> Option<Severity> {
        // What nothing came from at all was not seen whole.
        let factor = sent.checked_div(got)?;
        if in_minute >= self.grave_bytes && factor >= self.grave_factor {
            return Some(Severity::High);
        }
        (in_minute >= self.bytes && factor >= self.factor).then_some(Severity::Low)
    }
}

impl Pair {
    /// Takes what a flow carried until `last`.
    fn carry(&mut self, seen: Seen, last: Timestamp, [got, sent]: [u64; 2], limits: &Limits) {
        (self.got, self.sent) = (self.got + got, self.sent + sent);
        let minute = last.seconds() / 60;
        match &mut self.minute {
            Some((same, _, bytes)) if *same == minute => *bytes += sent,
            _ => {
                self.close(limits);
                self.minute = Some((minute, seen, sent));
            }
        }
        self.last = self.last.max(last);
    }

    /// Judges the minute that is over.
    fn close(&mut self, limits: &Limits) {
        let Some((_, seen, bytes)) = self.minute.take() else { return };
        if let Some(severity) = limits.severity(bytes, self.got, self.sent) {
            self.evidence.merge(&Evidence::one(seen, "flow.server_bytes"));
            self.severity = self.severity.max(Some(severity));
        }
    }

    /// How grave what was sent is, with the minute that is not over yet; `None` where it was not much or the address showed itself.
    fn judged(&self, limits: &Limits) -> Option<(Severity, Evidence)> {
        let mut evidence = self.evidence.clone();
        let mut severity = self.severity;
        if let Some((_, seen, bytes)) = self.minute
            && let Some(now) = limits.severity(bytes, self.got, self.sent)
        {
            evidence.merge(&Evidence::one(seen, "flow.server_bytes"));
            severity = severity.max(Some(now));
        }
        let near = |proved: Timestamp| self.last.since(proved) <= PROVED && proved.since(self.last) <= PROVED;
        severity.filter(|_| !self.proved.is_some_and(near)).map(|severity| (severity, evidence))
    }
}

impl Detector for Amplification {
    fn event(&mut self, event: &Event) {
        let (sender, receiver) = (event.sender.ip, event.receiver.ip);
        if event.kind == INTERESTS[0].kind_id() {
            self.pairs.entry(&(event.network, sender, receiver)).into_iter().for_each(|pair| pair.notified = true);
            return;
        }
        let proves = match event.fields.first() {
            Some(OwnedValue::Text(kind)) => matches!(&**kind, "ACK" | "RST"),
            Some(OwnedValue::Numbers(blocks)) => blocks.iter().any(|number| *number > 0),
            Some(OwnedValue::Bool(oscore)) => *oscore,
            Some(OwnedValue::Bytes(echo)) => !echo.is_empty(),
            _ => false,
        };
        if proves && let Some(pair) = self.pairs.entry(&(event.network, receiver, sender)) {
            pair.proved = pair.proved.max(Some(event.seen.time));
        }
    }

    fn flow(&mut self, flow: &FlowSummary) {
        if flow.protocol != Some("coap") || flow.transport != Transport::Udp {
            return;
        }
        let seen = Seen { place: flow.place, time: flow.first };
        if let Some(pair) = self.pairs.entry(&(flow.network, flow.server.ip, flow.client.ip)) {
            pair.carry(seen, flow.last, flow.bytes, &self.limits);
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        for ((network, server, address), pair) in self.pairs.iter().filter(|(_, pair)| pair.minute.is_some()) {
            let subject = IdentityKey::new(&Identity::ip(*server), *network);
            let check = if pair.notified { &NOTIFICATIONS } else { &ANSWERS };
            let answer = match pair.judged(&self.limits) {
                Some((severity, evidence)) => Answer::Found(Found {
                    severity,
                    confidence: Confidence::Likely,
                    arguments: vec![
                        ("_address", address.to_string().into()),
                        ("_examples", pair.sent.checked_div(pair.got).unwrap_or_default().to_string().into()),
                    ],
                    evidence,
                }),
                None if pair.got == 0 => Answer::Untested("what it was asked was not seen".into()),
                None => Answer::Clear("it sent no flood to an address that had not shown itself".into()),
            };
            take(Verdict { check, subject, answer });
        }
    }

    fn shed(&self) -> u64 {
        self.pairs.shed()
    }
}
