//! Tasmota: `cmnd/TOPIC/Backlog` with `MqttUser` and `MqttPassword`, so that it restarts once (tasmota/docs Commands.md and MQTT.md).
//!
//! Where the old password is known, rule 3 is set first as a dead man's switch: five minutes after a start without MQTT it puts the old ones back. `System#Init`
//! and not `System#Boot`, which fires only once MQTT is up (Rules.md). The rule stays until the next delivery replaces it; it holds the old password alone.

use super::{Answer, Delivery, DeliverySpec, Handover, Heard, Outgoing};
use crate::backends::Refusal;
use crate::rotation::Class;
use crate::secrets::{Alphabet, Profile};
use crate::time::Span;
use std::time::Duration;
use zeroize::Zeroizing;

/// What it is.
pub const SPEC: DeliverySpec = DeliverySpec {
    name: "tasmota",
    way: "Tasmota, Backlog over MQTT",
    documents: &[
        "tasmota/docs Commands.md (MqttUser, MqttPassword, Backlog, Rule<x>)",
        "tasmota/docs MQTT.md",
        "tasmota/docs Rules.md (triggers)",
    ],
    unproven: "documented, unproven on hardware: the commands, and the rule that puts the old password back",
    class: Class::SelfReverting,
    way_back: "a rule of the device restores the old password 5 minutes after a start without MQTT (only where the old password is known here)",
    outage: Span::seconds(30),
    settles: Span::seconds(420),
    delivery: &Tasmota,
};

/// Seconds without MQTT after which the old password comes back.
const DEAD_MAN_SECONDS: u32 = 300;
/// The least time from a start to INFO3: it connects in between, so the start was before the login.
const STARTS_WITHIN: Span = Span::seconds(3);
const PATIENCE: Duration = Duration::from_secs(10);

/// This family.
pub struct Tasmota;

impl Delivery for Tasmota {
    /// At least 5 characters (Commands.md); all texts share 698 characters, so it stays short.
    fn profile(&self) -> Profile {
        Profile { length: 20..=24, alphabet: Alphabet::Alphanumeric }
    }

    fn messages(&self, handover: &Handover<'_>) -> Result<Vec<Outgoing>, Refusal> {
        let (topic, user, password) =
            (handover.topic, word(handover.user, "user name")?, word(handover.text()?, "new password")?);
        let mut messages = Vec::new();
        // A password of one character means "none" and "default" in Tasmota's words, and a rule of ours could not say it.
        let old =
            handover.old.1.and_then(|old| std::str::from_utf8(old.expose()).ok()).and_then(|old| word(old, "old password").ok());
        if let (Ok(old_user), Some(old)) = (word(handover.old.0, "old user name"), old) {
            let rule = format!(
                "ON System#Init DO RuleTimer1 {DEAD_MAN_SECONDS} ENDON ON Mqtt#Connected DO RuleTimer1 0 ENDON ON Rules#Timer=1 DO Backlog MqttUser \
                 {old_user}; MqttPassword {old} ENDON"
            );
            messages.push(command(topic, "Rule3", rule, Some("Rule3")));
            messages.push(command(topic, "Rule3", "1".to_owned(), Some("Rule3")));
        }
        // It restarts at once and answers neither surely nor on a topic of its own: evidence tells.
        let backlog = format!("MqttUser {user}; MqttPassword {password}");
        messages.push(Outgoing { secret: true, ..command(topic, "Backlog", backlog, None) });
        Ok(messages)
    }

    fn topics(&self, topic: &str) -> Vec<String> {
        ["cmnd", "stat", "tele"].map(|prefix| format!("{prefix}/{topic}/#")).into()
    }

    fn tells_on(&self) -> Option<&'static str> {
        Some("tele/+/INFO3")
    }

    /// INFO3 is sent once after each start: `{"Info3":{"RestartReason":"Power On","BootCount":46}}`.
    fn heard(&self, payload: &[u8]) -> Vec<Heard> {
        let json: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
        let info = json.get("Info3").unwrap_or(&json);
        if info.get("RestartReason").is_some() { vec![Heard::Booted(STARTS_WITHIN)] } else { Vec::new() }
    }
}

fn command(topic: &str, command: &str, payload: String, answers_with: Option<&'static str>) -> Outgoing {
    let answer = answers_with.map(|key| Answer {
        topic: format!("stat/{topic}/RESULT"),
        judge: Box::new(move |payload| {
            let json: serde_json::Value = serde_json::from_slice(payload).ok()?;
            match json.get("Command").and_then(|said| said.as_str()) {
                Some(said) => Some(Err(said.to_owned())),
                None => json.get(key).map(|_| Ok(())),
            }
        }),
        patience: PATIENCE,
    });
    Outgoing { topic: format!("cmnd/{topic}/{command}"), payload: Zeroizing::new(payload.into_bytes()), secret: false, answer }
}

/// Text that Tasmota reads as one word: a semicolon would begin another command.
fn word<'a>(text: &'a str, what: &str) -> Result<&'a str, Refusal> {
    let is_word = text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b'"' | b'%'));
    let remedy = "use 2 or more printable characters without blanks, semicolons, quotation marks and percent signs";
    if is_word { Ok(text) } else { Err(Refusal::new(format!("the {what} cannot be said in a Tasmota command"), remedy)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secret;
    use crate::slot::{Effecting, Generation, RotationId, Step};

    fn messages(user: &str, old: Option<&str>) -> Result<Vec<Outgoing>, Refusal> {
        let (secret, old) = (Secret::new(b"kTq8vvvvvvvvvvvvvvvv".to_vec()), old.map(|old| Secret::new(old.as_bytes().to_vec())));
        let by = Effecting { rotation: RotationId(7), step: Step(3) };
        let handover =
            Handover { topic: "lamp", user, secret: &secret, generation: Generation(2), old: ("dev1", old.as_ref()), by };
        Tasmota.messages(&handover)
    }

    #[test]
    fn the_dead_mans_switch_is_set_before_the_password() {
        let sent = messages("dev1", Some("admin")).expect("said");
        let texts: Vec<_> = sent.iter().map(|it| format!("{} {}", it.topic, String::from_utf8_lossy(&it.payload))).collect();
        assert!(texts[0].starts_with("cmnd/lamp/Rule3 ON System#Init DO RuleTimer1 300 ENDON"), "{texts:?}");
        assert!(texts[0].ends_with("ON Rules#Timer=1 DO Backlog MqttUser dev1; MqttPassword admin ENDON"), "{texts:?}");
        assert_eq!(texts[1..], ["cmnd/lamp/Rule3 1", "cmnd/lamp/Backlog MqttUser dev1; MqttPassword kTq8vvvvvvvvvvvvvvvv"]);
        assert_eq!(sent.iter().map(|it| it.secret).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(messages("dev1", None).expect("said").len(), 1, "an old password that is not known cannot be put back");
    }

    #[test]
    fn a_second_command_cannot_be_smuggled_in() {
        assert!(messages("dev1; Reset 1", None).is_err());
    }

    #[test]
    fn answers_and_starts_are_read() {
        let sent = messages("dev1", Some("admin")).expect("said");
        let judge = &sent[0].answer.as_ref().expect("answered").judge;
        assert_eq!(judge(br#"{"Rule3":{"State":"ON","Rules":"..."}}"#), Some(Ok(())));
        assert_eq!(judge(br#"{"Command":"Unknown"}"#), Some(Err("Unknown".to_owned())));
        assert_eq!(judge(br#"{"POWER":"ON"}"#), None);
        assert_eq!(Tasmota.heard(br#"{"Info3":{"RestartReason":"Power On","BootCount":46}}"#), [Heard::Booted(STARTS_WITHIN)]);
        assert_eq!(Tasmota.heard(b"x"), []);
    }
}
