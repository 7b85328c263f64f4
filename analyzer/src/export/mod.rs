//! One-off snapshots of what a run or a store knows.

pub mod diff;
pub mod findings;
pub mod inventory;
pub mod rekey;
pub mod run_folder;
pub mod schema;
