//! Messages in one TCP connection, each behind its length (RFC 6587 §3.4.1).

use super::super::{Message, Sink, Undelivered};
use super::Peer;
use super::format::{Origin, write};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longest message in bytes: what collectors take unless they are told otherwise.
const LONGEST: usize = 8_192;

/// A peer that does not answer a connection for so long, or takes nothing, is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection whose peer acknowledges nothing for so long is broken (TCP_USER_TIMEOUT), in milliseconds.
const SILENCE: u32 = 30_000;

/// What was sent within this time before a connection broke may be lost in it, and is sent again: twice the time that a break needs to show.
pub(super) const UNCERTAIN: Duration = Duration::from_secs(60);

/// Messages that are kept to be sent again: a first judgement's worth; more than that in a minute is not kept.
const KEPT: usize = 4_096;

pub(super) struct Tcp {
    peer: Peer,
    origin: Origin,
    stream: Option<TcpStream>,
    /// What was sent lately, with when.
    sent: VecDeque<(Instant, Vec<u8>)>,
}

impl Tcp {
    pub(super) fn new(peer: Peer, origin: Origin) -> Self {
        Self { peer, origin, stream: None, sent: VecDeque::new() }
    }

    /// Sees that there is a connection; a new one begins with what the last may have lost.
    fn stream(&mut self) -> Result<(), String> {
        if self.stream.take_if(|stream| !is_open(stream)).is_some() || self.stream.is_none() {
            let mut stream = connect(&self.peer)?;
            for (_, frame) in &self.sent {
                stream.write_all(frame).map_err(|error| self.peer.fault(&error))?;
            }
            self.stream = Some(stream);
        }
        Ok(())
    }

    fn send(&mut self, messages: &[Message]) -> Result<(), String> {
        let now = Instant::now();
        while self.sent.front().is_some_and(|(when, _)| now.duration_since(*when) > UNCERTAIN) {
            self.sent.pop_front();
        }
        self.stream()?;
        for (new, message) in messages.iter().enumerate() {
            let text = write(message, &self.origin, LONGEST);
            let mut frame = format!("{} ", text.len()).into_bytes();
            frame.extend(text);
            if let Err(error) = self.stream.as_mut().map_or(Ok(()), |stream| stream.write_all(&frame)) {
                self.stream = None;
                // Those of this delivery come again.
                self.sent.truncate(self.sent.len().saturating_sub(new));
                return Err(self.peer.fault(&error));
            }
            self.sent.push_back((now, frame));
            if self.sent.len() > KEPT {
                self.sent.pop_front();
            }
        }
        Ok(())
    }
}

fn connect(peer: &Peer) -> Result<TcpStream, String> {
    let mut fault = String::new();
    for address in peer.addresses()? {
        let connected = TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| {
            stream.set_write_timeout(Some(PATIENCE))?;
            rustix::net::sockopt::set_tcp_user_timeout(&stream, SILENCE)?;
            rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => fault = peer.fault(&error),
        }
    }
    Err(fault)
}

/// Whether the peer has neither closed nor reset the connection. Collectors send nothing; what they do is passed over.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut scrap = [0; 256];
    if stream.set_nonblocking(true).is_err() {
        return false;
    }
    let open = loop {
        match stream.read(&mut scrap) {
            Ok(0) => break false,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break error.kind() == ErrorKind::WouldBlock,
        }
    };
    stream.set_nonblocking(false).is_ok() && open
}

impl Sink for Tcp {
    /// A connection that breaks takes with it what was not acknowledged, so a delivery counts whole or not at all.
    fn deliver(&mut self, messages: &[Message]) -> Result<(), Undelivered> {
        self.send(messages).map_err(|why| Undelivered { taken: 0, why })
    }
}
