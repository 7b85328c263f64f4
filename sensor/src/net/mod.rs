//! The network layer: IP headers to what they carry, and fragments to datagrams. Options are stepped over and checksums are not verified.

pub mod fragments;
pub(crate) mod ip;
