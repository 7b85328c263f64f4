//! Reads a configuration file and collects all that is wrong in it.

mod zones;

use super::networks::{self, Network};
use super::options::{Opt, SECTIONS, Section, seconds, site_name};
use super::{Config, Layer, Problem, Set, folder_of};
use crate::checks;
use crate::findings::Severity;
use crate::findings::alerts::DIGEST;
use crate::inventory::Prefix;
use crate::keys::KeyConfig;
use crate::nearest::nearest;
use crate::policy::Change;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// Reads a file on top of what is shipped.
pub(super) fn read(path: &Path) -> Result<Config, Vec<Problem>> {
    let file = path.display().to_string();
    let text = match read_text(path) {
        Ok(text) => text,
        Err(why) => {
            let text = format!("the configuration cannot be read: {why}");
            return Err(vec![Problem { file, line: None, text }]);
        }
    };
    let mut reader = Reader { path, file, text: &text, config: Config::default(), problems: Vec::new() };
    reader.document();
    reader.problems.sort_by_key(|problem| (problem.file != reader.file, problem.line));
    reader.problems.dedup();
    if reader.problems.is_empty() { Ok(reader.config) } else { Err(reader.problems) }
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, String> {
    match std::fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| "it is not text in UTF-8".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("there is no such file. Check the name".into()),
        Err(error) => Err(error.to_string()),
    }
}

type Name<'i> = Spanned<std::borrow::Cow<'i, str>>;
type Field<'i> = Spanned<DeValue<'i>>;

struct Reader<'t> {
    path: &'t Path,
    file: String,
    text: &'t str,
    config: Config,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
    }

    fn wrong(&mut self, span: &Range<usize>, text: String) {
        let line = Some(self.line(span));
        self.problems.push(Problem { file: self.file.clone(), line, text });
    }

    fn set<T>(&self, value: T, span: &Range<usize>) -> Set<T> {
        Set { value, layer: Layer::File { file: self.file.as_str().into(), line: self.line(span) } }
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
                None => self.unknown_section(name, value),
            }
        }
        self.contradictions();
        self.contradicting_zones();
    }

    fn unknown_section(&mut self, name: &Name<'_>, value: &Field<'_>) {
        let typed = name.get_ref().as_ref();
        let text = if ["device", "session", "join_eui"].contains(&typed) {
            "keys stand in a file of their own, which holds nothing else: move them there and write [keys] file = \"keys.toml\""
                .into()
        } else if let Some(section) = SECTIONS.iter().find(|section| has(section, typed)).filter(|_| !value.get_ref().is_table())
        {
            format!("'{typed}' belongs below {}", heading(section))
        } else {
            let meant = nearest(typed, SECTIONS.iter().map(|section| section.name));
            let known: Vec<String> = SECTIONS.iter().map(heading).collect();
            unknown("section", typed, "", meant, &known.join(", "))
        };
        self.wrong(&name.span(), text);
    }

    fn section(&mut self, section: &'static Section, name: &Name<'_>, value: &Field<'_>) {
        match value.get_ref() {
            DeValue::Table(table) if !section.many => self.options(section, table),
            DeValue::Array(entries) if section.many => {
                for entry in entries.iter() {
                    match entry.get_ref() {
                        DeValue::Table(table) if section.name == "zone" => self.zone(section, &entry.span(), table),
                        DeValue::Table(table) if section.name == "check" => self.check(section, &entry.span(), table),
                        DeValue::Table(table) => self.network(section, &entry.span(), table),
                        _ => self.wrong(&entry.span(), format!("each entry is written as a section {}", heading(section))),
                    }
                }
            }
            _ => {
                let text = format!("'{}' is a section; write {} on a line of its own", section.name, heading(section));
                self.wrong(&name.span(), text);
            }
        }
    }

    /// Looks a name up, and tells where there is none.
    fn option(&mut self, section: &'static Section, name: &Name<'_>) -> Option<&'static Opt> {
        let typed = name.get_ref().as_ref();
        let found = section.options.iter().find(|option| option.name == typed);
        if found.is_none() {
            let text = match SECTIONS.iter().find(|other| has(other, typed)) {
                Some(other) => format!("'{typed}' belongs below {}, not below {}", heading(other), heading(section)),
                None => {
                    let known: Vec<&str> = section.options.iter().map(|option| option.name).collect();
                    let place = format!(" below {}", heading(section));
                    unknown("name", typed, &place, nearest(typed, known.iter().copied()), &known.join(", "))
                }
            };
            self.wrong(&name.span(), text);
        }
        found
    }

    fn options(&mut self, section: &'static Section, table: &DeTable<'_>) {
        for (name, value) in table {
            let Some(option) = self.option(section, name) else { continue };
            let span = &name.span();
            match (section.name, option.name) {
                ("site", "name") => {
                    if let Some(name) = self.name(option, value) {
                        self.config.site = self.set(name, span);
                    }
                }
                ("site", "prefixes") => {
                    let prefixes = self.prefixes(option, value);
                    self.config.prefixes = self.set(prefixes, span);
                }
                ("memory", "flows") => self.number(option, value, span, |config| &mut config.flows),
                ("memory", "devices") => self.number(option, value, span, |config| &mut config.devices),
                ("memory", "provisional") => self.number(option, value, span, |config| &mut config.provisional),
                ("audit", "trials_per_device") => self.number(option, value, span, |config| &mut config.trials_per_device),
                ("audit", "trials_per_day") => self.number(option, value, span, |config| &mut config.trials_per_day),
                ("alerts", "min_severity") => {
                    let named = |name: &str| Severity::ALL.into_iter().find(|severity| severity.name() == name);
                    match value.get_ref().as_str().and_then(named) {
                        Some(severity) => self.config.min_severity = self.set(severity, span),
                        None => self.not_a(option, &value.span()),
                    }
                }
                ("alerts", "suppress") => match value.get_ref().as_str().and_then(seconds) {
                    Some(seconds) => self.config.suppress = self.set(seconds, span),
                    None => self.not_a(option, &value.span()),
                },
                ("alerts", "digest") => {
                    let checks = self.checks(option, value);
                    self.config.digest = self.set(checks, span);
                }
                ("payloads", "decrypt") => match value.get_ref().as_bool() {
                    Some(decrypt) => self.config.decrypt = self.set(decrypt, span),
                    None => self.not_a(option, &value.span()),
                },
                ("keys", "file") => match value.get_ref().as_str() {
                    Some(file) if !file.is_empty() => self.key_file(file, span),
                    _ => self.not_a(option, &value.span()),
                },
                _ => debug_assert!(false, "{}.{} is listed and not read", section.name, option.name),
            }
        }
    }

    fn not_a(&mut self, option: &Opt, span: &Range<usize>) {
        self.wrong(span, format!("{} is {}, as in {} = {}", option.name, option.takes, option.name, option.example));
    }

    fn number(&mut self, option: &Opt, value: &Field<'_>, span: &Range<usize>, place: fn(&mut Config) -> &mut Set<u64>) {
        match within(option, value) {
            Some(number) => *place(&mut self.config) = self.set(number, span),
            None => self.not_a(option, &value.span()),
        }
    }

    fn name(&mut self, option: &Opt, value: &Field<'_>) -> Option<String> {
        let Some(name) = value.get_ref().as_str() else {
            self.not_a(option, &value.span());
            return None;
        };
        match site_name(name) {
            Ok(()) => Some(name.to_owned()),
            Err(text) => {
                self.wrong(&value.span(), text);
                None
            }
        }
    }

    fn prefixes(&mut self, option: &Opt, value: &Field<'_>) -> Vec<Prefix> {
        let mut prefixes: Vec<(Prefix, usize)> = Vec::new();
        let Some(list) = value.get_ref().as_array() else {
            self.not_a(option, &value.span());
            return Vec::new();
        };
        for entry in list.iter() {
            let span = &entry.span();
            let Some(text) = entry.get_ref().as_str() else {
                self.wrong(span, "a network of addresses stands in quotes, as in \"10.20.0.0/16\"".into());
                continue;
            };
            let prefix = match text.parse::<Prefix>() {
                Ok(prefix) => prefix,
                Err(error) => {
                    self.wrong(span, error.to_string());
                    continue;
                }
            };
            if prefix.network() != prefix {
                self.wrong(span, format!("{prefix} has address bits beyond its length; write {}", prefix.network()));
                continue;
            }
            let line = self.line(span);
            let other = prefixes.iter().find(|(other, _)| other.overlaps(&prefix)).copied();
            match other {
                Some((other, first)) if other == prefix => {
                    self.wrong(
                        span,
                        format!("{prefix} stands here for the second time, first in line {first}; keep one of the two"),
                    );
                }
                Some((other, first)) if other.covers(&prefix) => {
                    self.wrong(span, format!("{prefix} lies within {other} of line {first}; leave one of the two out"));
                }
                Some((other, first)) => {
                    self.wrong(span, format!("{other} of line {first} lies within {prefix}; leave one of the two out"));
                }
                None => prefixes.push((prefix, line)),
            }
        }
        prefixes.into_iter().map(|(prefix, _)| prefix).collect()
    }

    /// Ids of checks. One that is not ours may be a rule of a person's own, which is read later: it is told, and stops nothing.
    fn checks(&mut self, option: &Opt, value: &Field<'_>) -> Vec<String> {
        let Some(list) = value.get_ref().as_array() else {
            self.not_a(option, &value.span());
            return Vec::new();
        };
        let mut ids: Vec<String> = Vec::new();
        for item in list.iter() {
            let Some(id) = item.get_ref().as_str().filter(|id| !id.is_empty()) else {
                self.not_a(option, &item.span());
                continue;
            };
            let known = || checks::all().map(|check| check.id).chain(DIGEST.iter().copied());
            if !known().any(|known| known == id) {
                let meant = nearest(id, known()).map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default();
                let (file, line) = (&self.file, self.line(&item.span()));
                let text = format!(
                    "{file}:{line}: no check of ours is called '{}'.{meant} It has an effect only where a rule of your own has that name.",
                    id.escape_debug()
                );
                self.config.warnings.push(text);
            }
            ids.push(id.to_owned());
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn network(&mut self, section: &'static Section, span: &Range<usize>, table: &DeTable<'_>) {
        let mut network = Network::default();
        let before = self.problems.len();
        for (name, value) in table {
            let Some(option) = self.option(section, name) else { continue };
            match option.name {
                "id" => match within(option, value) {
                    Some(id) => network.id = id,
                    None => self.not_a(option, &value.span()),
                },
                "name" => network.name = self.name(option, value).unwrap_or_default(),
                "vlan" => network.vlans = self.each(option, value, |value| within(option, value)),
                "tunnel" => network.tunnels = self.each(option, value, |value| within(option, value)),
                _ => {
                    let named = |value: &Field<'_>| value.get_ref().as_str().map(str::to_owned);
                    network.interfaces = self.each(option, value, |value| named(value).filter(|name| !name.is_empty()));
                }
            }
        }
        if self.problems.len() > before {
            return;
        }
        if network.id == 0 {
            self.wrong(span, "a network has an id, as in id = 1; it becomes part of the names of what is in it".into());
        } else if network.vlans.is_empty() && network.tunnels.is_empty() && network.interfaces.is_empty() {
            let text = "this network names no packets; say which are its own with vlan, tunnel or interface";
            self.wrong(span, text.into());
        } else {
            self.config.networks.push(self.set(network, span));
        }
    }

    /// What a person wants otherwise of a check. Which numbers it goes by is known when rules are.
    fn check(&mut self, section: &'static Section, span: &Range<usize>, table: &DeTable<'_>) {
        let (mut id, mut change, before) = (None, Change::default(), self.problems.len());
        for (name, value) in table {
            let typed = name.get_ref().as_ref();
            let Some(option) = section.options.iter().find(|option| option.name == typed) else {
                let integer = value.get_ref().as_integer();
                match integer.and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok()) {
                    Some(number) if !looks_like_key(typed) => drop(change.numbers.insert(typed.to_owned(), number)),
                    _ => drop(self.option(section, name)),
                }
                continue;
            };
            let text = value.get_ref().as_str();
            match option.name {
                "id" => id = self.name(option, value),
                "off" => match value.get_ref().as_bool() {
                    Some(off) => change.off = off,
                    None => self.not_a(option, &value.span()),
                },
                _ => match Severity::ALL.into_iter().find(|severity| Some(severity.name()) == text) {
                    Some(severity) => change.severity = Some(severity),
                    None => self.not_a(option, &value.span()),
                },
            }
        }
        let Some(id) = id else {
            if self.problems.len() == before {
                self.wrong(span, "say which check this is about, as in id = \"modbus-unit-scan\"".into());
            }
            return;
        };
        if looks_like_key(&id) {
            self.wrong(span, "id is the name of a check, and this looks like a key".into());
        } else if change == Change::default() {
            self.wrong(
                span,
                format!("nothing is changed about '{id}'; write off = true, severity = \"low\" or one of its numbers"),
            );
        } else if self.config.checks.iter().any(|other| other.value.0 == id) {
            self.wrong(span, format!("'{id}' has an entry already; put both together"));
        } else {
            let entry = self.set((id, change), span);
            self.config.checks.push(entry);
        }
    }

    /// One value or a list of them.
    fn each<T: Ord>(&mut self, option: &Opt, value: &Field<'_>, read: impl Fn(&Field<'_>) -> Option<T>) -> BTreeSet<T> {
        let mut values = BTreeSet::new();
        let one = std::slice::from_ref(value);
        let list: Vec<&Field<'_>> = value.get_ref().as_array().map_or(one.iter().collect(), |list| list.iter().collect());
        if list.is_empty() {
            self.not_a(option, &value.span());
        }
        for value in list {
            match read(value) {
                Some(read) if values.contains(&read) => {
                    self.wrong(
                        &value.span(),
                        format!("this {} stands here for the second time; keep one of the two", option.name),
                    );
                }
                Some(read) => drop(values.insert(read)),
                None => self.not_a(option, &value.span()),
            }
        }
        values
    }

    /// Networks that are too many, that are said twice, or that claim the same packets.
    fn contradictions(&mut self) {
        let networks = self.config.networks.clone();
        let line = |set: &Set<Network>| match &set.layer {
            Layer::File { line, .. } => *line,
            _ => 0,
        };
        let entries = networks::entries(networks.iter().map(|network| &network.value));
        let total = entries.iter().fold(0u64, |sum, entries| sum.saturating_add(*entries));
        if total > networks::ENTRIES {
            // Of several that are as large the first.
            let largest = networks.iter().zip(entries).rev().max_by_key(|(_, entries)| *entries);
            let (at, share) = largest.map_or((None, 0), |(network, entries)| (Some(line(network)), entries));
            let text = format!(
                "all networks together make {total} entries, this one {share}, and no more than {} are possible: each VLAN makes one \
                 with each tunnel, and an entry without interface one more for each interface that is named anywhere; name fewer VLANs \
                 or tunnels, or leave one of the two out where the other tells the packets apart",
                networks::ENTRIES
            );
            return self.problems.push(Problem { file: self.file.clone(), line: at, text });
        }
        for (at, network) in networks.iter().enumerate() {
            for other in networks.iter().take(at) {
                let (mine, theirs, first) = (&network.value, &other.value, line(other));
                let text = if mine.id == theirs.id {
                    format!(
                        "network id {} stands in line {first} already; give this one another id, or list all in one entry, as in vlan = [100, 101]",
                        mine.id
                    )
                } else if !mine.name.is_empty() && mine.name == theirs.name {
                    format!("a network '{}' stands in line {first} already; give this one another name", mine.name)
                } else if let Some(packet) = mine.contradicts(theirs) {
                    format!(
                        "a packet of {packet} belongs to this network and to network {} of line {first}; name in both what tells them apart",
                        theirs.id
                    )
                } else {
                    continue;
                };
                self.problems.push(Problem { file: self.file.clone(), line: Some(line(network)), text });
                break;
            }
        }
    }

    fn key_file(&mut self, named: &str, span: &Range<usize>) {
        if looks_like_key(named) {
            let text = "file is the name of the key file, and this looks like a key: keys stand in that file".into();
            return self.wrong(span, text);
        }
        self.config.key_file = self.set(Some(named.to_owned()), span);
        let path = folder_of(self.path).join(named);
        let file = path.display().to_string();
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(why) => return self.wrong(span, format!("the key file {file} cannot be read: {why}")),
        };
        match KeyConfig::from_toml(&text) {
            Ok(keys) => self.config.keys = keys,
            Err(errors) => self.problems.extend(errors.into_iter().map(|error| Problem {
                file: file.clone(),
                line: Some(error.line),
                text: error.to_string(),
            })),
        }
        if readable_by_others(&path) {
            let text =
                format!("{file} holds keys and every user of this machine can read it; chmod 600 {file} keeps them to you");
            self.config.warnings.push(text);
        }
    }
}

/// A whole number that the option takes.
fn within<T: TryFrom<u64>>(option: &Opt, value: &Field<'_>) -> Option<T> {
    let integer = value.get_ref().as_integer()?;
    let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    T::try_from(number).ok().filter(|_| option.takes.admits(number))
}

fn has(section: &Section, name: &str) -> bool {
    section.options.iter().any(|option| option.name == name)
}

fn heading(section: &Section) -> String {
    if section.many { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) }
}

fn unknown(kind: &str, typed: &str, place: &str, meant: Option<&str>, known: &str) -> String {
    let meant = meant.map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default();
    let typed = if looks_like_key(typed) { String::new() } else { format!(" '{}'", typed.escape_debug()) };
    format!("unknown {kind}{typed}{place}.{meant} Known are: {known}.")
}

/// Whether a text is most likely a key that went astray: 32 hex digits or more, whatever stands between them.
fn looks_like_key(text: &str) -> bool {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || b":- ,".contains(&byte))
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> bool {
    false
}
