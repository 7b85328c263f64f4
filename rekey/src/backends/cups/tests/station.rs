//! A Basics Station, as far as its CUPS side goes: sets of files, the fallback that is taken once, the order of sets after failures, and how it cuts a blob.
//! Written after station 2.0.6 (src/cups.c, src/sys.c) and calibrated on a real one.

use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// trust, crt, key.
pub(super) type Set = [Vec<u8>; 3];

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// 200; whether credentials for CUPS or for TC were in it.
    Done { cups: bool, tc: bool },
    /// Another status.
    Rejected(u16),
    /// No TLS connection.
    Failed,
    /// The set has no address.
    NoUri,
}

pub(super) struct Station {
    pub(super) router: String,
    /// REG, BAK, BOOT.
    pub(super) cups: [Option<Set>; 3],
    pub(super) tc: Set,
    pub(super) tc_restarts: u32,
    backup_done: bool,
    set: usize,
    failures: u32,
    /// A certificate with which it cannot connect: what a wrong key does.
    pub(super) cannot_use: Option<Vec<u8>>,
    /// Takes nothing that it is given, as a blob that it cannot cut.
    pub(super) cannot_cut: bool,
}

impl Station {
    pub(super) fn new(router: &str, cups: Set, tc: Set) -> Self {
        let (tc_restarts, backup_done, set, failures) = (0, false, 0, 0);
        Self {
            router: router.into(),
            cups: [Some(cups), None, None],
            tc,
            tc_restarts,
            backup_done,
            set,
            failures,
            cannot_use: None,
            cannot_cut: false,
        }
    }

    pub(super) fn installed(&self) -> &Set {
        self.cups[0].as_ref().unwrap()
    }

    /// One session, as the timer starts it.
    pub(super) fn session(&mut self, address: SocketAddr) -> Ended {
        let ended = self.contact(address);
        match ended {
            Ended::Done { tc, .. } => {
                self.tc_restarts += u32::from(tc);
                (self.set, self.failures) = (0, 0);
            }
            _ => {
                if self.failures > 6 || matches!(ended, Ended::Rejected(_) | Ended::NoUri) {
                    self.set = (self.set + 1) % 3;
                }
                self.failures += 1;
            }
        }
        ended
    }

    fn contact(&mut self, address: SocketAddr) -> Ended {
        let Some(set) = self.cups[self.set].clone() else { return Ended::NoUri };
        let Some((status, body)) = self.post(address, &set) else { return Ended::Failed };
        if status != 200 {
            return Ended::Rejected(status);
        }
        if self.set == 0 && !self.backup_done {
            self.cups[1] = self.cups[0].clone();
            self.backup_done = true;
        }
        assert_eq!(body[..2], [0, 0], "addresses stay");
        let length = |at: usize| usize::from(u16::from_le_bytes([body[at], body[at + 1]]));
        let cups = &body[4..4 + length(2)];
        let at = 4 + cups.len();
        let tc = &body[at + 2..at + 2 + length(at)];
        assert_eq!(body[at + 2 + tc.len()..], [0; 8], "no signature, no update");
        if let Some(new) = cut(cups).filter(|_| !self.cannot_cut) {
            self.cups[0] = Some(new);
        }
        if let Some(new) = cut(tc).filter(|_| !self.cannot_cut) {
            self.tc = new;
        }
        Ended::Done { cups: !cups.is_empty(), tc: !tc.is_empty() }
    }

    fn post(&self, address: SocketAddr, set: &Set) -> Option<(u16, Vec<u8>)> {
        let [trust, certificate, key] = set;
        if self.cannot_use.as_ref() == Some(certificate) {
            return None;
        }
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(trust.clone())).ok()?;
        let provider = Arc::new(default_provider());
        // mbedTLS 2.28 speaks TLS 1.2.
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS12]).ok()?;
        let builder = builder.with_root_certificates(roots);
        let config = if certificate.is_empty() {
            builder.with_no_client_auth()
        } else {
            let forms = [
                PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(key.clone())),
                PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(key.clone())),
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone())),
            ];
            let form = forms.into_iter().find(|form| any_supported_type(form).is_ok())?;
            let chain = vec![CertificateDer::from(certificate.clone())];
            CertifiedKey::new(chain.clone(), any_supported_type(&form).ok()?).keys_match().ok()?;
            builder.with_client_auth_cert(chain, form).ok()?
        };
        let token = if certificate.is_empty() { String::from_utf8(key.clone()).unwrap() } else { String::new() };
        let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).ok()?;
        let mut stream = StreamOwned::new(connection, TcpStream::connect(address).ok()?);
        let body = format!(
            "{{\"router\":\"{}\",\"cupsUri\":\"https://localhost:6040\",\"tcUri\":\"wss://localhost:6039\",\"cupsCredCrc\":{},\"tcCredCrc\":{},\
             \"station\":\"2.0.6(linux/std)\",\"model\":\"linux\",\"package\":null,\"keys\":[]}}",
            self.router,
            checksum(self.installed()),
            checksum(&self.tc)
        );
        let head = format!(
            "POST /update-info HTTP/1.1\r\nHost: localhost:6040\r\nContent-Type: application/json\r\nContent-Length: {:05}\r\n{token}\r\n",
            body.len()
        );
        stream.write_all([head, body].concat().as_bytes()).ok()?;
        read_answer(&mut stream)
    }
}

pub(super) fn read_answer(stream: &mut impl Read) -> Option<(u16, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut one = [0; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut one).ok()?;
        bytes.push(one[0]);
    }
    let head = String::from_utf8(bytes).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((status, body))
}

/// `sys_crcCred`, bit by bit.
pub(super) fn checksum(set: &Set) -> u32 {
    let mut crc = !0_u32;
    for part in set {
        let part = if part.is_empty() { &[0; 4][..] } else { part };
        for byte in part {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
    }
    !crc
}

/// `sys_credComplete`: any long form of a length is read as if it were 0x82.
pub(super) fn cut(blob: &[u8]) -> Option<Set> {
    let at = |index: usize| blob.get(index).copied().unwrap_or(0);
    let length = |start: usize| {
        if at(start + 1) & 0x80 != 0 {
            usize::from(u16::from_be_bytes([at(start + 2), at(start + 3)])) + 4
        } else {
            usize::from(at(start + 1)) + 2
        }
    };
    if at(0) != 0x30 {
        return None;
    }
    let trust = length(0);
    let (certificate, key_at) = match at(trust) {
        0 => (0, trust + 4),
        0x30 => (length(trust), trust + length(trust)),
        _ => return None,
    };
    if key_at > blob.len() {
        return None;
    }
    let key = match at(key_at) {
        0x30 => length(key_at),
        0 => 0,
        _ => blob.len() - key_at,
    };
    if trust + certificate + key > blob.len() {
        return None;
    }
    Some([blob[..trust].to_vec(), blob[trust..trust + certificate].to_vec(), blob[key_at..key_at + key].to_vec()])
}
