//! Choosing one of several candidates. Written once, used for providers and for keys.
//!
//! Properties every strategy keeps: only a candidate is chosen; the same state, candidates and roll
//! give the same choice; over a cycle, shares are fair within one. A strategy sees plain numbers.

mod failover;
mod least_loaded;
mod random;
mod round_robin;
mod shuffle;
mod weighted;
mod weighted_failover;

use crate::time::Roll;

/// How one of several is chosen. The names of the configuration, in the order of the book.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Strategy {
    /// `failover`, and `priority` for keys.
    #[default]
    Failover,
    /// `round_robin`.
    RoundRobin,
    /// `weighted_round_robin`, and `weighted` for keys.
    Weighted,
    /// `shuffle`.
    Shuffle,
    /// `random`.
    Random,
    /// `least_loaded`.
    LeastLoaded,
    /// `weighted_failover`.
    WeightedFailover,
}

/// One that may be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Its place in the configuration: stable while the configuration is.
    pub place: usize,
    /// Higher goes first.
    pub priority: u32,
    /// Its share; zero counts as one.
    pub weight: u32,
    /// Leases it holds now.
    pub in_flight: u32,
}

impl Candidate {
    fn share(&self) -> u64 {
        u64::from(self.weight.max(1))
    }
}

/// A strategy with its cursor.
#[derive(Clone, Debug)]
pub struct Select {
    strategy: Strategy,
    cursor: Cursor,
}

/// What a strategy remembers between choices.
#[derive(Clone, Debug)]
enum Cursor {
    None,
    RoundRobin(round_robin::RoundRobin),
    Weighted(weighted::Weighted),
    Shuffle(shuffle::Shuffle),
}

impl Select {
    /// A fresh cursor for that strategy.
    pub fn new(strategy: Strategy) -> Self {
        let cursor = match strategy {
            Strategy::RoundRobin => Cursor::RoundRobin(round_robin::RoundRobin::default()),
            Strategy::Weighted => Cursor::Weighted(weighted::Weighted::default()),
            Strategy::Shuffle => Cursor::Shuffle(shuffle::Shuffle::default()),
            Strategy::Failover | Strategy::Random | Strategy::LeastLoaded | Strategy::WeightedFailover => {
                Cursor::None
            }
        };
        Self { strategy, cursor }
    }

    /// The strategy.
    pub const fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Chooses one: an index into `candidates`, which are in the order of their places. None if there are none.
    pub fn pick(&mut self, candidates: &[Candidate], roll: Roll) -> Option<usize> {
        if candidates.is_empty() {
            return None;
        }
        match (&mut self.cursor, self.strategy) {
            (Cursor::RoundRobin(cursor), _) => cursor.pick(candidates),
            (Cursor::Weighted(cursor), _) => cursor.pick(candidates),
            (Cursor::Shuffle(cursor), _) => cursor.pick(candidates, roll),
            (Cursor::None, Strategy::Random) => random::pick(candidates, roll),
            (Cursor::None, Strategy::LeastLoaded) => least_loaded::pick(candidates),
            (Cursor::None, Strategy::WeightedFailover) => weighted_failover::pick(candidates, roll),
            (Cursor::None, _) => failover::pick(candidates),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy as Generate, any, prop_assert, prop_assert_eq, proptest};

    const ALL: [Strategy; 7] = [
        Strategy::Failover,
        Strategy::RoundRobin,
        Strategy::Weighted,
        Strategy::Shuffle,
        Strategy::Random,
        Strategy::LeastLoaded,
        Strategy::WeightedFailover,
    ];

    fn candidates() -> impl Generate<Value = Vec<Candidate>> {
        proptest::collection::btree_map(0_usize..8, (0_u32..3, 0_u32..5, 0_u32..4), 0..6).prop_map(|map| {
            map.into_iter()
                .map(|(place, (priority, weight, in_flight))| Candidate {
                    place,
                    priority,
                    weight,
                    in_flight,
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn only_a_candidate_is_ever_chosen(
            rounds in proptest::collection::vec((candidates(), any::<u64>()), 1..20),
            which in 0..ALL.len(),
        ) {
            let mut select = Select::new(ALL[which]);
            let mut again = Select::new(ALL[which]);
            for (candidates, roll) in rounds {
                let picked = select.pick(&candidates, Roll(roll));
                prop_assert_eq!(picked.is_some(), !candidates.is_empty());
                prop_assert!(picked.is_none_or(|index| index < candidates.len()));
                prop_assert_eq!(picked, again.pick(&candidates, Roll(roll)), "replay differs");
            }
        }
    }
}
