//! What is counted, remembered and forgotten: totals, quotas, owners, and what a reload takes away.

use std::time::Duration;

use relay_core::{
    Ask, Class, Fleet, Lease, Plan, Quota, Roll, State, Step, Strategy, Time, Totals, Usage, Whose,
};

use crate::script::{START, asked, call, fleet, key_id, state, verdict};

fn at(seconds: u64) -> Time {
    START + Duration::from_secs(seconds)
}

fn grant(state: &mut State, fleet: &Fleet) -> (Plan, Lease) {
    let mut plan = fleet.plan(call(), START);
    match state.ask(&mut plan, START, Roll(0)) {
        Ask::Granted(lease) => (plan, lease),
        other => unreachable!("it is granted, not {other:?}"),
    }
}

fn totals(state: &State) -> Totals {
    state.report(START).providers[0].keys[0].totals
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, cache_write: 2 * input, cache_write_long: input, cache_read: 3 * input }
}

#[test]
fn a_key_is_charged_as_its_replies_flow_and_settled_when_they_end() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    let (mut plan, lease) = grant(&mut state, &fleet);
    assert_eq!(lease.since(), START);
    assert_eq!(totals(&state), Totals { leases: 1, served: 0, usage: Usage::ZERO });
    let Step::Commit(mut lease) = state.judge(&mut plan, lease, verdict("200", START), START) else {
        unreachable!()
    };
    state.charge(&mut lease, usage(10, 0), START);
    state.charge(&mut lease, usage(10, 5), START);
    assert_eq!(totals(&state), Totals { leases: 1, served: 1, usage: usage(10, 5) });
    let (_, other) = grant(&mut state, &fleet);
    state.close(other, usage(1, 1), START);
    assert_eq!(totals(&state), Totals { leases: 2, served: 1, usage: usage(11, 6) });
    state.close(lease, usage(8, 7), START);
    assert_eq!(totals(&state), Totals { leases: 2, served: 1, usage: usage(9, 8) });
}

#[test]
fn what_headers_say_is_kept_of_the_key_if_they_say_anything_of_limits() {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    let known = |state: &State| state.report(START).providers[0].keys[0].quota.clone();
    let (_, mut lease) = grant(&mut state, &fleet);
    state.learn(
        &mut lease,
        &Quota { workspace: Some("w".to_owned()), should_retry: Some(true), ..Quota::default() },
        START,
    );
    assert_eq!(known(&state), None);
    let organization = Quota { organization: Some("o".to_owned()), ..Quota::default() };
    state.learn(&mut lease, &organization, START);
    assert_eq!(known(&state), Some(organization.clone()));
    state.learn(&mut lease, &Quota::default(), START);
    assert_eq!(known(&state), Some(organization));
    let limits = Quota { retry_after: Some(Duration::from_secs(1)), ..Quota::default() };
    state.learn(&mut lease, &limits, START);
    let limits = Quota { organization: Some("o".to_owned()), ..limits };
    assert_eq!(known(&state), Some(limits.clone()), "whose it is was said once and stays true");
    state.close(lease, Usage::ZERO, START);
    let mut own = fleet.plan(relay_core::Need { credential: Whose::Client, ..call() }, START);
    let Ask::Granted(mut own) = state.ask(&mut own, START, Roll(0)) else { unreachable!("it needs no key") };
    state.learn(&mut own, &Quota { organization: Some("theirs".to_owned()), ..Quota::default() }, START);
    state.close(own, usage(1, 1), START);
    assert_eq!(known(&state), Some(limits));
    assert_eq!(totals(&state).usage, Usage::ZERO);
}

#[test]
fn an_owner_is_known_while_its_key_is_configured() {
    let both = fleet("a1 b1");
    let mut state = state(&both);
    state.own("file_1", key_id("b1"));
    assert_eq!(state.owner("file_1"), Some(key_id("b1")));
    assert_eq!(state.owner("file_2"), None);
    state.reconcile(&fleet("a1"), START);
    assert_eq!(state.owner("file_1"), None);
    state.reconcile(&both, START);
    assert_eq!(state.owner("file_1"), Some(key_id("b1")));
}

#[test]
fn a_key_that_is_gone_is_forgotten_when_its_last_lease_has_ended() {
    let (with, without) = (fleet("a1"), fleet("a2"));
    let mut state = state(&with);
    let (_, lease) = grant(&mut state, &with);
    state.reconcile(&without, START);
    state.reconcile(&with, START);
    assert_eq!(totals(&state).leases, 1, "in use, it is remembered");
    state.reconcile(&without, START);
    state.close(lease, usage(1, 1), START);
    state.reconcile(&with, START);
    assert_eq!(totals(&state), Totals::default());
    let (_, mut lease) = grant(&mut state, &with);
    state.learn(&mut lease, &Quota { organization: Some("o".to_owned()), ..Quota::default() }, START);
    state.close(lease, usage(1, 1), START);
    assert_eq!(totals(&state).leases, 1, "idle, but configured");
    state.reconcile(&without, START);
    state.reconcile(&with, START);
    assert_eq!(totals(&state), Totals::default());
    assert_eq!(state.report(START).providers[0].keys[0].quota, None);
}

#[test]
fn a_429_that_comes_after_its_key_is_gone_leaves_nothing_behind() {
    let (with, without) = (fleet("a1"), fleet("b1"));
    let mut state = state(&with);
    let (mut plan, lease) = grant(&mut state, &with);
    state.reconcile(&without, START);
    assert!(matches!(state.judge(&mut plan, lease, verdict("429+60", START), START), Step::Again));
    assert_eq!(state.take_events(), []);
    assert!(matches!(state.ask(&mut plan, START, Roll(0)), Ask::Exhausted(relay_core::Exhausted::Nobody)));
    state.reconcile(&with, START);
    assert_eq!(state.export(START).facts().count(), 0);
}

#[test]
fn a_reload_keeps_the_turn_of_a_strategy_that_stays() {
    let turn = |state: &mut State, fleet: &Fleet| {
        let (_, lease) = grant(state, fleet);
        let asked = asked(fleet, &lease);
        state.close(lease, Usage::ZERO, START);
        asked
    };
    let mut robin = fleet("a1 a2 b1");
    robin.providers[0].strategy = Strategy::RoundRobin;
    let mut state = state(&robin);
    assert_eq!(turn(&mut state, &robin), "a1");
    state.reconcile(&robin, START);
    assert_eq!(turn(&mut state, &robin), "a2");
    assert_eq!(turn(&mut state, &robin), "a1");
    let mut other = robin.clone();
    other.providers[0].strategy = Strategy::Failover;
    state.reconcile(&other, START);
    state.reconcile(&robin, START);
    assert_eq!(turn(&mut state, &robin), "a1", "the strategy has changed, and changed again");

    let robin = Fleet { strategy: Strategy::RoundRobin, ..fleet("a1 b1") };
    state.reconcile(&robin, START);
    assert_eq!(turn(&mut state, &robin), "a1");
    state.reconcile(&robin, START);
    assert_eq!(turn(&mut state, &robin), "b1");
    assert_eq!(turn(&mut state, &robin), "a1");
    state.reconcile(&fleet("a1 b1"), START);
    state.reconcile(&robin, START);
    assert_eq!(turn(&mut state, &robin), "a1");
}

#[test]
fn the_least_loaded_key_and_provider_are_those_with_the_fewest_calls_in_flight() {
    let mut idle = Fleet { strategy: Strategy::LeastLoaded, ..fleet("a1 a2 b1 b2") };
    for provider in &mut idle.providers {
        provider.strategy = Strategy::LeastLoaded;
    }
    let mut state = state(&idle);
    let leases: Vec<_> = (0..5).map(|_| grant(&mut state, &idle).1).collect();
    let order: Vec<_> = leases.iter().map(|lease| asked(&idle, lease)).collect();
    assert_eq!(order, ["a1", "b1", "a2", "b2", "a1"]);
    for lease in leases {
        state.close(lease, Usage::ZERO, START);
    }
}

#[test]
fn a_report_shows_the_fleet_in_the_order_of_the_configuration() {
    let state = state(&fleet("b2 b1 a1"));
    let report = state.report(at(0));
    let labels: Vec<_> =
        report.providers.iter().flat_map(|it| &it.keys).map(|key| key.label.as_str()).collect();
    assert_eq!(labels, ["b2", "b1", "a1"]);
    assert_eq!(report.waiting, 0);
    assert_eq!(Class::of("m").as_str(), "m");
}
