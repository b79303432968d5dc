//! Agents at work on keys that just carry them: their conversations stay where their prompt caches are.

use std::time::Duration;

use relay_core::Caps;
use relay_plan::workload::Then;
use relay_plan::{Agents, CLAUDE_CODE, Choice, Dice, Estate, Kind, Outcome, Setting, World, float};
use relay_sim::{Limit, Settings};

use crate::organization;

/// Twenty sessions, each of which works itself and has three subagents.
const AGENTS: Agents =
    Agents { count: 20 * 4, turns: 60, grows: 1_500, pause: Duration::from_secs(8), then: Then::Ends };

fn run(choice: Choice) -> Outcome {
    // A turn takes about 20 s with its pause: 240 turns a minute, of 1,500 tokens that are new and 300 of an answer.
    let limit = Limit::per_minute(90, 180_000, 27_000, Duration::from_mins(1));
    let ids = ["one", "two", "three", "four"];
    let provider = Settings {
        organizations: ids.into_iter().map(|id| organization(id, limit)).collect(),
        ..Settings::default()
    };
    let latency = Duration::from_secs(2);
    let turn = Kind { name: "turn", share: 1, input: 20_000, output: 300, pace: Some(60), latency };
    let estate = Estate::before(&provider, &|_| Caps::default());
    let workload = AGENTS.workload(&turn, Duration::from_mins(10), Dice::seeded(1));
    World::new(Setting { choice, ..Setting::new(&estate, &workload, 2) }).play()
}

/// Of what a single key without limits would have read from its cache.
fn kept(outcome: &Outcome) -> f64 {
    outcome.kept().expect("conversations have caches")
}

#[test]
fn conversations_stay_where_their_prompt_is_cached() {
    let outcome = run(Choice::Careful);
    assert!(kept(&outcome) >= 0.95, "{:.3}", kept(&outcome));
    assert_eq!((outcome.refused_upstream, outcome.overshoot(), outcome.open), (0, 0, 0));
    // For scale: taken in turn, the keys write each history four times, and much of it does not fit.
    let in_turn = run(Choice::InTurn);
    assert!(kept(&in_turn) < kept(&outcome) - 0.02, "{:.3}", kept(&in_turn));
    assert!(in_turn.refused_upstream > 1_000, "{:?}", in_turn.kinds);
}

/// Waiting conversations keep their caches, so that waiting does not make more of what is waited for.
#[test]
fn more_agents_than_keys_carry_get_nearly_all_that_the_keys_carry() {
    // 48 conversations would take 57,600 output tokens a minute.
    let limit = Limit::per_minute(100, 200_000, 24_000, Duration::from_secs(6));
    let organizations = ["one", "two"].map(|id| organization(id, limit)).into();
    let provider = Settings { organizations, ..Settings::default() };
    let estate = Estate::before(&provider, &|_| Caps::default());
    let workload = CLAUDE_CODE.workload(12, "claude-opus-5-5", Duration::from_mins(30), Dice::seeded(1));
    let outcome = World::new(Setting::new(&estate, &workload, 2)).play();
    let part = outcome.a_minute(outcome.all().usage.output) / float(2 * 24_000);
    assert!(part >= 0.9, "{part:.3} of the output");
    assert!(kept(&outcome) >= 0.95, "{:.3}", kept(&outcome));
    assert_eq!((outcome.refused_upstream, outcome.open), (0, 0));
}
