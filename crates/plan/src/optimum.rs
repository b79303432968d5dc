//! The most that pools of limits could carry, if calls could be cut into pieces: a linear program.

use std::time::Duration;

use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};

use relay_sim::{Limit, Settings};

use crate::estate::{N_METERS, rates};
use crate::workload::Kind;

/// What one holder has of each limit over the whole time: requests, input, output, seconds of calls under way, and tokens of
/// both kinds. None is no limit.
pub type Pool = [Option<f64>; N_METERS];

/// Calls of one kind.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Demand {
    /// What each takes: requests, uncached input, output, seconds, and tokens of both kinds as they are weighed.
    pub needs: [f64; N_METERS],
    /// How many there are.
    pub count: f64,
    /// The place of the pools that they count against.
    pub class: usize,
}

/// What a limit gives in that time, if its bucket is full when it begins.
pub fn pool(limit: &Limit, lasts: Duration) -> Pool {
    pool_of(rates(limit), limit.burst, lasts)
}

/// The same of what is allowed of each, a minute or at once. A limit of all tokens is of whole minutes.
pub(crate) fn pool_of(rates: [Option<u64>; N_METERS], burst: Duration, lasts: Duration) -> Pool {
    let [requests, input, output, at_once, tokens] = rates.map(|rate| rate.map(float));
    let minutes = |burst: Duration| (lasts + burst).as_secs_f64() / 60.0;
    let [requests, input, output] =
        [requests, input, output].map(|rate| rate.map(|rate| rate * minutes(burst)));
    let tokens = tokens.map(|rate| rate * minutes(Duration::from_mins(1)));
    [requests, input, output, at_once.map(|most| most * lasts.as_secs_f64()), tokens]
}

/// The same of each organization of a provider, for calls of any class without a limit of its own.
pub fn pools(provider: &Settings, lasts: Duration) -> Vec<Pool> {
    provider.organizations.iter().map(|held| pool(&held.limit, lasts)).collect()
}

/// A count of calls or tokens.
#[expect(clippy::cast_precision_loss, reason = "counts of calls and tokens are far below 53 bits")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// How many times as many calls could be served, each kind as many times as often. `pools` are those of each holder,
/// by class. None if the program has no solution, or no bound.
pub fn optimum(pools: &[Vec<Pool>], demands: &[Demand]) -> Option<f64> {
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let part = problem.add_var(1.0, (0.0, f64::INFINITY));
    // How many of each kind each holder serves.
    let served: Vec<Vec<_>> = pools
        .iter()
        .map(|_| demands.iter().map(|_| problem.add_var(0.0, (0.0, f64::INFINITY))).collect())
        .collect();
    for (kind, demand) in demands.iter().enumerate() {
        let mut all: Vec<_> = served.iter().map(|holder| (holder[kind], 1.0)).collect();
        all.push((part, -demand.count));
        problem.add_constraint(all, ComparisonOp::Eq, 0.0);
    }
    for (classes, served) in pools.iter().zip(&served) {
        for (class, pool) in classes.iter().enumerate() {
            for (meter, most) in pool.iter().enumerate() {
                let Some(most) = most else { continue };
                let used = demands.iter().zip(served).filter(|(demand, _)| demand.class == class);
                let used = used.map(|(demand, variable)| (*variable, demand.needs[meter]));
                problem.add_constraint(used.collect::<Vec<_>>(), ComparisonOp::Le, *most);
            }
        }
    }
    match problem.solve() {
        Ok(SolveOutcome::Solution(solution)) => Some(solution.objective()).filter(|part| part.is_finite()),
        // It is given no time limit, and so is not interrupted.
        Ok(SolveOutcome::Interrupted(_)) | Err(_) => None,
    }
}

/// The same for calls of one class of models, of which nothing is cached: `counts` is how many there are of each kind.
pub fn optimum_of(pools: &[Pool], kinds: &[Kind], counts: &[u64]) -> Option<f64> {
    let demand = |(kind, count): (&Kind, &u64)| Demand {
        // How long they take is not known, nor counted.
        needs: [1.0, float(kind.input), float(kind.output), 0.0, 0.0],
        count: float(*count),
        class: 0,
    };
    let demands: Vec<Demand> = kinds.iter().zip(counts).map(demand).collect();
    let pools: Vec<Vec<Pool>> = pools.iter().map(|pool| vec![*pool]).collect();
    optimum(&pools, &demands)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(input: f64, output: f64, count: f64) -> Demand {
        Demand { needs: [1.0, input, output, 0.0, 0.0], count, class: 0 }
    }

    #[test]
    fn each_kind_goes_where_it_is_cheapest() {
        let (prompts, answers) = (demand(100.0, 1.0, 20.0), demand(1.0, 100.0, 20.0));
        let pools =
            [[None, Some(1_000.0), Some(100.0), None, None], [None, Some(100.0), Some(1_000.0), None, None]];
        let part = optimum(&pools.map(|pool| vec![pool]), &[prompts, answers]).unwrap();
        // By symmetry, x of the one and y of the other: 100 x + y = 1,000 and x + 100 y = 100.
        assert!((part - 1_100.0 / 101.0 / 20.0).abs() < 1e-6, "{part}");
        let scale = |most: f64| {
            optimum(&[vec![[Some(most), None, None, None, None]]], &[demand(1.0, 1.0, 5.0)]).unwrap()
        };
        assert!((scale(10.0) - 2.0).abs() < 1e-6 && scale(0.0).abs() < 1e-6);
    }

    #[test]
    fn classes_do_not_take_from_each_other() {
        let other = Demand { class: 1, ..demand(10.0, 1.0, 5.0) };
        let pools = [vec![[None, Some(100.0), None, None, None], [None, Some(50.0), None, None, None]]];
        assert!((optimum(&pools, &[demand(10.0, 1.0, 5.0)]).unwrap() - 2.0).abs() < 1e-6);
        assert!((optimum(&pools, &[demand(10.0, 1.0, 5.0), other]).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(optimum(&[vec![[None; N_METERS]]], &[other]), None);
    }
}
