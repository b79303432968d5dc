//! `random`: every candidate is as likely as any other.

use super::Candidate;
use crate::time::Roll;

/// One of the candidates, of whom there is at least one, by the roll.
pub(super) fn pick(candidates: &[Candidate], roll: Roll) -> Option<usize> {
    let count = u64::try_from(candidates.len()).ok()?;
    usize::try_from(roll.below(count)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_of_the_dice_choose_equal_parts() {
        let three = [Candidate { place: 0, priority: 0, weight: 9, in_flight: 0 }; 3];
        let third = u64::MAX / 3;
        assert_eq!(pick(&three, Roll(third / 2)), Some(0));
        assert_eq!(pick(&three, Roll(third + third / 2)), Some(1));
        assert_eq!(pick(&three, Roll(2 * third + third / 2)), Some(2));
    }
}
