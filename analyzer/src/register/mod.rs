//! The register: what a city says it has (its asset list, a network server's list of devices), compared with what was seen.
//!
//! - [`read`](mod@read) makes entries of a CSV file: columns are mapped to fields, each value is checked, and what is wrong is told with line and column.
//!   A file with anything wrong in it is not imported at all. Columns that no field takes are not read: such lists often hold keys.
//! - [`compare`](mod@compare) finds the device of each entry. It is listed and seen, listed and silent, or speaking and unlisted.
//! - [`Entered`] is what entries say of a device: name, owner, place, criticality. It stands beside what was observed, goes before it, and is marked.

pub mod compare;
pub mod read;

use crate::findings::risk::Criticality;
use crate::inventory::{AttributeSeen, Device, Sighting, confidence_name};
use citytap_sensor::observation::identity::{IP, MAC};
use citytap_sensor::observation::{Confidence, IdentityKind};
use citytap_sensor::protocols::DECODERS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Entries of all lists together: as many as an appliance keeps devices.
pub const ENTRIES: usize = 1 << 20;

/// Characters of a value; longer ones are no names or places.
pub const VALUE: usize = 256;

/// A thing that a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A name that a device is recognised by.
    Identity(&'static IdentityKind),
    /// Its serial number, by which it is recognised too.
    Serial,
    /// What a person says of it.
    Attribute(&'static str),
}

/// What a person says of a device.
const ATTRIBUTES: [&str; 7] = ["asset_number", CRITICALITY, "model", "name", "owner", "place", "vendor"];

const CRITICALITY: &str = "criticality";

const SERIAL: &str = "serial";

/// How an attribute's origin calls a person.
const ENTERED: &str = "entered";

impl Field {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Field> {
        let declared = DECODERS.iter().flat_map(|spec| spec.identities.iter().copied());
        let mut kinds: Vec<&'static IdentityKind> = [&IP, &MAC].into_iter().chain(declared).collect();
        kinds.sort_by_key(|kind| kind.name);
        kinds.dedup_by_key(|kind| kind.name);
        let identities = kinds.into_iter().map(Field::Identity);
        identities.chain([Field::Serial]).chain(ATTRIBUTES.map(Field::Attribute))
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Field> {
        Field::all().find(|field| field.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Field::Identity(kind) => kind.name,
            Field::Serial => SERIAL,
            Field::Attribute(name) => name,
        }
    }

    /// Whether a device is recognised by it.
    pub fn recognises(self) -> bool {
        !matches!(self, Field::Attribute(_))
    }
}

/// One row of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The list: the file's base name.
    pub list: String,
    /// Line of the file, from 1.
    pub line: u32,
    /// Which import brought it: of two lists that contradict each other the later one counts.
    pub import: u32,
    /// Names by which the device is recognised, by kind, in their plain form.
    pub identities: BTreeMap<String, String>,
    /// What a person says of it, by attribute.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Entry {
    /// What people call it: its name, else what it is recognised by.
    pub fn called(&self) -> String {
        let named = self.attributes.get("name").cloned();
        let identity = || self.identities.iter().next().map(|(kind, value)| format!("{kind}:{value}"));
        named.or_else(identity).unwrap_or_default()
    }

    /// Where it stands.
    pub fn place(&self) -> String {
        format!("{}:{}", self.list, self.line)
    }
}

/// A name in the form in which it is compared: an address or EUI as it is stored however it was typed, other names as they are.
pub fn plain(kind: &str, value: &str) -> String {
    let value = value.trim();
    if kind == IP.name {
        return value.parse::<IpAddr>().map_or_else(|_| value.to_owned(), |address| address.to_string());
    }
    if hex_digits(kind).is_some() {
        return value.chars().filter(|c| !matches!(c, ':' | '-' | '.' | ' ')).flat_map(char::to_lowercase).collect();
    }
    value.to_owned()
}

/// How many hex digits a kind of name has, where it is one of digits: EUI-64, EUI-48, DevAddr.
pub fn hex_digits(kind: &str) -> Option<usize> {
    match kind {
        "mac" => Some(12),
        "dev_addr" => Some(8),
        _ if kind.ends_with("_eui") => Some(16),
        _ => None,
    }
}

/// What the lists say of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    /// By attribute: the value and where it stands.
    pub attributes: BTreeMap<String, (String, String)>,
}

impl Entered {
    /// What depends on the device.
    pub fn criticality(&self) -> Option<Criticality> {
        let (value, _) = self.attributes.get(CRITICALITY)?;
        Criticality::ALL.into_iter().find(|criticality| criticality.name() == value)
    }

    /// Puts what was entered over what was observed; both stay visible.
    pub fn over(&self, device: &Device) -> Device {
        let mut device = device.clone();
        for (name, (value, source)) in &self.attributes {
            device.attributes.iter_mut().filter(|other| other.name == *name).for_each(|other| other.current = false);
            let shown = match name.as_str() {
                "name" => Some(&mut device.name),
                "vendor" => Some(&mut device.vendor),
                "model" => Some(&mut device.model),
                _ => None,
            };
            shown.into_iter().for_each(|shown| *shown = Some(value.clone()));
            device.attributes.push(AttributeSeen {
                name: name.clone(),
                value: value.clone(),
                current: true,
                source: source.clone(),
                by: None,
                confidence: confidence_name(Confidence::Seen).into(),
                origin: ENTERED.into(),
                seen: Sighting {
                    first_frame: 0,
                    first_seen: device.first_seen,
                    last_frame: 0,
                    last_seen: device.last_seen,
                    count: 0,
                },
            });
        }
        device.attributes.sort_by(|a, b| (&a.name, !a.current).cmp(&(&b.name, !b.current)));
        device
    }
}

/// What a person entered of an attribute of a device as it is shown.
pub fn entered<'d>(device: &'d Device, attribute: &str) -> Option<&'d str> {
    let mine = |seen: &&AttributeSeen| seen.name == attribute && seen.origin == ENTERED;
    device.attributes.iter().find(mine).map(|seen| seen.value.as_str())
}

/// Whether a person entered it.
pub fn is_entered(attribute: &AttributeSeen) -> bool {
    attribute.origin == ENTERED
}
