//! Anomalies: the network's non-conformance, as data. They judge nothing; rules do.

use serde::Serialize;

/// A way in which traffic can depart from its specification. Declared beside the decoder that sees it.
#[derive(Debug)]
pub struct AnomalyCode {
    /// `<protocol>.<what>`, stable.
    pub name: &'static str,
    /// What was seen and the clause it departs from.
    pub doc: &'static str,
}

/// One departure, where it was seen.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Anomaly {
    /// The code's name.
    #[serde(serialize_with = "code_name")]
    pub code: &'static AnomalyCode,
    /// Byte offset within the message, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u32>,
}

impl Anomaly {
    /// An anomaly of the whole message.
    pub fn new(code: &'static AnomalyCode) -> Self {
        Self { code, offset: None }
    }

    /// An anomaly at a byte of the message.
    pub fn at(code: &'static AnomalyCode, offset: usize) -> Self {
        Self { code, offset: u32::try_from(offset).ok() }
    }
}

fn code_name<S: serde::Serializer>(code: &&'static AnomalyCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.name)
}

/// Declares anomaly codes: `anomalies! { /// doc  LENGTH = "modbus.length_mismatch", }`, and `ALL`, the list of them.
#[macro_export]
macro_rules! anomalies {
    ($($(#[doc = $doc:literal])+ $code:ident = $name:literal,)*) => {
        $($(#[doc = $doc])+ pub static $code: $crate::observation::AnomalyCode =
            $crate::observation::AnomalyCode { name: $name, doc: concat!($($doc, "\n",)+).trim_ascii() };)*
        /// All anomaly codes of this decoder.
        pub static ALL: &[&$crate::observation::AnomalyCode] = &[$(&$code,)*];
    };
}

/// A few anomalies, without allocation; those beyond the room are dropped, since the first ones say what is wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anomalies {
    items: [Option<Anomaly>; Anomalies::ROOM],
    len: usize,
}

impl Anomalies {
    /// More than this many on one message add nothing for the reader.
    pub const ROOM: usize = 6;

    /// Adds an anomaly of the whole message.
    pub fn push(&mut self, code: &'static AnomalyCode) {
        self.add(Anomaly::new(code));
    }

    /// Adds an anomaly at a byte of the message.
    pub fn push_at(&mut self, code: &'static AnomalyCode, offset: usize) {
        self.add(Anomaly::at(code, offset));
    }

    /// Adds an anomaly.
    pub fn add(&mut self, anomaly: Anomaly) {
        if let Some(slot) = self.items.get_mut(self.len) {
            *slot = Some(anomaly);
            self.len += 1;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Each of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Anomaly> {
        self.items.iter().flatten()
    }
}
