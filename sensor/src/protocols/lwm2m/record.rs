//! Records of LwM2M.

use super::path::PathText;
use crate::observation::Hex;
use crate::{part, record};
use std::borrow::Cow;

part! {
    /// A value of the data model.
    pub struct Value<'a> {
        /// Object, instance, resource and resource instance: `/3303/0/5700`. Without a leading slash where only resource and resource instance are known.
        pub path: PathText,
        /// `string`, `integer`, `float`, `boolean`, `opaque`, `time`, `object_link`; `untyped` where only the registry of objects tells it; `none` where
        /// the message names the path alone.
        pub value_type: &'static str,
        /// The value as text. Never a secret's.
        pub value: Option<Cow<'a, str>>,
        /// The value, where it is a number.
        pub number: Option<f64>,
        /// The bytes of an untyped value of up to 8 bytes.
        pub bytes: Option<Hex<'a>>,
        /// Length of the value as it was sent, bytes; for text in JSON, of the text.
        pub length: u32,
        /// True where the resource holds a secret.
        pub secret: Option<bool>,
    }
}

part! {
    /// An object, or one instance of it, that a client announces.
    pub struct Object<'a> {
        /// Number of the object.
        pub object: u16,
        /// Number of the instance; absent where the object has none yet.
        pub instance: Option<u16>,
        /// Version of the object, where it is not 1.0 (LwM2M Core 1.1 §7.2.2).
        pub version: Option<&'a str>,
    }
}

record! {
    /// A client registers with a server, or the server's answer (LwM2M Core 1.1 §6.2.1).
    pub struct Register<'a> = "lwm2m.register" {
        /// `request` or `response`.
        pub message: &'static str,
        /// Endpoint client name (`ep`).
        pub endpoint: Option<&'a str>,
        /// Lifetime of the registration, seconds (`lt`).
        pub lifetime: Option<u32>,
        /// Version of LwM2M (`lwm2m`).
        pub version: Option<&'a str>,
        /// Binding modes (`b`): U UDP, T TCP, S SMS, N non-IP, M MQTT, H HTTP; Q queue mode in version 1.0.
        pub binding: Option<&'a str>,
        /// True where the client uses queue mode (`Q`).
        pub queue_mode: Option<bool>,
        /// True where the client gives an SMS number (`sms`).
        pub sms: Option<bool>,
        /// The objects and instances that it announces, the first 128 of them.
        pub objects: &'a [Object<'a>],
        /// Root of the data model where it is not `/` (`rt="oma.lwm2m"`).
        pub root: Option<&'a str>,
        /// Code of the response: `2.01`.
        pub code: Option<&'a str>,
        /// Where the registration lives at the server.
        pub location: Option<&'a str>,
    }
}

record! {
    /// A client updates or removes its registration, or the server's answer (LwM2M Core 1.1 §6.2.2, §6.2.3).
    pub struct Update<'a> = "lwm2m.update" {
        /// `request` or `response`.
        pub message: &'static str,
        /// `update` or `deregister`.
        pub operation: &'static str,
        /// Where the registration lives at the server.
        pub location: &'a str,
        /// Endpoint client name, where the registration was seen in this flow.
        pub endpoint: Option<&'a str>,
        /// New lifetime, seconds (`lt`).
        pub lifetime: Option<u32>,
        /// New binding modes (`b`).
        pub binding: Option<&'a str>,
        /// The objects and instances that it now has, the first 128 of them.
        pub objects: &'a [Object<'a>],
        /// Code of the response: `2.04`; `4.04` where the server does not know the registration.
        pub code: Option<&'a str>,
    }
}

record! {
    /// A message between a client and a bootstrap server (LwM2M Core 1.1 §6.1.7).
    pub struct Bootstrap<'a> = "lwm2m.bootstrap" {
        /// `request` or `response`.
        pub message: &'static str,
        /// `request`, `pack_request`, `finish`, `write`, `delete`, `discover` or `read`.
        pub operation: &'static str,
        /// Endpoint client name (`ep`), or that of the client where it was seen in this flow.
        pub endpoint: Option<&'a str>,
        /// Path of the data model, for writing, deleting and discovering.
        pub path: Option<PathText>,
        /// Content format of the payload, by number.
        pub content_format: Option<u16>,
        /// Server URI of the first security instance that is written (`/0/x/0`).
        pub server_uri: Option<Cow<'a, str>>,
        /// Security mode of the first security instance that is written (`/0/x/2`): 0 PSK, 1 raw public key, 2 certificate, 3 none, 4 certificate by EST.
        pub security_mode: Option<i64>,
        /// The values that are written, the first 64 of them.
        pub values: &'a [Value<'a>],
        /// Code of the response.
        pub code: Option<&'a str>,
    }
}

record! {
    /// An operation on a client's data model, or its result (LwM2M Core 1.1 §6.3, §6.4), or values that a client sends by itself (§6.4.6).
    pub struct Operation<'a> = "lwm2m.operation" {
        /// `request` or `response`.
        pub message: &'static str,
        /// `read`, `discover`, `write` (replace), `write_partial`, `write_attributes`, `execute`, `create`, `delete`, `observe`, `cancel_observation`,
        /// `read_composite`, `write_composite`, `observe_composite` or `send`.
        pub operation: &'static str,
        /// The path; `/` for composite operations.
        pub path: PathText,
        /// Endpoint client name, where the registration was seen in this flow.
        pub endpoint: Option<&'a str>,
        /// Content format of the payload, by number.
        pub content_format: Option<u16>,
        /// Values that are written, read or sent, the first 64 of them.
        pub values: &'a [Value<'a>],
        /// Number of values in the message.
        pub values_total: u32,
        /// Arguments of an execute (LwM2M Core 1.1 §6.3.5), length in bytes: they can hold secrets.
        pub arguments_length: Option<u32>,
        /// Code of the response: `2.05`.
        pub code: Option<&'a str>,
    }
}

record! {
    /// A client tells of a change that a server observes (LwM2M Core 1.1 §6.4.2).
    pub struct Notification<'a> = "lwm2m.notification" {
        /// The path that is observed; absent where the observation was not seen in this flow.
        pub path: Option<PathText>,
        /// Endpoint client name, where the registration was seen in this flow.
        pub endpoint: Option<&'a str>,
        /// Content format of the payload, by number.
        pub content_format: Option<u16>,
        /// The values, the first 64 of them.
        pub values: &'a [Value<'a>],
        /// Number of values in the message.
        pub values_total: u32,
    }
}
