//! The LoRaWAN Join Server: the module verifies joins itself, so a device joins with its old root key and with its new one, and each join says which it was.
//!
//! ```text
//! NS, AS --JSON over HTTP(S)--> message -> joining -> frame, keys, accept     (what a join says and what is answered)
//!                                             |
//!                                          devices <- journal                 (root keys by generation)
//!                                           state  -> writer -> journal       (DevNonce, JoinNonce, sessions: on the disk before the answer leaves)
//! ```
//!
//! Behind ChirpStack v4: a device without a row of keys is asked for here (`[join_server.default] enabled = true, server = "https://..."`). Behind The Things
//! Stack: `join-servers` of its interoperability configuration, by prefix of JoinEUI, protocols BI1.0 and BI1.1. Any path is served.
//!
//! A refused join leaves the session as it is at the network server, which tells nobody why (ChirpStack writes no event for an error of a Join Server), so
//! refusals are counted, kept and logged here.
//!
//! Left out: the asynchronous mode of the interfaces (an answer in a request of its own), messages between network servers, and session keys as anything but
//! an answer: they are derived when they are asked for and never kept.

pub mod accept;
mod config;
mod devices;
pub mod frame;
mod joining;
pub mod keys;
pub mod message;
pub mod multicast;
mod rekeying;
pub mod state;
#[cfg(test)]
mod tests;
mod writer;

use super::{Backend, BackendSpec, Refusal};
use crate::journal::Ledger;
use crate::rotation::Procedure;
use crate::serving::{self, Endpoint, Peer, Response, Running, tls};
use crate::slot::{Generation, Slot};
use crate::time::Timestamp;
use config::{Config, Sender, same_id};
use devices::Devices;
use hyper::{Method, StatusCode};
use message::{BODY_MAX, Header, Refused, ResultCode};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};
use writer::Writer;

pub use config::{Facts, Family};

/// The backend's name.
pub const NAME: &str = "join_server";

/// The Join Server.
pub const SPEC: BackendSpec = BackendSpec {
    name: NAME,
    verifies: "root keys of LoRaWAN devices, as their Join Server",
    procedures: &[Procedure::SharedSecretReplacement, Procedure::SessionRekey],
    documents: &[
        "TS002-1.0.0 and TS002-1.1.0 LoRaWAN Backend Interfaces §8, §12, §16, §22, §23",
        "TS001-1.0.4 LoRaWAN L2 §6.2; LoRaWAN 1.0.3 §6.2; LoRaWAN 1.1 §6.1 and §6.2",
        "TS005-2.0.0 Remote Multicast Setup §4",
        "RFC 3394 §2.2.1, RFC 4493",
    ],
    unproven: "Lobaro and Dragino as ways to the device: documented, unproven on hardware",
    concurrency: 8,
    open,
};

fn open(table: &toml::Table, ledger: Arc<dyn Ledger>) -> Result<Arc<dyn Backend>, Refusal> {
    Ok(Arc::new(JoinServer::open(table, ledger)?))
}

/// Refusals kept for a person to look at.
pub const REFUSALS: usize = 256;

/// A join that was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRequest {
    /// When.
    pub at: Timestamp,
    /// DevEUI, where the request had one.
    pub dev_eui: Option<u64>,
    /// SenderID.
    pub sender: String,
    /// The code that was answered.
    pub code: ResultCode,
    /// Why.
    pub why: String,
}

#[derive(Default)]
struct Counts {
    granted: AtomicU64,
    unreadable: AtomicU64,
    nonces_forgotten: AtomicU64,
    refused: Mutex<Refusals>,
}

#[derive(Default)]
struct Refusals {
    by_code: BTreeMap<ResultCode, u64>,
    last: VecDeque<RefusedRequest>,
    logged: i64,
}

/// What the Join Server did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests granted.
    pub granted: u64,
    /// Bodies that were no message.
    pub unreadable: u64,
    /// Random DevNonces that made way for newer ones.
    pub nonces_forgotten: u64,
    /// Requests refused, by code.
    pub refused: BTreeMap<ResultCode, u64>,
}

/// What the server's threads and the backend share.
struct Shared {
    config: Config,
    ledger: Arc<dyn Ledger>,
    devices: Devices,
    writer: Writer,
    counts: Counts,
}

/// The Join Server.
pub struct JoinServer {
    // Before what it uses: dropped first.
    server: Running,
    shared: Arc<Shared>,
    route: RwLock<Option<Arc<dyn crate::delivery::lorawan::Route>>>,
}

impl JoinServer {
    /// Reads the configuration and serves.
    ///
    /// # Errors
    /// The configuration cannot be read, or the address cannot be taken.
    pub fn open(table: &toml::Table, ledger: Arc<dyn Ledger>) -> Result<Self, Refusal> {
        let config = Config::read(table)?;
        let endpoint = endpoint(&config)?;
        let writer = Writer::start(ledger.clone())?;
        let shared = Arc::new(Shared { config, ledger, devices: Devices::new(), writer, counts: Counts::default() });
        let serves = shared.clone();
        let server = serving::start("join-server", endpoint, move |peer, request| {
            let shared = serves.clone();
            async move { shared.respond(&peer, &request).await }
        })?;
        Ok(Self { server, shared, route: RwLock::new(None) })
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    /// The network server by which devices are reached. Without one no device learns anything from here.
    pub fn set_route(&self, route: Arc<dyn crate::delivery::lorawan::Route>) {
        *self.route.write().unwrap_or_else(PoisonError::into_inner) = Some(route);
    }

    /// What it did so far.
    pub fn counted(&self) -> Counted {
        let counts = &self.shared.counts;
        Counted {
            granted: counts.granted.load(Ordering::Relaxed),
            unreadable: counts.unreadable.load(Ordering::Relaxed),
            nonces_forgotten: counts.nonces_forgotten.load(Ordering::Relaxed),
            refused: counts.refused.lock().unwrap_or_else(PoisonError::into_inner).by_code.clone(),
        }
    }

    /// The last refusals, oldest first.
    pub fn refusals(&self) -> Vec<RefusedRequest> {
        self.shared.counts.refused.lock().unwrap_or_else(PoisonError::into_inner).last.iter().cloned().collect()
    }

    /// Devices in memory.
    pub fn loaded(&self) -> usize {
        self.shared.devices.len()
    }

    /// The generation under which the code of a join-request or rejoin-request that somebody heard is right: how the tap asks without knowing a key. Nothing is
    /// taken as used.
    pub fn attribute(&self, phy_payload: &[u8]) -> Option<(Slot, Generation)> {
        let frame = frame::Frame::parse(phy_payload).ok()?;
        let mut shard = self.shared.devices.shard(frame.dev_eui);
        let device = devices::find(&mut shard, frame.dev_eui, &*self.shared.ledger, &self.shared.config).ok()??;
        let (generation, _) = joining::generation_of(&device.roots, &frame)?;
        Some((devices::slot(frame.dev_eui).ok()?, generation))
    }
}

fn endpoint(config: &Config) -> Result<Endpoint, Refusal> {
    let written = &config.written;
    let tls = match (&written.certificate, &written.key) {
        (Some(certificate), Some(key)) => {
            let pinned = config.senders.values().any(|sender| sender.certificate.is_some());
            let clients = match &written.clients_ca {
                Some(authority) => tls::Clients::IssuedBy(authority),
                None if pinned => tls::Clients::Pinned,
                None => tls::Clients::All,
            };
            Some(tls::server(certificate, key, &clients)?)
        }
        (None, None) if written.listen.ip().is_loopback() || written.plain_http_beyond_this_host => None,
        (None, None) => {
            return Err(Refusal::new(
                format!("[join_server] would send session keys in clear from {}", written.listen),
                "give certificate and key, listen on 127.0.0.1, or set plain_http_beyond_this_host = true where another layer protects the way",
            ));
        }
        _ => {
            return Err(Refusal::new(
                "[join_server] has one of certificate and key",
                "give both, or none for plain HTTP on one host",
            ));
        }
    };
    Ok(Endpoint { listen: written.listen, tls, body_max: BODY_MAX, threads: written.threads })
}

impl Shared {
    async fn respond(&self, peer: &Peer, request: &serving::Request) -> Response {
        if request.method != Method::POST {
            return Response::empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let Some((header, parsed)) = message::parse(&request.body) else {
            self.counts.unreadable.fetch_add(1, Ordering::Relaxed);
            return Response::empty(StatusCode::BAD_REQUEST);
        };
        let dev_eui = parsed.as_ref().ok().map(dev_eui);
        let prepared = self.sender(&header, peer, request.authorization.as_deref()).and_then(|sender| {
            let request = parsed?;
            self.receiver(&header)?;
            joining::answer(self, sender, &request)
        });
        let outcome = match prepared {
            Err(refused) => Err(refused),
            // The answer leaves when what it depends on is on the disk, and not at all where that failed: the numbers are spent either way.
            Ok(prepared) => match prepared.durable {
                Some(durable) => match durable.await {
                    Ok(true) => Ok(prepared.answer),
                    _ => Err(Refused::new(ResultCode::Other, "the journal cannot be written")),
                },
                None => Ok(prepared.answer),
            },
        };
        match &outcome {
            Ok(_) => {
                self.counts.granted.fetch_add(1, Ordering::Relaxed);
            }
            Err(refused) => self.counts.refuse(&header, dev_eui, refused),
        }
        Response::ok("application/json", message::answer(&header, &outcome))
    }

    /// Who asks, where the configuration says who may.
    fn sender(&self, header: &Header, peer: &Peer, authorization: Option<&str>) -> Result<Option<&Sender>, Refused> {
        if self.config.senders.is_empty() {
            return Ok(None);
        }
        let unknown =
            || Refused::new(ResultCode::UnknownSender, "no sender of this SenderID, certificate and authorization is configured");
        let sender = self.config.senders.get(&same_id(&header.sender_id)).ok_or_else(unknown)?;
        let shows = sender.certificate.is_none() || sender.certificate == peer.certificate;
        let says = sender.authorization.as_ref().is_none_or(|expected| {
            let given = authorization.unwrap_or_default().as_bytes();
            crate::secrets::Secret::new(expected.as_bytes().to_vec()).same(given)
        });
        if shows && says { Ok(Some(sender)) } else { Err(unknown()) }
    }

    fn receiver(&self, header: &Header) -> Result<(), Refused> {
        let ours = config::eui64(&same_id(&header.receiver_id)).is_some_and(|join_eui| self.config.serves(join_eui));
        if ours { Ok(()) } else { Err(Refused::new(ResultCode::UnknownReceiver, "ReceiverID is no JoinEUI of this Join Server")) }
    }
}

fn dev_eui(request: &message::Request) -> u64 {
    match request {
        message::Request::Join(join) | message::Request::Rejoin(join) => join.dev_eui,
        message::Request::HomeNs(dev_eui) | message::Request::AppSKey { dev_eui, .. } => *dev_eui,
    }
}

impl Counts {
    fn refuse(&self, header: &Header, dev_eui: Option<u64>, refused: &Refused) {
        let at = now();
        let mut refusals = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.by_code.entry(refused.code).or_default() += 1;
        if refusals.last.len() >= REFUSALS {
            refusals.last.pop_front();
        }
        let entry = RefusedRequest {
            at,
            dev_eui,
            sender: header.sender_id.clone(),
            code: refused.code,
            why: refused.why.clone().into_owned(),
        };
        // One line a second for the log; the counts and the last refusals tell the rest.
        if at.0.saturating_sub(refusals.logged).saturating_abs() >= 1_000_000_000 {
            refusals.logged = at.0;
            let device = dev_eui.map_or_else(|| "a device".to_owned(), |dev_eui| format!("{dev_eui:016x}"));
            eprintln!("join_server: {device} was refused ({:?}): {}", entry.code, entry.why);
        }
        refusals.last.push_back(entry);
    }
}

/// The clock of this witness.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
