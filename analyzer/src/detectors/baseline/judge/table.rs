//! Relations under the numbers of their texts: found by who does something, and by whom it is done to.

use crate::detectors::baseline::learned::Kind;

/// Which relation. The numbers stand in the order of the texts, so relations sort as they do by texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rel {
    /// What is done.
    pub kind: Kind,
    /// The party that does it.
    pub actor: u32,
    /// The party that it is done to.
    pub target: u32,
    /// What exactly.
    pub detail: u32,
}

impl Rel {
    /// The same with other numbers.
    pub fn renumbered(self, new: &[u32]) -> Self {
        let number = |old: u32| new.get(old as usize).copied().unwrap_or(old);
        Self { actor: number(self.actor), target: number(self.target), detail: number(self.detail), ..self }
    }
}

/// Relations with what is known of each, sorted.
pub struct Table<V> {
    rows: Vec<(Rel, V)>,
    /// Places of the rows, by kind, target, actor, detail.
    by_target: Vec<u32>,
}

impl<V> Table<V> {
    /// Of relations in any order; of the same one, `join` makes one. Such come together in the order in which they are given.
    pub fn new(mut rows: Vec<(Rel, V)>, mut join: impl FnMut(&mut V, &V)) -> Self {
        rows.sort_by_key(|(rel, _)| *rel);
        rows.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                join(&mut kept.1, &later.1);
            }
            same
        });
        let mut by_target: Vec<u32> = (0..).take(rows.len()).collect();
        let place = |at: &u32| rows.get(*at as usize).map(|(rel, _)| (rel.kind, rel.target, rel.actor, rel.detail));
        by_target.sort_unstable_by_key(place);
        Self { rows, by_target }
    }

    /// All of them.
    pub fn all(&self) -> &[(Rel, V)] {
        &self.rows
    }

    /// What is known of one.
    pub fn get(&self, rel: &Rel) -> Option<&V> {
        let at = self.rows.binary_search_by_key(rel, |(rel, _)| *rel).ok()?;
        self.rows.get(at).map(|(_, value)| value)
    }

    /// Those of one kind.
    pub fn of_kind(&self, kind: Kind) -> &[(Rel, V)] {
        between(&self.rows, |(rel, _)| rel.kind.cmp(&kind))
    }

    /// What one party does of one kind.
    pub fn of_actor(&self, kind: Kind, actor: u32) -> &[(Rel, V)] {
        between(&self.rows, |(rel, _)| (rel.kind, rel.actor).cmp(&(kind, actor)))
    }

    /// What one party does of one kind to another.
    pub fn of_pair(&self, kind: Kind, actor: u32, target: u32) -> &[(Rel, V)] {
        between(&self.rows, |(rel, _)| (rel.kind, rel.actor, rel.target).cmp(&(kind, actor, target)))
    }

    /// Those of one kind, by target, actor and detail.
    pub fn by_target(&self, kind: Kind) -> impl Iterator<Item = &(Rel, V)> {
        self.places(between(&self.by_target, |at| self.rel(*at).map(|rel| rel.kind).cmp(&Some(kind))))
    }

    /// What is done of one kind to one party, by actor and detail.
    pub fn to_target(&self, kind: Kind, target: u32) -> impl Iterator<Item = &(Rel, V)> {
        let place = |at: &u32| self.rel(*at).map(|rel| (rel.kind, rel.target)).cmp(&Some((kind, target)));
        self.places(between(&self.by_target, place))
    }

    fn rel(&self, at: u32) -> Option<Rel> {
        self.rows.get(at as usize).map(|(rel, _)| *rel)
    }

    fn places<'t>(&'t self, places: &'t [u32]) -> impl Iterator<Item = &'t (Rel, V)> {
        places.iter().filter_map(|at| self.rows.get(*at as usize))
    }
}

/// The part of what is sorted that is neither before nor after.
fn between<T>(all: &[T], order: impl Fn(&T) -> std::cmp::Ordering) -> &[T] {
    let first = all.partition_point(|one| order(one).is_lt());
    let last = all.partition_point(|one| order(one).is_le());
    all.get(first..last).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_found_from_both_ends_and_the_same_one_is_one() {
        let rel = |kind, actor, target, detail| Rel { kind, actor, target, detail };
        let rows = vec![
            (rel(Kind::Writes, 2, 1, 0), 1),
            (rel(Kind::Polls, 3, 1, 5), 2),
            (rel(Kind::Polls, 2, 1, 5), 4),
            (rel(Kind::Polls, 2, 9, 5), 8),
            (rel(Kind::Polls, 2, 1, 5), 16),
            (rel(Kind::Polls, 2, 1, 6), 32),
        ];
        let table = Table::new(rows, |kept, other| *kept += other);
        let sums = |rows: &[(Rel, i32)]| rows.iter().map(|row| row.1).collect::<Vec<_>>();
        assert_eq!(table.get(&rel(Kind::Polls, 2, 1, 5)), Some(&20));
        assert_eq!(sums(table.all()), [20, 32, 8, 2, 1]);
        assert_eq!(sums(table.of_kind(Kind::Writes)), [1]);
        assert_eq!(sums(table.of_actor(Kind::Polls, 2)), [20, 32, 8]);
        assert_eq!(sums(table.of_pair(Kind::Polls, 2, 1)), [20, 32]);
        assert_eq!(table.to_target(Kind::Polls, 1).map(|row| row.1).collect::<Vec<_>>(), [20, 32, 2]);
        assert_eq!(table.by_target(Kind::Polls).map(|row| row.1).collect::<Vec<_>>(), [20, 32, 2, 8]);
        assert!(table.of_kind(Kind::Reads).is_empty());
    }
}
