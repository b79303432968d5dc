//! The most that pools of limits could carry, if calls could be cut into pieces: a linear program.

use std::time::Duration;

use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};

use relay_sim::{Limit, Organization, Settings};

use crate::workload::Kind;

/// What one holder has of each of three limits over the whole time: requests, input, output. None is no limit.
pub type Pool = [Option<f64>; 3];

/// What the organizations of a provider have in that time, if their buckets are full when it begins.
pub fn pools(provider: &Settings, lasts: Duration) -> Vec<Pool> {
    let pool = |organization: &Organization| {
        let Limit { requests, input, output, burst } = organization.limit;
        [requests, input, output]
            .map(|rate| rate.map(|rate| float(rate) / 60.0 * (lasts + burst).as_secs_f64()))
    };
    provider.organizations.iter().map(pool).collect()
}

/// A count of calls or tokens.
#[expect(clippy::cast_precision_loss, reason = "counts of calls and tokens are far below 53 bits")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// How many times as many calls these pools could serve, each kind as many times as often. `counts` is how many there
/// are of each kind. None if the program has no solution, or no bound.
pub fn optimum(pools: &[Pool], kinds: &[Kind], counts: &[u64]) -> Option<f64> {
    let needs = |kind: &Kind| [1.0, float(kind.input), float(kind.output)];
    let count = |index: usize| float(counts[index]);
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let part = problem.add_var(1.0, (0.0, f64::INFINITY));
    // How many of each kind each pool serves.
    let served: Vec<Vec<_>> = pools
        .iter()
        .map(|_| kinds.iter().map(|_| problem.add_var(0.0, (0.0, f64::INFINITY))).collect())
        .collect();
    for kind in 0..kinds.len() {
        let mut all: Vec<_> = served.iter().map(|pool| (pool[kind], 1.0)).collect();
        all.push((part, -count(kind)));
        problem.add_constraint(all, ComparisonOp::Eq, 0.0);
    }
    for (pool, served) in pools.iter().zip(&served) {
        for (meter, most) in pool.iter().enumerate() {
            let Some(most) = most else { continue };
            let used = kinds.iter().zip(served).map(|(kind, variable)| (*variable, needs(kind)[meter]));
            problem.add_constraint(used.collect::<Vec<_>>(), ComparisonOp::Le, *most);
        }
    }
    match problem.solve() {
        Ok(SolveOutcome::Solution(solution)) => Some(solution.objective()),
        // It is given no time limit, and so is not interrupted.
        Ok(SolveOutcome::Interrupted(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(input: u64, output: u64) -> Kind {
        Kind { name: "", share: 1, input, output, pace: None, latency: Duration::ZERO }
    }

    #[test]
    fn each_kind_goes_where_it_is_cheapest() {
        let (prompts, answers) = (kind(100, 1), kind(1, 100));
        let pools = [[None, Some(1_000.0), Some(100.0)], [None, Some(100.0), Some(1_000.0)]];
        let part = optimum(&pools, &[prompts, answers], &[20, 20]).unwrap();
        // By symmetry, x of the one and y of the other: 100 x + y = 1,000 and x + 100 y = 100.
        assert!((part - 1_100.0 / 101.0 / 20.0).abs() < 1e-6, "{part}");
        let scale = |most: f64| optimum(&[[Some(most), None, None]], &[kind(1, 1)], &[5]).unwrap();
        assert!((scale(10.0) - 2.0).abs() < 1e-6 && scale(0.0).abs() < 1e-6);
    }
}
