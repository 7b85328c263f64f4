//! Zones: entries, and what in them contradicts each other.

use super::{Field, Reader, Section, looks_like_key, within};
use crate::config::options::Opt;
use crate::config::{Layer, Problem, Set};
use crate::nearest::nearest;
use crate::policy::zones::{Allowed, Only, Zone};
use citytap_sensor::flow::Transport;
use citytap_sensor::protocols::DECODERS;
use std::ops::Range;
use toml::de::DeTable;

/// Zones of a site: each conversation is held against all of them once a minute.
pub(in crate::config) const ZONES: usize = 256;

impl Reader<'_> {
    pub(super) fn zone(&mut self, section: &'static Section, span: &Range<usize>, table: &DeTable<'_>) {
        let mut zone = Zone::default();
        let before = self.problems.len();
        for (name, value) in table {
            let Some(option) = self.option(section, name) else { continue };
            match option.name {
                "name" => zone.name = self.name(option, value).unwrap_or_default(),
                "prefixes" => zone.prefixes = self.prefixes(option, value),
                "vlan" => zone.vlans = self.each(option, value, |value| within(option, value)),
                _ => zone.talks_to = self.talks_to(option, value),
            }
        }
        if self.problems.len() > before {
            return;
        }
        if zone.name.is_empty() {
            self.wrong(span, "a zone has a name, as in name = \"street lights\"; it stands in findings".into());
        } else if zone.name.contains('/') {
            self.wrong(span, "the name of a zone has no slash: in talks_to a protocol stands behind it".into());
        } else if zone.prefixes.is_empty() && zone.vlans.is_empty() {
            self.wrong(span, format!("nothing belongs to the zone '{}'; say what does with prefixes or vlan", zone.name));
        } else if self.config.zones.len() >= ZONES {
            self.wrong(span, format!("no more than {ZONES} zones are possible; put some together"));
        } else {
            let zone = self.set(zone, span);
            self.config.zones.push(zone);
        }
    }

    fn talks_to(&mut self, option: &Opt, value: &Field<'_>) -> Vec<Allowed> {
        let Some(list) = value.get_ref().as_array() else {
            self.not_a(option, &value.span());
            return Vec::new();
        };
        let mut all: Vec<Allowed> = Vec::new();
        for entry in list.iter() {
            let span = &entry.span();
            match entry.get_ref().as_str().map(allowed) {
                None => self.wrong(span, "the name of a zone stands in quotes, as in \"control\" or \"control/modbus\"".into()),
                Some(Err(text)) => self.wrong(span, text),
                Some(Ok(allowed)) if all.contains(&allowed) => {
                    self.wrong(span, format!("{allowed} stands here for the second time; keep one of the two"));
                }
                Some(Ok(allowed)) => all.push(allowed),
            }
        }
        all
    }

    /// Zones that are named twice, that claim the same addresses, or that may talk to none that there is.
    pub(super) fn contradicting_zones(&mut self) {
        let zones = self.config.zones.clone();
        let line = |zone: &Set<Zone>| match &zone.layer {
            Layer::File { line, .. } => *line,
            _ => 0,
        };
        for (at, zone) in zones.iter().enumerate() {
            let mut wrong = |text| self.problems.push(Problem { file: self.file.clone(), line: Some(line(zone)), text });
            for other in zones.iter().take(at) {
                let first = line(other);
                if zone.value.name == other.value.name {
                    wrong(format!("a zone '{}' stands in line {first} already; give this one another name", zone.value.name));
                } else if let Some(both) = zone.value.contradicts(&other.value) {
                    wrong(format!(
                        "{both} belongs to this zone and to '{}' of line {first}; leave it out of one of the two, or tell them apart by vlan",
                        other.value.name
                    ));
                }
            }
            let names = || zones.iter().map(|zone| zone.value.name.as_str());
            for allowed in &zone.value.talks_to {
                if allowed.zone == zone.value.name {
                    wrong(format!("within '{}' everything is allowed; leave '{allowed}' out", allowed.zone));
                } else if !names().any(|name| name == allowed.zone) {
                    let near = nearest(&allowed.zone, names().filter(|name| *name != zone.value.name));
                    let meant = near.map(|near| format!(" Did you mean '{near}'?")).unwrap_or_default();
                    let typed = if looks_like_key(&allowed.zone) { "this name" } else { &allowed.zone };
                    wrong(format!(
                        "there is no zone '{}'.{meant} Give it an entry [[zone]], or leave it out.",
                        typed.escape_debug()
                    ));
                }
            }
        }
    }
}

/// Reads `control`, `control/modbus`, `control/udp`, `control/tcp/22`.
fn allowed(text: &str) -> Result<Allowed, String> {
    let (zone, only) = text.split_once('/').map_or((text, None), |(zone, only)| (zone, Some(only)));
    if zone.trim().is_empty() {
        return Err("the name of a zone stands first, as in \"control/modbus\"".into());
    }
    let only = only.map(only_by).transpose()?;
    Ok(Allowed { zone: zone.trim().to_owned(), only })
}

fn only_by(text: &str) -> Result<Only, String> {
    let (name, port) = text.split_once('/').map_or((text, None), |(name, port)| (name, Some(port)));
    let transport = match name {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return protocol(text),
    };
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return Err(format!("behind {name}/ stands a port from 1 to 65535, as in \"control/{name}/22\"")),
    };
    Ok(Only::Port(transport, port))
}

/// A protocol in which conversations are recognised; what is carried in others goes by theirs.
fn protocol(text: &str) -> Result<Only, String> {
    let known = || DECODERS.iter().filter(|spec| spec.hooks.tcp || spec.hooks.udp).map(|spec| spec.name);
    if let Some(name) = known().find(|name| *name == text) {
        return Ok(Only::Protocol(name));
    }
    let typed = if looks_like_key(text) { String::new() } else { format!(" '{}'", text.escape_debug()) };
    let meant = nearest(text, known()).map(|near| format!(" Did you mean '{near}'?")).unwrap_or_default();
    let known: Vec<&str> = known().collect();
    Err(format!("unknown protocol{typed}.{meant} Known are: {}, tcp and udp with a port, as in tcp/22.", known.join(", ")))
}
