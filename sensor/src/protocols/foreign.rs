//! How common protocols begin that are not decoded here, so that in a long download nothing is taken for a message of another protocol that
//! only looks like one.
//!
//! Left out: what begins without a text that tells it. HTTP is here as far as no decoder took it (RFC 9110, RFC 9112); the others are SSH
//! (RFC 4253 §4.2), the greetings of FTP and SMTP (RFC 959 §5.4, RFC 5321 §4.2), POP3 and IMAP (RFC 1939 §4, RFC 9051 §7.1.1), RTSP and SIP (RFC 7826 §20,
//! RFC 3261 §7), BitTorrent (BEP 3) and RFB (RFC 6143 §7.1.1).

const BEGINNINGS: &[&[u8]] = &[
    b"HTTP/1.",
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"PRI * HTTP/2",
    b"SSH-",
    b"220 ",
    b"220-",
    b"EHLO ",
    b"HELO ",
    b"+OK ",
    b"* OK ",
    b"RTSP/1.",
    b"DESCRIBE rtsp",
    b"SETUP rtsp",
    b"SIP/2.0 ",
    b"REGISTER sip",
    b"INVITE sip",
    b"\x13BitTorrent protocol",
    b"RFB 003.",
];

/// Whether a stream that begins so is of a protocol that no decoder takes, as far as it does not change over to another (an upgrade, STARTTLS, a
/// tunnel through a proxy).
pub(crate) fn begins(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::begins;

    #[test]
    fn a_download_is_told_by_its_head_and_binary_protocols_are_not() {
        assert!(begins(b"HTTP/1.1 200 OK\r\n") && begins(b"GET /firmware.bin HTTP/1.1\r\n") && begins(b"SSH-2.0-dropbear\r\n"));
        assert!(!begins(&[0x10, 0x1c, 0, 4, b'M', b'Q', b'T', b'T']) && !begins(&[0, 1, 0, 0, 0, 6, 1, 3]) && !begins(b"GE"));
    }
}
