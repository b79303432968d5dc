//! Limits that the provider announces, apart from any call.

use relay_core::{Class, Counted, Holder, Quota};

use crate::stage::{Stage, Told, about, at, fleet, gauge, id, key, of_group, organization, takes, usage};

/// The organization of a key has so many requests a minute for the models of the stage; none for no such limit.
fn announce(stage: &mut Stage, label: &str, requests: Option<u64>) {
    let limits = [(Class::of("m"), Counted::Requests, requests)];
    assert!(stage.state.announce(id(label), Holder::Organization, &limits, stage.now));
}

#[test]
fn what_is_announced_is_kept_before_any_answer() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    announce(&mut stage, "a", Some(60));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 60, 6_000, 6)]);
    // More at once than would be dared if nothing were known, and no more than the limit holds.
    for _ in 0..6 {
        stage.go(takes(1, 0));
    }
    let (_, until) = stage.wait(takes(1, 0));
    assert_eq!(until, at(1_000));
}

#[test]
fn a_limit_that_is_announced_again_refills_nothing() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    announce(&mut stage, "a", Some(60));
    for _ in 0..6 {
        let call = stage.go(takes(1, 0));
        stage.serve(call, usage(1, 0));
    }
    for limit in [60, 600, 60] {
        announce(&mut stage, "a", Some(limit));
        assert_eq!(stage.limits("a"), [(Counted::Requests, limit, 6_000, 0)]);
    }
}

#[test]
fn who_waits_goes_sooner_when_more_is_announced_and_later_when_less_is() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    announce(&mut stage, "a", Some(60));
    for _ in 0..6 {
        stage.go(takes(1, 0));
    }
    let (mut call, until) = stage.wait(takes(1, 0));
    assert_eq!(until, at(1_000));
    announce(&mut stage, "a", Some(6));
    stage.pass(1_000);
    assert_eq!(stage.woken(), []);
    announce(&mut stage, "a", Some(6_000));
    stage.pass(10);
    assert_eq!(stage.woken(), [call.ticket.unwrap()]);
    assert_eq!(stage.ask(&mut call), Told::Go(id("a")));
}

#[test]
fn an_answer_knows_better_what_is_left() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    announce(&mut stage, "a", Some(6_000));
    let mut call = stage.go(takes(1, 0));
    stage.learn(&mut call, &Quota { requests: gauge(6_000, 20), ..Quota::default() });
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 6_000, 20)]);
    announce(&mut stage, "a", Some(6_000));
    assert_eq!(stage.limits("a"), [(Counted::Requests, 6_000, 6_000, 20)]);
}

#[test]
fn all_keys_of_the_organization_share_what_is_announced_for_one() {
    let mut stage = Stage::new(fleet(vec![of_group("a", "g"), of_group("b", "g"), key("c")]));
    announce(&mut stage, "a", Some(60));
    assert_eq!(stage.limits("a"), stage.limits("b"));
    assert_eq!(stage.limits("c"), []);
    // And those that turn out to be of it.
    for label in ["a", "c"] {
        let mut call = stage.go(crate::stage::with(label, takes(1, 0)));
        stage.learn(&mut call, &organization("o"));
        stage.serve(call, usage(1, 0));
    }
    assert_eq!(stage.limits("c"), stage.limits("a"));
    announce(&mut stage, "c", Some(120));
    assert_eq!(stage.limits("b")[0].1, 120);
}

#[test]
fn a_workspace_holds_back_beside_its_organization_until_its_limit_is_lifted() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    announce(&mut stage, "a", Some(600));
    let narrow = |limit| [(Class::of("m"), Counted::Requests, limit)];
    assert!(stage.state.announce(id("a"), Holder::Workspace, &narrow(Some(10)), stage.now));
    let call = stage.go(takes(1, 0));
    stage.serve(call, usage(1, 0));
    assert!(matches!(stage.would(takes(1, 0)), Told::Wait(_)));
    assert!(matches!(stage.would(about("x", takes(1, 0))), Told::Go(_)), "it is of other models");
    assert!(stage.state.announce(id("a"), Holder::Workspace, &narrow(None), stage.now));
    assert!(matches!(stage.would(takes(1, 0)), Told::Go(_)));
    announce(&mut stage, "a", None);
    assert_eq!(stage.limits("a"), []);
}

#[test]
fn nothing_is_announced_to_a_key_that_is_not_there_and_nothing_is_no_limit() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let limits = [(Class::of("m"), Counted::Requests, Some(1))];
    assert!(!stage.state.announce(id("b"), Holder::Organization, &limits, stage.now));
    announce(&mut stage, "a", Some(0));
    assert_eq!(stage.limits("a"), []);
}

#[test]
fn a_limit_for_all_tokens_counts_prompts_and_answers_as_they_turn_out() {
    let mut stage = Stage::new(fleet(vec![key("a")]));
    let limits = [(Class::of("m"), Counted::Tokens, Some(6_000))];
    assert!(stage.state.announce(id("a"), Holder::Workspace, &limits, stage.now));
    let left = |stage: &Stage| {
        let limits = stage.limits("a");
        limits.iter().find(|limit| limit.0 == Counted::Tokens).map(|limit| limit.3)
    };
    assert_eq!(left(&stage), Some(600), "what six seconds add");
    // A prompt that is longer than was thought, and an answer that is shorter.
    let mut call = stage.go(takes(100, 50));
    assert_eq!(left(&stage), Some(450));
    stage.begin(&mut call, usage(120, 0));
    assert_eq!(left(&stage), Some(430));
    stage.charge(&mut call, usage(120, 30));
    assert_eq!(left(&stage), Some(430), "of the fifty, twenty are still promised");
    stage.close(call, usage(120, 40));
    assert_eq!(left(&stage), Some(440));
    // A prompt that is shorter, and an answer that is longer.
    let mut call = stage.go(takes(100, 50));
    stage.begin(&mut call, usage(60, 0));
    assert_eq!(left(&stage), Some(330));
    stage.close(call, usage(60, 70));
    assert_eq!(left(&stage), Some(310));
}
