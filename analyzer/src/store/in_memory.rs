//! A store in memory: for tests, and for whoever wants to ask several runs without keeping them.

use super::{Store, StoreError, Take, Tree};
use std::collections::BTreeMap;

/// Values in memory.
#[derive(Clone, Debug, Default)]
pub struct InMemory {
    values: BTreeMap<(Tree, Vec<u8>), Vec<u8>>,
}

impl Store for InMemory {
    fn put(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.values.insert((tree, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.values.get(&(tree, key.to_vec())).cloned())
    }

    fn remove(&mut self, tree: Tree, key: &[u8]) -> Result<(), StoreError> {
        self.values.remove(&(tree, key.to_vec()));
        Ok(())
    }

    fn each(&self, tree: Tree, take: Take<'_>) -> Result<(), StoreError> {
        self.values.iter().filter(|((of, _), _)| *of == tree).for_each(|((_, key), value)| take(key, value));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn size(&self) -> Result<u64, StoreError> {
        Ok(self.values.iter().map(|((_, key), value)| (key.len() + value.len()) as u64).sum())
    }
}
