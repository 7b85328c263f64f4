//! A small blocking MQTT client, 3.1.1 or 5.0: what this module asks of a broker, and how deliveries reach a device. TCP, or TLS with the broker's certificate checked.
//!
//! The protocol is mqtt-protocol-core's; here are the socket, the deadlines and the bounds. Left out: reconnecting (whoever asks decides what an interruption
//! means), QoS 2, wills, persistent sessions. Never publishes retained. The buffers of packets are the library's and are not wiped when dropped.

use super::packets::{self, Fate, Level, Said, impossible};
use crate::secrets::Secret;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{ConnectionOptions, Event};
use mqtt_protocol_core::mqtt::packet::Packet;
use mqtt_protocol_core::mqtt::prelude::*;
use mqtt_protocol_core::mqtt::{Connection, role};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// How long connecting, and each answer of the broker, may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The largest packet that is taken from the broker, in bytes: a listClients answer of 10,000 clients is about 1 MB.
const MAX_PACKET: u32 = 16 << 20;
/// Messages kept until somebody asks for them; beyond, the oldest makes way.
const MAX_INBOX: usize = 10_000;
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Where the broker is, and how to be sure that it is the one.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `host:port`.
    pub address: String,
    /// TLS, with the certificate authority that signed the broker's certificate; `None` is plain TCP.
    pub tls: Option<Tls>,
    /// The version of MQTT.
    pub level: Level,
}

/// How the broker's certificate is checked.
#[derive(Clone, Debug)]
pub struct Tls {
    /// A PEM file of certificate authorities.
    pub ca: PathBuf,
    /// The name that the certificate must bear.
    pub name: String,
}

/// What went wrong with the broker.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("the broker at {address} cannot be reached ({cause}); check that it runs and listens there")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        cause: String,
    },
    /// The broker refused the login.
    #[error(
        "the broker refused user {user:?} (CONNACK code {code}); check that user, its password, and whether dynamic-security.json is whole"
    )]
    Refused {
        /// The user.
        user: String,
        /// MQTT 3.1.1 table 3.1, or 5.0 table 3-1.
        code: u8,
    },
    /// The broker refused a subscription.
    #[error("the broker does not let us subscribe to {filter}; give the user a role that allows it")]
    NoSubscription {
        /// The filter.
        filter: String,
    },
    /// The connection ended; whether the last request took effect is not known.
    #[error("the broker closed the connection ({cause}); whether the last request took effect is not known")]
    Closed {
        /// Why.
        cause: String,
    },
    /// No answer in time; whether the last request took effect is not known.
    #[error("the broker did not answer within {} s; whether the last request took effect is not known", PATIENCE.as_secs())]
    Silent,
    /// Settings or a message that cannot be sent.
    #[error("{0}")]
    Impossible(String),
}

/// A message from the broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Whether the broker had kept it.
    pub retained: bool,
}

trait Wire: Read + Write + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }
}

/// A connection to a broker.
pub struct Client {
    wire: Box<dyn Wire>,
    state: Connection<role::Client>,
    inbox: VecDeque<Message>,
    others: VecDeque<Said>,
    level: Level,
    sent: Instant,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The broker is away, is not the one of the certificate, or refuses.
    pub fn connect(endpoint: &Endpoint, id: &str, login: Option<(&str, &Secret)>) -> Result<Self, ClientError> {
        let wire = open(endpoint)?;
        let options = ConnectionOptions::new().maximum_packet_size_recv(MAX_PACKET);
        let level = endpoint.level;
        let mut state = Connection::<role::Client>::with_options(level.version(), options);
        state.set_auto_pub_response(true);
        let mut client = Self { wire, state, inbox: VecDeque::new(), others: VecDeque::new(), level, sent: Instant::now() };
        client.send(packets::connect(level, id, login, KEEP_ALIVE)?)?;
        let answer = client.wait_for(|said| if let Said::Connected(code) = said { Some(*code) } else { None });
        match answer {
            Ok(0) => Ok(client),
            Ok(code) => Err(ClientError::Refused { user: login.map_or("", |(user, _)| user).to_owned(), code }),
            Err(error) => Err(error),
        }
    }

    /// Subscribes with QoS 1 and waits until the broker agreed.
    ///
    /// # Errors
    /// The broker refuses, or is gone.
    pub fn subscribe(&mut self, filter: &str) -> Result<(), ClientError> {
        let id = self.state.acquire_packet_id().map_err(impossible)?;
        self.send(packets::subscribe(self.level, id, filter)?)?;
        let agreed = self.wait_for(|said| match said {
            Said::Subscribed { id: of, agreed } if *of == id => Some(*agreed),
            _ => None,
        })?;
        if agreed { Ok(()) } else { Err(ClientError::NoSubscription { filter: filter.to_owned() }) }
    }

    /// Publishes with QoS 1, not retained, and waits until the broker has it. With MQTT 5.0 it expires after that many seconds at the broker.
    ///
    /// # Errors
    /// The broker is gone; whether it had the message is then not known.
    pub fn publish(&mut self, topic: &str, payload: &[u8], expiry: Option<u32>) -> Result<Fate, ClientError> {
        let id = self.state.acquire_packet_id().map_err(impossible)?;
        self.send(packets::publish(self.level, id, topic, payload, expiry)?)?;
        self.wait_for(|said| match said {
            Said::Acknowledged { id: of, fate } if *of == id => Some(*fate),
            _ => None,
        })
    }

    /// The next message, waiting until then at most; `None` where there is none.
    ///
    /// # Errors
    /// The broker is gone.
    pub fn receive(&mut self, until: Instant) -> Result<Option<Message>, ClientError> {
        loop {
            if let Some(message) = self.inbox.pop_front() {
                return Ok(Some(message));
            }
            self.others.clear();
            if self.sent.elapsed() > KEEP_ALIVE / 2 {
                self.send(packets::ping(self.level)?)?;
            }
            let left = until.saturating_duration_since(Instant::now());
            if !self.read(left.min(KEEP_ALIVE / 4))? && left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Says good-bye.
    pub fn close(mut self) {
        if let Ok(packet) = packets::disconnect(self.level) {
            let _ = self.send(packet); // The broker finds out by itself.
        }
    }

    fn send(&mut self, packet: Packet) -> Result<(), ClientError> {
        let events = self.state.send(packet);
        self.handle(events)
    }

    fn wait_for<T>(&mut self, wanted: impl Fn(&Said) -> Option<T>) -> Result<T, ClientError> {
        let until = Instant::now() + PATIENCE;
        loop {
            while let Some(said) = self.others.pop_front() {
                if let Some(found) = wanted(&said) {
                    return Ok(found);
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ClientError::Silent);
            }
            // A refusal closes the connection right behind it.
            let read = self.read(left);
            if self.others.is_empty() {
                read?;
            }
        }
    }

    /// Reads once, waiting that long at most; whether something came.
    fn read(&mut self, patience: Duration) -> Result<bool, ClientError> {
        let mut room = [0; 16 << 10];
        let patience = patience.max(Duration::from_millis(1));
        self.wire.tcp().set_read_timeout(Some(patience)).map_err(closed)?;
        let length = match self.wire.read(&mut room) {
            Ok(0) => return Err(ClientError::Closed { cause: "end of the stream".to_owned() }),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                return Ok(false);
            }
            Err(error) => return Err(closed(error)),
        };
        let bytes = room.get(..length).unwrap_or_default();
        let mut cursor = Cursor::new(bytes);
        while (cursor.position() as usize) < bytes.len() {
            let events = self.state.recv(&mut cursor);
            self.handle(events)?;
        }
        Ok(true)
    }

    /// Does what the protocol asks for. Events hold packets and packets hold secrets: none is shown.
    fn handle(&mut self, events: Vec<Event>) -> Result<(), ClientError> {
        let mut fault = None;
        for event in events {
            match event {
                Event::RequestSendPacket { packet, .. } => {
                    let mut bytes = packet.to_continuous_buffer();
                    let written = self.wire.write_all(&bytes).and_then(|()| self.wire.flush());
                    bytes.zeroize();
                    written.map_err(closed)?;
                    self.sent = Instant::now();
                }
                Event::NotifyPacketReceived(packet) => match packets::read(&packet) {
                    Said::Message(message) => self.keep(message),
                    said => self.others.push_back(said),
                },
                Event::NotifyError(error) => fault = Some(format!("{error:?}")),
                Event::RequestClose => {
                    fault.get_or_insert_with(|| "the protocol was broken".to_owned());
                }
                _ => {}
            }
        }
        fault.map_or(Ok(()), |cause| Err(ClientError::Closed { cause }))
    }

    fn keep(&mut self, message: Message) {
        if self.inbox.len() >= MAX_INBOX {
            self.inbox.pop_front();
        }
        self.inbox.push_back(message);
    }
}

fn open(endpoint: &Endpoint) -> Result<Box<dyn Wire>, ClientError> {
    let unreachable = |cause: String| ClientError::Unreachable { address: endpoint.address.clone(), cause };
    let addresses = endpoint.address.to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(closed)?;
                stream.set_write_timeout(Some(PATIENCE)).map_err(closed)?;
                let Some(tls) = &endpoint.tls else { return Ok(Box::new(stream)) };
                return Ok(Box::new(secured(tls, stream)?));
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(unreachable(last))
}

fn secured(tls: &Tls, stream: TcpStream) -> Result<rustls::StreamOwned<rustls::ClientConnection, TcpStream>, ClientError> {
    let place = tls.ca.display();
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&tls.ca);
    for certificate in certificates.map_err(|error| ClientError::Impossible(format!("{place}: {error}; give a PEM file")))? {
        let certificate = certificate.map_err(|error| ClientError::Impossible(format!("{place}: {error}; give a PEM file")))?;
        roots.add(certificate).map_err(|error| ClientError::Impossible(format!("{place}: {error}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(impossible)?.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(tls.name.clone()).map_err(impossible)?;
    let session = rustls::ClientConnection::new(Arc::new(config), name).map_err(impossible)?;
    Ok(rustls::StreamOwned::new(session, stream))
}

fn closed(error: std::io::Error) -> ClientError {
    ClientError::Closed { cause: error.to_string() }
}
