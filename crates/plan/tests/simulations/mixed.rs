//! The mixed case: four organizations bound by different limits, three kinds of calls, buckets that hold a few seconds,
//! half as much again as they can carry.

use std::time::Duration;

use relay_core::Caps;
use relay_plan::{Dice, Estate, Kind, Mix, Outcome, Setting, World, float, optimum_of, pools};
use relay_sim::{Limit, Settings};

use crate::organization;

/// Requests, input and output a minute: different ones bind.
const DIFFERENT: [[u64; 3]; 4] = [
    [120, 2_000_000, 400_000],
    [1_000, 400_000, 400_000],
    [1_000, 2_000_000, 60_000],
    [300, 800_000, 120_000],
];

/// The same of which the same one binds everywhere.
const REQUESTS: [[u64; 3]; 4] = [
    [120, 2_000_000, 400_000],
    [60, 2_000_000, 400_000],
    [240, 4_000_000, 800_000],
    [120, 2_000_000, 400_000],
];
const INPUT: [[u64; 3]; 4] = [
    [1_000, 400_000, 400_000],
    [1_000, 800_000, 400_000],
    [1_000, 300_000, 400_000],
    [1_000, 400_000, 400_000],
];
const OUTPUT: [[u64; 3]; 4] = [
    [1_000, 2_000_000, 60_000],
    [1_000, 2_000_000, 120_000],
    [1_000, 2_000_000, 40_000],
    [1_000, 2_000_000, 60_000],
];

fn settings(limits: &[[u64; 3]], burst: Duration) -> Settings {
    let held = |(place, [requests, input, output]): (usize, &[u64; 3])| {
        organization(&format!("org-{place}"), Limit::per_minute(*requests, *input, *output, burst))
    };
    Settings { organizations: limits.iter().enumerate().map(held).collect(), ..Settings::default() }
}

fn kinds(pace: Option<u64>, latency: Duration) -> Vec<Kind> {
    vec![
        Kind { name: "small", share: 6, input: 500, output: 150, pace, latency },
        Kind { name: "prompt", share: 2, input: 20_000, output: 200, pace, latency },
        Kind { name: "answer", share: 1, input: 800, output: 3_000, pace, latency },
    ]
}

/// What is known beforehand of what calls will take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Foretold,
    Learned,
}

/// So much more comes than could be carried.
const OVERLOAD: f64 = 1.5;

/// How long a call may wait.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// What could be carried if calls could be cut into pieces, and how much of that was. In the end, when nobody comes any
/// more, those who wait leave gaps; so it must go on for long.
fn run(limits: &[[u64; 3]], pace: Option<u64>, needs: Needs, (seed, seconds): (u64, u64)) -> (f64, Outcome) {
    let provider = settings(limits, Duration::from_secs(6));
    let kinds = kinds(pace, Duration::from_millis(500));
    let lasts = Duration::from_secs(seconds);
    let pools = pools(&provider, lasts + MAX_WAIT);
    // As many as could be carried, by the shares of the kinds.
    let shares: Vec<u64> = kinds.iter().map(|kind| kind.share * 1_000).collect();
    let part = optimum_of(&pools, &kinds, &shares).expect("there are limits");
    let most = part * float(shares.iter().sum());
    let mix = Mix { kinds: kinds.clone(), every: lasts.div_f64(most * OVERLOAD), lasts };
    let workload = mix.workload(Dice::seeded(seed));
    let estate = Estate::before(&provider, &|_| Caps::default());
    let setting =
        Setting { foretold: needs == Needs::Foretold, ..Setting::new(&estate, &workload, seed + 1) };
    let outcome = World::new(setting).play();
    let answered: Vec<u64> = outcome.kinds.iter().map(|kind| kind.answered).collect();
    (1.0 / optimum_of(&pools, &kinds, &answered).expect("there are limits"), outcome)
}

/// Every call that was let through was admitted, nothing was taken beyond any bucket, and nothing was left lying.
#[test]
fn known_needs_overshoot_nothing_and_waste_next_to_nothing() {
    for (pace, seed) in [(None, 1), (None, 2), (Some(60), 3), (Some(60), 4)] {
        let (goodput, outcome) = run(&DIFFERENT, pace, Needs::Foretold, (seed, 900));
        assert!(goodput >= 0.97, "{goodput:.3} with pace {pace:?} and seed {seed}");
        assert_eq!(outcome.refused_upstream, 0, "pace {pace:?}, seed {seed}");
        assert_eq!(outcome.overshoot(), 0, "pace {pace:?}, seed {seed}: {:?}", outcome.gauges);
        assert_eq!(outcome.open, 0);
    }
}

#[test]
fn where_the_same_limit_binds_everywhere_even_less_is_wasted() {
    for (name, limits) in [("requests", REQUESTS), ("input", INPUT), ("output", OUTPUT)] {
        for (pace, seed) in [(None, 1), (Some(60), 2)] {
            let (goodput, outcome) = run(&limits, pace, Needs::Foretold, (seed, 1_800));
            let what = format!("{name} with pace {pace:?}");
            assert!(goodput >= 0.99, "{goodput:.4} of {what}");
            assert_eq!((outcome.refused_upstream, outcome.overshoot(), outcome.open), (0, 0, 0), "{what}");
        }
    }
}

/// What calls need is learned from their answers, and what limits there are from their heads.
#[test]
fn needs_that_are_learned_cost_little_and_hardly_ever_a_429() {
    for pace in [None, Some(60)] {
        // A run is off by a hundredth or two, either way: who goes first decides who goes next.
        let seeds = [1, 2, 3];
        let goodputs = seeds.map(|seed| {
            let (goodput, outcome) = run(&DIFFERENT, pace, Needs::Learned, (seed, 900));
            let refused = outcome.refused_upstream;
            assert!(refused * 1_000 <= outcome.requests, "{refused} of them");
            assert_eq!(outcome.open, 0);
            goodput
        });
        let mean = goodputs.iter().sum::<f64>() / float(seeds.len() as u64);
        assert!(mean >= 0.97, "{mean:.3} of {goodputs:.3?} with pace {pace:?}");
    }
}

/// Large calls do not starve among small ones, and small ones do not stand behind them.
#[test]
fn no_kind_of_call_is_starved() {
    for (pace, seed) in [(None, 1), (Some(60), 2)] {
        let (_, outcome) = run(&DIFFERENT, pace, Needs::Foretold, (seed, 120));
        for kind in 0..3 {
            assert!(outcome.part(kind) >= 0.6, "{:.2} of kind {kind} with pace {pace:?}", outcome.part(kind));
        }
    }
}
