use super::super::Message;
use super::format::{Origin, write};
use super::{Peer, open};
use crate::findings::Severity;
use citytap_sensor::time::{SECOND, Timestamp};
use std::collections::BTreeMap;

/// A message read as RFC 5424 §6 has it, and nothing else.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sinks) struct Parsed {
    pub(in crate::sinks) priority: u8,
    pub(in crate::sinks) header: [String; 5],
    pub(in crate::sinks) parameters: BTreeMap<String, String>,
    pub(in crate::sinks) words: String,
}

pub(in crate::sinks) fn parse(bytes: &[u8]) -> Parsed {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let (priority, rest) = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).expect("a priority");
    assert!(priority.len() <= 3 && (priority == "0" || !priority.starts_with('0')), "{text}");
    let mut parts = rest.strip_prefix("1 ").expect("version 1").splitn(6, ' ');
    let mut header = || {
        let part = parts.next().expect("a header").to_owned();
        assert!(!part.is_empty() && part.bytes().all(|byte| (33..=126).contains(&byte)), "{text}");
        part
    };
    let header = [header(), header(), header(), header(), header()];
    let most = [32, 255, 48, 128, 32];
    assert!(header.iter().zip(most).all(|(part, most)| part.len() <= most), "{text}");
    let mut rest = parts.next().expect("structured data").strip_prefix('[').expect("an element").chars();
    let mut id = String::new();
    let mut parameters = BTreeMap::new();
    let mut next = rest.next().expect("goes on");
    while next != ' ' && next != ']' {
        id.push(next);
        next = rest.next().expect("goes on");
    }
    assert!(id.contains('@') && id.len() <= 32, "{id}");
    while next == ' ' {
        let name: String = rest.by_ref().take_while(|c| *c != '=').collect();
        assert!(
            (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"]\"".contains(&byte)),
            "{name}"
        );
        assert_eq!(rest.next(), Some('"'));
        let mut value = String::new();
        loop {
            match rest.next().expect("a value ends") {
                '\\' => {
                    let escaped = rest.next().expect("something is escaped");
                    assert!(matches!(escaped, '"' | '\\' | ']'));
                    value.push(escaped);
                }
                '"' => break,
                ']' => panic!("] stands alone in a value: {text}"),
                c => value.push(c),
            }
        }
        assert!(parameters.insert(name, value).is_none());
        next = rest.next().expect("goes on");
    }
    assert_eq!(next, ']');
    let words = rest.as_str().strip_prefix(" \u{feff}").expect("the byte order mark").to_owned();
    Parsed { priority: priority.parse().expect("a number"), header, parameters, words }
}

fn message(text: &str) -> Message {
    Message {
        key: "k".into(),
        kind: "finding".into(),
        time: Timestamp::from_parts(1_795_132_799, 1_500),
        severity: Severity::High,
        text: text.into(),
        labels: [("device".to_owned(), "4a".to_owned())].into(),
        json: "{}".into(),
    }
}

fn origin() -> Origin {
    Origin { facility: 16, hostname: "tap-1".into(), process: 7 }
}

#[test]
fn a_message_is_written_as_the_standard_has_it() {
    let bytes = write(&message("Grüße"), &origin(), 2_048);
    let wanted = "<131>1 2026-11-19T23:59:59.000001Z tap-1 citytap 7 finding [citytap@32473 device=\"4a\"] \u{feff}Grüße";
    assert_eq!(String::from_utf8_lossy(&bytes), wanted);
    assert_eq!(parse(&bytes).header, ["2026-11-19T23:59:59.000001Z", "tap-1", "citytap", "7", "finding"]);
}

#[test]
fn what_was_seen_on_the_wire_cannot_forge_a_message() {
    let mut hostile = message("one\n<0>1 - - - - - - forged\u{7}");
    hostile.labels.insert("na me=]\"".into(), "a\"]\\ x=\"y\"\r\n[z] \u{1b}[2J".into());
    hostile.labels.insert("long".into(), "ü".repeat(2_000));
    hostile.kind = "\n \n".into();
    let bytes = write(&hostile, &origin(), 2_048);
    let parsed = parse(&bytes);
    assert!(!bytes.iter().any(|byte| *byte < 32 || *byte == 127));
    assert_eq!(parsed.words, "one\u{fffd}<0>1 - - - - - - forged\u{fffd}");
    assert_eq!(parsed.parameters["name"], "a\"]\\ x=\"y\"\u{fffd}\u{fffd}[z] \u{fffd}[2J");
    assert_eq!(parsed.parameters["long"], "ü".repeat(128));
    assert_eq!(parsed.header[4], "-");
}

#[test]
fn words_that_are_too_long_are_cut_between_characters() {
    for most in 150..160 {
        let bytes = write(&message(&"ü".repeat(200)), &origin(), most);
        assert!(bytes.len() <= most && bytes.len() >= most - 1, "{}", bytes.len());
        parse(&bytes);
    }
}

#[test]
fn severities_and_facilities_make_the_priority() {
    let priorities = Severity::ALL.map(|severity| {
        let message = Message { severity, time: Timestamp(SECOND), ..message("") };
        parse(&write(&message, &Origin { facility: 23, ..origin() }, 2_048)).priority
    });
    assert_eq!(priorities, [190, 189, 188, 187, 186]);
}

#[test]
fn collectors_are_told_apart_from_typing_errors() {
    let peer = |text: &str| Peer::new(text).map(|peer| (peer.host, peer.port)).map_err(drop);
    assert_eq!(peer("siem"), Ok(("siem".into(), 514)));
    assert_eq!(peer("10.0.0.9:6514"), Ok(("10.0.0.9".into(), 6_514)));
    assert_eq!(peer("[fd00::9]:601"), Ok(("fd00::9".into(), 601)));
    assert_eq!(peer("[fd00::9]"), Ok(("fd00::9".into(), 514)));
    for wrong in ["", "fd00::9", "siem:0", "siem:70000", "siem:syslog", "[fd00::9]x", "a b", "a/b"] {
        assert_eq!(peer(wrong), Err(()), "{wrong}");
    }
    for (target, words) in [
        ("https://siem", "write udp://HOST:PORT or tcp://HOST:PORT"),
        ("siem", "write udp://HOST:PORT"),
        ("udp://siem?facility=lokal1", "Is local1 meant?"),
        ("udp://siem?severity=3", "no option 'severity'"),
    ] {
        let wrong = open(target).err().unwrap_or_default();
        assert!(wrong.contains(words), "{target}: {wrong}");
    }
    assert!(open("tcp://siem/?facility=local7").is_ok());
}
