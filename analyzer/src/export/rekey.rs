//! The findings about keys, signed, for the module that replaces keys (`citytap-rekey`): which device, by all its names, what was found, where it was
//! seen. It holds no secret. With digests, for a paired module, also what each device presented, so that the module can say which
//! generation of a key that was; without the pairing key they say nothing.

use crate::checks::{self, KeyMatter};
use crate::findings::kept::{KeptFinding, KeptPlace};
use crate::inventory::{Device, DeviceId, when};
use crate::store::Contents;
use crate::store::credentials::digest_for_paired;
use citytap_sensor::time::Timestamp;
use citytap_signing::{Signer, file};
use serde::Serialize;

/// What the file says that it is.
pub const KIND: &str = "citytap.key-findings";

/// Version of the form: raised when an older reader could misread it.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Header<'a> {
    kind: &'static str,
    version: u32,
    site: &'a str,
    /// When it was made, by this machine's clock: whoever acts on it must know that it is fresh.
    #[serde(with = "when")]
    made: Timestamp,
    /// The time of the last packet that it rests on.
    #[serde(with = "when")]
    as_of: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Finding(Box<Told<'a>>),
    Presented(Presented<'a>),
}

#[derive(Serialize)]
struct Told<'a> {
    id: &'a str,
    check: &'a str,
    matter: KeyMatter,
    severity: &'static str,
    confidence: &'a str,
    message: &'a str,
    device: DeviceId,
    identities: Vec<Identity<'a>>,
    #[serde(with = "when::maybe")]
    first_seen: Option<Timestamp>,
    #[serde(with = "when::maybe")]
    last_seen: Option<Timestamp>,
    count: u64,
    evidence: &'a [KeptPlace],
}

#[derive(Serialize)]
struct Identity<'a> {
    kind: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Presented<'a> {
    device: DeviceId,
    identities: Vec<Identity<'a>>,
    kind: &'static str,
    digest: String,
    #[serde(with = "when")]
    last_seen: Timestamp,
    #[serde(with = "when::maybe")]
    last_accepted: Option<Timestamp>,
    #[serde(with = "when::maybe")]
    last_refused: Option<Timestamp>,
    count: u64,
}

/// The open findings about keys, in the order of ids, signed. `made`: now, by the clock of whoever asks.
pub fn signed(contents: &Contents, site: &str, signer: &Signer, with_digests: bool, made: Timestamp) -> Vec<u8> {
    let header = Header { kind: KIND, version: VERSION, site, made, as_of: contents.now() };
    let open = contents.findings.values().filter(|finding| contents.is_open(finding));
    let mut lines: Vec<Line<'_>> = open.filter_map(|finding| told(finding, contents)).collect();
    if with_digests {
        for (device, presented) in &contents.credentials {
            lines.extend(presented.iter().map(|one| {
                let (kind, digest) = digest_for_paired(one);
                Line::Presented(Presented {
                    device: *device,
                    identities: identities(contents.device(*device)),
                    kind,
                    digest,
                    last_seen: one.seen.last_seen,
                    last_accepted: one.last_accepted,
                    last_refused: one.last_refused,
                    count: one.seen.count,
                })
            }));
        }
    }
    file::signed(signer, &header, &lines)
}

fn told<'a>(finding: &'a KeptFinding, contents: &'a Contents) -> Option<Line<'a>> {
    let matter = checks::key_matter(&finding.check)?;
    Some(Line::Finding(Box::new(Told {
        id: &finding.id,
        check: &finding.check,
        matter,
        severity: finding.severity.name(),
        confidence: &finding.confidence,
        message: &finding.message,
        device: finding.device,
        identities: identities(contents.device(finding.device)),
        first_seen: finding.first_seen,
        last_seen: finding.last_seen,
        count: finding.count,
        evidence: &finding.evidence,
    })))
}

fn identities(device: Option<&Device>) -> Vec<Identity<'_>> {
    let names = device.into_iter().flat_map(|device| &device.identities);
    names.map(|name| Identity { kind: &name.kind, value: &name.value }).collect()
}
