//! How dear a limit is that others wait for already.

/// How quickly a backlog makes a limit dear: by a factor of e for each of these, in nanoseconds. Measured in ADR 0024.
const PATIENCE: u64 = 2_000_000_000;

/// The table below ends after so many of those.
const LONGEST: u64 = 16;

/// Steps of it for each of those.
const STEPS: u64 = 8;

/// e to the power of each eighth, up to 16, less one, in 1,024ths.
#[expect(clippy::cast_possible_truncation, reason = "the last of them has 34 bits")]
const DEARER: [u64; 129] = {
    let mut table = [0; 129];
    // e to the power of an eighth, in 2^-48ths.
    let (eighth, mut power): (u128, u128) = (318_952_934_436_700, 1 << 48);
    let mut index = 0;
    while index < table.len() {
        table[index] = (power >> 38) as u64 - 1024;
        power = (power * eighth) >> 48;
        index += 1;
    }
    table
};

/// What takes so long to refill, behind a backlog of so long.
pub(super) fn weighed(takes: u64, backlog: u64) -> u64 {
    let step = PATIENCE / STEPS;
    // Beyond the table all is as dear as at its end.
    let backlog = backlog.min(LONGEST * PATIENCE - 1);
    let index = usize::try_from(backlog / step).unwrap_or_default().min(DEARER.len() - 2);
    // Between two steps, in proportion: a difference has 31 bits, and a part of a step 28.
    let (low, high) = (DEARER[index], DEARER[index + 1]);
    let factor = low + (high - low) * (backlog % step) / step;
    u64::try_from((u128::from(takes) * u128::from(factor)) >> 10).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_dearer_by_a_factor_of_e_for_each_two_seconds_of_backlog() {
        assert_eq!(weighed(1_000_000, 0), 0, "what nobody wants costs nothing");
        for (seconds, factor) in [(1, 0.648_721), (2, 1.718_282), (6, 19.085_537), (30, 3_269_016.37)] {
            let cost = f64::from(u32::try_from(weighed(1_000, seconds * 1_000_000_000)).unwrap());
            assert!((cost / 1_000.0 - factor).abs() <= factor / 500.0 + 0.001, "{cost} after {seconds} s");
        }
        // Between two steps of the table, which are an eighth of a power apart.
        for (millis, factor) in [(125, 0.064_494), (2_100, 1.857_651), (6_060, 19.697_233)] {
            let cost = f64::from(u32::try_from(weighed(1_000, millis * 1_000_000)).unwrap());
            assert!((cost / 1_000.0 - factor).abs() <= factor / 200.0 + 0.002, "{cost} after {millis} ms");
        }
        let costs: Vec<_> = (0..=800).map(|tenths| weighed(1_000, tenths * 100_000_000)).collect();
        assert!(costs.is_sorted(), "a longer backlog is never cheaper");
        assert_eq!(costs.last(), Some(&weighed(1_000, u64::MAX)), "it ends somewhere");
        assert_eq!(weighed(u64::MAX, u64::MAX), u64::MAX);
    }
}
