//! What the tests of the whole share.
//!
//! - [`cases`] finds captures: those of `pcaps/` and those that `CITYTAP_CAPTURES` names.
//! - [`golden`] compares text with a file beside the test; `UPDATE_GOLDEN=1` rewrites it.
//! - [`run`] puts a capture through the sensor and writes what was observed.
//! - [`streams`] records what the pipeline shows to each decoder, so that it can be shown again in other pieces.
//! - [`contract`] shows bytes to decoders and checks every answer against their contract; [`fuzzing`] are its bodies for the fuzzer.
//! - [`workload`] writes traffic for the benchmark.
//! - [`source`] reads the project itself, for the invariants.
//! - [`noise`] changes bytes and cuts them, the same way each time.

pub mod cases;
pub mod contract;
pub mod fuzzing;
pub mod golden;
pub mod noise;
pub mod run;
pub mod source;
pub mod streams;
pub mod workload;
