//! How much is dared while no limits are known.

use relay_core::{Quota, Verdict};

use crate::stage::{Stage, Told, about, at, capped, fleet, gauge, id, key, organization, takes, usage, with};

#[test]
fn one_call_goes_at_first_and_twice_as_many_with_each_success() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut open = vec![stage.go(takes(1, 1))];
    for successes in 0..5 {
        assert_eq!(open.len(), 1 << successes);
        let told = stage.would(takes(1, 1));
        assert!(!matches!(told, Told::Go(_)), "{} go", open.len());
        let mut call = open.pop().expect("the stage is set for it");
        stage.begin(&mut call, usage(1, 0));
        open.push(call);
        while let (call, Told::Go(_)) = stage.arrive(takes(1, 1)) {
            open.push(call);
            assert!(open.len() < 100, "there is an end");
        }
    }
}

#[test]
fn and_with_each_second_since_the_first() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut open = vec![stage.go(takes(1, 1))];
    for seconds in 1..6 {
        let (call, until) = stage.wait(takes(1, 1));
        assert_eq!(until, at(1_000 * seconds));
        stage.leave(call);
        stage.now = until;
        while let (call, Told::Go(_)) = stage.arrive(takes(1, 1)) {
            open.push(call);
            assert!(open.len() < 100, "there is an end");
        }
        assert_eq!(open.len(), 1 << seconds);
    }
    // What has ended makes room.
    for call in open.drain(..) {
        stage.close(call, usage(1, 1));
    }
    assert!(matches!(stage.would(takes(1, 1)), Told::Go(_)));
}

#[test]
fn one_that_fails_is_no_success_and_what_ended_makes_room() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut call = stage.go(takes(1, 1));
    assert!(!stage.judge(&mut call, Verdict::Refused));
    let first = stage.go(takes(1, 1));
    assert_eq!(stage.would(takes(1, 1)), Told::Wait(at(1_000)));
    stage.leave(first);
    stage.go(takes(1, 1));
}

#[test]
fn whoever_waits_for_that_is_woken_by_a_success() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut first = stage.go(takes(1, 1));
    let (mut second, _) = stage.wait(takes(1, 1));
    assert_eq!(stage.woken(), []);
    stage.pass(300);
    stage.begin(&mut first, usage(1, 0));
    assert_eq!(stage.woken(), [second.ticket.expect("the stage is set for it")]);
    assert_eq!(stage.ask(&mut second), Told::Go(id("a")));
}

#[test]
fn what_is_under_way_at_two_who_turn_out_to_be_one_is_dared_together() {
    let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
    let mut open = ["a", "b"].map(|label| stage.go(with(label, takes(1, 1))));
    for call in &mut open {
        stage.learn(call, &organization("o"));
    }
    for label in ["a", "b"] {
        assert_eq!(stage.would(with(label, takes(1, 1))), Told::Wait(at(2_000)), "a third, of two");
    }
    let [one, other] = open;
    stage.leave(one);
    assert_eq!(stage.would(with("b", takes(1, 1))), Told::Wait(at(1_000)), "a second, of one");
    stage.leave(other);
    assert!(matches!(stage.would(with("b", takes(1, 1))), Told::Go(_)));
}

#[test]
fn nothing_is_dared_and_nothing_held_back_where_a_limit_is_known() {
    let mut stage = Stage::new(fleet(vec![capped("a", [Some(6_000), None, None])]));
    let calls: Vec<_> = (0..20).map(|_| stage.go(takes(1, 1))).collect();
    drop(calls);
    // Of one class a limit is learned; of the other nothing is known.
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let mut first = stage.go(takes(1, 1));
    stage.learn(&mut first, &Quota { requests: gauge(6_000, 500), ..Quota::default() });
    let calls: Vec<_> = (0..20).map(|_| stage.go(takes(1, 1))).collect();
    drop(calls);
    stage.go(about("x", takes(1, 1)));
    assert_eq!(stage.would(about("x", takes(1, 1))), Told::Wait(at(1_000)));
}

#[test]
fn what_is_not_counted_is_not_dared_either_and_waits_for_no_limit() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let uncounted = || relay_core::Need { size: None, ..takes(0, 0) };
    let calls: Vec<_> = (0..20).map(|_| stage.go(uncounted())).collect();
    drop(calls);
    let mut stage = Stage::new(fleet(vec![capped("a", [Some(600), Some(600), Some(600)])]));
    let call = stage.go(takes(60, 0));
    stage.serve(call, usage(1_000, 1_000));
    let calls: Vec<_> = (0..20).map(|_| stage.go(uncounted())).collect();
    drop(calls);
    assert_eq!(stage.would(takes(1, 1)), Told::Wait(at(94_100)), "the others wait until the debt is repaid");
}

/// Nobody knows why it refused, so all who waited came at once when its rest was over, and again after each refusal.
#[test]
fn whoever_was_refused_is_tried_by_one_call_at_first() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    for _ in 0..6 {
        let call = stage.go(takes(1, 1));
        stage.serve(call, usage(1, 1));
    }
    let many: Vec<_> = (0..8).map(|_| stage.go(takes(1, 1))).collect();
    for mut call in many {
        assert!(!stage.judge(&mut call, Verdict::Spent { until: at(2_000) }));
    }
    for round in 1..4 {
        let rested = at(2_000 * round);
        let waiting: Vec<_> = (0..8).map(|_| stage.wait(takes(1, 1))).collect();
        assert!(waiting.iter().all(|(_, until)| *until == rested));
        stage.now = rested;
        let mut gone = Vec::new();
        for (mut call, _) in waiting {
            match stage.ask(&mut call) {
                Told::Go(_) => gone.push(call),
                _ => stage.leave(call),
            }
        }
        assert_eq!(gone.len(), 1, "the others wait for what it is told");
        assert!(!stage.judge(&mut gone[0], Verdict::Spent { until: at(2_000 * (round + 1)) }));
    }
    stage.now = at(8_000);
    let mut first = stage.go(takes(1, 1));
    assert!(matches!(stage.would(takes(1, 1)), Told::Wait(_)));
    stage.begin(&mut first, usage(1, 0));
    assert!(matches!(stage.would(takes(1, 1)), Told::Go(_)), "it serves again");
}
