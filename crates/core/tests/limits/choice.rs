//! With which key a call goes.

use relay_core::{Key, Strategy, Verdict};

use crate::stage::{Stage, Told, at, capped, fleet, id, takes, usage, with};

fn stage(keys: Vec<Key>) -> Stage {
    Stage::new(fleet(keys))
}

#[test]
fn a_call_goes_where_what_it_needs_is_plentiful() {
    let keys = || {
        vec![
            capped("prompts", [None, Some(1_000_000), Some(60_000)]),
            capped("answers", [None, Some(600_000), Some(120_000)]),
        ]
    };
    assert_eq!(stage(keys()).would(takes(20_000, 100)), Told::Go(id("prompts")));
    assert_eq!(stage(keys()).would(takes(100, 3_000)), Told::Go(id("answers")));
    // Whoever has been used less is cheaper, however plentiful the other is.
    let mut stage = stage(keys());
    let call = stage.go(with("prompts", takes(90_000, 0)));
    assert_eq!(stage.would(takes(20_000, 100)), Told::Go(id("answers")), "of what is promised too");
    stage.serve(call, usage(90_000, 0));
    assert_eq!(stage.would(takes(20_000, 100)), Told::Go(id("answers")));
    stage.pass(6_000);
    assert_eq!(stage.would(takes(20_000, 100)), Told::Go(id("prompts")));
}

#[test]
fn a_call_waits_where_that_costs_the_others_least() {
    let mut stage = stage(vec![capped("a", [None, Some(600), None]), capped("b", [None, Some(600), None])]);
    for (label, used) in [("a", 100), ("b", 90)] {
        let call = stage.go(with(label, takes(60, 0)));
        stage.serve(call, usage(used, 0));
    }
    let (_first, until) = stage.wait(takes(20, 0));
    assert_eq!(until, at(5_000), "at the second key");
    let (_second, until) = stage.wait(takes(20, 0));
    assert_eq!(until, at(6_000), "at the first, for somebody waits at the second");
    let (_third, until) = stage.wait(takes(10, 0));
    assert_eq!(until, at(6_000), "at the second again");
}

#[test]
fn of_keys_that_cost_the_same_the_one_with_the_fewest_calls_for_its_weight_is_chosen() {
    let mut stage = stage(vec![
        Key { weight: 2, ..capped("a", [Some(6_000); 3]) },
        Key { weight: 0, ..capped("b", [Some(6_000); 3]) },
    ]);
    let uncounted = || relay_core::Need { size: None, ..takes(0, 0) };
    let mut open = Vec::new();
    for expect in ["a", "b", "a", "a", "b", "a"] {
        let (call, told) = stage.arrive(uncounted());
        assert_eq!(told, Told::Go(id(expect)), "after {}", open.len());
        open.push(call);
    }
}

#[test]
fn a_higher_priority_goes_first_whatever_it_costs_as_long_as_it_serves() {
    let mut stage = stage(vec![
        capped("a", [Some(6_000); 3]),
        Key { priority: 1, ..capped("b", [None, Some(60), None]) },
    ]);
    assert_eq!(stage.would(takes(5, 1)), Told::Go(id("b")));
    let call = stage.go(with("b", takes(6, 0)));
    assert_eq!(stage.would(takes(5, 1)), Told::Go(id("a")), "it would have to wait for the other");
    stage.leave(call);
    for strategy in [Strategy::Failover, Strategy::LeastLoaded] {
        stage.fleet.providers[0].strategy = strategy;
        let fleet = stage.fleet.clone();
        stage.state.reconcile(&fleet, stage.now);
        stage.pass(60_000);
        assert_eq!(stage.would(takes(1, 1)), Told::Go(id("b")), "{strategy:?}");
    }
}

#[test]
fn every_strategy_passes_by_a_key_whose_limits_do_not_admit_it() {
    for strategy in [
        Strategy::Failover,
        Strategy::RoundRobin,
        Strategy::Weighted,
        Strategy::Shuffle,
        Strategy::Random,
        Strategy::LeastLoaded,
        Strategy::WeightedFailover,
    ] {
        let mut fleet =
            fleet(vec![capped("a", [Some(60), None, None]), capped("b", [Some(600), None, None])]);
        fleet.providers[0].strategy = strategy;
        let mut stage = Stage::new(fleet);
        let calls: Vec<_> = (0..6).map(|_| stage.go(with("a", takes(1, 0)))).collect();
        for _ in 0..20 {
            assert_eq!(stage.would(takes(1, 0)), Told::Go(id("b")), "{strategy:?}");
        }
        drop(calls);
    }
}

#[test]
fn in_a_large_pool_some_are_compared_and_all_serve() {
    let labels: Vec<_> = (0..40).map(|index| format!("k{index}")).collect();
    let mut stage = stage(labels.iter().map(|label| capped(label, [Some(60), None, None])).collect());
    // Six requests each.
    let mut used = std::collections::BTreeMap::new();
    for index in 0..240 {
        let (call, told) = stage.arrive(takes(1, 0));
        let Told::Go(key) = told else { unreachable!("{told:?} after {index}") };
        *used.entry(key).or_insert(0) += 1;
        drop(call);
        if index == 119 {
            assert!(used.len() == 40 && used.values().all(|times| *times <= 5), "{used:?}");
        }
    }
    assert!(used.values().all(|times| *times == 6));
    assert!(matches!(stage.would(takes(1, 0)), Told::Wait(_)));
}

#[test]
fn up_to_thirty_two_are_all_compared() {
    let labels: Vec<_> = (0..32).map(|index| format!("k{index}")).collect();
    let mut stage = stage(labels.iter().map(|label| capped(label, [Some(600), None, None])).collect());
    for round in 1..4 {
        for _ in 0..32 {
            // Never given back.
            drop(stage.go(takes(1, 0)));
        }
        assert!(labels.iter().all(|label| stage.key(label).in_flight == round));
    }
}

#[test]
fn a_key_that_was_refused_is_asked_again_by_one_call_and_counts_for_it() {
    let mut stage = stage(vec![capped("a", [Some(600), None, None])]);
    let mut call = stage.go(takes(1, 0));
    assert!(!stage.judge(&mut call, Verdict::Spent { until: at(400_000) }));
    stage.now = at(300_000);
    let probe = stage.go(takes(1, 0));
    assert!(!matches!(stage.would(takes(1, 0)), Told::Go(_)));
    stage.serve(probe, usage(1, 0));
    assert_eq!(stage.would(takes(1, 0)), Told::Go(id("a")));
}
