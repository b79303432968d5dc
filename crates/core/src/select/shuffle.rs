//! `shuffle`: cards dealt from a shuffled deck. Everyone is chosen once before anyone is chosen twice,
//! in an order that changes each round.

use super::Candidate;
use crate::time::Roll;

/// Remembers who has been dealt in this round.
#[derive(Clone, Debug, Default)]
pub(super) struct Shuffle {
    /// By place; those beyond its end have not been.
    dealt: Vec<bool>,
}

impl Shuffle {
    /// One of those not yet dealt; when all present have been, a new round begins.
    pub(super) fn pick(&mut self, candidates: &[Candidate], roll: Roll) -> Option<usize> {
        if candidates.iter().all(|candidate| self.was_dealt(candidate)) {
            self.dealt.clear();
        }
        let left = || (0..candidates.len()).filter(|index| !self.was_dealt(&candidates[*index]));
        let drawn = usize::try_from(roll.below(u64::try_from(left().count()).ok()?)).ok()?;
        let index = left().nth(drawn)?;
        let place = candidates[index].place;
        self.dealt.resize(self.dealt.len().max(place + 1), false);
        self.dealt[place] = true;
        Some(index)
    }

    fn was_dealt(&self, candidate: &Candidate) -> bool {
        self.dealt.get(candidate.place).is_some_and(|dealt| *dealt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(places: &[usize]) -> Vec<Candidate> {
        places.iter().map(|&place| Candidate { place, priority: 0, weight: 1, in_flight: 0 }).collect()
    }

    proptest! {
        #[test]
        fn everyone_is_dealt_once_a_round(count in 1_usize..8, rolls in proptest::collection::vec(any::<u64>(), 24)) {
            let candidates = at(&(0..count).collect::<Vec<_>>());
            let mut deck = Shuffle::default();
            for round in rolls.chunks_exact(count) {
                let dealt: BTreeSet<_> = round.iter().map(|&roll| deck.pick(&candidates, Roll(roll)).unwrap()).collect();
                prop_assert_eq!(dealt.len(), count);
            }
        }
    }

    /// W15 of the old program: a change of members that kept their number went unseen.
    #[test]
    fn w15_a_change_of_members_at_equal_size_is_seen() {
        let mut deck = Shuffle::default();
        assert_eq!(deck.pick(&at(&[0, 1]), Roll(0)), Some(0));
        assert_eq!(deck.pick(&at(&[0, 2]), Roll(0)), Some(1), "0 was dealt, 2 was not");
    }
}
