//! Registers that a known client did not read before.

use super::table::Rel;
use super::{Judge, Judged, SeenRelation, WAITS, evidence, found, some_of, spoken};
use crate::detectors::baseline::checks;
use crate::detectors::baseline::days::Days;
use crate::detectors::baseline::learned::{Kind, Standing};
use crate::detectors::baseline::relations::{Block, MANY};
use crate::findings::{Answer, Severity, Verdict};

impl Judge<'_> {
    /// Registers that a known client did not read before.
    pub(super) fn registers(&self, judged: &mut Judged<'_>) {
        let polls: Vec<_> = self.seen.by_target(Kind::Polls).filter(|(_, seen)| seen.to_device).collect();
        for pair in polls.chunk_by(|a, b| (a.0.target, a.0.actor) == (b.0.target, b.0.actor)) {
            if pair.iter().any(|(rel, _)| judged.new.contains(rel)) {
                continue;
            }
            let mut rows = pair.to_vec();
            rows.sort_by_key(|(_, seen)| (seen.row.first.time, seen.row.first.place));
            self.registers_of(&rows, judged);
        }
    }

    /// By what one client reads of one device, in the order of time.
    fn registers_of(&self, rows: &[&(Rel, SeenRelation<'_>)], judged: &mut Judged<'_>) {
        let Some((first, first_seen)) = rows.first() else { return };
        let Some(subject) = self.subject(first.target) else { return };
        let learning_days = self.number(&checks::MAP_DAYS);
        let before = self.before.of_pair(Kind::Polls, first.actor, first.target);
        let frozen = self.base.version().is_some() && before.iter().any(|(_, known)| known.frozen.is_some());
        let days = before.iter().map(|(_, known)| known.days).chain(rows.iter().map(|(_, seen)| seen.row.days));
        let days = days.fold(Days::default(), Days::union);
        let details = before.iter().map(|(rel, _)| rel.detail).chain(rows.iter().map(|(rel, _)| rel.detail));
        let many = details.into_iter().any(|detail| self.text(detail) == MANY);
        let learned = before.iter().filter(|(_, known)| known.standing == Standing::Learned);
        let mut blocks: Vec<Block<'_>> = learned.filter_map(|(rel, _)| Block::parse(self.text(rel.detail))).collect();
        let mut new: Vec<&(Rel, SeenRelation<'_>)> = Vec::new();
        for row in rows.iter().filter(|_| !many) {
            let (rel, seen) = row;
            let Some(block) = Block::parse(self.text(rel.detail)) else { continue };
            let standing = self.standing_of(rel);
            let enough = frozen || days.before(seen.day()) >= learning_days;
            if standing == Some(Standing::Deviation) || (standing.is_none() && enough && !covers(&blocks, block)) {
                new.push(row);
            } else {
                blocks.push(block);
            }
        }
        (judged.take)(if new.is_empty() {
            let waiting = before.iter().any(|(_, known)| known.standing == Standing::Deviation);
            let answer = match many {
                _ if waiting => Answer::Untested(WAITS.into()),
                true => Answer::Untested("so many different registers are read that none is new".into()),
                false => self.not_found(days, frozen, learning_days, &format!("{} blocks of registers are known", blocks.len())),
            };
            Verdict { check: &checks::MAP, subject, answer }
        } else {
            let details: Vec<&str> = new.iter().map(|(rel, _)| self.text(rel.detail)).collect();
            let arguments = vec![("_what", some_of(&details).into()), ("client", spoken(&first_seen.actor.name).into())];
            let seen: Vec<&SeenRelation<'_>> = new.iter().map(|(_, seen)| seen).collect();
            found(&checks::MAP, subject, Severity::Low, arguments, evidence(&seen, "modbus.address"))
        });
        judged.new.extend(new.into_iter().map(|(rel, _)| *rel));
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
