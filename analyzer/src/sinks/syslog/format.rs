//! A message as RFC 5424 writes it: `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID [STRUCTURED-DATA] BOM MSG`.

use super::super::{Message, printable};
use crate::findings::Severity;

/// Facilities by name (RFC 5424 §6.2.1), those that a program may use.
pub(super) const FACILITIES: &[(&str, u8)] = &[
    ("user", 1),
    ("daemon", 3),
    ("auth", 4),
    ("authpriv", 10),
    ("audit", 13),
    ("alert", 14),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// The facility where none is said: local0.
const FACILITY: u8 = 16;

/// The SD-ID (§6.3.2) needs a private enterprise number; the project has none, and 32473 is the one for examples (RFC 5612).
const SD_ID: &str = "citytap@32473";

/// Bytes kept of the value of a parameter.
const VALUE: usize = 256;

/// Who sends.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) facility: u8,
    pub(super) hostname: String,
    pub(super) process: u32,
}

impl Origin {
    /// This process on this machine.
    pub(super) fn here() -> Self {
        let name = rustix::system::uname();
        Self { facility: FACILITY, hostname: visible(&name.nodename().to_string_lossy(), 255), process: std::process::id() }
    }
}

/// The message, at most `most` bytes long: its words are cut, at a character's end, before anything else.
pub(super) fn write(message: &Message, origin: &Origin, most: usize) -> Vec<u8> {
    let priority = u32::from(origin.facility) * 8 + u32::from(severity(message.severity));
    let Origin { hostname, process, .. } = origin;
    let mut text = format!("<{priority}>1 {} {hostname} citytap {process} {} ", message.time, visible(&message.kind, 32));
    structured(&mut text, message);
    // The byte order mark says that the words are UTF-8 (§6.4).
    text.push_str(" \u{feff}");
    let words = printable(&message.text);
    text.push_str(cut(&words, most.saturating_sub(text.len())));
    text.into_bytes()
}

/// §6.2.1, table 2.
fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}

/// Labels as one element: `[citytap@32473 check="..." device="..."]`. In values `"`, `\` and `]` are escaped (§6.3.3).
fn structured(text: &mut String, message: &Message) {
    text.push('[');
    text.push_str(SD_ID);
    for (name, value) in &message.labels {
        let name: String = visible(name, 32).chars().filter(|c| !matches!(c, '=' | ']' | '"')).collect();
        text.push_str(&format!(" {name}=\""));
        for c in cut(&printable(value), VALUE).chars() {
            if matches!(c, '"' | '\\' | ']') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push(']');
}

/// Visible ASCII alone, as headers want it; `-` where nothing is left.
fn visible(text: &str, most: usize) -> String {
    let text: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if text.is_empty() { "-".into() } else { text }
}

/// As many whole characters as `most` bytes hold.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
