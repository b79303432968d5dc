//! Who shares limits: keys of a group, keys whose answers name the same organization, and keys that turn out not to.

use relay_core::{Breakage, Counted, Gauge, Key, Quota, Unready, Verdict};

use crate::stage::{
    Call, Stage, Told, at, capped, fleet, gauge, id, key, of_group, organization, takes, usage, with,
};

/// Requests, and whose they are.
fn says(organization: Option<&str>, gauge: Gauge) -> Quota {
    Quota { organization: organization.map(str::to_owned), requests: gauge, ..Quota::default() }
}

fn hears(stage: &mut Stage, label: &str, quota: &Quota) {
    let mut call = stage.go(with(label, takes(1, 0)));
    stage.learn(&mut call, quota);
    stage.serve(call, usage(1, 0));
}

/// How many requests there are, as is told of a key.
fn there(stage: &Stage, label: &str) -> Option<u64> {
    let limits = stage.limits(label);
    limits.iter().find(|limit| limit.0 == Counted::Requests).map(|limit| limit.3)
}

/// Two keys of which limits are known, and not that they are of one organization.
fn strangers(a: u64, b: u64) -> Stage {
    let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
    hears(&mut stage, "a", &says(None, gauge(6_000, a)));
    hears(&mut stage, "b", &says(None, gauge(6_000, b)));
    assert_eq!((there(&stage, "a"), there(&stage, "b")), (Some(a), Some(b)));
    stage
}

#[test]
fn keys_of_a_group_share_their_limits_from_the_start() {
    let mut stage =
        Stage::new(fleet(vec![of_group("a", "g"), key("b"), of_group("c", "g"), of_group("d", "h")]));
    hears(&mut stage, "a", &says(None, gauge(6_000, 300)));
    assert_eq!(there(&stage, "c"), Some(300));
    assert_eq!((there(&stage, "b"), there(&stage, "d")), (None, None));
    let _call = stage.go(with("c", takes(1, 0)));
    assert_eq!(there(&stage, "a"), Some(299));
    // A key that comes with a reload joins them.
    stage.fleet.providers[0].keys.push(of_group("e", "g"));
    let fleet = stage.fleet.clone();
    stage.state.reconcile(&fleet, stage.now);
    assert_eq!(there(&stage, "e"), Some(299));
}

#[test]
fn keys_whose_answers_name_one_organization_share_the_lower_level() {
    for (a, b) in [(300, 100), (100, 300)] {
        let mut stage = strangers(a, b);
        hears(&mut stage, "a", &organization("o"));
        assert_eq!(
            (there(&stage, "a"), there(&stage, "b")),
            (Some(a - 1), Some(b)),
            "that of the other is not known yet"
        );
        assert_eq!(stage.key("a").organization.as_deref(), Some("o"));
        hears(&mut stage, "b", &organization("o"));
        // Each has taken one more.
        let expect = Some(b.min(a - 1) - 1);
        assert_eq!((there(&stage, "a"), there(&stage, "b")), (expect, expect));
        assert_eq!(stage.key("b").organization.as_deref(), Some("o"));
    }
}

#[test]
fn of_two_limits_the_newer_one_holds_and_what_only_one_knows_is_known_of_both() {
    for older_is_named_first in [true, false] {
        let mut stage = Stage::new(fleet(vec![key("older"), key("newer")]));
        let name = |first: bool| (older_is_named_first == first).then_some("o");
        let known = Quota { output: gauge(60_000, 5_000), ..says(name(true), gauge(6_000, 300)) };
        hears(&mut stage, "older", &known);
        stage.pass(10_000);
        hears(&mut stage, "newer", &says(name(false), gauge(600, 50)));
        hears(&mut stage, if older_is_named_first { "newer" } else { "older" }, &organization("o"));
        for label in ["older", "newer"] {
            let limits: Vec<_> = stage.limits(label).iter().map(|limit| (limit.0, limit.1)).collect();
            assert_eq!(limits, [(Counted::Requests, 600), (Counted::Output, 60_000)]);
        }
    }
}

#[test]
fn what_is_under_way_with_either_stays_outstanding_and_is_given_back_once() {
    let mut stage = strangers(300, 300);
    hears(&mut stage, "a", &organization("o"));
    let mut calls: Vec<Call> = ["a", "a", "b"].map(|label| stage.go(with(label, takes(1, 0)))).into();
    let late = stage.go(with("b", takes(1, 0)));
    assert_eq!((there(&stage, "a"), there(&stage, "b")), (Some(297), Some(298)));
    stage.learn(&mut calls[2], &organization("o"));
    assert_eq!(there(&stage, "a"), Some(295), "of the lower, and without all that is promised");
    // Nothing was counted of two of them.
    for mut call in calls.drain(..2) {
        assert!(!stage.judge(&mut call, Verdict::Broken(Breakage::Connect)));
    }
    assert_eq!(there(&stage, "b"), Some(297));
    stage.serve(late, usage(1, 0));
    stage.serve(calls.remove(0), usage(1, 0));
    assert_eq!(there(&stage, "a"), Some(297));
    assert!(["a", "b"].into_iter().all(|label| stage.key(label).in_flight == 0));
    stage.pass(60_000);
    assert_eq!(there(&stage, "a"), Some(600));
}

#[test]
fn an_answer_to_a_call_from_before_they_were_one_refills_nothing() {
    let mut stage = strangers(300, 100);
    hears(&mut stage, "a", &organization("o"));
    let mut old = stage.go(with("b", takes(1, 0)));
    stage.learn(&mut old, &says(Some("o"), gauge(6_000, 600)));
    // It is not known what was taken by the others since it was asked.
    assert_eq!(there(&stage, "b"), Some(99));
    // But it may show that there is less.
    stage.learn(&mut old, &says(Some("o"), gauge(6_000, 50)));
    assert_eq!(there(&stage, "b"), Some(50));
    stage.serve(old, usage(1, 0));
    // Those that come after it are as any other.
    let mut new = stage.go(with("b", takes(1, 0)));
    stage.learn(&mut new, &says(Some("o"), gauge(6_000, 200)));
    assert_eq!(there(&stage, "a"), Some(200));
}

#[test]
fn whoever_waits_for_one_of_them_goes_on_waiting_with_the_other() {
    let mut stage = strangers(1, 1);
    hears(&mut stage, "a", &organization("o"));
    let mut last = stage.go(with("b", takes(1, 0)));
    let (mut first, _) = stage.wait(with("a", takes(1, 0)));
    let (mut second, _) = stage.wait(with("b", takes(1, 0)));
    assert_eq!(stage.woken(), []);
    stage.learn(&mut last, &organization("o"));
    // One is owed, and two wait already.
    assert_eq!(stage.would(with("a", takes(1, 0))), Told::Wait(at(40)), "behind both");
    stage.pass(20);
    assert_eq!(stage.woken(), [first.ticket.expect("the stage is set for it")]);
    assert_eq!(stage.ask(&mut first), Told::Go(id("a")));
    stage.pass(20);
    assert_eq!(stage.woken(), [second.ticket.expect("the stage is set for it")]);
    assert_eq!(stage.ask(&mut second), Told::Go(id("b")));
}

#[test]
fn what_is_held_against_one_is_held_against_both() {
    let mut stage = Stage::new(fleet(vec![key("a"), key("b")]));
    hears(&mut stage, "a", &organization("o"));
    let mut other = stage.go(with("b", takes(1, 0)));
    let mut spent = stage.go(with("a", takes(1, 0)));
    assert!(!stage.judge(&mut spent, Verdict::Spent { until: at(9_000) }));
    stage.learn(&mut other, &organization("o"));
    assert!(matches!(stage.key("b").held[..], [(Some(_), Unready::Cooling(until))] if until == at(9_000)));
    assert_eq!(stage.would(with("b", takes(1, 0))), Told::Wait(at(9_000)));
}

#[test]
fn a_key_that_is_of_another_organization_takes_nothing_with_it() {
    let mut stage = Stage::new(fleet(vec![of_group("a", "g"), of_group("b", "g"), key("c")]));
    hears(&mut stage, "a", &says(Some("o"), gauge(6_000, 300)));
    let mut spent = stage.go(with("a", takes(1, 0)));
    assert!(!stage.judge(&mut spent, Verdict::Spent { until: at(9_000) }));
    assert!(matches!(stage.would(with("b", takes(1, 0))), Told::Wait(_)));
    stage.pass(9_000);
    hears(&mut stage, "b", &organization("other"));
    assert_eq!((there(&stage, "b"), stage.key("b").organization.as_deref()), (None, Some("other")));
    assert_eq!(stage.key("a").organization.as_deref(), Some("o"));
    assert!(there(&stage, "a").is_some());
    // Whoever turns out to be of that one too finds it there.
    hears(&mut stage, "b", &says(None, gauge(600, 30)));
    hears(&mut stage, "c", &organization("other"));
    assert_eq!(there(&stage, "c"), Some(29));
    // And it may come back.
    hears(&mut stage, "b", &organization("o"));
    assert_eq!(there(&stage, "b"), there(&stage, "a"));
    assert_eq!(there(&stage, "c"), Some(28));
}

#[test]
fn a_lease_from_before_its_key_moved_is_settled_where_it_was_promised() {
    let mut stage = Stage::new(fleet(vec![of_group("a", "g"), of_group("b", "g")]));
    hears(&mut stage, "a", &says(Some("o"), gauge(6_000, 300)));
    let old = stage.go(with("b", takes(1, 0)));
    let (other, told) = stage.arrive(with("b", takes(1, 0)));
    assert_eq!(told, Told::Go(id("b")));
    let mut other = other;
    assert_eq!(there(&stage, "a"), Some(298));
    stage.learn(&mut other, &organization("other"));
    let mut old = old;
    assert!(!stage.judge(&mut old, Verdict::Broken(Breakage::Connect)));
    assert_eq!(there(&stage, "a"), Some(299));
    stage.serve(other, usage(1, 0));
    assert_eq!(there(&stage, "a"), Some(299));
    stage.pass(60_000);
    assert_eq!(there(&stage, "a"), Some(600));
}

#[test]
fn whoever_waits_for_a_key_that_moved_looks_again() {
    let mut stage = Stage::new(fleet(vec![of_group("a", "g"), of_group("b", "g")]));
    hears(&mut stage, "a", &says(Some("o"), gauge(60, 1)));
    let mut last = stage.go(with("b", takes(1, 0)));
    let (mut call, _) = stage.wait(with("b", takes(1, 0)));
    assert_eq!(stage.woken(), []);
    stage.learn(&mut last, &organization("other"));
    assert_eq!(stage.woken(), [call.ticket.expect("the stage is set for it")]);
    assert_eq!(stage.ask(&mut call), Told::Go(id("b")));
    assert_eq!(there(&stage, "a"), Some(0));
}

#[test]
fn whoever_waits_is_not_stirred_by_an_answer_that_says_what_is_known() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    hears(&mut stage, "a", &says(Some("o"), gauge(60, 1)));
    let mut last = stage.go(takes(1, 0));
    let (call, until) = stage.wait(takes(1, 0));
    assert_eq!(until, at(1_000));
    assert_eq!(stage.woken(), []);
    stage.learn(&mut last, &organization("o"));
    assert_eq!(stage.woken(), []);
    stage.pass(1_000);
    assert_eq!(stage.woken(), [call.ticket.unwrap()]);
    assert_eq!(stage.state.report(stage.now).waiting, 0);
}

#[test]
fn many_keys_become_one_organization_one_after_the_other() {
    let labels = ["a", "b", "c", "d", "e"];
    let mut stage = Stage::new(fleet(labels.map(key).into()));
    for (place, label) in labels.into_iter().enumerate() {
        hears(&mut stage, label, &says(None, gauge(6_000, 300 + place as u64)));
    }
    for label in ["c", "a", "e", "b", "d"] {
        hears(&mut stage, label, &organization("o"));
    }
    assert!(labels.into_iter().all(|label| there(&stage, label) == there(&stage, "a")));
    let capped = Key { caps: capped("f", [Some(60), None, None]).caps, ..of_group("f", "g") };
    stage.fleet.providers[0].keys.push(capped);
    let fleet = stage.fleet.clone();
    stage.state.reconcile(&fleet, stage.now);
    hears(&mut stage, "f", &organization("o"));
    let before = there(&stage, "a").expect("the stage is set for it");
    stage.pass(1_000);
    let _call = stage.go(with("f", takes(1, 0)));
    assert_eq!(there(&stage, "b"), Some(before + 99));
}
