//! The characters of a key. It can be used and compared; it cannot be printed.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A secret. `Debug` prints nothing of it; [`Secret::expose`] is the one way to its characters,
/// so that every use can be found by searching for the word.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Keeps `characters` from here on.
    pub fn new(characters: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(characters.into())))
    }

    /// The characters themselves.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is it this? Every byte is compared, however early the two differ, so that the time taken says nothing but
    /// the length.
    pub fn is(&self, characters: &str) -> bool {
        let (left, right) = (self.0.as_bytes(), characters.as_bytes());
        let differing = left.iter().zip(right).fold(0, |seen, (a, b)| seen | (a ^ b));
        left.len() == right.len() && std::hint::black_box(differing) == 0
    }

    /// What operators see instead of it: the eight hexadecimal digits of [`relay_core::fleet::label`].
    pub fn label(&self) -> String {
        relay_core::fleet::label(self.0.as_bytes())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.expose())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("sk-ant-hidden");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(..) Some(Secret(..))");
    }

    #[test]
    fn secrets_are_equal_when_all_their_bytes_are() {
        assert_eq!(Secret::new("abc"), Secret::new("abc"));
        assert_ne!(Secret::new("abc"), Secret::new("abd"));
        assert_ne!(Secret::new("abc"), Secret::new("abcd"));
        assert_ne!(Secret::new("abc"), Secret::new(""));
    }
}
