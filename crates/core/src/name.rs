//! A text that is most often short, and is then copied without asking for memory: each call has several copies of the
//! name of its class. It refuses to know what is named.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// So many bytes are kept where the name is. Names of models have some twenty; those of clouds, with a region and a
/// version, up to forty-five.
const SHORT: usize = 46;

/// A text.
#[derive(Clone)]
pub(crate) enum Name {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl Name {
    pub(crate) fn of(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(start), Ok(length)) => {
                start.copy_from_slice(text.as_bytes());
                Self::Short { length, bytes }
            }
            _ => Self::Long(text.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Short { .. } => str::from_utf8(self.bytes()).expect("it was made of a text"),
            Self::Long(text) => text,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(text) => text.as_bytes(),
        }
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::of("")
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Texts are in the order of their bytes.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_is_its_text(one in "\\PC{0,60}", other in "\\PC{0,60}") {
            let (name, another) = (Name::of(&one), Name::of(&other));
            prop_assert_eq!(name.as_str(), &one);
            prop_assert_eq!(name.cmp(&another), one.cmp(&other));
            prop_assert_eq!(name.partial_cmp(&another), one.partial_cmp(&other));
            prop_assert_eq!(hash(&name), hash(&one));
            prop_assert_eq!(name == another, one == other);
            prop_assert_eq!(format!("{name:?}"), format!("{one:?}"));
        }
    }

    fn hash(thing: &impl Hash) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        thing.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn the_names_of_models_are_short() {
        for model in
            ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-3.7-sonnet:thinking", ""]
        {
            assert!(matches!(Name::of(model), Name::Short { .. }), "{model}");
        }
        assert!(matches!(Name::of(&"x".repeat(SHORT + 1)), Name::Long(_)));
        assert_eq!(size_of::<Name>(), SHORT + 2);
    }
}
