//! How a device learns its credential: one file a family of devices.

pub mod dragino;
pub mod lobaro;
pub mod lorawan;
