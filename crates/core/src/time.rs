//! Time as a value. It knows how to be compared and added to; it has no `now()`.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A moment, as the duration since the Unix epoch.
///
/// The shell makes it in one place (`proxy/src/live.rs`); everything here is told it.
///
/// It is kept as nanoseconds in one word, for a decision compares moments by the dozen. So it ends in the year 2554,
/// which is as good as for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The Unix epoch. Tests begin here.
    pub const EPOCH: Self = Self(0);

    /// The moment `since_epoch` after the Unix epoch, or the last there is.
    pub const fn from_epoch(since_epoch: Duration) -> Self {
        Self(nanoseconds(since_epoch))
    }

    /// The duration since the Unix epoch.
    pub const fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanoseconds_since(earlier))
    }

    /// The same in nanoseconds.
    pub(crate) const fn nanoseconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment moved back by `by`, but not before the epoch.
    pub const fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(by)))
    }
}

/// All of them, or as many as a word counts.
const fn nanoseconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

impl Add<Duration> for Time {
    type Output = Self;

    /// The moment `after` later. Saturates, so that "for ever" may be added to anything.
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(after)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_epoch = self.since_epoch();
        write!(f, "{}.{:06}s", since_epoch.as_secs(), since_epoch.subsec_micros())
    }
}

/// Chance as a value: sixty-four random bits, rolled by the shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roll(pub u64);

impl Roll {
    /// A number below `bound`, near enough to uniform; zero if `bound` is zero.
    pub fn below(self, bound: u64) -> u64 {
        // The high half of the product: Lemire's method without its rejection step, whose
        // bias (below 2^-32 for a bound below 2^32) no choice of ours can feel.
        let product = u128::from(self.0) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(u64::MAX)
    }

    /// Another roll, made of this one, for a second choice that must not depend on the first:
    /// one step of `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>, constants and all).
    pub(crate) const fn again(self) -> Self {
        let state = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(state ^ (state >> 31))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_never_wraps() {
        let late = Time::EPOCH + Duration::MAX;
        assert_eq!(late + Duration::from_secs(1), late);
        assert_eq!(Time::EPOCH.before(Duration::from_secs(1)), Time::EPOCH);
        assert_eq!(Time::EPOCH.since(late), Duration::ZERO);
    }

    #[test]
    fn rolling_again_gives_the_numbers_of_splitmix64() {
        assert_eq!(Roll(0).again(), Roll(0xe220_a839_7b1d_cdaf));
        assert_eq!(Roll(0x9e37_79b9_7f4a_7c15).again(), Roll(0x6e78_9e6a_a1b9_65f4));
    }

    #[test]
    fn a_roll_stays_below_its_bound() {
        assert_eq!(Roll(u64::MAX).below(3), 2);
        assert_eq!(Roll(0).below(3), 0);
        assert_eq!(Roll(7).below(0), 0);
    }
}
