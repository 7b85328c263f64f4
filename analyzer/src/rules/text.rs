//! Text patterns as Sigma has them: `*` for any characters, `?` for one, upper and lower case alike unless the rule says `cased`.

use rsigma_parser::{SigmaString, SpecialChar, StringPart};

/// A pattern over a whole text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    cased: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// These characters; in lower case unless the pattern is cased.
    Text(Box<str>),
    One,
    Any,
}

/// Which ends of a text a pattern leaves open.
#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) start: bool,
    pub(super) end: bool,
}

impl Pattern {
    pub(super) fn new(text: &SigmaString, open: Open, cased: bool) -> Self {
        let part = |part: &StringPart| match part {
            StringPart::Plain(text) if cased => Part::Text(text.as_str().into()),
            StringPart::Plain(text) => Part::Text(text.to_lowercase().into()),
            StringPart::Special(SpecialChar::WildcardSingle) => Part::One,
            StringPart::Special(SpecialChar::WildcardMulti) => Part::Any,
        };
        let start = open.start.then_some(Part::Any);
        let end = open.end.then_some(Part::Any);
        let mut parts: Vec<Part> = start.into_iter().chain(text.parts.iter().map(part)).chain(end).collect();
        parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        Self { parts, cased }
    }

    /// The one text, in lower case, that it fits apart from upper and lower case; `None` where there are others.
    pub(super) fn only(&self) -> Option<String> {
        match self.parts.as_slice() {
            [] => Some(String::new()),
            [Part::Text(text)] => Some(text.to_lowercase()),
            _ => None,
        }
    }

    /// Whether the whole text fits.
    pub(super) fn fits(&self, text: &str) -> bool {
        if !self.cased && !text.is_ascii() {
            return self.fit(&text.to_lowercase(), |a, b| a == b);
        }
        if self.cased { self.fit(text, |a, b| a == b) } else { self.fit(text, |a, b| a.eq_ignore_ascii_case(b)) }
    }

    fn fit(&self, text: &str, same: fn(&[u8], &[u8]) -> bool) -> bool {
        match self.parts.as_slice() {
            [] => text.is_empty(),
            [Part::Any] => true,
            [Part::Text(whole)] => same(text.as_bytes(), whole.as_bytes()),
            [Part::Text(start), Part::Any] => begins(text.as_bytes(), start, same),
            [Part::Any, Part::Text(end)] => {
                let text = text.as_bytes();
                text.len() >= end.len() && same(&text[text.len() - end.len()..], end.as_bytes())
            }
            parts => glob(parts, text, same),
        }
    }
}

fn begins(text: &[u8], start: &str, same: fn(&[u8], &[u8]) -> bool) -> bool {
    text.get(..start.len()).is_some_and(|begin| same(begin, start.as_bytes()))
}

/// Each `*` is tried once at its latest place, so the work is bounded by the product of the lengths.
fn glob(parts: &[Part], text: &str, same: fn(&[u8], &[u8]) -> bool) -> bool {
    let (mut part, mut at) = (0, 0);
    // Where the last `*` stands, and from where the text behind it is tried next.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let taken = match parts.get(part) {
            Some(Part::Any) => {
                star = Some((part, at));
                part += 1;
                continue;
            }
            Some(Part::Text(plain)) => begins(rest.as_bytes(), plain, same).then_some(plain.len()),
            Some(Part::One) => rest.chars().next().map(char::len_utf8),
            None if rest.is_empty() => return true,
            None => None,
        };
        match (taken, star) {
            (Some(taken), _) => (part, at) = (part + 1, at + taken),
            (None, Some((before, tried))) => {
                let Some(next) = text.get(tried..).and_then(|rest| rest.chars().next()) else { return false };
                (part, at) = (before + 1, tried + next.len_utf8());
                star = Some((before, at));
            }
            (None, None) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Open = Open { start: false, end: false };

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::new(&SigmaString::new(pattern), WHOLE, false).fits(text)
    }

    #[test]
    fn stars_question_marks_and_case() {
        for (pattern, text, fit) in [
            ("abc", "ABC", true),
            ("abc", "abcd", false),
            ("a*", "abcd", true),
            ("*d", "abcd", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdef", false),
            ("*ab*ab", "abxab", true),
            ("*ab*ab", "xab", false),
            ("a?c", "aüc", true),
            ("a?c", "ac", false),
            ("Ü*", "übel", true),
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("cmnd/*/Power", "CMND/lamp/POWER", true),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    #[test]
    fn an_open_end_takes_what_follows() {
        let open = |start, end| Pattern::new(&SigmaString::new("mid"), Open { start, end }, true);
        assert!(open(true, true).fits("a mid b") && !open(true, true).fits("a MID b"));
        assert!(open(false, true).fits("mid b") && !open(false, true).fits("a mid"));
        assert!(open(true, false).fits("a mid") && !open(true, false).fits("mid b"));
        assert_eq!(open(false, false).only().as_deref(), Some("mid"));
        assert_eq!(open(true, false).only(), None);
    }
}
