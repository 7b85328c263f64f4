//! `citytap devices`: the devices of a store, and the page of one.

use super::out::{Asked, nearest, print, print_json};
use super::{DONE, Failure, USAGE};
use crate::export::findings::Told;
use crate::findings::kept::KeptCheck;
use crate::findings::risk::Risk;
use crate::inventory::{Device, DeviceId};
use crate::screen::{self, counted};
use crate::store::Contents;
use serde::Serialize;
use std::cmp::Reverse;
use std::net::IpAddr;

/// List the devices of a store, the riskiest first, or show one.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = false)]
#[command(after_help = "Examples:\n  citytap devices --store demo\n  citytap devices --store demo --class street_light\n  \
    citytap devices show 24e124715e00000d --store demo\n  citytap devices show ip:10.20.0.5 --store demo --format json")]
pub struct Devices {
    #[command(subcommand)]
    one: Option<One>,
    #[command(flatten)]
    asked: Asked,
    /// Only devices of this class, as in street_light or "street light"; unclassed for those without.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// List also what was mentioned but never spoke.
    #[arg(long)]
    provisional: bool,
}

#[derive(clap::Subcommand)]
enum One {
    /// Show all that is known of one device: names, class with its reasons, services, peers, checks, findings.
    #[command(
        after_help = "Examples:\n  citytap devices show 004efb --store demo\n  citytap devices show dev_eui:24e124715e00000d\n  \
        citytap devices show 10.20.0.5\n  citytap devices show pump-station-3"
    )]
    Show {
        /// An id or its beginning, a name as kind:value, or any identity: an EUI, an address, a client identifier, a given name.
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// A device with its risk.
#[derive(Serialize)]
pub(super) struct Weighed<'a> {
    #[serde(flatten)]
    pub device: &'a Device,
    pub risk: Risk,
}

#[derive(Serialize)]
struct Shown<'a> {
    device: Weighed<'a>,
    checks: Vec<&'a KeptCheck>,
    findings: Vec<Told<'a>>,
}

impl Devices {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let city = self.asked.open()?;
        match &self.one {
            Some(One::Show { id }) => self.show(id, city.contents()),
            None => self.list(city.contents()),
        }
    }

    fn list(&self, contents: &Contents) -> Result<u8, Failure> {
        let class_of = |device: &Device| device.class.as_ref().map(|class| (class.id.clone(), class.name.clone()));
        if let Some(wanted) = &self.class {
            let classes: Vec<(String, String)> = contents.devices.values().filter_map(class_of).collect();
            let words = classes.iter().flat_map(|(id, name)| [id.as_str(), name.as_str()]).chain(["unclassed"]);
            if !words.clone().any(|word| same_word(word, wanted)) {
                let mut all: Vec<&str> = classes.iter().map(|(id, _)| id.as_str()).collect();
                all.sort_unstable();
                all.dedup();
                all.push("unclassed");
                let meant = nearest(wanted, words).map(|word| format!(" Did you mean '{word}'?")).unwrap_or_default();
                eprintln!("citytap: no device is of class '{wanted}'.{meant} Classes here are: {}.", all.join(", "));
                return Ok(USAGE);
            }
        }
        let fits = |device: &&Device| {
            let class = self.class.as_ref().is_none_or(|wanted| match class_of(device) {
                Some((id, name)) => same_word(&id, wanted) || same_word(&name, wanted),
                None => same_word("unclassed", wanted),
            });
            class && (self.provisional || !device.provisional)
        };
        let mut devices = contents.shown(contents.devices.values().filter(fits));
        if self.asked.json() {
            print_json(&devices.iter().map(|(device, risk)| Weighed { device, risk: *risk }).collect::<Vec<_>>())?;
            return Ok(DONE);
        }
        // For people the riskiest first; JSON keeps the order of ids.
        devices.sort_by_key(|(device, risk)| (Reverse(risk.score()), device.id));
        let mut text = if devices.is_empty() { String::new() } else { screen::device::weighed(&devices) };
        text.push_str(&counted(devices.len(), "device", "devices"));
        let silent = contents.devices.values().filter(|device| device.provisional).count();
        if !self.provisional && self.class.is_none() && silent > 0 {
            text.push_str(&format!(", and {} mentioned that never spoke (--provisional lists them)", silent));
        }
        text.push('\n');
        print(&text)?;
        Ok(DONE)
    }

    fn show(&self, typed: &str, contents: &Contents) -> Result<u8, Failure> {
        let found = find(typed, contents);
        match found.as_slice() {
            [device] => {
                if self.asked.json() {
                    let findings = contents.findings.values().filter(|finding| finding.device == device.id);
                    let Some((device, risk)) = contents.shown(std::iter::once(*device)).pop() else { return Ok(DONE) };
                    let device = Weighed { device: &device, risk };
                    print_json(&Shown {
                        checks: contents.checks_of(device.device.id).collect(),
                        device,
                        findings: findings.map(|finding| Told::new(finding, contents)).collect(),
                    })?;
                } else {
                    print(&screen::device::page(device, contents))?;
                }
                Ok(DONE)
            }
            [] => {
                let names = contents.devices.values().flat_map(|device| {
                    let values = device.identities.iter().map(|name| name.value.as_str());
                    values.chain(device.name.as_deref())
                });
                let meant = nearest(typed, names).map(|word| format!(" Did you mean '{}'?", screen::text::plain(word)));
                let help = " `citytap devices` lists them.".to_owned();
                eprintln!("citytap: no device has the id or name '{}'.{}", screen::text::plain(typed), meant.unwrap_or(help));
                Ok(USAGE)
            }
            many => {
                eprintln!("citytap: '{}' fits {} devices; say which by its id:", screen::text::plain(typed), many.len());
                eprint!("{}", screen::device::table(many.iter().copied()));
                Ok(USAGE)
            }
        }
    }
}

fn same_word(a: &str, b: &str) -> bool {
    let word = |text: &str| text.to_lowercase().replace(['_', '-'], " ");
    word(a) == word(b)
}

/// The devices that something typed can mean: by whole id, by kind and value, by value, by given name, by the beginning of an id.
/// The first way that finds any counts.
pub(super) fn find<'c>(typed: &str, contents: &'c Contents) -> Vec<&'c Device> {
    if let Some(device) = typed.to_lowercase().parse::<DeviceId>().ok().and_then(|id| contents.device(id)) {
        return vec![device];
    }
    let lower = typed.to_lowercase();
    let bare = normal(typed);
    let by_name = |device: &Device| device.identities.iter().any(|name| name.to_string().to_lowercase() == lower);
    let by_kind = |device: &Device| {
        let Some((kind, value)) = typed.split_once(':') else { return false };
        device.identities.iter().any(|name| name.kind == kind && normal(&name.value) == normal(value))
    };
    let by_value = |device: &Device| device.identities.iter().any(|name| normal(&name.value) == bare);
    let by_given = |device: &Device| device.name.as_deref().is_some_and(|name| name.to_lowercase() == lower);
    let by_start = |device: &Device| lower.len() >= 2 && device.id.to_string().starts_with(&lower);
    let ways: [&dyn Fn(&Device) -> bool; 5] = [&by_name, &by_kind, &by_value, &by_given, &by_start];
    let found = ways.iter().map(|way| contents.devices.values().filter(|device| way(device)).collect::<Vec<_>>());
    found.into_iter().find(|devices| !devices.is_empty()).unwrap_or_default()
}

/// An address or EUI as it is stored, however it was typed; other names in lower case.
fn normal(value: &str) -> String {
    let mut bytes = value.split([':', '-']);
    // Eight pairs of digits are an IPv6 address too, which nobody writes so.
    let is_eui = matches!(value.len(), 17 | 23) && bytes.all(|byte| byte.len() == 2);
    if let Some(address) = value.parse::<IpAddr>().ok().filter(|_| !is_eui) {
        return address.to_string();
    }
    let lower = value.to_lowercase();
    let digits: String = lower.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && matches!(digits.len(), 12 | 16) { digits } else { lower }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_however_they_are_typed() {
        assert_eq!(normal("00:80:F4:20:02:0B"), "0080f420020b");
        assert_eq!(normal("24-E1-24-71-5E-00-00-0D"), "24e124715e00000d");
        assert_eq!(normal("24:E1:24:71:5E:00:00:0D"), "24e124715e00000d");
        assert_eq!(normal("2001:DB8:0::1"), "2001:db8::1");
        assert_eq!(normal("Lamp-7"), "lamp-7");
    }
}
