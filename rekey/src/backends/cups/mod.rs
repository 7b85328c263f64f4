//! The CUPS server of Basics Station gateways: it verifies who a gateway is and hands it new credentials, for itself and for its network server.
//!
//! ```text
//! station --POST /update-info--> wire -> who (certificate or token, by generation) -> gateway (what is answered) -> blob -> station
//!                                                                                        |
//!                                                                                     journal, before the answer leaves
//! ```
//!
//! Two slots a gateway, `cups/<EUI>.cups` and `cups/<EUI>.tc`, never changed together; one gateway at a time. A station keeps its first working set as a fallback
//! for ever, so that generation is never retired: whoever shows it is let through TLS and told 403 where it shall go on to what is installed. Certificates are
//! pinned, so one that ended in the meantime still brings its gateway here.
//!
//! The secret of a generation is what is sealed of it: a whole blob that was entered; a P-256 private key of 32 bytes, to which an [`Issuer`] gives a certificate;
//! or a token. What a network server does with the other credentials is seen by it and by the tap, not here: here a gateway says that it has them.

pub mod blob;
mod config;
pub mod gateway;
mod held;
#[cfg(test)]
mod tests;
pub mod wire;

use super::{Backend, BackendSpec, Capability, Refusal};
use crate::evidence::{Evidence, Reach, Use, Witness};
use crate::journal::{JournalError, Ledger};
use crate::rotation::{Class, Outcome, Procedure};
use crate::secrets::{Alphabet, Profile, Secret};
use crate::serving::{self, Endpoint, Peer, Request, Response, Running, tls};
use crate::slot::{AcceptSet, Effecting, Generation, Slot};
use crate::time::{Span, Timestamp};
use config::Config;
use gateway::{Answer, Asked, Ended, Gateway, Order, Which};
use held::Held;
use hyper::{Method, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};
use wire::UpdateInfo;

pub use config::Mode;

/// The backend's name.
pub const NAME: &str = "cups";

/// The CUPS server.
pub const SPEC: BackendSpec = BackendSpec {
    name: NAME,
    verifies: "certificates or tokens of LoRaWAN gateways that run Basics Station, as their CUPS server",
    procedures: &[Procedure::CertificateRenewal, Procedure::SharedSecretReplacement],
    documents: &[
        "LoRa Basics Station documentation, The CUPS Protocol and Credentials; behaviour of station 2.0.6 as measured and as in src/cups.c, src/sys.c",
        "RFC 5915 §3 (EC private keys), RFC 8017 appendix A.1.2 (RSA private keys)",
    ],
    unproven: "real station 2.0.6 was driven while the protocol was studied; this server was run against a simulation of it",
    concurrency: 1,
    open,
};

fn open(table: &toml::Table, ledger: Arc<dyn Ledger>) -> Result<Arc<dyn Backend>, Refusal> {
    Ok(Arc::new(Cups::open(table, ledger)?))
}

/// How often a station asks when all is well (CUPS_OKSYNC_INTV).
const POLLS: Span = Span::hours(24);

/// How long a station is away from its network server when its credentials there change: it restarts that connection.
const OUTAGE: Span = Span::seconds(60);

/// Whoever gives certificates to gateways.
pub trait Issuer: Send + Sync {
    /// A certificate in DER for this public key (uncompressed point of P-256), in the name of this gateway.
    ///
    /// # Errors
    /// It cannot be issued now.
    fn issue(&self, router: u64, which: Which, public: &[u8; 65]) -> Result<Vec<u8>, Refusal>;
}

struct Shared {
    config: Config,
    ledger: Arc<dyn Ledger>,
    issuer: RwLock<Option<Arc<dyn Issuer>>>,
    gateways: Mutex<HashMap<u64, Entry>>,
}

/// A gateway in memory.
struct Entry {
    gateway: Gateway,
    cups: Vec<Held>,
    tc: Vec<Held>,
}

impl Entry {
    fn held(&mut self, which: Which) -> &mut Vec<Held> {
        match which {
            Which::Cups => &mut self.cups,
            Which::Tc => &mut self.tc,
        }
    }
}

/// The CUPS server.
pub struct Cups {
    // Before what it uses: dropped first.
    server: Running,
    shared: Arc<Shared>,
}

impl Cups {
    /// Reads the configuration and serves.
    ///
    /// # Errors
    /// The configuration cannot be read, or the address cannot be taken.
    pub fn open(table: &toml::Table, ledger: Arc<dyn Ledger>) -> Result<Self, Refusal> {
        let config = Config::read(table)?;
        let tls = tls::server(&config.certificate, &config.key, &tls::Clients::Pinned)?;
        let endpoint = Endpoint { listen: config.listen, tls: Some(tls), body_max: wire::BODY_MAX, threads: 2 };
        let shared = Arc::new(Shared { config, ledger, issuer: RwLock::default(), gateways: Mutex::default() });
        let serves = shared.clone();
        let server = serving::start("cups", endpoint, move |peer, request| {
            let response = serves.respond(&peer, &request);
            async move { response }
        })?;
        let cups = Self { server, shared };
        cups.load()?;
        Ok(cups)
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    /// Who gives certificates to keys that were made here.
    pub fn set_issuer(&self, issuer: Arc<dyn Issuer>) {
        *self.shared.issuer.write().unwrap_or_else(PoisonError::into_inner) = Some(issuer);
    }

    /// What is known of a gateway.
    pub fn gateway(&self, router: u64) -> Option<Gateway> {
        self.shared.lock().get(&router).map(|entry| entry.gateway.clone())
    }

    /// All gateways that the journal knows: whose turn it is must be known before the first asks.
    fn load(&self) -> Result<(), Refusal> {
        for (slot, _) in self.shared.ledger.slots().map_err(journal)? {
            let (router, _) = target(&slot)?;
            self.shared.entry(&mut self.shared.lock(), router)?;
        }
        Ok(())
    }
}

/// The gateway and the credentials that a slot is about.
fn target(slot: &Slot) -> Result<(u64, Which), Refusal> {
    let read = || {
        let (router, which) = Some(slot).filter(|slot| slot.backend() == NAME)?.name().rsplit_once('.')?;
        let which = match which {
            "cups" => Which::Cups,
            "tc" => Which::Tc,
            _ => return None,
        };
        Some((wire::id6(router).filter(|_| router.len() == 16)?, which))
    };
    read().ok_or_else(|| {
        Refusal::new(
            format!("{slot} is no slot of the CUPS server"),
            "write cups/, the gateway's EUI as 16 hexadecimal digits, and .cups or .tc",
        )
    })
}

/// The slot of a gateway's credentials.
pub fn slot(router: u64, which: Which) -> Result<Slot, crate::slot::BadSlot> {
    Slot::new(NAME, &format!("{router:016x}.{}", if which == Which::Cups { "cups" } else { "tc" }))
}

fn journal(error: JournalError) -> Refusal {
    Refusal::new(error.to_string(), "doctor shows what is wrong with the journal")
}

fn rejected(why: impl std::fmt::Display) -> Outcome {
    Outcome::Rejected { why: why.to_string() }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.gateways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateway, loaded if need be.
    fn entry<'a>(&self, gateways: &'a mut HashMap<u64, Entry>, router: u64) -> Result<&'a mut Entry, Refusal> {
        match gateways.entry(router) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                let kept = self.ledger.get(&router.to_be_bytes()).map_err(journal)?;
                let gateway = match kept {
                    None => Gateway::default(),
                    Some((_, bytes)) => serde_json::from_slice(&bytes).map_err(|error| {
                        Refusal::new(
                            format!("what the journal holds of gateway {router:016x}: {error}"),
                            "restore it from its standby or a backup",
                        )
                    })?,
                };
                let (cups, tc) = (self.load(router, Which::Cups)?, self.load(router, Which::Tc)?);
                Ok(place.insert(Entry { gateway, cups, tc }))
            }
        }
    }

    fn load(&self, router: u64, which: Which) -> Result<Vec<Held>, Refusal> {
        let slot = slot(router, which).map_err(|error| Refusal::new(error.to_string(), "report this"))?;
        let accepted = self.ledger.accepted(&slot).map_err(journal)?;
        let mut held = Vec::new();
        for generation in accepted.generations {
            let secret = self.ledger.secret(&slot, generation).map_err(journal)?;
            // One that cannot be made whole now (no issuer yet) must not keep the others from their gateway; whoever reads back asks for it again.
            held.extend(self.held(router, which, generation, secret.as_ref()).ok());
        }
        Ok(held)
    }

    fn keep(&self, router: u64, gateway: &Gateway) -> Result<(), Refusal> {
        let bytes = serde_json::to_vec(gateway).map_err(|error| Refusal::new(error.to_string(), "report this"))?;
        self.ledger.put(&[(router.to_be_bytes().to_vec(), Some(bytes))]).map_err(journal)
    }

    fn respond(&self, peer: &Peer, request: &Request) -> Response {
        if request.method != Method::POST || request.path != "/update-info" {
            return Response::empty(StatusCode::NOT_FOUND);
        }
        let Some(asked) = UpdateInfo::parse(&request.body) else { return Response::empty(StatusCode::BAD_REQUEST) };
        let mut gateways = self.lock();
        let known = gateways.contains_key(&asked.router);
        let Ok(entry) = self.entry(&mut gateways, asked.router) else {
            return Response::empty(StatusCode::SERVICE_UNAVAILABLE);
        };
        let Some(showed) = held::shown(&entry.cups, peer.certificate.as_ref(), request.authorization.as_deref()) else {
            if !known && entry.cups.is_empty() {
                // Anybody may ask under any name: a gateway that is not ours leaves no trace.
                gateways.remove(&asked.router);
            } else if let Some(entry) = gateways.get_mut(&asked.router) {
                entry.gateway.refused = Some(now());
            }
            return Response::empty(StatusCode::FORBIDDEN);
        };
        self.answer(&mut gateways, &asked, showed)
    }

    fn answer(&self, gateways: &mut HashMap<u64, Entry>, asked: &UpdateInfo, showed: Generation) -> Response {
        let at = now();
        let others = gateways.iter().filter(|(router, _)| **router != asked.router);
        let turn = !others.into_iter().any(|(_, entry)| entry.gateway.has_turn(at));
        let Some(entry) = gateways.get_mut(&asked.router) else { return Response::empty(StatusCode::FORBIDDEN) };
        let contact = Asked { at, showed, cups_crc: asked.cups_crc, tc_crc: asked.tc_crc, turn };
        let (cups, tc) = (held::checksums(&entry.cups), held::checksums(&entry.tc));
        let before = entry.gateway.clone();
        let answer = entry.gateway.asked(&contact, &cups, &tc);
        if self.keep(asked.router, &entry.gateway).is_err() {
            // As if it had not come: it comes again.
            entry.gateway = before;
            return Response::empty(StatusCode::SERVICE_UNAVAILABLE);
        }
        let blob =
            |held: &[Held], generation| held.iter().find(|held| held.generation == generation).and_then(|held| held.blob.clone());
        let body = match answer {
            Answer::Steer => return Response::empty(StatusCode::FORBIDDEN),
            Answer::Nothing => wire::answer(&[], &[]),
            Answer::Offer(Which::Cups, generation) => wire::answer(&blob(&entry.cups, generation).unwrap_or_default(), &[]),
            Answer::Offer(Which::Tc, generation) => wire::answer(&[], &blob(&entry.tc, generation).unwrap_or_default()),
        };
        Response::ok("application/octet-stream", body)
    }
}

/// The clock of this witness.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

impl Cups {
    /// Acts on a gateway and keeps what became of it; as before where the disk refuses.
    fn act(&self, slot: &Slot, act: impl FnOnce(&mut Entry, Which) -> Outcome) -> Outcome {
        let (router, which) = match target(slot) {
            Ok(target) => target,
            Err(refusal) => return rejected(refusal),
        };
        let mut gateways = self.shared.lock();
        let entry = match self.shared.entry(&mut gateways, router) {
            Ok(entry) => entry,
            Err(refusal) => return rejected(refusal),
        };
        let before = entry.gateway.clone();
        let outcome = act(entry, which);
        if entry.gateway != before
            && let Err(refusal) = self.shared.keep(router, &entry.gateway)
        {
            entry.gateway = before;
            return rejected(refusal);
        }
        outcome
    }
}

impl Backend for Cups {
    fn spec(&self) -> &'static BackendSpec {
        &SPEC
    }

    fn preflight(&self) -> Result<(), Refusal> {
        let mut address = self.address();
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_secs(2)).map(drop).map_err(|error| {
            Refusal::new(format!("the CUPS server does not answer on {address}: {error}"), "look for a firewall on this host")
        })
    }

    fn capability(&self, slot: &Slot) -> Result<Capability, Refusal> {
        let (router, which) = target(slot)?;
        let mut gateways = self.shared.lock();
        let entry = self.shared.entry(&mut gateways, router)?;
        if entry.held(which).is_empty() {
            return Err(Refusal::new(
                format!("{slot} is not known to the CUPS server"),
                "enter its first credential, or its pin in the list of gateways",
            ));
        }
        let token = self.shared.config.mode == Mode::Token;
        let issuer = self.shared.issuer.read().unwrap_or_else(PoisonError::into_inner).is_some();
        if !token && !issuer {
            return Err(Refusal::new(
                "nobody is configured to issue certificates for gateways",
                "configure an issuing authority, or mode = \"token\"",
            ));
        }
        let way_back = match which {
            Which::Cups => {
                "the station keeps its first working set as a fallback, comes with it after 7 failures, and is given what works"
            }
            Which::Tc => "the station still comes here and is given the old credentials again",
        };
        let falls_back_to = if which == Which::Cups { vec![entry.gateway.bak.unwrap_or(Generation::FIRST)] } else { Vec::new() };
        Ok(Capability {
            class: Class::Overlap,
            procedure: if token { Procedure::SharedSecretReplacement } else { Procedure::CertificateRenewal },
            way: "Basics Station fetches it when it next asks its CUPS server".into(),
            way_back: way_back.into(),
            outage: if which == Which::Tc { OUTAGE } else { Span::ZERO },
            reporting: POLLS,
            polls: POLLS,
            settles: gateway::TURN,
            holds_both: true,
            airtime: Span::ZERO,
            battery: 0,
            falls_back_to,
            behind: None,
            unproven: SPEC.unproven.into(),
        })
    }

    fn profile(&self, slot: &Slot) -> Option<Profile> {
        target(slot).ok()?;
        Some(match self.shared.config.mode {
            Mode::Certificate => Profile { length: 32..=32, alphabet: Alphabet::Bytes },
            Mode::Token => Profile { length: 32..=64, alphabet: Alphabet::Alphanumeric },
        })
    }

    fn accept(&self, slot: &Slot, generation: Generation, secret: Option<&Secret>, _by: Effecting) -> Outcome {
        let (router, which) = match target(slot) {
            Ok(target) => target,
            Err(refusal) => return rejected(refusal),
        };
        let held = match self.shared.held(router, which, generation, secret) {
            Ok(held) => held,
            Err(refusal) => return rejected(refusal),
        };
        self.act(slot, |entry, which| {
            let all = entry.held(which);
            match all.iter().find(|other| other.generation == generation) {
                Some(other) if other.is_same(&held) => Outcome::Done,
                Some(_) => rejected(format!("another credential is accepted as {generation} of {slot} already")),
                None => {
                    all.push(held);
                    Outcome::Done
                }
            }
        })
    }

    fn deliver(&self, slot: &Slot, _from: Generation, to: Generation, _secret: Option<&Secret>, by: Effecting) -> Outcome {
        self.act(slot, |entry, which| {
            if !entry.held(which).iter().any(|held| held.generation == to && held.blob.is_some()) {
                return rejected(format!("{to} of {slot} is not held whole: it cannot be given to the station"));
            }
            let place = if which == Which::Cups { &mut entry.gateway.cups } else { &mut entry.gateway.tc };
            match place {
                Some(order) if order.to == to && order.by == by => match order.ended {
                    Some(Ended::NotTaken) => {
                        rejected("the station came back with the checksum that it had before: it does not install this")
                    }
                    Some(Ended::FellBack) => rejected("the station could not connect with this and came with its fallback"),
                    Some(Ended::Taken) => Outcome::Done,
                    None => Outcome::Sent,
                },
                _ => {
                    *place = Some(Order::new(to, by));
                    Outcome::Sent
                }
            }
        })
    }

    fn read_back(&self, slot: &Slot) -> Result<AcceptSet, Refusal> {
        let (router, which) = target(slot)?;
        let mut gateways = self.shared.lock();
        let entry = self.shared.entry(&mut gateways, router)?;
        Ok(AcceptSet::of(entry.held(which).iter().map(|held| held.generation)))
    }

    fn evidence(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        let (router, which) = target(slot)?;
        let mut gateways = self.shared.lock();
        let gateway = &self.shared.entry(&mut gateways, router)?.gateway;
        let mut evidence = Vec::new();
        for contact in &gateway.contacts {
            let at = contact.at;
            if which == Which::Cups {
                // Each contact is a connection of its own, and a request that was read and answered in it is its data.
                let session = at.0.unsigned_abs();
                let used = Use { generation: contact.showed, session, at, by: Witness::Verifier, reach: Reach::Data };
                evidence.push(Evidence::Used(used));
                evidence.extend(contact.fell_back.then_some(Evidence::Refused { at }));
            }
            let says = if which == Which::Cups { contact.cups } else { contact.tc };
            evidence.extend(says.map(|generation| Evidence::Acknowledged { generation, at }));
        }
        evidence.extend(gateway.refused.map(|at| Evidence::Refused { at }));
        evidence.retain(|seen| seen.at() >= since);
        evidence.sort_by_key(|seen| (seen.at(), *seen));
        Ok(evidence)
    }

    fn retire(&self, slot: &Slot, generation: Generation, _by: Effecting) -> Outcome {
        self.act(slot, |entry, which| {
            if which == Which::Cups && entry.gateway.bak.unwrap_or(Generation::FIRST) == generation {
                return rejected(format!(
                    "{generation} of {slot} is the station's fallback: without it a failed change would be a visit"
                ));
            }
            if !entry.held(which).iter().any(|held| held.generation != generation) {
                return rejected(format!("{generation} is the only credential of {slot}"));
            }
            let place = if which == Which::Cups { &mut entry.gateway.cups } else { &mut entry.gateway.tc };
            if place.is_some_and(|order| order.to == generation) {
                *place = None;
            }
            entry.held(which).retain(|held| held.generation != generation);
            Outcome::Done
        })
    }

    fn quarantine(&self, slot: &Slot, _until: Option<Timestamp>, _by: Effecting) -> Outcome {
        rejected(format!(
            "{slot}: a gateway that its CUPS server turns away cannot be given anything; cut it off at its network server"
        ))
    }

    fn leave(&self, slot: &Slot, _by: Effecting) -> Outcome {
        // The station has all that it needs and keeps it; another CUPS server gets the credentials by the export for emergencies.
        target(slot).map_or_else(rejected, |_| Outcome::Done)
    }
}
