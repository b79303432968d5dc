//! `failover` and `priority`: always the first in line, so that the others are kept in reserve.

use super::Candidate;

/// The candidate of highest priority; among equals, the first in the configuration.
pub(super) fn pick(candidates: &[Candidate]) -> Option<usize> {
    let best = candidates.iter().map(|candidate| candidate.priority).max()?;
    candidates.iter().position(|candidate| candidate.priority == best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(place: usize, priority: u32) -> Candidate {
        Candidate { place, priority, weight: 1, in_flight: 0 }
    }

    #[test]
    fn the_highest_priority_goes_first_and_ties_go_by_place() {
        assert_eq!(pick(&[candidate(0, 0), candidate(1, 2), candidate(2, 2)]), Some(1));
        assert_eq!(pick(&[candidate(0, 1), candidate(1, 1)]), Some(0));
        assert_eq!(pick(&[]), None);
    }
}
