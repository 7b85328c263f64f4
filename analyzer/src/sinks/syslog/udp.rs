//! One message a datagram (RFC 5426).

use super::super::{Message, Sink, Undelivered};
use super::Peer;
use super::format::{Origin, write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Longest message in bytes: what receivers should take (RFC 5424 §6.1), and it is not fragmented more than once.
const LONGEST: usize = 2_048;

pub(super) struct Udp {
    peer: Peer,
    origin: Origin,
    socket: Option<UdpSocket>,
}

impl Udp {
    pub(super) fn new(peer: Peer, origin: Origin) -> Self {
        Self { peer, origin, socket: None }
    }

    fn send(&mut self, message: &Message) -> Result<(), String> {
        if self.socket.is_none() {
            self.socket = Some(connect(&self.peer)?);
        }
        let Some(socket) = &self.socket else { return Ok(()) };
        let sent = socket.send(&write(message, &self.origin, LONGEST)).and_then(|_| match socket.take_error()? {
            // "Port unreachable", where it comes back at once.
            Some(error) => Err(error),
            None => Ok(()),
        });
        sent.map_err(|error| {
            self.socket = None;
            self.peer.fault(&error)
        })
    }
}

fn connect(peer: &Peer) -> Result<UdpSocket, String> {
    let mut fault = String::new();
    for address in peer.addresses()? {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address).map(|()| socket));
        match socket {
            Ok(socket) => return Ok(socket),
            Err(error) => fault = peer.fault(&error),
        }
    }
    Err(fault)
}

impl Sink for Udp {
    fn deliver(&mut self, messages: &[Message]) -> Result<(), Undelivered> {
        for (taken, message) in messages.iter().enumerate() {
            self.send(message).map_err(|why| Undelivered { taken, why })?;
        }
        Ok(())
    }
}
