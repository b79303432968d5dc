//! `round_robin`: each in turn. The cursor remembers a place, not a position in the list of those
//! available, so a candidate that drops out and returns does not skew the order of the rest.

use super::Candidate;

/// Remembers who was last.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundRobin {
    last: Option<usize>,
}

impl RoundRobin {
    /// The next place after the last one, wrapping around.
    pub(super) fn pick(&mut self, candidates: &[Candidate]) -> Option<usize> {
        let after = self.last.and_then(|last| candidates.iter().position(|candidate| candidate.place > last));
        let index = after.unwrap_or(0);
        self.last = Some(candidates.get(index)?.place);
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(places: &[usize]) -> Vec<Candidate> {
        places.iter().map(|&place| Candidate { place, priority: 1, weight: 1, in_flight: 0 }).collect()
    }

    #[test]
    fn each_is_chosen_in_turn_also_when_one_drops_out() {
        let mut cursor = RoundRobin::default();
        let mut next = |places: &[usize]| {
            let candidates = at(places);
            cursor.pick(&candidates).map(|index| candidates[index].place)
        };
        assert_eq!(next(&[0, 1, 2]), Some(0));
        assert_eq!(next(&[0, 1, 2]), Some(1));
        assert_eq!(next(&[0, 1]), Some(0), "2 is away, the turn wraps");
        assert_eq!(next(&[0, 1, 2]), Some(1));
        assert_eq!(next(&[0, 1, 2]), Some(2));
        assert_eq!(next(&[0, 1, 2]), Some(0));
    }
}
