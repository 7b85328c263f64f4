//! How often the matcher is right, on pairs whose labels come from elsewhere: `signatures/build/advisory_labels.py` says how they were made.

use super::{Claim, Concern, Holds, Pack};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::io::Read;

/// A pair with its label.
struct Pair {
    kind: String,
    claim: Claim,
    product: String,
    numbers: String,
    versions: String,
    advisory: String,
    label: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Score {
    fn precision(self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    fn recall(self) -> f64 {
        self.right as f64 / (self.right + self.missed).max(1) as f64
    }

    fn count(&mut self, told: bool, is: bool) {
        match (told, is) {
            (true, true) => self.right += 1,
            (true, false) => self.wrong += 1,
            (false, true) => self.missed += 1,
            (false, false) => {}
        }
    }
}

fn pairs(pack: &Pack) -> Vec<Pair> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../signatures/advisories/labelled.tsv.gz");
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).expect("the labels")).read_to_string(&mut text).expect("text");
    let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|row| {
        let cells: Vec<&str> = row.split('\t').collect();
        let [kind, maker, names, version, product, numbers, versions, advisory, label] = cells.as_slice() else {
            panic!("nine cells: {row}")
        };
        let by_prefix = maker.strip_prefix("prefix:");
        let names: Vec<&str> = names.split('|').collect();
        let version = Some(*version).filter(|version| !version.is_empty());
        Pair {
            kind: (*kind).into(),
            claim: Claim::new(pack, by_prefix.unwrap_or(maker), by_prefix.is_none(), &names, version),
            product: (*product).into(),
            numbers: (*numbers).into(),
            versions: (*versions).into(),
            advisory: (*advisory).into(),
            label: (*label).into(),
        }
    })
    .collect()
}

/// What the matcher says of a pair.
fn told(pack: &Pack, pair: &Pair) -> &'static str {
    let mut answer = "none";
    pack.each(&pair.claim, &mut |product, row, holds| {
        let row = [&*product.name, &*product.numbers, &*row.versions, &*row.advisory];
        if row != [&*pair.product, &*pair.numbers, &*pair.versions, &*pair.advisory] {
            return;
        }
        answer = match holds {
            Holds::Yes(Concern::Affected) => "affected",
            Holds::Yes(_) if answer != "affected" => "possible",
            Holds::Waiting if answer == "none" => "unknown",
            _ => answer,
        };
    });
    answer
}

#[test]
fn nothing_is_called_affected_that_is_not_and_little_is_missed() {
    let pack = Pack::shipped();
    let pairs = pairs(pack);
    assert!(pairs.len() >= 3_000, "{} pairs", pairs.len());
    let (mut affected, mut any) = (Score::default(), Score::default());
    let mut table: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let mut examples: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for pair in &pairs {
        let told = told(pack, pair);
        affected.count(told == "affected", pair.label == "affected");
        any.count(told != "none", pair.label != "none");
        *table.entry((&pair.kind, &pair.label, told)).or_insert(0) += 1;
        if told != pair.label {
            let shown = examples.entry((&pair.label, told)).or_default();
            let claim = &pair.claim;
            shown.push(format!(
                "{}: {} {:?} {:?} and {} {} ({})",
                pair.kind, claim.maker, claim.names, claim.version, pair.product, pair.versions, pair.advisory
            ));
        }
    }
    println!("{} pairs", pairs.len());
    for ((kind, label, told), count) in &table {
        println!("{count:6}  {kind}: {label}, told {told}");
    }
    for ((label, told), shown) in &examples {
        println!("{} are {label} and told {told}; some of them:", shown.len());
        shown.iter().step_by(1 + shown.len() / 12).for_each(|line| println!("    {line}"));
    }
    println!("affected: precision {:.4}, recall {:.4}", affected.precision(), affected.recall());
    println!("any match: precision {:.4}, recall {:.4}", any.precision(), any.recall());
    assert_eq!(affected.wrong, 0, "what was called affected and is not");
    assert!(affected.recall() >= 0.95, "affected: recall {:.4}", affected.recall());
    assert!(any.precision() >= 0.98 && any.recall() >= 0.95, "any match: {any:?}");
}
