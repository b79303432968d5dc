//! One token bucket, refilled continuously, in exact integers.
//!
//! It knows a rate, a capacity and a level. It refuses to know what is counted, who pays, or
//! what time it is: a moment is a [`Duration`] since the Unix epoch, passed in.
//!
//! A level is kept in sixty-billionths of a unit. A rate of `r` a minute then adds exactly `r`
//! of them every nanosecond, so no rounding ever creates or loses anything.

use std::time::Duration;

/// Parts of one unit: the nanoseconds of a minute.
const PARTS: i128 = 60_000_000_000;

/// A token bucket whose level may fall below zero, and which remembers how far it fell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bucket {
    per_minute: u64,
    /// In parts; at least one whole unit.
    capacity: i128,
    /// In parts, as it was at `at`.
    level: i128,
    at: Duration,
    /// The greatest debt there ever was, in parts.
    debt: i128,
}

impl Bucket {
    /// A full bucket of `per_minute` units a minute, which holds what `burst` adds, but at least
    /// one unit, since a bucket that can never hold one serves nobody.
    pub fn new(per_minute: u64, burst: Duration, now: Duration) -> Self {
        let capacity = i128::from(per_minute).saturating_mul(nanoseconds(burst)).max(PARTS);
        Self { per_minute, capacity, level: capacity, at: now, debt: 0 }
    }

    /// Units a minute.
    pub fn per_minute(&self) -> u64 {
        self.per_minute
    }

    /// Whole units it holds when full.
    pub fn capacity(&self) -> u64 {
        whole(self.capacity)
    }

    /// Whether `need` units may be taken now. A need above the capacity may be when the bucket is
    /// full, for it would otherwise never be.
    pub fn admits(&self, need: u64, now: Duration) -> bool {
        self.level_at(now) >= self.threshold(need)
    }

    /// The first moment, not before `now`, at which [`Bucket::admits`] is true if nobody else
    /// takes anything; `None` if the bucket is never refilled.
    pub fn admissible_at(&self, need: u64, now: Duration) -> Option<Duration> {
        self.reaches(self.threshold(need), now)
    }

    /// Takes `units` without asking. What is taken beyond the level is debt, which refill repays.
    pub fn take(&mut self, units: u64, now: Duration) {
        self.refill(now);
        self.level -= i128::from(units) * PARTS;
        self.debt = self.debt.max(-self.level);
    }

    /// Gives back `units` which were taken and not used. It is never more than full afterwards.
    pub fn give_back(&mut self, units: u64, now: Duration) {
        self.refill(now);
        self.level = self.capacity.min(self.level + i128::from(units) * PARTS);
    }

    /// Whole units that are left; 0 in debt.
    pub fn remaining(&self, now: Duration) -> u64 {
        whole(self.level_at(now))
    }

    /// The same below zero too: how much is owed, rounded up.
    pub fn level(&self, now: Duration) -> i64 {
        i64::try_from(self.level_at(now).div_euclid(PARTS)).unwrap_or(i64::MAX)
    }

    /// When it will be full, if nobody takes anything; `None` if it is never refilled.
    pub fn full_at(&self, now: Duration) -> Option<Duration> {
        self.reaches(self.capacity, now)
    }

    /// The greatest debt there ever was, in whole units, rounded up; 0 if nothing was ever taken
    /// beyond the level.
    pub fn overshoot(&self) -> u64 {
        whole(self.debt + PARTS - 1)
    }

    fn threshold(&self, need: u64) -> i128 {
        self.capacity.min(i128::from(need) * PARTS)
    }

    fn level_at(&self, now: Duration) -> i128 {
        let elapsed = nanoseconds(now.saturating_sub(self.at));
        self.capacity.min(self.level.saturating_add(elapsed.saturating_mul(i128::from(self.per_minute))))
    }

    fn reaches(&self, threshold: i128, now: Duration) -> Option<Duration> {
        let missing = threshold - self.level_at(now);
        if missing <= 0 {
            return Some(now);
        }
        let rate = i128::from(self.per_minute);
        if rate == 0 {
            return None;
        }
        let wait = u64::try_from((missing + rate - 1) / rate).unwrap_or(u64::MAX);
        Some(now.max(self.at).saturating_add(Duration::from_nanos(wait)))
    }

    fn refill(&mut self, now: Duration) {
        self.level = self.level_at(now);
        self.at = self.at.max(now);
    }
}

fn nanoseconds(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

fn whole(parts: i128) -> u64 {
    u64::try_from(parts.max(0) / PARTS).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    use super::Bucket;

    const START: Duration = Duration::from_secs(1_795_000_000);

    proptest! {
        /// What is admitted in any stretch of time is at most what was in the bucket at its start
        /// and what the rate added since.
        #[test]
        fn never_more_is_admitted_than_capacity_and_refill(
            rate in 1_u64..1_000_000,
            burst in 0_u64..120_000,
            asks in vec((0_u64..5_000, 0_u64..50_000), 1..60),
        ) {
            let burst = Duration::from_millis(burst);
            let mut bucket = Bucket::new(rate, burst, START);
            let capacity = (u128::from(rate) * burst.as_nanos()).max(60_000_000_000);
            let (mut elapsed, mut taken) = (Duration::ZERO, 0_u128);
            for (pause, need) in asks {
                elapsed += Duration::from_millis(pause);
                let now = START + elapsed;
                let need = need.min(bucket.capacity());
                if bucket.admits(need, now) {
                    bucket.take(need, now);
                    taken += u128::from(need) * 60_000_000_000;
                }
                prop_assert!(taken <= capacity + u128::from(rate) * elapsed.as_nanos());
            }
            prop_assert_eq!(bucket.overshoot(), 0);
        }

        /// The promised moment is admissible, and one nanosecond earlier is not.
        #[test]
        fn the_promised_moment_is_the_first(
            rate in 1_u64..10_000_000,
            burst in 1_u64..120_000,
            taken in 0_u64..1_000_000,
            need in 0_u64..2_000_000,
            pause in 0_u64..90_000,
        ) {
            let mut bucket = Bucket::new(rate, Duration::from_millis(burst), START);
            bucket.take(taken, START);
            let now = START + Duration::from_millis(pause);
            let at = bucket.admissible_at(need, now).expect("the rate is not 0");
            prop_assert!(at >= now);
            prop_assert!(bucket.admits(need, at));
            let just_before = at.saturating_sub(Duration::from_nanos(1));
            prop_assert!(at == now || !bucket.admits(need, just_before));
        }

        /// Splitting a wait into parts refills exactly as much as the whole of it.
        #[test]
        fn refill_does_not_depend_on_how_often_one_looks(
            rate in 0_u64..10_000_000,
            taken in 0_u64..1_000_000,
            pauses in vec(0_u64..10_000_000_000, 0..20),
        ) {
            let mut often = Bucket::new(rate, Duration::from_secs(6), START);
            let mut once = often.clone();
            often.take(taken, START);
            once.take(taken, START);
            let mut now = START;
            for pause in pauses {
                now += Duration::from_nanos(pause);
                often.take(0, now);
            }
            once.take(0, now);
            prop_assert_eq!(often, once);
        }

        #[test]
        fn giving_back_undoes_taking(rate in 1_u64..1_000_000, units in 0_u64..100_000) {
            let mut bucket = Bucket::new(rate, Duration::from_mins(1), START);
            let before = bucket.remaining(START);
            bucket.take(units, START);
            bucket.give_back(units, START);
            prop_assert_eq!(bucket.remaining(START), before);
        }
    }

    #[test]
    fn sixty_a_minute_with_a_burst_of_one_second_is_one_a_second() {
        let mut bucket = Bucket::new(60, Duration::from_secs(1), START);
        assert!(bucket.admits(1, START));
        bucket.take(1, START);
        assert!(!bucket.admits(1, START));
        assert_eq!(bucket.admissible_at(1, START), Some(START + Duration::from_secs(1)));
        assert_eq!(bucket.full_at(START), Some(START + Duration::from_secs(1)));
    }

    #[test]
    fn a_need_above_the_capacity_is_served_from_a_full_bucket_and_shows_as_debt() {
        let mut bucket = Bucket::new(600, Duration::from_secs(6), START);
        assert_eq!(bucket.capacity(), 60);
        assert!(bucket.admits(1000, START));
        bucket.take(1000, START);
        assert_eq!(bucket.overshoot(), 940);
        assert_eq!(bucket.remaining(START), 0);
        let full = START + Duration::from_secs(100);
        assert_eq!(bucket.full_at(START), Some(full));
        assert!(bucket.admits(1000, full));
        assert_eq!(bucket.overshoot(), 940, "refill repays the debt but the record stays");
    }

    #[test]
    fn a_bucket_without_a_rate_is_never_refilled() {
        let mut bucket = Bucket::new(0, Duration::from_mins(1), START);
        bucket.take(1, START);
        assert_eq!(bucket.admissible_at(1, START), None);
        assert_eq!(bucket.full_at(START), None);
    }

    #[test]
    fn time_which_seems_to_run_backwards_refills_nothing() {
        let mut bucket = Bucket::new(60, Duration::from_mins(1), START);
        bucket.take(60, START);
        bucket.take(0, START.saturating_sub(Duration::from_secs(30)));
        assert_eq!(bucket.remaining(START), 0);
    }
}
