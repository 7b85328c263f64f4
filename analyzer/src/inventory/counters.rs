//! What the inventory dropped at its bounds, by name.

use super::changes::Changes;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum InventoryCounter { $($(#[doc = $doc])+ $variant,)* }

        impl InventoryCounter {
            /// All counters, in the order in which they are printed.
            pub const ALL: &'static [InventoryCounter] = &[$(InventoryCounter::$variant,)*];

            /// The counter's stable name in outputs.
            pub fn name(self) -> &'static str {
                match self { $(InventoryCounter::$variant => $name,)* }
            }

            /// What it counts, in plain words.
            pub fn doc(self) -> &'static str {
                match self { $(InventoryCounter::$variant => concat!($($doc,)+).trim_ascii(),)* }
            }
        }

        const COUNT: usize = [$(InventoryCounter::$variant,)*].len();
    };
}

counters! {
    /// Names forgotten that had neither answered nor shown themselves in a protocol.
    ProvisionalEvicted = "inventory_provisional_evicted",
    /// Names forgotten that had, because all room was taken: the longest silent.
    IdentitiesEvicted = "inventory_identities_evicted",
    /// Links between names dropped because a name had too many: the longest not seen.
    LinksDropped = "inventory_links_dropped",
    /// Earlier attribute values dropped: a name had too many, or one attribute had too many values.
    AttributesDropped = "inventory_attributes_dropped",
    /// Objects not remembered because a name had too many.
    ObjectsDropped = "inventory_objects_dropped",
    /// Peers not remembered because a name had too many.
    PeersDropped = "inventory_peers_dropped",
    /// Gateways, routers and bridges not remembered because a name had too many.
    ViasDropped = "inventory_vias_dropped",
    /// Services, security statements, certificates, VLANs and carrying MACs not remembered because a name had too many.
    OthersDropped = "inventory_others_dropped",
    /// Values cut because they were too long.
    ValuesCut = "inventory_values_cut",
    /// Changes forgotten because the log was full: the oldest.
    ChangesForgotten = "inventory_changes_forgotten",
}

/// A set of counters.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters([u64; COUNT]);

impl Counters {
    pub(super) fn add(&mut self, counter: InventoryCounter, n: u64) {
        if let Some(slot) = self.0.get_mut(counter as usize) {
            *slot += n;
        }
    }

    pub(super) fn iter<'a>(&'a self, changes: &'a Changes) -> impl Iterator<Item = (InventoryCounter, u64)> + 'a {
        InventoryCounter::ALL.iter().zip(self.0).map(|(&counter, n)| match counter {
            InventoryCounter::ChangesForgotten => (counter, changes.forgotten()),
            _ => (counter, n),
        })
    }
}
