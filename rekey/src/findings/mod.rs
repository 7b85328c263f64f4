//! What goes to and from citytap: findings about keys come in a file that citytap signed, results go back in one that this module signed. This
//! module fetches; citytap cannot reach in.
//!
//! - [`import`] checks a file of findings: who signed it, how old it is, whether it was seen before; and finds the slot of each.
//! - [`attribution`] answers what the tap saw with "generation N" and nothing else.
//! - [`results`] writes what became of each finding's key.

pub mod attribution;
pub mod import;
pub mod results;
