//! Shelly Gen2 and newer: JSON-RPC over MQTT on `PREFIX/rpc`, `Mqtt.SetConfig` and `Shelly.Reboot` (shelly-api-docs, Components and Services / Mqtt, RPC channels).
//!
//! The device keeps no second credential and does not come back by itself, so without a verifier that accepts both this is a cut-over.

use super::{Answer, Delivery, DeliverySpec, Handover, Heard, Outgoing};
use crate::backends::Refusal;
use crate::rotation::Class;
use crate::secrets::{Alphabet, Profile};
use crate::time::Span;
use serde_json::{Value, json};
use std::time::Duration;
use zeroize::Zeroizing;

/// What it is.
pub const SPEC: DeliverySpec = DeliverySpec {
    name: "shelly",
    way: "Shelly Gen2+, RPC Mqtt.SetConfig over MQTT",
    documents: &["shelly-api-docs: Mqtt.SetConfig", "shelly-api-docs: Shelly.Reboot", "shelly-api-docs: RPC over MQTT"],
    unproven: "documented, unproven on hardware",
    class: Class::CutOver,
    way_back: "the broker goes on accepting the old password; the device itself does not go back",
    outage: Span::seconds(30),
    settles: Span::seconds(120),
    delivery: &Shelly,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// This family.
pub struct Shelly;

impl Delivery for Shelly {
    fn profile(&self) -> Profile {
        Profile { length: 20..=32, alphabet: Alphabet::Alphanumeric }
    }

    fn messages(&self, handover: &Handover<'_>) -> Result<Vec<Outgoing>, Refusal> {
        let config = json!({"config": {"user": handover.user, "pass": handover.text()?}});
        let set = Outgoing { secret: true, ..call(handover, 1, "Mqtt.SetConfig", config) };
        Ok(vec![set, call(handover, 2, "Shelly.Reboot", json!({"delay_ms": 1000}))])
    }

    fn topics(&self, topic: &str) -> Vec<String> {
        vec![format!("{topic}/rpc"), format!("{}/rpc", reply_to(topic)), format!("{topic}/online")]
    }

    fn tells_on(&self) -> Option<&'static str> {
        None
    }

    fn heard(&self, _payload: &[u8]) -> Vec<Heard> {
        Vec::new()
    }
}

/// The `src` of our requests; the device answers on `src/rpc`.
fn reply_to(topic: &str) -> String {
    format!("citytap/rekey/{topic}")
}

fn call(handover: &Handover<'_>, number: u32, method: &str, params: Value) -> Outgoing {
    let id = format!("{}.{number}", handover.mark());
    let request = json!({"id": id, "src": reply_to(handover.topic), "method": method, "params": params});
    let judge = move |payload: &[u8]| {
        let answer: Value = serde_json::from_slice(payload).ok()?;
        if answer.get("id")?.as_str() != Some(&id) {
            return None;
        }
        match answer.get("error") {
            Some(error) => {
                Some(Err(error.get("message").and_then(Value::as_str).unwrap_or("no reason given").chars().take(200).collect()))
            }
            None => Some(Ok(())),
        }
    };
    let answer = Answer { topic: format!("{}/rpc", reply_to(handover.topic)), judge: Box::new(judge), patience: PATIENCE };
    let payload = Zeroizing::new(request.to_string().into_bytes());
    Outgoing { topic: format!("{}/rpc", handover.topic), payload, secret: false, answer: Some(answer) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secret;
    use crate::slot::{Effecting, Generation, RotationId, Step};

    #[test]
    fn the_request_is_the_documented_one_and_answers_are_told_apart() {
        let secret = Secret::new(b"kTq8".to_vec());
        let by = Effecting { rotation: RotationId(7), step: Step(3) };
        let handover =
            Handover { topic: "shelly-1", user: "dev1", secret: &secret, generation: Generation(2), old: ("dev1", None), by };
        let sent = Shelly.messages(&handover).expect("said");
        let request: Value = serde_json::from_slice(&sent[0].payload).expect("JSON");
        let wanted = json!({"id": "7.3.1", "src": "citytap/rekey/shelly-1", "method": "Mqtt.SetConfig", "params": {"config": {"user": "dev1", "pass": "kTq8"}}});
        assert_eq!((sent[0].topic.as_str(), request), ("shelly-1/rpc", wanted));
        let judge = &sent[0].answer.as_ref().expect("answered").judge;
        assert_eq!(judge(br#"{"id":"7.3.1","src":"shelly-1","dst":"x","result":{"restart_required":true}}"#), Some(Ok(())));
        assert_eq!(judge(br#"{"id":"7.3.1","error":{"code":-103,"message":"bad"}}"#), Some(Err("bad".to_owned())));
        assert_eq!(judge(br#"{"id":"7.2.1","result":{}}"#), None);
        assert!(!sent[1].secret && String::from_utf8_lossy(&sent[1].payload).contains("Shelly.Reboot"));
    }
}
