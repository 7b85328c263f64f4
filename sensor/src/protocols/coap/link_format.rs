//! CoRE Link Format (RFC 6690): `</a>;rt="x";if="y";ct=40;obs,</b>`.

use smallvec::SmallVec;
use std::borrow::Cow;

/// Different resource types of one document that are told: a device has a few, and what it is shows in the first.
pub const RESOURCE_TYPES: usize = 16;

/// Longest resource type that is told, bytes: they are words, or URIs of a registry (RFC 6690 §7.4).
pub const RESOURCE_TYPE_BYTES: usize = 128;

/// One link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link<'a> {
    /// Its target, between the angle brackets.
    pub target: &'a str,
    /// What follows the target, attributes and all.
    attributes: &'a str,
}

impl<'a> Link<'a> {
    /// Its attributes: name, and value where there is one, without quotes.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches([';', ' ']);
            if rest.is_empty() {
                return None;
            }
            let (attribute, more) = rest.split_at_checked(end_of(rest, ';')).unwrap_or((rest, ""));
            rest = more;
            Some(match attribute.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                None => (attribute.trim(), None),
            })
        })
    }

    /// The value of the first attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes().find(|(found, _)| found.eq_ignore_ascii_case(name)).and_then(|(_, value)| value)
    }

    /// Whether there is an attribute of this name.
    pub fn has(&self, name: &str) -> bool {
        self.attributes().any(|(found, _)| found.eq_ignore_ascii_case(name))
    }
}

/// Position of the first `separator` outside quotes, or the end.
fn end_of(text: &str, separator: char) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == separator && !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// The links of a document, as far as they can be read: an item that is no link answers `Err` and is passed over.
pub fn links(document: &str) -> impl Iterator<Item = Result<Link<'_>, ()>> {
    let mut rest = document;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([',', ' ', '\r', '\n', '\0']);
        if rest.is_empty() {
            return None;
        }
        let Some((target, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
            rest = rest.split_at_checked(end_of(rest, ',')).unwrap_or_default().1;
            return Some(Err(()));
        };
        let (attributes, more) = after.split_at_checked(end_of(after, ',')).unwrap_or((after, ""));
        rest = more;
        Some(Ok(Link { target, attributes }))
    })
}

/// The different resource types (`rt`, RFC 6690 §3.1: words separated by spaces) of the resources that the author of a document has itself, the
/// first [`RESOURCE_TYPES`] of them: a whole URI is a resource of another server.
pub fn resource_types(document: &str) -> SmallVec<[&str; RESOURCE_TYPES]> {
    let own = links(document).flatten().filter(|link| !link.target.contains("://"));
    let types = own.filter_map(|link| link.attribute("rt")).flat_map(str::split_ascii_whitespace);
    let mut found = SmallVec::new();
    for resource_type in types.filter(|text| text.len() <= RESOURCE_TYPE_BYTES) {
        if found.len() >= RESOURCE_TYPES {
            break;
        }
        if !found.contains(&resource_type) {
            found.push(resource_type);
        }
    }
    found
}

/// A document as text; bytes that are no UTF-8 are replaced.
pub fn text(payload: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        // RFC 6690 §5.
        let document = "</sensors>;ct=40;title=\"Sensor Index\",</sensors/temp>;rt=\"temperature-c\";if=\"sensor\";obs";
        let all: Vec<_> = links(document).map(Result::unwrap).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].target, all[0].attribute("title")), ("/sensors", Some("Sensor Index")));
        assert_eq!((all[1].attribute("rt"), all[1].has("obs"), all[1].has("ct")), (Some("temperature-c"), true, false));
    }

    #[test]
    fn separators_within_quotes() {
        let all: Vec<_> = links("</a>;title=\"x,y;\\\"z\";ct=0,</b>").map(Result::unwrap).collect();
        assert_eq!((all.len(), all[0].attribute("ct"), all[1].target), (2, Some("0"), "/b"));
    }

    #[test]
    fn resource_types_are_told_once_and_bounded() {
        let types =
            resource_types("</a>;rt=\"temperature-c  core.s\",</b>;rt=core.s,</c>;ct=0,<coap://h/d>;rt=\"light\",</e>;rt=\"\"");
        assert_eq!(types.as_slice(), ["temperature-c", "core.s"]);
        let long = "x".repeat(RESOURCE_TYPE_BYTES);
        assert_eq!(resource_types(&format!("</a>;rt={long}y,</b>;rt={long}")).as_slice(), [long.as_str()]);
        let many: Vec<String> = (0..100).map(|at| format!("</{at}>;rt=t{at}")).collect();
        assert_eq!(resource_types(&many.join(",")).len(), RESOURCE_TYPES);
    }

    #[test]
    fn what_is_no_link_is_passed_over() {
        let all: Vec<_> = links("garbage,</a>,</unfinished").collect();
        assert_eq!(all.len(), 3);
        assert!(all[0].is_err() && all[1].is_ok() && all[2].is_err());
        assert_eq!(links("").count() + links(", ,").count(), 0);
    }
}
