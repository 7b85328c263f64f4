//! What rules ask of one protocol, together: a device on whose traffic none of them found anything is told so once, not for each rule.

use crate::findings::CheckSpec;
use crate::findings::judge::Words;

/// How the names of these checks end; no rule's does.
pub(super) const SUFFIX: &str = "-rules";

/// The rules about one protocol.
pub(super) struct Service {
    pub(super) name: String,
    /// The check that they are together.
    pub(super) spec: &'static CheckSpec,
    /// Names of those that make findings.
    pub(super) rules: Vec<&'static str>,
    /// What is said where none matched.
    pub(super) clear: Words,
}

impl Service {
    pub(super) fn new(name: String, rules: Vec<&'static str>) -> Self {
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let spec = Box::leak(Box::new(CheckSpec {
            id: leak(format!("{name}{SUFFIX}")),
            title: leak(format!("rules about {name}")),
            finding: "a rule found something; its own check says what",
            action: "rules found something on {devices}",
            remedy: "See the findings of the rules.",
            why: "What a device does on the wire shows attacks and faults that its settings do not.",
            references: &[],
        }));
        let count = if rules.len() == 1 { "the one rule".to_owned() } else { format!("none of the {} rules", rules.len()) };
        let clear = match rules.len() {
            1 => format!("{count} about {name} matched nothing of what was seen"),
            _ => format!("{count} about {name} matched what was seen"),
        };
        Self { name, spec, rules, clear: Words::Made(clear.into()) }
    }
}
