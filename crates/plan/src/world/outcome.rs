//! How a run went.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_core::{KeyId, Usage};
use relay_sim::limiter::Gauge;

use crate::estate::N_METERS;
use crate::optimum::float;
use crate::workload::Arrival;

/// What became of the calls of one kind, or of one model.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Served {
    /// Calls that came. Each counts once, however often it came back.
    pub calls: u64,
    /// They were answered.
    pub answered: u64,
    /// So often one was refused by the relay.
    pub refused: u64,
    /// They were refused, and did not come back.
    pub given_up: u64,
    /// What they used.
    pub usage: Usage,
    /// What that cost, as far as prices are known.
    pub dollars: f64,
}

/// Spans of time, to be asked for their mean and their parts. Read after they were sorted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Spans(Vec<Duration>);

/// Spans of time by kind of call, and of all calls.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ByKind {
    /// By kind.
    pub kinds: Vec<Spans>,
    /// Of all.
    pub all: Spans,
}

/// What a key carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Carried {
    /// Calls that were answered.
    pub answered: u64,
    /// Requests that were refused for a limit.
    pub refused: u64,
    /// What they used.
    pub usage: Usage,
}

/// How it stood at one moment.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Moment {
    /// Calls that a provider was at.
    pub in_flight: u64,
    /// Calls that waited for their turn.
    pub waiting: u64,
    /// Calls that the relay refused since the moment before.
    pub refused: u64,
    /// What was left in the emptiest bucket, as a part of a full one.
    pub lowest: f64,
}

/// How it went.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// By kind.
    pub kinds: Vec<Served>,
    /// By model.
    pub models: Vec<Served>,
    /// Of those that were answered, how many were alike, what they used, and for how long they were under way: by model, and by how much input and output they
    /// had.
    pub alike: BTreeMap<(usize, [u32; 2]), (u64, Usage, Duration)>,
    /// What each key carried.
    pub keys: BTreeMap<KeyId, Carried>,
    /// How long calls waited for their turn that were answered, since they came or came back.
    pub waits: ByKind,
    /// After how long those were told to come back who were refused.
    pub told: ByKind,
    /// From the beginning to the end of the last answer.
    pub lasted: Duration,
    /// Requests that the provider refused for a limit.
    pub refused_upstream: u64,
    /// Requests that the provider got.
    pub requests: u64,
    /// The provider's buckets.
    pub gauges: Vec<Gauge>,
    /// What was taken of limits: requests, uncached input, output, and seconds under way, by the place of the organization and
    /// by class.
    pub taken: BTreeMap<(usize, String), [f64; N_METERS]>,
    /// Leases that were open at the end.
    pub open: u32,
    /// Tokens of prompts that were read from a cache.
    pub cache_read: u64,
    /// Tokens that would have been read from the cache of a single key without limits.
    pub cache_best: u64,
    /// How it stood, after each step of time.
    pub moments: Vec<Moment>,
    /// From one moment to the next.
    pub step: Duration,
}

impl Spans {
    /// How many there are.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// On average; zero if there are none.
    pub fn mean(&self) -> Duration {
        let count = u32::try_from(self.0.len().max(1)).unwrap_or(u32::MAX);
        self.0.iter().sum::<Duration>() / count
    }

    /// So many hundredths of them are no longer than this; zero if there are none.
    pub fn part(&self, hundredths: usize) -> Duration {
        let rank = (self.0.len() * hundredths).div_ceil(100).saturating_sub(1);
        self.0.get(rank).copied().unwrap_or_default()
    }
}

impl ByKind {
    pub(super) fn of(kinds: usize) -> Self {
        Self { kinds: vec![Spans::default(); kinds], all: Spans::default() }
    }

    pub(super) fn note(&mut self, kind: usize, span: Duration) {
        self.kinds[kind].0.push(span);
        self.all.0.push(span);
    }

    pub(super) fn sort(&mut self) {
        for spans in self.kinds.iter_mut().chain([&mut self.all]) {
            spans.0.sort_unstable();
        }
    }
}

impl Outcome {
    /// The part of all calls of a kind that was answered.
    pub fn part(&self, kind: usize) -> f64 {
        let Served { calls, answered, .. } = self.kinds[kind];
        float(answered) / float(calls.max(1))
    }

    /// The greatest debt of any bucket of the provider.
    pub fn overshoot(&self) -> u64 {
        self.gauges.iter().map(|gauge| gauge.overshoot).max().unwrap_or_default()
    }

    /// Was any call refused, by the relay or by a provider?
    pub fn is_refused(&self) -> bool {
        self.refused_upstream > 0 || self.kinds.iter().any(|kind| kind.refused > 0)
    }

    /// All calls.
    pub fn all(&self) -> Served {
        self.kinds.iter().fold(Served::default(), |sum, kind| Served {
            calls: sum.calls + kind.calls,
            answered: sum.answered + kind.answered,
            refused: sum.refused + kind.refused,
            given_up: sum.given_up + kind.given_up,
            usage: sum.usage + kind.usage,
            dollars: sum.dollars + kind.dollars,
        })
    }

    /// Of what a single key without limits would have read from its cache. None if that is nothing.
    pub fn kept(&self) -> Option<f64> {
        (self.cache_best > 0).then(|| float(self.cache_read) / float(self.cache_best))
    }

    /// So many things in the time that it lasted are so many a minute.
    pub fn a_minute(&self, count: u64) -> f64 {
        float(count) * 60.0 / self.lasted.as_secs_f64().max(1.0)
    }

    /// Calls a minute that were answered.
    pub fn throughput(&self) -> f64 {
        self.a_minute(self.all().answered)
    }

    pub(super) fn come(&mut self, asked: &Arrival) {
        for served in self.concerned(asked) {
            served.calls += 1;
        }
    }

    /// It was refused, and told to come back after so long, if it was told.
    pub(super) fn refuse(&mut self, asked: &Arrival, told: Option<Duration>) {
        for served in self.concerned(asked) {
            served.refused += 1;
        }
        if let Some(told) = told {
            self.told.note(asked.kind, told);
        }
    }

    pub(super) fn give_up(&mut self, asked: &Arrival) {
        for served in self.concerned(asked) {
            served.given_up += 1;
        }
    }

    pub(super) fn serve(&mut self, asked: &Arrival, key: KeyId, waited: Duration) {
        for served in self.concerned(asked) {
            served.answered += 1;
        }
        self.waits.note(asked.kind, waited);
        self.keys.entry(key).or_default().answered += 1;
    }

    /// It has ended, after that time, and so long after the beginning of all.
    pub(super) fn end(
        &mut self,
        asked: &Arrival,
        key: KeyId,
        (usage, dollars): (Usage, f64),
        (took, at): (Duration, Duration),
    ) {
        for served in self.concerned(asked) {
            (served.usage, served.dollars) = (served.usage + usage, served.dollars + dollars);
        }
        let size = [usage.uncached_input(), usage.output].map(magnitude);
        let (count, sum, all) = self.alike.entry((asked.model, size)).or_default();
        (*count, *sum, *all) = (*count + 1, *sum + usage, *all + took);
        self.keys.entry(key).or_default().usage += usage;
        self.lasted = at;
    }

    fn concerned(&mut self, asked: &Arrival) -> [&mut Served; 2] {
        [&mut self.kinds[asked.kind], &mut self.models[asked.model]]
    }
}

/// Counts are alike that are within a factor of four.
const fn magnitude(tokens: u64) -> u32 {
    (u64::BITS - tokens.leading_zeros()).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_all_spans_is_the_longest_of_that_many() {
        let mut spans = ByKind::of(2);
        for millis in (1..=200).rev() {
            spans.note(0, Duration::from_millis(millis));
        }
        spans.note(1, Duration::from_secs(1));
        spans.sort();
        let parts = [0, 50, 99, 100].map(|part| spans.kinds[0].part(part).as_millis());
        assert_eq!(parts, [1, 100, 198, 200]);
        assert_eq!((spans.all.count(), spans.all.part(100).as_millis()), (201, 1_000));
        assert_eq!(spans.kinds[0].mean(), Duration::from_micros(100_500));
        assert_eq!((Spans::default().mean(), Spans::default().part(50)), (Duration::ZERO, Duration::ZERO));
    }
}
