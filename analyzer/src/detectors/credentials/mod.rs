//! Credentials on the wire: default pairs tried and accepted, servers that ask for none, secrets in clear text, known pre-shared key
//! identities, certificates whose private key is public, sessions without security.
//!
//! It turns credential, certificate, service and security facts into answers about clients and servers. The secrets themselves never
//! reach it: they were compared in the shard.

mod checks;

use super::{Detector, DetectorSpec};
use crate::findings::{Answer, Argument, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{IdentityKey, OwnedCredential, OwnedFact, Seen};
use crate::inventory::Inventory;
use crate::keys::dtls::checks::KNOWN_PSK;
use crate::signatures::credentials::published_key;
use citytap_sensor::observation::{Confidence, CredentialKind, Outcome, SecurityAspect};
use citytap_sensor::protocols::lwm2m::ENDPOINT;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use std::borrow::Cow;
use std::hash::BuildHasher;

pub use checks::ALL as CHECKS;

/// What it is.
pub const SPEC: DetectorSpec = DetectorSpec {
    name: "credentials",
    checks: CHECKS,
    interests: &[],
    parameters: &[],
    make: |_| Box::new(Credentials::default()),
};

/// Clients and servers watched: the size of city that one appliance is for.
pub const SUBJECTS: usize = 1 << 18;

/// Clients of one server that are told apart in counts.
const CLIENTS: usize = 4096;

/// What was seen of credentials, by client and by server.
#[derive(Default)]
pub struct Credentials {
    clients: HashMap<IdentityKey, Client, FixedState>,
    servers: HashMap<IdentityKey, Server, FixedState>,
    proofs: HashMap<IdentityKey, Vec<(&'static CheckSpec, Shown)>, FixedState>,
    shed: u64,
}

/// What a certificate or a security mode shows of its bearer.
enum Shown {
    Found(Vec<Argument>, Confidence, Evidence),
    Clear(Cow<'static, str>),
}

/// Answers of different content kept of one name: certificates are renewed, and modes change, now and then.
const PROOFS: usize = 16;

/// Of a client. A city can have a hundred thousand, so what few of them have is boxed.
#[derive(Default)]
struct Client {
    /// Default pairs, by list and products.
    listed: Vec<Listed>,
    passwords: u64,
    cleartext: Evidence,
    cleartext_to: Option<Box<IdentityKey>>,
    psk: u64,
    known_psk: Option<Box<(&'static str, Evidence)>>,
}

/// A default pair that a client used.
struct Listed {
    list: &'static str,
    products: &'static str,
    outcome: Outcome,
    evidence: Evidence,
}

#[derive(Default)]
struct Server {
    anonymous: Evidence,
    /// Hashes of the clients' names: they are counted, not told.
    anonymous_clients: HashSet<u64, FixedState>,
    anonymous_refused: u64,
    listed: Evidence,
    /// Sorted.
    listed_names: Vec<&'static str>,
    logins: u64,
    /// It offers a protocol that asks for credentials.
    asks: bool,
    protected: bool,
}

impl Detector for Credentials {
    fn fact(&mut self, fact: &OwnedFact, seen: Seen) {
        match fact {
            OwnedFact::Credential(credential) => self.credential(credential, seen),
            OwnedFact::Service { id, protocol, protected, .. } if checks::ASKING.contains(protocol) => {
                if let Some(server) = watched(&mut self.servers, id, &mut self.shed) {
                    server.asks = true;
                    server.protected |= *protected;
                }
            }
            OwnedFact::Certificate { id, spki_sha256, .. } => self.certificate(id, spki_sha256, seen),
            OwnedFact::Security { id, aspect: SecurityAspect::Mode, value } => self.mode(id, value, seen),
            // Management over a transport that is not protected is the mode without security.
            OwnedFact::Security { id, aspect: SecurityAspect::Transport, value } if *id.kind == ENDPOINT => {
                self.mode(id, value, seen)
            }
            _ => {}
        }
    }

    fn verdicts(&self, _: &Inventory, take: &mut dyn FnMut(Verdict)) {
        self.clients.iter().for_each(|(id, client)| client.verdicts(id, take));
        self.servers.iter().for_each(|(id, server)| server.verdicts(id, take));
        for (id, proofs) in &self.proofs {
            proofs.iter().for_each(|(check, shown)| take(Verdict { check, subject: id.clone(), answer: shown.answer() }));
        }
    }

    fn shed(&self) -> u64 {
        self.shed
    }
}

fn watched<'t, T: Default>(
    table: &'t mut HashMap<IdentityKey, T, FixedState>,
    id: &IdentityKey,
    shed: &mut u64,
) -> Option<&'t mut T> {
    if table.len() >= SUBJECTS && !table.contains_key(id) {
        *shed += 1;
        return None;
    }
    Some(table.entry(id.clone()).or_default())
}

impl Credentials {
    fn credential(&mut self, credential: &OwnedCredential, seen: Seen) {
        if let Some(client) = watched(&mut self.clients, &credential.by, &mut self.shed) {
            client.note(credential, seen);
        }
        if let Some(server) = watched(&mut self.servers, &credential.to, &mut self.shed) {
            server.note(credential, seen);
        }
    }

    fn certificate(&mut self, id: &IdentityKey, spki_sha256: &[u8; 32], seen: Seen) {
        let answer = match published_key(spki_sha256) {
            Some(origin) => {
                Shown::Found(vec![("origin", origin.into())], Confidence::Proved, Evidence::one(seen, "certificate.spki_sha256"))
            }
            None => Shown::Clear("its certificate's key is on none of our lists".into()),
        };
        self.prove(&checks::PUBLISHED_CERTIFICATE, id, answer);
    }

    fn mode(&mut self, id: &IdentityKey, value: &str, seen: Seen) {
        let answer = match value {
            "none" => Shown::Found(Vec::new(), Confidence::Seen, Evidence::one(seen, "security.mode")),
            mode => Shown::Clear(format!("its security mode is {mode}").into()),
        };
        self.prove(&checks::NO_SECURITY, id, answer);
    }

    /// Facts that hold on are told again and again: what is the same is one answer.
    fn prove(&mut self, check: &'static CheckSpec, id: &IdentityKey, answer: Shown) {
        let Some(proofs) = watched(&mut self.proofs, id, &mut self.shed) else { return };
        let like = |(known, shown): &&mut (&'static CheckSpec, Shown)| *known == check && shown.is_like(&answer);
        if let Some((_, shown)) = proofs.iter_mut().find(like) {
            if let (Shown::Found(_, _, evidence), Shown::Found(_, _, more)) = (shown, &answer) {
                evidence.merge(more);
            }
        } else if proofs.len() < PROOFS {
            proofs.push((check, answer));
        } else {
            self.shed += 1;
        }
    }
}

impl Shown {
    /// Whether both say the same, wherever they were seen.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Shown::Found(mine, sure, _), Shown::Found(theirs, surely, _)) => mine == theirs && sure == surely,
            (Shown::Clear(mine), Shown::Clear(theirs)) => mine == theirs,
            _ => false,
        }
    }

    fn answer(&self) -> Answer {
        match self {
            Shown::Found(arguments, confidence, evidence) => found(Severity::High, *confidence, arguments.clone(), evidence),
            Shown::Clear(why) => Answer::Clear(why.clone()),
        }
    }
}

impl Client {
    fn note(&mut self, credential: &OwnedCredential, seen: Seen) {
        match credential.kind {
            CredentialKind::Password => {
                self.passwords += 1;
                if credential.cleartext {
                    self.in_clear(credential, seen, "credential.password");
                }
                if let Some((list, products)) = credential.listed {
                    let listed = self.listed(list, products);
                    listed.evidence.add(seen, "credential.password");
                    if listed.outcome != Outcome::Accepted && credential.outcome != Outcome::Unknown {
                        listed.outcome = credential.outcome;
                    }
                }
            }
            CredentialKind::Token if credential.cleartext => self.in_clear(credential, seen, "credential.token"),
            CredentialKind::PskIdentity => {
                self.psk += 1;
                if let Some((_, origin)) = credential.listed {
                    let known = self.known_psk.get_or_insert_with(|| Box::new((origin, Evidence::default())));
                    known.1.add(seen, "credential.psk_identity");
                }
            }
            CredentialKind::Token | CredentialKind::Anonymous => {}
        }
    }

    fn in_clear(&mut self, credential: &OwnedCredential, seen: Seen, field: &'static str) {
        self.cleartext.add(seen, field);
        self.cleartext_to.get_or_insert_with(|| Box::new(credential.to.clone()));
    }

    /// The pairs are sorted by list and products.
    fn listed(&mut self, list: &'static str, products: &'static str) -> &mut Listed {
        let at = self.listed.binary_search_by_key(&(list, products), |listed| (listed.list, listed.products));
        let at = at.unwrap_or_else(|at| {
            self.listed.reserve_exact(1);
            self.listed.insert(at, Listed { list, products, outcome: Outcome::Unknown, evidence: Evidence::default() });
            at
        });
        &mut self.listed[at]
    }

    fn verdicts(&self, id: &IdentityKey, take: &mut dyn FnMut(Verdict)) {
        let mut say = |check, answer| take(Verdict { check, subject: id.clone(), answer });
        for Listed { list, products, outcome, evidence } in &self.listed {
            let (severity, outcome) = match outcome {
                Outcome::Accepted => (Severity::Critical, "the server accepted it"),
                Outcome::Refused => (Severity::Medium, "the server refused it"),
                Outcome::Unknown => (Severity::High, "the answer was not seen"),
            };
            let arguments = vec![("_list", (*list).into()), ("_products", (*products).into()), ("outcome", outcome.into())];
            say(&checks::DEFAULT_PASSWORD, found(severity, Confidence::Seen, arguments, evidence));
        }
        if self.passwords > 0 && self.listed.is_empty() {
            let pairs = crate::signatures::credentials::CredentialList::embedded().len();
            let tested = format!("its password is not on our lists ({pairs} pairs)");
            say(&checks::DEFAULT_PASSWORD, Answer::Clear(tested.into()));
        }
        if self.cleartext.count > 0 {
            let server = self.cleartext_to.as_ref().map_or_else(String::new, |to| to.value.to_string());
            let arguments = vec![("server", server.into())];
            say(&checks::CLEARTEXT, found(Severity::Medium, Confidence::Seen, arguments, &self.cleartext));
        }
        match self.known_psk.as_deref() {
            Some((origin, evidence)) => {
                let arguments = vec![("origin", (*origin).into())];
                let presumed =
                    Found { severity: Severity::Medium, confidence: Confidence::Possible, arguments, evidence: evidence.clone() };
                say(&checks::KNOWN_PSK_IDENTITY, Answer::Presumed(presumed, &KNOWN_PSK));
            }
            None if self.psk > 0 => {
                say(&checks::KNOWN_PSK_IDENTITY, Answer::Clear("its key identity is on none of our lists".into()));
            }
            None => {}
        }
    }
}

impl Server {
    fn note(&mut self, credential: &OwnedCredential, seen: Seen) {
        match (credential.kind, credential.outcome) {
            (CredentialKind::Anonymous, Outcome::Accepted) => {
                self.anonymous.add(seen, "credential.anonymous");
                if self.anonymous_clients.len() < CLIENTS {
                    self.anonymous_clients.insert(FixedState::default().hash_one(&credential.by));
                }
            }
            (CredentialKind::Anonymous, Outcome::Refused) => self.anonymous_refused += 1,
            (CredentialKind::Password, outcome) => {
                self.logins += 1;
                if let (Some((_, products)), Outcome::Accepted) = (credential.listed, outcome) {
                    self.listed.add(seen, "credential.password");
                    if let Err(at) = self.listed_names.binary_search(&products) {
                        self.listed_names.insert(at, products);
                    }
                }
            }
            _ => {}
        }
    }

    fn verdicts(&self, id: &IdentityKey, take: &mut dyn FnMut(Verdict)) {
        let mut say = |check, answer| take(Verdict { check, subject: id.clone(), answer });
        if self.anonymous.count > 0 {
            let arguments = vec![("clients", self.anonymous_clients.len().to_string().into())];
            say(&checks::ANONYMOUS, found(Severity::High, Confidence::Seen, arguments, &self.anonymous));
        } else if self.anonymous_refused > 0 {
            say(&checks::ANONYMOUS, Answer::Clear("it refused a client without a user name".into()));
        } else if self.logins > 0 {
            say(&checks::ANONYMOUS, Answer::Untested("every client gave a user name".into()));
        } else if self.asks {
            say(&checks::ANONYMOUS, Answer::Untested(self.why_unseen()));
        }
        if self.listed.count > 0 {
            let products = self.listed_names.join("; ");
            let arguments = vec![("_products", products.into())];
            say(&checks::DEFAULT_ACCEPTED, found(Severity::Critical, Confidence::Seen, arguments, &self.listed));
        } else if self.logins > 0 {
            say(&checks::DEFAULT_ACCEPTED, Answer::Clear("no default password was accepted among the logins seen".into()));
        } else if self.asks {
            say(&checks::DEFAULT_ACCEPTED, Answer::Untested(self.why_unseen()));
        }
    }

    fn why_unseen(&self) -> Cow<'static, str> {
        if self.protected { "its sessions are encrypted".into() } else { "no login was seen".into() }
    }
}

fn found(severity: Severity, confidence: Confidence, arguments: Vec<Argument>, evidence: &Evidence) -> Answer {
    Answer::Found(Found { severity, confidence, arguments, evidence: evidence.clone() })
}
