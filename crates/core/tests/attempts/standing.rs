//! What is held against keys while several calls are under way, and what operators see of it.

use std::time::Duration;

use relay_core::{
    Ask, Class, Count, Event, Exhausted, Extent, Fact, Fleet, KeyReport, LONGEST_UNPROBED, Lease, Need, Plan,
    ProviderId, Quota, Reason, Roll, State, Step, Time, Unready, Usage,
};

use crate::script::{START, call, fleet, key_id, state, verdict};

fn at(seconds: u64) -> Time {
    START + Duration::from_secs(seconds)
}

fn lease_at(state: &mut State, plan: &mut Plan, now: Time) -> Lease {
    match state.ask(plan, now, Roll(0)) {
        Ask::Granted(lease) => lease,
        other => unreachable!("it is granted, not {other:?}"),
    }
}

/// A call is granted, answered, and over.
fn meet(state: &mut State, fleet: &Fleet, answer: &str, now: Time) {
    let mut plan = fleet.plan(call(), now);
    let lease = lease_at(state, &mut plan, now);
    if let Step::Commit(lease) = state.judge(&mut plan, lease, verdict(answer, now), now) {
        state.close(lease, Usage::ZERO, START);
    }
}

/// Until when a new call would have to wait, if it would.
fn wait(state: &mut State, fleet: &Fleet, now: Time) -> Option<Time> {
    match state.ask(&mut fleet.plan(call(), now), now, Roll(0)) {
        Ask::Wait { until, ticket } => {
            state.cancel(ticket);
            Some(until)
        }
        Ask::Granted(lease) => {
            state.close(lease, Usage::ZERO, START);
            None
        }
        Ask::Exhausted(exhausted) => unreachable!("it waits or goes, not {exhausted:?}"),
    }
}

fn key(state: &State, label: &str, now: Time) -> KeyReport {
    let keys = state.report(now).providers.into_iter().flat_map(|provider| provider.keys);
    keys.into_iter().find(|key| key.label == label).expect("it is configured")
}

#[test]
fn a_success_granted_before_a_429_does_not_end_the_cooldown() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    let (mut early, mut late) = (fleet.plan(call(), START), fleet.plan(call(), START));
    let first = lease_at(&mut state, &mut early, START);
    let second = lease_at(&mut state, &mut late, at(1));
    assert!(matches!(state.judge(&mut late, second, verdict("429+60", at(2)), at(2)), Step::Again));
    let Step::Commit(first) = state.judge(&mut early, first, verdict("200", at(5)), at(5)) else {
        unreachable!()
    };
    assert_eq!(key(&state, "a1", at(5)).held, [(Some(Class::of("m")), Unready::Cooling(at(62)))]);
    state.close(first, Usage::ZERO, START);
}

#[test]
fn a_probe_that_commits_is_given_back_though_its_reply_still_flows() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    let (mut old, mut new) = (fleet.plan(call(), START), fleet.plan(call(), at(30)));
    let veteran = lease_at(&mut state, &mut old, START);
    meet(&mut state, &fleet, "401", START);
    let probe = lease_at(&mut state, &mut new, at(30));
    // A call that is older than the first bar is refused while the probe is on its way: barred again.
    assert!(matches!(state.judge(&mut old, veteran, verdict("401", at(31)), at(31)), Step::Again));
    let Step::Commit(reply) = state.judge(&mut new, probe, verdict("200", at(32)), at(32)) else {
        unreachable!()
    };
    assert_eq!(key(&state, "a1", at(32)).held, [(None, Unready::Barred(Reason::Unaccepted, at(91)))]);
    let mut next = fleet.plan(call(), at(91));
    let next = lease_at(&mut state, &mut next, at(91));
    state.close(reply, Usage::ZERO, START);
    state.close(next, Usage::ZERO, START);
}

#[test]
fn a_failed_probe_doubles_the_time_to_the_next_one_and_a_good_one_ends_it() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    for (now, next) in [(0, 30), (30, 90), (90, 210), (210, 450), (450, 750), (750, 1_050)] {
        meet(&mut state, &fleet, "401", at(now));
        assert_eq!(key(&state, "a1", at(now)).held, [(None, Unready::Barred(Reason::Unaccepted, at(next)))]);
    }
    meet(&mut state, &fleet, "200", at(1_050));
    assert_eq!(key(&state, "a1", at(1_050)).held, []);
    meet(&mut state, &fleet, "402", at(1_051));
    assert_eq!(key(&state, "a1", at(1_051)).held, [(None, Unready::Barred(Reason::OutOfMoney, at(1_081)))]);
}

#[test]
fn who_waits_for_a_spent_key_may_be_the_probe_of_another_before() {
    let fleet = Fleet { max_wait: Duration::from_mins(1), ..fleet("a1 a2") };
    let mut state = state(&fleet);
    meet(&mut state, &fleet, "401", START);
    meet(&mut state, &fleet, "429+50", START);
    assert_eq!(wait(&mut state, &fleet, at(10)), Some(at(30)), "a1 is probed before a2 is ready");
    let mut plan = fleet.plan(call(), at(30));
    let probe = lease_at(&mut state, &mut plan, at(30));
    assert_eq!(probe.key(), Some(key_id("a1")));
    assert_eq!(wait(&mut state, &fleet, at(31)), Some(at(50)), "while it is probed, a2 is awaited");
    state.close(probe, Usage::ZERO, START);
    assert_eq!(wait(&mut state, &fleet, at(32)), None, "given back, it is probed by the next");
}

#[test]
fn nobody_waits_for_a_probe_alone() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    meet(&mut state, &fleet, "429+3600", START);
    let probe_at = START + LONGEST_UNPROBED;
    let mut plan = fleet.plan(call(), at(290));
    let asked = state.ask(&mut plan, at(290), Roll(0));
    assert!(matches!(asked, Ask::Exhausted(Exhausted::Spent { until }) if until == at(3_600)), "{asked:?}");
    assert_eq!(wait(&mut state, &fleet, probe_at), None);
    // Waiting for the key itself, one is woken for its probe.
    assert_eq!(
        wait(&mut state, &Fleet { max_wait: Duration::from_hours(1), ..fleet }, at(290)),
        Some(probe_at)
    );
}

#[test]
fn a_call_that_finds_no_key_is_told_what_is_held_against_them() {
    for (keys, answers, expect) in [
        ("a1", "401", Exhausted::Barred),
        ("a1", "402", Exhausted::Barred),
        ("a1", "403", Exhausted::Barred),
        ("a1 a2", "401 403", Exhausted::Barred),
        ("a1", "429+60", Exhausted::Spent { until: at(60) }),
        ("a1 a2", "401 429+60", Exhausted::Spent { until: at(60) }),
        ("a1 a2", "429+60 401", Exhausted::Spent { until: at(60) }),
    ] {
        let fleet = fleet(keys);
        let mut state = state(&fleet);
        answers.split_whitespace().for_each(|answer| meet(&mut state, &fleet, answer, START));
        match state.ask(&mut fleet.plan(call(), at(1)), at(1), Roll(0)) {
            Ask::Exhausted(exhausted) => assert_eq!(exhausted, expect, "{answers} from {keys}"),
            other => unreachable!("nobody serves it, but {other:?}"),
        }
    }
}

#[test]
fn a_class_that_rests_leaves_the_key_to_others() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    meet(&mut state, &fleet, "429+60", START);
    let other = Class::of("other");
    let counts = |state: &State, now| {
        ["m", "other"].map(|name| state.count(ProviderId::of("a"), &Class::of(name), now))
    };
    let (none, one) = (Count { total: 1, available: 0 }, Count { total: 1, available: 1 });
    assert_eq!(counts(&state, at(1)), [none, one]);
    let mut plan = fleet.plan(relay_core::Need { class: other, ..call() }, at(1));
    let lease = lease_at(&mut state, &mut plan, at(1));
    assert_eq!(plan.class(), &Class::of("other"));
    // Its success says nothing about the class that rests.
    let Step::Commit(lease) = state.judge(&mut plan, lease, verdict("200", at(2)), at(2)) else {
        unreachable!()
    };
    state.close(lease, Usage::ZERO, START);
    assert_eq!(counts(&state, at(3)), [none, one]);
    assert_eq!(counts(&state, at(60)), [one, one]);
    meet(&mut state, &fleet, "401", at(60));
    assert_eq!(counts(&state, at(61)), [none, none]);
    assert_eq!(counts(&state, at(90)), [one, one], "a key that may be probed could serve");
    assert_eq!(state.count(ProviderId::of("b"), &Class::of("m"), at(0)), Count::default());
}

#[test]
fn what_happens_to_keys_is_told_once() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    let (provider, key, class) = (ProviderId::of("a"), key_id("a1"), Class::of("m"));
    meet(&mut state, &fleet, "200", START);
    assert_eq!(state.take_events(), []);
    meet(&mut state, &fleet, "429+9", START);
    assert_eq!(state.take_events(), [Event::KeyCooled { provider, key, class, window: None, until: at(9) }]);
    meet(&mut state, &fleet, "200", at(9));
    assert_eq!(state.take_events(), [Event::KeyBack { provider, key }]);
    meet(&mut state, &fleet, "403", at(10));
    let (reason, extent) = (Reason::Unaccepted, Extent::Class);
    assert_eq!(state.take_events(), [Event::KeyBarred { provider, key, reason, extent, probe_at: at(40) }]);
    state.pardon(key);
    state.pardon(key);
    state.pardon(key_id("b1"));
    assert_eq!(state.take_events(), [Event::KeyBack { provider, key }]);
    assert_eq!(state.take_events(), []);
}

#[test]
fn whatever_was_held_against_a_key_or_its_organization_it_is_told_when_it_is_back() {
    let (provider, key) = (ProviderId::of("a"), key_id("a1"));
    for answer in ["401", "402", "403", "429+9", "slow+9"] {
        let fleet = fleet("a1");
        let mut state = state(&fleet);
        meet(&mut state, &fleet, answer, START);
        assert_eq!(state.take_events().len(), 1, "{answer}");
        meet(&mut state, &fleet, "200", at(60));
        assert_eq!(state.take_events(), [Event::KeyBack { provider, key }], "{answer}");
    }
}

#[test]
fn it_is_told_once_that_two_keys_are_of_one_organization() {
    let fleet = fleet("a1 a2 a3");
    let mut state = state(&fleet);
    let provider = ProviderId::of("a");
    let mut shows = |label: &str, organization: &str| {
        let mut plan = fleet.plan(Need { pinned: Some(key_id(label)), ..call() }, START);
        let mut lease = lease_at(&mut state, &mut plan, START);
        let quota = Quota { organization: Some(organization.to_owned()), ..Quota::default() };
        state.learn(&mut lease, &quota, START);
        state.close(lease, Usage::ZERO, START);
        state.take_events()
    };
    let placed =
        |label: &str, holders: usize| [Event::KeyPlaced { provider, key: key_id(label), keys: 3, holders }];
    assert_eq!(shows("a1", "one"), []);
    assert_eq!(shows("a2", "one"), placed("a2", 2));
    assert_eq!(shows("a2", "one"), [], "that is known");
    assert_eq!(shows("a3", "other"), []);
    assert_eq!(shows("a2", "other"), placed("a2", 2), "it is another's now");
    assert_eq!(shows("a1", "other"), placed("a1", 1));
}

#[test]
fn a_fact_about_a_strange_key_or_about_the_past_is_no_news() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    let fact = |label: &str, until: u64| Fact { key: key_id(label), class: Class::of("m"), until: at(until) };
    assert!(!state.merge(&fact("b1", 9), START));
    assert!(!state.merge(&fact("a1", 0), START));
    assert!(state.merge(&fact("a1", 9), START));
    assert!(!state.merge(&fact("a1", 9), START));
    assert!(!state.merge(&fact("a1", 8), START));
    assert_eq!(wait(&mut state, &fleet, START), Some(at(9)));
    assert!(state.merge(&fact("a1", 12), START));
    assert_eq!(wait(&mut state, &fleet, START), Some(at(12)));
    assert!(state.merge(&fact("a1", 25), at(12)), "after it has ended, it is news again");
}

#[test]
fn what_is_heard_again_and_again_does_not_put_the_probe_off() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    let fact = Fact { key: key_id("a1"), class: Class::of("m"), until: at(7_200) };
    state.merge(&fact, START);
    state.merge(&fact, at(299));
    assert_eq!(wait(&mut state, &fleet, START + LONGEST_UNPROBED), None);
}

#[test]
fn a_fact_from_elsewhere_does_not_lift_a_bar() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    meet(&mut state, &fleet, "403", START);
    let class = Class::of("m");
    state.merge(&Fact { key: key_id("a1"), class: class.clone(), until: at(5) }, START);
    let barred = (Some(class.clone()), Unready::Barred(Reason::Unaccepted, at(30)));
    assert_eq!(key(&state, "a1", at(1)).held, [barred.clone(), (Some(class), Unready::Cooling(at(5)))]);
    assert_eq!(key(&state, "a1", at(5)).held, [barred]);
}

/// What a provider says of a key that was renewed since it was asked, it says of the old one.
#[test]
fn a_key_that_is_renewed_while_it_is_refused_is_asked_again_and_holds_nothing_against_it() {
    for answer in ["401", "402", "403", "429+60", "slow+60"] {
        let fleet = fleet("a1");
        let mut state = state(&fleet);
        let (mut plan, key) = (fleet.plan(call(), START), key_id("a1"));
        let old = lease_at(&mut state, &mut plan, START);
        state.pardon(key);
        assert!(matches!(state.judge(&mut plan, old, verdict(answer, START), START), Step::Again));
        assert_eq!(state.take_events(), [], "{answer}");
        let new = lease_at(&mut state, &mut plan, START);
        assert_eq!(new.key(), Some(key), "{answer}");
        // This time it is the key that is there.
        assert!(matches!(state.judge(&mut plan, new, verdict(answer, START), START), Step::Again));
        assert_ne!(state.take_events(), [], "{answer}");
        assert_ne!(self::key(&state, "a1", START).held, [], "{answer}");
    }
}

/// A renewed key is no excuse for what is the client's or the provider's fault.
#[test]
fn a_renewed_key_changes_nothing_about_other_answers() {
    let fleet = fleet("a1");
    for (answer, goes_on) in [("400", false), ("404", true), ("529", true), ("cut", true)] {
        let mut state = state(&fleet);
        let mut plan = fleet.plan(call(), START);
        let old = lease_at(&mut state, &mut plan, START);
        state.pardon(key_id("a1"));
        let step = state.judge(&mut plan, old, verdict(answer, START), START);
        assert_eq!(matches!(step, Step::Again), goes_on, "{answer}");
        if goes_on {
            assert!(!matches!(state.ask(&mut plan, START, Roll(0)), Ask::Granted(_)), "{answer}");
        }
    }
}

#[test]
fn a_key_that_was_renewed_is_asked_again_by_the_call_that_it_refused() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    let mut plan = fleet.plan(call(), START);
    for renewals in 1..=3 {
        let lease = lease_at(&mut state, &mut plan, START);
        assert!(matches!(state.judge(&mut plan, lease, verdict("401", START), START), Step::Again));
        let refused = state.ask(&mut plan, START, Roll(0));
        assert!(matches!(refused, Ask::Exhausted(Exhausted::Barred)), "{refused:?}");
        state.pardon(key_id("a1"));
        assert_eq!(plan.met().len(), renewals);
    }
    let lease = lease_at(&mut state, &mut plan, START);
    assert!(matches!(state.judge(&mut plan, lease, verdict("200", START), START), Step::Commit(_)));
}
