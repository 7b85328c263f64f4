//! The observer in each shard, on the capture side: what is new and what somebody asked for leaves it, owned; the rest is counted.

pub mod owned;
