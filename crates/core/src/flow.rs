//! What something will take out of a bucket, and by when. It knows amounts and paces; it refuses to know buckets.
//!
//! An answer of 4,000 tokens at 80 a second takes next to nothing out of a bucket that is refilled at 6,000 a second,
//! and to hold all of it back would waste the bucket. So what is promised is kept as how much will have been taken by
//! each of several moments ahead.

/// Those moments, in milliseconds: now, and up to the length of the longest ordinary answers. Each is half as far
/// again as the one before: what happens in between is off by little.
pub(crate) const AHEAD: [u64; N_AHEAD] =
    [0, 1_000, 2_000, 3_000, 4_500, 7_000, 10_000, 15_000, 23_000, 34_000, 51_000, 77_000];

pub(crate) const N_AHEAD: usize = 12;

/// The same in half seconds, for to divide by two is the quicker.
const HALVES: [u64; N_AHEAD] = {
    let mut halves = AHEAD;
    let mut index = 0;
    while index < N_AHEAD {
        assert!(AHEAD[index].is_multiple_of(500));
        halves[index] /= 500;
        index += 1;
    }
    halves
};

/// What flows is charged in pieces of so many units: so many may have been taken and not been charged yet.
pub const PIECE: u64 = 64;

/// What something will take: so many units, over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flow {
    /// All of it.
    pub(crate) units: u64,
    /// The most that it takes in a second; without one, it takes all of it at once.
    pub(crate) pace: Option<u64>,
}

impl Flow {
    /// All of it at once.
    pub(crate) const fn at_once(units: u64) -> Self {
        Self { units, pace: None }
    }

    /// What it will have taken after so many milliseconds.
    pub(crate) fn after(self, millis: u64) -> u64 {
        match self.pace {
            None => self.units,
            Some(pace) => self.units.min((pace.saturating_mul(millis) / 1000).saturating_add(PIECE)),
        }
    }
}

/// How much several flows will have taken at each of the moments ahead, in units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flows {
    /// Of those that take all at once, as requests and input do.
    at_once: u64,
    /// Of the others, by each of the moments.
    paced: [u64; N_AHEAD],
}

impl Flows {
    pub(crate) const NONE: Self = Self { at_once: 0, paced: [0; N_AHEAD] };

    /// Those of one.
    pub(crate) fn of(flow: Flow) -> Self {
        let Flow { units, pace } = flow;
        let Some(pace) = pace else { return Self { at_once: units, ..Self::NONE } };
        // Nobody is so quick that this makes a difference; and so the product is never too long for a word.
        let pace = pace.min(u64::MAX >> 8);
        Self {
            at_once: 0,
            paced: HALVES.map(|halves| units.min(((pace * halves) >> 1).saturating_add(PIECE))),
        }
    }

    pub(crate) fn add(&mut self, flow: Flow) {
        self.join(&Self::of(flow));
    }

    pub(crate) fn remove(&mut self, flow: Flow) {
        self.part(&Self::of(flow));
    }

    /// Those of two at once.
    pub(crate) fn join(&mut self, others: &Self) {
        self.at_once = self.at_once.saturating_add(others.at_once);
        if others.is_paced() {
            self.paced.iter_mut().zip(others.paced).for_each(|(sum, other)| *sum = sum.saturating_add(other));
        }
    }

    /// Without those others.
    pub(crate) fn part(&mut self, others: &Self) {
        self.at_once = self.at_once.saturating_sub(others.at_once);
        if others.is_paced() {
            self.paced.iter_mut().zip(others.paced).for_each(|(sum, other)| *sum = sum.saturating_sub(other));
        }
    }

    /// Is not all of it taken at once? Whatever is taken sooner is taken later.
    const fn is_paced(&self) -> bool {
        self.paced[N_AHEAD - 1] > 0
    }

    /// What is taken at once, and what the others will have taken at each of the moments ahead.
    pub(crate) const fn parts(&self) -> (u64, &[u64; N_AHEAD]) {
        (self.at_once, &self.paced)
    }

    /// What will have been taken at one of the moments ahead.
    pub(crate) const fn at(&self, index: usize) -> u64 {
        self.at_once.saturating_add(self.paced[index])
    }

    /// Is all of it taken at once?
    pub(crate) const fn is_at_once(&self) -> bool {
        self.paced[0] == self.paced[N_AHEAD - 1]
    }

    /// Will nothing be taken?
    pub(crate) const fn is_nothing(&self) -> bool {
        self.units() == 0
    }

    /// All of it, as far ahead as is looked.
    pub(crate) const fn units(&self) -> u64 {
        self.at(N_AHEAD - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_promised_at_each_moment_is_what_will_have_been_taken_by_then(
            units in 0_u64..1_000_000,
            pace in proptest::option::of(0_u64..100_000),
        ) {
            let flow = Flow { units, pace };
            let flows = Flows::of(flow);
            for (index, millis) in AHEAD.iter().enumerate() {
                prop_assert_eq!(flows.at(index), flow.after(*millis), "after {} ms", millis);
            }
        }
    }
}
