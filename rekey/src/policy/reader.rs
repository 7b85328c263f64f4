//! Reads `policy.toml` and collects all that is wrong in it, with line and nearest right word.

use super::options::{Opt, SECTIONS, Section, shipped};
use super::{Approver, Pattern, Policy, Problem, Problems, Stage, Window, deny, slots};
use crate::secrets::sealing::hex;
use crate::time::Span;
use crate::words::{meant, parse_span};
use citytap_signing::Verifier;
use sha2::{Digest, Sha256};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Name<'i> = Spanned<std::borrow::Cow<'i, str>>;
type Field<'i> = Spanned<DeValue<'i>>;

/// Days as they are written.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads a policy on top of what is shipped.
pub(super) fn read(path: &Path) -> Result<Policy, Problems> {
    let file = path.display().to_string();
    let unreadable = |text: String| Problems(vec![Problem { file: file.clone(), line: None, text }]);
    let bytes = std::fs::read(path).map_err(|error| unreadable(format!("the policy cannot be read: {error}. Check the name")))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("the policy is not text in UTF-8".into()))?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let mut reader = Reader { file, folder, text: &text, policy: shipped(), problems: Vec::new(), digest: Sha256::new() };
    reader.digest.update(&text);
    reader.document();
    reader.policy.digest = hex(&reader.digest.finalize());
    reader.problems.sort();
    reader.problems.dedup();
    if reader.problems.is_empty() { Ok(reader.policy) } else { Err(Problems(reader.problems)) }
}

struct Reader<'t> {
    file: String,
    folder: PathBuf,
    text: &'t str,
    policy: Policy,
    problems: Vec<Problem>,
    /// Over the policy and all files that it names.
    digest: Sha256,
}

impl Reader<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
    }

    fn wrong(&mut self, span: &Range<usize>, text: String) {
        let line = Some(self.line(span));
        self.problems.push(Problem { file: self.file.clone(), line, text });
    }

    fn document(&mut self) {
        let document = match DeTable::parse(self.text) {
            Ok(document) => document,
            Err(error) => {
                let text = match error.message().split_once(',').map_or(error.message(), |(first, _)| first) {
                    "duplicate key" => "this stands here for the second time; keep one of the two".into(),
                    message => {
                        format!("this is not TOML ({message}); a text stands in quotes, a list in [ ], a section is [name]")
                    }
                };
                return self.wrong(&error.span().unwrap_or_default(), text);
            }
        };
        for (name, value) in document.get_ref() {
            match SECTIONS.iter().find(|section| section.name == name.get_ref().as_ref()) {
                Some(section) => self.section(section, name, value),
                None => self.unknown_section(name),
            }
        }
    }

    fn unknown_section(&mut self, name: &Name<'_>) {
        let typed = name.get_ref().as_ref();
        let text = match SECTIONS.iter().find(|section| section.options.iter().any(|option| option.name == typed)) {
            Some(section) => format!("'{typed}' belongs below {}", heading(section)),
            None => {
                let known: Vec<String> = SECTIONS.iter().map(heading).collect();
                let meant = meant(typed, SECTIONS.iter().map(|section| section.name));
                format!("there is no section '{}'.{meant} Sections are {}", typed.escape_debug(), known.join(", "))
            }
        };
        self.wrong(&name.span(), text);
    }

    fn section(&mut self, section: &'static Section, name: &Name<'_>, value: &Field<'_>) {
        match value.get_ref() {
            DeValue::Table(table) if !section.many => self.options(section, table),
            DeValue::Array(entries) if section.many => {
                for entry in entries.iter() {
                    match entry.get_ref() {
                        DeValue::Table(table) => self.entry(section, &entry.span(), table),
                        _ => self.wrong(&entry.span(), format!("each entry is written as a section {}", heading(section))),
                    }
                }
            }
            _ => self
                .wrong(&name.span(), format!("'{}' is a section; write {} on a line of its own", section.name, heading(section))),
        }
    }

    fn option(&mut self, section: &'static Section, name: &Name<'_>) -> Option<&'static Opt> {
        let typed = name.get_ref().as_ref();
        let found = section.options.iter().find(|option| option.name == typed);
        if found.is_none() {
            let elsewhere = SECTIONS.iter().find(|other| other.options.iter().any(|option| option.name == typed));
            let text = match elsewhere {
                Some(other) => format!("'{typed}' belongs below {}, not below {}", heading(other), heading(section)),
                None => {
                    let known: Vec<&str> = section.options.iter().map(|option| option.name).collect();
                    let meant = meant(typed, known.iter().copied());
                    format!(
                        "there is no '{}' below {}.{meant} Names are {}",
                        typed.escape_debug(),
                        heading(section),
                        known.join(", ")
                    )
                }
            };
            self.wrong(&name.span(), text);
        }
        found
    }

    fn options(&mut self, section: &'static Section, table: &DeTable<'_>) {
        for (name, value) in table {
            let Some(option) = self.option(section, name) else { continue };
            if let Err(text) = self.take(section.name, option.name, value) {
                let text = text.unwrap_or_else(|| is(option));
                self.wrong(&value.span(), text);
            }
        }
    }

    /// Takes one value; `Err(None)`: it is not what the option takes.
    fn take(&mut self, section: &str, name: &str, value: &Field<'_>) -> Result<(), Option<String>> {
        let value = value.get_ref();
        let policy = &mut self.policy;
        match (section, name) {
            ("run", "dry_run") => policy.dry_run = flag(value)?,
            ("run", "hold_all") => policy.hold_all = flag(value)?,
            ("run", "hold") => policy.hold = patterns(value)?,
            ("triggers", "default_credential") => policy.triggers.default_credential = flag(value)?,
            ("triggers", "known_key") => policy.triggers.known_key = flag(value)?,
            ("triggers", "leaked_key") => policy.triggers.leaked_key = flag(value)?,
            ("triggers", "age") => policy.triggers.age = Some(span(value)?),
            ("devices", "include") => policy.include = patterns(value)?,
            ("devices", "exclude") => policy.exclude = patterns(value)?,
            ("rate", "per_hour") => policy.rate.per_hour = number(value, 1..=100_000)?,
            ("rate", "at_once") => policy.rate.at_once = number(value, 1..=10_000)?,
            ("rate", "per_gateway") => policy.rate.per_gateway = number(value, 1..=100)?,
            ("rate", "rejoin") => policy.rate.rejoin = span(value)?,
            ("canary", "stages") => policy.canary.stages = stages(value)?,
            ("canary", "soak") => policy.canary.soak = span(value)?,
            ("canary", "silent_permille") => policy.canary.silent_permille = number(value, 0..=500)?,
            ("approvals", "plan") => policy.approvals.plan = number(value, 1..=10)?,
            ("approvals", "cut_over") => policy.approvals.cut_over = number(value, 2..=10)?,
            ("approvals", "retire") => policy.approvals.retire = number(value, 2..=10)?,
            ("approvals", "valid") => policy.approvals.valid = span(value)?,
            ("grace", "intervals") => policy.grace.intervals = number(value, 2..=1000)?,
            ("grace", "at_least") => policy.grace.at_least = span(value)?,
            ("deny", "text") => {
                policy.deny.extend(texts(value)?.into_iter().map(|text| deny::Payload::Contains(text.to_owned())));
            }
            ("deny", "hex") => {
                for text in texts(value)? {
                    policy.deny.push(deny::Payload::Begins(bytes(text).ok_or(None)?));
                }
            }
            ("mosquitto", "allow_before_2_0_16") => policy.allow_mosquitto_before_2_0_16 = flag(value)?,
            ("delivery", "in_clear") => policy.deliver_in_clear = flag(value)?,
            ("findings", "slots") => {
                let file = value.as_str().filter(|file| !file.is_empty()).ok_or(None)?.to_owned();
                self.slot_table(&file)?;
            }
            _ => debug_assert!(false, "{section}.{name} is listed and not read"),
        }
        Ok(())
    }

    fn slot_table(&mut self, file: &str) -> Result<(), Option<String>> {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Some(format!("{} cannot be read: {error}. Check the name", path.display())))?;
        self.digest.update(&text);
        match slots::Table::read_devices(&text) {
            Ok(devices) => self.policy.slots.devices = devices,
            Err(wrong) => {
                let file = path.display().to_string();
                self.problems.extend(wrong.into_iter().map(|(line, text)| Problem {
                    file: file.clone(),
                    line: Some(line),
                    text,
                }));
            }
        }
        Ok(())
    }

    /// One of a section that stands many times.
    fn entry(&mut self, section: &'static Section, span: &Range<usize>, table: &DeTable<'_>) {
        let before = self.problems.len();
        let mut window = Window { days: [true; 7], from: 0, to: 0, offset: 0 };
        let (mut first, mut second) = (None, None);
        for (name, value) in table {
            let Some(option) = self.option(section, name) else { continue };
            let text = value.get_ref().as_str().filter(|text| !text.is_empty());
            let good = match (section.name, option.name) {
                ("window", "days") => days(value.get_ref()).map(|days| window.days = days),
                ("window", "from") => {
                    text.and_then(time_of_day).map(|minute| (window.from, first) = (minute, Some(String::new())))
                }
                ("window", "to") => text.and_then(time_of_day).map(|minute| (window.to, second) = (minute, Some(String::new()))),
                ("window", _) => text.and_then(utc_offset).map(|offset| window.offset = offset),
                (_, "name" | "identity") => text.map(|text| first = Some(text.to_owned())),
                _ => text.map(|text| second = Some(text.to_owned())),
            };
            if good.is_none() {
                self.wrong(&value.span(), is(option));
            }
        }
        if self.problems.len() > before {
            return;
        }
        let (Some(first), Some(second)) = (first, second) else {
            let names: Vec<&str> = section
                .options
                .iter()
                .map(|option| option.name)
                .filter(|name| *name != "days" && *name != "utc_offset")
                .collect();
            return self.wrong(span, format!("{} needs {}", heading(section), names.join(" and ")));
        };
        match section.name {
            "window" if window.from == window.to => {
                self.wrong(span, "a window that begins and ends at one time is never or always open; write two times".into())
            }
            "window" => self.policy.windows.push(window),
            "approver" => self.approver(span, first, &second),
            _ => self.rule(span, first, second),
        }
    }

    fn approver(&mut self, span: &Range<usize>, name: String, file: &str) {
        let key = match Verifier::read(&self.folder.join(file)) {
            Ok(key) => key,
            Err(error) => return self.wrong(span, error.to_string()),
        };
        self.digest.update(key.to_pem());
        // Two names with one key would be one person approving twice.
        if let Some(other) = self.policy.approvers.iter().find(|other| other.key == key || other.name == name) {
            let text = format!("'{}' stands here already with this name or key; each person has a key of their own", other.name);
            return self.wrong(span, text);
        }
        self.policy.approvers.push(Approver { name, key });
    }

    fn rule(&mut self, span: &Range<usize>, identity: String, slot: String) {
        let probe = slot.replace("{}", "x").parse::<crate::slot::Slot>();
        if !slot.contains("{}") || probe.is_err() {
            return self.wrong(span, format!("'{slot}' is no slot with a {{}} in it; write it as join_server/{{}}"));
        }
        if self.policy.slots.rules.iter().any(|(of, _)| *of == identity) {
            return self.wrong(span, format!("'{identity}' has a rule already; keep one of the two"));
        }
        self.policy.slots.rules.push((identity, slot));
    }
}

fn heading(section: &Section) -> String {
    if section.many { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) }
}

fn is(option: &Opt) -> String {
    format!("{} is {}, as in {} = {}", option.name, option.takes, option.name, option.example)
}

fn flag(value: &DeValue<'_>) -> Result<bool, Option<String>> {
    value.as_bool().ok_or(None)
}

fn span(value: &DeValue<'_>) -> Result<Span, Option<String>> {
    value.as_str().and_then(parse_span).ok_or(None)
}

fn number(value: &DeValue<'_>, range: RangeInclusive<u32>) -> Result<u32, Option<String>> {
    let number = value.as_integer().and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
    number.filter(|number| range.contains(number)).ok_or(None)
}

fn texts<'v>(value: &'v DeValue<'_>) -> Result<Vec<&'v str>, Option<String>> {
    let list = value.as_array().ok_or(None)?;
    list.iter().map(|item| item.get_ref().as_str().filter(|text| !text.is_empty()).ok_or(None)).collect()
}

fn patterns(value: &DeValue<'_>) -> Result<Vec<Pattern>, Option<String>> {
    let texts = texts(value)?;
    if let Some(text) = texts.iter().find(|text| !text.contains('/') && **text != "*") {
        return Err(Some(format!("'{text}' fits no slot: a slot is a backend, a slash and a name, as in mosquitto/lamp-*")));
    }
    Ok(texts.into_iter().map(|text| Pattern(text.to_owned())).collect())
}

fn stages(value: &DeValue<'_>) -> Result<Vec<Stage>, Option<String>> {
    let stages: Vec<Stage> = texts(value)?.into_iter().map(|text| stage(text).ok_or(None)).collect::<Result<_, _>>()?;
    // In a campaign that has stages at all, a later one is not smaller than one before it; in a small one it is made as large.
    let grows = [10_000, 1_000_000].iter().all(|all| stages.windows(2).all(|two| two[0].of(*all) <= two[1].of(*all)));
    let first_is_small = !matches!(stages.first(), Some(Stage::All)) || stages.len() == 1;
    (stages.last() == Some(&Stage::All) && grows && first_is_small).then_some(stages).ok_or(None)
}

fn stage(text: &str) -> Option<Stage> {
    if text == "all" {
        return Some(Stage::All);
    }
    if let Some(percent) = text.strip_suffix('%') {
        let (whole, tenth) = percent.split_once('.').unwrap_or((percent, "0"));
        let permille = whole.parse::<usize>().ok()? * 10 + tenth.parse::<usize>().ok().filter(|tenth| *tenth < 10)?;
        return (1..=1000).contains(&permille).then_some(Stage::Permille(permille));
    }
    text.parse().ok().filter(|count| *count > 0).map(Stage::Count)
}

fn days(value: &DeValue<'_>) -> Option<[bool; 7]> {
    let texts = texts(value).ok().filter(|texts| !texts.is_empty())?;
    let all_known = texts.iter().all(|text| DAYS.contains(text));
    all_known.then(|| DAYS.map(|day| texts.contains(&day)))
}

/// Minutes since midnight of `04:30`.
fn time_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// Minutes of `+01:00`.
fn utc_offset(text: &str) -> Option<i16> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let minutes = i16::try_from(time_of_day(rest)?).ok()?;
    (minutes <= 14 * 60).then_some(sign * minutes)
}

/// The bytes of hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let is_hex = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    is_hex.then(|| digits.chunks(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect())
}
