//! Values kept once, under numbers. A city has more relations than devices, and few details: what stands for a text in each of them is four bytes.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// Values kept once, by number. It is as bounded as what enters values here.
pub struct Once<T> {
    numbers: HashTable<u32>,
    values: Vec<T>,
    hasher: FixedState,
}

/// Texts: keys of parties, details.
pub type Texts = Once<Arc<str>>;

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { numbers: HashTable::new(), values: Vec::new(), hasher: FixedState::default() }
    }
}

impl<T: Hash + Eq> Once<T> {
    /// The number of a value that was entered.
    pub fn find<Q>(&self, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let same = |number: &u32| self.values.get(*number as usize).is_some_and(|known| known.borrow() == value);
        self.numbers.find(self.hasher.hash_one(value), same).copied()
    }

    /// The number of a value, entered if need be.
    pub fn enter(&mut self, value: T) -> u32 {
        let hash = self.hasher.hash_one(&value);
        let (values, hasher) = (&self.values, &self.hasher);
        if let Some(number) = self.numbers.find(hash, |number| values.get(*number as usize) == Some(&value)) {
            return *number;
        }
        let number = u32::try_from(values.len()).unwrap_or(u32::MAX);
        self.numbers.insert_unique(hash, number, |number| values.get(*number as usize).map_or(0, |value| hasher.hash_one(value)));
        grow(&mut self.values);
        self.values.push(value);
        number
    }

    /// The value of a number.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize)
    }

    /// The values, in the order of their numbers.
    pub fn values(&self) -> &[T] {
        &self.values
    }
}

impl Texts {
    /// The text of a number; none is empty.
    pub fn text(&self, number: u32) -> &str {
        self.get(number).map_or("", |text| text)
    }

    /// Numbers the texts anew, in their order, so that comparing numbers is comparing texts. Answers the new number of each old one.
    pub fn sort(&mut self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..).take(self.values.len()).collect();
        order.sort_unstable_by(|a, b| self.get(*a).cmp(&self.get(*b)));
        let mut new = vec![0; order.len()];
        for (old, number) in order.iter().zip(0..) {
            if let Some(place) = new.get_mut(*old as usize) {
                *place = number;
            }
        }
        self.values.sort_unstable();
        for number in self.numbers.iter_mut() {
            *number = new.get(*number as usize).copied().unwrap_or(*number);
        }
        new
    }
}

/// Makes room for another where there is none: by a quarter rather than twofold, since there are hundreds of thousands.
pub fn grow<T>(values: &mut Vec<T>) {
    if values.len() == values.capacity() {
        values.reserve_exact((values.len() / 4).max(16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_numbers_stand_in_the_order_of_the_texts_and_are_found() {
        let mut texts = Texts::default();
        let old: Vec<u32> = ["m", "", "z", "a", "m"].into_iter().map(|text| texts.enter(text.into())).collect();
        assert_eq!(old, [0, 1, 2, 3, 0]);
        let new = texts.sort();
        assert_eq!(new, [2, 0, 3, 1]);
        for (text, number) in [("", 0), ("a", 1), ("m", 2), ("z", 3)] {
            assert_eq!((texts.find(text), texts.text(number)), (Some(number), text));
        }
        assert_eq!((texts.find("b"), texts.enter("b".into())), (None, 4));
    }
}
