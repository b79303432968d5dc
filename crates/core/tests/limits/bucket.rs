//! A provider's bucket, written apart from the relay's. It knows what a provider counts; it refuses to know why.

use std::time::Duration;

use relay_core::{Gauge, Time};

/// Nanoseconds of a minute: a bucket of so many a minute gains so many of these parts in a nanosecond.
const MINUTE: i128 = 60_000_000_000;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: i128,
    /// In parts of a unit, as is the level.
    capacity: i128,
    level: i128,
    at: Time,
    /// Units that were let through, and may still be taken.
    pub(crate) promised: u64,
}

impl Bucket {
    /// One that is full, and holds at least one unit.
    pub(crate) fn full(rate: u64, burst: Duration, now: Time) -> Self {
        let capacity = (i128::from(rate) * nanoseconds(burst)).max(MINUTE);
        Self { rate: rate.into(), capacity, level: capacity, at: now, promised: 0 }
    }

    /// Whole units that it holds when full.
    pub(crate) fn capacity(&self) -> u64 {
        u64::try_from(self.capacity / MINUTE).expect("the stage is set for it")
    }

    /// Does it let so many through? Of more than is thought to be a full bucket, a bucket that is thought to be full is
    /// enough.
    pub(crate) fn admits(&mut self, units: u64, thought: Duration, now: Time) -> bool {
        self.advance(now);
        let full = (self.rate * nanoseconds(thought)).max(MINUTE).min(self.capacity);
        let wanted = (i128::from(units) * MINUTE).min(full);
        units == 0 || self.level - i128::from(self.promised) * MINUTE >= wanted
    }

    /// When it does, at the earliest, if nobody else comes and what it let through is taken.
    pub(crate) fn admits_at(&mut self, units: u64, now: Time) -> Time {
        self.advance(now);
        let wanted = (i128::from(units) * MINUTE).min(self.capacity);
        if units == 0 {
            return now;
        }
        let missing = wanted + i128::from(self.promised) * MINUTE - self.level;
        let nanos = (missing.max(0) + self.rate - 1) / self.rate;
        now + Duration::from_nanos(u64::try_from(nanos).expect("the stage is set for it"))
    }

    /// Units are taken, whatever it holds.
    pub(crate) fn take(&mut self, units: u64, now: Time) {
        self.advance(now);
        self.level -= i128::from(units) * MINUTE;
    }

    /// What the head of an answer says of tokens or requests. When it will be full is reckoned from the `date` of the
    /// answer, as it is for all providers who send one.
    pub(crate) fn gauge(&mut self, rounded_to: i128, now: Time) -> Gauge {
        self.advance(now);
        let whole = self.level.max(0) / MINUTE;
        let remaining = (whole + rounded_to / 2) / rounded_to * rounded_to;
        let full = self.at.since_epoch()
            + Duration::from_nanos(
                u64::try_from((self.capacity - self.level) / self.rate).expect("the stage is set for it"),
            );
        // Both of these moments are told in whole seconds, the one rounded up and the other down.
        let full = full.as_secs() + u64::from(full.subsec_nanos() > 0);
        let ahead = Duration::from_secs(full - now.since_epoch().as_secs());
        Gauge {
            limit: u64::try_from(self.rate).ok(),
            remaining: u64::try_from(remaining).ok(),
            reset: Some(now + ahead),
        }
    }

    fn advance(&mut self, now: Time) {
        let gained = self.rate * nanoseconds(now.since(self.at));
        (self.level, self.at) = ((self.level + gained).min(self.capacity), now);
    }
}

fn nanoseconds(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).expect("the stage is set for it")
}
