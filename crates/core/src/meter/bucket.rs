//! How full a bucket is, and how long it takes until it is fuller.
//!
//! It knows a rate, a capacity and a level. It refuses to know what is promised.

use std::num::NonZero;
use std::time::Duration;

use crate::flow::Flow;
use crate::time::Time;

/// Parts of one unit: the nanoseconds of a minute.
pub(super) const PARTS: i128 = 60_000_000_000;

const ONE: NonZero<i128> = NonZero::new(PARTS).expect("it is not zero");

/// A token bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bucket {
    /// Units a minute.
    pub(super) rate: u64,
    /// In parts; at least one unit. That it is never zero saves the word that tells whether there is a bucket.
    pub(super) capacity: NonZero<i128>,
    /// In parts, as it was at `at`. Below zero it is debt, which refill repays.
    pub(super) level: i128,
    pub(super) at: Time,
}

impl Bucket {
    pub(super) fn full(rate: u64, burst: Duration, now: Time) -> Self {
        let capacity = capacity(rate, burst);
        Self { rate, capacity, level: capacity.get(), at: now }
    }

    pub(super) fn level_at(&self, now: Time) -> i128 {
        let added = self.adds(now.nanoseconds_since(self.at));
        self.capacity.get().min(self.level.saturating_add(added))
    }

    /// What so many nanoseconds add: the product of two words, which is one multiplication.
    pub(super) fn adds(&self, nanoseconds: u64) -> i128 {
        i128::try_from(u128::from(nanoseconds) * u128::from(self.rate)).unwrap_or(i128::MAX)
    }

    pub(super) fn refill(&mut self, now: Time) {
        self.level = self.level_at(now);
        self.at = self.at.max(now);
    }

    /// After how many nanoseconds it has gained that; none if it never gains anything.
    pub(super) fn gains(&self, parts: i128) -> Option<i128> {
        let rate = i128::from(self.rate);
        if parts == 0 { Some(0) } else { (rate > 0).then(|| (parts + rate - 1) / rate) }
    }

    /// How long it takes to refill that, in nanoseconds.
    pub(super) fn refills(&self, parts: i128) -> u64 {
        let rate = self.rate.max(1);
        // To divide numbers of twice the length costs ten times as much.
        match u64::try_from(parts.max(0)) {
            Ok(parts) => parts / rate,
            Err(_) => u64::try_from(parts / i128::from(rate)).unwrap_or(u64::MAX),
        }
    }

    /// What must be left at some moment for a flow that begins so many milliseconds before it, in parts. Of one that
    /// wants more than there can be, all that there can be: otherwise it would starve.
    pub(super) fn need(&self, flow: Flow, millis: u64) -> i128 {
        let most = self.capacity.get() + nanoseconds(millis) * i128::from(self.rate);
        parts(flow.after(millis)).min(most)
    }

    /// How long before a moment a flow may begin that must not have taken more than that by then, in nanoseconds.
    pub(super) fn grows_to(&self, flow: Flow, first: i128, slack: i128) -> i128 {
        // A unit a second is sixty parts a nanosecond.
        let paced = flow.pace.map_or(0, |pace| (slack - first) / (60 * i128::from(pace.max(1))));
        let refilled = (slack - self.capacity.get()).max(0) / i128::from(self.rate.max(1));
        paced.max(refilled)
    }
}

/// What never holds one unit serves nobody, so it holds one.
pub(super) fn capacity(rate: u64, burst: Duration) -> NonZero<i128> {
    let burst = i128::try_from(burst.as_nanos()).unwrap_or(i128::MAX);
    NonZero::new(i128::from(rate).saturating_mul(burst)).map_or(ONE, |held| held.max(ONE))
}

pub(super) fn parts(units: u64) -> i128 {
    i128::from(units) * PARTS
}

pub(super) fn nanoseconds(millis: u64) -> i128 {
    i128::from(millis) * 1_000_000
}

pub(super) fn duration(nanoseconds: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

pub(super) fn whole(parts: i128) -> u64 {
    u64::try_from(parts.max(0) / PARTS).unwrap_or(u64::MAX)
}
