//! A delivery through the broker that the device listens to.

use super::client::{Client, ClientError};
use super::packets::Fate;
use super::settings::Device;
use super::ways::{Way, WayContext};
use crate::delivery::carry::{Channel, Lost, carry};
use crate::delivery::{DeliverySpec, Handover};
use crate::rotation::Outcome;
use crate::secrets::Secret;
use crate::slot::{Effecting, Generation, Slot};
use crate::time::Span;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Instant;

/// Delivers generation `.1` to a device that is believed to use `.0`, by the broker of `context`.
pub fn deliver(
    context: &WayContext,
    slot: &Slot,
    way: &dyn Way,
    spec: &DeliverySpec,
    (from, to): (Generation, Generation),
    secret: &Secret,
    by: Effecting,
) -> Outcome {
    let device = &context.settings.device(slot);
    if let Some(why) = in_clear(context, device) {
        return Outcome::Rejected { why: format!("{slot}: {why}; nothing was sent") };
    }
    let old = match context.ledger.secret(slot, from) {
        Ok(old) => old,
        Err(error) => return Outcome::Rejected { why: format!("{error}; nothing was sent") },
    };
    let (user, old_user) = (way.user(slot, to), way.user(slot, from));
    let topic = device.topic.as_deref().unwrap_or(slot.name());
    if topic.contains(['+', '#']) {
        return Outcome::Rejected { why: format!("{slot}: the topic {topic:?} names many devices; give this one its own") };
    }
    let handover = Handover { topic, user: &user, secret, generation: to, old: (&old_user, old.as_ref()), by };
    let messages = match spec.delivery.messages(&handover) {
        Ok(messages) => messages,
        Err(refusal) => return Outcome::Rejected { why: format!("{slot}: {refusal}; nothing was sent") },
    };
    match context.client("delivery") {
        Ok(mut client) => {
            let outcome = carry(&mut client, &messages, device.expiry());
            client.close();
            outcome
        }
        Err(fault) => super::ways::Fault::outcome(Err(fault)),
    }
}

/// Why a secret would travel in clear, where that is not allowed: our own way to the broker, or the device's.
fn in_clear(context: &WayContext, device: &Device) -> Option<String> {
    if device.in_clear == Some(true) {
        return None;
    }
    let settings = &context.settings;
    if settings.tls_ca.is_none() && !is_loopback(&settings.broker) {
        return Some("the connection to the broker is not encrypted; set tls_ca, or in_clear = true for this device".to_owned());
    }
    let why = "the secret would travel to the device in clear; set encrypted = true if its connection is encrypted, or in_clear = true if that is accepted";
    (device.encrypted != Some(true)).then(|| why.to_owned())
}

fn is_loopback(address: &str) -> bool {
    let found = address.to_socket_addrs();
    found.is_ok_and(|mut all| all.len() > 0 && all.all(|it| matches!(it.ip(), ip if IpAddr::is_loopback(&ip))))
}

impl Channel for Client {
    fn listen(&mut self, filter: &str) -> Result<(), String> {
        self.subscribe(filter).map_err(|error| error.to_string())
    }

    fn send(&mut self, topic: &str, payload: &[u8], expiry: Span) -> Result<(), Lost> {
        let expiry = u32::try_from(expiry.0 / 1_000_000_000).ok();
        match self.publish(topic, payload, expiry).map_err(|error| Lost::Unsure(error.to_string()))? {
            Fate::Taken => Ok(()),
            Fate::Nobody => Err(Lost::Certain(format!("nobody listens to {topic}: the device is away, or its topic is another"))),
            Fate::Refused => Err(Lost::Certain(format!("the broker does not let us publish to {topic}"))),
        }
    }

    fn next(&mut self, until: Instant) -> Result<Option<(String, Vec<u8>)>, String> {
        loop {
            let message = self.receive(until).map_err(|error: ClientError| error.to_string())?;
            match message {
                Some(message) if message.retained => {}
                message => return Ok(message.map(|message| (message.topic, message.payload))),
            }
        }
    }
}
