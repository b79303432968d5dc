//! Medians and percentiles. Knows numbers; refuses to know what they measure.

use std::time::Duration;

/// The value below which so many thousandths of sorted values lie (nearest rank).
pub(crate) fn permille(sorted: &[Duration], permille: usize) -> Duration {
    let rank = (sorted.len() * permille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// The middle of some numbers, or the mean of the two in the middle; nothing of nothing.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = numbers.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted.get(middle).copied()
    } else {
        let (low, high) = (sorted.get(middle.checked_sub(1)?)?, sorted.get(middle)?);
        Some(f64::midpoint(*low, *high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(numbers: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        numbers.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred = milliseconds(1..=100);
        assert_eq!(permille(&hundred, 500), Duration::from_millis(50));
        assert_eq!(permille(&hundred, 990), Duration::from_millis(99));
        assert_eq!(permille(&hundred, 1000), Duration::from_millis(100));
        assert_eq!(permille(&milliseconds([7]), 990), Duration::from_millis(7));
        assert_eq!(permille(&[], 500), Duration::ZERO);
    }

    #[test]
    fn the_median_does_not_follow_an_outlier() {
        assert_eq!(median([3.0, 1000.0, 1.0]), Some(3.0));
        assert_eq!(median([4.0, 2.0]), Some(3.0));
        assert_eq!(median([]), None);
    }
}
