//! Registers that a known client did not read before.

use super::{Judge, SeenRelation, WAITS, evidence, found, some_of, spoken};
use crate::detectors::baseline::checks;
use crate::detectors::baseline::days::Days;
use crate::detectors::baseline::learned::{Kind, RelationKey, Standing};
use crate::detectors::baseline::relations::{Block, MANY};
use crate::findings::{Answer, Severity, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Judge<'_> {
    /// Registers that a known client did not read before.
    pub(super) fn registers(&mut self) {
        let mut pairs: BTreeMap<(Arc<str>, Arc<str>), Vec<RelationKey>> = BTreeMap::new();
        for (key, _) in self.of_kind(Kind::Polls).filter(|(_, seen)| seen.target_device.is_some()) {
            pairs.entry((key.target.clone(), key.actor.clone())).or_default().push(key.clone());
        }
        for ((target, actor), mut keys) in pairs {
            if keys.iter().any(|key| self.judged.new.contains(key)) {
                continue;
            }
            keys.sort_by_key(|key| self.seen.get(key).map(|seen| (seen.row.first.time, seen.row.first.place)));
            self.registers_of(&target, &actor, &keys);
        }
    }

    fn registers_of(&mut self, target: &str, actor: &str, keys: &[RelationKey]) {
        let learning_days = self.number(&checks::MAP_DAYS);
        let before: Vec<_> = self.base.of_pair(Kind::Polls, actor, target).collect();
        let frozen = self.base.version().is_some() && before.iter().any(|(_, known)| known.frozen.is_some());
        let seen = |key: &RelationKey| self.seen.get(key);
        let days = before.iter().map(|(_, known)| known.days).chain(keys.iter().filter_map(|key| Some(seen(key)?.row.days)));
        let days = days.fold(Days::default(), Days::union);
        let many = before.iter().map(|(key, _)| *key).chain(keys).any(|key| &*key.detail == MANY);
        let learned = before.iter().filter(|(_, known)| known.standing == Standing::Learned);
        let mut blocks: Vec<Block<'_>> = learned.filter_map(|(key, _)| Block::parse(&key.detail)).collect();
        let mut new: Vec<&RelationKey> = Vec::new();
        for key in keys.iter().filter(|_| !many) {
            let (Some(block), Some(seen)) = (Block::parse(&key.detail), seen(key)) else { continue };
            let standing = self.base.relations.get(key).map(|known| known.standing);
            let enough = frozen || days.before(seen.day()) >= learning_days;
            if standing == Some(Standing::Deviation) || (standing.is_none() && enough && !covers(&blocks, block)) {
                new.push(key);
            } else {
                blocks.push(block);
            }
        }
        let Some(first) = keys.first().and_then(seen) else { return };
        let Some(subject) = first.target_device.cloned() else { return };
        let verdict = if new.is_empty() {
            let waiting = before.iter().any(|(_, known)| known.standing == Standing::Deviation);
            let answer = match many {
                _ if waiting => Answer::Untested(WAITS.into()),
                true => Answer::Untested("so many different registers are read that none is new".into()),
                false => self.not_found(days, frozen, learning_days, &format!("{} blocks of registers are known", blocks.len())),
            };
            Verdict { check: &checks::MAP, subject, answer }
        } else {
            let details: Vec<&str> = new.iter().map(|key| &*key.detail).collect();
            let arguments = vec![("_what", some_of(&details).into()), ("client", spoken(&first.actor.name).into())];
            let seen: Vec<&SeenRelation<'_>> = new.iter().filter_map(|key| seen(key)).collect();
            found(&checks::MAP, subject, Severity::Low, arguments, evidence(&seen, "modbus.address"))
        };
        let new: Vec<RelationKey> = new.into_iter().cloned().collect();
        self.judged.verdicts.push(verdict);
        self.judged.new.extend(new);
    }
}

/// Whether a block lies within what others cover together.
fn covers(blocks: &[Block<'_>], wanted: Block<'_>) -> bool {
    let mut of_table: Vec<(u64, u64)> =
        blocks.iter().filter(|block| block.table == wanted.table).map(|block| (block.first, block.last)).collect();
    of_table.sort_unstable();
    let mut next = wanted.first;
    for (first, last) in of_table {
        if first > next {
            break;
        }
        next = next.max(last + 1);
    }
    next > wanted.last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_covered_by_blocks_that_touch() {
        let block = |first, last| Block { table: "holding", first, last };
        let known = [block(10, 19), block(0, 9), block(30, 39)];
        assert!(covers(&known, block(5, 15)));
        assert!(covers(&known, block(0, 19)));
        assert!(!covers(&known, block(15, 30)));
        assert!(!covers(&known, block(40, 40)));
        assert!(!covers(&known, Block { table: "coils", first: 0, last: 3 }));
    }
}
