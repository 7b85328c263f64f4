//! The part `[mosquitto]` of the configuration: the broker, its files, and each device's way.

use super::client::{Endpoint, Tls};
use super::packets::Level;
use crate::backends::Refusal;
use crate::delivery::EXPIRY;
use crate::secrets::Secret;
use crate::slot::Slot;
use crate::time::Span;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How the broker comes to accept two generations, or one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayName {
    /// The broker plugin accepts both passwords under one user name.
    #[default]
    Plugin,
    /// A second user of dynamic security, `NAME.gN`, with the same rights.
    AlternateUser,
    /// A second identity `NAME.gN` in the psk_file.
    PskFile,
    /// One password in the password_file: cut-over.
    PasswordFile,
}

/// The whole part.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `host:port` of the broker.
    pub broker: String,
    /// A PEM file of certificate authorities; given, the connection is TLS.
    #[serde(default)]
    pub tls_ca: Option<PathBuf>,
    /// The name in the broker's certificate; by default the host of `broker`.
    #[serde(default)]
    pub tls_name: Option<String>,
    /// The version of MQTT that is spoken with the broker.
    #[serde(default)]
    pub mqtt: Level,
    /// The user that this module logs in as: an administrator of dynamic security, and nobody else's.
    pub admin: String,
    /// A file with its password, readable by this module alone.
    pub admin_password_file: PathBuf,
    /// The broker's `plugin_opt_config_file` of dynamic security.
    #[serde(default)]
    pub dynamic_security_file: Option<PathBuf>,
    /// The accept-set file that the broker plugin reads.
    #[serde(default)]
    pub accepts_file: Option<PathBuf>,
    /// The socket on which the broker plugin tells uses.
    #[serde(default)]
    pub uses_socket: Option<PathBuf>,
    /// The broker's log.
    #[serde(default)]
    pub log_file: Option<PathBuf>,
    /// The broker's `password_file`.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The broker's `psk_file`.
    #[serde(default)]
    pub psk_file: Option<PathBuf>,
    /// The broker's `pid_file`, for SIGHUP.
    #[serde(default)]
    pub pid_file: Option<PathBuf>,
    /// Work with a broker before 2.0.16, which may leave half a file when it crashes while saving. The copy beside it is then the way back.
    #[serde(default)]
    pub accept_unsafe_saving: bool,
    /// What holds where a device says nothing else.
    #[serde(default)]
    pub default: Device,
    /// Devices by user name.
    #[serde(default)]
    pub devices: BTreeMap<String, Device>,
}

/// One device.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// How the broker accepts.
    #[serde(default)]
    pub way: Option<WayName>,
    /// How the device learns: a name of the deliveries, or nothing (site visit).
    #[serde(default)]
    pub delivery: Option<String>,
    /// The device's topic, in its family's sense; by default its user name.
    #[serde(default)]
    pub topic: Option<String>,
    /// Seconds between two reports; an hour by default.
    #[serde(default)]
    pub reports_every: Option<u32>,
    /// The device's connection to the broker is encrypted.
    #[serde(default)]
    pub encrypted: Option<bool>,
    /// Deliver a secret over a connection that is not.
    #[serde(default)]
    pub in_clear: Option<bool>,
}

impl Settings {
    /// Reads the part.
    ///
    /// # Errors
    /// A key that is not known or missing.
    pub fn read(table: &toml::Table) -> Result<Self, Refusal> {
        table.clone().try_into().map_err(|error| {
            let remedy = "correct the part [mosquitto] of the configuration";
            Refusal::new(format!("the configuration: {}", error.to_string().trim().replace('\n', " ")), remedy)
        })
    }

    /// Where the broker is.
    pub fn endpoint(&self) -> Endpoint {
        let host = self.broker.rsplit_once(':').map_or(self.broker.as_str(), |(host, _)| host);
        let name = || self.tls_name.clone().unwrap_or_else(|| host.to_owned());
        let tls = self.tls_ca.as_ref().map(|ca| Tls { ca: ca.clone(), name: name() });
        Endpoint { address: self.broker.clone(), tls, level: self.mqtt }
    }

    /// The administrator's password, read when it is needed.
    ///
    /// # Errors
    /// The file cannot be read, or others can read it.
    pub fn admin_password(&self) -> Result<Secret, Refusal> {
        use std::os::unix::fs::PermissionsExt;
        let path = &self.admin_password_file;
        let refuse = |cause: String| {
            Refusal::new(
                format!("{}: {cause}", path.display()),
                "make it a file with mode 0600 of citytap-rekey's user that holds the password",
            )
        };
        let mode = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(refuse(format!("everybody can read the administrator's password (mode {:o})", mode & 0o777)));
        }
        let text = Zeroizing::new(std::fs::read(path).map_err(|error| refuse(error.to_string()))?);
        Ok(Secret::new(text.strip_suffix(b"\n").unwrap_or(&text).to_vec()))
    }

    /// A device with what holds by default.
    pub fn device(&self, slot: &Slot) -> Device {
        let own = self.devices.get(slot.name()).cloned().unwrap_or_default();
        let default = &self.default;
        Device {
            way: own.way.or(default.way),
            delivery: own.delivery.or_else(|| default.delivery.clone()),
            topic: own.topic,
            reports_every: own.reports_every.or(default.reports_every),
            encrypted: own.encrypted.or(default.encrypted),
            in_clear: own.in_clear.or(default.in_clear),
        }
    }

    /// All ways in use.
    pub fn ways(&self) -> Vec<WayName> {
        let mut ways: Vec<WayName> = vec![self.default.way.unwrap_or_default()];
        ways.extend(self.devices.values().filter_map(|device| device.way));
        ways.dedup();
        ways
    }
}

impl Device {
    /// How long between two reports.
    pub fn reporting(&self) -> Span {
        Span::seconds(i64::from(self.reports_every.unwrap_or(3600)))
    }

    /// How long a message to it may wait at the broker: until it comes by, within bounds.
    pub fn expiry(&self) -> Span {
        self.reporting().max(EXPIRY).min(Span::hours(24))
    }
}

/// A setting that a way needs.
///
/// # Errors
/// It is not given.
pub fn need<'a>(setting: Option<&'a PathBuf>, name: &str) -> Result<&'a Path, Refusal> {
    let missing = || {
        Refusal::new(
            format!("the configuration lacks mosquitto.{name}"),
            format!("add {name} = \"/path\" to the part [mosquitto]"),
        )
    };
    setting.map(PathBuf::as_path).ok_or_else(missing)
}
