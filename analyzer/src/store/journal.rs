//! Many writes as one. They are written to the journal, the journal is marked as finished, they are applied, the mark goes.
//!
//! A flush stands between these steps. Killed before the mark, nothing happened: what the journal holds is thrown away at the next open.
//! Killed after it, everything happened: what the journal holds is applied again, which changes nothing that was applied before.

use super::record::{Damage, seal, seal_bytes, unseal, unseal_bytes};
use super::{Store, StoreError, Tree};
use serde::{Deserialize, Serialize};

/// Key of the mark.
const MARK: &[u8] = b"journal";

/// What is to be done with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The tree.
    pub tree: Tree,
    /// The key.
    pub key: Vec<u8>,
    /// The new value, sealed; `None`: it goes.
    pub value: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    writes: u64,
}

/// What was found at open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// Nothing was under way.
    Nothing,
    /// Writes that were not finished were thrown away.
    Discarded,
    /// Finished writes were applied.
    Applied,
    /// Writes were finished, and some of them are damaged: the others were applied.
    Partly {
        /// How many are damaged.
        damaged: u64,
    },
}

/// Does all of the writes or none.
///
/// # Errors
/// What the store answers; then the next open decides.
pub fn write(store: &mut dyn Store, writes: &[Write]) -> Result<(), StoreError> {
    write_within(store, u64::MAX, &|| Box::new(writes.iter().cloned())).map(drop)
}

/// Writes that are made whenever they are asked for, the same ones each time: those of a city are never in memory at once.
pub type Writes<'w> = dyn Fn() -> Box<dyn Iterator<Item = Write> + 'w> + 'w;

/// Does all of the writes or none, where they take no more than so many bytes. Answers how many they take.
///
/// # Errors
/// What the store answers; then the next open decides.
pub fn write_within(store: &mut dyn Store, room: u64, writes: &Writes<'_>) -> Result<u64, StoreError> {
    let (mut bytes, mut mark) = (0u64, Mark { writes: 0 });
    for write in writes() {
        // The journal holds each value a second time.
        bytes = bytes.saturating_add(write.value.as_ref().map_or(0, |value| 2 * value.len() as u64));
        if bytes <= room {
            let key = mark.writes.to_be_bytes();
            store.put(Tree::Journal, &key, &seal_bytes(Tree::Journal, &key, &encode(&write)))?;
            mark.writes += 1;
        }
    }
    if bytes > room {
        clear(store)?;
        store.flush()?;
        return Ok(bytes);
    }
    store.flush()?;
    store.put(Tree::Meta, MARK, &seal(Tree::Meta, MARK, &mark))?;
    store.flush()?;
    for write in writes() {
        apply(store, &write)?;
    }
    finish(store)?;
    Ok(bytes)
}

/// Ends what was under way when the process ended.
///
/// # Errors
/// What the store answers.
pub fn recover(store: &mut dyn Store) -> Result<Recovered, StoreError> {
    let Some(mark) = store.get(Tree::Meta, MARK)? else {
        return Ok(if clear(store)? { Recovered::Discarded } else { Recovered::Nothing });
    };
    let mut writes: Vec<Write> = Vec::new();
    store.each(Tree::Journal, &mut |key, value| {
        writes.extend(unseal_bytes(Tree::Journal, key, value).and_then(decode).ok());
    })?;
    for write in &writes {
        apply(store, write)?;
    }
    finish(store)?;
    let wanted = unseal::<Mark>(Tree::Meta, MARK, &mark).map_or(0, |mark| mark.writes);
    let damaged = wanted.saturating_sub(writes.len() as u64);
    Ok(if damaged > 0 { Recovered::Partly { damaged } } else { Recovered::Applied })
}

fn apply(store: &mut dyn Store, write: &Write) -> Result<(), StoreError> {
    match &write.value {
        Some(value) => store.put(write.tree, &write.key, value),
        None => store.remove(write.tree, &write.key),
    }
}

/// The mark goes before the journal, so that a mark always has its whole journal.
fn finish(store: &mut dyn Store) -> Result<(), StoreError> {
    store.flush()?;
    store.remove(Tree::Meta, MARK)?;
    store.flush()?;
    clear(store)?;
    store.flush()
}

fn clear(store: &mut dyn Store) -> Result<bool, StoreError> {
    let mut keys = Vec::new();
    store.each(Tree::Journal, &mut |key, _| keys.push(key.to_vec()))?;
    for key in &keys {
        store.remove(Tree::Journal, key)?;
    }
    Ok(!keys.is_empty())
}

/// Tree, whether there is a value, length of the key in two bytes, key, value.
fn encode(write: &Write) -> Vec<u8> {
    let tree = Tree::ALL.iter().position(|tree| *tree == write.tree).unwrap_or_default() as u8;
    // Keys are ids and names of checks: far below 64 KB.
    debug_assert!(u16::try_from(write.key.len()).is_ok());
    let mut bytes = vec![tree, u8::from(write.value.is_some())];
    bytes.extend_from_slice(&(write.key.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&write.key);
    bytes.extend_from_slice(write.value.as_deref().unwrap_or_default());
    bytes
}

fn decode(bytes: &[u8]) -> Result<Write, Damage> {
    let ([tree, is_put, high, low], rest) = bytes.split_first_chunk::<4>().ok_or(Damage::Short)?;
    let tree = *Tree::ALL.get(usize::from(*tree)).ok_or_else(|| Damage::Content(format!("no tree {tree}")))?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let (key, value) = rest.split_at_checked(length).ok_or(Damage::Short)?;
    Ok(Write { tree, key: key.to_vec(), value: (*is_put != 0).then(|| value.to_vec()) })
}

#[cfg(test)]
mod tests {
    use super::super::in_memory::InMemory;
    use super::*;
    use crate::store::Take;

    /// A store that fails after so many changes.
    struct Failing {
        inner: InMemory,
        left: usize,
    }

    impl Failing {
        fn spend(&mut self) -> Result<(), StoreError> {
            self.left = self.left.checked_sub(1).ok_or_else(|| StoreError::Random("stopped here".into()))?;
            Ok(())
        }
    }

    impl Store for Failing {
        fn put(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
            self.spend()?;
            self.inner.put(tree, key, value)
        }
        fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.inner.get(tree, key)
        }
        fn remove(&mut self, tree: Tree, key: &[u8]) -> Result<(), StoreError> {
            self.spend()?;
            self.inner.remove(tree, key)
        }
        fn each(&self, tree: Tree, take: Take<'_>) -> Result<(), StoreError> {
            self.inner.each(tree, take)
        }
        fn flush(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
        fn size(&self) -> Result<u64, StoreError> {
            self.inner.size()
        }
    }

    fn contents(store: &InMemory) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        store.each(Tree::Devices, &mut |key, value| all.push((key.to_vec(), value.to_vec()))).unwrap();
        all
    }

    #[test]
    fn stopped_at_any_step_all_writes_are_there_or_none() {
        let mut before = InMemory::default();
        before.put(Tree::Devices, b"a", b"old").unwrap();
        before.put(Tree::Devices, b"b", b"old").unwrap();
        let put = |key: &[u8], value: Option<&[u8]>| Write { tree: Tree::Devices, key: key.into(), value: value.map(Into::into) };
        let writes = [put(b"a", Some(b"new")), put(b"b", None), put(b"c", Some(b""))];
        let mut after = before.clone();
        write(&mut after, &writes).unwrap();
        assert_eq!(contents(&after), [(b"a".to_vec(), b"new".to_vec()), (b"c".to_vec(), Vec::new())]);
        let mut seen = [false; 2];
        for left in 0..12 {
            let mut store = Failing { inner: before.clone(), left };
            let done = write(&mut store, &writes).is_ok();
            let mut store = store.inner;
            recover(&mut store).unwrap();
            let now = contents(&store);
            assert!(now == contents(&before) && !done || now == contents(&after), "stopped after {left}: {now:?}");
            seen[usize::from(now == contents(&after))] = true;
            assert_eq!(recover(&mut store).unwrap(), Recovered::Nothing);
        }
        assert_eq!(seen, [true; 2]);
    }
}
