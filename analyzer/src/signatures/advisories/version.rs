//! Version strings of devices, and their order.
//!
//! What turns into what: `V2.10`, `4.2.1 SP1 Update 3`, `R04`, `B1234`, `02.07.07(10)`, `1.010L`, `2019-09-21` become numbers with letters
//! and suffixes. There is no one order over all makers: where two strings do not follow one scheme, or where they leave open which is
//! the later, the relation is unknown, and nobody may conclude anything from it.

/// A version that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Letters in front that tell a scheme: `r` in R04, `fw` in FW14; empty for `V` and for nothing.
    class: String,
    parts: Vec<Part>,
    suffixes: Vec<Suffix>,
}

/// A number between dots: `07`, `3a`, `1s0`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    digits: String,
    number: u64,
    letter: Option<char>,
    after: Option<u64>,
}

/// What follows the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Suffix {
    kind: Kind,
    number: u64,
}

/// In the order in which they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Alpha,
    Beta,
    Candidate,
    ServicePack,
    Other(Word),
}

/// Suffixes that come after the version without them; two of different words have no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    HotFix,
    Update,
    Patch,
    Maintenance,
    Feature,
    Revision,
    Unit,
    Build,
}

/// How a device's version stands to the bound of an advisory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Earlier.
    Less,
    /// The same.
    Equal,
    /// Later.
    Greater,
    /// The bound is said less exactly, and the device's version begins with it: 2.0.5 and 2.0.
    Within,
    /// The device's version is said less exactly, and the bound begins with it: 2.0 and 2.0.5.
    Coarser,
    /// There is no telling.
    Unknown,
}

/// Longer texts are no version.
const LONGEST: usize = 48;

/// Words before a version that say only that one follows.
const LEADS: [&str; 14] =
    ["firmware", "software", "version", "release", "ver.", "ver", "mx-v", "rev.", "rev", "sv", "sw", "os", "v.", "v"];

impl Version {
    /// As an advisory writes it: all of the text must be understood.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let text = text.trim().to_lowercase().replace('_', " ");
        let mut rest = text.as_str();
        while let Some(after) = LEADS.iter().find_map(|lead| rest.strip_prefix(lead)) {
            let after = after.trim_start_matches([' ', ':', '.']);
            if !after.starts_with(|c: char| c.is_ascii_digit()) && !LEADS.iter().any(|lead| after.starts_with(lead)) {
                break;
            }
            rest = after;
        }
        let (class, mut rest) = class(rest)?;
        let mut parts = vec![part(&mut rest)?];
        let dashed = parts.len() == 1 && rest.starts_with('-');
        while let Some(after) = next_part(rest, dashed) {
            rest = after.0;
            parts.push(after.1);
        }
        // `1p1r26` is a scheme of its own.
        if parts.len() == 1 && rest.starts_with(|c: char| c.is_ascii_lowercase()) {
            return None;
        }
        let class = if class == "fw" && parts.len() > 1 { String::new() } else { class };
        Some(Self { class, parts, suffixes: suffixes(rest)? })
    }

    /// As a device writes it: what stands behind in brackets or after a plus is its own.
    pub fn of_device(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::parse(text).or_else(|| {
            let cut = text.find(['(', '+', '[', ',']).or_else(|| text.find(" - "))?;
            Self::parse(text.get(..cut)?)
        })
    }

    /// How this version of a device stands to a bound.
    pub fn relation(&self, bound: &Version) -> Relation {
        if !self.one_scheme(bound) {
            return Relation::Unknown;
        }
        for (at, (mine, theirs)) in self.parts.iter().zip(&bound.parts).enumerate() {
            match mine.relation(theirs, at > 0) {
                Relation::Equal => {}
                other => return other,
            }
        }
        let rest = |version: &Version, shared: usize| version.parts.iter().skip(shared).any(|part| !part.is_zero());
        if rest(self, bound.parts.len()) {
            return if bound.suffixes.is_empty() { Relation::Within } else { Relation::Unknown };
        }
        if rest(bound, self.parts.len()) {
            return Relation::Coarser;
        }
        self.relation_of_suffixes(bound)
    }

    /// Whether the first numbers are those of another version: 5.7 and 5.
    pub fn begins_with(&self, start: &Version) -> Option<bool> {
        if self.class != start.class {
            return None;
        }
        let pairs = self.parts.iter().zip(&start.parts);
        if pairs.clone().any(|(mine, theirs)| (mine.number, mine.letter) != (theirs.number, theirs.letter)) {
            return Some(false);
        }
        (self.parts.len() >= start.parts.len()).then_some(true)
    }

    /// Firmware 14 and FW14 are one scheme; 1.2.3 and FW14, 1.2 and 20190812, 3.1 and 22 are not.
    fn one_scheme(&self, other: &Version) -> bool {
        let (Some(mine), Some(theirs)) = (self.parts.first(), other.parts.first()) else { return false };
        let single = (self.parts.len() == 1, other.parts.len() == 1);
        let classes = self.class == other.class
            || single == (true, true) && [self, other].iter().all(|version| matches!(version.class.as_str(), "" | "fw"));
        // A year or a build number beside a small number.
        const LARGE: u64 = 1000;
        let scale = (mine.number >= LARGE) == (theirs.number >= LARGE);
        let counts = match single {
            (true, false) => mine.number < 10 || mine.number >= LARGE,
            (false, true) => theirs.number < 10 || theirs.number >= LARGE,
            _ => true,
        };
        classes && scale && counts
    }

    fn relation_of_suffixes(&self, bound: &Version) -> Relation {
        let mut mine = self.suffixes.iter().peekable();
        let mut theirs = bound.suffixes.iter().peekable();
        loop {
            return match (mine.next(), theirs.next()) {
                (None, None) => Relation::Equal,
                (Some(mine), None) if mine.is_before() => Relation::Less,
                (None, Some(theirs)) if theirs.is_before() => Relation::Greater,
                (Some(_), None) => Relation::Within,
                (None, Some(_)) => Relation::Coarser,
                (Some(mine), Some(theirs)) if mine.kind == theirs.kind => match mine.number.cmp(&theirs.number) {
                    std::cmp::Ordering::Less => Relation::Less,
                    std::cmp::Ordering::Greater => Relation::Greater,
                    std::cmp::Ordering::Equal => continue,
                },
                (Some(mine), Some(theirs)) if mine.is_before() || theirs.is_before() => match mine.kind < theirs.kind {
                    true => Relation::Less,
                    false => Relation::Greater,
                },
                _ => Relation::Unknown,
            };
        }
    }
}

impl Suffix {
    /// Whether it marks what comes before the version without it.
    fn is_before(&self) -> bool {
        matches!(self.kind, Kind::Alpha | Kind::Beta | Kind::Candidate)
    }
}

impl Part {
    fn is_zero(&self) -> bool {
        self.number == 0 && self.letter.is_none()
    }

    fn relation(&self, other: &Part, is_fraction: bool) -> Relation {
        if self.number != other.number {
            let numeric = self.number < other.number;
            // 1.07 and 1.1: as numbers 7 is more than 1, as fractions less. Makers do both; a leading zero makes it open.
            let leading = [self, other].iter().any(|part| part.digits.len() > 1 && part.digits.starts_with('0'));
            let is_open =
                is_fraction && leading && self.digits.len() != other.digits.len() && (self.digits < other.digits) != numeric;
            return match (is_open, numeric) {
                (true, _) => Relation::Unknown,
                (false, true) => Relation::Less,
                (false, false) => Relation::Greater,
            };
        }
        match (self.letter, other.letter) {
            (None, None) => Relation::Equal,
            (None, Some(_)) => Relation::Coarser,
            (Some(_), None) => Relation::Within,
            (Some(mine), Some(theirs)) if mine != theirs => match mine < theirs {
                true => Relation::Less,
                false => Relation::Greater,
            },
            _ => match self.after.cmp(&other.after) {
                std::cmp::Ordering::Less => Relation::Less,
                std::cmp::Ordering::Equal => Relation::Equal,
                std::cmp::Ordering::Greater => Relation::Greater,
            },
        }
    }
}

/// Letters before the first number, and what follows them.
fn class(text: &str) -> Option<(String, &str)> {
    let at = text.find(|c: char| c.is_ascii_digit())?;
    let (letters, rest) = text.split_at(at);
    let letters = letters.trim_end_matches([' ', '.', '-']);
    let known = letters.len() <= 3 || matches!(letters, "build");
    if !known || !letters.chars().all(|c| c.is_ascii_lowercase()) {
        return None;
    }
    Some((if letters == "build" { "b".into() } else { letters.into() }, rest))
}

/// A number with what hangs on it, taken off the front.
fn part(text: &mut &str) -> Option<Part> {
    let digits = take(text, |c| c.is_ascii_digit());
    let number = digits.parse().ok()?;
    let mut part = Part { digits: digits.into(), number, letter: None, after: None };
    let letters = text.len() - text.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
    let letter = text.chars().next().filter(|c| letters == 1 && *c != 'x');
    if let Some(letter) = letter {
        let mut after = text.get(1..)?;
        let digits = take(&mut after, |c| c.is_ascii_digit());
        // `8.0p3` and `8.0b2` are suffixes as much as `8.0 p3` is; `14.1s0` is a part.
        if !digits.is_empty() && word(text.get(..1)?).is_some() {
            return Some(part);
        }
        part.letter = Some(letter);
        part.after = digits.parse().ok();
        *text = after;
    }
    Some(part)
}

/// The part that follows a dot, stands in brackets, or follows a dash in versions that are written with dashes alone.
fn next_part(text: &str, dashed: bool) -> Option<(&str, Part)> {
    let bracketed = |text: &str| {
        let inner = text.strip_prefix('(')?;
        let (digits, rest) = inner.split_once(')')?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
        let mut digits = digits;
        let part = part(&mut digits)?;
        Some((rest.len(), part))
    };
    if let Some((rest, part)) = bracketed(text) {
        return Some((text.get(text.len() - rest..)?, part));
    }
    let mut rest = text.strip_prefix(if dashed { '-' } else { '.' })?;
    rest.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
    let part = part(&mut rest)?;
    Some((rest, part))
}

/// What follows the numbers, as far as all of it is known.
fn suffixes(text: &str) -> Option<Vec<Suffix>> {
    let mut rest = text;
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '-', '.', ',']);
        if rest.is_empty() {
            found.sort_by_key(|suffix: &Suffix| suffix.kind);
            return Some(found);
        }
        // A commit: `-gcb84623`.
        let is_commit = |text: &str| text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if rest.strip_prefix('g').is_some_and(is_commit) {
            return Some(found);
        }
        let letters = take(&mut rest, |c| c.is_ascii_lowercase());
        let kind = if letters.is_empty() { Kind::Other(Word::Build) } else { word(letters)? };
        rest = rest.trim_start_matches([' ', '.', '-', ':', '#']);
        let digits = take(&mut rest, |c| c.is_ascii_digit());
        if digits.is_empty() && letters.is_empty() {
            return None;
        }
        let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        found.push(Suffix { kind, number });
    }
}

fn word(letters: &str) -> Option<Kind> {
    Some(match letters {
        "alpha" => Kind::Alpha,
        "beta" => Kind::Beta,
        "rc" => Kind::Candidate,
        "sp" => Kind::ServicePack,
        "hf" | "hotfix" => Kind::Other(Word::HotFix),
        "upd" | "update" | "up" => Kind::Other(Word::Update),
        "p" | "patch" => Kind::Other(Word::Patch),
        "mp" => Kind::Other(Word::Maintenance),
        "fp" => Kind::Other(Word::Feature),
        "r" | "rev" => Kind::Other(Word::Revision),
        "u" => Kind::Other(Word::Unit),
        "b" | "build" => Kind::Other(Word::Build),
        _ => return None,
    })
}

fn take<'t>(text: &mut &'t str, is: impl Fn(char) -> bool) -> &'t str {
    let end = text.find(|c| !is(c)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(device: &str, bound: &str) -> Relation {
        let device = Version::of_device(device).unwrap_or_else(|| panic!("{device} is a version"));
        device.relation(&Version::parse(bound).unwrap_or_else(|| panic!("{bound} is a version")))
    }

    #[test]
    fn versions_of_the_makers_dialects_have_an_order() {
        for (earlier, later) in [
            ("V2.9", "V2.10"),
            ("4.2.1", "4.2.2"),
            ("4.2.1 SP1", "4.2.1 SP2"),
            ("V8.2 SP1 Update 3", "V8.2 SP1 Upd12"),
            ("V7.4 SP1", "V7.4 SP2 Update 1"),
            ("R03", "R04"),
            ("B1233", "Build 1234"),
            ("1.010K", "1.010L"),
            ("02.07.07(9)", "02.07.07(10)"),
            ("2019-09-20", "2019-09-21"),
            ("FW13", "FW14"),
            ("13", "FW14"),
            ("14.1s0", "14.1s1"),
            ("MX-V5.0.0.127", "MX-V5.0.0.130"),
            ("2.0.0-rc2", "2.0.0"),
            ("2.0.0-beta3", "2.0.0-rc1"),
            ("5.4.0 build 160414", "5.4.0 Build 160530"),
            ("2016 R1", "2016 R2"),
            ("A11_U04", "A11_U05"),
            ("02.20.126.11-37", "02.20.126.11-41"),
            ("1.14.0-gcb84623", "1.14.1"),
        ] {
            assert_eq!(relation(earlier, later), Relation::Less, "{earlier} < {later}");
            assert_eq!(relation(later, earlier), Relation::Greater, "{later} > {earlier}");
            assert_eq!(relation(later, later), Relation::Equal, "{later} = {later}");
        }
        assert_eq!(relation("V03.10.08", "3.10.8"), Relation::Equal);
        assert_eq!(relation("2.0.0", "2"), Relation::Equal);
        assert_eq!(relation("13.2.0(tasmota)", "13.3.0"), Relation::Less);
    }

    #[test]
    fn what_is_said_less_exactly_is_told_from_what_is_earlier() {
        assert_eq!(relation("2.0", "2.0.5"), Relation::Coarser);
        assert_eq!(relation("2.0.5", "2.0"), Relation::Within);
        assert_eq!(relation("V8.0", "V8.0 SP1"), Relation::Coarser);
        assert_eq!(relation("V8.0 SP1", "V8.0"), Relation::Within);
        assert_eq!(relation("1.010", "1.010L"), Relation::Coarser);
    }

    #[test]
    fn strings_of_two_schemes_have_no_order() {
        for (device, bound) in [
            ("1.2.3", "FW14"),
            ("1.2", "20190812"),
            ("3.1.4", "22"),
            ("22", "3.1.4"),
            ("R04", "4.1"),
            ("1.07", "1.1"),
            ("V8.0 HF2", "V8.0 Update 1"),
            ("26061", "1.05"),
        ] {
            assert_eq!(relation(device, bound), Relation::Unknown, "{device} and {bound}");
        }
    }

    #[test]
    fn what_is_no_version_is_not_taken_for_one() {
        for text in [
            "",
            "MHPSS",
            "1p1r26",
            "15.2(6)E0a",
            "750-82xx/xxx-xxx",
            "The first 5 digits",
            "8.1x",
            "1.000.HW00.21",
            "1763-L16AWA",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        assert_eq!(Version::parse(&"1.".repeat(100)), None);
    }
}
