//! A few values of a match in one piece: most matches are counted and forgotten, so each costs one allocation.

/// Texts and gaps, in an order that the reader knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Values {
    /// For each value its length in two bytes, then its bytes; [`ABSENT`] for none.
    bytes: Vec<u8>,
}

const ABSENT: u16 = u16::MAX;

/// A copy, where a table does not have it yet.
impl From<&Values> for Values {
    fn from(values: &Values) -> Self {
        values.clone()
    }
}

impl Values {
    /// With room for values of usual length.
    pub(super) fn with_room(values: usize) -> Self {
        Self { bytes: Vec::with_capacity(values * 16) }
    }

    /// Adds a value that `write` appends; nothing written is no value. What is longer than `most` bytes is cut.
    pub(super) fn push_with(&mut self, most: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&ABSENT.to_be_bytes());
        write(&mut self.bytes);
        let most = start + 2 + most.min(usize::from(ABSENT) - 1);
        if self.bytes.len() > most {
            // Back to where a character begins.
            let end = (0..=most).rev().find(|at| self.bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80)).unwrap_or(most);
            self.bytes.truncate(end);
        }
        let length = self.bytes.len() - start - 2;
        if let (1.., Some(slot), Ok(length)) = (length, self.bytes.get_mut(start..start + 2), u16::try_from(length)) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Adds a value.
    pub(super) fn push(&mut self, value: Option<&str>) {
        self.push_with(usize::MAX, |bytes| bytes.extend_from_slice(value.unwrap_or_default().as_bytes()));
    }

    /// The values in their order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk::<2>()?;
            let length = u16::from_be_bytes(*length);
            let length = if length == ABSENT { None } else { Some(usize::from(length)) };
            let (text, behind) = behind.split_at_checked(length.unwrap_or_default())?;
            rest = behind;
            Some(length.and_then(|_| std::str::from_utf8(text).ok()))
        })
    }

    /// The value at a position.
    pub fn get(&self, at: usize) -> Option<&str> {
        self.iter().nth(at).flatten()
    }

    /// The values at these positions.
    pub(super) fn select(&self, places: &[usize]) -> Self {
        let mut selected = Self::with_room(places.len());
        places.iter().for_each(|at| selected.push(self.get(*at)));
        selected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let mut values = Values::default();
        values.push(Some("10.0.0.1"));
        values.push(None);
        values.push_with(5, |bytes| bytes.extend_from_slice("abcdü".as_bytes()));
        values.push_with(9, |_| {});
        assert_eq!(values.iter().collect::<Vec<_>>(), [Some("10.0.0.1"), None, Some("abcd"), None]);
        assert_eq!(values.select(&[2, 0, 7]).iter().collect::<Vec<_>>(), [Some("abcd"), Some("10.0.0.1"), None]);
        let long = "x".repeat(1 << 17);
        values.push(Some(&long));
        assert_eq!(values.get(4).map(str::len), Some(usize::from(ABSENT) - 1));
    }
}
