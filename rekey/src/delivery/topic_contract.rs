//! Our own contract for devices whose firmware the owner writes. It is complete here; tests/live/rekey_device.py is a device that keeps it.
//!
//! ```text
//! citytap/rekey/DEVICE/set    to the device, QoS 1, not retained
//!   {"contract":1,"mark":"17.4","generation":2,"user":"dev1","password":"…"}
//! citytap/rekey/DEVICE/state  from the device, QoS 1, not retained
//!   {"contract":1,"mark":"17.4","generation":2,"state":"stored","boot":12,"uptime":3600}
//! ```
//!
//! The device
//! 1. writes the new credential **beside** the old one, durably, and answers `stored` on the connection that it has; or `refused` with `why`, and changes nothing;
//! 2. ends the connection and connects with the new one, at least three times within a minute before it gives up;
//! 3. on success makes the new one its own, says `using` on the new connection, and only then forgets the old one;
//! 4. else connects with the old one, says `kept` with `why`, and forgets the new one;
//! 5. after a start in the middle of this tries the new one first, then the old one;
//! 6. says `started` after each start, with `boot` counting its starts (0 where it does not count) and `uptime` in whole seconds, rounded up: so the start is
//!    known to be before the login by which it is told.
//!
//! Give each device rights to its own two topics alone, and nobody else a subscription that covers them: whoever listens to `#` sees what is set.
//!
//! The same message twice changes nothing: a device that uses that generation already says `using`. `user` is the user name, or the identity of TLS-PSK, and
//! `password` the password, or the key in hex. The device ignores a retained message and a contract that it does not know.

use super::{Answer, Delivery, DeliverySpec, Handover, Heard, Outgoing};
use crate::backends::Refusal;
use crate::rotation::Class;
use crate::secrets::{Alphabet, Profile};
use crate::slot::Generation;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::Zeroizing;

/// What it is.
pub const SPEC: DeliverySpec = DeliverySpec {
    name: "topic_contract",
    way: "citytap's topic contract 1 over MQTT",
    documents: &["rekey/src/delivery/topic_contract.rs"],
    unproven: "",
    class: Class::SelfReverting,
    way_back: "the device keeps the old credential until the new one worked",
    outage: Span::seconds(5),
    settles: Span::seconds(180),
    delivery: &TopicContract,
};

const CONTRACT: u32 = 1;
const PATIENCE: Duration = Duration::from_secs(10);

/// This family.
pub struct TopicContract;

#[derive(Serialize)]
struct Set<'a> {
    contract: u32,
    mark: &'a str,
    generation: u32,
    user: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct Said {
    contract: u32,
    #[serde(default)]
    mark: String,
    #[serde(default)]
    generation: u32,
    state: String,
    #[serde(default)]
    boot: u64,
    #[serde(default)]
    uptime: u32,
    #[serde(default)]
    why: String,
}

impl Delivery for TopicContract {
    /// Hex, since it must do for a pre-shared key too: 16 bytes, which the smallest DTLS and TLS-PSK libraries take.
    fn profile(&self) -> Profile {
        Profile { length: 32..=32, alphabet: Alphabet::Hex }
    }

    fn messages(&self, handover: &Handover<'_>) -> Result<Vec<Outgoing>, Refusal> {
        let mark = handover.mark();
        let (generation, user, password) = (handover.generation.0, handover.user, handover.text()?);
        let json = serde_json::to_vec(&Set { contract: CONTRACT, mark: &mark, generation, user, password });
        let payload = Zeroizing::new(json.map_err(|error| Refusal::new(error.to_string(), "correct the device's name"))?);
        let judge = move |payload: &[u8]| {
            let said: Said = serde_json::from_slice(payload).ok()?;
            match said.state.as_str() {
                _ if said.contract != CONTRACT => None,
                "stored" | "using" if said.generation == generation => Some(Ok(())),
                "refused" | "kept" if said.mark == mark => {
                    Some(Err(said.why.chars().filter(|c| !c.is_control()).take(200).collect()))
                }
                _ => None,
            }
        };
        let answer =
            Answer { topic: format!("citytap/rekey/{}/state", handover.topic), judge: Box::new(judge), patience: PATIENCE };
        Ok(vec![Outgoing { topic: format!("citytap/rekey/{}/set", handover.topic), payload, secret: true, answer: Some(answer) }])
    }

    fn topics(&self, topic: &str) -> Vec<String> {
        vec![format!("citytap/rekey/{topic}/#")]
    }

    fn tells_on(&self) -> Option<&'static str> {
        Some("citytap/rekey/+/state")
    }

    fn heard(&self, payload: &[u8]) -> Vec<Heard> {
        let Ok(said) = serde_json::from_slice::<Said>(payload) else { return Vec::new() };
        if said.contract != CONTRACT {
            return Vec::new();
        }
        let ago = Span::seconds(i64::from(said.uptime));
        let boot = match (said.boot, said.state.as_str()) {
            (0, "started") => Some(Heard::Booted(ago)),
            (0, _) => None,
            (count, _) => Some(Heard::BootCount(count, ago)),
        };
        let has = matches!(said.state.as_str(), "stored" | "using").then_some(Heard::Has(Generation(said.generation)));
        boot.into_iter().chain(has).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secret;
    use crate::slot::{Effecting, RotationId, Step};

    #[test]
    fn the_message_is_the_documented_one_and_answers_are_judged() {
        let secret = Secret::new(b"00ff".to_vec());
        let by = Effecting { rotation: RotationId(17), step: Step(4) };
        let handover =
            Handover { topic: "lamp", user: "dev1", secret: &secret, generation: Generation(2), old: ("dev1", None), by };
        let sent = TopicContract.messages(&handover).expect("said");
        assert_eq!(&sent[0].payload[..], br#"{"contract":1,"mark":"17.4","generation":2,"user":"dev1","password":"00ff"}"#);
        let judge = &sent[0].answer.as_ref().expect("answered").judge;
        assert_eq!(judge(br#"{"contract":1,"mark":"17.4","generation":2,"state":"stored"}"#), Some(Ok(())));
        assert_eq!(judge(br#"{"contract":1,"mark":"17.4","state":"refused","why":"full"}"#), Some(Err("full".to_owned())));
        assert_eq!(judge(br#"{"contract":1,"mark":"17.3","state":"refused","why":"full"}"#), None, "of an earlier step");
        assert_eq!(judge(br#"{"contract":2,"mark":"17.4","generation":2,"state":"stored"}"#), None);
    }

    #[test]
    fn starts_and_generations_are_heard() {
        let heard = |text: &str| TopicContract.heard(text.as_bytes());
        assert_eq!(heard(r#"{"contract":1,"state":"started","boot":12,"uptime":2}"#), [Heard::BootCount(12, Span::seconds(2))]);
        assert_eq!(heard(r#"{"contract":1,"state":"started"}"#), [Heard::Booted(Span::ZERO)]);
        assert_eq!(
            heard(r#"{"contract":1,"state":"using","generation":3,"boot":12}"#),
            [Heard::BootCount(12, Span::ZERO), Heard::Has(Generation(3))]
        );
        assert_eq!(heard(r#"{"state":"started"}"#), []);
    }
}
