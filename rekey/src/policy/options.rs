//! All that a policy may say: each name with what it takes and an example, and what holds without it.

use super::{Approvals, Canary, Grace, Policy, Rate, Stage, Triggers, slots};
use crate::time::Span;

/// One name below a section.
pub(super) struct Opt {
    pub(super) name: &'static str,
    /// What it takes, as a noun: it stands after "is".
    pub(super) takes: &'static str,
    pub(super) example: &'static str,
}

/// One section.
pub(super) struct Section {
    pub(super) name: &'static str,
    /// Whether it may stand many times, as `[[window]]`.
    pub(super) many: bool,
    pub(super) options: &'static [Opt],
}

const fn opt(name: &'static str, takes: &'static str, example: &'static str) -> Opt {
    Opt { name, takes, example }
}

/// Slots by name.
pub(super) const PATTERNS: &str = "a list of slots in quotes, with * for any characters";
/// Lengths of time.
pub(super) const SPAN: &str = "a length of time: a number and s, m, h or d, in quotes";
const SWITCH: &str = "true or false";

/// All sections.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "run",
        many: false,
        options: &[
            opt("dry_run", SWITCH, "true"),
            opt("hold_all", SWITCH, "false"),
            opt("hold", PATTERNS, "[\"mosquitto/lamp-7\"]"),
        ],
    },
    Section {
        name: "triggers",
        many: false,
        options: &[
            opt("default_credential", SWITCH, "true"),
            opt("known_key", SWITCH, "true"),
            opt("leaked_key", SWITCH, "false"),
            opt("age", SPAN, "\"365d\""),
        ],
    },
    Section {
        name: "devices",
        many: false,
        options: &[opt("include", PATTERNS, "[\"mosquitto/lamp-*\"]"), opt("exclude", PATTERNS, "[\"mosquitto/admin*\"]")],
    },
    Section {
        name: "window",
        many: true,
        options: &[
            opt("days", "a list of days: mon, tue, wed, thu, fri, sat, sun", "[\"mon\", \"tue\"]"),
            opt("from", "a time of day in quotes", "\"01:00\""),
            opt("to", "a time of day in quotes, other than from", "\"04:00\""),
            opt("utc_offset", "how far the place's clock is from UTC, in quotes", "\"+01:00\""),
        ],
    },
    Section {
        name: "rate",
        many: false,
        options: &[
            opt("per_hour", "a number from 1 to 100000", "60"),
            opt("at_once", "a number from 1 to 10000", "8"),
            opt("per_gateway", "a number from 1 to 100", "1"),
            opt("rejoin", SPAN, "\"30d\""),
        ],
    },
    Section {
        name: "canary",
        many: false,
        options: &[
            opt(
                "stages",
                "a list of numbers and percentages in quotes that grow and end in \"all\"",
                "[\"1\", \"1%\", \"10%\", \"all\"]",
            ),
            opt("soak", SPAN, "\"24h\""),
            opt("silent_permille", "a number from 0 to 500: devices in a thousand", "10"),
        ],
    },
    Section {
        name: "approvals",
        many: false,
        options: &[
            opt("plan", "a number from 1 to 10", "1"),
            opt("cut_over", "a number from 2 to 10: one person alone does not approve what can lock a device out", "2"),
            opt("retire", "a number from 2 to 10: one person alone does not approve what cannot be taken back", "2"),
            opt("valid", SPAN, "\"7d\""),
        ],
    },
    Section {
        name: "approver",
        many: true,
        options: &[
            opt("name", "a name in quotes", "\"Ada\""),
            opt("key", "the file of a public Ed25519 key in PEM, in quotes", "\"ada.pem.pub\""),
        ],
    },
    Section {
        name: "grace",
        many: false,
        options: &[
            opt("intervals", "a number from 2 to 1000: a device that was away once must be heard again", "3"),
            opt("at_least", SPAN, "\"24h\""),
        ],
    },
    Section {
        name: "deny",
        many: false,
        options: &[
            opt("text", "a list of texts in quotes that no payload may contain", "[\"Reset 1\"]"),
            opt("hex", "a list of bytes in hexadecimal that no payload may begin with", "[\"04FE\"]"),
        ],
    },
    Section { name: "mosquitto", many: false, options: &[opt("allow_before_2_0_16", SWITCH, "false")] },
    Section { name: "delivery", many: false, options: &[opt("in_clear", SWITCH, "false")] },
    Section {
        name: "findings",
        many: false,
        options: &[opt("slots", "a CSV file with the columns identity and slot, in quotes", "\"slots.csv\"")],
    },
    Section {
        name: "map",
        many: true,
        options: &[
            opt("identity", "a kind of identity as citytap names it, in quotes", "\"dev_eui\""),
            opt("slot", "a slot with {} where the identity's value stands, in quotes", "\"join_server/{}\""),
        ],
    },
];

/// What holds where a file says nothing.
pub(super) fn shipped() -> Policy {
    Policy {
        dry_run: true,
        hold_all: false,
        hold: Vec::new(),
        triggers: Triggers { default_credential: true, known_key: true, leaked_key: false, age: None },
        include: Vec::new(),
        exclude: Vec::new(),
        windows: Vec::new(),
        rate: Rate { per_hour: 60, at_once: 8, per_gateway: 1, rejoin: Span::hours(30 * 24) },
        canary: Canary {
            stages: vec![Stage::Count(1), Stage::Permille(10), Stage::Permille(100), Stage::All],
            soak: Span::hours(24),
            silent_permille: 10,
        },
        approvals: Approvals { plan: 1, cut_over: 2, retire: 2, valid: Span::hours(7 * 24) },
        approvers: Vec::new(),
        grace: Grace { intervals: 3, at_least: Span::hours(24) },
        deny: Vec::new(),
        allow_mosquitto_before_2_0_16: false,
        deliver_in_clear: false,
        slots: slots::Table::default(),
        digest: String::new(),
    }
}
