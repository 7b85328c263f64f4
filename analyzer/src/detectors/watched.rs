//! What a detector keeps of each subject: a table that sheds what it has no room for, and counts it.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::hash::Hash;

/// Subjects watched by one detector: the size of city that one appliance is for.
pub const SUBJECTS: usize = 1 << 18;

/// A bounded table of subjects.
pub struct Watched<K, T> {
    entries: HashMap<K, T, FixedState>,
    most: usize,
    shed: u64,
}

impl<K: Eq + Hash + Clone, T: Default> Watched<K, T> {
    /// With room for so many.
    pub fn new(most: usize) -> Self {
        Self { entries: HashMap::default(), most, shed: 0 }
    }

    /// What is kept of a subject, made where it is new; `None`, and counted, where there is no room.
    pub fn entry(&mut self, key: &K) -> Option<&mut T> {
        if self.entries.len() >= self.most && !self.entries.contains_key(key) {
            self.shed += 1;
            return None;
        }
        Some(self.entries.entry(key.clone()).or_default())
    }

    /// What is kept of a subject.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    /// What is kept of a subject.
    pub fn get(&self, key: &K) -> Option<&T> {
        self.entries.get(key)
    }

    /// Forgets a subject, and answers what was kept of it.
    pub fn remove(&mut self, key: &K) -> Option<T> {
        self.entries.remove(key)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &T)> {
        self.entries.iter()
    }

    /// Subjects that there was no room for, as often as they came.
    pub fn shed(&self) -> u64 {
        self.shed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_counted_and_known_subjects_stay() {
        let mut table: Watched<u8, u32> = Watched::new(2);
        for key in [1, 2, 3, 1, 3] {
            table.entry(&key).into_iter().for_each(|count| *count += 1);
        }
        assert_eq!((table.get(&1), table.get(&2), table.get(&3), table.shed()), (Some(&2), Some(&1), None, 2));
        assert_eq!(table.remove(&2), Some(1));
        assert!(table.entry(&3).is_some());
    }
}
