//! A plugin for Mosquitto (plugin interface 5, so 2.0 and newer): CONNECT's user name and password -> "accepted, generation N", or "not mine, ask the next".
//!
//! While a device changes its password, Mosquitto must accept the old and the new one under one user name, which no plugin of its own can. This one stands
//! **before** the dynamic security plugin in the configuration and accepts what `citytap-rekey` staged; every other login is deferred, so that the broker decides
//! as it did without us. (After dynamic security it would never be asked: that refuses a known user with a wrong password itself.)
//!
//! ```text
//! plugin /usr/lib/citytap/libcitytap_broker_plugin.so
//! plugin_opt_accepts /var/lib/citytap-rekey/mosquitto.accepts
//! plugin_opt_uses /run/citytap-rekey/mosquitto.uses
//! plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so
//! plugin_opt_config_file /var/lib/mosquitto/dynamic-security.json
//! ```
//!
//! `accepts.rs` is the file that says what is staged: digests, never a password. `uses.rs` tells which generation was used. `guard.rs` joins the two and judges
//! a login and looks for the messages after it; `broker.rs` is the C interface, and the only place of this workspace besides live capture with `unsafe`.
//!
//! It never refuses a login itself, never waits for anybody, and when its file is missing or broken it goes on with what it read last: our mistake must
//! not be a locked-out device.

pub mod accepts;
#[cfg(not(test))]
mod broker;
mod guard;
pub mod uses;
