//! The order of what several shards told in one epoch.

use super::{Change, Told};
use crate::hot::owned::Seen;
use citytap_sensor::observation::Place;

/// The changes of an epoch, each shard's apart, in the order of the places where they were told. Each shard's are so already, but for
/// messages that waited for their protocol to be recognised.
pub fn in_order(mut shards: Vec<Vec<Told>>) -> impl Iterator<Item = (Seen, Change)> {
    for changes in shards.iter_mut().filter(|changes| !changes.is_sorted_by_key(|change| change.told)) {
        changes.sort_by_key(|change| change.told);
    }
    let mut order: Vec<(Place, u32)> = Vec::with_capacity(shards.iter().map(Vec::len).sum());
    for (shard, changes) in (0..).zip(&shards) {
        order.extend(changes.iter().map(|change| (change.told, shard)));
    }
    order.sort_unstable();
    let mut shards: Vec<_> = shards.into_iter().map(Vec::into_iter).collect();
    order.into_iter().filter_map(move |(_, shard)| {
        let told = shards.get_mut(shard as usize)?.next()?;
        Some((told.seen, told.change))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hot::owned::{IdentityKey, OwnedFact};
    use citytap_sensor::observation::Identity;
    use citytap_sensor::time::Timestamp;

    /// An activity with so many messages, told at a place.
    fn told(frame: u64, sequence: u32, messages: u32) -> Told {
        let told = Place { frame, sequence };
        let id = IdentityKey::new(&Identity::mac([2, 0, 0, 0, 0, 1]), 0);
        let change = Change::Fact(OwnedFact::Activity { id, messages });
        Told { told, seen: Seen { place: told, time: Timestamp(frame) }, change }
    }

    #[test]
    fn what_shards_told_comes_in_the_order_of_packets_and_of_telling() {
        let shards = vec![
            vec![told(1, 0, 1), told(9, 0, 7), told(3, 0, 3)],
            vec![],
            vec![told(2, 0, 2), told(4, 0, 4), told(4, 0, 5), told(4, 1, 6)],
        ];
        let order: Vec<u32> = in_order(shards)
            .map(|(_, change)| match change {
                Change::Fact(OwnedFact::Activity { messages, .. }) => messages,
                _ => 0,
            })
            .collect();
        assert_eq!(order, [1, 2, 3, 4, 5, 6, 7]);
    }
}
