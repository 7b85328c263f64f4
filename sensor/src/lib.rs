//! The sensor: bytes on the wire to observations. It is synchronous, never asks the time and never transmits.
//!
//! The tree is the stack, bottom up:
//!
//! - [`capture`] reads packets from files and interfaces: link type, time stamp, bytes.
//! - `link` and `net` peel frames down to the inner IP packet and put fragments together.
//! - `transport` finds UDP datagrams and TCP segments and restores the order of streams, with gaps where bytes are missing.
//! - [`flow`] keeps the bounded table of flows on packet time.
//! - [`stream`] shows contiguous bytes to a decoder and keeps what it has not taken yet.
//! - [`protocols`] turn bytes into records, each in a folder of its own.
//! - [`observation`] is what comes out: records in context, the facts they imply, the anomalies they show.
//! - [`dispatch`] spreads packets over 64 shards and announces epochs; [`pipeline`] joins the stages, and is the only module that knows them all.

#![warn(missing_docs)]

pub mod capture;
pub mod counters;
pub mod dispatch;
pub mod flow;
pub mod json;
pub mod limits;
pub mod link;
pub mod net;
pub mod observation;
pub mod pipeline;
pub mod protobuf;
pub mod protocols;
pub mod reader;
pub mod stream;
pub mod testing;
pub mod time;
pub mod transport;
