//! One handshake: what its messages say, whose certificate and which key, and how it ended. TLS and DTLS share it; each frames its own messages.

use super::certificate::Leaf;
use super::cipher_suites::{cipher_suite_name, uses_psk, uses_psk_alone};
use super::handshake::{self, Hello, alert_name, extension_name, version_name};
use super::record::{Alert, Certificate, ClientHello, Finished, KeyExchange, Kinds, Named, ServerHello, Summary};
use crate::flow::Direction;
use crate::observation::{
    Anomalies, AnomalyCode, Credential, CredentialKind, Fact, Hex, Identity, Outcome, Presence, Record, RecordKind, Role, Secret,
    SecurityAspect, Text,
};
use crate::protocols::Cx;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use std::borrow::Cow;

/// Cipher suites of a ClientHello that are told: clients offer some dozens; the message could name 32,767.
pub const OFFERED: usize = 256;

/// Longest identity of a pre-shared key that is told and remembered, bytes: an LwM2M identity holds 128 (LwM2M Core 1.1 Appendix E.1.1).
pub const IDENTITY_LENGTH: usize = 128;

/// Longest Finished record that is told, bytes: 12 bytes, a tag and padding.
const FINISHED_LENGTH: usize = 128;

type Facts<'a> = SmallVec<[Fact<'a>; 6]>;

/// What was seen of a handshake.
pub struct Handshake {
    kinds: &'static Kinds,
    malformed: &'static AnomalyCode,
    cipher_suite: Option<u16>,
    version: Option<u16>,
    /// Types of the certificates that were agreed on, client's and server's.
    certificate_types: [u8; 2],
    hello_seen: bool,
    /// Identity of the pre-shared key while its outcome is not known.
    identity: Option<Box<[u8]>>,
    transcript: Option<Box<Sha256>>,
    finished_told: bool,
    /// Encrypted records and their bytes, by direction.
    encrypted: [(u64, u64); 2],
}

impl Handshake {
    /// Nothing seen yet.
    pub fn new(kinds: &'static Kinds, malformed: &'static AnomalyCode) -> Self {
        Self {
            kinds,
            malformed,
            cipher_suite: None,
            version: None,
            certificate_types: [0; 2],
            hello_seen: false,
            identity: None,
            transcript: None,
            finished_told: false,
            encrypted: [(0, 0); 2],
        }
    }

    /// The version that was chosen.
    pub fn version(&self) -> Option<u16> {
        self.version
    }

    /// Takes a whole handshake message; `header` is what the transcript has before the body.
    pub fn message(&mut self, kind: u8, header: &[u8], body: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        match kind {
            // A new hello begins a new transcript: neither the first one nor HelloVerifyRequest count (RFC 6347 §4.2.1).
            handshake::CLIENT_HELLO => self.transcript = Some(Box::default()),
            handshake::HELLO_VERIFY_REQUEST => self.transcript = None,
            _ => {}
        }
        if let Some(transcript) = &mut self.transcript {
            transcript.update(header);
            transcript.update(body);
        }
        let understood = match kind {
            handshake::CLIENT_HELLO => self.client_hello(body, direction, cx),
            handshake::SERVER_HELLO => self.server_hello(body, direction, cx),
            handshake::HELLO_VERIFY_REQUEST => self.hello_verify_request(body, direction, cx),
            handshake::CERTIFICATE => self.certificate(body, direction, cx),
            handshake::SERVER_KEY_EXCHANGE | handshake::CLIENT_KEY_EXCHANGE => self.key_exchange(body, direction, cx),
            _ => Some(()),
        };
        if understood.is_none() {
            cx.anomaly(direction, self.malformed);
        }
    }

    fn client_hello(&mut self, body: &[u8], direction: Direction, cx: &mut Cx<'_>) -> Option<()> {
        let datagram = self.kinds.protocol == "dtls";
        let hello = Hello::client(body, datagram)?;
        let (client, server) = self.parties(direction, true, cx);
        let mut facts = Facts::new();
        if !self.hello_seen {
            facts.push(Fact::Identity { id: client, presence: Presence::Sent });
            facts.push(Fact::Role { id: client, role: Role::Client });
            facts.push(Fact::Peer { client, server, protocol: self.kinds.protocol });
        }
        self.hello_seen = true;
        let psk_identities: Vec<&str> = hello.psk_identities().filter_map(readable).take(4).collect();
        for identity in &psk_identities {
            facts.push(credential(client, server, identity.as_bytes(), Outcome::Unknown));
        }
        let record = ClientHello {
            versions: hello.offered_versions().filter_map(version_name).collect(),
            server_name: hello.server_name(),
            alpn: hello.alpn().take(16).collect(),
            cipher_suites: hello
                .cipher_suites()
                .filter(|&number| !is_grease(number))
                .take(OFFERED)
                .map(cipher_suite_text)
                .collect(),
            extensions: extensions(&hello),
            psk_identities,
            connection_id: hello.connection_id().map(Hex),
            cookie_length: Some(hello.cookie.len() as u8).filter(|&length| length > 0),
            random: Hex(hello.random),
        };
        self.emit(&self.kinds.client_hello, &record, &facts, self.judge(&hello), direction, cx);
        Some(())
    }

    fn server_hello(&mut self, body: &[u8], direction: Direction, cx: &mut Cx<'_>) -> Option<()> {
        let hello = Hello::server(body)?;
        let version = hello.chosen_version();
        let suite = hello.cipher_suites().next();
        let (_, server) = self.parties(direction, false, cx);
        let mut facts = Facts::new();
        if !hello.is_retry() {
            self.hello_seen = true;
            self.version = Some(version);
            self.cipher_suite = suite;
            self.certificate_types = [hello.certificate_type(19), hello.certificate_type(20)];
            if !suite.is_some_and(uses_psk_alone) {
                self.transcript = None;
            }
            let protocol = self.kinds.protocol;
            facts.push(Fact::Identity { id: server, presence: Presence::Proved });
            facts.push(Fact::Service { id: server, protocol, port: Some(cx.flow().sender(direction).port), protected: true });
            facts.push(Fact::Security { id: server, aspect: SecurityAspect::Transport, value: Text::Str(protocol) });
            if let Some(name) = suite.and_then(cipher_suite_name) {
                facts.push(Fact::Security { id: server, aspect: SecurityAspect::Cipher, value: Text::Str(name) });
            }
        }
        let record = ServerHello {
            message: if hello.is_retry() { "hello_retry_request" } else { "server_hello" },
            version: version_name(version),
            cipher_suite: suite.map(cipher_suite_text),
            alpn: hello.alpn().next(),
            extensions: extensions(&hello),
            connection_id: hello.connection_id().map(Hex),
            cookie_length: None,
            random: Some(Hex(hello.random)),
        };
        self.emit(&self.kinds.server_hello, &record, &facts, self.judge(&hello), direction, cx);
        Some(())
    }

    fn hello_verify_request(&mut self, body: &[u8], direction: Direction, cx: &mut Cx<'_>) -> Option<()> {
        let cookie = handshake::verify_cookie(body)?;
        let record = ServerHello {
            message: "hello_verify_request",
            version: None,
            cipher_suite: None,
            alpn: None,
            extensions: Vec::new(),
            connection_id: None,
            cookie_length: Some(cookie.len() as u8),
            random: None,
        };
        self.emit(&self.kinds.server_hello, &record, &[], Anomalies::default(), direction, cx);
        Some(())
    }

    fn certificate(&mut self, body: &[u8], direction: Direction, cx: &mut Cx<'_>) -> Option<()> {
        let by_client = direction == Direction::ToServer;
        let raw = self.certificate_types.get(usize::from(!by_client)).is_some_and(|&kind| kind == 2);
        let leaf = if raw {
            Leaf::public_key(handshake::raw_public_key(body)?)?
        } else {
            // A client without a certificate sends an empty list (RFC 5246 §7.4.6).
            let Some(first) = handshake::certificates(body).next() else { return Some(()) };
            Leaf::certificate(first)?
        };
        let (client, server) = self.parties(direction, by_client, cx);
        let id = if by_client { client } else { server };
        let mut facts = Facts::new();
        let (not_before, not_after) = leaf.validity.unwrap_or_default();
        facts.push(Fact::Certificate {
            id,
            spki_sha256: leaf.spki_sha256,
            subject: &leaf.subject,
            issuer: &leaf.issuer,
            not_before,
            not_after,
        });
        if leaf.is_raw {
            facts.push(Fact::Security { id, aspect: SecurityAspect::Mode, value: Text::Str("rpk") });
        }
        let some = |text: &'_ str| !text.is_empty();
        let record = Certificate {
            of: if by_client { "client" } else { "server" },
            raw_public_key: leaf.is_raw.then_some(true),
            spki_sha256: Hex(&leaf.spki_sha256),
            subject: Some(leaf.subject.as_str()).filter(|text| some(text)),
            issuer: Some(leaf.issuer.as_str()).filter(|text| some(text)),
            self_issued: (!leaf.is_raw && leaf.subject == leaf.issuer).then_some(true),
            serial: Some(leaf.serial.as_str()).filter(|text| some(text)),
            not_before: leaf.validity.map(|(not_before, _)| not_before),
            not_after: leaf.validity.map(|(_, not_after)| not_after),
            names: &leaf.names,
            signature_algorithm: Some(leaf.signature_algorithm.as_str()).filter(|text| some(text)),
            key_algorithm: Some(leaf.key_algorithm.as_str()).filter(|text| some(text)),
            chain_length: if raw { 1 } else { u32::try_from(handshake::certificates(body).count()).unwrap_or(u32::MAX) },
        };
        self.emit(&self.kinds.certificate, &record, &facts, Anomalies::default(), direction, cx);
        Some(())
    }

    fn key_exchange(&mut self, body: &[u8], direction: Direction, cx: &mut Cx<'_>) -> Option<()> {
        let by_client = direction == Direction::ToServer;
        match self.cipher_suite {
            Some(suite) if !uses_psk(suite) => return Some(()),
            Some(_) => {}
            // Without the ServerHello only a readable identity tells that a pre-shared key is meant.
            None if by_client && handshake::psk_name(body).is_some_and(|(name, more)| !more && text(name).is_some()) => {}
            None => return Some(()),
        }
        let (name, _) = handshake::psk_name(body)?;
        let (client, server) = self.parties(direction, by_client, cx);
        let mut facts = Facts::new();
        if by_client {
            facts.push(credential(client, server, name, Outcome::Unknown));
            facts.push(Fact::Security { id: client, aspect: SecurityAspect::Mode, value: Text::Str("psk") });
            self.identity = (name.len() <= IDENTITY_LENGTH).then(|| name.into());
        }
        let record = KeyExchange {
            of: if by_client { "client" } else { "server" },
            psk_identity: readable(name).filter(|name| !name.is_empty()),
            psk_identity_length: name.len() as u32,
            cipher_suite: self.cipher_suite.and_then(cipher_suite_name),
        };
        self.emit(&self.kinds.key_exchange, &record, &facts, Anomalies::default(), direction, cx);
        Some(())
    }

    /// The sender encrypts from now on. A server does so only once it accepted the client's Finished.
    pub fn change_cipher_spec(&mut self, direction: Direction, cx: &mut Cx<'_>) {
        if direction == Direction::ToClient {
            self.settle(Outcome::Accepted, direction, cx);
        }
    }

    /// An alert in the clear.
    pub fn alert(&mut self, body: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let [level, number] = body else {
            cx.anomaly(direction, self.malformed);
            return;
        };
        let record = Alert {
            level: match level {
                1 => Some("warning"),
                2 => Some("fatal"),
                _ => None,
            },
            description: alert_name(*number),
            number: *number,
        };
        self.emit(&self.kinds.alert, &record, &[], Anomalies::default(), direction, cx);
        if *level == 2 && direction == Direction::ToClient {
            self.settle(Outcome::Refused, direction, cx);
        }
    }

    /// An encrypted record.
    pub fn encrypted(&mut self, bytes: u64, direction: Direction) {
        if let Some((records, total)) = self.encrypted.get_mut(direction.index()) {
            *records += 1;
            *total += bytes;
        }
    }

    /// A message was not seen: what the transcript says proves nothing any more.
    pub fn message_missed(&mut self) {
        self.transcript = None;
    }

    /// Whether the client's encrypted Finished is still to be told.
    pub fn wants_finished(&self) -> bool {
        !self.finished_told && self.transcript.is_some() && self.cipher_suite.is_some_and(uses_psk_alone)
    }

    /// The client's first encrypted handshake record.
    pub fn finished(&mut self, record_number: u64, ciphertext: &[u8], cx: &mut Cx<'_>) {
        self.finished_told = true;
        let Some(transcript) = self.transcript.take() else { return };
        if ciphertext.len() > FINISHED_LENGTH {
            return;
        }
        let digest = transcript.finalize();
        let record = Finished { transcript_sha256: Hex(&digest), record_number, ciphertext: Hex(ciphertext) };
        self.emit(&self.kinds.finished, &record, &[], Anomalies::default(), Direction::ToServer, cx);
    }

    /// The flow ended.
    pub fn close(&mut self, cx: &mut Cx<'_>) {
        let [(records_to_server, bytes_to_server), (records_to_client, bytes_to_client)] = self.encrypted;
        if records_to_server + records_to_client == 0 {
            return;
        }
        let record =
            Summary { records_to_server, records_to_client, bytes_to_server, bytes_to_client, handshake_seen: self.hello_seen };
        self.emit(&self.kinds.summary, &record, &[], Anomalies::default(), Direction::ToServer, cx);
    }

    fn settle(&mut self, outcome: Outcome, direction: Direction, cx: &mut Cx<'_>) {
        if let Some(identity) = self.identity.take() {
            let (client, server) = self.parties(direction, false, cx);
            cx.facts(direction, &[credential(client, server, &identity, outcome)]);
        }
    }

    fn parties(&self, direction: Direction, by_client: bool, cx: &Cx<'_>) -> (Identity<'static>, Identity<'static>) {
        let (sender, receiver) = (Identity::ip(cx.flow().sender(direction).ip), Identity::ip(cx.flow().receiver(direction).ip));
        if by_client { (sender, receiver) } else { (receiver, sender) }
    }

    fn judge(&self, hello: &Hello<'_>) -> Anomalies {
        let mut anomalies = Anomalies::default();
        if !hello.complete {
            anomalies.push(self.malformed);
        }
        anomalies
    }

    fn emit<R: Record>(
        &self,
        kind: &'static RecordKind,
        record: &R,
        facts: &[Fact<'_>],
        anomalies: Anomalies,
        direction: Direction,
        cx: &mut Cx<'_>,
    ) {
        cx.emit(direction, &Named { kind, record }, facts, &anomalies);
    }
}

fn credential<'a>(by: Identity<'a>, to: Identity<'a>, identity: &'a [u8], outcome: Outcome) -> Fact<'a> {
    Fact::Credential(Credential {
        by,
        to,
        kind: CredentialKind::PskIdentity,
        user: Some(Secret::new(identity)),
        secret: None,
        outcome,
        cleartext: true,
    })
}

fn text(name: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(name).ok()?;
    (!text.is_empty() && text.len() <= IDENTITY_LENGTH && !text.chars().any(char::is_control)).then_some(text)
}

/// An identity as text, unless it looks like the key itself: people paste keys into the wrong field.
fn readable(name: &[u8]) -> Option<&str> {
    text(name).filter(|text| {
        let hex_key = text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let base64_key = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        !hex_key && !base64_key
    })
}

/// Numbers that clients offer at random so that servers keep ignoring what they do not know (RFC 8701 §2).
fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

fn cipher_suite_text(number: u16) -> Cow<'static, str> {
    cipher_suite_name(number).map_or_else(|| format!("0x{number:04x}").into(), Cow::Borrowed)
}

fn extensions(hello: &Hello<'_>) -> Vec<Cow<'static, str>> {
    hello
        .each_extension()
        .filter(|(number, _)| !is_grease(*number))
        .take(64)
        .map(|(number, _)| extension_name(number).map_or_else(|| number.to_string().into(), Cow::Borrowed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_that_look_like_keys_are_not_shown() {
        assert_eq!(readable(b"Client_identity"), Some("Client_identity"));
        assert_eq!(readable(b"urn:imei:123456789012345"), Some("urn:imei:123456789012345"));
        assert_eq!(readable(b"oFIrQFrW8EWcZ5u7eGfrkw"), Some("oFIrQFrW8EWcZ5u7eGfrkw"));
        assert_eq!(readable(b"000102030405060708090a0b0c0d0e0f"), None);
        assert_eq!(readable(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="), None);
        assert_eq!(readable(&[1, 2, 3]), None);
    }
}
