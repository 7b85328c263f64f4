//! Certificates as far as the inventory wants them (RFC 5280).

use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Names of a certificate that are told.
const NAMES: usize = 16;

/// What a leaf certificate, or a raw public key, says.
#[derive(Default)]
pub struct Leaf {
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
    /// Subject; empty for a raw public key.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Serial number, lowercase hex.
    pub serial: String,
    /// Not before and not after, seconds since the Unix epoch.
    pub validity: Option<(i64, i64)>,
    /// DNS names and addresses of the subject.
    pub names: Vec<String>,
    /// Object identifier of the signature's algorithm.
    pub signature_algorithm: String,
    /// Object identifier of the key's algorithm.
    pub key_algorithm: String,
    /// Whether it has no issuer beyond itself.
    pub is_raw: bool,
}

impl Leaf {
    /// Reads a certificate.
    pub fn certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = match certificate.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.iter().filter_map(name).take(NAMES).collect(),
            _ => Vec::new(),
        };
        let mut serial = String::new();
        crate::observation::record::push_hex(certificate.raw_serial(), &mut serial);
        Some(Self {
            spki_sha256: Sha256::digest(certificate.public_key().raw).into(),
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            serial,
            validity: Some((certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp())),
            names,
            signature_algorithm: certificate.signature_algorithm.algorithm.to_id_string(),
            key_algorithm: certificate.public_key().algorithm.algorithm.to_id_string(),
            is_raw: false,
        })
    }

    /// Reads a raw public key (RFC 7250 §3).
    pub fn public_key(der: &[u8]) -> Option<Self> {
        let (_, key) = SubjectPublicKeyInfo::from_der(der).ok()?;
        Some(Self {
            spki_sha256: Sha256::digest(key.raw).into(),
            key_algorithm: key.algorithm.algorithm.to_id_string(),
            is_raw: true,
            ..Self::default()
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
            v4.ok().or_else(|| <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::IpAddr::from(bytes).to_string()))
        }
        _ => None,
    }
}
