//! The mixed case: four organizations bound by different limits, three kinds of calls, buckets that hold a few seconds,
//! half as much again as they can carry.

use std::time::Duration;

use relay_core::{Caps, Strategy};
use relay_plan::{Dice, Kind, Mix, Outcome, Setting, World, float, optimum, pools};
use relay_sim::{Limit, Settings};

use crate::organization;

fn settings(burst: Duration) -> Settings {
    let limits = [
        ("requests", Limit::per_minute(120, 2_000_000, 400_000, burst)),
        ("input", Limit::per_minute(1_000, 400_000, 400_000, burst)),
        ("output", Limit::per_minute(1_000, 2_000_000, 60_000, burst)),
        ("mixed", Limit::per_minute(300, 800_000, 120_000, burst)),
    ];
    Settings {
        organizations: limits.into_iter().map(|(id, limit)| organization(id, limit)).collect(),
        ..Settings::default()
    }
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
fn run(pace: Option<u64>, needs: Needs, seed: u64, seconds: u64) -> (f64, Outcome) {
    let burst = Duration::from_secs(6);
    let provider = settings(burst);
    let kinds = kinds(pace, Duration::from_millis(500));
    let lasts = Duration::from_secs(seconds);
    let pools = pools(&provider, lasts + MAX_WAIT);
    // As many as could be carried, by the shares of the kinds.
    let shares: Vec<u64> = kinds.iter().map(|kind| kind.share * 1_000).collect();
    let part = optimum(&pools, &kinds, &shares).expect("there are limits");
    let most = part * float(shares.iter().sum());
    let mix = Mix { kinds: kinds.clone(), every: lasts.div_f64(most * OVERLOAD), lasts };
    let arrivals = mix.arrivals(Dice::seeded(seed));
    let caps = |_| Caps::default();
    let setting = Setting {
        provider: &provider,
        strategy: Strategy::LeastLoaded,
        max_wait: MAX_WAIT,
        caps: &caps,
        foretold: needs == Needs::Foretold,
        kinds: &kinds,
        agents: None,
        told: false,
    };
    let outcome = World::new(&setting, Dice::seeded(seed + 1)).play(&arrivals);
    let answered: Vec<u64> = outcome.kinds.iter().map(|kind| kind.answered).collect();
    (1.0 / optimum(&pools, &kinds, &answered).expect("there are limits"), outcome)
}

/// Every call that was let through was admitted, nothing was taken beyond any bucket, and nothing was left lying.
#[test]
fn known_needs_overshoot_nothing_and_waste_next_to_nothing() {
    for (pace, seed) in [(None, 1), (None, 2), (Some(60), 3), (Some(60), 4)] {
        let (goodput, outcome) = run(pace, Needs::Foretold, seed, 900);
        assert!(goodput >= 0.97, "{goodput:.3} with pace {pace:?} and seed {seed}");
        assert_eq!(outcome.refused_upstream, 0, "pace {pace:?}, seed {seed}");
        assert_eq!(outcome.overshoot(), 0, "pace {pace:?}, seed {seed}: {:?}", outcome.gauges);
        assert_eq!(outcome.open, 0);
    }
}

/// What calls need is learned from their answers, and what limits there are from their heads.
#[test]
fn needs_that_are_learned_cost_little_and_hardly_ever_a_429() {
    for pace in [None, Some(60)] {
        // A run is off by a hundredth or two, either way: who goes first decides who goes next.
        let seeds = [1, 2, 3, 4, 5];
        let goodputs = seeds.map(|seed| {
            let (goodput, outcome) = run(pace, Needs::Learned, seed, 600);
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
        let (_, outcome) = run(pace, Needs::Foretold, seed, 120);
        for kind in 0..3 {
            assert!(outcome.part(kind) >= 0.6, "{:.2} of kind {kind} with pace {pace:?}", outcome.part(kind));
        }
    }
}
