//! DTLS: is the pre-shared key of a client public? Proved on the client's encrypted Finished message, up to DTLS 1.2, where the key is the
//! only secret of the handshake (RFC 4279 §2).
//!
//! It turns hellos, key exchanges and Finished records into an answer about each client. Every published key is tried with every identity: a
//! key is as public under another name.
//!
//! Left out: suites with a second secret and DTLS 1.3, which prove nothing to a listener; records with connection identifiers (RFC 9146);
//! suites whose hash is SHA-384, since the sensor keeps that of SHA-256; the server's Finished, since the client's tells the same key.
//!
//! Documents: RFC 4279, RFC 5246, RFC 6347, RFC 7366, RFC 7627.

pub mod checks;
mod suite;

#[cfg(test)]
mod tests;

use super::ledger::{At, Counts, Known, Ledger, name};
use crate::findings::{CheckSpec, Verdict};
use crate::hot::owned::{Event, Interest, OwnedValue};
use crate::signatures::keys::{KnownPsk, PskIdentity, psks};
use citytap_sensor::flow::{Direction, Endpoint, NetworkId};
use citytap_sensor::time::{Nanos, SECOND, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use suite::{Suite, suite};

/// Handshakes under way: all clients of a city that start again after an outage.
pub const HANDSHAKES: usize = 16_384;

/// A handshake that takes longer is given up: the last retransmission waits 60 seconds (RFC 6347 §4.2.4.1).
pub const PATIENCE: Nanos = 120 * SECOND;

/// How often handshakes that were given up are looked for.
const SWEEP: Nanos = 10 * SECOND;

/// The stage for DTLS. It has no `Debug`: it holds secrets.
pub struct DtlsKeys {
    published: &'static [KnownPsk],
    /// The keys of all rows, each once.
    keys: Vec<&'static [u8]>,
    handshakes: HashMap<Flow, Handshake, FixedState>,
    swept: Timestamp,
    handshakes_refused: u64,
    ledger: Ledger,
}

/// Network, client, server.
type Flow = (NetworkId, Endpoint, Endpoint);

/// What was seen of a handshake.
struct Handshake {
    began: Timestamp,
    client_random: Box<[u8]>,
    /// An identity that the client offered in its hello, by hash: version 1.3.
    offered: Option<u64>,
    chosen: Option<Chosen>,
    identity: Option<Identity>,
}

/// What the server chose.
struct Chosen {
    random: Box<[u8]>,
    suite: Option<&'static Suite>,
    /// The only secret is a pre-shared key.
    plain: bool,
    version_1_2: bool,
    extended_master_secret: bool,
    encrypt_then_mac: bool,
    connection_id: bool,
}

/// The identity of the client's key: its text where the sensor shows it.
struct Identity {
    secret: u64,
    text: Option<Box<str>>,
}

impl Default for DtlsKeys {
    fn default() -> Self {
        let mut keys: Vec<&[u8]> = psks().iter().map(|psk| psk.key.as_slice()).collect();
        keys.sort_unstable();
        keys.dedup();
        Self {
            published: psks(),
            keys,
            handshakes: HashMap::default(),
            swept: Timestamp(0),
            handshakes_refused: 0,
            ledger: Ledger::default(),
        }
    }
}

const CLIENT_HELLO: Interest = Interest::messages("dtls.client_hello", &["random", "psk_identities"]);
const SERVER_HELLO: Interest =
    Interest::messages("dtls.server_hello", &["random", "message", "version", "cipher_suite", "extensions", "connection_id"]);
const KEY_EXCHANGE: Interest =
    Interest::messages("dtls.key_exchange", &["psk_identity_length", "of", "psk_identity", "cipher_suite"]);
const FINISHED: Interest = Interest::messages("dtls.finished", &["ciphertext", "transcript_sha256", "record_number"]);
const SUMMARY: Interest = Interest::messages("dtls.summary", &["handshake_seen"]);

/// Name of the secret of a client that shows no identity.
const NAMELESS: u64 = 0;

impl DtlsKeys {
    /// What this stage wants of the shards.
    pub const INTERESTS: &'static [Interest] = &[CLIENT_HELLO, SERVER_HELLO, KEY_EXCHANGE, FINISHED, SUMMARY];

    /// The checks that it answers.
    pub const CHECKS: &'static [&'static CheckSpec] = checks::ALL;

    /// Takes a record of one of [`DtlsKeys::INTERESTS`].
    pub fn observe(&mut self, event: &Event) {
        let (client, server) = match event.direction {
            Direction::ToServer => (event.sender, event.receiver),
            Direction::ToClient => (event.receiver, event.sender),
        };
        let flow = (event.network, client, server);
        let is = |interest: &Interest| interest.kind_id() == event.kind;
        if is(&CLIENT_HELLO) {
            self.client_hello(flow, event);
        } else if is(&SERVER_HELLO) {
            self.server_hello(flow, event);
        } else if is(&KEY_EXCHANGE) {
            self.key_exchange(flow, event);
        } else if is(&FINISHED) {
            self.finished(flow, event);
        } else if event.fields.first().and_then(OwnedValue::bool) == Some(false) {
            self.ledger.nameless(device(&flow), checks::RUNNING);
        }
    }

    fn client_hello(&mut self, flow: Flow, event: &Event) {
        let [random, identities] = event.fields.as_slice() else { return };
        self.give_up(&flow);
        if self.handshakes.len() >= HANDSHAKES {
            self.handshakes_refused += 1;
            return;
        }
        let handshake = Handshake {
            began: event.seen.time,
            client_random: random.bytes().unwrap_or_default().into(),
            offered: identities.texts().next().map(name),
            chosen: None,
            identity: None,
        };
        self.handshakes.insert(flow, handshake);
    }

    fn server_hello(&mut self, flow: Flow, event: &Event) {
        let [random, message, version, cipher_suite, extensions, connection_id] = event.fields.as_slice() else { return };
        let Some(handshake) = self.handshakes.get_mut(&flow) else { return };
        if message.text() != Some("server_hello") {
            return;
        }
        let has = |name| extensions.texts().any(|extension| extension == name);
        let name = cipher_suite.text().unwrap_or_default();
        match (version.text(), handshake.offered) {
            (Some("DTLS 1.3"), Some(offered)) if has("pre_shared_key") => {
                self.ledger.untested(device(&flow), offered, checks::VERSION_1_3);
                self.handshakes.remove(&flow);
            }
            (Some("DTLS 1.3"), _) => drop(self.handshakes.remove(&flow)),
            // With certificates there is nothing to ask here.
            _ if !name.contains("PSK_") => drop(self.handshakes.remove(&flow)),
            (version, _) => {
                handshake.chosen = Some(Chosen {
                    random: random.bytes().unwrap_or_default().into(),
                    suite: suite(name),
                    plain: name.starts_with("TLS_PSK_WITH_"),
                    version_1_2: version == Some("DTLS 1.2"),
                    extended_master_secret: has("extended_master_secret"),
                    encrypt_then_mac: has("encrypt_then_mac"),
                    connection_id: connection_id.bytes().is_some_and(|id| !id.is_empty()),
                });
            }
        }
    }

    fn key_exchange(&mut self, flow: Flow, event: &Event) {
        let [length, of, text, _] = event.fields.as_slice() else { return };
        if of.text() != Some("client") {
            return;
        }
        let text = text.text();
        let secret = name((flow.2.ip, text, length.unsigned()));
        let handshake = self.handshakes.get_mut(&flow);
        let why = handshake.as_ref().map_or(Some(checks::NO_HELLO), |handshake| handshake.untestable());
        match (why, handshake) {
            (None, Some(handshake)) => handshake.identity = Some(Identity { secret, text: text.map(Into::into) }),
            (why, _) => {
                self.ledger.untested(device(&flow), secret, why.unwrap_or(checks::NO_HELLO));
                self.handshakes.remove(&flow);
            }
        }
    }

    fn finished(&mut self, flow: Flow, event: &Event) {
        let [ciphertext, transcript, record_number] = event.fields.as_slice() else { return };
        let at = device(&flow);
        let handshake = self.handshakes.remove(&flow);
        let Some((handshake, chosen)) = handshake.as_ref().and_then(|handshake| Some((handshake, handshake.chosen.as_ref()?)))
        else {
            return;
        };
        let Some(identity) = &handshake.identity else { return self.ledger.untested(at, NAMELESS, checks::RESUMED) };
        let Some(suite) = chosen.suite else { return };
        if !self.ledger.admits(at, identity.secret, event.seen) {
            return;
        }
        let tried = suite::Handshake {
            suite,
            randoms: [&handshake.client_random, &chosen.random],
            session_hash: transcript.bytes().filter(|_| chosen.extended_master_secret),
            encrypt_then_mac: chosen.encrypt_then_mac,
            record_number: record_number.unsigned().unwrap_or_default(),
            record: ciphertext.bytes().unwrap_or_default(),
        };
        let known = self.search(&tried, identity.text.as_deref());
        self.ledger.tried(at, identity.secret, known, event.seen, FIELD);
    }

    /// Tries all published keys. Of the rows that have the right one, the one counts that was published with this identity.
    fn search(&self, handshake: &suite::Handshake<'_>, identity: Option<&str>) -> Option<Known> {
        let key = *self.keys.iter().find(|key| handshake.fits(key))?;
        let distance = |psk: &&KnownPsk| match (psk.identity, identity) {
            (PskIdentity::Is(is), Some(identity)) if is == identity => 0,
            (PskIdentity::Begins(beginning), Some(identity)) if identity.starts_with(beginning) => 1,
            (PskIdentity::Any, _) => 2,
            _ => 3,
        };
        let row = self.published.iter().filter(|psk| psk.key == key).min_by_key(distance)?;
        Some((row.list, row.origin))
    }

    /// Forgets a handshake that came to nothing.
    fn give_up(&mut self, flow: &Flow) {
        let Some(handshake) = self.handshakes.remove(flow) else { return };
        if handshake.chosen.is_some() {
            let secret = handshake.identity.map_or(NAMELESS, |identity| identity.secret);
            self.ledger.untested(device(flow), secret, checks::NO_FINISHED);
        }
    }

    /// Gives up handshakes that take too long; all of them at the end of the captures.
    pub fn work(&mut self, now: Timestamp, end: bool) {
        if !end && now.since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        let late = |handshake: &Handshake| end || now.since(handshake.began) > PATIENCE;
        let flows: Vec<Flow> = self.handshakes.iter().filter(|(_, handshake)| late(handshake)).map(|(flow, _)| *flow).collect();
        flows.iter().for_each(|flow| self.give_up(flow));
    }

    /// Hands over the answers so far, in any order.
    pub fn verdicts(&self, take: &mut dyn FnMut(Verdict)) {
        let arguments = |(list, origin): Known| vec![("_list", list.into()), ("origin", origin.into())];
        let clear = |tested| {
            let handshakes = if tested == 1 { "handshake" } else { "handshakes" };
            format!("its pre-shared key is on none of our lists ({tested} {handshakes} tried)")
        };
        self.ledger.verdicts(&checks::KNOWN_PSK, arguments, clear, take);
    }

    /// The bounds, by name, with how often they were hit.
    pub fn shed(&self) -> [(&'static str, u64); 3] {
        let Counts { subjects_refused, secrets_refused, .. } = self.ledger.counts();
        [
            ("dtls_devices_not_watched", subjects_refused),
            ("dtls_secrets_not_watched", secrets_refused),
            ("dtls_handshakes_not_kept", self.handshakes_refused),
        ]
    }
}

const FIELD: &str = "dtls.ciphertext";

/// Who is judged: the client.
fn device(flow: &Flow) -> At {
    (flow.0, flow.1.ip)
}

impl Handshake {
    /// Why no key can be tried on it, as far as the hellos say.
    fn untestable(&self) -> Option<&'static str> {
        let Some(chosen) = &self.chosen else { return Some(checks::NO_HELLO) };
        if !chosen.plain {
            Some(checks::SECOND_SECRET)
        } else if !chosen.version_1_2 {
            Some(checks::VERSION_1_0)
        } else if chosen.suite.is_none() {
            Some(checks::OTHER_SUITE)
        } else if chosen.connection_id {
            Some(checks::CONNECTION_ID)
        } else {
            None
        }
    }
}
