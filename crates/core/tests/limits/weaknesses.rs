//! Faults of the old program that must not come back, each by its number in the list of its weaknesses.

use std::time::Duration;

use relay_core::{Breakage, Exhausted, Gauge, Key, Quota, Strategy, Verdict};

use crate::stage::{Stage, Told, at, capped, fleet, gauge, id, key, takes, usage, with};

/// A key of which everything is known, and which is used up.
fn used_up(stage: &mut Stage, label: &str, requests: u64) {
    for _ in 0..requests {
        let call = stage.go(with(label, takes(1, 1)));
        stage.serve(call, usage(1, 1));
    }
}

/// It set the limit anew with each answer, and the bucket was full again: with one request a minute allowed, three went.
#[test]
fn w18_an_answer_that_tells_the_limit_again_refills_nothing() {
    let mut stage = Stage::new(fleet(vec![capped("a", [Some(1), None, None])]));
    let mut call = stage.go(takes(1, 1));
    for _ in 0..3 {
        stage.learn(&mut call, &Quota { requests: gauge(1, 0), ..Quota::default() });
        assert!(matches!(stage.would(takes(1, 1)), Told::Wait(_)), "its one request a minute is under way");
    }
    stage.serve(call, usage(1, 1));
    let (_, until) = stage.wait(takes(1, 1));
    assert_eq!(until, at(60_000), "a minute after the first");
}

/// What was left of a key was not counted down between two answers: the first key got all of them.
#[test]
fn w20_calls_that_come_at_once_are_spread_before_anybody_has_answered() {
    for keys in
        [["a", "b", "c"].map(key), ["a", "b", "c"].map(|label| capped(label, [Some(600), None, None]))]
    {
        let mut stage = Stage::new(fleet(keys.into()));
        // Whoever knows no limits dares one call at a time at first.
        let calls: Vec<_> = (0..3).map(|_| stage.go(takes(10, 10))).collect();
        let mut chosen: Vec<_> = calls.iter().filter_map(|call| call.lease.as_ref()?.key()).collect();
        chosen.sort_unstable();
        let mut all = ["a", "b", "c"].map(id);
        all.sort_unstable();
        assert_eq!(chosen, all);
        for call in calls {
            stage.serve(call, usage(10, 10));
        }
    }
}

/// A key of which it once heard that nothing was left never got another call, though its time had long come.
#[test]
fn w21_a_key_that_had_nothing_left_serves_again_when_it_is_refilled() {
    let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
    for label in ["a", "b"] {
        let mut call = stage.go(with(label, takes(1, 1)));
        let left = if label == "a" { 0 } else { 600 };
        stage.learn(&mut call, &Quota { requests: gauge(600, left), ..Quota::default() });
        stage.serve(call, usage(1, 1));
    }
    assert_eq!(stage.would(takes(1, 1)), Told::Go(id("b")));
    assert!(matches!(stage.would(with("a", takes(1, 1))), Told::Wait(_)));
    stage.pass(60_000);
    let mut served = [0; 2];
    for _ in 0..40 {
        let call = stage.go(takes(1, 1));
        served[usize::from(call.lease.as_ref().and_then(|lease| lease.key()) == Some(id("b")))] += 1;
        stage.serve(call, usage(1, 1));
        stage.pass(1_000);
    }
    assert!(served.iter().all(|served| *served >= 18), "{served:?}");
}

/// The moment of its return knew nothing of rests and of tokens, and was a second wherever a reset had passed.
#[test]
fn w22_the_first_moment_knows_rests_and_tokens_and_nothing_that_has_passed() {
    let keys = vec![capped("a", [None, Some(600), None]), key("b")];
    let mut stage = Stage::new(fleet(keys));
    // Of the first, tokens: ten a second, and a call for fifty. The other rests for twenty seconds.
    let call = stage.go(with("a", takes(60, 0)));
    stage.serve(call, usage(60, 0));
    let mut call = stage.go(with("b", takes(1, 0)));
    let passed = Gauge { reset: Some(at(0)), ..gauge(600, 0) };
    stage.learn(&mut call, &Quota { requests: passed, ..Quota::default() });
    assert!(!stage.judge(&mut call, Verdict::Throttled { until: at(20_000) }));
    stage.fleet.max_wait = Duration::from_secs(1);
    assert_eq!(
        stage.would(takes(50, 0)),
        Told::No(Exhausted::Spent { until: at(5_000) }),
        "the tokens of the first"
    );
    assert_eq!(
        stage.would(with("b", takes(50, 0))),
        Told::No(Exhausted::Spent { until: at(20_000) }),
        "its rest"
    );
}

/// Tokens were counted nowhere: the only limit that held was that of requests.
#[test]
fn w24_tokens_are_reserved_taken_and_given_back() {
    let mut stage = Stage::new(fleet(vec![capped("a", [None, Some(6_000), Some(6_000)])]));
    // Six hundred of each at once. The first is promised four hundred of output.
    let mut first = stage.go(takes(500, 400));
    assert!(matches!(stage.would(takes(200, 0)), Told::Wait(_)), "its prompt is taken");
    assert!(matches!(stage.would(takes(0, 300)), Told::Wait(_)), "its answer is promised");
    assert!(matches!(stage.would(takes(100, 200)), Told::Go(_)));
    // Its prompt was shorter, and so is its answer.
    stage.begin(&mut first, usage(100, 1));
    assert!(matches!(stage.would(takes(500, 0)), Told::Go(_)));
    stage.close(first, usage(100, 50));
    assert!(matches!(stage.would(takes(500, 550)), Told::Go(_)));
}

/// It was read and never looked at; and the lowest, which is zero, was made one.
#[test]
fn w25_a_key_of_higher_priority_goes_first_as_long_as_it_can() {
    for strategy in [
        Strategy::LeastLoaded,
        Strategy::RoundRobin,
        Strategy::Random,
        Strategy::Weighted,
        Strategy::Failover,
    ] {
        let of = |label: &str, priority: u32| Key { priority, ..capped(label, [Some(10), None, None]) };
        let mut keys = fleet(vec![of("low", 0), of("middle", 1), of("high", 2)]);
        keys.providers[0].strategy = strategy;
        let mut stage = Stage::new(keys);
        for label in ["high", "middle", "low"] {
            assert_eq!(stage.would(takes(1, 1)), Told::Go(id(label)), "{strategy:?}");
            used_up(&mut stage, label, 1);
        }
        assert!(
            matches!(stage.would(takes(1, 1)), Told::Wait(_)),
            "{strategy:?}: a bucket holds one request"
        );
    }
}

/// Keys were named by 32 bits of a hash, and of two of the same name one was lost.
#[test]
fn w27_a_hundred_thousand_keys_have_as_many_names() {
    let mut names: Vec<_> = (0..100_000).map(|number| id(&format!("sk-ant-{number}"))).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 100_000);
}

/// The turn went on with each attempt, so that half of the keys were never the first to be asked.
#[test]
fn w30_a_second_attempt_does_not_take_the_turn_of_the_next_call() {
    let mut keys = fleet(["a", "b", "c", "d"].map(key).into());
    keys.providers[0].strategy = Strategy::RoundRobin;
    let mut stage = Stage::new(keys);
    let mut firsts = Vec::new();
    for _ in 0..8 {
        let (mut call, told) = stage.arrive(takes(1, 1));
        let Told::Go(first) = told else { unreachable!("{told:?}") };
        firsts.push(first);
        // A first attempt that breaks, then a second one with another key.
        assert!(!stage.judge(&mut call, Verdict::Broken(Breakage::Cut)));
        assert!(matches!(stage.ask(&mut call), Told::Go(second) if second != first));
        stage.serve(call, usage(1, 1));
        stage.pass(60_000);
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), 4, "everybody is the first to be asked, sooner or later");
}
