//! `weighted_round_robin` and `weighted`: each in proportion to its weight, spread evenly over the cycle.

use std::collections::BTreeMap;

use super::Candidate;

/// Smooth weighted round robin: everyone earns their weight each turn, the richest is chosen and
/// pays the sum of all. Credit is kept by place, so an absence neither earns nor loses.
#[derive(Clone, Debug, Default)]
pub(super) struct Weighted {
    credit: BTreeMap<usize, i64>,
}

impl Weighted {
    pub(super) fn pick(&mut self, candidates: &[Candidate]) -> Option<usize> {
        let mut total = 0_i64;
        let mut best: Option<(usize, usize, i64)> = None;
        for (index, candidate) in candidates.iter().enumerate() {
            let share = i64::from(candidate.weight.max(1));
            total += share;
            let credit = self.credit.entry(candidate.place).or_insert(0);
            *credit += share;
            if best.is_none_or(|(_, _, richest)| *credit > richest) {
                best = Some((index, candidate.place, *credit));
            }
        }
        let (index, place, _) = best?;
        if let Some(credit) = self.credit.get_mut(&place) {
            *credit -= total;
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn turns_are_spread_and_among_equals_the_first_in_the_configuration_goes_first() {
        let turns = |weights: &[u32]| {
            let candidate = |(place, &weight)| Candidate { place, priority: 0, weight, in_flight: 0 };
            let candidates: Vec<_> = weights.iter().enumerate().map(candidate).collect();
            let mut cursor = Weighted::default();
            (0..7).map(|_| cursor.pick(&candidates).unwrap()).collect::<Vec<_>>()
        };
        // The example with which nginx tells of its smooth weighted round robin.
        assert_eq!(turns(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(turns(&[1, 1, 1]), [0, 1, 2, 0, 1, 2, 0]);
    }

    proptest! {
        #[test]
        fn weighted_choice_is_fair_within_one_over_a_cycle(weights in proptest::collection::vec(1_u32..8, 1..6)) {
            let candidates: Vec<_> = weights.iter().enumerate()
                .map(|(place, &weight)| Candidate { place, priority: 0, weight, in_flight: 0 }).collect();
            let cycle: u32 = weights.iter().sum();
            let mut cursor = Weighted::default();
            let mut chosen = vec![0_u32; weights.len()];
            for turn in 1..=cycle * 3 {
                chosen[cursor.pick(&candidates).unwrap()] += 1;
                for (&count, &weight) in chosen.iter().zip(&weights) {
                    let due = f64::from(weight) * f64::from(turn) / f64::from(cycle);
                    prop_assert!((f64::from(count) - due).abs() <= 1.0 + 1e-9, "{chosen:?} of {weights:?}");
                }
            }
            let expect: Vec<_> = weights.iter().map(|weight| weight * 3).collect();
            prop_assert_eq!(chosen, expect);
        }
    }
}
