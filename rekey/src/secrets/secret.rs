//! The one type that holds a secret.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret's bytes. They are overwritten when it is dropped, compared in constant time, and reach nothing by accident: there is no `Debug`,
/// `Display`, `Serialize` or `Clone`. What must have them says [`Secret::expose`].
///
/// ```compile_fail
/// println!("{:?}", citytap_rekey::secrets::Secret::new(vec![1]));
/// ```
/// ```compile_fail
/// println!("{}", citytap_rekey::secrets::Secret::new(vec![1]));
/// ```
/// ```compile_fail
/// let _ = citytap_rekey::secrets::Secret::new(vec![1]).clone();
/// ```
/// ```compile_fail
/// let _ = serde_json::to_string(&citytap_rekey::secrets::Secret::new(vec![1]));
/// ```
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Wraps bytes, which are not copied.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes: for the wire, for sealing, for a verifier's own file. Never for a message.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, where they are text.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether the bytes are these, in constant time for one length.
    pub fn same(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }

    /// A second one with the same bytes, on purpose.
    pub fn duplicate(&self) -> Self {
        Self::new(self.0.to_vec())
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// In constant time for secrets of one length.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_by_their_bytes() {
        let one = Secret::new(b"hunter2".to_vec());
        assert!(one == one.duplicate());
        assert!(one != Secret::new(b"hunter3".to_vec()) && one != Secret::new(b"hunter".to_vec()));
        assert_eq!((one.len(), one.is_empty(), one.expose_text()), (7, false, Some("hunter2")));
        assert_eq!(Secret::new(vec![0xff]).expose_text(), None);
    }
}
