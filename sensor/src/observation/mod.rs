//! Observations: a record in context, with the facts it implies and the anomalies it shows.
//!
//! Everything here is borrowed from the packet or the decoder: an observer copies what it needs.

pub mod anomaly;
pub mod fact;
pub mod identity;
pub mod record;

pub use anomaly::{Anomalies, Anomaly, AnomalyCode};
pub use fact::{Attribute, Confidence, Credential, CredentialKind, Fact, Outcome, Presence, Role, Secret, SecurityAspect, Text};
pub use identity::{Identity, IdentityKind, IdentityScope, IdentityValue, Lifetime, Server, Strength};
pub use record::{
    Bounds, DevAddr, Eui, FieldId, FieldSpec, FieldType, FieldValue, Hex, KindId, ListItem, Record, RecordKind, Untold, Value,
    ValueList,
};

use crate::flow::{Direction, FlowInfo};
use crate::time::Timestamp;

/// Where in the captures an observation was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// 1-based number of the packet that completed the message, over all captures in the order of time.
    pub frame: u64,
    /// Position among the observations of that packet.
    pub sequence: u32,
}

/// A record in context.
pub struct Observation<'a> {
    /// Where it was made.
    pub place: Place,
    /// The packet's own time stamp.
    pub time: Timestamp,
    /// The flow; its orientation says who is client.
    pub flow: &'a FlowInfo,
    /// Which way the message went.
    pub direction: Direction,
    /// Name of the protocol that made it.
    pub protocol: &'static str,
    /// The message; `None` where only an anomaly can be told.
    pub record: Option<&'a dyn Record>,
    /// The message that carried this one (LoRaWAN in GWMP, in MQTT).
    pub carrier: Option<&'a dyn Record>,
    /// What the inventory learns.
    pub facts: &'a [Fact<'a>],
    /// What departs from the specification.
    pub anomalies: &'a Anomalies,
}

/// What a flow did, told about once a minute while it is active, and when it ends.
#[derive(Clone, Copy, Debug)]
pub struct FlowReport<'a> {
    /// Where it was made.
    pub place: Place,
    /// Why it is told.
    pub moment: FlowMoment,
    /// The flow.
    pub flow: &'a FlowInfo,
    /// Name of the protocol recognised in it.
    pub protocol: Option<&'static str>,
    /// Time of the first and of the latest packet of the stretch told of.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
    /// Packets to the server and to the client since the last report.
    pub packets: [u64; 2],
    /// Transport payload bytes to the server and to the client since the last report.
    pub bytes: [u64; 2],
    /// Whether packets went both ways, ever.
    pub answered: bool,
}

/// Why a flow is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowMoment {
    /// It was active.
    Active,
    /// It ended, fell silent or was dropped.
    Closed,
}

/// Takes observations where they are made, in the shard, borrowed.
pub trait Observer: Send {
    /// A message was decoded.
    fn observe(&mut self, observation: &Observation<'_>);

    /// A flow was active or closed.
    fn flow(&mut self, report: &FlowReport<'_>) {
        let _ = report;
    }

    /// An epoch ended: time to flush. `now` is packet time.
    fn epoch(&mut self, epoch: u64, now: Timestamp) {
        let _ = (epoch, now);
    }
}
