//! One-off snapshots of what a run or a store knows.

pub mod inventory;
pub mod run_folder;
