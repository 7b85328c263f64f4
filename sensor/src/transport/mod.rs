//! UDP datagrams and TCP segments out of IP payloads, and the order of TCP streams restored, with gaps where bytes are missing.
//!
//! Documents: RFC 768 (UDP), RFC 9293 (TCP), RFC 2675 and RFC 8200 for lengths in IPv6. Checksums are never verified: an offloading
//! network card leaves them unset in what a capture on the same host sees.

pub mod reassembly;
pub mod segment;
