//! Records of handshakes. TLS and DTLS have the same ones, each under its own name.

use crate::observation::{FieldId, Hex, KindId, Record, RecordKind, Value};
use crate::record;
use std::borrow::Cow;

record! {
    /// A ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).
    pub struct ClientHello<'a> = "tls.client_hello" {
        /// Versions that are offered, best first as the client lists them.
        pub versions: Vec<&'static str>,
        /// Host name that is asked for (RFC 6066 §3).
        pub server_name: Option<&'a str>,
        /// Application protocols that are offered (RFC 7301).
        pub alpn: Vec<&'a str>,
        /// Cipher suites that are offered, by name; by hex number where none is registered.
        pub cipher_suites: Vec<Cow<'static, str>>,
        /// Extensions in their order, by name; by number where none is registered.
        pub extensions: Vec<Cow<'static, str>>,
        /// Identities of pre-shared keys (RFC 8446 §4.2.11) that are text and do not look like secrets.
        pub psk_identities: Vec<&'a str>,
        /// Connection identifier that the client wants to be addressed by (RFC 9146 §3).
        pub connection_id: Option<Hex<'a>>,
        /// Length of the cookie that proves the client's address (RFC 6347 §4.2.1), bytes.
        pub cookie_length: Option<u8>,
        /// Random: what a known key can be tried with.
        pub random: Hex<'a>,
    }
}

record! {
    /// A ServerHello, or a request to say hello again (RFC 8446 §4.1.3, §4.1.4; HelloVerifyRequest: RFC 6347 §4.2.1).
    pub struct ServerHello<'a> = "tls.server_hello" {
        /// `server_hello`, `hello_retry_request` or `hello_verify_request`.
        pub message: &'static str,
        /// The version that is chosen.
        pub version: Option<&'static str>,
        /// The cipher suite that is chosen, by name; by hex number where none is registered.
        pub cipher_suite: Option<Cow<'static, str>>,
        /// The application protocol that is chosen (RFC 7301).
        pub alpn: Option<&'a str>,
        /// Extensions in their order, by name; by number where none is registered.
        pub extensions: Vec<Cow<'static, str>>,
        /// Connection identifier that the server wants to be addressed by (RFC 9146 §3).
        pub connection_id: Option<Hex<'a>>,
        /// Length of the cookie that the client has to give back, bytes.
        pub cookie_length: Option<u8>,
        /// Random: what a known key can be tried with.
        pub random: Option<Hex<'a>>,
    }
}

record! {
    /// A certificate, up to version 1.2, which shows it in the clear (RFC 5246 §7.4.2), or a raw public key (RFC 7250).
    pub struct Certificate<'a> = "tls.certificate" {
        /// `server` or `client`: whose it is.
        pub of: &'static str,
        /// True for a raw public key.
        pub raw_public_key: Option<bool>,
        /// SHA-256 of the SubjectPublicKeyInfo.
        pub spki_sha256: Hex<'a>,
        /// Subject.
        pub subject: Option<&'a str>,
        /// Issuer.
        pub issuer: Option<&'a str>,
        /// True where subject and issuer are the same.
        pub self_issued: Option<bool>,
        /// Serial number, hex.
        pub serial: Option<&'a str>,
        /// Not valid before, seconds since the Unix epoch.
        pub not_before: Option<i64>,
        /// Not valid after, seconds since the Unix epoch.
        pub not_after: Option<i64>,
        /// DNS names and addresses of the subject, the first 16 of them.
        pub names: &'a [String],
        /// Object identifier of the signature's algorithm.
        pub signature_algorithm: Option<&'a str>,
        /// Object identifier of the key's algorithm.
        pub key_algorithm: Option<&'a str>,
        /// Number of certificates in the chain.
        pub chain_length: u32,
    }
}

record! {
    /// A key exchange with a pre-shared key, up to version 1.2 (RFC 4279).
    pub struct KeyExchange<'a> = "tls.key_exchange" {
        /// `server` gives a hint, `client` names its key.
        pub of: &'static str,
        /// Hint of the server, or identity of the client's key, where it is text and does not look like a secret.
        pub psk_identity: Option<&'a str>,
        /// Length of the hint or identity, bytes.
        pub psk_identity_length: u32,
        /// The cipher suite, where the ServerHello was seen.
        pub cipher_suite: Option<&'static str>,
    }
}

record! {
    /// The client's encrypted Finished message, up to version 1.2, where a pre-shared key is the only secret: what a known one is proved on (RFC 5246 §7.4.9).
    pub struct Finished<'a> = "tls.finished" {
        /// SHA-256 of the handshake messages before it: seed of the verification, and of the extended master secret (RFC 7627 §4).
        pub transcript_sha256: Hex<'a>,
        /// Epoch and sequence number of the record (RFC 6347 §4.1); 0 over TCP, where the record is the first encrypted one.
        pub record_number: u64,
        /// The encrypted record without its header.
        pub ciphertext: Hex<'a>,
    }
}

record! {
    /// An alert in the clear (RFC 8446 §6).
    pub struct Alert = "tls.alert" {
        /// `warning` or `fatal`; absent for other numbers.
        pub level: Option<&'static str>,
        /// What it says; absent for unregistered numbers.
        pub description: Option<&'static str>,
        /// What it says, by number.
        pub number: u8,
    }
}

record! {
    /// What passed encrypted, told when the flow ends.
    pub struct Summary = "tls.summary" {
        /// Records that the client sent encrypted.
        pub records_to_server: u64,
        /// Records that the server sent encrypted.
        pub records_to_client: u64,
        /// Their bytes.
        pub bytes_to_server: u64,
        /// Their bytes.
        pub bytes_to_client: u64,
        /// Whether the hellos were seen: otherwise the flow was already running.
        pub handshake_seen: bool,
    }
}

/// The kinds of records under one protocol's name.
pub struct Kinds {
    /// Name of the protocol.
    pub protocol: &'static str,
    /// ClientHello.
    pub client_hello: RecordKind,
    /// ServerHello and requests to say hello again.
    pub server_hello: RecordKind,
    /// Certificate.
    pub certificate: RecordKind,
    /// Key exchange with a pre-shared key.
    pub key_exchange: RecordKind,
    /// Finished.
    pub finished: RecordKind,
    /// Alert.
    pub alert: RecordKind,
    /// Summary.
    pub summary: RecordKind,
}

/// The kinds of TLS.
pub static TLS: Kinds = Kinds {
    protocol: "tls",
    client_hello: ClientHello::KIND,
    server_hello: ServerHello::KIND,
    certificate: Certificate::KIND,
    key_exchange: KeyExchange::KIND,
    finished: Finished::KIND,
    alert: Alert::KIND,
    summary: Summary::KIND,
};

/// The same kind under another name.
pub const fn renamed(name: &'static str, kind: RecordKind) -> RecordKind {
    RecordKind { id: KindId::of(name), name, doc: kind.doc, fields: kind.fields }
}

/// A record under the name that its protocol gives it.
pub struct Named<'a, R> {
    /// The kind with that name.
    pub kind: &'static RecordKind,
    /// The record.
    pub record: &'a R,
}

impl<R: Record> Record for Named<'_, R> {
    fn kind(&self) -> &'static RecordKind {
        self.kind
    }

    fn field(&self, id: FieldId) -> Value<'_> {
        self.record.field(id)
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        self.record.write_json(out);
    }
}
