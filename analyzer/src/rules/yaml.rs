//! Where things stand in a YAML file: the documents of a file and the place of each key and list item. What they mean is the Sigma parser's
//! business, which tells no places.

use saphyr_parser::{Event, Marker, Parser, Span, SpannedEventReceiver};
use std::collections::BTreeMap;

/// Bytes of a key that are looked at, and of a path whose place is kept: those of rules are much shorter.
const KEY_BYTES: usize = 128;
const PATH_BYTES: usize = 512;

/// A line and a column, both from 1.
pub(super) type Place = (usize, usize);

/// One document of a file.
pub(super) struct Document<'t> {
    /// Its text, without the line that begins it.
    pub(super) text: &'t str,
    first_line: usize,
    /// By path, as in `detection/selection/modbus.function_code`; items of a list by their number.
    places: BTreeMap<String, Place>,
}

impl<'t> Document<'t> {
    /// The documents of a file, each read for itself: one that is no YAML costs no other. A document without content is left out.
    pub(super) fn all(text: &'t str) -> Vec<Result<Self, (Place, String)>> {
        parts(text).filter(|(_, text)| has_content(text)).map(|(line, text)| Self::read(text, line)).collect()
    }

    fn read(text: &'t str, first_line: usize) -> Result<Self, (Place, String)> {
        let mut reader = Reader { first_line, places: BTreeMap::new(), open: Vec::new(), twice: None };
        let place = |marker: &Marker| (marker.line() + first_line - 1, marker.col() + 1);
        Parser::new_from_str(text)
            .load(&mut reader, false)
            .map_err(|error| (place(error.marker()), format!("this is no YAML: {}", error.info())))?;
        if let Some((place, key)) = reader.twice {
            return Err((
                place,
                format!("the key {key} stands here twice: name it once, with a list of values where it has several"),
            ));
        }
        Ok(Self { text, first_line, places: reader.places })
    }

    /// Where a key stands, whatever modifiers it has; where there is none, what is around it.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            let modified = format!("{path}|");
            let with_modifiers = || self.places.range(modified.clone()..).next().filter(|(key, _)| key.starts_with(&modified));
            if let Some(place) = self.places.get(path).or_else(|| with_modifiers().map(|(_, place)| place)) {
                return *place;
            }
            match path.rsplit_once('/') {
                Some((around, _)) => path = around,
                None => return (self.first_line, 1),
            }
        }
    }

    /// The place that a reader of this document alone calls so: it counts lines from the document's first.
    pub(super) fn within(&self, (line, column): Place) -> Place {
        (line + self.first_line - 1, column)
    }

    /// The first path, in their order, of a key that fits.
    pub(super) fn path(&self, fits: impl Fn(&str) -> bool) -> Option<&str> {
        self.places.keys().map(String::as_str).find(|path| fits(path))
    }

    /// The keys directly below a path.
    pub(super) fn keys(&self, path: &str) -> impl Iterator<Item = &str> {
        let above = if path.is_empty() { String::new() } else { format!("{path}/") };
        let length = above.len();
        let from = self.places.range(above.clone()..).take_while(move |(key, _)| key.starts_with(&above));
        from.filter_map(move |(key, _)| key.get(length..)).filter(|key| !key.contains('/'))
    }
}

/// The texts between the lines that part documents (YAML 1.2.2 §9.1.2), each with the number of its first line.
fn parts(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut cuts = vec![(1, 0)];
    let mut ends = Vec::new();
    let mut at = 0;
    for (line, content) in (1..).zip(text.split_inclusive('\n')) {
        let end = at + content.len();
        if is_separator(content) {
            ends.push(at);
            cuts.push((line + 1, end));
        }
        at = end;
    }
    ends.push(text.len());
    cuts.into_iter().zip(ends).filter_map(|((line, start), end)| Some((line, text.get(start..end)?)))
}

/// `---` or `...`, alone or with a comment behind it.
fn is_separator(line: &str) -> bool {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
    rest.is_some_and(|rest| {
        let comment = rest.trim();
        (rest.is_empty() || rest.starts_with(char::is_whitespace)) && (comment.is_empty() || comment.starts_with('#'))
    })
}

fn has_content(text: &str) -> bool {
    text.lines().any(|line| !line.trim_start().is_empty() && !line.trim_start().starts_with('#'))
}

/// Takes the parser's events and notes where keys and items stand.
struct Reader {
    first_line: usize,
    places: BTreeMap<String, Place>,
    open: Vec<Open>,
    /// The first key that stands twice in its mapping.
    twice: Option<(Place, String)>,
}

/// A mapping or list that is not closed yet.
enum Open {
    /// With the path of the mapping, and of the key whose value comes next.
    Mapping(String, Option<String>),
    /// With the path of the list, and the number of the next item.
    List(String, usize),
}

impl Reader {
    /// The path of the value that begins here; a list's item is noted.
    fn value(&mut self, place: Place) -> String {
        match self.open.last_mut() {
            None => String::new(),
            Some(Open::Mapping(path, key)) => key.take().unwrap_or_else(|| path.clone()),
            Some(Open::List(path, next)) => {
                let item = if path.len() <= PATH_BYTES { format!("{path}/{next}") } else { path.clone() };
                *next += 1;
                if item.len() <= PATH_BYTES {
                    self.places.insert(item.clone(), place);
                }
                item
            }
        }
    }
}

impl<'i> SpannedEventReceiver<'i> for Reader {
    fn on_event(&mut self, event: Event<'i>, span: Span) {
        let place = (span.start.line() + self.first_line - 1, span.start.col() + 1);
        match event {
            Event::Scalar(text, ..) => match self.open.last_mut() {
                Some(Open::Mapping(path, key @ None)) => {
                    let whole = text.len() <= KEY_BYTES;
                    let text = text.get(..text.floor_char_boundary(KEY_BYTES)).unwrap_or_default();
                    let name = if path.len() > PATH_BYTES {
                        path.clone()
                    } else if path.is_empty() {
                        text.to_owned()
                    } else {
                        format!("{path}/{text}")
                    };
                    if name.len() <= PATH_BYTES {
                        let before = self.places.insert(name.clone(), place);
                        if before.is_some() && whole {
                            self.twice.get_or_insert((place, text.to_owned()));
                        }
                    }
                    *key = Some(name);
                }
                _ => drop(self.value(place)),
            },
            Event::Alias(_) => drop(self.value(place)),
            Event::MappingStart(..) => {
                let path = self.value(place);
                self.open.push(Open::Mapping(path, None));
            }
            Event::SequenceStart(..) => {
                let path = self.value(place);
                self.open.push(Open::List(path, 0));
            }
            Event::MappingEnd | Event::SequenceEnd => drop(self.open.pop()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# two rules\ntitle: One\ndetection:\n  selection:\n    modbus.function_code: [5, 6]\n  condition: selection\n---\n\ntitle: Two\nlist:\n  - a: 1\n  - b: 2\n";

    #[test]
    fn keys_and_items_have_their_places() {
        let documents: Vec<Document<'_>> = Document::all(TEXT).into_iter().map(|document| document.expect("is YAML")).collect();
        let [one, two] = &documents[..] else { panic!("{} documents", documents.len()) };
        assert_eq!(one.place("title"), (2, 1));
        assert_eq!(one.place("detection/selection/modbus.function_code"), (5, 5));
        assert_eq!(one.place("detection/selection/modbus.function_code/1"), (5, 31));
        assert_eq!(one.place("detection/selection/missing"), (4, 3), "what is around it");
        assert_eq!(one.place("missing"), (1, 1));
        assert_eq!(two.place("title"), (9, 1));
        assert_eq!(two.place("list/1/b"), (12, 5));
        assert_eq!(one.keys("detection").collect::<Vec<_>>(), ["condition", "selection"]);
        assert_eq!(two.keys("").collect::<Vec<_>>(), ["list", "title"]);
    }

    #[test]
    fn a_key_that_stands_twice_is_told_where_it_comes_again() {
        let wrong = |text| Document::all(text).remove(0).err();
        let text = "a:\n  b: 1\n  c: [{b: 1}, {b: 2}]\n  b: 3\n";
        assert_eq!(wrong(text).map(|(place, _)| place), Some((4, 3)));
        assert_eq!(wrong("a: {b: 1}\nc: {b: 1}\nb: [{a: 1}, {a: 1}]\n"), None);
    }

    #[test]
    fn a_document_that_is_no_yaml_costs_no_other() {
        let all = Document::all("title: [\n--- # the second\ntitle: Two\n");
        assert!(matches!(&all[0], Err(((line, _), _)) if *line <= 2), "{:?}", all[0].as_ref().err());
        assert_eq!(all[1].as_ref().expect("is YAML").place("title"), (3, 1));
        assert_eq!(Document::all("# nothing\n---\n\n").len(), 0);
    }
}
