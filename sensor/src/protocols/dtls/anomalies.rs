//! How DTLS departs from its specifications.

crate::anomalies! {
    /// A record or a handshake message that cannot be read (RFC 6347 §4; RFC 9147 §4, §5).
    MALFORMED = "dtls.malformed",
    /// A fragment of a handshake message that does not agree with the fragments before it about type or length (RFC 6347 §4.2.3).
    FRAGMENT_MISMATCH = "dtls.fragment_mismatch",
}
