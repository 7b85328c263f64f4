//! How CoAP messages depart from their specifications.

crate::anomalies! {
    /// The message ends within its header, its token or an option (RFC 7252 §3).
    TRUNCATED = "coap.truncated",
    /// The version is not 1; receivers drop such messages silently (RFC 7252 §3).
    VERSION = "coap.version",
    /// The token length is 15, which is reserved (RFC 8974 §2.1).
    TOKEN_LENGTH_RESERVED = "coap.token_length_reserved",
    /// An option's delta or length nibble is 15, which is reserved (RFC 7252 §3.1).
    OPTION_NIBBLE_RESERVED = "coap.option_nibble_reserved",
    /// The deltas of the options add up to more than 65,535 (RFC 7252 §3.1).
    OPTION_NUMBER_OVERFLOW = "coap.option_number_overflow",
    /// An option's value is shorter or longer than its definition allows (RFC 7252 §5.4.3).
    OPTION_LENGTH = "coap.option_length",
    /// An option stands twice that may stand once (RFC 7252 §5.4.5).
    OPTION_REPEATED = "coap.option_repeated",
    /// A critical option that no registered document known here defines (RFC 7252 §5.4.1).
    UNKNOWN_CRITICAL_OPTION = "coap.unknown_critical_option",
    /// A text option is not UTF-8 (RFC 7252 §3.2).
    TEXT_NOT_UTF8 = "coap.text_not_utf8",
    /// A payload marker with nothing after it (RFC 7252 §3).
    PAYLOAD_MISSING = "coap.payload_missing",
    /// An Empty message with bytes after its message ID (RFC 7252 §4.1).
    EMPTY_WITH_CONTENT = "coap.empty_with_content",
    /// A code of a reserved class (RFC 7252 §12.1), or a signalling code in a datagram (RFC 8323 §5).
    CODE_RESERVED = "coap.code_reserved",
    /// A type that cannot carry this code: an acknowledgement with a request, a reset with anything (RFC 7252 §4.3, Table 1).
    TYPE_AND_CODE = "coap.type_and_code",
    /// A piggybacked response whose token is not that of the request with its message ID (RFC 7252 §5.3.2).
    TOKEN_MISMATCH = "coap.token_mismatch",
    /// A message ID used again for another message while the first can still be sent again (RFC 7252 §4.4).
    MESSAGE_ID_REUSED = "coap.message_id_reused",
    /// A confirmable message to a multicast address (RFC 7252 §8.1).
    MULTICAST_CONFIRMABLE = "coap.multicast_confirmable",
    /// A block option with the reserved size exponent 7 in a datagram (RFC 7959 §2.2).
    BLOCK_SIZE_RESERVED = "coap.block_size_reserved",
    /// A block that is not the last with a payload of another size than it says (RFC 7959 §2.2).
    BLOCK_LENGTH = "coap.block_length",
    /// The last block came, but earlier ones were not seen: they were lost, or the transfer began before the capture.
    BODY_INCOMPLETE = "coap.body_incomplete",
    /// The body has another size than Size1 or Size2 said (RFC 7959 §4).
    BODY_SIZE = "coap.body_size",
    /// An OSCORE option that cannot be read (RFC 8613 §6.1).
    OSCORE_MALFORMED = "coap.oscore_malformed",
    /// A link-format document with an item that is no link (RFC 6690 §2).
    LINK_FORMAT = "coap.link_format",
    /// The first message of a connection is not a CSM (RFC 8323 §5.3).
    CSM_MISSING = "coap.csm_missing",
    /// A WebSocket message whose Len field is not zero (RFC 8323 §4.2).
    WEBSOCKET_LENGTH = "coap.websocket_length",
}
