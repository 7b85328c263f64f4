//! Candidate keys: published lists, keys that follow from DevEUI and JoinEUI, and patterns; `signatures/keys/lorawan_generator.toml` says which.
//!
//! The data is compiled in. No family is written out: a key is made of its position when it is tried, in less time than the trial takes.
//! Expanded key schedules are not kept either: those of the 328,000 keys that are the same for every device would take 58 MB, and making one
//! costs less than fetching it from memory beyond the caches.

use crate::signatures::{self, keys::KnownKey};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use sha3::{Sha3_224, Sha3_256};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::OnceLock;
use toml::{Table, Value};

/// What a join-request shows in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Euis {
    /// DevEUI.
    pub dev_eui: u64,
    /// JoinEUI.
    pub join_eui: u64,
}

/// A candidate by its place: the families and their order are fixed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Position of the family.
    pub family: u16,
    /// Position of the key within the family.
    pub index: u32,
}

/// All families, in the order of the data.
#[derive(Default)]
pub struct Candidates {
    /// The families.
    pub families: Vec<Family>,
}

/// Keys that are made alike.
pub struct Family {
    /// Stable name, as in `eui-pair`.
    pub id: Box<str>,
    /// What it is, in a few words.
    pub name: Box<str>,
    /// What it is, in a sentence.
    pub description: Box<str>,
    /// How many keys there are, repeated ones included.
    pub count: u32,
    kind: Kind,
}

enum Kind {
    List {
        reversed: bool,
        rows: Vec<KnownKey>,
    },
    Concat {
        variants: Vec<Vec<Operand>>,
        every_byte: bool,
    },
    Hash {
        inputs: Vec<Vec<Operand>>,
        last: Vec<bool>,
        algorithms: Vec<Algorithm>,
        reversed: bool,
    },
    Interleave {
        variants: Vec<(Operand, Operand, bool)>,
    },
    /// Masks with a one in each byte where the letter stands.
    Pattern {
        a: u128,
        b: u128,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    Eui {
        join: bool,
        form: Form,
    },
    /// One byte eight times.
    Byte8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Printed,
    Reversed,
    HexLower,
    HexUpper,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha3_256,
    Sha3_224,
}

impl Candidates {
    /// The data that was compiled in.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: OnceLock<Candidates> = OnceLock::new();
        EMBEDDED.get_or_init(|| {
            let parsed = Self::parse(signatures::lorawan_generator());
            debug_assert!(parsed.is_some(), "the generator's data does not read");
            parsed.unwrap_or_default()
        })
    }

    #[cfg(test)]
    pub(super) fn parsed() -> Self {
        Self::parse(signatures::lorawan_generator()).unwrap()
    }

    fn parse(generator: &str) -> Option<Self> {
        let rows = signatures::keys::lorawan_keys();
        let table: Table = generator.parse().ok()?;
        let families = table.get("family")?.as_array()?.iter().map(|value| family(value, rows));
        Some(Self { families: families.collect::<Option<_>>()? })
    }

    /// How many keys there are for a device, repeated ones included.
    pub fn count(&self) -> u64 {
        self.families.iter().map(|family| u64::from(family.count)).sum()
    }

    /// How many keys there are that are the same for every device.
    pub fn independent_count(&self) -> u64 {
        self.families.iter().filter(|family| !family.needs_euis()).map(|family| u64::from(family.count)).sum()
    }

    /// The family of a candidate.
    pub fn family(&self, candidate: Candidate) -> Option<&Family> {
        self.families.get(usize::from(candidate.family))
    }

    /// Where people can read of the key: the list or the family, and what it is.
    pub fn told(&self, candidate: Candidate) -> Option<(String, String)> {
        let family = self.family(candidate)?;
        Some(match &family.kind {
            Kind::List { reversed, rows } => {
                let row = rows.get(candidate.index as usize)?;
                let backwards = if *reversed { ", bytes in reverse" } else { "" };
                (format!("list {}{backwards}", row.list), without_value(&row.key, row.origin))
            }
            _ => (family.name.to_string(), family.description.to_string()),
        })
    }
}

impl Family {
    /// Whether its keys follow from the EUIs of a join-request; else they are the same for every device.
    pub fn needs_euis(&self) -> bool {
        matches!(self.kind, Kind::Concat { .. } | Kind::Hash { .. } | Kind::Interleave { .. })
    }

    /// Whether it is one of the large families that are tried last.
    pub fn is_pattern(&self) -> bool {
        matches!(self.kind, Kind::Pattern { .. })
    }

    /// Shows keys by position; those of a family that needs EUIs only where they are given.
    pub fn each(&self, range: Range<u32>, euis: Option<Euis>, mut show: impl FnMut(u32, &[u8; 16])) {
        for index in range.start..range.end.min(self.count) {
            if let Some(key) = self.key(index, euis) {
                show(index, &key);
            }
        }
    }

    /// One key.
    #[inline]
    pub fn key(&self, index: u32, euis: Option<Euis>) -> Option<[u8; 16]> {
        if index >= self.count {
            return None;
        }
        if let Kind::Pattern { a, b } = self.kind {
            // A byte times a mask of ones is that byte in the mask's places: nothing is carried.
            let (high, low) = (u128::from(index >> 8), u128::from(index & 0xff));
            return Some((a * high + b * low).to_be_bytes());
        }
        self.other_key(index as usize, euis)
    }

    fn other_key(&self, index: usize, euis: Option<Euis>) -> Option<[u8; 16]> {
        match &self.kind {
            Kind::List { reversed, rows } => {
                let mut key = rows.get(index)?.key;
                if *reversed {
                    key.reverse();
                }
                Some(key)
            }
            Kind::Concat { variants, every_byte } => {
                let length = variants.len().max(1);
                let byte = if *every_byte { u8::try_from(index / length).ok()? } else { 0 };
                joined(variants.get(index % length)?, euis?, byte).as_slice().try_into().ok()
            }
            Kind::Hash { inputs, last, algorithms, reversed } => {
                let (each, row) = ((last.len() * algorithms.len()).max(1), algorithms.len().max(1));
                let text = joined(inputs.get(index / each)?, euis?, 0);
                let last = *last.get(index % each / row)?;
                let mut key = digest(*algorithms.get(index % row)?, &text, last)?;
                if *reversed {
                    key.reverse();
                }
                Some(key)
            }
            Kind::Interleave { variants } => {
                let (first, second, reversed) = *variants.get(index)?;
                let (first, second) = (joined(&[first], euis?, 0), joined(&[second], euis?, 0));
                let mut key = [0; 16];
                for (pair, (one, other)) in key.chunks_exact_mut(2).zip(first.iter().zip(&second)) {
                    pair.copy_from_slice(&[*one, *other]);
                }
                if reversed {
                    key.reverse();
                }
                Some(key)
            }
            Kind::Pattern { .. } => None,
        }
    }
}

fn joined(operands: &[Operand], euis: Euis, byte: u8) -> SmallVec<[u8; 32]> {
    let mut text = SmallVec::new();
    for operand in operands {
        match *operand {
            Operand::Byte8 => text.extend([byte; 8]),
            Operand::Eui { join, form } => {
                let eui = if join { euis.join_eui } else { euis.dev_eui };
                match form {
                    Form::Printed => text.extend(eui.to_be_bytes()),
                    Form::Reversed => text.extend(eui.to_le_bytes()),
                    Form::HexLower => text.extend(format!("{eui:016x}").into_bytes()),
                    Form::HexUpper => text.extend(format!("{eui:016X}").into_bytes()),
                }
            }
        }
    }
    text
}

fn digest(algorithm: Algorithm, text: &[u8], last: bool) -> Option<[u8; 16]> {
    fn half<D: Digest>(text: &[u8], last: bool) -> Option<[u8; 16]> {
        let digest = D::digest(text);
        if last { digest.last_chunk().copied() } else { digest.first_chunk().copied() }
    }
    match algorithm {
        Algorithm::Md5 => half::<Md5>(text, last),
        Algorithm::Sha1 => half::<Sha1>(text, last),
        Algorithm::Sha256 => half::<Sha256>(text, last),
        Algorithm::Sha3_256 => half::<Sha3_256>(text, last),
        Algorithm::Sha3_224 => half::<Sha3_224>(text, last),
    }
}

/// Origins quote keys that are text; a finding does not.
fn without_value(key: &[u8; 16], origin: &str) -> String {
    match std::str::from_utf8(key) {
        Ok(text) => origin.replace(text, "of sixteen characters"),
        Err(_) => origin.to_owned(),
    }
}

fn family(value: &Value, rows: &[KnownKey]) -> Option<Family> {
    let text = |name: &str| value.get(name)?.as_str();
    let array = |name: &str| value.get(name)?.as_array();
    let kind = match text("kind")? {
        kind @ ("list" | "list-reversed") => {
            let lists = array("lists")?.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?;
            let chosen = lists.iter().flat_map(|list| rows.iter().filter(move |row| row.list == *list));
            Kind::List { reversed: kind == "list-reversed", rows: chosen.copied().collect() }
        }
        "concat" => {
            let variants: Vec<_> = array("variants")?.iter().map(operands).collect::<Option<_>>()?;
            let every_byte = variants.iter().any(|variant| variant.contains(&Operand::Byte8));
            Kind::Concat { variants, every_byte }
        }
        "hash" => Kind::Hash {
            inputs: array("inputs")?.iter().map(operands).collect::<Option<_>>()?,
            last: array("take")?.iter().map(|take| Some(take.as_str()? == "last")).collect::<Option<_>>()?,
            algorithms: array("algorithms")?.iter().map(|name| algorithm(name.as_str()?)).collect::<Option<_>>()?,
            reversed: value.get("reversed")?.as_bool()?,
        },
        "interleave" => Kind::Interleave { variants: array("variants")?.iter().map(interleaved).collect::<Option<_>>()? },
        "pattern" => {
            let template = text("template")?;
            let mask = |letter| template.chars().fold(0, |mask, c| (mask << 8) + u128::from(c == letter));
            Kind::Pattern { a: mask('A'), b: mask('B') }
        }
        _ => return None,
    };
    Some(Family {
        id: text("id")?.into(),
        name: text("name")?.into(),
        description: text("description")?.into(),
        count: u32::try_from(value.get("count")?.as_integer()?).ok()?,
        kind,
    })
}

fn operands(value: &Value) -> Option<Vec<Operand>> {
    value.as_array()?.iter().map(|name| operand(name.as_str()?)).collect()
}

fn interleaved(value: &Value) -> Option<(Operand, Operand, bool)> {
    let [pair, order] = value.as_array()?.as_slice() else { return None };
    let operands = operands(pair)?;
    let [first, second] = operands.as_slice() else { return None };
    Some((*first, *second, order.as_str()? == "reversed"))
}

fn operand(name: &str) -> Option<Operand> {
    if name == "byte8" {
        return Some(Operand::Byte8);
    }
    let (eui, form) = name.split_once("_eui")?;
    let join = match eui {
        "dev" => false,
        "join" => true,
        _ => return None,
    };
    let form = match form {
        "" => Form::Printed,
        "_reversed" => Form::Reversed,
        "_hex_lower" => Form::HexLower,
        "_hex_upper" => Form::HexUpper,
        _ => return None,
    };
    Some(Operand::Eui { join, form })
}

fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "md5" => Algorithm::Md5,
        "sha1" => Algorithm::Sha1,
        "sha256" => Algorithm::Sha256,
        "sha3-256" => Algorithm::Sha3_256,
        "sha3-224" => Algorithm::Sha3_224,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fmt::Write;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The data carries its own proof: counts, three worked keys a family, and a digest over all keys.
    #[test]
    fn every_family_proves_itself() {
        let data: Table = signatures::lorawan_generator().parse().unwrap();
        let eui = |name: &str| u64::from_str_radix(data["example"][name].as_str().unwrap(), 16).unwrap();
        let euis = Some(Euis { dev_eui: eui("dev_eui"), join_eui: eui("join_eui") });
        let candidates = Candidates::parsed();
        let described = data["family"].as_array().unwrap();
        assert_eq!(candidates.families.len(), described.len());
        let (mut all, mut base) = (BTreeSet::new(), BTreeSet::new());
        for (family, described) in candidates.families.iter().zip(described) {
            let (mut sha256, mut count) = (Sha256::new(), 0);
            family.each(0..u32::MAX, euis, |index, key| {
                assert_eq!(index, count);
                count += 1;
                sha256.update(key);
                all.insert(*key);
                if described["set"].as_str() == Some("base") {
                    base.insert(*key);
                }
            });
            assert_eq!(i64::from(count), described["count"].as_integer().unwrap(), "{}", family.id);
            assert_eq!(hex(&sha256.finalize()), described["sha256"].as_str().unwrap(), "{}", family.id);
            for example in described["examples"].as_array().unwrap() {
                let key = family.key(example["index"].as_integer().unwrap() as u32, euis).unwrap();
                assert_eq!(hex(&key), example["key"].as_str().unwrap(), "{}", family.id);
            }
            assert!(family.key(family.count, euis).is_none(), "{} ends", family.id);
            assert_eq!(family.needs_euis(), !described["needs"].as_array().unwrap().is_empty(), "{}", family.id);
            assert_eq!(family.key(0, None).is_none(), family.needs_euis(), "{}", family.id);
        }
        let total = |name: &str| data["totals"][name].as_integer().unwrap() as u64;
        assert_eq!(candidates.count(), total("base") + total("added"));
        assert_eq!((base.len() as u64, all.len() as u64), (total("base_distinct"), total("all_distinct")));
    }

    #[test]
    fn a_candidate_is_told_without_its_value() {
        let candidates = Candidates::embedded();
        for (at, family) in candidates.families.iter().enumerate() {
            for index in [0, family.count / 2, family.count - 1] {
                let (list, origin) = candidates.told(Candidate { family: at as u16, index }).unwrap();
                assert!(!list.is_empty() && !origin.is_empty(), "{}", family.id);
            }
        }
        for row in signatures::keys::lorawan_keys() {
            let origin = without_value(&row.key, row.origin);
            assert!(!origin.contains(&*String::from_utf8_lossy(&row.key)) && !origin.contains(&hex(&row.key)), "{origin}");
        }
        let (list, origin) = candidates.told(Candidate { family: 0, index: 111 }).unwrap();
        assert_eq!(list, "list rolaguard-2021");
        assert!(origin.starts_with("Adeunis"), "{origin}");
    }
}
