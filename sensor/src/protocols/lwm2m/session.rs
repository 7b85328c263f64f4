//! One client with one server in one flow: which operation a message is, what the client is called, what it says of itself.

use super::anomalies as odd;
use super::path::Path;
use super::record::{Bootstrap, Notification, Object, Operation, Register, Update};
use super::request::Message;
use super::resource::Secrecy;
use super::value::{Item, Items};
use super::wire::Format;
use super::{ENDPOINT, IMEI};
use crate::counters::Counter;
use crate::flow::{Direction, Endpoint};
use crate::observation::{
    Anomalies, Attribute, Confidence, Credential, CredentialKind, Fact, Identity, IdentityValue, Outcome, Presence, Role, Secret,
    SecurityAspect, Server, Text,
};
use crate::protocols::Cx;
use crate::protocols::coap::link_format;
use crate::protocols::heard::Heard;

use smallvec::SmallVec;
use std::borrow::Cow;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// Objects and instances of a registration that are told.
pub const OBJECTS: usize = 128;

/// Longest endpoint client name that is remembered, bytes.
pub const ENDPOINT_LENGTH: usize = 255;

/// Content format of discovery.
const LINK_FORMAT: u64 = 40;

/// Resource type of the root of the data model (LwM2M, "Alternate Path").
const ROOT_TYPE: &str = "oma.lwm2m";

/// What the flow showed of its client.
#[derive(Default)]
pub struct Session {
    endpoint: Option<(Box<str>, IpAddr)>,
    /// Whether something was seen that only LwM2M has.
    certain: bool,
    /// Whether a registration was seen: the server is no bootstrap server.
    registered: u64,
    bootstrapping: bool,
    last: Option<(Path, &'static str)>,
    said: [u32; SAID],
    heard: Heard,
}

/// Statements that are made again only where their value changed.
const SAID: usize = 16;
const SAID_POSITION: usize = 12;
const SAID_MODE: usize = 13;
const SAID_ENDPOINT: usize = 14;
const SAID_SECRET: usize = 15;

/// Resources that say what a device is: object, resource, attribute, how sure, field.
const ATTRIBUTES: &[(u16, u16, Attribute, Confidence, &str)] = &[
    (3, 0, Attribute::Vendor, Confidence::Seen, "lwm2m./3/0/0"),
    (3, 1, Attribute::Model, Confidence::Seen, "lwm2m./3/0/1"),
    (3, 2, Attribute::Serial, Confidence::Seen, "lwm2m./3/0/2"),
    (3, 3, Attribute::Firmware, Confidence::Seen, "lwm2m./3/0/3"),
    (3, 17, Attribute::DeviceType, Confidence::Seen, "lwm2m./3/0/17"),
    (3, 18, Attribute::Hardware, Confidence::Seen, "lwm2m./3/0/18"),
    (3, 19, Attribute::Software, Confidence::Seen, "lwm2m./3/0/19"),
    (5, 6, Attribute::Application, Confidence::Likely, "lwm2m./5/0/6"),
    // The package is downloaded, not yet installed.
    (5, 7, Attribute::Firmware, Confidence::Possible, "lwm2m./5/0/7"),
    (9, 0, Attribute::Application, Confidence::Likely, "lwm2m./9/x/0"),
    (9, 1, Attribute::Software, Confidence::Likely, "lwm2m./9/x/1"),
];

/// Which interface a message belongs to (LwM2M Core 1.1 §6).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interface {
    Register,
    Update(&'static str),
    BootstrapRequest(&'static str),
    BootstrapFinish,
    Send,
    Model(Path),
}

type Facts<'a> = SmallVec<[Fact<'a>; 8]>;

fn hash(bytes: &[u8]) -> u64 {
    foldhash::fast::FixedState::with_seed(0).hash_one(bytes)
}

fn classify(message: &Message<'_>) -> Option<Interface> {
    let path = message.path.unwrap_or_default();
    let post = message.method == Some("POST");
    Some(match path {
        "/rd" if post => Interface::Register,
        "/bs" if post && (message.is_response || message.argument("ep").is_some()) => Interface::BootstrapRequest("request"),
        "/bs" if post => Interface::BootstrapFinish,
        "/bspack" => Interface::BootstrapRequest("pack_request"),
        "/dp" if post => Interface::Send,
        "" => Interface::Model(Path::UNKNOWN),
        _ if path.starts_with("/rd/") && post => Interface::Update("update"),
        _ if path.starts_with("/rd/") && message.method == Some("DELETE") => Interface::Update("deregister"),
        _ => Interface::Model(Path::parse(path)?),
    })
}

/// The name of a request's operation on the data model (LwM2M Transport Bindings 1.1.1 §6.4).
fn operation(message: &Message<'_>, path: Path, payload: &[u8]) -> &'static str {
    let values = Format::of(message.content_format).is_some_and(|format| format != Format::PlainText);
    match (message.method.unwrap_or_default(), message.observe()) {
        ("GET", _) if message.accept() == Some(LINK_FORMAT) => "discover",
        ("GET", Some(0)) => "observe",
        ("GET" | "FETCH", Some(1)) => "cancel_observation",
        ("FETCH", Some(0)) => "observe_composite",
        ("FETCH", _) => "read_composite",
        ("PUT", _) if payload.is_empty() && message.has_arguments() => "write_attributes",
        ("PUT", _) => "write",
        ("POST", _) if path.levels() <= 1 => "create",
        ("POST", _) if path.levels() == 2 || values => "write_partial",
        ("POST", _) => "execute",
        ("DELETE", _) => "delete",
        ("iPATCH", _) => "write_composite",
        _ => "read",
    }
}

impl Session {
    /// The flow ends.
    pub fn close(&mut self, cx: &mut Cx<'_>) {
        let id = self.endpoint.as_ref().and_then(|(name, server)| name_of(Some(name), *server));
        if let Some(rest) = id.and_then(|id| self.heard.rest(id)) {
            cx.facts(Direction::ToServer, &[rest]);
        }
    }

    /// Takes a message; `payload` is all of it.
    pub fn message(&mut self, message: &Message<'_>, payload: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        match classify(message) {
            Some(Interface::Register) => self.register(message, payload, direction, cx),
            Some(Interface::Update(operation)) => self.update(message, operation, payload, direction, cx),
            Some(Interface::BootstrapRequest(operation)) => self.bootstrap_request(message, operation, direction, cx),
            Some(Interface::BootstrapFinish) => {
                self.bootstrapping = false;
                self.emit_bootstrap(message, "finish", None, &Items::default(), direction, cx);
            }
            Some(Interface::Send) => self.send(message, payload, direction, cx),
            Some(Interface::Model(path)) => self.model(message, path, payload, direction, cx),
            None => {}
        }
    }

    fn register(&mut self, message: &Message<'_>, payload: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let (endpoint, version) = (message.argument("ep"), message.argument("lwm2m"));
        let document = link_format::text(payload);
        let (objects, root, dropped) = objects(&document);
        if !message.is_response {
            // CoRE resource directories share the path (RFC 9176): only LwM2M gives its version or announces numbers.
            if version.is_none() && objects.is_empty() && !self.certain {
                return;
            }
            self.certain = true;
        } else if !self.certain {
            return;
        }
        cx.count(Counter::SessionEntriesDropped, dropped);
        let (client, server) = self.parties(message, direction, true, cx);
        let mut anomalies = Anomalies::default();
        let mut facts = Facts::new();
        let digest = hash(payload) ^ hash(endpoint.unwrap_or_default().as_bytes());
        if !message.is_response {
            if endpoint.is_none() {
                anomalies.push(&odd::ENDPOINT_MISSING);
            }
            if version.is_none() {
                anomalies.push(&odd::VERSION_MISSING);
            }
            if objects.is_empty() {
                anomalies.push(&odd::OBJECTS_MISSING);
            }
            if let Some(name) = endpoint.filter(|name| name.len() <= ENDPOINT_LENGTH) {
                self.turn(name, server.ip, cx);
            }
        }
        let me = name_of(endpoint, server.ip).unwrap_or(Identity::ip(client.ip));
        if !message.is_response && self.registered != digest {
            self.registered = digest;
            say_endpoint(&mut facts, endpoint, me, client.ip, server, "LwM2M registration");
            facts.push(Fact::Role { id: Identity::ip(server.ip), role: Role::ManagementServer });
            if let Some(version) = version {
                let (name, confidence, field) = (Attribute::ProtocolVersion, Confidence::Seen, "lwm2m.version");
                facts.push(Fact::Attribute { id: me, name, value: Text::Str(version), confidence, field });
            }
            say_objects(&mut facts, me, &objects, &document);
        }
        let record = Register {
            message: role(message),
            endpoint,
            lifetime: message.argument("lt").and_then(|text| text.parse().ok()),
            version,
            binding: message.argument("b"),
            queue_mode: message.argument("Q").map(|_| true),
            sms: message.argument("sms").map(|_| true),
            objects: &objects,
            root: root.filter(|root| *root != "/"),
            code: message.code(),
            location: message.location(),
        };
        cx.emit(direction, &record, &facts, &anomalies);
    }

    fn update(&mut self, message: &Message<'_>, operation: &'static str, payload: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let document = link_format::text(payload);
        let (objects, _, dropped) = objects(&document);
        cx.count(Counter::SessionEntriesDropped, dropped);
        let (client, server) = self.parties(message, direction, true, cx);
        let known = self.endpoint.take();
        let endpoint = known.as_ref().map(|(name, _)| &**name);
        let me = name_of(endpoint, server.ip).unwrap_or(Identity::ip(client.ip));
        let mut facts = Facts::new();
        let digest = hash(payload);
        if !message.is_response && !objects.is_empty() && self.registered != digest {
            self.registered = digest;
            say_objects(&mut facts, me, &objects, &document);
        }
        if !message.is_response {
            self.say_active(&mut facts, known.as_ref(), cx);
        }
        if self.news(SAID_ENDPOINT, b"update") && endpoint.is_none() {
            facts.push(Fact::Role { id: Identity::ip(server.ip), role: Role::ManagementServer });
            facts.push(Fact::Peer { client: me, server: Identity::ip(server.ip), protocol: "lwm2m" });
        }
        let record = Update {
            message: role(message),
            operation,
            location: message.path.unwrap_or_default(),
            endpoint,
            lifetime: message.argument("lt").and_then(|text| text.parse().ok()),
            binding: message.argument("b"),
            objects: &objects,
            code: message.code(),
        };
        cx.emit(direction, &record, &facts, &Anomalies::default());
        drop(facts);
        self.endpoint = known;
        self.certain = true;
    }

    fn bootstrap_request(&mut self, message: &Message<'_>, operation: &'static str, direction: Direction, cx: &mut Cx<'_>) {
        if message.is_response {
            if self.bootstrapping {
                self.emit_bootstrap(message, operation, None, &Items::default(), direction, cx);
            }
            return;
        }
        let Some(endpoint) = message.argument("ep") else { return };
        self.certain = true;
        self.bootstrapping = true;
        let (client, server) = self.parties(message, direction, true, cx);
        if endpoint.len() <= ENDPOINT_LENGTH {
            self.turn(endpoint, server.ip, cx);
        }
        let mut facts = Facts::new();
        if self.news(SAID_ENDPOINT, endpoint.as_bytes()) {
            let me = name_of(Some(endpoint), server.ip).unwrap_or(Identity::ip(client.ip));
            say_endpoint(&mut facts, Some(endpoint), me, client.ip, server, "LwM2M bootstrap request");
            facts.push(Fact::Role { id: Identity::ip(server.ip), role: Role::BootstrapServer });
        }
        let record = Bootstrap {
            message: role(message),
            operation,
            endpoint: Some(endpoint),
            path: None,
            content_format: message.content_format,
            server_uri: None,
            security_mode: None,
            values: &[],
            code: None,
        };
        cx.emit(direction, &record, &facts, &Anomalies::default());
    }

    fn send(&mut self, message: &Message<'_>, payload: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let format = Format::of(message.content_format).filter(|format| format.names_paths());
        let items = Items::read(format, Path::ROOT, payload);
        if !self.certain && (message.is_response || items.list.is_empty()) {
            return;
        }
        self.certain = true;
        let told = !message.is_response;
        self.emit_operation(message, "send", Path::ROOT, &items, told, 0, direction, cx);
    }

    fn model(&mut self, message: &Message<'_>, path: Path, payload: &[u8], direction: Direction, cx: &mut Cx<'_>) {
        let format = Format::of(message.content_format);
        self.certain |=
            format.is_some_and(Format::is_own) || message.accept().is_some_and(|number| matches!(number, 11_542..=11_544));
        let operation = match self.last {
            Some((last, operation)) if message.is_response && last == path => operation,
            _ => operation(message, path, payload),
        };
        if !message.is_response {
            self.last = Some((path, operation));
        }
        let carries = match (message.is_response, operation) {
            (false, "write" | "write_partial" | "create" | "write_composite" | "read_composite" | "observe_composite") => true,
            (true, "read" | "observe" | "read_composite" | "observe_composite" | "cancel_observation") => {
                message.code() == Some("2.05")
            }
            _ => false,
        };
        let items = if carries { Items::read(format, path, payload) } else { Items::default() };
        let named = format.is_some_and(Format::names_paths) && !items.list.is_empty();
        if !(self.certain || named || path.levels() >= 3) {
            return;
        }
        let touches_keys = path.object() == Some(0);
        let bootstraps = self.bootstrapping || touches_keys || (path == Path::ROOT && matches!(operation, "delete" | "discover"));
        if bootstraps && !path.is_relative() && matches!(operation, "write" | "delete" | "discover" | "read") {
            self.emit_bootstrap(message, operation, Some(path), &items, direction, cx);
        } else if message.is_notification() {
            self.emit_notification(message, path, &items, direction, cx);
        } else {
            let told = message.is_response;
            let arguments = if operation == "execute" && !message.is_response { payload.len() } else { 0 };
            self.emit_operation(message, operation, path, &items, told, arguments, direction, cx);
        }
    }

    #[allow(clippy::too_many_arguments)] // They are the fields of the record.
    fn emit_operation(
        &mut self,
        message: &Message<'_>,
        operation: &'static str,
        path: Path,
        items: &Items<'_>,
        told: bool,
        arguments: usize,
        direction: Direction,
        cx: &mut Cx<'_>,
    ) {
        let by_client = operation == "send";
        let (client, server) = self.parties(message, direction, by_client, cx);
        let known = self.endpoint.take();
        let endpoint = known.as_ref().map(|(name, _)| &**name);
        let me = self.me(known.as_ref(), client.ip);
        let mut facts = Facts::new();
        if by_client != message.is_response {
            self.say_active(&mut facts, known.as_ref(), cx);
        }
        if told {
            self.say_attributes(&mut facts, me, items);
        } else {
            self.say_secrets(&mut facts, me, Identity::ip(server.ip), items);
        }
        let anomalies = self.judge(items, cx);
        let values = items.shown();
        let record = Operation {
            message: role(message),
            operation,
            path: path.text(),
            endpoint,
            content_format: message.content_format,
            values: &values,
            values_total: items.total,
            arguments_length: u32::try_from(arguments).ok().filter(|&length| length > 0),
            code: message.code(),
        };
        cx.emit(direction, &record, &facts, &anomalies);
        drop(facts);
        self.endpoint = known;
    }

    fn emit_notification(&mut self, message: &Message<'_>, path: Path, items: &Items<'_>, direction: Direction, cx: &mut Cx<'_>) {
        let (client, _) = self.parties(message, direction, false, cx);
        let known = self.endpoint.take();
        let me = self.me(known.as_ref(), client.ip);
        let mut facts = Facts::new();
        self.say_active(&mut facts, known.as_ref(), cx);
        self.say_attributes(&mut facts, me, items);
        let anomalies = self.judge(items, cx);
        let values = items.shown();
        let record = Notification {
            path: (!path.is_relative()).then(|| path.text()),
            endpoint: known.as_ref().map(|(name, _)| &**name),
            content_format: message.content_format,
            values: &values,
            values_total: items.total,
        };
        cx.emit(direction, &record, &facts, &anomalies);
        drop(facts);
        self.endpoint = known;
    }

    fn emit_bootstrap(
        &mut self,
        message: &Message<'_>,
        operation: &'static str,
        path: Option<Path>,
        items: &Items<'_>,
        direction: Direction,
        cx: &mut Cx<'_>,
    ) {
        let by_client = matches!(operation, "request" | "pack_request");
        let (client, server) = self.parties(message, direction, by_client, cx);
        let known = self.endpoint.take();
        let me = self.me(known.as_ref(), client.ip);
        let mut facts = Facts::new();
        let mut anomalies = self.judge(items, cx);
        let mode = items.at(0, 2).find_map(Item::number);
        if !message.is_response {
            self.say_secrets(&mut facts, me, Identity::ip(server.ip), items);
            if let Some(text) = mode.and_then(security_mode)
                && self.news(SAID_MODE, text.as_bytes())
            {
                facts.push(Fact::Security { id: me, aspect: SecurityAspect::Mode, value: Text::Str(text) });
            }
            let touches_keys = path.is_some_and(|path| path.object() == Some(0));
            if touches_keys && self.registered != 0 && !self.bootstrapping {
                anomalies.push(&odd::SECURITY_OBJECT);
            }
        }
        let values = items.shown();
        let record = Bootstrap {
            message: role(message),
            operation,
            endpoint: known.as_ref().map(|(name, _)| &**name),
            path: path.map(Path::text),
            content_format: message.content_format,
            server_uri: items.at(0, 0).find_map(Item::text).map(Cow::Borrowed),
            security_mode: mode.map(|mode| mode as i64),
            values: &values,
            code: message.code(),
        };
        cx.emit(direction, &record, &facts, &anomalies);
        drop(facts);
        self.endpoint = known;
    }

    fn judge(&self, items: &Items<'_>, cx: &mut Cx<'_>) -> Anomalies {
        let mut anomalies = Anomalies::default();
        if items.malformed {
            anomalies.push(&odd::PAYLOAD);
        }
        cx.count(Counter::SessionEntriesDropped, items.dropped());
        anomalies
    }

    /// Client and server of a message: some requests are the client's, the others the server's.
    fn parties(&self, message: &Message<'_>, direction: Direction, by_client: bool, cx: &Cx<'_>) -> (Endpoint, Endpoint) {
        let (sender, receiver) = (cx.flow().sender(direction), cx.flow().receiver(direction));
        if by_client != message.is_response { (sender, receiver) } else { (receiver, sender) }
    }

    fn me<'a>(&self, known: Option<&'a (Box<str>, IpAddr)>, ip: IpAddr) -> Identity<'a> {
        known.and_then(|(name, server)| name_of(Some(name), *server)).unwrap_or(Identity::ip(ip))
    }

    /// The messages that follow are this endpoint's, which is told of with the one that names it.
    fn turn(&mut self, name: &str, server: IpAddr, cx: &mut Cx<'_>) {
        if self.endpoint.as_ref().is_some_and(|(known, at)| (&**known, *at) == (name, server)) {
            return;
        }
        let before = self.endpoint.as_ref().and_then(|(before, at)| name_of(Some(before), *at));
        if let Some(rest) = self.heard.turn(before, cx) {
            cx.facts(Direction::ToServer, &[rest]);
        }
        self.endpoint = Some((name.into(), server));
    }

    /// Says now and then that the client, which sent this message, is active.
    fn say_active<'a>(&mut self, facts: &mut Facts<'a>, known: Option<&'a (Box<str>, IpAddr)>, cx: &Cx<'_>) {
        let Some(id) = known.and_then(|(name, server)| name_of(Some(name), *server)) else { return };
        facts.extend(self.heard.message(id, cx));
    }

    /// Whether a statement differs from the last one of its kind.
    fn news(&mut self, slot: usize, value: &[u8]) -> bool {
        // Zero stands for "nothing yet".
        let digest = (hash(value) as u32).max(1);
        match self.said.get_mut(slot) {
            Some(said) if *said != digest => {
                *said = digest;
                true
            }
            _ => false,
        }
    }

    fn say_attributes<'a>(&mut self, facts: &mut Facts<'a>, id: Identity<'a>, items: &'a Items<'_>) {
        for (slot, &(object, resource, name, confidence, field)) in ATTRIBUTES.iter().enumerate() {
            let Some(text) = items.at(object, resource).find_map(Item::text).filter(|text| !text.is_empty()) else { continue };
            if self.news(slot, text.as_bytes()) {
                facts.push(Fact::Attribute { id, name, value: Text::Str(text), confidence, field });
            }
        }
        let degrees = |resource| items.at(6, resource).find_map(Item::number).filter(|degrees| degrees.abs() <= 180.0);
        if let (Some(latitude), Some(longitude)) = (degrees(0), degrees(1)) {
            let (latitude, longitude) = ((latitude * 1e6) as i32, (longitude * 1e6) as i32);
            let both = i64::from(latitude) << 32 | i64::from(longitude.cast_unsigned());
            if self.news(SAID_POSITION, &both.to_be_bytes()) {
                let (name, confidence, field) = (Attribute::Position, Confidence::Seen, "lwm2m./6/0/0");
                facts.push(Fact::Attribute { id, name, value: Text::Position(latitude, longitude), confidence, field });
            }
        }
    }

    /// Credentials that a server writes: those of one security instance belong together.
    fn say_secrets<'a>(&mut self, facts: &mut Facts<'a>, by: Identity<'a>, to: Identity<'a>, items: &'a Items<'_>) {
        let secrets = items.list.iter().filter(|item| item.secrecy.is_some() && !item.bytes().is_empty());
        for item in secrets {
            let same = |other: &&Item<'_>| other.path.instance() == item.path.instance();
            let beside = |resource| items.at(0, resource).find(same).map(Item::bytes);
            let psk = items.at(0, 2).find(same).and_then(Item::number).is_none_or(|mode| mode == 0.0);
            let (kind, user, secret) = match item.secrecy {
                Some(Secrecy::Key) if psk => (CredentialKind::PskIdentity, beside(3), Some(item.bytes())),
                Some(Secrecy::Identity) if psk && beside(5).is_none() => (CredentialKind::PskIdentity, Some(item.bytes()), None),
                Some(Secrecy::Key | Secrecy::Token) => (CredentialKind::Token, None, Some(item.bytes())),
                Some(Secrecy::Password) => (CredentialKind::Password, None, Some(item.bytes())),
                _ => continue,
            };
            if self.news(SAID_SECRET, secret.or(user).unwrap_or_default()) {
                facts.push(Fact::Credential(Credential {
                    by,
                    to,
                    kind,
                    user: user.map(Secret::new),
                    secret: secret.map(Secret::new),
                    outcome: Outcome::Unknown,
                    cleartext: true,
                }));
            }
        }
    }
}

fn role(message: &Message<'_>) -> &'static str {
    if message.is_response { "response" } else { "request" }
}

fn name_of(endpoint: Option<&str>, server: IpAddr) -> Option<Identity<'_>> {
    let name = endpoint.filter(|name| !name.is_empty())?;
    Some(Identity::at(&ENDPOINT, Server::Address(server), IdentityValue::Text(name)))
}

/// The security mode of a server account (LwM2M Core 1.1 Appendix E.1).
fn security_mode(mode: f64) -> Option<&'static str> {
    Some(match mode as u64 {
        0 => "psk",
        1 => "rpk",
        2 | 4 => "certificate",
        3 => "none",
        _ => return None,
    })
}

fn say_endpoint<'a>(
    facts: &mut Facts<'a>,
    endpoint: Option<&'a str>,
    me: Identity<'a>,
    ip: IpAddr,
    server: Endpoint,
    basis: &'static str,
) {
    let (address, service) = (Identity::ip(ip), Identity::ip(server.ip));
    facts.push(Fact::Identity { id: me, presence: Presence::Proved });
    if endpoint.is_some() {
        facts.push(Fact::SameAs { a: me, b: address, basis, confidence: Confidence::Likely });
    }
    // LwM2M Core 1.1 §7.3.1: urn:imei:############### and urn:dev:mac:<EUI-48 or EUI-64>.
    let device = endpoint.and_then(|name| {
        let name = name.strip_prefix("urn:")?;
        if let Some(imei) = name.strip_prefix("imei:") {
            let digits = imei.len() == 15 && imei.bytes().all(|byte| byte.is_ascii_digit());
            return digits.then(|| Identity::new(&IMEI, IdentityValue::Text(imei)));
        }
        let mac = name.strip_prefix("dev:mac:").or_else(|| name.strip_prefix("dev:MAC:"))?;
        mac_of(mac).map(Identity::mac)
    });
    if let Some(device) = device {
        facts.push(Fact::SameAs { a: me, b: device, basis: "LwM2M endpoint name", confidence: Confidence::Likely });
    }
    facts.push(Fact::Service { id: service, protocol: "lwm2m", port: Some(server.port), protected: false });
    facts.push(Fact::Peer { client: me, server: service, protocol: "lwm2m" });
    facts.push(Fact::Security { id: me, aspect: SecurityAspect::Transport, value: Text::Str("none") });
}

/// A MAC address of 12 hex digits, or of 16 with `fffe` in the middle (RFC 9039 §4.1).
fn mac_of(text: &str) -> Option<[u8; 6]> {
    let number = u64::from_str_radix(text, 16).ok()?;
    let bytes = match text.len() {
        12 => number,
        16 if number >> 24 & 0xffff == 0xfffe => (number >> 40) << 24 | number & 0xff_ffff,
        _ => return None,
    };
    let [_, _, a, b, c, d, e, f] = bytes.to_be_bytes();
    Some([a, b, c, d, e, f])
}

fn say_objects<'a>(facts: &mut Facts<'a>, id: Identity<'a>, objects: &[Object<'_>], document: &'a str) {
    let mut told: SmallVec<[u16; 16]> = SmallVec::new();
    for object in objects {
        if !told.contains(&object.object) {
            told.push(object.object);
            facts.push(Fact::Object { id, kind: "lwm2m.object", name: Text::Number(u64::from(object.object)) });
        }
    }
    // A client may register resources of its own beside its objects. The type of the root says no more than that it is LwM2M.
    let own = link_format::resource_types(document).into_iter().filter(|name| *name != ROOT_TYPE);
    facts.extend(own.map(|name| Fact::Object { id, kind: "coap.resource_type", name: Text::Str(name) }));
}

/// Objects of a registration, the root of the data model, and how many objects were left out.
fn objects(document: &str) -> (Vec<Object<'_>>, Option<&str>, u64) {
    let mut found = Vec::new();
    let mut root = None;
    let mut dropped = 0;
    for link in link_format::links(document).flatten() {
        if link.attribute("rt") == Some(ROOT_TYPE) {
            root = Some(link.target);
            continue;
        }
        let below = root.filter(|root| *root != "/").and_then(|root| link.target.strip_prefix(root.trim_end_matches('/')));
        let Some(path) = Path::parse(below.unwrap_or(link.target)) else { continue };
        let Some(object) = path.object() else { continue };
        if found.len() < OBJECTS {
            found.push(Object { object, instance: path.instance(), version: link.attribute("ver") });
        } else {
            dropped += 1;
        }
    }
    (found, root, dropped)
}
