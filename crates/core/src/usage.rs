//! Tokens, as a provider counts them. It knows the four kinds, which never overlap, and how long those live that were
//! cached.

use std::ops::{Add, AddAssign};

/// What one call used, in tokens. The four kinds never overlap: the whole prompt is
/// `input + cache_write + cache_read`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Usage {
    /// `input_tokens`: prompt tokens neither written to nor read from the cache.
    pub input: u64,
    /// `output_tokens`.
    pub output: u64,
    /// `cache_creation_input_tokens`.
    pub cache_write: u64,
    /// `cache_creation.ephemeral_1h_input_tokens`: so many of them are to live for an hour, and not for five minutes.
    pub cache_write_long: u64,
    /// `cache_read_input_tokens`. Free of the input limit on current models.
    pub cache_read: u64,
}

impl Usage {
    /// Nothing used.
    pub const ZERO: Self = Self { input: 0, output: 0, cache_write: 0, cache_write_long: 0, cache_read: 0 };

    /// What counts against an input limit: everything in the prompt that was not read from the cache.
    pub const fn uncached_input(&self) -> u64 {
        self.input.saturating_add(self.cache_write)
    }

    /// This as far as it can be believed, of a call that may be answered with so many tokens: a limit must not be thought
    /// to be used up for years because a provider cannot count.
    pub fn plausible(self, max_tokens: Option<u64>) -> Self {
        /// Ten times the longest context there is.
        const MOST: u64 = 10_000_000;
        Self {
            input: self.input.min(MOST),
            output: self.output.min(max_tokens.unwrap_or(MOST)),
            cache_write: self.cache_write.min(MOST),
            cache_write_long: self.cache_write_long.min(MOST),
            cache_read: self.cache_read.min(MOST),
        }
    }

    /// This without `other`, but never below nothing.
    pub const fn less(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_sub(other.input),
            output: self.output.saturating_sub(other.output),
            cache_write: self.cache_write.saturating_sub(other.cache_write),
            cache_write_long: self.cache_write_long.saturating_sub(other.cache_write_long),
            cache_read: self.cache_read.saturating_sub(other.cache_read),
        }
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_long: self.cache_write_long.saturating_add(other.cache_write_long),
            cache_read: self.cache_read.saturating_add(other.cache_read),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
