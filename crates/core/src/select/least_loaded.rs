//! `least_loaded`: the candidate with the fewest calls in flight for its weight.

use super::Candidate;

/// Fewest in flight per share; among equals the higher priority, then the first in the configuration.
pub(super) fn pick(candidates: &[Candidate]) -> Option<usize> {
    let load = |candidate: &Candidate| u64::from(candidate.in_flight);
    let indexed = candidates.iter().enumerate();
    let (index, _) = indexed.min_by(|(_, a), (_, b)| {
        // a/share_a against b/share_b, without dividing.
        let by_load = (load(a) * b.share()).cmp(&(load(b) * a.share()));
        by_load.then(b.priority.cmp(&a.priority)).then(a.place.cmp(&b.place))
    })?;
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop_assert_eq, proptest};
    use std::cmp::Reverse;

    fn candidate(place: usize, in_flight: u32, weight: u32, priority: u32) -> Candidate {
        Candidate { place, priority, weight, in_flight }
    }

    #[test]
    fn the_idlest_is_chosen_by_its_share() {
        assert_eq!(pick(&[candidate(0, 2, 1, 1), candidate(1, 1, 1, 1)]), Some(1));
        assert_eq!(
            pick(&[candidate(0, 2, 4, 1), candidate(1, 1, 1, 1)]),
            Some(0),
            "2 of 4 is less than 1 of 1"
        );
        assert_eq!(pick(&[candidate(0, 0, 1, 0), candidate(1, 0, 1, 2)]), Some(1), "priority breaks a tie");
        assert_eq!(pick(&[candidate(0, 1, 1, 1), candidate(1, 1, 1, 1)]), Some(0));
    }

    /// Any of several candidates, with shares of up to six.
    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let numbers = (0_u32..8, 1_u32..=6, 0_u32..3);
        proptest::collection::vec(numbers, 1..6).prop_map(|numbers| {
            let place =
                |(place, (in_flight, weight, priority))| candidate(place, in_flight, weight, priority);
            numbers.into_iter().enumerate().map(place).collect()
        })
    }

    proptest! {
        #[test]
        fn nobody_has_fewer_in_flight_for_its_share_than_who_is_chosen(candidates in candidates()) {
            // Sixtieths, for every share up to six divides them.
            let order = |candidate: &&Candidate| {
                (candidate.in_flight * 60 / candidate.weight, Reverse(candidate.priority), candidate.place)
            };
            let expect = candidates.iter().min_by_key(order).map(|candidate| candidate.place);
            prop_assert_eq!(pick(&candidates), expect);
        }
    }
}
