//! Situations, and the oracles.

mod air;
mod joins;
mod oracles;
mod owner;
mod sessions;
