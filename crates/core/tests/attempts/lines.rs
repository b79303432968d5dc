//! Those who wait for a limit stand in a line: who may join it, and who stays in it.

use std::time::Duration;

use relay_core::{
    Ask, Caps, Exhausted, Fleet, Foretold, Lease, Need, Plan, Roll, Size, State, Strategy, Time, Usage,
};

use crate::script::{START, call, fleet, key_id, state};

fn at(millis: u64) -> Time {
    START + Duration::from_millis(millis)
}

/// Keys that are capped at so many input tokens a second. Full, they hold six seconds' worth.
fn capped<const N: usize>(keys: &str, per_second: [u64; N]) -> Fleet {
    let mut fleet = fleet(keys);
    let provider = &mut fleet.providers[0];
    provider.strategy = Strategy::LeastLoaded;
    for (key, rate) in provider.keys.iter_mut().zip(per_second) {
        key.caps = Caps { input: Some(rate * 60), ..Caps::default() };
    }
    fleet
}

/// A call that needs so many input tokens.
fn needs(input: u64) -> Need {
    let foretold = Some(Foretold { input, output: 0, pace: None });
    Need { size: Some(Size { bytes: 4 * input, foretold, ..Size::default() }), ..call() }
}

fn pinned(input: u64, key: &str) -> Need {
    Need { pinned: Some(key_id(key)), ..needs(input) }
}

/// Asks so many times for the same, and gives what came of it: who went, and took what he needed, and who waits.
fn ask(state: &mut State, fleet: &Fleet, need: &Need, n_times: usize) -> (Vec<Lease>, Vec<Plan>) {
    let (mut leases, mut waiting) = (Vec::new(), Vec::new());
    for _ in 0..n_times {
        let mut plan = fleet.plan(need.clone(), START);
        match state.ask(&mut plan, START, Roll(0)) {
            Ask::Granted(mut lease) => {
                let input = need.size.and_then(|size| size.foretold).map_or(0, |foretold| foretold.input);
                state.charge(&mut lease, Usage { input, ..Usage::ZERO }, START);
                leases.push(lease);
            }
            Ask::Wait { .. } => waiting.push(plan),
            other @ Ask::Exhausted(_) => unreachable!("it goes or waits, not {other:?}"),
        }
    }
    (leases, waiting)
}

fn told(state: &mut State, fleet: &Fleet, need: &Need) -> Result<Time, Exhausted> {
    match state.ask(&mut fleet.plan(need.clone(), START), START, Roll(0)) {
        Ask::Granted(_) => unreachable!("there is nothing left"),
        Ask::Wait { until, .. } => Ok(until),
        Ask::Exhausted(why) => Err(why),
    }
}

fn close(state: &mut State, leases: Vec<Lease>) {
    for lease in leases {
        state.close(lease, Usage::ZERO, at(60_000));
    }
}

/// Everybody in a full line was refused as soon as he looked how it stood, after having waited nearly as long as he
/// might: he was judged as if he came now, behind all the others and behind himself.
#[test]
fn who_stands_in_a_line_is_not_refused_for_those_behind_him() {
    let fleet = capped("a1", [100]);
    let mut state = state(&fleet);
    let (leases, mut waiting) = ask(&mut state, &fleet, &needs(100), 6 + 30);
    assert_eq!((leases.len(), waiting.len()), (6, 30));
    assert_eq!(told(&mut state, &fleet, &needs(100)), Err(Exhausted::Spent { until: at(31_000) }));
    for (place, plan) in waiting.iter_mut().enumerate() {
        let Ask::Wait { until, .. } = state.ask(plan, at(500), Roll(0)) else {
            unreachable!("he keeps his place")
        };
        assert!(until > at(500) && until <= at(1_000 * (place as u64 + 1)), "{until:?} for {place}");
    }
    close(&mut state, leases);
}

/// Calls for which there was no room where they belong waited for a moment at which they would have been let in
/// elsewhere, and were refused when it came: nobody was ever refused at once.
#[test]
fn who_comes_too_late_where_he_belongs_is_told_at_once() {
    let fleet = capped("a1 a2", [1_000, 100]);
    let mut state = state(&fleet);
    let (mut leases, _) = ask(&mut state, &fleet, &pinned(1_000, "a1"), 6 + 30);
    let (others, _) = ask(&mut state, &fleet, &pinned(100, "a2"), 6 + 26);
    leases.extend(others);
    // On the second key it would have its turn after 29 s, and would take ten times as long of it as of the first.
    assert_eq!(told(&mut state, &fleet, &needs(300)), Err(Exhausted::Spent { until: at(29_000) }));
    // Whoever belongs there may still join.
    assert_eq!(told(&mut state, &fleet, &pinned(100, "a2")), Ok(at(27_000)));
    close(&mut state, leases);
}

#[test]
fn where_nobody_waits_anybody_may() {
    let fleet = capped("a1 a2", [1_000, 100]);
    let mut state = state(&fleet);
    let (mut leases, _) = ask(&mut state, &fleet, &pinned(1_000, "a1"), 6 + 30);
    let (others, _) = ask(&mut state, &fleet, &pinned(100, "a2"), 6);
    leases.extend(others);
    assert_eq!(told(&mut state, &fleet, &needs(300)), Ok(at(3_000)));
    close(&mut state, leases);
}
