//! Who waits is woken at its moment, earlier if something becomes ready earlier, and never after it left.

use std::time::Duration;

use relay_core::{Ask, Fleet, Roll, State, Step, Ticket, Time, Usage, Woken};

use crate::script::{START, call, fleet, key_id, state, verdict};

fn at(seconds: u64) -> Time {
    START + Duration::from_secs(seconds)
}

/// A state whose only key rests for twenty seconds, so that every call waits.
fn resting() -> (Fleet, State) {
    let fleet = fleet("a1");
    let mut state = state(&fleet);
    let mut plan = fleet.plan(call(), START);
    let Ask::Granted(lease) = state.ask(&mut plan, START, Roll(0)) else { unreachable!("it is ready") };
    assert!(matches!(state.judge(&mut plan, lease, verdict("429+20", START), START), Step::Again));
    (fleet, state)
}

fn wait(state: &mut State, fleet: &Fleet, now: Time) -> Ticket {
    match state.ask(&mut fleet.plan(call(), now), now, Roll(0)) {
        Ask::Wait { ticket, until } => {
            assert_eq!(until, at(20));
            ticket
        }
        other => unreachable!("it waits, not {other:?}"),
    }
}

#[test]
fn those_who_wait_are_woken_at_their_moment_in_the_order_in_which_they_came() {
    let (fleet, mut state) = resting();
    let first = wait(&mut state, &fleet, START);
    let gone = wait(&mut state, &fleet, START);
    let second = wait(&mut state, &fleet, at(1));
    assert_eq!(state.report(at(1)).waiting, 3);
    state.cancel(gone);
    assert_eq!(state.wake(at(19)), Woken { tickets: vec![], next: Some(at(20)) });
    assert_eq!(state.wake(at(20)), Woken { tickets: vec![first, second], next: None });
    assert_eq!(state.report(at(20)).waiting, 0);
}

#[test]
fn a_pardon_and_a_reload_wake_everybody() {
    let (fleet, mut state) = resting();
    let ticket = wait(&mut state, &fleet, START);
    state.pardon(key_id("a1"));
    assert_eq!(state.wake(at(1)).tickets, [ticket]);
    let (fleet, mut state) = resting();
    let ticket = wait(&mut state, &fleet, START);
    state.reconcile(&fleet, START);
    assert_eq!(state.wake(at(1)).tickets, [ticket]);
}

#[test]
fn a_probe_that_succeeds_wakes_everybody() {
    let fleet = Fleet { max_wait: Duration::from_hours(2), ..fleet("a1") };
    let mut state = state(&fleet);
    let mut plan = fleet.plan(call(), START);
    let Ask::Granted(lease) = state.ask(&mut plan, START, Roll(0)) else { unreachable!("it is ready") };
    assert!(matches!(state.judge(&mut plan, lease, verdict("429+3600", START), START), Step::Again));
    let Ask::Granted(probe) = state.ask(&mut plan, at(300), Roll(0)) else { unreachable!("it is probed") };
    let Ask::Wait { ticket, until } = state.ask(&mut fleet.plan(call(), at(300)), at(300), Roll(0)) else {
        unreachable!("one call probes")
    };
    assert_eq!(until, at(3_600));
    assert_eq!(state.wake(at(301)).tickets, []);
    let Step::Commit(lease) = state.judge(&mut plan, probe, verdict("200", at(302)), at(302)) else {
        unreachable!()
    };
    assert_eq!(state.wake(at(302)).tickets, [ticket]);
    state.close(lease, Usage::ZERO, START);
}
