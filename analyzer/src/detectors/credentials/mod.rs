//! Credentials on the wire: default pairs tried and accepted, servers that ask for none, secrets in clear text, known pre-shared key
//! identities, certificates whose private key is public, sessions without security.
//!
//! It turns credential, certificate, service and security facts into answers about clients and servers. The secrets themselves never
//! reach it: they were compared in the shard.

mod checks;

use super::Detector;
use crate::findings::{Answer, CheckSpec, Evidence, Found, Severity, Verdict};
use crate::hot::owned::{IdentityKey, OwnedCredential, OwnedFact, Seen};
use crate::keys::dtls::checks::KNOWN_PSK;
use crate::signatures::credentials::published_key;
use citytap_sensor::observation::{Confidence, CredentialKind, Outcome, SecurityAspect};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use checks::ALL as CHECKS;

/// Clients and servers watched: the size of city that one appliance is for.
pub const SUBJECTS: usize = 1 << 18;

/// Clients of one server that are told apart in counts.
const CLIENTS: usize = 4096;

/// What was seen of credentials, by client and by server.
#[derive(Default)]
pub struct Credentials {
    clients: HashMap<IdentityKey, Client>,
    servers: HashMap<IdentityKey, Server>,
    proofs: Vec<Verdict>,
    shed: u64,
}

#[derive(Default)]
struct Client {
    /// Default pairs, by list and products.
    listed: BTreeMap<(&'static str, &'static str), (Outcome, Evidence)>,
    passwords: Evidence,
    cleartext: Evidence,
    cleartext_to: Option<IdentityKey>,
    psk: Evidence,
    known_psk: Option<(&'static str, &'static str, Evidence)>,
}

#[derive(Default)]
struct Server {
    anonymous: Evidence,
    anonymous_clients: BTreeSet<IdentityKey>,
    anonymous_refused: u64,
    listed: Evidence,
    listed_names: BTreeSet<&'static str>,
    logins: Evidence,
    /// It offers a protocol that asks for credentials.
    asks: Option<Seen>,
    protected: bool,
}

impl Detector for Credentials {
    fn fact(&mut self, fact: &OwnedFact, seen: Seen) {
        match fact {
            OwnedFact::Credential(credential) => self.credential(credential, seen),
            OwnedFact::Service { id, protocol, protected, .. } if checks::ASKING.contains(protocol) => {
                if let Some(server) = watched(&mut self.servers, id, &mut self.shed) {
                    server.asks.get_or_insert(seen);
                    server.protected |= *protected;
                }
            }
            OwnedFact::Certificate { id, spki_sha256, .. } => self.certificate(id, spki_sha256, seen),
            OwnedFact::Security { id, aspect: SecurityAspect::Mode, value } => self.mode(id, value, seen),
            _ => {}
        }
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let clients = self.clients.iter().flat_map(|(id, client)| client.verdicts(id));
        let servers = self.servers.iter().flat_map(|(id, server)| server.verdicts(id));
        clients.chain(servers).chain(self.proofs.iter().cloned()).collect()
    }

    fn shed(&self) -> u64 {
        self.shed
    }
}

fn watched<'t, T: Default>(table: &'t mut HashMap<IdentityKey, T>, id: &IdentityKey, shed: &mut u64) -> Option<&'t mut T> {
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
            Some(origin) => Answer::Found(Found {
                severity: Severity::High,
                confidence: Confidence::Proved,
                arguments: vec![("origin", origin.into())],
                evidence: Evidence::one(seen, "certificate.spki_sha256"),
            }),
            None => Answer::Clear("its certificate's key is on none of our lists".into()),
        };
        self.prove(&checks::PUBLISHED_CERTIFICATE, id, answer);
    }

    fn mode(&mut self, id: &IdentityKey, value: &str, seen: Seen) {
        let answer = match value {
            "none" => Answer::Found(Found {
                severity: Severity::High,
                confidence: Confidence::Seen,
                arguments: Vec::new(),
                evidence: Evidence::one(seen, "security.mode"),
            }),
            mode => Answer::Clear(format!("its security mode is {mode}")),
        };
        self.prove(&checks::NO_SECURITY, id, answer);
    }

    fn prove(&mut self, check: &'static CheckSpec, id: &IdentityKey, answer: Answer) {
        if self.proofs.len() >= SUBJECTS {
            self.shed += 1;
            return;
        }
        self.proofs.push(Verdict { check, subject: id.clone(), answer });
    }
}

impl Client {
    fn note(&mut self, credential: &OwnedCredential, seen: Seen) {
        match credential.kind {
            CredentialKind::Password => {
                self.passwords.add(seen, "credential.password");
                if credential.cleartext {
                    self.cleartext.add(seen, "credential.password");
                    self.cleartext_to.get_or_insert_with(|| credential.to.clone());
                }
                if let Some(listed) = credential.listed {
                    let (outcome, evidence) = self.listed.entry(listed).or_insert((Outcome::Unknown, Evidence::default()));
                    evidence.add(seen, "credential.password");
                    if *outcome != Outcome::Accepted && credential.outcome != Outcome::Unknown {
                        *outcome = credential.outcome;
                    }
                }
            }
            CredentialKind::Token if credential.cleartext => {
                self.cleartext.add(seen, "credential.token");
                self.cleartext_to.get_or_insert_with(|| credential.to.clone());
            }
            CredentialKind::PskIdentity => {
                self.psk.add(seen, "credential.psk_identity");
                if let Some((list, origin)) = credential.listed {
                    self.known_psk
                        .get_or_insert_with(|| (list, origin, Evidence::default()))
                        .2
                        .add(seen, "credential.psk_identity");
                }
            }
            CredentialKind::Token | CredentialKind::Anonymous => {}
        }
    }

    fn verdicts(&self, id: &IdentityKey) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut say = |check, answer| verdicts.push(Verdict { check, subject: id.clone(), answer });
        for ((list, products), (outcome, evidence)) in &self.listed {
            let (severity, outcome) = match outcome {
                Outcome::Accepted => (Severity::Critical, "and was let in"),
                Outcome::Refused => (Severity::Medium, "and was refused"),
                Outcome::Unknown => (Severity::High, "and the answer was not seen"),
            };
            let arguments = vec![("_list", (*list).into()), ("_products", (*products).into()), ("outcome", outcome.into())];
            say(&checks::DEFAULT_PASSWORD, found(severity, Confidence::Seen, arguments, evidence));
        }
        if self.passwords.count > 0 && self.listed.is_empty() {
            let tested = format!(
                "its password is not on our lists ({} pairs)",
                crate::signatures::credentials::CredentialList::embedded().len()
            );
            say(&checks::DEFAULT_PASSWORD, Answer::Clear(tested));
        }
        if self.cleartext.count > 0 {
            let server = self.cleartext_to.as_ref().map_or_else(String::new, |to| to.value.to_string());
            let arguments = vec![("server", server)];
            say(&checks::CLEARTEXT, found(Severity::Medium, Confidence::Seen, arguments, &self.cleartext));
        }
        match &self.known_psk {
            Some((_, origin, evidence)) => {
                let arguments = vec![("origin", (*origin).into())];
                let presumed =
                    Found { severity: Severity::Medium, confidence: Confidence::Possible, arguments, evidence: evidence.clone() };
                say(&checks::KNOWN_PSK_IDENTITY, Answer::Presumed(presumed, &KNOWN_PSK));
            }
            None if self.psk.count > 0 => {
                say(&checks::KNOWN_PSK_IDENTITY, Answer::Clear("its key identity is on none of our lists".into()));
            }
            None => {}
        }
        verdicts
    }
}

impl Server {
    fn note(&mut self, credential: &OwnedCredential, seen: Seen) {
        match (credential.kind, credential.outcome) {
            (CredentialKind::Anonymous, Outcome::Accepted) => {
                self.anonymous.add(seen, "credential.anonymous");
                if self.anonymous_clients.len() < CLIENTS {
                    self.anonymous_clients.insert(credential.by.clone());
                }
            }
            (CredentialKind::Anonymous, Outcome::Refused) => self.anonymous_refused += 1,
            (CredentialKind::Password, outcome) => {
                self.logins.add(seen, "credential.password");
                if let (Some((_, products)), Outcome::Accepted) = (credential.listed, outcome) {
                    self.listed.add(seen, "credential.password");
                    self.listed_names.insert(products);
                }
            }
            _ => {}
        }
    }

    fn verdicts(&self, id: &IdentityKey) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut say = |check, answer| verdicts.push(Verdict { check, subject: id.clone(), answer });
        if self.anonymous.count > 0 {
            let arguments = vec![("clients", self.anonymous_clients.len().to_string())];
            say(&checks::ANONYMOUS, found(Severity::High, Confidence::Seen, arguments, &self.anonymous));
        } else if self.anonymous_refused > 0 {
            say(&checks::ANONYMOUS, Answer::Clear("it refused a client without a user name".into()));
        } else if self.logins.count > 0 {
            say(&checks::ANONYMOUS, Answer::Untested("every client gave a user name".into()));
        } else if self.asks.is_some() {
            say(&checks::ANONYMOUS, Answer::Untested(self.why_unseen()));
        }
        if self.listed.count > 0 {
            let products = self.listed_names.iter().copied().collect::<Vec<_>>().join("; ");
            let arguments = vec![("_products", products)];
            say(&checks::DEFAULT_ACCEPTED, found(Severity::Critical, Confidence::Seen, arguments, &self.listed));
        } else if self.logins.count > 0 {
            say(&checks::DEFAULT_ACCEPTED, Answer::Clear("no default password was accepted among the logins seen".into()));
        } else if self.asks.is_some() {
            say(&checks::DEFAULT_ACCEPTED, Answer::Untested(self.why_unseen()));
        }
        verdicts
    }

    fn why_unseen(&self) -> String {
        if self.protected { "its sessions are encrypted".into() } else { "no login was seen".into() }
    }
}

fn found(severity: Severity, confidence: Confidence, arguments: Vec<(&'static str, String)>, evidence: &Evidence) -> Answer {
    Answer::Found(Found { severity, confidence, arguments, evidence: evidence.clone() })
}
