//! A day of agents at work: sessions begin as people do, each with subagents beside it, on keys that just carry them
//! when most are at work.

use std::time::Duration;

use relay_core::Caps;
use relay_plan::workload::{PATIENCE, Then};
use relay_plan::{Agents, CLAUDE_CODE, Choice, Dice, Estate, Outcome, Setting, Workload, World};
use relay_sim::{Limit, Settings};

use crate::organization;

/// Sessions that begin in each hour of the day.
const BEGIN: [u32; 24] = [1, 0, 0, 0, 0, 2, 4, 12, 28, 40, 40, 32, 20, 32, 40, 40, 32, 20, 12, 8, 4, 4, 2, 1];

/// Each goes on for some twenty minutes, and is not followed by another.
const AGENTS: Agents = Agents { then: Then::Ends, ..CLAUDE_CODE.agents };

const HOUR: Duration = Duration::from_hours(1);

fn day(mut dice: Dice) -> Workload {
    let mut workload = Workload {
        name: "a day".to_owned(),
        agents: Some(AGENTS),
        lasts: 24 * HOUR,
        patience: PATIENCE,
        ..CLAUDE_CODE.workload(1, "claude-opus-5-5", HOUR, dice.clone())
    };
    let session = std::mem::take(&mut workload.arrivals);
    for (hour, sessions) in (0..).zip(BEGIN) {
        for _ in 0..sessions {
            let begin = hour * HOUR + Duration::from_secs(dice.below(HOUR.as_secs()));
            let number = workload.arrivals.len() as u64;
            let arrivals = session.iter().zip(number..).map(|(first, conversation)| relay_plan::Arrival {
                // Subagents are sent out when the session has begun.
                after: begin + Duration::from_secs(if first.background { dice.below(60) } else { 0 }),
                conversation: Some(conversation),
                ..*first
            });
            workload.arrivals.extend(arrivals);
        }
    }
    workload
}

fn provider() -> Settings {
    let limit = Limit::per_minute(45, 80_000, 14_000, Duration::from_mins(1));
    let ids = ["one", "two", "three", "four"];
    Settings { organizations: ids.map(|id| organization(id, limit)).into(), ..Settings::default() }
}

/// Prints what came of it: one run beside the other is the measure of both.
#[expect(clippy::print_stderr, reason = "`--nocapture` shows the figures that the documents quote")]
fn show(name: &str, outcome: &Outcome) {
    let all = outcome.all();
    eprintln!(
        "{name:<14} {} of {} turns answered, {} refusals, {} given up; waited {:.1} s on average; {:.1} % of the cache \
         reads of one unlimited key kept; ${:.0}; {} requests refused by the provider, overshoot {}",
        all.answered,
        all.calls,
        all.refused,
        all.given_up,
        outcome.waits.all.mean().as_secs_f64(),
        outcome.kept().unwrap_or_default() * 100.0,
        all.dollars,
        outcome.refused_upstream,
        outcome.overshoot(),
    );
}

#[test]
fn a_day_of_agents_overshoots_nothing_keeps_its_caches_and_loses_next_to_no_turn() {
    let estate = Estate::before(&provider(), &|_| Caps::default());
    let workload = day(Dice::seeded(1));
    let outcome = World::new(Setting::new(&estate, &workload, 2)).play();
    show("as it is", &outcome);
    assert_eq!(
        (outcome.refused_upstream, outcome.overshoot(), outcome.open),
        (0, 0, 0),
        "{:?}",
        outcome.gauges
    );
    let all = outcome.all();
    assert!(all.given_up * 1_000 <= all.calls, "{} of {} given up", all.given_up, all.calls);
    assert!(outcome.kept().unwrap() >= 0.95, "{:?}", outcome.kept());
    assert!(all.calls > 80_000 && outcome.lasted > 23 * HOUR, "{} turns in {:?}", all.calls, outcome.lasted);
    // For scale: keys that are taken in turn write much anew, and their providers refuse what does not fit.
    let in_turn = Setting { choice: Choice::InTurn, ..Setting::new(&estate, &workload, 2) };
    let in_turn = World::new(in_turn).play();
    show("round robin", &in_turn);
    assert!(in_turn.kept() < outcome.kept());
    assert!(in_turn.all().dollars > all.dollars * 1.1 && in_turn.refused_upstream > in_turn.requests / 2);
}
