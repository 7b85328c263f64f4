//! How LwM2M messages depart from their specification.

crate::anomalies! {
    /// A payload that does not follow its content format (LwM2M Core 1.1 §7.4).
    PAYLOAD = "lwm2m.payload",
    /// A registration without the endpoint name, which is mandatory on all but secured transports that give it (LwM2M Core 1.1 §6.2.1).
    ENDPOINT_MISSING = "lwm2m.endpoint_missing",
    /// A registration without the version of LwM2M, which is mandatory (LwM2M Core 1.1 §6.2.1).
    VERSION_MISSING = "lwm2m.version_missing",
    /// A registration that announces no object, or none that can be read: at least Server and Device are mandatory (LwM2M Core 1.1 §6.2.1).
    OBJECTS_MISSING = "lwm2m.objects_missing",
    /// A server other than a bootstrap server touches the Security object (LwM2M Core 1.1 Appendix E.1).
    SECURITY_OBJECT = "lwm2m.security_object",
}
