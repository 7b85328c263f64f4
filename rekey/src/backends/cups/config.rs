//! The part `[cups]` of the configuration, and the list of gateways.
//!
//! ```toml
//! [cups]
//! listen = "0.0.0.0:6040"
//! certificate = "/etc/citytap-rekey/cups.pem"
//! key = "/etc/citytap-rekey/cups.key"
//! trust = "/etc/citytap-rekey/cups-ca.pem"      # goes into credentials for this server: who issued `certificate`
//! tc_trust = "/etc/citytap-rekey/lns-ca.pem"    # goes into credentials for the network server
//! mode = "certificate"                          # or "token"
//! gateways = "/etc/citytap-rekey/gateways.csv"
//! ```
//!
//! ```csv
//! router,certificate,cups_crc
//! b827ebfffe123456,9f86d081...,1234567890       # first generation: SHA-256 of its certificate, checksum as its station reports it; both may be left out
//! ```

use super::wire::id6;
use crate::backends::Refusal;
use crate::backends::join_server::message::hex;
use crate::serving::tls;
use serde::Deserialize;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How gateways show who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By a certificate of their own.
    Certificate,
    /// By a token in the Authorization header.
    Token,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    listen: SocketAddr,
    certificate: PathBuf,
    key: PathBuf,
    trust: PathBuf,
    tc_trust: Option<PathBuf>,
    mode: Mode,
    gateways: Option<PathBuf>,
}

/// What is known of a gateway's first generation, where its key is not held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct First {
    pub(super) certificate: Option<[u8; 32]>,
    pub(super) crc: Option<u32>,
}

/// The configuration as it is used.
pub(super) struct Config {
    pub(super) listen: SocketAddr,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// DER.
    pub(super) trust: Vec<u8>,
    /// DER.
    pub(super) tc_trust: Vec<u8>,
    pub(super) mode: Mode,
    pub(super) first: HashMap<u64, First>,
}

impl Config {
    pub(super) fn read(table: &toml::Table) -> Result<Self, Refusal> {
        let written: Written = toml::Value::Table(table.clone()).try_into().map_err(|error: toml::de::Error| {
            Refusal::new(format!("[cups] cannot be read: {}", error.message()), "correct this part of the configuration")
        })?;
        let trust = one(&written.trust)?;
        let tc_trust = written.tc_trust.as_deref().map(one).transpose()?.unwrap_or_else(|| trust.clone());
        let first = written.gateways.as_deref().map(gateways).transpose()?.unwrap_or_default();
        let Written { listen, certificate, key, mode, .. } = written;
        Ok(Self { listen, certificate, key, trust, tc_trust, mode, first })
    }
}

/// The first certificate of a file: a blob has room for one.
fn one(file: &Path) -> Result<Vec<u8>, Refusal> {
    Ok(tls::certificates(file)?.first().map(|certificate| certificate.to_vec()).unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    router: &'a str,
    #[serde(default)]
    certificate: Option<&'a str>,
    #[serde(default)]
    cups_crc: Option<&'a str>,
}

fn gateways(file: &Path) -> Result<HashMap<u64, First>, Refusal> {
    let cannot = |error: csv::Error| {
        Refusal::new(
            format!("{}: {error}", file.display()),
            "write a heading with router and lines that have as many columns as it",
        )
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).map_err(cannot)?;
    let headers = reader.headers().map_err(cannot)?.clone();
    let mut first = HashMap::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(cannot)? {
        let row: Row<'_> = record.deserialize(Some(&headers)).map_err(cannot)?;
        let line = record.position().map_or(0, csv::Position::line);
        let (router, read) = read(&row).map_err(|(column, remedy)| {
            Refusal::new(format!("{} line {line}: {column} cannot be read", file.display()), remedy)
        })?;
        first.insert(router, read);
    }
    Ok(first)
}

fn read(row: &Row<'_>) -> Result<(u64, First), (&'static str, &'static str)> {
    let router =
        id6(row.router).ok_or(("router", "write 16 hexadecimal digits, or as the station writes it: b827:ebff:fe12:3456"))?;
    let mut first = First::default();
    if let Some(text) = row.certificate.filter(|text| !text.is_empty()) {
        let digest = hex(&text.replace(':', "")).and_then(|bytes| bytes.try_into().ok());
        first.certificate = Some(digest.ok_or(("certificate", "write what `openssl x509 -noout -fingerprint -sha256` prints"))?);
    }
    if let Some(text) = row.cups_crc.filter(|text| !text.is_empty()) {
        first.crc = Some(text.parse().map_err(|_| ("cups_crc", "write the number that the station reports as cupsCredCrc"))?);
    }
    Ok((router, first))
}
