//! A configuration as TOML: with words for people and the layer of each value, or bare, for its digest.

use super::networks::{Network, listed};
use super::options::{Opt, SECTIONS, Section, time_text};
use super::{Config, Layer};
use crate::inventory::Prefix;
use crate::policy::Change;
use crate::policy::zones::Zone;
use std::fmt::Write;

/// Columns of a line.
const WIDTH: usize = 110;

impl Config {
    /// The whole configuration as a file that reads again, each value with the layer that it comes from. Keys are told by whose they are,
    /// never by their value.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for section in SECTIONS {
            comment(&mut text, "", section.doc);
            if section.many {
                self.entries_to_toml(section, &mut text);
            } else {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "[{}]", section.name);
                for option in section.options {
                    comment(&mut text, "  ", option.doc);
                    self.option_to_toml(section, option, &mut text);
                }
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    fn option_to_toml(&self, section: &Section, option: &Opt, text: &mut String) {
        let Some((value, layer)) = self.value_of(section.name, option.name) else { return };
        let _ = match value {
            Some(value) => writeln!(text, "{} = {value}  # {layer}", option.name),
            None => writeln!(text, "# {} = {}  # none by default", option.name, option.example),
        };
        if option.name == "file" {
            self.keys.outline().iter().for_each(|line| text.push_str(&format!("#   {line}\n")));
        }
    }

    fn entries_to_toml(&self, section: &Section, text: &mut String) {
        for option in section.options {
            comment(text, "  ", &format!("{}: {}", option.name, option.doc));
        }
        let entries: Vec<(&Layer, String)> = match section.name {
            "check" => self.checks.iter().map(|one| (&one.layer, check_settings(&one.value.0, &one.value.1))).collect(),
            "zone" => self.zones.iter().map(|one| (&one.layer, zone_settings(&one.value))).collect(),
            _ => self.networks.iter().map(|one| (&one.layer, network_settings(&one.value))).collect(),
        };
        if entries.is_empty() {
            let _ = writeln!(text, "# [[{}]]  # none by default", section.name);
            section.options.iter().for_each(|option| text.push_str(&format!("# {} = {}\n", option.name, option.example)));
        }
        for (layer, settings) in entries {
            let _ = writeln!(text, "[[{}]]  # {layer}", section.name);
            text.push_str(&settings);
        }
    }

    /// A value as TOML writes it, and where it comes from; `None` where there is no such option.
    fn value_of(&self, section: &str, option: &str) -> Option<(Option<String>, &Layer)> {
        let number = |set: &'_ super::Set<u64>| Some(set.value.to_string());
        Some(match (section, option) {
            ("site", "name") => (Some(quoted(&self.site.value)), &self.site.layer),
            ("site", "prefixes") => (Some(prefixes(&self.prefixes.value)), &self.prefixes.layer),
            ("memory", "flows") => (number(&self.flows), &self.flows.layer),
            ("memory", "devices") => (number(&self.devices), &self.devices.layer),
            ("memory", "provisional") => (number(&self.provisional), &self.provisional.layer),
            ("keys", "file") => (self.key_file.value.as_deref().map(quoted), &self.key_file.layer),
            ("audit", "trials_per_device") => (number(&self.trials_per_device), &self.trials_per_device.layer),
            ("audit", "trials_per_day") => (number(&self.trials_per_day), &self.trials_per_day.layer),
            ("alerts", "min_severity") => (Some(quoted(self.min_severity.value.name())), &self.min_severity.layer),
            ("alerts", "suppress") => (Some(quoted(&time_text(self.suppress.value))), &self.suppress.layer),
            ("alerts", "digest") => {
                let ids: Vec<String> = self.digest.value.iter().map(|id| quoted(id)).collect();
                (Some(format!("[{}]", ids.join(", "))), &self.digest.layer)
            }
            ("payloads", "decrypt") => (Some(self.decrypt.value.to_string()), &self.decrypt.layer),
            _ => return None,
        })
    }

    /// All that it sets, in a fixed order and without layers: what its digest is made of. The key file takes part by what it holds, not by
    /// its name, and by no value.
    pub(super) fn settings(&self) -> String {
        let mut text = String::new();
        for section in SECTIONS {
            for option in section.options.iter().filter(|option| (section.name, option.name) != ("keys", "file")) {
                if let Some((Some(value), _)) = self.value_of(section.name, option.name) {
                    let _ = writeln!(text, "{}.{} = {value}", section.name, option.name);
                }
            }
        }
        let mut networks: Vec<&Network> = self.networks.iter().map(|network| &network.value).collect();
        networks.sort_by_key(|network| network.id);
        networks.iter().for_each(|network| text.push_str(&network_settings(network)));
        let mut zones: Vec<&Zone> = self.zones.iter().map(|zone| &zone.value).collect();
        zones.sort_by(|a, b| a.name.cmp(&b.name));
        zones.iter().for_each(|zone| text.push_str(&format!("zone {}", zone_settings(zone))));
        let mut checks: Vec<&(String, Change)> = self.checks.iter().map(|entry| &entry.value).collect();
        checks.sort_by(|a, b| a.0.cmp(&b.0));
        checks.iter().for_each(|(id, change)| text.push_str(&check_settings(id, change)));
        self.keys.outline().iter().for_each(|line| text.push_str(&format!("{line}\n")));
        text
    }
}

fn network_settings(network: &Network) -> String {
    let mut text = format!("id = {}\n", network.id);
    let mut say = |name: &str, there: bool, value: String| {
        if there {
            let _ = writeln!(text, "{name} = {value}");
        }
    };
    say("name", !network.name.is_empty(), quoted(&network.name));
    say("vlan", !network.vlans.is_empty(), listed(&network.vlans, u16::to_string));
    say("tunnel", !network.tunnels.is_empty(), listed(&network.tunnels, u32::to_string));
    say("interface", !network.interfaces.is_empty(), listed(&network.interfaces, |name| quoted(name)));
    text
}

fn zone_settings(zone: &Zone) -> String {
    let mut text = format!("name = {}\n", quoted(&zone.name));
    let mut say = |name: &str, there: bool, value: String| {
        if there {
            let _ = writeln!(text, "{name} = {value}");
        }
    };
    say("prefixes", !zone.prefixes.is_empty(), prefixes(&zone.prefixes));
    say("vlan", !zone.vlans.is_empty(), listed(&zone.vlans, u16::to_string));
    let talks_to: Vec<String> = zone.talks_to.iter().map(|allowed| quoted(&allowed.to_string())).collect();
    say("talks_to", !talks_to.is_empty(), format!("[{}]", talks_to.join(", ")));
    text
}

fn check_settings(id: &str, change: &Change) -> String {
    let mut text = format!("id = {}\n", quoted(id));
    if change.off {
        text.push_str("off = true\n");
    }
    if let Some(severity) = change.severity {
        let _ = writeln!(text, "severity = {}", quoted(severity.name()));
    }
    change.numbers.iter().for_each(|(name, number)| text.push_str(&format!("{name} = {number}\n")));
    text
}

fn prefixes(prefixes: &[Prefix]) -> String {
    let prefixes: Vec<String> = prefixes.iter().map(|prefix| quoted(&prefix.to_string())).collect();
    format!("[{}]", prefixes.join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn comment(text: &mut String, indent: &str, words: &str) {
    let mut line = format!("#{indent}");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = format!("#{indent}");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}
