//! What the head of an answer proves of one limit: how much there is of it, at least and at most, and how much it holds.

use std::time::Duration;

use crate::limits::{LONGEST_BURST, PRIOR_BURST};
use crate::meter::Meter;
use crate::quota::Gauge;
use crate::time::Time;

/// When a limit is full again comes in whole seconds, rounded this way or that.
const SECOND: Duration = Duration::from_secs(1);

/// In nanoseconds.
const MINUTE: u128 = 60_000_000_000;

/// What one answer shows of one limit.
pub(super) struct Shown<'a> {
    pub(super) gauge: &'a Gauge,
    /// How far the level may be off, in units.
    pub(super) rounded: i64,
    /// What others took since the call was granted, if that is known.
    pub(super) since: Option<u64>,
    pub(super) asked: Time,
}

impl Meter {
    pub(super) fn learn(&mut self, shown: &Shown<'_>, now: Time) {
        let is_new = self.rate().is_none();
        // To be allowed nothing at all is no limit that anybody could wait for.
        if let Some(limit) = shown.gauge.limit.filter(|limit| *limit > 0) {
            self.limit(limit, PRIOR_BURST, now);
        }
        let (Some(rate), Some(remaining)) = (self.rate(), shown.gauge.remaining) else { return };
        let (least, most) = (
            signed(remaining).saturating_sub(shown.rounded),
            signed(remaining).saturating_add(shown.rounded),
        );
        if let Some(reset) = shown.gauge.reset {
            self.fit(rate, (least, most), (reset.since(shown.asked), reset.since(now)), now);
        }
        // What others of ours are promised may be in the level already, and was refilled since.
        let promised = signed(self.promised().at(0));
        let refilled = refill(rate, now.since(shown.asked));
        self.lower(most.saturating_add(promised).saturating_add(refilled), now);
        let proven = if least > 0 {
            Some(least)
        } else {
            self.least_by_reset(shown, now).map(|least| least.min(most))
        };
        let less_others = |units: i64| shown.since.map(|since| units.saturating_sub(signed(since)));
        if is_new {
            // Nothing was known of it, so it is as low as it may be. That it owes nothing is likelier than that it holds
            // so little: a bucket that takes a minute to be full holds a minute's worth, most often.
            let lowest = proven.map_or(least, |proven| proven.max(least));
            self.lower(less_others(lowest).unwrap_or_default(), now);
        }
        if let Some(proven) = proven.and_then(less_others) {
            self.raise(proven, now);
        }
    }

    /// Whoever shows nothing left may owe any amount, but not more than what will have come back once it is full.
    fn least_by_reset(&self, shown: &Shown<'_>, now: Time) -> Option<i64> {
        let (rate, reset) = (self.rate()?, shown.gauge.reset?);
        let full = u128::from(rate) * self.burst()?.as_nanos() / MINUTE;
        let full = i64::try_from(full).unwrap_or(i64::MAX);
        Some(full.saturating_sub(refill(rate, reset.since(now) + SECOND)))
    }

    /// How much it holds follows from what it has and how long it takes to be full.
    fn fit(
        &mut self,
        rate: u64,
        (least, most): (i64, i64),
        (longest, shortest): (Duration, Duration),
        now: Time,
    ) {
        /// And so does the one from which it is reckoned, the `date` of the answer, rounded down. One is rounded up and
        /// the other down, at worst.
        const SECONDS: Duration = Duration::from_secs(2);
        let burst = |units: i64, more: Duration| {
            let units = u64::try_from(units).unwrap_or_default();
            let held = u128::from(units) * MINUTE / u128::from(rate.max(1));
            Duration::from_nanos(u64::try_from(held).unwrap_or(u64::MAX)).saturating_add(more)
        };
        // A bucket in debt shows nothing left, and so nothing of how much it holds at least.
        let low = if least > 0 { burst(least, shortest.saturating_sub(SECONDS)) } else { Duration::ZERO };
        let high = burst(most, longest + SECOND);
        let Some(known) = self.burst() else { return };
        let fitted = known.max(low).min(high.max(low)).min(LONGEST_BURST);
        if fitted != known {
            self.set_burst(fitted, now);
        }
    }
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

/// What a rate adds in that time, at most: rounded up.
fn refill(rate: u64, time: Duration) -> i64 {
    i64::try_from((u128::from(rate) * time.as_nanos()).div_ceil(MINUTE)).unwrap_or(i64::MAX)
}
