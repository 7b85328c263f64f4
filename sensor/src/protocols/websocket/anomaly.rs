//! What departs from WebSocket. Clauses are those of RFC 6455 unless another is named.

crate::anomalies! {
    /// A frame of the client is not masked (§5.1).
    UNMASKED = "websocket.client_frame_unmasked",
    /// A frame of the server is masked (§5.1).
    MASKED = "websocket.server_frame_masked",
    /// Reserved bits are set and no extension was agreed on that gives them a meaning (§5.2).
    RESERVED_BITS = "websocket.reserved_bits",
    /// An opcode that is not assigned (§5.2).
    RESERVED_OPCODE = "websocket.reserved_opcode",
    /// A payload length is encoded in more bytes than it needs (§5.2).
    LENGTH_NOT_MINIMAL = "websocket.length_not_minimal",
    /// The most significant bit of a 64-bit length is set (§5.2).
    LENGTH_INVALID = "websocket.length_invalid",
    /// A control frame is longer than 125 bytes (§5.5).
    CONTROL_TOO_LONG = "websocket.control_frame_too_long",
    /// A control frame is fragmented (§5.5).
    CONTROL_FRAGMENTED = "websocket.control_frame_fragmented",
    /// A continuation without a message that it continues (§5.4).
    UNEXPECTED_CONTINUATION = "websocket.unexpected_continuation",
    /// A new message begins before the last one ended (§5.4).
    INTERRUPTED_MESSAGE = "websocket.interrupted_message",
    /// A text message, or the reason of a close frame, is not well-formed UTF-8 (§5.6, §5.5.1).
    INVALID_UTF8 = "websocket.invalid_utf8",
    /// A close frame with one byte, or with a status code that may not be sent (§5.5.1, §7.4).
    INVALID_CLOSE = "websocket.invalid_close",
    /// A compressed message cannot be decompressed (RFC 7692 §7.2.2).
    INFLATE_FAILED = "websocket.inflate_failed",
    /// A compressed message becomes larger than what is decoded.
    INFLATED_TOO_LARGE = "websocket.inflated_too_large",
    /// The server chose a subprotocol that the client did not offer (§4.1).
    SUBPROTOCOL_NOT_OFFERED = "websocket.subprotocol_not_offered",
    /// The server chose an extension that the client did not offer (§4.1).
    EXTENSION_NOT_OFFERED = "websocket.extension_not_offered",
    /// The request lacks its key or asks for another version than 13 (§4.1).
    HANDSHAKE = "websocket.handshake",
}
