//! Zigbee2MQTT, the bridge's own login: `BASE/bridge/request/options` and `.../restart` (zigbee2mqtt.io, MQTT topics and messages).
//!
//! One bridge carries many devices, and it does not come back by itself: with a password that does not work it stops. The device's topic is the base topic.

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
    name: "zigbee2mqtt",
    way: "Zigbee2MQTT, bridge/request/options",
    documents: &["zigbee2mqtt.io: MQTT topics and messages (bridge/request/options, bridge/request/restart)"],
    unproven: "documented, unproven on hardware",
    class: Class::CutOver,
    way_back: "the broker goes on accepting the old password; the bridge itself does not go back",
    outage: Span::seconds(60),
    settles: Span::seconds(180),
    delivery: &Zigbee2Mqtt,
};

const PATIENCE: Duration = Duration::from_secs(15);

/// This family.
pub struct Zigbee2Mqtt;

impl Delivery for Zigbee2Mqtt {
    fn profile(&self) -> Profile {
        Profile { length: 20..=32, alphabet: Alphabet::Alphanumeric }
    }

    fn messages(&self, handover: &Handover<'_>) -> Result<Vec<Outgoing>, Refusal> {
        let options = json!({"options": {"mqtt": {"user": handover.user, "password": handover.text()?}}});
        Ok(vec![Outgoing { secret: true, ..request(handover, "options", options) }, request(handover, "restart", json!({}))])
    }

    fn topics(&self, topic: &str) -> Vec<String> {
        vec![format!("{topic}/bridge/#")]
    }

    fn tells_on(&self) -> Option<&'static str> {
        None
    }

    fn heard(&self, _payload: &[u8]) -> Vec<Heard> {
        Vec::new()
    }
}

fn request(handover: &Handover<'_>, what: &str, mut body: Value) -> Outgoing {
    let mark = format!("{}.{what}", handover.mark());
    body["transaction"] = json!(mark);
    let judge = move |payload: &[u8]| {
        let answer: Value = serde_json::from_slice(payload).ok()?;
        if answer.get("transaction")?.as_str() != Some(&mark) {
            return None;
        }
        match answer.get("status")?.as_str()? {
            "ok" => Some(Ok(())),
            _ => Some(Err(answer.get("error").and_then(Value::as_str).unwrap_or("no reason given").chars().take(200).collect())),
        }
    };
    let base = handover.topic;
    let answer = Answer { topic: format!("{base}/bridge/response/{what}"), judge: Box::new(judge), patience: PATIENCE };
    let payload = Zeroizing::new(body.to_string().into_bytes());
    Outgoing { topic: format!("{base}/bridge/request/{what}"), payload, secret: false, answer: Some(answer) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secret;
    use crate::slot::{Effecting, Generation, RotationId, Step};

    #[test]
    fn the_requests_are_the_documented_ones() {
        let secret = Secret::new(b"kTq8".to_vec());
        let by = Effecting { rotation: RotationId(7), step: Step(3) };
        let handover =
            Handover { topic: "zigbee2mqtt", user: "z", secret: &secret, generation: Generation(2), old: ("z", None), by };
        let sent = Zigbee2Mqtt.messages(&handover).expect("said");
        let body: Value = serde_json::from_slice(&sent[0].payload).expect("JSON");
        assert_eq!(body, json!({"options": {"mqtt": {"user": "z", "password": "kTq8"}}, "transaction": "7.3.options"}));
        assert_eq!(
            (sent[0].topic.as_str(), sent[1].topic.as_str()),
            ("zigbee2mqtt/bridge/request/options", "zigbee2mqtt/bridge/request/restart")
        );
        let judge = &sent[0].answer.as_ref().expect("answered").judge;
        assert_eq!(judge(br#"{"data":{"restart_required":true},"status":"ok","transaction":"7.3.options"}"#), Some(Ok(())));
        assert_eq!(
            judge(br#"{"data":{},"error":"wrong","status":"error","transaction":"7.3.options"}"#),
            Some(Err("wrong".to_owned()))
        );
        assert_eq!(judge(br#"{"status":"ok"}"#), None);
    }
}
