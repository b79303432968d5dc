//! Of several calls that begin with the same prompt, one writes it to the cache, and the others wait to read it.

use std::time::Duration;

use relay_core::{
    Ask, Conversation, Fleet, Lease, Need, Plan, Prefix, Quota, Roll, Size, State, Step, Ticket, Time, Usage,
};

use crate::script::{START, call, fleet, state, verdict};

const READ: Usage = Usage { input: 10, cache_read: 5_000, ..Usage::ZERO };

fn at(millis: u64) -> Time {
    START + Duration::from_millis(millis)
}

fn with(prefix: u64) -> Need {
    Need { prefix: Some(Prefix(prefix)), size: Some(Size { bytes: 20_000, ..Size::default() }), ..call() }
}

/// A fleet that waits up to three seconds, and a state that has seen that prompts are cached.
fn seasoned(keys: &str) -> (Fleet, State) {
    let fleet = Fleet { prefix_wait: Duration::from_secs(3), ..fleet(keys) };
    let mut state = state(&fleet);
    let (_, lease) = granted(&mut state, &fleet, with(0), START);
    let lease = begun(&mut state, &fleet, lease, START);
    state.close(lease, READ, START);
    (fleet, state)
}

fn granted(state: &mut State, fleet: &Fleet, need: Need, now: Time) -> (Plan, Lease) {
    let mut plan = fleet.plan(need, now);
    match state.ask(&mut plan, now, Roll(0)) {
        Ask::Granted(lease) => (plan, lease),
        other => unreachable!("it goes, not {other:?}"),
    }
}

fn waits(state: &mut State, fleet: &Fleet, need: Need, now: Time) -> (Plan, Ticket, Time) {
    let mut plan = fleet.plan(need, now);
    match state.ask(&mut plan, now, Roll(0)) {
        Ask::Wait { ticket, until } => (plan, ticket, until),
        other => unreachable!("it waits, not {other:?}"),
    }
}

/// An answer begins.
fn begun(state: &mut State, fleet: &Fleet, lease: Lease, now: Time) -> Lease {
    let mut plan = fleet.plan(call(), now);
    let Step::Commit(mut lease) = state.judge(&mut plan, lease, verdict("200", now), now) else {
        unreachable!("it is served")
    };
    state.learn(&mut lease, &Quota::default(), now);
    state.charge(&mut lease, READ, now);
    lease
}

#[test]
fn of_calls_that_come_together_one_writes_the_prefix_and_the_others_go_when_its_answer_begins() {
    let (fleet, mut state) = seasoned("a1");
    let (_, writer) = granted(&mut state, &fleet, with(7), START);
    let (mut one, first, until) = waits(&mut state, &fleet, with(7), at(10));
    let (_, second, _) = waits(&mut state, &fleet, with(7), at(20));
    assert_eq!(until, at(3_000));
    // Others have nothing to do with it.
    let (_, other) = granted(&mut state, &fleet, with(8), at(20));
    let (_, without) = granted(&mut state, &fleet, call(), at(20));
    assert_eq!(state.wake(at(700)).tickets, []);
    let writer = begun(&mut state, &fleet, writer, at(700));
    assert_eq!(state.wake(at(700)).tickets, [first, second]);
    let Ask::Granted(reader) = state.ask(&mut one, at(700), Roll(0)) else { unreachable!("it reads") };
    // While it lives, nobody waits for it.
    let (_, later) = granted(&mut state, &fleet, with(7), at(200_000));
    for lease in [writer, other, without, reader, later] {
        state.close(lease, READ, at(200_000));
    }
    assert!(state.report(at(200_000)).providers[0].keys[0].in_flight == 0);
}

#[test]
fn a_prefix_that_was_not_used_for_five_minutes_is_written_anew() {
    let (fleet, mut state) = seasoned("a1");
    let (_, writer) = granted(&mut state, &fleet, with(7), START);
    let writer = begun(&mut state, &fleet, writer, START);
    state.close(writer, READ, at(1_000));
    let (_, again) = granted(&mut state, &fleet, with(7), at(299_999));
    let again = begun(&mut state, &fleet, again, at(299_999));
    state.close(again, READ, at(299_999));
    let (_, again) = granted(&mut state, &fleet, with(7), at(599_998));
    let (_, both) = granted(&mut state, &fleet, with(7), at(599_998));
    for lease in [again, both] {
        state.close(lease, Usage::ZERO, at(599_998));
    }
    let (_, writer) = granted(&mut state, &fleet, with(7), at(599_999));
    waits(&mut state, &fleet, with(7), at(600_000));
    state.close(writer, Usage::ZERO, at(600_000));
}

#[test]
fn whoever_writes_and_does_not_come_so_far_is_followed_by_the_next() {
    let (fleet, mut state) = seasoned("a1");
    let (_, writer) = granted(&mut state, &fleet, with(7), START);
    let (mut one, first, _) = waits(&mut state, &fleet, with(7), at(10));
    let (mut two, second, _) = waits(&mut state, &fleet, with(7), at(20));
    // Its client leaves.
    state.close(writer, Usage::ZERO, at(500));
    assert_eq!(state.wake(at(500)).tickets, [first, second]);
    let Ask::Granted(next) = state.ask(&mut one, at(500), Roll(0)) else { unreachable!("it writes now") };
    let Ask::Wait { until, .. } = state.ask(&mut two, at(500), Roll(0)) else { unreachable!("it waits") };
    assert_eq!(until, at(3_020), "no longer than three seconds in all");
    state.close(next, Usage::ZERO, at(600));
}

#[test]
fn nobody_waits_longer_for_a_prefix_than_three_seconds_or_than_he_may() {
    let (fleet, mut state) = seasoned("a1");
    let (_, slow) = granted(&mut state, &fleet, with(7), START);
    let (mut one, ticket, _) = waits(&mut state, &fleet, with(7), at(10));
    assert_eq!(state.wake(at(3_000)).tickets, [ticket]);
    let Ask::Granted(impatient) = state.ask(&mut one, at(3_000), Roll(0)) else { unreachable!("it goes") };
    for lease in [slow, impatient] {
        state.close(lease, READ, at(3_000));
    }
    let fleet = Fleet { max_wait: Duration::from_secs(1), ..fleet };
    state.reconcile(&fleet, at(4_000));
    let (_, writer) = granted(&mut state, &fleet, with(9), at(4_000));
    let (_, _, until) = waits(&mut state, &fleet, with(9), at(4_000));
    assert_eq!(until, at(5_000));
    state.close(writer, READ, at(5_000));
}

#[test]
fn nobody_waits_for_a_prefix_where_nothing_is_cached_or_if_it_is_not_wished() {
    let fresh = Fleet { prefix_wait: Duration::from_secs(3), ..fleet("a1 a2") };
    let mut state = state(&fresh);
    let leases = [0, 0].map(|prefix| granted(&mut state, &fresh, with(prefix), START).1);
    for lease in leases {
        state.close(lease, Usage::ZERO, START);
    }
    let (fleet, mut state) = seasoned("a1");
    let fleet = Fleet { prefix_wait: Duration::ZERO, ..fleet };
    state.reconcile(&fleet, START);
    let leases = [7, 7].map(|prefix| granted(&mut state, &fleet, with(prefix), START).1);
    for lease in leases {
        state.close(lease, Usage::ZERO, START);
    }
}

#[test]
fn where_answers_have_shown_that_nothing_is_cached_all_go_at_once() {
    let fleet = Fleet { prefix_wait: Duration::from_secs(3), ..fleet("a1") };
    let mut state = state(&fleet);
    for prefix in 0..3 {
        let (mut plan, lease) = granted(&mut state, &fleet, with(prefix), START);
        let Step::Commit(lease) = state.judge(&mut plan, lease, verdict("200", START), START) else {
            unreachable!("it is served")
        };
        state.close(lease, Usage { input: 5_000, output: 9, ..Usage::ZERO }, START);
    }
    for lease in [7, 7, 7].map(|prefix| granted(&mut state, &fleet, with(prefix), START).1) {
        state.close(lease, Usage::ZERO, START);
    }
}

#[test]
fn a_conversation_that_reads_its_own_cache_waits_for_nobody_who_begins_alike() {
    let (fleet, mut state) = seasoned("a1");
    let turn = |prefix| Need { conversation: Some(Conversation(1)), ..with(prefix) };
    let (_, lease) = granted(&mut state, &fleet, turn(7), START);
    let lease = begun(&mut state, &fleet, lease, START);
    state.close(lease, READ, START);
    let (_, writer) = granted(&mut state, &fleet, with(9), START);
    waits(&mut state, &fleet, with(9), START);
    let (_, own) = granted(&mut state, &fleet, turn(9), START);
    for lease in [writer, own] {
        state.close(lease, READ, START);
    }
}
