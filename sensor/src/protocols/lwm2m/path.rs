//! Paths of the LwM2M data model: object, object instance, resource, resource instance (LwM2M Core 1.1 §7.2).

use crate::observation::{FieldType, FieldValue, Value};
use serde::{Serialize, Serializer};

/// A path of up to four numbers. A relative one begins at the resource: the object is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    ids: [u16; 4],
    length: u8,
    relative: bool,
}

impl Path {
    /// The path of everything: `/`.
    pub const ROOT: Path = Path { ids: [0; 4], length: 0, relative: false };

    /// A path whose beginning is not known.
    pub const UNKNOWN: Path = Path { ids: [0; 4], length: 0, relative: true };

    /// Reads `/3/0/1`. `None` where a segment is no plain decimal number up to 65,535 or there are more than four.
    pub fn parse(text: &str) -> Option<Self> {
        let mut path = Path::ROOT;
        for segment in text.strip_prefix('/')?.split('/') {
            if segment.is_empty() && text == "/" {
                break;
            }
            let plain = segment.bytes().all(|byte| byte.is_ascii_digit()) && (segment == "0" || !segment.starts_with('0'));
            path = path.child(if plain { segment.parse().ok()? } else { return None })?;
        }
        Some(path)
    }

    /// The path one level below.
    pub fn child(self, id: u16) -> Option<Self> {
        let mut path = self;
        *path.ids.get_mut(usize::from(path.length))? = id;
        path.length += 1;
        Some(path)
    }

    /// The first `levels` levels; missing ones are 0, as single instances are numbered.
    pub fn to_level(self, levels: u8) -> Self {
        let mut path = self;
        for (at, id) in path.ids.iter_mut().enumerate() {
            if at >= usize::from(levels) {
                *id = 0;
            }
        }
        path.length = levels.min(4);
        path
    }

    /// Numbers in it.
    pub fn levels(self) -> u8 {
        self.length
    }

    /// Whether it begins at the resource.
    pub fn is_relative(self) -> bool {
        self.relative
    }

    fn at(self, level: u8) -> Option<u16> {
        self.ids.get(usize::from(level)).copied().filter(|_| level < self.length)
    }

    /// Object, where it is known.
    pub fn object(self) -> Option<u16> {
        if self.relative { None } else { self.at(0) }
    }

    /// Object instance.
    pub fn instance(self) -> Option<u16> {
        if self.relative { None } else { self.at(1) }
    }

    /// Resource.
    pub fn resource(self) -> Option<u16> {
        self.at(if self.relative { 0 } else { 2 })
    }

    /// As text, without allocation.
    pub fn text(self) -> PathText {
        let mut text = PathText { bytes: [0; 24], length: 0 };
        for (at, &id) in self.ids.iter().take(usize::from(self.length)).enumerate() {
            if at > 0 || !self.relative {
                text.push(b'/');
            }
            text.push_number(id);
        }
        if self.length == 0 && !self.relative {
            text.push(b'/');
        }
        text
    }
}

/// A path as text: at most four numbers of five digits with their slashes.
#[derive(Clone, Copy)]
pub struct PathText {
    bytes: [u8; 24],
    length: usize,
}

impl PathText {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
    }

    fn push_number(&mut self, number: u16) {
        let mut divisor = 10_000;
        let mut begun = false;
        while divisor > 0 {
            let digit = number / divisor % 10;
            begun |= digit > 0 || divisor == 1;
            if begun {
                self.push(b'0' + digit as u8);
            }
            divisor /= 10;
        }
    }
}

impl Serialize for PathText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl FieldValue for PathText {
    const TYPE: FieldType = FieldType::Text;
    fn value(&self) -> Value<'_> {
        Value::Text(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for text in ["/", "/3", "/3/0", "/3303/0/5700", "/65535/65534/10000/0"] {
            assert_eq!(Path::parse(text).unwrap().text().as_str(), text);
        }
        for text in ["", "3", "/a", "/3/", "/03", "/65536", "/1/2/3/4/5", "/3//1", "/+3"] {
            assert_eq!(Path::parse(text), None, "{text}");
        }
        let relative = Path::UNKNOWN.child(5700).unwrap();
        assert_eq!((relative.text().as_str(), relative.object(), relative.resource()), ("5700", None, Some(5700)));
        assert_eq!(Path::parse("/3303").unwrap().to_level(2).text().as_str(), "/3303/0");
    }
}
