//! The program `citytap`.
fn main() {}
