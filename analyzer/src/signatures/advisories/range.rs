//! Which versions an advisory is about: the dialects in which that is written, and whether a device's version is among them.
//!
//! What turns into what: `vers:all/*`, `vers:all/<V7.0.3`, `< 2.1`, `<= V5.X`, `>= 3.5.11.0 | <= 3.5.15.0`, `All versions < V4.2 HF1`, `2.4 | 2.6`,
//! `7.2.x`, `5.1 and prior` become intervals. Text that is not understood whole is [`Range::Unread`]: it is about some versions, and no
//! version is ever found to be one of them.

use super::version::{Relation, Version};

/// The versions of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// Every version, as far as the advisory says.
    All,
    /// Those in one of the intervals.
    Some(Vec<Interval>),
    /// The text says it in a way that is not understood.
    Unread,
}

/// An interval; what bounds it must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval(Vec<Bound>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    sign: Sign,
    version: Version,
    /// The version stands for all that begin with it: `5.x`.
    open: bool,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Before,
    UpTo,
    Is,
    From,
    After,
}

/// Whether a version is among those of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// There is no telling.
    Open,
}

/// Longer texts are prose.
const LONGEST: usize = 160;

/// Bounds in one text; the longest list published names fewer.
const BOUNDS: usize = 48;

impl Range {
    /// Reads the text of an advisory.
    pub fn parse(text: &str) -> Self {
        let text = text.trim().to_lowercase().replace('_', " ");
        if text.len() > LONGEST {
            return Self::Unread;
        }
        let text = text.strip_prefix("vers:all/").unwrap_or(&text).trim();
        let text = ["all firmware versions", "all versions", "firmware versions", "versions"]
            .iter()
            .find_map(|lead| text.strip_prefix(lead).filter(|rest| rest.is_empty() || rest.starts_with([' ', '<', '>', '='])))
            .unwrap_or(text)
            .trim();
        if matches!(text, "" | "*" | "all") {
            return Self::All;
        }
        intervals(text).map_or(Self::Unread, Self::Some)
    }

    /// Whether a device's version is among them.
    pub fn contains(&self, version: &Version) -> Among {
        match self {
            Self::All => Among::Yes,
            Self::Unread => Among::Open,
            Self::Some(intervals) => {
                let either = |a, b| match (a, b) {
                    (Among::Yes, _) | (_, Among::Yes) => Among::Yes,
                    (Among::Open, _) | (_, Among::Open) => Among::Open,
                    _ => Among::No,
                };
                intervals.iter().map(|interval| interval.contains(version)).fold(Among::No, either)
            }
        }
    }

    /// The version from which on it is mended, for a device of this version, as the text has it: the end of its interval, where that does
    /// not belong to it.
    pub fn mended_in(&self, version: &Version) -> Option<&str> {
        let Self::Some(intervals) = self else { return None };
        let own = intervals.iter().find(|interval| interval.contains(version) == Among::Yes)?;
        own.0.iter().find(|bound| bound.sign == Sign::Before).map(|bound| bound.text.as_str())
    }
}

impl Interval {
    fn contains(&self, version: &Version) -> Among {
        let mut among = Among::Yes;
        for bound in &self.0 {
            match bound.holds(version) {
                Among::Yes => {}
                Among::No => return Among::No,
                Among::Open => among = Among::Open,
            }
        }
        among
    }
}

impl Bound {
    fn holds(&self, version: &Version) -> Among {
        if self.open {
            return self.holds_openly(version);
        }
        match (self.sign, version.relation(&self.version)) {
            (_, Relation::Unknown | Relation::Coarser) => Among::Open,
            (Sign::Before, Relation::Less) | (Sign::UpTo, Relation::Less | Relation::Equal) | (Sign::Is, Relation::Equal) => {
                Among::Yes
            }
            (Sign::From, Relation::Equal | Relation::Greater | Relation::Within) | (Sign::After, Relation::Greater) => Among::Yes,
            // Whether `2.0` in `up to 2.0` means 2.0.5 too is not said.
            (Sign::UpTo | Sign::Is | Sign::After, Relation::Within) => Among::Open,
            _ => Among::No,
        }
    }

    /// `5.x` is all that begins with 5.
    fn holds_openly(&self, version: &Version) -> Among {
        let Some(begins) = version.begins_with(&self.version) else { return Among::Open };
        let relation = version.relation(&self.version);
        match (self.sign, begins, relation) {
            (Sign::Is | Sign::UpTo | Sign::From, true, _) => Among::Yes,
            (Sign::Before | Sign::After, true, _) => Among::Open,
            (Sign::Is, false, Relation::Less | Relation::Greater) => Among::No,
            (Sign::UpTo | Sign::Before, false, Relation::Less) | (Sign::From | Sign::After, false, Relation::Greater) => {
                Among::Yes
            }
            (_, false, Relation::Less | Relation::Greater) => Among::No,
            _ => Among::Open,
        }
    }
}

/// All intervals of a text; `None` where part of it is not understood.
fn intervals(text: &str) -> Option<Vec<Interval>> {
    let text = in_signs(text);
    let mut bounds = Vec::new();
    for chunk in text.split(['|', ',']).flat_map(|chunk| chunk.split(" and ")).flat_map(|chunk| chunk.split(" or ")) {
        let chunk = chunk.trim().trim_end_matches(" -").trim_start_matches("and ").trim();
        if !chunk.is_empty() && chunk != "and" && chunk != "-" {
            signs(chunk, &mut bounds)?;
        }
        if bounds.len() > BOUNDS {
            return None;
        }
    }
    fold(bounds)
}

/// English for bounds, as signs.
fn in_signs(text: &str) -> String {
    for end in [
        " and prior versions",
        " and earlier versions",
        " and prior",
        " and earlier",
        " and below",
        " and older",
        " or earlier",
        " or below",
    ] {
        if let Some(version) = text.strip_suffix(end) {
            return format!("<= {}", version.trim_start_matches("<="));
        }
    }
    for (lead, sign) in [
        ("prior to and including ", "<= "),
        ("up to and including ", "<= "),
        ("prior to ", "< "),
        ("before ", "< "),
        ("earlier than ", "< "),
        ("up to ", "<= "),
        ("through ", "<= "),
    ] {
        if let Some(version) = text.strip_prefix(lead) {
            return format!("{sign}{version}");
        }
    }
    for between in [" up to and including ", " through ", " to "] {
        match text.split_once(between) {
            Some((_, to)) if text.contains(['<', '|']) || to.contains('>') => {}
            Some((from, to)) if from.starts_with('>') => return format!("{from} | <={to}"),
            Some((from, to)) => return format!(">={from} | <={to}"),
            None => {}
        }
    }
    text.to_owned()
}

/// The bounds of a chunk: `>= v6.2 < v7.1`, `2.4`.
fn signs(chunk: &str, bounds: &mut Vec<Bound>) -> Option<()> {
    let mut rest = chunk;
    while !rest.is_empty() {
        let (sign, after) = sign(rest);
        let after = after.trim_start();
        let end = after.find(['<', '>', '=']).unwrap_or(after.len());
        let (version, next) = after.split_at(end);
        // `NMC2 <= 6.9.8`: what stands before a sign is a name.
        if rest == after && !next.is_empty() {
            return None;
        }
        bounds.push(bound(sign, version.trim())?);
        rest = next;
    }
    Some(())
}

fn sign(text: &str) -> (Sign, &str) {
    let signs = [(">=", Sign::From), ("<=", Sign::UpTo), (">", Sign::After), ("<", Sign::Before), ("=", Sign::Is)];
    signs.iter().find_map(|(mark, sign)| Some((*sign, text.strip_prefix(mark)?))).unwrap_or((Sign::Is, text))
}

fn bound(sign: Sign, text: &str) -> Option<Bound> {
    // Brackets around all of it: `<=(R4.02)`.
    let text = text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(text).trim();
    let stem = text.trim_end_matches([' ', '.']).trim_end_matches(['x', '*']);
    let open = stem.len() < text.len() && stem.ends_with('.');
    let version =
        Version::parse(if open { stem.trim_end_matches('.').trim_end_matches(".x") } else { text.trim_end_matches('.') })?;
    Some(Bound { sign, version, open, text: text.to_owned() })
}

/// A lower bound and the upper bound that follows it are one interval.
fn fold(bounds: Vec<Bound>) -> Option<Vec<Interval>> {
    let mut intervals: Vec<Interval> = Vec::new();
    let mut waiting: Option<Bound> = None;
    for bound in bounds {
        match (waiting.take(), bound.sign) {
            (Some(lower), Sign::Before | Sign::UpTo) => {
                // An end before the beginning: two statements, or a slip of the pen.
                if bound.version.relation(&lower.version) == Relation::Less {
                    return None;
                }
                intervals.push(Interval(vec![lower, bound]));
            }
            (lower, sign) => {
                intervals.extend(lower.map(|lower| Interval(vec![lower])));
                match sign {
                    Sign::From | Sign::After => waiting = Some(bound),
                    _ => intervals.push(Interval(vec![bound])),
                }
            }
        }
    }
    intervals.extend(waiting.map(|lower| Interval(vec![lower])));
    (!intervals.is_empty()).then_some(intervals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(version: &str, range: &str) -> Among {
        Range::parse(range).contains(&Version::of_device(version).unwrap_or_else(|| panic!("{version} is a version")))
    }

    #[test]
    fn every_dialect_of_the_advisories_is_read() {
        for (range, inside, outside) in [
            ("vers:all/<V7.0.3", "7.0.2", "7.0.3"),
            ("<V4.0", "V3.9.9", "V4.0"),
            ("< 2.1", "2.0.11", "2.1"),
            ("<= 1.5", "1.5", "1.6"),
            ("<= 3.3.8 Build 16102416", "3.3.8 build 16102415", "3.3.8 build 16102417"),
            (">= 3.5.11.0 | <= 3.5.15.0", "3.5.13.10", "3.5.15.1"),
            (">=00.07.00|<=00.07.03.4", "00.07.02", "00.07.04"),
            (">= V6.2 < V7.1", "6.4", "7.1"),
            ("vers:all/>=V2022.4<V2023.1", "2022.4", "2023.1"),
            (">= V2.0 and < V2.1.3", "2.1.2", "2.1.3"),
            ("All versions < V4.2 HF1", "4.1.9", "4.2 HF1"),
            ("All versions <= V5.x", "5.9", "6.0"),
            ("2.4 | 2.6 | 2.7", "2.6", "2.5"),
            ("V1.1, V1.2, and V1.3", "1.2", "1.4"),
            ("7.2.x", "7.2.9", "7.3.0"),
            ("12.4.*", "12.4.1", "12.5.0"),
            ("5.1 and prior", "5.0", "5.2"),
            ("prior to 2.30", "2.29", "2.30"),
            ("< V8.2 SP1 Upd12", "8.2 SP1 Update 11", "8.2 SP1 Update 12"),
            ("<=(R4.02)", "R4.01", "R4.03"),
            ("<= 1.221F", "1.221E", "1.221G"),
            ("< 1.99 | 2.20 | 2.40", "2.20", "2.30"),
            ("vers:all/>=V4.2", "5.0", "4.1"),
            (">FW16_up_to_and_including_FW26", "FW22", "FW27"),
            ("< 02.07.07(10)", "02.07.07(9)", "03.10.08"),
            ("< SV3.51", "3.40", "3.60"),
            (">=R6.01.01 -| <=R8.03.01", "R7.00.01", "R8.03.02"),
        ] {
            assert_eq!(among(inside, range), Among::Yes, "{inside} is in {range}");
            assert_eq!(among(outside, range), Among::No, "{outside} is not in {range}");
        }
        for all in ["vers:all/*", "All versions", "all Versions ", "*"] {
            assert_eq!(Range::parse(all), Range::All);
        }
    }

    #[test]
    fn what_is_not_understood_is_open_and_never_a_yes() {
        for range in [
            "<=The_first_5_digits_of_serial_No._\"26041\"",
            "750-82xx/xxx-xxx",
            "All BIOS versions < V1.0.212N",
            ">= 4.4.0 (only affected by CVE-2019-10943)",
            "No version",
            "<= 15.2(6)E0a",
            "< January 31 2014",
            "versions not named",
            ">= 10.0 | <= 9.0",
            "NMC2 <= 6.9.8",
        ] {
            assert_eq!(Range::parse(range), Range::Unread, "{range}");
            assert_eq!(among("1.0", range), Among::Open);
        }
    }

    #[test]
    fn versions_that_leave_it_open_are_open() {
        assert_eq!(among("2.0.5", "<= 2.0"), Among::Open);
        assert_eq!(among("2.0", "< 2.0.5"), Among::Open);
        assert_eq!(among("03.10.08", "< FW14"), Among::Open);
        assert_eq!(among("2.0.5", "< 2.0"), Among::No);
        assert_eq!(among("1.05", "<= 22"), Among::Open);
    }

    #[test]
    fn the_version_without_the_weakness_is_the_end_of_the_interval() {
        let mended =
            |version, range: &str| Range::parse(range).mended_in(&Version::parse(version).expect("a version")).map(str::to_owned);
        assert_eq!(mended("2.0.11", "< 2.0.16"), Some("2.0.16".into()));
        assert_eq!(mended("3.1", ">= 2.0 < 2.1 | >= 3.0 < 3.2"), Some("3.2".into()));
        assert_eq!(mended("1.4", "<= 1.5"), None);
    }
}
