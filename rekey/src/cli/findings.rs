//! `citytap-rekey findings | results | pair`: the exchange with citytap.

use super::asked::{Said, ask};
use super::host::{Host, keep, kept as kept_file, read, text_of, write};
use super::progress::Progress;
use super::{Answer, DONE, FAILED, Stop, now, print, table};
use crate::audit::Event;
use crate::config::Config;
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::findings::attribution::{Known, PairedKey, Sighting, which};
use crate::findings::import::{self, Finding, Freshness, Presented};
use crate::findings::results;
use crate::secrets::{Bound, Sealed, Secret};
use crate::slot::{Generation, RotationId, Slot};
use crate::time::Timestamp;
use crate::words::{counted, parse_moment};
use citytap_signing::{Signer, Verifier};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Take findings from citytap, or list those that were taken.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap export rekey --store demo --sign citytap.pem --out findings.jsonl     on citytap's machine\n  \
    citytap-rekey findings import findings.jsonl                                   here\n  citytap-rekey findings list"
)]
pub struct Findings {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Take a signed file of findings: it must be fresh, of the citytap that is trusted here, and not older than the last one.
    Import {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List the findings that were taken, with their slots.
    List,
}

/// What is kept of the findings.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// By site, when the newest findings that were used were made.
    used: BTreeMap<String, Timestamp>,
    /// By finding, so that a later file of one site does not forget another's.
    found: BTreeMap<String, (Finding, Slot)>,
}

fn file(config: &Config) -> PathBuf {
    config.folder.join("findings.json")
}

/// The findings that were taken.
pub fn kept(config: &Config) -> Result<Vec<(Finding, Slot)>, Stop> {
    let kept: Kept = kept_file(&file(config))?;
    Ok(kept.found.into_values().collect())
}

impl Findings {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        match self.what {
            What::Import { file } => ask(config, |host| import(host, &file)),
            What::List => {
                let (config, policy) = read(config)?;
                let row = |(finding, slot): (Finding, Slot)| {
                    let due = if policy.triggers.allow(finding.matter) {
                        policy.permits(&slot).err().unwrap_or_else(|| "due".into())
                    } else {
                        "the policy does not act on it ([triggers])".into()
                    };
                    vec![slot.to_string(), finding.matter.words().to_owned(), finding.severity, finding.id, due]
                };
                let rows: Vec<Vec<String>> = kept(&config)?.into_iter().map(row).collect();
                print(&table(&["SLOT", "WHY", "SEVERITY", "FINDING", "STATE"], &rows))?;
                Ok(DONE)
            }
        }
    }
}

impl Findings {
    /// What it says, in the `run` that has the journal.
    pub fn answer(&self, host: &Host, folder: &Path) -> Result<Said, Stop> {
        match &self.what {
            What::Import { file } => import(host, &folder.join(file)),
            What::List => Err(Stop::refused("the list needs no journal")),
        }
    }
}

fn import(host: &Host, path: &Path) -> Result<Said, Stop> {
    let now = now();
    let key = host.config.findings_key.as_ref().ok_or_else(|| {
        Stop::refused(
            "no key of citytap's is trusted here: write key = \"citytap.pem.pub\" below [findings] of the configuration",
        )
    })?;
    let key = Verifier::read(key).map_err(Stop::file)?;
    let mut stands: Kept = kept_file(&file(&host.config))?;
    let fresh = Freshness { holds: host.config.findings_hold, used: stands.used.clone(), now };
    let imported =
        import::read(&path.display().to_string(), &text_of(path)?, &key, &fresh, &host.policy).map_err(Stop::refused)?;
    let before = stands.found.len();
    for (finding, slot) in &imported.found {
        stands.found.insert(finding.id.clone(), (finding.clone(), slot.clone()));
    }
    stands.used.insert(imported.site.clone(), imported.made);
    let seen = attribute(host, &imported.site, &imported.presented)?;
    let event = Event::new("findings_taken")
        .with("site", imported.site.clone())
        .with("findings", imported.found.len())
        .with("key", key.id().0);
    host.tell_audit(&event, now)?;
    keep(&file(&host.config), &stands)?;
    let mut text = format!(
        "{} about keys of '{}', {} new; {}\n",
        counted(imported.found.len(), "finding", "findings"),
        imported.site,
        stands.found.len() - before,
        counted(
            seen,
            "sighting of the tap was attributed to a generation",
            "sightings of the tap were attributed to generations"
        ),
    );
    for finding in &imported.unmapped {
        let names: Vec<String> = finding.identities.iter().map(|one| format!("{}:{}", one.kind, one.value)).collect();
        let names: String = names.join(", ").chars().filter(|c| !c.is_control()).take(200).collect();
        text.push_str(&format!(
            "  no slot is known for {names} ({}): add it to the table of [findings] slots, or a rule [[map]]\n",
            finding.check
        ));
    }
    Ok(Said::done(text))
}

/// Takes in what the tap saw, as evidence of generations. The tap's word never counts as the verifier's.
fn attribute(host: &Host, site: &str, presented: &[(Presented, Slot)]) -> Result<usize, Stop> {
    let Some(key) = paired(host, site)? else { return Ok(0) };
    let mut count = 0;
    for (one, slot) in presented {
        let Some(digest) = bytes(&one.digest) else { continue };
        let known = known(host, slot)?;
        let Some(generation) = which(&Sighting::Digest { kind: &one.kind, digest: &digest }, &known, Some(&key)) else {
            continue;
        };
        let accepted = one.last_accepted.as_deref().and_then(parse_moment);
        let refused = one.last_refused.as_deref().and_then(parse_moment);
        let evidence = match (accepted, refused) {
            (Some(at), refused) if refused.is_none_or(|refused| refused < at) => {
                // What cannot tell sessions apart gives the same mark always.
                Evidence::Used(Use { generation, session: 0, at, by: Witness::Sensor, reach: Reach::Authenticated })
            }
            (_, Some(at)) => Evidence::Refused { at },
            _ => continue,
        };
        host.ledger(slot).saw(slot, &[evidence]).map_err(Stop::file)?;
        count += 1;
    }
    Ok(count)
}

/// What this module knows of a slot: each generation under the slot's own name, and under that of an alternate user or identity, `NAME.gN`.
fn known(host: &Host, slot: &Slot) -> Result<Vec<Known>, Stop> {
    let mut known = Vec::new();
    for generation in host.generations(slot)? {
        let secret = host.journal.secret(slot, generation).map_err(Stop::file)?;
        let alternate = format!("{}.g{}", slot.name(), generation.0);
        known.push(Known { generation, user: alternate, secret: secret.as_ref().map(Secret::duplicate), serial: None });
        known.push(Known { generation, user: slot.name().to_owned(), secret, serial: None });
    }
    Ok(known)
}

/// Say which generation of a key it was that somebody saw on the wire. Answers a generation, and nothing else of the key.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap-rekey which join_server/0102030405060708 --join-request 00f1...23\n  \
    citytap-rekey which lwm2m_bootstrap/meter-7 --psk-identity meter-7.g2")]
pub struct Which {
    /// The slot.
    #[arg(value_name = "SLOT")]
    slot: Slot,
    /// The 23 bytes of a LoRaWAN join-request, in hexadecimal digits.
    #[arg(long, value_name = "HEX", required_unless_present = "psk_identity")]
    join_request: Option<String>,
    /// The identity of a pre-shared key.
    #[arg(long, value_name = "IDENTITY", conflicts_with = "join_request")]
    psk_identity: Option<String>,
}

impl Which {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let host = Host::open(config)?;
        let known = known(&host, &self.slot)?;
        let frame = self
            .join_request
            .as_deref()
            .map(|hex| bytes(hex).ok_or_else(|| Stop::usage("those are no hexadecimal digits, two for each byte")));
        let frame = frame.transpose()?.unwrap_or_default();
        let seen = match &self.psk_identity {
            Some(identity) => {
                // The first identity has the slot's own name, later ones their generation in it.
                let own = |one: &&Known| one.user != self.slot.name() || one.generation == Generation::FIRST;
                let fitting = known.iter().filter(own).find(|one| one.user == *identity).map(|one| one.generation);
                return said(fitting);
            }
            None => Sighting::JoinRequest(&frame),
        };
        said(which(&seen, &known, None))
    }
}

fn said(generation: Option<Generation>) -> Answer {
    match generation {
        Some(generation) => print(&format!("{generation}\n")).map(|()| DONE),
        None => print("none that is known here\n").map(|()| FAILED),
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let is_hex = !hex.is_empty() && hex.len().is_multiple_of(2) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| {
        hex.as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
    })
}

/// What is kept of a pairing: the key is sealed.
#[derive(Default, Serialize, Deserialize)]
struct Pairings(BTreeMap<String, Vec<u8>>);

fn pairings(config: &Config) -> PathBuf {
    config.folder.join("pairings.json")
}

/// The place that a site's pairing key is sealed for.
fn place(site: &str) -> Result<Slot, Stop> {
    Slot::new("pairing", site).map_err(|_| Stop::refused("the site's name in the pairing file is none"))
}

fn paired(host: &Host, site: &str) -> Result<Option<PairedKey>, Stop> {
    let Pairings(all) = kept_file(&pairings(&host.config))?;
    let Some(sealed) = all.get(site) else { return Ok(None) };
    let slot = place(site)?;
    let bound = Bound { slot: &slot, generation: Generation(0), rotation: RotationId(0) };
    let secret = host.keys.open(&Sealed(sealed.clone()), bound).map_err(Stop::refused)?;
    Ok(PairedKey::from_secret(&secret))
}

/// Seals the pairings anew under the current key.
pub fn reseal_pairings(config: &Config, keys: &crate::secrets::Keyring) -> Result<usize, Stop> {
    let Pairings(mut all) = kept_file(&pairings(config))?;
    let mut count = 0;
    for (site, sealed) in &mut all {
        let slot = place(site)?;
        let bound = Bound { slot: &slot, generation: Generation(0), rotation: RotationId(0) };
        if let Some(new) = keys.reseal(&Sealed(sealed.clone()), bound).map_err(Stop::refused)? {
            *sealed = new.0;
            count += 1;
        }
    }
    if count > 0 {
        keep(&pairings(config), &Pairings(all))?;
    }
    Ok(count)
}

/// Take the key under which a citytap digests credentials, so that its sightings can be attributed to generations.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  citytap keys pair --store demo --out pairing.key    on citytap's machine\n  citytap-rekey pair pairing.key && shred -u pairing.key    here"
)]
pub struct Pair {
    /// The file of `citytap keys pair`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Pair {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let host = Host::open(config)?;
        let text = zeroize::Zeroizing::new(text_of(&self.file)?);
        let parsed = PairedKey::parse(&text);
        let (site, key) = parsed
            .ok_or_else(|| Stop::refused(format!("{} is no pairing file; `citytap keys pair` makes one", self.file.display())))?;
        let slot = place(&site)?;
        let bound = Bound { slot: &slot, generation: Generation(0), rotation: RotationId(0) };
        let sealed = host.keys.seal(&key.to_secret(), bound).map_err(Stop::refused)?;
        let Pairings(mut all) = kept_file(&pairings(&host.config))?;
        all.insert(site.clone(), sealed.0);
        host.tell_audit(&Event::new("paired").with("site", site.clone()), now())?;
        keep(&pairings(&host.config), &Pairings(all))?;
        print(&format!("Paired with citytap of '{site}'. Delete {} now: shred -u {0}\n", self.file.display()))?;
        Ok(DONE)
    }
}

/// Write what became of the findings' keys, signed, for `citytap findings close`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  citytap-rekey results --out results.jsonl\n  citytap findings close --proof results.jsonl --key rekey.pem.pub --store demo    on citytap's machine"
)]
pub struct Results {
    /// Write into this file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Results {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        let (config, _) = read(config)?;
        let signer = Signer::read(&config.signing).map_err(Stop::file)?;
        let progress = Progress::read(&config)?;
        let results: Vec<results::Result> = progress.results();
        if results.is_empty() {
            print("No rotation answers a finding yet\n")?;
            return Ok(FAILED);
        }
        write(&self.out, &results::signed(&results, &signer, now()))?;
        let done = results.iter().filter(|result| result.retired.is_some()).count();
        print(&format!("{}, {done} of them over; in {}\n", counted(results.len(), "finding", "findings"), self.out.display()))?;
        Ok(DONE)
    }
}
