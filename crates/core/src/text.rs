//! How long answers are and how many tokens that makes, for a provider counts the tokens of a stream only at its end, and
//! takes them out of its bucket long before. It refuses to know what is said.

use std::ops::AddAssign;

/// Text that was streamed, and its tokens as its provider counted them. That of several answers together tells how many
/// tokens a text of the same class of models has before anybody counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    /// Of what is in the deltas: words, thoughts, arguments of tools.
    pub bytes: u64,
    /// All output tokens; those of thoughts that are not shown are among them.
    pub tokens: u64,
}

/// When there is as much of it, in bytes or in tokens, all of it weighs half: the last hundred long answers decide.
const ENOUGH: u64 = 1 << 20;

impl Text {
    /// What is thought before any is seen: English prose and code have between three and four and a half bytes a token.
    /// It weighs as much as one short answer.
    pub const SEED: Self = Self { bytes: 4 << 10, tokens: 1 << 10 };

    /// How many tokens so many bytes have, if they are like this.
    pub fn tokens_in(self, bytes: u64) -> u64 {
        bytes.saturating_mul(self.tokens) / self.bytes.max(1)
    }

    /// Is it as much as is ever kept?
    pub(crate) const fn is_plausible(self) -> bool {
        0 < self.bytes && self.bytes < ENOUGH && self.tokens < ENOUGH
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::SEED
    }
}

impl AddAssign for Text {
    /// What is old weighs half, each time that there is enough.
    fn add_assign(&mut self, other: Self) {
        let (bytes, tokens) =
            (self.bytes.saturating_add(other.bytes), self.tokens.saturating_add(other.tokens));
        let halvings = u64::BITS - ((bytes | tokens) / ENOUGH).leading_zeros();
        *self = Self { bytes: bytes >> halvings, tokens: tokens >> halvings };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_alike_are_known_after_a_few_of_them(
            bytes in 1_000_u64..100_000,
            hundredths in 5_u64..2_000,
            sizes in proptest::collection::vec(1_u64..5, 40..200),
        ) {
            let mut known = Text::SEED;
            for size in sizes {
                let bytes = bytes * size;
                known += Text { bytes, tokens: bytes * hundredths / 100 };
            }
            let (found, exact) = (known.tokens_in(1 << 20), (1 << 20) * hundredths / 100);
            prop_assert!(found.abs_diff(exact) <= exact / 5 + 1, "{found} for {exact}");
        }

        #[test]
        fn nothing_that_a_provider_counts_is_too_much(bytes: u64, tokens: u64, asked: u64) {
            let mut known = Text::SEED;
            for _ in 0..3 {
                known += Text { bytes, tokens };
                prop_assert!(known.bytes < ENOUGH && known.tokens < ENOUGH);
                let _any = known.tokens_in(asked);
            }
        }
    }

    #[test]
    fn the_last_answers_decide() {
        let mut known = Text::SEED;
        (0..1_000).for_each(|_| known += Text { bytes: 4_000, tokens: 1_000 });
        assert_eq!(known.tokens_in(4_000), 1_000);
        // Their thoughts are not shown any more.
        (0..1_000).for_each(|_| known += Text { bytes: 4_000, tokens: 8_000 });
        assert!((7_900..=8_000).contains(&known.tokens_in(4_000)), "{known:?}");
    }
}
