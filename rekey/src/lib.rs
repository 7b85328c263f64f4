//! The gateway-side module: takes findings about keys, plans their replacement, carries it out on the systems that verify them, and closes a finding only
//! when the wire shows the new key in use and the old one gone.
//!
//! ```text
//! findings -> policy -> rotation (pure: state, input, now -> state, effects)
//!                          |  ^
//!                 effects  v  |  outcomes, evidence
//!                        agent -- journal (an intent before each effect, an outcome after)
//!                          |
//!                       backends (the systems that verify a credential, and the ways by which a device learns one)
//! ```
//!
//! What would ruin it is one locked-out street light. So a verifier accepts every generation that the device may hold, a generation leaves only on evidence
//! that another one works, and whatever is unknown keeps both and tells a person.

pub mod agent;
pub mod audit;
pub mod backends;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod evidence;
pub mod findings;
pub mod journal;
pub mod planning;
pub mod policy;
pub mod rotation;
pub mod secrets;
pub mod serving;
pub mod simulation;
pub mod slot;
pub mod time;
pub mod words;
