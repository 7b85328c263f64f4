//! What departs from MQTT-SN 1.2.

crate::anomalies! {
    /// A message does not fit its length, or its fields do not fit it (§5.2).
    MALFORMED = "mqtt_sn.malformed_message",
    /// A message type that is reserved (§5.2.2).
    RESERVED_TYPE = "mqtt_sn.reserved_type",
    /// A length is encoded in three bytes and needs one (§5.2.1).
    LENGTH_NOT_MINIMAL = "mqtt_sn.length_not_minimal",
    /// The protocol identifier of CONNECT is not 1 (§5.3.8).
    PROTOCOL_ID = "mqtt_sn.protocol_id",
    /// The client identifier is empty or longer than 23 characters (§5.3.1).
    CLIENT_ID = "mqtt_sn.client_id_length",
    /// A string is not well-formed UTF-8 (§5.3.11).
    INVALID_UTF8 = "mqtt_sn.invalid_utf8",
    /// The topic identifier type is 3, which is reserved (§5.3.4).
    TOPIC_ID_TYPE = "mqtt_sn.topic_id_type",
    /// A return code that is not assigned (§5.3.10).
    RETURN_CODE = "mqtt_sn.unknown_return_code",
    /// Forwarders within forwarders beyond what is opened (§5.4.20).
    ENCAPSULATION = "mqtt_sn.encapsulated_too_deep",
}
