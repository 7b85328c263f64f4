//! What departs from MQTT. Clauses are those of MQTT 5.0 unless another version is named.

crate::anomalies! {
    /// A field does not fit into its packet: what stood before it was read (§4.13).
    MALFORMED = "mqtt.malformed_packet",
    /// Bytes follow the last field of the packet (§2.1.4).
    TRAILING_BYTES = "mqtt.trailing_bytes",
    /// The fourth byte of the remaining length says that another follows (§1.5.5).
    REMAINING_LENGTH = "mqtt.malformed_remaining_length",
    /// A length is encoded in more bytes than it needs (§1.5.5).
    LENGTH_NOT_MINIMAL = "mqtt.length_not_minimal",
    /// The packet is larger than what is decoded; only its beginning was read.
    OVER_LONG = "mqtt.over_long_packet",
    /// The payload of a PUBLISH is not all there: the capture lost bytes of it, or the connection ended in it. What stands before it was read.
    TRUNCATED = "mqtt.truncated",
    /// The packet is larger than the Maximum Packet Size that its receiver announced (§3.1.2.11.4, §3.2.2.3.6).
    ABOVE_MAXIMUM_PACKET_SIZE = "mqtt.above_maximum_packet_size",
    /// Packet type 0, or AUTH before version 5: not assigned (§2.1.2).
    UNASSIGNED_PACKET_TYPE = "mqtt.unassigned_packet_type",
    /// Reserved flags are set, or required ones are not (§2.1.3, §3.1.2.3, §3.2.2.1).
    RESERVED_FLAGS = "mqtt.reserved_flags",
    /// The packet went in a direction in which its type is not sent (table 2-1).
    WRONG_DIRECTION = "mqtt.wrong_direction",
    /// The client sent another packet before CONNECT (§3.1).
    MISSING_CONNECT = "mqtt.missing_connect",
    /// The server sent CONNACK, or another packet, and no CONNECT came before it (§3.2).
    UNINTRODUCED = "mqtt.unintroduced_packet",
    /// A second CONNECT in one connection (§3.1).
    DOUBLE_CONNECT = "mqtt.double_connect",
    /// The client went on after the server refused it (§3.2.2.2).
    AFTER_REFUSAL = "mqtt.packet_after_refusal",
    /// A packet after DISCONNECT in the same direction (§3.14.4).
    AFTER_DISCONNECT = "mqtt.packet_after_disconnect",
    /// Name and level of the protocol are none that exist (§3.1.2.1, §3.1.2.2).
    UNKNOWN_PROTOCOL_LEVEL = "mqtt.unknown_protocol_level",
    /// Will QoS or will retain without a will (§3.1.2.6, §3.1.2.7).
    WILL_FLAGS = "mqtt.will_flags_without_will",
    /// A password without a user name (3.1.1 §3.1.2.9).
    PASSWORD_WITHOUT_USER_NAME = "mqtt.password_without_user_name",
    /// An empty client identifier with a session to keep (3.1.1 §3.1.3.1).
    EMPTY_CLIENT_ID = "mqtt.empty_client_id",
    /// CONNACK refuses and says that there is a session (§3.2.2.1.1).
    SESSION_PRESENT_ON_REFUSAL = "mqtt.session_present_on_refusal",
    /// QoS 3 (§3.3.1.2, §3.8.3.1).
    INVALID_QOS = "mqtt.invalid_qos",
    /// DUP is set at QoS 0 (§3.3.1.1).
    DUP_AT_QOS_0 = "mqtt.dup_at_qos_0",
    /// Packet identifier 0 (§2.2.1).
    PACKET_ID_ZERO = "mqtt.packet_id_zero",
    /// A packet identifier was used again before its exchange ended (§2.2.1).
    PACKET_ID_IN_USE = "mqtt.packet_id_in_use",
    /// A string is not well-formed UTF-8 (§1.5.4).
    INVALID_UTF8 = "mqtt.invalid_utf8",
    /// A string contains U+0000 (§1.5.4).
    NUL_IN_STRING = "mqtt.nul_in_string",
    /// A topic name contains a wildcard (§3.3.2.1, §4.7.1).
    WILDCARD_IN_TOPIC = "mqtt.wildcard_in_topic",
    /// A topic name is empty and no topic alias stands for it (§4.7.3, §3.3.2.3.4).
    EMPTY_TOPIC = "mqtt.empty_topic",
    /// Wildcards in a topic filter stand where they may not, or the filter is empty (§4.7.1, §4.8.2).
    INVALID_TOPIC_FILTER = "mqtt.invalid_topic_filter",
    /// SUBSCRIBE or UNSUBSCRIBE without a topic filter (§3.8.3, §3.10.3).
    NO_TOPIC_FILTER = "mqtt.no_topic_filter",
    /// Reserved bits of the subscription options are set, or retain handling is 3 (§3.8.3.1).
    SUBSCRIPTION_OPTIONS = "mqtt.subscription_options",
    /// No Local on a shared subscription (§3.8.3.1).
    SHARED_NO_LOCAL = "mqtt.no_local_on_shared_subscription",
    /// A property identifier that is not assigned (§2.2.2.2).
    UNKNOWN_PROPERTY = "mqtt.unknown_property",
    /// A property in a packet where it may not stand (table 2-4).
    PROPERTY_NOT_ALLOWED = "mqtt.property_not_allowed",
    /// A property stands twice and may stand once (§2.2.2.2).
    PROPERTY_TWICE = "mqtt.property_twice",
    /// A property has a value that it may not have (§3.1.2.11, §3.2.2.3).
    PROPERTY_VALUE = "mqtt.property_value",
    /// Topic alias 0, or above the Topic Alias Maximum of the receiver (§3.3.2.3.4).
    TOPIC_ALIAS_INVALID = "mqtt.topic_alias_invalid",
    /// A topic alias that was not given a topic before (§3.3.2.3.4).
    TOPIC_ALIAS_UNKNOWN = "mqtt.topic_alias_unknown",
    /// A reason or return code that the packet type does not have (§2.4).
    UNKNOWN_REASON_CODE = "mqtt.unknown_reason_code",
    /// An acknowledgement of a PUBLISH, PUBREC or PUBREL that was not sent (§4.3).
    MISSING_PUBLISH = "mqtt.missing_publish",
    /// SUBACK without SUBSCRIBE (§3.9).
    MISSING_SUBSCRIBE = "mqtt.missing_subscribe",
    /// UNSUBACK without UNSUBSCRIBE (§3.11).
    MISSING_UNSUBSCRIBE = "mqtt.missing_unsubscribe",
    /// SUBACK or UNSUBACK has more or fewer reason codes than there were topic filters (§3.9.3, §3.11.3).
    REASON_CODE_COUNT = "mqtt.reason_code_count",
    /// The connection ended with exchanges of QoS 2 open (§4.3.3).
    QOS_2_INCOMPLETE = "mqtt.qos_2_incomplete",
}
