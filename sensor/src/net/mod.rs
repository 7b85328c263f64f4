//! IP: fragments put together.

pub mod fragments;
