//! What the carrier says of a message: method, path, arguments, formats. The carrier is known by its fields alone.

use crate::observation::{Record, Value, ValueList};

/// A CoAP message as far as LwM2M needs it.
pub struct Message<'a> {
    record: &'a dyn Record,
    /// Whether it is a response.
    pub is_response: bool,
    /// The method, or the method of the request that is answered.
    pub method: Option<&'a str>,
    /// The path, or that of the request that is answered.
    pub path: Option<&'a str>,
    /// Content format of the payload.
    pub content_format: Option<u16>,
}

impl<'a> Message<'a> {
    /// Reads a carrier; `None` where it is no CoAP request or response.
    pub fn of(record: &'a dyn Record) -> Option<Self> {
        let is_response = match record.kind().name {
            "coap.request" => false,
            "coap.response" => true,
            _ => return None,
        };
        let method = if is_response { "request_method" } else { "method" };
        Some(Self {
            record,
            is_response,
            method: text(record, method),
            path: text(record, "uri_path"),
            content_format: number(record, "content_format").and_then(|number| u16::try_from(number).ok()),
        })
    }

    /// The response's code.
    pub fn code(&self) -> Option<&'a str> {
        if self.is_response { text(self.record, "code") } else { None }
    }

    /// Accept, of the request that is answered too.
    pub fn accept(&self) -> Option<u64> {
        number(self.record, if self.is_response { "request_accept" } else { "accept" })
    }

    /// Observe, of the request that is answered too.
    pub fn observe(&self) -> Option<u64> {
        number(self.record, if self.is_response { "request_observe" } else { "observe" })
    }

    /// Whether it is a notification.
    pub fn is_notification(&self) -> bool {
        matches!(field(self.record, "notification"), Value::Bool(true))
    }

    /// Where a resource was made.
    pub fn location(&self) -> Option<&'a str> {
        text(self.record, "location_path")
    }

    /// The value of an argument; empty for an argument without value.
    pub fn argument(&self, name: &str) -> Option<&'a str> {
        let (list, name_part, value_part) = self.arguments()?;
        (0..list.len()).find_map(|index| match (list.get(index, name_part), list.get(index, value_part)) {
            (Value::Text(found), Value::Text(value)) if found == name => Some(value),
            (Value::Text(found), _) if found == name => Some(""),
            _ => None,
        })
    }

    /// Whether there are arguments.
    pub fn has_arguments(&self) -> bool {
        self.arguments().is_some_and(|(list, ..)| !list.is_empty())
    }

    fn arguments(&self) -> Option<(&'a dyn ValueList, Option<u8>, Option<u8>)> {
        let kind = self.record.kind();
        let (name, _) = kind.field("uri_query.name")?;
        let (value, _) = kind.field("uri_query.value")?;
        match self.record.field(name) {
            Value::List(list) => Some((list, name.part, value.part)),
            _ => None,
        }
    }
}

fn field<'a>(record: &'a dyn Record, name: &str) -> Value<'a> {
    record.kind().field(name).map_or(Value::Absent, |(id, _)| record.field(id))
}

fn text<'a>(record: &'a dyn Record, name: &str) -> Option<&'a str> {
    match field(record, name) {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn number(record: &dyn Record, name: &str) -> Option<u64> {
    match field(record, name) {
        Value::Unsigned(number) => Some(number),
        _ => None,
    }
}
