//! Syslog to a collector: RFC 5424 messages in UDP datagrams (RFC 5426) or over TCP with octet counting (RFC 6587 §3.4.1).
//!
//! Neither tells when the collector has taken a message. Over UDP a message counts as delivered when it was sent and no error came back at once; on the way
//! it may be lost. Over TCP what was sent in the last `tcp::UNCERTAIN` before a connection broke is sent again on the next.
//! Use TCP where every alert counts. Not done: syslog within an encrypted connection.

mod format;
mod tcp;
#[cfg(test)]
pub(super) mod tests;
mod udp;

use super::{Sink, SinkSpec};
use crate::nearest::nearest;
use format::{FACILITIES, Origin};
use std::net::{SocketAddr, ToSocketAddrs};

/// The line in the table of sinks.
pub const SPEC: SinkSpec = SinkSpec {
    name: "syslog",
    doc: "syslog:udp://HOST or syslog:tcp://HOST sends RFC 5424 to a collector, port 514 if none is said; ?facility=local3 in place of local0",
    example: "syslog:tcp://10.0.0.9:514",
    open,
};

/// The port where none is said: RFC 5426 §3.3; collectors use it for TCP as well, for which RFC 6587 assigns none.
const PORT: u16 = 514;

fn open(target: &str) -> Result<Box<dyn Sink>, String> {
    let (place, options) = target.split_once('?').unwrap_or((target, ""));
    let mut origin = Origin::here();
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "facility" => origin.facility = facility(value)?,
            other => return Err(format!("syslog has no option '{other}'; it has facility, as in ?facility=local3")),
        }
    }
    let peer = |text: &str| Peer::new(text.trim_end_matches('/'));
    match place.split_once("://") {
        Some(("udp", text)) => Ok(Box::new(udp::Udp::new(peer(text)?, origin))),
        Some(("tcp", text)) => Ok(Box::new(tcp::Tcp::new(peer(text)?, origin))),
        _ => Err(format!("'{place}' is no collector; write udp://HOST:PORT or tcp://HOST:PORT, as in {}", SPEC.example)),
    }
}

fn facility(name: &str) -> Result<u8, String> {
    if let Some((_, number)) = FACILITIES.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let names = || FACILITIES.iter().map(|(name, _)| *name);
    let meant = nearest(name, names()).map_or_else(String::new, |name| format!(" Is {name} meant?"));
    Err(format!("there is no facility '{name}'.{meant} Known are {}", names().collect::<Vec<_>>().join(", ")))
}

/// A collector by name and port. The name is looked up at each connection.
struct Peer {
    host: String,
    port: u16,
}

impl Peer {
    /// `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.
    fn new(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no host and port; write HOST:PORT, with an IPv6 address as in [fd00::9]:514");
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))),
            None if text.matches(':').count() > 1 => return Err(wrong()),
            None => text.split_once(':').map_or((text, Some("")), |(host, port)| (host, Some(port))),
        };
        let port = match port.ok_or_else(wrong)? {
            "" => PORT,
            port => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(wrong());
        }
        Ok(Self { host: host.into(), port })
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let found: Vec<SocketAddr> =
            (self.host.as_str(), self.port).to_socket_addrs().map_err(|error| self.fault(&error))?.collect();
        if found.is_empty() { Err(format!("{}: the name has no address", self.host)) } else { Ok(found) }
    }

    fn fault(&self, error: &std::io::Error) -> String {
        format!("{}:{}: {error}", self.host, self.port)
    }
}
