//! Who waits for a limit: in which order, behind whom, and who may go before.

use relay_core::{Need, Quota, Ticket, Verdict};

use crate::stage::{
    Call, Stage, Told, about, at, background, capped, fleet, gauge, id, key, of_group, takes, usage, with,
};

/// 600 a minute are ten a second, and sixty at once.
const TEN: Option<u64> = Some(600);

/// A stage whose only key is capped at ten input tokens a second, all of which have been used.
fn empty() -> Stage {
    let mut stage = Stage::new(fleet(vec![capped("a", [None, TEN, TEN])]));
    let call = stage.go(takes(60, 0));
    stage.serve(call, usage(60, 0));
    stage
}

/// A call that waits, and when it is told to come back, in milliseconds.
fn waits(stage: &mut Stage, need: Need) -> (Call, Ticket, u128) {
    let (call, until) = stage.wait(need);
    let ticket = call.ticket.expect("the stage is set for it");
    (call, ticket, until.since(at(0)).as_millis())
}

#[test]
fn a_small_call_does_not_stand_behind_a_large_one_that_it_does_not_put_off() {
    let mut stage = empty();
    let (_large, ticket, until) = waits(&mut stage, takes(50, 0));
    assert_eq!(until, 5_000);
    assert!(matches!(stage.would(takes(0, 60)), Told::Go(_)), "it needs other things");
    stage.pass(4_900);
    assert_eq!(stage.would(takes(1, 0)), Told::Wait(at(5_100)), "it would take what the large one waits for");
    assert_eq!(stage.woken(), []);
    stage.pass(100);
    assert_eq!(stage.woken(), [ticket]);
}

#[test]
fn one_who_came_later_goes_first_if_that_puts_nobody_off() {
    let mut stage = empty();
    // The first waits for output, the second for input.
    let call = stage.go(takes(0, 60));
    stage.serve(call, usage(1, 60));
    let (_first, first, until) = waits(&mut stage, takes(1, 50));
    assert_eq!(until, 5_000);
    let (_second, second, until) = waits(&mut stage, takes(10, 0));
    assert_eq!(until, 1_200, "behind one token of the first, and one that was used");
    stage.pass(1_199);
    assert_eq!(stage.state.wake(stage.now).next, Some(at(1_200)));
    stage.pass(1);
    assert_eq!(stage.woken(), [second]);
    stage.pass(3_800);
    assert_eq!(stage.woken(), [first]);
}

/// All calls of a line went with one of the keys, and what had become of the other did not come out.
#[test]
fn keys_of_one_organization_take_turns_also_with_calls_that_wait() {
    let mut stage = Stage::new(fleet(vec![of_group("a", "g"), of_group("b", "g")]));
    let mut call = stage.go(takes(1, 0));
    stage.learn(&mut call, &Quota { requests: gauge(600, 0), ..Quota::default() });
    stage.serve(call, usage(1, 0));
    let mut waiting: Vec<_> = (0..6).map(|_| stage.wait(takes(1, 0)).0).collect();
    let mut served = Vec::new();
    while !waiting.is_empty() {
        stage.pass(100);
        let woken = stage.woken();
        let (called, others): (Vec<Call>, _) =
            waiting.into_iter().partition(|call| call.ticket.is_some_and(|it| woken.contains(&it)));
        waiting = others;
        for mut call in called {
            served.push(stage.ask(&mut call));
            stage.serve(call, usage(1, 0));
        }
    }
    let (a, b) = (Told::Go(id("a")), Told::Go(id("b")));
    assert_eq!(served.iter().filter(|told| **told == a).count(), 3, "{served:?}");
    assert_eq!(served.iter().filter(|told| **told == b).count(), 3, "{served:?}");
}

#[test]
fn whoever_is_called_has_what_he_needs_until_he_comes() {
    let mut stage = empty();
    let (mut call, ticket, _) = waits(&mut stage, takes(50, 0));
    stage.pass(5_000);
    assert_eq!(stage.woken(), [ticket]);
    assert_eq!(stage.state.report(stage.now).waiting, 0, "he does not wait any more");
    assert_eq!(stage.would(takes(1, 0)), Told::Wait(at(5_100)));
    stage.pass(100);
    assert!(matches!(stage.would(takes(1, 0)), Told::Go(_)));
    assert_eq!(stage.ask(&mut call), Told::Go(id("a")));
    assert!(matches!(stage.would(takes(1, 0)), Told::Go(_)), "what was promised to him was promised once");
    assert!(!matches!(stage.would(takes(2, 0)), Told::Go(_)));
}

#[test]
fn whoever_is_called_and_does_not_come_gives_back_what_he_was_promised() {
    let mut stage = empty();
    let (call, first, _) = waits(&mut stage, takes(50, 0));
    let (_second, second, until) = waits(&mut stage, takes(20, 0));
    assert_eq!(until, 7_000);
    stage.pass(5_000);
    assert_eq!(stage.woken(), [first]);
    stage.leave(call);
    assert_eq!(stage.woken(), [second]);
}

#[test]
fn whoever_waits_elsewhere_goes_where_something_came_free() {
    let mut stage = Stage::new(fleet(vec![capped("a", [None, None, TEN]), capped("b", [None, None, TEN])]));
    let holds = stage.go(with("a", takes(0, 60)));
    let took = stage.go(with("b", takes(0, 30)));
    stage.serve(took, usage(0, 30));
    let (mut call, ticket, until) = waits(&mut stage, takes(0, 50));
    assert_eq!(until, 2_000, "where thirty were taken, and not where sixty may be");
    assert_eq!(stage.woken(), []);
    stage.leave(holds);
    assert_eq!(stage.woken(), [ticket]);
    assert_eq!(stage.ask(&mut call), Told::Go(id("a")));
}

#[test]
fn whoever_waits_goes_to_the_end_of_another_line_only_if_that_saves_a_quarter_of_the_wait() {
    for (freed, until) in [(10, 3_500), (13, 3_500), (14, 2_600), (25, 1_500)] {
        let caps = [None, None, TEN];
        let mut stage = Stage::new(fleet(vec![capped("a", caps), capped("b", caps)]));
        let leaves = stage.go(with("b", takes(0, freed)));
        let _stays = stage.go(with("b", takes(0, 60 - freed)));
        let took = stage.go(with("a", takes(0, 55)));
        stage.serve(took, usage(0, 55));
        let (mut call, _, at_first) = waits(&mut stage, takes(0, 40));
        assert_eq!(at_first, 3_500);
        stage.leave(leaves);
        assert_eq!(stage.ask(&mut call), Told::Wait(at(until)), "{freed} came free");
    }
}

#[test]
fn when_one_in_a_line_leaves_those_behind_him_move_up() {
    let mut stage = empty();
    let (call, _, _) = waits(&mut stage, takes(50, 0));
    let (_small, small, until) = waits(&mut stage, takes(10, 0));
    assert_eq!(until, 6_000);
    assert_eq!(stage.woken(), []);
    assert_eq!(stage.state.report(stage.now).waiting, 2);
    stage.leave(call);
    assert_eq!(stage.state.report(stage.now).waiting, 1);
    stage.pass(999);
    assert_eq!(stage.woken(), []);
    assert_eq!(stage.state.wake(stage.now).next, Some(at(1_000)));
    stage.pass(1);
    assert_eq!(stage.woken(), [small]);
    assert_eq!(stage.would(takes(1, 0)), Told::Wait(at(1_100)));
}

#[test]
fn whoever_asks_again_before_his_turn_keeps_his_place_and_is_told_his_moment() {
    let mut stage = empty();
    let (_large, first, _) = waits(&mut stage, takes(30, 0));
    let (mut call, second, _) = waits(&mut stage, takes(20, 0));
    stage.pass(1_000);
    assert_eq!(stage.ask(&mut call), Told::Wait(at(5_000)));
    assert_eq!(call.ticket, Some(second));
    stage.pass(2_000);
    assert_eq!(stage.ask(&mut call), Told::Wait(at(5_000)));
    assert_eq!(stage.woken(), [first], "whose turn came is called, whoever it is that asks");
    stage.pass(2_000);
    assert_eq!(stage.ask(&mut call), Told::Go(id("a")), "he needs not be woken");
    assert_eq!(stage.woken(), []);
}

#[test]
fn those_whom_somebody_waits_for_go_before_those_whom_nobody_waits_for() {
    let mut stage = empty();
    let (_first, first, _) = waits(&mut stage, background(takes(10, 0)));
    let (_second, second, _) = waits(&mut stage, takes(10, 0));
    let (_third, third, _) = waits(&mut stage, background(takes(10, 0)));
    let (_fourth, fourth, _) = waits(&mut stage, takes(10, 0));
    for (after, ticket) in [(1_000, second), (2_000, fourth), (3_000, first), (4_000, third)] {
        stage.now = at(after - 1);
        assert_eq!(stage.woken(), [], "at {after}");
        stage.now = at(after);
        assert_eq!(stage.woken(), [ticket], "at {after}");
    }
}

#[test]
fn one_whom_somebody_waits_for_goes_at_once_if_only_background_is_before_him() {
    let mut stage = empty();
    let (_large, _, _) = waits(&mut stage, background(takes(50, 0)));
    assert_eq!(stage.woken(), []);
    stage.pass(1_000);
    let (_small, small, until) = waits(&mut stage, takes(5, 0));
    assert_eq!(until, 5_500, "that is when he could go behind everybody");
    assert_eq!(stage.woken(), [small]);
}

/// Caps of a key are of all models together; those who ask for other models stand in other lines.
#[test]
fn who_waits_for_the_caps_of_a_key_is_not_put_off_by_calls_for_other_models() {
    let mut stage = empty();
    let (_first, first, until) = waits(&mut stage, about("x", takes(50, 0)));
    assert_eq!(until, 5_000);
    // `m` was met before `x`, and `z` never was.
    let (_second, second, until) = waits(&mut stage, takes(10, 0));
    assert_eq!(until, 6_000);
    stage.pass(4_000);
    assert_eq!(stage.woken(), []);
    assert_eq!(stage.would(about("z", takes(10, 0))), Told::Wait(at(7_000)));
    stage.pass(1_000);
    assert_eq!(stage.woken(), [first]);
    stage.pass(1_000);
    assert_eq!(stage.woken(), [second]);
}

#[test]
fn and_when_he_leaves_those_calls_move_up() {
    let mut stage = empty();
    let (call, _, _) = waits(&mut stage, about("x", takes(50, 0)));
    let (_second, second, _) = waits(&mut stage, takes(10, 0));
    assert_eq!(stage.woken(), []);
    stage.leave(call);
    stage.pass(1_000);
    assert_eq!(stage.woken(), [second]);
}

/// Keys of one organization share its line, but each has caps of its own.
#[test]
fn who_waits_for_the_caps_of_one_key_does_not_hold_up_those_of_another() {
    let shared =
        |label| relay_core::Key { caps: capped(label, [None, TEN, None]).caps, ..of_group(label, "g") };
    let mut stage = Stage::new(fleet(vec![shared("a"), shared("b")]));
    for label in ["a", "b"] {
        let call = stage.go(with(label, takes(60, 0)));
        stage.serve(call, usage(60, 0));
    }
    let (_first, first, until) = waits(&mut stage, with("a", takes(30, 0)));
    assert_eq!(until, 3_000);
    let (_second, second, until) = waits(&mut stage, with("b", takes(10, 0)));
    assert_eq!(until, 1_000);
    let (_third, third, until) = waits(&mut stage, with("a", takes(10, 0)));
    assert_eq!(until, 4_000);
    stage.pass(1_000);
    assert_eq!(stage.woken(), [second]);
    stage.pass(2_000);
    assert_eq!(stage.woken(), [first]);
    stage.pass(1_000);
    assert_eq!(stage.woken(), [third]);
}

#[test]
fn a_long_line_is_served_in_order_to_its_end() {
    let mut stage = empty();
    let line: Vec<_> = (0..150).map(|_| waits(&mut stage, takes(1, 0))).collect();
    let tickets: Vec<_> = line.iter().map(|(_, ticket, _)| *ticket).collect();
    assert_eq!(line[149].2, 15_000);
    stage.pass(18_000);
    // It holds sixty, however long it takes.
    assert_eq!(stage.woken(), tickets[..60]);
    stage.pass(6_000);
    assert_eq!(stage.woken(), [], "they have not come for what they were promised");
    for (mut call, ..) in line.into_iter().take(60) {
        assert_eq!(stage.ask(&mut call), Told::Go(id("a")));
        stage.serve(call, usage(1, 0));
    }
    stage.pass(6_000);
    assert_eq!(stage.woken(), tickets[60..120]);
}

#[test]
fn whoever_may_not_wait_so_long_is_told_when_to_come_back() {
    let mut stage = empty();
    stage.fleet.max_wait = std::time::Duration::from_millis(4_999);
    assert_eq!(stage.would(takes(50, 0)), Told::No(relay_core::Exhausted::Spent { until: at(5_000) }));
    stage.fleet.max_wait = std::time::Duration::from_secs(5);
    assert_eq!(stage.would(takes(50, 0)), Told::Wait(at(5_000)));
}

/// Where somebody waits already, what is scarce there is left to those who need nothing else.
#[test]
fn whoever_may_not_wait_for_the_cheapest_key_waits_where_nobody_does() {
    let keys = vec![capped("a", [None, Some(600_000), None]), capped("b", [None, Some(6), None])];
    let mut stage = Stage::new(fleet(keys));
    // The one has plenty, but in twelve seconds; of the other there is one token every ten.
    let call = stage.go(with("a", takes(60_000, 0)));
    stage.serve(call, usage(179_990, 0));
    let call = stage.go(with("b", takes(1, 0)));
    stage.serve(call, usage(1, 0));
    let cheapest = waits(&mut stage, takes(10, 0));
    assert_eq!(cheapest.2, 12_000);
    stage.leave(cheapest.0);
    stage.fleet.max_wait = std::time::Duration::from_secs(11);
    let (mut call, ticket, until) = waits(&mut stage, takes(1, 0));
    assert_eq!(until, 10_000);
    let behind = Told::No(relay_core::Exhausted::Spent { until: at(20_000) });
    assert_eq!(stage.would(with("b", takes(1, 0))), behind, "he has a place there");
    stage.now = at(10_000);
    assert_eq!(stage.woken(), [ticket]);
    assert_eq!(stage.ask(&mut call), Told::Go(id("b")));
}

#[test]
fn whoever_is_called_when_his_key_is_barred_goes_elsewhere() {
    let mut stage = Stage::new(fleet(vec![capped("a", [None, TEN, None]), key("b")]));
    let mut trouble = stage.go(with("a", takes(60, 0)));
    // The other one is worse off for a while.
    let mut busy = stage.go(with("b", takes(1, 0)));
    assert!(!stage.judge(&mut busy, Verdict::Throttled { until: at(2_000) }));
    let (mut call, ticket, until) = waits(&mut stage, takes(10, 0));
    assert_eq!(until, 1_000);
    assert!(!stage.judge(&mut trouble, Verdict::KeyBad(relay_core::Extent::Key)));
    assert_eq!(stage.woken(), [ticket]);
    stage.pass(2_000);
    assert_eq!(stage.ask(&mut call), Told::Go(id("b")));
    assert_eq!(stage.key("a").in_flight, 0);
}

#[test]
fn after_a_reload_everybody_looks_again_and_nothing_stays_promised() {
    let mut stage = empty();
    let (mut called, first, _) = waits(&mut stage, takes(50, 0));
    let (mut waiting, second, _) = waits(&mut stage, takes(20, 0));
    stage.pass(5_000);
    assert_eq!(stage.woken(), [first]);
    let fleet = stage.fleet.clone();
    stage.state.reconcile(&fleet, stage.now);
    assert_eq!(stage.woken(), [first, second]);
    assert_eq!(stage.state.report(stage.now).waiting, 0);
    // Whoever asks first is first now.
    assert_eq!(stage.ask(&mut waiting), Told::Go(id("a")));
    assert_eq!(stage.ask(&mut called), Told::Wait(at(7_000)));
}

/// Subagents filled the queue, and the call for which somebody waited was told to come back.
#[test]
fn in_a_full_queue_those_whom_nobody_waits_for_make_room_for_others_and_for_no_one_else() {
    let mut stage = empty();
    stage.fleet.queue_calls = Some(2);
    stage.state.reconcile(&stage.fleet, stage.now);
    let (mut first, ..) = waits(&mut stage, background(takes(10, 0)));
    let (mut last, ..) = waits(&mut stage, background(takes(10, 0)));
    assert!(matches!(stage.would(background(takes(10, 0))), Told::No(_)), "nobody waits for it either");
    assert!(stage.woken().is_empty());
    let (mut person, ..) = waits(&mut stage, takes(10, 0));
    assert_eq!(stage.woken(), [last.ticket.expect("the stage is set for it")]);
    assert!(
        matches!(stage.ask(&mut last), Told::No(relay_core::Exhausted::Spent { .. })),
        "it has made room"
    );
    assert!(matches!(stage.ask(&mut first), Told::Wait(_)), "whoever waits goes on waiting");
    assert!(matches!(stage.ask(&mut person), Told::Wait(_)));
    let (other, ..) = waits(&mut stage, takes(10, 0));
    assert!(matches!(stage.ask(&mut first), Told::No(_)));
    assert!(matches!(stage.would(takes(10, 0)), Told::No(_)), "nobody is left who could make room");
    stage.leave(other);
    assert!(matches!(stage.would(background(takes(10, 0))), Told::Wait(_)));
}

/// Whoever waits holds memory: there is an end to it.
#[test]
fn whoever_finds_the_queue_full_is_told_when_to_come_back_and_there_is_room_when_one_leaves() {
    let mut stage = empty();
    stage.fleet.queue_calls = Some(2);
    stage.state.reconcile(&stage.fleet, stage.now);
    let (first, ..) = waits(&mut stage, takes(10, 0));
    let (mut second, ..) = waits(&mut stage, takes(10, 0));
    assert_eq!(stage.would(takes(10, 0)), Told::No(relay_core::Exhausted::Spent { until: at(3_000) }));
    assert_eq!(stage.ask(&mut second), Told::Wait(at(2_000)), "whoever waits goes on waiting");
    stage.leave(first);
    assert_eq!(stage.would(takes(10, 0)), Told::Wait(at(2_000)));

    // Bodies have four bytes a token here.
    stage.fleet.queue_bytes = Some(100);
    stage.state.reconcile(&stage.fleet, stage.now);
    assert!(matches!(stage.would(takes(16, 0)), Told::No(_)), "forty bytes wait");
    assert!(matches!(stage.would(takes(15, 0)), Told::Wait(_)));
    stage.leave(second);
    assert!(matches!(stage.would(takes(25, 0)), Told::Wait(_)));
    assert!(matches!(stage.would(takes(26, 0)), Told::No(_)));
}
