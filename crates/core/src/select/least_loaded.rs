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
}
