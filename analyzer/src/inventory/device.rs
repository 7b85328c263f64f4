//! The assembled view of a device: what is shown, exported, stored and compared. Its JSON is stable: fields are added, never renamed.

use super::when;
use citytap_sensor::flow::NetworkId;
use citytap_sensor::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;
use std::str::FromStr;

/// The id of a device: 64 bits, written as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub u64);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is no device id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no device id; an id has 16 hex digits, and `citytap devices` lists them")]
pub struct DeviceIdError(String);

impl FromStr for DeviceId {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        id.map(Self).ok_or_else(|| DeviceIdError(text.into()))
    }
}

impl Serialize for DeviceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A device. Lists are sorted; what is not known is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Hash of the site and the founding name.
    pub id: DeviceId,
    /// The site.
    pub site: String,
    /// The network of the founding name; 0 for names that are unique everywhere.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub network: NetworkId,
    /// What kind of device it is, where the evidence suffices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// A name that people gave it, or its host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The maker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The model or order number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Firmware version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Software version beside the firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
    /// Hardware version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
    /// Serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Its names, the founding one first.
    pub identities: Vec<Name>,
    /// The ids that it had, or would have had, under its other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<DeviceId>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleSeen>,
    /// What it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceSeen>,
    /// With whom it exchanges messages; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<PeerSeen>,
    /// What is known about it, with its source: for each attribute the current value first, then others and earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<AttributeSeen>,
    /// Through what its traffic passes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<ViaSeen>,
    /// Objects of its protocols' data models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectSeen>,
    /// How it is protected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<SecuritySeen>,
    /// Certificates that it showed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateSeen>,
    /// Links to other names that were not followed, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_links: Vec<RefusedLink>,
    /// Outermost VLAN identifiers that it was seen in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<u16>,
    /// When it was first seen.
    #[serde(with = "when")]
    pub first_seen: Timestamp,
    /// When it was last seen.
    #[serde(with = "when")]
    pub last_seen: Timestamp,
    /// Messages that named it.
    pub messages: u64,
    /// Packets from and to its addresses.
    pub packets: u64,
    /// Transport payload bytes from and to its addresses.
    pub bytes: u64,
    /// Whether it neither answered nor showed itself in a protocol.
    pub provisional: bool,
}

/// A class with what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Stable id, as in `street_light`.
    pub id: String,
    /// As people read it.
    pub name: String,
    /// Points, at most 100.
    pub score: u8,
    /// What speaks for it, with its points.
    pub reasons: Vec<String>,
}

/// Where and how often something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Packet of the first time.
    pub first_frame: u64,
    /// The first time.
    #[serde(with = "when")]
    pub first_seen: Timestamp,
    /// Packet of the last time.
    pub last_frame: u64,
    /// The last time.
    #[serde(with = "when")]
    pub last_seen: Timestamp,
    /// How often it was told.
    pub count: u64,
}

/// A name of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// Kind of name, as in `dev_eui`.
    pub kind: String,
    /// The name.
    pub value: String,
    /// The server at which it is unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How it showed itself: `mentioned`, `sent`, `proved`.
    pub presence: String,
    /// When it was seen.
    #[serde(flatten)]
    pub seen: Sighting,
}

/// `kind:value` or `kind:value@server`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)?;
        self.at.iter().try_for_each(|at| write!(f, "@{at}"))
    }
}

/// A role of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSeen {
    /// The role, as in `broker`.
    pub role: String,
    /// When it was seen.
    #[serde(flatten)]
    pub seen: Sighting,
}

/// A service of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSeen {
    /// Name of the protocol.
    pub protocol: String,
    /// Port, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whether the transport is protected.
    pub protected: bool,
    /// When it was seen.
    #[serde(flatten)]
    pub seen: Sighting,
}

/// A device or address that a device exchanges messages with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSeen {
    /// The peer's id, where it is a device of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// A name of the peer.
    pub peer: String,
    /// Name of the protocol, or of the transport where none was recognised.
    pub protocol: String,
    /// Whether this device asks (`client`) or answers (`server`).
    pub side: String,
    /// When it was seen.
    #[serde(flatten)]
    pub seen: Sighting,
}

/// An attribute's value with its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeSeen {
    /// The attribute, as in `firmware`.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether this is the value shown: the most certain one, then the latest.
    pub current: bool,
    /// The field it was read from, or the kind of name that it follows from.
    pub source: String,
    /// What concluded it: a fingerprint, a table of prefixes; absent where the device said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How sure it is: `possible`, `likely`, `seen`, `proved`.
    pub confidence: String,
    /// Who says it: `observed` on the wire, or `entered` by a person.
    pub origin: String,
    /// When it was seen.
    #[serde(flatten)]
    pub seen: Sighting,
}

/// Something through which a device's traffic passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViaSeen {
    /// Its id, where it is a device of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// A name of it.
    pub via: String,
    /// When it was seen.
    #[serde(flatten)]
    pub seen: Sighting,
}

/// An object of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSeen {
    /// What kind of object, as in `lwm2m.object`.
    pub kind: String,
    /// Its name or number.
    pub name: String,
    /// When it was seen.
    #[serde(flatten)]
    pub seen: Sighting,
}

/// A statement on how a device is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecuritySeen {
    /// What it is about: `activation`, `mode`, `transport`, `cipher`.
    pub aspect: String,
    /// What was seen.
    pub value: String,
    /// When it was seen.
    #[serde(flatten)]
    pub seen: Sighting,
}

/// A certificate of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSeen {
    /// SHA-256 of its SubjectPublicKeyInfo, in hex.
    pub spki_sha256: String,
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Not valid before, seconds since the Unix epoch.
    pub not_before: i64,
    /// Not valid after, seconds since the Unix epoch.
    pub not_after: i64,
    /// When it was seen.
    #[serde(flatten)]
    pub seen: Sighting,
}

/// A link that was not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLink {
    /// The name of this device.
    pub name: String,
    /// The name that it was linked to.
    pub other: String,
    /// What the link rests on.
    pub basis: String,
    /// How sure it is.
    pub confidence: String,
    /// Why it was not followed.
    pub reason: String,
    /// When it was first seen.
    #[serde(with = "when")]
    pub first_seen: Timestamp,
    /// When it was last seen.
    #[serde(with = "when")]
    pub last_seen: Timestamp,
}

fn is_zero(network: &NetworkId) -> bool {
    *network == 0
}
