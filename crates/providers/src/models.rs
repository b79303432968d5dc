//! What a provider calls the models that clients ask for.

use std::borrow::Cow;

/// The ending by which Claude Code means a model with a window of a million tokens. It is of the client, not of the model:
/// most providers know no model of that name.
const LONG: &str = "[1m]";

/// Names asked for, and names sent instead. A `*` in a name asked for stands for any letters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Models(Vec<(String, String)>);

impl Models {
    /// In the order of the configuration.
    pub const fn new(mapping: Vec<(String, String)>) -> Self {
        Self(mapping)
    }

    /// Is every model called what it is asked by?
    pub const fn is_plain(&self) -> bool {
        self.0.is_empty()
    }

    /// What is sent for a model: what its very name is mapped to; else what the pattern with most letters of its own is,
    /// the first of several; else its name. `[1m]` at the end of a name does not count, unless it is mapped with it, and is
    /// sent only to whom it means something.
    pub fn sent<'a>(&'a self, asked: &'a str, knows_long: bool) -> Cow<'a, str> {
        if let Some(sent) = self.exactly(asked) {
            return Cow::Borrowed(sent);
        }
        let Some(plain) = asked.strip_suffix(LONG) else {
            return Cow::Borrowed(self.like(asked).unwrap_or(asked));
        };
        let sent = self.exactly(plain).or_else(|| self.like(plain)).unwrap_or(plain);
        if !knows_long || sent.ends_with(LONG) {
            return Cow::Borrowed(sent);
        }
        if sent == plain { Cow::Borrowed(asked) } else { Cow::Owned([sent, LONG].concat()) }
    }

    fn exactly(&self, asked: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == asked).map(|(_, sent)| sent.as_str())
    }

    fn like(&self, asked: &str) -> Option<&str> {
        let own = |pattern: &str| pattern.len() - pattern.matches('*').count();
        let fits = self.0.iter().filter(|(pattern, _)| pattern.contains('*') && is_like(asked, pattern));
        // Of several that are as long, `max_by_key` would take the last.
        let best = fits.rev().max_by_key(|(pattern, _)| own(pattern));
        best.map(|(_, sent)| sent.as_str())
    }
}

/// Does a text fit a pattern?
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn models(mapping: &[(&str, &str)]) -> Models {
        Models::new(mapping.iter().map(|(asked, sent)| ((*asked).to_owned(), (*sent).to_owned())).collect())
    }

    #[test]
    fn the_very_name_comes_before_patterns_and_longer_patterns_before_shorter_ones() {
        let models = models(&[
            ("*", "any"),
            ("claude-*", "claude"),
            ("claude-haiku-*", "haiku"),
            ("claude-*-4-5", "four-five"),
            ("claude-haiku-4-5", "the-one"),
            ("*-5", "five"),
            ("*-6", "six"),
        ]);
        for (asked, sent) in [
            ("claude-haiku-4-5", "the-one"),
            ("claude-haiku-5-5", "haiku"),
            ("claude-opus-4-5", "four-five"),
            ("claude-opus-5-5", "claude"),
            ("glm-5", "five"),
            ("glm-6", "six"),
            ("glm", "any"),
            ("", "any"),
        ] {
            assert_eq!(models.sent(asked, false), sent, "{asked}");
        }
        assert_eq!(super::tests::models(&[("a*", "one"), ("a*", "two")]).sent("ab", false), "one");
        assert_eq!(Models::default().sent("claude-opus-5-5", false), "claude-opus-5-5");
    }

    #[test]
    fn the_ending_of_the_long_window_is_no_part_of_a_name() {
        let models =
            models(&[("claude-opus-5-5", "glm-5.3"), ("claude-haiku-*", "glm-4.5-air[1m]"), ("x[1m]", "y")]);
        for (asked, known, unknown) in [
            ("claude-opus-5-5[1m]", "glm-5.3[1m]", "glm-5.3"),
            ("claude-haiku-5-5[1m]", "glm-4.5-air[1m]", "glm-4.5-air[1m]"),
            ("x[1m]", "y", "y"),
            ("x", "x", "x"),
            ("other[1m]", "other[1m]", "other"),
        ] {
            assert_eq!(models.sent(asked, true), known, "{asked}");
            assert_eq!(models.sent(asked, false), unknown, "{asked}");
        }
    }

    /// Letter by letter, as anybody would write it who does not mind how long it takes.
    fn is_like_slowly(text: &[u8], pattern: &[u8]) -> bool {
        match (text, pattern) {
            ([], []) => true,
            (_, [b'*', rest @ ..]) => (0..=text.len()).any(|at| is_like_slowly(&text[at..], rest)),
            ([one, text @ ..], [other, pattern @ ..]) => one == other && is_like_slowly(text, pattern),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_fits_what_it_says(text in "[ab]{0,8}", pattern in "[ab*]{0,6}") {
            prop_assert_eq!(is_like(&text, &pattern), is_like_slowly(text.as_bytes(), pattern.as_bytes()));
        }
    }
}
