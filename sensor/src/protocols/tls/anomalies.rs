//! How TLS departs from its specifications.

crate::anomalies! {
    /// A record or a handshake message that cannot be read (RFC 5246 §6.2, §7.4; RFC 8446 §4, §5).
    MALFORMED = "tls.malformed",
}
