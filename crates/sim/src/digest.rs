//! Turns bytes into a 128-bit digest, and a digest into ids and dice.
//!
//! It knows how to mix; it refuses to be cryptography. Nobody attacks a simulator: what is
//! needed is that equal bytes give equal answers and that different ones practically never do.

/// Odd constants with evenly spread bits (golden ratio, and the primes of the xxHash family).
const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xc2b2_ae3d_27d4_eb4f;
const THIRD: u64 = 0x1656_67b1_9e37_79f9;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The running digest of a sequence of byte strings. Where one ends and the next begins counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Digest {
    left: u64,
    right: u64,
}

/// A small deterministic sequence of choices, seeded by a [`Digest`].
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Digest {
    /// An empty digest. Different seeds give unrelated digests of the same bytes.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { left: fold(seed ^ FIRST, SECOND), right: fold(seed ^ SECOND, THIRD) }
    }

    /// Adds one byte string.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.mix(bytes.len() as u64, THIRD);
        let (whole, rest) = bytes.as_chunks::<16>();
        for chunk in whole {
            self.mix_chunk(*chunk);
        }
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            self.mix_chunk(last);
        }
    }

    /// The same, as an expression.
    #[must_use]
    pub(crate) fn with(mut self, bytes: &[u8]) -> Self {
        self.add(bytes);
        self
    }

    /// The digest as a number.
    pub(crate) fn value(self) -> u128 {
        let left = fold(self.left ^ FIRST, self.right ^ THIRD);
        let right = fold(self.right ^ SECOND, self.left ^ FIRST);
        (u128::from(left) << 64) | u128::from(right)
    }

    /// Half of [`Digest::value`], where 64 bits are enough.
    pub(crate) fn short(self) -> u64 {
        fold(self.left ^ FIRST, self.right ^ SECOND)
    }

    /// An id in the shape of the provider's: a prefix, `01`, and 22 letters and digits.
    pub(crate) fn id(self, prefix: &str) -> String {
        let mut id = format!("{prefix}01");
        let mut rest = self.value();
        for _ in 0..22 {
            let digit = usize::try_from(rest % 62).expect("a remainder of 62 fits");
            id.push(char::from(BASE62[digit]));
            rest /= 62;
        }
        id
    }

    pub(crate) fn dice(self) -> Dice {
        Dice(self.short())
    }

    fn mix_chunk(&mut self, chunk: [u8; 16]) {
        let number = u128::from_le_bytes(chunk);
        self.mix(low(number), low(number >> 64));
    }

    fn mix(&mut self, one: u64, two: u64) {
        let left = fold(self.left ^ one ^ FIRST, two ^ SECOND);
        let right = fold(self.right ^ two ^ THIRD, one ^ FIRST);
        self.left = left.wrapping_add(self.right.rotate_left(23));
        self.right = right ^ self.left.rotate_left(41);
    }
}

impl Dice {
    /// The next number, anywhere in 64 bits.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(FIRST);
        fold(self.0 ^ SECOND, self.0.rotate_left(32) ^ THIRD)
    }

    /// The next number below `sides`, which must not be 0.
    pub(crate) fn below(&mut self, sides: usize) -> usize {
        let sides = sides as u64;
        usize::try_from(self.roll() % sides).expect("a remainder of a `usize` fits")
    }
}

fn fold(one: u64, two: u64) -> u64 {
    let wide = u128::from(one) * u128::from(two);
    low(wide) ^ low(wide >> 64)
}

fn low(number: u128) -> u64 {
    u64::try_from(number & u128::from(u64::MAX)).expect("the upper half is masked out")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Digest;

    #[test]
    fn where_one_string_ends_counts() {
        let joined = Digest::seeded(1).with(b"abc");
        let split = Digest::seeded(1).with(b"ab").with(b"c");
        assert_ne!(joined.value(), split.value());
        assert_ne!(joined.value(), Digest::seeded(1).with(b"abc\0").value());
    }

    #[test]
    fn one_changed_byte_anywhere_changes_the_digest() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut seen = HashSet::from([Digest::seeded(7).with(&bytes).value()]);
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(seen.insert(Digest::seeded(7).with(&changed).value()), "byte {place}");
        }
        assert!(seen.insert(Digest::seeded(8).with(&bytes).value()));
    }

    #[test]
    fn ids_have_the_shape_of_the_provider() {
        let digest = Digest::seeded(1).with(b"a request");
        let id = digest.id("msg_");
        assert_eq!(id.len(), "msg_01".len() + 22);
        assert!(id.starts_with("msg_01") && id.bytes().skip(4).all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn dice_stay_below_their_sides_and_repeat_with_their_seed() {
        let rolls = |seed| {
            let mut dice = Digest::seeded(seed).dice();
            (0..200).map(|_| dice.below(7)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(3), rolls(3));
        assert_ne!(rolls(3), rolls(4));
        for side in 0..7 {
            assert!(rolls(3).contains(&side), "side {side} never came");
        }
    }
}
