//! Clients who wait for the same limit take turns: each is given as many tokens as the others.

use relay_core::{Need, Ticket};

use crate::stage::{
    Call, Stage, Told, at, background, capped, fleet, of_client, organization, takes, usage, with,
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
fn waits(stage: &mut Stage, need: Need) -> (Ticket, u128) {
    let (call, until) = stage.wait(need);
    (call.ticket.expect("the stage is set for it"), until.since(at(0)).as_millis())
}

/// In which order they are called, and when, in tenths of a second.
fn order(stage: &mut Stage, tenths: u64) -> Vec<(u64, Ticket)> {
    let mut order = Vec::new();
    for tenth in 1..=tenths {
        stage.now = at(tenth * 100);
        order.extend(stage.woken().into_iter().map(|ticket| (tenth, ticket)));
    }
    order
}

#[test]
fn who_comes_to_a_line_that_another_client_has_filled_is_next() {
    let mut stage = empty();
    let a: Vec<_> = (0..3).map(|_| waits(&mut stage, of_client("a", takes(10, 0)))).collect();
    assert_eq!(a.iter().map(|(_, until)| *until).collect::<Vec<_>>(), [1_000, 2_000, 3_000]);
    let (b, until) = waits(&mut stage, of_client("b", takes(5, 0)));
    assert_eq!(until, 3_500, "that is when he could go behind everybody");
    assert_eq!(order(&mut stage, 35), [(10, a[0].0), (15, b), (25, a[1].0), (35, a[2].0)]);
}

#[test]
fn nobody_is_refused_for_those_who_come_after_him() {
    let mut stage = empty();
    stage.fleet.max_wait = std::time::Duration::from_secs(3);
    waits(&mut stage, of_client("a", takes(20, 0)));
    waits(&mut stage, of_client("a", takes(10, 0)));
    assert!(matches!(stage.would(of_client("a", takes(10, 0))), Told::No(_)));
    assert_eq!(stage.would(of_client("b", takes(10, 0))), Told::Wait(at(3_000)));
    assert!(matches!(stage.would(of_client("b", background(takes(10, 0)))), Told::No(_)));
}

#[test]
fn those_whom_somebody_waits_for_go_before_those_whom_nobody_waits_for_whoever_they_are_of() {
    let mut stage = empty();
    let (nobody, _) = waits(&mut stage, background(of_client("b", takes(10, 0))));
    let (first, _) = waits(&mut stage, of_client("a", takes(10, 0)));
    let (second, _) = waits(&mut stage, of_client("a", takes(10, 0)));
    assert_eq!(order(&mut stage, 30), [(10, first), (20, second), (30, nobody)]);
}

#[test]
fn among_the_calls_of_one_client_those_that_came_first_go_first() {
    let mut stage = empty();
    let all: Vec<_> = (0..3).map(|_| stage.wait(of_client("a", takes(10, 0))).0).collect();
    let tickets: Vec<_> = all.iter().filter_map(|call| call.ticket).collect();
    let [_, second, third] = tickets[..] else { unreachable!("three wait") };
    // His turn falls to those who come after, and not to the last of them.
    all.into_iter().take(1).for_each(|call| stage.leave(call));
    let (fourth, _) = waits(&mut stage, of_client("a", takes(10, 0)));
    assert_eq!(order(&mut stage, 30), [(10, second), (20, third), (30, fourth)]);
}

#[test]
fn who_goes_past_a_line_has_had_that_for_his_turn() {
    let mut stage = empty();
    let (large, _) = waits(&mut stage, of_client("c", takes(30, 0)));
    // It needs nothing that the large one waits for.
    let past = stage.go(of_client("a", takes(0, 40)));
    let (a, _) = waits(&mut stage, of_client("a", takes(10, 0)));
    let (b, _) = waits(&mut stage, of_client("b", takes(10, 0)));
    assert_eq!(order(&mut stage, 50), [(30, large), (40, b), (50, a)]);
    stage.serve(past, usage(0, 40));
}

/// Two clients of whom some calls always wait; each is foretold to use so much, and uses so much. What each got in so many
/// seconds.
fn contest(of: [(u64, u64); 2], seconds: u64) -> [u64; 2] {
    let mut stage = empty();
    let names = ["a", "b"];
    let mut waiting: Vec<(usize, Call)> = Vec::new();
    let mut got = [0, 0];
    for tenth in 1..=seconds * 10 {
        for (client, (foretold, _)) in of.into_iter().enumerate() {
            while waiting.iter().filter(|(whose, _)| *whose == client).count() < 3 {
                waiting.push((client, stage.wait(of_client(names[client], takes(foretold, 0))).0));
            }
        }
        stage.now = at(tenth * 100);
        for ticket in stage.woken() {
            let place = waiting.iter().position(|(_, call)| call.ticket == Some(ticket));
            let (client, mut call) = waiting.remove(place.expect("it waits"));
            assert!(matches!(stage.ask(&mut call), Told::Go(_)));
            let used = of[client].1;
            stage.serve(call, usage(used, 0));
            got[client] += used;
        }
    }
    got
}

#[test]
fn each_client_is_given_as_many_tokens_as_the_other_however_large_its_calls_are() {
    let [a, b] = contest([(40, 40), (10, 10)], 60);
    assert!(a + b >= 550 && a.abs_diff(b) <= 50, "{a} and {b}");
}

#[test]
fn what_counts_is_what_they_really_use() {
    for (a, b) in [((10, 30), (10, 10)), ((30, 10), (10, 10)), ((40, 10), (20, 20))] {
        let [a, b] = contest([a, b], 120);
        // What those have that wait already was foretold wrongly, and is made up for by those that come after them.
        assert!(a + b >= 1_100 && a.abs_diff(b) <= 200, "{a} and {b}");
    }
}

#[test]
fn those_who_wait_at_two_keys_wait_together_once_they_turn_out_to_be_one_organization() {
    let mut stage = Stage::new(fleet(vec![capped("a", [None, TEN, TEN]), capped("b", [None, TEN, TEN])]));
    for label in ["a", "b"] {
        let mut call = stage.go(with(label, takes(60, 0)));
        if label == "a" {
            stage.learn(&mut call, &organization("one"));
        }
        stage.serve(call, usage(60, 0));
    }
    let (first, _) = waits(&mut stage, with("a", of_client("x", takes(20, 0))));
    let (second, _) = waits(&mut stage, with("b", of_client("x", takes(20, 0))));
    let mut telling = stage.go(with("b", takes(0, 1)));
    stage.learn(&mut telling, &organization("one"));
    stage.serve(telling, usage(0, 1));
    let mut called: Vec<_> = order(&mut stage, 21).into_iter().map(|(_, ticket)| ticket).collect();
    called.sort();
    assert_eq!(called, [first, second], "each has a cap of its own");
}
