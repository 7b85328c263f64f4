//! What a flow told already, so that a device that reports every minute is told of once. Carriers that name devices use it too.

/// Devices of which a flow remembers what it told. A gateway hears some tens of devices again and again.
pub(crate) const SAID: usize = 64;

/// The last thing told of each device that fell into a slot. A device that shares its slot is told of again, never forgotten.
pub(crate) struct Said([(u64, u64); SAID]);

impl Default for Said {
    fn default() -> Self {
        Self([(0, 0); SAID])
    }
}

impl Said {
    /// Whether this was not the last thing told of `id`. `what` is anything but 0 that changes with what is told.
    pub(crate) fn is_new(&mut self, id: u64, what: u64) -> bool {
        // Multiplicative hashing; the six upper bits choose among 64 slots.
        let slot = (id ^ what.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
        match self.0.get_mut(slot as usize) {
            Some(slot) if *slot == (id, what) => false,
            Some(slot) => {
                *slot = (id, what);
                true
            }
            None => true,
        }
    }
}

/// FNV-1a over texts, each ended by a byte that text does not have.
pub(crate) fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
