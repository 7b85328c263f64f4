//! How a device learns its new credential. Over MQTT: a handover -> messages, and the device's answers -> an outcome, one file a family, one line in
//! [`DELIVERIES`]. By LoRaWAN downlinks: [`lorawan`] says what may be sent, [`lobaro`] and [`dragino`] what their devices understand.
//!
//! Rules for all over MQTT: QoS 1, never retained, nothing of the deny-list, and no secret in clear unless the configuration says so for that device. What must be in
//! place first (a rule by which the device goes back by itself) is answered by the device before a secret is sent. None of the commercial families was run on
//! its hardware; their specs say so. Left out: HTTP to the device, since the broker is where this module stands.

pub mod carry;
pub mod dragino;
pub mod lobaro;
pub mod lorawan;
pub mod shelly;
pub mod tasmota;
pub mod topic_contract;
pub mod zigbee2mqtt;

use crate::backends::Refusal;
use crate::rotation::Class;
use crate::secrets::{Profile, Secret};
use crate::slot::{Effecting, Generation};
use crate::time::Span;
use std::time::Duration;
use zeroize::Zeroizing;

/// All deliveries.
pub const DELIVERIES: &[&DeliverySpec] = &[&shelly::SPEC, &tasmota::SPEC, &topic_contract::SPEC, &zigbee2mqtt::SPEC];

/// The delivery of this name.
pub fn named(name: &str) -> Option<&'static DeliverySpec> {
    DELIVERIES.iter().copied().find(|spec| spec.name == name)
}

/// The shortest time that a message waits at the broker for a device that is away; one that reports less often gets as long as that. Later it would surprise a
/// rotation that went on.
pub const EXPIRY: Span = Span::seconds(60);

/// What a delivery is.
pub struct DeliverySpec {
    /// The file's name, as in the configuration.
    pub name: &'static str,
    /// For a person: "Tasmota, Backlog over MQTT".
    pub way: &'static str,
    /// The documents followed.
    pub documents: &'static [&'static str],
    /// What was not run on real hardware.
    pub unproven: &'static str,
    /// What the device does by itself with a password that does not work; the verifier may make it safer.
    pub class: Class,
    /// The way back, for a person.
    pub way_back: &'static str,
    /// How long the device is away when all goes well.
    pub outage: Span,
    /// How long after the last message it can still change what the device uses, where it waits for [`EXPIRY`]: that and what the device then takes, its own way back included.
    pub settles: Span,
    /// The delivery itself.
    pub delivery: &'static dyn Delivery,
}

/// What is handed over.
pub struct Handover<'a> {
    /// The device's topic, in its family's sense.
    pub topic: &'a str,
    /// The user name or identity that it shall use.
    pub user: &'a str,
    /// The new password or key.
    pub secret: &'a Secret,
    /// The generation of it.
    pub generation: Generation,
    /// What it is believed to use: user name and, where it is known, password.
    pub old: (&'a str, Option<&'a Secret>),
    /// Which effect this is; answers are told apart by it.
    pub by: Effecting,
}

impl Handover<'_> {
    /// The mark by which an answer belongs to this effect.
    pub fn mark(&self) -> String {
        format!("{}.{}", self.by.rotation.0, self.by.step.0)
    }

    /// The secret as text.
    ///
    /// # Errors
    /// It is none.
    pub fn text(&self) -> Result<&str, Refusal> {
        std::str::from_utf8(self.secret.expose())
            .map_err(|_| Refusal::new("the new password is no text", "correct the device's profile"))
    }
}

/// One message to the device.
pub struct Outgoing {
    /// Its topic.
    pub topic: String,
    /// Its payload, wiped when dropped.
    pub payload: Zeroizing<Vec<u8>>,
    /// It holds the new secret.
    pub secret: bool,
    /// How the device answers; `None` where it does not.
    pub answer: Option<Answer>,
}

/// Judges an answer; `None`: it is about something else.
pub type Judge = Box<dyn Fn(&[u8]) -> Option<Result<(), String>>>;

/// How a device answers.
pub struct Answer {
    /// On which topic.
    pub topic: String,
    /// What it says: yes, or no and why.
    pub judge: Judge,
    /// How long it may take.
    pub patience: Duration,
}

/// What a device said by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It started anew, so long ago.
    Booted(Span),
    /// It started for this time since it was made, and that so long ago.
    BootCount(u64, Span),
    /// It uses, or holds, this generation.
    Has(Generation),
}

/// A family of devices.
pub trait Delivery: Send + Sync {
    /// What a secret must look like.
    fn profile(&self) -> Profile;

    /// The messages, in order.
    ///
    /// # Errors
    /// The handover cannot be said in this family's words.
    fn messages(&self, handover: &Handover<'_>) -> Result<Vec<Outgoing>, Refusal>;

    /// The topics that a device in quarantine must keep.
    fn topics(&self, topic: &str) -> Vec<String>;

    /// Where devices of this family tell of themselves: a topic filter with one `+` for the device's topic.
    fn tells_on(&self) -> Option<&'static str>;

    /// What a message there says.
    fn heard(&self, payload: &[u8]) -> Vec<Heard>;
}
