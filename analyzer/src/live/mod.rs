//! The parts of a run that goes on: the source that can be told to end, what is news, the keeper of store and spools, privileges.
//!
//! The wall clock is read here and nowhere below: what judges goes by packet time, which this hands on where the wire is silent.

mod keeper;
mod news;
pub mod places;
pub mod privileges;
mod source;

pub use keeper::{Failures, Keeper};
pub use news::News;
pub use source::{Notices, Orders, Watched};

use citytap_sensor::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The system's time: what the kernel stamps packets with.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Tells a person something on standard error. One that is closed is no reason to stop.
pub fn tell(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "citytap: {text}");
}
