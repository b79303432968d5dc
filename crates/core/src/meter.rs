//! One limit as a provider keeps it: a token bucket that is refilled continuously, and what calls under way will
//! still take out of it.
//!
//! It knows a rate, a capacity, a level, and promises. It refuses to know what is counted and for whom.
//!
//! Levels are kept in sixty-billionths of a unit, for then a rate of `r` units a minute adds exactly `r` of them each
//! nanosecond: nothing is ever rounded, and two replays agree to the bit.

mod bucket;

use std::time::Duration;

use crate::flow::{AHEAD, Flow, Flows, N_AHEAD};
use crate::limits::LONGEST_BURST;
use crate::rest::LONGEST_REST;
use crate::time::Time;

use self::bucket::{Bucket, PARTS, capacity, duration, nanoseconds, parts, whole};

/// The milliseconds of a minute.
const MILLIS: u64 = 60_000;

/// So many units, in a minute or at all, are beyond what anybody has; times any of the milliseconds here, fewer fit into
/// a word.
const ORDINARY: u64 = 1 << 46;

/// What is counted for somebody, and its limit, if one is known. Without one, everything is admitted.
///
/// A choice looks at those of very many keys, and what it looks at there are the first two fields: they lie in one line of
/// the processor's cache.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Meter {
    bucket: Option<Bucket>,
    /// What is refilled by one of the moments ahead, less what is promised by then, where that is least; in parts. It
    /// is asked for far more often than it changes, so it is kept at hand.
    least: i128,
    /// All that was ever taken, in units.
    taken: u64,
    /// What was found to be there beyond what was thought, all told, in units.
    found: u64,
    /// So much of that, from the beginning, is explained by what was given back later.
    explained: u64,
    /// So much of what was taken is of calls of which the provider has shown no sign yet.
    unseen: u64,
    /// What was sent a moment ago.
    recent: Recent,
    /// Apart, so that what is looked at for each choice lies close together.
    promised: Box<Flows>,
}

/// What was sent within this time may not have come to the provider yet.
const TRANSIT: Duration = Duration::from_millis(250);

/// What was sent within the last moment, and in the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Recent {
    since: Time,
    now: u64,
    before: u64,
}

impl Recent {
    fn at(self, now: Time) -> Self {
        match now.since(self.since) {
            age if age < TRANSIT => self,
            age if age < TRANSIT * 2 => Self { since: self.since + TRANSIT, now: 0, before: self.now },
            _ => Self { since: now, now: 0, before: 0 },
        }
    }

    fn add(&mut self, units: u64, now: Time) {
        *self = self.at(now);
        self.now = self.now.saturating_add(units);
    }

    fn units(self, now: Time) -> u64 {
        let Self { now, before, .. } = self.at(now);
        now.saturating_add(before)
    }
}

impl Meter {
    /// Units a minute, if they are limited.
    pub(crate) fn rate(&self) -> Option<u64> {
        self.bucket.as_ref().map(|bucket| bucket.rate)
    }

    /// How long it takes to fill it, if it is limited.
    pub(crate) fn burst(&self) -> Option<Duration> {
        let nanos = |bucket: &Bucket| bucket.capacity.get() / i128::from(bucket.rate.max(1));
        self.bucket.as_ref().map(|bucket| Duration::from_nanos(nanos(bucket).try_into().unwrap_or(u64::MAX)))
    }

    /// Whole units that are neither taken nor promised, if they are limited; 0 in debt.
    pub(crate) fn available(&self, now: Time) -> Option<u64> {
        let left = |bucket: &Bucket| whole(bucket.level_at(now) - parts(self.promised.units()));
        self.bucket.as_ref().map(left)
    }

    /// Whole units that there are, promised or not; below zero in debt. None without a limit.
    pub(crate) fn level(&self, now: Time) -> Option<i64> {
        let whole = |level: i128| i64::try_from(level.div_euclid(PARTS)).unwrap_or(i64::MIN);
        self.bucket.as_ref().map(|bucket| whole(bucket.level_at(now)))
    }

    /// When this may be taken, if nothing that is promised is.
    pub(crate) fn admissible_alone(&self, flow: Flow, now: Time) -> Option<Time> {
        let Some(bucket) = self.bucket_for(flow) else { return Some(now) };
        let missing = bucket.need(flow, 0) - bucket.level_at(now);
        bucket.gains(missing.max(0)).map(|wait| now + duration(wait))
    }

    /// Whole units that are owed, and how long it takes until they are not, if nothing more is taken.
    pub(crate) fn owed(&self, now: Time) -> (u64, Duration) {
        let owed = |bucket: &Bucket| {
            let parts = (-bucket.level_at(now)).max(0);
            (whole(parts + PARTS - 1), bucket.gains(parts).map_or(Duration::MAX, duration))
        };
        self.bucket.as_ref().map(owed).unwrap_or_default()
    }

    /// A look at it, without asking what it is.
    pub(crate) fn glance(&self) -> u64 {
        self.bucket.as_ref().map_or(0, |bucket| bucket.rate)
    }

    /// When it is full, if what is promised is taken and nothing more; none without a limit. It is the same whenever it
    /// is asked, until something is taken or promised, or another limit is heard of.
    pub(crate) fn full(&self) -> Option<Time> {
        let bucket = self.bucket.as_ref()?;
        let missing = bucket.capacity.get() - bucket.level + parts(self.promised.units());
        let rate = i128::from(bucket.rate.max(1));
        // Rounded up, so that nobody is let in too early.
        Some(bucket.at + duration((missing.max(0) + rate - 1) / rate))
    }

    /// It was limited to `rate` a minute, and is full at that moment. Whoever remembers wrongly locks nobody out: what is
    /// missing is at most what a week adds. What is known already stays, and the lower level holds.
    pub(crate) fn recall(&mut self, rate: u64, burst: Duration, full: Time, now: Time) {
        if rate > 0 && self.bucket.is_none() {
            self.bucket = Some(Bucket::full(rate, burst.min(LONGEST_BURST), now));
        }
        if let Some(bucket) = self.bucket.as_mut().filter(|bucket| bucket.rate == rate) {
            let missing = full.since(now).min(LONGEST_REST).as_nanos();
            let missing = i128::try_from(missing).unwrap_or(i128::MAX).saturating_mul(i128::from(rate));
            bucket.level = bucket.level.min(bucket.capacity.get().saturating_sub(missing));
        }
        self.look_ahead();
    }

    /// All that was ever taken.
    pub(crate) const fn taken(&self) -> u64 {
        self.taken
    }

    /// What was ever found to be there beyond what was thought.
    pub(crate) const fn found(&self) -> u64 {
        self.found
    }

    /// Units that were taken when so much had been found were not used. How many of them have been found to be there since,
    /// and explain nothing else?
    pub(crate) fn explain(&mut self, units: u64, mark: u64) -> u64 {
        let from = mark.max(self.explained);
        let explains = units.min(self.found.saturating_sub(from));
        if explains > 0 {
            self.explained = from + explains;
        }
        explains
    }

    /// What was taken for calls that may not have come to the provider yet.
    pub(crate) fn in_transit(&self, now: Time) -> u64 {
        self.unseen.min(self.recent.units(now))
    }

    /// What was taken for calls of which the provider has shown no sign yet.
    pub(crate) const fn unseen(&self) -> u64 {
        self.unseen
    }

    /// The provider has shown a sign of it, or never will.
    pub(crate) const fn see(&mut self, units: u64) {
        self.unseen = self.unseen.saturating_sub(units);
    }

    /// Units are taken for a call that is sent.
    pub(crate) fn send(&mut self, units: u64, now: Time) {
        self.take(units, now);
        self.unseen = self.unseen.saturating_add(units);
        self.recent.add(units, now);
    }

    /// What is promised.
    pub(crate) const fn promised(&self) -> &Flows {
        &self.promised
    }

    /// May this be promised now, behind what is `ahead` of it?
    pub(crate) fn admits(&self, flow: Flow, ahead: &Flows, now: Time) -> bool {
        let Some(bucket) = self.bucket_for(flow) else { return true };
        // Most often there is enough of it whatever the pace, and whatever was refilled since.
        if ahead.is_nothing() && bucket.level + self.least >= parts(flow.units) {
            return true;
        }
        let level = bucket.level_at(now);
        let mut moments = self.moments(flow, ahead);
        moments.all(|(index, millis)| self.slack(bucket, level, ahead, index) >= bucket.need(flow, millis))
    }

    /// The first moment, not before `now`, at which this may be promised behind what is `ahead`, if all goes as was
    /// promised and nobody else comes. None if that will never be.
    pub(crate) fn admissible_at(&self, flow: Flow, ahead: &Flows, now: Time) -> Option<Time> {
        let Some(bucket) = self.bucket_for(flow) else { return Some(now) };
        let level = bucket.level_at(now);
        if self.promised.is_at_once() && ahead.is_at_once() {
            // What is left rises evenly.
            let missing =
                |(index, millis)| bucket.need(flow, millis) - self.slack(bucket, level, ahead, index);
            let most = self.moments(flow, ahead).map(missing).max().unwrap_or_default();
            return bucket.gains(most.max(0)).map(|wait| now + duration(wait));
        }
        let (first, most) = (bucket.need(flow, 0), parts(flow.units));
        let (mut wait, mut below) = (0, None);
        for (index, millis) in self.moments(flow, ahead) {
            let slack = self.slack(bucket, level, ahead, index);
            if slack < first {
                // The last of these decides.
                below = Some((index, slack));
            } else if slack < most {
                wait = wait.max(nanoseconds(millis) - bucket.grows_to(flow, first, slack));
            }
        }
        if let Some((index, slack)) = below {
            wait = wait.max(self.rises_to(first, (index, slack), level, ahead)?);
        }
        Some(now + duration(wait))
    }

    /// How long it takes to refill what is missing, taken and promised, and half of `units` more, in nanoseconds:
    /// the backlog that somebody who needs so many joins. And how long the units themselves take. Nothing without a
    /// limit.
    pub(crate) fn backlog(&self, units: u64, ahead: &Flows, now: Time) -> (u64, u64) {
        let Some(bucket) = &self.bucket else { return (0, 0) };
        let level = bucket.level_at(now);
        let left = if ahead.is_nothing() {
            level + self.least
        } else {
            let moments = self.moments(Flow::default(), ahead);
            moments.map(|(index, _)| self.slack(bucket, level, ahead, index)).min().unwrap_or(level)
        };
        let missing = bucket.capacity.get() - left + parts(units) / 2;
        (bucket.refills(missing), self.takes(units))
    }

    /// How long it takes to refill so many, in nanoseconds. Nothing without a limit.
    pub(crate) fn takes(&self, units: u64) -> u64 {
        self.bucket.as_ref().map_or(0, |bucket| bucket.refills(parts(units)))
    }

    /// Something will be taken.
    pub(crate) fn promise(&mut self, flows: &Flows) {
        self.promised.join(flows);
        self.look_ahead();
    }

    /// It will not be taken, or has been.
    pub(crate) fn release(&mut self, flows: &Flows) {
        self.promised.part(flows);
        self.look_ahead();
    }

    /// Takes units, whatever there is.
    pub(crate) fn take(&mut self, units: u64, now: Time) {
        self.taken = self.taken.saturating_add(units);
        if let Some(bucket) = &mut self.bucket {
            bucket.refill(now);
            bucket.level = bucket.level.saturating_sub(parts(units));
        }
    }

    /// Of what was promised, units are taken, and the rest is promised anew.
    pub(crate) fn replace(&mut self, promised: &Flows, units: u64, rest: &Flows, now: Time) {
        self.promised.part(promised);
        self.promised.join(rest);
        self.look_ahead();
        self.take(units, now);
    }

    /// When it is full, if nothing more is taken; nothing without a limit.
    pub(crate) fn fills_at(&self, now: Time) -> Option<Time> {
        let bucket = self.bucket.as_ref()?;
        Some(now + Duration::from_nanos(bucket.refills(bucket.capacity.get() - bucket.level_at(now))))
    }

    /// Gives back units that were taken and turned out not to be used. Had they not been taken, it would have been full
    /// from `full` on, and not have been refilled: so much of them is not given back. It is never more than full
    /// afterwards.
    pub(crate) fn give_back(&mut self, units: u64, full: Time, now: Time) {
        if let Some(bucket) = &mut self.bucket {
            bucket.refill(now);
            let refilled = bucket.adds(now.nanoseconds_since(full));
            let back = parts(units).saturating_sub(refilled).max(0);
            bucket.level = bucket.capacity.get().min(bucket.level.saturating_add(back));
        }
    }

    /// It is limited to `rate` a minute from now on. A bucket that is not known yet is taken to be full; and one whose
    /// rate is another is another. It is taken to hold what `burst` adds.
    pub(crate) fn limit(&mut self, rate: u64, burst: Duration, now: Time) {
        match &mut self.bucket {
            None => {
                let mut bucket = Bucket::full(rate, burst, now);
                bucket.level -= parts(self.in_transit(now));
                self.bucket = Some(bucket);
            }
            Some(bucket) if bucket.rate != rate => {
                bucket.refill(now);
                (bucket.rate, bucket.capacity) = (rate, capacity(rate, burst));
                bucket.level = bucket.level.min(bucket.capacity.get());
            }
            Some(_) => {}
        }
        self.look_ahead();
    }

    /// It is not limited any more.
    pub(crate) fn unlimit(&mut self) {
        self.bucket = None;
        self.look_ahead();
    }

    /// It holds what `burst` adds from now on, but at least one unit.
    pub(crate) fn set_burst(&mut self, burst: Duration, now: Time) {
        if let Some(bucket) = &mut self.bucket {
            bucket.refill(now);
            bucket.capacity = capacity(bucket.rate, burst);
            bucket.level = bucket.level.min(bucket.capacity.get());
        }
    }

    /// It holds no more than that.
    pub(crate) fn lower(&mut self, units: i64, now: Time) {
        if let Some(bucket) = &mut self.bucket {
            bucket.refill(now);
            bucket.level = bucket.level.min(i128::from(units) * PARTS);
        }
    }

    /// It holds no less than that, if it can hold so much.
    pub(crate) fn raise(&mut self, units: i64, now: Time) {
        if let Some(bucket) = &mut self.bucket {
            bucket.refill(now);
            let more = ((i128::from(units) * PARTS).min(bucket.capacity.get()) - bucket.level).max(0);
            bucket.level += more;
            self.found = self.found.saturating_add(whole(more + PARTS - 1));
        }
    }

    /// What is known of another turns out to be of this one too: the lower level and the newer limit hold, and what
    /// is promised of either stays so.
    pub(crate) fn absorb(&mut self, other: &Self, now: Time) {
        self.promised.join(&other.promised);
        self.taken = self.taken.saturating_add(other.taken);
        // What either has under way is in its own level, and not in the other's.
        let (own, others) = (parts(self.in_transit(now)), parts(other.in_transit(now)));
        self.unseen = self.unseen.saturating_add(other.unseen);
        self.found = self.found.saturating_add(other.found);
        self.recent.add(other.recent.units(now), now);
        match (&mut self.bucket, &other.bucket) {
            (None, None) => {}
            (Some(ours), None) => ours.level -= others,
            (None, Some(theirs)) => {
                let level = theirs.level - own;
                self.bucket = Some(Bucket { level, ..theirs.clone() });
            }
            (Some(ours), Some(theirs)) => {
                let level = (ours.level_at(now) - others).min(theirs.level_at(now) - own);
                if theirs.at > ours.at {
                    ours.clone_from(theirs);
                }
                (ours.level, ours.at) = (level.min(ours.capacity.get()), now);
            }
        }
        self.look_ahead();
    }

    /// What is promised has changed, or how quickly it is refilled.
    fn look_ahead(&mut self) {
        let Some(bucket) = &self.bucket else { return self.least = 0 };
        self.least = if self.promised.is_at_once() {
            -parts(self.promised.at(0))
        } else if bucket.rate < ORDINARY && self.promised.units() < ORDINARY {
            // In words, for it is reckoned with each change.
            let (at_once, paced) = self.promised.parts();
            let left = AHEAD
                .iter()
                .zip(paced)
                .map(|(millis, taken)| (millis * bucket.rate).cast_signed() - (MILLIS * taken).cast_signed());
            i128::from(left.min().unwrap_or_default()) * 1_000_000 - parts(at_once)
        } else {
            self.least_left(bucket)
        };
    }

    fn least_left(&self, bucket: &Bucket) -> i128 {
        let left = |index| self.slack(bucket, 0, &Flows::NONE, index);
        (0..N_AHEAD).map(left).min().unwrap_or_default()
    }

    /// What limits a flow, if anything does. Whoever takes nothing waits for nobody, and not for a debt to be repaid.
    fn bucket_for(&self, flow: Flow) -> Option<&Bucket> {
        self.bucket.as_ref().filter(|_| flow.units > 0)
    }

    /// What will be left at one of the moments ahead, in parts.
    fn slack(&self, bucket: &Bucket, level: i128, ahead: &Flows, index: usize) -> i128 {
        let promised = self.promised.at(index).saturating_add(ahead.at(index));
        level + nanoseconds(AHEAD[index]) * i128::from(bucket.rate) - parts(promised)
    }

    /// The moments ahead at which anything is to be compared: if all is taken at once, only the first.
    fn moments(&self, flow: Flow, ahead: &Flows) -> impl Iterator<Item = (usize, u64)> + use<> {
        let at_once = flow.pace.is_none() && self.promised.is_at_once() && ahead.is_at_once();
        AHEAD.into_iter().enumerate().take(if at_once { 1 } else { N_AHEAD })
    }

    /// When what is left rises to `wanted`, after the last of the moments ahead at which it is less, in nanoseconds.
    fn rises_to(&self, wanted: i128, below: (usize, i128), level: i128, ahead: &Flows) -> Option<i128> {
        let (bucket, (index, slack)) = (self.bucket.as_ref()?, below);
        let (since, missing, later) = (nanoseconds(AHEAD[index]), wanted - slack, index + 1);
        if later == N_AHEAD {
            return bucket.gains(missing).map(|wait| since + wait);
        }
        let span = nanoseconds(AHEAD[later]) - since;
        // The next moment is not below: it rises.
        let risen = self.slack(bucket, level, ahead, later) - slack;
        Some(since + (missing * span + risen - 1) / risen)
    }
}

#[cfg(test)]
mod tests;
