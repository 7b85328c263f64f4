//! What the Sigma parser says is wrong, in plain words, with where it is: the parser tells few places, and has names of its own for things.

use super::compile;
use super::yaml::Document;
use crate::nearest::nearest;

/// The place that the parser tells in its words, `at line 7 column 5`.
pub(super) fn told_place(error: &str) -> Option<(usize, usize)> {
    let (line, column) = error.rsplit_once(" at line ")?.1.split_once(" column ")?;
    let column = column.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The words of Sigma for how a value is compared.
const MODIFIERS: [&str; 26] = [
    "all",
    "base64",
    "base64offset",
    "cased",
    "cidr",
    "contains",
    "endswith",
    "exists",
    "fieldref",
    "gt",
    "gte",
    "i",
    "ignorecase",
    "lt",
    "lte",
    "m",
    "multiline",
    "neq",
    "re",
    "s",
    "startswith",
    "utf16",
    "utf16be",
    "utf16le",
    "wide",
    "windash",
];

/// The words of Sigma for what a correlation counts.
const CORRELATIONS: [&str; 8] =
    ["event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile", "value_median"];

/// An error of the parser, with the path of where it is.
pub(super) fn flaw(error: &str, document: &Document<'_>) -> compile::Wrong {
    let quoted = |text: &str| Some(text.split_once('\'')?.1.split_once('\'')?.0.to_owned());
    let meant = |word: &str, known: &[&'static str]| {
        nearest(word, known.iter().copied()).map_or_else(String::new, |near| format!(". Did you mean {near}?"))
    };
    if let Some(word) = error.split_once("Unknown modifier").and_then(|(_, rest)| quoted(rest)) {
        let path = document.path(|path| path.split('|').skip(1).any(|modifier| modifier == word));
        return (path.unwrap_or("detection").to_owned(), format!("there is no modifier {word}{}", meant(&word, &MODIFIERS)));
    }
    if let Some((_, word)) = error.split_once("Unknown correlation type: ") {
        return ("correlation/type".into(), format!("there is no correlation of type {word}{}", meant(word, &CORRELATIONS)));
    }
    if let Some(field) = error.split_once("Missing required field").and_then(|(_, rest)| quoted(rest))
        && document.keys("").any(|key| key == field)
    {
        return (field.clone(), format!("{field} is no text"));
    }
    if let Some((_, rest)) = error.split_once("Condition parse error at 1:") {
        let at: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let expected = rest.rsplit_once("= ").map_or("something else", |(_, expected)| expected.trim());
        let expected = expected.replace("expr", "the name of a part, or a bracket with such");
        return ("detection/condition".into(), format!("the condition cannot be read from its character {at} on: {expected}"));
    }
    (path_of(error).to_owned(), plain(error))
}

/// The parser's words, without its own names for things.
pub(super) fn plain(error: &str) -> String {
    let text = error.strip_prefix("YAML parse error: ").unwrap_or(error);
    text.strip_prefix("Invalid rule: ").unwrap_or(text).to_owned()
}

/// What an error of the parser is about.
fn path_of(error: &str) -> &'static str {
    let table: [(&str, &'static str); 8] = [
        ("Missing required field 'condition'", "detection"),
        ("condition", "detection/condition"),
        ("timespan", "correlation/timespan"),
        ("correlation", "correlation"),
        ("status", "status"),
        ("level", "level"),
        ("logsource", "logsource"),
        ("modifier", "detection"),
    ];
    let error = error.to_lowercase();
    table.iter().find(|(word, _)| error.contains(&word.to_lowercase())).map_or("", |(_, path)| path)
}
