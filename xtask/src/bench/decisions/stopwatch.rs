//! Times verbs, alone or by the batch, and takes off what the clock itself costs. Knows intervals; refuses to know what
//! happens in them.

use std::time::{Duration, Instant};

use crate::bench::statistics::permille;
use crate::clock;

/// Empty intervals that are looked at.
const N_EMPTY: usize = 10_001;

/// A clock, and what it costs to read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    /// How long an interval appears to be in which nothing happens.
    pub(super) empty: Duration,
}

/// How the calls of a batch are timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timing {
    /// All together: each took as long as any other.
    Together,
    /// Each for itself.
    Single,
}

/// How long something took, each time.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// The mean of each batch.
    pub(super) batches: Vec<Duration>,
    /// Single ones.
    pub(super) singles: Vec<Duration>,
}

/// What is told of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Spread {
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
}

impl Stopwatch {
    pub(super) fn calibrate() -> Self {
        let mut empty: Vec<_> = (0..N_EMPTY)
            .map(|_| {
                let begun = clock::now();
                clock::now().duration_since(begun)
            })
            .collect();
        empty.sort_unstable();
        Self { empty: permille(&empty, 500) }
    }

    /// Applies a verb to each of several. How long it took for each goes into `took`: what it took, or the mean.
    pub(super) fn each<T>(
        &self,
        timing: Timing,
        all: &mut [T],
        mut verb: impl FnMut(&mut T),
        took: &mut Vec<Duration>,
    ) {
        took.clear();
        match timing {
            Timing::Together => {
                let begun = clock::now();
                all.iter_mut().for_each(verb);
                let whole = self.since(begun);
                took.resize(all.len(), whole / u32::try_from(all.len().max(1)).unwrap_or(u32::MAX));
            }
            Timing::Single => took.extend(all.iter_mut().map(|one| {
                let begun = clock::now();
                verb(one);
                self.since(begun)
            })),
        }
    }

    /// How long something took, without what it takes to look at the clock.
    pub(super) fn since(&self, begun: Instant) -> Duration {
        clock::now().duration_since(begun).saturating_sub(self.empty)
    }
}

impl Times {
    /// One more batch.
    pub(super) fn note(&mut self, timing: Timing, took: &[Duration]) {
        match timing {
            Timing::Together => self.batches.extend(took.first()),
            Timing::Single => self.singles.extend(took),
        }
    }

    pub(super) fn join(&mut self, mut others: Self) {
        self.batches.append(&mut others.batches);
        self.singles.append(&mut others.singles);
    }

    /// The median is of batches, if there are any: what a single one took is as long as it takes to read the clock.
    pub(super) fn spread(&self) -> Spread {
        let sorted = |times: &[Duration]| {
            let mut sorted = times.to_vec();
            sorted.sort_unstable();
            sorted
        };
        let (batches, singles) = (sorted(&self.batches), sorted(&self.singles));
        let middle = if batches.is_empty() { &singles } else { &batches };
        let max = singles.last().copied().unwrap_or_default();
        Spread { p50: permille(middle, 500), p99: permille(&singles, 990), max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NANOSECOND: Duration = Duration::from_nanos(1);

    #[test]
    fn a_batch_is_timed_as_a_whole_and_singles_one_by_one() {
        let stopwatch = Stopwatch { empty: Duration::ZERO };
        for timing in [Timing::Together, Timing::Single] {
            let (mut all, mut took) = ([1, 2, 3], vec![NANOSECOND; 7]);
            stopwatch.each(timing, &mut all, |one| *one += 1, &mut took);
            assert_eq!((all, took.len()), ([2, 3, 4], 3));
            assert!(timing == Timing::Single || took.iter().all(|time| *time == took[0]));
        }
    }

    #[test]
    fn medians_are_of_batches_and_the_rest_of_singles() {
        let mut times = Times::default();
        times.note(Timing::Together, &[NANOSECOND * 5; 3]);
        times.note(Timing::Single, &[NANOSECOND * 40, NANOSECOND * 30]);
        let mut more = Times::default();
        more.note(Timing::Together, &[NANOSECOND * 7; 3]);
        times.join(more);
        assert_eq!(times.batches, [NANOSECOND * 5, NANOSECOND * 7]);
        let Spread { p50, p99, max } = times.spread();
        assert_eq!((p50, p99, max), (NANOSECOND * 5, NANOSECOND * 40, NANOSECOND * 40));
        let singles = Times { batches: Vec::new(), ..times };
        assert_eq!(singles.spread().p50, NANOSECOND * 30);
    }
}
