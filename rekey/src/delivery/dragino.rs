//! Dragino devices have no remote change of a root key; `04FF` restarts them, so that they join again and have new session keys (Dragino end-device downlink
//! commands; SN50v3, src/main.c): documented, unproven on hardware. `04FE`, which resets to factory settings, stands one bit beside it and is never sent.

use super::lorawan::{Denied, Downlink};
use crate::time::Span;

/// The devices take commands on any application port.
pub const PORT: u8 = 2;

/// From the restart to the join, at the slowest data rate.
pub const OUTAGE: Span = Span::seconds(120);

/// The downlink that restarts the device.
///
/// # Errors
/// See [`Downlink::new`].
pub fn restart() -> Result<Downlink, Denied> {
    Downlink::new(PORT, vec![0x04, 0xff])
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_restart_and_nothing_else() {
        assert_eq!(super::restart().unwrap().payload(), [0x04, 0xff]);
    }
}
