//! The IP layer: headers with their options and extensions.

pub mod ip;
