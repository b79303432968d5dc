//! Agents at work on keys that just carry them: their conversations stay where their prompt caches are.

use std::time::Duration;

use relay_core::{Caps, Strategy};
use relay_plan::{Agents, Dice, Kind, Outcome, Setting, World, float};
use relay_sim::{Limit, Settings};

use crate::organization;

/// Twenty sessions, each of which works itself and has three subagents.
const AGENTS: Agents = Agents { count: 20 * 4, turns: 60, grows: 1_500, pause: Duration::from_secs(8) };

fn run(strategy: Strategy, told: bool) -> Outcome {
    // A turn takes about 20 s with its pause: 240 turns a minute, of 1,500 tokens that are new and 300 of an answer.
    let limit = Limit::per_minute(90, 180_000, 27_000, Duration::from_mins(1));
    let ids = ["one", "two", "three", "four"];
    let provider = Settings {
        organizations: ids.into_iter().map(|id| organization(id, limit)).collect(),
        ..Settings::default()
    };
    let latency = Duration::from_secs(2);
    let kinds = [Kind { name: "turn", share: 1, input: 20_000, output: 300, pace: Some(60), latency }];
    let caps = |_| Caps::default();
    let setting = Setting {
        provider: &provider,
        strategy,
        max_wait: Duration::from_secs(30),
        caps: &caps,
        foretold: false,
        kinds: &kinds,
        agents: Some(AGENTS),
        told,
    };
    let arrivals = AGENTS.arrivals(0, Duration::from_mins(10), Dice::seeded(1));
    World::new(&setting, Dice::seeded(2)).play(&arrivals)
}

/// Of what a single key without limits would have read from its cache.
fn kept(outcome: &Outcome) -> f64 {
    float(outcome.cache_read) / float(outcome.cache_best)
}

#[test]
fn conversations_stay_where_their_prompt_is_cached() {
    let outcome = run(Strategy::LeastLoaded, true);
    assert!(kept(&outcome) >= 0.95, "{:.3}", kept(&outcome));
    assert_eq!((outcome.refused_upstream, outcome.overshoot(), outcome.open), (0, 0, 0));
    // For scale: taken in turn, the keys write nearly every history anew, and cannot carry that.
    let in_turn = run(Strategy::RoundRobin, false);
    assert!(kept(&in_turn) < 0.9, "{:.3}", kept(&in_turn));
    assert!(in_turn.kinds[0].refused > 1_000, "{:?}", in_turn.kinds);
}
