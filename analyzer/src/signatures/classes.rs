//! The classes of city devices, and what speaks for each, added up. How points count stands in the head of `signatures/classes.toml`.

use super::fingerprints::Pattern;
use super::{CLASSES, File, PackError};
use regex::RegexSet;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, OnceLock};
use toml::Spanned;

static PACK: LazyLock<Pack> = LazyLock::new(|| read(CLASSES).unwrap_or_default());

/// What a device shows, by kind of evidence: `object`, `role`, `service`, `fingerprint` (as `high:plc`), `ha_component`, `ha_device_class`,
/// `cadence`; and the texts that patterns read, by attribute.
#[derive(Clone, Debug, Default)]
pub struct Shown<'a> {
    values: Vec<(&'static str, &'a str)>,
    fingerprints: Vec<(&'static str, String)>,
    texts: Vec<(&'static str, &'a str)>,
}

impl<'a> Shown<'a> {
    /// Adds a value of a kind of evidence.
    pub fn value(&mut self, kind: &'static str, value: &'a str) {
        self.values.push((kind, value));
    }

    /// Adds a class that a fingerprint of this confidence (`high`, `medium`, `low`) set.
    pub fn fingerprint(&mut self, confidence: &'static str, class: &str) {
        self.fingerprints.push((confidence, class.into()));
    }

    /// Adds a text that patterns read.
    pub fn text(&mut self, attribute: &'static str, text: &'a str) {
        self.texts.push((attribute, text));
    }
}

/// A class with its points and what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scored {
    /// Stable id.
    pub id: &'static str,
    /// As people read it.
    pub name: &'static str,
    /// Points, at most 100.
    pub points: u8,
    /// Each piece of evidence with its points, the strongest first.
    pub reasons: Vec<String>,
}

/// The singular and the plural of a class, for people.
pub fn class_words(id: &str) -> Option<(&'static str, &'static str)> {
    let class = PACK.classes.iter().find(|class| class.id.get_ref() == id)?;
    Some((&class.singular, &class.plural))
}

/// The id of a class as the pack holds it.
pub fn id(id: &str) -> Option<&'static str> {
    let pack: &'static Pack = &PACK;
    pack.number.get_key_value(id).map(|(id, _)| id.as_str())
}

/// The rows of evidence whose patterns match a text of an attribute, as numbers.
pub fn rows_matching(attribute: &str, text: &str) -> Vec<u32> {
    let pack: &'static Pack = &PACK;
    let kinds = pack.kinds.iter().filter(|kind| kind.attributes.iter().any(|known| known == attribute));
    let matches = kinds.flat_map(|kind| {
        let set = kind.set().map(|set| set.matches(text));
        set.into_iter()
            .flat_map(move |set| set.into_iter().filter_map(|at| Some(kind.rows.get(at)?.0 as u32)).collect::<Vec<_>>())
    });
    matches.collect()
}

/// The class that the most points speak for, if they are enough to show it.
pub fn score(shown: &Shown<'_>) -> Option<Scored> {
    let pack: &'static Pack = &PACK;
    let best = pack.best(shown)?;
    (best.points >= pack.publish_at).then_some(best)
}

#[derive(Default)]
struct Pack {
    classes: Vec<ClassToml>,
    number: HashMap<String, usize>,
    rows: Vec<EvidenceToml>,
    /// Rows that ask for a value, by kind and value.
    by_value: HashMap<String, HashMap<String, Vec<usize>>>,
    kinds: Vec<PatternKind>,
    publish_at: u8,
    largest: u32,
    profile_bonus: u32,
    #[cfg(test)]
    examples: BTreeMap<String, ExampleToml>,
}

/// A kind of evidence that reads texts.
#[derive(Default)]
struct PatternKind {
    /// Whether its rows are words, of which each attribute counts one a class.
    words: bool,
    /// The attributes that it reads.
    attributes: Vec<String>,
    /// Row, class and pattern.
    rows: Vec<(usize, usize, Pattern)>,
    /// All its patterns as one, compiled when first needed.
    set: OnceLock<Option<RegexSet>>,
}

impl PatternKind {
    fn set(&self) -> Option<&RegexSet> {
        let build = || RegexSet::new(self.rows.iter().map(|(_, _, pattern)| pattern.source.get_ref())).ok();
        self.set.get_or_init(build).as_ref()
    }
}

/// The attribute that holds what the network's operator calls a kind of device.
const PROFILE: &str = "profile";

/// A row that counts: the class, the points, the reason.
struct Counted {
    class: usize,
    points: u32,
    reason: String,
}

impl Pack {
    fn best(&'static self, shown: &Shown<'_>) -> Option<Scored> {
        let counted = self.counted(shown);
        let mut own: Vec<u32> = vec![0; self.classes.len()];
        for one in &counted {
            if let Some(points) = own.get_mut(one.class) {
                *points += one.points;
            }
        }
        let parent = |class: &ClassToml| class.is_a.as_ref().and_then(|name| self.number.get(name.get_ref())).copied();
        let of = |number: usize| own.get(number).copied().unwrap_or_default();
        let total = |number: usize, class: &ClassToml| match of(number) {
            0 => 0,
            points => points + parent(class).map_or(0, of),
        };
        let totals = self.classes.iter().enumerate().map(|(number, class)| (total(number, class), number, class));
        let (points, number, class) =
            totals.filter(|(points, ..)| *points > 0).max_by_key(|&(points, number, _)| (points, std::cmp::Reverse(number)))?;
        let mut reasons: Vec<&Counted> =
            counted.iter().filter(|one| one.class == number || parent(class) == Some(one.class)).collect();
        reasons.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.reason.cmp(&b.reason)));
        Some(Scored {
            id: class.id.get_ref(),
            name: &class.singular,
            points: points.min(self.largest).try_into().unwrap_or(u8::MAX),
            reasons: reasons.into_iter().map(|one| format!("{} ({})", one.reason, one.points)).collect(),
        })
    }

    fn counted(&self, shown: &Shown<'_>) -> Vec<Counted> {
        let mut counted = Vec::new();
        let mut rows: Vec<usize> = Vec::new();
        for &(kind, value) in &shown.values {
            rows.extend(self.rows_for(kind, value));
        }
        rows.sort_unstable();
        rows.dedup();
        for row in rows.into_iter().filter_map(|row| self.rows.get(row)).filter(|row| row.fits(shown)) {
            if let Some(&class) = self.number.get(row.class.get_ref()) {
                counted.push(Counted { class, points: row.points, reason: row.reason.clone() });
            }
        }
        let mut by_fingerprint: Vec<(usize, usize)> = Vec::new();
        for (confidence, class) in &shown.fingerprints {
            let class = self.number.get(class);
            by_fingerprint.extend(self.rows_for("fingerprint", confidence).filter_map(|row| Some((row, *class?))));
        }
        by_fingerprint.sort_unstable();
        by_fingerprint.dedup();
        for (row, class) in by_fingerprint {
            if let Some(row) = self.rows.get(row) {
                counted.push(Counted { class, points: row.points, reason: row.reason.clone() });
            }
        }
        self.words(shown, &mut counted);
        counted
    }

    fn rows_for(&self, kind: &str, value: &str) -> impl Iterator<Item = usize> {
        self.by_value.get(kind).and_then(|rows| rows.get(value)).into_iter().flatten().copied()
    }

    /// Rows with a pattern: one counts once; of the words in one attribute, a class counts the one with the most points.
    fn words(&self, shown: &Shown<'_>, counted: &mut Vec<Counted>) {
        for kind in &self.kinds {
            let read = |(attribute, _): &&(&str, &str)| kind.attributes.iter().any(|known| known == attribute);
            let texts: Vec<(&str, &str)> = shown.texts.iter().filter(read).copied().collect();
            if texts.is_empty() {
                continue;
            }
            let mut words: BTreeMap<(usize, &str), Counted> = BTreeMap::new();
            // One pass over each text finds all patterns that match it.
            let mut matches: Vec<(usize, usize)> = Vec::new();
            for (number, (_, text)) in texts.iter().enumerate() {
                matches.extend(kind.set().into_iter().flat_map(|set| set.matches(text)).map(|row| (row, number)));
            }
            matches.sort_unstable();
            let mut counted_row = None;
            for (at, number) in matches {
                let (Some((row, class, _)), Some((attribute, text))) = (kind.rows.get(at), texts.get(number)) else { continue };
                let Some(row) = self.rows.get(*row).filter(|row| row.fits(shown)) else { continue };
                let bonus = if kind.words && *attribute == PROFILE { self.profile_bonus } else { 0 };
                let one = || Counted {
                    class: *class,
                    points: row.points + bonus,
                    reason: format!("{}: {attribute} “{text}”", row.reason),
                };
                if !kind.words {
                    if counted_row.replace(at) != Some(at) {
                        counted.push(one());
                    }
                    continue;
                }
                match words.get(&(*class, attribute)) {
                    Some(known) if known.points >= row.points + bonus => {}
                    _ => drop(words.insert((*class, attribute), one())),
                }
            }
            counted.extend(words.into_values());
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    class: Vec<ClassToml>,
    evidence: Vec<EvidenceToml>,
    scoring: ScoringToml,
    kinds: BTreeMap<String, Vec<String>>,
    #[cfg_attr(not(test), expect(dead_code, reason = "worked examples for tests"))]
    example: BTreeMap<String, ExampleToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassToml {
    id: Spanned<String>,
    singular: String,
    plural: String,
    is_a: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EvidenceToml {
    kind: Spanned<String>,
    value: Option<String>,
    matches: Option<Spanned<String>>,
    class: Spanned<String>,
    points: u32,
    reason: String,
    #[serde(rename = "source")]
    _source: String,
    with_role: Option<String>,
    without_role: Option<String>,
}

impl EvidenceToml {
    fn fits(&self, shown: &Shown<'_>) -> bool {
        let has = |role: &str| shown.values.iter().any(|&(kind, value)| kind == "role" && value == role);
        self.with_role.as_deref().is_none_or(has) && !self.without_role.as_deref().is_some_and(has)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoringToml {
    publish_at: u8,
    largest: u32,
    profile_bonus: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "worked examples for tests"))]
struct ExampleToml {
    device: BTreeMap<String, Vec<String>>,
    class: String,
    points: u8,
}

const VALUE_KINDS: [&str; 7] = ["object", "role", "service", "fingerprint", "ha_component", "ha_device_class", "cadence"];

fn read(file: File) -> Result<Pack, PackError> {
    let toml: FileToml = toml::from_str(file.text()).map_err(|error| {
        let line = error.span().map_or(1, |span| file.line_of(span.start));
        file.error(line, error.message())
    })?;
    let at =
        |text: &Spanned<String>, what: &str| file.error(file.line_of(text.span().start), format!("{what} `{}`", text.get_ref()));
    let number: HashMap<String, usize> =
        toml.class.iter().enumerate().map(|(n, class)| (class.id.get_ref().clone(), n)).collect();
    for class in &toml.class {
        if let Some(parent) = class.is_a.as_ref().filter(|parent| !number.contains_key(parent.get_ref())) {
            return Err(at(parent, "no class is called"));
        }
    }
    let mut by_value: HashMap<String, HashMap<String, Vec<usize>>> = HashMap::new();
    let mut kinds: BTreeMap<&str, PatternKind> = BTreeMap::new();
    for (kind, attributes) in &toml.kinds {
        kinds.insert(kind, PatternKind { words: kind == "word", attributes: attributes.clone(), ..Default::default() });
    }
    for (row, evidence) in toml.evidence.iter().enumerate() {
        let kind = evidence.kind.get_ref();
        // The star stands for the class that the fingerprint set.
        let any = evidence.class.get_ref() == "*" && kind == "fingerprint";
        let class = number.get(evidence.class.get_ref()).copied();
        match (&evidence.value, &evidence.matches, kinds.get_mut(kind.as_str()), class) {
            (_, _, _, None) if !any => return Err(at(&evidence.class, "no class is called")),
            (Some(value), None, None, _) if VALUE_KINDS.contains(&kind.as_str()) => {
                by_value.entry(kind.clone()).or_default().entry(value.clone()).or_default().push(row);
            }
            (None, Some(pattern), Some(kind), Some(class)) => kind.rows.push((row, class, Pattern::new(pattern.clone()))),
            _ => return Err(at(&evidence.kind, "a value or a pattern does not fit the kind")),
        }
    }
    Ok(Pack {
        classes: toml.class,
        number,
        rows: toml.evidence,
        by_value,
        kinds: kinds.into_values().collect(),
        publish_at: toml.scoring.publish_at,
        largest: toml.scoring.largest,
        profile_bonus: toml.scoring.profile_bonus,
        #[cfg(test)]
        examples: toml.example,
    })
}

/// Reads the pack whole and compiles every pattern; the ids of the classes come back.
pub(super) fn check() -> Result<Vec<String>, Vec<PackError>> {
    let pack = read(CLASSES).map_err(|error| vec![error])?;
    let patterns = pack.kinds.iter().flat_map(|kind| &kind.rows);
    let errors: Vec<PackError> = patterns.filter_map(|(_, _, pattern)| pattern.check(CLASSES).err()).collect();
    if errors.is_empty() { Ok(pack.classes.iter().map(|class| class.id.get_ref().clone()).collect()) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_examples_come_out_as_stated() {
        for (name, example) in &PACK.examples {
            let mut shown = Shown::default();
            for (kind, values) in &example.device {
                for value in values {
                    match kind.as_str() {
                        "fingerprint" => {
                            let (confidence, class) = value.split_once(':').expect("is confidence:class");
                            shown.fingerprint(confidence.to_owned().leak(), class);
                        }
                        kind if VALUE_KINDS.contains(&kind) => shown.value(kind.to_owned().leak(), value),
                        kind => shown.text(kind.to_owned().leak(), value),
                    }
                }
            }
            let best = PACK.best(&shown).expect("something speaks for a class");
            let id = if best.points >= PACK.publish_at { best.id } else { "unclassed" };
            assert_eq!((id, best.points), (example.class.as_str(), example.points), "{name}: {:?}", best.reasons);
            assert_eq!(score(&shown).is_some(), id != "unclassed");
        }
    }

    #[test]
    fn a_lamp_is_a_street_light_and_says_why() {
        let mut shown = Shown::default();
        shown.value("object", "3416");
        let lamp = score(&shown).expect("is classed");
        assert_eq!((lamp.id, lamp.name, lamp.points), ("street_light", "street light", 60));
        assert_eq!(lamp.reasons, ["registers the LwM2M object Outdoor lamp controller (60)"]);
        assert_eq!(class_words("street_light"), Some(("street light", "street lights")));
    }

    #[test]
    fn a_name_that_no_class_has_is_an_error_with_its_line() {
        let file = File { name: "classes.toml", bytes: b"class = []\nevidence = [\n  { kind = 'role', value = 'x', class = 'lamp', points = 10, reason = '', source = '' },\n]\n[scoring]\npublish_at = 50\nlargest = 100\nprofile_bonus = 30\n[kinds]\n[example]\n" };
        let error = read(file).err().expect("is an error");
        assert_eq!(error.to_string(), "signatures/classes.toml:3: no class is called `lamp`");
    }
}
