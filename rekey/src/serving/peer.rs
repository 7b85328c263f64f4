//! Who is at the other end of a connection.

use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// SHA-256 of the certificate that it showed and holds the key of.
    pub certificate: Option<[u8; 32]>,
}

impl Peer {
    /// A connection without TLS.
    pub(super) fn plain(address: SocketAddr) -> Self {
        Self { address, certificate: None }
    }

    /// A TLS connection whose handshake is done.
    pub(super) fn of(address: SocketAddr, connection: &rustls::ServerConnection) -> Self {
        let leaf = connection.peer_certificates().and_then(|chain| chain.first());
        Self { address, certificate: leaf.map(|leaf| Sha256::digest(leaf.as_ref()).into()) }
    }
}
