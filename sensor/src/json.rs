//! JSON in one borrowed pass, without a tree: the caller walks members and items and takes the scalars it knows; what it does not take is stepped over.
//!
//! It reads what devices send, which is not always RFC 8259: numbers and booleans inside strings, `,]`, control characters in strings, and text
//! after the value are let pass; keys are compared as they stand on the wire (escapes in keys are not resolved). Text that ends early or
//! breaks the grammar stops the walk: what was read stands and [`Json::broken`] says where.

use crate::reader::Reader;
use std::borrow::Cow;

/// A walk over one JSON text.
pub struct Json<'a> {
    reader: Reader<'a>,
    broken: Option<usize>,
}

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    Text,
    /// A number, `true`, `false`, `null`.
    Literal,
    /// Nothing that begins a value, or the end.
    Nothing,
}

/// A scalar as it stands on the wire.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'a> {
    /// `null`.
    Null,
    /// An object, an array or a word that JSON does not know.
    Other,
    /// `true` or `false`.
    Bool(bool),
    /// A number's characters.
    Number(&'a [u8]),
    /// A string's bytes between the quotes, and whether there are escapes among them.
    Text(&'a [u8], bool),
}

impl<'a> Json<'a> {
    /// Starts at the first of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), broken: None }
    }

    /// Offset at which the grammar broke, if it did.
    pub fn broken(&self) -> Option<usize> {
        self.broken
    }

    /// Bytes read so far.
    pub fn offset(&self) -> usize {
        self.reader.offset()
    }

    /// What follows the value that was read.
    pub fn rest(&self) -> &'a [u8] {
        self.reader.peek_rest()
    }

    /// What kind of value comes next.
    #[inline]
    pub fn kind(&mut self) -> Kind {
        match self.next_byte() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::Text,
            Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => Kind::Literal,
            _ => Kind::Nothing,
        }
    }

    /// Walks an object: `each` gets every key and may take its value; a value left alone is stepped over. Answers whether it was an object.
    #[inline]
    pub fn members(&mut self, mut each: impl FnMut(&'a [u8], &mut Self)) -> bool {
        if self.kind() != Kind::Object {
            self.skip();
            return false;
        }
        self.step();
        while self.broken.is_none() {
            match self.next_byte() {
                Some(b'}') => {
                    self.step();
                    return true;
                }
                Some(b',') => self.step(),
                Some(b'"') => {
                    let Some((key, _)) = self.string() else { break };
                    if self.next_byte() != Some(b':') {
                        self.fail();
                        break;
                    }
                    self.step();
                    let _ = self.next_byte();
                    self.value(|json| each(key, json));
                }
                _ => self.fail(),
            }
        }
        true
    }

    /// Walks an array: `each` gets every item and may take it; an item left alone is stepped over. Answers whether it was an array.
    #[inline]
    pub fn items(&mut self, mut each: impl FnMut(&mut Self)) -> bool {
        if self.kind() != Kind::Array {
            self.skip();
            return false;
        }
        self.step();
        while self.broken.is_none() {
            match self.next_byte() {
                Some(b']') => {
                    self.step();
                    return true;
                }
                Some(b',') => self.step(),
                Some(_) => self.value(&mut each),
                None => self.fail(),
            }
        }
        true
    }

    /// Takes the next value if it is a scalar; others are stepped over.
    #[inline]
    pub fn scalar(&mut self) -> Scalar<'a> {
        match self.kind() {
            Kind::Text => self.string().map_or(Scalar::Other, |(raw, escaped)| Scalar::Text(raw, escaped)),
            Kind::Literal => self.literal(),
            _ => {
                self.skip();
                Scalar::Other
            }
        }
    }

    /// The bytes of the next value as they stand, whatever it is.
    pub fn raw(&mut self) -> &'a [u8] {
        let before = self.reader;
        self.skip();
        let mut whole = before;
        whole.take_up_to(self.reader.offset() - before.offset())
    }

    /// Steps over the next value. Iterative, so that nesting costs no stack.
    pub fn skip(&mut self) {
        let mut depth = 0_u32;
        loop {
            match self.next_byte() {
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.step();
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.step();
                }
                Some(b',' | b':') if depth > 0 => {
                    self.step();
                    continue;
                }
                Some(b'"') => {
                    if self.string().is_none() {
                        return;
                    }
                }
                _ => {
                    self.literal();
                }
            }
            if depth == 0 || self.broken.is_some() {
                return;
            }
        }
    }

    #[inline]
    fn value(&mut self, each: impl FnOnce(&mut Self)) {
        let before = self.reader.offset();
        each(self);
        if self.broken.is_none() && self.reader.offset() == before {
            self.skip();
        }
    }

    /// The next byte that is no white space, not taken.
    #[inline]
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            match self.reader.peek_u8() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.step(),
                next => return next,
            }
        }
    }

    #[inline]
    fn step(&mut self) {
        self.reader.take_up_to(1);
    }

    fn fail(&mut self) {
        self.broken.get_or_insert(self.reader.offset());
    }

    fn literal(&mut self) -> Scalar<'a> {
        let rest = self.reader.peek_rest();
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'a'..=b'z' | b'A'..=b'Z'))
            .unwrap_or(rest.len());
        match self.reader.take_up_to(length) {
            [] => {
                self.fail();
                Scalar::Other
            }
            b"true" => Scalar::Bool(true),
            b"false" => Scalar::Bool(false),
            b"null" => Scalar::Null,
            number @ [b'0'..=b'9' | b'-' | b'+' | b'.', ..] => Scalar::Number(number),
            _ => Scalar::Other,
        }
    }

    /// The bytes between the quotes, and whether there are escapes among them.
    #[inline]
    fn string(&mut self) -> Option<(&'a [u8], bool)> {
        self.step();
        let start = self.reader;
        let mut escaped = false;
        loop {
            let rest = self.reader.peek_rest();
            let Some(at) = find_quote(rest) else {
                self.fail();
                return None;
            };
            self.reader.take_up_to(at);
            if self.reader.peek_u8() == Some(b'"') {
                let mut text = start;
                let text = text.take_up_to(self.reader.offset() - start.offset());
                self.step();
                return Some((text, escaped));
            }
            escaped = true;
            self.reader.take_up_to(2);
        }
    }
}

impl<'a> Scalar<'a> {
    /// A whole number, also from inside a string.
    #[inline]
    pub fn u64(self) -> Option<u64> {
        let digits = self.digits()?;
        if let [b'0'..=b'9', ..] = digits
            && digits.len() <= 19
            && digits.iter().all(u8::is_ascii_digit)
        {
            return Some(digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')));
        }
        // Numbers such as `1e3` and `12.0` are whole too.
        let value = self.f64()?;
        (value >= 0.0 && value.fract() == 0.0 && value < 18_446_744_073_709_551_615.0).then_some(value as u64)
    }

    /// A whole number of a smaller type, also from inside a string; `None` where it does not fit.
    #[inline]
    pub fn unsigned<T: TryFrom<u64>>(self) -> Option<T> {
        T::try_from(self.u64()?).ok()
    }

    /// A whole number with a sign, also from inside a string.
    pub fn i64(self) -> Option<i64> {
        match self.digits()? {
            [b'-', digits @ ..] => Scalar::Number(digits).u64().and_then(|value| 0_i64.checked_sub_unsigned(value)),
            _ => self.u64().and_then(|value| i64::try_from(value).ok()),
        }
    }

    /// A number, also from inside a string.
    #[inline]
    pub fn f64(self) -> Option<f64> {
        let text = std::str::from_utf8(self.digits()?).ok()?;
        text.parse::<f64>().ok().filter(|value| value.is_finite())
    }

    /// A number with a fraction, in units of `10^-places`: `868.1` with six places is 868,100,000. Further places are cut off.
    #[inline]
    pub fn scaled(self, places: u32) -> Option<i64> {
        let (negative, digits) = match self.digits()? {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let mut value = 0_i64;
        let mut fraction = None;
        for byte in digits {
            match (byte, fraction) {
                (b'.', None) => fraction = Some(0),
                (b'0'..=b'9', Some(seen)) if seen >= places => {}
                (b'0'..=b'9', _) => {
                    value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                    fraction = fraction.map(|seen| seen + 1);
                }
                _ => return self.f64().map(|value| (value * 10_f64.powi(places as i32)) as i64),
            }
        }
        for _ in fraction.unwrap_or(0)..places {
            value = value.checked_mul(10)?;
        }
        Some(if negative { -value } else { value })
    }

    /// A boolean, also as `"true"`, `1` or `"1"`.
    pub fn bool(self) -> Option<bool> {
        match self {
            Scalar::Bool(value) => Some(value),
            Scalar::Number(b"1") | Scalar::Text(b"true" | b"True" | b"TRUE" | b"1", _) => Some(true),
            Scalar::Number(b"0") | Scalar::Text(b"false" | b"False" | b"FALSE" | b"0", _) => Some(false),
            _ => None,
        }
    }

    /// Text; a number as it is written.
    #[inline]
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Scalar::Number(raw) | Scalar::Text(raw, false) => Some(match std::str::from_utf8(raw) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(raw),
            }),
            Scalar::Text(raw, true) => Some(Cow::Owned(unescape(raw))),
            _ => None,
        }
    }

    /// Text that is borrowed as it stands: for codes and identifiers, in which escapes have no place. Escaped text answers `None`.
    #[inline]
    pub fn plain(self) -> Option<&'a str> {
        match self {
            Scalar::Number(raw) | Scalar::Text(raw, false) => std::str::from_utf8(raw).ok(),
            _ => None,
        }
    }

    /// The bytes of text, escapes resolved.
    #[inline]
    pub fn bytes(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Scalar::Text(raw, false) => Some(Cow::Borrowed(raw)),
            Scalar::Text(raw, true) => Some(Cow::Owned(unescape(raw).into_bytes())),
            _ => None,
        }
    }

    /// Whether it is a number or boolean written as text.
    pub fn is_text(self) -> bool {
        matches!(self, Scalar::Text(..))
    }

    fn digits(self) -> Option<&'a [u8]> {
        match self {
            Scalar::Number(raw) | Scalar::Text(raw, false) => Some(raw),
            _ => None,
        }
    }
}

/// Where the next quote or backslash is. Keys and most values are short: a plain loop is through before a vector search has begun.
#[inline]
fn find_quote(rest: &[u8]) -> Option<usize> {
    let is_wanted = |byte: &u8| matches!(byte, b'"' | b'\\');
    match rest.iter().take(SHORT).position(is_wanted) {
        Some(at) => Some(at),
        None => memchr::memchr2(b'"', b'\\', rest.get(SHORT..)?).map(|at| at + SHORT),
    }
}

/// Length up to which strings are searched byte by byte.
const SHORT: usize = 16;

/// Resolves the escapes of RFC 8259 §7; what is not valid becomes U+FFFD.
fn unescape(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut reader = Reader::new(raw);
    while let Some(byte) = reader.u8() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match reader.u8() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'u') => {
                let mut buffer = [0; 4];
                let point = code_point(&mut reader).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(point.encode_utf8(&mut buffer).as_bytes());
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn code_point(reader: &mut Reader<'_>) -> Option<char> {
    let high = four_hex_digits(reader)?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high);
    }
    let mut ahead = *reader;
    if ahead.take(2)? != b"\\u" {
        return None;
    }
    let low = four_hex_digits(&mut ahead).filter(|low| (0xdc00..0xe000).contains(low))?;
    *reader = ahead;
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

fn four_hex_digits(reader: &mut Reader<'_>) -> Option<u32> {
    let digits = std::str::from_utf8(reader.peek(4)?).ok()?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    reader.skip(4)?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Scalar<'_> {
        Json::new(text.as_bytes()).scalar()
    }

    #[test]
    fn takes_what_it_knows_and_steps_over_the_rest() {
        let text = br#" {"a": 1, "skip": {"x":[1,{"y":"}\""}]}, "b":[2, "3",], "c" : "x\u00e9\/\ud83d\ude00"} trailing"#;
        let (mut a, mut b, mut c) = (None, Vec::new(), None);
        let mut json = Json::new(text);
        assert!(json.members(|key, json| match key {
            b"a" => a = json.scalar().u64(),
            b"b" => drop(json.items(|json| b.extend(json.scalar().u64()))),
            b"c" => c = json.scalar().text().map(Cow::into_owned),
            _ => {}
        }));
        assert_eq!((a, b, c.as_deref()), (Some(1), vec![2, 3], Some("xé/😀")));
        assert_eq!((json.broken(), json.rest()), (None, &b" trailing"[..]));
    }

    #[test]
    fn numbers_in_every_dress() {
        assert_eq!(one("868.1").scaled(6), Some(868_100_000));
        assert_eq!(one("-9.25").scaled(1), Some(-92));
        assert_eq!(one("8.681e2").scaled(6), Some(868_100_000));
        assert_eq!(one("99999999999999999999.5").scaled(6), None);
        assert_eq!((one("1e3").u64(), one("-1").u64(), one("1.5").u64()), (Some(1000), None, None));
        assert_eq!(
            (one("18446744073709551616").u64(), one("9999999999999999999").u64()),
            (None, Some(9_999_999_999_999_999_999))
        );
        assert_eq!((one("-7").i64(), one("\"12\"").u64(), one("1e999").f64()), (Some(-7), Some(12), None));
        assert_eq!((one("\"true\"").bool(), one("0").bool(), one("null").bool()), (Some(true), Some(false), None));
        assert_eq!(one("300").unsigned::<u8>(), None);
    }

    #[test]
    fn a_cut_text_keeps_what_was_read() {
        let whole = br#"{"a":1,"b":[{"c":"d\"e"}],"f":true}"#;
        for length in 0..whole.len() {
            let mut a = None;
            let mut json = Json::new(&whole[..length]);
            json.members(|key, json| {
                if key == b"a" {
                    a = json.scalar().u64();
                }
            });
            assert!(json.broken().is_some(), "{length}");
            assert_eq!(a.is_some(), length > 5, "{length}");
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = "[".repeat(200_000);
        let mut json = Json::new(deep.as_bytes());
        json.skip();
        assert!(json.broken().is_some());
        let mut json = Json::new(b"[[[1],{}],2]x");
        assert_eq!(json.raw(), b"[[[1],{}],2]");
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let mut json = Json::new(&bytes);
            json.members(|_, json| {
                json.items(|json| {
                    json.scalar().scaled(6);
                });
                json.scalar().text();
            });
            let mut json = Json::new(&bytes);
            json.skip();
            let _ = unescape(&bytes);
        }
    }
}
