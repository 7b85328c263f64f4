//! The part `[join_server]` of the configuration, and the list of devices.
//!
//! ```toml
//! [join_server]
//! listen = "0.0.0.0:8003"
//! certificate = "/etc/citytap-rekey/js.pem"        # TLS; with clients_ca mutual
//! key = "/etc/citytap-rekey/js.key"
//! clients_ca = "/etc/citytap-rekey/ns-ca.pem"
//! join_euis = ["70b3d57ed0000000/40"]              # all where left out
//! home_net_id = "000013"
//! devices = "/etc/citytap-rekey/devices.csv"
//! hand_over_to = "/var/lib/citytap-rekey/hand-over"
//! application_kek_label = "as"                     # AppSKey is wrapped for the application server; else as the sender's other keys
//! application_kek_file = "/etc/citytap-rekey/as.kek"
//!
//! [[join_server.senders]]                          # any NetID where there is none
//! id = "000013"
//! certificate = "SHA-256 of its client certificate, hexadecimal"
//! authorization_file = "/etc/citytap-rekey/ns.token"
//! kek_label = "ns"
//! kek_file = "/etc/citytap-rekey/ns.kek"           # 32 hexadecimal digits
//! ```

use super::keys::Key;
use super::message::{Kek, MacVersion, hex};
use crate::backends::Refusal;
use crate::time::Span;
use serde::Deserialize;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// `[join_server]` as it is written.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) listen: SocketAddr,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) clients_ca: Option<PathBuf>,
    /// Whoever reads the way between network server and here reads session keys; so plain HTTP is for one host.
    #[serde(default)]
    pub(super) plain_http_beyond_this_host: bool,
    #[serde(default)]
    join_euis: Vec<String>,
    home_net_id: Option<String>,
    devices: Option<PathBuf>,
    pub(super) hand_over_to: Option<PathBuf>,
    application_kek_label: Option<String>,
    application_kek_file: Option<PathBuf>,
    #[serde(default)]
    senders: Vec<WrittenSender>,
    #[serde(default = "two")]
    pub(super) threads: usize,
}

fn two() -> usize {
    2
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSender {
    id: String,
    certificate: Option<String>,
    authorization_file: Option<PathBuf>,
    kek_label: Option<String>,
    kek_file: Option<PathBuf>,
}

/// A network server or application server that may ask.
pub(super) struct Sender {
    /// SHA-256 of the client certificate that it must show.
    pub(super) certificate: Option<[u8; 32]>,
    /// The Authorization header that it must send.
    pub(super) authorization: Option<Zeroizing<String>>,
    /// What its keys are wrapped with.
    pub(super) kek: Option<Kek>,
}

/// JoinEUIs that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    eui: u64,
    bits: u32,
}

impl Prefix {
    fn parse(text: &str) -> Option<Self> {
        let (eui, bits) = text.split_once('/').unwrap_or((text, "64"));
        let bits = bits.parse().ok().filter(|bits| *bits <= 64)?;
        Some(Self { eui: eui64(eui)?, bits })
    }

    pub(super) fn holds(self, eui: u64) -> bool {
        (self.eui ^ eui).checked_shr(64 - self.bits).unwrap_or(0) == 0
    }
}

/// How a device can learn a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// No way from here: a person goes there.
    #[default]
    Unknown,
    /// Lobaro: `sAppKey=` and `w`.
    Lobaro,
    /// Dragino: a restart for new session keys.
    Dragino,
}

/// What is known of a device beside its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The version that rules its DevNonces, where what the network server says is wrong.
    pub mac_version: Option<MacVersion>,
    /// How it can learn a key.
    pub family: Family,
    /// Who else holds its root key: then nothing is planned.
    pub held_by: Option<Box<str>>,
    /// JoinNonces up to this one were used by the Join Server before this one.
    pub last_join_nonce: u32,
    /// How often it reports.
    pub reporting: Span,
    /// Spreading factor at which it is mostly heard, 7 to 12.
    pub spreading_factor: u8,
}

impl Default for Facts {
    fn default() -> Self {
        let (mac_version, family, held_by) = (None, Family::Unknown, None);
        Self { mac_version, family, held_by, last_join_nonce: 0, reporting: Span::hours(24), spreading_factor: 12 }
    }
}

/// The configuration as it is used.
pub(super) struct Config {
    pub(super) written: Written,
    pub(super) join_euis: Vec<Prefix>,
    pub(super) home_net_id: Option<u32>,
    pub(super) senders: HashMap<String, Sender>,
    pub(super) application_kek: Option<Kek>,
    pub(super) facts: HashMap<u64, Facts>,
    pub(super) usual: Facts,
}

impl Config {
    /// Reads the table and the files that it names.
    pub(super) fn read(table: &toml::Table) -> Result<Self, Refusal> {
        let written: Written = toml::Value::Table(table.clone()).try_into().map_err(|error: toml::de::Error| {
            Refusal::new(format!("[join_server] cannot be read: {}", error.message()), "correct this part of the configuration")
        })?;
        let bad = |what: &str, text: &str, remedy: &str| {
            Refusal::new(format!("[join_server] {what} = {text:?} cannot be read"), remedy)
        };
        let prefix = |text: &String| {
            Prefix::parse(text).ok_or_else(|| {
                bad(
                    "join_euis",
                    text,
                    "write 16 hexadecimal digits, a slash and how many bits count, such as 70b3d57ed0000000/40",
                )
            })
        };
        let join_euis = written.join_euis.iter().map(prefix).collect::<Result<_, _>>()?;
        let home_net_id = match &written.home_net_id {
            None => None,
            Some(text) => {
                let remedy = "write the NetID as 6 hexadecimal digits, such as 000013";
                let net_id = hex(text).filter(|bytes| bytes.len() == 3).ok_or_else(|| bad("home_net_id", text, remedy))?;
                Some(net_id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte)))
            }
        };
        let mut senders = HashMap::new();
        for sender in &written.senders {
            senders.insert(same_id(&sender.id), Sender::read(sender)?);
        }
        let application_kek = kek("[join_server]", &written.application_kek_label, &written.application_kek_file)?;
        let facts = written.devices.as_deref().map(devices).transpose()?.unwrap_or_default();
        Ok(Self { written, join_euis, home_net_id, senders, application_kek, facts, usual: Facts::default() })
    }

    /// What is known of a device.
    pub(super) fn facts(&self, dev_eui: u64) -> &Facts {
        self.facts.get(&dev_eui).unwrap_or(&self.usual)
    }

    /// Whether a JoinEUI is one of ours.
    pub(super) fn serves(&self, join_eui: u64) -> bool {
        self.join_euis.is_empty() || self.join_euis.iter().any(|prefix| prefix.holds(join_eui))
    }
}

/// Identifiers are hexadecimal text of either case, or names.
pub(super) fn same_id(id: &str) -> String {
    id.strip_prefix("0x").unwrap_or(id).to_ascii_lowercase()
}

impl Sender {
    fn read(written: &WrittenSender) -> Result<Self, Refusal> {
        let certificate = match &written.certificate {
            None => None,
            Some(text) => {
                let bytes = hex(&text.replace(':', "")).and_then(|bytes| bytes.try_into().ok());
                Some(bytes.ok_or_else(|| {
                    Refusal::new(
                        format!("[join_server] the certificate of sender {:?} is no SHA-256", written.id),
                        "write what `openssl x509 -noout -fingerprint -sha256` prints",
                    )
                })?)
            }
        };
        let authorization = written.authorization_file.as_deref().map(secret_line).transpose()?;
        let kek = kek(&format!("[join_server] sender {:?}", written.id), &written.kek_label, &written.kek_file)?;
        Ok(Self { certificate, authorization, kek })
    }
}

fn kek(place: &str, label: &Option<String>, file: &Option<PathBuf>) -> Result<Option<Kek>, Refusal> {
    match (label, file) {
        (Some(label), Some(file)) => Ok(Some(Kek { label: label.clone(), key: key_in(file)? })),
        (None, None) => Ok(None),
        _ => Err(Refusal::new(
            format!("{place} has one of kek_label and kek_file"),
            "give both, or none to send keys unwrapped over TLS",
        )),
    }
}

fn secret_line(file: &Path) -> Result<Zeroizing<String>, Refusal> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text
        .map_err(|error| Refusal::new(format!("{} cannot be read: {error}", file.display()), "check the path and its rights"))?;
    Ok(Zeroizing::new(text.trim_end().to_owned()))
}

fn key_in(file: &Path) -> Result<Key, Refusal> {
    let text = secret_line(file)?;
    let bytes = hex(&text).map(Zeroizing::new).and_then(|bytes| <[u8; 16]>::try_from(bytes.as_slice()).ok());
    let bytes =
        bytes.ok_or_else(|| Refusal::new(format!("{} holds no AES-128 key", file.display()), "write 32 hexadecimal digits"))?;
    Ok(Key::new(bytes))
}

/// Sixteen hexadecimal digits.
pub(super) fn eui64(text: &str) -> Option<u64> {
    let good = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    good.then(|| u64::from_str_radix(text, 16).ok())?
}

/// One line of the list of devices; columns may be in any order and left out, `dev_eui` apart.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    dev_eui: &'a str,
    #[serde(default)]
    mac_version: Option<&'a str>,
    #[serde(default)]
    family: Option<&'a str>,
    #[serde(default)]
    held_by: Option<&'a str>,
    #[serde(default)]
    last_join_nonce: Option<u32>,
    #[serde(default)]
    reporting_seconds: Option<u32>,
    #[serde(default)]
    spreading_factor: Option<u8>,
}

fn devices(file: &Path) -> Result<HashMap<u64, Facts>, Refusal> {
    let cannot = |error: csv::Error| {
        Refusal::new(
            format!("{}: {error}", file.display()),
            "write a heading with dev_eui and lines that have as many columns as it",
        )
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).map_err(cannot)?;
    let headers = reader.headers().map_err(cannot)?.clone();
    let mut facts = HashMap::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(cannot)? {
        let row: Row<'_> = record.deserialize(Some(&headers)).map_err(cannot)?;
        let line = record.position().map_or(0, csv::Position::line);
        let (dev_eui, read) = Facts::read(&row).map_err(|(column, remedy)| {
            Refusal::new(format!("{} line {line}: {column} cannot be read", file.display()), remedy)
        })?;
        facts.insert(dev_eui, read);
    }
    Ok(facts)
}

impl Facts {
    fn read(row: &Row<'_>) -> Result<(u64, Self), (&'static str, &'static str)> {
        let dev_eui = eui64(row.dev_eui).ok_or(("dev_eui", "write 16 hexadecimal digits"))?;
        let mut facts = Self::default();
        if let Some(text) = row.mac_version.filter(|text| !text.is_empty()) {
            facts.mac_version = Some(MacVersion::parse(text).ok_or(("mac_version", "write 1.0.2, 1.0.3, 1.0.4 or 1.1"))?);
        }
        facts.family = match row.family.unwrap_or_default() {
            "" => Family::Unknown,
            "lobaro" => Family::Lobaro,
            "dragino" => Family::Dragino,
            _ => return Err(("family", "write lobaro or dragino, or nothing: then a work order is made")),
        };
        facts.held_by = row.held_by.filter(|text| !text.is_empty()).map(Into::into);
        facts.last_join_nonce = row.last_join_nonce.unwrap_or(0);
        if let Some(seconds) = row.reporting_seconds {
            facts.reporting = Span::seconds(seconds.into());
        }
        if let Some(factor) = row.spreading_factor {
            let factor = Some(factor).filter(|factor| (7..=12).contains(factor));
            facts.spreading_factor = factor.ok_or(("spreading_factor", "write a number from 7 to 12"))?;
        }
        Ok((dev_eui, facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn prefixes_hold_what_begins_alike() {
        let prefix = Prefix::parse("70b3d57ed0000000/40").unwrap();
        assert!(prefix.holds(0x70b3d57ed0abcdef) && !prefix.holds(0x70b3d57ed1abcdef));
        assert!(Prefix::parse("0000000000000000/0").unwrap().holds(u64::MAX));
        let one = Prefix::parse("0102030405060708").unwrap();
        assert!(one.holds(0x0102030405060708) && !one.holds(0x0102030405060709));
        assert!(Prefix::parse("01/8").is_none() && Prefix::parse("0102030405060708/65").is_none());
    }

    #[test]
    fn what_a_person_mistypes_is_told_with_its_place() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "dev_eui,mac_version,family,held_by\n0102030405060708,1.0.4,lobaro,\n0102030405060709,1.9,,").unwrap();
        let table = format!("listen = \"127.0.0.1:0\"\ndevices = {:?}", file.path()).parse().unwrap();
        let refusal = Config::read(&table).err().unwrap().to_string();
        assert!(refusal.contains("line 3: mac_version") && refusal.contains("1.0.4"), "{refusal}");
        for (text, part) in [
            ("listen = \"nowhere\"", "[join_server]"),
            ("listen = \"127.0.0.1:0\"\nlisten_to = 1", "listen_to"),
            ("listen = \"127.0.0.1:0\"\njoin_euis = [\"12\"]", "join_euis"),
            ("listen = \"127.0.0.1:0\"\n[[senders]]\nid = \"13\"\nkek_label = \"a\"", "kek_file"),
        ] {
            let refusal = Config::read(&text.parse().unwrap()).err().unwrap().to_string();
            assert!(refusal.contains(part), "{refusal}");
        }
    }

    #[test]
    fn a_list_of_devices() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "held_by, dev_eui, last_join_nonce\nACME, 01020304050607FF, 9").unwrap();
        let table = format!("listen = \"127.0.0.1:0\"\ndevices = {:?}", file.path()).parse().unwrap();
        let config = Config::read(&table).unwrap();
        let facts = config.facts(0x01020304050607ff);
        assert_eq!((facts.held_by.as_deref(), facts.last_join_nonce), (Some("ACME"), 9));
        assert_eq!(config.facts(1), &Facts::default());
    }
}
