//! `weighted_failover`: a draw by weight at every choice. Those already tried are no longer candidates,
//! so a failing call walks through all of them in a weighted random order without replacement.

use super::Candidate;
use crate::time::Roll;

/// One of the candidates, in proportion to its weight.
pub(super) fn pick(candidates: &[Candidate], roll: Roll) -> Option<usize> {
    let total = candidates.iter().map(Candidate::share).sum();
    let mut drawn = roll.below(total);
    for (index, candidate) in candidates.iter().enumerate() {
        let share = candidate.share();
        if drawn < share {
            return Some(index);
        }
        drawn -= share;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draw_is_in_proportion_to_the_weights() {
        let candidates = [1_u32, 3].map(|weight| Candidate {
            place: usize::from(weight == 3),
            priority: 0,
            weight,
            in_flight: 0,
        });
        let step = u64::MAX / 400;
        let first = (0..400).filter(|i| pick(&candidates, Roll(i * step + step / 2)) == Some(0)).count();
        assert_eq!(first, 100);
    }
}
