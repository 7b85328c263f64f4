//! A small world to prove the rotation in: a device, its verifier, the network between, our host with a crash at any point and a restore from a copy, a person.
//! Time is simulated; everything that happens follows from a seed.
//!
//! The judge ([`World::violation`]) knows nothing of the rotation's own checks. It looks at secrets' values in the world:
//! - a device is never refused by a verifier that can hold several generations;
//! - a verifier that holds one finds the device again within a bound, and data flows in the end;
//! - no silence is longer than what the device, the site or a person caused, plus the planned outage;
//! - a value that was retired is never accepted, switched to or sent again;
//! - what the device may fall back to is never retired.
//!
//! Left out: that two people share one password, that clocks differ, and every protocol's own ways (the backends' simulators have those).

mod chance;
mod device;
mod host;
mod world;

pub use chance::Chance;
pub use device::{Device, Manners, Value};
pub use world::{Story, World, tell};
